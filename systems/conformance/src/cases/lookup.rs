// SPDX-License-Identifier: MIT OR Apache-2.0

//! How capability pointers are resolved (`syscalls.md §5`, `objects.md §4`).

use keel::cap::{CNodeData, CPtr};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{MISSING, Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    sixty_four_levels_are_resolved,
    bits_that_are_left_over_are_ignored,
    a_guard_that_differs,
    a_guard_longer_than_what_is_left,
    a_level_longer_than_what_is_left,
    failures_at_lower_levels_tell_the_bits_left,
    an_empty_slot_is_a_null_capability,
    a_root_that_is_no_cnode,
    a_root_whose_cnode_is_gone,
    the_guard_of_the_root_is_set_by_configure,
    a_full_guard_has_64_bits_with_the_radix,
    a_deep_pointer_names_a_cnode_itself,
];

/// A puppet with this CSpace. Its fault endpoint stays what it was.
fn puppet_in(t: &mut Tester, root: CPtr, data: u64) -> Outcome<Puppet> {
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBSetSpace", puppet.tcb, &[data, 0], &[puppet.done, root, VSPACE])?;
    Ok(puppet)
}

/// Moves a capability into slot `index` of a CNode of this radix.
fn put(node: CPtr, index: u64, radix: u64, cap: CPtr) -> Outcome {
    accepts("CNodeMove", node, &[index, radix, cap.bits(), DEPTH], &[CNODE])?;
    Ok(())
}

/// `objects.md §4`: CNodes whose levels sum up to 64: 64 of one bit each.
fn sixty_four_levels_are_resolved(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let badged = t.mint(notification, WRITE, 0x64)?;
    let address: u64 = 0xa5c3_96f0_1e2d_4b87;
    let mut below = badged;
    for level in 0..64 {
        let node = t.cnode(1)?;
        put(node, address >> level & 1, 1, below)?;
        below = node;
    }
    let puppet = puppet_in(t, below, 0)?;
    puppet.does(Syscall::send(CPtr::new(address)))?;
    same("word", 0x64, keel::sys::nb_wait(notification).badge)?;
    // The other slot of the last level is empty.
    puppet.does(Syscall::send(CPtr::new(address ^ 1)))?;
    same("word", 0, keel::sys::nb_wait(notification).badge)?;
    let wrong = CPtr::new(address ^ 1);
    puppet.faults(Syscall::wait(wrong))?.is_cap_fault(wrong, true, &MISSING)
}

/// `syscalls.md §5` 5: the lookup stops at what is no CNode.
fn bits_that_are_left_over_are_ignored(t: &mut Tester) -> Outcome {
    let (notification, root) = (t.notification()?, t.cnode(3)?);
    let badged = t.mint(notification, WRITE, 1)?;
    put(root, 0b101, 3, badged)?;
    let puppet = puppet_in(t, root, 0)?;
    for rest in [0, 1, u64::MAX >> 3] {
        puppet.does(Syscall::send(CPtr::new(0b101 << 61 | rest)))?;
        same("word", 1, keel::sys::nb_wait(notification).badge)?;
    }
    Ok(())
}

/// `syscalls.md §5` 2.
fn a_guard_that_differs(t: &mut Tester) -> Outcome {
    let root = t.cnode(4)?;
    let puppet = puppet_in(t, root, CNodeData::new(0xabc, 12).word())?;
    for address in [0, 0xabd << 52, 0x2bc << 52, 0xbc0 << 52] {
        let cap = CPtr::new(address);
        puppet.faults(Syscall::send(cap))?.is_cap_fault(cap, false, &[4, 64, 0xabc, 12])?;
    }
    puppet.does(Syscall::send(CPtr::new(0xabc << 52)))?;
    Ok(())
}

/// `syscalls.md §5` 2: g > n.
fn a_guard_longer_than_what_is_left(t: &mut Tester) -> Outcome {
    let (root, inner) = (t.cnode(2)?, t.cnode(1)?);
    let guarded = t.mint(inner, ALL, CNodeData::new(5, 63).word())?;
    put(root, 0, 2, guarded)?;
    let puppet = puppet_in(t, root, 0)?;
    puppet.faults(Syscall::send(NULL))?.is_cap_fault(NULL, false, &[4, 62, 5, 63])
}

/// `syscalls.md §5` 3.
fn a_level_longer_than_what_is_left(t: &mut Tester) -> Outcome {
    let (root, inner) = (t.cnode(2)?, t.cnode(4)?);
    // 60 bits of guard and 2 of radix leave 2 for a CNode of 4.
    put(root, 0, 2, inner)?;
    let puppet = puppet_in(t, root, CNodeData::new(0, 60).word())?;
    puppet.faults(Syscall::send(NULL))?.is_cap_fault(NULL, false, &[3, 2, 4])
}

