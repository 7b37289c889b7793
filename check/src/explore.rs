// SPDX-License-Identifier: MIT OR Apache-2.0

//! All sequences of operations in small systems, to some depth.
//!
//! The exploration goes breadth first: from each state that has been reached, every operation is tried, on kernel and
//! specification. A kernel cannot be copied, so a state is named by the script that leads to it, which is played again.
//! Two states that differ only in which of the interchangeable slots and objects is which are one ([`canonical`]).

use crate::lockstep::{Coverage, Lockstep};
use crate::random::{listing, message};
use crate::script::Op;
use crate::stage::{Small, Stage};
use crate::view::View;
use keel_abi::{label, object, slot, syscall};
use keel_kernel::host::world::DEPTH;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What was explored of a system.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Operations tried.
    pub transitions: u64,
    /// All sequences of this many operations were tried.
    pub depth: usize,
    /// What was compared.
    pub coverage: Coverage,
}

/// Explores a small system until nothing new is found, or no deeper than `depth`, or for about so long: then the depth
/// that was begun is left unfinished and not counted. On failure: the script that fails, and how.
pub fn explore(small: Small, depth: usize, time: Duration) -> Result<Explored, String> {
    let end = Instant::now() + time;
    let ops = ops(small);
    let (mut explored, mut seen) = (Explored::default(), HashSet::new());
    let mut frontier: Vec<Vec<usize>> = vec![vec![]];
    let (start, _) = play(small, &ops, &[])?;
    seen.insert(start);
    while !frontier.is_empty() && explored.depth < depth {
        let mut next = Vec::new();
        for script in &frontier {
            for op in 0..ops.len() {
                if Instant::now() > end {
                    explored.states = seen.len();
                    return Ok(explored);
                }
                let longer = [script.as_slice(), &[op]].concat();
                let (state, coverage) = play(small, &ops, &longer)?;
                explored.transitions += 1;
                explored.coverage.add(&coverage);
                if seen.insert(state) {
                    next.push(longer);
                }
            }
        }
        explored.depth += 1;
        frontier = next;
    }
    explored.states = seen.len();
    Ok(explored)
}

/// Plays a script; gives the state it leads to. Only its last operation counts as covered: the others were before.
fn play(small: Small, ops: &[Op], script: &[usize]) -> Result<(u64, Coverage), String> {
    let run = || {
        let Stage { world, slots } = small.stage();
        let mut lockstep = Lockstep::new(world);
        if let Some((&last, before)) = script.split_last() {
            before.iter().for_each(|&op| lockstep.replay(&ops[op]));
            lockstep.resume();
            lockstep.apply(&ops[last]).map_err(|disagreement| disagreement.to_string())?;
        }
        Ok((canonical(&lockstep, &slots), lockstep.coverage))
    };
    let result = catch_unwind(AssertUnwindSafe(run));
    let result = result.unwrap_or_else(|panic| Err(format!("the kernel panics: {}", message(&*panic))));
    result.map_err(|reason| {
        let script: Vec<_> = script.iter().map(|op| ops[*op].clone()).collect();
        format!("in the system `{}`:\n{}{reason}", small.name(), listing(&script))
    })
}

