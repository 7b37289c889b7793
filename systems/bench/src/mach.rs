// SPDX-License-Identifier: MIT OR Apache-2.0

//! A port in the style of Mach, built at user level: what an asynchronous queue with rights in messages costs.
//!
//! A port is a queue of messages with one receiver. Each task has a space of names for its rights to ports: to
//! receive, to send, to send once. A sender names the port and a port for the answer; its names are looked up and
//! checked, the second one becomes a right to send once that travels in the message, and the message is copied into
//! the queue. The receiver copies it out, and gives the right a name in its own space. So the work is what a kernel
//! with such ports does for a remote procedure call, twice; only that here it is done by the tasks themselves, which
//! therefore have to trust each other, in memory that they share. Notifications of the kernel wake receivers.
//!
//! This is as good as it gets for the port: queues are rings that are never full, spaces have few names, messages
//! four words; the server has a higher priority, so it runs as soon as it is signalled and the client never waits.

use core::array::from_fn;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use keel::cap::{Cap, Notification};

use crate::pair::{self, HIGHER, Manner, Server};
use crate::report::operations;
use crate::window;

/// Messages that a queue has room for.
const QUEUE: u64 = 8;
/// Words that a message brings.
const BODY: usize = 4;
/// Names in a space.
const NAMES: usize = 16;

/// What a right allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Kind {
    None,
    Receive,
    Send,
    SendOnce,
}

/// A right to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Right {
    kind: Kind,
    port: usize,
}

impl Right {
    const NONE: Self = Self { kind: Kind::None, port: 0 };

    const fn to_word(self) -> u64 {
        self.kind as u64 | (self.port as u64) << 2
    }

    const fn from_word(word: u64) -> Self {
        let kind = match word & 3 {
            0 => Kind::None,
            1 => Kind::Receive,
            2 => Kind::Send,
            _ => Kind::SendOnce,
        };
        Self { kind, port: (word >> 2) as usize }
    }
}

/// What travels.
#[derive(Clone, Copy, Debug)]
struct Message {
    /// Where an answer goes.
    answer: Right,
    id: u64,
    body: [u64; BODY],
}

/// A message in a queue.
struct Entry([AtomicU64; 2 + BODY]);

/// A queue with one receiver.
struct Port {
    sent: AtomicU64,
    received: AtomicU64,
    queue: [Entry; QUEUE as usize],
}

impl Port {
    const fn new() -> Self {
        let queue = [const { Entry([const { AtomicU64::new(0) }; 2 + BODY]) }; QUEUE as usize];
        Self { sent: AtomicU64::new(0), received: AtomicU64::new(0), queue }
    }

    /// Copies a message in; whether there was room.
    fn put(&self, message: &Message) -> bool {
        let sent = self.sent.load(Relaxed);
        if sent - self.received.load(Relaxed) == QUEUE {
            return false;
        }
        let Entry(words) = &self.queue[(sent % QUEUE) as usize];
        words[0].store(message.answer.to_word(), Relaxed);
        words[1].store(message.id, Relaxed);
        for (word, value) in words[2..].iter().zip(message.body) {
            word.store(value, Relaxed);
        }
        self.sent.store(sent + 1, Release);
        true
    }

    /// Copies the oldest message out.
    fn take(&self) -> Option<Message> {
        let received = self.received.load(Relaxed);
        if received == self.sent.load(Relaxed) {
            return None;
        }
        let Entry(words) = &self.queue[(received % QUEUE) as usize];
        let answer = Right::from_word(words[0].load(Relaxed));
        let message = Message {
            answer,
            id: words[1].load(Relaxed),
            body: from_fn(|index| words[2 + index].load(Relaxed)),
        };
        self.received.store(received + 1, Release);
        Some(message)
    }
}

/// A task's names for its rights.
struct Space([AtomicU64; NAMES]);

