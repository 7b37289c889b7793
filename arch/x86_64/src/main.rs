// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's ELF file. All of the kernel is in the library; the linker begins with its entry point.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use keel_x86_64 as _;

/// On the host there is nothing to run.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("keel: the kernel runs on bare metal only, see `cargo xtask run`");
    std::process::exit(1);
}
