// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processor and its firmware: all assembly and all control registers of the kernel, each behind a function that
//! says what it does. Nothing here decides anything.
//!
//! On the host there is a model in its place, so that everything above compiles and is tested there.
//!
//! 1. One core runs in the kernel, with interrupts masked from entry to exit. Waiting for an interrupt does not
//!    take it.
//! 2. The kernel's own addresses are all in the upper half, and are mapped in every root table before anything here
//!    is called but `start`.
//! 3. The kernel never accesses user level's addresses: sstatus.SUM is off.
//! 4. The kernel is built without floating point: between saves and loads the FPU's registers are user level's.
//! 5. Firmware keeps all registers but a0 and a1, and memory (RISC-V SBI specification 1.0, chapter 3).

#[cfg(target_os = "none")]
pub mod entry;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
pub mod start;
#[cfg(target_os = "none")]
pub mod trap;

use keel_abi::config::Options;
use keel_arch::cpu::space::DeviceMap;
use keel_arch::fpu::Fpu;
use keel_arch::mmio::Mmio;
#[cfg(not(target_os = "none"))]
use keel_arch::model;
use keel_kernel::object::tcb::{FPU_WORDS, FpuState};
use keel_riscv64_tables::satp;

/// Reads a control register.
macro_rules! read {
    ($register:literal) => {{
        #[cfg(target_os = "none")]
        {
            let value: u64;
            // SAFETY: reading this register has no effect.
            unsafe {
                core::arch::asm!(concat!("csrr {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags))
            };
            value
        }
        #[cfg(not(target_os = "none"))]
        model::read($register)
    }};
}

/// Executes instructions that change nothing that Rust knows of, with at most two operands.
macro_rules! execute {
    ($instructions:literal $(, $operand:expr)*) => {{
        #[cfg(target_os = "none")]
        // SAFETY: see the function that this stands in, and invariants 1 to 3.
        unsafe {
            core::arch::asm!($instructions, $(in(reg) $operand,)* options(nostack, preserves_flags))
        };
        #[cfg(not(target_os = "none"))]
        model::execute($instructions, [$($operand,)* 0][0]);
    }};
}

#[cfg(target_os = "none")]
pub(crate) use execute;

// --- time ------------------------------------------------------------------------------------------------------

/// How the timer is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// By a register of supervisor mode (extension Sstc).
    Own,
    /// By firmware.
    Firmware,
}

/// The counter of time.
#[inline(always)]
pub fn counter() -> u64 {
    read!("time")
}

/// Has the timer's interrupt be pending from `deadline` on.
#[inline(always)]
pub fn set_timer(timer: Timer, deadline: u64) {
    match timer {
        // stimecmp
        Timer::Own => execute!("csrw 0x14d, {}", deadline),
        Timer::Firmware => {
            firmware(sbi::TIMER, sbi::SET_TIMER, deadline, 0);
        }
    }
}

// --- interrupts ------------------------------------------------------------------------------------------------

/// Interrupts, as bits of sie and sip (section 4.1.3).
pub mod interrupt {
    /// The timer's.
    pub const TIMER: u64 = 1 << 5;
    /// Those of the interrupt controller.
    pub const EXTERNAL: u64 = 1 << 9;
}

/// The interrupts that are waiting to be taken.
#[inline(always)]
pub fn pending_interrupts() -> u64 {
    read!("sip") & (interrupt::TIMER | interrupt::EXTERNAL)
}

/// Sleeps until an interrupt is waiting.
pub fn wait_for_interrupt() {
    execute!("wfi");
}

// --- address spaces --------------------------------------------------------------------------------------------

/// How the processor tells address spaces apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asids {
    /// By all 16 bits of their identifiers.
    Wide,
    /// Not well enough: translations are forgotten with each change of the address space.
    None,
}

/// How this processor does. `root` is the root table that is in use.
pub fn asids(root: u64) -> Asids {
    execute!("csrw satp, {}", satp::of(root, u16::MAX));
    let found = read!("satp") >> satp::ASID_SHIFT;
    load_space(root, 0, Asids::None);
    if found as u16 == u16::MAX { Asids::Wide } else { Asids::None }
}

/// Makes the table at physical address `root` the address space, for `asid`.
#[inline(always)]
pub fn load_space(root: u64, asid: u16, asids: Asids) {
    match asids {
        Asids::Wide => execute!("csrw satp, {}", satp::of(root, asid)),
        Asids::None => {
            execute!("csrw satp, {}", satp::of(root, 0));
            forget_all();
        }
    }
}

/// Forgets the cached translations of the page at `address`, of any size.
pub fn forget_page(asid: u16, address: u64, asids: Asids) {
    match asids {
        Asids::Wide => execute!("sfence.vma {}, {}", address, u64::from(asid)),
        Asids::None => execute!("sfence.vma {}, zero", address),
    }
}

