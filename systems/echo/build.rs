// SPDX-License-Identifier: MIT OR Apache-2.0

//! Links with the user-level library's linker script, in pages of 4 KiB.

fn main() {
    for argument in ["-Tkeel.ld", "-zmax-page-size=4096", "--build-id=none"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
