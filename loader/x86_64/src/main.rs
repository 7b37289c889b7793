// SPDX-License-Identifier: MIT OR Apache-2.0

//! The program that makes one bootable file of a kernel.
//!
//! On x86 seL4's kernels are started by loaders that follow version 1 of the multiboot specification, and load the root
//! task themselves, and so is Keel's. QEMU's `-kernel` takes such a file only in a 32-bit container, and a 64-bit one
//! by another convention, PVH. This program is the 64-bit file: it carries the kernel's ELF file within itself, and
//! turns one convention into the other.
//!
//! ```text
//!   boot program ──PVH──▶ 32 bits ─▶ 64 bits: checks, copies, writes ─▶ 32 bits ──multiboot──▶ kernel
//! ```
//!
//! The kernel goes to the physical addresses that its file names. It finds the magic number in eax and the information
//! in ebx, in 32-bit mode without paging: memory map and command line as they came, and the root task's file as its
//! first module. The module is put behind this program, so that the kernel has what lies below for itself; the
//! information is below 1 MiB, where the kernel takes no memory. The tables of firmware are found by the kernel,
//! where the BIOS has them. What goes wrong is said in one line on the first serial port, and the machine stops.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

#[cfg(target_os = "none")]
#[allow(unsafe_code)]
mod cpu;
#[cfg(target_os = "none")]
mod load;

/// On the host there is nothing to load.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("keel loader: runs on bare metal only, see `cargo xtask build`");
    std::process::exit(1);
}
