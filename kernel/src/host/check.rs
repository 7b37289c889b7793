// SPDX-License-Identifier: MIT OR Apache-2.0

//! The invariants that the kernel's modules state, checked on a whole state.
//!
//! [`check`] finds all objects in the map of [`crate::store::checked`], not by following the kernel's own pointers,
//! so what the kernel has lost sight of is found as well. It panics with the name of the first invariant that does
//! not hold. It is meant for the time between two entries to the kernel; the state there is the same after every
//! preemption.
//!
//! - [`derivation`] D1 to D3; each capability names a live object of its kind (I1), each object has one, and objects lie
//!   below the watermark of their untyped (I2).
//! - [`waiting`] T1 to T3, order of waiting threads, N1, N2; R1, R2 and the call stacks.
//! - [`scheduling`] T4, T5, bindings, refills, ready and release queues, and who runs.
//! - [`machine`] Q1, Q2, and that nothing dead is loaded; [`paging`] V1 to V3, P1 to P3, F1.

mod derivation;
mod machine;
mod paging;
mod scheduling;
mod waiting;

use super::Host;
use crate::Kernel;
use crate::cspace::Slot;
use crate::object::tcb::{TCB_SLOTS, TcbSlot};
use crate::object::{AsidPool, Endpoint, Notification, Reply, SchedContext, Tcb};
use crate::store::checked::Region;
use crate::store::{Kind, Object, Ref, Store};
use crate::tree::{ByTime, Key};

/// Panics with the first invariant that does not hold.
pub fn check(kernel: &mut Kernel<Host>) {
    let survey = Survey::of(kernel);
    derivation::check(kernel, &survey);
    waiting::check(kernel, &survey);
    scheduling::check(kernel, &survey);
    machine::check(kernel, &survey);
    paging::check(kernel, &survey);
    let _ = kernel.audit();
}

/// All that lives.
#[derive(Debug, Default)]
pub struct Survey {
    /// The regions, by address.
    pub regions: Vec<Region>,
    /// Slots that hold something.
    pub slots: Vec<Ref<Slot>>,
    /// Threads.
    pub tcbs: Vec<Ref<Tcb>>,
    /// Endpoints.
    pub endpoints: Vec<Ref<Endpoint>>,
    /// Notifications.
    pub notifications: Vec<Ref<Notification>>,
    /// Reply objects.
    pub replies: Vec<Ref<Reply>>,
    /// Scheduling contexts, with the size of the object in bytes.
    pub contexts: Vec<(Ref<SchedContext>, u64)>,
    /// ASID pools.
    pub pools: Vec<Ref<AsidPool>>,
}

impl Survey {
    /// Finds everything in `kernel`.
    pub fn of(kernel: &mut Kernel<Host>) -> Self {
        let regions = kernel.store.memory().regions().collect();
        let mut survey = Self { regions, ..Self::default() };
        for region in survey.regions.clone() {
            survey.add(kernel, region);
        }
        survey
    }

    /// Adds what lives in `region`.
    fn add(&mut self, kernel: &mut Kernel<Host>, region: Region) {
        match region.kind {
            Kind::Slots => self.add_slots(kernel, named(&region), region.bytes / size_of::<Slot>() as u64),
            Kind::Tcb => {
                let tcb: Ref<Tcb> = named(&region);
                self.add_slots(kernel, tcb.slot(TcbSlot::CSpace), TCB_SLOTS);
                self.tcbs.push(tcb);
            }
            Kind::Endpoint => self.endpoints.push(named(&region)),
            Kind::Notification => self.notifications.push(named(&region)),
            Kind::Reply => self.replies.push(named(&region)),
            Kind::SchedContext => self.contexts.push((named(&region), region.bytes)),
            Kind::AsidPool => self.pools.push(named(&region)),
            Kind::Table | Kind::Frame | Kind::Free => {}
        }
    }

