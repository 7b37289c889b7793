// SPDX-License-Identifier: MIT OR Apache-2.0

//! Labels of x86_64 (`invocations.md §1.4`), behind the generic ones of [`crate::label`].

use crate::config::Options;
use crate::label::labels;

/// The first label of the table.
pub const FIRST: u64 = crate::label::first_arch(&Options::BUILD);

labels! {
    PDPT_MAP "X86PDPTMap" Always,
    PDPT_UNMAP "X86PDPTUnmap" Always,
    PAGE_DIRECTORY_MAP "X86PageDirectoryMap" Always,
    PAGE_DIRECTORY_UNMAP "X86PageDirectoryUnmap" Always,
    PAGE_TABLE_MAP "X86PageTableMap" Always,
    PAGE_TABLE_UNMAP "X86PageTableUnmap" Always,
    IO_PAGE_TABLE_MAP "X86IOPageTableMap" X86Iommu,
    IO_PAGE_TABLE_UNMAP "X86IOPageTableUnmap" X86Iommu,
    PAGE_MAP "X86PageMap" Always,
    PAGE_UNMAP "X86PageUnmap" Always,
    PAGE_MAP_IO "X86PageMapIO" X86Iommu,
    PAGE_GET_ADDRESS "X86PageGetAddress" Always,
    ASID_CONTROL_MAKE_POOL "X86ASIDControlMakePool" Always,
    ASID_POOL_ASSIGN "X86ASIDPoolAssign" Always,
    IO_PORT_CONTROL_ISSUE "X86IOPortControlIssue" Always,
    IO_PORT_IN_8 "X86IOPortIn8" Always,
    IO_PORT_IN_16 "X86IOPortIn16" Always,
    IO_PORT_IN_32 "X86IOPortIn32" Always,
    IO_PORT_OUT_8 "X86IOPortOut8" Always,
    IO_PORT_OUT_16 "X86IOPortOut16" Always,
    IO_PORT_OUT_32 "X86IOPortOut32" Always,
    IRQ_ISSUE_IRQ_HANDLER_IOAPIC "X86IRQIssueIRQHandlerIOAPIC" Always,
    IRQ_ISSUE_IRQ_HANDLER_MSI "X86IRQIssueIRQHandlerMSI" Always,
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
    fn numbering_without_iommu_is_that_of_the_sheet() {
        let options = Options::DEFAULT;
        let expected = [
            ("X86PDPTMap", Some(39)),
            ("X86PDPTUnmap", Some(40)),
            ("X86PageDirectoryMap", Some(41)),
            ("X86PageDirectoryUnmap", Some(42)),
            ("X86PageTableMap", Some(43)),
            ("X86PageTableUnmap", Some(44)),
            ("X86IOPageTableMap", None),
            ("X86IOPageTableUnmap", None),
            ("X86PageMap", Some(45)),
            ("X86PageUnmap", Some(46)),
            ("X86PageMapIO", None),
            ("X86PageGetAddress", Some(47)),
            ("X86ASIDControlMakePool", Some(48)),
            ("X86ASIDPoolAssign", Some(49)),
            ("X86IOPortControlIssue", Some(50)),
            ("X86IOPortIn8", Some(51)),
            ("X86IOPortIn16", Some(52)),
            ("X86IOPortIn32", Some(53)),
            ("X86IOPortOut8", Some(54)),
            ("X86IOPortOut16", Some(55)),
            ("X86IOPortOut32", Some(56)),
            ("X86IRQIssueIRQHandlerIOAPIC", Some(57)),
            ("X86IRQIssueIRQHandlerMSI", Some(58)),
        ];
        check(&options, &expected);
    }

    #[test]
    fn numbering_with_iommu_is_that_of_the_sheet() {
        let options = Options { x86_iommu: true, ..Options::DEFAULT };
        let expected = [
            ("X86PDPTMap", Some(39)),
            ("X86PDPTUnmap", Some(40)),
            ("X86PageDirectoryMap", Some(41)),
            ("X86PageDirectoryUnmap", Some(42)),
            ("X86PageTableMap", Some(43)),
            ("X86PageTableUnmap", Some(44)),
            ("X86IOPageTableMap", Some(45)),
            ("X86IOPageTableUnmap", Some(46)),
            ("X86PageMap", Some(47)),
            ("X86PageUnmap", Some(48)),
            ("X86PageMapIO", Some(49)),
            ("X86PageGetAddress", Some(50)),
            ("X86ASIDControlMakePool", Some(51)),
            ("X86ASIDPoolAssign", Some(52)),
            ("X86IOPortControlIssue", Some(53)),
            ("X86IOPortIn8", Some(54)),
            ("X86IOPortIn16", Some(55)),
            ("X86IOPortIn32", Some(56)),
            ("X86IOPortOut8", Some(57)),
            ("X86IOPortOut16", Some(58)),
            ("X86IOPortOut32", Some(59)),
            ("X86IRQIssueIRQHandlerIOAPIC", Some(60)),
            ("X86IRQIssueIRQHandlerMSI", Some(61)),
        ];
        check(&options, &expected);
    }

    #[test]
    fn breakpoint_methods_move_all_by_four() {
        let options = Options { hardware_debug: true, ..Options::DEFAULT };
        let expected = [("X86PDPTMap", Some(43)), ("X86IRQIssueIRQHandlerMSI", Some(62))];
        check(&options, &expected);
    }
}
