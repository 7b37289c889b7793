// SPDX-License-Identifier: MIT OR Apache-2.0

//! Labels of aarch64 (`invocations.md §1.2`), behind the generic ones of [`crate::label`].

use crate::config::Options;
use crate::label::labels;

/// The first label of the table.
pub const FIRST: u64 = crate::label::first_arch(&Options::BUILD);

labels! {
    VSPACE_CLEAN_DATA "ARMVSpaceClean_Data" Always,
    VSPACE_INVALIDATE_DATA "ARMVSpaceInvalidate_Data" Always,
    VSPACE_CLEAN_INVALIDATE_DATA "ARMVSpaceCleanInvalidate_Data" Always,
    VSPACE_UNIFY_INSTRUCTION "ARMVSpaceUnify_Instruction" Always,
    SMC_CALL "ARMSMCCall" Always,
    PAGE_TABLE_MAP "ARMPageTableMap" Always,
    PAGE_TABLE_UNMAP "ARMPageTableUnmap" Always,
    PAGE_MAP "ARMPageMap" Always,
    PAGE_UNMAP "ARMPageUnmap" Always,
    PAGE_CLEAN_DATA "ARMPageClean_Data" Always,
    PAGE_INVALIDATE_DATA "ARMPageInvalidate_Data" Always,
    PAGE_CLEAN_INVALIDATE_DATA "ARMPageCleanInvalidate_Data" Always,
    PAGE_UNIFY_INSTRUCTION "ARMPageUnify_Instruction" Always,
    PAGE_GET_ADDRESS "ARMPageGetAddress" Always,
    ASID_CONTROL_MAKE_POOL "ARMASIDControlMakePool" Always,
    ASID_POOL_ASSIGN "ARMASIDPoolAssign" Always,
    VCPU_SET_TCB "ARMVCPUSetTCB" Hyp,
    VCPU_INJECT_IRQ "ARMVCPUInjectIRQ" Hyp,
    VCPU_READ_REG "ARMVCPUReadReg" Hyp,
    VCPU_WRITE_REG "ARMVCPUWriteReg" Hyp,
    VCPU_ACK_VPPI "ARMVCPUAckVPPI" Hyp,
    IRQ_ISSUE_IRQ_HANDLER_TRIGGER "ARMIRQIssueIRQHandlerTrigger" Always,
    IRQ_ISSUE_IRQ_HANDLER_TRIGGER_CORE "ARMIRQIssueIRQHandlerTriggerCore" Smp,
    IRQ_ISSUE_SGI_SIGNAL "ARMIRQIssueSGISignal" NotSmp,
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::label::{by_name, first_arch};

    fn check(options: &Options, expected: &[(&str, Option<u64>)]) {
        for &(name, number) in expected {
            assert_eq!(by_name(TABLE, first_arch(options), name, options), number, "{name}");
        }
    }

    #[test]
    fn el1_numbering_is_that_of_the_sheet() {
        let options = Options::DEFAULT;
        let expected = [
            ("ARMVSpaceClean_Data", Some(39)),
            ("ARMVSpaceInvalidate_Data", Some(40)),
            ("ARMVSpaceCleanInvalidate_Data", Some(41)),
            ("ARMVSpaceUnify_Instruction", Some(42)),
            ("ARMSMCCall", Some(43)),
            ("ARMPageTableMap", Some(44)),
            ("ARMPageTableUnmap", Some(45)),
            ("ARMPageMap", Some(46)),
            ("ARMPageUnmap", Some(47)),
            ("ARMPageClean_Data", Some(48)),
            ("ARMPageInvalidate_Data", Some(49)),
            ("ARMPageCleanInvalidate_Data", Some(50)),
            ("ARMPageUnify_Instruction", Some(51)),
            ("ARMPageGetAddress", Some(52)),
            ("ARMASIDControlMakePool", Some(53)),
            ("ARMASIDPoolAssign", Some(54)),
            ("ARMVCPUSetTCB", None),
            ("ARMVCPUInjectIRQ", None),
            ("ARMVCPUReadReg", None),
            ("ARMVCPUWriteReg", None),
            ("ARMVCPUAckVPPI", None),
            ("ARMIRQIssueIRQHandlerTrigger", Some(55)),
            ("ARMIRQIssueIRQHandlerTriggerCore", None),
            ("ARMIRQIssueSGISignal", Some(56)),
        ];
        check(&options, &expected);
    }

    #[test]
    fn hyp_numbering_is_that_of_the_sheet() {
        let options = Options { hyp: true, ..Options::DEFAULT };
        let expected = [
            ("ARMVSpaceClean_Data", Some(39)),
            ("ARMVSpaceInvalidate_Data", Some(40)),
            ("ARMVSpaceCleanInvalidate_Data", Some(41)),
            ("ARMVSpaceUnify_Instruction", Some(42)),
            ("ARMSMCCall", Some(43)),
            ("ARMPageTableMap", Some(44)),
            ("ARMPageTableUnmap", Some(45)),
            ("ARMPageMap", Some(46)),
            ("ARMPageUnmap", Some(47)),
            ("ARMPageClean_Data", Some(48)),
            ("ARMPageInvalidate_Data", Some(49)),
            ("ARMPageCleanInvalidate_Data", Some(50)),
            ("ARMPageUnify_Instruction", Some(51)),
            ("ARMPageGetAddress", Some(52)),
            ("ARMASIDControlMakePool", Some(53)),
            ("ARMASIDPoolAssign", Some(54)),
            ("ARMVCPUSetTCB", Some(55)),
            ("ARMVCPUInjectIRQ", Some(56)),
            ("ARMVCPUReadReg", Some(57)),
            ("ARMVCPUWriteReg", Some(58)),
            ("ARMVCPUAckVPPI", Some(59)),
            ("ARMIRQIssueIRQHandlerTrigger", Some(60)),
            ("ARMIRQIssueIRQHandlerTriggerCore", None),
            ("ARMIRQIssueSGISignal", Some(61)),
        ];
        check(&options, &expected);
    }

    #[test]
    fn smp_numbering_is_that_of_the_sheet() {
        let options = Options { cores: 4, ..Options::DEFAULT };
        let expected = [
            ("ARMVSpaceClean_Data", Some(39)),
            ("ARMVSpaceInvalidate_Data", Some(40)),
            ("ARMVSpaceCleanInvalidate_Data", Some(41)),
            ("ARMVSpaceUnify_Instruction", Some(42)),
            ("ARMSMCCall", Some(43)),
            ("ARMPageTableMap", Some(44)),
            ("ARMPageTableUnmap", Some(45)),
            ("ARMPageMap", Some(46)),
            ("ARMPageUnmap", Some(47)),
            ("ARMPageClean_Data", Some(48)),
            ("ARMPageInvalidate_Data", Some(49)),
            ("ARMPageCleanInvalidate_Data", Some(50)),
            ("ARMPageUnify_Instruction", Some(51)),
            ("ARMPageGetAddress", Some(52)),
            ("ARMASIDControlMakePool", Some(53)),
            ("ARMASIDPoolAssign", Some(54)),
            ("ARMVCPUSetTCB", None),
            ("ARMVCPUInjectIRQ", None),
            ("ARMVCPUReadReg", None),
            ("ARMVCPUWriteReg", None),
            ("ARMVCPUAckVPPI", None),
            ("ARMIRQIssueIRQHandlerTrigger", Some(55)),
            ("ARMIRQIssueIRQHandlerTriggerCore", Some(56)),
            ("ARMIRQIssueSGISignal", None),
        ];
        check(&options, &expected);
    }

    #[test]
    fn breakpoint_methods_move_all_by_four() {
        let options = Options { hardware_debug: true, ..Options::DEFAULT };
        let expected = [("ARMVSpaceClean_Data", Some(43)), ("ARMIRQIssueSGISignal", Some(60))];
        check(&options, &expected);
    }

    #[test]
    fn hyp_smp_numbering_is_that_of_the_sheet() {
        let options = Options { hyp: true, cores: 2, ..Options::DEFAULT };
        let expected = [("ARMIRQIssueIRQHandlerTriggerCore", Some(61))];
        check(&options, &expected);
    }
}
