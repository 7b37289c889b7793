// SPDX-License-Identifier: MIT OR Apache-2.0

//! CNode operations and their errors (`invocations.md §4`).

use keel::cap::{CNodeData, CPtr};
use keel_abi::label;

use super::Case;
use crate::{
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    puppet::Syscall,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    lengths_come_first,
    destinations_are_looked_up,
    sources_are_looked_up,
    copy_checks_in_order,
    mint_checks_in_order,
    move_checks_in_order,
    mutate_checks_in_order,
    rotate_checks_in_order,
    rotate_looks_up_both,
    rotate_moves_two,
    rotate_swaps,
    rotate_sets_guards,
    move_leaves_the_source_empty,
    delete_of_an_empty_slot_succeeds,
    revoke_of_an_empty_slot_succeeds,
    mint_sets_a_guard,
    mint_sets_a_guard_of_no_bits,
    mutate_sets_a_guard,
    a_guard_that_is_too_long_is_refused,
    a_badge_is_set_once,
    a_badge_of_zero_can_be_set_again,
    mint_ignores_data_of_other_capabilities,
    underivable_capabilities_are_not_copied,
    cancel_badged_sends_needs_all_rights,
    rights_are_never_added,
    upper_bits_of_rights_are_ignored,
    operations_work_in_nodes_below,
];

const OPERATIONS: [&str; 8] = [
    "CNodeRevoke",
    "CNodeDelete",
    "CNodeCancelBadgedSends",
    "CNodeCopy",
    "CNodeMint",
    "CNodeMove",
    "CNodeMutate",
    "CNodeRotate",
];

/// `invocations.md §4`: labels outside of the CNode's.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let node = t.cnode(2)?;
    for label in [0, label::CNODE_REVOKE - 1, label::CNODE_ROTATE + 1, label::UNTYPED_RETYPE] {
        refuses_label("CNodeUnknownLabel/IllegalOperation#1", label, node)?;
    }
    Ok(())
}

/// `invocations.md §4`: a message of one word, before anything is looked up.
fn lengths_come_first(t: &mut Tester) -> Outcome {
    let node = t.cnode(2)?;
    for operation in OPERATIONS {
        refuses_with(&[operation, "/TruncatedMessage#1"], None, node, &[0], &[node], &[])?;
    }
    Ok(())
}

/// `invocations.md §2`: the destination of each operation is looked up before anything else is checked.
fn destinations_are_looked_up(t: &mut Tester) -> Outcome {
    for invocation in OPERATIONS {
        let lookup = Lookup { invocation, step: "#2", side: 0 };
        lookup.fails_below(t, |root, index, depth| Request::new(root, &[index, depth], &[]))?;
        refuses_with(&[invocation, "/RangeError#2"], None, CNODE, &[0, 0], &[], &[1, 64])?;
    }
    Ok(())
}

/// `invocations.md §2`: and the source after it.
fn sources_are_looked_up(t: &mut Tester) -> Outcome {
    let free = t.slot()?.bits();
    for invocation in ["CNodeCopy", "CNodeMint", "CNodeMove", "CNodeMutate"] {
        let lookup = Lookup { invocation, step: "#5", side: 1 };
        lookup.fails(t, |root, index, depth| {
            Request::new(CNODE, &[free, DEPTH, index, depth], &[root])
        })?;
        let row = [invocation, "/RangeError#5"];
        refuses_with(&row, None, CNODE, &[free, DEPTH, 0, 0], &[CNODE], &[1, 64])?;
    }
    Ok(())
}

