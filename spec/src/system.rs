// SPDX-License-Identifier: MIT OR Apache-2.0

//! The executable specification: a whole system, and what a system call does to it.
//!
//! The state is who holds which capabilities ([`crate::authority`]); for each kind of object, what it is doing; and who
//! runs, who else is ready, and whose time passes.
//!
//! The kernel is entered by a system call ([`System::system_call`]), by something that the processor does not do
//! ([`System::exception`]) or by an interrupt ([`System::interrupt`]), each at a time that is an input. A system call takes
//! its arguments from the registers and the IPC buffer of the running thread and leaves its results in those of the
//! threads concerned. It is atomic here; the kernel may interrupt it and have it repeated, but must end in the same state.
//!
//! | file | what |
//! |---|---|
//! | [`lookup`] | addresses of capabilities (`syscalls.md` §5) |
//! | [`call`] | the eleven system calls and their phases (`syscalls.md` §7, §9) |
//! | [`endpoint`], [`notification`], [`reply`] | rendezvous, signals, answers |
//! | [`transfer`] | what a message takes along (`syscalls.md` §11) |
//! | [`fault`] | faults as messages, and their answers (`errors-and-faults.md`) |
//! | [`schedule`] | who runs (`scheduling.md` §1) |
//! | [`time`], [`refill`] | whose time passes, and how it comes back (`scheduling.md` §2) |
//! | [`domain`] | who may run at all (`scheduling.md` §7) |
//! | [`cnode`], [`untyped`], [`tcb`], [`registers`], [`spaces`], [`sched_context`], [`sched_control`] | invocations, with their errors in order |
//! | [`map`], [`frame`], [`table`], [`asid`] | what is mapped where in address spaces, and by whom (`memory.md`) |
//! | [`irq`] | interrupts, as invocations and as signals |
//! | [`debug`] | what only a kernel for debugging does |
//! | [`destroy`] | what happens when the last capability to an object goes (`semantics.md` §4) |
//!
//! What is not written yet says so by [`NotCovered`].

pub mod asid;
pub mod call;
pub mod cnode;
pub mod debug;
pub mod destroy;
pub mod domain;
pub mod endpoint;
pub mod error;
pub mod fault;
pub mod frame;
pub mod irq;
pub mod lookup;
pub mod map;
pub mod notification;
pub mod refill;
pub mod registers;
pub mod reply;
pub mod sched_context;
pub mod sched_control;
pub mod schedule;
pub mod spaces;
pub mod table;
pub mod tcb;
pub mod time;
pub mod transfer;
pub mod untyped;

use crate::algebra::Kind;
use crate::authority::Authority;
use crate::concrete::{Concrete, Object, Slot};
use domain::Domains;
use fault::Fault;
use irq::Interrupts;
use map::{Paging, Space};
use refill::Budget;
use registers::Registers;
use schedule::Queues;
use std::collections::BTreeMap;
use std::ops::Range;
use time::Clock;

/// This is beyond what the specification says so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NotCovered(pub &'static str);

/// A capability.
pub type Cap = crate::authority::Cap<Concrete>;

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Activity {
    /// Nothing, until somebody resumes it.
    #[default]
    Inactive,
    /// It can run.
    Runnable,
    /// It waits to send, or for somebody to take its call.
    Sending,
    /// It waits for a message, perhaps with this reply object to answer it through.
    Receiving(Option<Object>),
    /// It waits for the answer to its call.
    Calling,
    /// It waits for a signal.
    Waiting,
}

/// What a queued sender sends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sending {
    /// The badge of its capability.
    pub badge: u64,
    /// Its rights.
    pub rights: crate::algebra::Rights,
    /// Whether it waits for an answer.
    pub is_call: bool,
}

/// A thread.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Thread {
    /// What it is doing.
    pub activity: Activity,
    /// What it sends with, while it waits to send.
    pub sending: Sending,
    /// Its priority.
    pub priority: u8,
    /// The highest priority it can give away.
    pub max_controlled_priority: u8,
    /// Its domain.
    pub domain: u64,
    /// Its registers.
    pub registers: Registers,
    /// Whether it repeats the instruction at its restart PC when it next runs.
    pub repeats: bool,
    /// What it has done and waits for an answer to.
    pub fault: Option<Fault>,
    /// Its name, for people; see [`debug`].
    pub name: Vec<u8>,
    /// A CancelBadgedSends that it has begun and somebody else has finished: endpoint and badge.
    pub cancelled: Option<(Object, u64)>,
    /// The thread whose spaces it is in the middle of replacing.
    pub replacing: Option<Object>,
    /// Its flags.
    pub flags: u64,
    /// Where its IPC buffer is in its address space; 0 for none.
    pub buffer: u64,
    /// Its scheduling context.
    pub context: Option<Object>,
    /// Its bound notification.
    pub notification: Option<Object>,
}

