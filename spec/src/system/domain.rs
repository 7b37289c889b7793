// SPDX-License-Identifier: MIT OR Apache-2.0

//! Domains: a timetable of who may run at all (`scheduling.md` §7, `invocations.md` §8).
//!
//! The timetable is a list of entries, each a domain and a number of ticks; entries of no ticks are end markers. One
//! entry follows the other, and after the last one before an end marker comes the start entry. With only one domain there
//! is nothing to divide: no entry ever ends.

use super::System;
use super::call::{Answer, Message};
use super::error::Error;
use super::schedule::NEVER;
use crate::algebra::Kind;
use keel_abi::label;
use keel_abi::timing::MAX_DOMAIN_DURATION_TICKS;

/// An entry of the timetable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Whose time it is.
    pub domain: u64,
    /// For how many ticks; 0 for an end marker.
    pub duration: u64,
}

/// The timetable, and where in it we are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Domains {
    /// How many domains there are.
    pub count: u64,
    /// The timetable. The last entry is an end marker.
    pub entries: Vec<Entry>,
    /// The entry that follows on an end marker.
    pub start: u64,
    /// The entry whose time it is.
    pub index: u64,
    /// The domain whose time it is. Its entry may have changed since.
    pub current: u64,
    /// When that ends.
    pub end: u64,
}

impl Domains {
    /// When the current domain's time ends.
    #[must_use]
    pub const fn end(&self) -> u64 {
        if self.count == 1 { NEVER } else { self.end }
    }

    /// The time of an entry begins.
    fn begin(&mut self, index: u64, now: u64) {
        let entry = self.entries[index as usize];
        self.index = index;
        if self.count > 1 {
            (self.current, self.end) = (entry.domain, now + entry.duration);
        }
    }

    /// The time of the next entry begins.
    pub(super) fn advance(&mut self, now: u64) {
        let next = self.index + 1;
        let is_end = self.entries.get(next as usize).is_none_or(|entry| entry.duration == 0);
        self.begin(if is_end { self.start } else { next }, now);
    }
}

impl System {
    /// Invokes the authority over domains.
    pub(super) fn invoke_domains(&mut self, message: &Message) -> Answer {
        match message.label {
            label::DOMAIN_SET_SET => self.set_domain(message)?,
            label::DOMAIN_SCHEDULE_CONFIGURE => self.configure_entry(message)?,
            label::DOMAIN_SCHEDULE_SET_START => self.set_start(message)?,
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    /// Set: a thread goes to another domain.
    fn set_domain(&mut self, message: &Message) -> Result<(), Error> {
        message.require(1)?;
        let domain = self.argument(message, 0);
        if domain >= self.domains.count {
            return Err(Error::InvalidArgument(0));
        }
        let cap = self.cap(&message.extra(0)?);
        if cap.kind != Kind::Tcb {
            return Err(Error::InvalidArgument(1));
        }
        self.reorder(cap.object, |thread| thread.domain = domain);
        Ok(())
    }

    /// ScheduleConfigure: an entry changes. If its time is now, it ends when it would have ended.
    fn configure_entry(&mut self, message: &Message) -> Result<(), Error> {
        message.require(3)?;
        let [index, domain, duration] = [0, 1, 2].map(|index| self.argument(message, index));
        let Domains { count, ref entries, start, .. } = self.domains;
        let last = entries.len() as u64 - 1;
        if index >= last {
            return Err(Error::Range(0, last - 1));
        }
        if domain >= count {
            return Err(Error::Range(0, count - 1));
        }
        if duration > MAX_DOMAIN_DURATION_TICKS {
            return Err(Error::InvalidArgument(2));
        }
        if duration == 0 && domain != 0 {
            return Err(Error::InvalidArgument(1));
        }
        if duration == 0 && index == start {
            return Err(Error::InvalidArgument(2));
        }
        self.domains.entries[index as usize] = Entry { domain, duration };
        Ok(())
    }

    /// SetStart: the timetable goes on with an entry, and from now on begins with it.
    fn set_start(&mut self, message: &Message) -> Result<(), Error> {
        message.require(1)?;
        let index = self.argument(message, 0);
        let entries = &self.domains.entries;
        if index >= entries.len() as u64 {
            return Err(Error::Range(0, entries.len() as u64 - 1));
        }
        if entries[index as usize].duration == 0 {
            return Err(Error::InvalidArgument(0));
        }
        self.domains.start = index;
        self.domains.begin(index, self.clock.now);
        self.reschedule();
        Ok(())
    }
}
