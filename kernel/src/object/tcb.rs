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

use super::cnode::Update;
use super::{Endpoint, Notification, Reply, SchedContext};
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, RawCap, Rights};
use crate::cspace::Slot;
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::ipc::fault::{Fault, is_valid_handler};
use crate::store::Ref;
use crate::tree::Links;
use crate::units::Priority;
use keel_abi::label;
use keel_abi::message::MESSAGE_REGISTERS;

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
    /// All queue positions up to this key are done.
    pub position: crate::tree::Key,
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

/// A capability to be copied into one of a thread's slots.
#[derive(Clone, Copy, Debug)]
pub struct Install {
    /// What goes into the slot; [`Cap::Null`] leaves it empty.
    cap: Cap,
    /// Where it comes from, and what was there when it was checked.
    source: Ref<Slot>,
    raw: RawCap,
}

/// A legal operation on a thread.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Return registers.
    ReadRegisters {
        /// Whose.
        target: Ref<Tcb>,
        /// Whether to stop it first.
        suspend: bool,
        /// How many, 1 to all.
        count: u64,
    },
    /// Set registers from the message.
    WriteRegisters {
        /// Whose.
        target: Ref<Tcb>,
        /// Whether to let it go on with them.
        resume: bool,
        /// How many.
        count: u64,
    },
    /// Copy registers from thread to thread.
    CopyRegisters(CopyRegisters),
    /// Replace capabilities.
    SetSpaces(SetSpaces),
    /// Replace priority and maximum controlled priority.
    SetPriorities {
        /// Whose.
        target: Ref<Tcb>,
        /// New priority, if it changes.
        priority: Option<Priority>,
        /// New maximum controlled priority, if it changes.
        max_controlled: Option<Priority>,
    },
    /// Replace priorities, scheduling context and fault handler.
    SetSchedParams {
        /// Whose.
        target: Ref<Tcb>,
        /// New priority.
        priority: Priority,
        /// New maximum controlled priority.
        max_controlled: Priority,
        /// New scheduling context.
        context: Option<Ref<SchedContext>>,
        /// New fault handler.
        handler: Install,
    },
    /// Bind a notification.
    BindNotification(Ref<Tcb>, Ref<Notification>),
    /// Undo that.
    UnbindNotification(Ref<Tcb>),
    /// Stop the thread.
    Suspend(Ref<Tcb>),
    /// Let it go on.
    Resume(Ref<Tcb>),
    /// Set the thread-local storage register.
    SetTlsBase(Ref<Tcb>, u64),
    /// Set flags; the result is what they are then.
    SetFlags(Ref<Tcb>, u64),
}

/// What is copied between two threads, and what else happens to them.
#[derive(Clone, Copy, Debug)]
pub struct CopyRegisters {
    target: Ref<Tcb>,
    source: Ref<Tcb>,
    suspend_source: bool,
    resume_target: bool,
    frame: bool,
    integer: bool,
}

/// Which capabilities of a thread are replaced: those that are `Some`.
#[derive(Clone, Copy, Debug)]
pub struct SetSpaces {
    thread: Ref<Tcb>,
    target: Ref<Tcb>,
    fault_handler: Option<Install>,
    timeout_handler: Option<Install>,
    cspace: Option<Install>,
    vspace: Option<Install>,
    /// The buffer's address and frame.
    buffer: Option<(u64, Install)>,
}

const IPC_BUFFER_ALIGN: u64 = 1024;

