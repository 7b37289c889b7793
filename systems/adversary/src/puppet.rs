// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads without a stack, by the thousand: each makes one or two system calls again and again.
//!
//! They share the root task's CSpace and address space, and have no IPC buffer. All of them exist from the
//! beginning, each with a scheduling context of its own; an attack starts as many as it wants, and stops them.

use keel::boot::{CNODE, TCB, VSPACE};
use keel::cap::{Blueprint, Budget, CNodeData, CPtr, Cap, Registers, SchedContext, SchedParams, Tcb};
use keel::resources::{Resources, sched_context};
use keel_abi::message::MessageInfo;

use crate::machine;

/// A system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    number: i64,
    cap: CPtr,
    info: MessageInfo,
    reply: CPtr,
}

impl Call {
    /// This one, on this capability, with an empty message.
    pub const fn new(number: i64, cap: CPtr) -> Self {
        Self { number, cap, info: MessageInfo(0), reply: CPtr::NULL }
    }

    /// With this message info.
    pub const fn info(self, info: MessageInfo) -> Self {
        Self { info, ..self }
    }

    /// With this reply capability.
    pub const fn reply(self, reply: CPtr) -> Self {
        Self { reply, ..self }
    }

    /// Capability, info, number and reply capability, as they go into registers.
    pub const fn words(self) -> [u64; 4] {
        [self.cap.bits(), self.info.0, self.number as u64, self.reply.bits()]
    }
}

/// What a thread does.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// Nothing, without an end.
    Idle,
    /// This call, again and again.
    Repeat(Call),
    /// The first once, then the second again and again.
    OnceThenAlways(Call, Call),
    /// The two in turns.
    InTurns(Call, Call),
}

impl Program {
    /// The registers of a thread that begins with it.
    pub fn registers(self) -> Registers {
        let (program, calls): (extern "C" fn() -> !, _) = match self {
            Self::Idle => (machine::idle, None),
            Self::Repeat(call) => (machine::once_then_always, Some([call, call])),
            Self::OnceThenAlways(first, second) => (machine::once_then_always, Some([first, second])),
            Self::InTurns(first, second) => (machine::in_turns, Some([first, second])),
        };
        let mut registers = Registers::starting_at(program as *const () as u64, 0, 0);
        for (call, places) in calls.into_iter().flatten().zip(machine::CALLS) {
            for (place, word) in places.into_iter().zip(call.words()) {
                registers = registers.with(place, word);
            }
        }
        registers
    }
}

/// The priority of the root task while it attacks.
pub const ATTACKER: u8 = 100;

/// Longer than any attack.
pub const BUDGET: Budget = Budget::round_robin(100_000_000);

/// The threads.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    first_tcb: u64,
    first_context: u64,
}

impl Crowd {
    /// Makes so many threads, which do not run.
    pub fn new(resources: &mut Resources, count: u64) -> keel::Result<Self> {
        let enough = |bytes: u64| (count * bytes).next_power_of_two().ilog2() as u8;
        let context = sched_context(0);
        let tcbs = resources.untyped(enough(1 << Blueprint::Tcb.memory_bits()))?;
        let first_tcb = resources.make_many_from(tcbs, Blueprint::Tcb, count)?.bits();
        let contexts = resources.untyped(enough(1 << context.memory_bits()))?;
        let first_context = resources.make_many_from(contexts, context, count)?.bits();
        let crowd = Self { first_tcb, first_context };
        for index in 0..count {
            resources.authority.sched_control.configure(crowd.context(index), BUDGET)?;
            crowd.tcb(index).configure(CNODE, CNodeData::default(), VSPACE, 0, Cap::null())?;
            crowd.bind(index)?;
        }
        Ok(crowd)
    }

    /// A thread.
    pub const fn tcb(&self, index: u64) -> Cap<Tcb> {
        Cap::at(self.first_tcb + index)
    }

    /// Its scheduling context.
    pub const fn context(&self, index: u64) -> Cap<SchedContext> {
        Cap::at(self.first_context + index)
    }

    /// Gives it its scheduling context, and all rights over priorities.
    fn bind(&self, index: u64) -> keel::Result {
        Ok(self.tcb(index).set_sched_params(SchedParams {
            authority: TCB,
            max_controlled_priority: 0,
            priority: 0,
            sched_context: self.context(index),
            fault_endpoint: Cap::null(),
        })?)
    }

    /// Starts a thread. One of a higher priority than the caller's runs until it blocks.
    pub fn start(&self, index: u64, program: Program, priority: u8) -> keel::Result {
        self.tcb(index).set_priority(TCB, priority)?;
        Ok(self.tcb(index).write_registers(&program.registers(), true)?)
    }

    /// Starts the first so many, of all priorities above the caller's.
    pub fn start_many(&self, count: u64, program: Program) -> keel::Result {
        (0..count).try_for_each(|index| self.start(index, program, above(index)))
    }

    /// Stops the first so many.
    pub fn stop(&self, count: u64) -> keel::Result {
        (0..count).try_for_each(|index| Ok(self.tcb(index).suspend()?))
    }
}

/// A priority above the attacker's and below the watch's, in no order.
pub const fn above(index: u64) -> u8 {
    let span = (u8::MAX - ATTACKER - 1) as u64;
    ATTACKER + 1 + (index * 37 % span) as u8
}

/// A priority below the attacker's, in no order.
pub const fn below(index: u64) -> u8 {
    (index * 37 % ATTACKER as u64) as u8
}
