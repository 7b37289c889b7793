// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine as the portable kernel sees it.
//!
//! Interrupts are numbered as the controller numbers them, from 1 on, and the kernel's timer has the number behind the
//! last (`boot.md` §7).
//!
//! The upper half of each root table is that of the kernel's: roots get a copy of it when they are assigned an
//! identifier ([`Machine::initialise_root`]), and it never changes afterwards. So the *empty* address space is the
//! kernel's own.
//!
//! Invariants:
//! 1. `space` is what satp holds: physical address of the root, and identifier.
//! 2. A taken interrupt that has a handler is left claimed until the handler acknowledges it.

use crate::cpu::{self, Device, Processor};
use crate::plic::Plic;
use crate::registers::{NEXT, RESTART, word, words};
use crate::{entries, fault};
use core::ops::RangeInclusive;
use keel_abi::riscv64::registers as order;
use keel_abi::riscv64::{asid, fault as messages, label, memory, object};
use keel_arch::fpu::LazyFpu;
use keel_bounds::at_most;
use keel_kernel::Kernel;
use keel_kernel::arch::{
    Arch, Entry, MachineObject, PageCheck, PagingLabel, RegisterMap, TakenInterrupt, Trigger,
};
use keel_kernel::cap::{Cap, RawCap, VmRights};
use keel_kernel::error::Error;
use keel_kernel::invocation::{Message, Preempted};
use keel_kernel::ipc::fault::Fault;
use keel_kernel::object::{Registers, Table, Tcb};
use keel_kernel::store::{Ref, Store};
use keel_kernel::units::{Asid, Irq, PhysAddr, Ticks, VirtAddr};

/// What the kernel was told of the machine when it started.
pub struct Parts {
    /// The interrupt controller.
    pub plic: Plic<Device>,
    /// How the timer is set.
    pub timer: cpu::Timer,
    /// Kilohertz of the timer.
    pub timer_khz: u64,
    /// How many bits of address space identifiers the processor has.
    pub asids: cpu::Asids,
    /// Whether the processor has an FPU.
    pub has_fpu: bool,
    /// The physical address of the kernel's root table, whose lower half is empty.
    pub no_space: u64,
}

/// The machine.
pub struct Machine {
    /// See [`Parts`].
    parts: Parts,
    /// See invariant 1.
    space: (u64, Asid),
    /// The FPU, and whose registers are in it.
    fpu: LazyFpu<Processor>,
}

/// There is no invocation that only this machine has.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {}

impl Machine {
    /// A machine that idles in the empty address space.
    pub const fn new(parts: Parts) -> Self {
        let space = (parts.no_space, 0);
        Self { parts, space, fpu: LazyFpu::new() }
    }

    /// What the thread that runs has done, by the cause of its exception and the address that the processor reports;
    /// none if it only lacked the FPU, which it has got now.
    pub fn fault(
        &mut self,
        store: &mut Store<Self>,
        tcb: Ref<Tcb>,
        cause: u64,
        address: u64,
    ) -> Option<Fault> {
        // An instruction of a closed FPU is illegal; one that is still illegal with the FPU open is a fault.
        let may_be_fpu = cause == fault::cause::ILLEGAL_INSTRUCTION && self.parts.has_fpu;
        if may_be_fpu && self.fpu.give(store, tcb) { None } else { Some(fault::fault(cause, address)) }
    }

    /// Makes `space` the address space.
    #[inline(always)]
    fn load_space(&mut self, space: (u64, Asid)) {
        if self.space != space {
            cpu::load_space(space.0, space.1, self.parts.asids);
            self.space = space;
        }
    }

    /// The number of the kernel's timer, which is the highest one.
    fn timer_irq(&self) -> u32 {
        self.parts.plic.last() + 1
    }
}

/// The first entry of a root table that is the kernel's.
const KERNEL_HALF: usize = 256;

impl Arch for Machine {
    #[cfg(not(test))]
    type Memory = keel_kernel::store::DirectMemory;
    #[cfg(test)]
    type Memory = keel_kernel::store::checked::CheckedMemory;
    type Invocation = Invocation;

