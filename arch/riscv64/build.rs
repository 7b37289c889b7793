// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tells the linker where the kernel goes, and whether it carries the device tree of a board.

use std::env::var;

/// Where loaders put the kernel that go by the addresses in the ELF file and were not told otherwise.
const PHYSICAL: &str = "0x80200000";

/// The kernel's stack in bytes: what its paths need, and room for the kernel's own state, which lies there once, while
/// it is made. Each domain has ready queues in it.
fn stack_bytes() -> u64 {
    let domains: u64 = var("KEEL_DOMAINS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    32 * 1024 + (domains - 1) * 16 * 1024
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
        println!("cargo:rustc-link-arg-bins=-T{script}");
        for argument in ["--build-id=none", "-znorelro", "-zmax-page-size=4096"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
