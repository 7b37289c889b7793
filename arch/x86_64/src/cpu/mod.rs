// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processor: all assembly and all control registers of the kernel, each behind a function that says what it does.
//! Nothing here decides anything.
//!
//! On the host there is a model in its place, so that everything above compiles and is tested there.
//!
//! 1. One core runs in the kernel, with interrupts masked from entry to exit but for [`fetch_interrupt`] and
//!    [`wait_for_interrupt`], where nothing happens but that the interrupt's vector is noted.
//! 2. The kernel's own addresses are all behind the last entry of a root table, and are mapped in every root table before
//!    anything here is called but `start`.
//! 3. The kernel never accesses user level's addresses.
//! 4. The kernel is built without floating point: between saves and loads the FPU's registers are user level's.
//! 5. Nothing in the kernel uses fs and gs: their bases are user level's.

#[cfg(target_os = "none")]
mod descriptors;
#[cfg(target_os = "none")]
pub mod entry;
#[cfg(target_os = "none")]
pub mod low;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
pub mod start;
#[cfg(target_os = "none")]
pub mod trap;

#[cfg(target_os = "none")]
use crate::registers::flag;
#[cfg(target_os = "none")]
use core::arch::asm;
#[cfg(target_os = "none")]
use keel_abi::config::Options;
use keel_arch::cpu::space::DeviceMap;
use keel_arch::fpu::Fpu;
use keel_arch::mmio::Mmio;
#[cfg(not(target_os = "none"))]
use keel_arch::model;
use keel_kernel::object::tcb::FpuState;

// --- features --------------------------------------------------------------------------------------------------

/// What the processor has besides what the kernel cannot do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// Pages of 1 GiB.
    pub huge_pages: bool,
    /// Global pages.
    pub global_pages: bool,
    /// Instructions for the bases of fs and gs.
    pub bases: bool,
    /// XSAVE.
    pub extended_save: bool,
    /// Supervisor mode can be kept from executing user level's pages.
    pub no_user_execution: bool,
    /// Supervisor mode can be kept from accessing user level's pages.
    pub no_user_access: bool,
    /// User level can be kept from reading where descriptor tables lie.
    pub no_user_descriptors: bool,
}

/// The output of CPUID: eax, ebx, ecx, edx.
#[cfg(target_os = "none")]
fn identify(leaf: u32, subleaf: u32) -> [u32; 4] {
    let result = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [result.eax, result.ebx, result.ecx, result.edx]
}

/// The output of CPUID: nothing is there on the host.
#[cfg(not(target_os = "none"))]
fn identify(_leaf: u32, _subleaf: u32) -> [u32; 4] {
    [0; 4]
}

impl Features {
    /// Asks the processor (volume 2, CPUID).
    pub fn find() -> Self {
        let has = |word: u32, bit: u32| word >> bit & 1 != 0;
        let ([last, ..], [_, _, basic_c, basic_d]) = (identify(0, 0), identify(1, 0));
        let [_, structured_b, structured_c, _] = if last >= 7 { identify(7, 0) } else { [0; 4] };
        let [_, _, _, extended_d] = identify(0x8000_0001, 0);
        Self {
            huge_pages: has(extended_d, 26),
            global_pages: has(basic_d, 13),
            bases: has(structured_b, 0),
            extended_save: has(basic_c, 26),
            no_user_execution: has(structured_b, 7),
            no_user_access: has(structured_b, 20),
            no_user_descriptors: has(structured_c, 2),
        }
    }
}

// --- control registers -----------------------------------------------------------------------------------------

/// Model-specific registers (volume 4, table 2-2).
pub mod msr {
    /// Where the local interrupt controller is, and how it works.
    pub const APIC_BASE: u32 = 0x1b;
    /// The segments of `sysenter`, which is not used: 0 makes it a fault.
    pub const OTHER_CALL_SEGMENTS: u32 = 0x174;
    /// The page attribute table.
    pub const PAGE_ATTRIBUTES: u32 = 0x277;
    /// Extended features.
    pub const EXTENDED_FEATURES: u32 = 0xc000_0080;
    /// The segments of `syscall` and `sysret`.
    pub const CALL_SEGMENTS: u32 = 0xc000_0081;
    /// Where `syscall` goes.
    pub const CALL_TARGET: u32 = 0xc000_0082;
    /// The flags that `syscall` clears.
    pub const CALL_FLAGS: u32 = 0xc000_0084;
    /// The base of fs.
    pub const FS_BASE: u32 = 0xc000_0100;
    /// The base of gs.
    pub const GS_BASE: u32 = 0xc000_0101;
}

