// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocation labels (`invocations.md §1`).
//!
//! Labels are numbered consecutively in the order of the tables here, and a method that the options
//! exclude consumes no number: the breakpoint methods move everything behind them by four, on all
//! architectures. So a label is computed: [`number`] counts the entries before it that exist. The
//! architectures' tables ([`crate::aarch64::label`] and so on) continue where this one ends.

use crate::config::{Condition, Options};

/// A label's name, as the interface writes it, and when it exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Name.
    pub name: &'static str,
    /// When it exists.
    pub condition: Condition,
}

/// No method (`invocations.md §1`).
pub const INVALID_INVOCATION: u64 = 0;

/// The number of entry `index` of a table whose first label is `first`.
///
/// An entry that does not exist gets a number of its own, beyond the 52 bits of a label.
pub const fn number(table: &[Entry], first: u64, index: usize, options: &Options) -> u64 {
    if table[index].condition.holds(options) {
        first + present(table, index, options)
    } else {
        u64::MAX - (first + index as u64)
    }
}

/// How many of the first `count` entries exist.
const fn present(table: &[Entry], count: usize, options: &Options) -> u64 {
    let (mut index, mut present) = (0, 0);
    while index < count {
        if table[index].condition.holds(options) {
            present += 1;
        }
        index += 1;
    }
    present
}

/// Whether the build options exclude the method that has this label.
pub const fn is_absent(label: u64) -> bool {
    label >> crate::message::LABEL_BITS != 0
}

/// The label of the method with this name, `None` if the options exclude it or the table lacks it.
pub fn by_name(table: &[Entry], first: u64, name: &str, options: &Options) -> Option<u64> {
    let index = table.iter().position(|entry| entry.name == name)?;
    Some(number(table, first, index, options)).filter(|&label| !is_absent(label))
}

/// Declares a table of labels that begins behind `$first`'s, and a constant for each entry.
macro_rules! labels {
    ($($constant:ident $name:literal $condition:ident,)*) => {
        /// The labels in order.
        pub const TABLE: &[$crate::label::Entry] = &[$(
            $crate::label::Entry { name: $name, condition: $crate::config::Condition::$condition },
        )*];

        #[expect(non_camel_case_types, reason = "named after the constants")]
        enum Index {
            $($constant,)*
        }

        $(
            #[doc = concat!("`", $name, "` (`invocations.md §1`).")]
            pub const $constant: u64 =
                $crate::label::number(TABLE, FIRST, Index::$constant as usize, &$crate::config::Options::BUILD);
        )*
    };
}
pub(crate) use labels;

/// The first label of the generic table.
pub const FIRST: u64 = 1;

/// The first label of the architecture's table (`invocations.md §1`): 39, or 43 with the breakpoint calls.
pub const fn first_arch(options: &Options) -> u64 {
    FIRST + present(TABLE, TABLE.len(), options)
}

labels! {
    UNTYPED_RETYPE "UntypedRetype" Always,
    TCB_READ_REGISTERS "TCBReadRegisters" Always,
    TCB_WRITE_REGISTERS "TCBWriteRegisters" Always,
    TCB_COPY_REGISTERS "TCBCopyRegisters" Always,
    TCB_CONFIGURE "TCBConfigure" Always,
    TCB_SET_PRIORITY "TCBSetPriority" Always,
    TCB_SET_MC_PRIORITY "TCBSetMCPriority" Always,
    TCB_SET_SCHED_PARAMS "TCBSetSchedParams" Always,
    TCB_SET_TIMEOUT_ENDPOINT "TCBSetTimeoutEndpoint" Always,
    TCB_SET_IPC_BUFFER "TCBSetIPCBuffer" Always,
    TCB_SET_SPACE "TCBSetSpace" Always,
    TCB_SUSPEND "TCBSuspend" Always,
    TCB_RESUME "TCBResume" Always,
    TCB_BIND_NOTIFICATION "TCBBindNotification" Always,
    TCB_UNBIND_NOTIFICATION "TCBUnbindNotification" Always,
    TCB_SET_BREAKPOINT "TCBSetBreakpoint" HardwareDebug,
    TCB_GET_BREAKPOINT "TCBGetBreakpoint" HardwareDebug,
    TCB_UNSET_BREAKPOINT "TCBUnsetBreakpoint" HardwareDebug,
    TCB_CONFIGURE_SINGLE_STEPPING "TCBConfigureSingleStepping" HardwareDebug,
    TCB_SET_TLS_BASE "TCBSetTLSBase" Always,
    TCB_SET_FLAGS "TCBSetFlags" Always,
    CNODE_REVOKE "CNodeRevoke" Always,
    CNODE_DELETE "CNodeDelete" Always,
    CNODE_CANCEL_BADGED_SENDS "CNodeCancelBadgedSends" Always,
    CNODE_COPY "CNodeCopy" Always,
    CNODE_MINT "CNodeMint" Always,
    CNODE_MOVE "CNodeMove" Always,
    CNODE_MUTATE "CNodeMutate" Always,
    CNODE_ROTATE "CNodeRotate" Always,
    IRQ_ISSUE_IRQ_HANDLER "IRQIssueIRQHandler" Always,
    IRQ_ACK_IRQ "IRQAckIRQ" Always,
    IRQ_SET_IRQ_HANDLER "IRQSetIRQHandler" Always,
    IRQ_CLEAR_IRQ_HANDLER "IRQClearIRQHandler" Always,
    DOMAIN_SET_SET "DomainSetSet" Always,
    DOMAIN_SCHEDULE_CONFIGURE "DomainScheduleConfigure" Always,
    DOMAIN_SCHEDULE_SET_START "DomainScheduleSetStart" Always,
    SCHED_CONTROL_CONFIGURE_FLAGS "SchedControlConfigureFlags" Always,
    SCHED_CONTEXT_BIND "SchedContextBind" Always,
    SCHED_CONTEXT_UNBIND "SchedContextUnbind" Always,
    SCHED_CONTEXT_UNBIND_OBJECT "SchedContextUnbindObject" Always,
    SCHED_CONTEXT_CONSUMED "SchedContextConsumed" Always,
    SCHED_CONTEXT_YIELD_TO "SchedContextYieldTo" Always,
}

