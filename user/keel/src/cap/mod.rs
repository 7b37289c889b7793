// SPDX-License-Identifier: MIT OR Apache-2.0

//! Capabilities with types.
//!
//! A [`CPtr`] is a number that means something only in the CSpace of the thread that uses it. A
//! [`Cap<T>`] is such a number of which the program claims that it names an object of kind `T`. The
//! claim is checked by nobody but the kernel, at each use: a wrong one gets an error, never harm. So
//! both are plain copyable values; having one is no ownership. Deleting and moving capabilities is done
//! to slots, see [`SlotPath`].
//!
//! The methods of each kind of object are its invocations, one for one, with the names of the
//! interface; what they do and how they fail stands in the interface's sheets.

mod arch;
#[cfg(machine = "aarch64")]
mod arm;
mod cnode;
mod irq;
mod ports;
#[cfg(machine = "riscv64")]
mod riscv;
mod sched;
mod tcb;
#[cfg(test)]
mod test;
mod untyped;
#[cfg(machine = "x86_64")]
mod x86;

use core::{fmt, marker::PhantomData};

use keel_abi::{message::MessageInfo, object, slot};

#[cfg(machine = "aarch64")]
pub use self::arm::*;
#[cfg(machine = "x86_64")]
pub use self::x86::*;
pub use self::{
    arch::*,
    cnode::{CNode, SlotPath},
    irq::{IrqControl, IrqHandler, Trigger},
    ports::{IoPort, IoPortControl},
    sched::{Budget, DomainSet, SchedContext, SchedControl},
    tcb::{Registers, SchedParams, Tcb},
    untyped::{Blueprint, Untyped},
};
pub use crate::arch::abi::registers::Register;
pub use keel_abi::rights::{CNodeData, Rights};

use crate::{
    error::InvocationError,
    ipc::{self, Message, Received},
    sys,
};

/// A capability pointer: an address in the CSpace of the running thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct CPtr(u64);

impl CPtr {
    /// The null pointer, whose slot is always empty in the CSpaces that this library builds.
    pub const NULL: Self = Self(slot::NULL);

    /// This address.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// The address as a number.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The capability there, claimed to be of kind `T`.
    pub const fn cap<T>(self) -> Cap<T> {
        Cap::new(self)
    }
}

impl fmt::Debug for CPtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPtr({:#x})", self.0)
    }
}

/// A capability to an object of kind `T`.
pub struct Cap<T> {
    cptr: CPtr,
    kind: PhantomData<fn() -> T>,
}

impl<T> Cap<T> {
    /// The capability at this address.
    pub const fn new(cptr: CPtr) -> Self {
        Self { cptr, kind: PhantomData }
    }

    /// The capability in this slot of a CSpace whose addresses are slot numbers.
    pub const fn at(slot: u64) -> Self {
        Self::new(CPtr::new(slot))
    }

    /// The null capability, where an optional one is not given.
    pub const fn null() -> Self {
        Self::new(CPtr::NULL)
    }

    /// Its address.
    pub const fn cptr(self) -> CPtr {
        self.cptr
    }

    /// The same address, claimed to be of another kind.
    pub const fn cast<U>(self) -> Cap<U> {
        Cap::new(self.cptr)
    }
}

impl<T> Clone for Cap<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Cap<T> {}

impl<T> PartialEq for Cap<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cptr == other.cptr
    }
}

impl<T> Eq for Cap<T> {}

impl<T> fmt::Debug for Cap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = core::any::type_name::<T>();
        write!(f, "Cap<{}>({:#x})", name.rsplit("::").next().unwrap_or(name), self.cptr.0)
    }
}

/// An object whose size the interface fixes, so that its kind alone says how to make one.
pub trait FixedSize {
    /// What to retype into.
    const BLUEPRINT: Blueprint;
}

/// What an invocation returns.
pub type Invoked<T = ()> = Result<T, InvocationError>;

/// Invokes the object behind `cap` by Call: the one path of all invocations.
#[inline]
pub fn invoke(cap: CPtr, label: u64, words: &[u64], caps: &[CPtr]) -> Invoked<Received> {
    let (info, registers) = Message::new(label).words(words).caps(caps).stage();
    let reply = sys::call(cap, info, registers);
    match reply.label() {
        0 => Ok(reply),
        label => Err(refusal(label, &reply)),
    }
}

