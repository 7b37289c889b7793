// SPDX-License-Identifier: MIT OR Apache-2.0

//! The derivation tree: what revoking reaches (`semantics.md §2`).

use keel::cap::{Blueprint, CPtr};

use super::Case;
use crate::{check::*, invoke::*, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    revoking_an_original_takes_its_copies,
    a_copy_of_a_copy_is_a_sibling,
    revoking_never_deletes_itself,
    a_badged_mint_is_a_child_of_the_unbadged,
    copies_of_a_badged_capability_are_its_children,
    two_mints_of_one_badge_are_separate,
    a_mint_of_badge_0_is_a_plain_copy,
    children_of_a_deleted_original_go_to_its_parent,
    a_moved_original_keeps_its_children,
    a_rotated_original_keeps_its_children,
    revoking_an_untyped_takes_all_below,
    revoking_an_initial_capability_takes_copies,
    a_frame_copy_is_a_child,
    revoking_reaches_tcbs,
    revoking_reaches_other_cspaces,
    mutating_keeps_the_place,
];

fn expect(t: &mut Tester, slots: &[(CPtr, bool)]) -> Outcome {
    slots.iter().try_for_each(|&(slot, empty)| t.is_empty(slot, empty))
}

/// `semantics.md §2`.
fn revoking_an_original_takes_its_copies(t: &mut Tester) -> Outcome {
    for original in [t.endpoint()?, t.tcb()?, t.cnode(2)?, t.reply()?, t.sched_context()?, t.notification()?] {
        let (first, second) = (t.copy(original, ALL)?, t.copy(original, READ)?);
        t.revoke(original)?;
        expect(t, &[(original, false), (first, true), (second, true)])?;
    }
    Ok(())
}

/// `semantics.md §2`.
fn a_copy_of_a_copy_is_a_sibling(t: &mut Tester) -> Outcome {
    let original = t.endpoint()?;
    let copy = t.copy(original, ALL)?;
    let second = t.copy(copy, ALL)?;
    // Revoking a capability that is not original deletes nothing.
    t.revoke(copy)?;
    t.revoke(second)?;
    expect(t, &[(copy, false), (second, false)])?;
    t.revoke(original)?;
    expect(t, &[(copy, true), (second, true)])
}

/// `semantics.md §2`.
fn revoking_never_deletes_itself(t: &mut Tester) -> Outcome {
    let original = t.endpoint()?;
    t.revoke(original)?;
    t.revoke(original)?;
    t.is_empty(original, false)
}

/// `semantics.md §2`.
fn a_badged_mint_is_a_child_of_the_unbadged(t: &mut Tester) -> Outcome {
    for original in [t.endpoint()?, t.notification()?] {
        let (one, two) = (t.mint(original, ALL, 1)?, t.mint(original, ALL, 2)?);
        t.revoke(one)?;
        expect(t, &[(original, false), (one, false), (two, false)])?;
        t.revoke(original)?;
        expect(t, &[(one, true), (two, true)])?;
    }
    Ok(())
}

/// `semantics.md §2`: a badged mint is original.
fn copies_of_a_badged_capability_are_its_children(t: &mut Tester) -> Outcome {
    let original = t.endpoint()?;
    let badged = t.mint(original, ALL, 1)?;
    let (first, second) = (t.copy(badged, ALL)?, t.copy(badged, WRITE)?);
    let plain = t.copy(original, ALL)?;
    t.revoke(badged)?;
    expect(t, &[(badged, false), (first, true), (second, true), (plain, false), (original, false)])
}

/// `semantics.md §2`.
fn two_mints_of_one_badge_are_separate(t: &mut Tester) -> Outcome {
    let original = t.endpoint()?;
    let (first, second) = (t.mint(original, ALL, 7)?, t.mint(original, ALL, 7)?);
    let (of_first, of_second) = (t.copy(first, ALL)?, t.copy(second, ALL)?);
    t.revoke(first)?;
    expect(t, &[(of_first, true), (second, false), (of_second, false)])?;
    t.revoke(second)?;
    expect(t, &[(first, false), (of_second, true)])
}

/// `semantics.md §2`: only a differing badge makes an original.
fn a_mint_of_badge_0_is_a_plain_copy(t: &mut Tester) -> Outcome {
    let original = t.endpoint()?;
    let plain = t.mint(original, ALL, 0)?;
    let copy = t.copy(plain, ALL)?;
    t.revoke(plain)?;
    expect(t, &[(copy, false), (original, false)])
}

/// `semantics.md §2`.
fn children_of_a_deleted_original_go_to_its_parent(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(12)?;
    let endpoint = t.make_from(untyped, Blueprint::Endpoint, 1)?;
    let badged = t.mint(endpoint, ALL, 1)?;
    let copy = t.copy(badged, ALL)?;
    t.delete(badged)?;
    t.is_empty(copy, false)?;
    t.delete(endpoint)?;
    t.is_empty(copy, false)?;
    // The object lives on by its copy, so the memory is in use.
    let words = [Blueprint::SmallPage.object_type(), 0, 0, 0, t.slot()?.bits(), 1];
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[4096 - 16])?;
    t.revoke(untyped)?;
    t.is_empty(copy, true)
}

