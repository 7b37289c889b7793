// SPDX-License-Identifier: MIT OR Apache-2.0

//! The program that makes one bootable file of a kernel.
//!
//! It carries the kernel's ELF file within itself. A boot program (QEMU's `-kernel` and `-initrd`, U-Boot,
//! firmware) starts it like Linux, with a device tree that says where memory is and where the initial
//! module lies: the root task's ELF file. The loader checks all of that, puts kernel, device tree and root task
//! into free memory, maps the kernel where it is linked and jumps to it. How the kernel finds things is the
//! convention of seL4's loaders, so that the kernel can be started by those too:
//!
//! | register | meaning |
//! |---|---|
//! | a0, a1 | the root task's image in physical memory: start and end |
//! | a2 | its physical minus its virtual address |
//! | a3 | its entry point |
//! | a4, a5 | the device tree: physical address and bytes |
//! | a6, a7 | the processor that boots, and its logical number: 0 |
//!
//! The copy of the tree that the kernel gets is cut to what is used of it. What goes wrong is said in one line
//! on firmware's console, and the machine is switched off.

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
