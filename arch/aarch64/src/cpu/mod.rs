// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processor: all assembly and all system registers of the kernel, each behind a function that says what it
//! does. Nothing here decides anything.
//!
//! On the host there is a model in its place, so that everything above compiles and is tested there.
//!
//! 1. One core runs in the kernel, with interrupts masked from entry to exit. Waiting for an interrupt does not
//!    take it.
//! 2. The kernel's own addresses are all in the upper half and are mapped before anything here is called but
//!    `start`.
//! 3. The lower half belongs to user level; the kernel never accesses it. So system registers that shape it take
//!    effect at the latest with the exception return, which synchronises, and need no barrier before.
//! 4. The kernel is built without floating point: between saves and loads the FPU's registers are user level's.

#[cfg(target_os = "none")]
pub mod entry;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
pub mod start;
#[cfg(target_os = "none")]
pub mod trap;

use crate::platform::Conduit;
use keel_abi::config::Options;
use keel_arch::cpu::space::DeviceMap;
use keel_arch::fpu::Fpu;
use keel_arch::mmio::Mmio;
#[cfg(not(target_os = "none"))]
use keel_arch::model;
use keel_bounds::at_most;
use keel_kernel::object::tcb::{FPU_WORDS, FpuState};

/// Reads a system register.
macro_rules! read {
    ($register:literal) => {{
        #[cfg(target_os = "none")]
        {
            let value: u64;
            // SAFETY: reading this register has no effect.
            unsafe {
                core::arch::asm!(concat!("mrs {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags))
            };
            value
        }
        #[cfg(not(target_os = "none"))]
        keel_arch::model::read($register)
    }};
}

/// Executes instructions that change nothing that Rust knows of, with at most one operand.
macro_rules! execute {
    ($instructions:literal) => {{
        #[cfg(target_os = "none")]
        // SAFETY: see the function that this stands in, and invariants 1 to 3.
        unsafe {
            core::arch::asm!($instructions, options(nostack, preserves_flags))
        };
        #[cfg(not(target_os = "none"))]
        keel_arch::model::execute($instructions, 0);
    }};
    ($instructions:literal, $operand:expr) => {{
        let operand: u64 = $operand;
        #[cfg(target_os = "none")]
        // SAFETY: see the function that this stands in, and invariants 1 to 3.
        unsafe {
            core::arch::asm!($instructions, in(reg) operand, options(nostack, preserves_flags))
        };
        #[cfg(not(target_os = "none"))]
        keel_arch::model::execute($instructions, operand);
    }};
}

#[cfg(target_os = "none")]
pub(crate) use {execute, read};

// --- time ------------------------------------------------------------------------------------------------------

/// The virtual counter. It may be read a little early, which nobody can tell from having asked earlier.
#[inline(always)]
pub fn counter() -> u64 {
    read!("cntvct_el0")
}

/// Ticks of the counter per second.
pub fn counter_frequency() -> u64 {
    read!("cntfrq_el0")
}

/// Has the virtual timer's line be active from `deadline` on.
#[inline(always)]
pub fn set_timer(deadline: u64) {
    execute!("msr cntv_cval_el0, {}", deadline);
}

/// Starts the timer for the kernel, with no deadline yet, and opens the physical counter and timer to user level.
pub fn start_timer() {
    /// User level may read the physical counter (bit 0) and use the physical timer (bit 9).
    const USER_ACCESS: u64 = 1 << 0 | 1 << 9;
    execute!("msr cntkctl_el1, {}", USER_ACCESS);
    execute!("msr cntp_ctl_el0, {}", 0);
    set_timer(u64::MAX);
    execute!("msr cntv_ctl_el0, {}", 1);
    execute!("isb");
}

// --- interrupts ------------------------------------------------------------------------------------------------

/// Whether an interrupt is waiting to be taken.
#[inline(always)]
pub fn interrupt_pending() -> bool {
    const IRQ: u64 = 1 << 7;
    read!("isr_el1") & IRQ != 0
}

/// Sleeps until an interrupt is waiting.
pub fn wait_for_interrupt() {
    execute!("dsb sy\nwfi");
}

/// The core's interface to an interrupt controller of version 3 or later (Arm IHI 0069, chapter 12).
pub mod interrupts {
    /// Has interrupts of higher priorities than `mask` come, by way of these registers.
    pub fn start(mask: u32) {
        const SYSTEM_REGISTERS: u64 = 1;
        execute!("msr S3_0_C12_C12_5, {}", SYSTEM_REGISTERS); // ICC_SRE_EL1
        execute!("isb");
        execute!("msr S3_0_C4_C6_0, {}", u64::from(mask)); // ICC_PMR_EL1
        execute!("msr S3_0_C12_C12_3, {}", 0); // ICC_BPR1_EL1
        execute!("msr S3_0_C12_C12_4, {}", 0); // ICC_CTLR_EL1: ending also deactivates
        execute!("msr S3_0_C12_C12_7, {}", 1); // ICC_IGRPEN1_EL1
        execute!("isb");
    }

    /// Takes the most urgent interrupt: its number, or a special one.
    pub fn take() -> u32 {
        let number = read!("S3_0_C12_C12_0"); // ICC_IAR1_EL1
        execute!("dsb sy");
        number as u32
    }

    /// Ends an interrupt. What was written to devices before takes effect before.
    pub fn end(number: u32) {
        execute!("dsb sy\nmsr S3_0_C12_C12_1, {}", u64::from(number)); // ICC_EOIR1_EL1
        execute!("isb");
    }

    /// Sends a software interrupt.
    pub fn send(value: u64) {
        execute!("dsb ishst\nmsr S3_0_C12_C11_5, {}\nisb", value); // ICC_SGI1R_EL1
    }
}

/// Which core this is: its affinity, as four bytes.
pub fn affinity() -> u32 {
    let mpidr = read!("mpidr_el1");
    (mpidr & 0x00ff_ffff | mpidr >> 8 & 0xff00_0000) as u32
}

// --- address spaces --------------------------------------------------------------------------------------------

/// Makes the table at physical address `root` the lower half, for `asid`.
#[inline(always)]
pub fn load_space(root_and_asid: u64) {
    execute!("msr ttbr0_el1, {}", root_and_asid);
}

/// Has accesses from here on use what [`load_space`] has loaded. The exception return does that by itself.
pub fn space_loaded() {
    execute!("isb");
}

/// Makes written table entries visible to the table walker.
#[inline(always)]
pub fn table_written() {
    execute!("dsb ishst\nisb");
}

/// Forgets the cached translations of the page at `address`, of any size.
pub fn forget_page(asid: u16, address: u64) {
    const PAGE_NUMBER_MASK: u64 = (1 << 44) - 1;
    execute!(
        "dsb ishst\ntlbi vae1is, {}\ndsb ish\nisb",
        u64::from(asid) << 48 | address >> 12 & PAGE_NUMBER_MASK
    );
}

/// Forgets all cached translations of an address space.
pub fn forget_space(asid: u16) {
    execute!("dsb ishst\ntlbi aside1is, {}\ndsb ish\nisb", u64::from(asid) << 48);
}

/// Forgets all cached translations.
pub fn forget_all() {
    execute!("dsb ishst\ntlbi vmalle1is\ndsb ish\nisb");
}

// --- caches ----------------------------------------------------------------------------------------------------

/// What is done to a line of the data cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheOperation {
    /// Memory gets what the cache has.
    Clean,
    /// The cache forgets what it has. Only for lines of which the whole is meant: neighbours are lost too.
    Invalidate,
    /// Both, in this order.
    CleanInvalidate,
    /// Instruction fetches get what the cache has.
    Unify,
}

/// Bytes of the smallest line of the data cache.
pub fn cache_line() -> u64 {
    // CTR_EL0.DminLine: log2 of words of 4 bytes.
    4 << (read!("ctr_el0") >> 16 & 0xf)
}

/// Does `operation` to all lines that the kernel's addresses `start` to `end` touch. The range is the caller's
/// unit of work; there is no preemption in it.
pub fn maintain(operation: CacheOperation, start: u64, end: u64) {
    let line = cache_line();
    let mut at = start & !(line - 1);
    // One round per line of the range. The architecture's smallest line has 16 bytes.
    let mut rounds = at_most!(keel_kernel::store::CLEAR_CHUNK_BYTES / 16 + 1);
    while at < end {
        rounds.count();
        match operation {
            CacheOperation::Clean => execute!("dc cvac, {}", at),
            CacheOperation::Invalidate => execute!("dc ivac, {}", at),
            CacheOperation::CleanInvalidate => execute!("dc civac, {}", at),
            CacheOperation::Unify => execute!("dc cvau, {}", at),
        }
        at += line;
    }
    if operation == CacheOperation::Unify {
        // By address the instruction cache could keep other aliases of the line; all of it is cheap.
        execute!("dsb ish\nic ialluis");
    }
    execute!("dsb ish\nisb");
}

// --- threads ---------------------------------------------------------------------------------------------------

/// User level's thread-local storage registers, the writable and the read-only one.
#[inline(always)]
pub fn thread_registers() -> (u64, u64) {
    (read!("tpidr_el0"), read!("tpidrro_el0"))
}

/// Sets what [`thread_registers`] reads.
#[inline(always)]
pub fn set_thread_registers(registers: (u64, u64)) {
    execute!("msr tpidr_el0, {}", registers.0);
    execute!("msr tpidrro_el0, {}", registers.1);
}

/// The FPU of this processor.
pub struct Processor;

impl Fpu for Processor {
    #[inline(always)]
    fn open(open: bool) {
        open_fpu(open);
    }

    fn save(state: &mut FpuState) {
        save_fpu(state);
    }

    fn load(state: &FpuState) {
        load_fpu(state);
    }
}

/// Opens the FPU to user level, or has user level trap at its first use.
#[inline(always)]
fn open_fpu(open: bool) {
    const KERNEL_ONLY: u64 = 0b01 << 20;
    const EVERYBODY: u64 = 0b11 << 20;
    execute!("msr cpacr_el1, {}", if open { EVERYBODY } else { KERNEL_ONLY });
}

/// Saves v0 to v31, then fpcr and fpsr.
fn save_fpu(state: &mut FpuState) {
    #[cfg(target_os = "none")]
    // SAFETY: writes the words of `state` alone; the assembler is told that these instructions exist.
    unsafe {
        core::arch::asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            "stp q0, q1, [{state}, #0x000]",
            "stp q2, q3, [{state}, #0x020]",
            "stp q4, q5, [{state}, #0x040]",
            "stp q6, q7, [{state}, #0x060]",
            "stp q8, q9, [{state}, #0x080]",
            "stp q10, q11, [{state}, #0x0a0]",
            "stp q12, q13, [{state}, #0x0c0]",
            "stp q14, q15, [{state}, #0x0e0]",
            "stp q16, q17, [{state}, #0x100]",
            "stp q18, q19, [{state}, #0x120]",
            "stp q20, q21, [{state}, #0x140]",
            "stp q22, q23, [{state}, #0x160]",
            "stp q24, q25, [{state}, #0x180]",
            "stp q26, q27, [{state}, #0x1a0]",
            "stp q28, q29, [{state}, #0x1c0]",
            "stp q30, q31, [{state}, #0x1e0]",
            "mrs {control}, fpcr",
            "mrs {status}, fpsr",
            "add {state}, {state}, #0x200",
            "stp {control}, {status}, [{state}]",
            state = inout(reg) state.0.as_mut_ptr() => _,
            control = out(reg) _,
            status = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    #[cfg(not(target_os = "none"))]
    model::save_fpu(state);
}

/// Loads what [`save_fpu`] has saved.
fn load_fpu(state: &FpuState) {
    #[cfg(target_os = "none")]
    // SAFETY: reads the words of `state` and writes registers that no kernel code uses (4).
    unsafe {
        core::arch::asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            "ldp q0, q1, [{state}, #0x000]",
            "ldp q2, q3, [{state}, #0x020]",
            "ldp q4, q5, [{state}, #0x040]",
            "ldp q6, q7, [{state}, #0x060]",
            "ldp q8, q9, [{state}, #0x080]",
            "ldp q10, q11, [{state}, #0x0a0]",
            "ldp q12, q13, [{state}, #0x0c0]",
            "ldp q14, q15, [{state}, #0x0e0]",
            "ldp q16, q17, [{state}, #0x100]",
            "ldp q18, q19, [{state}, #0x120]",
            "ldp q20, q21, [{state}, #0x140]",
            "ldp q22, q23, [{state}, #0x160]",
            "ldp q24, q25, [{state}, #0x180]",
            "ldp q26, q27, [{state}, #0x1a0]",
            "ldp q28, q29, [{state}, #0x1c0]",
            "ldp q30, q31, [{state}, #0x1e0]",
            "add {state}, {state}, #0x200",
            "ldp {control}, {status}, [{state}]",
            "msr fpcr, {control}",
            "msr fpsr, {status}",
            state = inout(reg) state.0.as_ptr() => _,
            control = out(reg) _,
            status = out(reg) _,
            options(nostack, preserves_flags, readonly),
        );
    }
    #[cfg(not(target_os = "none"))]
    model::load_fpu(state);
}

// 32 registers of two words, control and status.
const _: () = assert!(FPU_WORDS >= 66);

/// Whether the processor tells 2^16 address spaces apart.
pub fn has_wide_asids() -> bool {
    read!("id_aa64mmfr0_el1") >> 4 & 0xf >= 2
}

/// How many bits a physical address has.
pub fn physical_bits() -> u32 {
    match read!("id_aa64mmfr0_el1") & 0xf {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        _ => 52,
    }
}

/// Makes user level's view of the processor that of the interface: the counter and timer are opened by
/// [`start_timer`], the performance counters by option only, the FPU by [`open_fpu`].
pub fn initialise() {
    open_fpu(false);
    // PMUSERENR_EL0 bit 0: user level may use the performance counters.
    execute!("msr pmuserenr_el0, {}", Options::BUILD.export_pmu as u64);
    // MDSCR_EL1: no software stepping, no user access to the debug channel.
    execute!("msr mdscr_el1, {}", 0);
    set_thread_registers((0, 0));
    execute!("isb");
}

// --- devices and firmware --------------------------------------------------------------------------------------

/// A device's registers at addresses of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Device(DeviceMap);

impl Device {
    /// A device that is mapped.
    pub const fn new(map: DeviceMap) -> Self {
        Self(map)
    }

    /// The registers from `offset` on.
    pub fn part(&self, offset: u64) -> Self {
        Self(self.0.part(offset))
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
                core::arch::asm!("ldr {:w}, [{}]", out(reg) value, in(reg) register,
                    options(nostack, preserves_flags));
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
            core::arch::asm!("str {:w}, [{}]", in(reg) value, in(reg) register, options(nostack, preserves_flags));
        }
        #[cfg(not(target_os = "none"))]
        model::write_device(register, value);
    }
}

