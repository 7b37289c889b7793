// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads and their address spaces (`memory.md §1, §6`).

use keel_abi::fault;

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine::{self, FREE_ADDRESSES, NORMAL, R0, R1},
    puppet::Event,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![a_thread_runs_in_its_own_space, a_thread_whose_space_is_gone_faults];

/// A thread with a space of its own sees what is mapped there and nothing else.
fn a_thread_runs_in_its_own_space(t: &mut Tester) -> Outcome {
    let (root, puppet) = (t.vspace()?, t.puppet(ABOVE)?);
    let code = machine::load();
    // The code's page of the image, and a page of data elsewhere.
    let (page, data) = (code.start & !0xfff, FREE_ADDRESSES.start + 0x7000_0000);
    let image = t.copy(image_frame(page), ALL)?;
    let next = t.copy(image_frame(page + 0x1000), ALL)?;
    t.map_tables(root, page)?;
    t.map_tables(root, page + 0x1000)?;
    accepts("ARCHPageMap", image, &[page, READ, NORMAL], &[root])?;
    accepts("ARCHPageMap", next, &[page + 0x1000, READ, NORMAL], &[root])?;
    let (frame, address) = t.mapped_frame()?;
    machine::poke(address + 0x10, 0x5eed);
    let shared = t.copy(frame, READ)?;
    t.map_tables(root, data)?;
    accepts("ARCHPageMap", shared, &[data, READ, NORMAL], &[root])?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, CNODE, root])?;
    puppet.runs_code(code, &[(R0, data + 0x10)])?;
    match puppet.event()? {
        Event::Done(_) => same("word", 0x5eed, puppet.registers()?.get(R1))?,
        other => return Err(differ("the end", Shown::Text("of a load"), Shown::Any(&other))),
    }
    puppet.runs_code(code, &[(R0, address)])?;
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