/// A number that is the same for states that differ only in which slot is which: the slots that operations name are
/// sorted by what is in them, and addresses are replaced by the order in which they come up.
fn canonical(lockstep: &Lockstep, slots: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Some(system) = &lockstep.system else {
        // Something is being taken apart. Such a state is not gone on from.
        return 0;
    };
    let view = View::of(system, &BTreeMap::new());
    let root = system.threads.keys().next().map(|thread| keel_spec::system::System::slot_of(*thread, 0));
    let root = root.map(|slot| system.cap(&slot).object);
    let mut names = BTreeMap::new();
    let mut order: Vec<_> = view.caps.iter().collect();
    order.sort_by_key(|(place, cap)| {
        let is_free_place = Some(place.home) == root && slots.contains(&place.index);
        (
            is_free_place,
            cap.kind,
            cap.data,
            cap.rights,
            cap.watermark,
            cap.original,
            !is_free_place as u64 * place.index,
        )
    });
    for (number, (place, cap)) in order.iter().enumerate() {
        names.entry(**place).or_insert(number);
        let named = names.len();
        let _ = named;
        (cap.kind as u8, cap.data, cap.rights.0, cap.watermark, cap.original).hash(&mut hasher);
    }
    let mut objects = BTreeMap::new();
    for (place, cap) in &order {
        let count = objects.len();
        objects.entry(cap.object).or_insert(count).hash(&mut hasher);
        names.get(&cap.parent).hash(&mut hasher);
        let count = objects.len();
        objects.entry(place.home).or_insert(count).hash(&mut hasher);
    }
    let mut rename = |object: &keel_spec::concrete::Object| {
        let count = objects.len();
        *objects.entry(*object).or_insert(count)
    };
    let mut rest: Vec<String> = Vec::new();
    for (name, thread) in &view.threads {
        let registers = thread.registers;
        rest.push(format!(
            "{} {:?} {:?} {} {:?} {:?} {:?} {}",
            rename(name),
            std::mem::discriminant(&thread.activity),
            thread.sending,
            thread.priority,
            thread.context.as_ref().map(&mut rename),
            thread.notification.as_ref().map(&mut rename),
            (registers.capability, registers.info, registers.words),
            system.current == Some(*name),
        ));
    }
    for (name, endpoint) in &view.endpoints {
        rest.push(format!(
            "{} {:?}",
            rename(name),
            endpoint.queue.iter().map(&mut rename).collect::<Vec<_>>()
        ));
    }
    for (name, state) in &view.notifications {
        let queue: Vec<_> = state.queue.iter().map(&mut rename).collect();
        rest.push(format!("{} {:?} {queue:?}", rename(name), state.word));
    }
    for (name, state) in &view.contexts {
        let calls: Vec<_> = state.calls.iter().map(&mut rename).collect();
        rest.push(format!(
            "{} {} {:?} {calls:?}",
            rename(name),
            state.active,
            state.thread.as_ref().map(&mut rename)
        ));
    }
    for (reply, caller) in &view.callers {
        rest.push(format!("{} {}", rename(reply), rename(caller)));
    }
    rest.sort();
    rest.hash(&mut hasher);
    hasher.finish()
}

