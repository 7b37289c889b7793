// SPDX-License-Identifier: MIT OR Apache-2.0

//! Many capabilities: copies, long derivations, CNodes full of them, CNodes in CNodes.

use keel::boot::CNODE;
use keel::cap::{Blueprint, CNode, Endpoint, Rights};

use crate::arena::{Arena, SIZES};

/// All of them.
pub fn all(arena: &mut Arena<'_>) -> keel::Result {
    for size in SIZES {
        copies(arena, size)?;
        derivation(arena, size)?;
        full_cnode(arena, size)?;
        nested_cnodes(arena, size)?;
    }
    Ok(())
}

/// Revoking a capability with many copies.
fn copies(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let original = CNODE.path(arena.make::<Endpoint>()?.cptr());
    arena.attack(
        "revoke_copies",
        size,
        |arena| {
            original.revoke()?;
            (0..size)
                .try_for_each(|index| Ok(arena.path(index).mint_from(original, Rights::ALL, 1 + index)?))
        },
        |_| Ok(original.revoke()?),
    )
}

/// Revoking an untyped of an untyped of an untyped and so on, all of one size.
fn derivation(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    const BITS: u8 = 12;
    let untyped = arena.resources.untyped(BITS)?;
    let root = CNODE.path(untyped.cptr());
    arena.attack(
        "revoke_derivation",
        size,
        |arena| {
            root.revoke()?;
            let mut last = untyped;
            for index in 0..size {
                last.retype(Blueprint::Untyped { bits: BITS }, CNODE, 0, 0, arena.slot(index).bits(), 1)?;
                last = arena.slot(index).cap();
            }
            Ok(())
        },
        |_| Ok(root.revoke()?),
    )?;
    arena.resources.release_untyped(untyped)
}

/// Deleting a CNode full of capabilities.
fn full_cnode(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let radix = size.next_power_of_two().ilog2() as u8;
    let blueprint = Blueprint::CNode { radix };
    let untyped = arena.resources.untyped(blueprint.memory_bits())?;
    let content = CNODE.path(arena.make::<Endpoint>()?.cptr());
    let slot = arena.slot(0);
    let cnode = slot.cap::<CNode>();
    arena.attack(
        "delete_full_cnode",
        size,
        |_| {
            CNODE.path(slot).delete()?;
            untyped.retype(blueprint, CNODE, 0, 0, slot.bits(), 1)?;
            (0..size).try_for_each(|index| {
                Ok(cnode.slot(index, radix.into()).mint_from(content, Rights::ALL, 1 + index)?)
            })
        },
        |_| Ok(CNODE.path(slot).delete()?),
    )?;
    CNODE.path(slot).delete()?;
    arena.resources.release_untyped(untyped)
}

/// Deleting a CNode that holds the last capability to a CNode, and so on.
fn nested_cnodes(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let blueprint = Blueprint::CNode { radix: 1 };
    let bits = size.next_power_of_two().ilog2() as u8 + blueprint.memory_bits();
    let untyped = arena.resources.untyped(bits)?;
    arena.attack(
        "delete_nested_cnodes",
        size,
        |arena| {
            CNODE.path(untyped.cptr()).revoke()?;
            for done in (0..size).step_by(256) {
                let count = 256.min(size - done);
                untyped.retype(blueprint, CNODE, 0, 0, arena.slot(done).bits(), count)?;
            }
            // Each into the one before, the innermost first.
            (1..size).rev().try_for_each(|index| {
                let outer = arena.slot(index - 1).cap::<CNode>();
                Ok(outer.slot(index & 1, 1).move_from(arena.path(index))?)
            })
        },
        |arena| Ok(arena.path(0).delete()?),
    )?;
    arena.resources.release_untyped(untyped)
}
