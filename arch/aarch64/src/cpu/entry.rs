// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel itself: how it starts, and what each trap does with it.

use crate::console::Console;
use crate::cpu::start::{Layout, no_space};
use crate::cpu::{self, Device, trap};
use crate::fault::{Exception, exception, user_exception};
use crate::gic::{self, Gic, GicV2, GicV3};
use crate::machine::{Machine, Parts};
use crate::platform::{self, Conduit, InterruptController, Platform};
use crate::registers::RESTART;
use crate::special;
use core::fmt::{Arguments, Write};
use core::panic::PanicInfo;
use keel_abi::aarch64::memory::{DEVICE_TOP, DEVICE_TOP_44, WINDOW_BASE};
use keel_abi::config::Options;
use keel_abi::slot;
use keel_arch::boot::{Facts, start_root_task, tree_chunk};
use keel_arch::cpu::home::{Home, OneCore, next, slot_bytes};
use keel_arch::cpu::space::{KernelSpace, RootTask};
use keel_arch::memory::MemoryMap;
use keel_bounds::entered_by;
use keel_devicetree::DeviceTree;
use keel_kernel::Kernel;

/// The end of the physical addresses that the kernel's window shows: the last GiB is the kernel's image.
const WINDOW_TOP: u64 = 0xffff_ffff_c000_0000 - WINDOW_BASE;

/// The kernel.
static HOME: Home<Machine> = Home::new();

/// What is needed to say the last words, whatever state the kernel is in.
static LAST_WORDS: OneCore<LastWords> = OneCore::new(LastWords { console: None, firmware: None });

/// See [`LAST_WORDS`].
#[derive(Clone, Copy)]
struct LastWords {
    /// The console's registers.
    console: Option<Device>,
    /// How firmware is called.
    firmware: Option<Conduit>,
}

/// The kernel, for one entry.
#[inline(always)]
fn kernel() -> &'static mut Kernel<Machine> {
    // SAFETY: `boot` has made it before the first exit to user level, and each entry calls this once.
    unsafe { HOME.kernel() }
}

/// A thread has executed a system call. Does not return, as the others: the way back to user level begins here,
/// and needs nothing of what is on the stack.
pub extern "C" fn syscall() -> ! {
    let kernel = kernel();
    match kernel.handle_syscall() {
        Some(tcb) => trap::leave(tcb.address().0),
        None => trap::leave(next(kernel, cpu::wait_for_interrupt)),
    }
}

/// An interrupt has come while a thread ran.
pub extern "C" fn interrupt() -> ! {
    entered_by::<{ keel_bounds::entry::INTERRUPT }>();
    let kernel = kernel();
    kernel.handle_irq();
    trap::leave(next(kernel, cpu::wait_for_interrupt))
}

/// A thread has raised another exception: syndrome and address are what the processor says of it.
pub extern "C" fn fault(syndrome: u64, address: u64) -> ! {
    let kernel = kernel();
    let Some(tcb) = kernel.core.current else { trap::leave(next(kernel, cpu::wait_for_interrupt)) };
    let instruction = kernel.store[tcb].registers.words[RESTART];
    match exception(syndrome, address, instruction) {
        Exception::Fault(fault) => {
            entered_by::<{ keel_bounds::entry::FAULT }>();
            kernel.handle_fault(fault);
        }
        Exception::Fpu => {
            entered_by::<{ keel_bounds::entry::FPU }>();
            if !kernel.arch.give_fpu(&mut kernel.store, tcb) {
                kernel.handle_fault(user_exception(syndrome));
            }
        }
    }
    trap::leave(next(kernel, cpu::wait_for_interrupt))
}

/// The kernel itself has raised an exception.
pub extern "C" fn kernel_exception(syndrome: u64, address: u64, instruction: u64) -> ! {
    last_words(format_args!(
        "keel: kernel bug: exception {syndrome:#x} at instruction {instruction:#x}, address {address:#x}"
    ))
}

