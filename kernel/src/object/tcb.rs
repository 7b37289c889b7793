// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads.
//!
//! A thread control block holds a thread's registers, what it is doing, its five capabilities and its place in
//! the one queue it may be in. Its layout puts first what each trap and each rendezvous touches.
//!
//! ```text
//!            resume                 send, nobody there          received by a callee that can answer
//!  Inactive ---------> Restart    Running ------> BlockedOnSend ------> BlockedOnReply
//!     ^                   |          |  ^                                    | reply
//!     | suspend, no       | chosen   |  +------------------------------------+
//!     | handler, ...      v          +----------> BlockedOnReceive, BlockedOnNotification
//!     +-- any state    Running
//! ```
//!
//! Invariants:
//! - **T1** A thread is in at most one queue: ready, release, an endpoint's or a notification's; `links` belongs
//!   to that queue. Ready and release queue membership is `queued`; the others follow from `state`.
//! - **T2** `state` is BlockedOnSend or BlockedOnReceive exactly if the thread is in the queue of `endpoint`,
//!   BlockedOnNotification exactly if in that of `notification`.
//! - **T3** `reply` is set exactly if that reply object's `tcb` is this thread: waiting in BlockedOnReply for an
//!   answer, or in BlockedOnReceive holding it for a caller to come.
//! - **T4** `sched_context` is set exactly if that context's `tcb` is this thread.
//! - **T5** The running thread is in no queue (`scheduling.md` §1).

use super::{Endpoint, Notification, Reply, SchedContext};
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Rights;
use crate::cspace::Slot;
use crate::ipc::fault::Fault;
use crate::store::Ref;
use crate::tree::Links;
use crate::units::Priority;

pub mod invocation;
mod registers;
mod spaces;

/// Words of saved registers.
pub const REGISTER_WORDS: usize = 44;
/// Words of saved FPU state: 32 registers of 16 bytes and two status words (aarch64), FXSAVE's 512 bytes plus
/// header (x86).
pub const FPU_WORDS: usize = 72;

/// A thread's registers, in the machine's own order ([`crate::arch::RegisterMap`]).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Registers {
    /// General registers, program counters, status, thread-local storage.
    pub words: [u64; REGISTER_WORDS],
}

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum ThreadState {
    /// Nothing, until somebody resumes it.
    #[default]
    Inactive = 0,
    /// It can run.
    Running,
    /// It can run, and repeats the instruction at its restart PC first.
    Restart,
    /// Waits for a message.
    BlockedOnReceive,
    /// Waits for somebody to take its message.
    BlockedOnSend,
    /// Waits for the answer to its call or fault.
    BlockedOnReply,
    /// Waits for a signal.
    BlockedOnNotification,
}

impl ThreadState {
    /// Whether it can run as far as its state goes.
    #[must_use]
    pub const fn is_runnable(self) -> bool {
        matches!(self, Self::Running | Self::Restart)
    }

    /// Whether it waits for another thread.
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        !matches!(self, Self::Inactive | Self::Running | Self::Restart)
    }
}

/// Which queue of the scheduler a thread is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Queued {
    /// None.
    #[default]
    No = 0,
    /// The ready queue of its priority and domain.
    Ready,
    /// The release queue: it waits for its budget.
    Release,
}

/// How a queued sender sends.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Sending {
    /// The badge of the capability it sends through.
    pub badge: u64,
    /// When it was queued, by the kernel's count ([`crate::Kernel::next_sequence`]); kept when its priority
    /// changes.
    pub since: u64,
    /// When it came to its present place in the queue.
    pub placed: u64,
    /// The rights of that capability.
    pub rights: Rights,
    /// Whether it waits for an answer.
    pub is_call: bool,
}

/// A CancelBadgedSends that was preempted: where it goes on (`endpoint.rs`).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Cancelling {
    /// The endpoint, none if the thread is not in the middle of one.
    pub endpoint: Option<Ref<Endpoint>>,
    /// Sends with this badge are cancelled.
    pub badge: u64,
    /// Senders queued from this count on are left alone.
    pub before: u64,
    /// Who comes next in the queue; none if all are done.
    pub next: Option<Ref<Tcb>>,
    /// Whether another thread has finished it, which this one does not know yet. Then `endpoint` is only ever compared.
    pub is_finished: bool,
}

impl Cancelling {
    /// Where it goes on.
    #[must_use]
    pub fn goes_on_at(&self) -> Option<Ref<Endpoint>> {
        self.endpoint.filter(|_| !self.is_finished)
    }
}

/// Index of a capability in a thread's slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum TcbSlot {
    /// Root of the CSpace.
    CSpace = 0,
    /// Root of the VSpace.
    VSpace = 1,
    /// Frame of the IPC buffer.
    IpcBuffer = 2,
    /// Fault handler.
    FaultHandler = 3,
    /// Timeout handler.
    TimeoutHandler = 4,
}

/// Number of slots in a thread.
pub const TCB_SLOTS: u64 = 5;

