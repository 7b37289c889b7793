// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit RISC-V.

mod cases;
mod code;
mod line;

use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use dtoolkit::{Node, Property};
use keel::{
    Result,
    boot::Root,
    cap::{Blueprint, CPtr, Registers},
};
use keel_abi::{
    config::Options,
    invocations::Architectures,
    riscv64::{
        cap_type,
        memory::{LAST_PAGE, attribute},
        registers::Register,
    },
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
pub const EXEMPT: &[Exemption] = &[
    without_triggers("ARCHIRQIssueIRQHandlerTrigger/success"),
    without_triggers("ARCHIRQIssueIRQHandlerTrigger/RangeError"),
    without_triggers("ARCHIRQIssueIRQHandlerTrigger/RevokeFirst"),
    without_triggers("ARCHIRQIssueIRQHandlerTrigger/FailedLookup"),
    without_triggers("ARCHIRQIssueIRQHandlerTrigger/DeleteFirst"),
];

const fn without_triggers(rows: &'static str) -> Exemption {
    let applies = |_: &Options| true;
    Exemption { rows, applies, reason: "triggers cannot be set with this interrupt controller" }
}

/// The architecture whose rows are to be seen.
pub const ARCHITECTURE: Architectures = Architectures::RISCV64;
/// How the names of its own invocations begin.
pub const PREFIX: &str = "RISCV";

/// The paging structures from the root down.
pub const TABLES: [Table; 2] = [table(30), table(21)];

const fn table(span: u64) -> Table {
    Table {
        blueprint: Blueprint::PageTable,
        map: "RISCVPageTableMap",
        unmap: "RISCVPageTableUnmap",
        occupied: "RISCVPageTableMap/DeleteFirst#7",
        span,
    }
}

/// The first address that tables cannot be mapped for.
pub const TABLES_END: u64 = 0x3f_ffff_f000;

/// Whether a paging structure becomes a root by an identifier.
pub const TABLES_ARE_ROOTS: bool = true;

/// Rows of PageMap.
pub mod page_map {
    /// The root has no identifier.
    pub const NO_ROOT: &str = "RISCVPageMap/InvalidCapability#2";
    /// The identifier leads nowhere.
    pub const NOWHERE: &str = "RISCVPageMap/FailedLookup.InvalidRoot#3";
    /// The identifier leads to another root.
    pub const OTHER_ROOT: &str = "RISCVPageMap/InvalidCapability#4";
    /// The page ends beyond the addresses of user level.
    pub const BEYOND: &str = "RISCVPageMap/InvalidArgument#5";
    /// The address is not aligned.
    pub const MISALIGNED: &str = "RISCVPageMap/AlignmentError#6";
    /// The capability is mapped in another space.
    pub const OTHER_SPACE: &str = "RISCVPageMap/InvalidCapability#8";
    /// The capability is mapped at another address.
    pub const OTHER_ADDRESS: &str = "RISCVPageMap/InvalidArgument#9";
    /// Something else is mapped at the address.
    pub const OCCUPIED: &str = "RISCVPageMap/DeleteFirst#10";

    /// A table is in the way of a large page, and the words of that error.
    pub const TABLE_IN_THE_WAY: (&str, &[u64]) = (level(12), &[0, 2, 12]);

    /// The walk ends at an entry with this span, which is not the page's.
    pub const fn level(_span: u64) -> &'static str {
        "RISCVPageMap/FailedLookup.MissingCapability#7"
    }
}

/// Attributes of ordinary memory that can be executed.
pub const NORMAL: u64 = attribute::DEFAULT;
/// Attributes of ordinary memory that cannot, if there are any.
pub const NOT_EXECUTABLE: Option<u64> = Some(attribute::EXECUTE_NEVER);
/// Attributes of device memory.
pub const DEVICE: u64 = attribute::EXECUTE_NEVER;

/// Addresses where cases may map.
pub const FREE_ADDRESSES: Range<u64> = 0x20_0000_0000..LAST_PAGE;
/// Addresses that no thread may use.
pub const KERNEL_ADDRESSES: [u64; 4] =
    [0xffff_ffc0_8020_0000, 0xffff_ffff_8000_0000, 0xffff_ffff_ffff_f000, 1 << 38];

