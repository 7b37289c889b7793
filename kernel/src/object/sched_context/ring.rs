// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the refills of a context lie: in a ring behind its header.
//!
//! The ring has `refill_max` places, of which `refill_count` from `refill_head` on are in use; behind the last place
//! comes the first. A first refill exists exactly if the context is active.

use super::SchedContext;
use crate::arch::Arch;
use crate::object::Refill;
use crate::object::sched_context::HEADER_BYTES;
use crate::sched::refill::Refills;
use crate::store::{Ref, Store};
use crate::units::Ticks;

impl Ref<SchedContext> {
    /// Refill number `index` of the ring's memory.
    #[must_use]
    pub const fn refill(self, index: u64) -> Ref<Refill> {
        self.at_offset::<Refill>(HEADER_BYTES).nth(index)
    }

    /// The first refill of an active context.
    #[must_use]
    #[inline(always)]
    pub fn head_refill<A: Arch>(self, store: &Store<A>) -> Ref<Refill> {
        self.refill(store[self].refill_head)
    }
}

/// The refills of an active context, as the rules see them.
pub struct RefillList<'a, A: Arch> {
    /// Where they lie.
    store: &'a mut Store<A>,
    /// Whose they are.
    context: Ref<SchedContext>,
    /// The minimum budget.
    min_budget: Ticks,
}

impl<'a, A: Arch> RefillList<'a, A> {
    /// The refills of the active `context`.
    pub const fn new(store: &'a mut Store<A>, context: Ref<SchedContext>, min_budget: Ticks) -> Self {
        Self { store, context, min_budget }
    }

    /// The place of the refill at `position`, which is at most the length.
    fn place(&self, position: u64) -> Ref<Refill> {
        let SchedContext { refill_head, refill_max, .. } = self.store[self.context];
        let index = refill_head.wrapping_add(position);
        self.context.refill(if index >= refill_max { index.wrapping_sub(refill_max) } else { index })
    }
}

impl<A: Arch> Refills for RefillList<'_, A> {
    fn length(&self) -> u64 {
        self.store[self.context].refill_count
    }

    fn max_length(&self) -> u64 {
        self.store[self.context].refill_max
    }

    fn period(&self) -> Ticks {
        self.store[self.context].period
    }

    fn min_budget(&self) -> Ticks {
        self.min_budget
    }

    fn debt(&self) -> Ticks {
        self.store[self.context].debt
    }

    fn set_debt(&mut self, debt: Ticks) {
        self.store[self.context].debt = debt;
    }

    #[inline(always)]
    fn first(&self) -> Refill {
        self.store[self.context.head_refill(self.store)]
    }

    #[inline(always)]
    fn set_first(&mut self, refill: Refill) {
        let first = self.context.head_refill(self.store);
        self.store[first] = refill;
    }

    fn get(&self, position: u64) -> Refill {
        self.store[self.place(position)]
    }

    fn set(&mut self, position: u64, refill: Refill) {
        let place = self.place(position);
        self.store[place] = refill;
    }

    fn pop(&mut self) {
        let context = &mut self.store[self.context];
        let next = context.refill_head.wrapping_add(1);
        context.refill_head = if next >= context.refill_max { 0 } else { next };
        context.refill_count = context.refill_count.wrapping_sub(1);
    }

    fn push(&mut self, refill: Refill) {
        let place = self.place(self.length());
        self.store[place] = refill;
        let context = &mut self.store[self.context];
        context.refill_count = context.refill_count.wrapping_add(1);
    }
}
