// SPDX-License-Identifier: MIT OR Apache-2.0

//! A user level without a plan: whoever runs makes some system call, time passes, interrupts come.
//!
//! The monkey knows the types of the capabilities in its slots and mostly makes calls that such a capability
//! understands, with arguments that are often right; but any slot may be hit at any time by deletion, revocation,
//! exhaustion. After each entry to the kernel the world checks all invariants. What the kernel answers does not
//! matter here: that it answers, and stays sound, does.
//!
//! Threads without a plan soon all wait for each other. So the root task does not play: it waits for the interrupt
//! [`BELL`], and when that rings, it gives contexts to threads that have none and resumes everybody.

use super::random::Choose;
use super::world::{CPtr, DEPTH, World};
use super::{Host, MAX_IRQ};
use crate::arch::Arch;
use crate::cap::Cap;
use crate::ipc::fault::Fault;
use crate::object::Tcb;
use crate::store::Ref;
use crate::units::{Irq, Ticks};
use keel_abi::aarch64::label as arch_label;
use keel_abi::aarch64::object as arch_object;
use keel_abi::message::{MessageInfo, ipc_buffer};
use keel_abi::timing::DOMAINS;
use keel_abi::{label, object, slot, syscall};

/// Slots that the monkey plays with, behind those that its set-up has used.
const SPARE_SLOTS: u64 = 24;

/// The interrupt that calls the root task.
const BELL: Irq = Irq(41);

/// System calls that send, and that receive, with how often they are made.
const CALLS: [(i64, u64); 11] = [
    (syscall::CALL, 40),
    (syscall::SEND, 8),
    (syscall::NB_SEND, 6),
    (syscall::RECV, 8),
    (syscall::NB_RECV, 4),
    (syscall::WAIT, 5),
    (syscall::NB_WAIT, 3),
    (syscall::REPLY_RECV, 8),
    (syscall::NB_SEND_RECV, 4),
    (syscall::NB_SEND_WAIT, 4),
    (syscall::YIELD, 4),
];

/// A handler of `irq` in a new slot.
fn handler(world: &mut World, irq: Irq) -> CPtr {
    let handler = world.free_slot();
    let words = [u64::from(irq.0), handler, DEPTH];
    world.must(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &words, &[slot::INIT_CNODE]);
    handler
}

/// The monkey and its world.
pub struct Monkey<C> {
    /// The world.
    pub world: World,
    /// Where the decisions come from.
    choices: C,
    /// The notification of [`BELL`].
    bell: CPtr,
    /// The handler of [`BELL`].
    bell_handler: CPtr,
    /// The first slot to play with.
    first: CPtr,
    /// The one behind the last.
    end: CPtr,
}

impl<C: Choose> Monkey<C> {
    /// A new world with a few of everything, and a monkey in it.
    pub fn new(mut choices: C) -> Self {
        let mut world = World::new();
        let (bell, bell_handler) = (world.notification(), handler(&mut world, BELL));
        world.must(bell_handler, label::IRQ_SET_IRQ_HANDLER, &[], &[bell]);
        let first = world.free_slot();
        for priority in [200, 200, 201, 199] {
            world.thread(priority);
        }
        for _ in 0..2 {
            world.passive_thread(200);
            world.make(object::SCHED_CONTEXT, 8);
        }
        let endpoints = [world.endpoint(), world.endpoint()];
        for endpoint in endpoints {
            let badge = 1 + choices.below(3);
            world.mint(endpoint, 15, badge);
            world.copy(endpoint, 15);
        }
        let notification = world.notification();
        world.mint(notification, 3, 1 << choices.below(8));
        world.notification();
        for radix in [1, 2, 3] {
            world.make(object::CAP_TABLE, radix);
        }
        world.untyped(13);
        world.untyped(12);
        world.copy(slot::INIT_CNODE, 15);
        world.copy(slot::DOMAIN_SET, 15);
        let root = world.make(arch_object::VSPACE, 0);
        world.must(slot::INIT_ASID_POOL, arch_label::ASID_POOL_ASSIGN, &[], &[root]);
        world.make(arch_object::PAGE_TABLE, 0);
        world.make(arch_object::PAGE_TABLE, 0);
        world.make(arch_object::PAGE_TABLE, 0);
        world.frame();
        let device = handler(&mut world, Irq(40));
        world.must(device, label::IRQ_SET_IRQ_HANDLER, &[], &[notification]);
        let end = world.free_slot() + SPARE_SLOTS;
        world.wait(bell);
        Self { world, choices, bell, bell_handler, first, end }
    }