/// An endpoint: who waits there, first come first served among those of equal priority. All of them send, or all
/// receive.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Endpoint {
    /// Who waits, first one first.
    pub queue: Vec<Object>,
    /// A CancelBadgedSends that has begun.
    pub cancelling: Option<Cancelling>,
}

/// A CancelBadgedSends in the middle. It is about those who wait when it begins; who comes later is left alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cancelling {
    /// Who has begun it.
    pub canceller: Object,
    /// The badge.
    pub badge: u64,
    /// Who is still to stop waiting, first one first.
    pub left: Vec<Object>,
}

impl Endpoint {
    /// `thread` does not wait here any more.
    pub(crate) fn leave(&mut self, thread: Object) {
        self.queue.retain(|waiting| *waiting != thread);
        if let Some(cancelling) = &mut self.cancelling {
            cancelling.left.retain(|waiting| *waiting != thread);
        }
    }
}

/// A notification.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notification {
    /// The signals that nobody has taken, if there are any.
    pub word: Option<u64>,
    /// Who waits, first one first.
    pub queue: Vec<Object>,
    /// The thread bound to it.
    pub thread: Option<Object>,
    /// The scheduling context that it lends.
    pub context: Option<Object>,
}

/// A scheduling context.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// How much time it gives, and when. Without any refills it has not been configured, and nobody runs on it.
    pub budget: Budget,
    /// Whether its time counts from when its thread wakes up, not from when it runs.
    pub is_sporadic: bool,
    /// The value for timeout faults.
    pub badge: u64,
    /// How much was used of it since this was last told, in ticks.
    pub consumed: u64,
    /// The thread that yielded to it, and will be told what it has consumed.
    pub yielder: Option<Object>,
    /// The thread that runs on it.
    pub thread: Option<Object>,
    /// The notification that lends it.
    pub notification: Option<Object>,
    /// The calls along which it has travelled, last one last: reply objects, whose callers get it back.
    pub calls: Vec<Object>,
}

/// A system.
#[derive(Clone)]
pub struct System {
    /// The algebra in which the authority part is read.
    pub x: Concrete,
    /// Who may do what.
    pub authority: Authority<Concrete>,
    /// The threads.
    pub threads: BTreeMap<Object, Thread>,
    /// The endpoints.
    pub endpoints: BTreeMap<Object, Endpoint>,
    /// The notifications.
    pub notifications: BTreeMap<Object, Notification>,
    /// The scheduling contexts.
    pub contexts: BTreeMap<Object, Context>,
    /// What user level has in its memory, word by word, as far as it matters here: the IPC buffers.
    pub memory: BTreeMap<u64, u64>,
    /// The address spaces, by identifier.
    pub spaces: BTreeMap<u64, Space>,
    /// The pools of identifiers, by the first of each.
    pub pools: BTreeMap<u64, Object>,
    /// What address spaces are like on this machine.
    pub paging: Paging,
    /// The machine's interrupts.
    pub interrupts: Interrupts,
    /// Where ordinary memory is; the rest is devices'.
    pub ram: Range<u64>,
    /// The thread that runs.
    pub current: Option<Object>,
    /// Whose time passes.
    pub clock: Clock,
    /// Who is ready, and who waits for time.
    pub queues: Queues,
    /// Who may run at all.
    pub domains: Domains,
    /// Whether the kernel is one for debugging.
    pub is_debug: bool,
    /// What a long operation will find when it looks between two of its units, if anything.
    pub look: Option<Look>,
}

/// What a long operation finds when it looks, once, whether it may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// After so many more units.
    pub units: u64,
    /// What the clock shows then.
    pub now: u64,
    /// Whether it has to stop there in any case. Otherwise it does if time is up.
    pub stops: bool,
}

