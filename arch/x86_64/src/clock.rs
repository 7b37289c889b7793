// SPDX-License-Identifier: MIT OR Apache-2.0

//! How fast the processor counts: its counter of time, which is the kernel's clock, and its timer, which wakes the
//! kernel.
//!
//! Both are measured once, against the one clock of a PC whose frequency has never changed: the counter that once made
//! sounds (8254 programmable interval timer, channel 2). It is read by polling; its interrupt is never used. Whatever
//! disturbs a measurement makes it longer, so the shortest of several counts.

use crate::apic::Apic;
use crate::cpu::{self, Width, read_port, write_port};
use keel_arch::mmio::Mmio;

/// The counter's frequency in Hertz.
const HERTZ: u64 = 1_193_182;
/// For how many of its ticks is measured: 10 ms.
const TICKS: u64 = HERTZ / 100;
/// How often is measured.
const ROUNDS: usize = 3;
/// How often the counter is asked whether it is through before it is taken for broken.
const MAX_POLLS: u64 = 1 << 26;

/// Ports of the counter.
mod port {
    /// What channel 2 counts down from.
    pub const COUNTER: u16 = 0x42;
    /// How the channels count.
    pub const MODE: u16 = 0x43;
    /// The switch of channel 2 (bit 0), that of the speaker (bit 1), and whether it is through (bit 5).
    pub const CONTROL: u16 = 0x61;
}

/// How fast the processor counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rates {
    /// The counter of time, in megahertz.
    pub counter_mhz: u64,
    /// Ticks of the timer for each of the counter, times 2^32.
    pub timer_ratio: u64,
}

impl Rates {
    /// Measures; none if the counter of the PC does not count.
    pub fn measure<M: Mmio>(apic: &Apic<M>) -> Option<Self> {
        let mut shortest = (u64::MAX, 0);
        for _ in 0..ROUNDS {
            shortest = shortest.min(Self::round(apic)?);
        }
        Self::of(shortest.0, shortest.1)
    }

    /// The rates by what was counted while the PC's counter counted [`TICKS`].
    fn of(counted: u64, timer_counted: u64) -> Option<Self> {
        let counter_mhz = (counted * HERTZ / TICKS + 500_000) / 1_000_000;
        let timer_ratio = (timer_counted << 32).checked_div(counted)?;
        (counter_mhz > 0 && timer_ratio > 0).then_some(Self { counter_mhz, timer_ratio })
    }

    /// What both count while the PC's counter counts [`TICKS`].
    fn round<M: Mmio>(apic: &Apic<M>) -> Option<(u64, u64)> {
        /// Channel 2, both bytes, one count.
        const ONE_COUNT: u32 = 0xb0;
        let out = |port, value: u64| write_port(port, Width::Byte, value as u32 & 0xff);
        let control = read_port(port::CONTROL, Width::Byte) & !3;
        write_port(port::CONTROL, Width::Byte, control);
        write_port(port::MODE, Width::Byte, ONE_COUNT);
        out(port::COUNTER, TICKS);
        out(port::COUNTER, TICKS >> 8);
        apic.set_timer(u32::MAX);
        let (start, timer_start) = (cpu::counter(), apic.timer());
        write_port(port::CONTROL, Width::Byte, control | 1);
        let is_through = (0..MAX_POLLS).any(|_| read_port(port::CONTROL, Width::Byte) & 1 << 5 != 0);
        let (end, timer_end) = (cpu::counter(), apic.timer());
        write_port(port::CONTROL, Width::Byte, control);
        apic.set_timer(0);
        is_through.then_some((end.wrapping_sub(start), timer_start.wrapping_sub(timer_end).into()))
    }

    /// Ticks of the timer for so many of the counter, rounded up; for long spans, fewer.
    #[inline(always)]
    pub fn timer_ticks(&self, ticks: u64) -> u32 {
        /// Longer spans would not fit the product.
        const LONGEST: u64 = 1 << 30;
        let product = ticks.min(LONGEST).saturating_mul(self.timer_ratio) >> 32;
        product.min(u64::from(u32::MAX) - 1) as u32 + 1
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn rates_follow_from_counts() {
        let gigahertz = Rates::of(10_000_000, 10_000_000).unwrap();
        assert_eq!(gigahertz, Rates { counter_mhz: 1000, timer_ratio: 1 << 32 });
        assert_eq!(gigahertz.timer_ticks(0), 1);
        assert_eq!(gigahertz.timer_ticks(1000), 1001);
        assert_eq!(gigahertz.timer_ticks(u64::MAX), (1 << 30) + 1);
        let slow_timer = Rates::of(29_930_000, 250_000).unwrap();
        assert_eq!(slow_timer.counter_mhz, 2993);
        assert_eq!(slow_timer.timer_ticks(2_993_000), 25_000);
        assert_eq!((Rates::of(0, 1), Rates::of(10_000_000, 0)), (None, None));
        assert_eq!(Rates { counter_mhz: 1, timer_ratio: u64::MAX }.timer_ticks(u64::MAX), u32::MAX);
    }
}
