// SPDX-License-Identifier: MIT OR Apache-2.0

//! Conversions between the interface's microseconds and the timer's ticks (`scheduling.md` §2).
//!
//! Both round down and are exact, without wide arithmetic: the value is split at a power of ten (microseconds) or
//! at the timer's rate (ticks), so that no intermediate product exceeds the result by more than one step. Nothing
//! here is on a hot path: times are converted when a context is configured and when consumed time is reported.
//!
//! The rate is in kilohertz and at least 1,000: a timer below 1 MHz could not tell microseconds apart.

use crate::units::{Micros, Ticks};
use keel_abi::timing::{MAX_PERIOD_DIVISOR, MIN_BUDGET_US};

/// The smallest budget and period.
pub const MIN_BUDGET: Micros = Micros(MIN_BUDGET_US);

/// Slowest timer that the conversions are exact for.
const MIN_KHZ: u64 = 1_000;

/// How fast a core's timer ticks, and what follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Kilohertz, at least [`MIN_KHZ`].
    khz: u64,
    /// [`MIN_BUDGET`] in ticks.
    pub min_budget: Ticks,
    /// See [`Self::max_period`].
    max_period: Micros,
}

impl Rate {
    /// The rate of a timer of `khz` kilohertz.
    #[must_use]
    pub const fn new(khz: u64) -> Self {
        let khz = if khz < MIN_KHZ { MIN_KHZ } else { khz };
        let factor = if khz.is_multiple_of(1_000) { khz / 1_000 } else { khz };
        let max_period = Micros(u64::MAX / factor / MAX_PERIOD_DIVISOR);
        let rate = Self { khz, min_budget: Ticks(0), max_period };
        Self { min_budget: rate.ticks(MIN_BUDGET), ..rate }
    }

    /// `time` in ticks, rounded down. Exact for times up to eight times [`Self::max_period`].
    #[must_use]
    pub const fn ticks(&self, time: Micros) -> Ticks {
        let (millis, micros) = (time.0 / 1_000, time.0 % 1_000);
        Ticks(millis.wrapping_mul(self.khz).wrapping_add(micros.wrapping_mul(self.khz) / 1_000))
    }

    /// `time` in microseconds, rounded down. Exact for all times: the quotient by at least 1,000 leaves room for
    /// the factor 1,000.
    #[must_use]
    pub const fn micros(&self, time: Ticks) -> Micros {
        let (millis, rest) = (time.0 / self.khz, time.0 % self.khz);
        Micros(millis.wrapping_mul(1_000).wrapping_add(rest.wrapping_mul(1_000) / self.khz))
    }

    /// The longest period and budget. Where the timer ticks in whole megahertz the conversion multiplies by
    /// these, else by the kilohertz.
    #[must_use]
    pub const fn max_period(&self) -> Micros {
        self.max_period
    }
}

#[cfg(test)]
mod test {
    use super::*;

    /// 62.5 MHz (QEMU), 24 MHz, 19.2 MHz (Raspberry Pi), 10 MHz, 1 MHz, 3 GHz, 33.333 MHz.
    const RATES: [u64; 7] = [62_500, 24_000, 19_200, 10_000, 1_000, 3_000_000, 33_333];

    fn some_values() -> impl Iterator<Item = u64> {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        edges.chain([999, 1000, 1001, 20, 5_000, 123_456_789, u64::MAX])
    }

    #[test]
    fn conversions_agree_with_wide_arithmetic() {
        for khz in RATES {
            let rate = Rate::new(khz);
            for value in some_values() {
                let wide = u128::from(value) * 1_000 / u128::from(khz);
                assert_eq!(u128::from(rate.micros(Ticks(value)).0), wide, "{value} ticks at {khz} kHz");
                let wide = u128::from(value) * u128::from(khz) / 1_000;
                if let Ok(expected) = u64::try_from(wide) {
                    assert_eq!(rate.ticks(Micros(value)), Ticks(expected), "{value} us at {khz} kHz");
                }
            }
        }
    }

    #[test]
    fn the_longest_period_leaves_room_for_sums() {
        for khz in RATES {
            let rate = Rate::new(khz);
            assert!(rate.ticks(rate.max_period()).0 <= u64::MAX / 8);
            assert_eq!(rate.min_budget, Ticks(MIN_BUDGET_US * khz / 1_000));
        }
    }
}
