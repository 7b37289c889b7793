// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel's source says to `cargo xtask paths`, which computes the longest path through the built kernel.
//!
//! A mark stands in the source where it belongs: beside a loop, at the preemption point, in the arm of a `match`. It
//! is an assembly statement without instructions: all it leaves in the binary is a record, in a section that is never
//! loaded, with its own address. So a mark survives inlining, and where the compiler copies code it copies the mark.
//!
//! ```
//! use keel_bounds::at_most;
//!
//! fn length(mut list: &[u8]) -> u64 {
//!     let mut rounds = at_most!(16);
//!     let mut length = 0;
//!     while let [_, rest @ ..] = list {
//!         rounds.count();
//!         (list, length) = (rest, length + 1);
//!     }
//!     length
//! }
//! # assert_eq!(length(&[1, 2, 3]), 3);
//! ```
//!
//! The bound of a loop is a constant or depends on what user level chooses: the levels of a CSpace, the words of a message,
//! its capabilities, the objects of a Retype, and with the number of threads that wait for time the height of the tree that
//! they form ([`at_most!`]). A build with debug assertions counts
//! the rounds and panics when there is one too many; in others the counter has no size, and nothing is executed.
//!
//! 1. Between [`Rounds::begin`] and the end of its loop, [`Rounds::count`] is executed at most as often as the bound
//!    says. This is what the debug build asserts and what the analysis takes for granted.
//! 2. Where the way is said to go on only for some kind of entry, or only if a fact holds or came about at most so often, it
//!    is so. The debug build asserts this too, within an [`Entry`].
//! 3. A mark neither reads nor writes a register, memory or flags.
//!
//! A record is five words of 8 bytes, little-endian as all machines are here: the address, the kind ([`kind`]) and
//! three words that the kind gives a meaning.
//!
//! An address alone does not say whether a mark is the last thing before a loop or the first thing in it. So the kernel is
//! built a second time for the analysis, with `KEEL_VISIBLE_MARKS` set: there each mark is an instruction that does nothing
//! ([`PLACE`]). The analysis checks that the two kernels have the same code otherwise, and takes the marks from the second.

#![no_std]

#[cfg(debug_assertions)]
mod watch;

/// The section of the records.
pub const SECTION: &str = ".keel.bounds";

/// Bytes of a record.
pub const RECORD_BYTES: usize = 5 * 8;

/// Kinds of records.
pub mod kind {
    /// The rounds of a loop begin. Words: an identifier; the constant part of the bound; the factors of levels, words,
    /// capabilities, objects and height in 12 bits each, levels lowest.
    pub const BEGIN: u64 = 1;
    /// A round. Words as of [`BEGIN`].
    pub const ROUND: u64 = 2;
    /// The preemption point: an interrupt that waits is taken from here on.
    pub const PREEMPTION_POINT: u64 = 3;
    /// What is entered or done: the group, a value. On one way through the kernel all of a group are equal; several
    /// at one address are alternatives.
    pub const CASE: u64 = 4;
    /// The analysis ends here: what follows ends the machine, or is for its debugger.
    pub const OUTSIDE: u64 = 5;
    /// A round of a loop that copies or fills memory. Words: the bytes of a round; if not 0, the most rounds. The bound
    /// follows from the length, the third argument of the function.
    pub const BYTES_ROUND: u64 = 6;
    /// The next call that copies or fills memory is for at most so many bytes.
    pub const BYTES: u64 = 7;
    /// From here on the fact holds that the first word names.
    pub const FACT: u64 = 9;
    /// The way goes on only if the fact holds.
    pub const IF_FACT: u64 = 10;
    /// The way goes on only if the fact does not hold.
    pub const UNLESS_FACT: u64 = 11;
    /// The fact does not hold any more.
    pub const NO_FACT: u64 = 13;
    /// The fact comes about once more. The way goes on only if that is not more often than the second word says.
    pub const TIMES: u64 = 14;
    /// The way goes on only if this is not what was entered or done: as [`CASE`].
    pub const NOT_CASE: u64 = 12;
    /// Here an interrupt may come, once. Words: the address of a function that its trap runs, each instruction once at
    /// most; the bytes of stack.
    pub const TRAP: u64 = 15;
    /// How often the string instruction that follows repeats itself at most. Words: the bytes each time, as of
    /// [`BYTES_ROUND`], or 0; then how often.
    pub const REPEATED: u64 = 16;
    /// An entry to the kernel begins: no facts hold.
    pub const ENTRY: u64 = 17;
    /// A round of a loop whose rounds are counted over the whole entry to the kernel, in all places together. Words: an
    /// identifier, the most rounds.
    pub const SHARED_ROUND: u64 = 8;
}

