// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sending too much, and sending nonsense.

use keel::{
    abi::message::MessageInfo,
    cap::{CPtr, Cap, Endpoint},
    ipc::Message,
    sys,
};
use keel_browser_protocol::decoder::{CLAIM, EXCUSE, FIRST_UNKNOWN, Tally};

/// Sends without end, in every way.
pub fn flood(tab: Cap<Endpoint>) -> ! {
    let words = [u64::MAX; 120];
    loop {
        for length in [0, 4, 120] {
            let message = Message::new(FIRST_UNKNOWN).words(&words[..length]);
            tab.nb_send(&message);
            tab.send(&message);
            tab.call(&message);
        }
    }
}

/// Sends what makes no sense, and counts the refusals.
pub fn nonsense(tab: Cap<Endpoint>) -> Tally {
    let mut tally = Tally::default();
    for label in [0, CLAIM, EXCUSE, FIRST_UNKNOWN, 1 << 20, (1 << 52) - 1] {
        for length in [0, 1, 2, 5, 119, 120, 127] {
            raw(tab, label, 0, length, [u64::MAX; 4], &mut tally);
        }
        raw(tab, label, 3, 4, [u64::MAX; 4], &mut tally);
    }
    for claim in IMPOSSIBLE {
        let [width, height, channels] = claim;
        raw(tab, CLAIM, 0, 3, [width, height, channels, 0], &mut tally);
    }
    for length in [1, 161, 1 << 20, u64::MAX - 7, u64::MAX] {
        raw(tab, EXCUSE, 0, 1, [length, 0, 0, 0], &mut tally);
    }
    tally
}

/// Pictures that cannot be, or that fit no output of this tab.
const IMPOSSIBLE: [[u64; 3]; 11] = [
    [0, 0, 0],
    [0, 100, 3],
    [100, 0, 3],
    [100, 100, 0],
    [100, 100, 5],
    [65_536, 1, 1],
    [65_535, 65_535, 4],
    [1 << 32, 1 << 32, 4],
    [u64::MAX, 1, 1],
    [1 << 63, 2, 1],
    [u64::MAX, u64::MAX, u64::MAX],
];

/// A Call with a message info word of one's own making.
fn raw(tab: Cap<Endpoint>, label: u64, caps: u64, length: u64, words: [u64; 4], tally: &mut Tally) {
    (0..3).for_each(|index| keel::ipc::buffer().set_cap(index, CPtr::new(index as u64)));
    let info = MessageInfo(label << 12 | caps << 7 | length);
    let answer = sys::call(tab.cptr(), info, words);
    tally.tried += 1;
    if answer.label() == 0 {
        tally.succeeded += 1;
    } else {
        tally.refused += 1;
    }
}