impl<A: Arch> Kernel<A> {
    /// Checks an invocation of `target` (`invocations.md` §5).
    pub(crate) fn decode_tcb(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        match message.label {
            label::TCB_READ_REGISTERS => self.decode_read_registers(target, message),
            label::TCB_WRITE_REGISTERS => self.decode_write_registers(target, message),
            label::TCB_COPY_REGISTERS => self.decode_copy_registers(target, message),
            label::TCB_CONFIGURE => self.decode_configure(target, message),
            label::TCB_SET_SPACE => self.decode_set_space(target, message),
            label::TCB_SET_IPC_BUFFER => self.decode_set_ipc_buffer(target, message),
            label::TCB_SET_TIMEOUT_ENDPOINT => {
                let handler = self.decode_handler(message, 0, 1)?;
                Ok(Invocation::SetSpaces(SetSpaces {
                    timeout_handler: Some(handler),
                    ..SetSpaces::nothing(message.sender, target)
                }))
            }
            label::TCB_SET_PRIORITY => {
                let priority = Some(self.decode_priority(message)?);
                Ok(Invocation::SetPriorities { target, priority, max_controlled: None })
            }
            label::TCB_SET_MC_PRIORITY => {
                let max_controlled = Some(self.decode_priority(message)?);
                Ok(Invocation::SetPriorities { target, priority: None, max_controlled })
            }
            label::TCB_SET_SCHED_PARAMS => self.decode_set_sched_params(target, message),
            label::TCB_BIND_NOTIFICATION => self.decode_bind_notification(target, message),
            label::TCB_UNBIND_NOTIFICATION => match self.store[target].bound_notification {
                Some(_) => Ok(Invocation::UnbindNotification(target)),
                None => Err(Error::IllegalOperation),
            },
            label::TCB_SUSPEND => Ok(Invocation::Suspend(target)),
            label::TCB_RESUME => Ok(Invocation::Resume(target)),
            label::TCB_SET_TLS_BASE => {
                message.require(1)?;
                Ok(Invocation::SetTlsBase(target, self.argument(message, 0)))
            }
            label::TCB_SET_FLAGS => {
                message.require(2)?;
                let (clear, set) = (self.argument(message, 0), self.argument(message, 1));
                let flags = self.store[target].flags & !clear | set & FLAG_FPU_DISABLED;
                Ok(Invocation::SetFlags(target, flags))
            }
            _ => Err(Error::IllegalOperation),
        }
    }

    fn decode_read_registers(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(2)?;
        let (flags, count) = (self.argument(message, 0), self.argument(message, 1));
        let max = A::REGISTERS.context.len() as u64;
        if !(1..=max).contains(&count) {
            return Err(Error::Range { min: 1, max });
        }
        if target == message.sender {
            return Err(Error::IllegalOperation);
        }
        Ok(Invocation::ReadRegisters { target, suspend: flags & 1 != 0, count })
    }

    fn decode_write_registers(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(2)?;
        let (flags, count) = (self.argument(message, 0), self.argument(message, 1));
        if message.length - 2 < count {
            return Err(Error::TruncatedMessage);
        }
        if target == message.sender {
            return Err(Error::IllegalOperation);
        }
        let count = count.min(A::REGISTERS.context.len() as u64);
        Ok(Invocation::WriteRegisters { target, resume: flags & 1 != 0, count })
    }

    fn decode_copy_registers(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(1)?;
        let (_, Cap::Tcb(source)) = self.extra_cap(message, 0)? else {
            return Err(Error::InvalidCapability(1));
        };
        let flag = |bit: u32| self.argument(message, 0) >> bit & 1 != 0;
        Ok(Invocation::CopyRegisters(CopyRegisters {
            target,
            source,
            suspend_source: flag(0),
            resume_target: flag(1),
            frame: flag(2),
            integer: flag(3),
        }))
    }

    fn decode_configure(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(3)?;
        let (cspace, vspace, frame) = (0, 1, 2);
        self.extra_cap(message, frame)?;
        let buffer = self.decode_buffer(message, self.argument(message, 2), frame)?;
        self.check_no_long_deletion(target, message)?;
        let cspace = self.decode_cspace(message, cspace, self.argument(message, 0))?;
        let vspace = self.decode_vspace(message, vspace, self.argument(message, 1))?;
        Ok(Invocation::SetSpaces(SetSpaces {
            cspace: Some(cspace),
            vspace: Some(vspace),
            buffer: Some(buffer),
            ..SetSpaces::nothing(message.sender, target)
        }))
    }

    fn decode_set_space(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(2)?;
        let (handler, cspace, vspace) = (0, 1, 2);
        self.extra_cap(message, vspace)?;
        self.check_no_long_deletion(target, message)?;
        let cspace = self.decode_cspace(message, cspace, self.argument(message, 0))?;
        let vspace = self.decode_vspace(message, vspace, self.argument(message, 1))?;
        let fault_handler = self.decode_handler(message, handler, 1)?;
        Ok(Invocation::SetSpaces(SetSpaces {
            fault_handler: Some(fault_handler),
            cspace: Some(cspace),
            vspace: Some(vspace),
            ..SetSpaces::nothing(message.sender, target)
        }))
    }