/// Reads a model-specific register.
pub fn read_msr(register: u32) -> u64 {
    #[cfg(target_os = "none")]
    {
        let (low, high): (u32, u32);
        // SAFETY: reading one of these registers has no effect, and all 64-bit processors have them.
        unsafe {
            asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
        }
        u64::from(high) << 32 | u64::from(low)
    }
    #[cfg(not(target_os = "none"))]
    model::read(&format!("msr {register:#x}"))
}

/// Writes a model-specific register.
#[inline(always)]
fn write_msr(register: u32, value: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: see the functions that this stands in; values are such as the register takes.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
    #[cfg(not(target_os = "none"))]
    {
        model::set(&format!("msr {register:#x}"), value);
        model::execute("wrmsr", register.into());
    }
}

/// Fields of control register 0 (section 2.5).
mod control0 {
    /// The FPU is closed.
    pub const CLOSED: u64 = 1 << 3;
    /// The FPU is emulated; caches are off.
    #[cfg(target_os = "none")]
    pub const UNWANTED: u64 = 1 << 2 | 1 << 30 | 1 << 29;
    /// The FPU is watched for task switches; it reports by exceptions; the supervisor, too, cannot write what is
    /// read-only; user level can have alignment checked.
    #[cfg(target_os = "none")]
    pub const WANTED: u64 = 1 << 1 | 1 << 5 | 1 << 16 | 1 << 18;
}

/// Fields of control register 4 (section 2.5).
#[cfg(target_os = "none")]
mod control4 {
    /// Table entries of 64 bits.
    pub const WIDE_ENTRIES: u64 = 1 << 5;
    /// Global pages.
    pub const GLOBAL_PAGES: u64 = 1 << 7;
    /// User level can read the performance counters.
    pub const COUNTERS: u64 = 1 << 8;
    /// FXSAVE and SSE.
    pub const SAVE: u64 = 1 << 9;
    /// SSE reports by exceptions.
    pub const NUMERIC: u64 = 1 << 10;
    /// User level cannot read where descriptor tables lie.
    pub const NO_USER_DESCRIPTORS: u64 = 1 << 11;
    /// Instructions for the bases of fs and gs.
    pub const BASES: u64 = 1 << 16;
    /// XSAVE.
    pub const EXTENDED_SAVE: u64 = 1 << 18;
    /// The supervisor cannot execute user level's pages.
    pub const NO_USER_EXECUTION: u64 = 1 << 20;
    /// The supervisor cannot access user level's pages.
    pub const NO_USER_ACCESS: u64 = 1 << 21;
}

/// Reads control register 0.
fn control0() -> u64 {
    #[cfg(target_os = "none")]
    {
        let value: u64;
        // SAFETY: reading it has no effect.
        unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }
    #[cfg(not(target_os = "none"))]
    model::read("cr0")
}

/// Writes control register 0.
fn set_control0(value: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: paging and protection stay as they are: callers change the bits of the FPU and those in `initialise`.
    unsafe {
        asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags));
    }
    #[cfg(not(target_os = "none"))]
    model::set("cr0", value);
}

