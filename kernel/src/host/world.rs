// SPDX-License-Identifier: MIT OR Apache-2.0

//! A whole system on the host: a kernel, a root task, and the means to play its threads.
//!
//! A [`World`] begins like a machine after boot: a root task runs, with the first capabilities in the slots of
//! `boot.md` §1 and all memory as untyped. From there everything happens through the kernel's entries. The user
//! level of a world has one instruction, the system call: to run a thread is to set its registers, as its program
//! would, and to let it trap ([`World::trap`]). What the kernel makes of it can be read from registers and memory.
//!
//! ```text
//!   test ----> registers, buffer ----> trap ----> kernel entry ----> invariants checked
//!     ^                                  ^             |
//!     |                                  +-- again, while the running thread must repeat its call
//!     +-- results in registers and buffer, other threads now running
//! ```
//!
//! After each entry the machine does what a machine does: waiting interrupts are taken, and a thread that was
//! preempted within its system call and runs again executes the instruction again. So a test of a long operation
//! reads the same with and without preemption ([`crate::host::Host::preempt_every`]).
//!
//! Unless [`World::check_each_entry`] says otherwise, each entry is followed by [`World::check`]: every test of
//! anything is a test of the invariants.

use super::Host;
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Cap;
use crate::cspace::{self, Slot};
use crate::ipc::fault::Fault;
use crate::object::tcb::TcbSlot;
use crate::object::{SchedContext, Tcb, ThreadState};
use crate::store::{Ref, Store};
use crate::units::{Irq, KernelAddr, Priority, Ticks};
use keel_abi::aarch64::object as arch_object;
use keel_abi::error::ErrorCode;
use keel_abi::message::{MessageInfo, ipc_buffer};
use keel_abi::{label, object, slot, syscall};
use std::collections::BTreeMap;

pub mod boot;

/// An address in the CSpace that all threads of a world share: the number of a slot of the root CNode.
pub type CPtr = u64;

/// The depth at which addresses in the shared CSpace are resolved.
pub const DEPTH: u64 = cspace::FULL_DEPTH;

/// Bytes of an instruction.
const INSTRUCTION_BYTES: u64 = 4;
/// How often one system call may be repeated before the world gives up on it.
const MOST_REPETITIONS: u64 = 20_000;

/// A kernel and its user level. A copy is another system in the same state.
pub struct World {
    /// The kernel.
    pub kernel: Kernel<Host>,
    /// The scheduling control capability.
    pub sched_control: CPtr,
    /// The largest untyped.
    pub memory: CPtr,
    /// The largest untyped of device memory.
    pub devices: CPtr,
    /// The slot that is given out next.
    pub(super) next_free: CPtr,
    /// Whether each entry is followed by a check.
    pub(super) checks: bool,
    /// Where each thread's last system call instruction stands.
    pub(super) trapped_at: BTreeMap<Ref<Tcb>, u64>,
}

/// A thread that the world made, with what belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thread {
    /// The thread itself.
    pub tcb: Ref<Tcb>,
    /// The capability to it.
    pub cap: CPtr,
    /// The capability to its scheduling context; 0 for a passive thread.
    pub sched_context: CPtr,
    /// The capability to a reply object of its own.
    pub reply: CPtr,
}

/// What a thread finds in its registers and its buffer after it received something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// The badge register.
    pub badge: u64,
    /// The message info register.
    pub info: MessageInfo,
    /// As many words as the info says.
    pub words: Vec<u64>,
}

/// The error that a call was answered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Its code.
    pub code: ErrorCode,
    /// Its details.
    pub words: Vec<u64>,
}

impl Failure {
    /// An error with these details.
    #[must_use]
    pub fn new(code: ErrorCode, words: &[u64]) -> Self {
        Self { code, words: words.to_vec() }
    }
}

/// What a call to an object gives.
pub type Outcome = Result<Vec<u64>, Failure>;

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

// --- looking ---------------------------------------------------------------------------------------------------

impl World {
    /// Whether each entry to the kernel is followed by a check of all invariants. At first it is.
    pub const fn check_each_entry(&mut self, checks: bool) {
        self.checks = checks;
    }

    /// The slot of the root CNode that `address` names.
    #[must_use]
    pub fn slot(&self, address: CPtr) -> Ref<Slot> {
        let root = self.kernel.store[self.cspace_root()].raw;
        match cspace::resolve(&self.kernel.store, root, address, DEPTH) {
            Ok((slot, 0)) => slot,
            other => panic!("{address:#x} names no slot: {other:?}"),
        }
    }

    /// The capability at `address`.
    #[must_use]
    pub fn cap(&self, address: CPtr) -> Cap {
        self.kernel.store[self.slot(address)].cap()
    }

