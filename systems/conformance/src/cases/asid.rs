// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address space identifiers (`invocations.md §9`, `memory.md §6`).

use keel::cap::{Blueprint, CPtr};
use keel_abi::arch::{asid, label};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    machine::{NORMAL, TABLES, TABLES_ARE_ROOTS, page_map},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    make_pool_checks_in_order,
    make_pool_looks_up_the_slot,
    pools_are_exhausted,
    a_deleted_pool_frees_its_number,
    a_pool_is_a_child_of_its_untyped,
    assign_checks_in_order,
    a_pool_has_512_identifiers,
    the_first_pool_has_lost_two,
    a_deleted_root_frees_its_identifier,
    roots_of_a_deleted_pool_are_unusable,
];

/// `invocations.md §2`.
fn unknown_labels(_: &mut Tester) -> Outcome {
    for label in [0, label::ASID_POOL_ASSIGN, label::PAGE_MAP] {
        refuses_label("ARCHASIDControlUnknownLabel/IllegalOperation#1", label, ASID_CONTROL)?;
    }
    for label in [0, label::ASID_CONTROL_MAKE_POOL, label::PAGE_MAP] {
        refuses_label("ARCHASIDPoolUnknownLabel/IllegalOperation#1", label, ASID_POOL)?;
    }
    Ok(())
}

/// A pool.
pub fn pool(t: &mut Tester) -> Outcome<CPtr> {
    let (untyped, slot) = (t.untyped(12)?, t.slot()?);
    accepts("ARCHASIDControlMakePool", ASID_CONTROL, &[slot.bits(), DEPTH], &[untyped, CNODE])?;
    Ok(slot)
}

/// A VSpace that has an identifier of this pool.
pub fn assigned(t: &mut Tester, pool: CPtr) -> Outcome<CPtr> {
    let root = t.make(Blueprint::VSpace)?;
    accepts("ARCHASIDPoolAssign", pool, &[], &[root])?;
    Ok(root)
}

/// `invocations.md §9`, MakePool.
fn make_pool_checks_in_order(t: &mut Tester) -> Outcome {
    let (full, parent, slot) = (t.endpoint()?, t.untyped(12)?, t.slot()?);
    t.make_from(parent, Blueprint::Endpoint, 1)?;
    let row = "ARCHASIDControlMakePool/TruncatedMessage#1";
    refuses(row, ASID_CONTROL, &[0], &[full, NULL], &[])?;
    refuses(row, ASID_CONTROL, &[0, 65], &[full], &[])?;
    let (small, large) = (t.untyped(11)?, t.untyped(13)?);
    for wrong in [full, NULL, small, large, t.device_untyped()] {
        let row = "ARCHASIDControlMakePool/InvalidCapability#3";
        refuses(row, ASID_CONTROL, &[0, 65], &[wrong, NULL], &[1])?;
    }
    let row = "ARCHASIDControlMakePool/RevokeFirst#4";
    refuses(row, ASID_CONTROL, &[0, 65], &[parent, NULL], &[])?;
    let untyped = t.untyped(12)?;
    let row = "ARCHASIDControlMakePool/DeleteFirst#6";
    refuses(row, ASID_CONTROL, &[full.bits(), DEPTH], &[untyped, CNODE], &[])?;
    let words = [slot.bits(), DEPTH];
    accepts("ARCHASIDControlMakePool", ASID_CONTROL, &words, &[untyped, CNODE])?;
    // The untyped is full now.
    let words = [2, 0, 0, 0, t.slot()?.bits(), 1];
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[0])
}

/// `invocations.md §9`, MakePool.
fn make_pool_looks_up_the_slot(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(12)?;
    let lookup = Lookup { invocation: "ARCHASIDControlMakePool", step: "#5", side: 0 };
    lookup.fails(t, |root, index, depth| Request::new(ASID_CONTROL, &[index, depth], &[untyped, root]))
}

/// `memory.md §6`: 128 pools, one of which is the first.
fn pools_are_exhausted(t: &mut Tester) -> Outcome {
    for _ in 1..asid::POOLS {
        pool(t)?;
    }
    // This comes before anything else is looked at.
    let row = "ARCHASIDControlMakePool/DeleteFirst#2";
    refuses(row, ASID_CONTROL, &[0, 65], &[NULL, NULL], &[])
}

