// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tells the linker where the kernel goes, and whether it carries the device tree of a board.

use std::env::var;

/// Where loaders put the kernel that go by the addresses in the ELF file and were not told otherwise.
const PHYSICAL: &str = "0x80200000";

/// The stack in bytes of all entries to the kernel: what its paths need, the report of a bug at their deepest included.
fn stack_bytes() -> u64 {
    let is_debug = var("CARGO_CFG_DEBUG_ASSERTIONS").is_ok();
    if is_debug { 32 * 1024 } else { 8 * 1024 }
}

/// Boot's stack in bytes, with room for the kernel's own state and for what is learnt of the machine, which lie there
/// once, while they are made. Each domain has ready queues in the state.
fn boot_stack_bytes() -> u64 {
    let domains: u64 = var("KEEL_DOMAINS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    64 * 1024 + (domains - 1) * 16 * 1024
}

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/link.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rerun-if-env-changed=KEEL_BOARD_DTB");
    println!("cargo:rerun-if-env-changed=KEEL_BOARD_PADDR");
    println!("cargo:rerun-if-env-changed=KEEL_DOMAINS");
    println!("cargo:rustc-check-cfg=cfg(keel_board)");
    if var("KEEL_BOARD_DTB").is_ok() {
        println!("cargo:rustc-cfg=keel_board");
    }
    if var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let physical = var("KEEL_BOARD_PADDR").unwrap_or_else(|_| PHYSICAL.into());
        println!("cargo:rustc-link-arg-bins=--defsym=kernel_physical={physical}");
        println!("cargo:rustc-link-arg-bins=--defsym=kernel_stack_bytes={}", stack_bytes());
        println!("cargo:rustc-link-arg-bins=--defsym=boot_stack_bytes={}", boot_stack_bytes());
        println!("cargo:rustc-link-arg-bins=-T{script}");
        for argument in ["--build-id=none", "-znorelro", "-zmax-page-size=4096"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
