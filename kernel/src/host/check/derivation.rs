// SPDX-License-Identifier: MIT OR Apache-2.0

//! Capabilities: the derivation tree, and what they name.

use super::Survey;
use crate::Kernel;
use crate::cap::{Cap, UntypedCap, ZombieCap, ZombieKind};
use crate::cdt;
use crate::cspace::Slot;
use crate::host::Host;
use crate::object::extent;
use crate::store::{Kind, Ref, Store};
use crate::units::{Irq, KernelAddr};
use std::collections::{BTreeMap, BTreeSet};

/// D1 to D3, I1, I2.
pub(super) fn check(kernel: &Kernel<Host>, survey: &Survey) {
    let order = pre_order(kernel, survey);
    assert_eq!(order.len(), survey.slots.len(), "D1: slots that no list reaches, or lists that are circles");
    descendants_stand_behind(kernel, &order);
    copies_stand_together(kernel, &order);
    dying_containers_have_slots_left(kernel, &order);
    names_are_alive(kernel, survey);
    untypeds_contain_their_objects(kernel, survey);
}

/// D1: all lists of slots, one behind the other.
fn pre_order(kernel: &Kernel<Host>, survey: &Survey) -> Vec<Ref<Slot>> {
    let full: BTreeSet<_> = survey.slots.iter().copied().collect();
    let mut order = Vec::new();
    for &slot in &survey.slots {
        let node = &kernel.store[slot].node;
        if let Some(next) = node.next() {
            assert!(full.contains(&next), "D1: behind {slot:?} stands {next:?}, which is empty or not alive");
            assert_eq!(kernel.store[next].node.prev(), Some(slot), "D1: the slot before {next:?}");
        }
        match node.prev() {
            Some(prev) => {
                assert!(
                    full.contains(&prev),
                    "D1: before {slot:?} stands {prev:?}, which is empty or not alive"
                );
                assert_eq!(kernel.store[prev].node.next(), Some(slot), "D1: the slot behind {prev:?}");
            }
            None => follow(kernel, slot, full.len(), &mut order),
        }
    }
    order
}

/// Adds the list that begins at `first`.
fn follow(kernel: &Kernel<Host>, first: Ref<Slot>, most: usize, order: &mut Vec<Ref<Slot>>) {
    let mut next = Some(first);
    while let Some(slot) = next {
        order.push(slot);
        assert!(order.len() <= most, "D1: a circle behind {first:?}");
        next = kernel.store[slot].node.next();
    }
}

/// D2, for untypeds: everything inside them that stands behind them stands directly behind them. (Other
/// capabilities have descendants only among those to the same object, for which there is D3.)
fn descendants_stand_behind(kernel: &Kernel<Host>, order: &[Ref<Slot>]) {
    for (index, &slot) in order.iter().enumerate() {
        let Cap::Untyped(untyped) = kernel.store[slot].cap() else { continue };
        let is_inside = |other: &Ref<Slot>| contains(&untyped, kernel.store[*other].cap());
        let behind = &order[index + 1..];
        let together = behind.iter().take_while(|other| is_inside(other)).count();
        if let Some(stray) = behind[together..].iter().find(|other| is_inside(other)) {
            panic!("D2: {stray:?} lies in the untyped of {slot:?}, but apart from its descendants");
        }
        let has_children = cdt::first_child(&kernel.store, slot).is_some();
        assert_eq!(has_children, together > 0, "D2: whether {slot:?} has children");
    }
}

/// Whether what `cap` names lies in `untyped`.
fn contains(untyped: &UntypedCap, cap: Cap) -> bool {
    extent::<Host>(cap).is_some_and(|(base, bytes)| {
        untyped.base <= base && base.0 + bytes <= untyped.base.0 + (1 << untyped.bits)
    })
}