    fn decode_set_ipc_buffer(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(1)?;
        self.extra_cap(message, 0)?;
        let buffer = self.decode_buffer(message, self.argument(message, 0), 0)?;
        Ok(Invocation::SetSpaces(SetSpaces {
            buffer: Some(buffer),
            ..SetSpaces::nothing(message.sender, target)
        }))
    }

    /// A buffer at `address` in the frame that extra capability `index` names; none at address 0.
    fn decode_buffer(&self, message: &Message, address: u64, index: usize) -> Result<(u64, Install), Error> {
        let (source, cap) = self.extra_cap(message, index)?;
        let raw = self.store[source].raw;
        if address == 0 {
            return Ok((0, Install { cap: Cap::Null, source, raw }));
        }
        match self.derive(source, cap)? {
            Cap::Frame(frame) if !frame.device => {
                if address.is_multiple_of(IPC_BUFFER_ALIGN) {
                    Ok((address, Install { cap: Cap::Frame(frame), source, raw }))
                } else {
                    Err(Error::Alignment)
                }
            }
            _ => Err(Error::IllegalOperation),
        }
    }

    /// Whether somebody else is in the middle of replacing the target's spaces.
    fn check_no_long_deletion(&self, target: Ref<Tcb>, message: &Message) -> Result<(), Error> {
        let is_zombie = |slot| matches!(self.store[target.slot(slot)].cap(), Cap::Zombie(_));
        let mine = self.store[message.sender].replacing == Some(target);
        if !mine && (is_zombie(TcbSlot::CSpace) || is_zombie(TcbSlot::VSpace)) {
            return Err(Error::IllegalOperation);
        }
        Ok(())
    }

    fn decode_cspace(&self, message: &Message, index: usize, data: u64) -> Result<Install, Error> {
        let install = self.decode_space(message, index, data)?;
        if matches!(install.cap, Cap::CNode(_)) { Ok(install) } else { Err(Error::IllegalOperation) }
    }

    fn decode_vspace(&self, message: &Message, index: usize, data: u64) -> Result<Install, Error> {
        let install = self.decode_space(message, index, data)?;
        if A::is_vspace_root(&install.cap) { Ok(install) } else { Err(Error::IllegalOperation) }
    }

    fn decode_space(&self, message: &Message, index: usize, data: u64) -> Result<Install, Error> {
        let (source, cap) = self.extra_cap(message, index)?;
        let raw = self.store[source].raw;
        let cap = if data == 0 { cap } else { self.updated(cap, data, Update::Set)? };
        Ok(Install { cap: self.derive(source, cap)?, source, raw })
    }

    /// The handler in extra capability `index`; `number` is its number in an error.
    fn decode_handler(&self, message: &Message, index: usize, number: u64) -> Result<Install, Error> {
        let (source, cap) = self.extra_cap(message, index)?;
        if !is_valid_handler(&cap) {
            return Err(Error::InvalidCapability(number));
        }
        Ok(Install { cap, source, raw: cap.into() })
    }

    fn decode_priority(&self, message: &Message) -> Result<Priority, Error> {
        message.require(1)?;
        let authority = self.decode_authority(message)?;
        check_priority(self.argument(message, 0), authority)
    }

    /// The highest priority that the thread in the first extra capability may give away.
    fn decode_authority(&self, message: &Message) -> Result<Priority, Error> {
        match self.extra_cap(message, 0)? {
            (_, Cap::Tcb(authority)) => Ok(self.store[authority].max_controlled_priority),
            _ => Err(Error::InvalidCapability(1)),
        }
    }

    fn decode_set_sched_params(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        message.require(2)?;
        let (context, handler) = (1, 2);
        self.extra_cap(message, handler)?;
        let authority = self.decode_authority(message)?;
        let max_controlled = check_priority(self.argument(message, 0), authority)?;
        let priority = check_priority(self.argument(message, 1), authority)?;
        let context = match self.extra_cap(message, context)? {
            (_, Cap::SchedContext { object, .. }) => {
                self.check_context(target, object)?;
                Some(object)
            }
            (_, Cap::Null) if target == message.sender => return Err(Error::IllegalOperation),
            (_, Cap::Null) => None,
            _ => return Err(Error::InvalidCapability(2)),
        };
        let handler = self.decode_handler(message, handler, 3)?;
        Ok(Invocation::SetSchedParams { target, priority, max_controlled, context, handler })
    }

