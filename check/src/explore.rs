// SPDX-License-Identifier: MIT OR Apache-2.0

//! All sequences of operations in small systems, to some depth.
//!
//! The exploration goes breadth first: from each state that has been reached, every operation is tried, on kernel and
//! specification. A state is named by the shortest script that leads to it; the script is played again once, and then
//! each operation is tried on a copy. States that are the same but for names are one ([`crate::canonical`]).

use crate::canonical::{Fingerprint, fingerprint};
use crate::lockstep::{Coverage, Lockstep};
use crate::random::{listing, message};
use crate::script::{Cause, Op, Step};
use crate::stage::{IRQS, Small};
use crate::timely;
use keel_abi::aarch64::label as arch_label;
use keel_abi::aarch64::memory::EL1_USER_TOP;
use keel_abi::{label, object, slot, syscall};
use keel_kernel::host::world::DEPTH;
use keel_spec::system::fault::Fault;
use std::collections::HashSet;
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
    /// Whether no longer sequence leads to another state.
    pub is_complete: bool,
    /// What was compared.
    pub coverage: Coverage,
}

/// So many of an operation's preemption points are tried. Few operations of a small system have more.
const MOST_POINTS: u64 = 12;

/// Explores a small system until nothing new is found, or no deeper than `depth`, or for about so long: then the depth
/// that was begun is left unfinished and not counted. On failure: the script that fails, and how.
pub fn explore(small: Small, depth: usize, time: Duration) -> Result<Explored, String> {
    let mut exploration = Exploration::new(small, Instant::now() + time);
    let mut frontier: Vec<Vec<u16>> = vec![vec![]];
    while !frontier.is_empty() && exploration.found.depth < depth {
        let mut next = Vec::new();
        for script in &frontier {
            if !exploration.expand(script, &mut next)? {
                exploration.found.states = exploration.seen.len();
                return Ok(exploration.found);
            }
        }
        exploration.found.depth += 1;
        frontier = next;
    }
    exploration.found.is_complete = frontier.is_empty();
    exploration.found.states = exploration.seen.len();
    Ok(exploration.found)
}

struct Exploration {
    small: Small,
    /// The beginning.
    start: Lockstep,
    /// The state that is being expanded, and a copy of it in which an operation is tried.
    parent: Lockstep,
    child: Lockstep,
    /// The slots that all operations treat alike.
    alike: Vec<u64>,
    ops: Vec<Step>,
    seen: HashSet<Fingerprint>,
    found: Explored,
    end: Instant,
}

impl Exploration {
    fn new(small: Small, end: Instant) -> Self {
        let stage = small.stage();
        let alike = if small.is_symmetric() { stage.slots } else { vec![] };
        let mut start = Lockstep::new(stage.world);
        let seen = fingerprint(&mut start, &alike).into_iter().collect();
        let (parent, child) = (start.clone(), start.clone());
        Self { small, start, parent, child, alike, ops: steps(small), seen, found: Explored::default(), end }
    }

    /// Tries all operations in the state that `script` leads to; adds what leads to new states to `next`. Whether
    /// there was time for it.
    fn expand(&mut self, script: &[u16], next: &mut Vec<Vec<u16>>) -> Result<bool, String> {
        self.parent.clone_from(&self.start);
        script.iter().for_each(|&op| self.parent.replay(&self.ops[usize::from(op)]));
        self.parent.resume();
        self.child.coverage = Coverage::default();
        // At how many preemption points the kernel asked in the operation that those after it are interruptions of.
        let mut points = 0;
        for op in 0..self.ops.len() {
            if Instant::now() > self.end {
                return Ok(false);
            }
            let interrupted_at = self.ops[op].interrupted_at();
            if interrupted_at.is_some_and(|point| point > points) {
                continue;
            }
            let longer = [script, &[op as u16]].concat();
            let state = self.attempt(op).map_err(|reason| self.failure(&longer, &reason))?;
            self.found.transitions += 1;
            if interrupted_at.is_none() {
                points = self.child.world.kernel.arch.polls() - self.parent.world.kernel.arch.polls();
            }
            if state.is_some_and(|state| self.seen.insert(state)) && self.child.can_go_on() {
                next.push(longer);
            }
        }
        self.found.coverage.add(&self.child.coverage);
        Ok(true)
    }

    /// Tries an operation; gives the state that it leads to.
    fn attempt(&mut self, op: usize) -> Result<Option<Fingerprint>, String> {
        let coverage = std::mem::take(&mut self.child.coverage);
        self.child.clone_from(&self.parent);
        self.child.coverage = coverage;
        let run = || {
            self.child.apply(&self.ops[op]).map_err(|disagreement| disagreement.to_string())?;
            Ok(fingerprint(&mut self.child, &self.alike))
        };
        let result = catch_unwind(AssertUnwindSafe(run));
        result.unwrap_or_else(|panic| Err(format!("the kernel panics: {}", message(&*panic))))
    }

