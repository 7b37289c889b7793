// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tables of virtual address spaces.

use crate::store::{Kind, Object};

/// Entries of a table.
pub const TABLE_ENTRIES: usize = 512;

/// A table: the root of an address space or a page table.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Table {
    /// Entries in the machine's form.
    pub entries: [u64; TABLE_ENTRIES],
}

const _: () = assert!(size_of::<Table>() == 1 << super::bits::TABLE);

// SAFETY: words.
unsafe impl Object for Table {
    const KIND: Kind = Kind::Table;
}