    /// Whether `context` can become, or stay, that of `target`.
    fn check_context(&self, target: Ref<Tcb>, context: Ref<SchedContext>) -> Result<(), Error> {
        let current = self.store[target].sched_context;
        let is_new = current != Some(context);
        if is_new && (current.is_some() || self.store[context].tcb.is_some()) {
            return Err(Error::IllegalOperation);
        }
        if self.store[target].state.is_blocked() && !self.sc_released(context) {
            return Err(Error::IllegalOperation);
        }
        Ok(())
    }

    fn decode_bind_notification(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        let (_, cap) = self.extra_cap(message, 0)?;
        let Cap::Notification(cap) = cap else { return Err(Error::IllegalOperation) };
        let notification = &self.store[cap.object];
        let is_free = notification.queue.is_none() && notification.bound_tcb.is_none();
        if self.store[target].bound_notification.is_none() && cap.rights.has(Rights::READ) && is_free {
            Ok(Invocation::BindNotification(target, cap.object))
        } else {
            Err(Error::IllegalOperation)
        }
    }

    /// Carries out an operation on a thread.
    pub(crate) fn perform_tcb(&mut self, operation: Invocation, message: &Message) -> Result<u64, Preempted> {
        match operation {
            Invocation::ReadRegisters { target, suspend, count } => {
                return Ok(self.read_registers(message, target, suspend, count));
            }
            Invocation::WriteRegisters { target, resume, count } => {
                self.write_registers(message, target, count);
                if resume {
                    self.resume(target);
                }
            }
            Invocation::CopyRegisters(copy) => self.copy_registers(&copy),
            Invocation::SetSpaces(spaces) => self.set_spaces(&spaces)?,
            Invocation::SetPriorities { target, priority, max_controlled } => {
                self.set_priorities(target, priority, max_controlled);
            }
            Invocation::SetSchedParams { target, priority, max_controlled, context, handler } => {
                self.install(target, TcbSlot::FaultHandler, &handler)?;
                self.set_priorities(target, Some(priority), Some(max_controlled));
                self.set_sched_context(target, context);
            }
            Invocation::BindNotification(target, notification) => {
                self.bind_notification(target, notification);
            }
            Invocation::UnbindNotification(target) => self.unbind_notification(target),
            Invocation::Suspend(target) => self.suspend(target),
            Invocation::Resume(target) => self.resume(target),
            Invocation::SetTlsBase(target, base) => {
                self.store[target].registers.words[A::REGISTERS.tls] = base;
                self.arch.load_live_registers(&mut self.store, target);
            }
            Invocation::SetFlags(target, flags) => {
                self.store[target].flags = flags;
                if flags & FLAG_FPU_DISABLED != 0 {
                    self.arch.release_fpu(&mut self.store, target);
                }
                if message.is_call {
                    self.set_result(message.sender, 0, flags);
                }
                return Ok(1);
            }
        }
        Ok(0)
    }

    fn read_registers(&mut self, message: &Message, target: Ref<Tcb>, suspend: bool, count: u64) -> u64 {
        if suspend {
            self.suspend(target);
        }
        if !message.is_call {
            return 0;
        }
        self.arch.save_live_registers(&mut self.store, target);
        let length = match self.receive_buffer(message.sender) {
            Some(_) => count,
            None => count.min(MESSAGE_REGISTERS as u64),
        };
        // At most 36 registers.
        for (index, &register) in (0..length).zip(A::REGISTERS.context) {
            let word = self.store[target].registers.words[register];
            self.set_result(message.sender, index, word);
        }
        length
    }

    fn write_registers(&mut self, message: &Message, target: Ref<Tcb>, count: u64) {
        self.arch.save_live_registers(&mut self.store, target);
        // At most 36 registers.
        for (index, &register) in (0..count).zip(A::REGISTERS.context) {
            let word = self.argument(message, index + 2);
            self.store[target].registers.words[register] = A::sanitise(register, word);
        }
        self.registers_written(target);
    }

    /// Registers of `target` were written from outside: it goes on at its restart PC, with all of them.
    fn registers_written(&mut self, target: Ref<Tcb>) {
        self.end_cancelling(target);
        let registers = &mut self.store[target].registers;
        registers.words[A::REGISTERS.next_pc] = registers.words[A::REGISTERS.restart_pc];
        A::written(registers);
        self.arch.load_live_registers(&mut self.store, target);
    }

