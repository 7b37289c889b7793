// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of objects: making and deleting them, copying capabilities, mapping pages, threads.

use keel::arch::abi::registers::TLS_BASE;
use keel::boot::{CNODE, Root, TCB, VSPACE};
use keel::cap::{
    Attributes, Blueprint, CNodeData, CPtr, Cap, Endpoint, Frame, Registers, Rights, SchedParams, Tcb,
    Untyped, VSpace,
};
use keel::resources::{PAGE_BYTES, Resources, map_with, sched_context};

use crate::pair::{self, BUDGET, LOWER, Server};
use crate::report::operations;
use crate::window;

/// All of them.
pub fn measure(root: &mut Root, server: &Server) -> keel::Result {
    let resources = &mut root.resources;
    retype(resources)?;
    deletion(resources)?;
    let slots = resources.slots.allocate_range(COPIES)?;
    copies::<1>(resources, slots, ["cnode_copy_1", "cnode_delete_1", "cnode_mint_1", "cnode_revoke_1"])?;
    copies::<16>(resources, slots, ["cnode_copy_16", "cnode_delete_16", "cnode_mint_16", "cnode_revoke_16"])?;
    copies::<256>(
        resources,
        slots,
        ["cnode_copy_256", "cnode_delete_256", "cnode_mint_256", "cnode_revoke_256"],
    )?;
    moves(resources)?;
    pages(resources, VSPACE, ["page_map_4K", "page_unmap_4K_touched"])?;
    pages(resources, server.vspace, ["page_map_4K_other_vspace", "page_unmap_4K_other_vspace"])?;
    threads(resources)
}

/// Most copies that are made of a capability.
const COPIES: u64 = 256;

/// Retype, each time of memory that nothing has been made of.
fn retype(resources: &mut Resources) -> keel::Result {
    let kinds = [
        ("retype_1_page", Blueprint::SmallPage, 1),
        ("retype_1_endpoint", Blueprint::Endpoint, 1),
        ("retype_16_endpoints", Blueprint::Endpoint, 16),
        ("tcb_retype", Blueprint::Tcb, 1),
    ];
    for (name, blueprint, count) in kinds {
        let untyped = resources.untyped(20)?;
        let slots = 80 * count;
        let first = resources.slots.allocate_range(slots)?;
        let mut next = first;
        operations([name], || {
            let (window, result) = window::of(|| untyped.retype(blueprint, CNODE, 0, 0, next, count));
            result?;
            next += count;
            Ok([window])
        })?;
        resources.release_untyped(untyped)?;
        (first..first + slots).for_each(|slot| resources.slots.release(slot));
    }
    let untyped = resources.untyped(12)?;
    let slot = resources.slot()?;
    operations(["retype_1_page_reset_zero4K"], || {
        untyped.retype(Blueprint::SmallPage, CNODE, 0, 0, slot.bits(), 1)?;
        CNODE.path(slot).delete()?;
        let retype = || untyped.retype(Blueprint::SmallPage, CNODE, 0, 0, slot.bits(), 1);
        let (window, result) = window::of(retype);
        result?;
        CNODE.path(slot).delete()?;
        Ok([window])
    })?;
    resources.slots.release(slot.bits());
    resources.release_untyped(untyped)
}

/// Deletion of the last capability.
fn deletion(resources: &mut Resources) -> keel::Result {
    let kinds =
        [("delete_page_unmapped_last", Blueprint::SmallPage), ("delete_endpoint_last", Blueprint::Endpoint)];
    for (name, blueprint) in kinds {
        let untyped = resources.untyped(12)?;
        let slot = resources.slot()?;
        operations([name], || {
            untyped.retype(blueprint, CNODE, 0, 0, slot.bits(), 1)?;
            let (window, result) = window::of(|| CNODE.path(slot).delete());
            result?;
            Ok([window])
        })?;
        resources.slots.release(slot.bits());
        resources.release_untyped(untyped)?;
    }
    Ok(())
}

/// Copy, Delete, Mint and Revoke of `N` capabilities to an endpoint, in the slots from `first` on.
fn copies<const N: u64>(resources: &mut Resources, first: u64, names: [&str; 4]) -> keel::Result {
    let source = CNODE.path(resources.allocate::<Endpoint>()?.cptr());
    let slots = || (first..first + N).map(|slot| CNODE.path(CPtr::new(slot)));
    operations(names, || {
        let (copy, copied) = window::of(|| slots().try_for_each(|slot| slot.copy_from(source, Rights::ALL)));
        copied?;
        let (delete, deleted) = window::of(|| slots().try_for_each(|slot| slot.delete()));
        deleted?;
        let (mint, minted) =
            window::of(|| slots().try_for_each(|slot| slot.mint_from(source, Rights::ALL, 1)));
        minted?;
        let (revoke, revoked) = window::of(|| source.revoke());
        revoked?;
        Ok([copy, delete, mint, revoke])
    })
}

