// SPDX-License-Identifier: MIT OR Apache-2.0

//! The attacks, by what they turn against the kernel.

mod calls;
mod memory;
mod queues;
mod slots;
mod time;

use crate::arena::Arena;
use crate::machine;

/// All of them.
pub fn all(arena: &mut Arena<'_>) -> keel::Result {
    nothing(arena)?;
    queues::all(arena)?;
    slots::all(arena)?;
    memory::all(arena)?;
    time::all(arena)?;
    calls::all(arena)
}

/// The interrupt alone: no system call delays it.
fn nothing(arena: &mut Arena<'_>) -> keel::Result {
    arena.attack(
        "nothing",
        1,
        |_| Ok(()),
        |_| {
            machine::spin(20_000);
            Ok(())
        },
    )
}
