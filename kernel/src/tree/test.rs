// SPDX-License-Identifier: MIT OR Apache-2.0

//! The trees against `BTreeMap`, with keys in random, rising and falling order.

use super::*;
use crate::arch::Arch;
use crate::host::Host;
use crate::host::random::{Choose, Random};
use crate::object::bits;
use crate::store::{Kind, checked::CheckedMemory};
use crate::units::{KernelAddr, PhysAddr};
use std::collections::BTreeMap;

const THREADS: u64 = 300;
const BASE: PhysAddr = PhysAddr(0x4000_0000);

/// A tree and what it should be.
struct Both {
    store: Store<Host>,
    root: Option<Ref<Tcb>>,
    model: BTreeMap<Key, Ref<Tcb>>,
}

impl Both {
    fn new() -> Self {
        let mut store = Store::<Host>::new(CheckedMemory::new(Host::PHYS_WINDOW, BASE, 1 << 20));
        for number in 0..THREADS {
            store.created(Kind::Tcb, Self::address(number), 1 << bits::TCB);
        }
        Self { store, root: None, model: BTreeMap::new() }
    }

    fn address(number: u64) -> KernelAddr {
        Store::<Host>::window(PhysAddr(BASE.0 + (number << bits::TCB)))
    }

    fn thread(number: u64) -> Ref<Tcb> {
        Ref::at(Self::address(number)).expect("not the null address")
    }

    fn insert(&mut self, key: Key, tcb: Ref<Tcb>) {
        self.root = insert(&mut self.store, self.root, tcb, key);
        self.model.insert(key, tcb);
        self.check();
    }

    fn remove(&mut self, key: Key) {
        let tcb = self.model.remove(&key).expect("in the model");
        self.root = remove(&mut self.store, self.root, tcb);
        self.check();
    }

    /// B1 to B3, and the same content in the same order.
    fn check(&self) {
        let mut seen = Vec::new();
        let height = self.check_below(self.root, None, &mut seen);
        assert!(height <= 10, "300 nodes fit in 1.45·log2(302)");
        assert!(seen.iter().copied().eq(self.model.iter().map(|(key, tcb)| (*key, *tcb))));
        assert_eq!(first(&self.store, self.root), self.model.values().next().copied());
    }

    fn check_below(
        &self,
        root: Option<Ref<Tcb>>,
        parent: Option<Ref<Tcb>>,
        seen: &mut Vec<(Key, Ref<Tcb>)>,
    ) -> i64 {
        let Some(node) = root else { return 0 };
        let links = self.store[node].links;
        assert_eq!(links.parent, parent);
        let left = self.check_below(links.left(), root, seen);
        seen.push((links.key, node));
        let right = self.check_below(links.right(), root, seen);
        assert!(left.abs_diff(right) <= 1, "unbalanced at {node:?}");
        assert_eq!(links.lean, right - left);
        1 + left.max(right)
    }
}

fn key(major: u64, minor: u64) -> Key {
    Key { major, minor }
}

#[test]
fn empty_and_single() {
    let mut both = Both::new();
    assert_eq!(first(&both.store, None), None);
    assert_eq!(next_after(&both.store, None, key(0, 0)), None);
    both.insert(key(5, 1), Both::thread(0));
    assert_eq!(both.root, Some(Both::thread(0)));
    assert_eq!(next_after(&both.store, both.root, key(5, 0)), Some(Both::thread(0)));
    assert_eq!(next_after(&both.store, both.root, key(5, 1)), None);
    both.remove(key(5, 1));
    assert_eq!(both.root, None);
}

#[test]
fn rising_falling_and_emptied_from_both_ends() {
    for rising in [true, false] {
        let mut both = Both::new();
        for number in 0..THREADS {
            let minor = if rising { number } else { THREADS - number };
            both.insert(key(0, minor), Both::thread(number));
        }
        while let Some((&smallest, _)) = both.model.iter().next() {
            both.remove(smallest);
            if let Some((&greatest, _)) = both.model.iter().next_back() {
                both.remove(greatest);
            }
        }
    }
}

#[test]
fn random_operations_agree_with_btree_map() {
    let mut random = Random::new(1);
    for _ in 0..20 {
        let mut both = Both::new();
        let mut free: Vec<_> = (0..THREADS).map(Both::thread).collect();
        let most = 1 + random.below(THREADS) as usize;
        for step in 0..400 {
            if both.model.len() < most && random.below(3) > 0 {
                let tcb = free.swap_remove(random.below(free.len() as u64) as usize);
                both.insert(key(random.below(8), step), tcb);
            } else if let Some((&key, &tcb)) =
                both.model.iter().nth(random.below(both.model.len().max(1) as u64) as usize)
            {
                both.remove(key);
                free.push(tcb);
            }
            let probe = key(random.below(9), random.below(400));
            let expected =
                both.model.range((std::ops::Bound::Excluded(probe), std::ops::Bound::Unbounded)).next();
            assert_eq!(next_after(&both.store, both.root, probe), expected.map(|(_, tcb)| *tcb));
        }
    }
}
