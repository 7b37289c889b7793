// SPDX-License-Identifier: MIT OR Apache-2.0

//! Maintenance of caches, by page and by address (`invocations.md §10`, `memory.md §7`).

use keel::cap::Blueprint;
use keel_abi::aarch64::{label, memory::USER_TOP};

use crate::{
    cases::{
        Case,
        asid::{assigned, pool},
        frame::stale_roots,
    },
    check::*,
    invoke::*,
    machine::{self, NORMAL, R0},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_root_has_no_other_labels,
    page_operations_check_in_order,
    page_operations_check_the_mapping,
    page_invalidation_needs_a_writable_mapping,
    an_unmapped_table_leaves_nothing_to_maintain,
    operations_by_address_check_in_order,
    a_range_stays_within_its_page,
    nothing_mapped_is_success,
    invalidation_by_address_needs_a_writable_mapping,
    user_level_maintains_caches,
];

const BY_PAGE: [&str; 4] = [
    "ARMPageClean_Data",
    "ARMPageInvalidate_Data",
    "ARMPageCleanInvalidate_Data",
    "ARMPageUnify_Instruction",
];
const BY_ADDRESS: [&str; 4] = [
    "ARMVSpaceClean_Data",
    "ARMVSpaceInvalidate_Data",
    "ARMVSpaceCleanInvalidate_Data",
    "ARMVSpaceUnify_Instruction",
];

/// `invocations.md §2`.
fn a_root_has_no_other_labels(_: &mut Tester) -> Outcome {
    for label in [0, label::VSPACE_UNIFY_INSTRUCTION + 1, label::PAGE_CLEAN_DATA, label::PAGE_TABLE_MAP] {
        refuses_label("ARMVSpaceUnknownLabel/IllegalOperation#1", label, VSPACE)?;
    }
    Ok(())
}

/// `invocations.md §10`: cache operations on offsets of the page.
fn page_operations_check_in_order(t: &mut Tester) -> Outcome {
    let ((frame, _), unmapped) = (t.mapped_frame()?, t.frame()?);
    for operation in BY_PAGE {
        let refuse = |suffix, frame, words: &[u64], detail: &[u64]| {
            refuses_with(&[operation, suffix], None, frame, words, &[], detail)
        };
        refuse("/TruncatedMessage#1", unmapped, &[9], &[])?;
        refuse("/IllegalOperation#2", unmapped, &[9, 5], &[])?;
        for (start, end) in [(9, 5), (9, 9), (0x2000, 0x2000), (1, 0)] {
            refuse("/InvalidArgument#4", frame, &[start, end], &[1])?;
        }
        for (start, end) in [(0x1000, 0x1001), (0x5000, u64::MAX)] {
            refuse("/InvalidArgument#5", frame, &[start, end], &[0])?;
        }
        for (start, end) in [(0, 0x1001), (0xfff, u64::MAX)] {
            refuse("/InvalidArgument#6", frame, &[start, end], &[0])?;
        }
        for (start, end) in [(0, 1), (0, 0x1000), (0xfff, 0x1000), (100, 700)] {
            accepts(operation, frame, &[start, end], &[])?;
        }
    }
    Ok(())
}

/// `invocations.md §10`: the mapping must be there still.
fn page_operations_check_the_mapping(t: &mut Tester) -> Outcome {
    let ((replaced, address), other) = (t.mapped_frame()?, t.frame()?);
    accepts("ARMPageMap", other, &[address, READ | WRITE, NORMAL], &[VSPACE])?;
    let pool = pool(t)?;
    let (root, lost) = (assigned(t, pool)?, t.frame()?);
    t.map_tables(root, 0x1000)?;
    accepts("ARMPageMap", lost, &[0x1000, READ | WRITE, NORMAL], &[root])?;
    t.delete(pool)?;
    for operation in BY_PAGE {
        let lookup = [operation, "/FailedLookup.InvalidRoot#3"];
        refuses_with(&lookup, None, lost, &[9, 5], &[], &[0, 1])?;
        refuses_with(&[operation, "/InvalidCapability#8"], None, replaced, &[0, 64], &[], &[0])?;
    }
    Ok(())
}

