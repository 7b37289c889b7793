// SPDX-License-Identifier: MIT OR Apache-2.0

//! System call numbers (`syscalls.md §1`).
//!
//! A number is a negative word in the number register. No option moves one; an option only decides
//! whether the call exists. Numbers outside [`API`] take the path of unknown calls, where the kernel
//! first looks for the debug, benchmark and TLS calls and otherwise raises an UnknownSyscall fault.

use core::ops::RangeInclusive;

/// The calls of the interface proper, always present.
pub const API: RangeInclusive<i64> = YIELD..=CALL;

macro_rules! calls {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: i64 = $number;)*

        /// Every call, from −1 downward.
        pub const ALL: &[(i64, &str)] = &[$(($constant, $name)),*];
    };
}

calls! {
    /// Send and wait for the reply (`syscalls.md §1.1`).
    CALL = -1, "Call";
    /// Invoke a reply capability, then receive (`syscalls.md §1.1`).
    REPLY_RECV = -2, "ReplyRecv";
    /// Send without blocking, then receive (`syscalls.md §1.1`).
    NB_SEND_RECV = -3, "NBSendRecv";
    /// Send without blocking, then wait (`syscalls.md §1.1`).
    NB_SEND_WAIT = -4, "NBSendWait";
    /// Send (`syscalls.md §1.1`).
    SEND = -5, "Send";
    /// Send without blocking (`syscalls.md §1.1`).
    NB_SEND = -6, "NBSend";
    /// Receive with a reply object (`syscalls.md §1.1`).
    RECV = -7, "Recv";
    /// Receive without blocking (`syscalls.md §1.1`).
    NB_RECV = -8, "NBRecv";
    /// Receive without a reply object (`syscalls.md §1.1`).
    WAIT = -9, "Wait";
    /// Receive without a reply object and without blocking (`syscalls.md §1.1`).
    NB_WAIT = -10, "NBWait";
    /// Give up the rest of the time slice (`syscalls.md §1.1`).
    YIELD = -11, "Yield";
    /// Write a character to the kernel console (`syscalls.md §1.2`).
    DEBUG_PUT_CHAR = -12, "DebugPutChar";
    /// Print the threads (`syscalls.md §1.2`).
    DEBUG_DUMP_SCHEDULER = -13, "DebugDumpScheduler";
    /// Halt the machine (`syscalls.md §1.2`).
    DEBUG_HALT = -14, "DebugHalt";
    /// Tell the kind of a capability ([`crate::cap_type`]) (`syscalls.md §1.2`).
    DEBUG_CAP_IDENTIFY = -15, "DebugCapIdentify";
    /// Print the capability distribution (`syscalls.md §1.2`).
    DEBUG_SNAPSHOT = -16, "DebugSnapshot";
    /// Name a thread (`syscalls.md §1.2`).
    DEBUG_NAME_THREAD = -17, "DebugNameThread";
    /// Send an inter-processor interrupt (`syscalls.md §1.2`).
    DEBUG_SEND_IPI = -18, "DebugSendIPI";
    /// Tell the core of a thread (`syscalls.md §1.2`).
    DEBUG_GET_THREAD_AFFINITY = -19, "DebugGetThreadAffinity";
    /// Run a function in kernel mode (`syscalls.md §1.2`).
    DEBUG_RUN = -20, "DebugRun";
    /// Benchmark: flush caches (`syscalls.md §1.2`).
    BENCHMARK_FLUSH_CACHES = -21, "BenchmarkFlushCaches";
    /// Benchmark: reset log (`syscalls.md §1.2`).
    BENCHMARK_RESET_LOG = -22, "BenchmarkResetLog";
    /// Benchmark: finalize log (`syscalls.md §1.2`).
    BENCHMARK_FINALIZE_LOG = -23, "BenchmarkFinalizeLog";
    /// Benchmark: set log buffer (`syscalls.md §1.2`).
    BENCHMARK_SET_LOG_BUFFER = -24, "BenchmarkSetLogBuffer";
    /// Benchmark: null syscall (`syscalls.md §1.2`).
    BENCHMARK_NULL_SYSCALL = -25, "BenchmarkNullSyscall";
    /// Benchmark: get thread utilisation (`syscalls.md §1.2`).
    BENCHMARK_GET_THREAD_UTILISATION = -26, "BenchmarkGetThreadUtilisation";
    /// Benchmark: reset thread utilisation (`syscalls.md §1.2`).
    BENCHMARK_RESET_THREAD_UTILISATION = -27, "BenchmarkResetThreadUtilisation";
    /// Benchmark: dump all threads utilisation (`syscalls.md §1.2`).
    BENCHMARK_DUMP_ALL_THREADS_UTILISATION = -28, "BenchmarkDumpAllThreadsUtilisation";
    /// Benchmark: reset all threads utilisation (`syscalls.md §1.2`).
    BENCHMARK_RESET_ALL_THREADS_UTILISATION = -29, "BenchmarkResetAllThreadsUtilisation";
    /// Write a model specific register (`syscalls.md §1.2`).
    X86_DANGEROUS_WRMSR = -30, "X86DangerousWRMSR";
    /// Read a model specific register (`syscalls.md §1.2`).
    X86_DANGEROUS_RDMSR = -31, "X86DangerousRDMSR";
    /// Run a guest (`syscalls.md §1.2`).
    VM_ENTER = -32, "VMEnter";
    /// Set the caller's TLS register (`syscalls.md §1.2`).
    SET_TLS_BASE = -33, "SetTLSBase";
}

// Numbers run from −1 downward without a gap.
const _: () = {
    let mut index = 0;
    while index < ALL.len() {
        assert!(ALL[index].0 == -1 - index as i64);
        index += 1;
    }
    assert!(ALL.len() == 33);
};

/// The name of a call as the interface writes it, `None` for a number that names no call.
pub const fn name(number: i64) -> Option<&'static str> {
    if number >= SET_TLS_BASE && number <= CALL { Some(ALL[(-1 - number) as usize].1) } else { None }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn names_follow_numbers() {
        assert_eq!(name(-1), Some("Call"));
        assert_eq!(name(-11), Some("Yield"));
        assert_eq!(name(-15), Some("DebugCapIdentify"));
        assert_eq!(name(-25), Some("BenchmarkNullSyscall"));
        assert_eq!(name(-33), Some("SetTLSBase"));
        for number in [0, 1, -34, i64::MIN, i64::MAX] {
            assert_eq!(name(number), None);
        }
        assert!(API.contains(&NB_SEND_RECV) && !API.contains(&DEBUG_PUT_CHAR));
    }
}
