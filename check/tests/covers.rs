// SPDX-License-Identifier: MIT OR Apache-2.0

//! Nothing of the interface is forgotten: the specification says what each system call and each invocation does, or it
//! is in a list here, with the reason. What is in a list and is said after all fails as well.

use keel_abi::aarch64::label as arch_label;
use keel_abi::aarch64::registers::MESSAGE_INFO;
use keel_abi::config::Options;
use keel_abi::label::{self, Entry};
use keel_abi::message::MessageInfo;
use keel_abi::{slot, syscall};
use keel_check::lockstep::Lockstep;
use keel_check::script::{Op, Step};
use keel_check::stage::{self, Stage};
use keel_spec::algebra::Kind;
use keel_spec::concrete::{Object, Slot};
use keel_spec::system::error::Error;
use keel_spec::system::{Activity, CSPACE, System};

const CACHES: &str = "maintenance of caches, of which the host's machine has none";
const OTHER_MACHINES: &str = "of other machines than the host's";
const NO_SUCH_CALL: &str = "no kernel for one core and without benchmarks has it: an unknown system call";

/// The invocations that the specification does not speak of.
const INVOCATIONS: &[(&str, &str)] = &[
    ("ARMVSpaceClean_Data", CACHES),
    ("ARMVSpaceInvalidate_Data", CACHES),
    ("ARMVSpaceCleanInvalidate_Data", CACHES),
    ("ARMVSpaceUnify_Instruction", CACHES),
    ("ARMSMCCall", OTHER_MACHINES),
    ("ARMPageClean_Data", CACHES),
    ("ARMPageInvalidate_Data", CACHES),
    ("ARMPageCleanInvalidate_Data", CACHES),
    ("ARMPageUnify_Instruction", CACHES),
    ("ARMIRQIssueSGISignal", OTHER_MACHINES),
];

/// The system calls that it does not speak of. (And DebugHalt, after which nothing is there to speak of.)
const CALLS: &[(&str, &str)] = &[
    ("DebugSendIPI", NO_SUCH_CALL),
    ("DebugGetThreadAffinity", NO_SUCH_CALL),
    ("DebugRun", NO_SUCH_CALL),
    ("BenchmarkFlushCaches", NO_SUCH_CALL),
    ("BenchmarkResetLog", NO_SUCH_CALL),
    ("BenchmarkFinalizeLog", NO_SUCH_CALL),
    ("BenchmarkSetLogBuffer", NO_SUCH_CALL),
    ("BenchmarkNullSyscall", NO_SUCH_CALL),
    ("BenchmarkGetThreadUtilisation", NO_SUCH_CALL),
    ("BenchmarkResetThreadUtilisation", NO_SUCH_CALL),
    ("BenchmarkDumpAllThreadsUtilisation", NO_SUCH_CALL),
    ("BenchmarkResetAllThreadsUtilisation", NO_SUCH_CALL),
    ("X86DangerousWRMSR", OTHER_MACHINES),
    ("X86DangerousRDMSR", OTHER_MACHINES),
    ("VMEnter", OTHER_MACHINES),
    ("SetTLSBase", "of machines on which user level cannot set that register itself"),
];

/// A large system, and a copy in which something is tried.
struct Trial {
    start: Lockstep,
    now: Lockstep,
    caller: Object,
    caps: Vec<u64>,
}

impl Trial {
    fn new() -> Self {
        let Stage { world, slots } = stage::large();
        let fixed = [
            slot::IRQ_CONTROL,
            slot::ASID_CONTROL,
            slot::INIT_ASID_POOL,
            slot::DOMAIN_SET,
            world.sched_control,
        ];
        let caps = fixed.into_iter().chain(slots).collect();
        let start = Lockstep::new(world);
        let caller = start.system.as_ref().and_then(|system| system.current).expect("the root task runs");
        Self { now: start.clone(), start, caller, caps }
    }

    /// The system after an operation, if the specification says.
    fn after(&mut self, op: Op) -> Option<&System> {
        self.now.clone_from(&self.start);
        let done = self.now.apply(&Step::from(op));
        done.unwrap_or_else(|disagreement| panic!("{disagreement}"));
        self.now.system.as_ref().filter(|_| self.now.coverage.open.is_empty())
    }

    /// The kind of a capability.
    fn kind(&self, cap: u64) -> Kind {
        let system = self.start.system.as_ref().expect("a system that is specified");
        let root = system.cap(&System::slot_of(self.caller, CSPACE)).object;
        system.cap(&Slot { home: root, index: cap }).kind
    }

    /// A capability of a kind.
    fn cap_of(&self, kind: Kind) -> u64 {
        self.caps.iter().copied().find(|cap| self.kind(*cap) == kind).expect("there is one")
    }

    /// The capabilities to objects that are invoked.
    fn objects(&self) -> Vec<u64> {
        let others = [Kind::Null, Kind::Endpoint, Kind::Notification, Kind::Reply];
        self.caps.iter().copied().filter(|cap| !others.contains(&self.kind(*cap))).collect()
    }

    /// Whether an object knows the label of an invocation: it is not refused as one that does not exist.
    fn knows(&mut self, cap: u64, label: u64, words: &[u64], caps: &[u64]) -> bool {
        let (caller, refusal) = (self.caller, Error::IllegalOperation.answer().0);
        self.after(Op::invoke(cap, label, words, caps)).is_some_and(|system| {
            MessageInfo(system.thread(caller).registers[MESSAGE_INFO]).label() != refusal
        })
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn every_invocation_is_specified_or_listed() {
    let mut trial = Trial::new();
    let (thread, notification) = (trial.cap_of(Kind::Tcb), trial.cap_of(Kind::Notification));
    let bind = Op::invoke(thread, label::TCB_BIND_NOTIFICATION, &[], &[notification]);
    trial.start.apply(&Step::from(bind)).expect("kernel and specification agree");
    let objects = trial.objects();
    let tables: [(&[Entry], u64); 2] = [(label::TABLE, label::FIRST), (arch_label::TABLE, arch_label::FIRST)];
    for (table, first) in tables {
        for entry in table {
            let Some(label) = label::by_name(table, first, entry.name, &Options::BUILD) else { continue };
            let is_known = objects.iter().any(|&cap| {
                trial.knows(cap, label, &[], &[]) || trial.knows(cap, label, &[0; 8], &[thread, thread])
            });
            let is_listed = INVOCATIONS.iter().any(|(name, _)| *name == entry.name);
            assert_ne!(is_known, is_listed, "{}", entry.name);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn every_system_call_is_specified_or_listed() {
    let mut trial = Trial::new();
    let (caller, cap) = (trial.caller, trial.cap_of(Kind::Endpoint));
    for &(number, name) in syscall::ALL.iter().filter(|(number, _)| *number != syscall::DEBUG_HALT) {
        let system = trial.after(Op::plain(number, cap, 0)).unwrap_or_else(|| panic!("{name}"));
        let thread = system.thread(caller);
        // A fault stops who has no handler.
        let has_fault = thread.fault.is_some() || thread.activity == Activity::Inactive;
        let is_unknown = has_fault && !syscall::API.contains(&number);
        let is_listed = CALLS.iter().any(|(listed, _)| *listed == name);
        assert_eq!(is_unknown, is_listed, "{name}");
    }
}
