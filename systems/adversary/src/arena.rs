// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where attacks take place: the objects that they share, and how one is measured.

use keel::boot::Root;
use keel::cap::{CPtr, Cap, Endpoint, FixedSize, Notification, Rights, SlotPath};
use keel::println;
use keel::resources::Resources;
use keel_abi::syscall::WAIT;

use crate::machine;
use crate::puppet::{Call, Crowd};
use crate::watch::Watch;

/// The sizes of states.
pub const SIZES: [u64; 4] = [10, 100, 1_000, 10_000];
/// The greatest of them.
pub const MOST: u64 = SIZES[SIZES.len() - 1];

/// Threads and slots beyond.
const SPARE: u64 = 128;

/// Strokes of an attack that costs little; one that costs much makes fewer.
const MOST_STROKES: u64 = 256;
/// About so many instructions are spent on the strokes of one attack and size, but at least on a few.
const SPENT: u64 = 16_000_000;
const LEAST_STROKES: u64 = 8;

/// Everything that attacks share.
pub struct Arena<'a> {
    /// What is free.
    pub resources: &'a mut Resources,
    /// Measures latencies.
    pub watch: Watch,
    /// Threads.
    pub crowd: Crowd,
    /// The first of the empty slots, [`MOST`] and some more.
    slots: u64,
    /// What nobody signals.
    silence: Cap<Notification>,
}

impl<'a> Arena<'a> {
    /// Makes it.
    pub fn new(root: &'a mut Root) -> keel::Result<Self> {
        let resources = &mut root.resources;
        let watch = Watch::new(resources)?;
        let crowd = Crowd::new(resources, MOST + SPARE)?;
        let slots = resources.slots.allocate_range(MOST + SPARE)?;
        let silence = resources.allocate()?;
        Ok(Self { resources, watch, crowd, slots, silence })
    }

    /// One of the empty slots.
    pub const fn slot(&self, index: u64) -> CPtr {
        CPtr::new(self.slots + index)
    }

    /// The same, as the place of a capability.
    pub const fn path(&self, index: u64) -> SlotPath {
        keel::boot::CNODE.path(self.slot(index))
    }

    /// The call of a thread that has nothing to do any more.
    pub const fn parked(&self) -> Call {
        Call::new(WAIT, self.silence.cptr())
    }

    /// A new object of a kind that has one size.
    pub fn make<T: FixedSize>(&mut self) -> keel::Result<Cap<T>> {
        self.resources.allocate()
    }

    /// A new endpoint, and a capability to it with badge 1.
    pub fn badged_endpoint(&mut self) -> keel::Result<(Cap<Endpoint>, Cap<Endpoint>)> {
        let endpoint = self.make()?;
        Ok((endpoint, self.resources.mint(endpoint, Rights::ALL, 1)?))
    }

    /// Measures an attack on a state of `size` parts: `prepare` makes the state for the next stroke, which `strike`
    /// does.
    pub fn attack(
        &mut self,
        name: &str,
        size: u64,
        mut prepare: impl FnMut(&mut Self) -> keel::Result,
        mut strike: impl FnMut(&mut Self) -> keel::Result,
    ) -> keel::Result {
        prepare(self)?;
        let begin = machine::now();
        strike(self)?;
        let cost = machine::now() - begin;
        let prepared = machine::now();
        prepare(self)?;
        let spent = cost + (machine::now() - prepared);
        self.watch.take();
        let strokes = (SPENT / spent).clamp(LEAST_STROKES, MOST_STROKES);
        for stroke in 0..strokes {
            if stroke > 0 {
                prepare(self)?;
            }
            let first = self.watch.phase(cost);
            let watch = self.watch;
            watch.during(first, || strike(self))?;
        }
        let latency = self.watch.take();
        println!("adversary attack {name} {size} {cost} {} {}", latency.longest, latency.samples);
        Ok(())
    }
}
