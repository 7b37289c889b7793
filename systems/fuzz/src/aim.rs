// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a puppet is made to ask for: words of the kinds that the kernel looks at.

use crate::random::Random;
use crate::sandbox::{CODE_ADDRESS, SLOT_BITS, USED_SLOTS};
use core::sync::atomic::{AtomicU64, Ordering};
use keel::cap::{CPtr, Registers};
use keel_abi::arch::registers::{
    CAPABILITY, MESSAGE, MESSAGE_INFO, PROGRAM_COUNTER, REPLY, SEND_DESTINATION, SYSCALL_NUMBER,
};
use keel_abi::message::MessageInfo;
use keel_abi::syscall;

/// A system call, and what is in the registers.
pub struct Aim {
    number: i64,
    capability: u64,
    info: MessageInfo,
    words: [u64; 4],
    reply: u64,
    send_to: u64,
}

impl Aim {
    /// The next one.
    pub fn take(random: &mut Random) -> Self {
        Self {
            number: number(random),
            capability: capability(random),
            info: info(random),
            words: core::array::from_fn(|_| word(random)),
            reply: capability(random),
            send_to: capability(random),
        }
    }

    /// The registers of a puppet that is about to make the call.
    pub fn registers(&self) -> Registers {
        let mut registers = Registers::default()
            .with(PROGRAM_COUNTER, CODE_ADDRESS)
            .with(SYSCALL_NUMBER, self.number.cast_unsigned())
            .with(CAPABILITY, self.capability)
            .with(MESSAGE_INFO, self.info.word())
            .with(REPLY, self.reply)
            .with(SEND_DESTINATION, self.send_to);
        for (register, word) in MESSAGE.into_iter().zip(self.words) {
            registers = registers.with(register, word);
        }
        registers
    }
}

/// Mostly one of the interface's calls, and of those mostly Call: it does the most.
fn number(random: &mut Random) -> i64 {
    let number = match random.below(32) {
        0..16 => syscall::CALL,
        16..30 => syscall::CALL - random.below(11) as i64,
        30 => syscall::CALL - random.below(40) as i64,
        _ => random.word().cast_signed(),
    };
    if number == syscall::DEBUG_HALT { syscall::CALL } else { number }
}

/// Mostly a slot in which there may be something.
pub fn capability(random: &mut Random) -> u64 {
    match random.below(16) {
        0 => random.word(),
        1 => random.below(1 << SLOT_BITS),
        _ => random.below(USED_SLOTS),
    }
}

fn info(random: &mut Random) -> MessageInfo {
    let label = match random.below(16) {
        0 => random.word() >> 12,
        _ => random.below(64),
    };
    let length = match random.below(8) {
        0 => random.below(128),
        1 => random.below(16),
        _ => 5 + random.below(4),
    };
    MessageInfo::new(label, random.below(8), random.below(4) as usize, length as usize)
}

/// A word that may mean something.
pub fn word(random: &mut Random) -> u64 {
    match random.below(16) {
        0..5 => random.below(16),
        5..8 => capability(random),
        8 => u64::from(SLOT_BITS),
        9 => 64,
        10 => 1 << random.below(64),
        11 => random.below(1 << 35) << 12,
        12 => CODE_ADDRESS + (random.below(1024) << 12),
        13 => random.below(1_000_000),
        14 => u64::MAX - random.below(16),
        _ => random.word(),
    }
}

/// The registers of the watch.
pub fn watch(ring: CPtr) -> Registers {
    RING.store(ring.bits(), Ordering::Relaxed);
    let top = &raw const STACK as u64 + size_of_val(&STACK) as u64;
    Registers::starting_at(ring_for_ever as *const () as u64, top, 0)
}

static RING: AtomicU64 = AtomicU64::new(0);
static STACK: [AtomicU64; 128] = [const { AtomicU64::new(0) }; 128];

extern "C" fn ring_for_ever() -> ! {
    let ring = CPtr::new(RING.load(Ordering::Relaxed));
    loop {
        ring.cap::<keel::cap::Notification>().signal();
    }
}