#[cfg(test)]
mod test {
    use super::*;

    const DEBUG: Options = Options { hardware_debug: true, ..Options::DEFAULT };

    fn label(name: &str, options: &Options) -> Option<u64> {
        by_name(TABLE, FIRST, name, options)
    }

    #[test]
    fn default_numbering_is_that_of_the_sheet() {
        let expected = [
            (1, "UntypedRetype"),
            (2, "TCBReadRegisters"),
            (3, "TCBWriteRegisters"),
            (4, "TCBCopyRegisters"),
            (5, "TCBConfigure"),
            (6, "TCBSetPriority"),
            (7, "TCBSetMCPriority"),
            (8, "TCBSetSchedParams"),
            (9, "TCBSetTimeoutEndpoint"),
            (10, "TCBSetIPCBuffer"),
            (11, "TCBSetSpace"),
            (12, "TCBSuspend"),
            (13, "TCBResume"),
            (14, "TCBBindNotification"),
            (15, "TCBUnbindNotification"),
            (16, "TCBSetTLSBase"),
            (17, "TCBSetFlags"),
            (18, "CNodeRevoke"),
            (19, "CNodeDelete"),
            (20, "CNodeCancelBadgedSends"),
            (21, "CNodeCopy"),
            (22, "CNodeMint"),
            (23, "CNodeMove"),
            (24, "CNodeMutate"),
            (25, "CNodeRotate"),
            (26, "IRQIssueIRQHandler"),
            (27, "IRQAckIRQ"),
            (28, "IRQSetIRQHandler"),
            (29, "IRQClearIRQHandler"),
            (30, "DomainSetSet"),
            (31, "DomainScheduleConfigure"),
            (32, "DomainScheduleSetStart"),
            (33, "SchedControlConfigureFlags"),
            (34, "SchedContextBind"),
            (35, "SchedContextUnbind"),
            (36, "SchedContextUnbindObject"),
            (37, "SchedContextConsumed"),
            (38, "SchedContextYieldTo"),
        ];
        for (number, name) in expected {
            assert_eq!(label(name, &Options::DEFAULT), Some(number), "{name}");
        }
        assert_eq!(first_arch(&Options::DEFAULT), 39);
        assert_eq!(label("TCBSetBreakpoint", &Options::DEFAULT), None);
    }

    #[test]
    fn breakpoint_methods_move_what_follows() {
        let expected = [
            ("TCBUnbindNotification", 15),
            ("TCBSetBreakpoint", 16),
            ("TCBGetBreakpoint", 17),
            ("TCBUnsetBreakpoint", 18),
            ("TCBConfigureSingleStepping", 19),
            ("TCBSetTLSBase", 20),
            ("SchedContextYieldTo", 42),
        ];
        for (name, number) in expected {
            assert_eq!(label(name, &DEBUG), Some(number), "{name}");
        }
        assert_eq!(first_arch(&DEBUG), 43);
    }

    #[test]
    fn absent_labels_differ_and_cannot_be_sent() {
        for (index, entry) in TABLE.iter().enumerate() {
            let number = number(TABLE, FIRST, index, &Options::DEFAULT);
            assert_eq!(is_absent(number), !entry.condition.holds(&Options::DEFAULT));
            for other in 0..index {
                assert_ne!(number, super::number(TABLE, FIRST, other, &Options::DEFAULT));
            }
        }
    }
}
