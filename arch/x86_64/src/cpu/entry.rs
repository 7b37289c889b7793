// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel itself: how it starts, and what each trap does with it.

use crate::acpi::{MAX_IO_APICS, PowerSwitch, Tables};
use crate::apic::Apic;
use crate::clock::Rates;
use crate::console::{Console, FIRST_LINE};
use crate::cpu::low::LowMemory;
use crate::cpu::start::{Layout, take_over};
use crate::cpu::{self, Device, Features, msr, trap};
use crate::fault::{self, vector};
use crate::interrupts;
use crate::ioapic::IoApic;
use crate::machine::{Machine, Parts, switch_off};
use crate::multiboot::Info;
use crate::ports;
use core::fmt::{Arguments, Write};
use core::panic::PanicInfo;
use keel_abi::bootinfo::extra;
use keel_abi::slot;
use keel_abi::x86_64::irq::{FIRST_TRAP_VECTOR, LAST_TRAP_VECTOR, SPURIOUS_VECTOR, TIMER_VECTOR};
use keel_abi::x86_64::memory::{DEVICE_TOP, WINDOW_BASE};
use keel_arch::boot::{Facts, MAX_KEPT, start_root_task};
use keel_arch::cpu::home::{Home, OneCore, next, slot_bytes};
use keel_arch::cpu::space::{KernelSpace, RootTask};
use keel_arch::lines::Lines;
use keel_arch::memory::MemoryMap;
use keel_bounds::entered_by;
use keel_devicetree::Region;
use keel_kernel::Kernel;
use keel_kernel::boot::info::ExtraChunk;
use keel_program::{Machine as ProgramMachine, Program};

/// The end of the physical addresses that the kernel's window shows: the last two GiB are the kernel's image.
const WINDOW_TOP: u64 = 0xffff_ffff_8000_0000 - WINDOW_BASE;

/// The kernel.
static HOME: Home<Machine> = Home::new();

/// What is needed to say the last words, whatever state the kernel is in: the serial line, and how to switch off.
static LAST_WORDS: OneCore<(Console, Option<PowerSwitch>)> = OneCore::new((Console::new(FIRST_LINE), None));

/// The kernel, for one entry.
#[inline(always)]
fn kernel() -> &'static mut Kernel<Machine> {
    // SAFETY: `boot` has made it before the first exit to user level, and each entry calls this once.
    unsafe { HOME.kernel() }
}

/// A thread has executed a system call. Does not return, as the other does not: the way back to user level begins here,
/// and needs nothing of what is on the stack.
pub extern "C" fn syscall() -> ! {
    let kernel = kernel();
    match kernel.handle_syscall() {
        Some(tcb) => trap::leave(tcb.address().0),
        None => trap::leave(next(kernel, cpu::wait_for_interrupt)),
    }
}

/// A thread has raised an exception, executed a software interrupt, or an interrupt has come while it ran: the vector, the
/// error code of an exception, and the address of a page fault.
pub extern "C" fn trap(vector: u64, error: u64, address: u64) -> ! {
    let kernel = kernel();
    let number = vector as u8;
    if number < vector::FIRST_FREE {
        if let Some(tcb) = kernel.core.current
            && let Some(fault) = kernel.arch.fault(&mut kernel.store, tcb, number, error, address)
        {
            kernel.handle_fault(fault);
        }
    } else if (FIRST_TRAP_VECTOR..=LAST_TRAP_VECTOR).contains(&vector) {
        entered_by::<{ keel_bounds::entry::UNKNOWN_SYSCALL }>();
        software_interrupt(kernel, number);
    } else {
        entered_by::<{ keel_bounds::entry::INTERRUPT }>();
        kernel.arch.note_interrupt(number);
        kernel.handle_irq();
    }
    trap::leave(next(kernel, cpu::wait_for_interrupt))
}

