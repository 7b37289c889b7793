// SPDX-License-Identifier: MIT OR Apache-2.0

//! The watch: a thread of the highest priority that handles the alarm's interrupt and measures how late it is.
//!
//! A latency counts from the instruction at which the alarm comes to the first one of the handler: what the kernel
//! does until it looks for interrupts, the delivery, and the switch to the handler. During an attack the alarm comes
//! again and again, each time after another number of instructions, so that it meets each phase of what the kernel
//! does.
//!
//! Invariant: the alarm is set only while `DUE` holds the count at which it comes.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use keel::arch::abi::registers::TLS_BASE;
use keel::boot::{CNODE, IRQ_CONTROL, TCB, VSPACE};
use keel::cap::{Attributes, CNodeData, Cap, IrqHandler, Notification, Registers, Rights, SchedParams, Tcb};
use keel::resources::{Resources, sched_context};

use crate::machine::{self, Alarm};
use crate::puppet::BUDGET;

const STACK_BYTES: usize = 16 << 10;

/// The watch's stack.
#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: no reference to the inside is made: only the watch's stack pointer points there.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// Words of an alarm.
const ALARM_WORDS: usize = size_of::<Alarm>() / size_of::<u64>();

/// What the attacker and the watch share.
struct Shared {
    notification: AtomicU64,
    handler: AtomicU64,
    /// How the alarm's time relates to the counter.
    alarm: [AtomicU64; ALARM_WORDS],
    /// The count at which the alarm comes.
    due: AtomicU64,
    /// Whether it is to come again.
    goes_on: AtomicU64,
    /// What the next phase is derived from.
    phase: AtomicU64,
    /// The longest latency.
    longest: AtomicU64,
    /// The number of latencies.
    samples: AtomicU64,
}

static SHARED: Shared = Shared {
    notification: AtomicU64::new(0),
    handler: AtomicU64::new(0),
    alarm: [const { AtomicU64::new(0) }; ALARM_WORDS],
    due: AtomicU64::new(0),
    goes_on: AtomicU64::new(0),
    phase: AtomicU64::new(0),
    longest: AtomicU64::new(0),
    samples: AtomicU64::new(0),
};

/// Instructions between two alarms: enough for the watch to go back to sleep and the attacker to get somewhere ...
const LEAST_GAP: u64 = 1_200;
/// ... and at most so many more.
const GAP_SPAN: u64 = 1 << 13;

/// More instructions than it takes to set the alarm.
const TO_SET: u64 = 64;

/// A number of instructions below `span`, each time another one: the phases are spread evenly.
fn next_phase(span: u64) -> u64 {
    // The golden ratio, of 2^64.
    let phase = SHARED.phase.load(Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    SHARED.phase.store(phase, Relaxed);
    ((u128::from(phase) * u128::from(span)) >> 64) as u64
}

/// Sets the alarm to come in about so many instructions.
#[inline(always)]
fn set(alarm: &Alarm, instructions: u64) {
    let due = alarm.round(machine::now() + TO_SET + instructions);
    SHARED.due.store(due, Relaxed);
    alarm.set(due);
}

/// The watch's program.
extern "C" fn watch() -> ! {
    let notification = Cap::<Notification>::at(SHARED.notification.load(Relaxed));
    let handler = Cap::<IrqHandler>::at(SHARED.handler.load(Relaxed));
    let alarm = Alarm::restore(SHARED.alarm.each_ref().map(|word| word.load(Relaxed)));
    loop {
        let woken = machine::wait(notification);
        alarm.clear();
        SHARED.longest.fetch_max(woken - SHARED.due.load(Relaxed), Relaxed);
        SHARED.samples.fetch_add(1, Relaxed);
        if handler.ack().is_err() {
            SHARED.longest.store(u64::MAX, Relaxed);
        }
        if SHARED.goes_on.load(Relaxed) != 0 {
            set(&alarm, LEAST_GAP + next_phase(GAP_SPAN));
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// The longest, in instructions.
    pub longest: u64,
    /// How many there were.
    pub samples: u64,
}

/// The watch, as the attacker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    alarm: Alarm,
}

impl Watch {
    /// Starts it.
    pub fn new(resources: &mut Resources) -> keel::Result<Self> {
        let alarm = Alarm::new(resources)?;
        let notification = resources.allocate::<Notification>()?;
        let notification = resources.mint(notification, Rights::READ_WRITE, 1)?;
        let handler: Cap<IrqHandler> =
            resources.fill_slot(|slot| Ok(IRQ_CONTROL.get_wired(machine::ALARM_IRQ, slot)?))?;
        handler.set_notification(notification)?;
        handler.ack()?;
        SHARED.notification.store(notification.cptr().bits(), Relaxed);
        SHARED.handler.store(handler.cptr().bits(), Relaxed);
        for (word, value) in SHARED.alarm.iter().zip(alarm.save()) {
            word.store(value, Relaxed);
        }
        start_thread(resources)?;
        Ok(Self { alarm })
    }

    /// Does `attack` while the alarm comes again and again, for the first time so many instructions after it began.
    pub fn during<T>(&self, first: u64, attack: impl FnOnce() -> T) -> T {
        SHARED.goes_on.store(1, Relaxed);
        set(&self.alarm, first);
        let result = attack();
        SHARED.goes_on.store(0, Relaxed);
        self.alarm.clear();
        result
    }

    /// A number below `span`, each time another one.
    pub fn phase(&self, span: u64) -> u64 {
        next_phase(span)
    }

    /// What was measured since this was last asked.
    pub fn take(&self) -> Latency {
        Latency { longest: SHARED.longest.swap(0, Relaxed), samples: SHARED.samples.swap(0, Relaxed) }
    }
}

fn start_thread(resources: &mut Resources) -> keel::Result {
    let context = resources.make(sched_context(0))?.cap();
    resources.authority.sched_control.configure(context, BUDGET)?;
    let buffer = resources.allocate_frame()?;
    let address = resources.map_frames(buffer.cptr(), 1, Attributes::DATA)?.start;
    let tcb = resources.allocate::<Tcb>()?;
    tcb.configure(CNODE, CNodeData::default(), VSPACE, address, buffer)?;
    tcb.set_sched_params(SchedParams {
        authority: TCB,
        max_controlled_priority: 0,
        priority: u8::MAX,
        sched_context: context,
        fault_endpoint: Cap::null(),
    })?;
    let stack = &raw const STACK as u64 + STACK_BYTES as u64;
    let registers = Registers::starting_at(watch as *const () as u64, stack, 0).with(TLS_BASE, address);
    Ok(tcb.write_registers(&registers, true)?)
}
