// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel says on the console, and the debug system calls (`syscalls.md` §13).
//!
//! The debug calls exist in debug builds only. With bad arguments they print a line and do nothing. What the kernel
//! says by itself is in [`report`]; DebugSnapshot checks the kernel's state ([`audit`]).

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, RawCap, tag};
use crate::ipc::fault::Fault;
use crate::object::Tcb;
use crate::object::tcb::NAME_BYTES;
use crate::store::Ref;
use audit::Audit;
use core::fmt::{self, Write};
use keel_abi::message::MAX_LENGTH;
use keel_abi::syscall;

pub mod audit;
pub mod report;

/// The machine's console as a place to write text.
pub struct Console<'a, A: Arch>(pub &'a mut A);

impl<A: Arch> Write for Console<'_, A> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.0.put_char(b'\r');
            }
            self.0.put_char(byte);
        }
        Ok(())
    }
}

/// A thread's name for people: as set, or its address.
pub struct ThreadName([u8; NAME_BYTES], u64);

impl fmt::Display for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES);
        match self.0.get(..length).map(core::str::from_utf8) {
            Some(Ok(name)) if !name.is_empty() => write!(f, "\"{}\"", name.escape_debug()),
            _ => write!(f, "thread {:#x}", self.1),
        }
    }
}

impl<A: Arch> Kernel<A> {
    /// Writes a line to the console.
    pub fn say(&mut self, line: fmt::Arguments<'_>) {
        // The console cannot fail.
        let _ = writeln!(Console(&mut self.arch), "{line}");
    }

    /// The name of a thread.
    #[must_use]
    pub fn name(&self, tcb: Ref<Tcb>) -> ThreadName {
        ThreadName(self.store[tcb].name, tcb.address().0)
    }

    /// Carries out the debug call `number` of `thread`; whether there is one.
    pub(crate) fn debug_call(&mut self, thread: Ref<Tcb>, number: i64) -> bool {
        let argument = self.store[thread].registers.words[A::REGISTERS.capability];
        match number {
            syscall::DEBUG_PUT_CHAR => self.arch.put_char(argument as u8),
            syscall::DEBUG_DUMP_SCHEDULER => self.dump_scheduler(),
            syscall::DEBUG_HALT => {
                self.say(format_args!("keel: halted by {}", self.name(thread)));
                self.arch.halt();
            }
            syscall::DEBUG_CAP_IDENTIFY => {
                let found = self.lookup_cap(thread, argument);
                let raw = found.map_or(RawCap::NULL, |slot| self.store[slot].raw);
                let shown = match raw.into() {
                    Cap::VSpace(_) if A::TABLES_ARE_ROOTS => tag::PAGE_TABLE,
                    // The tags of the levels above are the next odd numbers.
                    Cap::Table(table) => tag::PAGE_TABLE + 2 * table.level,
                    _ => raw.tag(),
                };
                self.store[thread].registers.words[A::REGISTERS.capability] = u64::from(shown);
            }
            syscall::DEBUG_SNAPSHOT => {
                let Audit { caps, threads, waiting } = self.audit();
                self.say(format_args!(
                    "keel: audit: sound; capabilities {caps}, to threads {threads}, waiting {waiting}"
                ));
            }
            syscall::DEBUG_NAME_THREAD => self.debug_name_thread(thread, argument),
            _ => return false,
        }
        true
    }

    /// Who runs, and at which priority.
    fn dump_scheduler(&mut self) {
        let Some(current) = self.core.current else { return };
        let (name, priority) = (self.name(current), self.store[current].priority);
        self.say(format_args!("keel: running {name}, priority {priority}"));
    }

    /// Names the thread at `address` after the text in the buffer of `thread`.
    fn debug_name_thread(&mut self, thread: Ref<Tcb>, address: u64) {
        let cap = self.lookup_cap(thread, address).map(|slot| self.store[slot].cap());
        let (Ok(Cap::Tcb(target)), Some(buffer)) = (cap, self.send_buffer(thread)) else {
            return self.say(format_args!("keel: DebugNameThread needs a thread and an IPC buffer"));
        };
        let mut name = [0; NAME_BYTES];
        // At most 120 words, of which the name keeps what fits.
        for index in 0..MAX_LENGTH as u64 {
            let word = self.store.load(crate::invocation::buffer_word(buffer, index)).to_le_bytes();
            for (offset, &byte) in word.iter().enumerate() {
                if byte == 0 {
                    self.store[target].name = name;
                    return;
                }
                if let Some(place) = name.get_mut(index as usize * 8 + offset) {
                    *place = byte;
                }
            }
        }
        self.say(format_args!("keel: DebugNameThread needs a name that ends"));
    }
}

/// A capability's kind, for people.
pub(crate) struct Named<'a>(pub(crate) &'a Cap);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cap::Null => write!(f, "an empty slot"),
            Cap::Untyped(c) => write!(f, "an untyped of 2^{} bytes at {:#x}", c.bits, c.base.0),
            Cap::Endpoint(c) => write!(f, "an endpoint with badge {:#x}", c.badge),
            Cap::Notification(c) => write!(f, "a notification with badge {:#x}", c.badge),
            Cap::Reply { .. } => write!(f, "a reply object"),
            Cap::CNode(c) => write!(f, "a CNode of radix {}", c.radix),
            Cap::Tcb(_) => write!(f, "a thread"),
            Cap::SchedContext { bits, .. } => write!(f, "a scheduling context of 2^{bits} bytes"),
            Cap::SchedControl { core } => write!(f, "the time of core {core}"),
            Cap::DomainSet => write!(f, "the domain control"),
            Cap::IrqControl => write!(f, "the interrupt control"),
            Cap::IrqHandler(irq) => write!(f, "the handler of interrupt {}", irq.0),
            Cap::Zombie(_) => write!(f, "an object that is being deleted"),
            Cap::Frame(c) => write!(f, "a frame of 2^{} bytes at {:#x}", c.bits(), c.base.0),
            Cap::Table(_) => write!(f, "a page table"),
            Cap::VSpace(_) => write!(f, "an address space"),
            Cap::AsidControl => write!(f, "the ASID control"),
            Cap::AsidPool { .. } => write!(f, "an ASID pool"),
            Cap::Machine(raw) => write!(f, "a machine capability of kind {}", raw.tag()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => write!(f, "no fault"),
            Self::Capability { address, in_receive, failure } => {
                let phase = if in_receive { "receiving from" } else { "sending to" };
                write!(f, "{phase} capability {address:#x}: {failure}")
            }
            Self::UnknownSyscall { number } => write!(f, "unknown system call {}", number.cast_signed()),
            Self::UserException { number, code } => write!(f, "exception {number:#x}, code {code:#x}"),
            Self::VirtualMemory { address, is_fetch: true, .. } => {
                write!(f, "instruction fetch from {address:#x}, which is not mapped for that")
            }
            Self::VirtualMemory { address, status, .. } => {
                write!(f, "access to {address:#x}, which is not mapped for that (status {status:#x})")
            }
            Self::Timeout { badge } => write!(f, "out of budget, context badge {badge}"),
        }
    }
}
