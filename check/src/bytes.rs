// SPDX-License-Identifier: MIT OR Apache-2.0

//! Operations from bytes: what a fuzzer that watches the kernel's branches plays.
//!
//! A script is read from the bytes until they end. Each byte is one small choice, so that a fuzzer that changes a byte
//! changes one thing.

use crate::lockstep::Lockstep;
use crate::random::listing;
use crate::script::{Cause, Op, Step};
use crate::stage::{self, Stage};
use crate::timely;
use keel_abi::aarch64::{label as arch_label, object as arch_object};
use keel_abi::{label, object, slot, syscall};
use keel_kernel::host::world::DEPTH;
use keel_spec::system::fault::Fault;

/// The most operations of a script.
const LENGTH: usize = 64;

/// Plays scripts, each from the same beginning.
pub struct Fuzzer {
    starts: [Start; 2],
    now: Lockstep,
}

/// A system to begin with.
struct Start {
    lockstep: Lockstep,
    slots: Vec<u64>,
    control: u64,
}

impl Start {
    fn new(Stage { world, slots }: Stage) -> Self {
        let control = world.sched_control;
        Self { lockstep: Lockstep::new(world), slots, control }
    }
}

impl Default for Fuzzer {
    fn default() -> Self {
        Self::new()
    }
}

impl Fuzzer {
    /// A fuzzer of the large systems.
    #[must_use]
    pub fn new() -> Self {
        let starts = [stage::large(), timely::large()].map(Start::new);
        Self { now: starts[0].lockstep.clone(), starts }
    }

    /// Plays what `bytes` say. The first byte says how often the kernel is interrupted, and in which system.
    pub fn play(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
        let start = &self.starts[usize::from(first >> 2 & 1)];
        self.now.clone_from(&start.lockstep);
        let every = u64::from(first % 4);
        self.now.world.kernel.arch.preempt_every((every > 0).then_some(every));
        let mut choices = Choices { bytes: rest, slots: &start.slots, control: start.control };
        let mut script = Vec::new();
        while let Some(step) = choices.step().filter(|_| script.len() < LENGTH && self.now.can_go_on()) {
            script.push(step);
            let done = script.last().map_or(Ok(()), |step| self.now.apply(step));
            done.map_err(|disagreement| format!("{}{disagreement}", listing(&script)))?;
        }
        Ok(())
    }
}

struct Choices<'a> {
    bytes: &'a [u8],
    slots: &'a [u64],
    control: u64,
}

