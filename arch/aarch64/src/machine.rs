// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine as the portable kernel sees it.
//!
//! Part of a running thread's state lives in the processor and is moved only when it has to be:
//!
//! - The two thread-local storage registers are saved when another thread is loaded.
//! - The FPU's registers belong to the thread that used it last ([`LazyFpu`]).
//!
//! Invariants:
//! 1. `loaded` is the thread whose thread-local storage registers are in the processor. It is alive.
//! 2. What [`LazyFpu`] calls the thread that runs is the thread that is loaded.
//! 3. `space` is what TTBR0 holds, but for the time of a `maintain`.
//! 4. `taken` is the interrupt that the controller has handed out and that is not ended.

use crate::console::Console;
use crate::cpu::{self, Device};
use crate::gic::{Gic, Line, Taken};
use crate::maintenance::{self, Maintenance};
use crate::platform::Conduit;
use crate::registers::{self, RESTART, SPSR, TPIDR, TPIDRRO, USER_SPSR, word, words};
use crate::{entries, special};
use core::ops::RangeInclusive;
use keel_abi::aarch64::registers as order;
use keel_abi::aarch64::{asid, fault, label, memory, object};
use keel_arch::fpu::LazyFpu;
use keel_bounds::{operation, operation_is};
use keel_kernel::Kernel;
use keel_kernel::arch::{
    Arch, Entry, MachineObject, PageCheck, PagingLabel, RegisterMap, TakenInterrupt, Trigger,
};
use keel_kernel::cap::{Cap, RawCap, VmRights};
use keel_kernel::error::Error;
use keel_kernel::invocation::{Message, Preempted};
use keel_kernel::object::{Registers, Table, Tcb};
use keel_kernel::store::{Ref, Store};
use keel_kernel::units::{Asid, Irq, PhysAddr, Ticks, VirtAddr};

/// What the kernel was told of the machine when it started.
pub struct Parts {
    /// The interrupt controller.
    pub gic: Gic<Device>,
    /// The console, if there is one.
    pub console: Option<Console<Device>>,
    /// How firmware is called.
    pub firmware: Option<Conduit>,
    /// The interrupt of the kernel's timer.
    pub timer: u32,
    /// The physical address of a root table that maps nothing.
    pub no_space: u64,
}

/// The machine.
pub struct Machine {
    /// See [`Parts`].
    parts: Parts,
    /// Kilohertz of the timer.
    timer_khz: u64,
    /// See invariant 4.
    taken: Option<Taken>,
    /// See invariant 1.
    loaded: Option<Ref<Tcb>>,
    /// The FPU, and whose registers are in it.
    fpu: LazyFpu<cpu::Processor>,
    /// See invariant 3.
    space: Space,
    /// Positions of cache operations that were preempted.
    pub(crate) maintenance: Maintenance,
}

/// An address space as TTBR0 holds it: the identifier above the root table's physical address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Space(u64);

impl Space {
    /// The space of the table at physical address `root`.
    #[inline(always)]
    const fn new(root: u64, asid: Asid) -> Self {
        Self(root | (asid as u64) << 48)
    }

    /// Its identifier.
    const fn asid(self) -> Asid {
        (self.0 >> 48) as Asid
    }
}

/// An invocation of something that only this machine has.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Cache maintenance.
    Maintain(maintenance::Range),
    /// A capability of this machine.
    Special(special::Invocation),
}

impl Machine {
    /// A machine that idles in the empty address space.
    pub const fn new(parts: Parts, timer_khz: u64) -> Self {
        let space = Space::new(parts.no_space, 0);
        Self {
            parts,
            timer_khz,
            taken: None,
            loaded: None,
            fpu: LazyFpu::new(),
            space,
            maintenance: Maintenance::new(),
        }
    }

    /// The loaded thread has used the FPU while it was not open: it gets it, if it may have it.
    pub fn give_fpu(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>) -> bool {
        self.fpu.give(store, tcb)
    }

    /// The loaded thread's registers go to its TCB, and nobody is loaded.
    fn unload(&mut self, store: &mut Store<Self>) {
        if let Some(tcb) = self.loaded.take() {
            save_thread_registers(store, tcb);
        }
    }

    /// Makes `space` the lower half.
    #[inline(always)]
    fn load_space(&mut self, space: Space) {
        if self.space != space {
            cpu::load_space(space.0);
            self.space = space;
        }
    }

    /// Does a cache operation to user addresses `start` to `end` of an address space, of which all are mapped.
    pub(crate) fn maintain(
        &self,
        operation: cpu::CacheOperation,
        root: PhysAddr,
        asid: Asid,
        start: u64,
        end: u64,
    ) {
        cpu::load_space(Space::new(root.0, asid).0);
        cpu::space_loaded();
        cpu::maintain(operation, start, end);
        cpu::load_space(self.space.0);
    }

    /// The interrupt controller.
    pub(crate) const fn gic(&self) -> &Gic<Device> {
        &self.parts.gic
    }

    /// Ends the interrupt that was taken.
    fn end(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.parts.gic.end(taken);
        }
    }
}