/// `invocations.md §10`: Invalidate would lose data that the mapping may not write.
fn page_invalidation_needs_a_writable_mapping(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    accepts("ARMPageMap", frame, &[address, READ, NORMAL], &[VSPACE])?;
    let row = "ARMPageInvalidate_Data/IllegalOperation#9";
    refuses(row, frame, &[0, 64], &[], &[])?;
    for operation in [BY_PAGE[0], BY_PAGE[2], BY_PAGE[3]] {
        accepts(operation, frame, &[0, 64], &[])?;
    }
    Ok(())
}

/// `memory.md §5`: unmapping clears the content.
fn an_unmapped_table_leaves_nothing_to_maintain(t: &mut Tester) -> Outcome {
    let (root, frame, address) = (t.vspace()?, t.frame()?, 0x40_0000);
    let mut table = NULL;
    for _ in 0..3 {
        table = t.make(Blueprint::PageTable)?;
        accepts("ARMPageTableMap", table, &[address, 0], &[root])?;
    }
    accepts("ARMPageMap", frame, &[address, READ, NORMAL], &[root])?;
    accepts("ARMPageTableUnmap", table, &[], &[])?;
    accepts("ARMPageTableMap", table, &[address, 0], &[root])?;
    // Nothing is mapped at the address any more.
    accepts("ARMVSpaceClean_Data", root, &[address, address + 64], &[])?;
    refuses("ARMPageClean_Data/InvalidCapability#8", frame, &[0, 64], &[], &[0])
}

/// `invocations.md §10`.
fn operations_by_address_check_in_order(t: &mut Tester) -> Outcome {
    let root = t.make(Blueprint::VSpace)?;
    let (nowhere, taken) = stale_roots(t)?;
    for operation in BY_ADDRESS {
        let refuse = |suffix, root, words: &[u64], detail: &[u64]| {
            refuses_with(&[operation, suffix], None, root, words, &[], detail)
        };
        refuse("/TruncatedMessage#1", root, &[9], &[])?;
        for (start, end) in [(9, 9), (9, 8), (!0, USER_TOP + 5)] {
            refuse("/InvalidArgument#2", root, &[start, end], &[1])?;
        }
        for end in [USER_TOP + 1, USER_TOP + 2, !0] {
            refuse("/IllegalOperation#3", root, &[9, end], &[])?;
        }
        refuse("/InvalidCapability#4", root, &[0, 0x5000], &[0])?;
        refuse("/FailedLookup.InvalidRoot#5", nowhere, &[0, 0x5000], &[0, 1])?;
        refuse("/InvalidCapability#6", taken, &[0, 0x5000], &[0])?;
    }
    Ok(())
}

/// `invocations.md §10`: RangeError(start, last byte of the page).
fn a_range_stays_within_its_page(t: &mut Tester) -> Outcome {
    let (_, address) = t.mapped_frame()?;
    for operation in BY_ADDRESS {
        let row = [operation, "/RangeError#7"];
        for (start, end) in [(0, 0x1001), (0xfff, 0x1001), (0x10, 0x10_0000)] {
            let words = [address + start, address + end];
            let detail = [address + start, address + 0xfff];
            refuses_with(&row, None, VSPACE, &words, &[], &detail)?;
        }
        for (start, end) in [(0, 0x1000), (0, 1), (0xfff, 0x1000)] {
            accepts(operation, VSPACE, &[address + start, address + end], &[])?;
        }
    }
    Ok(())
}

/// `invocations.md §10`.
fn nothing_mapped_is_success(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, t.addresses(21));
    for operation in BY_ADDRESS {
        for vspace in [root, VSPACE] {
            accepts(operation, vspace, &[address, address + 0x10_0000], &[])?;
        }
    }
    Ok(())
}

/// `invocations.md §10`.
fn invalidation_by_address_needs_a_writable_mapping(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    accepts("ARMPageMap", frame, &[address, READ, NORMAL], &[VSPACE])?;
    let words = [address, address + 64];
    refuses("ARMVSpaceInvalidate_Data/IllegalOperation#8", VSPACE, &words, &[], &[])?;
    for operation in [BY_ADDRESS[0], BY_ADDRESS[2], BY_ADDRESS[3]] {
        accepts(operation, VSPACE, &words, &[])?;
    }
    Ok(())
}

/// `memory.md §7`.
fn user_level_maintains_caches(t: &mut Tester) -> Outcome {
    let (puppet, (_, address)) = (t.puppet(ABOVE)?, t.mapped_frame()?);
    puppet.runs_code(machine::user_cache(), &[(R0, address)])?;
    puppet.done()?;
    Ok(())
}