/// The CSpace's slot of a thread.
pub const CSPACE: u64 = 0;
/// The VSpace's slot of a thread.
pub const VSPACE: u64 = 1;
/// The IPC buffer's slot of a thread.
pub const BUFFER: u64 = 2;
/// The fault handler's slot of a thread.
pub const FAULT_HANDLER: u64 = 3;
/// The timeout handler's slot of a thread.
pub const TIMEOUT_HANDLER: u64 = 4;
/// Log2 of the size of a slot (`objects.md` §2).
pub const SLOT_BITS: u32 = 5;

impl Context {
    /// Whether it has been configured.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.budget.refills.is_empty()
    }
}

impl System {
    /// The capability in a slot.
    #[must_use]
    pub fn cap(&self, slot: &Slot) -> Cap {
        self.authority.cap(&self.x, slot)
    }

    /// A thread. There is one: whoever asks has its name from a capability or a queue.
    #[must_use]
    pub fn thread(&self, thread: Object) -> &Thread {
        &self.threads[&thread]
    }

    /// A thread, to be changed.
    pub fn thread_mut(&mut self, thread: Object) -> &mut Thread {
        self.threads.get_mut(&thread).expect("a live thread")
    }

    /// A slot of a thread.
    #[must_use]
    pub const fn slot_of(thread: Object, index: u64) -> Slot {
        Slot { home: thread, index }
    }

    /// A scheduling context, to be changed.
    fn context_mut(&mut self, context: Object) -> &mut Context {
        self.contexts.get_mut(&context).expect("a live context")
    }

    /// A live object's size in bytes.
    #[must_use]
    pub fn bytes(&self, object: Object) -> u64 {
        use crate::algebra::Algebra;
        self.x.of(&self.authority.bytes, &object)
    }

    /// Whether an object is made of device memory.
    #[must_use]
    pub fn is_device(&self, object: Object) -> bool {
        use crate::algebra::Algebra;
        let start: u64 = self.x.of(&self.authority.start, &object);
        !self.ram.contains(&start)
    }

    /// Puts a thread into a queue, behind those of its priority.
    fn enqueue(&mut self, thread: Object, queue: impl Fn(&mut Self) -> &mut Vec<Object>) {
        let priority = self.thread(thread).priority;
        let waiting = queue(self).clone();
        let place = waiting.iter().position(|other| self.thread(*other).priority < priority);
        queue(self).insert(place.unwrap_or(waiting.len()), thread);
    }

    /// Ends whatever a thread waits for; it is Inactive then, and its fault is forgotten. Nothing happens to one that does not wait.
    pub fn cancel(&mut self, thread: Object) {
        match self.thread(thread).activity {
            Activity::Inactive | Activity::Runnable => return,
            Activity::Calling => self.cut_call(thread),
            Activity::Sending | Activity::Receiving(_) | Activity::Waiting => {
                for endpoint in self.endpoints.values_mut() {
                    endpoint.leave(thread);
                }
                for notification in self.notifications.values_mut() {
                    notification.queue.retain(|waiting| *waiting != thread);
                }
            }
        }
        let thread = self.thread_mut(thread);
        thread.activity = Activity::Inactive;
        thread.fault = None;
    }

    /// What a thread waited for is gone: it makes its system call again. One that waited with a fault stops.
    fn stop_waiting(&mut self, thread: Object) {
        let had_fault = self.thread(thread).fault.is_some();
        self.cancel(thread);
        if !had_fault {
            self.restart(thread);
        }
    }

    /// Moves a scheduling context to a thread, which has none. A sporadic one begins anew.
    fn give_context(&mut self, context: Object, to: Object) {
        if let Some(from) = self.context_mut(context).thread.replace(to) {
            self.queues.leave(from);
            self.thread_mut(from).context = None;
        }
        self.thread_mut(to).context = Some(context);
        self.unblock(context);
    }

    /// Takes a scheduling context from the thread that has it, which cannot run without. Who yielded to it is told.
    fn take_context(&mut self, context: Object) {
        if let Some(thread) = self.contexts[&context].thread {
            self.end_yield_to(context);
            self.context_mut(context).thread = None;
            self.queues.leave(thread);
            self.thread_mut(thread).context = None;
        }
    }

    /// Whether a capability is to something of a kind.
    #[must_use]
    pub fn is(cap: &Cap, kind: Kind) -> bool {
        cap.kind == kind
    }
}
