// SPDX-License-Identifier: MIT OR Apache-2.0

//! Much memory: clearing it, making many objects of it, taking address spaces apart.

use keel::boot::{ASID_CONTROL, CNODE};
use keel::cap::{
    ASID_POOL_BITS, AsidPool, Attributes, Blueprint, CPtr, Cap, Frame, PageTable, Rights, Untyped, VSpace,
};
use keel::resources::{PAGE_BYTES, map_with};

use crate::arena::{Arena, SIZES};
use crate::machine;

/// Most objects that one Retype makes.
const FAN_OUT: u64 = keel_abi::object::RETYPE_FAN_OUT_LIMIT;
/// Spaces that a pool has room for, less the one that no pool gives out.
const SPACES: u64 = 511;
/// Where pages are mapped in address spaces that nobody runs in.
const ADDRESS: u64 = 0x1000_0000;
/// Pages below one table.
const TABLE_PAGES: u64 = 512;

/// All of them.
pub fn all(arena: &mut Arena<'_>) -> keel::Result {
    for size in SIZES {
        clearing(arena, size)?;
        mapped_space(arena, size)?;
    }
    for size in [10, 100, FAN_OUT] {
        fan_out(arena, "retype_endpoints", Blueprint::Endpoint, size)?;
        fan_out(arena, "retype_threads", Blueprint::Tcb, size)?;
        fan_out(arena, "retype_frames", Blueprint::SmallPage, size)?;
        fan_out(arena, "retype_cnodes", Blueprint::CNode { radix: 4 }, size)?;
    }
    for size in [10, 100, SPACES] {
        identifiers(arena, size)?;
        full_table(arena, size)?;
    }
    for size in [1, 16, 128, 512] {
        machine::maintain_caches(arena, size)?;
    }
    Ok(())
}

/// Retype of memory that was used before: so many pages are cleared first.
fn clearing(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let bits = (size * PAGE_BYTES).next_power_of_two().ilog2() as u8;
    let untyped = arena.resources.untyped(bits)?;
    let path = CNODE.path(untyped.cptr());
    let slot = arena.slot(0).bits();
    arena.attack(
        "clear_pages",
        size,
        |_| {
            // What is taken up to here is not clear any more.
            path.revoke()?;
            let half = Blueprint::Untyped { bits: bits - 1 };
            untyped.retype(half, CNODE, 0, 0, slot, 2)?;
            Ok(path.revoke()?)
        },
        |_| Ok(untyped.retype(Blueprint::Endpoint, CNODE, 0, 0, slot, 1)?),
    )?;
    arena.resources.release_untyped(untyped)
}

/// Retype of many objects.
fn fan_out(arena: &mut Arena<'_>, name: &str, blueprint: Blueprint, size: u64) -> keel::Result {
    let bytes = (size << blueprint.memory_bits()).next_power_of_two();
    let untyped = arena.resources.untyped(bytes.ilog2() as u8)?;
    let path = CNODE.path(untyped.cptr());
    let slot = arena.slot(0).bits();
    arena.attack(
        name,
        size,
        |_| Ok(path.revoke()?),
        |_| Ok(untyped.retype(blueprint, CNODE, 0, 0, slot, size)?),
    )?;
    arena.resources.release_untyped(untyped)
}

/// An address space with its identifier, in `slot`.
fn make_space(arena: &mut Arena<'_>, untyped: Cap<Untyped>, slot: u64) -> keel::Result<Cap<VSpace>> {
    untyped.retype(Blueprint::VSpace, CNODE, 0, 0, slot, 1)?;
    arena.resources.authority.asid_pool.assign(Cap::at(slot))?;
    Ok(Cap::at(slot))
}