/// Groups of cases.
pub mod group {
    /// How the kernel is entered: the number of a system call, or one of [`entry`](super::entry).
    pub const ENTRY: u64 = 1;
    /// What the sending phase of a system call does: the label of an invocation, or one of
    /// [`operation`](super::operation).
    pub const OPERATION: u64 = 2;
    /// The fault of which a message is made, by its number.
    pub const FAULT: u64 = 3;
}

/// Entries to the kernel that are no system calls.
pub mod entry {
    /// An interrupt.
    pub const INTERRUPT: u64 = 1;
    /// A fault.
    pub const FAULT: u64 = 2;
    /// The first use of the FPU after another thread's.
    pub const FPU: u64 = 3;
    /// A system call with a number that means nothing.
    pub const UNKNOWN_SYSCALL: u64 = 4;
}

/// Facts about the way so far.
pub mod fact {
    /// The operation was preempted, or its time was up before it began.
    pub const PREEMPTED: u64 = 1;
    /// The system call is in its receiving phase.
    pub const RECEIVES: u64 = 2;
    /// A message about a fault is under way to its handler.
    pub const TELLS_FAULT: u64 = 3;
    /// The fault is that a budget is used up.
    pub const IS_TIMEOUT: u64 = 4;
}

/// What a sending phase does that is no invocation. Labels are smaller.
pub mod operation {
    /// Sends a message to an endpoint.
    pub const SEND: u64 = 0x1_0000;
    /// Signals a notification.
    pub const SIGNAL: u64 = 0x1_0001;
    /// Answers a caller.
    pub const REPLY: u64 = 0x1_0002;
    /// Finds nothing to send to, and faults if it blocks.
    pub const NOTHING: u64 = 0x1_0003;
    /// Maps a frame.
    pub const PAGE_MAP: u64 = 0x1_0010;
    /// Unmaps a frame.
    pub const PAGE_UNMAP: u64 = 0x1_0011;
    /// Tells where a frame lies.
    pub const PAGE_GET_ADDRESS: u64 = 0x1_0012;
    /// Maps a table.
    pub const TABLE_MAP: u64 = 0x1_0013;
    /// Unmaps a table.
    pub const TABLE_UNMAP: u64 = 0x1_0014;
    /// Makes a pool of address space identifiers.
    pub const MAKE_POOL: u64 = 0x1_0015;
    /// Gives an address space an identifier.
    pub const ASSIGN: u64 = 0x1_0016;
    /// Maintains caches.
    pub const MAINTAIN: u64 = 0x1_0017;
    /// Any other operation that one machine has.
    pub const MACHINE: u64 = 0x1_0018;
    /// Refuses an invocation.
    pub const REFUSED: u64 = 0x1_0004;
}

/// What bounds depend on: the levels of a CSpace, the words of a message, the capabilities in it, the objects of a Retype,
/// and the height of the tree that threads form which wait for time.
pub type Values = [u64; 5];

/// The largest values.
pub const MOST: Values = [64, 120, 3, 256, MAX_HEIGHT];

/// The most threads on a way through a tree that is ordered by times: such a way goes one bit of the time further with each
/// of them.
pub const MAX_HEIGHT: u64 = 65;

/// The factor of the height, for bounds that are written as numbers.
pub const HEIGHT: u64 = 1 << (4 * FACTOR_BITS);

/// Bits of a factor.
const FACTOR_BITS: u32 = 12;

/// Instructions of a mark: none, or one that does nothing.
pub const PLACE: usize = option_env!("KEEL_VISIBLE_MARKS").is_some() as usize;

/// Emits a record.
macro_rules! record {
    ($kind:expr, $first:expr, $second:expr, $third:expr) => {
        #[cfg(target_os = "none")]
        // SAFETY: there is no instruction, only data in a section that is not loaded.
        unsafe {
            core::arch::asm!(
                ".pushsection .keel.bounds,\"\"\n.8byte 2f,{},{},{},{}\n.popsection\n2:\n.rept {}\nnop\n.endr",
                const $kind,
                const $first,
                const $second,
                const $third,
                const PLACE,
                options(nomem, nostack, preserves_flags)
            );
        }
    };
}

