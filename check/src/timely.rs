// SPDX-License-Identifier: MIT OR Apache-2.0

//! Systems and operations in which time matters: few values of it, near the limits where something happens.

use crate::random::take;
use crate::script::{Cause, Op, Step};
use crate::stage::{IRQS, Stage, bare, handler_of, lower_root_task, server};
use keel_abi::object::SCHED_CONTEXT_SPORADIC;
use keel_abi::timing::DOMAINS;
use keel_abi::{label, object, slot, syscall};
use keel_kernel::host::TIMER_KHZ;
use keel_kernel::host::world::{DEPTH, World};
use proptest::prelude::*;
use proptest::sample::select;

/// Ticks in a microsecond.
const MICROSECOND: u64 = TIMER_KHZ / 1000;
/// (Budget, period) in microseconds: a round-robin context, and two others.
const TIMES: [(u64, u64); 3] = [(60, 60), (40, 100), (30, 50)];
/// Spans of time, in ticks: a moment; the smallest budget; more than the budgets; more than the periods.
const SPANS: [u64; 4] = [7, 20 * MICROSECOND, 50 * MICROSECOND, 130 * MICROSECOND];
/// Durations of domains, in ticks.
const DURATIONS: [u64; 2] = [50 * MICROSECOND, 110 * MICROSECOND];

/// How much time passes, between operations or in the middle of them.
pub fn spans() -> impl Iterator<Item = u64> {
    SPANS.into_iter()
}

/// A thread that has little time, the context that it has it from, and a notification to wait for.
pub(crate) fn budgets(world: &mut World) -> Vec<u64> {
    let thread = world.thread(200);
    let bell = world.notification();
    world.configure(thread.sched_context, TIMES[1], 1, 0);
    world.configure(slot::INIT_SCHED_CONTEXT, TIMES[0], 0, 0);
    vec![thread.cap, thread.sched_context, bell, world.sched_control]
}

/// A thread with little time whose timeouts are heard of, where they are, a reply object, and a context.
pub(crate) fn timeouts(world: &mut World) -> Vec<u64> {
    let (thread, endpoint) = (world.thread(200), world.endpoint());
    let badged = world.mint(endpoint, 15, 7);
    world.must(thread.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[badged]);
    world.configure(thread.sched_context, TIMES[1], 0, 0);
    vec![thread.cap, thread.sched_context, endpoint, thread.reply, world.sched_control]
}

/// A server without time of its own, and a client with a sporadic context beside the root task.
pub(crate) fn servers(world: &mut World) -> Vec<u64> {
    let (server, endpoint) = server(world);
    let client = world.thread(200);
    world.configure(client.sched_context, TIMES[1], 1, SCHED_CONTEXT_SPORADIC);
    world.configure(slot::INIT_SCHED_CONTEXT, TIMES[0], 0, 0);
    vec![endpoint, server.reply, client.sched_context]
}

/// A thread and what it can wait for, with a copy, in a system with several domains. The first one's time is short.
pub(crate) fn domains(world: &mut World) -> Vec<u64> {
    let thread = world.thread(200);
    let bell = world.notification();
    let copy = world.copy(bell, 15);
    let set = |world: &mut World, label, words: &[u64]| world.must(slot::DOMAIN_SET, label, words, &[]);
    set(world, label::DOMAIN_SCHEDULE_CONFIGURE, &[0, 0, DURATIONS[1]]);
    set(world, label::DOMAIN_SCHEDULE_SET_START, &[0]);
    vec![thread.cap, thread.sched_context, bell, copy]
}

/// Two threads that have little time; memory with a CNode in it, and in that another one; an endpoint at which two
/// others wait to send with a badge.
pub(crate) fn slices(world: &mut World) -> Vec<u64> {
    let thread = world.thread(200);
    let memory = world.untyped(7);
    let first = world.free_slot();
    for place in [first, first + 1] {
        let words = [object::CAP_TABLE, 1, 0, 0, place, 1];
        world.must(memory, label::UNTYPED_RETYPE, &words, &[slot::INIT_CNODE]);
    }
    world.must(first, label::CNODE_MOVE, &[1, 1, first + 1, DEPTH], &[slot::INIT_CNODE]);
    let spare = world.free_slot();
    let endpoint = world.endpoint();
    let badged = world.mint(endpoint, 15, 7);
    for _ in 0..2 {
        let sender = world.thread(255);
        world.run(sender.tcb);
        world.send(badged, 0, &[1], &[]);
        world.must(sender.cap, label::TCB_SET_PRIORITY, &[200], &[slot::INIT_TCB]);
    }
    world.configure(thread.sched_context, TIMES[1], 1, 0);
    world.configure(slot::INIT_SCHED_CONTEXT, TIMES[0], 0, 0);
    vec![thread.sched_context, memory, first, spare, endpoint, badged]
}

