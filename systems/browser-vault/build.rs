// SPDX-License-Identifier: MIT OR Apache-2.0

//! Links with the user-level library's linker script, in pages of 4 KiB, at addresses of its own.

fn main() {
    let own = "--defsym=keel_image_base=0x30000000";
    for argument in ["-Tkeel.ld", "-zmax-page-size=4096", "--build-id=none", own] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
