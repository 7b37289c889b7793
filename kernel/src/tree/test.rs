// SPDX-License-Identifier: MIT OR Apache-2.0

//! The trees against `BTreeMap`, with keys of all kinds.

use super::*;
use crate::arch::Arch;
use crate::host::random::{Choose, Random};
use crate::host::{Host, check};
use crate::object::bits;
use crate::store::{Kind, checked::CheckedMemory};
use crate::units::{KernelAddr, PhysAddr};
use std::collections::BTreeMap;

const THREADS: u64 = 300;
const BASE: PhysAddr = PhysAddr(0x4000_0000);

/// A tree and what it should be: threads by key and arrival.
struct Both {
    store: Store<Host>,
    root: Option<Ref<Tcb>>,
    model: BTreeMap<(Key, u64), Ref<Tcb>>,
    arrivals: u64,
}

impl Both {
    fn new() -> Self {
        let mut store = Store::<Host>::new(CheckedMemory::new(Host::PHYS_WINDOW, BASE, 1 << 20));
        for number in 0..THREADS {
            store.created(Kind::Tcb, Self::address(number), 1 << bits::TCB);
        }
        Self { store, root: None, model: BTreeMap::new(), arrivals: 0 }
    }

    fn address(number: u64) -> KernelAddr {
        Store::<Host>::window(PhysAddr(BASE.0 + (number << bits::TCB)))
    }

    fn thread(number: u64) -> Ref<Tcb> {
        Ref::at(Self::address(number)).expect("not the null address")
    }

    fn insert(&mut self, key: Key, tcb: Ref<Tcb>) {
        self.root = ByTime::insert(&mut self.store, self.root, tcb, key);
        self.model.insert((key, self.arrivals), tcb);
        self.arrivals += 1;
        self.check();
    }

    fn remove(&mut self, place: (Key, u64)) -> Ref<Tcb> {
        let tcb = self.model.remove(&place).expect("in the model");
        self.root = ByTime::remove(&mut self.store, self.root, tcb);
        self.check();
        tcb
    }

    /// B1 to B3, and the same content in the same order.
    fn check(&self) {
        let seen = check::tree(&self.store, self.root);
        assert!(seen.into_iter().eq(self.model.values().copied()));
    }

    /// The place of the one that `index` chooses.
    fn place(&self, index: u64) -> Option<(Key, u64)> {
        let length = self.model.len().max(1) as u64;
        self.model.keys().nth((index % length) as usize).copied()
    }
}

#[test]
fn empty_and_single() {
    let mut both = Both::new();
    assert_eq!(ByTime::first(&both.store, None), None);
    assert_eq!(ByTime::above(&both.store, None, 0), None);
    both.insert(5, Both::thread(0));
    assert_eq!(both.root, Some(Both::thread(0)));
    assert!(both.store[Both::thread(0)].links.is_alone());
    assert_eq!(ByTime::above(&both.store, both.root, 4), Some(Both::thread(0)));
    assert_eq!(ByTime::above(&both.store, both.root, 5), None);
    both.remove((5, 0));
    assert_eq!(both.root, None);
}

#[test]
fn equals_come_in_the_order_of_arrival() {
    let mut both = Both::new();
    (0..10).for_each(|number| both.insert(7, Both::thread(number)));
    assert!(!both.store[Both::thread(0)].links.is_alone());
    // From the middle, the end and the beginning, down to one.
    for place in [4, 9, 0, 1, 8, 2, 7, 5, 6] {
        both.remove((7, place));
    }
    assert!(both.store[Both::thread(3)].links.is_alone());
}

#[test]
fn rising_falling_and_emptied_from_both_ends() {
    for rising in [true, false] {
        let mut both = Both::new();
        for number in 0..THREADS {
            both.insert(if rising { number } else { THREADS - number }, Both::thread(number));
        }
        while let Some((&smallest, _)) = both.model.first_key_value() {
            both.remove(smallest);
            if let Some((&greatest, _)) = both.model.last_key_value() {
                both.remove(greatest);
            }
        }
    }
}

#[test]
fn no_way_is_longer_than_keys_have_bits() {
    // Each key agrees with 0 in one more bit than the one before, and 0 comes last: the longest way there can be.
    let mut both = Both::new();
    let keys = (0..Key::BITS).rev().map(|bit| 1 << bit).chain([0]);
    (0..).zip(keys).for_each(|(number, key)| both.insert(key, Both::thread(number)));
    let way = std::iter::successors(both.root, |&tcb| both.store[tcb].links.left());
    assert_eq!(way.count() as u64, MAX_HEIGHT);
    // From the top of the way.
    while let Some(root) = both.root {
        let place = both.model.iter().find(|&(_, &tcb)| tcb == root).map(|(&place, _)| place);
        both.remove(place.expect("in the model"));
    }
}

#[test]
fn priorities_come_highest_first_in_ways_of_nine() {
    let mut both = Both::new();
    for priority in (0..=Priority::MAX).rev() {
        let tcb = Both::thread(priority.into());
        both.root = ByPriority::insert(&mut both.store, both.root, tcb, key_of(priority));
    }
    for priority in (0..=Priority::MAX).rev() {
        let first = ByPriority::first(&both.store, both.root);
        assert_eq!(first, Some(Both::thread(priority.into())));
        both.root = first.and_then(|first| ByPriority::remove(&mut both.store, both.root, first));
    }
    assert_eq!(both.root, None);
}

#[test]
fn random_operations_agree_with_btree_map() {
    let mut random = Random::new(1);
    for round in 0..40 {
        let mut both = Both::new();
        let mut free: Vec<_> = (0..THREADS).map(Both::thread).collect();
        let most = 1 + random.below(THREADS) as usize;
        // Keys that differ in few bits or in many, in the first or in the last ones.
        let (range, shift) = (1 << random.below(10), random.below(55));
        for _ in 0..200 {
            if both.model.len() < most && random.below(3) > 0 {
                let tcb = free.swap_remove(random.below(free.len() as u64) as usize);
                both.insert(random.below(range) << shift, tcb);
            } else if let Some(place) = both.place(random.below(THREADS)) {
                free.push(both.remove(place));
            }
            let probe = random.below(range + 1) << shift;
            let expected = both.model.range((probe, u64::MAX)..).next();
            let found = ByTime::above(&both.store, both.root, probe);
            assert_eq!(found, expected.map(|(_, tcb)| *tcb), "round {round}");
        }
    }
}
