// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is just usual enough for a short way, and what is not quite: of each condition of [`keel_kernel::ipc::fastpath`] and
//! [`keel_kernel::sched::direct`] there is a script in which it alone decides.
//!
//! Kernel and specification, and short ways and the general path, agree after each step; and the last step goes the way
//! that is said.

use keel_abi::timing::DOMAINS;
use keel_abi::{label, slot, syscall};
use keel_check::lockstep::Lockstep;
use keel_check::script::{Op, Step};
use keel_check::stage::{self, IRQS};
use keel_check::ways::ShortWay;
use keel_kernel::host::TIMER_KHZ;
use keel_kernel::host::world::{Thread, World};
use keel_spec::system::fault::Fault;

/// The rights of a capability, as its call has them.
mod rights {
    /// Not to receive.
    pub(super) const SEND: u64 = 0b1101;
    /// Nobody can answer.
    pub(super) const NO_ANSWER: u64 = 0b0011;
}

/// The root task, which runs first, and another thread share a priority; each of two servers waits at its endpoint, on
/// nobody's time; somebody higher will wait for a notification.
struct Cast {
    world: World,
    other: Thread,
    server: Thread,
    endpoint: u64,
    inner: Thread,
    inner_endpoint: u64,
    notification: u64,
    badged: u64,
    waiter: Thread,
}

const ROOT: u64 = slot::INIT_TCB;

impl Cast {
    fn new() -> Self {
        let mut world = stage::bare();
        let (server, endpoint) = stage::server(&mut world);
        let (inner, inner_endpoint) = stage::server(&mut world);
        let (other, waiter) = (world.thread(200), world.thread(255));
        let notification = world.notification();
        let badged = world.mint(notification, rights::SEND, 4);
        stage::handler_of(&mut world, IRQS[0], badged);
        Self { world, other, server, endpoint, inner, inner_endpoint, notification, badged, waiter }
    }

    /// The waiter waits, and then has this priority.
    fn wait(&mut self, priority: u64) {
        self.world.run(self.waiter.tcb);
        self.world.wait(self.notification);
        self.world.must(self.waiter.cap, label::TCB_SET_PRIORITY, &[priority], &[ROOT]);
    }

    /// Plays `script`, of which the last step goes `way`, or else the general path.
    #[track_caller]
    fn plays(mut self, script: impl IntoIterator<Item = Step>, way: impl Into<Option<ShortWay>>) {
        if self.world.state(self.waiter.tcb).is_runnable() {
            self.world.must(self.waiter.cap, label::TCB_SUSPEND, &[], &[]);
        }
        stage::lower_root_task(&mut self.world);
        let mut lockstep = Lockstep::new(self.world);
        let mut last = None;
        for (number, step) in script.into_iter().enumerate() {
            let before = lockstep.coverage.clone();
            assert!(lockstep.is_running(), "nobody is there for step {number}: {step}");
            let done = lockstep.apply(&step);
            done.unwrap_or_else(|disagreement| panic!("step {number}: {step}:\n{disagreement}"));
            let coverage = &lockstep.coverage;
            assert!(coverage.open.is_empty(), "step {number}: {step}: not compared");
            let is_new = |way: &ShortWay| coverage.short_ways.get(way) != before.short_ways.get(way);
            last = ShortWay::ALL.into_iter().find(is_new);
        }
        assert_eq!(last, way.into(), "the last step does not go this way");
    }
}

fn call(endpoint: u64) -> Step {
    Op::plain(syscall::CALL, endpoint, 0).into()
}

fn answer(endpoint: u64, reply: u64) -> Step {
    Op::plain(syscall::REPLY_RECV, endpoint, reply).into()
}

fn send(cap: u64) -> Step {
    Op::plain(syscall::SEND, cap, 0).into()
}

fn gives_way() -> Step {
    Op::plain(syscall::YIELD, 0, 0).into()
}

fn bind(context: u64, thread: u64) -> Step {
    Op::invoke(context, label::SCHED_CONTEXT_BIND, &[], &[thread]).into()
}

fn set_priority(thread: u64, priority: u64) -> Step {
    Op::invoke(thread, label::TCB_SET_PRIORITY, &[priority], &[ROOT]).into()
}

// --- Call --------------------------------------------------------------------------------------------------------

#[test]
fn who_can_be_answered_calls_directly() {
    let cast = Cast::new();
    let endpoint = cast.endpoint;
    cast.plays([call(endpoint)], ShortWay::Call);
    let mut cast = Cast::new();
    let cap = cast.world.mint(cast.endpoint, rights::NO_ANSWER, 7);
    cast.plays([call(cap)], None);
}

