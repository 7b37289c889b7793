// SPDX-License-Identifier: MIT OR Apache-2.0

//! Labels of riscv64 (`invocations.md §1.3`), behind the generic ones of [`crate::label`].

use crate::config::Options;
use crate::label::labels;

/// The first label of the table.
pub const FIRST: u64 = crate::label::first_arch(&Options::BUILD);

labels! {
    PAGE_TABLE_MAP "RISCVPageTableMap" Always,
    PAGE_TABLE_UNMAP "RISCVPageTableUnmap" Always,
    PAGE_MAP "RISCVPageMap" Always,
    PAGE_UNMAP "RISCVPageUnmap" Always,
    PAGE_GET_ADDRESS "RISCVPageGetAddress" Always,
    ASID_CONTROL_MAKE_POOL "RISCVASIDControlMakePool" Always,
    ASID_POOL_ASSIGN "RISCVASIDPoolAssign" Always,
    IRQ_ISSUE_IRQ_HANDLER_TRIGGER "RISCVIRQIssueIRQHandlerTrigger" Always,
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
    fn numbering_is_that_of_the_sheet() {
        let options = Options::DEFAULT;
        let expected = [
            ("RISCVPageTableMap", Some(39)),
            ("RISCVPageGetAddress", Some(43)),
            ("RISCVPageTableUnmap", Some(40)),
            ("RISCVASIDControlMakePool", Some(44)),
            ("RISCVPageMap", Some(41)),
            ("RISCVASIDPoolAssign", Some(45)),
            ("RISCVPageUnmap", Some(42)),
            ("RISCVIRQIssueIRQHandlerTrigger", Some(46)),
        ];
        check(&options, &expected);
    }

    #[test]
    fn several_cores_move_nothing() {
        let options = Options { cores: 4, ..Options::DEFAULT };
        let expected = [("RISCVIRQIssueIRQHandlerTrigger", Some(46))];
        check(&options, &expected);
    }

    #[test]
    fn breakpoint_methods_move_all_by_four() {
        let options = Options { hardware_debug: true, ..Options::DEFAULT };
        let expected = [("RISCVPageTableMap", Some(43))];
        check(&options, &expected);
    }
}
