// SPDX-License-Identifier: MIT OR Apache-2.0

//! What random operations seldom come to: arguments just inside and just outside of what is legal, and a few situations
//! that take several steps to get into. Kernel and specification agree after each step.

use keel_abi::{label, object, slot, syscall};
use keel_check::lockstep::Lockstep;
use keel_check::script::{Op, Step};
use keel_check::stage::{self, IRQS, Small};
use keel_kernel::host::TIMER_KHZ;
use keel_kernel::host::world::{DEPTH, World};

const ROOT: u64 = slot::INIT_CNODE;
/// More points than the operations here have.
const POINTS: u64 = 12;

/// Plays each of `steps` on a copy of `world`, after `script`.
#[track_caller]
fn agrees_on_each(world: World, script: &[Step], steps: impl IntoIterator<Item = Step>) {
    let mut start = Lockstep::new(world);
    for step in script {
        start.apply(step).unwrap_or_else(|disagreement| panic!("{step}:\n{disagreement}"));
    }
    let mut lockstep = start.clone();
    for step in steps {
        lockstep.clone_from(&start);
        lockstep.apply(&step).unwrap_or_else(|disagreement| panic!("{step}:\n{disagreement}"));
        assert!(lockstep.coverage.open.is_empty(), "{step}: not compared");
    }
}

/// Plays `script`.
#[track_caller]
fn agrees(world: World, script: impl IntoIterator<Item = Step>) {
    let script: Vec<Step> = script.into_iter().collect();
    agrees_on_each(world, &script, []);
}

fn invoke(cap: u64, label: u64, words: &[u64], caps: &[u64]) -> Step {
    Op::invoke(cap, label, words, caps).into()
}

#[test]
fn objects_have_sizes_and_places() {
    let mut world = stage::bare();
    let (untyped, node, endpoint) = (world.untyped(12), world.make(object::CAP_TABLE, 2), world.endpoint());
    // The last slot is taken.
    world.must(node, label::CNODE_COPY, &[3, 2, endpoint, DEPTH, 15], &[ROOT]);
    let retype = |words: [u64; 6]| invoke(untyped, label::UNTYPED_RETYPE, &words, &[ROOT]);
    let kinds = [object::UNTYPED, object::SCHED_CONTEXT, object::CAP_TABLE, object::ENDPOINT];
    let sizes = [0, 1, 3, 4, 5, 6, 7, 8, 11, 12, 13, 47, 48, 63, 64, 65, u64::MAX];
    let of_sizes = kinds.iter().flat_map(|&kind| sizes.map(|bits| retype([kind, bits, node, DEPTH, 0, 1])));
    let places = [0, 1, 2, 3, 4, 5, u64::MAX];
    let at_places = places.into_iter().flat_map(|first| {
        let of = |count| retype([object::ENDPOINT, 0, node, DEPTH, first, count]);
        [0, 1, 2, 3, 4, 5, 256, 257, u64::MAX].map(of)
    });
    let depths = [0, 1, 63, 64, 65, u64::MAX];
    let in_nodes = depths.map(|depth| retype([object::ENDPOINT, 0, node, depth, 0, 1]));
    agrees_on_each(world, &[], of_sizes.chain(at_places).chain(in_nodes).collect::<Vec<_>>());
}

#[test]
fn a_context_has_one_notification_and_the_other_way_round() {
    let mut world = stage::bare();
    let contexts = [0; 2].map(|_| world.make(object::SCHED_CONTEXT, 8));
    let bells = [0; 2].map(|_| world.notification());
    let bind = |context, bell| invoke(context, label::SCHED_CONTEXT_BIND, &[], &[bell]);
    let script = [bind(contexts[0], bells[0])];
    let steps = contexts.into_iter().flat_map(|context| bells.map(|bell| bind(context, bell)));
    agrees_on_each(world, &script, steps);
}

#[test]
fn who_is_answered_without_time_waits_for_it_or_faults() {
    for is_heard in [false, true] {
        let mut world = stage::bare();
        let (server, endpoint) = stage::server(&mut world);
        let (client, handler) = (world.thread(201), world.endpoint());
        world.configure(client.sched_context, (40, 100), 0, 0);
        if is_heard {
            world.must(client.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler]);
        }
        stage::lower_root_task(&mut world);
        // The server uses up the client's time, and somebody else answers in its place.
        let microseconds = |span| Step::Pass(span * TIMER_KHZ / 1000);
        let script = [
            Op::plain(syscall::CALL, endpoint, 0).into(),
            microseconds(50),
            Op::plain(syscall::SEND, server.reply, 0).into(),
            microseconds(200),
        ];
        agrees(world, script);
    }
}