/// A page of device memory that the cases may use: the first of QEMU's virtio transports.
pub const DEVICE_PADDR: u64 = 0x1000_1000;
/// Its first 32 bits: "virt".
pub const DEVICE_WORD: u64 = 0x7472_6976;
/// A GiB of physical addresses where nothing is.
pub const EMPTY_PADDR: u64 = 0x20_0000_0000;

/// An interrupt that no device has, with more such ones behind it.
pub const SPARE_IRQ: u64 = 60;
/// The first interrupt.
pub const FIRST_IRQ: u64 = 1;

/// The interrupt of the kernel's timer, on a machine with interrupts up to `last`.
pub fn timer_irq(last: u64) -> u64 {
    last
}

/// Registers that code works on.
pub const R0: Register = Register::A0;
/// See [`R0`].
pub const R1: Register = Register::A1;
/// See [`R0`].
pub const R2: Register = Register::A2;
/// A register that no code uses.
pub const UNUSED: Register = Register::S11;
/// Where [`exclusive`] takes the address, and gives whether the store failed.
pub const EXCLUSIVE: Option<(Register, Register)> = Some((Register::T1, Register::T3));
/// The register of flags, and the flags that user level chooses.
pub const FLAGS: Option<(Register, u64)> = None;
/// Registers of which the interface does not say whether CopyRegisters copies them.
pub const NOT_COPIED: &[Register] = &[];

/// Registers that a system call does not keep.
pub const CLOBBERED: &[Register] = &[];
/// How many levels of IO page tables the boot information tells.
pub const IO_TABLE_LEVELS: u64 = 0;
/// Whether the capability for time is in the first slot that has no fixed content.
pub const TIME_COMES_FIRST: bool = false;

/// Registers of which each could hold anything: each can.
pub fn legal(registers: Registers, _seed: u64) -> Registers {
    registers
}

/// What a register holds to which `written` was written, and what it holds by `now`, as far as the interface
/// says.
pub fn visible(_register: Register, written: u64, now: u64) -> (u64, u64) {
    (written, now)
}

/// Whether this word of a message stands for the address behind the instruction.
pub fn is_next_pc(_register: Register) -> bool {
    false
}

/// Numbers of UserExceptions: scause.
pub mod exception {
    /// Of an undefined instruction.
    pub const UNDEFINED: u64 = 2;
    /// Of [`super::breakpoint`].
    pub const BREAKPOINT: u64 = 3;
    /// Of [`super::kernel_register`].
    pub const FORBIDDEN: u64 = UNDEFINED;
    /// Of an instruction of the FPU where it is disabled.
    pub const NO_FPU: u64 = UNDEFINED;
}

/// What a VMFault says of its cause: which bits, and what they are.
pub fn fault_status(access: Access, _reason: Reason) -> (u64, u64) {
    let status = match access {
        Access::Load => 5,
        Access::Store => 7,
        Access::Fetch => 1,
    };
    (u64::MAX, status)
}

/// System calls that only this architecture has.
pub const OWN_CALLS: &[i64] = &[];

/// Slots of initial capabilities that other machines have.
pub const ABSENT_SLOTS: &[u64] =
    &[slot::IO_PORT_CONTROL, slot::IO_SPACE, slot::SMMU_SID_CONTROL, slot::SMMU_CB_CONTROL, slot::SMC];

/// Capabilities that only this machine has, and their numbers for DebugCapIdentify.
pub fn own_caps(t: &mut Tester) -> Outcome<[(CPtr, u64); 2]> {
    Ok([(t.make(Blueprint::PageTable)?, cap_type::PAGE_TABLE), (t.vspace()?, cap_type::PAGE_TABLE)])
}

/// Ticks of the counter in a second, which user level cannot ask the processor for.
static TICKS_PER_SECOND: AtomicU64 = AtomicU64::new(1);

/// Ticks of the counter in a second.
pub fn ticks_per_second() -> u64 {
    TICKS_PER_SECOND.load(Ordering::Relaxed)
}

/// Finds the counter's frequency and the device that raises interrupts.
pub fn prepare(root: &mut Root) -> Result {
    let tree = root.device_tree().ok_or("there is no device tree")?;
    let processors = tree.find_node("/cpus").ok_or("the device tree shows no processor")?;
    let frequency = processors.property("timebase-frequency").and_then(|value| value.value_as::<u32>().ok());
    let frequency = frequency.ok_or("the device tree does not tell the frequency of the counter")?;
    TICKS_PER_SECOND.store(frequency.into(), Ordering::Relaxed);
    line::prepare(root)
}
