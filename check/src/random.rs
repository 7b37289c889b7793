// SPDX-License-Identifier: MIT OR Apache-2.0

//! Long random runs, with a short script of what went wrong when something does.

use crate::lockstep::{Coverage, Lockstep};
use crate::script::{Cause, Op, Step};
use crate::{stage, timely};
use keel_abi::aarch64::{label as arch_label, object as arch_object};
use keel_abi::{label, object, slot, syscall};
use keel_kernel::host::world::DEPTH;
use keel_spec::system::fault::Fault;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// What the runs are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// Everything, with several threads.
    System,
    /// Operations on slots and untyped memory, by one thread.
    Slots,
    /// Everything, with threads that have little time.
    Time,
}

impl Subject {
    fn stage(self) -> stage::Stage {
        match self {
            Self::System => stage::large(),
            Self::Slots => stage::family(),
            Self::Time => timely::large(),
        }
    }
}

/// How a set of runs is made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What they are about.
    pub subject: Subject,
    /// How many runs.
    pub runs: u32,
    /// The most operations of a run.
    pub length: usize,
    /// Numbers that look random follow from this.
    pub seed: u64,
    /// Interrupt the kernel at every so-manieth preemption point.
    pub preempt_every: Option<u64>,
    /// How often a shorter script is tried when one fails.
    pub most_shrinks: u32,
    /// Look whether the theorems' invariants hold in the last state of each run.
    pub check_theorems: bool,
}

/// Carries out a plan. On failure: the shortest script found that fails, and how it fails.
pub fn run(plan: Plan) -> Result<Coverage, String> {
    let coverage = Rc::new(RefCell::new(Coverage::default()));
    let max_shrink_iters = plan.most_shrinks;
    let config =
        Config { cases: plan.runs, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&plan.seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let slots = plan.subject.stage().slots;
    let scripts = prop::collection::vec(step(plan.subject, &slots), 1..=plan.length);
    let result = runner.run(&scripts, |script| {
        let done = play(&script, plan).map_err(TestCaseError::fail)?;
        coverage.borrow_mut().add(&done);
        Ok(())
    });
    match result {
        Ok(()) => Ok(coverage.take()),
        Err(TestError::Fail(reason, script)) => Err(format!("{}\n{reason}", listing(&script))),
        Err(TestError::Abort(reason)) => Err(reason.to_string()),
    }
}

/// Plays one script on a new large system.
pub fn play(script: &[Step], plan: Plan) -> Result<Coverage, String> {
    let run = || {
        let mut lockstep = Lockstep::new(plan.subject.stage().world);
        lockstep.world.kernel.arch.preempt_every(plan.preempt_every);
        let start = lockstep.clone();
        let mut before = Coverage::default();
        for (number, op) in script.iter().enumerate() {
            let somebody = lockstep.wait_for_somebody();
            if !somebody.map_err(|disagreement| format!("before operation {number}:\n{disagreement}"))? {
                // Nobody can do anything any more: begin again.
                before.add(&lockstep.coverage);
                lockstep.clone_from(&start);
            }
            lockstep
                .apply(op)
                .map_err(|disagreement| format!("after operation {number}:\n{disagreement}"))?;
        }
        if plan.check_theorems {
            lockstep.check_theorems().map_err(|disagreement| format!("at the end:\n{disagreement}"))?;
        }
        before.add(&lockstep.coverage);
        Ok(before)
    };
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(format!("the kernel panics: {}", message(&*panic))))
}

/// What a panic says.
#[must_use]
pub fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// A script, one operation in a line.
#[must_use]
pub fn listing(script: &[Step]) -> String {
    script.iter().enumerate().map(|(number, op)| format!("{number:3}: {op}\n")).collect()
}

/// Ticks in which any thread has used up its budget, if it does not have particularly much.
const A_SLICE: u64 = 1 << 17;

