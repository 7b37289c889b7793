// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is x86_64's own: types, sizes, labels, registers, memory.

pub mod asid;
pub mod cap_type;
pub mod fault;
pub mod io_space;
pub mod irq;
pub mod label;
pub mod memory;
pub mod object;
pub mod registers;