/// All operations on a small system, with all small arguments.
fn ops(small: Small) -> Vec<Op> {
    let slots = small.stage().slots;
    let mut ops = Vec::new();
    let root = slot::INIT_CNODE;
    let cnode = |label, words: &[u64]| Op::invoke(root, label, words, &[root, root]);
    let pairs = || slots.iter().flat_map(|&a| slots.iter().map(move |&b| (a, b)));
    let takes = |ops: &mut Vec<Op>| {
        for &at in &slots {
            ops.push(cnode(label::CNODE_DELETE, &[at, DEPTH]));
            ops.push(cnode(label::CNODE_REVOKE, &[at, DEPTH]));
        }
    };
    match small {
        Small::Derivation => {
            takes(&mut ops);
            for (to, from) in pairs().filter(|(a, b)| a != b) {
                ops.push(cnode(label::CNODE_COPY, &[to, DEPTH, from, DEPTH, 15]));
                ops.push(cnode(label::CNODE_MINT, &[to, DEPTH, from, DEPTH, 3, 0]));
                ops.push(cnode(label::CNODE_MINT, &[to, DEPTH, from, DEPTH, 15, 7]));
                ops.push(cnode(label::CNODE_MOVE, &[to, DEPTH, from, DEPTH]));
                ops.push(cnode(label::CNODE_ROTATE, &[to, DEPTH, 0, from, DEPTH, 0, to, DEPTH]));
            }
        }
        Small::Memory => {
            takes(&mut ops);
            for (to, from) in pairs().filter(|(a, b)| a != b) {
                ops.push(cnode(label::CNODE_COPY, &[to, DEPTH, from, DEPTH, 15]));
                for (kind, bits) in [
                    (object::UNTYPED, 6),
                    (object::UNTYPED, 5),
                    (object::ENDPOINT, 0),
                    (object::CAP_TABLE, 1),
                ] {
                    ops.push(Op::invoke(from, label::UNTYPED_RETYPE, &[kind, bits, 0, 0, to, 1], &[root]));
                }
            }
        }
        Small::Containers => {
            takes(&mut ops);
            for (to, from) in pairs() {
                ops.push(cnode(label::CNODE_COPY, &[to, DEPTH, from, DEPTH, 15]));
                for index in 0..2 {
                    // Into and out of what is in `to`.
                    ops.push(Op::invoke(to, label::CNODE_MOVE, &[index, 1, from, DEPTH], &[root]));
                    ops.push(Op::invoke(to, label::CNODE_COPY, &[index, 1, from, DEPTH, 15], &[root]));
                    ops.push(cnode(label::CNODE_MOVE, &[from, DEPTH, index, 1]));
                }
            }
            for &node in &slots {
                for index in 0..2 {
                    ops.push(Op::invoke(node, label::CNODE_DELETE, &[index, 1], &[]));
                    ops.push(Op::invoke(node, label::CNODE_REVOKE, &[index, 1], &[]));
                }
            }
        }
        Small::Rendezvous => {
            let [endpoint, badged, reply, thread, spare] = slots[..] else { unreachable!("five slots") };
            for cap in [endpoint, badged] {
                for number in [syscall::CALL, syscall::SEND, syscall::NB_SEND] {
                    let with_cap = Op { caps: vec![badged], receive_at: spare, ..Op::plain(number, cap, 0) };
                    ops.push(Op { words: vec![1], ..Op::plain(number, cap, 0) });
                    ops.push(with_cap);
                }
                ops.push(cnode(label::CNODE_DELETE, &[cap, DEPTH]));
                ops.push(cnode(label::CNODE_CANCEL_BADGED_SENDS, &[cap, DEPTH]));
            }
            for number in
                [syscall::RECV, syscall::NB_RECV, syscall::WAIT, syscall::NB_WAIT, syscall::REPLY_RECV]
            {
                ops.push(Op { receive_at: spare, words: vec![2], ..Op::plain(number, endpoint, reply) });
            }
            ops.push(Op { words: vec![3], ..Op::plain(syscall::SEND, reply, 0) });
            ops.push(Op { send_to: badged, ..Op::plain(syscall::NB_SEND_RECV, endpoint, reply) });
            ops.push(Op::plain(syscall::NB_SEND_WAIT, endpoint, badged));
            for at in [reply, thread, spare] {
                ops.push(cnode(label::CNODE_DELETE, &[at, DEPTH]));
            }
            for label in [label::TCB_SUSPEND, label::TCB_RESUME] {
                ops.push(Op::invoke(thread, label, &[], &[]));
            }
            ops.push(Op::plain(syscall::YIELD, 0, 0));
        }
        Small::Signals => {
            let [thread, notification, context, endpoint, reply] = slots[..] else {
                unreachable!("five slots")
            };
            ops.push(Op::plain(syscall::SEND, notification, 0));
            for cap in [notification, endpoint] {
                for number in [syscall::RECV, syscall::NB_RECV, syscall::WAIT, syscall::CALL] {
                    ops.push(Op { words: vec![1], ..Op::plain(number, cap, reply) });
                }
                ops.push(cnode(label::CNODE_DELETE, &[cap, DEPTH]));
            }
            for cap in [thread, slot::INIT_TCB] {
                ops.push(Op::invoke(cap, label::TCB_BIND_NOTIFICATION, &[], &[notification]));
                ops.push(Op::invoke(cap, label::TCB_UNBIND_NOTIFICATION, &[], &[]));
                ops.push(Op::invoke(context, label::SCHED_CONTEXT_BIND, &[], &[cap]));
                ops.push(Op::invoke(context, label::SCHED_CONTEXT_UNBIND_OBJECT, &[], &[cap]));
            }
            ops.push(Op::invoke(context, label::SCHED_CONTEXT_BIND, &[], &[notification]));
            ops.push(Op::invoke(context, label::SCHED_CONTEXT_UNBIND, &[], &[]));
            ops.push(Op { send_to: notification, ..Op::plain(syscall::NB_SEND_RECV, endpoint, reply) });
            ops.push(cnode(label::CNODE_DELETE, &[context, DEPTH]));
            ops.push(Op::invoke(thread, label::TCB_SUSPEND, &[], &[]));
            ops.push(Op::invoke(thread, label::TCB_RESUME, &[], &[]));
            ops.push(Op::plain(syscall::YIELD, 0, 0));
        }
    }
    ops
}
