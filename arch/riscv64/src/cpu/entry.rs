// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel itself: how it starts, and what each trap does with it.

use crate::cpu::start::Layout;
use crate::cpu::{self, Device, trap};
use crate::machine::{Machine, Parts};
use crate::platform::Platform;
use crate::plic::Plic;
use core::fmt::{Arguments, Write};
use core::panic::PanicInfo;
use keel_abi::riscv64::memory::{DEVICE_TOP, WINDOW_BASE};
use keel_arch::boot::{Facts, start_root_task, tree_chunk};
use keel_arch::cpu::home::{Home, next, slot_bytes};
use keel_arch::cpu::space::{KernelSpace, RootTask};
use keel_arch::lines::Lines;
use keel_arch::memory::SeenMemory;
use keel_bounds::entered_by;
use keel_devicetree::DeviceTree;
use keel_kernel::Kernel;

/// The end of the physical addresses that the kernel's window shows: the last two GiB are the kernel's image.
const WINDOW_TOP: u64 = 0xffff_ffff_8000_0000 - WINDOW_BASE;

/// The kernel.
static HOME: Home<Machine> = Home::new();

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

/// A thread has raised another exception: cause and address are what the processor says of it.
pub extern "C" fn fault(cause: u64, address: u64) -> ! {
    let kernel = kernel();
    let Some(tcb) = kernel.core.current else { trap::leave(next(kernel, cpu::wait_for_interrupt)) };
    match kernel.arch.fault(&mut kernel.store, tcb, cause, address) {
        Some(fault) => {
            entered_by::<{ keel_bounds::entry::FAULT }>();
            kernel.handle_fault(fault);
        }
        // It was the first use of the FPU.
        None => entered_by::<{ keel_bounds::entry::FPU }>(),
    }
    trap::leave(next(kernel, cpu::wait_for_interrupt))
}

/// The kernel itself has raised an exception.
pub extern "C" fn kernel_exception(cause: u64, address: u64, instruction: u64) -> ! {
    last_words(format_args!(
        "keel: kernel bug: exception {cause:#x} at instruction {instruction:#x}, address {address:#x}"
    ))
}

/// From the kernel's own address space to the root task.
pub fn boot(mut space: KernelSpace<Layout>, bytes: &'static [u8], root_task: RootTask, hart: u64) -> ! {
    let tree = DeviceTree::new(bytes).unwrap_or_else(|error| refuse(format_args!("{error}")));
    let mut memory = SeenMemory::new(&tree);
    let found = Platform::find(&tree, hart, |node| memory.see(node));
    let found = found.unwrap_or_else(|error| refuse(format_args!("{error}")));
    let kernel = make_kernel(&mut space, &found);
    let chunk = tree_chunk(&space, bytes);
    let facts = Facts {
        memory: memory.map(&tree, WINDOW_TOP),
        extra: chunk.as_slice(),
        window_top: WINDOW_TOP,
        device_top: DEVICE_TOP,
        kept: &found.kept,
        machine_caps: &[],
    };
    if let Err(error) = start_root_task(kernel, &mut space, &facts, root_task) {
        refuse(format_args!("{error}"));
    }
    trap::prepare_to_leave();
    trap::leave(next(kernel, cpu::wait_for_interrupt))
}

/// Sets up the machine, and a kernel without objects on it.
fn make_kernel(space: &mut KernelSpace<Layout>, found: &Platform) -> &'static mut Kernel<Machine> {
    if found.plic.size() < Plic::<Device>::bytes(found.context) {
        refuse(format_args!("the interrupt controller at {} is too small", found.plic));
    }
    let registers = space
        .map_device(found.plic)
        .unwrap_or_else(|error| refuse(format_args!("device at {}: {error:?}", found.plic)));
    let plic = Plic::new(Device::new(registers), found.context, found.last_interrupt);
    let timer = if found.has_own_timer { cpu::Timer::Own } else { cpu::Timer::Firmware };
    cpu::set_timer(timer, u64::MAX);
    cpu::initialise();
    let interrupts = plic.last() + 2;
    let parts = Parts {
        plic,
        timer,
        timer_khz: found.timer_khz,
        asids: cpu::asids(space.root()),
        has_fpu: cpu::has_fpu(),
        no_space: space.root(),
    };
    let slots = space
        .take_pages(slot_bytes(interrupts))
        .unwrap_or_else(|error| refuse(format_args!("no room for its interrupts: {error:?}")));
    // SAFETY: called once, before there are entries. The space gives these pages to nobody else.
    unsafe { HOME.make(Machine::new(parts), interrupts, slots) }
}

/// The machine or the loader have not given the kernel what it needs: says so and stops.
pub fn refuse(reason: Arguments<'_>) -> ! {
    last_words(format_args!("keel: failure: the kernel cannot start: {reason}"))
}

/// Writes a line and switches the machine off.
fn last_words(line: Arguments<'_>) -> ! {
    // The console does not fail.
    let _ = writeln!(Lines(cpu::put_char), "{line}");
    cpu::switch_off()
}

/// A bug of the kernel.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    last_words(format_args!("keel: kernel bug: {info}"))
}
