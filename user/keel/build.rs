// SPDX-License-Identifier: MIT OR Apache-2.0

//! Offers the linker script `keel.ld` to the programs built on this crate, and says which machine it is for.
//!
//! A program says `cargo:rustc-link-arg-bins=-Tkeel.ld` in its own `build.rs`; the search path given
//! here reaches it because cargo passes native search paths on to dependents.
//!
//! `cfg(machine = …)` is the target's architecture, but on the host, where tests run above a scripted kernel, it is
//! the machine that this kernel plays.

use std::{env, fs, path::PathBuf};

/// The machine that the scripted kernel plays.
const HOST_PLAYS: &str = "aarch64";

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let is_host = variable("CARGO_CFG_TARGET_OS") != "none";
    let machine = if is_host { HOST_PLAYS.into() } else { variable("CARGO_CFG_TARGET_ARCH") };
    println!("cargo:rustc-check-cfg=cfg(machine, values(\"aarch64\", \"riscv64\", \"x86_64\"))");
    println!("cargo:rustc-cfg=machine=\"{machine}\"");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("keel.ld", out.join("keel.ld")).expect("the linker script can be copied");
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rerun-if-changed=keel.ld");
    println!("cargo:rerun-if-changed=build.rs");
}
