// SPDX-License-Identifier: MIT OR Apache-2.0

//! The refill rules against a model that applies the sheet's rules at once, however many merges that takes.

use super::*;
use std::collections::VecDeque;

const MIN: u64 = 20;

#[derive(Clone, Debug)]
struct List {
    refills: VecDeque<Refill>,
    max: u64,
    period: Ticks,
    debt: Ticks,
}

impl Refills for List {
    fn length(&self) -> u64 {
        self.refills.len() as u64
    }
    fn max_length(&self) -> u64 {
        self.max
    }
    fn period(&self) -> Ticks {
        self.period
    }
    fn min_budget(&self) -> Ticks {
        Ticks(MIN)
    }
    fn debt(&self) -> Ticks {
        self.debt
    }
    fn set_debt(&mut self, debt: Ticks) {
        self.debt = debt;
    }
    fn get(&self, position: u64) -> Refill {
        self.refills[position as usize]
    }
    fn set(&mut self, position: u64, refill: Refill) {
        self.refills[position as usize] = refill;
    }
    fn pop(&mut self) {
        self.refills.pop_front().expect("a list is never empty");
    }
    fn push(&mut self, refill: Refill) {
        assert!(self.length() < self.max);
        self.refills.push_back(refill);
    }
}

/// The rules of `scheduling.md` §2.2, word for word.
#[derive(Clone, Debug)]
struct Model {
    /// (time, amount)
    refills: VecDeque<(u64, u64)>,
    max: usize,
    period: u64,
}

impl Model {
    fn charge(&mut self, mut used: u64) {
        while self.refills[0].1 <= used {
            let (time, amount) = self.refills[0];
            if self.refills.len() == 1 {
                self.refills[0].0 += self.period;
            } else {
                self.refills.pop_front();
                self.add(time + self.period, amount);
            }
            used -= amount;
        }
        if used > 0 {
            self.add(self.refills[0].0 + self.period, used);
            self.refills[0].0 += used;
            self.refills[0].1 -= used;
        }
        while self.refills[0].1 < MIN {
            let (_, amount) = self.refills.pop_front().unwrap();
            self.refills[0].0 -= amount;
            self.refills[0].1 += amount;
        }
    }

    fn add(&mut self, time: u64, amount: u64) {
        let is_full = self.refills.len() == self.max;
        let last = self.refills.back_mut().unwrap();
        if last.0 + last.1 >= time {
            last.1 += amount;
        } else if is_full {
            *last = (time - last.1, last.1 + amount);
        } else {
            self.refills.push_back((time, amount));
        }
    }

    fn unblock(&mut self, now: u64) {
        if self.refills[0].0 > now {
            return;
        }
        self.refills[0].0 = now;
        while self.refills.len() > 1 && self.refills[0].0 + self.refills[0].1 > self.refills[1].0 {
            let (_, amount) = self.refills.remove(1).unwrap();
            self.refills[0].1 += amount;
        }
    }
}

/// A small generator of numbers that look random (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

impl Random {
    fn below_one_of(&mut self, bounds: [u64; 3]) -> u64 {
        let which = self.below(3) as usize;
        self.below(bounds[which])
    }
}

/// A list cut into entries of few steps beside the model.
struct Pair {
    list: List,
    model: Model,
    budget: u64,
    most_steps: u64,
    random: Random,
    entries: u64,
}

impl Pair {
    fn new(budget: u64, period: u64, max: u64, most_steps: u64, seed: u64) -> Self {
        let first = Refill { time: Ticks(0), amount: Ticks(budget) };
        let list = List { refills: [first].into(), max, period: Ticks(period), debt: Ticks(0) };
        let model = Model { refills: [(0, budget)].into(), max: max as usize, period };
        Self { list, model, budget, most_steps, random: Random(seed), entries: 0 }
    }

    /// The steps that the next entry has.
    fn steps(&mut self) -> u32 {
        self.entries += 1;
        self.random.below(self.most_steps + 1) as u32
    }

    fn charge(&mut self, used: Ticks) {
        let mut steps = self.steps();
        charge(&mut self.list, used, &mut steps);
        let model_used = if used == ALL { self.model.refills[0].1 } else { used.0 };
        self.model.charge(model_used);
        self.settle();
    }

