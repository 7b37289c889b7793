// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address space identifiers and their pools.

use super::Table;
use crate::store::{Kind, Object, Ref};

/// Identifiers in a pool.
pub const POOL_ENTRIES: usize = 512;

/// A pool of identifiers: the root of the address space that each stands for.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AsidPool {
    /// Root by index in the pool.
    pub roots: [Option<Ref<Table>>; POOL_ENTRIES],
}

const _: () = assert!(size_of::<AsidPool>() == 1 << super::bits::ASID_POOL);

// SAFETY: options of non-zero words; none is zero.
unsafe impl Object for AsidPool {
    const KIND: Kind = Kind::AsidPool;
}