/// Anything that can happen.
fn step(subject: Subject, slots: &[u64]) -> BoxedStrategy<Step> {
    let any_op = op(subject, slots);
    if subject == Subject::Slots {
        return any_op.prop_map(Step::from).boxed();
    }
    let irq = select(stage::IRQS.to_vec());
    let cause = prop_oneof![
        irq.clone().prop_map(Cause::Device),
        prop_oneof![timely::span(), Just(A_SLICE)].prop_map(Cause::Time)
    ];
    let long = prop_oneof![4 => take(slots), 1 => any_op.clone()];
    let interrupted =
        (long, 1..6_u64, cause).prop_map(|(op, point, cause)| Step::Interrupted(op, point, cause));
    let number = select(vec![0x200_0000, 7]);
    let exception = number.prop_map(|number| Step::Fault(Fault::UserException { number, code: 0 }));
    let access = (0..3_u64, prop::bool::ANY).prop_map(|(page, is_fetch)| {
        Step::Fault(Fault::VirtualMemory { address: page << 12, is_fetch, status: 0x9200_0007 })
    });
    let any_step = prop_oneof![
        36 => any_op.prop_map(Step::from),
        8 => thread_op(slots).prop_map(Step::from),
        3 => irq_op(slots).prop_map(Step::from),
        6 => paging_op(slots).prop_map(Step::from),
        3 => irq.prop_map(Step::Interrupt),
        6 => interrupted,
        1 => exception,
        1 => access,
    ];
    match subject {
        Subject::Time => prop_oneof![1 => any_step, 3 => timely::step(slots)].boxed(),
        _ => any_step.boxed(),
    }
}

/// Operations on registers and spaces of threads.
fn thread_op(slots: &[u64]) -> BoxedStrategy<Op> {
    let any = select(slots.to_vec());
    let mostly = |usual: u64| prop_oneof![6 => Just(usual), 1 => any.clone()];
    let word = select(vec![0, 1, 2, 0x2000, u64::MAX]);
    let read = (any.clone(), 0..2_u64, select(vec![0, 1, 3, 36, 37])).prop_map(|(thread, flags, count)| {
        Op::invoke(thread, label::TCB_READ_REGISTERS, &[flags, count], &[])
    });
    let write = (any.clone(), 0..2_u64, 0..7_u64, prop::collection::vec(word.clone(), 0..7)).prop_map(
        |(thread, flags, count, values)| {
            let words = [vec![flags, count], values].concat();
            Op::invoke(thread, label::TCB_WRITE_REGISTERS, &words, &[])
        },
    );
    let copy = (any.clone(), any.clone(), 0..16_u64).prop_map(|(thread, source, flags)| {
        // Whoever copies its own frame registers onto itself repeats that for ever.
        let flags = if thread == source { flags & 8 } else { flags };
        Op::invoke(thread, label::TCB_COPY_REGISTERS, &[flags], &[source])
    });
    let handler = prop_oneof![3 => any.clone(), 1 => Just(slots[slots.len() - 1])];
    let address = select(vec![0, 8, 0x40_0000, 0x40_0400]);
    let roots = (mostly(slot::INIT_CNODE), mostly(slot::INIT_VSPACE));
    let space = (any.clone(), handler.clone(), roots.clone(), prop_oneof![6 => Just(0), 1 => word.clone()])
        .prop_map(|(thread, handler, (cspace, vspace), data)| {
            Op::invoke(thread, label::TCB_SET_SPACE, &[data, 0], &[handler, cspace, vspace])
        });
    let configure = (any.clone(), roots, any.clone(), address.clone()).prop_map(
        |(thread, (cspace, vspace), frame, address)| {
            Op::invoke(thread, label::TCB_CONFIGURE, &[0, 0, address], &[cspace, vspace, frame])
        },
    );
    let buffer = (any.clone(), any.clone(), address).prop_map(|(thread, frame, address)| {
        Op::invoke(thread, label::TCB_SET_IPC_BUFFER, &[address], &[frame])
    });
    let timeout = (any.clone(), handler.clone())
        .prop_map(|(thread, handler)| Op::invoke(thread, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler]));
    let params = (any.clone(), 198..203_u64, 198..203_u64, any.clone(), handler).prop_map(
        |(thread, limit, priority, context, handler)| {
            let caps = [slot::INIT_TCB, context, handler];
            Op::invoke(thread, label::TCB_SET_SCHED_PARAMS, &[limit, priority], &caps)
        },
    );
    let small = (any, select(vec![label::TCB_SET_TLS_BASE, label::TCB_SET_FLAGS]), word.clone(), word)
        .prop_map(|(thread, label, a, b)| Op::invoke(thread, label, &[a, b], &[]));
    let unknown = (0..3_i64).prop_map(|number| Op::plain(number, 0, 0));
    let debug = vec![
        syscall::DEBUG_PUT_CHAR,
        syscall::DEBUG_CAP_IDENTIFY,
        syscall::DEBUG_CAP_IDENTIFY,
        syscall::DEBUG_NAME_THREAD,
        syscall::DEBUG_NAME_THREAD,
    ];
    let text = select(vec![vec![], vec![0x79_6c_6f_70], vec![u64::MAX / 3; 7], vec![u64::MAX / 3; 9]]);
    let debug = (select(debug), select(slots.to_vec()), text)
        .prop_map(|(number, cap, words)| Op { words, ..Op::plain(number, cap, 0) });
    prop_oneof![debug, read, write, copy, space, configure, buffer, timeout, params, small, unknown].boxed()
}

