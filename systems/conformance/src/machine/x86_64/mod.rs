// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit x86.

mod cases;
mod code;
mod line;

use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use keel::{
    Result,
    boot::Root,
    cap::{Blueprint, CPtr, Registers},
};
use keel_abi::{
    bootinfo::extra,
    config::Options,
    invocations::Architectures,
    slot,
    x86_64::{
        cap_type, label,
        memory::{LAST_PAGE, attribute},
        registers::Register,
    },
};

use super::{Access, Exemption, Reason, Table};
use crate::{
    cases::Case,
    check::Outcome,
    invoke::accepts,
    tester::{CNODE, DEPTH, Tester},
};
pub use code::*;
pub use line::Line;

/// The cases that only this architecture has.
pub const THEMES: &[&[Case]] = cases::THEMES;
/// Why the call for interrupts by number never gets past its second check.
const NO_NUMBERS: &str = "lines and messages of this machine have calls of their own";
/// The rows that no case can see.
pub const EXEMPT: &[Exemption] = &[
    Exemption { rows: "IRQIssueIRQHandler/success", applies: |_| true, reason: NO_NUMBERS },
    Exemption { rows: "IRQIssueIRQHandler/RevokeFirst#5", applies: |_| true, reason: NO_NUMBERS },
    Exemption { rows: "IRQIssueIRQHandler/FailedLookup", applies: |_| true, reason: NO_NUMBERS },
    Exemption { rows: "IRQIssueIRQHandler/RangeError#6", applies: |_| true, reason: NO_NUMBERS },
    Exemption { rows: "IRQIssueIRQHandler/DeleteFirst#7", applies: |_| true, reason: NO_NUMBERS },
    Exemption {
        rows: "ARCHIRQIssueIRQHandlerIOAPIC/IllegalOperation#7",
        applies: |_| true,
        reason: "this machine has a controller of lines",
    },
    Exemption {
        rows: "ARCHIOSpaceUnknownLabel",
        applies: |_| true,
        reason: "this machine has no unit for the accesses of devices",
    },
    Exemption {
        rows: "ARCHIOPageTable",
        applies: |_| true,
        reason: "this machine has no unit for the accesses of devices",
    },
    Exemption {
        rows: "ARCHPageMapIO",
        applies: |_| true,
        reason: "this machine has no unit for the accesses of devices",
    },
    Exemption {
        rows: "ARCHPageMap/IllegalOperation#4",
        applies: |_| true,
        reason: "this machine has no unit for the accesses of devices",
    },
];

/// The architecture whose rows are to be seen.
pub const ARCHITECTURE: Architectures = Architectures::X86_64;
/// How the names of its own invocations begin.
pub const PREFIX: &str = "X86";

/// The paging structures from the root down.
pub const TABLES: [Table; 3] = [
    Table {
        blueprint: Blueprint::PageDirectoryPointerTable,
        map: "X86PDPTMap",
        unmap: "X86PDPTUnmap",
        occupied: "X86PDPTMap/DeleteFirst#7",
        span: 39,
    },
    Table {
        blueprint: Blueprint::PageDirectory,
        map: "X86PageDirectoryMap",
        unmap: "X86PageDirectoryUnmap",
        occupied: "X86PageDirectoryMap/DeleteFirst#8",
        span: 30,
    },
    Table {
        blueprint: Blueprint::PageTable,
        map: "X86PageTableMap",
        unmap: "X86PageTableUnmap",
        occupied: "X86PageTableMap/DeleteFirst#9",
        span: 21,
    },
];

/// The first address that tables cannot be mapped for.
pub const TABLES_END: u64 = 0x8000_0000_0000;

/// Whether a paging structure becomes a root by an identifier.
pub const TABLES_ARE_ROOTS: bool = false;

