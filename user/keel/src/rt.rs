// SPDX-License-Identifier: MIT OR Apache-2.0

//! How programs begin and end.
//!
//! ```text
//!  kernel ──▶ _start (sets a stack) ──▶ start_root ──▶ main(&mut Root) ──▶ "keel: success" / "keel: failure: …"
//!  parent ──▶ _start ────────────────▶ start_child ──▶ main(&Startup) ───▶ exit: a fault the parent understands
//! ```
//!
//! A root task has nobody to report to: its verdict is a line on the console, and then it stops. A child
//! ends by a system call that the kernel does not know, so that its fault handler gets a message with
//! all that is to be said ([`Ending`]).

use core::{
    cell::UnsafeCell,
    fmt::{self, Display, Write},
    panic::PanicInfo,
    sync::atomic::{AtomicBool, Ordering},
};

use keel_abi::bootinfo::EXTRA_OFFSET;

use crate::{
    arch::{self, Input},
    boot::{self, BootInfo, Root},
    cap::{CPtr, Cap, Frame},
    console,
    ipc::word_of_bytes,
    println,
    resources::PAGE_BYTES,
    startup::Startup,
    sys,
};

/// Pages of a root task's stack, of which the lowest is unmapped at the start.
pub const ROOT_STACK_PAGES: usize = 65;

/// A root task's stack. [`crate::root_task!`] makes the one there is.
#[repr(C, align(4096))]
pub struct RootStack(UnsafeCell<[u8; ROOT_STACK_PAGES * PAGE_BYTES as usize]>);

// SAFETY: no reference to the inside is ever made: only the entry code uses the address.
unsafe impl Sync for RootStack {}

impl RootStack {
    /// An empty stack.
    #[expect(clippy::new_without_default, reason = "only for the static that the macro makes")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; _]))
    }
}

/// How a program's `main` may end.
pub trait Outcome {
    /// Hands the reason of a failure to `report`; says whether it was a success.
    fn conclude(self, report: impl FnOnce(&dyn Display)) -> bool;
}

impl Outcome for () {
    fn conclude(self, _: impl FnOnce(&dyn Display)) -> bool {
        true
    }
}

impl<E: Display> Outcome for core::result::Result<(), E> {
    fn conclude(self, report: impl FnOnce(&dyn Display)) -> bool {
        self.map_err(|error| report(&error)).is_ok()
    }
}

/// Whether this program is a root task: it decides how it ends.
static IS_ROOT: AtomicBool = AtomicBool::new(false);

/// Set by the first panic: a second one, out of the console's code, says nothing more.
static PANICKING: AtomicBool = AtomicBool::new(false);

/// Runs a root task.
///
/// # Safety
/// Called once, by the entry code, with what the kernel passed, on `stack`.
#[doc(hidden)]
pub unsafe fn start_root<T: Outcome>(
    boot: *const BootInfo,
    stack: &'static RootStack,
    main: fn(&mut Root) -> T,
) -> ! {
    IS_ROOT.store(true, Ordering::Relaxed);
    // SAFETY: the kernel maps the boot information there for good and nobody writes to it.
    let info = unsafe { &*boot };
    // SAFETY: the kernel maps the root task's IPC buffer there (invariant 1 of `ipc`).
    unsafe { arch::set_thread_pointer(info.ipc_buffer as usize) };
    let extra_start = boot as u64 + EXTRA_OFFSET as u64;
    let extra_len = info.extra_len as usize;
    // SAFETY: the kernel maps so many bytes of extra boot information behind the first page.
    let extra = unsafe { core::slice::from_raw_parts(extra_start as *const u8, extra_len) };
    let first_free = (extra_start + info.extra_len).next_multiple_of(PAGE_BYTES);
    let guarded = guard_stack(info, stack);
    let mut root = match Root::new(info, extra, first_free) {
        Ok(root) => root,
        Err(error) => fail(&error),
    };
    // Without a serial port in sight the root task runs all the same, unheard.
    let _ = root.open_console();
    if let Err(error) = guarded {
        fail(&error);
    }
    let succeeded = main(&mut root).conclude(|error| println!("keel: failure: {error}"));
    if succeeded {
        println!("keel: success");
    }
    stop_root()
}

