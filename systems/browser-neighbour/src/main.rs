// SPDX-License-Identifier: MIT OR Apache-2.0

//! A tab of another site, in the background: round after round it looks whether its cache is as it left
//! it and whether the vault answers it as always, and writes down how often that was so.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::{prelude::*, shared::View};
use keel_browser_picture::checksum;
use keel_browser_protocol::{
    diary, names,
    vault::{MAX_PASSWORD, Vault, is_refusal},
};

keel::program!(main);

/// What the user types at this site.
const PASSWORD: &[u8] = b"four dozen gold bars";

fn main(startup: &'static Startup) -> keel::Result {
    let vault = Vault(startup.cap(names::VAULT).ok_or(Error::Missing(names::VAULT))?);
    let cache = startup.take_region(names::CACHE).ok_or(Error::Missing(names::CACHE))?;
    let diary = startup.view(names::DIARY).ok_or(Error::Missing(names::DIARY))?;
    for (index, byte) in cache.iter_mut().enumerate() {
        *byte = ((index * 7) >> 3) as u8;
    }
    let written = checksum(cache);
    let (mut rounds, mut wrong) = (0_u64, 0_u64);
    loop {
        rounds += 1;
        if !all_is_well(vault) || checksum(core::hint::black_box(&*cache)) != written {
            wrong += 1;
        }
        note(diary, rounds, wrong)?;
        keel::sys::yield_now();
    }
}

/// The bank's password is checked right, and still cannot be read.
fn all_is_well(vault: Vault) -> bool {
    let mut room = [0; MAX_PASSWORD];
    vault.check(PASSWORD) == Ok(true) && is_refusal(&vault.read(&mut room))
}

fn note(diary: View, rounds: u64, wrong: u64) -> keel::Result {
    diary.write(diary::WRONG, &wrong.to_le_bytes())?;
    diary.write(diary::ROUNDS, &rounds.to_le_bytes())
}
