// SPDX-License-Identifier: MIT OR Apache-2.0

//! Rounds of windows, and what is said of them.

use core::sync::atomic::{AtomicU64, Ordering};

use keel::println;

use crate::window;

/// Rounds that do not count.
const WARM_UP: usize = 16;
/// Rounds that count.
const ROUNDS: usize = 64;

/// Groups begun.
static GROUPS: AtomicU64 = AtomicU64::new(0);

/// Does `round`, which measures one window of each of the operations `names` in this order and no
/// others, and prints for each a line `bench GROUP WINDOW WINDOWS NAME MEDIAN MIN MAX`.
pub fn operations<const N: usize>(
    names: [&str; N],
    mut round: impl FnMut() -> keel::Result<[u64; N]>,
) -> keel::Result {
    let mut windows = [[0; ROUNDS]; N];
    window::begin_group();
    for _ in 0..WARM_UP {
        round()?;
    }
    for index in 0..ROUNDS {
        for (windows, count) in windows.iter_mut().zip(round()?) {
            windows[index] = count;
        }
    }
    let group = GROUPS.fetch_add(1, Ordering::Relaxed);
    for (index, (name, windows)) in names.iter().zip(&mut windows).enumerate() {
        windows.sort_unstable();
        let (median, min, max) = (windows[ROUNDS / 2], windows[0], windows[ROUNDS - 1]);
        println!("bench {group} {index} {N} {name} {median} {min} {max}");
    }
    Ok(())
}