/// Operations on [`slices`].
pub fn slice_ops(slots: &[u64]) -> Vec<Op> {
    let &[context, memory, first, spare, endpoint, badged] = slots else { unreachable!("six slots") };
    let root = slot::INIT_CNODE;
    let cnode = |label, words: &[u64]| Op::invoke(root, label, words, &[root, root]);
    let words = [object::ENDPOINT, 0, 0, 0, spare, 1];
    vec![
        cnode(label::CNODE_DELETE, &[first, DEPTH]),
        cnode(label::CNODE_REVOKE, &[memory, DEPTH]),
        cnode(label::CNODE_CANCEL_BADGED_SENDS, &[badged, DEPTH]),
        cnode(label::CNODE_DELETE, &[badged, DEPTH]),
        cnode(label::CNODE_REVOKE, &[endpoint, DEPTH]),
        cnode(label::CNODE_DELETE, &[context, DEPTH]),
        cnode(label::CNODE_DELETE, &[slot::INIT_SCHED_CONTEXT, DEPTH]),
        cnode(label::CNODE_MOVE, &[spare, DEPTH, first, DEPTH]),
        Op::invoke(first, label::CNODE_COPY, &[0, 1, first, DEPTH, 15], &[root]),
        Op::invoke(memory, label::UNTYPED_RETYPE, &words, &[root]),
        Op::plain(syscall::SEND, badged, 0),
        Op::plain(syscall::YIELD, 0, 0),
    ]
}

/// Operations on [`budgets`].
pub fn budget_ops(slots: &[u64]) -> Vec<Op> {
    let &[thread, context, bell, control] = slots else { unreachable!("four slots") };
    let invoke = |cap, label, caps: &[u64]| Op::invoke(cap, label, &[], caps);
    let mut ops = vec![
        Op::plain(syscall::YIELD, 0, 0),
        Op::plain(syscall::WAIT, bell, 0),
        Op::plain(syscall::SEND, bell, 0),
        invoke(context, label::SCHED_CONTEXT_CONSUMED, &[]),
        invoke(slot::INIT_SCHED_CONTEXT, label::SCHED_CONTEXT_CONSUMED, &[]),
        invoke(context, label::SCHED_CONTEXT_YIELD_TO, &[]),
        invoke(slot::INIT_SCHED_CONTEXT, label::SCHED_CONTEXT_YIELD_TO, &[]),
        invoke(context, label::SCHED_CONTEXT_BIND, &[bell]),
        invoke(context, label::SCHED_CONTEXT_BIND, &[thread]),
        invoke(context, label::SCHED_CONTEXT_UNBIND_OBJECT, &[thread]),
        invoke(thread, label::TCB_SUSPEND, &[]),
        invoke(thread, label::TCB_RESUME, &[]),
    ];
    for priority in [199, 201] {
        ops.push(Op::invoke(thread, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]));
    }
    for (times, flags) in [(TIMES[0], 0), (TIMES[1], 1), (TIMES[2], 0)] {
        ops.push(configure(control, context, times, 1, flags));
    }
    ops
}