/// Brings the processor into the state that the kernel and the interface want, with the FPU closed.
#[cfg(target_os = "none")]
pub fn initialise(features: Features) {
    /// The page attribute table: write-back, write-through, uncached unless combining, uncached, combining; and for the
    /// indexes that the interface does not have, the first four without combining.
    const PAGE_ATTRIBUTES: u64 = 0x0007_0401_0007_0406;
    /// The flags that a call clears.
    const CALL_FLAGS: u64 =
        flag::TRAP | flag::INTERRUPT | flag::DIRECTION | flag::IO_LEVEL | flag::NESTED | flag::ALIGNMENT;
    use control4::*;
    let optional = [
        (features.global_pages, GLOBAL_PAGES),
        (Options::BUILD.export_pmu, COUNTERS),
        (features.no_user_descriptors, NO_USER_DESCRIPTORS),
        (features.bases, BASES),
        (features.extended_save, EXTENDED_SAVE),
        (features.no_user_execution, NO_USER_EXECUTION),
        (features.no_user_access, NO_USER_ACCESS),
    ];
    let always = WIDE_ENTRIES | SAVE | NUMERIC;
    let wanted = optional.iter().filter(|(has, _)| *has).fold(always, |bits, (_, bit)| bits | bit);
    // SAFETY: the processor has what is switched on, and the kernel does nothing that is forbidden then (3). Paging stays
    // as it is, and what is switched off nobody uses.
    unsafe { asm!("mov cr4, {}", in(reg) wanted, options(nostack, preserves_flags)) };
    set_control0(control0() & !control0::UNWANTED | control0::WANTED | control0::CLOSED);
    write_msr(msr::PAGE_ATTRIBUTES, PAGE_ATTRIBUTES);
    write_msr(msr::OTHER_CALL_SEGMENTS, 0);
    write_msr(msr::CALL_FLAGS, CALL_FLAGS);
    if features.extended_save {
        // SAFETY: the processor has the register, which takes the state of x87 and SSE.
        unsafe {
            asm!("xsetbv", in("ecx") 0, in("eax") EXTENDED_STATE, in("edx") 0, options(nomem, nostack, preserves_flags));
        }
        EXTENDED_SAVE_IN_USE.store(true, core::sync::atomic::Ordering::Relaxed);
    }
}

// --- time ------------------------------------------------------------------------------------------------------

/// The counter of time.
#[inline(always)]
pub fn counter() -> u64 {
    #[cfg(target_os = "none")]
    {
        let (low, high): (u32, u32);
        // SAFETY: reading the counter has no effect.
        unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags)) };
        u64::from(high) << 32 | u64::from(low)
    }
    #[cfg(not(target_os = "none"))]
    model::read("tsc")
}

// --- interrupts ------------------------------------------------------------------------------------------------

/// The vector of an interrupt that was taken in the kernel, where one is waited for; 0 for none.
#[cfg(target_os = "none")]
fn noted_vector() -> Option<u8> {
    // SAFETY: only `keel_trap` writes the word, and not now (1).
    let vector = unsafe { core::ptr::replace(&raw mut trap::keel_vector, 0) };
    (vector != 0).then_some(vector as u8)
}

/// Lets an interrupt come behind an instruction. It runs the first stub, or one that is no longer, and what is behind it.
#[cfg(target_os = "none")]
macro_rules! let_interrupt_come {
    ($instruction:literal) => {
        asm!(
            "2:",
            ".pushsection .keel.bounds, \"\"",
            ".8byte 2b, {trap}, keel_stubs, 0, 0",
            ".8byte 2b, {trap}, keel_trap, {stack_bytes}, 0",
            ".popsection",
            ".rept {place}",
            "nop",
            ".endr",
            "sti",
            $instruction,
            "cli",
            trap = const keel_bounds::kind::TRAP,
            place = const keel_bounds::PLACE,
            stack_bytes = const trap::NOTING_BYTES,
        )
    };
}

/// The most urgent interrupt that waits to be taken, or was taken while the kernel slept.
#[cfg(target_os = "none")]
pub fn fetch_interrupt() -> Option<u8> {
    noted_vector().or_else(|| {
        // SAFETY: interrupts come after the `nop`, and do nothing but note their vector and mask interrupts again.
        unsafe { let_interrupt_come!("nop") };
        noted_vector()
    })
}

/// The most urgent interrupt: what the model has.
#[cfg(not(target_os = "none"))]
pub fn fetch_interrupt() -> Option<u8> {
    let vector = model::read("vector");
    model::set("vector", 0);
    (vector != 0).then_some(vector as u8)
}

