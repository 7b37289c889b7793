// SPDX-License-Identifier: MIT OR Apache-2.0

//! Copies of a whole kernel, with all of its memory: to come back to a state, and to go on from it in several ways.

use super::Host;
use super::world::World;
use crate::Kernel;

impl Clone for World {
    fn clone(&self) -> Self {
        Self {
            kernel: self.kernel.clone(),
            sched_control: self.sched_control,
            memory: self.memory,
            devices: self.devices,
            next_free: self.next_free,
            checks: self.checks,
            trapped_at: self.trapped_at.clone(),
        }
    }

    /// Copies only the memory that was used.
    fn clone_from(&mut self, source: &Self) {
        self.kernel.clone_from(&source.kernel);
        self.sched_control = source.sched_control;
        self.memory = source.memory;
        self.devices = source.devices;
        self.next_free = source.next_free;
        self.checks = source.checks;
        self.trapped_at.clone_from(&source.trapped_at);
    }
}

impl Clone for Kernel<Host> {
    fn clone(&self) -> Self {
        Self {
            arch: self.arch.clone(),
            store: self.store.clone(),
            core: self.core.clone(),
            domains: self.domains.clone(),
            interrupts: self.interrupts.clone(),
            asid_pools: self.asid_pools.clone(),
            root_task: self.root_task,
            refusals: self.refusals.clone(),
            sequence: self.sequence,
        }
    }

    /// Copies only the memory that was used.
    fn clone_from(&mut self, source: &Self) {
        self.store.clone_from(&source.store);
        self.arch.clone_from(&source.arch);
        self.core.clone_from(&source.core);
        self.domains.clone_from(&source.domains);
        self.interrupts.clone_from(&source.interrupts);
        self.asid_pools.clone_from(&source.asid_pools);
        self.root_task = source.root_task;
        self.refusals.clone_from(&source.refusals);
        self.sequence = source.sequence;
    }
}