/// The thread has executed `int` with a vector that is nobody's: a call that does not exist.
fn software_interrupt(kernel: &mut Kernel<Machine>, vector: u8) {
    /// Bytes of the instruction.
    const INSTRUCTION_BYTES: u64 = 2;
    let Some(tcb) = kernel.core.current else { return };
    let words = &mut kernel.store[tcb].registers.words;
    words[crate::registers::RESTART] = words[crate::registers::NEXT].wrapping_sub(INSTRUCTION_BYTES);
    let fault = fault::software_interrupt(vector, words[0]);
    kernel.handle_fault(fault);
}

/// The kernel itself has raised an exception, or the machine is broken.
pub extern "C" fn kernel_exception(vector: u64, error: u64, instruction: u64, address: u64) -> ! {
    last_words(format_args!(
        "keel: kernel bug: exception {vector} ({error:#x}) at instruction {instruction:#x}, address {address:#x}"
    ))
}

/// From boot's address space to the root task.
pub fn boot(mut memory: LowMemory, information: u64, features: Features) -> ! {
    let info = Info::read(&memory, information).unwrap_or_else(|error| refuse(format_args!("{error}")));
    let port = ["console_port", "debug_port"].iter().find_map(|name| info.option(name));
    let console = Console::new(port.unwrap_or(FIRST_LINE));
    console.set_up();
    LAST_WORDS.set((console, None));
    let tables = Tables::find(&memory).unwrap_or_else(|error| refuse(format_args!("{error}")));
    LAST_WORDS.set((console, tables.power));
    let root_task = load_root_task(&mut memory, &info);
    cpu::initialise(features);
    trap::install_calls(features);
    let own = Own { info, tables, console, features };
    let space = take_over(memory)
        .unwrap_or_else(|error| refuse(format_args!("its address space cannot be made: {error:?}")));
    own.boot(space, root_task)
}

/// Loads the root task into memory that nobody uses, as low as there is some.
fn load_root_task(memory: &mut LowMemory, info: &Info) -> RootTask {
    let module = memory
        .module(info.module)
        .unwrap_or_else(|| refuse(format_args!("the initial module at {} cannot be read", info.module)));
    let program = Program::new(module, ProgramMachine::X86_64)
        .unwrap_or_else(|error| refuse(format_args!("the initial module is {error}")));
    let bytes = program.span().size();
    let in_use = [memory.image(), info.module].into_iter();
    // What is written must be mapped.
    let free = MemoryMap::of(info.memory(), in_use, 1 << 32);
    let place = free.regions().iter().find(|region| region.size() >= bytes);
    let image = place
        .and_then(|region| Region::new(region.start(), bytes))
        .unwrap_or_else(|| refuse(format_args!("no room in memory for a root task of {bytes} bytes")));
    let is_loaded = memory.write(image).is_some_and(|place| program.load(place));
    if !is_loaded {
        refuse(format_args!("the root task cannot be loaded to {image}"));
    }
    let offset = image.start().wrapping_sub(program.span().start());
    RootTask { image, offset, entry: program.entry() }
}

/// What the kernel has learnt of the machine.
struct Own {
    /// By the loader.
    info: Info,
    /// By firmware.
    tables: Tables,
    /// The serial line.
    console: Console,
    /// What the processor has.
    features: Features,
}

impl Own {
    /// From the kernel's own address space to the root task.
    fn boot(&self, mut space: KernelSpace<Layout>, root_task: RootTask) -> ! {
        let kernel = self.make_kernel(&mut space);
        let mhz = (kernel.arch.counter_mhz() as u32).to_le_bytes();
        let chunks = [
            self.info.video_chunk.as_ref().map(|chunk| (extra::X86_VBE, &chunk[..])),
            Some((extra::X86_ACPI_RSDP, &self.tables.root_pointer[..])),
            Some((extra::X86_MBMMAP, &self.info.map_chunk[..])),
            Some((extra::X86_TSC_FREQ, &mhz[..])),
        ];
        let mut extra = [ExtraChunk { id: 0, content: &[] }; 4];
        let given = chunks.into_iter().flatten().map(|(id, content)| ExtraChunk { id, content });
        let count = extra.iter_mut().zip(given).map(|(place, chunk)| *place = chunk).count();
        let facts = Facts {
            memory: MemoryMap::of(self.info.memory(), core::iter::empty(), WINDOW_TOP),
            extra: &extra[..count],
            window_top: WINDOW_TOP,
            device_top: DEVICE_TOP,
            kept: &self.kept(),
            machine_caps: &[(slot::IO_PORT_CONTROL, ports::control())],
        };
        if let Err(error) = start_root_task(kernel, &mut space, &facts, root_task) {
            refuse(format_args!("{error}"));
        }
        trap::leave(next(kernel, cpu::wait_for_interrupt))
    }