    /// The thread that `address` is a capability to.
    #[must_use]
    pub fn tcb(&self, address: CPtr) -> Ref<Tcb> {
        let Cap::Tcb(tcb) = self.cap(address) else { panic!("{address:#x} is no thread") };
        tcb
    }

    /// The scheduling context that `address` is a capability to.
    #[must_use]
    pub fn sched_context(&self, address: CPtr) -> Ref<SchedContext> {
        let Cap::SchedContext { object, .. } = self.cap(address) else {
            panic!("{address:#x} is no context")
        };
        object
    }

    /// The running thread.
    #[must_use]
    pub fn current(&self) -> Ref<Tcb> {
        self.kernel.core.current.expect("the machine idles")
    }

    /// The state of a thread.
    #[must_use]
    pub fn state(&self, tcb: Ref<Tcb>) -> ThreadState {
        self.kernel.store[tcb].state
    }

    /// A register of a thread, by its place in the saved registers.
    #[must_use]
    pub fn register(&self, tcb: Ref<Tcb>, place: usize) -> u64 {
        self.kernel.store[tcb].registers.words[place]
    }

    /// Sets a register of a thread as its own program would.
    pub fn set_register(&mut self, tcb: Ref<Tcb>, place: usize, value: u64) {
        self.kernel.store[tcb].registers.words[place] = value;
    }

    /// Where the kernel sees the IPC buffer of a thread, if it has one.
    #[must_use]
    pub fn buffer(&self, tcb: Ref<Tcb>) -> Option<KernelAddr> {
        let Cap::Frame(frame) = self.kernel.store[tcb.slot(TcbSlot::IpcBuffer)].cap() else { return None };
        let offset = self.kernel.store[tcb].ipc_buffer & ((1 << frame.bits()) - 1);
        Some(Store::<Host>::window(frame.base).offset(offset))
    }

    /// Reads word `index` of a thread's IPC buffer (`keel_abi::message::ipc_buffer`).
    #[must_use]
    pub fn buffer_word(&self, tcb: Ref<Tcb>, index: usize) -> u64 {
        let buffer = self.buffer(tcb).expect("a thread with a buffer");
        self.kernel.store.load(buffer.offset(8 * index as u64))
    }

    /// Writes word `index` of a thread's IPC buffer.
    pub fn set_buffer_word(&mut self, tcb: Ref<Tcb>, index: usize, word: u64) {
        let buffer = self.buffer(tcb).expect("a thread with a buffer");
        self.kernel.store.save(buffer.offset(8 * index as u64), word);
    }

    /// What a thread finds after it received something.
    #[must_use]
    pub fn received(&self, tcb: Ref<Tcb>) -> Received {
        let registers = &Host::REGISTERS;
        let info = MessageInfo(self.register(tcb, registers.info));
        let words = (0..info.length()).map(|index| match registers.message.get(index) {
            Some(&place) => self.register(tcb, place),
            None => self.buffer_word(tcb, ipc_buffer::MSG + index),
        });
        Received { badge: self.register(tcb, registers.capability), info, words: words.collect() }
    }
}

// --- entering the kernel -----------------------------------------------------------------------------------------

impl World {
    /// The running thread executes a system call with the registers as they are, and the machine goes on until
    /// nobody runs or a thread that is not in the middle of a system call.
    pub fn trap(&mut self, number: i64) {
        let tcb = self.current();
        self.set_register(tcb, Host::REGISTERS.number, number as u64);
        self.execute(tcb);
        self.settle();
    }

    /// The running thread faults at the instruction it stands at.
    pub fn fault(&mut self, fault: Fault) {
        let tcb = self.current();
        let here = self.register(tcb, Host::REGISTERS.next_pc);
        self.set_register(tcb, Host::REGISTERS.restart_pc, here);
        self.kernel.handle_fault(fault);
        self.left();
        self.settle();
    }

    /// The line of `irq` fires.
    pub fn interrupt(&mut self, irq: Irq) {
        self.kernel.arch.raise(irq);
        self.settle();
    }

    /// Time passes in which the running thread only computes, or nobody runs. The timer interrupt comes when it is
    /// due, to the tick.
    pub fn pass(&mut self, time: Ticks) {
        let end = self.kernel.arch.time() + time;
        // Each round ends with a later deadline, or the world gives up.
        for _ in 0..MOST_REPETITIONS {
            match self.kernel.arch.deadline() {
                Some(deadline) if deadline <= end => {
                    let now = self.kernel.arch.time().max(deadline);
                    self.kernel.arch.set_time(now);
                    self.settle();
                }
                _ => {
                    self.kernel.arch.set_time(end);
                    return;
                }
            }
        }
        panic!("the timer is due for ever");
    }

