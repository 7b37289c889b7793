// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads that do exactly what a case tells them.
//!
//! A puppet is started with all registers set, runs a [`Code`] (one system call, mostly) and then faults
//! on an undefined instruction. The fault waits at the puppet's endpoint, where the case takes it without
//! a reply object, which leaves the puppet stopped; the case reads its registers and compares them *all*
//! with those it set, but for the outputs of the system call. So each system call that a case lets a
//! puppet make is a test that registers are kept.
//!
//! A puppet of higher priority than the case has run as far as it can when [`Puppet::start`] returns.

use core::{
    cell::Cell,
    fmt::{self, Display},
    sync::atomic::{AtomicU64, Ordering},
};

use keel::{
    cap::{CPtr, Registers},
    sys,
};
use keel_abi::{
    arch::registers::{self, PROGRAM_COUNTER, Register, STACK_POINTER, USER_CONTEXT_WORDS},
    fault,
    message::{MAX_LENGTH, MessageInfo, ipc_buffer},
    syscall as number,
};

use crate::{
    check::{Outcome, Shown, differ, same},
    invoke::{Answer, accepts},
    machine::{self, Code},
    tester::step,
};

/// Puppets of a case.
pub const MAX_PUPPETS: usize = 24;

const STACK_WORDS: usize = 2048;
const PAGE_WORDS: usize = 512;

#[repr(C, align(4096))]
struct Words<const COUNT: usize>([AtomicU64; COUNT]);

impl<const COUNT: usize> Words<COUNT> {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; COUNT])
    }
}

static STACKS: [Words<STACK_WORDS>; MAX_PUPPETS] = [const { Words::new() }; MAX_PUPPETS];
/// The last one is the case's own.
static BUFFERS: [Words<PAGE_WORDS>; MAX_PUPPETS + 1] = [const { Words::new() }; MAX_PUPPETS + 1];

