// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine of the host: a model in plain Rust on which the kernel runs in tests, fuzzers and checkers.
//!
//! [`Host`] is the machine: the registers, labels and address limits are those of aarch64, page table entries have a
//! form of their own, the clock stands still unless it is set, and interrupts come when a test raises them. Physical
//! memory is [`CheckedMemory`], so each access of the kernel is checked. [`world::World`] is a whole system on it: a
//! kernel with a root task whose threads a test drives from system call to system call; [`check`] says whether the
//! state of a kernel keeps the invariants that its modules state.
//!
//! What the machine notices by itself, and panics about: an interrupt ended that was not taken, a thread or an
//! address space loaded that is not alive.

pub mod check;
pub mod monkey;
#[cfg(test)]
mod progress;
pub mod random;
mod snapshot;
pub mod world;

use crate::Kernel;
use crate::arch::{Arch, Entry, MachineObject, PageCheck, PagingLabel, RegisterMap, TakenInterrupt, Trigger};
use crate::cap::{Cap, RawCap, VmRights, page_bits};
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::object::{Registers, Table, Tcb};
use crate::store::{Ref, Store, checked::CheckedMemory};
use crate::units::{Asid, Irq, PhysAddr, Ticks, VirtAddr};
use core::convert::Infallible;
use core::ops::RangeInclusive;
use keel_abi::aarch64::registers::{self, Register};
use keel_abi::aarch64::{asid, fault, label, memory, object};
use std::collections::{BTreeMap, BTreeSet};

/// The greatest interrupt number.
pub const MAX_IRQ: Irq = Irq(127);

/// The interrupt of the kernel's timer.
pub const TIMER_IRQ: Irq = Irq(27);

/// Kilohertz of the timer: 16 ticks are one microsecond.
pub const TIMER_KHZ: u64 = 16_000;

/// The machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Host {
    /// The clock.
    now: Ticks,
    /// When the timer interrupts.
    deadline: Option<Ticks>,
    /// Interrupts that have fired and were not taken.
    pending: BTreeSet<Irq>,
    /// Interrupts that get through.
    enabled: BTreeSet<Irq>,
    /// Interrupts that wait for their acknowledgement.
    held: BTreeSet<Irq>,
    /// The interrupt being handled.
    taken: Option<Irq>,
    /// The devices' interrupts that the kernel has taken, until somebody asks ([`Host::taken_interrupts`]).
    log: Vec<Irq>,
    /// Lines that fire at the question with this number.
    fires_at: Option<(u64, Irq)>,
    /// The clock goes on at the question with this number, by so much. Until then and for the rest of that operation
    /// no question is answered with yes without a reason.
    passes_at: Option<(u64, Ticks)>,
    /// Questions at preemption points that were answered with yes.
    preemptions: u64,
    /// Questions at preemption points.
    polls: u64,
    /// Which of them are answered with yes in any case.
    preempt_every: Option<u64>,
    /// Whether the kernel has to take the general path for everything.
    is_general: bool,
    /// How often the kernel came to the end of its general path.
    general_ends: u64,
    /// What runs.
    loaded: Option<Loaded>,
    /// Whose FPU registers are in the machine.
    fpu_owner: Option<Ref<Tcb>>,
    /// What was printed.
    console: Vec<u8>,
    /// Entries of page tables that the machine may have cached.
    translations: BTreeMap<Translation, u64>,
}

/// An entry of a table as the machine has cached it: that of `level` for `address` in the space with `asid`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Translation {
    /// The address space.
    pub asid: Asid,
    /// Where the entry's span begins.
    pub address: VirtAddr,
    /// The level of the table it is in.
    pub level: u8,
}

impl Translation {
    /// Whether it serves `address` in the space with `asid`.
    fn covers(&self, asid: Asid, address: VirtAddr) -> bool {
        let span_bits = page_bits(self.level);
        self.asid == asid && self.address.0 >> span_bits == address.0 >> span_bits
    }
}

/// What the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The thread whose registers are in use.
    pub tcb: Ref<Tcb>,
    /// The address space in use; none is the empty one.
    pub vspace: Option<(Ref<Table>, Asid)>,
}

impl Host {
    /// The clock's time.
    #[must_use]
    pub const fn time(&self) -> Ticks {
        self.now
    }

    /// Sets the clock.
    pub const fn set_time(&mut self, now: Ticks) {
        self.now = now;
    }

