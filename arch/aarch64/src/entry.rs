// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel itself: where it lies, how it starts, and what each trap does with it.
//!
//! 1. There is one kernel, made by [`boot`] before the first exit to user level.
//! 2. One core runs in it, with interrupts masked. Each entry takes the kernel once, at its beginning, so no two
//!    references to it live at the same time.

use crate::console::Console;
use crate::cpu::start::{KernelSpace, RootTask};
use crate::cpu::{self, Device, trap};
use crate::fault::{Exception, exception, user_exception};
use crate::gic::{self, Gic, GicV2, GicV3};
use crate::machine::{Machine, Parts};
use crate::platform::{self, Conduit, InterruptController, MAX_MEMORY, MemoryMap, Platform};
use crate::registers::RESTART;
use crate::special;
use core::cell::UnsafeCell;
use core::fmt::{Arguments, Write};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use keel_abi::aarch64::memory::{DEVICE_TOP, DEVICE_TOP_44, WINDOW_BASE};
use keel_abi::bootinfo::extra;
use keel_abi::config::Options;
use keel_abi::slot;
use keel_devicetree::{DeviceTree, Region};
use keel_kernel::Kernel;
use keel_kernel::boot::info::ExtraChunk;
use keel_kernel::boot::region::PhysRegion;
use keel_kernel::boot::{self, BootInput, UserImage};
use keel_kernel::cspace::Slot;
use keel_kernel::object::irq::{Interrupts, MAX_IRQS};
use keel_kernel::store::{DirectMemory, Ref};
use keel_kernel::units::{KernelAddr, PhysAddr, VirtAddr};

/// The end of the physical addresses that the kernel's window shows: the last GiB is the kernel's image.
const WINDOW_TOP: u64 = 0xffff_ffff_c000_0000 - WINDOW_BASE;

/// Something that only this module reaches, from the one core.
struct OneCore<T>(UnsafeCell<T>);

// SAFETY: one core runs in the kernel, with interrupts masked (2).
unsafe impl<T> Sync for OneCore<T> {}

/// The kernel (1).
static KERNEL: OneCore<MaybeUninit<Kernel<Machine>>> = OneCore(UnsafeCell::new(MaybeUninit::uninit()));

/// The kernel's slots for the notifications of interrupts; handed to the store.
static INTERRUPT_SLOTS: OneCore<[MaybeUninit<Slot>; MAX_IRQS]> =
    OneCore(UnsafeCell::new([const { MaybeUninit::zeroed() }; MAX_IRQS]));

/// What is needed to say the last words, whatever state the kernel is in.
static LAST_WORDS: OneCore<LastWords> = OneCore(UnsafeCell::new(LastWords { console: None, firmware: None }));

/// See [`LAST_WORDS`].
#[derive(Clone, Copy)]
struct LastWords {
    /// The console's registers.
    console: Option<Device>,
    /// How firmware is called.
    firmware: Option<Conduit>,
}

/// The kernel, for one entry.
fn kernel() -> &'static mut Kernel<Machine> {
    // SAFETY: made by `boot` (1), and this is the only reference to it (2).
    unsafe { (*KERNEL.0.get()).assume_init_mut() }
}

/// A thread has executed a system call. Gives the TCB of the thread that runs next, as the others do.
pub extern "C" fn syscall() -> u64 {
    let kernel = kernel();
    kernel.handle_syscall();
    next(kernel)
}

/// An interrupt has come while a thread ran.
pub extern "C" fn interrupt() -> u64 {
    let kernel = kernel();
    kernel.handle_irq();
    next(kernel)
}

/// A thread has raised another exception: syndrome and address are what the processor says of it.
pub extern "C" fn fault(syndrome: u64, address: u64) -> u64 {
    let kernel = kernel();
    let Some(tcb) = kernel.core.current else { return next(kernel) };
    let instruction = kernel.store[tcb].registers.words[RESTART];
    match exception(syndrome, address, instruction) {
        Exception::Fault(fault) => kernel.handle_fault(fault),
        Exception::Fpu => {
            if !kernel.arch.give_fpu(&mut kernel.store, tcb) {
                kernel.handle_fault(user_exception(syndrome));
            }
        }
    }
    next(kernel)
}

/// The thread that runs next; until there is one the core sleeps.
fn next(kernel: &mut Kernel<Machine>) -> u64 {
    loop {
        if let Some(tcb) = kernel.core.current {
            return tcb.address().0;
        }
        cpu::wait_for_interrupt();
        kernel.handle_irq();
    }
}

/// The kernel itself has raised an exception.
pub extern "C" fn kernel_exception(syndrome: u64, address: u64, instruction: u64) -> ! {
    last_words(format_args!(
        "keel: kernel bug: exception {syndrome:#x} at instruction {instruction:#x}, address {address:#x}"
    ))
}

