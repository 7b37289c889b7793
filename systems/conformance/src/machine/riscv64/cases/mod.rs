// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases that only 64-bit RISC-V has.

mod mapping;
mod processor;
mod trigger;

use crate::{cases::Case, machine::numbered};

/// All of them.
pub const THEMES: &[&[Case]] = &[mapping::CASES, numbered::CASES, processor::CASES, trigger::CASES];
