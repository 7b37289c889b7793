// SPDX-License-Identifier: MIT OR Apache-2.0

//! Kernel and specification side by side: the same operation on both, then the states are compared.
//!
//! Each entry to the kernel is one of the specification. If the kernel is interrupted in the middle of a system call, so is
//! the specification, between two units of the call, and that state is compared too. The thread then makes its call
//! again by itself, as does one whose waiting was cancelled.

use crate::abstraction::{Inside, abstraction};
use crate::script::{Cause, Op, Step};
use crate::view::View;
use crate::ways::{Entry, ShortWay, Twin};
use keel_abi::aarch64::registers::Register;
use keel_abi::message::ipc_buffer;
use keel_abi::slot;
use keel_kernel::arch::Arch;
use keel_kernel::host::Host;
use keel_kernel::host::world::{DEPTH, World};
use keel_kernel::ipc::fault::Fault as KernelFault;
use keel_kernel::object::Tcb;
use keel_kernel::store::{Ref, Store};
use keel_kernel::units::{Irq, KernelAddr, Ticks};
use keel_spec::concrete::Object;
use keel_spec::system::fault::Fault;
use keel_spec::system::schedule::NEVER;
use keel_spec::system::{Look, NotCovered, System};
use keel_spec::theorems::invariants;
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of an instruction.
const INSTRUCTION: u64 = 4;
/// A system call that is repeated more often has no end.
const MOST_REPETITIONS: u64 = 100_000;
/// So many threads may make their calls again by themselves after one operation.
const MOST_RESTARTS: u64 = 64;

/// A timer that is due more often at one time is so for ever.
const MOST_INTERRUPTS: usize = 1_000;
/// Nobody waits longer than this, in ticks.
const LONGEST_WAIT: u64 = 1 << 32;

/// An entry to the kernel by an interrupt.
#[derive(Clone, Copy, Debug)]
struct Interrupt {
    /// When it came.
    now: u64,
    /// The device that it was of. None: the timer's, or one that was gone when the kernel looked.
    device: Option<u64>,
}

/// What a run has covered.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Operations after which the states were compared.
    pub compared: u64,
    /// Operations of which the specification does not speak yet, by what is missing.
    pub open: BTreeMap<&'static str, u64>,
    /// Operations at which a budget or a domain's time was up, or a budget had come back.
    pub timed: u64,
    /// Operations that the kernel was interrupted in.
    pub interrupted: u64,
    /// Those of them that the timer interrupted: time had passed in the middle.
    pub by_timer: u64,
    /// States in the middle of those that were compared.
    pub in_the_middle: u64,
    /// Entries to the kernel that went a short way, and the general path in a copy.
    pub short_ways: BTreeMap<ShortWay, u64>,
}

impl Coverage {
    /// Takes in another run's coverage.
    pub fn add(&mut self, other: &Self) {
        self.compared += other.compared;
        self.timed += other.timed;
        self.interrupted += other.interrupted;
        self.by_timer += other.by_timer;
        self.in_the_middle += other.in_the_middle;
        for (what, count) in &other.open {
            *self.open.entry(what).or_default() += count;
        }
        for (way, count) in &other.short_ways {
            *self.short_ways.entry(*way).or_default() += count;
        }
    }
}

/// Kernel and specification disagree.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// In what.
    pub lines: Vec<String>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A kernel and a state of the specification. A copy goes on from the same state.
pub struct Lockstep {
    /// The kernel, with its machine.
    pub world: World,
    /// The state that it must be in. None while something is there that the specification does not speak of.
    pub system: Option<System>,
    /// What was covered.
    pub coverage: Coverage,
    /// Whether the kernel goes on without being looked at.
    is_alone: bool,
    trapped_at: BTreeMap<Ref<Tcb>, u64>,
    twin: Twin,
    /// In what short ways differed from the general path.
    differences: Vec<String>,
}

impl Clone for Lockstep {
    fn clone(&self) -> Self {
        Self {
            world: self.world.clone(),
            system: self.system.clone(),
            coverage: self.coverage.clone(),
            is_alone: self.is_alone,
            trapped_at: self.trapped_at.clone(),
            twin: Twin::new(),
            differences: self.differences.clone(),
        }
    }

