// SPDX-License-Identifier: MIT OR Apache-2.0

//! Ctrl-C and its relatives: the tool is asked to end.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// The status that a shell gives a program which Ctrl-C ended.
pub(crate) const STATUS: u8 = 130;

static INSTALL: Once = Once::new();
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// From now on a request to end is noted, and no longer ends the tool by itself.
pub(crate) fn watch() -> Result<()> {
    let mut result = Ok(());
    INSTALL.call_once(|| {
        result = ctrlc::set_handler(|| REQUESTED.store(true, Ordering::Relaxed));
    });
    result.context("cannot watch for Ctrl-C")
}

/// Whether the tool was asked to end.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
