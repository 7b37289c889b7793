// SPDX-License-Identifier: MIT OR Apache-2.0

//! Random system calls against the kernel, for as long as asked.
//!
//! The root task is the *shooter*. In a sandbox made of one untyped it keeps a few *puppets*, threads that hold
//! capabilities to nearly everything: to themselves and each other, to time, memory, address spaces, interrupts and
//! endpoints. Again and again it fills a puppet's registers and IPC buffer with words that are random, but of the
//! kinds that the kernel looks at, and lets it make one system call:
//!
//! ```text
//!   shooter (255) ── registers, buffer, resume ──▶ puppet (100): svc, then an undefined instruction
//!      ▲   ▲                                          │ fault: the call came back
//!      │   └──────────────────────────────────────────┘
//!      └── signal ── watch (1): runs when all puppets wait, sleep or are gone
//! ```
//!
//! Now and then the sandbox is revoked, as it stands, and built anew. In a debug kernel DebugSnapshot audits the
//! kernel's state ([`AUDITS`] times in a run). A kernel that is broken says so and stops, or stops answering.
//!
//! The input says how many calls and which seed: `calls=100000 seed=1`. The same input makes the same calls.
//! DebugHalt alone is left out.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod aim;
mod random;
mod sandbox;

use aim::Aim;
use keel::cap::{Budget, CPtr, SchedParams};
use keel::prelude::*;
use keel::{boot, sys};
use random::Random;
use sandbox::Sandbox;

keel::root_task!(main);

/// Audits in a run.
const AUDITS: u64 = 100;
/// Calls between two sandboxes, at most.
const CALLS_PER_SANDBOX: u64 = 600;

/// The badge by which the watch tells that nobody runs.
const QUIET: u64 = 1 << 62;

fn main(root: &mut Root) -> keel::Result {
    let (calls, seed) = orders()?;
    let image = (root.boot.ipc_buffer & !0xfff) - (root.boot.user_image_frames.len() << 12);
    let frames = Frames { first: root.boot.user_image_frames.start, image };
    let resources = &mut root.resources;
    let bell = resources.allocate::<keel::cap::Notification>()?;
    let ring = resources.mint(bell, Rights::ALL, QUIET)?;
    boot::TCB.bind_notification(bell)?;
    start_watch(resources, ring)?;
    let mut sandbox = Sandbox::prepare(resources, frames)?;
    let mut random = Random::new(seed);
    let mut left = 0;
    for call in 0..calls {
        if left == 0 {
            sandbox.rebuild()?;
            left = 1 + random.below(CALLS_PER_SANDBOX);
        }
        left = if shoot(&sandbox, &mut random) { left - 1 } else { 0 };
        if call % (calls / AUDITS + 1) == 0 {
            sys::debug::snapshot();
        }
    }
    sys::debug::snapshot();
    println!("\n{calls} calls with seed {seed}, in {} sandboxes", sandbox.built());
    Ok(())
}

/// What the input asks for.
fn orders() -> keel::Result<(u64, u64)> {
    let archive = keel::archive!()?;
    let text = archive.find("input").and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default();
    let number = |name: &str| {
        let value = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok())
    };
    Ok((number("calls").unwrap_or(10_000), number("seed").unwrap_or(1)))
}

/// Lets a puppet make a call; whether the sandbox is still good for another.
fn shoot(sandbox: &Sandbox, random: &mut Random) -> bool {
    let puppet = random.below(sandbox::PUPPETS as u64) as usize;
    let aim = Aim::take(random);
    sandbox.load_buffer(puppet, random);
    if sandbox.tcb(puppet).write_registers(&aim.registers(), true).is_err() {
        return false;
    }
    // Faults of puppets come first; when the watch runs, all is quiet. At most one fault for each puppet comes
    // between, unless puppets resume each other, which they do not do for ever.
    while sys::recv(sandbox.faults().cptr(), sandbox.reply().cptr()).badge & QUIET == 0 {}
    true
}

/// Starts the thread that rings whenever nobody else runs.
fn start_watch(resources: &mut keel::Resources, ring: Cap<keel::cap::Notification>) -> keel::Result {
    let watch = resources.allocate::<keel::cap::Tcb>()?;
    let time = resources.allocate_sched_context(0)?;
    resources.authority.sched_control.configure(time, Budget::round_robin(10_000))?;
    watch.configure(boot::CNODE, Default::default(), boot::VSPACE, 0, Cap::null())?;
    watch.set_sched_params(SchedParams {
        authority: boot::TCB,
        max_controlled_priority: 1,
        priority: 1,
        sched_context: time,
        fault_endpoint: Cap::null(),
    })?;
    watch.write_registers(&aim::watch(ring.cptr()), true)?;
    Ok(())
}

/// Where the root task's own frames are.
#[derive(Clone, Copy)]
pub struct Frames {
    /// The first one's capability.
    first: u64,
    /// The first one's address.
    image: u64,
}

impl Frames {
    /// The frame of the image's page at `address`.
    fn at(self, address: u64) -> Cap<keel::cap::Frame> {
        CPtr::new(self.first + ((address - self.image) >> 12)).cap()
    }
}
