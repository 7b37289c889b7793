// SPDX-License-Identifier: MIT OR Apache-2.0

//! Deleting what refers to itself, and what is large (`semantics.md §4`).

use keel::cap::{Blueprint, CNodeData, CPtr};
use keel_abi::{config::Options, label};

use super::Case;
use crate::{check::*, invoke::*, machine, puppet::Syscall, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_cnode_takes_its_content_along,
    a_cnode_that_contains_itself,
    a_circle_of_cnodes,
    a_chain_of_cnodes,
    a_large_cnode,
    a_cnode_in_use_as_a_cspace,
    a_thread_deletes_its_own_tcb,
    a_thread_deletes_its_own_cspace,
    a_thread_deletes_its_own_context,
    a_thread_revokes_all_it_is_made_of,
    a_thread_holds_itself_in_its_cspace,
    deleting_a_running_thread_stops_it,
    a_long_revoke_lets_others_run,
    a_long_retype_lets_others_run,
    deleting_a_queued_thread_takes_it_out,
];

fn put(node: CPtr, index: u64, radix: u64, cap: CPtr) -> Outcome {
    accepts("CNodeMove", node, &[index, radix, cap.bits(), DEPTH], &[CNODE])?;
    Ok(())
}

/// `semantics.md §4`.
fn a_cnode_takes_its_content_along(t: &mut Tester) -> Outcome {
    let (node, untyped) = (t.cnode(3)?, t.untyped(12)?);
    let endpoint = t.make_from(untyped, Blueprint::Endpoint, 1)?;
    put(node, 2, 3, endpoint)?;
    t.delete(node)?;
    // The endpoint is gone: its memory is free.
    t.make_from(untyped, Blueprint::SmallPage, 1)?;
    Ok(())
}

/// `semantics.md §4`: self-referential CNodes can be deleted.
fn a_cnode_that_contains_itself(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(12)?;
    let node = t.make_from(untyped, Blueprint::CNode { radix: 3 }, 1)?;
    for index in [0, 3, 7] {
        let words = [index, 3, node.bits(), DEPTH, ALL];
        accepts("CNodeCopy", node, &words, &[CNODE])?;
    }
    // The original goes inside; the copy outside is deleted with all that hangs on it.
    let outside = t.copy(node, ALL)?;
    put(node, 5, 3, node).or_else(|_| put(outside, 5, 3, node))?;
    t.revoke(untyped)?;
    t.is_empty(outside, true)?;
    t.make_from(untyped, Blueprint::SmallPage, 1)?;
    Ok(())
}

/// Two CNodes that hold each other's only capabilities, but for one outside.
fn a_circle_of_cnodes(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(12)?;
    let first = t.make_from(untyped, Blueprint::CNode { radix: 2 }, 1)?;
    let second = t.make_from(untyped, Blueprint::CNode { radix: 2 }, 1)?;
    let copy = t.copy(first, ALL)?;
    put(second, 1, 2, copy)?;
    put(first, 1, 2, second)?;
    t.delete(first)?;
    // They hold each other now, out of reach but for the untyped.
    t.revoke(untyped)?;
    t.make_from(untyped, Blueprint::SmallPage, 1)?;
    Ok(())
}

/// Each in the one before it, 40 deep.
fn a_chain_of_cnodes(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(14)?;
    let mut below = t.make_from(untyped, Blueprint::Endpoint, 1)?;
    for _ in 0..40 {
        let node = t.make_from(untyped, Blueprint::CNode { radix: 1 }, 1)?;
        put(node, 1, 1, below)?;
        below = node;
    }
    t.delete(below)?;
    t.make_from(untyped, Blueprint::SmallPage, 4)?;
    Ok(())
}

/// 4096 slots, all full.
fn a_large_cnode(t: &mut Tester) -> Outcome {
    let (node, untyped) = (t.cnode(12)?, t.untyped(16)?);
    for first in (0..4096).step_by(256) {
        let words = [Blueprint::Endpoint.object_type(), 0, 0, 0, first, 256];
        accepts("UntypedRetype", untyped, &words, &[node])?;
    }
    t.delete(node)?;
    t.make_from(untyped, Blueprint::SmallPage, 16)?;
    Ok(())
}

