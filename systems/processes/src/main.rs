// SPDX-License-Identifier: MIT OR Apache-2.0

//! A system that tests processes: they start, talk, fail in every way there is, and are rebuilt.
//!
//! One child program plays all parts; its argument says which. Each case is reported in a line of its
//! own.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::{
    arch::HAS_EXECUTE_NEVER,
    cap::Budget,
    console_driver::{CLIENT_RIGHTS, ConsoleDriver},
    fault::Fault,
    prelude::*,
    process::{Builder, Process, Sharing},
    rt::Ending,
    service::{self, Payload},
    shared::SharedMemory,
    startup,
};

keel::root_task!(main);

/// What the cases have in common.
struct Stage<'a> {
    resources: &'a mut Resources,
    program: &'static [u8],
    console: Cap<Endpoint>,
    faults: Cap<Endpoint>,
    reply: Cap<Reply>,
    frozen: SharedMemory,
    page: SharedMemory,
}

type Case = fn(&mut Stage<'_>) -> keel::Result;

const CASES: &[(&str, Case)] = &[
    ("main-returns", |stage| stage.ends(b"return", |ending| *ending == Ending::Exit(0))),
    ("exit-code", |stage| stage.ends(b"exit", |ending| *ending == Ending::Exit(42))),
    ("main-fails", |stage| stage.ends(b"fail", |ending| is_failure(ending, "missing: a reason to go on"))),
    ("panics", |stage| {
        stage.ends(b"panic", |ending| matches!(ending, Ending::Panic(text) if text.as_str() == "on purpose"))
    }),
    ("own-thread-is-not-given", |stage| {
        stage.ends(b"own-thread", |ending| is_failure(ending, "the kernel refused: invalid capability 0"))
    }),
    ("heap-and-floats", |stage| stage.ends(b"heap", |ending| *ending == Ending::Exit(0))),
    ("prints-through-the-driver", |stage| stage.ends(b"print", |ending| *ending == Ending::Exit(0))),
    ("builds-children-itself", |stage| stage.ends(b"parent", |ending| *ending == Ending::Exit(0))),
    ("stray-read", |stage| stage.faults(b"read", |fault| is_access(fault, Some(0xdead_0000), false))),
    ("stray-jump", |stage| stage.faults(b"jump", |fault| is_access(fault, Some(0xdead_0000), true))),
    ("stack-has-an-end", |stage| stage.faults(b"overflow", |fault| is_access(fault, None, false))),
    ("code-is-read-only", |stage| stage.faults(b"write-code", |fault| is_access(fault, None, false))),
    ("frozen-is-read-only", |stage| stage.faults(b"write-frozen", |fault| is_access(fault, None, false))),
    ("data-does-not-run", |stage| stage.faults(b"run-data", |fault| is_access(fault, None, true))),
    ("capability-not-given", |stage| {
        stage.faults(b"capability", |fault| matches!(fault, Fault::Cap { address: 63, receiving: true, .. }))
    }),
    ("budget-has-an-end", |stage| {
        stage.faults(
            b"spin",
            |fault| matches!(fault, Fault::Timeout { badge: 9, consumed_us } if *consumed_us >= 2_000),
        )
    }),
    ("shared-memory", shared_memory),
    ("service", calculator),
    ("rebuilt-without-loss", rebuild),
];

fn main(root: &mut Root) -> keel::Result {
    let archive = keel::archive!()?;
    let driver = archive.program(root.console_driver()?)?;
    let console = ConsoleDriver::start(root, driver, 254)?;
    let resources = &mut root.resources;
    let program = archive.program("keel-processes-child")?;
    let faults = resources.allocate()?;
    let reply = resources.allocate()?;
    let frozen = SharedMemory::new(resources, program.len() as u64)?;
    frozen.view().write(0, program)?;
    let page = SharedMemory::new(resources, 4096)?;
    let console = console.endpoint;
    let mut stage = Stage { resources, program, console, faults, reply, frozen, page };
    let mut failed = 0;
    for (name, case) in CASES {
        if *name == "data-does-not-run" && !HAS_EXECUTE_NEVER {
            println!("case {name} skipped: all memory runs on this machine");
            continue;
        }
        match case(&mut stage) {
            Ok(()) => println!("case {name} ok"),
            Err(error) => {
                println!("case {name} failed: {error}");
                failed += 1;
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err("a case failed".into()) }
}

fn is_failure(ending: &Ending, expected: &str) -> bool {
    matches!(ending, Ending::Failure(text) if text.as_str() == expected)
}

fn is_access(fault: &Fault, expected: Option<u64>, expected_fetch: bool) -> bool {
    matches!(fault, Fault::Vm { address, fetch, .. }
        if expected.is_none_or(|expected| expected == *address) && *fetch == expected_fetch)
}

impl Stage<'_> {
    /// A child that plays this part, running.
    fn child(&mut self, part: &[u8]) -> keel::Result<Process> {
        let child = Builder::new(self.program)
            .priority(100)
            .max_controlled_priority(100)
            .budget(Budget::of(2_000, 20_000).badge(9))
            .argument(part)
            .grant_badged(startup::CONSOLE, self.console, CLIENT_RIGHTS, 2)
            .share("frozen", &self.frozen, Sharing::Frozen)
            .share("page", &self.page, Sharing::ReadWrite)
            .private(startup::HEAP, 4 << 20)
            .fault_endpoint(self.faults, 7);
        let child = match part {
            b"spin" => child.timeout_endpoint(self.faults, 7),
            b"parent" => child.means(22).cspace_radix(9).stack_bytes(256 << 10),
            _ => child,
        };
        let child = child.build(self.resources)?;
        child.start()?;
        Ok(child)
    }

    /// Runs a child to its end and judges its last message.
    fn watch(&mut self, part: &[u8], is_right: impl FnOnce(&Fault) -> bool) -> keel::Result {
        let child = self.child(part)?;
        let message = self.faults.recv(self.reply);
        let fault = Fault::decode(&message).ok_or("a message that is no fault")?;
        let is_right = message.badge == 7 && is_right(&fault);
        child.kill(self.resources)?;
        if !is_right {
            println!("from {}: {fault}", message.badge);
            return Err("it ended otherwise than expected".into());
        }
        Ok(())
    }

    fn ends(&mut self, part: &[u8], is_right: impl FnOnce(&Ending) -> bool) -> keel::Result {
        self.watch(part, |fault| fault.ending().is_some_and(|ending| is_right(&ending)))
    }

    fn faults(&mut self, part: &[u8], is_right: impl FnOnce(&Fault) -> bool) -> keel::Result {
        self.watch(part, is_right)
    }
}

/// A child adds up the bytes of one region and writes the sum into another.
fn shared_memory(stage: &mut Stage<'_>) -> keel::Result {
    let expected: u64 = stage.program.iter().map(|&byte| u64::from(byte)).sum();
    stage.page.view().write(8, &[0xff; 8])?;
    stage.ends(b"sum", |ending| *ending == Ending::Exit(0))?;
    let mut sum = [0; 8];
    stage.page.view().read(8, &mut sum)?;
    if u64::from_le_bytes(sum) == expected { Ok(()) } else { Err("wrong sum".into()) }
}

/// A child serves; requests of all sizes are answered or refused.
fn calculator(stage: &mut Stage<'_>) -> keel::Result {
    let endpoint = stage.resources.allocate::<Endpoint>()?;
    let reply = stage.resources.allocate::<Reply>()?;
    let child = Builder::new(stage.program)
        .argument(b"serve")
        .grant("endpoint", endpoint, Rights::READ)
        .grant("reply", reply, Rights::ALL)
        .build(stage.resources)?;
    child.start()?;
    let client = stage.resources.mint(endpoint, CLIENT_RIGHTS, 33)?;
    let mut answer = service::request(client, 1, Payload::new().with(40)?.with(2)?)?;
    let (sum, badge) = (answer.take()?, answer.take()?);
    let text: [u8; 952] = core::array::from_fn(|index| index as u8);
    let mut room = [0; 952];
    let mut answer = service::request(client, 2, Payload::new().with_bytes(&text)?)?;
    let reversed = answer.take_bytes(&mut room)?;
    let is_reversed = reversed.iter().rev().eq(text.iter());
    let refusals = [
        (3, Payload::new(), 3),
        (4, Payload::new(), 1),
        (1, Payload::new(), 2),
        (2, Payload::new().with(u64::MAX)?, 2),
    ];
    for (label, payload, refusal) in refusals {
        if service::request(client, label, payload).err() != Some(Error::Refused(refusal)) {
            return Err("a request was not refused".into());
        }
    }
    child.kill(stage.resources)?;
    stage.resources.discard(client.cptr())?;
    if (sum, badge, is_reversed) == (42, 33, true) { Ok(()) } else { Err("wrong answer".into()) }
}

/// Children come and go, some on their feet and some not, and nothing is lost.
fn rebuild(stage: &mut Stage<'_>) -> keel::Result {
    let count = |stage: &Stage<'_>| (stage.resources.memory.free_bytes(), stage.resources.slots.free());
    let before = count(stage);
    for round in 0..20 {
        let part: &[u8] = if round % 2 == 0 { b"return" } else { b"read" };
        stage.watch(part, |_| true)?;
    }
    let tiny = Builder::new(stage.program).private("all", 1 << 36).build(stage.resources);
    if !matches!(tiny, Err(Error::OutOfMemory(_))) {
        return Err("a process larger than the memory was built".into());
    }
    if count(stage) == before { Ok(()) } else { Err("memory or slots were lost".into()) }
}