/// `memory.md §6`.
fn a_deleted_pool_frees_its_number(t: &mut Tester) -> Outcome {
    let mut last = NULL;
    for _ in 1..asid::POOLS {
        last = pool(t)?;
    }
    let copy = t.copy(last, ALL)?;
    t.delete(last)?;
    let row = "ARCHASIDControlMakePool/DeleteFirst#2";
    refuses(row, ASID_CONTROL, &[0, 65], &[NULL, NULL], &[])?;
    t.delete(copy)?;
    pool(t)?;
    refuses(row, ASID_CONTROL, &[0, 65], &[NULL, NULL], &[])
}

/// `invocations.md §9`: revoking the untyped deletes the pool; pools are not original.
fn a_pool_is_a_child_of_its_untyped(t: &mut Tester) -> Outcome {
    let (untyped, slot) = (t.untyped(12)?, t.slot()?);
    let words = [slot.bits(), DEPTH];
    accepts("ARCHASIDControlMakePool", ASID_CONTROL, &words, &[untyped, CNODE])?;
    let copy = t.copy(slot, ALL)?;
    t.revoke(slot)?;
    t.is_empty(copy, false)?;
    t.revoke(untyped)?;
    t.is_empty(slot, true)?;
    t.is_empty(copy, true)?;
    accepts("ARCHASIDControlMakePool", ASID_CONTROL, &words, &[untyped, CNODE])?;
    Ok(())
}

/// `invocations.md §9`, Assign.
fn assign_checks_in_order(t: &mut Tester) -> Outcome {
    let (table, root) = (t.make(TABLES[0].blueprint)?, t.make(Blueprint::VSpace)?);
    refuses("ARCHASIDPoolAssign/TruncatedMessage#1", ASID_POOL, &[], &[], &[])?;
    for wrong in [NULL, CNODE, t.frame()?] {
        refuses("ARCHASIDPoolAssign/InvalidCapability#2", ASID_POOL, &[], &[wrong], &[1])?;
    }
    if !TABLES_ARE_ROOTS {
        refuses("ARCHASIDPoolAssign/InvalidCapability#2", ASID_POOL, &[], &[table], &[1])?;
    }
    accepts("ARCHASIDPoolAssign", ASID_POOL, &[], &[root])?;
    for assigned in [root, VSPACE] {
        refuses("ARCHASIDPoolAssign/InvalidCapability#3", ASID_POOL, &[], &[assigned], &[1])?;
    }
    Ok(())
}

/// How many roots, made one after the other in one slot range, a pool takes; at the end it refuses.
fn fill(t: &mut Tester, pool: CPtr, count: u64) -> Outcome<CPtr> {
    let roots = t.slots(count + 1)?;
    for offset in 0..=count {
        let words = [Blueprint::VSpace.object_type(), 0, 0, 0, roots.bits() + offset, 1];
        accepts("UntypedRetype", t.block(), &words, &[CNODE])?;
        if offset < count {
            accepts("ARCHASIDPoolAssign", pool, &[], &[after(roots, offset)])?;
        }
    }
    refuses("ARCHASIDPoolAssign/DeleteFirst#6", pool, &[], &[after(roots, count)], &[])?;
    Ok(roots)
}

/// `memory.md §6`: 512 in a pool.
fn a_pool_has_512_identifiers(t: &mut Tester) -> Outcome {
    let pool = pool(t)?;
    fill(t, pool, asid::PER_POOL as u64)?;
    Ok(())
}

/// `memory.md §6`: 0 is never given, 1 is the initial thread's.
fn the_first_pool_has_lost_two(t: &mut Tester) -> Outcome {
    fill(t, ASID_POOL, asid::PER_POOL as u64 - 2)?;
    Ok(())
}

/// `memory.md §6`: deleting a root frees its identifier.
fn a_deleted_root_frees_its_identifier(t: &mut Tester) -> Outcome {
    let pool = pool(t)?;
    let count = asid::PER_POOL as u64;
    let roots = fill(t, pool, count)?;
    t.delete(after(roots, 77))?;
    accepts("ARCHASIDPoolAssign", pool, &[], &[after(roots, count)])?;
    let one_more = t.make(Blueprint::VSpace)?;
    refuses("ARCHASIDPoolAssign/DeleteFirst#6", pool, &[], &[one_more], &[])
}

/// `memory.md §6`: roots of a deleted pool stay assigned but lead nowhere.
fn roots_of_a_deleted_pool_are_unusable(t: &mut Tester) -> Outcome {
    let pool = pool(t)?;
    let (root, frame) = (assigned(t, pool)?, t.frame()?);
    t.delete(pool)?;
    let words = [0x1000, READ, NORMAL];
    refuses(page_map::NOWHERE, frame, &words, &[root], &[0, 1])?;
    refuses("ARCHASIDPoolAssign/InvalidCapability#3", ASID_POOL, &[], &[root], &[1])
}