    /// Adds those of `count` slots that hold something. Most slots are empty: long stretches of them are skipped.
    fn add_slots(&mut self, kernel: &mut Kernel<Host>, first: Ref<Slot>, count: u64) {
        const STRETCH: u64 = 64;
        for start in (0..count).step_by(STRETCH as usize) {
            let stretch = start..count.min(start + STRETCH);
            let bytes = (stretch.end - start) * size_of::<Slot>() as u64;
            if !kernel.store.memory().is_clear(first.nth(start).address(), bytes) {
                let slots = stretch.map(|index| first.nth(index));
                self.slots.extend(slots.filter(|&slot| !kernel.store[slot].is_empty()));
            }
        }
    }

    /// Whether an object of type `T` begins at `object`.
    #[must_use]
    pub fn has<T: Object>(&self, object: Ref<T>) -> bool {
        let found = self.regions.binary_search_by_key(&object.address(), |region| region.address);
        found.is_ok_and(|index| self.regions[index].kind == T::KIND)
    }
}

/// The object that begins a region.
fn named<T>(region: &Region) -> Ref<T> {
    Ref::at(region.address).expect("nothing lives at the null address")
}

/// The threads of a tree in order. Panics if one is not where its key belongs (B1), or if those who come after one are not
/// those who should (B2, B3).
#[must_use]
pub fn tree(store: &Store<Host>, root: Option<Ref<Tcb>>) -> Vec<Ref<Tcb>> {
    let mut rings = Vec::new();
    subtree(store, root, None, (0, 0), &mut rings);
    rings.sort_by_key(|ring: &Vec<Ref<Tcb>>| store[ring[0]].links.key);
    assert!(rings.is_sorted_by_key(|ring| store[ring[0]].links.key));
    let threads = rings.concat();
    let after = |before: Option<Ref<Tcb>>| match before {
        Some(tcb) => ByTime::after(store, root, tcb),
        None => ByTime::first(store, root),
    };
    assert_eq!(threads.first().copied(), after(None), "the first one");
    for (index, &tcb) in threads.iter().enumerate() {
        assert_eq!(after(Some(tcb)), threads.get(index + 1).copied(), "after {tcb:?}");
    }
    threads
}

/// Adds the rings of the nodes at and below `root`, the bits of whose keys are `prefix` at the first places, as many as it
/// is below the root of the tree.
fn subtree(
    store: &Store<Host>,
    root: Option<Ref<Tcb>>,
    parent: Option<Ref<Tcb>>,
    (depth, prefix): (u32, Key),
    rings: &mut Vec<Vec<Ref<Tcb>>>,
) {
    let Some(tcb) = root else { return };
    assert!(depth <= Key::BITS, "the tree is too high, or a circle");
    let links = store[tcb].links;
    assert_eq!(links.parent, parent, "B3: the parent of {tcb:?}");
    assert_eq!(links.key.checked_shr(Key::BITS - depth).unwrap_or(0), prefix, "B1: the place of {tcb:?}");
    rings.push(ring(store, tcb));
    subtree(store, links.left(), root, (depth + 1, prefix << 1), rings);
    subtree(store, links.right(), root, (depth + 1, prefix << 1 | 1), rings);
}

/// Those who have the key of the node `first`.
fn ring(store: &Store<Host>, first: Ref<Tcb>) -> Vec<Ref<Tcb>> {
    let mut ring = vec![first];
    let mut last = first;
    while let Some(next) = store[last].links.next().filter(|&next| next != first) {
        let links = store[next].links;
        assert_eq!(links.previous(), Some(last), "B2: before {next:?}");
        assert!(links.key == store[first].links.key && links.parent.is_none(), "B2: {next:?}");
        assert_eq!(links.children, [None; 2], "B2: the children of {next:?}");
        ring.push(next);
        last = next;
    }
    assert_eq!(store[first].links.previous(), (last != first).then_some(last), "B2: the end of {first:?}");
    ring
}