impl Choices<'_> {
    /// The next choice; none at the end.
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn pick<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        let choice = usize::from(self.byte()?);
        things.get(choice % things.len()).copied()
    }

    fn slot(&mut self) -> Option<u64> {
        self.pick(self.slots)
    }

    fn number(&mut self, below: u8) -> Option<u64> {
        Some(u64::from(self.byte()? % below))
    }

    fn step(&mut self) -> Option<Step> {
        let irq = |number: u64| stage::IRQS[number as usize];
        Some(match self.byte()? % 22 {
            0 => Step::Interrupt(irq(self.number(2)?)),
            1 => {
                let point = self.number(4)? + 1;
                let cause = match self.number(4)? {
                    number @ ..2 => Cause::Device(irq(number)),
                    _ => Cause::Time(self.number(255)? << self.number(6)?),
                };
                Step::Interrupted(self.op()?, point, cause)
            }
            2 => Step::Fault(Fault::UserException { number: self.number(8)?, code: 0 }),
            3 => {
                let address = self.number(4)? << 12;
                Step::Fault(Fault::VirtualMemory { address, is_fetch: false, status: 7 })
            }
            4 => Step::Call(self.thread_op()?),
            5 => Step::Call(self.irq_op()?),
            6..8 => Step::Pass(self.number(255)? << self.number(6)?),
            8 => Step::Call(self.time_op()?),
            9..11 => Step::Call(self.paging_op()?),
            _ => Step::Call(self.op()?),
        })
    }

    /// An operation on registers and spaces of threads, or an unknown system call.
    fn thread_op(&mut self) -> Option<Op> {
        const SPACES: [u64; 2] = [slot::INIT_CNODE, slot::INIT_VSPACE];
        let (thread, cap) = (self.slot()?, self.slot()?);
        Some(match self.byte()? % 10 {
            0 => Op::invoke(thread, label::TCB_READ_REGISTERS, &[self.number(2)?, self.number(40)?], &[]),
            1 => {
                let (flags, count) = (self.number(2)?, self.number(8)?);
                let values = (0..self.number(8)?).map_while(|_| self.number(255));
                let words: Vec<u64> = [flags, count].into_iter().chain(values).collect();
                Op::invoke(thread, label::TCB_WRITE_REGISTERS, &words, &[])
            }
            2 if thread != cap => Op::invoke(thread, label::TCB_COPY_REGISTERS, &[self.number(16)?], &[cap]),
            3 => Op::invoke(thread, label::TCB_SET_SPACE, &[0, 0], &[cap, SPACES[0], SPACES[1]]),
            4 => {
                let address = self.number(8)? << 9;
                Op::invoke(thread, label::TCB_SET_IPC_BUFFER, &[address], &[cap])
            }
            5 => {
                let words = [196 + self.number(8)?, 196 + self.number(8)?];
                let caps = [slot::INIT_TCB, cap, self.slot()?];
                Op::invoke(thread, label::TCB_SET_SCHED_PARAMS, &words, &caps)
            }
            6 => Op::invoke(thread, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[cap]),
            7 => {
                // SetTLSBase and SetFlags take one or two words.
                let labels = [label::TCB_SET_TLS_BASE, label::TCB_SET_FLAGS];
                Op::invoke(thread, self.pick(&labels)?, &[self.number(8)?, self.number(8)?], &[])
            }
            8 => {
                let calls =
                    [syscall::DEBUG_PUT_CHAR, syscall::DEBUG_CAP_IDENTIFY, syscall::DEBUG_NAME_THREAD];
                Op::plain(self.pick(&calls)?, thread, 0)
            }
            _ => Op::plain(self.number(4)?.cast_signed(), 0, 0),
        })
    }

    /// An operation on budgets or domains.
    fn time_op(&mut self) -> Option<Op> {
        let labels = [
            label::SCHED_CONTEXT_CONSUMED,
            label::SCHED_CONTEXT_YIELD_TO,
            label::TCB_SET_TIMEOUT_ENDPOINT,
            label::DOMAIN_SET_SET,
            label::DOMAIN_SCHEDULE_CONFIGURE,
            label::DOMAIN_SCHEDULE_SET_START,
        ];
        let (at, cap) = (self.slot()?, self.slot()?);
        Some(match usize::from(self.byte()? % 8) {
            number @ ..3 => Op::invoke(at, labels[number], &[], &[cap]),
            number @ 3..6 => {
                let words = [self.number(3)?, self.number(3)?, self.number(255)? << self.number(8)?];
                Op::invoke(slot::DOMAIN_SET, labels[number], &words, &[cap])
            }
            _ => {
                let words = [self.number(90)?, self.number(120)?, self.number(10)?, at, self.number(2)?];
                Op::invoke(self.control, label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[cap])
            }
        })
    }

    /// An operation on frames, tables, address spaces and their identifiers.
    fn paging_op(&mut self) -> Option<Op> {
        const ROOT: u64 = slot::INIT_CNODE;
        let labels = [
            arch_label::PAGE_UNMAP,
            arch_label::PAGE_TABLE_UNMAP,
            arch_label::PAGE_GET_ADDRESS,
            arch_label::ASID_POOL_ASSIGN,
        ];
        let (at, cap) = (self.slot()?, self.slot()?);
        Some(match usize::from(self.byte()? % 12) {
            number @ ..4 => Op::invoke(at, labels[number], &[], &[cap]),
            4 => Op::invoke(slot::INIT_ASID_POOL, arch_label::ASID_POOL_ASSIGN, &[], &[cap]),
            5 => {
                let words = [at, DEPTH];
                Op::invoke(slot::ASID_CONTROL, arch_label::ASID_CONTROL_MAKE_POOL, &words, &[cap, ROOT])
            }
            6 => {
                let kinds = [
                    (object::UNTYPED, u64::from(arch_object::SMALL_PAGE_BITS)),
                    (arch_object::SMALL_PAGE, 0),
                    (arch_object::LARGE_PAGE, 0),
                    (arch_object::PAGE_TABLE, 0),
                    (arch_object::VSPACE, 0),
                ];
                let (kind, bits) = self.pick(&kinds)?;
                Op::invoke(at, label::UNTYPED_RETYPE, &[kind, bits, 0, 0, cap, 1], &[ROOT])
            }
            number => {
                let space = if self.number(3)? == 0 { cap } else { slot::INIT_VSPACE };
                let address = self.pick(&stage::PLACES)?;
                if number < 9 {
                    Op::invoke(at, arch_label::PAGE_TABLE_MAP, &[address, 0], &[space])
                } else {
                    let words = [address, self.number(4)?, self.number(9)?];
                    Op::invoke(at, arch_label::PAGE_MAP, &words, &[space])
                }
            }
        })
    }

    /// An operation on interrupts.
    fn irq_op(&mut self) -> Option<Op> {
        let labels = [label::IRQ_ACK_IRQ, label::IRQ_SET_IRQ_HANDLER, label::IRQ_CLEAR_IRQ_HANDLER];
        let (at, cap) = (self.slot()?, self.slot()?);
        Some(match self.number(4)? {
            3 => {
                let irq = u64::from(self.pick(&stage::IRQS)?);
                let words = [irq, at, DEPTH];
                Op::invoke(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &words, &[slot::INIT_CNODE])
            }
            number => Op::invoke(at, labels[number as usize], &[], &[cap]),
        })
    }

    fn op(&mut self) -> Option<Op> {
        const ROOT: u64 = slot::INIT_CNODE;
        let cnode = |label, words: &[u64]| Op::invoke(ROOT, label, words, &[ROOT, ROOT]);
        Some(match self.byte()? % 16 {
            0 => {
                let rights = if self.number(2)? == 0 { 15 } else { self.number(16)? };
                cnode(label::CNODE_COPY, &[self.slot()?, DEPTH, self.slot()?, DEPTH, rights])
            }
            1 => {
                let (to, from, badge) = (self.slot()?, self.slot()?, self.number(4)?);
                cnode(label::CNODE_MINT, &[to, DEPTH, from, DEPTH, 15, badge])
            }
            2 => cnode(label::CNODE_MOVE, &[self.slot()?, DEPTH, self.slot()?, DEPTH]),
            3 => cnode(label::CNODE_MUTATE, &[self.slot()?, DEPTH, self.slot()?, DEPTH, self.number(64)?]),
            4 => {
                let (to, pivot, from) = (self.slot()?, self.slot()?, self.slot()?);
                cnode(label::CNODE_ROTATE, &[to, DEPTH, 0, pivot, DEPTH, 0, from, DEPTH])
            }
            5 => {
                let take = [label::CNODE_DELETE, label::CNODE_REVOKE, label::CNODE_CANCEL_BADGED_SENDS];
                cnode(self.pick(&take)?, &[self.slot()?, DEPTH])
            }
            6 => {
                let (node, index, depth) = (self.slot()?, self.number(4)?, self.number(4)?);
                let other = self.slot()?;
                if self.number(2)? == 0 {
                    Op::invoke(node, label::CNODE_COPY, &[index, depth, other, DEPTH, 15], &[ROOT])
                } else {
                    Op::invoke(ROOT, label::CNODE_MOVE, &[other, DEPTH, index, depth], &[node])
                }
            }
            7 => {
                let kinds = [
                    (object::UNTYPED, 6),
                    (object::UNTYPED, 11),
                    (object::ENDPOINT, 0),
                    (object::NOTIFICATION, 0),
                    (object::CAP_TABLE, 1),
                    (object::TCB, 0),
                    (object::REPLY, 0),
                    (object::SCHED_CONTEXT, 7),
                ];
                let (kind, bits) = self.pick(&kinds)?;
                let words = [kind, bits, 0, 0, self.slot()?, self.number(4)?];
                Op::invoke(self.slot()?, label::UNTYPED_RETYPE, &words, &[ROOT])
            }
            8..10 => self.message(&[syscall::CALL, syscall::SEND, syscall::NB_SEND, syscall::REPLY_RECV])?,
            10..13 => {
                let receives = [
                    syscall::RECV,
                    syscall::NB_RECV,
                    syscall::WAIT,
                    syscall::NB_WAIT,
                    syscall::REPLY_RECV,
                    syscall::NB_SEND_RECV,
                    syscall::NB_SEND_WAIT,
                    syscall::YIELD,
                ];
                self.message(&receives)?
            }
            13..15 => {
                let (object, other) = (self.slot()?, self.slot()?);
                let labels = [
                    label::TCB_SUSPEND,
                    label::TCB_RESUME,
                    label::TCB_BIND_NOTIFICATION,
                    label::TCB_UNBIND_NOTIFICATION,
                    label::SCHED_CONTEXT_BIND,
                    label::SCHED_CONTEXT_UNBIND,
                    label::SCHED_CONTEXT_UNBIND_OBJECT,
                ];
                match self.number(9)? {
                    priority @ 7.. => {
                        let labels = [label::TCB_SET_PRIORITY, label::TCB_SET_MC_PRIORITY];
                        let label = self.pick(&labels)?;
                        Op::invoke(object, label, &[193 + priority], &[slot::INIT_TCB])
                    }
                    number => Op::invoke(object, labels[number as usize], &[], &[other]),
                }
            }
            _ => {
                let (object, label) = (self.slot()?, self.number(58)?);
                let words: Vec<u64> = (0..self.number(8)?).map_while(|_| self.number(255)).collect();
                let caps: Vec<u64> = (0..self.number(4)?).map_while(|_| self.slot()).collect();
                Op::invoke(object, label, &words, &caps)
            }
        })
    }

    /// A system call with a message.
    fn message(&mut self, calls: &[i64]) -> Option<Op> {
        let plain = Op::plain(self.pick(calls)?, self.slot()?, self.slot()?);
        let shape = self.byte()?;
        let words = (1..=u64::from(shape % 8)).collect();
        let caps: Vec<u64> = (0..shape >> 3 & 3).map_while(|_| self.slot()).collect();
        let (send_to, receive_at) = (self.slot()?, self.slot()?);
        Some(Op { words, caps, send_to, receive_at, label: 100, ..plain })
    }
}