/// A thread's IPC buffer: a page of the image.
#[derive(Clone, Copy)]
pub struct Buffer(&'static Words<PAGE_WORDS>);

impl Buffer {
    /// That of the thread that runs the case.
    pub fn of_case() -> Self {
        Self(&BUFFERS[MAX_PUPPETS])
    }

    /// Its address.
    pub fn address(self) -> u64 {
        self.0 as *const Words<PAGE_WORDS> as u64
    }

    /// Its address, for a thread that finds its buffer itself: where the thread pointer cannot be read, by the
    /// word that is the program's own.
    pub fn own_address(self) -> u64 {
        self.set(ipc_buffer::USER_DATA, self.address());
        self.address()
    }

    /// A word of the page.
    pub fn get(self, word: usize) -> u64 {
        self.0.0[word].load(Ordering::SeqCst)
    }

    /// Sets a word of the page.
    pub fn set(self, word: usize, value: u64) {
        self.0.0[word].store(value, Ordering::SeqCst);
    }

    /// Message word.
    pub fn word(self, index: usize) -> u64 {
        self.get(ipc_buffer::MSG + index)
    }

    /// Sets a message word.
    pub fn set_word(self, index: usize, value: u64) {
        self.set(ipc_buffer::MSG + index, value);
    }

    /// Sets the capabilities to send.
    pub fn set_caps(self, caps: &[CPtr]) {
        for (index, cap) in caps.iter().enumerate() {
            self.set(ipc_buffer::CAPS_OR_BADGES + index, cap.bits());
        }
    }

    /// Badge of a received capability.
    pub fn badge(self, index: usize) -> u64 {
        self.get(ipc_buffer::CAPS_OR_BADGES + index)
    }

    /// Sets where a received capability goes.
    pub fn set_receive_slot(self, root: CPtr, index: u64, depth: u64) {
        self.set(ipc_buffer::RECEIVE_CNODE, root.bits());
        self.set(ipc_buffer::RECEIVE_INDEX, index);
        self.set(ipc_buffer::RECEIVE_DEPTH, depth);
    }

    /// Fills the whole page with words that are all different.
    pub fn fill(self, seed: u64) {
        for word in 0..PAGE_WORDS {
            self.set(word, seed + word as u64);
        }
    }

    /// Expects that the words `range` are as [`Buffer::fill`] left them.
    #[track_caller]
    pub fn is_filled(self, seed: u64, mut range: core::ops::Range<usize>) -> Outcome {
        range.try_for_each(|word| {
            same("an untouched word of the IPC buffer", seed + word as u64, self.get(word))
        })
    }
}

/// A system call and its inputs.
#[derive(Clone, Copy, Debug)]
pub struct Syscall {
    number: i64,
    cap: u64,
    info: MessageInfo,
    words: [Option<u64>; 4],
    reply: u64,
    destination: u64,
}

/// What registers hold that a system call does not look at.
const IGNORED: u64 = 0x1907_0000_5eed_0000;

impl Syscall {
    /// Call `number` with nothing in its registers that means something.
    pub const fn new(number: i64) -> Self {
        Self {
            number,
            cap: IGNORED,
            info: MessageInfo(0),
            words: [None; 4],
            reply: IGNORED + 1,
            destination: IGNORED + 2,
        }
    }

    /// With this capability in the capability register.
    pub const fn cap(mut self, cap: CPtr) -> Self {
        self.cap = cap.bits();
        self
    }

    /// With this capability in the reply register.
    pub const fn reply(mut self, cap: CPtr) -> Self {
        self.reply = cap.bits();
        self
    }

    /// With this message info.
    pub const fn info(mut self, label: u64, extra_caps: usize, length: usize) -> Self {
        self.info = MessageInfo::new(label, 0, extra_caps, length);
        self
    }

    /// With this word as message info.
    pub const fn raw_info(mut self, info: u64) -> Self {
        self.info = MessageInfo(info);
        self
    }

    /// With these message words (at most four), and that length.
    pub fn words(mut self, words: &[u64]) -> Self {
        for (to, from) in self.words.iter_mut().zip(words) {
            *to = Some(*from);
        }
        self.info = MessageInfo::new(self.info.label(), 0, self.info.extra_caps(), words.len());
        self
    }

    /// Send.
    pub const fn send(cap: CPtr) -> Self {
        Self::new(number::SEND).cap(cap)
    }

    /// NBSend.
    pub const fn nb_send(cap: CPtr) -> Self {
        Self::new(number::NB_SEND).cap(cap)
    }

    /// Call.
    pub const fn call(cap: CPtr) -> Self {
        Self::new(number::CALL).cap(cap)
    }

    /// Recv.
    pub const fn recv(cap: CPtr, reply: CPtr) -> Self {
        Self::new(number::RECV).cap(cap).reply(reply)
    }

    /// NBRecv.
    pub const fn nb_recv(cap: CPtr, reply: CPtr) -> Self {
        Self::new(number::NB_RECV).cap(cap).reply(reply)
    }

    /// Wait.
    pub const fn wait(cap: CPtr) -> Self {
        Self::new(number::WAIT).cap(cap)
    }

    /// NBWait.
    pub const fn nb_wait(cap: CPtr) -> Self {
        Self::new(number::NB_WAIT).cap(cap)
    }

    /// ReplyRecv.
    pub const fn reply_recv(cap: CPtr, reply: CPtr) -> Self {
        Self::new(number::REPLY_RECV).cap(cap).reply(reply)
    }

    /// NBSendRecv: sends to `destination`, receives from `cap`.
    pub const fn nb_send_recv(destination: CPtr, cap: CPtr, reply: CPtr) -> Self {
        let mut call = Self::new(number::NB_SEND_RECV).cap(cap).reply(reply);
        call.destination = destination.bits();
        call
    }

    /// NBSendWait: sends to `destination`, waits on `cap`.
    pub const fn nb_send_wait(destination: CPtr, cap: CPtr) -> Self {
        Self::new(number::NB_SEND_WAIT).cap(cap).reply(destination)
    }

    /// Yield.
    pub const fn yield_now() -> Self {
        Self::new(number::YIELD)
    }

    /// Whether the call has outputs.
    fn receives(&self) -> bool {
        !matches!(self.number, number::SEND | number::NB_SEND | number::YIELD | ..number::YIELD)
            || self.number == number::DEBUG_CAP_IDENTIFY
    }
}

/// What a receiving call gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Badge register.
    pub badge: u64,
    /// Message info register.
    pub info: MessageInfo,
    /// Message registers.
    pub words: [u64; 4],
    /// What the message registers held before.
    held: [u64; 4],
}