/// Switches the machine off by PSCI where firmware can, else waits for ever.
pub fn switch_off(firmware: Option<Conduit>) -> ! {
    const SYSTEM_OFF: u64 = 0x8400_0008;
    #[cfg(target_os = "none")]
    // SAFETY: firmware does not return from this call, or returns an error and has changed nothing but registers
    // that calls may change.
    unsafe {
        match firmware {
            Some(Conduit::Hvc) => core::arch::asm!("hvc #0", in("x0") SYSTEM_OFF, clobber_abi("C")),
            Some(Conduit::Smc) => core::arch::asm!("smc #0", in("x0") SYSTEM_OFF, clobber_abi("C")),
            None => {}
        }
    }
    #[cfg(not(target_os = "none"))]
    panic!("the machine is switched off: {SYSTEM_OFF:#x} by {firmware:?}");
    #[cfg(target_os = "none")]
    loop {
        wait_for_interrupt();
    }
}

/// Calls firmware with x0 to x7, as the holder of an SMC capability asks; gives x0 to x7.
pub fn call_monitor(registers: [u64; 8]) -> [u64; 8] {
    #[cfg(target_os = "none")]
    {
        let mut registers = registers;
        let [x0, x1, x2, x3, x4, x5, x6, x7] = &mut registers;
        // SAFETY: what firmware does is the matter of whoever was given the capability; registers are kept as the
        // SMC calling convention says.
        unsafe {
            core::arch::asm!("smc #0",
                inout("x0") *x0, inout("x1") *x1, inout("x2") *x2, inout("x3") *x3,
                inout("x4") *x4, inout("x5") *x5, inout("x6") *x6, inout("x7") *x7,
                out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _,
                out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _);
        }
        registers
    }
    #[cfg(not(target_os = "none"))]
    registers
}
