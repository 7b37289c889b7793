// SPDX-License-Identifier: MIT OR Apache-2.0

//! Choices: where tests that try many things take their decisions from.

/// A source of decisions: a generator of random numbers, or the input of a fuzzer.
pub trait Choose {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: u64) -> u64;

    /// One of `choices`, which are not none.
    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// True in `parts` of `whole` cases.
    fn odds(&mut self, parts: u64, whole: u64) -> bool {
        self.below(whole) < parts
    }
}

/// Numbers that look random and are the same on each run: the generator *SplitMix64*.
#[derive(Clone, Debug)]
pub struct Random {
    /// Goes through all numbers in large steps.
    state: u64,
}

impl Random {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number.
    pub const fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl Choose for Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.word() % limit
    }
}
