// SPDX-License-Identifier: MIT OR Apache-2.0

//! The rules by which budget is used and comes back (`scheduling.md` §2.2), as arithmetic on a list of refills.
//!
//! A refill is an amount of time that can be used from a point in time on. What a thread uses of the first refill
//! goes to the end of the list, to be used again one period later:
//!
//! ```text
//!     now                                   now + period
//!      |####............|       |######|          |####|
//!       used    rest of head      next refill       what was used, as a new refill
//! ```
//!
//! The list of a context can be as long as its owner likes, and one step of the rules can merge many of its
//! refills. So the rules are cut into steps ([`settle`]) of which one entry to the kernel takes at most
//! [`STEPS_PER_ENTRY`]. What is left stands in two forms:
//!
//! - refills that the first one overlaps and that are to be merged into it. They are merged when the first refill
//!   without them does not suffice; until then nobody can tell the difference, because the end of the first refill
//!   does not move when part of it is used, and the merge depends on that end alone;
//! - a *debt*: time that was used and not yet charged. A context in debt, or whose first refill is still below
//!   the minimum, does not run: its thread waits in the release queue and is looked at again at the next entry.
//!
//! Invariants of a list, without a debt that is being settled:
//! - **L1** The amounts add up to the budget. (Always, also in debt.)
//! - **L2** Each refill but the first ends before or when the next begins; the first does too, or what it overlaps
//!   is to be merged into it.
//! - **L3** 1 <= length <= the configured maximum, which is at least 2.
//! - **L4** The last refill begins at most one period after the first.
//!
//! Bound: [`settle`] and [`unblock`] take at most [`STEPS_PER_ENTRY`] steps between them in one entry. By L4 and the
//! limit on periods no sum of times overflows while the machine is less than centuries old.

use crate::object::Refill;
use crate::units::Ticks;

/// The most steps in one entry to the kernel.
pub const STEPS_PER_ENTRY: u32 = 4;

/// The debt of a thread that gives away all of its first refill, however much that is once it is merged.
pub const ALL: Ticks = Ticks(u64::MAX);

/// No time.
const ZERO: Ticks = Ticks(0);

/// A list of refills, wherever it is stored. Position 0 is the first.
pub trait Refills {
    /// Number of refills.
    fn length(&self) -> u64;
    /// The most there may be.
    fn max_length(&self) -> u64;
    /// The period.
    fn period(&self) -> Ticks;
    /// The smallest amount that a thread may run on.
    fn min_budget(&self) -> Ticks;
    /// Time used that is not yet charged.
    fn debt(&self) -> Ticks;
    /// Sets it.
    fn set_debt(&mut self, debt: Ticks);
    /// The first refill.
    fn first(&self) -> Refill {
        self.get(0)
    }
    /// Replaces it.
    fn set_first(&mut self, refill: Refill) {
        self.set(0, refill);
    }
    /// The refill at `position`, below the length.
    fn get(&self, position: u64) -> Refill;
    /// Replaces it.
    fn set(&mut self, position: u64, refill: Refill);
    /// Removes the first.
    fn pop(&mut self);
    /// Adds one at the end; the length is below the maximum.
    fn push(&mut self, refill: Refill);
}

/// The end of a refill: when all of it could be used up.
fn end(refill: Refill) -> Ticks {
    refill.time + refill.amount
}

/// Whether a thread may run on this list as far as amounts go, after it has used `used`.
#[inline]
pub fn is_sufficient(list: &impl Refills, used: Ticks) -> bool {
    let needed = list.debt().0.saturating_add(used.0).saturating_add(list.min_budget().0);
    list.first().amount.0 >= needed
}

/// Charges `used`, of which the first refill has enough.
#[inline]
pub fn charge_part(list: &mut impl Refills, used: Ticks) {
    debug_assert!(used == ZERO || is_sufficient(list, used), "more was used than there is");
    split(list, used.min(list.first().amount));
}

/// Charges `used`, as far as `steps` go.
#[inline]
pub fn charge(list: &mut impl Refills, used: Ticks, steps: &mut u32) {
    list.set_debt(Ticks(list.debt().0.saturating_add(used.0)));
    settle(list, steps);
}

/// Tells the analysis of paths of a step. `Core::steps_left` counts them over all of an entry.
#[inline(always)]
pub fn count_step() {
    const STEPS: u64 = 1;
    keel_bounds::shared_round::<STEPS, { STEPS_PER_ENTRY as u64 }>();
}

