// SPDX-License-Identifier: MIT OR Apache-2.0

//! Domains: a fixed timetable of who may run at all, so that what one domain does cannot be seen in the time that
//! another one gets (`scheduling.md` §7).
//!
//! The schedule is an array of (domain, duration). The kernel goes through it entry by entry; at an end marker it
//! goes on with the start entry. Only threads of the current entry's domain run.
//!
//! With one domain there is no accounting: the current slot never ends.
//!
//! Invariants:
//! - **M1** The start entry and the current slot are no end markers, the last entry is one.
//! - **M2** Each entry's domain is below the number of domains; an entry is an end marker exactly if its duration
//!   is 0.

use super::Tcb;
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Cap;
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::store::Ref;
use crate::units::Ticks;
use keel_abi::label;
use keel_abi::timing::{DOMAIN_SCHEDULE_ENTRIES, DOMAINS, MAX_DOMAIN_DURATION_TICKS};
use keel_bounds::operation_is;

/// Number of entries.
const ENTRIES: usize = DOMAIN_SCHEDULE_ENTRIES as usize;

/// A slot of the timetable; the default is the end marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Whose time it is.
    pub domain: u8,
    /// For how long.
    pub duration: Ticks,
}

impl Entry {
    /// Where the schedule goes back to its start.
    const END: Self = Self { domain: 0, duration: Ticks(0) };

    /// Whether it is the end marker.
    #[must_use]
    pub fn is_end(&self) -> bool {
        *self == Self::END
    }
}

/// The timetable and where in it we are.
#[cfg_attr(any(test, feature = "host"), derive(Clone))]
pub struct DomainSchedule {
    /// The timetable.
    entries: [Entry; ENTRIES],
    /// The entry behind the end marker.
    start: usize,
    /// The entry whose slot it is.
    index: usize,
    /// The domain whose slot it is; the entry may have changed since it began.
    current: u8,
    /// When the slot ends.
    end: Ticks,
}

impl DomainSchedule {
    /// Domain 0 for as long as can be said.
    #[must_use]
    pub const fn new() -> Self {
        let mut entries = [Entry::END; ENTRIES];
        entries[0] = Entry { domain: 0, duration: Ticks(MAX_DOMAIN_DURATION_TICKS) };
        Self { entries, start: 0, index: 0, current: 0, end: Ticks(u64::MAX) }
    }

    /// The domain whose threads run.
    #[must_use]
    #[inline(always)]
    pub const fn current(&self) -> u8 {
        if DOMAINS == 1 { 0 } else { self.current }
    }

    /// When its slot ends.
    #[must_use]
    #[inline(always)]
    pub const fn end(&self) -> Ticks {
        if DOMAINS == 1 { Ticks(u64::MAX) } else { self.end }
    }

    /// Whether its slot ends before `time`.
    #[must_use]
    pub fn is_over(&self, time: Ticks) -> bool {
        self.end() < time
    }

    /// The timetable, for checks of what the kernel does.
    #[must_use]
    pub const fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The numbers of the start entry and of the entry whose slot it is, likewise.
    #[must_use]
    pub const fn position(&self) -> (usize, usize) {
        (self.start, self.index)
    }

    /// The entry with number `index`, the end marker if there is none.
    fn entry(&self, index: usize) -> Entry {
        self.entries.get(index).copied().unwrap_or(Entry::END)
    }

    /// The slot of the start entry begins at `now`.
    pub fn start(&mut self, now: Ticks) {
        self.begin(self.start, now);
    }

    /// The next slot begins at `now`.
    pub fn advance(&mut self, now: Ticks) {
        let next = self.index + 1;
        self.begin(if self.entry(next).is_end() { self.start } else { next }, now);
    }

    /// The slot of entry `index` begins at `now`.
    fn begin(&mut self, index: usize, now: Ticks) {
        let entry = self.entry(index);
        self.index = index;
        self.current = entry.domain;
        self.end = now + entry.duration;
    }
}

impl Default for DomainSchedule {
    fn default() -> Self {
        Self::new()
    }
}