    const PHYS_WINDOW: u64 = memory::WINDOW_BASE;
    const MAX_UNTYPED_BITS: u8 = object::MAX_UNTYPED_BITS as u8;
    const OBJECT_TYPES: u64 = object::COUNT;
    const LEVELS: u8 = 3;
    const USER_TOP: u64 = memory::USER_VSPACE_TOP;
    const ASID_POOLS: usize = asid::POOLS;
    const REGISTERS: RegisterMap = RegisterMap {
        capability: word(order::CAPABILITY),
        info: word(order::MESSAGE_INFO),
        message: words(&order::MESSAGE),
        reply: word(order::REPLY),
        send_to: word(order::SEND_DESTINATION),
        number: word(order::SYSCALL_NUMBER),
        next_pc: NEXT,
        restart_pc: RESTART,
        argument: word(order::BOOT_INFO),
        tls: word(order::TLS_BASE),
        context: &words(&order::USER_CONTEXT),
        frame_count: order::FRAME_WORDS,
        unknown_syscall: &words(&messages::UNKNOWN_SYSCALL_REGISTERS),
        unknown_syscall_reply: messages::UNKNOWN_SYSCALL_REGISTERS.len(),
        user_exception: &words(&messages::USER_EXCEPTION_REGISTERS),
        user_exception_reply: messages::USER_EXCEPTION_REGISTERS.len(),
        timeout_reply: &words(&messages::TIMEOUT_REPLY_REGISTERS),
    };
    const REFUSE_OVERMAP: bool = true;
    // `invocations.md` §11.
    const PAGE_CHECKS: [PageCheck; 5] =
        [PageCheck::Space, PageCheck::Range, PageCheck::Alignment, PageCheck::Level, PageCheck::Place];
    const TABLES_ARE_ROOTS: bool = true;
    const IMAGE_ATTRIBUTES: u64 = memory::attribute::DEFAULT;
    const DATA_ATTRIBUTES: u64 = memory::attribute::EXECUTE_NEVER;
    const LABELS: &'static [keel_abi::label::Entry] = label::TABLE;
    const IRQ_TRIGGER_LABEL: u64 = label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;

    fn initialise(_registers: &mut Registers) {}

    #[inline(always)]
    fn sanitise(_index: usize, value: u64) -> u64 {
        value
    }

    #[inline(always)]
    fn now(&mut self) -> Ticks {
        Ticks(cpu::counter())
    }

    #[inline(always)]
    fn set_deadline(&mut self, deadline: Ticks) {
        cpu::set_timer(self.parts.timer, deadline.0);
    }

    fn timer_khz(&self) -> u64 {
        self.parts.timer_khz
    }

    #[inline(always)]
    fn interrupt_pending(&mut self) -> bool {
        cpu::pending_interrupts() != 0
    }

    fn take_interrupt(&mut self) -> Option<TakenInterrupt> {
        // The timer's line stays active until the deadline moves: it comes again if it does not.
        if cpu::pending_interrupts() & cpu::interrupt::TIMER != 0 {
            return Some(TakenInterrupt::Timer);
        }
        self.parts.plic.claim().map(|number| TakenInterrupt::Device(Irq(number)))
    }

    fn end_interrupt(&mut self, irq: Irq) {
        self.parts.plic.complete(irq.0);
    }

    fn hold_interrupt(&mut self, _irq: Irq) {
        // It stays claimed.
    }

    fn ack_interrupt(&mut self, irq: Irq) {
        self.parts.plic.complete(irq.0);
    }

    fn enable_interrupt(&mut self, irq: Irq, _trigger: Option<Trigger>) {
        self.parts.plic.enable(irq.0);
    }

    fn disable_interrupt(&mut self, irq: Irq) {
        self.parts.plic.disable(irq.0);
    }

    fn check_irq(&self, irq: u64) -> Result<Irq, Error> {
        let max = self.timer_irq();
        match u32::try_from(irq) {
            Ok(number) if (1..=max).contains(&number) => Ok(Irq(number)),
            _ => Err(Error::Range { min: 1, max: u64::from(max) }),
        }
    }

    fn irq_reserved(&self, irq: Irq) -> bool {
        irq.0 == self.timer_irq()
    }

    fn has_triggers(&self) -> bool {
        false
    }

    #[inline(always)]
    fn entry(raw: u64, _level: u8) -> Entry {
        entries::entry(raw)
    }

