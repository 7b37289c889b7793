// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine of 64-bit Arm.

#![cfg_attr(not(test), no_std)]

pub mod console;
pub mod gic;
pub mod mmio;
pub mod platform;
pub mod registers;
