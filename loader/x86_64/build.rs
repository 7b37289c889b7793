// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tells the linker how the bootable file is laid out.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/link.ld");
    println!("cargo:rerun-if-changed={script}");
    println!("cargo:rerun-if-env-changed=KEEL_KERNEL_ELF");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg-bins=-T{script}");
        for argument in ["-no-pie", "--build-id=none", "-znorelro", "-zmax-page-size=4096"] {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
