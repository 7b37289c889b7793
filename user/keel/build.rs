// SPDX-License-Identifier: MIT OR Apache-2.0

//! Offers the linker script `keel.ld` to the programs built on this crate.
//!
//! A program says `cargo:rustc-link-arg-bins=-Tkeel.ld` in its own `build.rs`; the search path given
//! here reaches it because cargo passes native search paths on to dependents.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("keel.ld", out.join("keel.ld")).expect("the linker script can be copied");
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rerun-if-changed=keel.ld");
    println!("cargo:rerun-if-changed=build.rs");
}
