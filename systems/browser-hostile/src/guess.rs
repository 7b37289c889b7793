// SPDX-License-Identifier: MIT OR Apache-2.0

//! Guessing capabilities: every slot, with every system call, and with the labels of all invocations.
//!
//! Receiving where there is nothing to receive from faults; the tab lets this program go on behind the
//! system call each time. Of the kernel's debug calls, which a debug kernel offers to everybody, nothing
//! is tried: one of them halts the machine.

use keel::{
    abi::{error::ErrorCode, message::MessageInfo},
    cap::CPtr,
    sys::{self, Received},
};
use keel_browser_protocol::decoder::{FIRST_UNKNOWN, Tally};

/// Slots of the own CSpace. As many behind its end are tried too.
const OWN_SLOTS: u64 = 64;

/// Addresses that a guesser would try next.
const WILD: [u64; 8] =
    [1 << 12, 1 << 16, 1 << 32, 1 << 52, 1 << 58, 1 << 63, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// Labels tried at each slot: more than there are invocations.
const LABELS: u64 = 80;

/// System call numbers that no kernel knows.
const UNKNOWN: [i64; 4] = [0, 1, -1000, i64::MIN];

/// Tries everything. The capability `known` is the one there is.
pub fn everything(known: CPtr) -> Tally {
    let mut tally = Tally::default();
    for cptr in (0..2 * OWN_SLOTS).chain(WILD).map(CPtr::new) {
        all_calls(cptr, &mut tally);
    }
    for cptr in (0..OWN_SLOTS).map(CPtr::new).filter(|&cptr| cptr != known) {
        for label in 0..LABELS {
            judge(sys::call(cptr, MessageInfo::new(label, 0, 0, 4), [label; 4]), &mut tally);
        }
    }
    for number in UNKNOWN {
        tally.tried += 1;
        sys::unknown(number, Default::default());
    }
    // The one that names no capability.
    tally.tried += 1;
    sys::yield_now();
    tally
}

/// The system calls that take a capability.
fn all_calls(cptr: CPtr, tally: &mut Tally) {
    let info = MessageInfo::new(FIRST_UNKNOWN, 0, 0, 1);
    let words = [cptr.bits(), 0, 0, 0];
    judge(sys::call(cptr, info, words), tally);
    sys::send(cptr, info, words);
    sys::nb_send(cptr, info, words);
    tally.tried += 2;
    for received in [
        sys::reply_recv(cptr, info, words, cptr),
        sys::nb_send_recv(cptr, info, words, cptr, cptr),
        sys::nb_send_wait(cptr, info, words, cptr),
        sys::recv(cptr, cptr),
        sys::nb_recv(cptr, cptr),
        sys::wait(cptr),
        sys::nb_wait(cptr),
    ] {
        tally.tried += 1;
        // Nothing was received: the registers are as they were passed, badge included.
        tally.succeeded += u64::from(received.badge != cptr.bits());
    }
}

/// An answer to a Call: an error, or success, which should not be. Where the call faulted the label is still
/// the one that was passed.
fn judge(received: Received, tally: &mut Tally) {
    tally.tried += 1;
    if received.label() == ErrorCode::InvalidCapability as u64 {
        tally.refused += 1;
    } else if received.label() == 0 {
        tally.succeeded += 1;
    }
}