/// Forgets all cached translations of an address space.
pub fn forget_space(asid: u16, asids: Asids) {
    match asids {
        Asids::Wide => execute!("sfence.vma zero, {}", u64::from(asid)),
        Asids::None => forget_all(),
    }
}

/// Forgets all cached translations, and makes written table entries visible to the table walker.
#[inline(always)]
pub fn forget_all() {
    execute!("sfence.vma");
}

/// Has instruction fetches see what was written.
pub fn unify_instructions() {
    execute!("fence.i");
}

// --- threads ---------------------------------------------------------------------------------------------------

/// The FPU's state in sstatus: both bits, dirty, while it is open, else off (section 4.1.1).
const FPU_STATE: u64 = 3 << 13;

/// Whether the processor has an FPU.
pub fn has_fpu() -> bool {
    execute!("csrs sstatus, {}", FPU_STATE);
    let found = read!("sstatus") & FPU_STATE != 0;
    execute!("csrc sstatus, {}", FPU_STATE);
    found
}

/// The FPU of this processor.
pub struct Processor;

impl Fpu for Processor {
    fn open(open: bool) {
        if open {
            execute!("csrs sstatus, {}", FPU_STATE);
        } else {
            execute!("csrc sstatus, {}", FPU_STATE);
        }
    }

