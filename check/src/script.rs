// SPDX-License-Identifier: MIT OR Apache-2.0

//! Operations, as a reader writes them down: whoever runs makes a system call or faults, a device interrupts, time
//! passes.

use keel_abi::message::MessageInfo;
use keel_abi::{label, syscall};
use keel_spec::system::fault::Fault;
use std::fmt;

/// Something that happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Whoever runs makes a system call.
    Call(Op),
    /// The same; at the preemption point with this number, counted from 1, something else happens.
    Interrupted(Op, u64, Cause),
    /// A device interrupts whoever runs, or nobody.
    Interrupt(u32),
    /// Whoever runs only computes for so many ticks.
    Pass(u64),
    /// Whoever runs does what the processor does not do.
    Fault(Fault),
}

/// What happens in the middle of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A device interrupts.
    Device(u32),
    /// So many ticks have passed. The timer interrupts if it is due then.
    Time(u64),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(irq) => write!(f, "interrupt {irq}"),
            Self::Time(ticks) => write!(f, "{ticks} ticks pass"),
        }
    }
}

impl Step {
    /// The preemption point at which something else happens, if it does.
    #[must_use]
    pub const fn interrupted_at(&self) -> Option<u64> {
        match self {
            Self::Interrupted(_, point, _) => Some(*point),
            _ => None,
        }
    }
}

impl From<Op> for Step {
    fn from(op: Op) -> Self {
        Self::Call(op)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(op) => write!(f, "{op}"),
            Self::Interrupted(op, point, cause) => write!(f, "{op}, {cause} at preemption point {point}"),
            Self::Interrupt(irq) => write!(f, "interrupt {irq}"),
            Self::Pass(ticks) => write!(f, "{ticks} ticks pass"),
            Self::Fault(fault) => write!(f, "{fault:x?}"),
        }
    }
}

/// A system call of the running thread. Capabilities are named by the number of their slot in the root CNode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Op {
    /// Which call.
    pub number: i64,
    /// The capability that is sent to or received from.
    pub cap: u64,
    /// The label of the message.
    pub label: u64,
    /// Its words.
    pub words: Vec<u64>,
    /// Its extra capabilities.
    pub caps: Vec<u64>,
    /// The reply register.
    pub reply: u64,
    /// The first phase's destination of NBSendRecv.
    pub send_to: u64,
    /// Where the sender wants to receive capabilities.
    pub receive_at: u64,
}

impl Op {
    /// A system call without a message.
    #[must_use]
    pub const fn plain(number: i64, cap: u64, reply: u64) -> Self {
        Self { number, cap, label: 0, words: vec![], caps: vec![], reply, send_to: 0, receive_at: 0 }
    }

    /// A call of the object behind `cap`.
    #[must_use]
    pub fn invoke(cap: u64, label: u64, words: &[u64], caps: &[u64]) -> Self {
        let (words, caps) = (words.to_vec(), caps.to_vec());
        Self { label, words, caps, ..Self::plain(syscall::CALL, cap, 0) }
    }

    /// The message info word.
    #[must_use]
    pub fn info(&self) -> u64 {
        MessageInfo::new(self.label, 0, self.caps.len(), self.words.len()).word()
    }
}

/// The name of a label that every architecture has.
fn label_name(wanted: u64) -> Option<&'static str> {
    let is_it = |entry: &&label::Entry| {
        let number =
            label::by_name(label::TABLE, label::FIRST, entry.name, &keel_abi::config::Options::BUILD);
        number == Some(wanted)
    };
    label::TABLE.iter().find(is_it).map(|entry| entry.name)
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = syscall::name(self.number).unwrap_or("?");
        write!(f, "{call} {:#x}", self.cap)?;
        match label_name(self.label) {
            Some(name) => write!(f, " {name}")?,
            None if self.label != 0 => write!(f, " label {}", self.label)?,
            None => {}
        }
        if !self.words.is_empty() {
            write!(f, " {:x?}", self.words)?;
        }
        if !self.caps.is_empty() {
            write!(f, " with {:x?}", self.caps)?;
        }
        for (what, value) in
            [("reply", self.reply), ("sending to", self.send_to), ("receiving at", self.receive_at)]
        {
            if value != 0 {
                write!(f, ", {what} {value:#x}")?;
            }
        }
        Ok(())
    }
}