impl Space {
    const fn new(rights: [Right; 2]) -> Self {
        let mut names = [const { AtomicU64::new(Right::NONE.to_word()) }; NAMES];
        names[0] = AtomicU64::new(rights[0].to_word());
        names[1] = AtomicU64::new(rights[1].to_word());
        Self(names)
    }

    fn right(&self, name: usize) -> Right {
        self.0.get(name).map_or(Right::NONE, |word| Right::from_word(word.load(Relaxed)))
    }

    /// Gives a right a name.
    fn insert(&self, right: Right) -> Option<usize> {
        let name = self.0.iter().position(|word| word.load(Relaxed) == Right::NONE.to_word())?;
        self.0[name].store(right.to_word(), Relaxed);
        Some(name)
    }

    /// Sends to the port `to`, with the right to answer once to the port `answer_to`; whether the rights allow it.
    fn send(&self, to: usize, answer_to: Option<usize>, id: u64, body: [u64; BODY]) -> bool {
        let right = self.right(to);
        match right.kind {
            Kind::Send => {}
            Kind::SendOnce => self.0[to].store(Right::NONE.to_word(), Relaxed),
            Kind::None | Kind::Receive => return false,
        }
        let mut answer = Right::NONE;
        if let Some(name) = answer_to {
            let own = self.right(name);
            if own.kind != Kind::Receive {
                return false;
            }
            answer = Right { kind: Kind::SendOnce, port: own.port };
        }
        let Some(port) = PORTS.get(right.port) else { return false };
        port.put(&Message { answer, id, body }) && {
            waker(right.port).signal();
            true
        }
    }

    /// Receives from the port `name`; the name of the right to answer, and the message.
    fn receive(&self, name: usize) -> Option<(Option<usize>, Message)> {
        let right = self.right(name);
        if right.kind != Kind::Receive {
            return None;
        }
        let port = PORTS.get(right.port)?;
        loop {
            match port.take() {
                Some(message) if message.answer == Right::NONE => return Some((None, message)),
                Some(message) => return Some((self.insert(message.answer), message)),
                None => _ = waker(right.port).wait(),
            }
        }
    }
}

/// The server's port, and the one that the client receives answers from.
static PORTS: [Port; 2] = [const { Port::new() }; 2];
const REQUESTS: usize = 0;
const ANSWERS: usize = 1;

/// What wakes who receives from a port.
fn waker(port: usize) -> Cap<Notification> {
    if port == REQUESTS { pair::notification() } else { pair::done() }
}

/// The client's names: the server's port, and its own.
static CLIENT: Space =
    Space::new([Right { kind: Kind::Send, port: REQUESTS }, Right { kind: Kind::Receive, port: ANSWERS }]);
const TO_SERVER: usize = 0;
const OWN: usize = 1;
/// The server's: its port.
static SERVER: Space = Space::new([Right { kind: Kind::Receive, port: REQUESTS }, Right::NONE]);
const FROM_CLIENTS: usize = 0;

/// A server that answers.
extern "C" fn serve() -> ! {
    loop {
        if let Some((Some(answer_to), message)) = SERVER.receive(FROM_CLIENTS) {
            SERVER.send(answer_to, None, message.id + 1, message.body);
        }
    }
}

/// A remote procedure call through ports, from the request to the answer.
pub fn measure(server: &mut Server) -> keel::Result {
    server.start(serve, Manner { priority: HIGHER, ..Manner::ACTIVE })?;
    let mut id = 0;
    operations(["mach_style_rpc"], || {
        id += 1;
        let (window, answer) = window::of(|| {
            if !CLIENT.send(TO_SERVER, Some(OWN), id, [1, 2, 3, 4]) {
                return None;
            }
            CLIENT.receive(OWN)
        });
        match answer {
            Some((None, Message { id: answered, body: [1, 2, 3, 4], .. })) if answered == id + 1 => {
                Ok([window])
            }
            _ => Err("an answer through a port".into()),
        }
    })?;
    pair::done().poll();
    server.stop()
}