    /// Further entries, until the thread may be considered again.
    fn settle(&mut self) {
        for round in 0.. {
            self.check_sums();
            if is_sufficient(&self.list, ZERO) {
                break;
            }
            assert!(round < 100_000, "the rules do not come to an end: {:?}", self.list);
            let mut steps = self.steps();
            settle(&mut self.list, &mut steps);
        }
        self.check();
    }

    fn unblock(&mut self, now: u64) {
        let mut steps = self.steps();
        unblock(&mut self.list, Ticks(now), &mut steps);
        self.model.unblock(now);
        self.check();
    }

    /// How much the thread can use before its budget is found to be over, merging as the kernel does.
    fn available(&mut self) -> u64 {
        while merge_overlapping(&mut self.list) {}
        self.list.refills[0].amount.0
    }

    fn check_sums(&self) {
        let sum: u64 = self.list.refills.iter().map(|refill| refill.amount.0).sum();
        assert_eq!(sum, self.budget, "L1");
        assert!((1..=self.list.max).contains(&self.list.length()), "L3");
        let (first, last) = (self.list.refills[0], *self.list.refills.back().unwrap());
        assert!(last.time <= first.time + self.list.period, "L4: {:?}", self.list);
        for (this, next) in self.list.refills.iter().zip(self.list.refills.iter().skip(1)).skip(1) {
            assert!(end(*this) <= next.time, "L2: {:?}", self.list);
        }
    }

    /// Apart from merges that are outstanding the list is the model's.
    fn check(&self) {
        self.check_sums();
        let mut list = self.list.clone();
        while merge_overlapping(&mut list) {}
        let refills: VecDeque<_> =
            list.refills.iter().map(|refill| (refill.time.0, refill.amount.0)).collect();
        assert_eq!(refills, self.model.refills, "{:?}", self.list);
        assert_eq!(list.debt, ZERO);
    }
}

/// Lets a thread run, block, overrun and yield at random.
fn live(budget: u64, period: u64, max: u64, most_steps: u64, sporadic: bool, seed: u64) -> u64 {
    let mut pair = Pair::new(budget, period, max, most_steps, seed);
    let (mut now, mut merges) = (0, 0);
    for _ in 0..400 {
        // It waits for its budget, perhaps longer.
        now = now.max(pair.model.refills[0].0);
        let woke_up = pair.random.below(3) == 0;
        now += if woke_up { pair.random.below(2 * period) } else { 0 };
        if !sporadic || woke_up {
            pair.unblock(now);
        }
        merges += pair.list.length() - pair.model.refills.len() as u64;
        let head = pair.model.refills[0].1;
        let used = match pair.random.below(8) {
            0 => head,
            1 => head + pair.random.below(30),
            2 | 3 => pair.random.below(head + 1),
            _ => pair.random.below(head.min(5) + 1),
        };
        if pair.random.below(10) == 0 {
            pair.charge(ALL);
        } else {
            if pair.random.below(2) == 0 {
                assert_eq!(pair.available(), head);
            }
            pair.charge(Ticks(used));
        }
        now += used;
    }
    merges
}

#[test]
fn few_steps_per_entry_give_what_the_rules_say() {
    let mut merges = 0;
    for seed in 1..=300 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let budget = MIN + random.below(200);
        let period = budget + 1 + random.below_one_of([3, 50, 2_000]);
        let max = 2 + random.below_one_of([1, 8, 60]);
        let most_steps = 1 + random.below(8);
        merges += live(budget, period, max, most_steps, seed % 2 == 0, seed);
    }
    // The lists have differed, or this test shows nothing.
    assert!(merges > 1_000, "{merges}");
}

#[test]
fn a_used_part_comes_back_one_period_later() {
    let mut pair = Pair::new(100, 1_000, 10, 8, 1);
    pair.charge(Ticks(30));
    let expected =
        [Refill { time: Ticks(30), amount: Ticks(70) }, Refill { time: Ticks(1_000), amount: Ticks(30) }];
    assert_eq!(pair.list.refills, expected);
}

#[test]
fn a_rest_below_the_minimum_waits_for_the_next_refill() {
    let mut pair = Pair::new(100, 1_000, 10, 8, 1);
    pair.charge(Ticks(90));
    // 10 are left at 90, 90 come at 1,000: together they end where the later ones did.
    assert_eq!(pair.list.refills, [Refill { time: Ticks(990), amount: Ticks(100) }]);
}