    fn failure(&self, script: &[u16], reason: &str) -> String {
        let script: Vec<_> = script.iter().map(|op| self.ops[usize::from(*op)].clone()).collect();
        format!("in the system `{}`:\n{}{reason}", self.small.name(), listing(&script))
    }
}

/// Everything that can happen in a small system, with all small arguments. Behind an operation come its interruptions.
#[must_use]
pub fn steps(small: Small) -> Vec<Step> {
    let mut steps: Vec<Step> = ops(small).into_iter().map(Step::from).collect();
    match small {
        Small::Faults => {
            steps.push(Step::Fault(Fault::UserException { number: 0x200_0000, code: 0 }));
            let (address, status) = (0x1000, 0x9200_0007);
            steps.push(Step::Fault(Fault::VirtualMemory { address, is_fetch: false, status }));
        }
        Small::Interrupts | Small::Halves | Small::Cancelling => {
            steps = with_interruptions(steps, &[Cause::Device(IRQS[0])]);
            steps.extend(IRQS.map(Step::Interrupt));
        }
        Small::Budgets | Small::Timeouts | Small::Servers | Small::Domains | Small::Slices => {
            let causes: Vec<Cause> = timely::spans().map(Cause::Time).collect();
            steps = with_interruptions(steps, &causes);
            steps.extend(timely::spans().map(Step::Pass));
        }
        _ => {}
    }
    steps
}

