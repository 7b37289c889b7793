// SPDX-License-Identifier: MIT OR Apache-2.0

//! From bytes to operations, on kernel and specification.

#![no_main]

use keel_check::bytes::Fuzzer;
use std::cell::RefCell;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    thread_local!(static FUZZER: RefCell<Fuzzer> = RefCell::new(Fuzzer::new()));
    FUZZER.with_borrow_mut(|fuzzer| {
        if let Err(failure) = fuzzer.play(bytes) {
            panic!("{failure}");
        }
    });
});
