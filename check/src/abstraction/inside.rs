// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel knows beyond the state of the specification, and what its next steps may depend on: for telling
//! states apart ([`crate::canonical`]), never for comparing.

use super::{names, object};
use keel_abi::timing::DOMAINS;
use keel_kernel::Kernel;
use keel_kernel::arch::Arch;
use keel_kernel::cap::Cap;
use keel_kernel::cdt::Flags;
use keel_kernel::host::check::{Survey, tree};
use keel_kernel::host::{Host, MAX_IRQ};
use keel_kernel::ipc::fault::Fault;
use keel_kernel::object::tcb::Queued;
use keel_kernel::object::{SchedContext, Tcb, ThreadState};
use keel_kernel::store::Ref;
use keel_kernel::tree::Links;
use keel_kernel::units::{Irq, Priority};
use keel_spec::concrete::{Object, Slot};
use std::collections::{BTreeMap, BTreeSet};

/// What the kernel knows beyond the specification.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// What stands behind each slot in the derivation list; its flags, and how many slots its zombie has left.
    pub order: BTreeMap<Slot, (Slot, u64)>,
    /// Who is ready, in the order in which they would run.
    pub ready: Vec<Object>,
    /// Who waits for time, first one first.
    pub release: Vec<Object>,
    /// The clock, the timetable of domains, and what else is the same for all objects, in words.
    pub time: Vec<u64>,
    /// Other things about an object, in words.
    pub more: BTreeMap<Object, Vec<u64>>,
    /// The threads that set their registers before their next system call.
    pub sets_registers: BTreeSet<Object>,
}

impl Inside {
    /// Looks into a kernel. `repeats` says of a program counter of a thread whether it makes its last system call
    /// again there.
    pub fn of(kernel: &mut Kernel<Host>, repeats: impl Fn(Ref<Tcb>, u64) -> bool) -> Self {
        let survey = Survey::of(kernel);
        let mut inside = Self::default();
        let names = names(kernel, &survey);
        for place in &survey.slots {
            let node = &kernel.store[*place].node;
            let next = node.next().map_or_else(Slot::default, |next| names[&next]);
            let flags = [Flags::NONE, Flags::ORIGINAL, Flags::BADGED_ORIGINAL];
            let number = flags.iter().position(|flags| *flags == node.flags()).unwrap_or(flags.len());
            let left = match kernel.store[*place].cap() {
                Cap::Zombie(zombie) => zombie.left,
                _ => 0,
            };
            inside.order.insert(names[place], (next, left << 2 | number as u64));
        }
        for domain in 0..DOMAINS as u8 {
            for priority in (0..=Priority::MAX).rev() {
                let next = |tcb: &Ref<Tcb>| kernel.store[*tcb].links.right();
                let queue = std::iter::successors(kernel.core.ready().head(domain, priority), next);
                inside.ready.extend(queue.map(object));
            }
        }
        inside.release = tree(&kernel.store, kernel.core.release().root()).into_iter().map(object).collect();
        inside.time = time_words(kernel);
        survey.tcbs.iter().for_each(|tcb| inside.thread(kernel, *tcb, &repeats));
        for (context, _) in survey.contexts {
            let words = context_words(kernel, context);
            inside.more.insert(object(context), words);
        }
        for irq in (0..=MAX_IRQ.0).map(Irq).filter(|irq| kernel.interrupts.is_issued(*irq)) {
            let words = vec![kernel.arch.is_enabled(irq).into(), kernel.arch.is_held(irq).into()];
            inside.more.insert(Object::Irq(irq.0.into()), words);
        }
        inside
    }

    fn thread(&mut self, kernel: &Kernel<Host>, tcb: Ref<Tcb>, repeats: &impl Fn(Ref<Tcb>, u64) -> bool) {
        let thread = &kernel.store[tcb];
        let (words, registers) = (&thread.registers.words, &Host::REGISTERS);
        let repeats_next = repeats(tcb, words[registers.next_pc]);
        let repeats_restart = repeats(tcb, words[registers.restart_pc]);
        let is_in_a_tree = thread.state.is_blocked() || thread.queued == Queued::Release;
        let mut more = vec![
            thread.state as u64,
            thread.domain.into(),
            thread.flags,
            thread.queued as u64,
            if is_in_a_tree { shape(&thread.links) } else { 0 },
            repeats_next.into(),
            repeats_restart.into(),
            thread.yield_to.is_some().into(),
            thread.cancelling.endpoint.is_some().into(),
            thread.cancelling.is_finished.into(),
        ];
        more.extend(fault_words(&thread.fault));
        self.more.insert(object(tcb), more);
        let runs_on = match thread.state {
            ThreadState::Running => !repeats_next,
            ThreadState::Inactive | ThreadState::Restart => !repeats_restart,
            _ => false,
        };
        if runs_on {
            self.sets_registers.insert(object(tcb));
        }
    }
}

/// What the tree looks like at one of its nodes: which children there are, whether there are others with the same key,
/// and whether it is their first.
fn shape(links: &Links) -> u64 {
    let children = u64::from(links.left().is_some()) | u64::from(links.right().is_some()) << 1;
    children << 2 | u64::from(links.next().is_some()) << 1 | u64::from(links.parent.is_some())
}

fn fault_words(fault: &Fault) -> Vec<u64> {
    let words = match *fault {
        Fault::None => vec![],
        Fault::Capability { address, in_receive, failure } => {
            let (words, count) = failure.words();
            [&[address, in_receive.into()], &words[..count]].concat()
        }
        Fault::UnknownSyscall { number } => vec![number],
        Fault::UserException { number, code } => vec![number, code],
        Fault::VirtualMemory { address, is_fetch, status } => vec![address, is_fetch.into(), status],
        Fault::Timeout { badge } => vec![badge],
    };
    [vec![fault.label(), words.len() as u64], words].concat()
}

/// Times count from now.
fn context_words(kernel: &Kernel<Host>, context: Ref<SchedContext>) -> Vec<u64> {
    let state = &kernel.store[context];
    let mut words = vec![
        state.period.0,
        state.consumed.0,
        state.badge,
        state.sporadic.into(),
        state.round_robin.into(),
        state.debt.0,
        state.refill_max,
        (kernel.core.sched_context() == Some(context)).into(),
    ];
    let now = kernel.core.now.0;
    for refill in super::refills(kernel, context) {
        // That of a round-robin context means nothing.
        let time = if state.round_robin { 0 } else { refill.time.0.wrapping_sub(now) };
        words.extend([time, refill.amount.0]);
    }
    words
}

/// Times count from now.
fn time_words(kernel: &Kernel<Host>) -> Vec<u64> {
    let (core, domains) = (&kernel.core, &kernel.domains);
    let now = core.now.0;
    let (start, index) = domains.position();
    let mut words = vec![
        kernel.arch.time().0 - now,
        now - core.running_since().0,
        core.release().pause_end().0.saturating_sub(now),
        start as u64,
        index as u64,
        domains.current().into(),
        if DOMAINS == 1 { 0 } else { domains.end().0.saturating_sub(now) },
    ];
    for (index, entry) in domains.entries().iter().enumerate().filter(|(_, entry)| !entry.is_end()) {
        words.extend([index as u64, entry.domain.into(), entry.duration.0]);
    }
    words
}
