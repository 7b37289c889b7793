// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a machine must provide.
//!
//! The portable kernel asks the machine for the meaning of saved registers, for the form of page table entries,
//! for interrupts and for the time, and tells it what to run. A machine has no say in policy: what a system call
//! means, what it checks and in which order is decided above, except for capabilities that only one machine has
//! ([`Arch::decode`]).
//!
//! A machine keeps its own state in `Self`. On the host there is [`crate::host::Host`], a model in plain Rust on
//! which the kernel's tests run.

use crate::Kernel;
use crate::cap::{Cap, RawCap, VmRights};
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::object::{Registers, Table, Tcb};
use crate::store::{Memory, Ref, Store};
use crate::units::{Asid, Irq, PhysAddr, Ticks, VirtAddr};
use core::ops::RangeInclusive;
use keel_abi::label;

/// What an entry of a page table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Nothing.
    Empty,
    /// A table of the level below.
    Table(PhysAddr),
    /// A page.
    Page(PhysAddr),
}

/// A kind of object that is made of memory of the machine's own shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MachineObject {
    /// A frame of this level.
    Frame(u8),
    /// A page table; the level is 0 where one type serves all levels.
    Table(u8),
    /// The root of an address space.
    VSpace,
}

/// How a trigger of an interrupt is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// Active while the line is.
    Level,
    /// Active once for each edge.
    Edge,
}

/// A check of Map of a page. Machines make them in different orders (`invocations.md` §10 to §12), which is seen
/// where a call has several faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageCheck {
    /// The address space's identifier stands for it.
    Space,
    /// The address is aligned to the page.
    Alignment,
    /// All of the page is user level's.
    Range,
    /// If the page is mapped already, then here.
    Place,
    /// The tables for a page of this size are there.
    Level,
}

/// Where the machine keeps registers in [`Registers`], and in which order the interface names them. Indexes into
/// `Registers`; the orders are those of `invocations.md` §5.1 and `errors-and-faults.md` §4 and §5.
pub struct RegisterMap {
    /// Capability in, badge out.
    pub capability: usize,
    /// Message info in and out.
    pub info: usize,
    /// The first four message words.
    pub message: [usize; 4],
    /// The reply capability.
    pub reply: usize,
    /// The destination of NBSendRecv.
    pub send_to: usize,
    /// The number of the system call.
    pub number: usize,
    /// Where the thread goes on when it next runs.
    pub next_pc: usize,
    /// The instruction that a restart repeats.
    pub restart_pc: usize,
    /// The first argument of a new program.
    pub argument: usize,
    /// The thread-local storage register.
    pub tls: usize,
    /// The registers of `UserContext`, in order.
    pub context: &'static [usize],
    /// How many of `context` are frame registers.
    pub frame_count: usize,
    /// The registers in an UnknownSyscall message, without the number.
    pub unknown_syscall: &'static [usize],
    /// How many of `unknown_syscall` a reply writes.
    pub unknown_syscall_reply: usize,
    /// The registers in a UserException message, without number and code.
    pub user_exception: &'static [usize],
    /// How many of `user_exception` a reply writes.
    pub user_exception_reply: usize,
    /// The registers that a reply to a Timeout writes.
    pub timeout_reply: &'static [usize],
}

/// The most levels of tables that a machine has.
pub const MAX_LEVELS: u8 = 4;

/// The most registers that a machine has in `UserContext` and in messages about faults.
pub const MAX_CONTEXT: usize = 36;