    fn table_entry(table: PhysAddr, _attributes: u64) -> u64 {
        entries::table(table)
    }

    fn page_entry(page: PhysAddr, _level: u8, rights: VmRights, attributes: u64) -> u64 {
        entries::page(page, rights, attributes)
    }

    fn entry_is_writable(entry: u64) -> bool {
        entries::is_writable(entry)
    }

    fn initialise_root(&mut self, store: &mut Store<Self>, root: Ref<Table>) {
        let Some(own) = Ref::<Table>::at(Store::<Self>::window(PhysAddr(self.parts.no_space))) else {
            return;
        };
        let mut rounds = at_most!(KERNEL_HALF);
        for index in KERNEL_HALF..store[own].entries.len() {
            rounds.count();
            let entry = store[own].entries[index];
            store[root].entries[index] = entry;
        }
    }

    fn entry_written(&mut self, _table: Ref<Table>, _index: u64) {
        cpu::forget_all();
    }

    fn flush_page(&mut self, asid: Asid, address: VirtAddr) {
        cpu::forget_page(asid, address.0, self.parts.asids);
    }

    fn flush_asid(&mut self, asid: Asid) {
        cpu::forget_space(asid, self.parts.asids);
    }

    fn forget_spaces(&mut self, asids: RangeInclusive<Asid>) {
        if asids.contains(&self.space.1) {
            self.load_space((self.parts.no_space, 0));
        }
        if asids.start() == asids.end() {
            cpu::forget_space(*asids.start(), self.parts.asids);
        } else {
            cpu::forget_all();
        }
    }

    fn cleared(&mut self, _physical: PhysAddr, _bytes: u64) {
        // Devices and walker see what the caches hold. Instruction fetches may not.
        cpu::unify_instructions();
    }

    #[inline(always)]
    fn switch_to(&mut self, _store: &mut Store<Self>, tcb: Ref<Tcb>, vspace: Option<(Ref<Table>, Asid)>) {
        self.load_space(match vspace {
            Some((root, asid)) => (Store::<Self>::physical(root.address()).0, asid),
            None => (self.parts.no_space, 0),
        });
        self.fpu.switch_to(tcb);
    }

    fn switch_to_idle(&mut self, _store: &mut Store<Self>) {
        self.load_space((self.parts.no_space, 0));
    }

    fn save_live_registers(&mut self, _store: &mut Store<Self>, _tcb: Ref<Tcb>) {
        // All registers of the interface are saved by each trap.
    }

    fn load_live_registers(&mut self, _store: &mut Store<Self>, _tcb: Ref<Tcb>) {}

    fn release_fpu(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>) {
        self.fpu.release(store, tcb);
    }

    fn object_type(number: u64) -> Option<MachineObject> {
        match number {
            object::SMALL_PAGE => Some(MachineObject::Frame(0)),
            object::MEGA_PAGE => Some(MachineObject::Frame(1)),
            object::GIGA_PAGE => Some(MachineObject::Frame(2)),
            object::PAGE_TABLE => Some(MachineObject::Table(0)),
            _ => None,
        }
    }

    fn decode(_kernel: &Kernel<Self>, _cap: Cap, _message: &Message) -> Result<Invocation, Error> {
        Err(Error::IllegalOperation)
    }

    fn perform(
        _kernel: &mut Kernel<Self>,
        invocation: Invocation,
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

    fn decode_irq_control(_kernel: &Kernel<Self>, _message: &Message) -> Result<Invocation, Error> {
        Err(Error::IllegalOperation)
    }

    fn update_cap(cap: RawCap, _data: u64, _preserve: bool) -> Option<RawCap> {
        Some(cap)
    }

    fn derive_cap(cap: RawCap) -> Option<RawCap> {
        Some(cap)
    }

    fn same_object(_a: RawCap, _b: RawCap) -> bool {
        false
    }

    fn child_of_irq_control(_child: RawCap) -> bool {
        false
    }

    fn badge(_cap: RawCap) -> Option<u64> {
        None
    }

    fn finalise(&mut self, _cap: RawCap) {}

    fn put_char(&mut self, character: u8) {
        cpu::put_char(character);
    }

    fn halt(&mut self) -> ! {
        cpu::switch_off()
    }
}
