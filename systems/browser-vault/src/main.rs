// SPDX-License-Identifier: MIT OR Apache-2.0

//! The vault: it keeps passwords, and answers only badges that it knows, each with its own rules.
//!
//! | who | read | check | change | seal, address |
//! |---|---|---|---|---|
//! | auditor | – | – | – | yes |
//! | gallery | yes | yes | yes | – |
//! | bank | – | yes, until three wrong guesses | – | – |
//! | any other badge | – | – | – | – |
//!
//! It is linked to addresses of its own, so that an address of its memory is none of any other program's.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use heapless::Vec;
use keel::{
    prelude::*,
    service::{
        Answer, BAD_REQUEST, FIRST_OWN, NOT_ALLOWED, Payload, Refusal, Request, Service, UNKNOWN_REQUEST,
        serve,
    },
};
use keel_browser_picture::Checksum;
use keel_browser_protocol::{
    names,
    vault::{ADDRESS, CHANGE, CHECK, MAX_PASSWORD, READ, SEAL, badge},
};

keel::program!(main);

/// Too many wrong guesses.
const LOCKED: Refusal = Refusal(FIRST_OWN);

/// Wrong guesses after which nobody can guess any more.
const MAX_WRONG: u32 = 3;

/// What a site may do with its password.
struct Rules {
    read: bool,
    change: bool,
    /// Wrong guesses allowed; `None` for any number.
    guesses: Option<u32>,
}

struct Entry {
    badge: u64,
    rules: Rules,
    password: Vec<u8, MAX_PASSWORD>,
    wrong: u32,
}

struct Vault {
    entries: [Entry; 2],
}

fn main(startup: &'static Startup) -> keel::Result {
    let clients = startup.cap::<Endpoint>(names::CLIENTS).ok_or(Error::Missing(names::CLIENTS))?;
    let reply = startup.cap::<Reply>(names::REPLY).ok_or(Error::Missing(names::REPLY))?;
    let mut vault = Vault {
        entries: [
            Entry {
                badge: badge::GALLERY,
                rules: Rules { read: true, change: true, guesses: None },
                password: password(b"correct horse battery staple"),
                wrong: 0,
            },
            Entry {
                badge: badge::BANK,
                rules: Rules { read: false, change: false, guesses: Some(MAX_WRONG) },
                password: password(b"four dozen gold bars"),
                wrong: 0,
            },
        ],
    };
    serve(clients, reply, &mut vault)
}

fn password(bytes: &[u8]) -> Vec<u8, MAX_PASSWORD> {
    Vec::from_slice(bytes).unwrap_or_default()
}

impl Service for Vault {
    fn request(&mut self, request: &mut Request) -> Answer {
        if request.badge == badge::AUDITOR {
            return self.audit(request.label);
        }
        let entry = self.entries.iter_mut().find(|entry| entry.badge == request.badge).ok_or(NOT_ALLOWED)?;
        match request.label {
            READ if entry.rules.read => Ok(Payload::new().with_bytes(&entry.password)?),
            CHECK => entry.check(request),
            CHANGE if entry.rules.change => entry.change(request),
            READ | CHANGE | SEAL | ADDRESS => Err(NOT_ALLOWED),
            _ => Err(UNKNOWN_REQUEST),
        }
    }
}

impl Vault {
    fn audit(&self, label: u64) -> Answer {
        match label {
            SEAL => {
                let mut seal = Checksum::new();
                for entry in &self.entries {
                    seal.add(&entry.password);
                    seal.add(&[0]);
                }
                Ok(Payload::new().with(seal.value().into())?)
            }
            ADDRESS => Ok(Payload::new().with(self.entries[1].password.as_ptr() as u64)?),
            READ | CHECK | CHANGE => Err(NOT_ALLOWED),
            _ => Err(UNKNOWN_REQUEST),
        }
    }
}

impl Entry {
    fn check(&mut self, request: &mut Request) -> Answer {
        if self.rules.guesses.is_some_and(|guesses| self.wrong >= guesses) {
            return Err(LOCKED);
        }
        let mut room = [0; MAX_PASSWORD];
        let guess = request.payload.take_bytes(&mut room)?;
        let right = equal(guess, &self.password);
        if right {
            self.wrong = 0;
        } else {
            self.wrong = self.wrong.saturating_add(1);
        }
        Ok(Payload::new().with(right.into())?)
    }

    fn change(&mut self, request: &mut Request) -> Answer {
        let mut room = [0; MAX_PASSWORD];
        let bytes = request.payload.take_bytes(&mut room)?;
        if bytes.is_empty() {
            return Err(BAD_REQUEST);
        }
        self.password = password(bytes);
        Ok(Payload::new())
    }
}

/// Compares without telling by the time taken where the first difference is.
fn equal(guess: &[u8], password: &[u8]) -> bool {
    let differences = guess.iter().zip(password).fold(0, |sum, (a, b)| sum | (a ^ b));
    guess.len() == password.len() && differences == 0
}