/// Unmaps the lowest page of the stack, so that running over its end faults instead of overwriting.
fn guard_stack(boot: &BootInfo, stack: &RootStack) -> crate::Result {
    let image_end = boot.ipc_buffer & !(PAGE_BYTES - 1);
    let image_start = image_end - boot.user_image_frames.len() * PAGE_BYTES;
    let page = (stack as *const RootStack as u64)
        .checked_sub(image_start)
        .map(|offset| offset / PAGE_BYTES)
        .filter(|&page| page < boot.user_image_frames.len())
        .ok_or("the stack lies outside of the image")?;
    let frame: Cap<Frame> = CPtr::new(boot.user_image_frames.start + page).cap();
    Ok(frame.unmap()?)
}

/// Says why the system failed, and stops the root task.
pub fn fail(reason: &dyn Display) -> ! {
    println!("keel: failure: {reason}");
    stop_root()
}

fn stop_root() -> ! {
    console::flush();
    loop {
        // A thread can always stop itself; should it wake up, it stops again.
        let _ = boot::TCB.suspend();
    }
}

/// Runs a child.
///
/// # Safety
/// Called once, by the entry code, with what [`crate::process`] passed.
#[doc(hidden)]
pub unsafe fn start_child<T: Outcome>(page: *const Startup, main: fn(&'static Startup) -> T) -> ! {
    // SAFETY: whoever started this program mapped the page there for good, for reading only.
    let startup = unsafe { Startup::at(page) };
    startup.open_console();
    let succeeded = main(startup).conclude(|error| end(&Ending::failure(error)));
    exit(if succeeded { 0 } else { 1 })
}

/// Ends this program: in a child by a fault that its handler decodes with [`Ending::decode`], in a root
/// task like a panic or a return from `main`.
pub fn exit(code: u64) -> ! {
    if IS_ROOT.load(Ordering::Relaxed) {
        match code {
            0 => println!("keel: success"),
            code => println!("keel: failure: exit code {code}"),
        }
        stop_root();
    }
    end(&Ending::Exit(code))
}

/// How a child ended by its own will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code: 0 after a good `main`.
    Exit(u64),
    /// `main` returned an error: the start of its text.
    Failure(ShortText),
    /// It panicked: the start of the message.
    Panic(ShortText),
}

/// Text that fits into the registers of a fault message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortText {
    bytes: [u8; Self::MAX],
    length: usize,
}

impl ShortText {
    /// Bytes that fit: six registers.
    pub const MAX: usize = 48;

    /// No text.
    pub const EMPTY: Self = Self { bytes: [0; Self::MAX], length: 0 };

    /// The start of what `value` displays as.
    pub fn of(value: &dyn Display) -> Self {
        let mut text = Self::EMPTY;
        // Too long is no failure here: what fits is kept.
        let _ = write!(text, "{value}");
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match core::str::from_utf8(&self.bytes[..self.length]) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&self.bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}

impl Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.length += count;
        if count == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit with code {code}"),
            Self::Failure(text) => write!(f, "failure: {text}"),
            Self::Panic(text) => write!(f, "panic: {text}"),
        }
    }
}

impl Ending {
    /// The numbers of the unknown system calls that mean an ending: far from those of the interface.
    const EXIT_NUMBER: i64 = 0x6b65_656c_0000;
    const FAILURE_NUMBER: i64 = Self::EXIT_NUMBER + 1;
    const PANIC_NUMBER: i64 = Self::EXIT_NUMBER + 2;

    /// That of a `main` which returned this error.
    pub fn failure(error: &dyn Display) -> Self {
        Self::Failure(ShortText::of(error))
    }

    /// Number of the system call, and registers 0–6 at it.
    fn encode(&self) -> (i64, [u64; 7]) {
        let (number, text) = match self {
            Self::Exit(code) => return (Self::EXIT_NUMBER, [*code, 0, 0, 0, 0, 0, 0]),
            Self::Failure(text) => (Self::FAILURE_NUMBER, text),
            Self::Panic(text) => (Self::PANIC_NUMBER, text),
        };
        let bytes = &text.bytes[..text.length];
        let word = |index: usize| match index {
            0 => text.length as u64,
            index => word_of_bytes(bytes, index - 1),
        };
        (number, core::array::from_fn(word))
    }