/// The rounds of a loop with a bound: see [`at_most!`], which makes it.
///
/// `FACTORS` are those of the [`Values`], in 12 bits each.
#[derive(Debug)]
pub struct Rounds<const ID: u64, const CONSTANT: u64, const FACTORS: u64> {
    /// Rounds so far.
    #[cfg(debug_assertions)]
    done: u64,
}

impl<const ID: u64, const CONSTANT: u64, const FACTORS: u64> Rounds<ID, CONSTANT, FACTORS> {
    /// To be called before the loop.
    #[inline(always)]
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn begin() -> Self {
        record!(kind::BEGIN, ID, CONSTANT, FACTORS);
        Self {
            #[cfg(debug_assertions)]
            done: 0,
        }
    }

    /// To be called once in each round.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn count(&mut self) {
        record!(kind::ROUND, ID, CONSTANT, FACTORS);
        #[cfg(debug_assertions)]
        {
            let most = bound(CONSTANT, FACTORS, MOST);
            assert!(self.done < most, "a loop goes beyond its bound of {most} rounds");
            self.done += 1;
        }
    }
}

/// The bound with this constant part and these factors.
#[must_use]
pub const fn bound(constant: u64, factors: u64, of: Values) -> u64 {
    let (mut bound, mut index) = (constant, 0);
    while index < of.len() {
        bound += (factors >> (FACTOR_BITS * index as u32) & ((1 << FACTOR_BITS) - 1)) * of[index];
        index += 1;
    }
    bound
}

/// An identifier for a place in the source.
#[must_use]
pub const fn place(file: &str, line: u32, column: u32) -> u64 {
    // FNV-1a.
    let (mut hash, mut index) = (0xcbf2_9ce4_8422_2325, 0);
    while index < file.len() {
        hash = (hash ^ file.as_bytes()[index] as u64).wrapping_mul(0x100_0000_01b3);
        index += 1;
    }
    hash << 28 | (line as u64) << 12 | column as u64
}

/// Says how many rounds the following loop has at most: a constant, or `levels`, `words`, `caps`, `objects` or `height`.
#[macro_export]
macro_rules! at_most {
    (levels) => { $crate::at_most!(@ 0, 1) };
    (words) => { $crate::at_most!(@ 0, 1 << 12) };
    (caps) => { $crate::at_most!(@ 0, 1 << 24) };
    (objects) => { $crate::at_most!(@ 0, 1 << 36) };
    (height) => { $crate::at_most!(@ 0, $crate::HEIGHT) };
    (@ $constant:expr, $factors:expr) => {
        $crate::Rounds::<{ $crate::place(file!(), line!(), column!()) }, { $constant }, { $factors }>::begin()
    };
    ($constant:expr) => { $crate::at_most!(@ $constant as u64, 0) };
}

/// This is the preemption point: whoever waits for the processor waits from one execution of this to the next.
#[inline(always)]
pub fn preemption_point() {
    record!(kind::PREEMPTION_POINT, 0, 0, 0);
}

/// The way goes on only for an entry to the kernel of this kind: a system call's number or one of [`entry`].
#[inline(always)]
pub fn entered_by<const VALUE: u64>() {
    record!(kind::CASE, group::ENTRY, VALUE, 0);
    #[cfg(debug_assertions)]
    watch::entered_by(VALUE);
}

/// The way goes on only for this operation: an invocation's label or one of [`operation`].
#[inline(always)]
pub fn operation_is<const VALUE: u64>() {
    record!(kind::CASE, group::OPERATION, VALUE, 0);
}

/// The way goes on only for a fault with this number.
#[inline(always)]
pub fn fault_is<const VALUE: u64>() {
    record!(kind::CASE, group::FAULT, VALUE, 0);
}

/// The way goes on only for an entry to the kernel that is not of this kind.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub fn not_entered_by<const VALUE: u64>() {
    record!(kind::NOT_CASE, group::ENTRY, VALUE, 0);
    #[cfg(debug_assertions)]
    watch::not_entered_by(VALUE);
}

/// An entry to the kernel: as long as this lives a debug build checks what is said of the way.
#[derive(Debug)]
#[must_use]
pub struct Entry(());

impl Entry {
    /// An entry begins. No facts hold.
    #[inline(always)]
    pub fn begin() -> Self {
        record!(kind::ENTRY, 0, 0, 0);
        #[cfg(debug_assertions)]
        watch::begin();
        Self(())
    }
}