/// From the kernel's own address space to the root task.
pub fn boot(mut space: KernelSpace<Layout>, bytes: &'static [u8], root_task: RootTask) -> ! {
    // Without a device tree there is no console.
    let Ok(tree) = DeviceTree::new(bytes) else { cpu::switch_off(None) };
    let console = platform::console(&tree).and_then(|page| space.map_device(page).ok()).map(Device::new);
    let firmware = platform::conduit(&tree);
    LAST_WORDS.set(LastWords { console, firmware });
    let found = Platform::find(&tree).unwrap_or_else(|error| refuse(format_args!("{error}")));
    let kernel = make_kernel(&mut space, &found, console, firmware);
    let smc = [(slot::SMC, special::smc())];
    let has_smc = Options::BUILD.smc && firmware == Some(Conduit::Smc);
    let chunk = tree_chunk(&space, bytes);
    let facts = Facts {
        memory: MemoryMap::find(&tree, WINDOW_TOP),
        extra: chunk.as_slice(),
        window_top: WINDOW_TOP,
        device_top: if cpu::physical_bits() < 44 { DEVICE_TOP } else { DEVICE_TOP_44 },
        kept: &found.controller.regions(),
        machine_caps: if has_smc { &smc } else { &[] },
    };
    if let Err(error) = start_root_task(kernel, &mut space, &facts, root_task) {
        refuse(format_args!("{error}"));
    }
    trap::leave(next(kernel, cpu::wait_for_interrupt))
}

/// Sets up the machine, and a kernel without objects on it.
fn make_kernel(
    space: &mut KernelSpace<Layout>,
    found: &Platform,
    console: Option<Device>,
    firmware: Option<Conduit>,
) -> &'static mut Kernel<Machine> {
    let gic = make_gic(space, found.controller);
    if !cpu::has_wide_asids() {
        refuse(format_args!("the processor has address space identifiers of 8 bits, 16 are needed"));
    }
    cpu::initialise();
    cpu::start_timer();
    gic.unmask(found.timer);
    let interrupts = gic.count();
    let parts = Parts {
        gic,
        console: console.map(Console::new),
        firmware,
        timer: found.timer,
        no_space: no_space(space),
    };
    let machine = Machine::new(parts, cpu::counter_frequency() / 1000);
    let slots = space
        .take_pages(slot_bytes(interrupts))
        .unwrap_or_else(|error| refuse(format_args!("no room for its interrupts: {error:?}")));
    // SAFETY: called once, before there are entries. The space gives these pages to nobody else.
    unsafe { HOME.make(machine, interrupts, slots) }
}

/// Maps and takes over the interrupt controller.
fn make_gic(space: &mut KernelSpace<Layout>, found: InterruptController) -> Gic<Device> {
    let mut map = |registers| {
        space
            .map_device(registers)
            .map(Device::new)
            .unwrap_or_else(|error| refuse(format_args!("device at {registers}: {error:?}")))
    };
    match found {
        InterruptController::V2 { distributor, interface } => {
            Gic::V2(GicV2::new(map(distributor), map(interface)))
        }
        InterruptController::V3 { distributor, redistributors } => {
            let affinity = cpu::affinity();
            let mine = gic::redistributors(redistributors)
                .map(&mut map)
                .find(|redistributor| gic::belongs_to(redistributor, affinity))
                .unwrap_or_else(|| refuse(format_args!("no redistributor for core {affinity:#x}")));
            let private = mine.part(gic::PRIVATE_FRAME);
            Gic::V3(GicV3::new(map(distributor), mine, private, affinity))
        }
    }
}

/// The machine or the loader have not given the kernel what it needs: says so and stops.
fn refuse(reason: Arguments<'_>) -> ! {
    last_words(format_args!("keel: failure: the kernel cannot start: {reason}"))
}

/// Writes a line, if there is a console, and switches the machine off.
fn last_words(line: Arguments<'_>) -> ! {
    let LastWords { console, firmware } = LAST_WORDS.get();
    if let Some(registers) = console {
        // The console does not fail.
        let _ = writeln!(Console::new(registers), "{line}");
    }
    cpu::switch_off(firmware)
}

/// A bug of the kernel.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    last_words(format_args!("keel: kernel bug: {info}"))
}
