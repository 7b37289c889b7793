// SPDX-License-Identifier: MIT OR Apache-2.0

//! What touches memory that a linker script and a loader have laid out: the kernel's own place ([`home`]), and its
//! address space at boot ([`space`]). The one module with unsafe code.

pub mod home;
pub mod space;