    /// The devices that the kernel keeps for itself (`boot.md` §5.1).
    fn kept(&self) -> [Region; MAX_KEPT] {
        /// These bytes split what lies below 4 GiB.
        const SPLIT: u64 = 0xffff_fff8;
        const { assert!(MAX_IO_APICS + 2 <= MAX_KEPT) };
        let mut kept = [Region::EMPTY; MAX_KEPT];
        let pages = self.tables.io_apics().iter().chain([&self.tables.local_apic]).map(|&at| page(at));
        let regions = pages.chain([Region::new(SPLIT, 8).unwrap_or(Region::EMPTY)]);
        for (place, region) in kept.iter_mut().zip(regions) {
            *place = region;
        }
        kept
    }

    /// Sets up the machine, and a kernel without objects on it.
    fn make_kernel(&self, space: &mut KernelSpace<Layout>) -> &'static mut Kernel<Machine> {
        /// The local controller is addressed by messages of the processor, not by memory.
        const EXTENDED_MODE: u64 = 1 << 10;
        /// The local controller is on.
        const ENABLED: u64 = 1 << 11;
        if cpu::read_msr(msr::APIC_BASE) & (EXTENDED_MODE | ENABLED) != ENABLED {
            refuse(format_args!("the local interrupt controller is off, or in x2APIC mode"));
        }
        let mut map = |address| {
            let mapped = space.map_device(page(address));
            Device::new(mapped.unwrap_or_else(|error| {
                refuse(format_args!("device at {address:#x}: {error:?}"));
            }))
        };
        let apic = Apic::new(map(self.tables.local_apic), TIMER_VECTOR as u32, SPURIOUS_VECTOR as u32);
        let mut io_apics = [const { None }; MAX_IO_APICS];
        for (place, &address) in io_apics.iter_mut().zip(self.tables.io_apics()) {
            *place = Some(IoApic::new(map(address)));
        }
        interrupts::silence_old_controllers();
        let rates = Rates::measure(&apic)
            .unwrap_or_else(|| refuse(format_args!("the interval timer does not count")));
        let parts = Parts {
            apic,
            io_apics,
            rates,
            has_base_instructions: self.features.bases,
            console: self.console,
            power: self.tables.power,
            no_space: space.root(),
        };
        let slots = space
            .take_pages(slot_bytes(interrupts::COUNT))
            .unwrap_or_else(|error| refuse(format_args!("no room for its interrupts: {error:?}")));
        // SAFETY: called once, before there are entries. The space gives these pages to nobody else.
        unsafe { HOME.make(Machine::new(parts), interrupts::COUNT, slots) }
    }
}

/// The page at an address.
fn page(address: u64) -> Region {
    Region::new(address & !0xfff, 0x1000).unwrap_or(Region::EMPTY)
}

/// The machine or the loader have not given the kernel what it needs: says so and stops.
pub fn refuse(reason: Arguments<'_>) -> ! {
    last_words(format_args!("keel: failure: the kernel cannot start: {reason}"))
}

/// Writes a line and switches the machine off.
fn last_words(line: Arguments<'_>) -> ! {
    let (console, power) = LAST_WORDS.get();
    // The console does not fail.
    let _ = writeln!(Lines(|character| console.put(character)), "{line}");
    switch_off(power)
}

/// A bug of the kernel.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    last_words(format_args!("keel: kernel bug: {info}"))
}
