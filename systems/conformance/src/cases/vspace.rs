// SPDX-License-Identifier: MIT OR Apache-2.0

//! Roots of address spaces: cache operations by address (`invocations.md §10`, `memory.md §7`).

use keel::cap::Blueprint;
use keel_abi::{
    aarch64::{label, memory::USER_TOP, registers::Register},
    fault,
};

use super::{Case, frame::stale_roots};
use crate::{check::*, invoke::*, machine, puppet::Event, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    operations_check_in_order,
    a_range_stays_within_its_page,
    nothing_mapped_is_success,
    invalidate_needs_a_writable_mapping,
    a_thread_runs_in_its_own_space,
    a_thread_whose_space_is_gone_faults,
];

const OPERATIONS: [&str; 4] = [
    "ARMVSpaceClean_Data",
    "ARMVSpaceInvalidate_Data",
    "ARMVSpaceCleanInvalidate_Data",
    "ARMVSpaceUnify_Instruction",
];

/// `invocations.md §2`.
fn unknown_labels(_: &mut Tester) -> Outcome {
    for label in [0, label::VSPACE_UNIFY_INSTRUCTION + 1, label::PAGE_CLEAN_DATA, label::PAGE_TABLE_MAP] {
        refuses_label("ARMVSpaceUnknownLabel/IllegalOperation#1", label, VSPACE)?;
    }
    Ok(())
}

/// `invocations.md §10`.
fn operations_check_in_order(t: &mut Tester) -> Outcome {
    let root = t.make(Blueprint::VSpace)?;
    let (nowhere, taken) = stale_roots(t)?;
    for operation in OPERATIONS {
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
    for operation in OPERATIONS {
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
    for operation in OPERATIONS {
        for vspace in [root, VSPACE] {
            accepts(operation, vspace, &[address, address + 0x10_0000], &[])?;
        }
    }
    Ok(())
}

/// `invocations.md §10`.
fn invalidate_needs_a_writable_mapping(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    accepts("ARMPageMap", frame, &[address, READ, 3], &[VSPACE])?;
    let words = [address, address + 64];
    refuses("ARMVSpaceInvalidate_Data/IllegalOperation#8", VSPACE, &words, &[], &[])?;
    for operation in [OPERATIONS[0], OPERATIONS[2], OPERATIONS[3]] {
        accepts(operation, VSPACE, &words, &[])?;
    }
    Ok(())
}

/// A thread with a space of its own sees what is mapped there and nothing else.
fn a_thread_runs_in_its_own_space(t: &mut Tester) -> Outcome {
    let (root, puppet) = (t.vspace()?, t.puppet(ABOVE)?);
    let code = machine::load();
    // The code's page of the image, and a page of data elsewhere.
    let (page, data) = (code.start & !0xfff, 0x7000_0000_0000);
    let image = t.copy(image_frame(page), ALL)?;
    let next = t.copy(image_frame(page + 0x1000), ALL)?;
    t.map_tables(root, page)?;
    t.map_tables(root, page + 0x1000)?;
    accepts("ARMPageMap", image, &[page, READ, 1], &[root])?;
    accepts("ARMPageMap", next, &[page + 0x1000, READ, 1], &[root])?;
    let (frame, address) = t.mapped_frame()?;
    machine::poke(address + 0x10, 0x5eed);
    let shared = t.copy(frame, READ)?;
    t.map_tables(root, data)?;
    accepts("ARMPageMap", shared, &[data, READ, 5], &[root])?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, CNODE, root])?;
    puppet.runs_code(code, &[(Register::X0, data + 0x10)])?;
    match puppet.event()? {
        Event::Done(received) => same("word", 0x5eed, received.info.word())?,
        other => return Err(differ("the end", Shown::Text("of a load"), Shown::Any(&other))),
    }
    puppet.runs_code(code, &[(Register::X0, address)])?;
    let fault = puppet.fault()?;
    same("VMFault", fault::VM_FAULT, fault.label)?;
    same("address", address, fault.words()[1])
}

/// `memory.md §6`: such threads run on an empty address space.
fn a_thread_whose_space_is_gone_faults(t: &mut Tester) -> Outcome {
    let (root, puppet) = (t.vspace()?, t.puppet(ABOVE)?);
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, CNODE, root])?;
    t.delete(root)?;
    let code = machine::nothing();
    puppet.runs_code(code, &[])?;
    let fault = puppet.fault()?;
    same("VMFault", fault::VM_FAULT, fault.label)?;
    same("address", code.start, fault.words()[1])?;
    same("fetch", 1, fault.words()[2])
}