    /// Copies only the memory that was used.
    fn clone_from(&mut self, source: &Self) {
        self.world.clone_from(&source.world);
        self.system.clone_from(&source.system);
        self.coverage.clone_from(&source.coverage);
        self.is_alone = source.is_alone;
        self.trapped_at.clone_from(&source.trapped_at);
        self.differences.clone_from(&source.differences);
    }
}

impl Lockstep {
    /// Begins with a kernel as it is.
    #[must_use]
    pub fn new(mut world: World) -> Self {
        // Miri, which is slow, is there for the kernel's own accesses.
        let system = if cfg!(miri) { None } else { abstraction(&mut world.kernel).ok() };
        let (coverage, trapped_at) = (Coverage::default(), BTreeMap::new());
        let (twin, differences) = (Twin::new(), vec![]);
        Self { world, system, coverage, is_alone: false, trapped_at, twin, differences }
    }

    /// Does what `step` says. A system call when nobody runs is nothing.
    pub fn apply(&mut self, step: &Step) -> Result<(), Disagreement> {
        match step {
            Step::Call(op) => self.call(op)?,
            Step::Interrupted(op, point, cause) => {
                let machine = &mut self.world.kernel.arch;
                match *cause {
                    Cause::Device(irq) => machine.raise_at(*point, Irq(irq)),
                    Cause::Time(ticks) => machine.pass_at(*point, Ticks(ticks)),
                }
                let done = self.call(op);
                self.world.kernel.arch.calm();
                done?;
            }
            Step::Interrupt(irq) => {
                self.world.kernel.arch.raise(Irq(*irq));
                self.interrupt()?;
            }
            Step::Fault(fault) => self.fault(*fault)?,
            Step::Pass(ticks) => self.pass(*ticks)?,
        }
        self.repeat()?;
        self.ways_agree()
    }

    /// Whoever runs makes a system call.
    fn call(&mut self, op: &Op) -> Result<(), Disagreement> {
        let Some(thread) = self.world.kernel.core.current else { return Ok(()) };
        self.prepare(thread, op);
        self.trap(thread)
    }

    /// Who was restarted and has its turn makes its call again.
    fn repeat(&mut self) -> Result<(), Disagreement> {
        for _ in 0..MOST_RESTARTS {
            match self.world.kernel.core.current {
                Some(next) if self.repeats(next) => self.trap(next)?,
                _ => break,
            }
        }
        Ok(())
    }

    /// Whoever runs does what the processor does not do.
    fn fault(&mut self, fault: Fault) -> Result<(), Disagreement> {
        let Some(thread) = self.world.kernel.core.current else { return Ok(()) };
        let here = self.world.register(thread, Host::REGISTERS.next_pc);
        self.world.set_register(thread, Host::REGISTERS.restart_pc, here);
        let now = self.now();
        self.world.kernel.handle_fault(kernel_fault(fault));
        let after = self.take_interrupts();
        self.specify(|system| {
            system.exception(now, fault)?;
            interrupts(system, &after)
        })
    }

    /// Interrupts that wait come.
    fn interrupt(&mut self) -> Result<(), Disagreement> {
        let taken = self.take_interrupts();
        self.specify(|system| interrupts(system, &taken))
    }

    /// Time passes, in which whoever runs only computes, or nobody runs. The timer interrupts when it is due.
    fn pass(&mut self, ticks: u64) -> Result<(), Disagreement> {
        let end = Ticks(self.now()) + Ticks(ticks);
        for _ in 0..MOST_INTERRUPTS {
            match self.world.kernel.arch.deadline() {
                Some(deadline) if deadline <= end => {
                    let now = self.world.kernel.arch.time();
                    self.world.kernel.arch.set_time(now.max(deadline));
                    self.interrupt()?;
                    self.repeat()?;
                }
                _ => {
                    self.world.kernel.arch.set_time(end);
                    return Ok(());
                }
            }
        }
        panic!("the timer is due for ever");
    }

    /// Lets time pass until somebody runs; whether anybody does.
    pub fn wait_for_somebody(&mut self) -> Result<bool, Disagreement> {
        for _ in 0..MOST_INTERRUPTS {
            let now = self.now();
            match self.world.kernel.arch.deadline() {
                Some(Ticks(deadline)) if !self.is_running() && is_near(deadline, now) => {
                    self.pass(deadline.saturating_sub(now))?;
                }
                _ => break,
            }
        }
        Ok(self.is_running())
    }

