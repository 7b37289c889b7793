// SPDX-License-Identifier: MIT OR Apache-2.0

//! Asking the vault. Which site a request is for, and what that site may do, is told by the badge of
//! the capability used; there is no way to name another.

use keel::{
    cap::{Cap, Endpoint},
    error::{Error, Result},
    service::{Payload, request},
};

/// The longest password.
pub const MAX_PASSWORD: usize = 64;

/// Read the site's password: answered with its bytes.
pub const READ: u64 = 1;
/// Is this (bytes) the site's password? Answered with 1 or 0.
pub const CHECK: u64 = 2;
/// Give the site another password (bytes).
pub const CHANGE: u64 = 3;
/// Answered with a checksum over all passwords.
pub const SEAL: u64 = 4;
/// Answered with the address where the passwords lie, in the vault's own address space.
pub const ADDRESS: u64 = 5;

/// Those who may ask, by badge.
pub mod badge {
    /// Who looks after the vault: may take the seal and ask for the address, but reads nothing.
    pub const AUDITOR: u64 = 1;
    /// The site that shows pictures: reads its password.
    pub const GALLERY: u64 = 2;
    /// The bank: its password can be checked, never read.
    pub const BANK: u64 = 3;
    /// Nobody: a badge that the vault does not know.
    pub const STRANGER: u64 = 77;
}

/// A connection to the vault.
#[derive(Clone, Copy, Debug)]
pub struct Vault(pub Cap<Endpoint>);

impl Vault {
    /// Reads the site's password into `room`.
    pub fn read(self, room: &mut [u8; MAX_PASSWORD]) -> Result<&[u8]> {
        request(self.0, READ, Payload::new())?.take_bytes(room)
    }

    /// Whether this is the site's password.
    pub fn check(self, password: &[u8]) -> Result<bool> {
        let mut answer = request(self.0, CHECK, Payload::new().with_bytes(password)?)?;
        Ok(answer.take()? == 1)
    }

    /// Gives the site another password.
    pub fn change(self, password: &[u8]) -> Result {
        request(self.0, CHANGE, Payload::new().with_bytes(password)?).map(drop)
    }

    /// A checksum over all passwords.
    pub fn seal(self) -> Result<u64> {
        request(self.0, SEAL, Payload::new())?.take()
    }

    /// Where the passwords lie.
    pub fn address(self) -> Result<u64> {
        request(self.0, ADDRESS, Payload::new())?.take()
    }
}

/// Whether the vault turned a request down, which is what the caller wanted to see.
pub fn is_refusal<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Refused(_)))
}