#[cfg(debug_assertions)]
impl Drop for Entry {
    fn drop(&mut self) {
        watch::end();
    }
}

/// From here on `FACT`, one of [`fact`], holds.
#[inline(always)]
pub fn holds<const FACT: u64>() {
    record!(kind::FACT, FACT, 0, 0);
    #[cfg(debug_assertions)]
    watch::fact(kind::FACT, FACT, 0);
}

/// From here on `FACT` does not hold.
#[inline(always)]
pub fn ends<const FACT: u64>() {
    record!(kind::NO_FACT, FACT, 0, 0);
    #[cfg(debug_assertions)]
    watch::fact(kind::NO_FACT, FACT, 0);
}

/// The way goes on only if `FACT` holds.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub fn only_if<const FACT: u64>() {
    record!(kind::IF_FACT, FACT, 0, 0);
    #[cfg(debug_assertions)]
    watch::fact(kind::IF_FACT, FACT, 0);
}

/// The way goes on only if `FACT` does not hold.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub fn only_unless<const FACT: u64>() {
    record!(kind::UNLESS_FACT, FACT, 0, 0);
    #[cfg(debug_assertions)]
    watch::fact(kind::UNLESS_FACT, FACT, 0);
}

/// `FACT` comes about once more. The way goes on only if that is at most `MOST` times, up to 15, since it did not hold.
#[inline(always)]
#[cfg_attr(debug_assertions, track_caller)]
pub fn at_most_times<const FACT: u64, const MOST: u64>() {
    record!(kind::TIMES, FACT, MOST, 0);
    #[cfg(debug_assertions)]
    watch::fact(kind::TIMES, FACT, MOST);
}

/// What follows belongs to no path that is bounded: it ends the machine, or is for its debugger.
#[inline(always)]
pub fn outside() {
    record!(kind::OUTSIDE, 0, 0, 0);
}

/// The call that follows copies or fills at most `BYTES` of memory.
#[inline(always)]
pub fn bytes_at_most<const BYTES: u64>() {
    record!(kind::BYTES, BYTES, 0, 0);
}

/// A round of a loop that all places with this `ID` together execute at most `MOST` times between two entries to the
/// kernel. Who counts them is said there.
#[inline(always)]
pub fn shared_round<const ID: u64, const MOST: u64>() {
    record!(kind::SHARED_ROUND, ID, MOST, 0);
}

#[cfg(test)]
mod test {
    use super::bound;

    #[test]
    fn a_loop_may_have_as_many_rounds_as_its_bound() {
        let mut rounds = at_most!(3);
        for _ in 0..3 {
            rounds.count();
        }
        let mut rounds = at_most!(words);
        for _ in 0..120 {
            rounds.count();
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic = "beyond its bound of 64 rounds"]
    fn a_round_too_many_is_noticed() {
        let mut rounds = at_most!(levels);
        for _ in 0..65 {
            rounds.count();
        }
    }

    #[test]
    fn facts_are_counted_within_an_entry() {
        super::only_if::<1>();
        let _entry = super::Entry::begin();
        super::only_unless::<1>();
        super::holds::<1>();
        super::only_if::<1>();
        super::ends::<1>();
        super::only_unless::<1>();
        super::at_most_times::<2, 2>();
        super::at_most_times::<2, 2>();
        super::entered_by::<7>();
        super::not_entered_by::<8>();
        super::entered_by::<8>();
        super::not_entered_by::<8>();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic = "fact 2 comes about more than 1 times"]
    fn a_fact_too_many_is_noticed() {
        let _entry = super::Entry::begin();
        super::at_most_times::<2, 1>();
        super::at_most_times::<2, 1>();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic = "fact 1 does not hold"]
    fn facts_do_not_outlive_their_entry() {
        drop(super::Entry::begin());
        super::holds::<1>();
        let _entry = super::Entry::begin();
        super::holds::<1>();
        let _next = super::Entry::begin();
        super::only_if::<1>();
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic = "the kernel was entered by 0x8"]
    fn a_wrong_kind_of_entry_is_noticed() {
        let _entry = super::Entry::begin();
        super::entered_by::<8>();
        super::not_entered_by::<8>();
    }

    #[test]
    fn bounds_are_expressions() {
        assert_eq!(bound(2, 1 << 12, super::MOST), 122);
        assert_eq!(bound(0, 1 << 36 | super::HEIGHT, super::MOST), 321);
        assert_eq!(bound(7, 1, [1, 4, 0, 1, 4]), 8);
    }
}
