// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an exception from user level means (`errors-and-faults.md` §4.3, §4.4).

use keel_kernel::ipc::fault::Fault;

/// Causes of exceptions (scause, table 4.2).
pub mod cause {
    /// The bit that makes a cause an interrupt.
    pub const INTERRUPT: u64 = 1 << 63;
    /// Instruction fetch from where there is no memory.
    pub const FETCH_ACCESS: u64 = 1;
    /// Illegal instruction, of the FPU too while it is closed.
    pub const ILLEGAL_INSTRUCTION: u64 = 2;
    /// Load from where there is no memory.
    pub const LOAD_ACCESS: u64 = 5;
    /// Store, or atomic operation, to where there is no memory.
    pub const STORE_ACCESS: u64 = 7;
    /// System call of user level.
    pub const USER_CALL: u64 = 8;
    /// Instruction fetch that the page tables forbid.
    pub const FETCH_PAGE: u64 = 12;
    /// Load that the page tables forbid.
    pub const LOAD_PAGE: u64 = 13;
    /// Store, or atomic operation, that the page tables forbid.
    pub const STORE_PAGE: u64 = 15;
}

/// The fault of an exception other than a system call: its cause, and the address that the processor reports (stval).
pub const fn fault(cause: u64, address: u64) -> Fault {
    use cause::*;
    // The interface shows page faults as access faults.
    let (status, is_fetch) = match cause {
        FETCH_ACCESS | FETCH_PAGE => (FETCH_ACCESS, true),
        LOAD_ACCESS | LOAD_PAGE => (LOAD_ACCESS, false),
        STORE_ACCESS | STORE_PAGE => (STORE_ACCESS, false),
        number => return Fault::UserException { number, code: 0 },
    };
    Fault::VirtualMemory { address, is_fetch, status }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn page_faults_look_like_access_faults() {
        for (causes, status, is_fetch) in [([1, 12], 1, true), ([5, 13], 5, false), ([7, 15], 7, false)] {
            for cause in causes {
                assert_eq!(fault(cause, 0x1234), Fault::VirtualMemory { address: 0x1234, is_fetch, status });
            }
        }
    }

    #[test]
    fn everything_else_is_a_user_exception() {
        for number in [0, 2, 3, 4, 6] {
            assert_eq!(fault(number, 0x1234), Fault::UserException { number, code: 0 });
        }
    }
}