    /// What the machine's clock shows.
    fn now(&self) -> u64 {
        self.world.kernel.arch.time().0
    }

    /// As [`Self::apply`], on the kernel alone and without a check: to get to a state that is known.
    pub fn replay(&mut self, step: &Step) {
        (self.system, self.is_alone) = (None, true);
        let done = self.apply(step);
        self.is_alone = false;
        assert!(done.is_ok(), "without a specification there is nothing to disagree with");
    }

    /// Whether anybody runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.world.kernel.core.current.is_some()
    }

    /// Whether anybody runs, or will when time has passed.
    #[must_use]
    pub fn can_go_on(&self) -> bool {
        let deadline = self.world.kernel.arch.deadline();
        self.is_running() || deadline.is_some_and(|deadline| is_near(deadline.0, self.now()))
    }

    /// Whether the theorems' invariants hold of the state.
    pub fn check_theorems(&self) -> Result<(), Disagreement> {
        let lines = self.system.as_ref().map(violated).unwrap_or_default();
        if lines.is_empty() { Ok(()) } else { Err(Disagreement { lines }) }
    }

    /// What the kernel knows beyond the specification.
    pub fn inside(&mut self) -> Inside {
        let trapped_at = &self.trapped_at;
        Inside::of(&mut self.world.kernel, |tcb, address| trapped_at.get(&tcb) == Some(&address))
    }

    /// Goes on from the kernel's state.
    pub fn resume(&mut self) {
        self.system = abstraction(&mut self.world.kernel).ok();
    }

    /// The system call of `thread`, which runs and stands at it, on both sides: until it is complete, or somebody else
    /// goes ahead in the middle of it.
    fn trap(&mut self, thread: Ref<Tcb>) -> Result<(), Disagreement> {
        for entries in 1..MOST_REPETITIONS {
            let (now, machine) = (self.now(), &self.world.kernel.arch);
            let (preemptions, polls) = (machine.preemptions(), machine.polls());
            self.execute(thread);
            let machine = &self.world.kernel.arch;
            let is_interrupted = machine.preemptions() != preemptions;
            let look = Look { units: machine.polls() - polls, now: self.now(), stops: is_interrupted };
            let after = self.take_interrupts();
            if !is_interrupted && look.now == now {
                return self.specify(|system| {
                    system.system_call(now)?;
                    interrupts(system, &after)
                });
            }
            if is_interrupted {
                self.coverage.interrupted += u64::from(entries == 1);
                self.coverage.by_timer += u64::from(look.now != now);
                self.specify_in_part(now, look, &after)?;
            } else {
                self.specify_in_time(now, look, &after)?;
            }
            if self.world.kernel.core.current != Some(thread) || !self.repeats(thread) {
                return Ok(());
            }
        }
        panic!("no end of repetitions: the operation makes no progress");
    }

    /// Time has passed in the middle of a system call, without an interrupt. The kernel must stop if time is up, and may
    /// stop otherwise: what it goes by is from before the call.
    fn specify_in_time(&mut self, now: u64, look: Look, after: &[Interrupt]) -> Result<(), Disagreement> {
        let before = self.system.clone();
        self.specify_in_part(now, look, after).or_else(|disagreement| {
            self.system = before;
            self.specify_in_part(now, Look { stops: true, ..look }, after).map_err(|_| disagreement)
        })
    }

    /// The kernel has looked in the middle of a system call. It had done as much as the specification does in at most as
    /// many units: some of the kernel's make no difference that can be seen.
    fn specify_in_part(&mut self, now: u64, look: Look, after: &[Interrupt]) -> Result<(), Disagreement> {
        let Some(before) = &self.system else { return self.specify(|_| Ok(())) };
        let (before, compared) = (before.clone(), self.coverage.compared);
        let mut result = Ok(());
        for units in 0..=look.units {
            self.system = Some(before.clone());
            result = self.specify(|system| {
                system.begin_system_call(now, Look { units, ..look })?;
                interrupts(system, after)
            });
            if result.is_ok() {
                break;
            }
        }
        self.coverage.in_the_middle += u64::from(self.coverage.compared > compared);
        self.coverage.compared = compared;
        result
    }

    /// What the kernel has done is what the specification does.
    fn specify(
        &mut self,
        what: impl FnOnce(&mut System) -> Result<(), NotCovered>,
    ) -> Result<(), Disagreement> {
        self.ways_agree()?;
        let Some(system) = &mut self.system else {
            self.begin_again("states beyond the specification");
            return Ok(());
        };
        let before = time_marks(system);
        match what(system) {
            Ok(()) => {
                self.coverage.timed += u64::from(time_marks(system) != before);
                self.compare()
            }
            Err(open) => {
                self.begin_again(open.0);
                Ok(())
            }
        }
    }

    /// The specification takes over the kernel's state: the operation was not compared, because of `what`.
    fn begin_again(&mut self, what: &'static str) {
        if self.is_alone {
            return;
        }
        *self.coverage.open.entry(what).or_default() += 1;
        self.system = abstraction(&mut self.world.kernel).ok();
    }

    fn compare(&mut self) -> Result<(), Disagreement> {
        let is = match abstraction(&mut self.world.kernel) {
            Ok(is) => is,
            Err(open) => {
                self.begin_again(open.0);
                return Ok(());
            }
        };
        let Some(must) = &mut self.system else { return Ok(()) };
        self.coverage.compared += 1;
        must.x.prefer(is.x.order());
        let (is_view, must_view) = (View::of(&is, &is.memory), View::of(must, &is.memory));
        let mut lines = if is_view == must_view { vec![] } else { View::differences(&is_view, &must_view) };
        let timer = self.world.kernel.arch.deadline().map_or(NEVER, |deadline| deadline.0);
        if timer > must.deadline() {
            lines.push(format!("the timer is set to {timer}, and is needed at {}", must.deadline()));
        }
        if lines.is_empty() { Ok(()) } else { Err(Disagreement { lines }) }
    }

    /// The machine executes the system call instruction at which `thread` stands.
    fn execute(&mut self, thread: Ref<Tcb>) {
        self.arrive(thread);
        self.enter(Entry::Call);
    }

    /// The machine enters the kernel; if that may go a short way, also the general path in a copy.
    fn enter(&mut self, entry: Entry) {
        if self.is_alone {
            return entry.into_kernel(&mut self.world.kernel);
        }
        let (way, differences) = self.twin.enter(&mut self.world, entry);
        self.differences.extend(differences);
        if let Some(way) = way {
            *self.coverage.short_ways.entry(way).or_default() += 1;
        }
    }

    /// Short ways and the general path do the same.
    fn ways_agree(&mut self) -> Result<(), Disagreement> {
        let lines = std::mem::take(&mut self.differences);
        if lines.is_empty() { Ok(()) } else { Err(Disagreement { lines }) }
    }

    /// `thread` traps.
    fn arrive(&mut self, thread: Ref<Tcb>) {
        let here = self.world.register(thread, Host::REGISTERS.next_pc);
        self.world.set_register(thread, Host::REGISTERS.restart_pc, here);
        self.world.set_register(thread, Host::REGISTERS.next_pc, here.wrapping_add(INSTRUCTION));
        self.trapped_at.insert(thread, here);
    }

    /// Interrupts that wait come, one after the other. All that came.
    fn take_interrupts(&mut self) -> Vec<Interrupt> {
        let mut taken = Vec::new();
        while self.world.kernel.arch.interrupt_waits() {
            self.enter(Entry::Interrupt);
            taken.push(Interrupt { now: self.now(), device: self.taken() });
            assert!(taken.len() < MOST_INTERRUPTS, "interrupts come for ever");
        }
        self.check();
        taken
    }

    /// The device whose interrupt the kernel has just taken, if any.
    fn taken(&mut self) -> Option<u64> {
        self.world.kernel.arch.taken_interrupts().first().map(|irq| irq.0.into())
    }

    fn repeats(&self, thread: Ref<Tcb>) -> bool {
        self.trapped_at.get(&thread) == Some(&self.world.register(thread, Host::REGISTERS.next_pc))
    }

    /// The kernel's own invariants.
    fn check(&mut self) {
        // Miri, which is slow, is there for the kernel's own accesses.
        if !self.is_alone && !cfg!(miri) {
            self.world.check();
        }
    }

    /// Puts `op` into the registers and the buffer of `thread`, on both sides.
    fn prepare(&mut self, thread: Ref<Tcb>, op: &Op) {
        let registers = &Host::REGISTERS;
        let mut set = |place, value| self.world.set_register(thread, place, value);
        set(registers.number, op.number.cast_unsigned());
        set(registers.capability, op.cap);
        set(registers.info, op.info());
        set(registers.reply, op.reply);
        set(registers.send_to, op.send_to);
        for (place, word) in registers.message.iter().zip(&op.words) {
            set(*place, *word);
        }
        let mut words: Vec<(usize, u64)> = Vec::new();
        words.extend(op.words.iter().enumerate().map(|(n, word)| (ipc_buffer::MSG + n, *word)));
        words.extend(op.caps.iter().enumerate().map(|(n, cap)| (ipc_buffer::CAPS_OR_BADGES + n, *cap)));
        words.push((ipc_buffer::RECEIVE_CNODE, slot::INIT_CNODE));
        words.push((ipc_buffer::RECEIVE_INDEX, op.receive_at));
        words.push((ipc_buffer::RECEIVE_DEPTH, DEPTH));
        let buffer = self.world.kernel.receive_buffer(thread);
        let mut written = Vec::new();
        if let Some(buffer) = buffer {
            for (index, word) in words {
                let address = KernelAddr(buffer.0 + 8 * index as u64);
                self.world.kernel.store.save(address, word);
                written.push((Store::<Host>::physical(address).0, word));
            }
        }
        let registers = self.world.kernel.store[thread].registers.words;
        let Some(system) = &mut self.system else { return };
        system.memory.extend(written);
        let name = Object::At(Store::<Host>::physical(thread.address()).0);
        system.thread_mut(name).registers.0.copy_from_slice(&registers[..Register::NextPc as usize + 1]);
    }
}

