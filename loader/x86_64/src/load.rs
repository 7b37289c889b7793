// SPDX-License-Identifier: MIT OR Apache-2.0

//! The loader's work, from what the boot program tells to the jump.

use crate::cpu::{self, Memory};
use core::fmt::{self, Arguments, Write};
use core::panic::PanicInfo;
use keel_loader::Region;
use keel_loader::load::{self, LastWords};
use keel_loader::program::{Addresses, Machine, Program};
use keel_loader_x86_64::multiboot::{self, Contents};
use keel_loader_x86_64::pvh::{self, StartInfo};

/// The kernel's ELF file.
static KERNEL: &[u8] = include_bytes!(env!(
    "KEEL_KERNEL_ELF",
    "KEEL_KERNEL_ELF must name the kernel's ELF file: build with `cargo xtask build`"
));

/// Where the kernel's information goes: memory that every PC has, and that nobody uses once the BIOS is done.
const INFORMATION: u64 = 0x8000;

/// The command line is cut to this.
const MAX_COMMAND_LINE: u64 = 1024;

/// log2 of the page.
const PAGE_BITS: u32 = 12;

/// The entry from assembly, with the address of the boot program's information.
pub extern "C" fn start(info_address: u64) -> ! {
    let mut memory = cpu::take_memory();
    let info = read(&mut memory, info_address, pvh::INFO_BYTES, "the start information");
    let info = StartInfo::read(info)
        .unwrap_or_else(|| fail(format_args!("no PVH information with a memory map at {info_address:#x}")));
    let map = read(&mut memory, info.memory_map.start(), info.memory_map.size(), "the memory map");
    let map = pvh::memory(map);
    let is_memory =
        |region: Region| map.clone().any(|piece| piece.is_usable() && piece.region.contains(region));

    let kernel = Program::at(KERNEL, Machine::X86_64, Addresses::Physical)
        .unwrap_or_else(|error| fail(format_args!("the kernel is {error}")));
    if !is_memory(kernel.span()) {
        fail(format_args!("no memory at {}, where the kernel goes", kernel.span()));
    }
    if !kernel.load(write(&mut memory, kernel.span(), "the kernel's memory")) {
        fail(format_args!("the kernel's memory is not as large as the kernel"));
    }
    let module = place_module(&mut memory, &info, is_memory);
    let command_line = match info.command_line {
        0 => &[],
        address => pvh::text(read(&mut memory, address, MAX_COMMAND_LINE, "the command line")),
    };
    let contents = Contents { module, command_line, memory: map.clone() };
    let bytes = multiboot::block_bytes(info.memory_map, command_line.len());
    let place = Region::new(INFORMATION, bytes).filter(|&region| is_memory(region));
    let place = place.unwrap_or_else(|| fail(format_args!("no memory at {INFORMATION:#x}")));
    let block = write(&mut memory, place, "the information's memory");
    if contents.write(block, INFORMATION as u32).is_none() {
        fail(format_args!("the kernel's information does not fit in its place"));
    }
    cpu::start_kernel(kernel.entry() as u32, INFORMATION as u32)
}

/// Finds the initial module and moves it behind this program. Where that is not free it stays where it is.
fn place_module(memory: &mut Memory, info: &StartInfo, is_memory: impl Fn(Region) -> bool) -> Region {
    let entry = info.first_module.unwrap_or_else(|| {
        fail(format_args!("no initial module: give the root task's ELF file with -initrd"))
    });
    let entry = read(memory, entry.start(), entry.size(), "the list of modules");
    let module = pvh::module(entry).unwrap_or_else(|| fail(format_args!("the initial module is empty")));
    if !is_memory(module) {
        fail(format_args!("the initial module at {module} lies outside of memory"));
    }
    let bytes = read(memory, module.start(), module.size(), "the initial module");
    let place = memory.own_image().grow_to(PAGE_BITS).and_then(|own| Region::new(own.end(), module.size()));
    match place.filter(|&place| is_memory(place)).map(|place| (place, memory.write(place))) {
        Some((place, Ok(copy))) => {
            copy.copy_from_slice(bytes);
            place
        }
        _ => module,
    }
}

/// Looks at memory.
fn read(memory: &mut Memory, address: u64, size: u64, what: &str) -> &'static [u8] {
    let region = Region::new(address, size).unwrap_or(Region::EMPTY);
    memory.read(region).unwrap_or_else(|error| {
        fail(format_args!("{what} at {address:#x} cannot be read: {error:?}"));
    })
}

/// Takes memory.
fn write(memory: &mut Memory, region: Region, what: &str) -> &'static mut [u8] {
    memory.write(region).unwrap_or_else(|error| {
        fail(format_args!("{what} at {region} cannot be written: {error:?}"));
    })
}

/// The first serial port.
struct Com1;

impl fmt::Write for Com1 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(cpu::put_char);
        Ok(())
    }
}

impl LastWords for Com1 {
    fn say(text: Arguments<'_>) {
        // The console does not fail.
        let _ = Com1.write_fmt(text);
    }

    fn stop() -> ! {
        cpu::stop()
    }
}

/// Says in one line why the system cannot start, and stops.
fn fail(reason: Arguments<'_>) -> ! {
    load::fail::<Com1>(reason)
}

/// A bug of the loader.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(format_args!("bug: {info}"))
}
