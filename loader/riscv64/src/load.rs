// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only this machine can do, for the common part of the loader.

use crate::cpu::{self, Riscv64};
use core::fmt::{self, Arguments, Write};
use core::panic::PanicInfo;
use keel_devicetree::{DeviceTree, Region};
use keel_loader::load::{self, LastWords, Machine};
use keel_loader::memory::Memory;
use keel_loader::program;
use keel_riscv64_tables::Error;

/// The kernel's ELF file.
static KERNEL: &[u8] = include_bytes!(env!(
    "KEEL_KERNEL_ELF",
    "KEEL_KERNEL_ELF must name the kernel's ELF file: build with `cargo xtask build`"
));

/// The entry from assembly, with the processor's number and the device tree's address, paging off.
pub extern "C" fn start(hart: u64, tree_address: u64) -> ! {
    cpu::HART.set(hart);
    load::start::<Riscv64>(KERNEL, tree_address)
}

impl LastWords for Riscv64 {
    fn say(text: Arguments<'_>) {
        // The console does not fail.
        let _ = Console.write_fmt(text);
    }

    fn stop() -> ! {
        cpu::stop()
    }
}

impl Machine for Riscv64 {
    const KIND: program::Machine = program::Machine::Riscv64;

    fn take_memory(tree: Region) -> Result<Memory<Self>, Error> {
        cpu::take_memory(tree)
    }

    fn meet(_tree: &DeviceTree<'_>, _memory: &mut Memory<Self>) {
        // Firmware knows where the console is.
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

/// Firmware's console.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(cpu::put_char);
        Ok(())
    }
}

/// A processor fault of the loader: memory that the device tree promises is not there.
pub extern "C" fn fault(cause: u64, address: u64, instruction: u64) -> ! {
    load::fail::<Riscv64>(format_args!(
        "processor fault {cause:#x} at address {address:#x}, instruction {instruction:#x}"
    ))
}

/// A bug of the loader.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    load::fail::<Riscv64>(format_args!("bug: {info}"))
}
