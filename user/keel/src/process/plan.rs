// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where everything goes in a process, decided before anything is made.

use core::ops::Range;

use super::builder::{Builder, RegionSource};
use crate::{
    arch::{ADDRESS_END, MAX_TABLES},
    cap::Blueprint,
    elf::Program,
    error::{Error, Result},
    resources::{LARGE_PAGE_BYTES, PAGE_BYTES, sched_context, table_span_bits},
    startup::MAX_REGIONS,
};

/// Where everything goes in a process, and how much of everything it needs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) stack: Range<u64>,
    pub(super) ipc_buffer: u64,
    pub(super) startup: u64,
    pub(super) regions: [u64; MAX_REGIONS],
    pub(super) first_free: u64,
    pub(super) attic_radix: u8,
    pub(super) memory_bits: u8,
}

impl Plan {
    pub(super) fn new(builder: &Builder<'_>, program: &Program<'_>) -> Result<Self> {
        let mut next = program.pages().end;
        let mut place = |size: u64, align: u64| -> Result<u64> {
            let start = (next + PAGE_BYTES).checked_next_multiple_of(align);
            let start = start.filter(|&start| size < ADDRESS_END && start < ADDRESS_END - size);
            let start = start.ok_or(Error::OutOfAddresses)?;
            next = start + size;
            Ok(start)
        };
        let stack_bytes =
            builder.stack_bytes.max(1).checked_next_multiple_of(PAGE_BYTES).ok_or(Error::OutOfAddresses)?;
        let stack = place(stack_bytes, PAGE_BYTES)?;
        let ipc_buffer = place(PAGE_BYTES, PAGE_BYTES)?;
        let startup = place(PAGE_BYTES, PAGE_BYTES)?;
        let mut regions = [0; MAX_REGIONS];
        for (address, region) in regions.iter_mut().zip(builder.regions.iter().flatten()) {
            let (size, align) = region.extent();
            *address = place(size, align)?;
        }
        let first_free = place(0, LARGE_PAGE_BYTES)?;

        let image = program.segments().iter().map(|segment| segment.pages().count() as u64);
        let pages = image.map(|bytes| bytes / PAGE_BYTES).sum::<u64>() + stack_bytes / PAGE_BYTES + 2;
        let tables = tables_for(program.pages().start..first_free);
        let mut small = pages + tables;
        let (mut large, mut shared) = (0, 0);
        for region in builder.regions.iter().flatten() {
            let (size, page) = region.extent();
            match region.source {
                RegionSource::Private(_) if page == PAGE_BYTES => small += size / page,
                RegionSource::Private(_) => large += size / page,
                RegionSource::Shared(..) | RegionSource::Device(_) => shared += size / page,
            }
        }
        let attic_radix = (small + large + shared).next_power_of_two().ilog2().max(1) as u8;
        let context = builder.budget.map(|budget| sched_context(budget.extra_refills));
        let cspace = Blueprint::CNode { radix: builder.cspace_radix };
        let mut watermark = Watermark(0);
        watermark.add(builder.means_bits.map(|bits| Blueprint::Untyped { bits }), 1);
        watermark.add(Some(Blueprint::CNode { radix: attic_radix }), 1);
        watermark.add(Some(cspace), 1);
        watermark.add(Some(Blueprint::Tcb), 1);
        watermark.add(context, 1);
        watermark.add(Some(Blueprint::VSpace), 1);
        watermark.add(Some(Blueprint::SmallPage), small);
        watermark.add(Some(Blueprint::LargePage), large);
        let memory_bits = watermark.0.checked_next_power_of_two().ok_or(Error::OutOfMemory(64))?;
        let memory_bits = memory_bits.ilog2() as u8;
        Ok(Self {
            stack: stack..stack + stack_bytes,
            ipc_buffer,
            startup,
            regions,
            first_free,
            attic_radix,
            memory_bits,
        })
    }
}

/// Page tables that all of a range could need.
fn tables_for(range: Range<u64>) -> u64 {
    let spans = |shift: u32| ((range.end - 1) >> shift) - (range.start >> shift) + 1;
    (0..MAX_TABLES).map(|level| spans(table_span_bits(level))).sum()
}

/// How full an Untyped gets: the kernel's own rule.
struct Watermark(u64);

impl Watermark {
    fn add(&mut self, blueprint: Option<Blueprint>, count: u64) {
        if let Some(blueprint) = blueprint.filter(|_| count > 0) {
            let size = 1_u64 << blueprint.memory_bits().min(47);
            self.0 = self.0.next_multiple_of(size).saturating_add(size.saturating_mul(count));
        }
    }
}