#[test]
fn a_server_with_time_or_with_a_twin_is_unusual() {
    let cast = Cast::new();
    let script = [bind(cast.server.sched_context, cast.server.cap), call(cast.endpoint)];
    cast.plays(script, None);
    // The other thread waits there too.
    let cast = Cast::new();
    let receives = Op::plain(syscall::RECV, cast.endpoint, cast.other.reply).into();
    let unbind = Op::invoke(cast.other.sched_context, label::SCHED_CONTEXT_UNBIND, &[], &[]).into();
    let script = [gives_way(), receives, unbind, call(cast.endpoint)];
    cast.plays(script, None);
}

#[test]
fn a_lower_server_runs_if_nobody_is_between() {
    for (server, other, way) in [
        (200, 200, Some(ShortWay::Call)),
        (199, 199, Some(ShortWay::Call)),
        (199, 198, Some(ShortWay::Call)),
        (199, 200, None),
        (198, 199, None),
    ] {
        let cast = Cast::new();
        let script =
            [set_priority(cast.server.cap, server), set_priority(cast.other.cap, other), call(cast.endpoint)];
        cast.plays(script, way);
    }
}

// --- ReplyRecv ---------------------------------------------------------------------------------------------------

#[test]
fn the_last_call_is_answered_directly() {
    let cast = Cast::new();
    let script = [call(cast.endpoint), answer(cast.endpoint, cast.server.reply)];
    cast.plays(script, ShortWay::ReplyRecv);
    let cast = Cast::new();
    let nested = [call(cast.endpoint), call(cast.inner_endpoint)];
    let script = nested.into_iter().chain([answer(cast.inner_endpoint, cast.inner.reply)]);
    cast.plays(script, ShortWay::ReplyRecv);
}

#[test]
fn an_answer_out_of_order_is_unusual() {
    let cast = Cast::new();
    let nested = [call(cast.endpoint), call(cast.inner_endpoint)];
    let script = nested.into_iter().chain([answer(cast.inner_endpoint, cast.server.reply)]);
    cast.plays(script, None);
}

#[test]
fn a_caller_with_other_time_is_unusual() {
    let cast = Cast::new();
    let spare = cast.server.sched_context;
    let script = [call(cast.endpoint), bind(spare, ROOT), answer(cast.endpoint, cast.server.reply)];
    cast.plays(script, None);
}

#[test]
fn a_fault_is_not_answered_directly() {
    let mut cast = Cast::new();
    let handler = cast.world.mint(cast.endpoint, rights::SEND, 7);
    let caps = [handler, slot::INIT_CNODE, slot::INIT_VSPACE];
    let script = [
        Op::invoke(ROOT, label::TCB_SET_SPACE, &[0, 0], &caps).into(),
        Step::Fault(Fault::UserException { number: 7, code: 0 }),
        answer(cast.endpoint, cast.server.reply),
    ];
    cast.plays(script, None);
}

#[test]
fn a_server_that_cannot_wait_does_not_wait() {
    // Its capability is not to receive, or to something else; somebody calls already; there may be a signal.
    let mut cast = Cast::new();
    let cap = cast.world.mint(cast.endpoint, rights::SEND, 7);
    let script = [call(cast.endpoint), answer(cap, cast.server.reply)];
    cast.plays(script, None);
    let cast = Cast::new();
    let script = [call(cast.endpoint), answer(cast.notification, cast.server.reply)];
    cast.plays(script, None);
    let cast = Cast::new();
    let calls = [call(cast.endpoint), gives_way(), call(cast.endpoint)];
    let script = calls.into_iter().chain([answer(cast.endpoint, cast.server.reply)]);
    cast.plays(script, None);
    for is_raised in [false, true] {
        let cast = Cast::new();
        let bind = Op::invoke(cast.server.cap, label::TCB_BIND_NOTIFICATION, &[], &[cast.notification]);
        let signal = is_raised.then(|| send(cast.badged));
        let script = [bind.into(), call(cast.endpoint)].into_iter().chain(signal);
        let script: Vec<_> = script.chain([answer(cast.endpoint, cast.server.reply)]).collect();
        cast.plays(script, None);
    }
}

#[test]
fn a_lower_caller_runs_if_nobody_is_between() {
    for (root, other, way) in
        [(199, 199, Some(ShortWay::ReplyRecv)), (199, 198, Some(ShortWay::ReplyRecv)), (199, 200, None)]
    {
        let cast = Cast::new();
        let script = [
            call(cast.endpoint),
            set_priority(cast.other.cap, other),
            set_priority(ROOT, root),
            answer(cast.endpoint, cast.server.reply),
        ];
        cast.plays(script, way);
    }
}

// --- time --------------------------------------------------------------------------------------------------------

