// SPDX-License-Identifier: MIT OR Apache-2.0

//! A tab: it shows a picture from somewhere, with decoders that it does not trust, and then lets hostile
//! ones loose in the same place.
//!
//! What it holds: a capability to the vault, badged for its site; memory for a cache, its alone; the
//! console; an Untyped. To build processes of the Untyped it further has its own CSpace, address space
//! and thread, the pool that new address spaces take their identifiers from, and the right to give time.
//! It can read the file and the programs that it starts.
//!
//! A decoder holds: the file's bytes, to read; the output; one capability to its tab's endpoint, to send
//! through; its heap and stack; and time, some in each period. The steps of the evening:
//!
//! 1. decode the user's picture, draw it, keep the small one in the cache;
//! 2. one attack after the other, and after each one a picture that ships with the tab, which must still
//!    decode to the same pixels;
//! 3. the user's picture again; cache and vault as they were; a table.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod attacks;
mod gallery;
mod job;
mod sandbox;
mod table;
mod trouble;

use keel::{prelude::*, println};
use keel_browser_picture::checksum;
use keel_browser_protocol::{
    Orders, names,
    vault::{MAX_PASSWORD, Vault, is_refusal},
};

use crate::{
    attacks::Attacks,
    gallery::Gallery,
    sandbox::Sandbox,
    table::Table,
    trouble::{Result, Trouble},
};

keel::program!(main);

fn main(startup: &'static Startup) -> core::result::Result<(), &'static str> {
    evening(startup).map_err(Trouble::tell)
}

fn evening(startup: &'static Startup) -> Result {
    let orders = Orders::decode(startup.argument());
    let vault = Vault(startup.cap(names::VAULT).ok_or(Error::Missing(names::VAULT))?);
    let mut room = [0; MAX_PASSWORD];
    let password = log_in(vault, &mut room)?;
    let cache = startup.take_region(names::CACHE).ok_or(Error::Missing(names::CACHE))?;
    let mut sandbox = Sandbox::new(startup)?;

    let mut gallery = Gallery::new(startup, orders)?;
    let shown = gallery.show(&mut sandbox, cache)?;
    let kept = checksum(cache);

    println!();
    let mut table = Table::default();
    Attacks::new(startup, &mut sandbox, orders.vault_address)?.run(&mut sandbox, &mut table)?;

    let again = gallery.decode(&mut sandbox)?;
    table.note("the picture decodes again, to the same pixels", again == shown);
    table.note("the cache is as it was", checksum(core::hint::black_box(&*cache)) == kept);
    let mut room = [0; MAX_PASSWORD];
    table.note("the vault still gives this site its password", vault.read(&mut room) == Ok(password));
    println!();
    table.print()
}

/// Asks the vault for this site's password, and for what the site may not have.
fn log_in(vault: Vault, room: &mut [u8; MAX_PASSWORD]) -> Result<&[u8]> {
    let password = vault.read(room)?;
    let refused = is_refusal(&vault.seal()) && is_refusal(&vault.address());
    if !refused {
        return Err(Trouble::new("the vault tells too much", "this site may read its password alone"));
    }
    println!(
        "tab: the vault knows this site and gives it its password ({} letters), no more",
        password.len()
    );
    Ok(password)
}