#[cold]
fn refusal(label: u64, reply: &Received) -> InvocationError {
    let mut words = [0; 5];
    reply.copy_words(&mut words);
    InvocationError::from_reply(label, words)
}

/// Where messages meet.
pub enum Endpoint {}

impl FixedSize for Endpoint {
    const BLUEPRINT: Blueprint = Blueprint::Endpoint;
}

impl Cap<Endpoint> {
    /// Sends and blocks until somebody takes the message.
    #[inline]
    pub fn send(self, message: &Message<'_>) {
        let (info, words) = message.stage();
        sys::send(self.cptr, info, words);
    }

    /// Sends if somebody waits. There is no telling whether somebody did.
    #[inline]
    pub fn nb_send(self, message: &Message<'_>) {
        let (info, words) = message.stage();
        sys::nb_send(self.cptr, info, words);
    }

    /// Sends and waits for the reply.
    #[inline]
    pub fn call(self, message: &Message<'_>) -> Received {
        let (info, words) = message.stage();
        sys::call(self.cptr, info, words)
    }

    /// Receives; a caller is answered through `reply`.
    #[inline]
    pub fn recv(self, reply: Cap<Reply>) -> Received {
        sys::recv(self.cptr, reply.cptr)
    }

    /// Receives if somebody waits to send, else gives badge 0.
    #[inline]
    pub fn nb_recv(self, reply: Cap<Reply>) -> Received {
        sys::nb_recv(self.cptr, reply.cptr)
    }

    /// Receives without reply object: callers cannot be answered.
    #[inline]
    pub fn wait(self) -> Received {
        sys::wait(self.cptr)
    }

    /// Answers the last caller through `reply` and receives the next message.
    #[inline]
    pub fn reply_recv(self, message: &Message<'_>, reply: Cap<Reply>) -> Received {
        let (info, words) = message.stage();
        sys::reply_recv(self.cptr, info, words, reply.cptr)
    }

    /// Sends to `destination` if somebody waits there, then receives here.
    #[inline]
    pub fn nb_send_recv(self, destination: CPtr, message: &Message<'_>, reply: Cap<Reply>) -> Received {
        let (info, words) = message.stage();
        sys::nb_send_recv(destination, info, words, self.cptr, reply.cptr)
    }

    /// Sends to `destination` if somebody waits there, then waits here without reply object.
    #[inline]
    pub fn nb_send_wait(self, destination: CPtr, message: &Message<'_>) -> Received {
        let (info, words) = message.stage();
        sys::nb_send_wait(destination, info, words, self.cptr)
    }
}

/// A word of flags that can be waited for.
pub enum Notification {}

impl FixedSize for Notification {
    const BLUEPRINT: Blueprint = Blueprint::Notification;
}

impl Cap<Notification> {
    /// Adds the capability's badge to the word and wakes a waiter.
    #[inline]
    pub fn signal(self) {
        sys::send(self.cptr, MessageInfo::default(), [0; 4]);
    }

    /// Blocks until the word is signalled; takes it.
    #[inline]
    pub fn wait(self) -> u64 {
        sys::wait(self.cptr).badge
    }

    /// Takes the word if it is signalled, else gives 0.
    #[inline]
    pub fn poll(self) -> u64 {
        sys::nb_wait(self.cptr).badge
    }

    /// Sends to `destination` if somebody waits there (or signals it), then waits here.
    #[inline]
    pub fn nb_send_wait(self, destination: CPtr, message: &Message<'_>) -> u64 {
        let (info, words) = message.stage();
        sys::nb_send_wait(destination, info, words, self.cptr).badge
    }
}

/// What holds a caller until it is answered.
pub enum Reply {}

impl FixedSize for Reply {
    const BLUEPRINT: Blueprint = Blueprint::Reply;
}

impl Cap<Reply> {
    /// Answers the caller held, if there is one.
    #[inline]
    pub fn send(self, message: &Message<'_>) {
        let (info, words) = message.stage();
        sys::send(self.cptr, info, words);
    }
}

/// Object sizes that more than one kind needs.
pub(crate) const SLOT_BITS: u8 = object::SLOT_BITS as u8;

/// The first capability that came with a message, by the badge it was unwrapped to; `None` if it was
/// transferred to the receive slot, or if none came.
pub fn unwrapped_badge(received: &Received, index: usize) -> Option<u64> {
    (received.info.caps_unwrapped() >> index & 1 == 1).then(|| ipc::buffer().badge(index))
}
