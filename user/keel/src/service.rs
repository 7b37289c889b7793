// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests and replies: a small layer over endpoints for programs that serve others.
//!
//! A request is a label that says what is wanted, and a [`Payload`] of words and byte strings; the
//! answer is a payload too, or a refusal: a number that is not 0. Payloads are copies, so printing,
//! sending and receiving do not disturb them. Who asks is told by the badge of the capability used, and
//! by nothing else.
//!
//! ```no_run
//! # use keel::{cap::*, service::*};
//! const ADD: u64 = 1;
//!
//! // The client, with a badged capability to the server's endpoint:
//! fn add(server: Cap<Endpoint>, a: u64, b: u64) -> keel::Result<u64> {
//!     request(server, ADD, Payload::new().with(a)?.with(b)?)?.take()
//! }
//!
//! // The server:
//! struct Calculator;
//!
//! impl Service for Calculator {
//!     fn request(&mut self, request: &mut Request) -> Answer {
//!         match request.label {
//!             ADD => {
//!                 let sum = request.payload.take()?.wrapping_add(request.payload.take()?);
//!                 Ok(Payload::new().with(sum)?)
//!             }
//!             _ => Err(UNKNOWN_REQUEST),
//!         }
//!     }
//! }
//! ```

use keel_abi::message::MAX_LENGTH;

use crate::{
    cap::{Cap, Endpoint, Reply},
    error::{Error, Result},
    ipc::{Message, Received, word_of_bytes},
};

/// A badge with this bit is a notification's, none of a client: whoever badges capabilities sees to
/// that.
pub const NOTIFICATION_BIT: u64 = 1 << 63;

/// Why a server does not answer: any number but 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u64);

/// The server does not know such a request.
pub const UNKNOWN_REQUEST: Refusal = Refusal(1);
/// The request is not made as it should be.
pub const BAD_REQUEST: Refusal = Refusal(2);
/// The badge used may not ask for this.
pub const NOT_ALLOWED: Refusal = Refusal(3);
/// A first number for a service's own refusals.
pub const FIRST_OWN: u64 = 16;

impl From<Error> for Refusal {
    /// A payload that cannot be read or built.
    fn from(_: Error) -> Self {
        BAD_REQUEST
    }
}

/// Words and byte strings, written at one end and read in the same order at the other.
#[derive(Clone, Debug)]
pub struct Payload {
    words: [u64; MAX_LENGTH],
    len: usize,
    next: usize,
}

impl Default for Payload {
    fn default() -> Self {
        Self::new()
    }
}

impl Payload {
    /// Nothing.
    pub const fn new() -> Self {
        Self { words: [0; MAX_LENGTH], len: 0, next: 0 }
    }

    /// What a message holds.
    pub fn received(message: &Received) -> Self {
        let mut payload = Self::new();
        payload.len = message.copy_words(&mut payload.words).len();
        payload
    }

    /// All words.
    pub fn words(&self) -> &[u64] {
        &self.words[..self.len]
    }

    /// Appends a word.
    pub fn put(&mut self, word: u64) -> Result {
        *self.words.get_mut(self.len).ok_or(Error::OutOfRoom("words in a message"))? = word;
        self.len += 1;
        Ok(())
    }

    /// Appends bytes: their number, then as many words as they fill.
    pub fn put_bytes(&mut self, bytes: &[u8]) -> Result {
        if bytes.len().div_ceil(8) >= MAX_LENGTH - self.len {
            return Err(Error::OutOfRoom("words in a message"));
        }
        self.put(bytes.len() as u64)?;
        (0..bytes.len().div_ceil(8)).try_for_each(|index| self.put(word_of_bytes(bytes, index)))
    }

    /// With this word appended.
    pub fn with(mut self, word: u64) -> Result<Self> {
        self.put(word)?;
        Ok(self)
    }

    /// With these bytes appended.
    pub fn with_bytes(mut self, bytes: &[u8]) -> Result<Self> {
        self.put_bytes(bytes)?;
        Ok(self)
    }