/// Sleeps until an interrupt comes, and takes it: [`fetch_interrupt`] tells which.
pub fn wait_for_interrupt() {
    #[cfg(target_os = "none")]
    // SAFETY: as for `fetch_interrupt`; none comes between the first two instructions.
    unsafe {
        let_interrupt_come!("hlt");
    }
}

// --- address spaces --------------------------------------------------------------------------------------------

/// Makes the table at physical address `root` the address space, and forgets all translations that are not the kernel's.
#[inline(always)]
pub fn load_space(root: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: the kernel is mapped in each root table (2).
    unsafe {
        asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags));
    }
    #[cfg(not(target_os = "none"))]
    {
        model::set("cr3", root);
        model::execute("mov cr3", root);
    }
}

/// Forgets the cached translations of the page at `address`, of any size, in the address space that is in use.
pub fn forget_page(address: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: only caches change.
    unsafe {
        asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags));
    }
    #[cfg(not(target_os = "none"))]
    model::execute("invlpg", address);
}

// --- threads ---------------------------------------------------------------------------------------------------

/// Loads the selectors of data segments with what they are for a new thread: nothing. This sets the bases of fs and gs to
/// 0, or leaves them as they are.
#[inline(always)]
pub fn forget_selectors() {
    #[cfg(target_os = "none")]
    // SAFETY: in 64-bit mode these segments are not used but for their bases, and those not by the kernel (5).
    unsafe {
        asm!("mov ds, {0:x}", "mov es, {0:x}", "mov fs, {0:x}", "mov gs, {0:x}", in(reg) 0,
            options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(target_os = "none"))]
    for segment in ["ds", "es", "fs", "gs"] {
        model::set(segment, 0);
    }
}

/// Sets the bases of fs and gs, which are canonical, on a processor with instructions for them.
#[inline(always)]
pub fn load_bases(fs: u64, gs: u64) {
    #[cfg(target_os = "none")]
    // SAFETY: the kernel uses neither (5).
    unsafe {
        asm!("wrfsbase {}", "wrgsbase {}", in(reg) fs, in(reg) gs, options(nostack, preserves_flags));
    }
    #[cfg(not(target_os = "none"))]
    {
        load_fs_base(fs);
        load_gs_base(gs);
    }
}

/// Sets the base of fs, which is canonical, on any processor.
#[inline(always)]
pub fn load_fs_base(base: u64) {
    write_msr(msr::FS_BASE, base);
}

/// Sets the base of gs, which is canonical, on any processor.
#[inline(always)]
pub fn load_gs_base(base: u64) {
    write_msr(msr::GS_BASE, base);
}

/// The state components that XSAVE saves: x87 and SSE.
#[cfg(target_os = "none")]
const EXTENDED_STATE: u32 = 3;

/// Whether XSAVE is used instead of FXSAVE. Written once, before there are threads.
#[cfg(target_os = "none")]
static EXTENDED_SAVE_IN_USE: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// A word that neither FXSAVE nor XSAVE writes (volume 1, section 10.5.1): not zero in a state that was saved.
const SAVED_MARK: usize = 464 / 8;

/// What the FPU has before a thread has used it: all zero but for the two control words, which mask exceptions.
static INITIAL_STATE: FpuState = {
    let mut state = FpuState([0; _]);
    state.0[0] = 0x037f;
    state.0[3] = 0x1f80;
    state
};

/// The FPU of this processor.
pub struct Processor;

impl Fpu for Processor {
    fn open(open: bool) {
        if !open {
            set_control0(control0() | control0::CLOSED);
            return;
        }
        #[cfg(target_os = "none")]
        // SAFETY: only user level uses the FPU (4).
        unsafe {
            asm!("clts", options(nomem, nostack, preserves_flags));
        }
        #[cfg(not(target_os = "none"))]
        set_control0(control0() & !control0::CLOSED);
    }