    /// Reads an ending from an UnknownSyscall fault: its number and registers 0–6. Anything may stand
    /// there: the child is not to be trusted.
    pub fn decode(number: i64, registers: [u64; 7]) -> Option<Self> {
        let mut text = ShortText::EMPTY;
        for (piece, word) in text.bytes.chunks_exact_mut(8).zip(&registers[1..]) {
            piece.copy_from_slice(&word.to_le_bytes());
        }
        text.length = (registers[0] as usize).min(ShortText::MAX);
        match number {
            Self::EXIT_NUMBER => Some(Self::Exit(registers[0])),
            Self::FAILURE_NUMBER => Some(Self::Failure(text)),
            Self::PANIC_NUMBER => Some(Self::Panic(text)),
            _ => None,
        }
    }
}

fn end(ending: &Ending) -> ! {
    console::flush();
    let (number, [cap, info, w0, w1, w2, w3, reply]) = ending.encode();
    loop {
        // Who answers this fault lets the thread repeat the instruction: it ends again.
        sys::unknown(number, Input { cap, info, words: [w0, w1, w2, w3], reply });
    }
}

/// Says what panicked and ends the program.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    if PANICKING.swap(true, Ordering::Relaxed) {
        arch::abort();
    }
    if IS_ROOT.load(Ordering::Relaxed) {
        match info.location() {
            Some(place) => println!("keel: failure: {} (panic at {place})", info.message()),
            None => println!("keel: failure: {} (panic)", info.message()),
        }
        stop_root();
    }
    println!("{info}");
    end(&Ending::Panic(ShortText::of(&info.message())))
}

/// The addresses of this program's image.
#[cfg(target_os = "none")]
pub fn image() -> core::ops::Range<u64> {
    unsafe extern "C" {
        // SAFETY: the linker script defines both; only their addresses are used.
        safe static __keel_image_start: u8;
        safe static __keel_image_end: u8;
    }
    (&raw const __keel_image_start) as u64..(&raw const __keel_image_end) as u64
}

#[cfg(target_os = "none")]
#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    panic(info)
}

/// Makes this program a root task that runs `main`: a function from [`&mut Root`](Root) to an
/// [`Outcome`].
///
/// ```ignore
/// keel::root_task!(main);
///
/// fn main(root: &mut keel::Root) -> keel::Result {
///     keel::println!("Hello.");
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! root_task {
    ($main:path) => {
        const _: () = {
            static STACK: $crate::rt::RootStack = $crate::rt::RootStack::new();

            #[unsafe(no_mangle)]
            #[unsafe(naked)]
            extern "C" fn _start(boot: *const $crate::boot::BootInfo) -> ! {
                $crate::__root_entry!(STACK, $crate::rt::ROOT_STACK_PAGES, start)
            }

            extern "C" fn start(boot: *const $crate::boot::BootInfo) -> ! {
                // SAFETY: the entry code comes here once, with what the kernel passed.
                unsafe { $crate::rt::start_root(boot, &STACK, $main) }
            }
        };
    };
}

/// Makes this program one that a parent starts ([`crate::process`]) and that runs `main`: a function
/// from [`&'static Startup`](Startup) to an [`Outcome`].
#[macro_export]
macro_rules! program {
    ($main:path) => {
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn _start(page: *const $crate::startup::Startup) -> ! {
                // SAFETY: the parent starts the program here once, with its startup page.
                unsafe { $crate::rt::start_child(page, $main) }
            }
        };
    };
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn endings_survive_the_fault_message() {
        let text = ShortText::of(&"a text that is cut because it does not fit into six words");
        assert_eq!(text.as_str().len(), ShortText::MAX);
        for ending in [Ending::Exit(7), Ending::Panic(text), Ending::failure(&"no")] {
            let (number, registers) = ending.encode();
            assert_eq!(Ending::decode(number, registers), Some(ending));
        }
        assert_eq!(Ending::decode(-1, [0; 7]), None);
    }

    #[test]
    fn a_lying_child_is_bounded() {
        let Some(Ending::Panic(text)) = Ending::decode(Ending::PANIC_NUMBER, [u64::MAX; 7]) else {
            panic!("not decoded");
        };
        assert_eq!(text.as_str(), "");
    }

    #[test]
    fn outcomes_conclude() {
        assert!(().conclude(|_| panic!("nothing to report")));
        let mut said = ShortText::EMPTY;
        assert!(!Err("no").conclude(|error| said = ShortText::of(error)));
        assert_eq!(said.as_str(), "no");
    }
}
