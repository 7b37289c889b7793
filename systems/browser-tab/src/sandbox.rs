// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where decoders live and die.
//!
//! The tab has one endpoint. Through it come, told apart by badges that the decoder cannot choose: the
//! decoder's messages, its faults, the ends of its budget, and (by the bound notification) the ticks of
//! the watch. So the tab waits in one place, and whatever the decoder does, the tab hears of it or of the
//! time that passed.
//!
//! Invariants:
//! 1. There is at most one decoder, and when [`Sandbox::run`] returns there is none.
//! 2. The output is made for a decoder and unmade after it: no pixels of an earlier one can show.
//! 3. Nothing of the output is read before the decoder is dead.

use keel::{
    Error,
    abi::arch::registers::PROGRAM_COUNTER,
    arch::CALL_BYTES,
    cap::{Budget, CNode, Cap, Endpoint, Notification, Reply, Rights},
    fault::Fault,
    ipc::{Message, Received},
    prelude::*,
    process::{Builder, Process, Sharing},
    service::{BAD_REQUEST, NOTIFICATION_BIT, Payload},
    shared::{SharedMemory, View},
};
use keel_browser_protocol::{Said, names, priority};

use crate::job::{End, Job, Report, is_at_system_call};

/// Badges on the tab's endpoint.
const MESSAGE: u64 = 1;
const FAULT: u64 = 2;
const TIMEOUT: u64 = 3;

/// A decoder's time: so much in each period.
const BUDGET: Budget = Budget::of(20_000, 25_000);

/// A decoder's time in all: this, and so much for each byte of the file.
const ALLOWANCE_US: u64 = 500_000;
const ALLOWANCE_US_PER_BYTE: u64 = 20;

/// The watch's tick, and the little time that it needs for it.
const TICK_US: u64 = 10_000;
const WATCH: Budget = Budget::of(500, TICK_US);

/// Messages that make no sense after which the tab has heard enough.
const MAX_NONSENSE: u64 = 1_000;

/// Faults that a patient tab skips.
const MAX_SKIPPED: u64 = 10_000;

/// Slots of a decoder's CSpace, as a power of two.
const CSPACE_RADIX: u8 = 6;

/// The heap of a decoder: what the programs need anyway, and so many times the file and the output. A
/// decoder of PNG files copies the file piece by piece into growing memory, holds the pixels before they are
/// unfiltered and after; one of progressive JPEG files holds coefficients twice as large as the pixels.
const HEAP_BYTES: u64 = 2 << 20;
const HEAP_PER_BYTE: u64 = 3;
/// The heap together with stack and program stays below 128 MiB.
const MAX_HEAP_BYTES: u64 = 120 << 20;

/// What the tab builds decoders with.
pub struct Sandbox {
    resources: Resources,
    endpoint: Cap<Endpoint>,
    reply: Cap<Reply>,
}

impl Sandbox {
    /// Prepares what all decoders need, and starts the watch.
    pub fn new(startup: &'static Startup) -> keel::Result<Self> {
        let mut resources = startup.take_resources().ok_or(Error::Missing("the tab's Untyped"))?;
        let endpoint = resources.allocate::<Endpoint>()?;
        let reply = resources.allocate::<Reply>()?;
        let plain = resources.allocate::<Notification>()?;
        let tick = resources.mint(plain, Rights::READ_WRITE, NOTIFICATION_BIT)?;
        resources.authority.tcb.bind_notification(tick)?;
        let program = startup.bytes(names::WATCH).ok_or(Error::Missing(names::WATCH))?;
        let watch = Builder::new(program)
            .priority(priority::WATCH)
            .budget(WATCH)
            .fault_endpoint(endpoint, FAULT)
            .grant(names::TICK, tick, Rights::WRITE)
            .build(&mut resources)?;
        watch.start()?;
        Ok(Self { resources, endpoint, reply })
    }

    /// Lets a decoder do a job, and hands what it left in the output to `look`. Whatever the decoder
    /// does, it is dead then, and its memory is the tab's again.
    pub fn run<R>(
        &mut self,
        job: &Job<'_>,
        look: impl FnOnce(&Report, View) -> R,
    ) -> keel::Result<(Report, R)> {
        let free = self.resources.memory.free_bytes();
        let input = self.input(job)?;
        let output = SharedMemory::new(&mut self.resources, job.room)?;
        let decoder = self.build(job, &input, &output)?;
        let mut watcher = Watcher::new(self.endpoint, self.reply, &decoder, job);
        decoder.start()?;
        let end = watcher.watch()?;
        decoder.stop()?;
        let mut report = watcher.report(end);
        report.capabilities = self.count_capabilities(decoder.cspace())?;
        decoder.kill(&mut self.resources)?;
        let seen = look(&report, output.view());
        output.release(&mut self.resources)?;
        input.release(&mut self.resources)?;
        report.memory_back = self.resources.memory.free_bytes() == free;
        Ok((report, seen))
    }

    /// A copy of the file, damaged as asked.
    fn input(&mut self, job: &Job<'_>) -> keel::Result<SharedMemory> {
        let file = &job.file[..job.damage.length(job.file)];
        let input = SharedMemory::new(&mut self.resources, file.len() as u64)?;
        input.view().write(0, file)?;
        for position in job.damage.positions(file) {
            input.view().write(position as u64, &[file[position] ^ 0x10])?;
        }
        Ok(input)
    }

