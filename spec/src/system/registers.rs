// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers, and the invocations that read and write those of another thread (`syscalls.md` §2, `invocations.md` §5.1,
//! `semantics.md` §6).
//!
//! The machine is 64-bit Arm, as far as a register has a name here. Two program counters matter: [`Register::Pc`] is
//! the instruction that a thread repeats when it is restarted, [`Register::NextPc`] the one it goes on with. A system
//! call instruction moves both.

use super::call::{Answer, Message};
use super::error::Error;
use super::{Activity, System};
use crate::algebra::Kind;
use crate::concrete::Object;
use keel_abi::aarch64::registers::{FRAME_WORDS, Register, USER_CONTEXT, USER_CONTEXT_WORDS};
use std::ops::{Index, IndexMut};

/// Bytes of a system call instruction.
const INSTRUCTION: u64 = 4;
/// Status bits that user level sets: N, Z, C and V.
const STATUS_USER: u64 = 0xf000_0000;
/// The others: a thread runs at EL0, with FIQs masked.
const STATUS_FIXED: u64 = 1 << 6;

/// A thread's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers(pub [u64; USER_CONTEXT_WORDS + 1]);

/// Those of a new thread.
impl Default for Registers {
    fn default() -> Self {
        let mut registers = Self([0; USER_CONTEXT_WORDS + 1]);
        registers[Register::Spsr] = STATUS_FIXED;
        registers
    }
}

impl Index<Register> for Registers {
    type Output = u64;
    fn index(&self, register: Register) -> &u64 {
        &self.0[register as usize]
    }
}

impl IndexMut<Register> for Registers {
    fn index_mut(&mut self, register: Register) -> &mut u64 {
        &mut self.0[register as usize]
    }
}

impl Registers {
    /// A register is set from outside; of the status register only the bits of user level.
    pub fn write(&mut self, register: Register, word: u64) {
        self[register] = match register {
            Register::Spsr => word & STATUS_USER | STATUS_FIXED,
            _ => word,
        };
    }

    /// The thread executes an instruction that enters the kernel.
    pub(super) fn trap(&mut self) {
        self[Register::Pc] = self[Register::NextPc];
        self[Register::NextPc] = self[Register::NextPc].wrapping_add(INSTRUCTION);
    }
}

impl System {
    /// ReadRegisters.
    pub(super) fn read_registers(&mut self, thread: Object, message: &Message) -> Answer {
        const MAX: u64 = USER_CONTEXT_WORDS as u64;
        message.require(2)?;
        let (flags, count) = (self.argument(message, 0), self.argument(message, 1));
        if !(1..=MAX).contains(&count) {
            return Err(Error::Range(1, MAX));
        }
        if thread == message.sender {
            return Err(Error::IllegalOperation);
        }
        if flags & 1 != 0 {
            self.suspend(thread);
        }
        let registers = &self.thread(thread).registers;
        Ok(USER_CONTEXT[..count as usize].iter().map(|register| registers[*register]).collect())
    }

    /// WriteRegisters.
    pub(super) fn write_registers(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        message.require(2)?;
        let (flags, count) = (self.argument(message, 0), self.argument(message, 1));
        if message.length - 2 < count {
            return Err(Error::TruncatedMessage);
        }
        if thread == message.sender {
            return Err(Error::IllegalOperation);
        }
        for (index, register) in USER_CONTEXT.iter().enumerate().take(count as usize) {
            let word = self.argument(message, index as u64 + 2);
            self.thread_mut(thread).registers.write(*register, word);
        }
        self.go_on_at_restart_pc(thread);
        if flags & 1 != 0 {
            self.resume(thread);
        }
        Ok(())
    }

    /// CopyRegisters. Nothing is sanitised.
    pub(super) fn copy_registers(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        message.require(1)?;
        let source = self.cap(&message.extra(0)?);
        if source.kind != Kind::Tcb {
            return Err(Error::InvalidCapability(1));
        }
        let flags = self.argument(message, 0);
        let has = |bit: u32| flags >> bit & 1 != 0;
        if has(0) {
            self.suspend(source.object);
        }
        if has(1) {
            self.resume(thread);
        }
        let values = self.thread(source.object).registers;
        for (index, register) in USER_CONTEXT.iter().enumerate() {
            if has(if index < FRAME_WORDS { 2 } else { 3 }) {
                self.thread_mut(thread).registers[*register] = values[*register];
            }
        }
        if has(2) {
            self.go_on_at_restart_pc(thread);
        }
        Ok(())
    }

    fn go_on_at_restart_pc(&mut self, thread: Object) {
        self.forget_cancelling(thread);
        let registers = &mut self.thread_mut(thread).registers;
        registers[Register::NextPc] = registers[Register::Pc];
    }

    /// Lets a thread that is stopped or waits go on: it repeats the instruction at its restart PC.
    pub(super) fn resume(&mut self, thread: Object) {
        if self.thread(thread).activity != Activity::Runnable {
            self.cancel(thread);
            self.forget_cancelling(thread);
            self.restart(thread);
        }
    }

    /// A stopped thread can run, and repeats the instruction at its restart PC.
    pub(super) fn restart(&mut self, thread: Object) {
        self.thread_mut(thread).repeats = true;
        self.wake(thread);
    }

    /// Stops a thread, whatever it does. One that ran goes on later where it is now.
    pub(super) fn suspend(&mut self, thread: Object) {
        self.cancel(thread);
        self.forget_cancelling(thread);
        self.forget_yield_of(thread);
        self.queues.leave(thread);
        let thread = self.thread_mut(thread);
        if thread.activity == Activity::Runnable && !thread.repeats {
            thread.registers[Register::Pc] = thread.registers[Register::NextPc];
        }
        thread.activity = Activity::Inactive;
        thread.repeats = false;
    }
}
