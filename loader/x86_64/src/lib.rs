// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the loader of 64-bit x86 reads and writes: the information of the program that starts it ([`pvh`]), and that
//! for the kernel ([`multiboot`]). It is apart from the program so that it is tested on the host.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod multiboot;
pub mod pvh;
