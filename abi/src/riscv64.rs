// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is riscv64's own: types, sizes, labels, registers, memory.

pub mod asid;
pub mod cap_type;
pub mod fault;
pub mod label;
pub mod memory;
pub mod object;
pub mod registers;