#[test]
fn endpoints_die_within_containers() {
    for (depth, preempt_every) in [(1, None), (2, None), (1, Some(1)), (2, Some(1))] {
        let mut world = stage::bare();
        let endpoint = world.endpoint();
        for _ in 0..3 {
            let thread = world.thread(255);
            world.run(thread.tcb);
            world.send(endpoint, 0, &[], &[]);
        }
        world.run_root();
        let mut moved = endpoint;
        for _ in 0..depth {
            let node = world.make(object::CAP_TABLE, 1);
            world.must(node, label::CNODE_MOVE, &[1, 1, moved, DEPTH], &[ROOT]);
            moved = node;
        }
        world.kernel.arch.preempt_every(preempt_every);
        agrees(world, [invoke(ROOT, label::CNODE_DELETE, &[moved, DEPTH], &[])]);
    }
}

#[test]
fn who_receives_in_the_middle_of_a_cancellation_changes_what_comes_next() {
    let stage = Small::Cancelling.stage();
    let [endpoint, badged, .., reply] = stage.slots[..] else { unreachable!("six slots") };
    let cancel = Op::invoke(ROOT, label::CNODE_CANCEL_BADGED_SENDS, &[badged, DEPTH], &[]);
    for point in 1..POINTS {
        for receives in 1..4 {
            let receive = Step::from(Op::plain(syscall::NB_RECV, endpoint, reply));
            let mut script = vec![Step::Interrupted(cancel.clone(), point, IRQS[0])];
            script.extend(vec![receive; receives]);
            script.push(Op::plain(syscall::WAIT, badged, 0).into());
            agrees(Small::Cancelling.stage().world, script);
        }
    }
}

#[test]
fn each_capability_to_the_endpoint_itself_arrives_as_its_badge() {
    let mut world = stage::bare();
    let (endpoint, thread, other) = (world.endpoint(), world.thread(255), world.notification());
    let badges = [5, 6, 7].map(|badge| world.mint(endpoint, 15, badge));
    world.run(thread.tcb);
    world.recv(endpoint, thread.reply);
    world.run_root();
    let [a, b, c] = badges;
    let messages = [[a, b, c], [other, b, c], [b, other, c], [a, b, other]];
    let send = |caps: [u64; 3]| Op { caps: caps.to_vec(), ..Op::plain(syscall::SEND, a, 0) }.into();
    agrees_on_each(world, &[], messages.map(send));
}

#[test]
fn a_cancellation_that_is_made_again_with_another_badge_is_another() {
    let mut world = stage::bare();
    let bell = stage::waits_for_interrupt(&mut world);
    let endpoint = world.endpoint();
    let badges = [7, 8].map(|badge| world.mint(endpoint, 15, badge));
    for badged in [badges[0], badges[0], badges[1]] {
        let thread = world.thread(255);
        world.run(thread.tcb);
        world.send(badged, 0, &[], &[]);
        world.must(thread.cap, label::TCB_SET_PRIORITY, &[199], &[slot::INIT_TCB]);
    }
    stage::lower_root_task(&mut world);
    let cnode = |label, words: &[u64]| invoke(ROOT, label, words, &[ROOT]);
    let cancel = Op::invoke(ROOT, label::CNODE_CANCEL_BADGED_SENDS, &[badges[0], DEPTH], &[]);
    let script = [
        Step::Interrupted(cancel, 1, IRQS[0]),
        // Whoever was woken puts another capability there.
        cnode(label::CNODE_DELETE, &[badges[0], DEPTH]),
        cnode(label::CNODE_COPY, &[badges[0], DEPTH, badges[1], DEPTH, 15]),
        Op::plain(syscall::WAIT, bell, 0).into(),
    ];
    agrees(world, script);
}

#[test]
fn a_capability_that_waits_to_be_sent_is_received() {
    let mut world = stage::bare();
    let (endpoint, sent) = (world.endpoint(), world.notification());
    let sender = world.thread(255);
    world.run(sender.tcb);
    world.send(endpoint, 0, &[1], &[sent]);
    world.run_root();
    let receive = Op { receive_at: world.free_slot(), ..Op::plain(syscall::NB_WAIT, endpoint, 0) };
    agrees(world, [receive.into()]);
}
