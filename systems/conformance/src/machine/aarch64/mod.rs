// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit Arm.

mod cases;
mod code;
mod line;

use core::ops::Range;

use keel::{
    Result,
    boot::Root,
    cap::{Blueprint, CPtr, Registers},
};
use keel_abi::{
    aarch64::{cap_type, memory::attribute, registers::Register},
    invocations::Architectures,
    slot,
};

pub use super::numbered::{ISSUE, ISSUE_IN_USE, issue};
use super::{Access, Exemption, Reason, Table};
use crate::{cases::Case, check::Outcome, tester::Tester};
pub use code::*;
pub use line::Line;

/// The cases that only this architecture has.
pub const THEMES: &[&[Case]] = cases::THEMES;
/// The rows that no case can see.
pub const EXEMPT: &[Exemption] = &[];

/// The architecture whose rows are to be seen.
pub const ARCHITECTURE: Architectures = Architectures::AARCH64;
/// How the names of its own invocations begin.
pub const PREFIX: &str = "ARM";

/// The paging structures from the root down.
pub const TABLES: [Table; 3] = [table(39), table(30), table(21)];

const fn table(span: u64) -> Table {
    Table {
        blueprint: Blueprint::PageTable,
        map: "ARMPageTableMap",
        unmap: "ARMPageTableUnmap",
        occupied: "ARMPageTableMap/DeleteFirst#7",
        span,
    }
}

/// The first address that tables cannot be mapped for.
pub const TABLES_END: u64 = 0x8000_0000_0000;

/// Whether a paging structure becomes a root by an identifier.
pub const TABLES_ARE_ROOTS: bool = false;

/// Rows of PageMap.
pub mod page_map {
    /// The root has no identifier.
    pub const NO_ROOT: &str = "ARMPageMap/InvalidCapability#2";
    /// The identifier leads nowhere.
    pub const NOWHERE: &str = "ARMPageMap/FailedLookup.InvalidRoot#3";
    /// The identifier leads to another root.
    pub const OTHER_ROOT: &str = "ARMPageMap/InvalidCapability#4";
    /// The address is not aligned.
    pub const MISALIGNED: &str = "ARMPageMap/AlignmentError#5";
    /// The capability is mapped in another space.
    pub const OTHER_SPACE: &str = "ARMPageMap/InvalidCapability#6";
    /// The capability is mapped at another address.
    pub const OTHER_ADDRESS: &str = "ARMPageMap/InvalidArgument#7";
    /// The page ends beyond the addresses of user level.
    pub const BEYOND: &str = "ARMPageMap/InvalidArgument#8";

    /// A table is in the way of a large page, and the words of that error.
    pub const TABLE_IN_THE_WAY: (&str, &[u64]) = (level(12), &[0, 2, 12]);

    /// The walk ends at an entry with this span, which is not the page's.
    pub const fn level(_span: u64) -> &'static str {
        "ARMPageMap/FailedLookup.MissingCapability#9"
    }
}

/// Attributes of ordinary memory that can be executed.
pub const NORMAL: u64 = attribute::DEFAULT;
/// Attributes of ordinary memory that cannot, if there are any.
pub const NOT_EXECUTABLE: Option<u64> = Some(attribute::DEFAULT | attribute::EXECUTE_NEVER);
/// Attributes of device memory.
pub const DEVICE: u64 = attribute::EXECUTE_NEVER;

/// Addresses where cases may map.
pub const FREE_ADDRESSES: Range<u64> = 0x100_0000_0000..0x7fff_ffff_f000;
/// Addresses that no thread may use.
pub const KERNEL_ADDRESSES: [u64; 4] =
    [0xffff_ff80_4000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_ffff_f000, 1 << 52];

/// A page of device memory that the cases may use: QEMU's virtio transports.
pub const DEVICE_PADDR: u64 = 0x0a00_0000;
/// Its first 32 bits: "virt".
pub const DEVICE_WORD: u64 = 0x7472_6976;
/// A GiB of physical addresses where nothing is.
pub const EMPTY_PADDR: u64 = 0x20_0000_0000;

/// An interrupt that no device has, with more such ones behind it.
pub const SPARE_IRQ: u64 = 150;
/// The first interrupt.
pub const FIRST_IRQ: u64 = 0;

/// The interrupt of the kernel's timer, on a machine with interrupts up to `last`.
pub fn timer_irq(_last: u64) -> u64 {
    27
}