    /// Something happens; whether anything still can.
    pub fn step(&mut self) -> bool {
        match self.choices.below(20) {
            0 => self.world.interrupt(Irq(self.choices.below(u64::from(MAX_IRQ.0) + 1) as u32)),
            1 => self.world.interrupt(Irq(40)),
            2 | 3 => {
                let time = 1 << self.choices.below(20);
                self.world.pass(Ticks(time));
            }
            _ => {}
        }
        let Some(tcb) = self.world.kernel.core.current else {
            return self.wait_for_timer() || self.ring();
        };
        if self.choices.odds(1, 50) {
            return self.ring();
        }
        match self.choices.below(40) {
            0 => {
                let fault = Fault::UserException { number: self.choices.below(64), code: 0 };
                self.world.fault(fault);
            }
            _ => self.system_call(tcb),
        }
        true
    }

    /// Nobody runs: the timer may change that.
    fn wait_for_timer(&mut self) -> bool {
        let now = self.world.kernel.arch.time();
        match self.world.kernel.arch.deadline() {
            Some(deadline) if deadline.0 < u64::MAX / 2 => {
                self.world.pass(Ticks(deadline.0.saturating_sub(now.0).max(1)));
                true
            }
            _ => false,
        }
    }

    /// The root task gets everybody going again; whether it still can.
    fn ring(&mut self) -> bool {
        self.world.interrupt(BELL);
        if !self.root_runs() {
            return false;
        }
        for address in self.first..self.end {
            self.revive(address);
        }
        if self.root_runs() {
            self.world.call(self.bell_handler, label::IRQ_ACK_IRQ, &[], &[]);
        }
        if self.root_runs() {
            self.world.wait(self.bell);
        }
        true
    }

    /// Whether the root task runs.
    fn root_runs(&self) -> bool {
        self.world.kernel.core.current == Some(self.world.root())
    }

    /// If there is a thread at `address`, it goes on with something else.
    fn revive(&mut self, address: CPtr) {
        let Some(Cap::Tcb(tcb)) = self.look(address) else { return };
        if self.root_runs() && self.world.kernel.store[tcb].sched_context.is_none() {
            let context = self.like(|cap| matches!(cap, Cap::SchedContext { .. }));
            self.world.call(context, label::SCHED_CONTEXT_BIND, &[], &[address]);
        }
        if self.root_runs() {
            self.world.divert(tcb);
            self.world.call(address, label::TCB_RESUME, &[], &[]);
        }
    }

    /// `tcb`, which runs, makes some system call.
    fn system_call(&mut self, tcb: Ref<Tcb>) {
        let number = self.number();
        let destination = self.like(|cap| !cap.is_null());
        let (label, words, caps) = self.message(destination);
        let registers = &Host::REGISTERS;
        self.world.set_register(tcb, registers.capability, destination);
        self.world.set_register(
            tcb,
            registers.info,
            MessageInfo::new(label, 0, caps.len(), words.len()).word(),
        );
        let (reply, send_to) = (self.cptr(), self.cptr());
        self.world.set_register(tcb, registers.reply, reply);
        self.world.set_register(tcb, registers.send_to, send_to);
        for (&place, &word) in registers.message.iter().zip(&words) {
            self.world.set_register(tcb, place, word);
        }
        if self.has_buffer(tcb) {
            for (index, &word) in words.iter().enumerate().skip(registers.message.len()) {
                self.world.set_buffer_word(tcb, ipc_buffer::MSG + index, word);
            }
            for (index, &cap) in caps.iter().enumerate() {
                self.world.set_buffer_word(tcb, ipc_buffer::CAPS_OR_BADGES + index, cap);
            }
            let receive_slot = self.spare();
            self.world.set_buffer_word(tcb, ipc_buffer::RECEIVE_CNODE, slot::INIT_CNODE);
            self.world.set_buffer_word(tcb, ipc_buffer::RECEIVE_INDEX, receive_slot);
            self.world.set_buffer_word(tcb, ipc_buffer::RECEIVE_DEPTH, DEPTH);
        }
        self.world.trap(number);
    }