/// `semantics.md §2`: Move keeps the position.
fn a_moved_original_keeps_its_children(t: &mut Tester) -> Outcome {
    let (original, slot) = (t.endpoint()?, t.slot()?);
    let copy = t.copy(original, ALL)?;
    accepts("CNodeMove", CNODE, &[slot.bits(), DEPTH, original.bits(), DEPTH], &[CNODE])?;
    let second = t.copy(slot, ALL)?;
    t.revoke(slot)?;
    expect(t, &[(copy, true), (second, true), (slot, false)])
}

/// `semantics.md §2`: so does Rotate.
fn a_rotated_original_keeps_its_children(t: &mut Tester) -> Outcome {
    let (original, other, slot) = (t.tcb()?, t.cnode(2)?, t.slot()?);
    let (copy, of_other) = (t.copy(original, ALL)?, t.copy(other, ALL)?);
    let words = [slot.bits(), DEPTH, 0, original.bits(), DEPTH, 0, other.bits(), DEPTH];
    accepts("CNodeRotate", CNODE, &words, &[CNODE, CNODE])?;
    t.revoke(slot)?;
    expect(t, &[(copy, true), (of_other, false)])?;
    // The CNode lies where the TCB was.
    t.revoke(original)?;
    expect(t, &[(of_other, true), (other, true), (slot, false), (original, false)])
}

/// `semantics.md §2`.
fn revoking_an_untyped_takes_all_below(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(16)?;
    let inner = t.make_from(untyped, Blueprint::Untyped { bits: 14 }, 1)?;
    let endpoint = t.make_from(inner, Blueprint::Endpoint, 1)?;
    let frame = t.make_from(inner, Blueprint::SmallPage, 1)?;
    let (badged, copy) = (t.mint(endpoint, ALL, 5)?, t.copy(frame, READ)?);
    let beside = t.make_from(untyped, Blueprint::Endpoint, 1)?;
    t.revoke(inner)?;
    expect(t, &[(endpoint, true), (frame, true), (badged, true), (copy, true), (beside, false)])?;
    t.revoke(untyped)?;
    expect(t, &[(inner, true), (beside, true), (untyped, false)])
}

/// `boot.md §1`: initial capabilities are original.
fn revoking_an_initial_capability_takes_copies(t: &mut Tester) -> Outcome {
    for initial in [ASID_CONTROL, DOMAIN_SET, t.sched_control()] {
        let copy = t.copy(initial, ALL)?;
        t.revoke(initial)?;
        t.is_empty(copy, true)?;
    }
    Ok(())
}

/// `semantics.md §2`.
fn a_frame_copy_is_a_child(t: &mut Tester) -> Outcome {
    let frame = t.frame()?;
    let copy = t.copy(frame, READ)?;
    let second = t.copy(copy, READ)?;
    t.revoke(copy)?;
    t.is_empty(second, false)?;
    t.revoke(frame)?;
    expect(t, &[(copy, true), (second, true)])
}

/// `semantics.md §6`: capabilities in TCBs are children like others.
fn revoking_reaches_tcbs(t: &mut Tester) -> Outcome {
    let (puppet, node) = (t.puppet(ABOVE)?, t.cnode(2)?);
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, node, VSPACE])?;
    t.revoke(node)?;
    let call = crate::puppet::Syscall::send(CPtr::new(0));
    puppet.faults(call)?.is_cap_fault(NULL, false, &[1])
}

/// Revocation does not stop at a CSpace.
fn revoking_reaches_other_cspaces(t: &mut Tester) -> Outcome {
    let (endpoint, node, spare) = (t.endpoint()?, t.cnode(3)?, t.slot()?.bits());
    for index in 0..8 {
        accepts("CNodeMint", node, &[index, 3, endpoint.bits(), DEPTH, ALL, index], &[CNODE])?;
    }
    t.revoke(endpoint)?;
    for index in 0..8 {
        let row = "CNodeMove/FailedLookup.MissingCapability#6";
        refuses(row, CNODE, &[spare, DEPTH, index, 3], &[node], &[1, 2, 3])?;
    }
    Ok(())
}

/// `semantics.md §2`: Mutate keeps the position.
fn mutating_keeps_the_place(t: &mut Tester) -> Outcome {
    let (node, slot) = (t.cnode(2)?, t.slot()?);
    let copy = t.copy(node, ALL)?;
    let data = keel::cap::CNodeData::new(1, 2).word();
    accepts("CNodeMutate", CNODE, &[slot.bits(), DEPTH, node.bits(), DEPTH, data], &[CNODE])?;
    t.revoke(slot)?;
    expect(t, &[(copy, true), (slot, false)])
}