impl Received {
    fn new(before: &Registers, after: &Registers) -> Self {
        Self {
            badge: after.get(registers::CAPABILITY),
            info: MessageInfo(after.get(registers::MESSAGE_INFO)),
            words: registers::MESSAGE.map(|register| after.get(register)),
            held: registers::MESSAGE.map(|register| before.get(register)),
        }
    }

    /// Expects a badge, and a message: label, and the words in registers. Message registers beyond those
    /// keep what they held. Length and capabilities are those of the words.
    #[track_caller]
    pub fn is(&self, badge: u64, label: u64, words: &[u64]) -> Outcome {
        same("badge", badge, self.badge)?;
        same("message info", MessageInfo::new(label, 0, 0, words.len()).word(), self.info.word())?;
        self.words_are(words)
    }

    /// Expects the message registers to begin so; the rest keep what they held.
    #[track_caller]
    pub fn words_are(&self, words: &[u64]) -> Outcome {
        let mut expected = self.held;
        let count = words.len().min(4);
        expected[..count].copy_from_slice(&words[..count]);
        if self.words == expected {
            return Ok(());
        }
        Err(differ("message registers", Shown::Words(&expected), Shown::Words(&self.words)))
    }

    /// Expects a badge and nothing else changed, as by a notification. The puppet's message info was
    /// `info`.
    #[track_caller]
    pub fn is_signal(&self, badge: u64) -> Outcome {
        same("badge", badge, self.badge)?;
        same("message info, which is to stay", 0, self.info.word())?;
        self.words_are(&[])
    }
}

/// A fault as its handler sees it.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Badge of the handler's capability.
    pub badge: u64,
    /// Kind.
    pub label: u64,
    answer: Answer,
}

impl Fault {
    /// A fault that has been received.
    pub fn of(received: Answer) -> Self {
        Self { badge: received.badge, label: received.info.label(), answer: received }
    }

    /// The words.
    pub fn words(&self) -> &[u64] {
        self.answer.words()
    }

    /// Expects a kind of fault and all its words.
    #[track_caller]
    pub fn is(&self, label: u64, words: &[u64]) -> Outcome {
        same("kind of fault", label, self.label)?;
        if self.words() != words {
            return Err(differ("words of the fault", Shown::Words(words), Shown::Words(self.words())));
        }
        Ok(())
    }

    /// Expects a CapFault of the system call that [`machine::syscall`] makes.
    #[track_caller]
    pub fn is_cap_fault(&self, cap: CPtr, in_receive_phase: bool, failure: &[u64]) -> Outcome {
        let mut words = [0; 7];
        words[..3].copy_from_slice(&[machine::syscall().start, cap.bits(), in_receive_phase.into()]);
        words[3..3 + failure.len()].copy_from_slice(failure);
        self.is(fault::CAP_FAULT, &words[..3 + failure.len()])
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match fault::name(self.label) {
            Some(name) => write!(f, "{name}{}", Shown::Words(self.words())),
            None => write!(f, "message {:#x}{}", self.label, Shown::Words(self.words())),
        }
    }
}

/// The lookup failure of a capability that is there but of the wrong kind, or without the right.
pub const MISSING: [u64; 2] = [2, 0];

/// What a puppet has come to.
#[expect(clippy::large_enum_variant, reason = "there is no heap, and it lives for a moment")]
pub enum Event {
    /// It still runs, or waits.
    Busy,
    /// It has run its code.
    Done(Received),
    /// It faulted elsewhere, and is stopped.
    Fault(Fault),
}

impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("a puppet that waits"),
            Self::Done(received) => write!(
                f,
                "the end of the call with badge {:#x}, message info {:#x}, words {}",
                received.badge,
                received.info.word(),
                Shown::Words(&received.words)
            ),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

