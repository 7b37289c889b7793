// SPDX-License-Identifier: MIT OR Apache-2.0

//! The machine as the portable kernel sees it.
//!
//! Time is the processor's counter; its timer counts differently and wakes the kernel, never too late. When it wakes it
//! too early, which is when a deadline is far away or the two have drifted apart, it is set again here.
//!
//! The kernel is behind the last entry of each root table: roots get a copy of it when they are made
//! ([`Machine::initialise_root`]), and it never changes afterwards. So the *empty* address space is the kernel's own.
//! Translations are not kept for address spaces other than the one in use: loading another one forgets them.
//!
//! Segments are nothing but the bases of fs and gs to user level, and a thread's are loaded with it. A thread may load a
//! selector, by which the base changes to 0; the next thread finds nothing of that. Where the processor has instructions
//! for the bases, a thread may change them to anything, and then each trap saves them.
//!
//! Invariants:
//! 1. `space` is what CR3 holds: physical address of the root, and identifier.
//! 2. A taken interrupt that has a handler is masked until the handler acknowledges it, unless it is a message.
//! 3. The bases of fs and gs in the processor are `bases`, those of the thread `running`, or were changed by that thread.

use crate::acpi::{MAX_IO_APICS, PowerSwitch};
use crate::apic::Apic;
use crate::clock::Rates;
use crate::console::Console;
use crate::cpu::{self, Device, Processor, Width};
use crate::interrupts::{self, Source};
use crate::ioapic::IoApic;
use crate::ports::{self, Ports};
use crate::registers::{self, FS_BASE, GS_BASE, NEXT, RESTART, word, words};
use crate::{entries, fault};
use core::ops::RangeInclusive;
use keel_abi::config::Options;
use keel_abi::x86_64::registers as order;
use keel_abi::x86_64::{asid, fault as messages, irq, label, memory, object};
use keel_arch::fpu::LazyFpu;
use keel_bounds::{at_most, entered_by, entry, operation, operation_is};
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
    /// The processor's own interrupt controller.
    pub apic: Apic<Device>,
    /// The controllers of lines, in the first places.
    pub io_apics: [Option<IoApic<Device>>; MAX_IO_APICS],
    /// How fast the processor counts.
    pub rates: Rates,
    /// Whether it has instructions for the bases of fs and gs.
    pub has_base_instructions: bool,
    /// The serial line.
    pub console: Console,
    /// How the machine is switched off.
    pub power: Option<PowerSwitch>,
    /// The physical address of the kernel's root table, in which nothing but the kernel is mapped.
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
    /// The thread that runs, or ran last; only ever compared.
    running: Option<Ref<Tcb>>,
    /// See invariant 3.
    bases: [u64; 2],
    /// When the timer's interrupt is wanted.
    deadline: Ticks,
    /// The vector of an interrupt that came while a thread ran.
    arrived: Option<u8>,
    /// Where each of user level's interrupts comes from.
    sources: [Option<Source>; interrupts::USER_COUNT],
    /// Which I/O ports are in use.
    ports: Ports,
}

/// An invocation that only this machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invocation {
    /// Of I/O ports.
    Ports(ports::Invocation),
    /// The making of an interrupt's handler.
    Interrupt(interrupts::Issue),
}

impl Machine {
    /// A machine that idles in the empty address space.
    pub const fn new(parts: Parts) -> Self {
        let space = (parts.no_space, 0);
        Self {
            parts,
            space,
            fpu: LazyFpu::new(),
            running: None,
            bases: [0; 2],
            deadline: Ticks(u64::MAX),
            arrived: None,
            sources: [None; interrupts::USER_COUNT],
            ports: Ports::new(),
        }
    }

    /// An interrupt has come while a thread ran.
    pub fn note_interrupt(&mut self, vector: u8) {
        self.arrived = Some(vector);
    }

    /// What the thread that runs has done, by the vector of its exception, the error code and the address of a page fault;
    /// none if it only lacked the FPU, which it has got now.
    pub fn fault(
        &mut self,
        store: &mut Store<Self>,
        tcb: Ref<Tcb>,
        vector: u8,
        error: u64,
        address: u64,
    ) -> Option<Fault> {
        if vector == fault::vector::NO_FPU {
            entered_by::<{ entry::FPU }>();
            if self.fpu.give(store, tcb) {
                return None;
            }
        } else {
            entered_by::<{ entry::FAULT }>();
        }
        Some(fault::fault(vector, error, address))
    }