/// Behind each step of what can be preempted, the same with something that happens at each of the preemption points that
/// there may be.
fn with_interruptions(steps: Vec<Step>, causes: &[Cause]) -> Vec<Step> {
    let long = [
        label::CNODE_DELETE,
        label::CNODE_REVOKE,
        label::CNODE_CANCEL_BADGED_SENDS,
        label::IRQ_SET_IRQ_HANDLER,
        label::UNTYPED_RETYPE,
    ];
    let mut all = Vec::new();
    for step in steps {
        all.push(step.clone());
        if let Step::Call(op) = step
            && long.contains(&op.label)
        {
            let interrupted = |point, cause: &Cause| Step::Interrupted(op.clone(), point, *cause);
            let at_each = (1..=MOST_POINTS)
                .flat_map(|point| causes.iter().map(move |cause| (point, cause)))
                .map(|(point, cause)| interrupted(point, cause));
            all.extend(at_each);
        }
    }
    all
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
        Small::Faults => {
            let [thread, endpoint, badged, reply] = slots[..] else { unreachable!("four slots") };
            for with in [reply, 0] {
                ops.push(Op::plain(syscall::RECV, endpoint, with));
            }
            ops.push(Op::plain(syscall::NB_RECV, endpoint, reply));
            for label in [0, 1] {
                for length in [0, 3, 13] {
                    let words = (1..=length).map(|word| word << 8).collect();
                    ops.push(Op { label, words, ..Op::plain(syscall::SEND, reply, 0) });
                }
            }
            ops.push(Op::plain(syscall::REPLY_RECV, endpoint, reply));
            // A call that does not exist, a capability that does not, one that is not received from.
            ops.push(Op::plain(5, 0, 0));
            ops.push(Op::plain(syscall::SEND, 1 << 40, 0));
            ops.push(Op::plain(syscall::RECV, thread, reply));
            for label in [label::TCB_SUSPEND, label::TCB_RESUME] {
                ops.push(Op::invoke(thread, label, &[], &[]));
            }
            ops.push(Op::invoke(thread, label::TCB_READ_REGISTERS, &[0, 36], &[]));
            ops.push(Op::invoke(thread, label::TCB_WRITE_REGISTERS, &[1, 1, 0x9000], &[]));
            let caps = [0, slot::INIT_CNODE, slot::INIT_VSPACE];
            ops.push(Op::invoke(thread, label::TCB_SET_SPACE, &[0, 0], &caps));
            ops.push(cnode(label::CNODE_CANCEL_BADGED_SENDS, &[badged, DEPTH]));
            for at in [endpoint, badged, reply] {
                ops.push(cnode(label::CNODE_DELETE, &[at, DEPTH]));
            }
            ops.push(Op::plain(syscall::YIELD, 0, 0));
        }
        Small::Interrupts => {
            let [thread, notification, badged, handler, other, spare] = slots[..] else {
                unreachable!("six slots")
            };
            let invoke = |label, caps: &[u64]| Op::invoke(handler, label, &[], caps);
            ops.push(invoke(label::IRQ_ACK_IRQ, &[]));
            ops.push(invoke(label::IRQ_CLEAR_IRQ_HANDLER, &[]));
            for cap in [badged, other, thread] {
                ops.push(invoke(label::IRQ_SET_IRQ_HANDLER, &[cap]));
            }
            for irq in IRQS {
                let words = [irq.into(), spare, DEPTH];
                ops.push(Op::invoke(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &words, &[root]));
                let words = [irq.into(), 1, spare, DEPTH];
                let get = arch_label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;
                ops.push(Op::invoke(slot::IRQ_CONTROL, get, &words, &[root]));
            }
            for cap in [notification, other] {
                ops.push(Op::plain(syscall::WAIT, cap, 0));
                ops.push(Op::plain(syscall::NB_WAIT, cap, 0));
                ops.push(Op::plain(syscall::SEND, cap, 0));
                ops.push(cnode(label::CNODE_REVOKE, &[cap, DEPTH]));
                ops.push(cnode(label::CNODE_DELETE, &[cap, DEPTH]));
            }
            ops.push(cnode(label::CNODE_COPY, &[spare, DEPTH, handler, DEPTH, 15]));
            for at in [handler, spare, badged] {
                ops.push(cnode(label::CNODE_DELETE, &[at, DEPTH]));
            }
            ops.push(Op::invoke(thread, label::TCB_BIND_NOTIFICATION, &[], &[notification]));
            ops.push(Op::plain(syscall::YIELD, 0, 0));
        }
        Small::Calls => {
            let [endpoint, badged, server, reply, other, other_reply, context] = slots[..] else {
                unreachable!("seven slots")
            };
            for cap in [endpoint, badged] {
                for length in [0, 2, 4, 5] {
                    ops.push(Op { words: (1..=length).collect(), ..Op::plain(syscall::CALL, cap, 0) });
                }
            }
            ops.push(Op { caps: vec![badged], ..Op::plain(syscall::CALL, endpoint, 0) });
            for with in [reply, other_reply] {
                for length in [0, 4, 5] {
                    let words = (1..=length).collect();
                    ops.push(Op { words, ..Op::plain(syscall::REPLY_RECV, endpoint, with) });
                }
                ops.push(Op::plain(syscall::RECV, endpoint, with));
                ops.push(Op::plain(syscall::SEND, with, 0));
            }
            for thread in [server, other] {
                for priority in [199, 201] {
                    ops.push(Op::invoke(thread, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]));
                }
                ops.push(Op::invoke(context, label::SCHED_CONTEXT_BIND, &[], &[thread]));
                ops.push(Op::invoke(thread, label::TCB_SUSPEND, &[], &[]));
                ops.push(Op::invoke(thread, label::TCB_RESUME, &[], &[]));
            }
            ops.push(Op::invoke(context, label::SCHED_CONTEXT_UNBIND, &[], &[]));
            for at in [endpoint, reply] {
                ops.push(cnode(label::CNODE_DELETE, &[at, DEPTH]));
            }
            ops.push(Op::plain(syscall::YIELD, 0, 0));
        }
        Small::Halves => {
            let [memory, first, spare, notification] = slots[..] else { unreachable!("four slots") };
            // The slots of the first CNode, of the one in its last slot, and of the one in the last slot of that.
            for (place, depth) in [(0, 1), (1, 1), (2, 2), (3, 2), (6, 3), (7, 3)] {
                for from in [first, spare] {
                    ops.push(Op::invoke(first, label::CNODE_MOVE, &[place, depth, from, DEPTH], &[root]));
                }
                ops.push(Op::invoke(first, label::CNODE_COPY, &[place, depth, first, DEPTH, 15], &[root]));
                ops.push(Op::invoke(root, label::CNODE_MOVE, &[spare, DEPTH, place, depth], &[first]));
                ops.push(Op::invoke(first, label::CNODE_DELETE, &[place, depth], &[]));
            }
            ops.push(cnode(label::CNODE_DELETE, &[first, DEPTH]));
            ops.push(cnode(label::CNODE_COPY, &[spare, DEPTH, first, DEPTH, 15]));
            ops.push(cnode(label::CNODE_MOVE, &[first, DEPTH, spare, DEPTH]));
            let words = [object::ENDPOINT, 0, 0, 0, spare, 1];
            ops.push(Op::invoke(memory, label::UNTYPED_RETYPE, &words, &[root]));
            ops.push(cnode(label::CNODE_DELETE, &[spare, DEPTH]));
            ops.push(cnode(label::CNODE_REVOKE, &[memory, DEPTH]));
            ops.push(Op::plain(syscall::WAIT, notification, 0));
        }
        Small::Cancelling => {
            let [endpoint, badged, notification, first, last, reply] = slots[..] else {
                unreachable!("six slots")
            };
            ops.push(cnode(label::CNODE_CANCEL_BADGED_SENDS, &[badged, DEPTH]));
            ops.push(cnode(label::CNODE_REVOKE, &[endpoint, DEPTH]));
            for at in [endpoint, badged, first] {
                ops.push(cnode(label::CNODE_DELETE, &[at, DEPTH]));
            }
            for number in [syscall::RECV, syscall::NB_RECV] {
                ops.push(Op::plain(number, endpoint, reply));
            }
            for number in [syscall::SEND, syscall::NB_SEND, syscall::CALL] {
                ops.push(Op { words: vec![1], ..Op::plain(number, badged, 0) });
            }
            for thread in [first, last] {
                for priority in [199, 201] {
                    ops.push(Op::invoke(thread, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]));
                }
                ops.push(Op::invoke(thread, label::TCB_SUSPEND, &[], &[]));
                ops.push(Op::invoke(thread, label::TCB_RESUME, &[], &[]));
            }
            ops.push(Op::invoke(slot::INIT_TCB, label::TCB_WRITE_REGISTERS, &[0, 1, 0x9000], &[]));
            ops.push(Op::plain(syscall::WAIT, notification, 0));
            ops.push(Op::plain(syscall::YIELD, 0, 0));
        }
        Small::Spaces => {
            let [space, upper, lower, small, large, memory, pool, copy] = slots[..] else {
                unreachable!("eight slots")
            };
            let make_pool = arch_label::ASID_CONTROL_MAKE_POOL;
            ops.push(Op::invoke(slot::ASID_CONTROL, make_pool, &[pool, DEPTH], &[memory, root]));
            for from in [slot::INIT_ASID_POOL, pool] {
                ops.push(Op::invoke(from, arch_label::ASID_POOL_ASSIGN, &[], &[space]));
            }
            // In the root task's space there are tables of all levels at the beginning, in the other one none.
            let (low, high) = (0x20_0000, 1 << 30);
            for (table, address) in [(upper, low), (lower, low), (upper, high), (lower, high)] {
                for to in [space, slot::INIT_VSPACE] {
                    ops.push(Op::invoke(table, arch_label::PAGE_TABLE_MAP, &[address, 0], &[to]));
                }
            }
            for frame in [small, large, copy] {
                for (to, address) in [(space, high), (slot::INIT_VSPACE, high), (slot::INIT_VSPACE, low)] {
                    ops.push(Op::invoke(frame, arch_label::PAGE_MAP, &[address, 3, 0], &[to]));
                }
                ops.push(Op::invoke(frame, arch_label::PAGE_MAP, &[low, 2, 13], &[slot::INIT_VSPACE]));
                ops.push(Op::invoke(frame, arch_label::PAGE_UNMAP, &[], &[]));
                ops.push(Op::invoke(frame, arch_label::PAGE_GET_ADDRESS, &[], &[]));
            }
            // Not aligned; beyond what can be mapped; writing without reading; less than what the capability allows.
            let beyond = EL1_USER_TOP + 1;
            for (address, rights) in [(low + 0x800, 3), (beyond, 3), (low, 1)] {
                let words = [address, rights, 0];
                ops.push(Op::invoke(small, arch_label::PAGE_MAP, &words, &[slot::INIT_VSPACE]));
            }
            ops.push(Op::invoke(upper, arch_label::PAGE_TABLE_MAP, &[beyond, 0], &[slot::INIT_VSPACE]));
            ops.push(cnode(label::CNODE_COPY, &[copy, DEPTH, small, DEPTH, 2]));
            for table in [upper, lower] {
                ops.push(Op::invoke(table, arch_label::PAGE_TABLE_UNMAP, &[], &[]));
            }
            for from in [small, large, upper, space] {
                ops.push(cnode(label::CNODE_COPY, &[copy, DEPTH, from, DEPTH, 15]));
            }
            for at in [space, upper, small, large, pool, copy] {
                ops.push(cnode(label::CNODE_DELETE, &[at, DEPTH]));
            }
            ops.push(cnode(label::CNODE_REVOKE, &[memory, DEPTH]));
        }
        Small::Budgets => ops.extend(timely::budget_ops(&slots)),
        Small::Timeouts => ops.extend(timely::timeout_ops(&slots)),
        Small::Servers => ops.extend(timely::server_ops(&slots)),
        Small::Domains => ops.extend(timely::domain_ops(&slots)),
        Small::Slices => ops.extend(timely::slice_ops(&slots)),
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