/// Rows of PageMap.
pub mod page_map {
    /// The root has no identifier.
    pub const NO_ROOT: &str = "X86PageMap/InvalidCapability#2";
    /// The capability is mapped in another space.
    pub const OTHER_SPACE: &str = "X86PageMap/InvalidCapability#3";
    /// The capability is mapped at another address.
    pub const OTHER_ADDRESS: &str = "X86PageMap/InvalidArgument#5";
    /// The page ends beyond the addresses of user level.
    pub const BEYOND: &str = "X86PageMap/InvalidArgument#6";
    /// The identifier leads nowhere.
    pub const NOWHERE: &str = "X86PageMap/FailedLookup.InvalidRoot#7";
    /// The identifier leads to another root.
    pub const OTHER_ROOT: &str = "X86PageMap/InvalidCapability#8";
    /// The address is not aligned.
    pub const MISALIGNED: &str = "X86PageMap/AlignmentError#9";
    /// A table is in the way of a large page, and the words of that error.
    pub const TABLE_IN_THE_WAY: (&str, &[u64]) = ("X86PageMap/DeleteFirst#13", &[]);

    /// The walk ends at an entry with this span, which is not the page's.
    pub const fn level(span: u64) -> &'static str {
        match span {
            39 => "X86PageMap/FailedLookup.MissingCapability#10",
            30 => "X86PageMap/FailedLookup.MissingCapability#11",
            _ => "X86PageMap/FailedLookup.MissingCapability#12",
        }
    }
}

/// Attributes of ordinary memory that can be executed.
pub const NORMAL: u64 = attribute::DEFAULT;
/// Attributes of ordinary memory that cannot, if there are any.
pub const NOT_EXECUTABLE: Option<u64> = None;
/// Attributes of device memory.
pub const DEVICE: u64 = attribute::UNCACHEABLE;

/// Addresses where cases may map.
pub const FREE_ADDRESSES: Range<u64> = 0x100_0000_0000..LAST_PAGE;
/// Addresses that no thread may use.
pub const KERNEL_ADDRESSES: [u64; 4] =
    [0xffff_8000_0000_0000, 0xffff_ff80_4000_0000, 0xffff_ffff_8010_0000, 0xffff_ffff_ffff_f000];

/// A page of device memory that the cases may use: the event timer (Intel HPET).
pub const DEVICE_PADDR: u64 = 0xfed0_0000;
/// Its first 32 bits: who made it, and how many timers it has.
pub const DEVICE_WORD: u64 = 0x8086_a201;
/// A GiB of physical addresses where nothing is.
pub const EMPTY_PADDR: u64 = 0x20_0000_0000;

/// An interrupt that no device has, with more such ones behind it.
pub const SPARE_IRQ: u64 = 60;

/// The invocation by which an interrupt gets its handler.
pub const ISSUE: &str = "X86IRQIssueIRQHandlerIOAPIC";
/// Its row where the interrupt has one.
pub const ISSUE_IN_USE: &str = "X86IRQIssueIRQHandlerIOAPIC/RevokeFirst#4";

/// The words of [`ISSUE`], but for those of the slot, in their places. Pins are those that no device has, but
/// for the timer's.
pub fn issue(irq: u64, slot: u64) -> [u64; 7] {
    let pin = if irq == Line::IRQ { line::PIN } else { 5 };
    [slot, DEPTH, 0, pin, u64::from(irq == Line::IRQ), 0, irq]
}

/// Registers that code works on.
pub const R0: Register = Register::Rdi;
/// See [`R0`].
pub const R1: Register = Register::Rsi;
/// See [`R0`].
pub const R2: Register = Register::Rdx;
/// A register that no code uses.
pub const UNUSED: Register = Register::R14;
/// The register of flags, and the flags that user level chooses.
pub const FLAGS: Option<(Register, u64)> = Some((Register::Rflags, 0xcd5));
/// Registers of which the interface does not say whether CopyRegisters copies them.
pub const NOT_COPIED: &[Register] = &[Register::FsBase, Register::GsBase];
/// Registers that a system call does not keep.
pub const CLOBBERED: &[Register] = &[Register::Rcx, Register::R11, Register::Rsp];

/// How many levels of IO page tables the boot information tells: there is no unit.
pub const IO_TABLE_LEVELS: u64 = if Options::BUILD.x86_iommu { 0 } else { u64::MAX };
/// Whether the capability for time is in the first slot that has no fixed content.
pub const TIME_COMES_FIRST: bool = true;
/// Where [`exclusive`] takes the address, and gives whether the store failed: there are no such stores.
pub const EXCLUSIVE: Option<(Register, Register)> = None;

