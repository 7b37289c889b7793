// SPDX-License-Identifier: MIT OR Apache-2.0

//! Long queues of waiting threads.

use keel::boot::{CNODE, TCB};
use keel::cap::{Blueprint, CPtr, Endpoint, Notification, Reply};
use keel_abi::syscall::{SEND, WAIT};

use crate::arena::{Arena, SIZES};
use crate::puppet::{Call, Program, above};

/// All of them.
pub fn all(arena: &mut Arena<'_>) -> keel::Result {
    for size in SIZES {
        senders(arena, size)?;
        waiters(arena, size)?;
        cancelled(arena, size)?;
        dying(arena, "delete_endpoint", Blueprint::Endpoint, SEND, size)?;
        dying(arena, "delete_notification", Blueprint::Notification, WAIT, size)?;
    }
    Ok(())
}

/// Senders at an endpoint: the first one is taken, and comes back; one in the middle changes its priority; one
/// leaves and comes back.
fn senders(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let endpoint = arena.make::<Endpoint>()?;
    let reply = arena.make::<Reply>()?;
    arena.crowd.start_many(size, Program::Repeat(Call::new(SEND, endpoint.cptr())))?;
    let nothing = |_: &mut Arena<'_>| Ok(());
    arena.attack("receive_from_queue", size, nothing, |_| {
        endpoint.nb_recv(reply);
        Ok(())
    })?;
    let mut turn = 0;
    arena.attack("requeue_waiter", size, nothing, |arena| {
        turn += 1;
        Ok(arena.crowd.tcb(size / 2).set_priority(TCB, above(turn))?)
    })?;
    arena.attack("leave_and_join_queue", size, nothing, |arena| {
        arena.crowd.tcb(size / 2).suspend()?;
        Ok(arena.crowd.tcb(size / 2).resume()?)
    })?;
    arena.crowd.stop(size)
}

/// Waiters at a notification: the first one is woken, and comes back.
fn waiters(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let notification = arena.make::<Notification>()?;
    arena.crowd.start_many(size, Program::Repeat(Call::new(WAIT, notification.cptr())))?;
    arena.attack(
        "signal_to_queue",
        size,
        |_| Ok(()),
        |_| {
            notification.signal();
            Ok(())
        },
    )?;
    arena.crowd.stop(size)
}

/// Senders with a badge that is cancelled, who send again as soon as they can.
fn cancelled(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let (_, badged) = arena.badged_endpoint()?;
    arena.crowd.start_many(size, Program::Repeat(Call::new(SEND, badged.cptr())))?;
    arena.attack(
        "cancel_badged_sends",
        size,
        |_| Ok(()),
        |_| Ok(CNODE.path(badged.cptr()).cancel_badged_sends()?),
    )?;
    arena.crowd.stop(size)
}

/// The death of an object with a queue.
fn dying(arena: &mut Arena<'_>, name: &str, blueprint: Blueprint, number: i64, size: u64) -> keel::Result {
    let untyped = arena.resources.untyped(12)?;
    let slot: CPtr = arena.slot(0);
    let program = Program::OnceThenAlways(Call::new(number, slot), arena.parked());
    arena.attack(
        name,
        size,
        |arena| {
            arena.crowd.stop(size)?;
            CNODE.path(slot).delete()?;
            untyped.retype(blueprint, CNODE, 0, 0, slot.bits(), 1)?;
            arena.crowd.start_many(size, program)
        },
        |_| Ok(CNODE.path(slot).delete()?),
    )?;
    arena.crowd.stop(size)?;
    arena.resources.release_untyped(untyped)
}