/// Operations on [`timeouts`].
pub fn timeout_ops(slots: &[u64]) -> Vec<Op> {
    let &[thread, context, endpoint, reply, control] = slots else { unreachable!("five slots") };
    let mut ops = vec![
        Op::plain(syscall::YIELD, 0, 0),
        Op::plain(syscall::RECV, endpoint, reply),
        Op::plain(syscall::NB_RECV, endpoint, reply),
        Op::plain(syscall::CALL, endpoint, 0),
        Op::plain(syscall::REPLY_RECV, endpoint, reply),
        Op { label: 1, ..Op::plain(syscall::SEND, reply, 0) },
        Op { words: vec![0x9000, 1, 2], ..Op::plain(syscall::SEND, reply, 0) },
        Op::invoke(context, label::SCHED_CONTEXT_CONSUMED, &[], &[]),
        Op::invoke(context, label::SCHED_CONTEXT_UNBIND_OBJECT, &[], &[thread]),
        Op::invoke(context, label::SCHED_CONTEXT_BIND, &[], &[thread]),
        Op::invoke(thread, label::TCB_SUSPEND, &[], &[]),
        Op::invoke(thread, label::TCB_RESUME, &[], &[]),
    ];
    for who in [thread, slot::INIT_TCB] {
        for handler in [endpoint, 0] {
            ops.push(Op::invoke(who, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler]));
        }
    }
    for (times, flags) in [(TIMES[0], 0), (TIMES[1], 0), (TIMES[2], 1)] {
        ops.push(configure(control, context, times, 0, flags));
    }
    ops
}

/// Operations on [`servers`].
pub fn server_ops(slots: &[u64]) -> Vec<Op> {
    let &[endpoint, reply, context] = slots else { unreachable!("three slots") };
    vec![
        Op::plain(syscall::CALL, endpoint, 0),
        Op::plain(syscall::REPLY_RECV, endpoint, reply),
        Op::plain(syscall::SEND, reply, 0),
        Op::plain(syscall::RECV, endpoint, reply),
        Op::plain(syscall::YIELD, 0, 0),
        Op::invoke(context, label::SCHED_CONTEXT_CONSUMED, &[], &[]),
    ]
}

/// Operations on [`domains`].
pub fn domain_ops(slots: &[u64]) -> Vec<Op> {
    let &[thread, context, bell, copy] = slots else { unreachable!("four slots") };
    let root = slot::INIT_CNODE;
    let set = |label, words: &[u64], caps: &[u64]| Op::invoke(slot::DOMAIN_SET, label, words, caps);
    let mut ops = vec![
        Op::plain(syscall::YIELD, 0, 0),
        Op::plain(syscall::WAIT, bell, 0),
        Op::plain(syscall::SEND, bell, 0),
        Op::invoke(context, label::SCHED_CONTEXT_YIELD_TO, &[], &[]),
        Op::invoke(root, label::CNODE_COPY, &[copy, DEPTH, bell, DEPTH, 15], &[root]),
        Op::invoke(root, label::CNODE_REVOKE, &[bell, DEPTH], &[]),
        Op::invoke(thread, label::TCB_SUSPEND, &[], &[]),
        Op::invoke(thread, label::TCB_RESUME, &[], &[]),
        set(label::DOMAIN_SCHEDULE_CONFIGURE, &[1, 0, 0], &[]),
        set(label::DOMAIN_SCHEDULE_CONFIGURE, &[0, DOMAINS, 1], &[]),
    ];
    for (who, domain) in [(thread, 0), (thread, 1), (slot::INIT_TCB, 1)] {
        ops.push(set(label::DOMAIN_SET_SET, &[domain], &[who]));
    }
    for (index, duration) in [0, 1].into_iter().flat_map(|index| DURATIONS.map(|ticks| (index, ticks))) {
        ops.push(set(label::DOMAIN_SCHEDULE_CONFIGURE, &[index, index, duration], &[]));
    }
    for index in [0, 1] {
        ops.push(set(label::DOMAIN_SCHEDULE_SET_START, &[index], &[]));
    }
    ops
}

/// A context gets a budget: (budget, period) in microseconds.
fn configure(control: u64, context: u64, times: (u64, u64), extra: u64, flags: u64) -> Op {
    let words = [times.0, times.1, extra, context, flags];
    Op::invoke(control, label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[context])
}