/// Operations on interrupts and their handlers.
fn irq_op(slots: &[u64]) -> BoxedStrategy<Op> {
    let (any, root) = (select(slots.to_vec()), slot::INIT_CNODE);
    let irq = select([&stage::IRQS.map(u64::from)[..], &[27, 200]].concat());
    let issue = (irq, any.clone(), prop::bool::ANY).prop_map(move |(irq, to, with_trigger)| {
        if with_trigger {
            let get = arch_label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;
            Op::invoke(slot::IRQ_CONTROL, get, &[irq, 1, to, DEPTH], &[root])
        } else {
            Op::invoke(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[irq, to, DEPTH], &[root])
        }
    });
    let labels = vec![
        label::IRQ_ACK_IRQ,
        label::IRQ_ACK_IRQ,
        label::IRQ_SET_IRQ_HANDLER,
        label::IRQ_SET_IRQ_HANDLER,
        label::IRQ_CLEAR_IRQ_HANDLER,
    ];
    let handler = (any.clone(), select(labels), any)
        .prop_map(|(handler, label, cap)| Op::invoke(handler, label, &[], &[cap]));
    prop_oneof![1 => issue, 3 => handler].boxed()
}

/// Operations on frames, tables, address spaces and their identifiers.
fn paging_op(slots: &[u64]) -> BoxedStrategy<Op> {
    let (any, root) = (select(slots.to_vec()), slot::INIT_CNODE);
    let space = prop_oneof![2 => Just(slot::INIT_VSPACE), 1 => any.clone()];
    let address = select(stage::PLACES.to_vec());
    let map = (any.clone(), address.clone(), 0..4_u64, 0..9_u64, space.clone()).prop_map(
        |(frame, address, rights, attributes, space)| {
            Op::invoke(frame, arch_label::PAGE_MAP, &[address, rights, attributes], &[space])
        },
    );
    let table = (any.clone(), address, space).prop_map(|(table, address, space)| {
        Op::invoke(table, arch_label::PAGE_TABLE_MAP, &[address, 0], &[space])
    });
    let labels = vec![arch_label::PAGE_UNMAP, arch_label::PAGE_TABLE_UNMAP, arch_label::PAGE_GET_ADDRESS];
    let other = (any.clone(), select(labels)).prop_map(|(cap, label)| Op::invoke(cap, label, &[], &[]));
    let pool = prop_oneof![1 => Just(slot::INIT_ASID_POOL), 1 => any.clone()];
    let assign = (pool, any.clone())
        .prop_map(|(pool, root)| Op::invoke(pool, arch_label::ASID_POOL_ASSIGN, &[], &[root]));
    let empty = select(slots[slots.len() - 8..].to_vec());
    let make = (any.clone(), empty.clone()).prop_map(move |(untyped, to)| {
        let words = [to, DEPTH];
        Op::invoke(slot::ASID_CONTROL, arch_label::ASID_CONTROL_MAKE_POOL, &words, &[untyped, root])
    });
    let page = u64::from(arch_object::SMALL_PAGE_BITS);
    let kinds = vec![
        (object::UNTYPED, page),
        (arch_object::SMALL_PAGE, 0),
        (arch_object::LARGE_PAGE, 0),
        (arch_object::PAGE_TABLE, 0),
        (arch_object::VSPACE, 0),
    ];
    let retype = (any, select(kinds), empty).prop_map(move |(untyped, (kind, bits), to)| {
        Op::invoke(untyped, label::UNTYPED_RETYPE, &[kind, bits, 0, 0, to, 1], &[root])
    });
    prop_oneof![6 => map, 4 => table, 3 => other, 2 => assign, 1 => make, 1 => retype].boxed()
}

