// SPDX-License-Identifier: MIT OR Apache-2.0

//! What ordinary operations cost while many others are around: capabilities, threads, waiters, scheduling contexts.
//!
//! Each operation is done a few times among 1, 100 and 10,000 of them, and the least count of instructions is told.
//! The others are as near as can be: copies of the very capability that is used, threads in the same ready queues,
//! waiters at the same endpoint, contexts in the same release queue.

use keel::boot::{CNODE, TCB, VSPACE};
use keel::cap::{
    Attributes, Blueprint, Budget, CPtr, Cap, Endpoint, Frame, Invoked, Notification, Rights, SlotPath,
    Untyped,
};
use keel::{println, sys};
use keel_abi::message::MessageInfo;
use keel_abi::syscall::{RECV, REPLY_RECV, WAIT, YIELD};

use crate::arena::{Arena, MOST};
use crate::machine;
use crate::puppet::{ATTACKER, BUDGET, Call, Program, above, below};

/// How many others there are.
const SIZES: [u64; 3] = [1, 100, MOST];
/// How often an operation is done.
const ROUNDS: usize = 8;
/// The thread that answers calls; it is none of the others.
const SERVER: u64 = MOST;
/// The thread that waits for signals, and that things are done to.
const TARGET: u64 = MOST + 1;
/// Time that is not over when everything is.
const FOR_LONG: Budget = Budget::of(100, 600_000_000);

/// The others.
#[derive(Clone, Copy, Debug)]
enum Others {
    Capabilities,
    Threads,
    Waiters,
    Contexts,
}

impl Others {
    const ALL: [Self; 4] = [Self::Capabilities, Self::Threads, Self::Waiters, Self::Contexts];

    const fn name(self) -> &'static str {
        match self {
            Self::Capabilities => "capabilities",
            Self::Threads => "threads",
            Self::Waiters => "waiters",
            Self::Contexts => "contexts",
        }
    }
}

/// What the operations work on.
struct Subjects {
    endpoint: Cap<Endpoint>,
    bell: Cap<Notification>,
    untyped: Cap<Untyped>,
    replies: Cap<Untyped>,
    frame: Cap<Frame>,
    address: u64,
    empty: SlotPath,
}

/// All of them.
pub fn all(arena: &mut Arena<'_>) -> keel::Result {
    let subjects = Subjects::new(arena)?;
    for others in Others::ALL {
        for size in SIZES {
            subjects.surround(arena, others, size)?;
            subjects.measure(arena, &format_args!("{} {size}", others.name()))?;
            subjects.leave(arena, size)?;
        }
    }
    Ok(())
}

impl Subjects {
    fn new(arena: &mut Arena<'_>) -> keel::Result<Self> {
        let (endpoint, bell) = (arena.make()?, arena.make()?);
        let untyped = arena.resources.untyped(20)?;
        // As long as one object is left, the memory is not reset.
        arena.resources.make_from(untyped, Blueprint::Endpoint)?;
        let replies = arena.resources.untyped(MOST.next_power_of_two().ilog2() as u8 + 5)?;
        let frame = arena.resources.allocate_frame()?;
        // Mapping the page once makes the tables that lead to it.
        let address = arena.resources.map_frames(frame.cptr(), 1, Attributes::DATA)?.start;
        frame.unmap()?;
        let empty = CNODE.path(arena.resources.slot()?);
        let reply = arena.make::<keel::cap::Reply>()?;
        serve(arena, SERVER, endpoint, reply.cptr())?;
        arena.crowd.start(TARGET, Program::Repeat(Call::new(WAIT, bell.cptr())), ATTACKER + 1)?;
        Ok(Self { endpoint, bell, untyped, replies, frame, address, empty })
    }

    /// Lets so many others gather.
    fn surround(&self, arena: &Arena<'_>, others: Others, size: u64) -> keel::Result {
        match others {
            Others::Capabilities => {
                let original = CNODE.path(self.endpoint.cptr());
                (0..size).try_for_each(|index| Ok(arena.path(index).copy_from(original, Rights::ALL)?))
            }
            Others::Threads => {
                (0..size).try_for_each(|index| arena.crowd.start(index, Program::Idle, below(index)))
            }
            Others::Waiters => {
                let wait = Program::Repeat(Call::new(WAIT, self.bell.cptr()));
                for index in 0..size {
                    match index % 2 {
                        0 => {
                            let reply = arena.slot(index);
                            self.replies.retype(Blueprint::Reply, CNODE, 0, 0, reply.bits(), 1)?;
                            serve(arena, index, self.endpoint, reply)?;
                        }
                        _ => arena.crowd.start(index, wait, above(index))?,
                    }
                }
                Ok(())
            }
            Others::Contexts => {
                let control = arena.resources.authority.sched_control;
                let program = Program::Repeat(Call::new(YIELD, CNODE.cptr()));
                (0..size).try_for_each(|index| {
                    control.configure(arena.crowd.context(index), FOR_LONG)?;
                    arena.crowd.start(index, program, above(index))
                })
            }
        }
    }