/// A system with several threads that have little time, for random operations.
pub(crate) fn large() -> Stage {
    let mut world = bare();
    let first = world.free_slot();
    let control = world.mint(world.sched_control, 15, 0);
    let (server, endpoint) = server(&mut world);
    let (handler, reply, bell) = (world.endpoint(), world.reply(), world.notification());
    let known = vec![control, endpoint, server.reply, handler, reply, bell];
    for (place, priority) in [200, 200, 201].into_iter().enumerate() {
        let thread = world.thread(priority);
        world.configure(thread.sched_context, TIMES[place], 4, place as u64 % 2);
        if place > 0 {
            world.must(thread.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler]);
        }
    }
    world.passive_thread(200);
    let spare = world.make(object::SCHED_CONTEXT, 8);
    world.configure(spare, TIMES[1], 8, 1);
    world.configure(slot::INIT_SCHED_CONTEXT, TIMES[0], 0, 0);
    world.copy(handler, 15);
    handler_of(&mut world, IRQS[0], bell);
    let end = world.free_slot() + 8;
    lower_root_task(&mut world);
    let others = (first + 1..end).filter(|at| !known.contains(at)).collect();
    Stage { world, slots: [known, others].concat() }
}

/// A random span of time, in ticks.
pub(crate) fn span() -> BoxedStrategy<u64> {
    prop_oneof![3 => select(SPANS.to_vec()), 1 => 1..2_000_u64].boxed()
}

/// Random operations in which time matters, on a system that [`large`] made.
pub(crate) fn step(slots: &[u64]) -> BoxedStrategy<Step> {
    let &[control, endpoint, reply, handler, other_reply, bell, ..] = slots else {
        unreachable!("many slots")
    };
    let any = select(slots.to_vec());
    let usual = select(vec![
        Op::plain(syscall::CALL, endpoint, 0),
        Op::plain(syscall::CALL, endpoint, 0),
        Op::plain(syscall::REPLY_RECV, endpoint, reply),
        Op::plain(syscall::REPLY_RECV, endpoint, reply),
        Op { send_to: bell, ..Op::plain(syscall::NB_SEND_RECV, endpoint, reply) },
        Op::plain(syscall::RECV, handler, other_reply),
        Op::plain(syscall::SEND, other_reply, 0),
        Op::plain(syscall::REPLY_RECV, handler, other_reply),
        Op::plain(syscall::WAIT, bell, 0),
        Op::plain(syscall::SEND, bell, 0),
        Op::plain(syscall::YIELD, 0, 0),
    ]);
    let times = prop_oneof![
        4 => select(TIMES.to_vec()),
        1 => (select(vec![0, 19, 20, 21, 50, u64::MAX / 128]), select(vec![0, 20, 21, 90, 1 << 62])),
    ];
    let configure = (any.clone(), times, select(vec![0, 1, 2, 8, 9]), 0..2_u64)
        .prop_map(move |(context, times, extra, flags)| configure(control, context, times, extra, flags));
    let labels = vec![
        label::SCHED_CONTEXT_CONSUMED,
        label::SCHED_CONTEXT_YIELD_TO,
        label::SCHED_CONTEXT_YIELD_TO,
        label::SCHED_CONTEXT_BIND,
        label::SCHED_CONTEXT_UNBIND_OBJECT,
        label::TCB_SET_TIMEOUT_ENDPOINT,
    ];
    let invoke = (any.clone(), select(labels), any.clone())
        .prop_map(|(object, label, cap)| Op::invoke(object, label, &[], &[cap]));
    let domain = (any, select(domain_labels()), 0..3_u64, 0..3_u64, select(DURATIONS.to_vec())).prop_map(
        |(thread, label, a, b, duration)| {
            Op::invoke(slot::DOMAIN_SET, label, &[a, b % DOMAINS.max(2), duration], &[thread])
        },
    );
    let in_the_middle = (take(slots), 1..5_u64, span())
        .prop_map(|(op, point, ticks)| Step::Interrupted(op, point, Cause::Time(ticks)));
    prop_oneof![
        10 => span().prop_map(Step::Pass),
        3 => in_the_middle,
        3 => configure.prop_map(Step::Call),
        6 => invoke.prop_map(Step::Call),
        2 => domain.prop_map(Step::Call),
        14 => usual.prop_map(Step::Call),
    ]
    .boxed()
}

fn domain_labels() -> Vec<u64> {
    vec![
        label::DOMAIN_SET_SET,
        label::DOMAIN_SCHEDULE_CONFIGURE,
        label::DOMAIN_SCHEDULE_CONFIGURE,
        label::DOMAIN_SCHEDULE_SET_START,
    ]
}
