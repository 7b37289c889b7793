// SPDX-License-Identifier: MIT OR Apache-2.0

//! Doing what must not work: for programs that test how well they are locked in.
//!
//! Each function does one thing that ends in a fault where the walls hold. None of them can harm the
//! program that calls it, walls or not, so they are safe to call: what they do to memory that happens to
//! be there is nothing.

use crate::{
    arch::{self, ADDRESS_END, HAS_EXECUTE_NEVER, UNDEFINED},
    error::Result,
    shared::View,
};

/// Loads the word at any address.
///
/// Memory of devices aside, which no program has by accident, loading changes nothing.
pub fn load(address: u64) -> u64 {
    arch::load_anywhere(address & !7)
}

/// Stores at any address the word that is there already: where the memory can be written nothing
/// changes, elsewhere the attempt faults.
pub fn touch(address: u64) {
    arch::touch_anywhere(address & !7);
}

/// Jumps to any address outside of the program's own image: nothing else that a program of this library
/// has mapped is executable, so the walls hold or the machine is broken. Does nothing for an address
/// inside, and, where all memory is executable, for one that may be mapped.
pub fn jump(address: u64) {
    let may_run = crate::rt::image().contains(&address) || !HAS_EXECUTE_NEVER && address < ADDRESS_END;
    if !may_run {
        arch::jump_anywhere(address & !3);
    }
}

/// Writes an instruction to memory that is no code, and runs it. It is one that is undefined: where such memory is
/// executable, this ends in its exception. Others who have the memory must not write to it meanwhile.
pub fn run_data(memory: &View<'_>) -> Result {
    memory.write(0, &UNDEFINED.to_le_bytes())?;
    arch::jump_anywhere(memory.address())
}

/// Reads a register that belongs to the kernel.
pub fn read_kernel_register() -> u64 {
    arch::read_kernel_register()
}
