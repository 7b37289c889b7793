// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs the cases one after the other and reports them.
//!
//! For each case the supervisor makes a thread of the case's block of memory, lets it run, and waits at
//! one endpoint for what comes first:
//!
//! ```text
//!   badge ENDED     the case has ended; its verdict stands in VERDICT and REPORT
//!   badge FAULTED   the case's thread faulted
//!   badge LATE      the watchdog: the case took too long
//! ```
//!
//! Then it stops both threads, deletes what the case put into its slots and revokes its block.
//!
//! The watchdog needs no timer device: its scheduling context is made afresh for each case, and it gives
//! up its budget at once, so it comes back one period later.

use core::sync::atomic::{AtomicU64, Ordering};

use keel::{
    Result,
    boot::{CNODE, TCB, VSPACE},
    cap::{
        Blueprint, Budget, CNodeData, CPtr, Cap, Endpoint, Registers, Rights, SchedContext, SchedParams, Tcb,
        Untyped,
    },
    ipc::Message,
    prelude::*,
    sys,
};
use keel_abi::arch::registers::{PROGRAM_COUNTER, STACK_POINTER, TLS_BASE};

use crate::{
    cases::{self, Case},
    check::{Outcome, REPORT, Verdict},
    coverage,
    invoke::Answer,
    machine,
    puppet::{Fault, case_memory},
    tester::{self, AREA_SLOTS, BLOCK_BITS, CASE_MCP, CASE_PRIORITY, FACTS, SLICE_US, Tester},
    text::SharedText,
    trace,
};

const ENDED: u64 = 1;
const FAULTED: u64 = 2;
const LATE: u64 = 3;

const WATCHDOG_PRIORITY: u8 = 254;
/// How long a case may take, in microseconds.
const LIMIT_US: u64 = 2_000_000;
/// Slots that the supervisor fills for each case: TCB and scheduling context of its thread.
const OWN_SLOTS: u64 = 2;

/// Where the case's thread reports its end.
static END: AtomicU64 = AtomicU64::new(0);
/// How the case ended: 1 passed, 2 failed, 3 skipped.
static VERDICT: AtomicU64 = AtomicU64::new(0);
/// Why it was skipped.
static REASON: SharedText = SharedText::new();

/// Runs all cases, or those that the archive's file `case` names.
pub fn run(root: &mut Root) -> Result {
    let filter = wanted_case();
    let supervisor = Supervisor::new(root)?;
    let mut counts = Counts::default();
    let wanted = |case: &&Case| filter.is_none_or(|filter| case.matches(filter));
    for (index, case) in cases::all().enumerate().filter(|(_, case)| wanted(case)) {
        counts.add(supervisor.run(index, case)?);
    }
    println!("{} cases passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    let missing = if filter.is_none() { coverage::report() } else { 0 };
    match (counts.passed + counts.failed + counts.skipped, counts.failed, missing) {
        (0, ..) => Err("there is no such case".into()),
        (_, 0, 0) => Ok(()),
        (_, 0, _) => Err("no case sees some rows of the table of invocations".into()),
        _ => Err("some cases failed".into()),
    }
}

/// The name in the archive's file `case`.
fn wanted_case() -> Option<&'static str> {
    let archive = keel::archive!().ok()?;
    core::str::from_utf8(archive.find("case")?).ok().map(str::trim)
}

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    fn add(&mut self, result: Outcome) {
        match result {
            Ok(()) => self.passed += 1,
            Err(Verdict::Failed) => self.failed += 1,
            Err(Verdict::Skipped(_)) => self.skipped += 1,
        }
    }
}

struct Supervisor {
    block: Cap<Untyped>,
    area: u64,
    events: Cap<Endpoint>,
    faults: Cap<Endpoint>,
    watchdog: Cap<Tcb>,
    watchdog_time: Cap<SchedContext>,
    sched_control: Cap<keel::cap::SchedControl>,
}

impl Supervisor {
    fn new(root: &mut Root) -> Result<Self> {
        let image = (root.boot.ipc_buffer & !0xfff) - (root.boot.user_image_frames.len() << 12);
        let boot_info = root.boot as *const keel::boot::BootInfo as u64;
        machine::prepare(root)?;
        let resources = &mut root.resources;
        let area = resources.slots.allocate_range(AREA_SLOTS)?;
        let device = resources.device_untyped(machine::DEVICE_PADDR, 12)?;
        let gigabyte = resources.device_untyped(machine::EMPTY_PADDR, 30)?;
        let block = resources.untyped(BLOCK_BITS)?;
        let events = resources.allocate::<Endpoint>()?;
        let end = resources.mint(events, Rights::WRITE, ENDED)?;
        let faults = resources.mint(events, Rights::WRITE | Rights::GRANT_REPLY, FAULTED)?;
        let late = resources.mint(events, Rights::WRITE, LATE)?;
        let watchdog = resources.allocate::<Tcb>()?;
        let watchdog_time = resources.allocate_sched_context(0)?;
        let sched_control = resources.authority.sched_control;
        watchdog.configure(CNODE, CNodeData::default(), VSPACE, 0, Cap::null())?;
        watchdog.set_sched_params(SchedParams {
            authority: TCB,
            max_controlled_priority: 0,
            priority: WATCHDOG_PRIORITY,
            sched_context: watchdog_time,
            fault_endpoint: Cap::null(),
        })?;
        END.store(end.cptr().bits(), Ordering::Relaxed);
        LATE_END.store(late.cptr().bits(), Ordering::Relaxed);
        for (fact, value) in [
            (&FACTS.area, area),
            (&FACTS.block, block.cptr().bits()),
            (&FACTS.sched_control, sched_control.cptr().bits()),
            (&FACTS.image, image),
            (&FACTS.image_frames, root.boot.user_image_frames.start),
            (&FACTS.device_untyped, device.cptr().bits()),
            (&FACTS.gigabyte, gigabyte.cptr().bits()),
            (&FACTS.boot_info, boot_info),
        ] {
            fact.store(value, Ordering::Relaxed);
        }
        Ok(Self { block, area, events, faults, watchdog, watchdog_time, sched_control })
    }

