// SPDX-License-Identifier: MIT OR Apache-2.0

//! The table of invocations against the tables of labels, and against itself.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::label::{self, Entry};

fn row(name: &str) -> Row {
    all_rows().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"))
}

#[test]
fn row_names_are_unique() {
    let mut seen = BTreeSet::new();
    for row in all_rows() {
        assert!(seen.insert(row.name), "{} twice", row.name);
    }
}

#[test]
fn steps_count_up_and_rows_carry_the_name_of_their_invocation() {
    for invocation in all() {
        for (index, step) in invocation.steps.iter().enumerate() {
            for check in *step {
                assert_eq!(check.step as usize, index + 1, "{}", check.id);
                assert!(check.id.ends_with(&std::format!("#{}", check.step)), "{}", check.id);
            }
        }
        for row in invocation.rows() {
            assert_eq!(row.name.split('/').next(), Some(invocation.name), "{}", row.name);
        }
    }
}

#[test]
fn details_fit_their_errors() {
    for check in all().flat_map(Invocation::checks) {
        let fits = match check.error {
            ErrorCode::InvalidArgument => matches!(check.detail, Detail::Argument(_) | Detail::AnyArgument),
            ErrorCode::InvalidCapability => matches!(check.detail, Detail::Capability(_)),
            ErrorCode::RangeError => matches!(check.detail, Detail::Range(..)),
            ErrorCode::FailedLookup => matches!(check.detail, Detail::Lookup(..) | Detail::AnyLookup(_)),
            ErrorCode::NotEnoughMemory => check.detail == Detail::FreeBytes,
            ErrorCode::NoError => false,
            _ => check.detail == Detail::None,
        };
        assert!(fits, "{}", check.id);
    }
}

#[test]
fn every_label_has_its_invocation_and_every_invocation_its_label() {
    let [generic, aarch64, riscv64, x86_64] = TABLES;
    let tables: [(&[Entry], u64, &[Invocation]); 4] = [
        (label::TABLE, label::FIRST, generic),
        (crate::aarch64::label::TABLE, crate::aarch64::label::FIRST, aarch64),
        (crate::riscv64::label::TABLE, crate::riscv64::label::FIRST, riscv64),
        (crate::x86_64::label::TABLE, crate::x86_64::label::FIRST, x86_64),
    ];
    for (labels, first, invocations) in tables {
        let mut by_name: BTreeMap<_, _> = invocations
            .iter()
            .filter(|invocation| invocation.label != label::INVALID_INVOCATION)
            .map(|invocation| (invocation.name, invocation.label))
            .collect();
        for (index, entry) in labels.iter().enumerate() {
            let number = label::number(labels, first, index, &Options::BUILD);
            assert_eq!(by_name.remove(entry.name), Some(number), "{}", entry.name);
        }
        assert!(by_name.is_empty(), "{by_name:?} have no label");
    }
}

#[test]
fn invocations_exist_exactly_when_their_labels_do() {
    let tables = [
        label::TABLE,
        crate::aarch64::label::TABLE,
        crate::riscv64::label::TABLE,
        crate::x86_64::label::TABLE,
    ];
    for entry in tables.into_iter().flatten() {
        let invocation = all().find(|invocation| invocation.name == entry.name).expect("has an invocation");
        // The number of the SMC call is reserved even where the capability does not exist.
        if entry.name != "ARMSMCCall" {
            assert_eq!(invocation.condition, entry.condition, "{}", entry.name);
        }
    }
}

#[test]
fn samples_are_those_of_the_sheet() {
    let samples = [
        ("UntypedRetype/RangeError#8", ErrorCode::RangeError, Detail::Range("1", "64")),
        ("UntypedRetype/DeleteFirst#13", ErrorCode::DeleteFirst, Detail::None),
        ("UntypedRetype/NotEnoughMemory#14", ErrorCode::NotEnoughMemory, Detail::FreeBytes),
        (
            "CNodeCopy/FailedLookup.MissingCapability#6",
            ErrorCode::FailedLookup,
            Detail::Lookup(Side::Source, LookupFailureKind::MissingCapability),
        ),
        (
            "CNodeRotate/FailedLookup.MissingCapability#10",
            ErrorCode::FailedLookup,
            Detail::Lookup(Side::Target, LookupFailureKind::MissingCapability),
        ),
        ("TCBSetSchedParams/InvalidCapability#9", ErrorCode::InvalidCapability, Detail::Capability(2)),
        ("IRQSetIRQHandler/InvalidCapability#2", ErrorCode::InvalidCapability, Detail::Capability(0)),
        ("DomainScheduleConfigure/InvalidArgument#5", ErrorCode::InvalidArgument, Detail::Argument(1)),
        ("ARMPageMap/AlignmentError#5", ErrorCode::AlignmentError, Detail::None),
        ("RISCVPageMap/AlignmentError#6", ErrorCode::AlignmentError, Detail::None),
        ("X86PageMap/AlignmentError#9", ErrorCode::AlignmentError, Detail::None),
        ("X86ASIDControlMakePool/RevokeFirst#4", ErrorCode::RevokeFirst, Detail::None),
    ];
    for (name, error, detail) in samples {
        let check = row(name).check.expect("a failure");
        assert_eq!((check.error, check.detail), (error, detail), "{name}");
    }
    assert!(row("TCBSuspend/success").check.is_none());
}

#[test]
fn a_root_that_is_a_cnode_cannot_be_invalid() {
    assert!(all_rows().any(|row| row.name == "UntypedRetype/FailedLookup.InvalidRoot#8"));
    assert!(all_rows().any(|row| row.name == "CNodeDelete/FailedLookup.LeftOver#2"));
    assert!(!all_rows().any(|row| row.name == "CNodeDelete/FailedLookup.InvalidRoot#2"));
}

#[test]
fn options_and_architecture_choose_the_rows() {
    const DEBUG: Options = Options { hardware_debug: true, ..Options::DEFAULT };
    const HYP: Options = Options { hyp: true, ..Options::DEFAULT };
    let has = |architecture, options, name| rows(architecture, options).any(|row| row.name == name);
    let default = &Options::DEFAULT;
    assert!(has(Architectures::AARCH64, default, "ARMPageMap/success"));
    assert!(!has(Architectures::X86_64, default, "ARMPageMap/success"));
    assert!(!has(Architectures::AARCH64, default, "TCBSetBreakpoint/success"));
    assert!(has(Architectures::AARCH64, &DEBUG, "TCBSetBreakpoint/success"));
    assert!(!has(Architectures::RISCV64, &DEBUG, "TCBSetBreakpoint/success"));
    assert!(has(Architectures::AARCH64, default, "ARMPageClean_Data/InvalidCapability#8"));
    assert!(!has(Architectures::AARCH64, &HYP, "ARMPageClean_Data/InvalidCapability#8"));
    assert!(has(Architectures::AARCH64, &HYP, "ARMVCPUSetTCB/success"));
    assert!(!has(Architectures::X86_64, default, "IRQIssueIRQHandler/RangeError#2"));
    assert!(has(Architectures::X86_64, default, "IRQIssueIRQHandler/IllegalOperation#3"));
}
