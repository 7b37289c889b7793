// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether anybody noticed.

use keel::{boot, cap::Blueprint, prelude::*, println, shared::View};
use keel_browser_protocol::{
    diary,
    vault::{MAX_PASSWORD, is_refusal},
};

use crate::household::Household;

/// The size of the largest thing that is made of the memory that came back.
const REUSED_BITS: u8 = 29;

/// The root task's priority while it waits for the neighbour.
const IN_THE_BACKGROUND: u8 = 1;

/// How often the root task looks before it gives up.
const MAX_LOOKS: u64 = 1_000_000;

/// How things stood before the tab opened.
pub struct Before {
    free_bytes: u64,
    slots: u64,
    seal: u64,
    rounds: u64,
}

impl Before {
    /// Looks how things stand. The neighbour has to have done a round.
    pub fn look(root: &mut Root, household: &Household) -> keel::Result<Self> {
        boot::TCB.set_priority(boot::TCB, IN_THE_BACKGROUND)?;
        let rounds = next_rounds(household.diary.view(), 0)?;
        Ok(Self {
            free_bytes: root.resources.memory.free_bytes(),
            slots: root.resources.slots.free(),
            seal: household.vault.seal()?,
            rounds,
        })
    }

    /// Looks again, and tells.
    pub fn compare(&self, root: &mut Root, household: &Household) -> keel::Result<bool> {
        let rounds = word(household.diary.view(), diary::ROUNDS)?;
        let goes_on = next_rounds(household.diary.view(), rounds)? > rounds;
        let wrong = word(household.diary.view(), diary::WRONG)?;
        let memory_back = root.resources.memory.free_bytes() == self.free_bytes
            && root.resources.slots.free() == self.slots
            && is_usable(&mut root.resources)?;
        let mut all_is_well = true;
        let mut tell = |what: core::fmt::Arguments<'_>, is_so: bool| {
            println!("{} {what}: {}", if is_so { ' ' } else { '!' }, if is_so { "yes" } else { "NO" });
            all_is_well &= is_so;
        };
        tell(format_args!("the vault's passwords are as they were"), household.vault.seal()? == self.seal);
        tell(
            format_args!("the vault turns away strangers, and auditors who are curious"),
            is_discreet(household),
        );
        tell(
            format_args!(
                "the neighbour did {} rounds with the vault and its cache meanwhile, {wrong} wrong, and goes on",
                rounds - self.rounds
            ),
            rounds > self.rounds && wrong == 0 && goes_on,
        );
        tell(
            format_args!("the tab's memory is free again, to the byte, and was made into something else"),
            memory_back,
        );
        Ok(all_is_well)
    }
}

/// The vault's rules hold for those who may not read.
fn is_discreet(household: &Household) -> bool {
    let mut room = [0; MAX_PASSWORD];
    is_refusal(&household.stranger.read(&mut room))
        && is_refusal(&household.stranger.check(b"guess"))
        && is_refusal(&household.stranger.seal())
        && is_refusal(&household.vault.read(&mut room))
        && is_refusal(&household.vault.change(b"mine"))
}

/// Makes frames of a large piece of free memory, which only works if nothing else is left in it.
fn is_usable(resources: &mut Resources) -> keel::Result<bool> {
    let bits = resources.memory.largest_free_bits().map_or(0, |bits| bits.min(REUSED_BITS));
    let untyped = resources.untyped(bits)?;
    let page = resources.make_from(untyped, Blueprint::LargePage);
    let made = page.is_ok();
    if let Ok(page) = page {
        resources.discard(page)?;
    }
    resources.release_untyped(untyped)?;
    Ok(made)
}

fn word(view: View, offset: u64) -> keel::Result<u64> {
    let mut bytes = [0; 8];
    view.read(offset, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Waits until the neighbour has done more than `rounds` rounds; gives how many it has done.
fn next_rounds(diary: View, rounds: u64) -> keel::Result<u64> {
    for _ in 0..MAX_LOOKS {
        let now = word(diary, diary::ROUNDS)?;
        if now > rounds {
            return Ok(now);
        }
        keel::sys::yield_now();
    }
    Ok(rounds)
}