    fn run(&self, index: usize, case: &Case) -> Result<Outcome> {
        trace::clear();
        tester::forget_step();
        VERDICT.store(0, Ordering::Relaxed);
        let thread = self.start(index)?;
        let event = Answer::from(self.events.wait());
        self.watchdog.suspend()?;
        thread.suspend()?;
        let result = match event.badge {
            ENDED => self.report(case),
            FAULTED => {
                println!("case {case} failed: expected no fault, got {} ({})", Fault::of(event), Place);
                Err(Verdict::Failed)
            }
            _ => {
                println!("case {case} failed: expected an end, got none in time ({Place})");
                Err(Verdict::Failed)
            }
        };
        self.clean_up()?;
        Ok(result)
    }

    fn report(&self, case: &Case) -> Outcome {
        match VERDICT.load(Ordering::Relaxed) {
            1 => {
                println!("case {case} ok");
                Ok(())
            }
            3 => {
                println!("case {case} skipped: {REASON}");
                Err(Verdict::Skipped(""))
            }
            _ => {
                println!("case {case} failed: {REPORT}");
                Err(Verdict::Failed)
            }
        }
    }

    /// Makes the case's thread and starts it and the watchdog.
    fn start(&self, index: usize) -> Result<Cap<Tcb>> {
        self.block.retype(Blueprint::Tcb, CNODE, 0, 0, self.area, 1)?;
        self.block.retype(Blueprint::SchedContext { bits: 8 }, CNODE, 0, 0, self.area + 1, 1)?;
        let thread: Cap<Tcb> = Cap::at(self.area);
        let time: Cap<SchedContext> = Cap::at(self.area + 1);
        let (stack, buffer) = case_memory();
        self.sched_control.configure(time, Budget::round_robin(SLICE_US))?;
        let buffer_frame = tester::image_frame(buffer).cap();
        thread.configure(CNODE, CNodeData::default(), VSPACE, buffer, buffer_frame)?;
        thread.set_sched_params(SchedParams {
            authority: TCB,
            max_controlled_priority: CASE_MCP as u8,
            priority: CASE_PRIORITY as u8,
            sched_context: time,
            fault_endpoint: self.faults,
        })?;
        thread.write_registers(&entering(run_case, index as u64, stack, buffer), true)?;

        self.sched_control.configure(self.watchdog_time, Budget::of(1_000, LIMIT_US))?;
        let (stack, buffer) = watchdog_memory();
        self.watchdog.write_registers(&entering(watch, 0, stack, buffer), true)?;
        Ok(thread)
    }

    fn clean_up(&self) -> Result {
        if cases::domain::restore().is_err() {
            return Err("the schedule of the domains cannot be put back".into());
        }
        for slot in tester::used_slots() {
            CNODE.path(CPtr::new(slot)).delete()?;
        }
        Ok(CNODE.path(self.block.cptr()).revoke()?)
    }
}

/// Registers of a thread that enters a function.
fn entering(function: extern "C" fn(u64), argument: u64, stack: u64, buffer: u64) -> Registers {
    Registers::default()
        .with(PROGRAM_COUNTER, machine::function().start)
        .with(STACK_POINTER, stack)
        .with(machine::R0, argument)
        .with(machine::R1, function as *const () as u64)
        .with(TLS_BASE, buffer)
}

/// The thread of a case.
extern "C" fn run_case(index: u64) {
    let result = match cases::all().nth(index as usize) {
        Some(case) => (case.run)(&mut Tester::new(OWN_SLOTS)),
        None => Err(Verdict::Failed),
    };
    let verdict = match result {
        Ok(()) => 1,
        Err(Verdict::Failed) => 2,
        Err(Verdict::Skipped(reason)) => {
            REASON.set(reason);
            3
        }
    };
    VERDICT.store(verdict, Ordering::Relaxed);
    CPtr::new(END.load(Ordering::Relaxed)).cap::<Endpoint>().send(&Message::new(0));
}

/// Where the watchdog reports.
static LATE_END: AtomicU64 = AtomicU64::new(0);

/// The watchdog: sleeps for one period and reports.
extern "C" fn watch(_: u64) {
    sys::yield_now();
    CPtr::new(LATE_END.load(Ordering::Relaxed)).cap::<Endpoint>().send(&Message::new(0));
}

fn watchdog_memory() -> (u64, u64) {
    static STACK: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];
    let end = &STACK as *const _ as u64 + 8 * 512;
    // It has no IPC buffer and needs none.
    (end & !0xf, 0)
}

/// How far the case has come.
struct Place;

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "after line {}", tester::last_step())
    }
}
