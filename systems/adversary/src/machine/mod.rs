// SPDX-License-Identifier: MIT OR Apache-2.0

//! What depends on the machine: the counter, the alarm, and the programs of threads without a stack.
//!
//! Under QEMU's deterministic instruction counting an instruction is a nanosecond of the machine's time. So the
//! counter counts instructions, and an alarm set for a time comes at an instruction that is known beforehand.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use self::aarch64::*;
#[cfg(target_arch = "riscv64")]
pub use self::riscv64::*;
#[cfg(target_arch = "x86_64")]
pub use self::x86_64::*;

/// What is added to a count to make it the time of a clock that has a tick in so many instructions: `read` gives a count
/// and the clock's time at it, rounded down to a tick.
#[cfg(not(target_arch = "riscv64"))]
fn ahead(tick: u64, read: impl Fn() -> (u64, u64)) -> u64 {
    // One of these reads falls on the first instruction of a tick: there the difference is exact, and elsewhere it is
    // less.
    let differences = (0..16 * tick).map(|delay| {
        spin(2 * delay + 1);
        let (count, time) = read();
        (time * tick).wrapping_sub(count)
    });
    differences.map(u64::cast_signed).max().unwrap_or(0).cast_unsigned()
}