    /// Whether `tcb` has an IPC buffer in memory.
    fn has_buffer(&mut self, tcb: Ref<Tcb>) -> bool {
        let memory = self.world.buffer(tcb);
        memory.is_some_and(|buffer| self.world.kernel.store.memory().is_backed(buffer, 1 << 10))
    }

    /// The number of some system call.
    fn number(&mut self) -> i64 {
        let total = CALLS.iter().map(|(_, weight)| weight).sum();
        let mut left = self.choices.below(total);
        for (number, weight) in CALLS {
            match left.checked_sub(weight) {
                None => return number,
                Some(rest) => left = rest,
            }
        }
        syscall::YIELD
    }

    /// A slot that may hold anything.
    fn cptr(&mut self) -> CPtr {
        match self.choices.below(50) {
            0 => self.choices.pick(&[0, 2, 3, 4, 5, 6, 9, 11, 14, 16]),
            1 => self.choices.below(1 << 13),
            2 => self.world.memory,
            3 | 4 => self.world.sched_control,
            _ => self.first + self.choices.below(self.end - self.first),
        }
    }

    /// A slot that is probably empty.
    fn spare(&mut self) -> CPtr {
        self.end - 1 - self.choices.below(SPARE_SLOTS)
    }

    /// A slot that holds a capability like `wanted`, if one is found soon.
    fn like(&mut self, wanted: fn(&Cap) -> bool) -> CPtr {
        for _ in 0..16 {
            let candidate = self.cptr();
            if self.look(candidate).is_some_and(|cap| wanted(&cap)) {
                return candidate;
            }
        }
        self.cptr()
    }

    /// What stands at `address`, seen from the root task's CSpace as it was at first.
    fn look(&self, address: CPtr) -> Option<Cap> {
        let root = self.world.kernel.store[self.world.cspace_root()].raw;
        let found = crate::cspace::resolve(&self.world.kernel.store, root, address, DEPTH);
        found.ok().map(|(slot, _)| self.world.kernel.store[slot].cap())
    }

    /// A word of some message.
    fn any_word(&mut self) -> u64 {
        match self.choices.below(6) {
            0 => self.choices.below(4),
            1 => DEPTH,
            2 => self.cptr(),
            3 => self.choices.below(256),
            4 => 1 << self.choices.below(64),
            _ => 0x40_0000 + (self.choices.below(8) << 12),
        }
    }

    /// A message that the capability at `destination` may understand.
    fn message(&mut self, destination: CPtr) -> (u64, Vec<u64>, Vec<CPtr>) {
        let root = slot::INIT_CNODE;
        if self.choices.odds(1, 10) {
            let words = (0..self.choices.below(9)).map(|_| self.any_word()).collect();
            let caps = (0..self.choices.below(4)).map(|_| self.cptr()).collect();
            return (self.choices.below(60), words, caps);
        }
        match self.look(destination) {
            Some(Cap::CNode(_)) => self.cnode_message(root),
            Some(Cap::Untyped(_)) => {
                let kind = self.choices.below(12);
                let bits = self.choices.pick(&[1, 2, 3, 4, 7, 8, 10, 12]);
                let (first, count) = (self.spare(), 1 + self.choices.below(3));
                (label::UNTYPED_RETYPE, vec![kind, bits, 0, 0, first, count], vec![root])
            }
            Some(Cap::Tcb(_)) => self.tcb_message(),
            Some(Cap::SchedContext { .. }) => {
                let label = label::SCHED_CONTEXT_BIND + self.choices.below(5);
                let cap = self.like(|cap| matches!(cap, Cap::Tcb(_) | Cap::Notification(_)));
                (label, vec![], vec![cap])
            }
            Some(Cap::SchedControl { .. }) => {
                let period = self.choices.pick(&[100, 1_000, 10_000]);
                let budget = self.choices.pick(&[20, 50, 100, 1_000, 10_000]);
                let extra = self.choices.below(9);
                let flags = self.choices.below(2);
                let cap = self.like(|cap| matches!(cap, Cap::SchedContext { .. }));
                (label::SCHED_CONTROL_CONFIGURE_FLAGS, vec![budget, period, extra, 7, flags], vec![cap])
            }
            Some(Cap::DomainSet) => self.domain_message(),
            Some(Cap::IrqControl) => {
                let words = vec![32 + self.choices.below(12), self.spare(), DEPTH];
                (label::IRQ_ISSUE_IRQ_HANDLER, words, vec![root])
            }
            Some(Cap::IrqHandler(_)) => {
                let cap = self.like(|cap| matches!(cap, Cap::Notification(_)));
                (label::IRQ_ACK_IRQ + self.choices.below(3), vec![], vec![cap])
            }
            Some(Cap::Frame(_) | Cap::Table(_)) => {
                let label = arch_label::PAGE_TABLE_MAP + self.choices.below(4);
                let address = 0x40_0000 + (self.choices.below(4) << 12);
                let space = self.like(|cap| matches!(cap, Cap::VSpace(_)));
                (label, vec![address, self.choices.below(4), self.choices.below(8)], vec![space])
            }
            Some(Cap::AsidPool { .. }) => {
                let space = self.like(|cap| matches!(cap, Cap::VSpace(_)));
                (arch_label::ASID_POOL_ASSIGN, vec![], vec![space])
            }
            Some(Cap::AsidControl) => {
                let untyped = self.like(|cap| matches!(cap, Cap::Untyped(_)));
                (arch_label::ASID_CONTROL_MAKE_POOL, vec![self.spare(), DEPTH], vec![untyped, root])
            }
            _ => {
                let words = (0..self.choices.below(7)).map(|_| self.any_word()).collect();
                let caps = (0..self.choices.below(4)).map(|_| self.cptr()).collect();
                (self.choices.below(3), words, caps)
            }
        }
    }