#[test]
fn a_full_list_delays_its_last_refill() {
    let mut pair = Pair::new(100, 1_000, 2, 8, 1);
    pair.charge(Ticks(10));
    pair.unblock(500);
    pair.charge(Ticks(10));
    let expected =
        [Refill { time: Ticks(510), amount: Ticks(80) }, Refill { time: Ticks(1_490), amount: Ticks(20) }];
    assert_eq!(pair.list.refills, expected);
}

#[test]
fn time_that_was_not_used_is_not_saved_up() {
    // In any window of one period a thread gets at most its budget, whatever it did before.
    let (budget, period) = (100, 1_000);
    for seed in 1..=50 {
        let mut pair = Pair::new(budget, period, 30, 8, seed);
        let (mut now, mut uses) = (0, Vec::new());
        for _ in 0..300 {
            let head = pair.model.refills[0];
            now = now.max(head.0) + pair.random.below(period / 3);
            pair.unblock(now);
            let head = pair.model.refills[0];
            let used = pair.random.below(head.1) + 1;
            pair.charge(Ticks(used));
            uses.push((now, used));
            now += used;
        }
        for (index, &(begin, _)) in uses.iter().enumerate() {
            let in_window: u64 = uses[index..]
                .iter()
                .take_while(|&&(time, _)| time < begin + period)
                .map(|&(time, used)| used.min(begin + period - time))
                .sum();
            assert!(in_window <= budget, "{in_window} in the period from {begin}");
        }
    }
}

#[test]
fn no_entry_takes_more_steps_than_it_may() {
    let mut list = Pair::new(100, 100_000, 200, 8, 1).list;
    // Eighty refills of 1, then one of 20.
    let tiny = (0..80).map(|i| Refill { time: Ticks(1_000 + 10 * i), amount: Ticks(1) });
    list.refills = tiny.chain([Refill { time: Ticks(5_000), amount: Ticks(20) }]).collect();
    let (mut entries, mut length) = (0_u32, list.length());
    while !is_sufficient(&list, ZERO) {
        let mut steps = STEPS_PER_ENTRY;
        settle(&mut list, &mut steps);
        entries += 1;
        assert!(length - list.length() <= u64::from(STEPS_PER_ENTRY));
        length = list.length();
    }
    // Twenty of 1 make a minimum budget: 19 merges.
    assert_eq!((entries, length), (19_u32.div_ceil(STEPS_PER_ENTRY), 62));
    // Nor does one in which a thread wakes: of ten that overlap three are merged.
    list.refills = (0..10).map(|i| Refill { time: Ticks(1_000 + i), amount: Ticks(30) }).collect();
    let mut steps = 3;
    unblock(&mut list, Ticks(5_000), &mut steps);
    assert_eq!((list.length(), steps), (7, 0));
}

#[test]
fn what_is_not_there_yet_or_too_little_stays_as_it_is() {
    let mut list = Pair::new(100, 1_000, 30, 8, 1).list;
    let refill = |time, amount| Refill { time: Ticks(time), amount: Ticks(amount) };
    for (refills, now) in
        [([refill(1_000, 30), refill(5_000, 70)], 999), ([refill(1_000, MIN - 1), refill(5_000, 81)], 2_000)]
    {
        list.refills = refills.into();
        unblock(&mut list, Ticks(now), &mut { STEPS_PER_ENTRY });
        assert_eq!(list.refills, refills);
    }
}

#[test]
fn new_parameters_keep_the_bandwidth() {
    let head = Refill { time: Ticks(50), amount: Ticks(70) };
    let at = |time, amount| Refill { time: Ticks(time), amount: Ticks(amount) };
    assert_eq!(keep_bandwidth(head, Ticks(60), Ticks(40), Ticks(500)), (at(60, 40), None));
    assert_eq!(keep_bandwidth(head, Ticks(60), Ticks(100), Ticks(500)), (at(60, 70), Some(at(560, 30))));
    assert_eq!(keep_bandwidth(head, Ticks(10), Ticks(100), Ticks(500)), (at(50, 70), Some(at(550, 30))));
}