    fn save(state: &mut FpuState) {
        let before = control0();
        Self::open(true);
        #[cfg(target_os = "none")]
        {
            let address = state.0.as_mut_ptr();
            if EXTENDED_SAVE_IN_USE.load(core::sync::atomic::Ordering::Relaxed) {
                // SAFETY: writes 576 bytes, which `state` has, aligned to 64; the FPU is open.
                unsafe {
                    asm!("xsave64 [{}]", in(reg) address, in("eax") EXTENDED_STATE, in("edx") 0,
                        options(nostack, preserves_flags));
                }
            } else {
                // SAFETY: writes 512 bytes, as above.
                unsafe { asm!("fxsave64 [{}]", in(reg) address, options(nostack, preserves_flags)) };
            }
        }
        #[cfg(not(target_os = "none"))]
        model::save_fpu(state);
        state.0[SAVED_MARK] = 1;
        set_control0(before);
    }

    fn load(state: &FpuState) {
        let state = if state.0[SAVED_MARK] == 0 { &INITIAL_STATE } else { state };
        let before = control0();
        Self::open(true);
        #[cfg(target_os = "none")]
        {
            let address = state.0.as_ptr();
            if EXTENDED_SAVE_IN_USE.load(core::sync::atomic::Ordering::Relaxed) {
                // SAFETY: reads 576 bytes that `save` has written, or that mean the initial state: so it finds no
                // reserved bits set. No kernel code uses the registers (4), and the FPU is open.
                unsafe {
                    asm!("xrstor64 [{}]", in(reg) address, in("eax") EXTENDED_STATE, in("edx") 0,
                        options(nostack, preserves_flags, readonly));
                }
            } else {
                // SAFETY: reads 512 bytes, as above.
                unsafe {
                    asm!("fxrstor64 [{}]", in(reg) address, options(nostack, preserves_flags, readonly))
                };
            }
        }
        #[cfg(not(target_os = "none"))]
        model::load_fpu(state);
        set_control0(before);
    }
}

// FXSAVE's area and XSAVE's header.
const _: () = assert!(size_of::<FpuState>() == 576 && align_of::<FpuState>() == 64);

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
                asm!("mov {:e}, [{}]", out(reg) value, in(reg) register, options(nostack, preserves_flags))
            };
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
            asm!("mov [{}], {:e}", in(reg) register, in(reg) value, options(nostack, preserves_flags));
        }
        #[cfg(not(target_os = "none"))]
        model::write_device(register, value);
    }
}

/// How much is read from a port, or written to one, at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// 8 bits.
    Byte = 1,
    /// 16 bits.
    Half = 2,
    /// 32 bits.
    Word = 4,
}

/// Reads from a port.
pub fn read_port(port: u16, width: Width) -> u32 {
    #[cfg(target_os = "none")]
    // SAFETY: what a device does is the caller's matter; the instruction itself touches no memory of Rust's.
    unsafe {
        let value: u32;
        match width {
            Width::Byte => {
                asm!("in al, dx", "movzx eax, al", in("dx") port, out("eax") value, options(nostack))
            }
            Width::Half => {
                asm!("in ax, dx", "movzx eax, ax", in("dx") port, out("eax") value, options(nostack))
            }
            Width::Word => asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack)),
        }
        value
    }
    #[cfg(not(target_os = "none"))]
    {
        let _ = width;
        model::read_device(port.into())
    }
}

/// Writes to a port.
pub fn write_port(port: u16, width: Width, value: u32) {
    #[cfg(target_os = "none")]
    // SAFETY: as for `read_port`.
    unsafe {
        match width {
            Width::Byte => asm!("out dx, al", in("dx") port, in("al") value as u8, options(nostack)),
            Width::Half => asm!("out dx, ax", in("dx") port, in("ax") value as u16, options(nostack)),
            Width::Word => asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack)),
        }
    }
    #[cfg(not(target_os = "none"))]
    {
        let _ = width;
        model::write_device(port.into(), value);
    }
}

/// Waits for ever.
pub fn stop() -> ! {
    #[cfg(not(target_os = "none"))]
    panic!("the machine is switched off");
    #[cfg(target_os = "none")]
    loop {
        // SAFETY: interrupts are masked (1): this ends with a reset at most.
        unsafe { asm!("hlt", options(nostack, preserves_flags)) };
    }
}