/// From the kernel's own address space to the root task.
pub fn boot(mut space: KernelSpace, root_task: RootTask) -> ! {
    // Without a device tree there is no console.
    let Ok(tree) = DeviceTree::new(space.tree()) else { cpu::switch_off(None) };
    let console = platform::console(&tree).and_then(|page| space.map_device(page).ok());
    let firmware = platform::conduit(&tree);
    // SAFETY: nothing else holds a reference to it (2).
    unsafe { *LAST_WORDS.0.get() = LastWords { console, firmware } };
    let found = Platform::find(&tree).unwrap_or_else(|error| refuse(format_args!("{error}")));
    let kernel = make_kernel(&mut space, &found, console, firmware);
    match start_root_task(kernel, &mut space, &tree, &found, root_task) {
        Ok(booted) if booted.untypeds_dropped > 0 => {
            kernel.say(format_args!("keel: {} pieces of memory are not used", booted.untypeds_dropped));
        }
        Ok(_) => {}
        Err(error) => refuse(format_args!("{error}")),
    }
    if cfg!(debug_assertions) {
        kernel.say(format_args!("keel: booted, dropped to user space"));
    }
    trap::leave(next(kernel))
}

/// Sets up the machine, and a kernel without objects on it.
fn make_kernel(
    space: &mut KernelSpace,
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
        no_space: space.no_space(),
    };
    let machine = Machine::new(parts, cpu::counter_frequency() / 1000);
    let slots = KernelAddr(INTERRUPT_SLOTS.0.get().expose_provenance() as u64);
    let Some(slots) = Ref::at(slots) else { refuse(format_args!("the kernel lies at address 0")) };
    let kernel = Kernel::new(machine, DirectMemory, Interrupts::new(slots, interrupts));
    // SAFETY: the only reference, as this is called once, before there are entries (1).
    unsafe { (*KERNEL.0.get()).write(kernel) }
}

/// Maps and takes over the interrupt controller.
fn make_gic(space: &mut KernelSpace, found: InterruptController) -> Gic<Device> {
    let mut map = |registers| {
        space
            .map_device(registers)
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

/// Divides memory and makes the root task.
fn start_root_task(
    kernel: &mut Kernel<Machine>,
    space: &mut KernelSpace,
    tree: &DeviceTree<'_>,
    found: &Platform,
    root_task: RootTask,
) -> Result<boot::Booted, boot::BootError> {
    let mut memory = [PhysRegion::default(); MAX_MEMORY];
    let mut count = 0;
    for &region in MemoryMap::find(tree, WINDOW_TOP).regions() {
        match space.map_memory(region) {
            Ok(()) => {
                memory[count] = physical(region);
                count += 1;
            }
            Err(error) => kernel.say(format_args!("keel: memory at {region} is not used: {error:?}")),
        }
    }
    let [distributor, others] = found.controller.regions();
    let reserved = [space.image(), pages(space.tree_region()), distributor, others].map(physical);
    let fdt = ExtraChunk { id: extra::FDT, content: space.tree() };
    let smc = (slot::SMC, special::smc());
    let has_smc = Options::BUILD.smc && platform::conduit(tree) == Some(Conduit::Smc);
    let input = BootInput {
        memory: &memory[..count],
        reserved: &reserved,
        window_top: PhysAddr(WINDOW_TOP),
        device_top: PhysAddr(if cpu::physical_bits() < 44 { DEVICE_TOP } else { DEVICE_TOP_44 }),
        image: UserImage {
            physical: physical(root_task.image),
            offset: root_task.offset,
            entry: VirtAddr(root_task.entry),
        },
        extra: if space.tree_region().size() > 0 { core::slice::from_ref(&fdt) } else { &[] },
        machine_caps: if has_smc { core::slice::from_ref(&smc) } else { &[] },
    };
    boot::boot(kernel, &input)
}

/// All pages that a region touches.
fn pages(region: Region) -> Region {
    region.grow_to(12).unwrap_or(region)
}

/// A region as the portable kernel writes it.
fn physical(region: Region) -> PhysRegion {
    PhysRegion::new(region.start(), region.end())
}

/// The machine or the loader have not given the kernel what it needs: says so and stops.
fn refuse(reason: Arguments<'_>) -> ! {
    last_words(format_args!("keel: failure: the kernel cannot start: {reason}"))
}

/// Writes a line, if there is a console, and switches the machine off.
fn last_words(line: Arguments<'_>) -> ! {
    // SAFETY: copied, and written by `boot` alone (2).
    let LastWords { console, firmware } = unsafe { *LAST_WORDS.0.get() };
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