/// The checks that Copy, Mint, Move and Mutate share, from an endpoint to a free slot. `length` is what
/// the message must have in the end, `last` the step that checks it.
fn checks_of_a_copy(t: &mut Tester, operation: &'static str, last: Option<(&str, usize)>) -> Outcome {
    let (full, free, empty) = (t.endpoint()?.bits(), t.slot()?.bits(), t.slot()?.bits());
    let short = [operation, "/TruncatedMessage#3"];
    refuses_with(&short, None, CNODE, &[full, DEPTH, empty], &[CNODE], &[])?;
    refuses_with(&short, None, CNODE, &[full, DEPTH, empty, DEPTH, 0, 0], &[], &[])?;
    let taken = [operation, "/DeleteFirst#4"];
    refuses_with(&taken, None, CNODE, &[full, DEPTH, empty, 65], &[NULL], &[])?;
    refuses_with(&taken, None, CNODE, &[full, DEPTH, full, DEPTH], &[CNODE], &[])?;
    let missing = [operation, "/FailedLookup.MissingCapability#6"];
    refuses_with(&missing, None, CNODE, &[free, DEPTH, empty, DEPTH], &[CNODE], &[1, 2, DEPTH])?;
    let node = t.cnode(3)?;
    refuses_with(&missing, None, CNODE, &[free, DEPTH, 7, 3], &[node], &[1, 2, 3])?;
    if let Some((step, length)) = last {
        let words = [free, DEPTH, full, DEPTH, ALL, 0];
        refuses_with(&[operation, step], None, CNODE, &words[..length - 1], &[CNODE], &[])?;
    }
    Ok(())
}

/// `invocations.md §4`, Copy.
fn copy_checks_in_order(t: &mut Tester) -> Outcome {
    checks_of_a_copy(t, "CNodeCopy", Some(("/TruncatedMessage#7", 5)))?;
    let (source, slot) = (t.endpoint()?, t.slot()?);
    accepts("CNodeCopy", CNODE, &[slot.bits(), DEPTH, source.bits(), DEPTH, ALL], &[CNODE])?;
    t.is_empty(slot, false)
}

/// `invocations.md §4`, Mint.
fn mint_checks_in_order(t: &mut Tester) -> Outcome {
    checks_of_a_copy(t, "CNodeMint", Some(("/TruncatedMessage#7", 6)))?;
    let (source, slot) = (t.endpoint()?, t.slot()?);
    accepts("CNodeMint", CNODE, &[slot.bits(), DEPTH, source.bits(), DEPTH, ALL, 7], &[CNODE])?;
    t.is_empty(slot, false)
}

/// `invocations.md §4`, Move.
fn move_checks_in_order(t: &mut Tester) -> Outcome {
    checks_of_a_copy(t, "CNodeMove", None)
}

/// `invocations.md §4`, Mutate.
fn mutate_checks_in_order(t: &mut Tester) -> Outcome {
    checks_of_a_copy(t, "CNodeMutate", Some(("/TruncatedMessage#7", 5)))?;
    let (endpoint, notification, free) = (t.endpoint()?, t.notification()?, t.slot()?.bits());
    for source in [endpoint, notification] {
        for data in [0, 1] {
            refuses(
                "CNodeMutate/IllegalOperation#8",
                CNODE,
                &[free, DEPTH, source.bits(), DEPTH, data],
                &[CNODE],
                &[],
            )?;
        }
    }
    Ok(())
}

/// Rotate from source over pivot to dest, in one CNode of radix 3.
fn rotation(dest: u64, pivot: u64, source: u64) -> [u64; 8] {
    [dest, 3, 0, pivot, 3, 0, source, 3]
}