/// Flag bit: the thread must not use the FPU.
pub const FLAG_FPU_DISABLED: u64 = 1;

/// A thread.
#[repr(C)]
pub struct Tcb {
    /// Saved registers, first, where the trap code stores them.
    pub registers: Registers,
    /// What it is doing.
    pub state: ThreadState,
    /// Its priority.
    pub priority: Priority,
    /// The highest priority it can give away.
    pub max_controlled_priority: Priority,
    /// Its domain.
    pub domain: u8,
    /// Which scheduler queue it is in.
    pub queued: Queued,
    /// How it sends, while BlockedOnSend.
    pub sending: Sending,
    /// Its flags: [`FLAG_FPU_DISABLED`].
    pub flags: u64,
    /// Where it gets its time from.
    pub sched_context: Option<Ref<SchedContext>>,
    /// Its place in the queue it is in (T1).
    pub links: Links,
    /// The endpoint it is queued on (T2).
    pub endpoint: Option<Ref<Endpoint>>,
    /// The notification it is queued on (T2).
    pub notification: Option<Ref<Notification>>,
    /// The reply object it waits for or with (T3).
    pub reply: Option<Ref<Reply>>,
    /// The notification bound to it.
    pub bound_notification: Option<Ref<Notification>>,
    /// The context to which it yielded and of which it will learn the consumed time.
    pub yield_to: Option<Ref<SchedContext>>,
    /// The fault it has raised and that is not answered.
    pub fault: Fault,
    /// Address of its IPC buffer, 0 for none. The memory is that of the frame in its slot.
    pub ipc_buffer: u64,
    /// A cancellation it is in the middle of.
    pub cancelling: Cancelling,
    /// The thread whose spaces it is in the middle of replacing; only ever compared.
    pub replacing: Option<Ref<Self>>,
    /// Its capabilities, [`TcbSlot`].
    pub slots: [Slot; TCB_SLOTS as usize],
    /// Saved FPU registers.
    pub fpu: FpuState,
    /// Its name, NUL-padded; set in debug builds only.
    pub name: [u8; NAME_BYTES],
}

/// Longest name of a thread in bytes.
pub const NAME_BYTES: usize = 64;

/// Saved FPU registers, in the machine's form.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct FpuState(pub [u64; FPU_WORDS]);

const _: () = assert!(size_of::<Tcb>() <= 1 << super::bits::TCB);
const _: () = assert!(core::mem::offset_of!(Tcb, registers) == 0);

impl Ref<Tcb> {
    /// The thread's slot for `which`.
    #[must_use]
    pub const fn slot(self, which: TcbSlot) -> Ref<Slot> {
        self.at_offset(
            core::mem::offset_of!(Tcb, slots) as u64 + ((which as u64) << crate::cspace::SLOT_BITS),
        )
    }
}

impl<A: Arch> Kernel<A> {
    /// Stops `tcb`, whatever it does (`semantics.md` §6): it waits for somebody, or for the processor, never for both.
    pub fn suspend(&mut self, tcb: Ref<Tcb>) {
        if self.store[tcb].state.is_runnable() {
            self.dequeue(tcb);
            let thread = &mut self.store[tcb];
            if thread.state == ThreadState::Running {
                thread.registers.words[A::REGISTERS.restart_pc] =
                    thread.registers.words[A::REGISTERS.next_pc];
            }
            thread.state = ThreadState::Inactive;
        } else {
            self.cancel_ipc(tcb);
        }
        debug_assert!(self.store[tcb].queued == Queued::No, "{tcb:?} is stopped, but queued");
        self.end_cancelling(tcb);
        self.sc_cancel_yield_to(tcb);
    }

    /// Lets `tcb` go on if it is stopped or waits; what it waits for is cancelled.
    pub fn resume(&mut self, tcb: Ref<Tcb>) {
        if !self.store[tcb].state.is_runnable() {
            self.cancel_ipc(tcb);
            self.end_cancelling(tcb);
            self.make_restart(tcb);
        }
    }

    /// Makes a thread of zeroed memory, created by `creator`.
    pub(crate) fn initialise_tcb(&mut self, tcb: Ref<Tcb>, creator: Ref<Tcb>) {
        let domain = self.domains.current();
        let new = &mut self.store[tcb];
        A::initialise(&mut new.registers);
        new.domain = domain;
        if cfg!(debug_assertions) {
            self.name_after(tcb, creator);
        }
    }

    /// Names a new thread after who made it.
    fn name_after(&mut self, tcb: Ref<Tcb>, creator: Ref<Tcb>) {
        let own = self.store[creator].name;
        let text = b"child of: '".iter().chain(own.iter().take_while(|&&byte| byte != 0)).chain(b"'");
        // At most 64 bytes; the last stays NUL.
        let name = &mut self.store[tcb].name;
        for (to, &from) in name.iter_mut().take(NAME_BYTES - 1).zip(text) {
            *to = from;
        }
    }
}

#[cfg(test)]
mod test;
