// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only this machine can do, for the common part of the loader.

use crate::console::Console;
use crate::cpu::{self, Aarch64, Conduit, Once};
use core::fmt::{Arguments, Write};
use core::panic::PanicInfo;
use keel_aarch64_tables::Error;
use keel_devicetree::{DeviceTree, Region};
use keel_loader::load::{self, Machine};
use keel_loader::memory::Memory;
use keel_loader::program;

/// The kernel's ELF file.
static KERNEL: &[u8] = include_bytes!(env!(
    "KEEL_KERNEL_ELF",
    "KEEL_KERNEL_ELF must name the kernel's ELF file: build with `cargo xtask build`"
));

/// How to say that something is wrong.
#[derive(Clone, Copy)]
struct LastWords {
    /// The console.
    console: Option<Console>,
    /// The way to switch the machine off.
    firmware: Option<Conduit>,
}

/// Set as soon as the device tree has told.
static LAST_WORDS: Once<LastWords> = Once::new();

/// The entry from assembly, with the device tree's address, MMU off.
pub extern "C" fn start(tree_address: u64) -> ! {
    load::start::<Aarch64>(KERNEL, tree_address)
}

impl load::LastWords for Aarch64 {
    fn say(text: Arguments<'_>) {
        if let Some(mut console) = LAST_WORDS.get().and_then(|words| words.console) {
            // The console does not fail.
            let _ = console.write_fmt(text);
        }
    }

    fn stop() -> ! {
        cpu::stop(LAST_WORDS.get().and_then(|words| words.firmware))
    }
}

impl Machine for Aarch64 {
    const KIND: program::Machine = program::Machine::Aarch64;

    fn take_memory(tree: Region) -> Result<Memory<Self>, Error> {
        cpu::take_memory(tree)
    }

    fn meet(tree: &DeviceTree<'_>, memory: &mut Memory<Self>) {
        LAST_WORDS.set(LastWords { console: Console::find(tree, memory), firmware: conduit(tree) });
    }

    fn start_kernel(
        memory: Memory<Self>,
        kernel: Region,
        linked_at: u64,
        entry: u64,
        arguments: [u64; 6],
    ) -> Error {
        cpu::start_kernel(memory, kernel, linked_at, entry, arguments)
    }
}

/// How the tree says that firmware is called (PSCI binding).
fn conduit(tree: &DeviceTree<'_>) -> Option<Conduit> {
    let node = tree.compatible("arm,psci-0.2").or_else(|| tree.compatible("arm,psci-1.0"))?;
    match node.string("method")? {
        "hvc" => Some(Conduit::Hvc),
        "smc" => Some(Conduit::Smc),
        _ => None,
    }
}

/// A processor fault of the loader: memory or a device that the device tree promises is not there.
pub fn fail(reason: Arguments<'_>) -> ! {
    load::fail::<Aarch64>(reason)
}

/// A bug of the loader.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    load::fail::<Aarch64>(format_args!("bug: {info}"))
}
