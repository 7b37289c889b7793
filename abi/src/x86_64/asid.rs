// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address space identifiers (`objects.md §9`, `memory.md §6`).

/// log2 of the number of pools.
pub const POOL_COUNT_BITS: u32 = 3;
/// Number of pools.
pub const POOLS: usize = 1 << POOL_COUNT_BITS;
/// log2 of the number of identifiers in a pool.
pub const INDEX_BITS: u32 = 9;
/// Identifiers in a pool.
pub const PER_POOL: usize = 1 << INDEX_BITS;
/// Never handed out.
pub const INVALID: u64 = 0;
/// The initial thread's.
pub const INITIAL: u64 = 1;

const _: () = assert!(POOLS == 8 && PER_POOL == 512);