/// Revoke of nothing, and Move.
fn moves(resources: &mut Resources) -> keel::Result {
    let source = CNODE.path(resources.allocate::<Endpoint>()?.cptr());
    let destination = CNODE.path(resources.slot()?);
    operations(["cnode_revoke_0"], || {
        let (window, result) = window::of(|| source.revoke());
        result?;
        Ok([window])
    })?;
    operations(["cnode_move"], || {
        let (window, result) = window::of(|| destination.move_from(source));
        result?;
        source.move_from(destination)?;
        Ok([window])
    })
}

/// Mapping and unmapping a page, whose tables are there.
fn pages(resources: &mut Resources, vspace: Cap<VSpace>, names: [&str; 2]) -> keel::Result {
    let frame = resources.allocate_frame()?;
    let address = resources.addresses.allocate(PAGE_BYTES, PAGE_BYTES)?.start;
    let (rights, data) = (Rights::READ_WRITE, Attributes::DATA);
    map_with(vspace, frame, address, rights, data, |blueprint| resources.make(blueprint))?;
    frame.unmap()?;
    operations(names, || {
        let (map, mapped) = window::of(|| frame.map(vspace, address, rights, data));
        mapped?;
        if vspace == VSPACE {
            window::touch(address);
        }
        let (unmap, unmapped) = window::of(|| frame.unmap());
        unmapped?;
        Ok([map, unmap])
    })
}

/// What a thread is made with.
struct Thread {
    untyped: Cap<Untyped>,
    tcb: Cap<Tcb>,
    buffer: Cap<Frame>,
    buffer_address: u64,
    params: SchedParams,
    registers: Registers,
}

impl Thread {
    #[inline(always)]
    fn create(&self) -> keel::cap::Invoked {
        self.untyped.retype(Blueprint::Tcb, CNODE, 0, 0, self.tcb.cptr().bits(), 1)
    }

    #[inline(always)]
    fn configure(&self) -> keel::cap::Invoked {
        self.tcb.configure(CNODE, CNodeData::default(), VSPACE, self.buffer_address, self.buffer)
    }

    fn delete(&self) -> keel::Result {
        Ok(CNODE.path(self.tcb.cptr()).delete()?)
    }
}

/// From a thread's beginning to its end. It is of lower priority and never runs.
fn threads(resources: &mut Resources) -> keel::Result {
    let context = resources.make(sched_context(0))?.cap();
    resources.authority.sched_control.configure(context, BUDGET)?;
    let buffer = resources.allocate_frame()?;
    let params = SchedParams {
        authority: TCB,
        max_controlled_priority: LOWER,
        priority: LOWER,
        sched_context: context,
        fault_endpoint: pair::endpoint(),
    };
    let untyped = resources.untyped(19)?;
    // As long as one object is left, the memory is not reset: each thread is made of fresh memory.
    resources.make_from(untyped, Blueprint::Endpoint)?;
    let thread = Thread {
        untyped,
        tcb: resources.slot()?.cap(),
        buffer_address: resources.map_frames(buffer.cptr(), 1, Attributes::DATA)?.start,
        buffer,
        params,
        registers: Registers::starting_at(0x1000, 0x2000, 3)
            .with(window::SAVED_REGISTER, 4)
            .with(TLS_BASE, 5),
    };
    operations(
        [
            "tcb_configure",
            "tcb_set_sched_params_sc",
            "tcb_write_registers",
            "tcb_resume",
            "tcb_set_priority",
            "tcb_suspend",
            "tcb_delete_last",
        ],
        || {
            thread.create()?;
            let tcb = thread.tcb;
            let (configure, configured) = window::of(|| thread.configure());
            let (set_params, params_set) = window::of(|| tcb.set_sched_params(thread.params));
            let (write, written) = window::of(|| tcb.write_registers(&thread.registers, false));
            let (resume, resumed) = window::of(|| tcb.resume());
            let (set_priority, priority_set) = window::of(|| tcb.set_priority(TCB, LOWER - 1));
            let (suspend, suspended) = window::of(|| tcb.suspend());
            let (delete, deleted) = window::of(|| CNODE.path(tcb.cptr()).delete());
            [configured, params_set, written, resumed, priority_set, suspended, deleted]
                .into_iter()
                .collect::<Result<(), _>>()?;
            Ok([configure, set_params, write, resume, set_priority, suspend, delete])
        },
    )?;
    operations(["tcb_create_conf_sched_regs_resume"], || {
        let (window, result) = window::of(|| {
            thread.create()?;
            thread.configure()?;
            thread.tcb.set_sched_params(thread.params)?;
            thread.tcb.write_registers(&thread.registers, false)?;
            thread.tcb.resume()
        });
        result?;
        thread.delete()?;
        Ok([window])
    })?;
    let control = resources.authority.sched_control;
    operations(["sched_control_configure"], || {
        let (window, result) = window::of(|| control.configure(context, BUDGET));
        result?;
        Ok([window])
    })
}
