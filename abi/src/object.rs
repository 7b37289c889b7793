// SPDX-License-Identifier: MIT OR Apache-2.0

//! Object types and sizes (`objects.md §1, §2, §6`).
//!
//! Types 0 to 6 are the same everywhere; the rest stand in the `object` module of each architecture.
//! Sizes are log2 of bytes ("bits"), and every object is aligned to its size.

/// Untyped memory (`objects.md §1`).
pub const UNTYPED: u64 = 0;
/// Thread control block (`objects.md §1`).
pub const TCB: u64 = 1;
/// Endpoint (`objects.md §1`).
pub const ENDPOINT: u64 = 2;
/// Notification (`objects.md §1`).
pub const NOTIFICATION: u64 = 3;
/// CNode, "CapTable" (`objects.md §1`).
pub const CAP_TABLE: u64 = 4;
/// Scheduling context (`objects.md §1`).
pub const SCHED_CONTEXT: u64 = 5;
/// Reply object (`objects.md §1`).
pub const REPLY: u64 = 6;
/// First type of the architecture (`objects.md §1`).
pub const FIRST_ARCH: u64 = 7;

/// A CNode slot; a CNode of radix r takes r + 5 bits (`objects.md §2`).
pub const SLOT_BITS: u32 = 5;
/// TCB: always 11 here (`objects.md §2`).
pub const TCB_BITS: u32 = 11;
/// Endpoint (`objects.md §2`).
pub const ENDPOINT_BITS: u32 = 4;
/// Notification (`objects.md §2`).
pub const NOTIFICATION_BITS: u32 = 6;
/// Reply object (`objects.md §2`).
pub const REPLY_BITS: u32 = 5;
/// Smallest untyped (`objects.md §2`).
pub const MIN_UNTYPED_BITS: u32 = 4;
/// Most objects one Retype makes (`invocations.md §3.1`).
pub const RETYPE_FAN_OUT_LIMIT: u64 = 256;

/// Smallest scheduling context (`objects.md §6`).
pub const MIN_SCHED_CONTEXT_BITS: u32 = 7;
/// Bytes of a scheduling context with its two mandatory refills (`objects.md §6`).
pub const CORE_SCHED_CONTEXT_BYTES: u64 = 128;
/// Bytes of a refill (`objects.md §6`).
pub const REFILL_BYTES: u64 = 16;
/// Refills that a scheduling context always has (`objects.md §6`).
pub const MIN_REFILLS: u64 = 2;

/// Most refills that a scheduling context of this size holds (`objects.md §6`); 0 if it is too small.
pub const fn max_refills(bits: u32) -> u64 {
    if bits < MIN_SCHED_CONTEXT_BITS { 0 } else { max_extra_refills(bits) + MIN_REFILLS }
}

/// Most *extra* refills of a scheduling context of this size (`objects.md §6`); 0 if it is too small.
///
/// `bits` is below 64.
pub const fn max_extra_refills(bits: u32) -> u64 {
    if bits < MIN_SCHED_CONTEXT_BITS { 0 } else { ((1 << bits) - CORE_SCHED_CONTEXT_BYTES) / REFILL_BYTES }
}

/// Flag of a scheduling context: sporadic (`objects.md §6`).
pub const SCHED_CONTEXT_SPORADIC: u64 = 1 << 0;
/// Flag of a TCB: the thread may not use the FPU (`invocations.md §5.2`).
pub const TCB_FPU_DISABLED: u64 = 1 << 0;

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn refills_are_those_of_the_sheet() {
        for (bits, extra) in [(6, 0), (7, 0), (8, 8), (9, 24), (10, 56), (12, 248)] {
            assert_eq!(max_extra_refills(bits), extra);
        }
        for bits in MIN_SCHED_CONTEXT_BITS..48 {
            assert_eq!(max_refills(bits), ((1 << bits) - 96) / 16);
        }
    }
}
