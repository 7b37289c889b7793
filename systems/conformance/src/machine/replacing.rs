// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mapping where another page is mapped, on the architectures where that is no error (`memory.md §5`).

use crate::{
    cases::Case,
    check::*,
    invoke::*,
    machine::{NORMAL, peek, poke},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![a_mapping_is_replaced_silently, unmap_of_a_replaced_frame_does_nothing];

const RW: u64 = READ | WRITE;

/// `invocations.md §10, §12`: an existing mapping in the slot is replaced without error.
fn a_mapping_is_replaced_silently(t: &mut Tester) -> Outcome {
    let ((_, address), other) = (t.mapped_frame()?, t.frame()?);
    poke(address, 1);
    accepts("ARCHPageMap", other, &[address, RW, NORMAL], &[VSPACE])?;
    same("content of the other", 0, peek(address))
}

/// `memory.md §5`: the replaced capability's unmap leaves the other's mapping.
fn unmap_of_a_replaced_frame_does_nothing(t: &mut Tester) -> Outcome {
    let ((frame, address), other) = (t.mapped_frame()?, t.frame()?);
    accepts("ARCHPageMap", other, &[address, RW, NORMAL], &[VSPACE])?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    poke(address, 5);
    same("content", 5, peek(address))?;
    t.delete(frame)?;
    same("content", 5, peek(address))
}