    /// The time of the next timer interrupt, if the kernel has asked for one.
    #[must_use]
    pub const fn deadline(&self) -> Option<Ticks> {
        self.deadline
    }

    /// The line of `irq` fires, once.
    pub fn raise(&mut self, irq: Irq) {
        self.pending.insert(irq);
    }

    /// Whether an interrupt would get through to the processor.
    #[must_use]
    pub fn interrupt_waits(&self) -> bool {
        self.timer_is_due() || self.deliverable().is_some()
    }

    /// Whether `irq` has a handler, as far as the controller knows.
    #[must_use]
    pub fn is_enabled(&self, irq: Irq) -> bool {
        self.enabled.contains(&irq)
    }

    /// Whether `irq` was delivered and waits for its acknowledgement.
    #[must_use]
    pub fn is_held(&self, irq: Irq) -> bool {
        self.held.contains(&irq)
    }

    /// From now on each `every`th preemption point sees an interrupt, which is gone when the kernel looks closer;
    /// none ends that.
    pub const fn preempt_every(&mut self, every: Option<u64>) {
        self.preempt_every = every;
        self.polls = 0;
    }

    /// `irq` fires when the kernel asks at the `point`th preemption point from now on, counted from 1.
    pub const fn raise_at(&mut self, point: u64, irq: Irq) {
        self.fires_at = Some((self.polls + point, irq));
    }

    /// The clock goes on by `ticks` when the kernel asks at the `point`th preemption point from now on, counted from 1. Until
    /// [`Self::calm`] nothing preempts by [`Self::preempt_every`].
    pub fn pass_at(&mut self, point: u64, ticks: Ticks) {
        self.passes_at = Some((self.polls + point, ticks));
    }

    /// Nothing is to come any more by [`Self::raise_at`] and [`Self::pass_at`].
    pub const fn calm(&mut self) {
        (self.fires_at, self.passes_at) = (None, None);
    }

    /// The devices' interrupts that the kernel has taken since this was last asked.
    pub fn taken_interrupts(&mut self) -> Vec<Irq> {
        std::mem::take(&mut self.log)
    }

    /// How often the kernel was told at a preemption point that an interrupt waits.
    #[must_use]
    pub const fn preemptions(&self) -> u64 {
        self.preemptions
    }

    /// How often the kernel has asked at a preemption point, since [`Self::preempt_every`] was called.
    #[must_use]
    pub const fn polls(&self) -> u64 {
        self.polls
    }

    /// From now on the kernel takes the general path for everything.
    pub const fn forbid_short_way(&mut self) {
        self.is_general = true;
    }

    /// How often the kernel came to the end of its general path, where it loads who runs. A short way loads nobody, or
    /// goes from one thread to another.
    #[must_use]
    pub const fn general_ends(&self) -> u64 {
        self.general_ends
    }

    /// Whether another machine, on which the kernel took another way, is in the same state.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let same_ways =
            Self { is_general: self.is_general, general_ends: self.general_ends, ..other.clone() };
        *self == same_ways
    }

    /// What runs; none while idle.
    #[must_use]
    pub const fn loaded(&self) -> Option<Loaded> {
        self.loaded
    }

    /// The thread whose FPU registers are in the machine.
    #[must_use]
    pub const fn fpu_owner(&self) -> Option<Ref<Tcb>> {
        self.fpu_owner
    }

    /// The entries of tables that the machine may have cached, and their values then.
    #[must_use]
    pub const fn translations(&self) -> &BTreeMap<Translation, u64> {
        &self.translations
    }

    /// User level makes the machine cache these.
    pub fn set_translations(&mut self, translations: BTreeMap<Translation, u64>) {
        self.translations = translations;
    }

    /// What was printed.
    #[must_use]
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.console).into_owned()
    }

    /// The attributes of a page's entry, as a mask of those that Map may give.
    pub const ATTRIBUTES: u64 = ENTRY_ATTRIBUTES_MASK;

    /// What the entry of a page allows, and its attributes.
    #[must_use]
    pub const fn page_settings(entry: u64) -> (VmRights, u64) {
        let rights = match entry >> ENTRY_RIGHTS_SHIFT & ENTRY_RIGHTS_MASK {
            bits if bits == VmRights::ReadWrite as u64 => VmRights::ReadWrite,
            bits if bits == VmRights::ReadOnly as u64 => VmRights::ReadOnly,
            _ => VmRights::KernelOnly,
        };
        (rights, entry >> ENTRY_ATTRIBUTES_SHIFT & ENTRY_ATTRIBUTES_MASK)
    }

    /// Whether the deadline has come.
    fn timer_is_due(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= self.now)
    }

    /// The lowest interrupt that gets through.
    fn deliverable(&self) -> Option<Irq> {
        self.pending.iter().copied().find(|irq| self.enabled.contains(irq) && !self.held.contains(irq))
    }

    /// `tcb` runs from now on.
    fn load(&mut self, store: &Store<Self>, tcb: Ref<Tcb>, vspace: Option<(Ref<Table>, Asid)>) {
        // Touched, so that the store checks that they are alive.
        let flags = store[tcb].flags;
        if let Some((root, _)) = vspace {
            let _ = &store[root];
        }
        self.loaded = Some(Loaded { tcb, vspace });
        self.fpu_owner = if flags & crate::object::tcb::FLAG_FPU_DISABLED == 0 { Some(tcb) } else { None };
    }

    /// The handling of `irq` ends.
    fn end(&mut self, irq: Irq) {
        assert_eq!(self.taken.take(), Some(irq), "an interrupt is ended that was not taken");
    }
}