    /// An operation on domains.
    fn domain_message(&mut self) -> (u64, Vec<u64>, Vec<CPtr>) {
        let domain = self.choices.below(DOMAINS);
        match self.choices.below(3) {
            0 => {
                let tcb = self.like(|cap| matches!(cap, Cap::Tcb(_)));
                (label::DOMAIN_SET_SET, vec![domain], vec![tcb])
            }
            1 => {
                let words = vec![self.choices.below(4), domain, 1 << self.choices.below(16)];
                (label::DOMAIN_SCHEDULE_CONFIGURE, words, vec![])
            }
            _ => (label::DOMAIN_SCHEDULE_SET_START, vec![self.choices.below(4)], vec![]),
        }
    }

    /// An operation on slots.
    fn cnode_message(&mut self, root: CPtr) -> (u64, Vec<u64>, Vec<CPtr>) {
        let label = label::CNODE_REVOKE + self.choices.below(8);
        // Revoking and deleting is what ends a world; enough of it comes anyway.
        let label = match label {
            label::CNODE_REVOKE | label::CNODE_DELETE if self.choices.odds(1, 2) => label::CNODE_MINT,
            label => label,
        };
        let inner = self.like(|cap| matches!(cap, Cap::CNode(_)));
        let (target, source) = (self.spare(), self.cptr());
        match label {
            label::CNODE_REVOKE | label::CNODE_DELETE => (label, vec![source, DEPTH], vec![]),
            label::CNODE_CANCEL_BADGED_SENDS => {
                let endpoint = self.like(|cap| matches!(cap, Cap::Endpoint(_)));
                (label, vec![endpoint, DEPTH], vec![])
            }
            label::CNODE_ROTATE => {
                let pivot = self.cptr();
                let words = vec![target, DEPTH, 0, pivot, DEPTH, 0, source, DEPTH];
                (label, words, vec![root, root])
            }
            // Sometimes into, or out of, a small CNode: its slots have addresses of few bits.
            _ if self.choices.odds(1, 3) => {
                let (index, depth) = (self.choices.below(8), 1 + self.choices.below(3));
                if self.choices.odds(1, 2) {
                    (label, vec![target, DEPTH, index, depth, 15, 0], vec![inner])
                } else {
                    (label, vec![index, depth, source, DEPTH, 15, 0], vec![root])
                }
            }
            _ => {
                let (rights, data) = (self.choices.below(16), self.choices.below(4));
                (label, vec![target, DEPTH, source, DEPTH, rights, data], vec![root])
            }
        }
    }