/// The TCB's copy keeps it; then it goes with the TCB.
fn a_cnode_in_use_as_a_cspace(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(13)?;
    let node = t.make_from(untyped, Blueprint::CNode { radix: 2 }, 1)?;
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, node, VSPACE])?;
    t.delete(node)?;
    let slot = t.slot()?;
    let words = [Blueprint::SmallPage.object_type(), 0, 0, 0, slot.bits(), 2];
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[8192 - 128])?;
    t.delete(puppet.tcb)?;
    t.make_from(untyped, Blueprint::SmallPage, 2)?;
    Ok(())
}

/// A message that deletes a slot of [`CNODE`].
fn delete(slot: CPtr) -> Syscall {
    Syscall::call(CNODE).words(&[slot.bits(), DEPTH]).info(label::CNODE_DELETE, 0, 2)
}

/// `semantics.md §4`: the kernel continues without it.
fn a_thread_deletes_its_own_tcb(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.start(delete(puppet.tcb))?;
    t.is_empty(puppet.tcb, true)?;
    let next = t.tcb()?;
    accepts("SchedContextBind", puppet.sc, &[], &[next])?;
    Ok(())
}

/// `semantics.md §4`: a thread revokes the untyped that its CSpace is made of, through that CSpace.
fn a_thread_deletes_its_own_cspace(t: &mut Tester) -> Outcome {
    let (puppet, untyped) = (t.puppet(ABOVE)?, t.untyped(12)?);
    let node = t.make_from(untyped, Blueprint::CNode { radix: 2 }, 1)?;
    // Below slot 3 lies the case's CSpace.
    let radix = Options::BUILD.root_cnode_bits;
    let data = CNodeData::new(0, 62 - radix).word();
    accepts("CNodeMint", node, &[3, 2, CNODE.bits(), DEPTH, ALL, data], &[CNODE])?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, node, VSPACE])?;
    let cnode = CPtr::new(3 << 62 | CNODE.bits());
    let revoke = Syscall::call(cnode).words(&[untyped.bits(), DEPTH]).info(label::CNODE_REVOKE, 0, 2);
    same("message info", 0, puppet.does(revoke)?.info.word())?;
    t.is_empty(node, true)?;
    puppet.faults(Syscall::send(cnode))?.is_cap_fault(cnode, false, &[1])
}

/// `semantics.md §4`.
fn a_thread_deletes_its_own_context(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.start(delete(puppet.sc))?;
    puppet.busy()?;
    t.is_empty(puppet.sc, true)?;
    let sc = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", sc, &[], &[puppet.tcb])?;
    same("message info", 0, puppet.done()?.info.word())
}

/// A thread that revokes the untyped of its own TCB.
fn a_thread_revokes_all_it_is_made_of(t: &mut Tester) -> Outcome {
    let (untyped, sc, endpoint) = (t.untyped(13)?, t.time(SLICE_US, SLICE_US)?, t.endpoint()?);
    let tcb = t.make_from(untyped, Blueprint::Tcb, 1)?;
    let puppet = crate::puppet::Puppet::new(20, tcb, sc, endpoint)?;
    accepts("TCBConfigure", tcb, &[0, 0, 0], &[CNODE, VSPACE, NULL])?;
    accepts("TCBSetSchedParams", tcb, &[1, ABOVE], &[AUTHORITY, sc, endpoint])?;
    let revoke = Syscall::call(CNODE).words(&[untyped.bits(), DEPTH]).info(label::CNODE_REVOKE, 0, 2);
    puppet.start(revoke)?;
    t.is_empty(tcb, true)?;
    t.make_from(untyped, Blueprint::SmallPage, 2)?;
    Ok(())
}