/// The places of registers of the interface's order, which is the order in which this machine saves them.
const fn places<const N: usize>(registers: [Register; N]) -> [usize; N] {
    let mut places = [0; N];
    let mut index = 0;
    while index < N {
        places[index] = registers[index] as usize;
        index += 1;
    }
    places
}

/// The place of a register.
#[must_use]
pub const fn place(register: Register) -> usize {
    register as usize
}

/// Status bits that user level may set: N, Z, C and V (`invocations.md` §5.1).
const SPSR_USER: u64 = 0xf000_0000;
/// Status of a thread otherwise: EL0t with FIQs masked.
const SPSR_FIXED: u64 = 1 << 6;

/// An entry that holds something.
const ENTRY_VALID: u64 = 1 << 0;
/// An entry that holds a page, not a table.
const ENTRY_PAGE: u64 = 1 << 1;
/// Where an entry holds [`VmRights`].
const ENTRY_RIGHTS_SHIFT: u32 = 2;
/// The bits that they take.
const ENTRY_RIGHTS_MASK: u64 = 3;
/// Where it holds the attributes of the mapping.
const ENTRY_ATTRIBUTES_SHIFT: u32 = 52;
/// The bits that they take.
const ENTRY_ATTRIBUTES_MASK: u64 = 7;
/// The address of the page or table.
const ENTRY_ADDRESS_MASK: u64 = 0x0000_ffff_ffff_f000;

impl Arch for Host {
    type Memory = CheckedMemory;
    type Invocation = Infallible;

    const PHYS_WINDOW: u64 = memory::EL1_WINDOW_BASE;
    const MAX_UNTYPED_BITS: u8 = object::MAX_UNTYPED_BITS as u8;
    const OBJECT_TYPES: u64 = object::COUNT;
    const LEVELS: u8 = 4;
    const USER_TOP: u64 = memory::EL1_USER_TOP;
    const ASID_POOLS: usize = asid::POOLS;
    const REGISTERS: RegisterMap = RegisterMap {
        capability: place(registers::CAPABILITY),
        info: place(registers::MESSAGE_INFO),
        message: places(registers::MESSAGE),
        reply: place(registers::REPLY),
        send_to: place(registers::SEND_DESTINATION),
        number: place(registers::SYSCALL_NUMBER),
        next_pc: place(Register::NextPc),
        restart_pc: place(Register::Pc),
        argument: place(registers::BOOT_INFO),
        tls: place(registers::TLS_BASE),
        context: &places(registers::USER_CONTEXT),
        frame_count: registers::FRAME_WORDS,
        unknown_syscall: &places(fault::UNKNOWN_SYSCALL_REGISTERS),
        unknown_syscall_reply: fault::UNKNOWN_SYSCALL_REGISTERS.len(),
        user_exception: &places(fault::USER_EXCEPTION_REGISTERS),
        user_exception_reply: fault::USER_EXCEPTION_REGISTERS.len(),
        timeout_reply: &places(fault::TIMEOUT_REPLY_REGISTERS),
    };
    const REFUSE_OVERMAP: bool = false;
    // `invocations.md` §10.
    const PAGE_CHECKS: [PageCheck; 5] =
        [PageCheck::Space, PageCheck::Alignment, PageCheck::Place, PageCheck::Range, PageCheck::Level];
    const TABLES_ARE_ROOTS: bool = false;
    const IMAGE_ATTRIBUTES: u64 = memory::attribute::DEFAULT;
    const DATA_ATTRIBUTES: u64 = memory::attribute::DEFAULT | memory::attribute::EXECUTE_NEVER;
    const LABELS: &'static [keel_abi::label::Entry] = label::TABLE;
    const IRQ_TRIGGER_LABEL: u64 = label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;