/// These interrupts come, one after the other.
fn interrupts(system: &mut System, taken: &[Interrupt]) -> Result<(), NotCovered> {
    taken.iter().try_for_each(|interrupt| system.interrupt(interrupt.now, interrupt.device))
}

/// Whether it is not long until `time`.
const fn is_near(time: u64, now: u64) -> bool {
    time.saturating_sub(now) < LONGEST_WAIT
}

/// What changes when time is up: who waits for time, who has raised a Timeout fault, whose domain it is.
fn time_marks(system: &System) -> (Vec<Object>, Vec<Object>, u64) {
    let has_timed_out =
        |object: &&Object| matches!(system.thread(**object).fault, Some(Fault::Timeout { .. }));
    let waiting = system.queues.release.iter().map(|(_, thread)| *thread);
    (waiting.collect(), system.threads.keys().filter(has_timed_out).copied().collect(), system.domains.index)
}

/// The kernel's word for a fault of user level.
fn kernel_fault(fault: Fault) -> KernelFault {
    match fault {
        Fault::UserException { number, code } => KernelFault::UserException { number, code },
        Fault::VirtualMemory { address, is_fetch, status } => {
            KernelFault::VirtualMemory { address, is_fetch, status }
        }
        Fault::UnknownSyscall { .. } | Fault::Capability { .. } | Fault::Timeout { .. } => {
            unreachable!("raised by the kernel itself")
        }
    }
}

