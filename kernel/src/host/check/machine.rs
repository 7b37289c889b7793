// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts, address spaces, and what the machine has loaded.

use super::Survey;
use crate::Kernel;
use crate::cap::{Cap, Rights};
use crate::host::{Host, MAX_IRQ};
use crate::units::Irq;
use std::collections::BTreeSet;

/// Interrupts, address spaces, and what is loaded.
pub(super) fn check(kernel: &Kernel<Host>, survey: &Survey) {
    interrupts(kernel, survey);
    loaded(kernel, survey);
    spaces(kernel, survey);
}

/// Q1, Q2 of interrupts.
fn interrupts(kernel: &Kernel<Host>, survey: &Survey) {
    let handlers: BTreeSet<Irq> = survey
        .slots
        .iter()
        .filter_map(|&slot| match kernel.store[slot].cap() {
            Cap::IrqHandler(irq) => Some(irq),
            _ => None,
        })
        .collect();
    for irq in (0..=MAX_IRQ.0).map(Irq) {
        let has_handler = handlers.contains(&irq);
        assert_eq!(kernel.interrupts.is_issued(irq), has_handler, "Q1: {irq:?}");
        assert!(has_handler || !kernel.arch.is_enabled(irq), "Q1: {irq:?} is enabled without a handler");
        let slot = kernel.interrupts.slot(irq).expect("a slot for each interrupt");
        match kernel.store[slot].cap() {
            Cap::Null => {}
            Cap::Notification(cap) if has_handler && cap.rights.has(Rights::WRITE) => {}
            Cap::Zombie(_) => {}
            cap => panic!("Q2: the slot of {irq:?} holds {cap:?}"),
        }
    }
}

/// The machine runs what the scheduler says, on memory that is alive.
fn loaded(kernel: &Kernel<Host>, survey: &Survey) {
    let loaded = kernel.arch.loaded();
    assert_eq!(loaded.map(|loaded| loaded.tcb), kernel.core.current, "the machine runs somebody else");
    if let Some((root, _)) = loaded.and_then(|loaded| loaded.vspace) {
        assert!(survey.has(root), "the machine has loaded a dead address space");
    }
    if let Some(owner) = kernel.arch.fpu_owner() {
        assert!(survey.has(owner), "the FPU belongs to a dead thread");
    }
}

/// V1, V2: each root in a pool is alive and stands there once; each pool is known by its number.
fn spaces(kernel: &Kernel<Host>, survey: &Survey) {
    let mut roots = BTreeSet::new();
    for &pool in &survey.pools {
        for &root in kernel.store[pool].roots.iter().flatten() {
            let known = crate::object::asid::MAX_POOLS;
            assert!(survey.has(root), "V1: {pool:?} names a dead root ({known} pools at most)");
            assert!(roots.insert(root), "V2: {root:?} stands in two places");
        }
    }
    for &slot in &survey.slots {
        if let Cap::AsidPool { pool, base } = kernel.store[slot].cap() {
            assert_eq!(kernel.asid_pools.pool(base), Some(pool), "V1: pool {base} is another one");
        }
    }
}