    fn initialise(registers: &mut Registers) {
        registers.words[place(Register::Spsr)] = SPSR_FIXED;
    }

    fn sanitise(index: usize, value: u64) -> u64 {
        if index == place(Register::Spsr) { value & SPSR_USER | SPSR_FIXED } else { value }
    }

    fn now(&mut self) -> Ticks {
        self.now
    }

    fn set_deadline(&mut self, deadline: Ticks) {
        self.deadline = Some(deadline);
    }

    fn timer_khz(&self) -> u64 {
        TIMER_KHZ
    }

    fn interrupt_pending(&mut self) -> bool {
        self.polls += 1;
        if let Some((_, irq)) = self.fires_at.take_if(|(point, _)| *point == self.polls) {
            self.raise(irq);
        }
        if let Some((_, ticks)) = self.passes_at.filter(|(point, _)| *point == self.polls) {
            self.now = self.now + ticks;
        }
        let every = self.preempt_every.filter(|_| self.passes_at.is_none());
        let answer = self.interrupt_waits() || every.is_some_and(|every| self.polls.is_multiple_of(every));
        self.preemptions += u64::from(answer);
        answer
    }

    fn take_interrupt(&mut self) -> Option<TakenInterrupt> {
        if self.timer_is_due() {
            return Some(TakenInterrupt::Timer);
        }
        let irq = self.deliverable()?;
        assert_eq!(self.taken, None, "the last interrupt taken was not ended");
        self.pending.remove(&irq);
        self.taken = Some(irq);
        self.log.push(irq);
        Some(TakenInterrupt::Device(irq))
    }

    fn end_interrupt(&mut self, irq: Irq) {
        self.end(irq);
    }

    fn hold_interrupt(&mut self, irq: Irq) {
        self.end(irq);
        self.held.insert(irq);
    }

    fn ack_interrupt(&mut self, irq: Irq) {
        self.held.remove(&irq);
    }

    fn enable_interrupt(&mut self, irq: Irq, _trigger: Option<Trigger>) {
        self.enabled.insert(irq);
        self.held.remove(&irq);
    }

    fn disable_interrupt(&mut self, irq: Irq) {
        self.enabled.remove(&irq);
        self.held.remove(&irq);
    }

    fn check_irq(&self, irq: u64) -> Result<Irq, Error> {
        match u32::try_from(irq) {
            Ok(number) if number <= MAX_IRQ.0 => Ok(Irq(number)),
            _ => Err(Error::Range { min: 0, max: u64::from(MAX_IRQ.0) }),
        }
    }

    fn irq_reserved(&self, irq: Irq) -> bool {
        irq == TIMER_IRQ
    }

    fn has_triggers(&self) -> bool {
        true
    }

    fn entry(raw: u64, _level: u8) -> Entry {
        let address = PhysAddr(raw & ENTRY_ADDRESS_MASK);
        match (raw & ENTRY_VALID != 0, raw & ENTRY_PAGE != 0) {
            (false, _) => Entry::Empty,
            (true, false) => Entry::Table(address),
            (true, true) => Entry::Page(address),
        }
    }

    fn table_entry(table: PhysAddr, _attributes: u64) -> u64 {
        table.0 | ENTRY_VALID
    }

    fn page_entry(page: PhysAddr, _level: u8, rights: VmRights, attributes: u64) -> u64 {
        let attributes = (attributes & ENTRY_ATTRIBUTES_MASK) << ENTRY_ATTRIBUTES_SHIFT;
        page.0 | attributes | (rights as u64) << ENTRY_RIGHTS_SHIFT | ENTRY_PAGE | ENTRY_VALID
    }

    fn entry_is_writable(entry: u64) -> bool {
        entry >> ENTRY_RIGHTS_SHIFT & ENTRY_RIGHTS_MASK == VmRights::ReadWrite as u64
    }