/// `errors-and-faults.md §2`: bits left are those before the failing level.
fn failures_at_lower_levels_tell_the_bits_left(t: &mut Tester) -> Outcome {
    let (root, middle, inner) = (t.cnode(8)?, t.cnode(4)?, t.cnode(2)?);
    let guarded = t.mint(inner, ALL, CNodeData::new(0b110, 3).word())?;
    put(middle, 0xf, 4, guarded)?;
    put(root, 0x12, 8, middle)?;
    let puppet = puppet_in(t, root, 0)?;
    let wrong = CPtr::new(0x12 << 56 | 0xf << 52 | 0b101 << 49);
    puppet.faults(Syscall::wait(wrong))?.is_cap_fault(wrong, true, &[4, 52, 0b110, 3])?;
    let right = CPtr::new(0x12 << 56 | 0xf << 52 | 0b110 << 49);
    puppet.faults(Syscall::wait(right))?.is_cap_fault(right, true, &MISSING)
}

/// `syscalls.md §5`: found, and null.
fn an_empty_slot_is_a_null_capability(t: &mut Tester) -> Outcome {
    let (root, puppet) = (t.cnode(2)?, t.puppet(ABOVE)?);
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, root, VSPACE])?;
    let cap = CPtr::new(3 << 62);
    puppet.does(Syscall::send(cap))?;
    let received = puppet.does(Syscall::call(cap))?;
    same("InvalidCapability", 2 << 12 | 1, received.info.word())
}

/// `syscalls.md §5` 1: a new thread has no root.
fn a_root_that_is_no_cnode(t: &mut Tester) -> Outcome {
    let (sc, endpoint, tcb) = (t.time(SLICE_US, SLICE_US)?, t.endpoint()?, t.tcb()?);
    let puppet = Puppet::new(20, tcb, sc, endpoint)?;
    // With the address space but an empty CSpace slot: of a root that is deleted.
    let root = t.cnode(2)?;
    accepts("TCBSetSpace", tcb, &[0, 0], &[endpoint, root, VSPACE])?;
    accepts("TCBSetSchedParams", tcb, &[0, ABOVE], &[AUTHORITY, sc, endpoint])?;
    t.revoke(root)?;
    for call in [Syscall::send(NULL), Syscall::call(CPtr::new(77))] {
        puppet.start(call)?;
        let fault = puppet.fault()?;
        same("kind of failure", 1, fault.words()[3])?;
        same("length", 4, fault.words().len() as u64)?;
    }
    puppet.does(Syscall::nb_send(NULL))?;
    Ok(())
}

/// Deleting the last capability in a CSpace slot of others: the TCB's copy keeps the CNode.
fn a_root_whose_cnode_is_gone(t: &mut Tester) -> Outcome {
    let (notification, root) = (t.notification()?, t.cnode(2)?);
    let badged = t.mint(notification, WRITE, 2)?;
    put(root, 1, 2, badged)?;
    let puppet = puppet_in(t, root, 0)?;
    t.delete(root)?;
    puppet.does(Syscall::send(CPtr::new(1 << 62)))?;
    same("word", 2, keel::sys::nb_wait(notification).badge)
}

/// `objects.md §3.2`: by the data word; 0 leaves the guard.
fn the_guard_of_the_root_is_set_by_configure(t: &mut Tester) -> Outcome {
    let (notification, root) = (t.notification()?, t.cnode(4)?);
    let badged = t.mint(notification, WRITE, 3)?;
    put(root, 9, 4, badged)?;
    let data = CNodeData::new(0, 60).word();
    let puppet = puppet_in(t, root, data)?;
    puppet.does(Syscall::send(CPtr::new(9)))?;
    same("word", 3, keel::sys::nb_wait(notification).badge)?;
    let guarded = t.mint(root, ALL, data)?;
    for method in ["TCBSetSpace", "TCBConfigure"] {
        let puppet = t.puppet(ABOVE)?;
        match method {
            "TCBSetSpace" => accepts(method, puppet.tcb, &[0, 0], &[puppet.done, guarded, VSPACE])?,
            _ => accepts(method, puppet.tcb, &[0, 0, 0], &[guarded, VSPACE, NULL])?,
        };
        puppet.does(Syscall::send(CPtr::new(9)))?;
        same("word", 3, keel::sys::nb_wait(notification).badge)?;
    }
    Ok(())
}

/// `objects.md §4`.
fn a_full_guard_has_64_bits_with_the_radix(t: &mut Tester) -> Outcome {
    let (notification, root) = (t.notification()?, t.cnode(2)?);
    let badged = t.mint(notification, WRITE, 4)?;
    put(root, 2, 2, badged)?;
    let guard = 0x2bcd_ef01_2345_6789;
    let puppet = puppet_in(t, root, CNodeData::new(guard, 62).word())?;
    // The data word has room for 58 bits of guard: the upper ones are lost.
    let kept = guard & (u64::MAX >> 6);
    puppet.does(Syscall::send(CPtr::new(kept << 2 | 2)))?;
    same("word", 4, keel::sys::nb_wait(notification).badge)
}

/// `syscalls.md §5` 4: when all bits are used the walk ends, at a CNode, too.
fn a_deep_pointer_names_a_cnode_itself(t: &mut Tester) -> Outcome {
    // In the case's own CSpace a slot number of 64 bits names a CNode, which can be invoked.
    let node = t.cnode(2)?;
    accepts("CNodeDelete", node, &[0, 2], &[])?;
    Ok(())
}
