// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases that only 64-bit x86 has.

mod lines;
mod mapping;
mod ports;
mod processor;

use crate::{cases::Case, machine::replacing};

/// All of them.
pub const THEMES: &[&[Case]] =
    &[lines::CASES, mapping::CASES, ports::CASES, processor::CASES, replacing::CASES];
