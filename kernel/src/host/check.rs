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
//! - [`waiting`] T1 to T3, order and balance of waiting threads, N1; R1, R2 and the call stacks.
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
use crate::tree::{Key, MAX_HEIGHT};

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

/// The threads of a tree in order. Panics if it is not balanced (B2), not in order (B1), or too high.
#[must_use]
pub fn tree(store: &Store<Host>, root: Option<Ref<Tcb>>) -> Vec<Ref<Tcb>> {
    let mut threads = Vec::new();
    subtree(store, root, None, MAX_HEIGHT, &mut threads);
    let keys: Vec<Key> = threads.iter().map(|&tcb| store[tcb].links.key).collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "B1: keys are not in order: {keys:?}");
    threads
}

/// Adds the threads below `root` in order; the height.
fn subtree(
    store: &Store<Host>,
    root: Option<Ref<Tcb>>,
    parent: Option<Ref<Tcb>>,
    levels: usize,
    threads: &mut Vec<Ref<Tcb>>,
) -> i64 {
    let Some(tcb) = root else { return 0 };
    let levels = levels.checked_sub(1).expect("the tree is too high, or a circle");
    let links = store[tcb].links;
    assert_eq!(links.parent, parent, "B3: the parent of {tcb:?}");
    let left = subtree(store, links.left(), root, levels, threads);
    threads.push(tcb);
    let right = subtree(store, links.right(), root, levels, threads);
    assert!(left.abs_diff(right) <= 1, "B2: {tcb:?} is not balanced");
    assert_eq!(links.lean, right - left, "B2: the lean of {tcb:?}");
    1 + left.max(right)
}