/// What object a capability is to.
fn object_of(cap: Cap) -> Option<(Kind, KernelAddr)> {
    let (kind, address) = match cap {
        Cap::Endpoint(c) => (Kind::Endpoint, c.object.address()),
        Cap::Notification(c) => (Kind::Notification, c.object.address()),
        Cap::Reply { object, .. } => (Kind::Reply, object.address()),
        Cap::CNode(c) => (Kind::Slots, c.slots.address()),
        Cap::Tcb(tcb) => (Kind::Tcb, tcb.address()),
        Cap::SchedContext { object, .. } => (Kind::SchedContext, object.address()),
        Cap::Frame(c) => (Kind::Frame, Store::<Host>::window(c.base)),
        Cap::Table(c) => (Kind::Table, c.table.address()),
        Cap::VSpace(c) => (Kind::Table, c.root.address()),
        Cap::AsidPool { pool, .. } => (Kind::AsidPool, pool.address()),
        Cap::Zombie(c) => (zombie_kind(c.kind), c.object),
        Cap::Null
        | Cap::Untyped(_)
        | Cap::SchedControl { .. }
        | Cap::DomainSet
        | Cap::IrqControl
        | Cap::IrqHandler(_)
        | Cap::AsidControl
        | Cap::Machine(_) => return None,
    };
    Some((kind, address))
}

/// What lives where a zombie is.
const fn zombie_kind(kind: ZombieKind) -> Kind {
    match kind {
        ZombieKind::Tcb => Kind::Tcb,
        ZombieKind::CNode { .. } => Kind::Slots,
        ZombieKind::Endpoint => Kind::Endpoint,
        ZombieKind::Notification => Kind::Notification,
    }
}

/// D3: no capability to another object stands between two to the same.
fn copies_stand_together(kernel: &Kernel<Host>, order: &[Ref<Slot>]) {
    let mut last = BTreeMap::new();
    for (index, &slot) in order.iter().enumerate() {
        let cap = kernel.store[slot].cap();
        let Some((_, object)) = object_of(cap) else { continue };
        if let Some(before) = last.insert(object, index) {
            assert_eq!(before + 1, index, "D3: capabilities to {object:x?} stand apart, {slot:?} last");
            assert!(
                !matches!(cap, Cap::Zombie(_)),
                "Z1: {slot:?} is not the only one to a dying {object:x?}"
            );
        }
    }
}

/// Z3: there is a slot left of each container that dies.
fn dying_containers_have_slots_left(kernel: &Kernel<Host>, order: &[Ref<Slot>]) {
    for &slot in order {
        if let Cap::Zombie(ZombieCap { kind: ZombieKind::Tcb | ZombieKind::CNode { .. }, left: 0, .. }) =
            kernel.store[slot].cap()
        {
            panic!("Z3: nothing is left of the container whose zombie is in {slot:?}");
        }
    }
}

/// I1: what a capability names lives; and what lives is named. Only the slots of interrupts have no name.
fn names_are_alive(kernel: &Kernel<Host>, survey: &Survey) {
    let irq_slots = kernel.interrupts.slot(Irq(0)).map(|slot| slot.address());
    let mut nameless: BTreeMap<KernelAddr, _> =
        survey.regions.iter().map(|region| (region.address, *region)).collect();
    if let Some(irq_slots) = irq_slots {
        nameless.remove(&irq_slots);
    }
    let alive = nameless.clone();
    for &slot in &survey.slots {
        let cap = kernel.store[slot].cap();
        let Some((kind, address)) = object_of(cap) else { continue };
        let region = alive.get(&address).filter(|region| region.kind == kind);
        let Some(region) = region else { panic!("I1: {slot:?} names a dead object: {cap:x?}") };
        let bytes = extent::<Host>(cap).map(|(_, bytes)| bytes);
        assert_eq!(bytes, Some(region.bytes), "I1: {slot:?} names {region:x?} at another size");
        nameless.remove(&address);
    }
    assert!(nameless.is_empty(), "objects that no capability names: {:x?}", nameless.values());
}

/// I2: live memory inside an untyped lies below its watermark, and the capabilities to it are descendants.
fn untypeds_contain_their_objects(kernel: &Kernel<Host>, survey: &Survey) {
    for &slot in &survey.slots {
        let Cap::Untyped(untyped) = kernel.store[slot].cap() else { continue };
        assert!(untyped.watermark <= 1 << untyped.bits, "{slot:?}: the watermark is beyond the end");
        let free = Store::<Host>::window(untyped.base.offset(untyped.watermark));
        let end = Store::<Host>::window(untyped.base.offset(1 << untyped.bits));
        let stray = survey.regions.iter().find(|region| free.0 < region.end() && region.address < end);
        assert!(stray.is_none(), "I2: {stray:x?} lives above the watermark of {slot:?}, {untyped:x?}");
    }
}