    /// Reads the next word.
    pub fn take(&mut self) -> Result<u64> {
        let word = self.words().get(self.next).copied().ok_or(Error::BadArgument("message, too short"))?;
        self.next += 1;
        Ok(word)
    }

    /// Reads the next bytes into `room`; gives the part that was filled. Fails if they do not fit.
    pub fn take_bytes<'r>(&mut self, room: &'r mut [u8]) -> Result<&'r [u8]> {
        let count = usize::try_from(self.take()?).ok().filter(|&count| count <= room.len());
        let count = count.ok_or(Error::BadArgument("message, too many bytes"))?;
        for piece in room[..count].chunks_mut(8) {
            let word = self.take()?.to_le_bytes();
            piece.copy_from_slice(&word[..piece.len()]);
        }
        Ok(&room[..count])
    }
}

/// A request, as a server sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks: the badge of the capability used.
    pub badge: u64,
    /// What is wanted.
    pub label: u64,
    /// The rest of it.
    pub payload: Payload,
}

/// What a server answers.
pub type Answer = core::result::Result<Payload, Refusal>;

/// What a server does.
pub trait Service {
    /// Answers a request. Nothing in it can be trusted but the badge.
    fn request(&mut self, request: &mut Request) -> Answer;

    /// The thread's bound notification was signalled.
    fn notified(&mut self, _badge: u64) {}
}

/// Asks a server and waits for its answer.
pub fn request(server: Cap<Endpoint>, label: u64, payload: Payload) -> Result<Payload> {
    let reply = server.call(&Message::new(label).words(payload.words()));
    match reply.label() {
        0 => Ok(Payload::received(&reply)),
        refusal => Err(Error::Refused(refusal)),
    }
}

/// Serves whoever sends to `endpoint`, for ever. `reply` is for this alone.
pub fn serve(endpoint: Cap<Endpoint>, reply: Cap<Reply>, service: &mut impl Service) -> ! {
    let mut received = endpoint.recv(reply);
    loop {
        received = if received.badge & NOTIFICATION_BIT != 0 {
            service.notified(received.badge);
            endpoint.recv(reply)
        } else {
            match answer(service, &received) {
                Ok(payload) => endpoint.reply_recv(&Message::new(0).words(payload.words()), reply),
                Err(Refusal(number)) => endpoint.reply_recv(&Message::new(number), reply),
            }
        };
    }
}

fn answer(service: &mut impl Service, received: &Received) -> Answer {
    let payload = Payload::received(received);
    let mut request = Request { badge: received.badge, label: received.label(), payload };
    match service.request(&mut request) {
        Err(Refusal(0)) => Err(BAD_REQUEST),
        answer => answer,
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_is_put_is_taken_in_order() {
        let mut payload =
            Payload::new().with(7).unwrap().with_bytes(b"hello, world").unwrap().with(8).unwrap();
        let mut room = [0; 20];
        assert_eq!(payload.take(), Ok(7));
        assert_eq!(payload.take_bytes(&mut room), Ok(&b"hello, world"[..]));
        assert_eq!(payload.take(), Ok(8));
        assert!(payload.take().is_err());
    }

    #[test]
    fn lies_about_length_are_refused() {
        let mut room = [0; 16];
        assert!(Payload::new().with(u64::MAX).unwrap().take_bytes(&mut room).is_err());
        assert!(Payload::new().with(17).unwrap().take_bytes(&mut room).is_err());
        assert!(Payload::new().with(16).unwrap().with(1).unwrap().take_bytes(&mut room).is_err());
        assert!(Payload::new().take_bytes(&mut room).is_err());
    }

    #[test]
    fn payloads_have_an_end() {
        let mut payload = Payload::new().with_bytes(&[1; 119 * 8]).unwrap();
        assert_eq!(payload.words().len(), MAX_LENGTH);
        assert!(payload.put(1).is_err());
        assert!(Payload::new().with_bytes(&[1; 119 * 8 + 1]).is_err());
        assert!(payload.put_bytes(b"").is_err());
    }
}