    /// Sends them away.
    fn leave(&self, arena: &Arena<'_>, size: u64) -> keel::Result {
        let control = arena.resources.authority.sched_control;
        for index in 0..size {
            let (tcb, context) = (arena.crowd.tcb(index), arena.crowd.context(index));
            tcb.suspend()?;
            context.unbind()?;
            control.configure(context, BUDGET)?;
            context.bind_tcb(tcb)?;
            arena.path(index).delete()?;
        }
        Ok(())
    }

    /// Does each operation.
    fn measure(&self, arena: &Arena<'_>, others: &core::fmt::Arguments<'_>) -> keel::Result {
        let least = |name: &str, operation: &mut dyn FnMut() -> Invoked<u64>| -> keel::Result {
            let mut least = u64::MAX;
            for _ in 0..ROUNDS {
                least = least.min(operation()?);
            }
            println!("adversary growth {name} {others} {least}");
            Ok(())
        };
        let (endpoint, target, empty) =
            (CNODE.path(self.endpoint.cptr()), arena.crowd.tcb(TARGET), self.empty);
        // That of one of the others, if they have any.
        let context = arena.crowd.context(0);
        let control = arena.resources.authority.sched_control;

        least("call_and_reply", &mut || {
            count(|| {
                sys::call(self.endpoint.cptr(), MessageInfo(0), [0; 4]);
                Ok(())
            })
        })?;
        least("signal_and_wait", &mut || {
            count(|| {
                self.bell.signal();
                Ok(())
            })
        })?;
        least("yield", &mut || {
            count(|| {
                sys::yield_now();
                Ok(())
            })
        })?;
        least("cnode_copy", &mut || {
            let copied = count(|| empty.copy_from(endpoint, Rights::ALL));
            empty.delete()?;
            copied
        })?;
        least("cnode_mint", &mut || {
            let minted = count(|| empty.mint_from(endpoint, Rights::ALL, 1));
            empty.delete()?;
            minted
        })?;
        least("cnode_delete", &mut || {
            empty.copy_from(endpoint, Rights::ALL)?;
            count(|| empty.delete())
        })?;
        least("cnode_move", &mut || {
            let moved = count(|| empty.move_from(endpoint));
            endpoint.move_from(empty)?;
            moved
        })?;
        let slot = empty.index;
        least("retype", &mut || {
            let made = count(|| self.untyped.retype(Blueprint::Endpoint, CNODE, 0, 0, slot, 1));
            empty.delete()?;
            made
        })?;
        least("delete_object", &mut || {
            self.untyped.retype(Blueprint::Endpoint, CNODE, 0, 0, slot, 1)?;
            count(|| empty.delete())
        })?;
        least("page_map", &mut || {
            let mapped = count(|| self.frame.map(VSPACE, self.address, Rights::READ_WRITE, Attributes::DATA));
            self.frame.unmap()?;
            mapped
        })?;
        least("page_unmap", &mut || {
            self.frame.map(VSPACE, self.address, Rights::READ_WRITE, Attributes::DATA)?;
            count(|| self.frame.unmap())
        })?;
        least("tcb_set_priority", &mut || {
            let set = count(|| target.set_priority(TCB, above(5)));
            target.set_priority(TCB, ATTACKER + 1)?;
            set
        })?;
        least("tcb_suspend", &mut || {
            let suspended = count(|| target.suspend());
            target.resume()?;
            suspended
        })?;
        least("tcb_resume", &mut || {
            target.suspend()?;
            count(|| target.resume())
        })?;
        least("sched_control_configure", &mut || count(|| control.configure(context, FOR_LONG)))
    }
}

/// The instructions of an operation.
#[inline(always)]
fn count(operation: impl FnOnce() -> Invoked) -> Invoked<u64> {
    let begin = machine::now();
    operation()?;
    Ok(machine::now() - begin)
}

/// Lets a thread answer calls at an endpoint, on its callers' time.
fn serve(arena: &Arena<'_>, index: u64, endpoint: Cap<Endpoint>, reply: CPtr) -> keel::Result {
    let receive = Call::new(RECV, endpoint.cptr()).reply(reply);
    let answer = Call::new(REPLY_RECV, endpoint.cptr()).reply(reply);
    arena.crowd.start(index, Program::OnceThenAlways(receive, answer), above(index))?;
    Ok(arena.crowd.context(index).unbind()?)
}