#[test]
fn without_time_left_nothing_goes_a_short_way() {
    // A budget of 60 microseconds, of which the last 20 are too little to begin with.
    let cast = |has_time: bool| {
        let mut cast = Cast::new();
        cast.world.configure(slot::INIT_SCHED_CONTEXT, (60, 60), 0, 0);
        let used_us = if has_time { 35 } else { 45 };
        (cast, Step::Pass(used_us * TIMER_KHZ / 1000))
    };
    let way = |way, has_time: bool| has_time.then_some(way);
    for has_time in [true, false] {
        let (it, passes) = cast(has_time);
        let endpoint = it.endpoint;
        it.plays([passes, call(endpoint)], way(ShortWay::Call, has_time));
        let (it, passes) = cast(has_time);
        let script = [call(it.endpoint), passes, answer(it.endpoint, it.server.reply)];
        it.plays(script, way(ShortWay::ReplyRecv, has_time));
        let (it, passes) = cast(has_time);
        let signal = send(it.badged);
        it.plays([passes, signal], way(ShortWay::Signal, has_time));
        let (it, passes) = cast(has_time);
        it.plays([passes, gives_way()], way(ShortWay::YieldAndSwitch, has_time));
    }
}

// --- domains -----------------------------------------------------------------------------------------------------

#[test]
fn whoever_is_of_another_domain_does_not_run_now() {
    let move_away = |thread| Op::invoke(slot::DOMAIN_SET, label::DOMAIN_SET_SET, &[1], &[thread]).into();
    // With one domain the authority over domains has nothing to give.
    if DOMAINS == 1 {
        return;
    }
    let cast = Cast::new();
    let script = [move_away(cast.server.cap), call(cast.endpoint)];
    cast.plays(script, None);
    let cast = Cast::new();
    let script = [call(cast.endpoint), move_away(ROOT), answer(cast.endpoint, cast.server.reply)];
    cast.plays(script, None);
    let mut cast = Cast::new();
    cast.wait(201);
    let script = [move_away(cast.waiter.cap), send(cast.badged)];
    cast.plays(script, None);
}

// --- signals -----------------------------------------------------------------------------------------------------

#[test]
fn signals_nobody_waits_for_are_noted() {
    // The same badge adds nothing.
    for count in 1..4 {
        let cast = Cast::new();
        let script = vec![send(cast.badged); count];
        cast.plays(script, ShortWay::Signal);
        let cast = Cast::new();
        let script = vec![Op::plain(syscall::NB_SEND, cast.badged, 0).into(); count];
        cast.plays(script, ShortWay::Signal);
        let cast = Cast::new();
        let script: Vec<_> = vec![send(cast.badged); count - 1];
        cast.plays(script.into_iter().chain([Step::Interrupt(IRQS[0])]), ShortWay::Interrupt);
    }
    // Whoever is bound may wait elsewhere, unless a signal is there already.
    for (count, way) in [(1, None), (2, Some(ShortWay::Signal))] {
        let cast = Cast::new();
        let bind = Op::invoke(cast.other.cap, label::TCB_BIND_NOTIFICATION, &[], &[cast.notification]);
        let script: Vec<_> = [bind.into()].into_iter().chain(vec![send(cast.badged); count]).collect();
        cast.plays(script, way);
    }
    let cast = Cast::new();
    let bind = Op::invoke(cast.server.cap, label::TCB_BIND_NOTIFICATION, &[], &[cast.notification]);
    let script = [bind.into(), send(cast.badged)];
    cast.plays(script, None);
}

#[test]
fn a_higher_waiter_runs_at_once() {
    let signals = |cast: &Cast| [send(cast.badged), Step::Interrupt(IRQS[0])];
    for (priority, ways) in [
        (201, [Some(ShortWay::SignalAndSwitch), Some(ShortWay::InterruptAndSwitch)]),
        (200, [None; 2]),
        (199, [None; 2]),
    ] {
        for (kind, way) in ways.into_iter().enumerate() {
            let mut cast = Cast::new();
            cast.wait(priority);
            let signal = signals(&cast)[kind].clone();
            cast.plays([Step::Pass(1000), signal], way);
        }
    }
    for kind in [0, 1] {
        // Without time; not alone.
        let mut cast = Cast::new();
        cast.wait(201);
        let unbind = Op::invoke(cast.waiter.sched_context, label::SCHED_CONTEXT_UNBIND, &[], &[]);
        let signal = signals(&cast)[kind].clone();
        cast.plays([unbind.into(), signal], None);
        let mut cast = Cast::new();
        cast.wait(201);
        let waits = Op::plain(syscall::WAIT, cast.notification, 0);
        let signal = signals(&cast)[kind].clone();
        cast.plays([gives_way(), waits.into(), signal], None);
    }
}

// --- Yield -------------------------------------------------------------------------------------------------------

#[test]
fn time_that_passed_is_charged_to_whoever_gives_way() {
    let passes = || [Step::Pass(1000), gives_way()].into_iter();
    Cast::new().plays(passes().chain(passes()).chain(passes()), ShortWay::YieldAndSwitch);
    let cast = Cast::new();
    let alone = set_priority(cast.other.cap, 199);
    cast.plays([alone].into_iter().chain(passes()).chain(passes()), ShortWay::Yield);
}