    /// Makes `space` the address space.
    #[inline(always)]
    fn load_space(&mut self, space: (u64, Asid)) {
        if self.space != space {
            cpu::load_space(space.0);
            self.space = space;
        }
    }

    /// Loads the bases of fs and gs, and no selectors.
    #[inline(always)]
    fn load_bases(&mut self, store: &Store<Self>, tcb: Ref<Tcb>) {
        let words = &store[tcb].registers.words;
        let [fs, gs] = [words[FS_BASE], words[GS_BASE]];
        cpu::forget_selectors();
        if self.parts.has_base_instructions {
            cpu::load_bases(fs, gs);
            return;
        }
        // Without instructions for them, a thread can do nothing to a base but make it 0.
        let [old_fs, old_gs] = &mut self.bases;
        if *old_fs | fs != 0 {
            cpu::load_fs_base(fs);
            *old_fs = fs;
        }
        if *old_gs | gs != 0 {
            cpu::load_gs_base(gs);
            *old_gs = gs;
        }
    }

    /// Megahertz of the processor's counter.
    pub fn counter_mhz(&self) -> u64 {
        self.parts.rates.counter_mhz
    }

    /// Which I/O ports are in use.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Which I/O ports are in use.
    pub fn ports_mut(&mut self) -> &mut Ports {
        &mut self.ports
    }

    /// A controller of lines.
    pub fn io_apic(&self, index: usize) -> Option<&IoApic<Device>> {
        self.parts.io_apics.get(index)?.as_ref()
    }

    /// How many controllers of lines there are.
    pub fn io_apics(&self) -> usize {
        let mut rounds = at_most!(MAX_IO_APICS);
        self.parts.io_apics.iter().map_while(Option::as_ref).inspect(|_| rounds.count()).count()
    }

    /// Says where an interrupt comes from.
    pub fn set_source(&mut self, irq: Irq, source: Option<Source>) {
        if let Some(place) = self.sources.get_mut(irq.0 as usize) {
            *place = source;
        }
    }

    /// Where an interrupt comes from.
    fn source(&self, irq: Irq) -> Option<Source> {
        self.sources.get(irq.0 as usize).copied().flatten()
    }

    /// Masks an interrupt, or lets it come again, if it is a pin's.
    fn mask(&self, irq: Irq, masked: bool) {
        if let Some(Source::Pin { controller, pin, .. }) = self.source(irq)
            && let Some(controller) = self.io_apic(controller)
        {
            controller.mask(pin, masked);
        }
    }

    /// Starts the timer for the deadline.
    #[inline(always)]
    fn start_timer(&mut self) {
        let left = self.deadline.0.saturating_sub(cpu::counter());
        self.parts.apic.set_timer(self.parts.rates.timer_ticks(left));
    }
}