/// `invocations.md §4`, Rotate.
fn rotate_checks_in_order(t: &mut Tester) -> Outcome {
    let node = t.cnode(3)?;
    let (a, b) = (t.cnode(1)?, t.cnode(1)?);
    for (slot, cap) in [(1, a), (2, b)] {
        accepts("CNodeMove", node, &[slot, 3, cap.bits(), DEPTH], &[CNODE])?;
    }
    let full = [1, 3, 0, 1, 3, 0, 5, 3];
    let short = "CNodeRotate/TruncatedMessage#3";
    refuses(short, node, &full[..7], &[node, node], &[])?;
    refuses(short, node, &full, &[node], &[])?;
    // Slots: 1 and 2 full, the rest empty.
    refuses("CNodeRotate/IllegalOperation#6", node, &rotation(5, 5, 5), &[node, node], &[])?;
    refuses("CNodeRotate/IllegalOperation#7", node, &rotation(1, 1, 5), &[node, node], &[])?;
    refuses("CNodeRotate/DeleteFirst#8", node, &rotation(1, 4, 5), &[node, node], &[])?;
    let no_source = "CNodeRotate/FailedLookup.MissingCapability#9";
    refuses(no_source, node, &rotation(3, 4, 5), &[node, node], &[1, 2, 3])?;
    refuses(no_source, node, &rotation(5, 4, 5), &[node, node], &[1, 2, 3])?;
    let no_pivot = "CNodeRotate/FailedLookup.MissingCapability#10";
    refuses(no_pivot, node, &rotation(3, 4, 1), &[node, node], &[0, 2, 3])?;
    refuses(no_pivot, node, &rotation(1, 4, 1), &[node, node], &[0, 2, 3])?;
    // A guard of 63 bits is too long for a CNode of radix 2.
    let big = t.cnode(2)?;
    let endpoint = t.endpoint()?;
    accepts("CNodeMove", node, &[6, 3, big.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeMove", node, &[7, 3, endpoint.bits(), DEPTH], &[CNODE])?;
    let bad_guard = CNodeData::new(0, 63).word();
    refuses(
        "CNodeRotate/IllegalOperation#11",
        node,
        &[3, 3, 0, 1, 3, bad_guard, 6, 3],
        &[node, node],
        &[],
    )?;
    refuses("CNodeRotate/IllegalOperation#11", node, &rotation(3, 1, 7), &[node, node], &[])?;
    refuses(
        "CNodeRotate/IllegalOperation#12",
        node,
        &[3, 3, bad_guard, 6, 3, 0, 1, 3],
        &[node, node],
        &[],
    )?;
    refuses("CNodeRotate/IllegalOperation#12", node, &rotation(3, 7, 1), &[node, node], &[])
}

/// `invocations.md §4`, Rotate: the source is looked up first, then the pivot, which is reported as a
/// source, too.
fn rotate_looks_up_both(t: &mut Tester) -> Outcome {
    let free = t.slot()?.bits();
    let source = Lookup { invocation: "CNodeRotate", step: "#4", side: 1 };
    source.fails(t, |root, index, depth| {
        Request::new(CNODE, &[free, DEPTH, 0, 0, 65, 0, index, depth], &[NULL, root])
    })?;
    let pivot = Lookup { invocation: "CNodeRotate", step: "#5", side: 1 };
    pivot.fails(t, |root, index, depth| {
        Request::new(CNODE, &[free, DEPTH, 0, index, depth, 0, free, DEPTH], &[root, CNODE])
    })
}

/// The badge that a send through an endpoint capability shows.
fn badge_of(t: &mut Tester, endpoint: CPtr, sender: CPtr) -> Outcome<u64> {
    let puppet = t.puppet(ABOVE)?;
    puppet.blocks(Syscall::send(sender))?;
    let badge = keel::sys::nb_wait(endpoint).badge;
    puppet.done()?;
    Ok(badge)
}

/// `invocations.md §4`: the pivot moves to dest, the source to the pivot's slot.
fn rotate_moves_two(t: &mut Tester) -> Outcome {
    let node = t.cnode(3)?;
    let (pivot, source, probe) = (t.cnode(1)?, t.cnode(4)?, t.slot()?);
    accepts("CNodeMove", node, &[1, 3, pivot.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeMove", node, &[2, 3, source.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeRotate", node, &rotation(5, 1, 2), &[node, node])?;
    // By their radices: 5 has the one of radix 1, 1 the one of radix 4, 2 is empty.
    accepts("CNodeMove", CNODE, &[probe.bits(), DEPTH, 5, 3], &[node])?;
    let missing = "CNodeMove/FailedLookup.MissingCapability#6";
    let free = t.slot()?.bits();
    refuses(missing, CNODE, &[free, DEPTH, 1, 1], &[probe], &[1, 2, 1])?;
    refuses(missing, CNODE, &[free, DEPTH, 2, 3], &[node], &[1, 2, 3])?;
    accepts("CNodeMove", CNODE, &[source.bits(), DEPTH, 1, 3], &[node])?;
    refuses(missing, CNODE, &[free, DEPTH, 9, 4], &[source], &[1, 2, 4])
}

/// `invocations.md §4`: source and pivot change places if the source is the destination.
fn rotate_swaps(t: &mut Tester) -> Outcome {
    let node = t.cnode(3)?;
    let (pivot, source, free) = (t.cnode(1)?, t.cnode(4)?, t.slot()?.bits());
    accepts("CNodeMove", node, &[1, 3, pivot.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeMove", node, &[2, 3, source.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeRotate", node, &rotation(2, 1, 2), &[node, node])?;
    accepts("CNodeMove", CNODE, &[pivot.bits(), DEPTH, 2, 3], &[node])?;
    accepts("CNodeMove", CNODE, &[source.bits(), DEPTH, 1, 3], &[node])?;
    let missing = "CNodeMove/FailedLookup.MissingCapability#6";
    refuses(missing, CNODE, &[free, DEPTH, 0, 1], &[pivot], &[1, 2, 1])?;
    refuses(missing, CNODE, &[free, DEPTH, 0, 4], &[source], &[1, 2, 4])
}

/// `invocations.md §4`: MR2 is the new data of the pivot, MR5 that of the source.
fn rotate_sets_guards(t: &mut Tester) -> Outcome {
    let node = t.cnode(3)?;
    let (pivot, source, free) = (t.cnode(1)?, t.cnode(1)?, t.slot()?.bits());
    accepts("CNodeMove", node, &[1, 3, pivot.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeMove", node, &[2, 3, source.bits(), DEPTH], &[CNODE])?;
    let (for_pivot, for_source) = (CNodeData::new(0b11, 2), CNodeData::new(0b0, 1));
    let words = [5, 3, for_pivot.word(), 1, 3, for_source.word(), 2, 3];
    accepts("CNodeRotate", node, &words, &[node, node])?;
    accepts("CNodeMove", CNODE, &[pivot.bits(), DEPTH, 5, 3], &[node])?;
    accepts("CNodeMove", CNODE, &[source.bits(), DEPTH, 1, 3], &[node])?;
    let mismatch = "CNodeMove/FailedLookup.GuardMismatch#5";
    refuses(mismatch, CNODE, &[free, DEPTH, 0, 3], &[pivot], &[1, 4, 3, 3, 2])?;
    refuses(mismatch, CNODE, &[free, DEPTH, 0b10, 2], &[source], &[1, 4, 2, 0, 1])
}

/// `semantics.md §1`: Move takes the capability itself.
fn move_leaves_the_source_empty(t: &mut Tester) -> Outcome {
    let (endpoint, slot) = (t.endpoint()?, t.slot()?);
    let badged = t.mint(endpoint, ALL, 77)?;
    accepts("CNodeMove", CNODE, &[slot.bits(), DEPTH, badged.bits(), DEPTH], &[CNODE])?;
    t.is_empty(badged, true)?;
    same("badge after the move", 77, badge_of(t, endpoint, slot)?)
}

/// `semantics.md §4`.
fn delete_of_an_empty_slot_succeeds(t: &mut Tester) -> Outcome {
    let slot = t.slot()?;
    t.delete(slot)?;
    t.delete(slot)
}

/// `invocations.md §4`: Revoke has no checks after the lookup.
fn revoke_of_an_empty_slot_succeeds(t: &mut Tester) -> Outcome {
    let slot = t.slot()?;
    t.revoke(slot)
}

/// `objects.md §3.2`.
fn mint_sets_a_guard(t: &mut Tester) -> Outcome {
    let (node, free) = (t.cnode(2)?, t.slot()?.bits());
    // Of the guard only its bits count.
    let guarded = t.mint(node, ALL, CNodeData::new(0xff0a, 4).word())?;
    let mismatch = "CNodeMove/FailedLookup.GuardMismatch#5";
    refuses(mismatch, CNODE, &[free, DEPTH, 0b1011_00, 6], &[guarded], &[1, 4, 6, 0xa, 4])?;
    let missing = "CNodeMove/FailedLookup.MissingCapability#6";
    refuses(missing, CNODE, &[free, DEPTH, 0b1010_00, 6], &[guarded], &[1, 2, 6])?;
    // 62 bits are the longest guard of this CNode.
    let long = t.mint(node, ALL, CNodeData::new(0, 62).word())?;
    refuses(missing, CNODE, &[free, DEPTH, 3, 64], &[long], &[1, 2, 64])
}

/// `objects.md §3.2`: a word of zero sets a guard of no bits in Mint.
fn mint_sets_a_guard_of_no_bits(t: &mut Tester) -> Outcome {
    let (node, free) = (t.cnode(2)?, t.slot()?.bits());
    let guarded = t.mint(node, ALL, CNodeData::new(1, 4).word())?;
    let plain = t.mint(guarded, ALL, 0)?;
    let missing = "CNodeMove/FailedLookup.MissingCapability#6";
    refuses(missing, CNODE, &[free, DEPTH, 3, 2], &[plain], &[1, 2, 2])
}

/// `semantics.md §1`: Mutate sets a guard like Mint, and moves.
fn mutate_sets_a_guard(t: &mut Tester) -> Outcome {
    let (node, slot, free) = (t.cnode(2)?, t.slot()?, t.slot()?.bits());
    let data = CNodeData::new(0b11, 2).word();
    let words = [slot.bits(), DEPTH, node.bits(), DEPTH, data];
    accepts("CNodeMutate", CNODE, &words, &[CNODE])?;
    t.is_empty(node, true)?;
    let mismatch = "CNodeMove/FailedLookup.GuardMismatch#5";
    refuses(mismatch, CNODE, &[free, DEPTH, 0, 4], &[slot], &[1, 4, 4, 3, 2])
}

/// `objects.md §3.2`: guard and radix of more than 64 bits.
fn a_guard_that_is_too_long_is_refused(t: &mut Tester) -> Outcome {
    let (node, free) = (t.cnode(2)?.bits(), t.slot()?.bits());
    let data = CNodeData::new(0, 63).word();
    let mint = [free, DEPTH, node, DEPTH, ALL, data];
    refuses("CNodeMint/IllegalOperation#9", CNODE, &mint, &[CNODE], &[])?;
    let mutate = [free, DEPTH, node, DEPTH, data];
    refuses("CNodeMutate/IllegalOperation#9", CNODE, &mutate, &[CNODE], &[])
}

/// `objects.md §3.3`: only on a capability without a badge.
fn a_badge_is_set_once(t: &mut Tester) -> Outcome {
    let (endpoint, notification, free) = (t.endpoint()?, t.notification()?, t.slot()?.bits());
    for object in [endpoint, notification] {
        let badged = t.mint(object, ALL, 1 << 63 | 5)?;
        for data in [0, 5, 1 << 63 | 5] {
            let words = [free, DEPTH, badged.bits(), DEPTH, ALL, data];
            refuses("CNodeMint/IllegalOperation#8", CNODE, &words, &[CNODE], &[])?;
        }
        // Copying keeps it.
        t.copy(badged, ALL)?;
    }
    let badged = t.mint(endpoint, ALL, u64::MAX)?;
    same("badge of 64 bits", u64::MAX, badge_of(t, endpoint, badged)?)
}

/// `semantics.md §1`: data 0 leaves the badge 0, so it can be set later.
fn a_badge_of_zero_can_be_set_again(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let plain = t.mint(endpoint, ALL, 0)?;
    let badged = t.mint(plain, ALL, 9)?;
    same("badge", 9, badge_of(t, endpoint, badged)?)
}

/// `semantics.md §1`: data means nothing to other kinds.
fn mint_ignores_data_of_other_capabilities(t: &mut Tester) -> Outcome {
    let (tcb, sc, reply) = (t.tcb()?, t.sched_context()?, t.reply()?);
    let frame = t.frame()?;
    for cap in [tcb, sc, reply, frame, ASID_POOL, ASID_CONTROL, DOMAIN_SET, t.sched_control()] {
        t.mint(cap, 0, u64::MAX)?;
    }
    let slot = t.slot()?;
    accepts("CNodeMutate", CNODE, &[slot.bits(), DEPTH, tcb.bits(), DEPTH, u64::MAX], &[CNODE])?;
    accepts("TCBResume", slot, &[], &[])?;
    Ok(())
}

/// `semantics.md §1`: what has no copies.
fn underivable_capabilities_are_not_copied(t: &mut Tester) -> Outcome {
    let free = t.slot()?.bits();
    let copy = |source: CPtr| [free, DEPTH, source.bits(), DEPTH, ALL, 0];
    let table = t.make(keel::cap::Blueprint::PageTable)?;
    let root = t.make(keel::cap::Blueprint::VSpace)?;
    let parent = t.untyped(12)?;
    t.make_from(parent, keel::cap::Blueprint::Endpoint, 1)?;
    refuses("CNodeCopy/RevokeFirst#8", CNODE, &copy(parent)[..5], &[CNODE], &[])?;
    refuses("CNodeMint/RevokeFirst#11", CNODE, &copy(parent), &[CNODE], &[])?;
    for cap in [table, root] {
        refuses("CNodeCopy/IllegalOperation#9", CNODE, &copy(cap)[..5], &[CNODE], &[])?;
        refuses("CNodeMint/IllegalOperation#12", CNODE, &copy(cap), &[CNODE], &[])?;
    }
    refuses("CNodeCopy/IllegalOperation#10", CNODE, &copy(IRQ_CONTROL)[..5], &[CNODE], &[])?;
    refuses("CNodeMint/IllegalOperation#13", CNODE, &copy(IRQ_CONTROL), &[CNODE], &[])
}

/// `invocations.md §4`, CancelBadgedSends: an endpoint with all four rights.
fn cancel_badged_sends_needs_all_rights(t: &mut Tester) -> Outcome {
    let (endpoint, empty) = (t.endpoint()?, t.slot()?);
    let row = "CNodeCancelBadgedSends/IllegalOperation#3";
    for rights in [ALL & !WRITE, ALL & !READ, ALL & !GRANT, ALL & !GRANT_REPLY] {
        let weak = t.copy(endpoint, rights)?;
        refuses(row, CNODE, &[weak.bits(), DEPTH], &[], &[])?;
    }
    for other in [empty, t.notification()?, t.tcb()?] {
        refuses(row, CNODE, &[other.bits(), DEPTH], &[], &[])?;
    }
    accepts("CNodeCancelBadgedSends", CNODE, &[endpoint.bits(), DEPTH], &[])?;
    Ok(())
}

/// `semantics.md §1`: a copy has at most the rights of its source.
fn rights_are_never_added(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let weak = t.copy(endpoint, ALL & !WRITE)?;
    let copy = t.copy(weak, ALL)?;
    refuses(
        "CNodeCancelBadgedSends/IllegalOperation#3",
        CNODE,
        &[copy.bits(), DEPTH],
        &[],
        &[],
    )?;
    fails(keel_abi::error::ErrorCode::InvalidCapability, 1, copy, &[], &[], &[0])
}

/// `objects.md §3.1`: bits 4 to 63 mean nothing.
fn upper_bits_of_rights_are_ignored(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let all = t.copy(endpoint, u64::MAX)?;
    accepts("CNodeCancelBadgedSends", CNODE, &[all.bits(), DEPTH], &[])?;
    let none = t.copy(endpoint, !ALL)?;
    fails(keel_abi::error::ErrorCode::InvalidCapability, 1, none, &[], &[], &[0])
}

/// `invocations.md §2`: the walk goes through CNodes below the root.
fn operations_work_in_nodes_below(t: &mut Tester) -> Outcome {
    let (outer, middle, inner) = (t.cnode(1)?, t.cnode(2)?, t.cnode(3)?);
    let guarded = t.slot()?;
    let data = CNodeData::new(0b01, 2).word();
    accepts("CNodeMutate", CNODE, &[guarded.bits(), DEPTH, middle.bits(), DEPTH, data], &[CNODE])?;
    accepts("CNodeMove", guarded, &[0b01_11, 4, inner.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeMove", outer, &[1, 1, guarded.bits(), DEPTH], &[CNODE])?;
    let endpoint = t.endpoint()?;
    let path = [0b1_01_11_110, 8];
    accepts("CNodeMove", outer, &[path[0], path[1], endpoint.bits(), DEPTH], &[CNODE])?;
    accepts("CNodeMove", CNODE, &[endpoint.bits(), DEPTH, path[0], path[1]], &[outer])?;
    // Half way: the inner CNode itself.
    accepts("CNodeMove", CNODE, &[inner.bits(), DEPTH, 0b1_01_11, 5], &[outer])?;
    t.is_empty(inner, false)
}
