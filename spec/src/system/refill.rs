// SPDX-License-Identifier: MIT OR Apache-2.0

//! How budget is used and comes back (`scheduling.md` §2.2).
//!
//! A budget is a list of refills: so much time, to be used from then on. What a thread uses of the first one comes back
//! one period later, as another refill at the end. The list is ordered by time, its amounts add up to the budget, and
//! there are at most as many as were asked for; what does not fit is merged with the last one, and so comes later than
//! it might.
//!
//! The rules are applied at once and to their end. The kernel takes only a few steps of them at a time; a budget of which
//! steps are outstanding is one that nobody can run on, and is not compared.

/// An amount of time, to be used from a point in time on. Both in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refill {
    /// From when on.
    pub time: u64,
    /// How much.
    pub amount: u64,
}

impl Refill {
    /// When all of it could be used up.
    const fn end(&self) -> u64 {
        self.time + self.amount
    }
}

/// A budget. Empty while nothing is configured.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Budget {
    /// How much there is of it in each period.
    pub amount: u64,
    /// How long it takes until what was used comes back.
    pub period: u64,
    /// The refills, first one first.
    pub refills: Vec<Refill>,
    /// The most there may be.
    pub most: usize,
}

impl Budget {
    /// A budget that can be used from `now` on.
    #[must_use]
    pub fn new(amount: u64, period: u64, most: usize, now: u64) -> Self {
        let mut budget = Self { amount, period, refills: vec![Refill { time: now, amount }], most };
        if budget.is_round_robin() {
            budget.refills[0].time = 0;
        }
        budget
    }

    /// A budget with new parameters for a thread that is using one whose first refill is `old`: it does not get more in
    /// a period than either allows. What it has not got comes one new period later (`scheduling.md` §2.1).
    #[must_use]
    pub fn update(amount: u64, period: u64, most: usize, now: u64, old: Refill, minimum: u64) -> Self {
        let time = old.time.max(now);
        let kept = Refill { time, amount: old.amount.min(amount) };
        let rest = Refill { time: time + period, amount: amount - kept.amount };
        let refills = if rest.amount == 0 { vec![kept] } else { vec![kept, rest] };
        let mut budget = Self { amount, period, refills, most };
        budget.join_what_is_too_small(minimum);
        budget
    }

    /// Whether it is all of the time: its owner is never out of budget, but has turns with its equals. Then there is one
    /// refill, the rest of the turn, whose time means nothing.
    #[must_use]
    pub const fn is_round_robin(&self) -> bool {
        self.amount == self.period
    }

    /// The first refill.
    #[must_use]
    pub fn first(&self) -> Refill {
        self.refills.first().copied().unwrap_or_default()
    }

    /// Whether something can be used now.
    #[must_use]
    pub fn is_ready(&self, now: u64) -> bool {
        !self.refills.is_empty() && (self.is_round_robin() || self.first().time <= now)
    }

    /// `used` has been used.
    pub fn charge(&mut self, used: u64, minimum: u64) {
        if self.is_round_robin() {
            let rest = self.first().amount.saturating_sub(used);
            self.refills[0].amount = if rest < minimum { self.amount } else { rest };
            return;
        }
        let mut used = used;
        while self.first().amount <= used {
            let first = self.refills.remove(0);
            used -= first.amount;
            self.give_back(Refill { time: first.time + self.period, ..first });
        }
        if used > 0 {
            self.give_back(Refill { time: self.first().time + self.period, amount: used });
            let first = &mut self.refills[0];
            *first = Refill { time: first.time + used, amount: first.amount - used };
        }
        self.join_what_is_too_small(minimum);
    }

    /// The rest of the first refill, or of the turn, is given up.
    pub fn give_up(&mut self, minimum: u64) {
        self.charge(self.first().amount, minimum);
    }

    /// It was not used for a while: what could have been used before can be used from now on, with all refills that it
    /// then overlaps.
    pub fn unblock(&mut self, now: u64) {
        if self.is_round_robin() || !self.is_ready(now) {
            return;
        }
        self.refills[0].time = now;
        while self.refills.get(1).is_some_and(|next| next.time < self.first().end()) {
            self.refills[0].amount += self.refills.remove(1).amount;
        }
    }

    /// Adds a refill at the end.
    fn give_back(&mut self, refill: Refill) {
        let is_full = self.refills.len() == self.most;
        match self.refills.last_mut() {
            Some(last) if last.end() >= refill.time => last.amount += refill.amount,
            Some(last) if is_full => {
                *last = Refill { time: refill.time - last.amount, amount: last.amount + refill.amount };
            }
            _ => self.refills.push(refill),
        }
    }

    /// While the first refill is too small to run on, it is used together with the next one, and not earlier.
    fn join_what_is_too_small(&mut self, minimum: u64) {
        while self.first().amount < minimum && self.refills.len() > 1 {
            let small = self.refills.remove(0).amount;
            let next = &mut self.refills[0];
            *next = Refill { time: next.time - small, amount: next.amount + small };
        }
    }
}