/// Takes the steps that are outstanding, at most `steps`. Afterwards [`is_sufficient`] says whether all are taken.
#[inline]
pub fn settle(list: &mut impl Refills, steps: &mut u32) {
    let mut debt = list.debt();
    // One round per step.
    loop {
        let needed = debt.0.saturating_add(list.min_budget().0);
        if list.first().amount.0 >= needed {
            split(list, debt);
            debt = ZERO;
            break;
        }
        if *steps == 0 {
            break;
        }
        *steps -= 1;
        count_step();
        debt = step(list, debt);
    }
    list.set_debt(debt);
}

/// One step on a list whose first refill does not cover `debt` and a minimum budget; the debt that is left.
fn step(list: &mut impl Refills, debt: Ticks) -> Ticks {
    let head = list.first();
    if merge_overlapping(list) {
        return debt;
    }
    let debt = if debt == ALL { head.amount } else { debt };
    if debt == ZERO {
        merge_into_next(list);
        ZERO
    } else if head.amount <= debt {
        retire(list);
        debt - head.amount
    } else {
        split(list, debt);
        ZERO
    }
}

/// The first refill is used up: it can be used again one period later.
fn retire(list: &mut impl Refills) {
    let head = list.first();
    let again = Refill { time: head.time + list.period(), amount: head.amount };
    if list.length() == 1 {
        list.set_first(again);
    } else {
        list.pop();
        add(list, again);
    }
}

/// Part of the first refill is used: that part can be used again one period later.
#[inline]
fn split(list: &mut impl Refills, used: Ticks) {
    if used == ZERO {
        return;
    }
    add(list, Refill { time: list.first().time + list.period(), amount: used });
    let head = list.first();
    list.set_first(Refill { time: head.time + used, amount: head.amount - used });
}

/// Adds a refill at the end. The list is not empty.
#[inline]
fn add(list: &mut impl Refills, refill: Refill) {
    if list.length() == list.max_length() {
        // There is room if a merge is outstanding.
        merge_overlapping(list);
    }
    let position = list.length() - 1;
    let last = list.get(position);
    let amount = last.amount + refill.amount;
    if end(last) >= refill.time {
        list.set(position, Refill { time: last.time, amount });
    } else if list.length() == list.max_length() {
        list.set(position, Refill { time: refill.time - last.amount, amount });
    } else {
        list.push(refill);
    }
}

/// Merges the second refill into the first if that overlaps it; whether it did. One step.
pub fn merge_overlapping(list: &mut impl Refills) -> bool {
    if list.length() < 2 {
        return false;
    }
    let (head, next) = (list.first(), list.get(1));
    if end(head) <= next.time {
        return false;
    }
    list.pop();
    list.set_first(Refill { time: head.time, amount: head.amount + next.amount });
    true
}

/// Merges the first refill, which is below the minimum, into the second, which keeps its end. There is a second
/// one: a single refill is the whole budget (L1), which is not below the minimum.
fn merge_into_next(list: &mut impl Refills) {
    if list.length() < 2 {
        return;
    }
    let (head, next) = (list.first(), list.get(1));
    list.pop();
    list.set_first(Refill { time: next.time - head.amount, amount: next.amount + head.amount });
}

/// The thread did not run for a while: a first refill that could have been used before `now` counts from now,
/// so that it comes back a period after it is used in fact.
#[inline]
pub fn unblock(list: &mut impl Refills, now: Ticks, steps: &mut u32) {
    let head = list.first();
    if head.time > now || !is_sufficient(list, ZERO) {
        return;
    }
    list.set_first(Refill { time: now, amount: head.amount });
    // At most `steps` rounds.
    while *steps > 0 && merge_overlapping(list) {
        *steps -= 1;
        count_step();
    }
}

/// The refill that a list becomes when budget or period change while it is in use: its first, of at most the new
/// `budget`; and what is missing, one new `period` later.
#[must_use]
pub fn keep_bandwidth(head: Refill, now: Ticks, budget: Ticks, period: Ticks) -> (Refill, Option<Refill>) {
    let time = head.time.max(now);
    if head.amount >= budget {
        return (Refill { time, amount: budget }, None);
    }
    let missing = Refill { time: time + period, amount: budget - head.amount };
    (Refill { time, amount: head.amount }, Some(missing))
}

#[cfg(test)]
mod test;
