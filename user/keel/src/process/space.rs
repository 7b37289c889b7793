// SPDX-License-Identifier: MIT OR Apache-2.0

//! The address space of a process while it is built.

use core::ops::Range;

use super::{
    Slot,
    builder::{Builder, RegionSource},
    site::Site,
};
use crate::{
    arch::TABLES,
    cap::{Attributes, Blueprint, CNodeData, Cap, Frame, Rights},
    elf::{Access, Program},
    error::Result,
    ipc,
    resources::{PAGE_BYTES, table_span_bits},
    shared::with_frame,
    startup::{Name, Region, RegionKind, Startup},
};

impl Site<'_> {
    pub(super) fn map_image(&mut self, program: &Program<'_>) -> Result {
        for segment in program.segments() {
            let (rights, attributes) = match segment.access {
                Access::Read => (Rights::READ, Attributes::DATA),
                Access::ReadWrite => (Rights::READ_WRITE, Attributes::DATA),
                Access::Execute => (Rights::READ, Attributes::CODE),
            };
            for page in segment.pages().step_by(PAGE_BYTES as usize) {
                self.map_page(page, rights, attributes, |bytes| segment.fill_page(page, bytes))?;
            }
        }
        Ok(())
    }

    pub(super) fn map_stack(&mut self) -> Result {
        for page in self.plan.stack.clone().step_by(PAGE_BYTES as usize) {
            self.make(Blueprint::SmallPage, Slot::Passing)?;
            self.map(page, PAGE_BYTES, Rights::READ_WRITE, Attributes::DATA)?;
        }
        Ok(())
    }

    /// Maps the IPC buffer and gives the thread its spaces: the buffer's capability is at hand now.
    pub(super) fn map_ipc_buffer(&mut self, builder: &Builder<'_>) -> Result {
        let frame = self.make(Blueprint::SmallPage, Slot::Passing)?.cap();
        let address = self.plan.ipc_buffer;
        with_frame(self.resources, frame, |bytes| ipc::write_own_address(bytes, address))?;
        let guard = CNodeData::new(0, 64 - u64::from(builder.cspace_radix));
        let (cspace, vspace) = (self.process.cspace(), self.process.vspace());
        self.process.tcb().configure(cspace, guard, vspace, address, frame)?;
        self.map(address, PAGE_BYTES, Rights::READ_WRITE, Attributes::DATA)
    }

    pub(super) fn map_startup(&mut self, page: &Startup) -> Result {
        self.map_page(self.plan.startup, Rights::READ, Attributes::DATA, |bytes| page.write_to(bytes))
    }

    /// Writes onto the startup page what [`Self::map_regions`] will map.
    pub(super) fn describe_regions(&self, builder: &Builder<'_>, page: &mut Startup) {
        let requests = builder.regions.iter().flatten().zip(&self.plan.regions);
        for (place, (request, &address)) in page.regions.iter_mut().zip(requests) {
            let (name, size, kind) = (Name::new(request.name), request.size(), request.kind());
            *place = Region { name, address, size, kind };
            page.region_count += 1;
        }
    }

    pub(super) fn map_regions(&mut self, builder: &Builder<'_>) -> Result {
        for (request, &address) in builder.regions.iter().flatten().zip(&self.plan.regions) {
            let (size, page) = request.extent();
            match request.source {
                RegionSource::Shared(memory, kind) => {
                    let rights = if kind == RegionKind::Shared { Rights::READ_WRITE } else { Rights::READ };
                    for (frame, offset) in memory.frames() {
                        self.map_copy(frame, address + offset, page, rights, Attributes::DATA)?;
                    }
                }
                RegionSource::Device(frame) => {
                    self.map_copy(frame, address, page, Rights::READ_WRITE, Attributes::DEVICE)?
                }
                RegionSource::Private(_) => self.map_private(address..address + size, page)?,
            }
        }
        Ok(())
    }

    fn map_copy(
        &mut self,
        frame: Cap<Frame>,
        vaddr: u64,
        page_bytes: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result {
        self.path(Slot::Passing).copy_from(self.resources.path(frame.cptr()), rights)?;
        self.map(vaddr, page_bytes, rights, attributes)
    }

    fn map_private(&mut self, range: Range<u64>, page: u64) -> Result {
        let blueprint = if page == PAGE_BYTES { Blueprint::SmallPage } else { Blueprint::LargePage };
        for vaddr in range.step_by(page as usize) {
            self.make(blueprint, Slot::Passing)?;
            self.map(vaddr, page, Rights::READ_WRITE, Attributes::DATA)?;
        }
        Ok(())
    }

    /// Makes a page with this content and maps it.
    fn map_page(
        &mut self,
        vaddr: u64,
        rights: Rights,
        attributes: Attributes,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result {
        let frame = self.make(Blueprint::SmallPage, Slot::Passing)?;
        with_frame(self.resources, frame.cap(), fill)?;
        self.map(vaddr, PAGE_BYTES, rights, attributes)
    }

    /// Maps the frame in the Passing slot into the child and stows it.
    fn map(&mut self, vaddr: u64, page_bytes: u64, rights: Rights, attributes: Attributes) -> Result {
        self.map_tables(vaddr, page_bytes)?;
        let frame = self.process.slot(Slot::Passing).cap::<Frame>();
        frame.map(self.process.vspace(), vaddr, rights, attributes)?;
        if attributes == Attributes::CODE {
            frame.make_executable(page_bytes)?;
        }
        self.stow(frame.cptr())
    }

    /// Maps the page tables above a page that are not there yet, from the root down.
    fn map_tables(&mut self, vaddr: u64, page_bytes: u64) -> Result {
        for (level, kind) in TABLES.iter().enumerate().rev() {
            let shift = table_span_bits(level);
            let span = Some(vaddr >> shift);
            if page_bytes >> shift == 0 && self.tables[level] != span {
                let table = self.make(kind.blueprint, Slot::Table)?;
                kind.map(table, self.process.vspace(), vaddr)?;
                self.stow(table)?;
                self.tables[level] = span;
            }
        }
        Ok(())
    }
}