    fn copy_registers(&mut self, copy: &CopyRegisters) {
        let CopyRegisters { target, source, .. } = *copy;
        if copy.suspend_source {
            self.suspend(source);
        }
        if copy.resume_target {
            self.resume(target);
        }
        self.arch.save_live_registers(&mut self.store, source);
        self.arch.save_live_registers(&mut self.store, target);
        // At most 36 registers.
        for (index, &register) in A::REGISTERS.context.iter().enumerate() {
            let wanted = if index < A::REGISTERS.frame_count { copy.frame } else { copy.integer };
            if wanted {
                self.store[target].registers.words[register] = self.store[source].registers.words[register];
            }
        }
        if copy.frame {
            self.registers_written(target);
        } else {
            self.arch.load_live_registers(&mut self.store, target);
        }
    }

    /// Replaces capabilities one after the other. Each is deleted first, which may take several units.
    fn set_spaces(&mut self, spaces: &SetSpaces) -> Result<(), Preempted> {
        let target = spaces.target;
        self.store[spaces.thread].replacing = Some(target);
        let slots = [
            (TcbSlot::FaultHandler, spaces.fault_handler),
            (TcbSlot::TimeoutHandler, spaces.timeout_handler),
            (TcbSlot::CSpace, spaces.cspace),
            (TcbSlot::VSpace, spaces.vspace),
            (TcbSlot::IpcBuffer, spaces.buffer.map(|(_, install)| install)),
        ];
        // 5 slots.
        for (slot, install) in slots {
            if let Some(install) = install {
                self.install(target, slot, &install)?;
            }
        }
        if let Some((address, _)) = spaces.buffer {
            self.store[target].ipc_buffer = address;
        }
        self.store[spaces.thread].replacing = None;
        Ok(())
    }

    /// Puts a capability into a slot of `target` in place of what is there, provided that the source still holds
    /// what it held: the deletion of the old capability may have deleted it.
    fn install(&mut self, target: Ref<Tcb>, slot: TcbSlot, install: &Install) -> Result<(), Preempted> {
        let slot = target.slot(slot);
        self.delete_slot(slot)?;
        if !install.cap.is_null() && self.store[install.source].raw == install.raw {
            self.insert_copy(install.cap, install.source, slot);
        }
        Ok(())
    }

    fn set_priorities(
        &mut self,
        target: Ref<Tcb>,
        priority: Option<Priority>,
        max_controlled: Option<Priority>,
    ) {
        if let Some(max_controlled) = max_controlled {
            self.store[target].max_controlled_priority = max_controlled;
        }
        if let Some(priority) = priority {
            self.set_priority(target, priority);
        }
    }

    fn set_sched_context(&mut self, target: Ref<Tcb>, context: Option<Ref<SchedContext>>) {
        match (self.store[target].sched_context, context) {
            (None, Some(new)) => self.sc_bind_tcb(new, target),
            (Some(old), None) => self.sc_unbind_tcb(old),
            _ => {}
        }
    }

    /// Stops `tcb`, whatever it does (`semantics.md` §6).
    pub fn suspend(&mut self, tcb: Ref<Tcb>) {
        self.cancel_ipc(tcb);
        self.end_cancelling(tcb);
        self.sc_cancel_yield_to(tcb);
        self.dequeue(tcb);
        let thread = &mut self.store[tcb];
        if thread.state == ThreadState::Running {
            thread.registers.words[A::REGISTERS.restart_pc] = thread.registers.words[A::REGISTERS.next_pc];
        }
        thread.state = ThreadState::Inactive;
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

impl SetSpaces {
    /// Replaces nothing yet.
    const fn nothing(thread: Ref<Tcb>, target: Ref<Tcb>) -> Self {
        Self {
            thread,
            target,
            fault_handler: None,
            timeout_handler: None,
            cspace: None,
            vspace: None,
            buffer: None,
        }
    }
}

/// `value` as a priority that `authority` may give away.
fn check_priority(value: u64, authority: Priority) -> Result<Priority, Error> {
    match Priority::try_from(value) {
        Ok(priority) if priority <= authority => Ok(priority),
        _ => Err(Error::Range { min: 0, max: u64::from(authority) }),
    }
}