/// A TCB whose CSpace holds its only capability: a circle that the untyped's revocation ends.
fn a_thread_holds_itself_in_its_cspace(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(13)?;
    let node = t.make_from(untyped, Blueprint::CNode { radix: 2 }, 1)?;
    let tcb = t.make_from(untyped, Blueprint::Tcb, 1)?;
    accepts("TCBConfigure", tcb, &[0, 0, 0], &[node, VSPACE, NULL])?;
    put(node, 1, 2, tcb)?;
    t.delete(node)?;
    t.revoke(untyped)?;
    t.make_from(untyped, Blueprint::SmallPage, 2)?;
    Ok(())
}

/// `semantics.md §4`: suspended.
fn deleting_a_running_thread_stops_it(t: &mut Tester) -> Outcome {
    let (puppet, (_, address)) = (t.puppet(BELOW)?, t.mapped_frame()?);
    puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
    t.sleep(500)?;
    t.delete(puppet.tcb)?;
    let count = machine::peek(address);
    holds("it has run", count > 0)?;
    t.sleep(500)?;
    same("count", count, machine::peek(address))
}

/// How late a sleeper of higher priority comes at most while a puppet makes a call, in microseconds.
fn lateness(t: &mut Tester, call: Syscall) -> Outcome<u64> {
    // The case's thread sleeps, and the puppet below it works.
    let puppet = t.puppet(BELOW)?;
    t.sleep(100)?;
    puppet.start(call)?;
    let mut worst = 0;
    for _ in 0..20 {
        let start = machine::ticks();
        t.sleep(100)?;
        worst = worst.max(us_of_ticks(machine::ticks() - start));
    }
    t.settle()?;
    let received = puppet.done()?;
    same("message info", 0, received.info.word())?;
    Ok(worst)
}

/// `semantics.md §11`: preemption points.
fn a_long_revoke_lets_others_run(t: &mut Tester) -> Outcome {
    let (node, endpoint) = (t.cnode(10)?, t.endpoint()?);
    for index in 0..1024 {
        accepts("CNodeMint", node, &[index, 10, endpoint.bits(), DEPTH, ALL, index], &[CNODE])?;
    }
    let call = Syscall::call(CNODE).words(&[endpoint.bits(), DEPTH]).info(label::CNODE_REVOKE, 0, 2);
    let worst = lateness(t, call)?;
    within("microseconds of a sleep of 100", 100, 200, worst)
}

/// `semantics.md §3`: clearing memory, too.
fn a_long_retype_lets_others_run(t: &mut Tester) -> Outcome {
    let (untyped, slot) = (t.untyped(21)?, t.slot()?);
    let page = t.make_from(untyped, Blueprint::LargePage, 1)?;
    t.delete(page)?;
    let puppet_slot = slot.bits();
    let words = [Blueprint::LargePage.object_type(), 0, 0, 0, puppet_slot, 1];
    let puppet = t.puppet(BELOW)?;
    let buffer = puppet.buffer();
    buffer.set_word(4, words[4]);
    buffer.set_word(5, words[5]);
    buffer.set_caps(&[CNODE]);
    puppet.start(Syscall::call(untyped).words(&words[..4]).info(label::UNTYPED_RETYPE, 1, 6))?;
    let mut worst = 0;
    for _ in 0..20 {
        let start = machine::ticks();
        t.sleep(100)?;
        worst = worst.max(us_of_ticks(machine::ticks() - start));
    }
    t.settle()?;
    same("message info", 0, puppet.done()?.info.word())?;
    t.is_empty(slot, false)?;
    within("microseconds of a sleep of 100", 100, 200, worst)
}

/// `semantics.md §4`.
fn deleting_a_queued_thread_takes_it_out(t: &mut Tester) -> Outcome {
    let (endpoint, first, second) = (t.endpoint()?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    first.blocks(Syscall::send(endpoint).words(&[1]))?;
    second.blocks(Syscall::send(endpoint).words(&[2]))?;
    t.delete(first.tcb)?;
    let receiver = t.puppet(ABOVE)?;
    receiver.does(Syscall::wait(endpoint))?.is(0, 0, &[2])?;
    receiver.does(Syscall::nb_wait(endpoint))?.is_signal(0)
}