    /// Saves f0 to f31, then fcsr.
    fn save(state: &mut FpuState) {
        let before = read!("sstatus") & FPU_STATE;
        execute!("csrs sstatus, {}", FPU_STATE);
        #[cfg(target_os = "none")]
        // SAFETY: writes the words of `state` alone; the FPU is open, and the assembler is told that it exists.
        unsafe {
            core::arch::asm!(
                ".option push",
                ".option arch, +d",
                "fsd f0, 0*8({state})",
                "fsd f1, 1*8({state})",
                "fsd f2, 2*8({state})",
                "fsd f3, 3*8({state})",
                "fsd f4, 4*8({state})",
                "fsd f5, 5*8({state})",
                "fsd f6, 6*8({state})",
                "fsd f7, 7*8({state})",
                "fsd f8, 8*8({state})",
                "fsd f9, 9*8({state})",
                "fsd f10, 10*8({state})",
                "fsd f11, 11*8({state})",
                "fsd f12, 12*8({state})",
                "fsd f13, 13*8({state})",
                "fsd f14, 14*8({state})",
                "fsd f15, 15*8({state})",
                "fsd f16, 16*8({state})",
                "fsd f17, 17*8({state})",
                "fsd f18, 18*8({state})",
                "fsd f19, 19*8({state})",
                "fsd f20, 20*8({state})",
                "fsd f21, 21*8({state})",
                "fsd f22, 22*8({state})",
                "fsd f23, 23*8({state})",
                "fsd f24, 24*8({state})",
                "fsd f25, 25*8({state})",
                "fsd f26, 26*8({state})",
                "fsd f27, 27*8({state})",
                "fsd f28, 28*8({state})",
                "fsd f29, 29*8({state})",
                "fsd f30, 30*8({state})",
                "fsd f31, 31*8({state})",
                "frcsr {control}",
                "sd {control}, 32*8({state})",
                ".option pop",
                state = in(reg) state.0.as_mut_ptr(),
                control = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
        #[cfg(not(target_os = "none"))]
        model::save_fpu(state);
        execute!("csrc sstatus, {}", FPU_STATE);
        execute!("csrs sstatus, {}", before);
    }

    /// Loads what `save` has saved.
    fn load(state: &FpuState) {
        let before = read!("sstatus") & FPU_STATE;
        execute!("csrs sstatus, {}", FPU_STATE);
        #[cfg(target_os = "none")]
        // SAFETY: reads the words of `state` and writes registers that no kernel code uses (4); the FPU is open.
        unsafe {
            core::arch::asm!(
                ".option push",
                ".option arch, +d",
                "fld f0, 0*8({state})",
                "fld f1, 1*8({state})",
                "fld f2, 2*8({state})",
                "fld f3, 3*8({state})",
                "fld f4, 4*8({state})",
                "fld f5, 5*8({state})",
                "fld f6, 6*8({state})",
                "fld f7, 7*8({state})",
                "fld f8, 8*8({state})",
                "fld f9, 9*8({state})",
                "fld f10, 10*8({state})",
                "fld f11, 11*8({state})",
                "fld f12, 12*8({state})",
                "fld f13, 13*8({state})",
                "fld f14, 14*8({state})",
                "fld f15, 15*8({state})",
                "fld f16, 16*8({state})",
                "fld f17, 17*8({state})",
                "fld f18, 18*8({state})",
                "fld f19, 19*8({state})",
                "fld f20, 20*8({state})",
                "fld f21, 21*8({state})",
                "fld f22, 22*8({state})",
                "fld f23, 23*8({state})",
                "fld f24, 24*8({state})",
                "fld f25, 25*8({state})",
                "fld f26, 26*8({state})",
                "fld f27, 27*8({state})",
                "fld f28, 28*8({state})",
                "fld f29, 29*8({state})",
                "fld f30, 30*8({state})",
                "fld f31, 31*8({state})",
                "ld {control}, 32*8({state})",
                "fscsr {control}",
                ".option pop",
                state = in(reg) state.0.as_ptr(),
                control = out(reg) _,
                options(nostack, preserves_flags, readonly),
            );
        }
        #[cfg(not(target_os = "none"))]
        model::load_fpu(state);
        execute!("csrc sstatus, {}", FPU_STATE);
        execute!("csrs sstatus, {}", before);
    }
}

// 32 registers of a word, and the control register.
const _: () = assert!(FPU_WORDS >= 33);

/// Makes user level's view of the processor that of the interface, with the FPU closed, and has the kernel see the
/// interrupts that it uses.
pub fn initialise() {
    /// User level may read the counters of cycles (bit 0) and of instructions (bit 2).
    const PERFORMANCE: u64 = 1 << 0 | 1 << 2;
    /// User level may read the time.
    const TIME: u64 = 1 << 1;
    Processor::open(false);
    execute!("csrw scounteren, {}", if Options::BUILD.export_pmu { TIME | PERFORMANCE } else { TIME });
    execute!("csrw sie, {}", interrupt::TIMER | interrupt::EXTERNAL);
}

// --- devices ---------------------------------------------------------------------------------------------------

/// A device's registers at addresses of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Device(DeviceMap);

impl Device {
    /// A device that is mapped.
    pub const fn new(map: DeviceMap) -> Self {
        Self(map)
    }
}

impl Mmio for Device {
    #[inline(always)]
    fn read(&self, offset: usize) -> u32 {
        let register = self.0.register(offset);
        #[cfg(target_os = "none")]
        {
            let value: u32;
            // SAFETY: the registers are mapped, and this is one of them. The instruction is one that a
            // hypervisor can emulate, which Rust's volatile accesses do not promise.
            unsafe {
                core::arch::asm!("lw {}, ({})", out(reg) value, in(reg) register, options(nostack, preserves_flags));
            }
            value
        }
        #[cfg(not(target_os = "none"))]
        model::read_device(register)
    }

    #[inline(always)]
    fn write(&self, offset: usize, value: u32) {
        let register = self.0.register(offset);
        #[cfg(target_os = "none")]
        // SAFETY: as for `read`.
        unsafe {
            core::arch::asm!("sw {}, ({})", in(reg) value, in(reg) register, options(nostack, preserves_flags));
        }
        #[cfg(not(target_os = "none"))]
        model::write_device(register, value);
    }
}

// --- firmware --------------------------------------------------------------------------------------------------

/// Numbers of firmware's calls (RISC-V SBI specification 1.0).
mod sbi {
    /// The extension for the timer.
    pub const TIMER: u64 = 0x5449_4d45;
    /// Its call to set the deadline.
    pub const SET_TIMER: u64 = 0;
    /// The extension for the machine's power.
    pub const RESET: u64 = 0x5352_5354;
    /// Its call: type 0, reason 0 switches off.
    pub const SYSTEM_RESET: u64 = 0;
    /// The old call that puts a character on the console.
    pub const PUT_CHAR: u64 = 1;
    /// The old call that switches off.
    pub const SHUTDOWN: u64 = 8;
}

/// Calls firmware.
fn firmware(extension: u64, function: u64, first: u64, second: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: these calls change nothing but registers that calls may change (5).
    unsafe {
        core::arch::asm!("ecall", in("a7") extension, in("a6") function,
            inout("a0") first => _, inout("a1") second => _, options(nostack));
    }
    #[cfg(not(target_os = "none"))]
    {
        let _ = (function, second);
        model::execute("ecall", if extension == sbi::TIMER { first } else { extension });
    }
}

/// Puts a character on firmware's console.
pub fn put_char(character: u8) {
    firmware(sbi::PUT_CHAR, 0, u64::from(character), 0);
}

/// Switches the machine off where firmware can, else waits for ever.
pub fn switch_off() -> ! {
    firmware(sbi::RESET, sbi::SYSTEM_RESET, 0, 0);
    firmware(sbi::SHUTDOWN, 0, 0, 0);
    #[cfg(not(target_os = "none"))]
    panic!("the machine is switched off");
    #[cfg(target_os = "none")]
    loop {
        execute!("wfi");
    }
}