/// Thread-local storage registers go to the TCB.
fn save_thread_registers(store: &mut Store<Machine>, tcb: Ref<Tcb>) {
    let (tpidr, tpidrro) = cpu::thread_registers();
    let words = &mut store[tcb].registers.words;
    words[TPIDR] = tpidr;
    words[TPIDRRO] = tpidrro;
}

/// Thread-local storage registers come from the TCB.
fn load_thread_registers(store: &Store<Machine>, tcb: Ref<Tcb>) {
    let words = &store[tcb].registers.words;
    cpu::set_thread_registers((words[TPIDR], words[TPIDRRO]));
}

impl Arch for Machine {
    #[cfg(not(test))]
    type Memory = keel_kernel::store::DirectMemory;
    #[cfg(test)]
    type Memory = keel_kernel::store::checked::CheckedMemory;
    type Invocation = Invocation;

    const PHYS_WINDOW: u64 = memory::WINDOW_BASE;
    const MAX_UNTYPED_BITS: u8 = object::MAX_UNTYPED_BITS as u8;
    const OBJECT_TYPES: u64 = object::COUNT;
    const LEVELS: u8 = 4;
    const USER_TOP: u64 = memory::USER_TOP;
    const ASID_POOLS: usize = asid::POOLS;
    const REGISTERS: RegisterMap = RegisterMap {
        capability: word(order::CAPABILITY),
        info: word(order::MESSAGE_INFO),
        message: words(&order::MESSAGE),
        reply: word(order::REPLY),
        send_to: word(order::SEND_DESTINATION),
        number: word(order::SYSCALL_NUMBER),
        next_pc: registers::ELR,
        restart_pc: RESTART,
        argument: word(order::BOOT_INFO),
        tls: word(order::TLS_BASE),
        context: &words(&order::USER_CONTEXT),
        frame_count: order::FRAME_WORDS,
        unknown_syscall: &words(&fault::UNKNOWN_SYSCALL_REGISTERS),
        unknown_syscall_reply: fault::UNKNOWN_SYSCALL_REGISTERS.len(),
        user_exception: &words(&fault::USER_EXCEPTION_REGISTERS),
        user_exception_reply: fault::USER_EXCEPTION_REGISTERS.len(),
        timeout_reply: &words(&fault::TIMEOUT_REPLY_REGISTERS),
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
        registers.words[SPSR] = USER_SPSR;
    }

    #[inline(always)]
    fn sanitise(index: usize, value: u64) -> u64 {
        registers::sanitise(index, value)
    }

    fn written(registers: &mut Registers) {
        maintenance::forget(registers);
    }

    #[inline(always)]
    fn now(&mut self) -> Ticks {
        Ticks(cpu::counter())
    }

    #[inline(always)]
    fn set_deadline(&mut self, deadline: Ticks) {
        cpu::set_timer(deadline.0);
    }

    fn timer_khz(&self) -> u64 {
        self.timer_khz
    }

    #[inline(always)]
    fn interrupt_pending(&mut self) -> bool {
        cpu::interrupt_pending()
    }

    fn take_interrupt(&mut self) -> Option<TakenInterrupt> {
        let taken = self.parts.gic.take()?;
        if taken.number() == self.parts.timer {
            // The line stays active until the deadline moves: it comes again if it does not.
            self.parts.gic.end(taken);
            return Some(TakenInterrupt::Timer);
        }
        self.taken = Some(taken);
        Some(TakenInterrupt::Device(Irq(taken.number())))
    }

    fn end_interrupt(&mut self, _irq: Irq) {
        self.end();
    }

    fn hold_interrupt(&mut self, irq: Irq) {
        self.parts.gic.mask(irq.0);
        self.end();
    }

    fn ack_interrupt(&mut self, irq: Irq) {
        self.parts.gic.unmask(irq.0);
    }

    fn enable_interrupt(&mut self, irq: Irq, trigger: Option<Trigger>) {
        match trigger {
            Some(Trigger::Level) => self.parts.gic.configure(irq.0, Line::Level),
            Some(Trigger::Edge) => self.parts.gic.configure(irq.0, Line::Edge),
            None => {}
        }
        self.parts.gic.unmask(irq.0);
    }

    fn disable_interrupt(&mut self, irq: Irq) {
        self.parts.gic.mask(irq.0);
    }

    fn check_irq(&self, irq: u64) -> Result<Irq, Error> {
        let max = self.parts.gic.count() - 1;
        match u32::try_from(irq) {
            Ok(number) if number <= max => Ok(Irq(number)),
            _ => Err(Error::Range { min: 0, max: u64::from(max) }),
        }
    }

    fn irq_reserved(&self, irq: Irq) -> bool {
        irq.0 == self.parts.timer
    }

    fn has_triggers(&self) -> bool {
        true
    }

    #[inline(always)]
    fn entry(raw: u64, level: u8) -> Entry {
        entries::entry(raw, level)
    }

    fn table_entry(table: PhysAddr, _attributes: u64) -> u64 {
        entries::table(table)
    }

    fn page_entry(page: PhysAddr, level: u8, rights: VmRights, attributes: u64) -> u64 {
        entries::page(page, level, rights, attributes)
    }