/// Deleting an address space in which much is mapped, the tables that it is mapped by, and the pages.
fn mapped_space(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    // The pages, a table for each 512 of them, three more, the root.
    let bits = ((size + size / TABLE_PAGES + 8) * PAGE_BYTES).next_power_of_two().ilog2() as u8;
    let untyped = arena.resources.untyped(bits)?;
    let path = CNODE.path(untyped.cptr());
    let (space, frames) = (arena.slot(0), arena.slot(64).bits());
    let map_all = |arena: &mut Arena<'_>| {
        path.revoke()?;
        let vspace = make_space(arena, untyped, space.bits())?;
        let mut tables = space.bits()..frames;
        let mut make_table = |blueprint| {
            let slot = tables.by_ref().nth(1).ok_or(keel::Error::OutOfSlots)?;
            untyped.retype(blueprint, CNODE, 0, 0, slot, 1)?;
            Ok(CPtr::new(slot))
        };
        for done in (0..size).step_by(FAN_OUT as usize) {
            let count = FAN_OUT.min(size - done);
            untyped.retype(Blueprint::SmallPage, CNODE, 0, 0, frames + done, count)?;
        }
        for page in 0..size {
            let (frame, address) = (Cap::<Frame>::at(frames + page), ADDRESS + page * PAGE_BYTES);
            map_with(vspace, frame, address, Rights::READ_WRITE, Attributes::DATA, &mut make_table)?;
        }
        Ok(())
    };
    arena.attack("delete_mapped_space", size, map_all, |_| Ok(CNODE.path(space).delete()?))?;
    arena.attack("revoke_mapped_space", size, map_all, |_| Ok(path.revoke()?))?;
    arena.resources.release_untyped(untyped)
}

/// Deleting a pool whose identifiers are in use.
fn identifiers(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let bits = ((size + 1) * PAGE_BYTES).next_power_of_two().ilog2() as u8;
    let memory = arena.resources.untyped(ASID_POOL_BITS)?;
    let untyped = arena.resources.untyped(bits)?;
    let (memory_path, path) = (CNODE.path(memory.cptr()), CNODE.path(untyped.cptr()));
    let (pool, spaces) = (arena.slot(0), arena.slot(1).bits());
    arena.attack(
        "delete_identifiers",
        size,
        |_| {
            memory_path.revoke()?;
            path.revoke()?;
            ASID_CONTROL.make_pool(memory, CNODE.path(pool))?;
            for space in spaces..spaces + size {
                untyped.retype(Blueprint::VSpace, CNODE, 0, 0, space, 1)?;
                pool.cap::<AsidPool>().assign(Cap::at(space))?;
            }
            Ok(())
        },
        |_| Ok(CNODE.path(pool).delete()?),
    )?;
    // The last identifier that a pool has to give.
    arena.attack(
        "assign_identifier",
        size,
        |_| {
            memory_path.revoke()?;
            path.revoke()?;
            ASID_CONTROL.make_pool(memory, CNODE.path(pool))?;
            for space in spaces..spaces + size {
                untyped.retype(Blueprint::VSpace, CNODE, 0, 0, space, 1)?;
            }
            (spaces..spaces + size - 1)
                .try_for_each(|space| Ok(pool.cap::<AsidPool>().assign(Cap::at(space))?))
        },
        |_| Ok(pool.cap::<AsidPool>().assign(Cap::at(spaces + size - 1))?),
    )?;
    arena.resources.release_untyped(memory)?;
    arena.resources.release_untyped(untyped)
}

/// Unmapping a table in which much is mapped.
fn full_table(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let untyped = arena.resources.untyped(22)?;
    let path = CNODE.path(untyped.cptr());
    let (space, frames) = (arena.slot(0).bits(), arena.slot(16).bits());
    arena.attack(
        "unmap_full_table",
        size,
        |arena| {
            path.revoke()?;
            let vspace = make_space(arena, untyped, space)?;
            // The last one made is the one nearest to the pages.
            let mut next = space;
            let mut make_table = |blueprint| {
                next += 1;
                untyped.retype(blueprint, CNODE, 0, 0, next, 1)?;
                Ok(CPtr::new(next))
            };
            for page in 0..size {
                let (frame, address) = (Cap::<Frame>::at(frames + page), ADDRESS + page * PAGE_BYTES);
                untyped.retype(Blueprint::SmallPage, CNODE, 0, 0, frames + page, 1)?;
                map_with(vspace, frame, address, Rights::READ_WRITE, Attributes::DATA, &mut make_table)?;
            }
            Ok(())
        },
        |_| Ok(Cap::<PageTable>::at(space + keel::arch::MAX_TABLES as u64).unmap()?),
    )?;
    arena.resources.release_untyped(untyped)
}