    /// As [`Self::pass`], in microseconds.
    pub fn pass_us(&mut self, time_us: u64) {
        self.pass(Ticks(time_us * super::TIMER_KHZ / 1000));
    }

    /// One system call instruction of the running thread.
    fn execute(&mut self, tcb: Ref<Tcb>) {
        let here = self.register(tcb, Host::REGISTERS.next_pc);
        self.set_register(tcb, Host::REGISTERS.restart_pc, here);
        self.set_register(tcb, Host::REGISTERS.next_pc, here + INSTRUCTION_BYTES);
        self.trapped_at.insert(tcb, here);
        self.kernel.handle_syscall();
        self.left();
    }

    /// Interrupts that wait are taken, interrupted system calls repeated.
    fn settle(&mut self) {
        for _ in 0..MOST_REPETITIONS {
            if self.kernel.arch.interrupt_waits() {
                self.kernel.handle_irq();
                self.left();
                continue;
            }
            match self.kernel.core.current {
                Some(tcb) if self.must_repeat(tcb) => self.execute(tcb),
                _ => return,
            }
        }
        let current = self.kernel.core.current.map(|tcb| (tcb, self.kernel.store[tcb].registers));
        panic!("no end of repetitions: the operation makes no progress; {current:x?}");
    }

    /// Whether a thread stands at the system call that it executed last.
    fn must_repeat(&self, tcb: Ref<Tcb>) -> bool {
        self.trapped_at.get(&tcb) == Some(&self.register(tcb, Host::REGISTERS.next_pc))
    }

    /// The program of `tcb` is changed: a thread that was to repeat its system call finds another instruction there.
    pub fn divert(&mut self, tcb: Ref<Tcb>) {
        self.trapped_at.remove(&tcb);
    }

    /// The kernel has been left.
    fn left(&mut self) {
        // Miri, which is slow, is there for the kernel's own accesses.
        if self.checks && !cfg!(miri) {
            self.check();
        }
    }

    /// Panics with the first invariant that does not hold.
    pub fn check(&mut self) {
        super::check::check(&mut self.kernel);
    }
}

// --- messages ------------------------------------------------------------------------------------------------------

impl World {
    /// Puts a message to `destination` into the registers and the buffer of the running thread.
    pub fn prepare(&mut self, destination: CPtr, label: u64, words: &[u64], caps: &[CPtr]) {
        let tcb = self.current();
        let registers = &Host::REGISTERS;
        self.set_register(tcb, registers.capability, destination);
        let info = MessageInfo::new(label, 0, caps.len(), words.len());
        self.set_register(tcb, registers.info, info.word());
        for (index, &word) in words.iter().enumerate() {
            match registers.message.get(index) {
                Some(&place) => self.set_register(tcb, place, word),
                None => self.set_buffer_word(tcb, ipc_buffer::MSG + index, word),
            }
        }
        for (index, &cap) in caps.iter().enumerate() {
            self.set_buffer_word(tcb, ipc_buffer::CAPS_OR_BADGES + index, cap);
        }
    }

    /// The running thread sends and waits for the answer. Whoever runs then, runs.
    pub fn call(&mut self, destination: CPtr, label: u64, words: &[u64], caps: &[CPtr]) {
        self.prepare(destination, label, words, caps);
        self.trap(syscall::CALL);
    }

    /// The running thread sends, and waits until somebody takes the message.
    pub fn send(&mut self, destination: CPtr, label: u64, words: &[u64], caps: &[CPtr]) {
        self.prepare(destination, label, words, caps);
        self.trap(syscall::SEND);
    }

    /// The running thread sends if somebody waits for the message.
    pub fn nb_send(&mut self, destination: CPtr, label: u64, words: &[u64], caps: &[CPtr]) {
        self.prepare(destination, label, words, caps);
        self.trap(syscall::NB_SEND);
    }

    /// The running thread receives, with a reply object.
    pub fn recv(&mut self, source: CPtr, reply: CPtr) {
        self.receive(syscall::RECV, source, reply);
    }

    /// The running thread receives if there is something.
    pub fn nb_recv(&mut self, source: CPtr, reply: CPtr) {
        self.receive(syscall::NB_RECV, source, reply);
    }

    /// The running thread receives, without a reply object.
    pub fn wait(&mut self, source: CPtr) {
        self.receive(syscall::WAIT, source, 0);
    }

    /// The running thread receives if there is something, without a reply object.
    pub fn nb_wait(&mut self, source: CPtr) {
        self.receive(syscall::NB_WAIT, source, 0);
    }