/// A thread that does what it is told.
pub struct Puppet {
    /// Its TCB.
    pub tcb: CPtr,
    /// The scheduling context it was made with.
    pub sc: CPtr,
    /// Where its faults go, that of its end too.
    pub done: CPtr,
    index: usize,
    written: Cell<Registers>,
    code: Cell<Code>,
    has_outputs: Cell<bool>,
}

impl Puppet {
    /// Puppet `index` of the case.
    #[track_caller]
    pub fn new(index: usize, tcb: CPtr, sc: CPtr, done: CPtr) -> Outcome<Self> {
        if index >= MAX_PUPPETS {
            return Err(differ("puppets", Shown::Any(&MAX_PUPPETS), Shown::Any(&index)));
        }
        Ok(Self {
            tcb,
            sc,
            done,
            index,
            written: Cell::new(Registers::default()),
            code: Cell::new(machine::nothing()),
            has_outputs: Cell::new(false),
        })
    }

    /// Its IPC buffer.
    pub fn buffer(&self) -> Buffer {
        Buffer(&BUFFERS[self.index])
    }

    /// Registers that are all different, so that a mistake shows.
    pub fn pattern(&self) -> Registers {
        let word = |index| 0xa5a5_0000_0000_0000 | (self.index as u64) << 16 | index as u64;
        machine::legal(Registers(core::array::from_fn(word)), self.index as u64)
    }

    /// The registers with which a system call is made.
    pub fn registers_for(&self, call: Syscall) -> Registers {
        let mut registers = self
            .pattern()
            .with(registers::SYSCALL_NUMBER, call.number as u64)
            .with(registers::CAPABILITY, call.cap)
            .with(registers::MESSAGE_INFO, call.info.word())
            .with(registers::REPLY, call.reply)
            .with(registers::SEND_DESTINATION, call.destination);
        // Where the case does not say, message registers keep the pattern, which differs from puppet to puppet.
        for (register, word) in registers::MESSAGE.into_iter().zip(call.words) {
            if let Some(word) = word {
                registers = registers.with(register, word);
            }
        }
        registers
    }

    /// Lets it make a system call.
    #[track_caller]
    pub fn start(&self, call: Syscall) -> Outcome {
        self.has_outputs.set(call.receives());
        self.start_code(machine::syscall(), self.registers_for(call))
    }

    /// Lets it run some code with these registers, which are compared with those afterwards if the
    /// code is a system call.
    #[track_caller]
    pub fn start_code(&self, code: Code, registers: Registers) -> Outcome {
        let registers = registers.with(PROGRAM_COUNTER, code.start);
        self.code.set(code);
        self.written.set(registers);
        self.write(&registers, true)
    }

    /// Lets it run some code with these registers, and expects nothing of them afterwards.
    #[track_caller]
    pub fn runs_code(&self, code: Code, values: &[(Register, u64)]) -> Outcome {
        let set =
            |registers: Registers, &(register, value): &(Register, u64)| registers.with(register, value);
        let registers = values.iter().fold(self.pattern(), set).with(PROGRAM_COUNTER, code.start);
        self.code.set(code);
        self.has_outputs.set(true);
        self.written.set(registers);
        self.write(&registers, true)
    }

    /// Lets it run a function, on a stack of its own and with its IPC buffer in the thread pointer.
    #[track_caller]
    pub fn runs(&self, function: extern "C" fn(u64), argument: u64) -> Outcome {
        let stack = &STACKS[self.index] as *const Words<STACK_WORDS> as u64;
        let registers = Registers::default()
            .with(STACK_POINTER, stack + 8 * STACK_WORDS as u64)
            .with(machine::R0, argument)
            .with(machine::R1, function as *const () as u64)
            .with(registers::TLS_BASE, self.buffer().own_address())
            .with(PROGRAM_COUNTER, machine::function().start);
        self.code.set(machine::function());
        self.has_outputs.set(true);
        self.written.set(registers);
        self.write(&registers, true)
    }

    #[track_caller]
    fn write(&self, registers: &Registers, resume: bool) -> Outcome {
        let mut words = [0; USER_CONTEXT_WORDS + 2];
        words[0] = resume.into();
        words[1] = USER_CONTEXT_WORDS as u64;
        words[2..].copy_from_slice(&registers.0);
        accepts("TCBWriteRegisters", self.tcb, &words, &[])?;
        Ok(())
    }

