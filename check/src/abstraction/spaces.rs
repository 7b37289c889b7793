// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address spaces, from the host model's page tables.

use super::{object, vm_rights};
use keel_kernel::Kernel;
use keel_kernel::arch::{Arch, Entry};
use keel_kernel::cap::page_bits;
use keel_kernel::host::Host;
use keel_kernel::object::Table;
use keel_kernel::object::asid::POOL_ENTRIES;
use keel_kernel::store::{Ref, Store};
use keel_kernel::units::Asid;
use keel_spec::concrete::Object;
use keel_spec::system::System;
use keel_spec::system::map::{Mapped, Paging, Place, Space};
use std::collections::BTreeMap;

/// What the host model's address spaces are like.
pub(super) const PAGING: Paging = Paging {
    levels: Host::LEVELS as u32,
    top: Host::USER_TOP,
    pools: Host::ASID_POOLS as u64,
    attributes: Host::ATTRIBUTES,
};

/// All pools, and what can be reached from their roots.
pub(super) fn spaces(kernel: &Kernel<Host>, system: &mut System) {
    for base in (0..Host::ASID_POOLS).map(|number| number * POOL_ENTRIES) {
        let Some(pool) = kernel.asid_pools.pool(base as Asid) else { continue };
        system.pools.insert(base as u64, object(pool));
        for (index, root) in kernel.store[pool].roots.iter().enumerate() {
            if let Some(root) = *root {
                let space = Space { root: object(root), mapped: mapped(kernel, root) };
                system.spaces.insert((base + index) as u64, space);
            }
        }
    }
}

/// What the tables from `root` on hold.
fn mapped(kernel: &Kernel<Host>, root: Ref<Table>) -> BTreeMap<Place, Mapped> {
    let mut mapped = BTreeMap::new();
    let mut left = vec![(root, Host::LEVELS - 1, 0)];
    while let Some((table, level, start)) = left.pop() {
        for (index, raw) in (0_u64..).zip(kernel.store[table].entries) {
            let address = start + (index << page_bits(level));
            let what = match Host::entry(raw, level) {
                Entry::Empty => continue,
                Entry::Table(physical) => {
                    let below = Ref::at(Store::<Host>::window(physical)).expect("a table");
                    left.push((below, level - 1, address));
                    Mapped::Table(object(below))
                }
                Entry::Page(physical) => {
                    let (rights, attributes) = Host::page_settings(raw);
                    Mapped::Page { frame: Object::At(physical.0), rights: vm_rights(rights), attributes }
                }
            };
            mapped.insert(Place { level: level.into(), address }, what);
        }
    }
    mapped
}