    fn build(&mut self, job: &Job<'_>, input: &SharedMemory, output: &SharedMemory) -> keel::Result<Process> {
        let heap = HEAP_BYTES + HEAP_PER_BYTE * (input.len() + output.len());
        Builder::new(job.program)
            .argument(job.argument)
            .stack_bytes(256 << 10)
            .cspace_radix(CSPACE_RADIX)
            .priority(priority::DECODER)
            .budget(BUDGET)
            .fault_endpoint(self.endpoint, FAULT)
            .timeout_endpoint(self.endpoint, TIMEOUT)
            .grant_badged(names::TAB, self.endpoint, Rights::WRITE | Rights::GRANT_REPLY, MESSAGE)
            .share(names::INPUT, input, Sharing::Frozen)
            .share(names::OUTPUT, output, Sharing::ReadWrite)
            .private(keel::startup::HEAP, heap.min(MAX_HEAP_BYTES))
            .build(&mut self.resources)
    }

    /// How many slots of a CSpace hold something: each that can be copied from.
    fn count_capabilities(&mut self, cspace: Cap<CNode>) -> keel::Result<u64> {
        let slot = self.resources.slot()?;
        let mut count = 0;
        for index in 0..1 << CSPACE_RADIX {
            let source = cspace.slot(index, CSPACE_RADIX.into());
            if self.resources.path(slot).copy_from(source, Rights::ALL).is_ok() {
                self.resources.path(slot).delete()?;
                count += 1;
            }
        }
        self.resources.discard(slot)?;
        Ok(count)
    }
}

/// Waits for a decoder.
struct Watcher<'a> {
    endpoint: Cap<Endpoint>,
    reply: Cap<Reply>,
    decoder: &'a Process,
    room: u64,
    patient: bool,
    allowance_us: u64,
    report: Report,
}

impl<'a> Watcher<'a> {
    fn new(endpoint: Cap<Endpoint>, reply: Cap<Reply>, decoder: &'a Process, job: &Job<'_>) -> Self {
        let allowance_us = ALLOWANCE_US + ALLOWANCE_US_PER_BYTE * job.file.len() as u64;
        let report = Report {
            end: End::Late,
            messages: 0,
            nonsense: 0,
            faults: 0,
            tally: None,
            timeouts: 0,
            used_us: 0,
            ticks: 0,
            capabilities: 0,
            memory_back: false,
        };
        Self { endpoint, reply, decoder, room: job.room, patient: job.patient, allowance_us, report }
    }

    /// Watches until the decoder ends, or has to be ended.
    fn watch(&mut self) -> keel::Result<End> {
        loop {
            let received = self.endpoint.recv(self.reply);
            let end = match received.badge {
                MESSAGE => self.message(&received),
                FAULT => self.fault(&received)?,
                TIMEOUT => self.timeout(&received),
                badge if badge & NOTIFICATION_BIT != 0 => self.tick(),
                _ => None,
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn report(self, end: End) -> Report {
        Report { end, ..self.report }
    }

    /// The decoder says something. What makes no sense is refused, and counted.
    fn message(&mut self, received: &Received) -> Option<End> {
        self.report.messages += 1;
        let fits = |said: &Said| !matches!(said, Said::Picture(shape) if shape.bytes() > self.room);
        match Said::decode(received.label(), Payload::received(received)).filter(fits) {
            Some(Said::Tally(tally)) => {
                self.report.tally = Some(tally);
                self.reply.send(&Message::new(0));
            }
            Some(said) => return Some(End::Said(said)),
            None => {
                self.report.nonsense += 1;
                self.reply.send(&Message::new(BAD_REQUEST.0));
            }
        }
        (self.report.nonsense >= MAX_NONSENSE).then_some(End::Noisy)
    }

    fn fault(&mut self, received: &Received) -> keel::Result<Option<End>> {
        let fault = Fault::decode(received).ok_or(Error::BadArgument("fault"))?;
        if let Some(ending) = fault.ending() {
            return Ok(Some(End::Ended(ending)));
        }
        if !self.patient || !is_at_system_call(&fault) || self.report.faults >= MAX_SKIPPED {
            return Ok(Some(End::Fault(fault)));
        }
        self.report.faults += 1;
        let tcb = self.decoder.tcb();
        let registers = tcb.read_registers(false)?;
        let next = registers.get(PROGRAM_COUNTER).wrapping_add(CALL_BYTES);
        tcb.write_registers(&registers.with(PROGRAM_COUNTER, next), true)?;
        Ok(None)
    }

    /// The budget of a period is used up. The decoder goes on in the next one, up to its allowance.
    fn timeout(&mut self, received: &Received) -> Option<End> {
        self.report.timeouts += 1;
        self.report.used_us += received.word(1);
        if self.report.used_us >= self.allowance_us {
            return Some(End::OutOfTime);
        }
        self.reply.send(&Message::new(0));
        None
    }

    /// Time passed. A decoder that uses its budget gets through its allowance in less than twice that.
    fn tick(&mut self) -> Option<End> {
        self.report.ticks += 1;
        (self.report.ticks * TICK_US >= 2 * self.allowance_us).then_some(End::Late)
    }
}