    fn entry_written(&mut self, _table: Ref<Table>, _index: u64) {}

    fn flush_page(&mut self, asid: Asid, address: VirtAddr) {
        self.translations.retain(|what, _| !what.covers(asid, address));
    }

    fn flush_asid(&mut self, asid: Asid) {
        self.translations.retain(|what, _| what.asid != asid);
    }

    fn forget_spaces(&mut self, asids: RangeInclusive<Asid>) {
        self.translations.retain(|what, _| !asids.contains(&what.asid));
        if let Some(loaded) = &mut self.loaded
            && loaded.vspace.is_some_and(|(_, asid)| asids.contains(&asid))
        {
            loaded.vspace = None;
        }
    }

    fn cleared(&mut self, _physical: PhysAddr, _bytes: u64) {}

    fn switch_to(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>, vspace: Option<(Ref<Table>, Asid)>) {
        self.general_ends += 1;
        self.load(store, tcb, vspace);
    }

    fn switch_between(
        &mut self,
        store: &mut Store<Self>,
        _from: Ref<Tcb>,
        to: Ref<Tcb>,
        vspace: (Ref<Table>, Asid),
    ) {
        self.load(store, to, Some(vspace));
    }

    fn allows_short_way(&self) -> bool {
        !self.is_general
    }

    fn switch_to_idle(&mut self, _store: &mut Store<Self>) {
        self.general_ends += 1;
        self.loaded = None;
    }

    fn save_live_registers(&mut self, _store: &mut Store<Self>, _tcb: Ref<Tcb>) {}

    fn load_live_registers(&mut self, _store: &mut Store<Self>, _tcb: Ref<Tcb>) {}

    fn release_fpu(&mut self, _store: &mut Store<Self>, tcb: Ref<Tcb>) {
        self.fpu_owner = self.fpu_owner.filter(|owner| *owner != tcb);
    }

    fn object_type(number: u64) -> Option<MachineObject> {
        match number {
            object::HUGE_PAGE => Some(MachineObject::Frame(2)),
            object::VSPACE => Some(MachineObject::VSpace),
            object::SMALL_PAGE => Some(MachineObject::Frame(0)),
            object::LARGE_PAGE => Some(MachineObject::Frame(1)),
            object::PAGE_TABLE => Some(MachineObject::Table(0)),
            _ => None,
        }
    }

    /// The model has no caches, and no capabilities of its own.
    fn decode(_kernel: &Kernel<Self>, _cap: Cap, _message: &Message) -> Result<Infallible, Error> {
        Err(Error::IllegalOperation)
    }

    fn perform(
        _kernel: &mut Kernel<Self>,
        invocation: Infallible,
        _message: &Message,
    ) -> Result<u64, Preempted> {
        match invocation {}
    }

    fn paging_label(label: u64) -> Option<PagingLabel> {
        match label {
            label::PAGE_TABLE_MAP => Some(PagingLabel::TableMap(0)),
            label::PAGE_TABLE_UNMAP => Some(PagingLabel::TableUnmap(0)),
            label::PAGE_MAP => Some(PagingLabel::PageMap),
            label::PAGE_UNMAP => Some(PagingLabel::PageUnmap),
            label::PAGE_GET_ADDRESS => Some(PagingLabel::PageGetAddress),
            label::ASID_CONTROL_MAKE_POOL => Some(PagingLabel::MakePool),
            label::ASID_POOL_ASSIGN => Some(PagingLabel::Assign),
            _ => None,
        }
    }

    fn decode_irq_control(_kernel: &Kernel<Self>, _message: &Message) -> Result<Infallible, Error> {
        Err(Error::IllegalOperation)
    }

    fn update_cap(cap: RawCap, _data: u64, _preserve: bool) -> Option<RawCap> {
        Some(cap)
    }

    fn derive_cap(cap: RawCap) -> Option<RawCap> {
        Some(cap)
    }

    fn same_object(a: RawCap, b: RawCap) -> bool {
        a == b
    }

    fn child_of_irq_control(_child: RawCap) -> bool {
        false
    }

    fn badge(_cap: RawCap) -> Option<u64> {
        None
    }

    fn finalise(&mut self, _cap: RawCap) {}

    fn put_char(&mut self, character: u8) {
        self.console.push(character);
    }

    fn halt(&mut self) -> ! {
        panic!("the machine halts; its console says:\n{}", self.console())
    }
}