/// Operations that take something away, and may be long.
pub(crate) fn take(slots: &[u64]) -> BoxedStrategy<Op> {
    let take = |label, at| Op::invoke(slot::INIT_CNODE, label, &[at, DEPTH], &[slot::INIT_CNODE; 2]);
    let label = prop_oneof![
        2 => Just(label::CNODE_REVOKE),
        1 => Just(label::CNODE_CANCEL_BADGED_SENDS),
        5 => Just(label::CNODE_DELETE),
    ];
    (label, select(slots.to_vec())).prop_map(move |(label, at)| take(label, at)).boxed()
}

/// Any operation. Mostly such as make sense somewhere.
fn op(subject: Subject, slots: &[u64]) -> BoxedStrategy<Op> {
    let any = select(slots.to_vec());
    let empty = select(slots[slots.len() - 8..].to_vec());
    let target = prop_oneof![3 => empty, 1 => any.clone()];
    let root = slot::INIT_CNODE;
    let badges = if subject == Subject::Slots { vec![0, 1, 1] } else { vec![0, 1, 2, 3] };
    let badge = select::<u64>(badges);
    let cnode = move |label, words: &[u64]| Op::invoke(root, label, words, &[root, root]);
    let copy = (target.clone(), any.clone(), 0..16_u64, badge.clone(), 0..4_u8).prop_map(
        move |(to, from, rights, data, kind)| match kind {
            0 => cnode(label::CNODE_MINT, &[to, DEPTH, from, DEPTH, 15, data]),
            1 => cnode(label::CNODE_MINT, &[to, DEPTH, from, DEPTH, rights, data]),
            2 => cnode(label::CNODE_COPY, &[to, DEPTH, from, DEPTH, 15]),
            _ => cnode(label::CNODE_COPY, &[to, DEPTH, from, DEPTH, rights]),
        },
    );
    let carry = (target.clone(), any.clone(), any.clone(), badge, 0..3_u8).prop_map(
        move |(to, from, pivot, data, kind)| match kind {
            0 => cnode(label::CNODE_MOVE, &[to, DEPTH, from, DEPTH]),
            1 => cnode(label::CNODE_MUTATE, &[to, DEPTH, from, DEPTH, data]),
            _ => cnode(label::CNODE_ROTATE, &[to, DEPTH, 0, pivot, DEPTH, data, from, DEPTH]),
        },
    );
    // Into and out of small CNodes, whose slots have addresses of few bits.
    let inner = (any.clone(), any.clone(), 0..4_u64, 1..4_u64, prop::bool::ANY).prop_map(
        move |(node, other, index, depth, into)| {
            if into {
                Op::invoke(node, label::CNODE_COPY, &[index, depth, other, DEPTH, 15], &[root])
            } else {
                Op::invoke(root, label::CNODE_MOVE, &[other, DEPTH, index, depth], &[node])
            }
        },
    );
    let kinds = vec![
        (object::UNTYPED, 6),
        (object::UNTYPED, 11),
        (object::ENDPOINT, 0),
        (object::NOTIFICATION, 0),
        (object::CAP_TABLE, 1),
        (object::TCB, 0),
        (object::REPLY, 0),
        (object::SCHED_CONTEXT, 7),
        (9, 0),
    ];
    let retype = (any.clone(), select(kinds), target.clone(), 1..4_u64).prop_map(
        move |(untyped, (kind, bits), to, count)| {
            Op::invoke(untyped, label::UNTYPED_RETYPE, &[kind, bits, 0, 0, to, count], &[root])
        },
    );
    let tcb_labels = vec![
        label::TCB_SUSPEND,
        label::TCB_RESUME,
        label::TCB_RESUME,
        label::TCB_SET_PRIORITY,
        label::TCB_SET_MC_PRIORITY,
        label::TCB_BIND_NOTIFICATION,
        label::TCB_UNBIND_NOTIFICATION,
        label::SCHED_CONTEXT_BIND,
        label::SCHED_CONTEXT_UNBIND,
        label::SCHED_CONTEXT_UNBIND_OBJECT,
    ];
    let invoke = (any.clone(), select(tcb_labels), 198..203_u64, any.clone()).prop_map(
        move |(object, label, priority, cap)| {
            let is_priority = [label::TCB_SET_PRIORITY, label::TCB_SET_MC_PRIORITY].contains(&label);
            Op::invoke(object, label, &[priority], &[if is_priority { slot::INIT_TCB } else { cap }])
        },
    );
    let sends = vec![syscall::CALL, syscall::CALL, syscall::SEND, syscall::NB_SEND];
    let send =
        (select(sends), any.clone(), 0..7_usize, prop::collection::vec(any.clone(), 0..3), target.clone())
            .prop_map(|(number, cap, length, caps, receive_at)| {
                let words = (1..=length as u64).collect();
                Op { words, caps, receive_at, label: 100, ..Op::plain(number, cap, 0) }
            });
    let receives = vec![
        syscall::RECV,
        syscall::RECV,
        syscall::NB_RECV,
        syscall::WAIT,
        syscall::NB_WAIT,
        syscall::REPLY_RECV,
        syscall::NB_SEND_RECV,
        syscall::NB_SEND_WAIT,
        syscall::YIELD,
        syscall::YIELD,
    ];
    let receive = (select(receives), any.clone(), any.clone(), any.clone(), target).prop_map(
        |(number, cap, reply, send_to, receive_at)| Op {
            send_to,
            receive_at,
            words: vec![9],
            ..Op::plain(number, cap, reply)
        },
    );
    // Short messages and no capabilities: what servers live on.
    let quick = (select(vec![syscall::CALL, syscall::REPLY_RECV]), any.clone(), any.clone(), 0..5_usize)
        .prop_map(|(number, cap, reply, length)| {
            let words = (1..=length as u64).collect();
            Op { words, ..Op::plain(number, cap, reply) }
        });
    let anything = (
        any.clone(),
        0..58_u64,
        prop::collection::vec(select(vec![0, 1, 2, 4, 63, 64, 200, 1 << 40]), 0..9),
        prop::collection::vec(any, 0..4),
    )
        .prop_map(|(object, label, words, caps)| Op::invoke(object, label, &words, &caps));
    if subject == Subject::Slots {
        // Only the CNode's calls can be waited for: another capability may turn out to be an endpoint.
        let patient = move |op: Op| if op.cap == root { op } else { Op { number: syscall::NB_SEND, ..op } };
        let ops = prop_oneof![12 => copy, 4 => carry, 3 => inner, 4 => take(slots), 3 => retype];
        return ops.prop_map(patient).boxed();
    }
    prop_oneof![
        6 => copy, 3 => carry, 2 => inner, 3 => take(slots), 3 => retype, 4 => invoke, 6 => send, 8 => receive, 6 => quick, 1 => anything
    ]
    .boxed()
}