/// An operation of the authority over domains.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Moves a thread to a domain.
    Set {
        /// The thread.
        tcb: Ref<Tcb>,
        /// Its new domain.
        domain: u8,
    },
    /// Changes an entry of the schedule.
    Configure {
        /// Which.
        index: usize,
        /// Its new contents.
        entry: Entry,
    },
    /// Ends the current slot, goes on with an entry, and begins with that after each end marker.
    SetStart {
        /// Which.
        index: usize,
    },
}

impl<A: Arch> Kernel<A> {
    /// Decodes an invocation of the authority over domains (`invocations.md` §8).
    pub fn decode_domain_set(&self, message: &Message) -> Result<Invocation, Error> {
        match message.label {
            label::DOMAIN_SET_SET => self.decode_set_domain(message),
            label::DOMAIN_SCHEDULE_CONFIGURE => self.decode_configure_entry(message),
            label::DOMAIN_SCHEDULE_SET_START => self.decode_set_start(message),
            _ => Err(Error::IllegalOperation),
        }
    }

    /// DomainSetSet.
    fn decode_set_domain(&self, message: &Message) -> Result<Invocation, Error> {
        message.require(1)?;
        let domain = self.argument(message, 0);
        if domain >= DOMAINS {
            return Err(Error::InvalidArgument(0));
        }
        match self.extra_cap(message, 0)? {
            (_, Cap::Tcb(tcb)) => Ok(Invocation::Set { tcb, domain: domain as u8 }),
            _ => Err(Error::InvalidArgument(1)),
        }
    }

    /// DomainScheduleConfigure.
    fn decode_configure_entry(&self, message: &Message) -> Result<Invocation, Error> {
        message.require(3)?;
        let index = self.argument(message, 0);
        let domain = self.argument(message, 1);
        let duration = self.argument(message, 2);
        if index >= DOMAIN_SCHEDULE_ENTRIES - 1 {
            return Err(Error::Range { min: 0, max: DOMAIN_SCHEDULE_ENTRIES - 2 });
        }
        if domain >= DOMAINS {
            return Err(Error::Range { min: 0, max: DOMAINS - 1 });
        }
        if duration > MAX_DOMAIN_DURATION_TICKS {
            return Err(Error::InvalidArgument(2));
        }
        if duration == 0 && domain != 0 {
            return Err(Error::InvalidArgument(1));
        }
        let index = index as usize;
        if duration == 0 && index == self.domains.start {
            return Err(Error::InvalidArgument(2));
        }
        Ok(Invocation::Configure { index, entry: Entry { domain: domain as u8, duration: Ticks(duration) } })
    }

    /// DomainScheduleSetStart.
    fn decode_set_start(&self, message: &Message) -> Result<Invocation, Error> {
        message.require(1)?;
        let index = self.argument(message, 0);
        if index >= DOMAIN_SCHEDULE_ENTRIES {
            return Err(Error::Range { min: 0, max: DOMAIN_SCHEDULE_ENTRIES - 1 });
        }
        let index = index as usize;
        if self.domains.entry(index).is_end() {
            return Err(Error::InvalidArgument(0));
        }
        Ok(Invocation::SetStart { index })
    }

    /// Performs it; no results.
    pub fn perform_domain(&mut self, operation: Invocation) -> Result<u64, Preempted> {
        match operation {
            Invocation::Set { tcb, domain } => {
                operation_is::<{ label::DOMAIN_SET_SET }>();
                self.set_domain(tcb, domain);
            }
            Invocation::Configure { index, entry } => {
                operation_is::<{ label::DOMAIN_SCHEDULE_CONFIGURE }>();
                if let Some(place) = self.domains.entries.get_mut(index) {
                    *place = entry;
                }
            }
            Invocation::SetStart { index } => {
                operation_is::<{ label::DOMAIN_SCHEDULE_SET_START }>();
                self.domains.start = index;
                self.domains.start(self.core.now);
                self.domain_changed();
            }
        }
        Ok(0)
    }
}