/// The invariants of the theorems that a state violates. It is an error of the abstraction or of the kernel if there is
/// one: the theorems say that the specification's steps keep them.
fn violated(system: &System) -> Vec<String> {
    let (x, s) = (&system.x, &system.authority);
    let slots = x.slots();
    let objects: Vec<Object> = s.live.keys().chain([Object::None]).collect();
    let mut lines = Vec::new();
    for statement in invariants::all() {
        let mut some_slots = vec![0; statement.slots];
        let mut some_objects = vec![0; statement.objects];
        loop {
            let chosen: Vec<_> = some_slots.iter().map(|n| slots[*n]).collect();
            let meant: Vec<_> = some_objects.iter().map(|n| objects[*n]).collect();
            if !(statement.holds)(x, s, &chosen, &meant) {
                lines.push(format!("{} does not hold of {chosen:x?} {meant:x?}", statement.name));
                break;
            }
            if !next(&mut some_slots, slots.len()) && !next(&mut some_objects, objects.len()) {
                break;
            }
        }
    }
    lines
}

/// The next sequence of numbers below `limit`; false and all zero after the last.
fn next(numbers: &mut [usize], limit: usize) -> bool {
    for number in numbers {
        *number += 1;
        if *number < limit {
            return true;
        }
        *number = 0;
    }
    false
}