    /// Its registers now.
    #[track_caller]
    pub fn registers(&self) -> Outcome<Registers> {
        let answer = accepts("TCBReadRegisters", self.tcb, &[0, USER_CONTEXT_WORDS as u64], &[])?;
        same("number of registers", USER_CONTEXT_WORDS as u64, answer.words().len() as u64)?;
        let mut registers = Registers::default();
        registers.0.copy_from_slice(answer.words());
        Ok(registers)
    }

    /// Takes what it has reported. A fault that is taken here is not answered: the puppet is stopped.
    #[track_caller]
    pub fn event(&self) -> Outcome<Event> {
        step();
        // A stale message info cannot be taken for a fault: the call gives badge and info zero if there
        // is none.
        let answer = Answer::from(sys::nb_wait(self.done));
        if answer.info.label() == fault::NULL_FAULT {
            return Ok(Event::Busy);
        }
        let fault = Fault::of(answer);
        let at_end = fault.words().first() == Some(&self.code.get().end);
        if fault.label != fault::USER_EXCEPTION || !at_end {
            return Ok(Event::Fault(fault));
        }
        let registers = self.registers()?;
        self.compare(&registers)?;
        Ok(Event::Done(Received::new(&self.written.get(), &registers)))
    }

    /// Expects that all registers are kept but the outputs of a system call. Of functions and other code
    /// nothing is expected.
    #[track_caller]
    fn compare(&self, now: &Registers) -> Outcome {
        if self.code.get() != machine::syscall() {
            return Ok(());
        }
        let then = self.written.get();
        for register in registers::USER_CONTEXT {
            let is_output = register == registers::CAPABILITY
                || register == registers::MESSAGE_INFO
                || registers::MESSAGE.contains(&register);
            let (expected, got) = match register {
                PROGRAM_COUNTER => (self.code.get().end, now.get(register)),
                _ if is_output && self.has_outputs.get() => continue,
                _ if machine::CLOBBERED.contains(&register) => continue,
                _ => machine::visible(register, then.get(register), now.get(register)),
            };
            if expected != got {
                let what = format_args!("{expected:#x} in {register:?}");
                return Err(differ("to keep", Shown::Any(&what), Shown::Word(got)));
            }
        }
        Ok(())
    }

    /// Expects that it has run its code.
    #[track_caller]
    pub fn done(&self) -> Outcome<Received> {
        match self.event()? {
            Event::Done(received) => Ok(received),
            other => Err(differ("the end of", Shown::Text("the puppet's code"), Shown::Any(&other))),
        }
    }

    /// Expects that it waits, or still runs.
    #[track_caller]
    pub fn busy(&self) -> Outcome {
        match self.event()? {
            Event::Busy => Ok(()),
            other => Err(differ("a puppet", Shown::Text("that waits"), Shown::Any(&other))),
        }
    }

    /// Expects a fault, which leaves it stopped.
    #[track_caller]
    pub fn fault(&self) -> Outcome<Fault> {
        match self.event()? {
            Event::Fault(fault) => Ok(fault),
            other => Err(differ("a fault", Shown::Text(""), Shown::Any(&other))),
        }
    }

    /// Lets it make a system call that ends at once.
    #[track_caller]
    pub fn does(&self, call: Syscall) -> Outcome<Received> {
        self.start(call)?;
        self.done()
    }

    /// Lets it make a system call that waits.
    #[track_caller]
    pub fn blocks(&self, call: Syscall) -> Outcome {
        self.start(call)?;
        self.busy()
    }

    /// Lets it make a system call that faults.
    #[track_caller]
    pub fn faults(&self, call: Syscall) -> Outcome<Fault> {
        self.start(call)?;
        self.fault()
    }
}

/// Address of the end of the stack of the thread that runs cases, and of its IPC buffer.
pub fn case_memory() -> (u64, u64) {
    static STACK: Words<{ 8 * STACK_WORDS }> = Words::new();
    let stack = &STACK as *const _ as u64;
    (stack + 8 * 8 * STACK_WORDS as u64, Buffer::of_case().own_address())
}

const _: () = assert!(MAX_LENGTH == 120);