    fn entry_is_writable(entry: u64) -> bool {
        entries::is_writable(entry)
    }

    fn entry_written(&mut self, _table: Ref<Table>, _index: u64) {
        cpu::table_written();
    }

    fn flush_page(&mut self, asid: Asid, address: VirtAddr) {
        cpu::forget_page(asid, address.0);
    }

    fn flush_asid(&mut self, asid: Asid) {
        cpu::forget_space(asid);
    }

    fn forget_spaces(&mut self, asids: RangeInclusive<Asid>) {
        if asids.contains(&self.space.asid()) {
            self.load_space(Space::new(self.parts.no_space, 0));
        }
        if asids.start() == asids.end() {
            cpu::forget_space(*asids.start());
        } else {
            cpu::forget_all();
        }
    }

    fn cleared(&mut self, physical: PhysAddr, bytes: u64) {
        let start = Store::<Self>::window(physical).0;
        cpu::maintain(cpu::CacheOperation::Clean, start, start.wrapping_add(bytes));
    }

    #[inline(always)]
    fn switch_between(
        &mut self,
        store: &mut Store<Self>,
        from: Ref<Tcb>,
        to: Ref<Tcb>,
        (root, asid): (Ref<Table>, Asid),
    ) {
        self.load_space(Space::new(Store::<Self>::physical(root.address()).0, asid));
        save_thread_registers(store, from);
        load_thread_registers(store, to);
        self.loaded = Some(to);
        self.fpu.switch_between(from, to);
    }

    #[inline(always)]
    fn switch_to(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>, vspace: Option<(Ref<Table>, Asid)>) {
        self.load_space(match vspace {
            Some((root, asid)) => Space::new(Store::<Self>::physical(root.address()).0, asid),
            None => Space::new(self.parts.no_space, 0),
        });
        if self.loaded != Some(tcb) {
            self.unload(store);
            load_thread_registers(store, tcb);
            self.loaded = Some(tcb);
            self.fpu.switch_to(tcb);
        }
    }

    fn switch_to_idle(&mut self, store: &mut Store<Self>) {
        self.unload(store);
        self.load_space(Space::new(self.parts.no_space, 0));
    }

    fn save_live_registers(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>) {
        if self.loaded == Some(tcb) {
            save_thread_registers(store, tcb);
        }
    }

    fn load_live_registers(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>) {
        if self.loaded == Some(tcb) {
            load_thread_registers(store, tcb);
        }
    }

    fn release_fpu(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>) {
        self.fpu.release(store, tcb);
        // It is loaded again when it runs again; if it dies it is not saved any more.
        if self.loaded == Some(tcb) {
            self.unload(store);
        }
    }

    fn object_type(number: u64) -> Option<MachineObject> {
        match number {
            object::SMALL_PAGE => Some(MachineObject::Frame(0)),
            object::LARGE_PAGE => Some(MachineObject::Frame(1)),
            object::HUGE_PAGE => Some(MachineObject::Frame(2)),
            object::PAGE_TABLE => Some(MachineObject::Table(0)),
            object::VSPACE => Some(MachineObject::VSpace),
            _ => None,
        }
    }

    fn decode(kernel: &Kernel<Self>, cap: Cap, message: &Message) -> Result<Invocation, Error> {
        match cap {
            Cap::Machine(cap) => special::decode(kernel, cap, message).map(Invocation::Special),
            Cap::Frame(_) | Cap::VSpace(_) => {
                maintenance::decode(kernel, cap, message).map(Invocation::Maintain)
            }
            _ => Err(Error::IllegalOperation),
        }
    }

    fn perform(
        kernel: &mut Kernel<Self>,
        invocation: Invocation,
        message: &Message,
    ) -> Result<u64, Preempted> {
        match invocation {
            Invocation::Maintain(range) => {
                operation_is::<{ operation::MAINTAIN }>();
                maintenance::perform(kernel, range, message.sender)
            }
            Invocation::Special(invocation) => {
                operation_is::<{ operation::MACHINE }>();
                Ok(special::perform(kernel, invocation, message))
            }
        }
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

    fn decode_irq_control(kernel: &Kernel<Self>, message: &Message) -> Result<Invocation, Error> {
        special::decode_irq_control(kernel, message).map(Invocation::Special)
    }

    fn update_cap(cap: RawCap, data: u64, preserve: bool) -> Option<RawCap> {
        special::update(cap, data, preserve)
    }

    fn derive_cap(cap: RawCap) -> Option<RawCap> {
        Some(cap)
    }

    fn same_object(a: RawCap, b: RawCap) -> bool {
        special::same_object(a, b)
    }

    fn child_of_irq_control(child: RawCap) -> bool {
        child.tag() == special::tag::SGI_SIGNAL
    }

    fn badge(cap: RawCap) -> Option<u64> {
        special::badge(cap)
    }

    fn finalise(&mut self, _cap: RawCap) {}

    fn put_char(&mut self, character: u8) {
        if let Some(console) = &self.parts.console {
            console.put(character);
        }
    }

    fn halt(&mut self) -> ! {
        cpu::switch_off(self.parts.firmware)
    }
}
