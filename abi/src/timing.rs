// SPDX-License-Identifier: MIT OR Apache-2.0

//! Time, priorities and domains (`scheduling.md`).

use crate::config::Options;

/// Allowance for one path through the kernel, in microseconds (`scheduling.md §2`).
pub const KERNEL_WCET_US: u64 = 10;
/// Smallest budget and period, in microseconds (`scheduling.md §2`).
pub const MIN_BUDGET_US: u64 = 2 * KERNEL_WCET_US;
/// The largest time is what converts to ticks without overflow, divided by this (`scheduling.md §2`).
pub const MAX_PERIOD_DIVISOR: u64 = 8;
/// Budget and period of the initial thread, in milliseconds (`boot.md §4`).
pub const BOOT_TIME_SLICE_MS: u64 = 5;
/// The same in microseconds.
pub const BOOT_TIME_SLICE_US: u64 = BOOT_TIME_SLICE_MS * 1000;

/// Number of priorities (`scheduling.md §1`).
pub const PRIORITIES: usize = 256;
/// Highest priority (`objects.md §9`).
pub const MAX_PRIORITY: u64 = 255;

/// Number of domains (`scheduling.md §7`).
pub const DOMAINS: u64 = Options::BUILD.domains;
/// Entries of the domain schedule; the last one stays an end marker (`scheduling.md §7`).
pub const DOMAIN_SCHEDULE_ENTRIES: u64 = domain_schedule_entries(&Options::BUILD);
/// Longest duration of an entry of the domain schedule, in ticks (`scheduling.md §7`).
pub const MAX_DOMAIN_DURATION_TICKS: u64 = (1 << 56) - 1;

/// Entries of the domain schedule: 2, or 100 with several domains (`scheduling.md §7`).
pub const fn domain_schedule_entries(options: &Options) -> u64 {
    if options.domains > 1 { 100 } else { 2 }
}

const _: () = assert!(MIN_BUDGET_US == 20 && PRIORITIES as u64 == MAX_PRIORITY + 1);
const _: () = assert!(domain_schedule_entries(&Options::DEFAULT) == 2);
const _: () = assert!(domain_schedule_entries(&Options { domains: 16, ..Options::DEFAULT }) == 100);
