// SPDX-License-Identifier: MIT OR Apache-2.0

//! A process while it is built: its objects, its capabilities and its thread.

use super::{Process, Slot, builder::Builder, plan::Plan};
use crate::{
    arch::{ADDRESS_END, MAX_TABLES, abi::registers::TLS_BASE},
    cap::{Blueprint, CNode, CNodeData, CPtr, Cap, Endpoint, Registers, Rights, SchedParams, SlotPath},
    elf::Program,
    error::Result,
    resources::{Resources, sched_context},
    startup::{self, Grant, Name, Startup},
};

/// A process while it is built.
pub(super) struct Site<'s> {
    pub(super) resources: &'s mut Resources,
    pub(super) process: &'s Process,
    pub(super) plan: &'s Plan,
    stowed: u64,
    /// The span that the last page table of each level was mapped for, lowest level first. Pages are
    /// mapped in ascending order, so no earlier span comes again.
    pub(super) tables: [Option<u64>; MAX_TABLES],
}

impl<'s> Site<'s> {
    /// Where nothing stands yet.
    pub(super) fn new(resources: &'s mut Resources, process: &'s Process, plan: &'s Plan) -> Self {
        Self { resources, process, plan, stowed: 0, tables: [None; MAX_TABLES] }
    }

    pub(super) fn construct(&mut self, builder: &Builder<'_>, program: &Program<'_>) -> Result {
        if let Some(bits) = builder.means_bits {
            // First, where no alignment is lost; it waits in the Passing slot for the CSpace.
            self.make(Blueprint::Untyped { bits }, Slot::Passing)?;
        }
        self.make(Blueprint::CNode { radix: self.plan.attic_radix }, Slot::Attic)?;
        self.make(Blueprint::CNode { radix: builder.cspace_radix }, Slot::CSpace)?;
        self.make(Blueprint::Tcb, Slot::Tcb)?;
        if let Some(budget) = builder.budget {
            self.make(sched_context(budget.extra_refills), Slot::SchedContext)?;
        }
        self.make(Blueprint::VSpace, Slot::VSpace)?;
        self.resources.authority.asid_pool.assign(self.process.vspace())?;

        let mut page = Startup::empty();
        self.give_grants(builder, &mut page)?;
        self.give_means(builder, &mut page)?;
        self.map_image(program)?;
        self.map_stack()?;
        self.map_ipc_buffer(builder)?;
        self.describe_regions(builder, &mut page);
        page.argument[..builder.argument.len()].copy_from_slice(builder.argument);
        page.argument_len = builder.argument.len() as u64;
        self.map_startup(&page)?;
        self.map_regions(builder)?;
        self.set_up_thread(builder, program.entry())
    }

    pub(super) fn path(&self, slot: Slot) -> SlotPath {
        self.resources.path(self.process.slot(slot))
    }

    /// A slot of the child's CSpace.
    fn child_slot(&self, builder: &Builder<'_>, slot: u64) -> SlotPath {
        self.process.cspace().slot(slot, builder.cspace_radix.into())
    }

    /// Makes an object of the process's memory.
    pub(super) fn make(&mut self, blueprint: Blueprint, slot: Slot) -> Result<CPtr> {
        let cptr = self.process.slot(slot);
        let cnode = self.resources.authority.cnode;
        self.process.untyped.retype(blueprint, cnode, 0, 0, cptr.bits(), 1)?;
        Ok(cptr)
    }

    /// Moves a capability into the attic.
    pub(super) fn stow(&mut self, cptr: CPtr) -> Result {
        let attic = self.process.slot(Slot::Attic).cap::<CNode>();
        let place = attic.slot(self.stowed, self.plan.attic_radix.into());
        place.move_from(self.resources.path(cptr))?;
        self.stowed += 1;
        Ok(())
    }

    fn give_grants(&mut self, builder: &Builder<'_>, page: &mut Startup) -> Result {
        for (index, grant) in builder.grants.iter().flatten().enumerate() {
            let (slot, source) = (self.child_slot(builder, grant.slot), self.resources.path(grant.cptr));
            match grant.data {
                Some(data) => slot.mint_from(source, grant.rights, data)?,
                None => slot.copy_from(source, grant.rights)?,
            }
            page.grants[index] = Grant { name: Name::new(grant.name), slot: grant.slot };
            page.grant_count += 1;
        }
        Ok(())
    }

    /// Gives the child what it builds with, in the slots behind the grants.
    fn give_means(&mut self, builder: &Builder<'_>, page: &mut Startup) -> Result {
        let Some(bits) = builder.means_bits else { return Ok(()) };
        let first = builder.first_free_slot();
        let (own, authority) = (self.process, self.resources.authority);
        self.child_slot(builder, first).move_from(self.path(Slot::Passing))?;
        let copies = [
            own.vspace().cptr(),
            own.tcb().cptr(),
            authority.asid_pool.cptr(),
            authority.sched_control.cptr(),
        ];
        for (slot, source) in (first + 1..).zip(copies) {
            self.child_slot(builder, slot).copy_from(self.resources.path(source), Rights::ALL)?;
        }
        let cnode = first + 1 + copies.len() as u64;
        let guard = CNodeData::new(0, 64 - u64::from(builder.cspace_radix)).word();
        self.child_slot(builder, cnode).mint_from(self.path(Slot::CSpace), Rights::ALL, guard)?;
        page.means = startup::Means {
            untyped: first,
            untyped_bits: bits.into(),
            vspace: first + 1,
            tcb: first + 2,
            asid_pool: first + 3,
            sched_control: first + 4,
            cnode,
            first_slot: cnode + 1,
            end_slot: 1 << builder.cspace_radix,
            first_address: self.plan.first_free,
            end_address: ADDRESS_END,
        };
        Ok(())
    }

    fn set_up_thread(&mut self, builder: &Builder<'_>, entry: u64) -> Result {
        let tcb = self.process.tcb();
        let sched_context = match builder.budget {
            Some(budget) => {
                let context = self.process.sched_context();
                self.resources.authority.sched_control.configure(context, budget)?;
                context
            }
            None => Cap::null(),
        };
        let fault_endpoint = self.mint_fault_endpoint(builder.fault_endpoint)?;
        tcb.set_sched_params(SchedParams {
            authority: self.resources.authority.tcb,
            max_controlled_priority: builder.max_controlled_priority,
            priority: builder.priority,
            sched_context,
            fault_endpoint,
        })?;
        self.path(Slot::Passing).delete()?;
        if builder.timeout_endpoint.is_some() {
            let endpoint = self.mint_fault_endpoint(builder.timeout_endpoint)?;
            tcb.set_timeout_endpoint(endpoint)?;
            self.path(Slot::Passing).delete()?;
        }
        if let Some(notification) = builder.notification {
            tcb.bind_notification(notification)?;
        }
        let registers = Registers::starting_at(entry, self.plan.stack.end, self.plan.startup)
            .with(TLS_BASE, self.plan.ipc_buffer);
        Ok(tcb.write_registers(&registers, false)?)
    }

    /// Puts the badged endpoint of a fault handler into the Passing slot. The thread keeps its own copy,
    /// so this one goes again.
    fn mint_fault_endpoint(&mut self, handler: Option<(Cap<Endpoint>, u64)>) -> Result<Cap<Endpoint>> {
        let Some((endpoint, badge)) = handler else { return Ok(Cap::null()) };
        let source = self.resources.path(endpoint.cptr());
        self.path(Slot::Passing).mint_from(source, Rights::WRITE | Rights::GRANT_REPLY, badge)?;
        Ok(self.process.slot(Slot::Passing).cap())
    }
}