/// A machine.
pub trait Arch: Sized + 'static {
    /// How kernel addresses become memory.
    type Memory: Memory;
    /// An invocation of one of the machine's own capabilities, decoded.
    type Invocation: Copy;

    /// Kernel address − physical address in the kernel's window (`boot.md` §5.2).
    const PHYS_WINDOW: u64;
    /// Largest size of an untyped, log2 bytes (`objects.md` §2).
    const MAX_UNTYPED_BITS: u8;
    /// Number of object types, the first invalid one (`objects.md` §1).
    const OBJECT_TYPES: u64;
    /// Levels of tables from root to smallest page.
    const LEVELS: u8;
    /// The last address that user level may map (`memory.md` §2).
    const USER_TOP: u64;
    /// Number of ASID pools.
    const ASID_POOLS: usize;
    /// Registers.
    const REGISTERS: RegisterMap;
    /// Whether mapping a frame over another one is refused (DeleteFirst) or replaces it (`memory.md` §5).
    const REFUSE_OVERMAP: bool;
    /// The order in which Map of a page checks: all checks, each once.
    const PAGE_CHECKS: [PageCheck; 5];
    /// Whether a page table becomes the root of an address space by assigning an identifier to it, so that roots
    /// have no type of their own. A root is then a table that is mapped for good.
    const TABLES_ARE_ROOTS: bool;
    /// Whether the tables of each level have a type of their own, and are hooked in at that level alone.
    const TABLES_HAVE_LEVELS: bool = false;
    /// The attributes with which the root task's image is mapped: ordinary memory, executable (`boot.md` §3).
    const IMAGE_ATTRIBUTES: u64;
    /// The same for its IPC buffer and BootInfo: not executable where the machine can say so.
    const DATA_ATTRIBUTES: u64;
    /// Levels of tables for devices' accesses, as BootInfo tells them (`boot.md` §2).
    const IO_PAGE_TABLE_LEVELS: u64 = 0;
    /// Whether the root task's capabilities to the cores' time come before those to its tables (`boot.md` §1.1).
    const SCHED_CONTROL_FIRST: bool = false;
    /// Whether a thread can set its own thread-local storage register by a call (`syscalls.md` §13).
    const HAS_TLS_CALL: bool = false;

    // --- registers -------------------------------------------------------------------------------------------

    /// Makes the zeroed registers of a new thread those of a thread (`objects.md` §5).
    fn initialise(registers: &mut Registers);
    /// The value that lands in register `index` when a user writes `value` there (`invocations.md` §5.1).
    fn sanitise(index: usize, value: u64) -> u64;
    /// Called after registers of a thread other than by its own trap were written: its next exit restores all.
    fn written(_registers: &mut Registers) {}

    // --- time ------------------------------------------------------------------------------------------------

    /// The time now.
    fn now(&mut self) -> Ticks;
    /// Sets the one timer interrupt to come at `deadline`.
    fn set_deadline(&mut self, deadline: Ticks);
    /// Kilohertz of the timer: ticks = µs × kHz / 1000 (`scheduling.md` §2).
    fn timer_khz(&self) -> u64;

    // --- interrupts ------------------------------------------------------------------------------------------

    /// Whether an interrupt waits: the question at each preemption point.
    fn interrupt_pending(&mut self) -> bool;
    /// Takes the most urgent interrupt from the controller, if there is one.
    fn take_interrupt(&mut self) -> Option<TakenInterrupt>;
    /// Ends the handling of a taken interrupt that nobody has a handler of.
    fn end_interrupt(&mut self, irq: Irq);
    /// Ends the handling of a taken interrupt that has a handler: it does not come again until
    /// [`Self::ack_interrupt`].
    fn hold_interrupt(&mut self, irq: Irq);
    /// The handler has acknowledged `irq`: it may come again.
    fn ack_interrupt(&mut self, irq: Irq);
    /// Enables `irq` for a new handler, with a trigger where one was given.
    fn enable_interrupt(&mut self, irq: Irq, trigger: Option<Trigger>);
    /// Disables `irq`, which has no handler any more.
    fn disable_interrupt(&mut self, irq: Irq);
    /// Whether user level may have a handler of `irq` as far as the number goes; the error if not.
    fn check_irq(&self, irq: u64) -> Result<Irq, Error>;
    /// Whether the kernel keeps `irq` for itself.
    fn irq_reserved(&self, irq: Irq) -> bool;
    /// Whether triggers can be set.
    fn has_triggers(&self) -> bool;

    // --- address spaces --------------------------------------------------------------------------------------

    /// What the entry `raw` of a table at `level` holds.
    fn entry(raw: u64, level: u8) -> Entry;
    /// The entry for a table, with the attributes of its Map.
    fn table_entry(table: PhysAddr, attributes: u64) -> u64;
    /// The entry for a page of `level`.
    fn page_entry(page: PhysAddr, level: u8, rights: VmRights, attributes: u64) -> u64;
    /// Whether `entry` lets user level read and write.
    fn entry_is_writable(entry: u64) -> bool;
    /// Whether a thread can run in the address space of this capability (`invocations.md` §5.2).
    ///
    /// Where tables are roots any mapped one is taken; a thread whose table is no root has an empty address space.
    fn is_vspace_root(cap: &Cap) -> bool {
        match cap {
            Cap::VSpace(root) => root.asid != 0,
            Cap::Table(table) => Self::TABLES_ARE_ROOTS && table.mapping.is_some(),
            _ => false,
        }
    }
    /// Prepares a new root: kernel mappings where the machine keeps them in each root.
    fn initialise_root(&mut self, _store: &mut Store<Self>, _root: Ref<Table>) {}
    /// Makes a table entry that was written visible to the table walker.
    fn entry_written(&mut self, table: Ref<Table>, index: u64);
    /// Forgets cached translations of one page.
    fn flush_page(&mut self, asid: Asid, address: VirtAddr);
    /// Forgets cached translations of an address space.
    fn flush_asid(&mut self, asid: Asid);
    /// The address spaces with these identifiers (one, or a whole pool) have ended: their cached translations are
    /// forgotten, and if one of them is loaded, the empty one takes its place. A pool must not cost a round per
    /// identifier: forgetting everybody's translations is right then.
    fn forget_spaces(&mut self, asids: RangeInclusive<Asid>);
    /// Makes cleared memory of a new frame or table coherent for device, walker and instruction fetch.
    fn cleared(&mut self, physical: PhysAddr, bytes: u64);

    // --- running threads -------------------------------------------------------------------------------------

    /// The next exit goes to `tcb`, with the address space given, or the empty one.
    fn switch_to(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>, vspace: Option<(Ref<Table>, Asid)>);
    /// As [`Self::switch_to`], where `from`, another thread, has just entered the kernel and nothing has been done to
    /// its live registers since.
    #[inline(always)]
    fn switch_between(
        &mut self,
        store: &mut Store<Self>,
        _from: Ref<Tcb>,
        to: Ref<Tcb>,
        vspace: (Ref<Table>, Asid),
    ) {
        self.switch_to(store, to, Some(vspace));
    }
    /// Whether the kernel may take its short ways ([`crate::ipc::fastpath`]). No machine has a reason to refuse; the
    /// host does, to compare that way with the general path.
    #[inline(always)]
    fn allows_short_way(&self) -> bool {
        true
    }
    /// The kernel idles: no thread's address space or registers are in use.
    fn switch_to_idle(&mut self, store: &mut Store<Self>);
    /// Registers of `tcb` that may live in the machine (FPU, thread-local storage) are brought into the TCB.
    fn save_live_registers(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>);
    /// Registers of `tcb` in the TCB were written: the machine must not go on with older ones.
    fn load_live_registers(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>);
    /// `tcb` dies, or must not use the FPU any more: its FPU state is saved and no longer owned.
    fn release_fpu(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>);

    // --- objects and capabilities of this machine --------------------------------------------------------------

    /// The machine's object types from 7 on.
    fn object_type(number: u64) -> Option<MachineObject>;
    /// Decodes an invocation of a capability that the portable kernel leaves to the machine: its own ones, and
    /// labels of frames, tables and roots that are not portable (cache maintenance).
    fn decode(kernel: &Kernel<Self>, cap: Cap, message: &Message) -> Result<Self::Invocation, Error>;
    /// Performs it; the number of result words.
    fn perform(
        kernel: &mut Kernel<Self>,
        invocation: Self::Invocation,
        message: &Message,
    ) -> Result<u64, Preempted>;
    /// The label of a portable paging operation on this machine.
    fn paging_label(label: u64) -> Option<PagingLabel>;
    /// Decodes an IRQControl invocation other than the plain Get and Trigger: IllegalOperation for an unknown label.
    fn decode_irq_control(kernel: &Kernel<Self>, message: &Message) -> Result<Self::Invocation, Error>;
    /// The label of IRQControl's Trigger variant.
    const IRQ_TRIGGER_LABEL: u64;
    /// What Mint and Mutate make of a machine capability with a data word; none if that is illegal.
    fn update_cap(cap: RawCap, data: u64, preserve: bool) -> Option<RawCap>;
    /// What Copy makes of a machine capability; none if it cannot be copied.
    fn derive_cap(cap: RawCap) -> Option<RawCap>;
    /// Whether two machine capabilities are to the same object.
    fn same_object(a: RawCap, b: RawCap) -> bool;
    /// Whether `parent` is a machine capability that gives out such as `child`.
    fn gives_out(_parent: RawCap, _child: RawCap) -> bool {
        false
    }
    /// Whether machine capability `child` is one that IRQControl gave out.
    fn child_of_irq_control(child: RawCap) -> bool;
    /// The badge of a machine capability that follows the rules of badges (`semantics.md` §2).
    fn badge(cap: RawCap) -> Option<u64>;
    /// The last capability to a machine object is gone.
    fn finalise(&mut self, cap: RawCap);

    // --- debugging -------------------------------------------------------------------------------------------

    /// The labels of the machine's own operations, for people. They come behind the generic ones.
    const LABELS: &'static [label::Entry];
    /// Puts a character on the console.
    fn put_char(&mut self, character: u8);
    /// Halts the machine.
    fn halt(&mut self) -> !;
}

/// An interrupt that the controller handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakenInterrupt {
    /// The kernel's timer. The machine has ended it at the controller: it comes again at the next deadline.
    Timer,
    /// A device's, or a software interrupt's.
    Device(Irq),
}

/// The operations on frames and tables that are the same on all machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PagingLabel {
    /// Map a table of this level, as its capability tells it ([`crate::cap::TableCap::level`]).
    TableMap(u8),
    /// Unmap a table of this level.
    TableUnmap(u8),
    /// Map a frame.
    PageMap,
    /// Unmap a frame.
    PageUnmap,
    /// The physical address of a frame.
    PageGetAddress,
    /// Make an ASID pool.
    MakePool,
    /// Assign an ASID.
    Assign,
}
