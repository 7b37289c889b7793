// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reading and writing another thread's registers (`invocations.md` §5.1).
//!
//! Bound: at most 36 registers.

use super::invocation::Invocation;
use crate::Kernel;
use crate::arch::{Arch, MAX_CONTEXT};
use crate::cap::Cap;
use crate::error::Error;
use crate::invocation::Message;
use crate::object::Tcb;
use crate::store::Ref;
use keel_abi::message::MESSAGE_REGISTERS;
use keel_bounds::at_most;

/// What is copied between two threads, and what else happens to them.
#[derive(Clone, Copy, Debug)]
pub struct CopyRegisters {
    /// Whose are written.
    target: Ref<Tcb>,
    /// Whose are read.
    source: Ref<Tcb>,
    /// Whether the source is stopped first.
    suspend_source: bool,
    /// Whether the target goes on.
    resume_target: bool,
    /// Whether frame registers are copied.
    frame: bool,
    /// Whether integer registers are copied.
    integer: bool,
}

impl<A: Arch> Kernel<A> {
    /// Checks ReadRegisters.
    pub(super) fn decode_read_registers(
        &self,
        target: Ref<Tcb>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        message.require(2)?;
        let (flags, count) = (self.argument(message, 0), self.argument(message, 1));
        let max = A::REGISTERS.context.len() as u64;
        if !(1..=max).contains(&count) {
            return Err(Error::Range { min: 1, max });
        }
        if target == message.sender {
            return Err(Error::IllegalOperation);
        }
        Ok(Invocation::ReadRegisters { target, suspend: flags & 1 != 0, count })
    }

    /// Checks WriteRegisters.
    pub(super) fn decode_write_registers(
        &self,
        target: Ref<Tcb>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        message.require(2)?;
        let (flags, count) = (self.argument(message, 0), self.argument(message, 1));
        if message.length - 2 < count {
            return Err(Error::TruncatedMessage);
        }
        if target == message.sender {
            return Err(Error::IllegalOperation);
        }
        let count = count.min(A::REGISTERS.context.len() as u64);
        Ok(Invocation::WriteRegisters { target, resume: flags & 1 != 0, count })
    }

    /// Checks CopyRegisters.
    pub(super) fn decode_copy_registers(
        &self,
        target: Ref<Tcb>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        message.require(1)?;
        let (_, Cap::Tcb(source)) = self.extra_cap(message, 0)? else {
            return Err(Error::InvalidCapability(1));
        };
        let flag = |bit: u32| self.argument(message, 0) >> bit & 1 != 0;
        Ok(Invocation::CopyRegisters(CopyRegisters {
            target,
            source,
            suspend_source: flag(0),
            resume_target: flag(1),
            frame: flag(2),
            integer: flag(3),
        }))
    }

    /// Writes registers of `target` to the caller's message; how many.
    pub(super) fn read_registers(
        &mut self,
        message: &Message,
        target: Ref<Tcb>,
        suspend: bool,
        count: u64,
    ) -> u64 {
        if suspend {
            self.suspend(target);
        }
        if !message.is_call {
            return 0;
        }
        self.arch.save_live_registers(&mut self.store, target);
        let buffer = self.receive_buffer(message.sender);
        let length = if buffer.is_some() { count } else { count.min(MESSAGE_REGISTERS as u64) };
        let mut rounds = at_most!(MAX_CONTEXT);
        for (index, &register) in (0..length).zip(A::REGISTERS.context) {
            rounds.count();
            let word = self.store[target].registers.words[register];
            self.set_word(message.sender, buffer, index, word);
        }
        length
    }

    /// Writes words of the message to registers of `target`.
    pub(super) fn write_registers(&mut self, message: &Message, target: Ref<Tcb>, count: u64) {
        self.arch.save_live_registers(&mut self.store, target);
        let mut rounds = at_most!(MAX_CONTEXT);
        for (index, &register) in (0..count).zip(A::REGISTERS.context) {
            rounds.count();
            let word = self.argument(message, index + 2);
            self.store[target].registers.words[register] = A::sanitise(register, word);
        }
        self.registers_written(target);
    }

    /// Registers of `target` were written from outside: it goes on at its restart PC, with all of them.
    pub(super) fn registers_written(&mut self, target: Ref<Tcb>) {
        self.end_cancelling(target);
        let registers = &mut self.store[target].registers;
        registers.words[A::REGISTERS.next_pc] = registers.words[A::REGISTERS.restart_pc];
        A::written(registers);
        self.arch.load_live_registers(&mut self.store, target);
    }

    /// Copies registers from thread to thread.
    pub(super) fn copy_registers(&mut self, copy: &CopyRegisters) {
        let CopyRegisters { target, source, .. } = *copy;
        if copy.suspend_source {
            self.suspend(source);
        }
        if copy.resume_target {
            self.resume(target);
        }
        self.arch.save_live_registers(&mut self.store, source);
        self.arch.save_live_registers(&mut self.store, target);
        let mut rounds = at_most!(MAX_CONTEXT);
        for (index, &register) in A::REGISTERS.context.iter().enumerate() {
            rounds.count();
            let wanted = if index < A::REGISTERS.frame_count { copy.frame } else { copy.integer };
            if wanted {
                self.store[target].registers.words[register] = self.store[source].registers.words[register];
            }
        }
        if copy.frame {
            self.registers_written(target);
        } else {
            self.arch.load_live_registers(&mut self.store, target);
        }
    }
}
