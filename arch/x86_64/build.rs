// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tells the linker where the kernel goes.

use std::env::var;

/// The kernel's stack in bytes: what its paths need, and room for the kernel's own state and for what is learnt of the
/// machine, which lie there once, while they are made. Each domain has ready queues in the state.
fn stack_bytes() -> u64 {
    let domains: u64 = var("KEEL_DOMAINS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    64 * 1024 + (domains - 1) * 16 * 1024
}

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/link.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rerun-if-env-changed=KEEL_DOMAINS");
    if var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=--defsym=kernel_stack_bytes={}", stack_bytes());
        println!("cargo:rustc-link-arg-bins=-T{script}");
        for argument in ["--build-id=none", "-znorelro", "-zmax-page-size=4096", "-no-pie"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