/// Registers of which each could hold anything, made such that they can: with flags and bases that differ by
/// `seed`.
pub fn legal(registers: Registers, seed: u64) -> Registers {
    let flags = [0x1, 0x4, 0x40, 0x80, 0x800, 0x45, 0x881][seed as usize % 7];
    registers
        .with(Register::Rflags, flags | 0x202)
        .with(Register::FsBase, 0x5a5a_0000 | seed << 12)
        .with(Register::GsBase, 0x3c3c_0000 | seed << 12)
}

/// What a register holds to which `written` was written, and what it holds by `now`, as far as the interface
/// says: of the flags those of user level, with interrupts on; addresses that are none become 0.
pub fn visible(register: Register, written: u64, now: u64) -> (u64, u64) {
    const FIXED: u64 = 1 << 1 | 1 << 9;
    match register {
        Register::Rflags => (written & 0xcd5 | FIXED, now),
        Register::Rip | Register::FsBase | Register::GsBase => {
            let is_address = ((written << 16) as i64 >> 16) as u64 == written;
            (if is_address { written } else { 0 }, now)
        }
        _ => (written, now),
    }
}

/// Whether this word of a message stands for the address behind the instruction.
pub fn is_next_pc(_register: Register) -> bool {
    false
}

/// Numbers of UserExceptions: vectors.
pub mod exception {
    /// Of an undefined instruction.
    pub const UNDEFINED: u64 = 6;
    /// Of [`super::breakpoint`].
    pub const BREAKPOINT: u64 = 13;
    /// Of [`super::kernel_register`].
    pub const FORBIDDEN: u64 = 13;
    /// Of an instruction of the FPU where it is disabled.
    pub const NO_FPU: u64 = 7;
}

/// What a VMFault says of its cause: which bits, and what they are.
pub fn fault_status(access: Access, reason: Reason) -> (u64, u64) {
    const PRESENT: u64 = 1 << 0;
    const USER: u64 = 1 << 2;
    let access = match access {
        Access::Load => 0,
        Access::Store => 1 << 1,
        Access::Fetch => 1 << 4,
    };
    match reason {
        Reason::Nothing => (u64::MAX, USER | access),
        Reason::Rights => (u64::MAX, USER | PRESENT | access),
        Reason::Kernel => (!PRESENT, USER | access),
    }
}

/// System calls that only this architecture has.
pub const OWN_CALLS: &[i64] = &[keel_abi::syscall::SET_TLS_BASE];

/// Slots of initial capabilities that other machines have.
pub const ABSENT_SLOTS: &[u64] = &[slot::IO_SPACE, slot::SMMU_SID_CONTROL, slot::SMMU_CB_CONTROL, slot::SMC];

/// Capabilities that only this machine has, and their numbers for DebugCapIdentify.
pub fn own_caps(t: &mut Tester) -> Outcome<[(CPtr, u64); 6]> {
    let (control, ports) = (CPtr::new(slot::IO_PORT_CONTROL), t.slot()?);
    accepts("X86IOPortControlIssue", control, &[0x80, 0x80, ports.bits(), DEPTH], &[CNODE])?;
    Ok([
        (t.make(Blueprint::PageTable)?, cap_type::PAGE_TABLE),
        (t.make(Blueprint::PageDirectory)?, cap_type::PAGE_DIRECTORY),
        (t.make(Blueprint::PageDirectoryPointerTable)?, cap_type::PDPT),
        (t.make(Blueprint::VSpace)?, cap_type::PML4),
        (control, cap_type::IO_PORT_CONTROL),
        (ports, cap_type::IO_PORT),
    ])
}

/// Ticks of the counter in a second, which user level cannot ask the processor for.
static TICKS_PER_SECOND: AtomicU64 = AtomicU64::new(1);

/// Ticks of the counter in a second.
pub fn ticks_per_second() -> u64 {
    TICKS_PER_SECOND.load(Ordering::Relaxed)
}

/// Finds the counter's frequency.
pub fn prepare(root: &mut Root) -> Result {
    let chunk = root.extra(extra::X86_TSC_FREQ).and_then(|chunk| chunk.first_chunk());
    let mhz = chunk.map(|&bytes| u32::from_le_bytes(bytes));
    let mhz = mhz.ok_or("the boot information does not tell the frequency of the counter")?;
    TICKS_PER_SECOND.store(u64::from(mhz) * 1_000_000, Ordering::Relaxed);
    Ok(())
}
