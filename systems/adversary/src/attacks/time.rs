// SPDX-License-Identifier: MIT OR Apache-2.0

//! Many threads that want to run: ready at once, released at once, and budgets in thousands of pieces.

use keel::boot::TCB;
use keel::cap::{Budget, Notification, SchedContext};
use keel::resources::sched_context;
use keel_abi::syscall::{WAIT, YIELD};

use crate::arena::{Arena, SIZES};
use crate::machine;
use crate::puppet::{ATTACKER, BUDGET, Call, Program, below};

/// Instructions in a microsecond.
const PER_US: u64 = 1_000;
/// The least budget there is.
const LEAST_US: u64 = keel_abi::timing::MIN_BUDGET_US;
/// A little more than it takes to prepare one thread of the crowd, in microseconds.
const PREPARE_US: u64 = 6;

/// All of them.
pub fn all(arena: &mut Arena<'_>) -> keel::Result {
    for size in SIZES {
        ready(arena, size)?;
        released_at_once(arena, size)?;
        split_budget(arena, size)?;
    }
    Ok(())
}

/// Threads of all lower priorities that could run: one changes its priority, one stops and starts again.
fn ready(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    for index in 0..size {
        arena.crowd.start(index, Program::Idle, below(index))?;
    }
    let nothing = |_: &mut Arena<'_>| Ok(());
    let mut turn = 0;
    arena.attack("requeue_ready", size, nothing, |arena| {
        turn += 1;
        Ok(arena.crowd.tcb(size / 2).set_priority(TCB, below(turn))?)
    })?;
    arena.attack("stop_and_start_ready", size, nothing, |arena| {
        arena.crowd.tcb(size / 2).suspend()?;
        Ok(arena.crowd.tcb(size / 2).resume()?)
    })?;
    arena.crowd.stop(size)
}

/// Threads whose budgets all come back in the same microsecond.
fn released_at_once(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let control = arena.resources.authority.sched_control;
    let program = Program::Repeat(Call::new(YIELD, keel::boot::CNODE.cptr()));
    arena.attack(
        "release_at_once",
        size,
        |arena| {
            arena.crowd.stop(size)?;
            let release = machine::now() + (1_000 + size * PREPARE_US) * PER_US;
            for index in 0..size {
                let period_us = (release - machine::now()) / PER_US;
                control.configure(arena.crowd.context(index), Budget::of(LEAST_US + 10, period_us))?;
                arena.crowd.start(index, program, ATTACKER + 1)?;
                arena.crowd.tcb(index).set_priority(TCB, below(index))?;
            }
            let left = release.checked_sub(machine::now() + 3 * PER_US);
            machine::spin(left.ok_or(keel::Error::BadArgument("time to prepare"))?);
            Ok(())
        },
        |_| {
            machine::spin(200 * PER_US);
            Ok(())
        },
    )?;
    arena.crowd.stop(size)?;
    (0..size).try_for_each(|index| Ok(control.configure(arena.crowd.context(index), BUDGET)?))
}

/// A thread whose budget lies in thousands of pieces, all of which come back.
fn split_budget(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let control = arena.resources.authority.sched_control;
    let bell = arena.make::<Notification>()?;
    let context = arena.resources.make(sched_context(size))?.cap::<SchedContext>();
    let period_us = 1_000 + 4 * size;
    let budget = Budget { extra_refills: size, sporadic: true, ..Budget::of(period_us / 2, period_us) };
    let tcb = arena.crowd.tcb(0);
    arena.crowd.context(0).unbind()?;
    context.bind_tcb(tcb)?;
    arena.attack(
        "merge_refills",
        size,
        |arena| {
            tcb.suspend()?;
            control.configure(context, budget)?;
            let began = machine::now();
            arena.crowd.start(0, Program::Repeat(Call::new(WAIT, bell.cptr())), ATTACKER + 1)?;
            // Each time it is woken it uses a little.
            (0..size).for_each(|_| bell.signal());
            // What is left of the first piece goes too.
            arena.crowd.start(0, Program::Repeat(Call::new(YIELD, bell.cptr())), ATTACKER + 1)?;
            let left = (began + period_us * PER_US).checked_sub(machine::now() + 3 * PER_US);
            machine::spin(left.ok_or(keel::Error::BadArgument("time to prepare"))?);
            Ok(())
        },
        |_| {
            machine::spin(100 * PER_US);
            Ok(())
        },
    )?;
    tcb.suspend()?;
    context.unbind()?;
    Ok(arena.crowd.context(0).bind_tcb(tcb)?)
}
