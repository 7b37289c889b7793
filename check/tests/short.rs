// SPDX-License-Identifier: MIT OR Apache-2.0

//! The checker itself, on little work: what a changed kernel is held against when mutants of it are tried, and what is
//! short enough for Miri.

use keel_abi::{label, object, slot, syscall};
use keel_check::explore::{explore, steps};
use keel_check::lockstep::{Coverage, Lockstep};
use keel_check::random::{self, Plan, Subject};
use keel_check::script::{Op, Step};
use keel_check::stage::{self, Small, Stage};
use keel_check::ways::ShortWay;
use keel_kernel::host::world::DEPTH;
use std::time::Duration;

/// How often a random run that fails is made shorter: a mutant is to be noticed, and soon.
const MOST_SHRINKS: u32 = 100;
/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(3600);

#[test]
#[cfg_attr(miri, ignore)]
fn small_systems_agree() {
    for small in Small::ALL {
        let found = explore(small, 1, LONG).unwrap_or_else(|failure| panic!("{failure}"));
        let compared = found.coverage.compared + found.coverage.in_the_middle;
        assert!(found.states > 1 && 2 * compared >= found.transitions, "{}", small.name());
        if small == Small::Slices {
            assert!(found.coverage.by_timer > 0, "the timer never interrupts in the middle");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn short_ways_are_gone_and_agree_with_the_general_path() {
    let mut coverage = Coverage::default();
    for (small, depth) in [(Small::Calls, 2), (Small::Signals, 2), (Small::Interrupts, 2)] {
        coverage.add(&explore(small, depth, LONG).unwrap_or_else(|failure| panic!("{failure}")).coverage);
    }
    for way in ShortWay::ALL {
        assert!(coverage.short_ways.contains_key(&way), "never gone: {}", way.name());
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn random_runs_agree() {
    for (subject, preempt_every) in
        [(Subject::Slots, Some(1)), (Subject::System, None), (Subject::System, Some(1))]
    {
        let plan = Plan {
            subject,
            runs: 40,
            length: 80,
            seed: 3,
            preempt_every,
            most_shrinks: MOST_SHRINKS,
            check_theorems: false,
        };
        let coverage = random::run(plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(coverage.compared > 1000, "only {} operations", coverage.compared);
    }
}

/// Plays the operations of a small system one after the other, each once, on the kernel alone: what Miri looks at.
/// Each access goes through the store, which panics if what is accessed does not live.
fn each_operation_is_sound(small: Small) {
    let mut lockstep = Lockstep::new(small.stage().world);
    let start = lockstep.clone();
    // Of interruptions, two are enough here.
    for step in steps(small).into_iter().filter(|step| step.interrupted_at() <= Some(2)) {
        if !lockstep.is_running() {
            lockstep.clone_from(&start);
        }
        lockstep.replay(&step);
    }
    if !cfg!(miri) {
        lockstep.world.check();
    }
}

/// A test for each small system.
macro_rules! sound {
    ($($name:ident: $small:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                each_operation_is_sound(Small::$small);
            }
        )*
    };
}

sound! {
    derivation_is_sound: Derivation,
    memory_is_sound: Memory,
    containers_are_sound: Containers,
    rendezvous_are_sound: Rendezvous,
    signals_are_sound: Signals,
    calls_are_sound: Calls,
    faults_are_sound: Faults,
    interrupts_are_sound: Interrupts,
    halves_are_sound: Halves,
    cancelling_is_sound: Cancelling,
    spaces_are_sound: Spaces,
    budgets_are_sound: Budgets,
    timeouts_are_sound: Timeouts,
    servers_are_sound: Servers,
    domains_are_sound: Domains,
    slices_are_sound: Slices,
}

/// Something of everything, in a few operations, also with an interrupt at each preemption point.
#[cfg_attr(miri, ignore)]
#[test]
fn a_short_script_agrees() {
    let Stage { slots, .. } = stage::family();
    let (endpoint, node, untyped, free) = (slots[0], slots[1], slots[2], slots[3]);
    let root = slot::INIT_CNODE;
    let cnode = |label, words: &[u64]| Op::invoke(root, label, words, &[root, root]);
    let retype =
        |kind, bits, to| Op::invoke(untyped, label::UNTYPED_RETYPE, &[kind, bits, 0, 0, to, 1], &[root]);
    let script: Vec<Step> = [
        cnode(label::CNODE_MINT, &[free, DEPTH, endpoint, DEPTH, 15, 7]),
        cnode(label::CNODE_COPY, &[free + 1, DEPTH, free, DEPTH, 15]),
        Op::invoke(node, label::CNODE_MOVE, &[1, 2, free + 1, DEPTH], &[root]),
        retype(object::NOTIFICATION, 0, free + 1),
        retype(object::TCB, 0, free + 2),
        Op::invoke(free + 2, label::TCB_BIND_NOTIFICATION, &[], &[free + 1]),
        Op::plain(syscall::NB_SEND, endpoint, 0),
        Op::plain(syscall::NB_WAIT, free + 1, 0),
        cnode(label::CNODE_REVOKE, &[untyped, DEPTH]),
        cnode(label::CNODE_REVOKE, &[endpoint, DEPTH]),
    ]
    .map(Step::from)
    .to_vec();
    for preempt_every in [None, Some(1)] {
        let plan = Plan {
            subject: Subject::Slots,
            runs: 1,
            length: 0,
            seed: 0,
            preempt_every,
            most_shrinks: MOST_SHRINKS,
            check_theorems: false,
        };
        let coverage = random::play(&script, plan).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(coverage.compared, script.len() as u64);
    }
}