    /// The running thread answers through `reply` and receives again with it.
    pub fn reply_recv(&mut self, source: CPtr, reply: CPtr, label: u64, words: &[u64]) {
        self.prepare(source, label, words, &[]);
        self.set_register(self.current(), Host::REGISTERS.reply, reply);
        self.trap(syscall::REPLY_RECV);
    }

    /// The running thread sends to `destination` if somebody waits, and receives from `source`.
    pub fn nb_send_recv(&mut self, destination: CPtr, words: &[u64], source: CPtr, reply: CPtr) {
        self.prepare(source, 0, words, &[]);
        self.set_register(self.current(), Host::REGISTERS.reply, reply);
        self.set_register(self.current(), Host::REGISTERS.send_to, destination);
        self.trap(syscall::NB_SEND_RECV);
    }

    /// The running thread gives up the rest of its time slice.
    pub fn yield_now(&mut self) {
        self.trap(syscall::YIELD);
    }

    /// The running thread signals.
    pub fn signal(&mut self, notification: CPtr) {
        self.send(notification, 0, &[], &[]);
    }

    /// A system call that only receives.
    fn receive(&mut self, number: i64, source: CPtr, reply: CPtr) {
        let tcb = self.current();
        self.set_register(tcb, Host::REGISTERS.capability, source);
        self.set_register(tcb, Host::REGISTERS.reply, reply);
        self.trap(number);
    }

    /// The running thread invokes an object: what it is answered with. It must run again afterwards.
    pub fn invoke(&mut self, object: CPtr, label: u64, words: &[u64], caps: &[CPtr]) -> Outcome {
        let tcb = self.current();
        self.call(object, label, words, caps);
        assert_eq!(self.kernel.core.current, Some(tcb), "the invoking thread does not run any more");
        let Received { badge, info, words } = self.received(tcb);
        assert_eq!(badge, 0, "answers of the kernel have no badge");
        match ErrorCode::from_label(info.label()) {
            Some(ErrorCode::NoError) => Ok(words),
            Some(code) => Err(Failure { code, words }),
            None => panic!("{} is no error code", info.label()),
        }
    }

    /// As [`Self::invoke`], where the test needs no failure.
    #[track_caller]
    pub fn must(&mut self, object: CPtr, label: u64, words: &[u64], caps: &[CPtr]) -> Vec<u64> {
        match self.invoke(object, label, words, caps) {
            Ok(words) => words,
            Err(failure) => panic!("label {label} with {words:x?}, {caps:x?}: {failure:x?}"),
        }
    }
}

// --- capabilities and objects ----------------------------------------------------------------------------------------

impl World {
    /// The number of an empty slot that nobody was given before.
    pub const fn free_slot(&mut self) -> CPtr {
        self.next_free += 1;
        self.next_free - 1
    }

    /// Makes `count` objects in the slots from `first` on.
    pub fn retype(&mut self, untyped: CPtr, kind: u64, bits: u64, first: CPtr, count: u64) -> Outcome {
        let words = [kind, bits, 0, 0, first, count];
        self.invoke(untyped, label::UNTYPED_RETYPE, &words, &[slot::INIT_CNODE])
    }

    /// A new object from the large untyped.
    #[track_caller]
    pub fn make(&mut self, kind: u64, bits: u64) -> CPtr {
        let first = self.free_slot();
        if let Err(failure) = self.retype(self.memory, kind, bits, first, 1) {
            panic!("no object of type {kind}: {failure:?}");
        }
        first
    }

    /// A new endpoint.
    pub fn endpoint(&mut self) -> CPtr {
        self.make(object::ENDPOINT, 0)
    }

    /// A new notification.
    pub fn notification(&mut self) -> CPtr {
        self.make(object::NOTIFICATION, 0)
    }

    /// A new reply object.
    pub fn reply(&mut self) -> CPtr {
        self.make(object::REPLY, 0)
    }

    /// A new untyped of `bits` bits, out of the large one.
    pub fn untyped(&mut self, bits: u64) -> CPtr {
        self.make(object::UNTYPED, bits)
    }

    /// A new frame of 4 KiB.
    pub fn frame(&mut self) -> CPtr {
        self.make(arch_object::SMALL_PAGE, 0)
    }

    /// An operation of the root CNode on the slot `target`.
    pub fn cnode_op(&mut self, label: u64, target: CPtr, more: &[u64], caps: &[CPtr]) -> Outcome {
        let mut words = vec![target, DEPTH];
        words.extend_from_slice(more);
        self.invoke(slot::INIT_CNODE, label, &words, caps)
    }