    /// An operation on a thread.
    fn tcb_message(&mut self) -> (u64, Vec<u64>, Vec<CPtr>) {
        let label = label::TCB_READ_REGISTERS + self.choices.below(16);
        let tcb = self.like(|cap| matches!(cap, Cap::Tcb(_)));
        let endpoint = self.like(|cap| matches!(cap, Cap::Endpoint(_)));
        let space = self.like(|cap| matches!(cap, Cap::CNode(_)));
        let vspace = self.like(|cap| matches!(cap, Cap::VSpace(_)));
        let frame = self.like(|cap| matches!(cap, Cap::Frame(_)));
        let context = self.like(|cap| matches!(cap, Cap::SchedContext { .. }));
        let priority = 199 + self.choices.below(3);
        match label {
            label::TCB_READ_REGISTERS => {
                (label, vec![self.choices.below(2), 1 + self.choices.below(36)], vec![])
            }
            // Not the frame registers: a thread that writes its own program counter repeats the call for ever.
            label::TCB_COPY_REGISTERS => (label, vec![self.choices.below(16) & 0b1011], vec![tcb]),
            label::TCB_WRITE_REGISTERS => (label, vec![self.choices.below(2), 3, 0x2_0000, 0, 0], vec![]),
            label::TCB_CONFIGURE => (label, vec![0, 0, 0x80_0000], vec![space, vspace, frame]),
            label::TCB_SET_SCHED_PARAMS => {
                (label, vec![201, priority], vec![slot::INIT_TCB, context, endpoint])
            }
            label::TCB_SET_TIMEOUT_ENDPOINT => (label, vec![], vec![endpoint]),
            label::TCB_SET_IPC_BUFFER => (label, vec![0x80_0000], vec![frame]),
            label::TCB_SET_SPACE => (label, vec![0, 0], vec![endpoint, space, vspace]),
            label::TCB_BIND_NOTIFICATION => {
                let notification = self.like(|cap| matches!(cap, Cap::Notification(_)));
                (label, vec![], vec![notification])
            }
            _ => (label, vec![priority, self.choices.below(2)], vec![slot::INIT_TCB]),
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::host::random::Random;

    /// Plays `worlds` worlds; each preemption point in some of them is preempted.
    fn play(seeds: std::ops::Range<u64>, steps: u64, preempt_every: Option<u64>) {
        for seed in seeds {
            println!("seed {seed}");
            let mut monkey = Monkey::new(Random::new(seed));
            monkey.world.kernel.arch.preempt_every(preempt_every);
            for _ in 0..steps {
                if !monkey.step() {
                    break;
                }
            }
        }
    }

    #[test]
    fn nothing_a_monkey_does_breaks_an_invariant() {
        play(0..12, 250, None);
    }

    /// All that the short ways may touch, of all objects that the monkey knows.
    fn picture(monkey: &Monkey<Random>) -> String {
        let kernel = &monkey.world.kernel;
        let mut picture = format!(
            "{:?} {:?} {:?}",
            kernel.core.current,
            kernel.arch.deadline(),
            (200..202).map(|priority| kernel.core.ready().head(0, priority)).collect::<Vec<_>>()
        );
        for address in 0..monkey.end {
            let object = match monkey.look(address) {
                Some(Cap::Tcb(tcb)) => {
                    let Tcb {
                        state, queued, sched_context, endpoint, notification, reply, registers, ..
                    } = &kernel.store[tcb];
                    let words = &registers.words;
                    format!(
                        "{state:?} {queued:?} {sched_context:?} {endpoint:?} {notification:?} {reply:?} {words:x?}"
                    )
                }
                Some(Cap::Endpoint(cap)) => format!("{:?}", kernel.store[cap.object].queue()),
                Some(Cap::Notification(cap)) => format!("{:?}", kernel.store[cap.object]),
                Some(Cap::Reply { object, .. }) => format!("{:?}", kernel.store[object]),
                Some(Cap::SchedContext { object, .. }) => {
                    let context = kernel.store[object];
                    let refills = (0..context.refill_max).map(|index| kernel.store[object.refill(index)]);
                    format!("{context:?} {:?}", refills.collect::<Vec<_>>())
                }
                _ => continue,
            };
            picture += &format!("\n{address}: {object}");
        }
        picture
    }

    #[test]
    fn the_short_ways_do_what_the_general_ones_do() {
        for seed in 2000..2016 {
            println!("seed {seed}");
            let mut short = Monkey::new(Random::new(seed));
            let mut general = Monkey::new(Random::new(seed));
            general.world.kernel.arch.forbid_short_way();
            for step in 0..250 {
                let goes_on = short.step();
                assert_eq!(goes_on, general.step());
                assert_eq!(picture(&short), picture(&general), "step {step}");
                if !goes_on {
                    break;
                }
            }
        }
    }

    #[test]
    fn nor_when_each_unit_of_work_is_interrupted() {
        play(1000..1012, 250, Some(1));
    }
}
