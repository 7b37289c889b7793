// SPDX-License-Identifier: MIT OR Apache-2.0

//! In which order threads ran: each notes a number when it comes by.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::check::{Outcome, Shown, differ};

/// Notes that fit; the rest is dropped.
const MAX_NOTES: usize = 64;

static NOTES: [AtomicU64; MAX_NOTES] = [const { AtomicU64::new(0) }; MAX_NOTES];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Forgets all.
pub fn clear() {
    COUNT.store(0, Ordering::Relaxed);
}

/// Notes a number.
pub fn note(number: u64) {
    if let Some(slot) = NOTES.get(COUNT.fetch_add(1, Ordering::Relaxed)) {
        slot.store(number, Ordering::Relaxed);
    }
}

/// Number of notes.
pub fn len() -> usize {
    COUNT.load(Ordering::Relaxed).min(MAX_NOTES)
}

/// Note `index`; 0 beyond the last.
pub fn get(index: usize) -> u64 {
    if index < len() { NOTES[index].load(Ordering::Relaxed) } else { 0 }
}

/// Expects exactly these notes, and forgets them.
#[track_caller]
pub fn is(expected: &[u64]) -> Outcome {
    let mut notes = [0; MAX_NOTES];
    for (index, note) in notes.iter_mut().enumerate() {
        *note = get(index);
    }
    let notes = &notes[..len()];
    clear();
    if notes == expected {
        return Ok(());
    }
    Err(differ("order", Shown::Words(expected), Shown::Words(notes)))
}