/// Registers that code works on.
pub const R0: Register = Register::X0;
/// See [`R0`].
pub const R1: Register = Register::X1;
/// See [`R0`].
pub const R2: Register = Register::X2;
/// A register that no code uses.
pub const UNUSED: Register = Register::X28;
/// Where [`exclusive`] takes the address, and gives whether the store failed.
pub const EXCLUSIVE: Option<(Register, Register)> = Some((Register::X9, Register::X11));
/// The register of flags, and the flags that user level chooses: NZCV.
pub const FLAGS: Option<(Register, u64)> = Some((Register::Spsr, 0xf << 28));
/// Registers of which the interface does not say whether CopyRegisters copies them: the thread pointers are
/// integer registers by their place, but stay with their thread in some kernels.
pub const NOT_COPIED: &[Register] = &[Register::TpidrEl0, Register::TpidrroEl0];

/// Registers that a system call does not keep.
pub const CLOBBERED: &[Register] = &[];
/// How many levels of IO page tables the boot information tells.
pub const IO_TABLE_LEVELS: u64 = 0;
/// Whether the capability for time is in the first slot that has no fixed content.
pub const TIME_COMES_FIRST: bool = false;

/// Registers of which each could hold anything, made such that they can: with flags that differ by `seed`.
pub fn legal(registers: Registers, seed: u64) -> Registers {
    registers.with(Register::Spsr, ((seed + 1) & 0xf) << 28)
}

/// What a register holds to which `written` was written, and what it holds by `now`, as far as the interface
/// says: of SPSR the flags, and what the kernel gives all threads (EL0, FIQ masked; SError too, but not in
/// every kernel).
pub fn visible(register: Register, written: u64, now: u64) -> (u64, u64) {
    match register {
        Register::Spsr => (written & 0xf << 28 | 1 << 6, now & !(1 << 8)),
        _ => (written, now),
    }
}

/// Whether this word of a message stands for the address behind the instruction.
pub fn is_next_pc(register: Register) -> bool {
    register == Register::NextPc
}

/// Numbers of UserExceptions: ESR.
pub mod exception {
    /// Of an undefined instruction.
    pub const UNDEFINED: u64 = 0x0200_0000;
    /// Of [`super::breakpoint`].
    pub const BREAKPOINT: u64 = 0xf200_0007;
    /// Of [`super::kernel_register`].
    pub const FORBIDDEN: u64 = UNDEFINED;
    /// Of an instruction of the FPU where it is disabled.
    pub const NO_FPU: u64 = 0x1fe0_0000;
}

/// What a VMFault says of its cause: which bits, and what they are.
pub fn fault_status(access: Access, reason: Reason) -> (u64, u64) {
    const CLASS: u64 = 0x3f << 26;
    const KIND: u64 = 0x3c;
    const WRITE_NOT_READ: u64 = 1 << 6;
    let class = if access == Access::Fetch { 0x20 << 26 } else { 0x24 << 26 };
    let write = if access == Access::Store { WRITE_NOT_READ } else { 0 };
    let write_mask = if access == Access::Fetch { 0 } else { WRITE_NOT_READ };
    match reason {
        Reason::Nothing => (CLASS | KIND | write_mask, class | 0x04 | write),
        Reason::Rights => (CLASS | KIND | write_mask, class | 0x0c | write),
        Reason::Kernel => (CLASS | write_mask, class | write),
    }
}

/// System calls that only this architecture has.
pub const OWN_CALLS: &[i64] = &[];

/// Slots of initial capabilities that other machines have.
pub const ABSENT_SLOTS: &[u64] =
    &[slot::IO_PORT_CONTROL, slot::IO_SPACE, slot::SMMU_SID_CONTROL, slot::SMMU_CB_CONTROL];
/// Capabilities that only this machine has, and their numbers for DebugCapIdentify.
pub fn own_caps(t: &mut Tester) -> Outcome<[(CPtr, u64); 3]> {
    let sgi = cases::sgi(t, 1)?;
    Ok([
        (t.make(Blueprint::PageTable)?, cap_type::PAGE_TABLE),
        (t.make(Blueprint::VSpace)?, cap_type::VSPACE),
        (sgi, cap_type::SGI_SIGNAL),
    ])
}

/// Nothing has to be found out.
pub fn prepare(_root: &mut Root) -> Result {
    Ok(())
}