    /// Copies the capability at `source` into a new slot.
    #[track_caller]
    pub fn copy(&mut self, source: CPtr, rights: u64) -> CPtr {
        let target = self.free_slot();
        let done = self.cnode_op(label::CNODE_COPY, target, &[source, DEPTH, rights], &[slot::INIT_CNODE]);
        done.unwrap_or_else(|failure| panic!("{source:#x} is not copied: {failure:?}"));
        target
    }

    /// Mints the capability at `source` with a badge, or a CNode's guard, into a new slot.
    #[track_caller]
    pub fn mint(&mut self, source: CPtr, rights: u64, data: u64) -> CPtr {
        let target = self.free_slot();
        let words = [source, DEPTH, rights, data];
        let done = self.cnode_op(label::CNODE_MINT, target, &words, &[slot::INIT_CNODE]);
        done.unwrap_or_else(|failure| panic!("{source:#x} is not minted: {failure:?}"));
        target
    }

    /// Deletes the capability at `target`.
    #[track_caller]
    pub fn delete(&mut self, target: CPtr) {
        self.cnode_op(label::CNODE_DELETE, target, &[], &[]).expect("deletion never fails");
    }

    /// Deletes all that was derived from the capability at `target`.
    #[track_caller]
    pub fn revoke(&mut self, target: CPtr) {
        self.cnode_op(label::CNODE_REVOKE, target, &[], &[]).expect("revocation never fails");
    }
}

// --- threads -----------------------------------------------------------------------------------------------------------

/// Budget and period of a thread that shares its priority in turns and never runs out of time.
pub const ROUND_ROBIN_US: (u64, u64) = (10_000, 10_000);

impl World {
    /// A thread of the shared CSpace with a buffer, a reply object and a round-robin scheduling context. At the root
    /// task's priority, 255, a test says who runs ([`Self::run`]).
    pub fn thread(&mut self, priority: Priority) -> Thread {
        let sched_context = self.make(object::SCHED_CONTEXT, 8);
        self.configure(sched_context, ROUND_ROBIN_US, 0, 0);
        let thread = Thread { sched_context, ..self.stopped_thread(priority) };
        self.must(sched_context, label::SCHED_CONTEXT_BIND, &[], &[thread.cap]);
        self.must(thread.cap, label::TCB_RESUME, &[], &[]);
        thread
    }

    /// As [`Self::thread`], without a scheduling context.
    pub fn passive_thread(&mut self, priority: Priority) -> Thread {
        let thread = self.stopped_thread(priority);
        self.must(thread.cap, label::TCB_RESUME, &[], &[]);
        thread
    }

    /// As [`Self::passive_thread`], not resumed.
    pub fn stopped_thread(&mut self, priority: Priority) -> Thread {
        let cap = self.make(object::TCB, 0);
        let buffer = self.frame();
        let caps = [slot::INIT_CNODE, slot::INIT_VSPACE, buffer];
        self.must(cap, label::TCB_CONFIGURE, &[0, 0, self.buffer_address()], &caps);
        self.must(cap, label::TCB_SET_MC_PRIORITY, &[u64::from(priority)], &[slot::INIT_TCB]);
        self.must(cap, label::TCB_SET_PRIORITY, &[u64::from(priority)], &[slot::INIT_TCB]);
        let reply = self.reply();
        let tcb = self.tcb(cap);
        // As if its program had been loaded: different threads stand at different places.
        self.set_register(tcb, Host::REGISTERS.restart_pc, 0x10_0000 + (cap << 16));
        self.divert(tcb);
        Thread { tcb, cap, sched_context: 0, reply }
    }

    /// Configures a scheduling context: (budget, period) in microseconds, extra refills, flags.
    pub fn configure(&mut self, sched_context: CPtr, time_us: (u64, u64), extra_refills: u64, flags: u64) {
        let words = [time_us.0, time_us.1, extra_refills, sched_context, flags];
        self.must(self.sched_control, label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[sched_context]);
    }

    /// Lets the running threads yield until `tcb` runs. It must be ready, and of the priority of those that run.
    #[track_caller]
    pub fn run(&mut self, tcb: Ref<Tcb>) {
        let number = Host::REGISTERS.number;
        for _ in 0..1000 {
            let running = self.current();
            if running == tcb {
                return;
            }
            let kept = self.register(running, number);
            self.yield_now();
            self.set_register(running, number, kept);
        }
        panic!("{tcb:?} does not come to run: it is {:?}", self.state(tcb));
    }

    /// Lets the root task run.
    #[track_caller]
    pub fn run_root(&mut self) {
        self.run(self.root());
    }
}

#[cfg(test)]
mod test;