/// The entry of a root table behind which the kernel is.
const KERNEL_ENTRY: usize = 511;

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
    // A mapping may end at the limit.
    const USER_TOP: u64 = memory::MAP_LIMIT - 1;
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
    const REFUSE_OVERMAP: bool = false;
    // `invocations.md` §12.
    const PAGE_CHECKS: [PageCheck; 5] =
        [PageCheck::Place, PageCheck::Range, PageCheck::Space, PageCheck::Alignment, PageCheck::Level];
    const TABLES_ARE_ROOTS: bool = false;
    const TABLES_HAVE_LEVELS: bool = true;
    const IMAGE_ATTRIBUTES: u64 = memory::attribute::DEFAULT;
    const DATA_ATTRIBUTES: u64 = memory::attribute::DEFAULT;
    // No unit for devices' accesses is driven.
    const IO_PAGE_TABLE_LEVELS: u64 = if Options::BUILD.x86_iommu { 0 } else { u64::MAX };
    const SCHED_CONTROL_FIRST: bool = true;
    const HAS_TLS_CALL: bool = true;
    const LABELS: &'static [keel_abi::label::Entry] = label::TABLE;
    // How an interrupt is triggered is said by other calls: no label has so many bits.
    const IRQ_TRIGGER_LABEL: u64 = u64::MAX;

    fn initialise(registers: &mut Registers) {
        registers::initialise(registers);
    }

    #[inline(always)]
    fn sanitise(index: usize, value: u64) -> u64 {
        registers::sanitise(index, value)
    }

    fn written(registers: &mut Registers) {
        registers.words[registers::HOW] = 0;
    }

    #[inline(always)]
    fn now(&mut self) -> Ticks {
        Ticks(cpu::counter())
    }

    #[inline(always)]
    fn set_deadline(&mut self, deadline: Ticks) {
        self.deadline = deadline;
        self.start_timer();
    }

    fn timer_khz(&self) -> u64 {
        self.parts.rates.counter_mhz * 1000
    }

    #[inline(always)]
    fn interrupt_pending(&mut self) -> bool {
        self.parts.apic.is_pending()
    }

    fn take_interrupt(&mut self) -> Option<TakenInterrupt> {
        let vector = self.arrived.take().or_else(cpu::fetch_interrupt)?;
        if u64::from(vector) == irq::SPURIOUS_VECTOR {
            return None;
        }
        match interrupts::of_vector(vector) {
            Some(interrupts::TIMER) => {
                self.parts.apic.end();
                if self.now() < self.deadline {
                    self.start_timer();
                    return None;
                }
                Some(TakenInterrupt::Timer)
            }
            Some(irq) => Some(TakenInterrupt::Device(irq)),
            None => {
                self.parts.apic.end();
                None
            }
        }
    }

    fn end_interrupt(&mut self, irq: Irq) {
        self.mask(irq, true);
        self.parts.apic.end();
    }

    fn hold_interrupt(&mut self, irq: Irq) {
        // Masked first: a line that is still active would interrupt again as soon as this has ended.
        self.end_interrupt(irq);
    }

    fn ack_interrupt(&mut self, irq: Irq) {
        self.mask(irq, false);
    }

    fn enable_interrupt(&mut self, irq: Irq, _trigger: Option<Trigger>) {
        if let Some(Source::Pin { controller, pin, line }) = self.source(irq)
            && let Some(controller) = self.io_apic(controller)
        {
            controller.route(pin, line, interrupts::vector(irq), self.parts.apic.id());
        }
    }

    fn disable_interrupt(&mut self, irq: Irq) {
        self.mask(irq, true);
        self.set_source(irq, None);
    }

    fn check_irq(&self, _irq: u64) -> Result<Irq, Error> {
        // Numbers are those of the controller of the first PCs, which is not used.
        Err(Error::IllegalOperation)
    }

    fn irq_reserved(&self, irq: Irq) -> bool {
        irq.0 as usize >= interrupts::USER_COUNT
    }

    fn has_triggers(&self) -> bool {
        false
    }

    #[inline(always)]
    fn entry(raw: u64, level: u8) -> Entry {
        entries::entry(raw, level)
    }

    fn table_entry(table: PhysAddr, attributes: u64) -> u64 {
        entries::table(table, attributes)
    }

    fn page_entry(page: PhysAddr, level: u8, rights: VmRights, attributes: u64) -> u64 {
        entries::page(page, level, rights, attributes)
    }

    fn entry_is_writable(entry: u64) -> bool {
        entries::is_writable(entry)
    }

    fn initialise_root(&mut self, store: &mut Store<Self>, root: Ref<Table>) {
        let own = Ref::<Table>::at(Store::<Self>::window(PhysAddr(self.parts.no_space)));
        if let Some(own) = own {
            let entry = store[own].entries[KERNEL_ENTRY];
            store[root].entries[KERNEL_ENTRY] = entry;
        }
    }

    fn entry_written(&mut self, _table: Ref<Table>, _index: u64) {
        // The table walker sees what the caches hold.
    }

    fn flush_page(&mut self, asid: Asid, address: VirtAddr) {
        if self.space.1 == asid {
            cpu::forget_page(address.0);
        }
    }

    fn flush_asid(&mut self, asid: Asid) {
        if self.space.1 == asid {
            cpu::load_space(self.space.0);
        }
    }

    fn forget_spaces(&mut self, asids: RangeInclusive<Asid>) {
        if asids.contains(&self.space.1) {
            self.load_space((self.parts.no_space, 0));
        }
    }

    fn cleared(&mut self, _physical: PhysAddr, _bytes: u64) {
        // Devices, walker and instruction fetches see what the caches hold.
    }

    #[inline(always)]
    fn switch_to(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>, vspace: Option<(Ref<Table>, Asid)>) {
        self.load_space(match vspace {
            Some((root, asid)) => (Store::<Self>::physical(root.address()).0, asid),
            None => (self.parts.no_space, 0),
        });
        self.load_bases(store, tcb);
        self.running = Some(tcb);
        self.fpu.switch_to(tcb);
    }

    fn switch_to_idle(&mut self, _store: &mut Store<Self>) {
        self.load_space((self.parts.no_space, 0));
    }

    fn save_live_registers(&mut self, _store: &mut Store<Self>, _tcb: Ref<Tcb>) {
        // All registers of the interface are saved by each trap.
    }

    fn load_live_registers(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>) {
        // The processor takes no other bases.
        for index in [FS_BASE, GS_BASE] {
            let base = store[tcb].registers.words[index];
            store[tcb].registers.words[index] = registers::sanitise(index, base);
        }
        if self.running == Some(tcb) {
            self.load_bases(store, tcb);
        }
    }

    fn release_fpu(&mut self, store: &mut Store<Self>, tcb: Ref<Tcb>) {
        self.fpu.release(store, tcb);
    }

    fn object_type(number: u64) -> Option<MachineObject> {
        match number {
            object::PDPT => Some(MachineObject::Table(2)),
            object::PML4 => Some(MachineObject::VSpace),
            object::HUGE_PAGE => Some(MachineObject::Frame(2)),
            object::SMALL_PAGE => Some(MachineObject::Frame(0)),
            object::LARGE_PAGE => Some(MachineObject::Frame(1)),
            object::PAGE_TABLE => Some(MachineObject::Table(0)),
            object::PAGE_DIRECTORY => Some(MachineObject::Table(1)),
            _ => None,
        }
    }

    fn decode(kernel: &Kernel<Self>, cap: Cap, message: &Message) -> Result<Invocation, Error> {
        match cap {
            Cap::Machine(cap) => ports::decode(kernel, cap, message).map(Invocation::Ports),
            _ => Err(Error::IllegalOperation),
        }
    }

    fn perform(
        kernel: &mut Kernel<Self>,
        invocation: Invocation,
        message: &Message,
    ) -> Result<u64, Preempted> {
        operation_is::<{ operation::MACHINE }>();
        match invocation {
            Invocation::Ports(invocation) => Ok(ports::perform(kernel, invocation, message)),
            Invocation::Interrupt(issue) => {
                interrupts::perform(kernel, issue);
                Ok(0)
            }
        }
    }

    fn paging_label(label: u64) -> Option<PagingLabel> {
        match label {
            label::PAGE_TABLE_MAP => Some(PagingLabel::TableMap(0)),
            label::PAGE_TABLE_UNMAP => Some(PagingLabel::TableUnmap(0)),
            label::PAGE_DIRECTORY_MAP => Some(PagingLabel::TableMap(1)),
            label::PAGE_DIRECTORY_UNMAP => Some(PagingLabel::TableUnmap(1)),
            label::PDPT_MAP => Some(PagingLabel::TableMap(2)),
            label::PDPT_UNMAP => Some(PagingLabel::TableUnmap(2)),
            label::PAGE_MAP => Some(PagingLabel::PageMap),
            label::PAGE_UNMAP => Some(PagingLabel::PageUnmap),
            label::PAGE_GET_ADDRESS => Some(PagingLabel::PageGetAddress),
            label::ASID_CONTROL_MAKE_POOL => Some(PagingLabel::MakePool),
            label::ASID_POOL_ASSIGN => Some(PagingLabel::Assign),
            _ => None,
        }
    }

    fn decode_irq_control(kernel: &Kernel<Self>, message: &Message) -> Result<Invocation, Error> {
        interrupts::decode(kernel, message).map(Invocation::Interrupt)
    }

    fn update_cap(cap: RawCap, _data: u64, _preserve: bool) -> Option<RawCap> {
        Some(cap)
    }

    fn derive_cap(cap: RawCap) -> Option<RawCap> {
        ports::derive(cap)
    }

    fn same_object(a: RawCap, b: RawCap) -> bool {
        ports::same_object(a, b)
    }

    fn gives_out(parent: RawCap, child: RawCap) -> bool {
        ports::gives_out(parent, child)
    }

    fn child_of_irq_control(_child: RawCap) -> bool {
        false
    }

    fn badge(_cap: RawCap) -> Option<u64> {
        None
    }

    fn finalise(&mut self, cap: RawCap) {
        ports::finalise(&mut self.ports, cap);
    }

    fn put_char(&mut self, character: u8) {
        self.parts.console.put(character);
    }

    fn halt(&mut self) -> ! {
        switch_off(self.parts.power)
    }
}

/// Switches the machine off where it is known how, else waits for ever.
pub fn switch_off(power: Option<PowerSwitch>) -> ! {
    if let Some(PowerSwitch { port, value }) = power {
        cpu::write_port(port, Width::Half, value.into());
    }
    cpu::stop()
}
