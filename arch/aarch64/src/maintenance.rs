// SPDX-License-Identifier: MIT OR Apache-2.0

//! Cache maintenance for user level: by page or by address space (`invocations.md` §10, `memory.md` §7).
//!
//! The operations work on the user's own addresses, in the user's address space, which is loaded for the time: so
//! they reach frames that the kernel does not see, those of devices.
//!
//! A page can have half a million lines. The work is cut into chunks, with a preemption point after each. Doing a
//! chunk does not make the rest of the work smaller, so the position is kept where the repeated system call finds
//! it: in words of the caller's saved registers that no register uses. It counts only for the call that is being
//! repeated:
//!
//! 1. A position is that of an operation of this thread with the same range and kind, which was preempted, and since
//!    which the thread has done nothing else. Writing its registers from outside forgets it (`Arch::written`), as it
//!    may then go on elsewhere. A range that is refused makes all positions of all threads void (`epoch`), as its
//!    repetition may have been the one refused.

use crate::cpu::CacheOperation;
use crate::entries;
use crate::machine::Machine;
use core::cell::Cell;
use keel_abi::aarch64::label;
use keel_bounds::at_most;
use keel_kernel::Kernel;
use keel_kernel::arch::Arch;
use keel_kernel::cap::{Cap, FrameCap, VSpaceCap};
use keel_kernel::error::{Error, LookupFailure};
use keel_kernel::invocation::{Message, Preempted};
use keel_kernel::object::{Registers, Tcb};
use keel_kernel::store::{Ref, Store};
use keel_kernel::units::{Asid, PhysAddr, VirtAddr};

/// Bytes that are maintained between two preemption points: at most 256 lines of 16 bytes, usually 64 of 64.
const CHUNK_BYTES: u64 = 4096;

/// The words of saved registers that hold a position: where to go on, and of which range, kind and epoch.
const POSITION: [usize; 5] = [37, 38, 39, 40, 41];

/// Which positions count.
#[derive(Debug)]
pub struct Maintenance {
    /// Positions of other epochs are void (invariant 1). Decoding, which changes nothing else, changes it.
    epoch: Cell<u64>,
}

impl Maintenance {
    /// No positions yet.
    pub const fn new() -> Self {
        Self { epoch: Cell::new(1) }
    }

    /// Makes all positions void.
    fn start_epoch(&self) {
        self.epoch.set(self.epoch.get() + 1);
    }
}

impl Default for Maintenance {
    fn default() -> Self {
        Self::new()
    }
}

/// A legal operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// What is done.
    operation: CacheOperation,
    /// The root of the address space.
    root: PhysAddr,
    /// Its identifier.
    asid: Asid,
    /// First address.
    start: u64,
    /// One past the last address. All from `start` are mapped by one page.
    end: u64,
}

/// Forgets the position of the thread with these registers.
pub fn forget(registers: &mut Registers) {
    registers.words[POSITION[0]] = 0;
}

/// Decodes a cache operation of a frame or an address space.
pub fn decode(kernel: &Kernel<Machine>, cap: Cap, message: &Message) -> Result<Range, Error> {
    let range = match cap {
        Cap::Frame(frame) => decode_frame(kernel, frame, message),
        _ => decode_space(kernel, cap, message),
    };
    if range.is_err() {
        kernel.arch.maintenance.start_epoch();
    }
    range
}

/// The operation of a label on a frame.
fn frame_operation(label: u64) -> Option<CacheOperation> {
    match label {
        label::PAGE_CLEAN_DATA => Some(CacheOperation::Clean),
        label::PAGE_INVALIDATE_DATA => Some(CacheOperation::Invalidate),
        label::PAGE_CLEAN_INVALIDATE_DATA => Some(CacheOperation::CleanInvalidate),
        label::PAGE_UNIFY_INSTRUCTION => Some(CacheOperation::Unify),
        _ => None,
    }
}

/// The operation of a label on an address space.
fn space_operation(label: u64) -> Option<CacheOperation> {
    match label {
        label::VSPACE_CLEAN_DATA => Some(CacheOperation::Clean),
        label::VSPACE_INVALIDATE_DATA => Some(CacheOperation::Invalidate),
        label::VSPACE_CLEAN_INVALIDATE_DATA => Some(CacheOperation::CleanInvalidate),
        label::VSPACE_UNIFY_INSTRUCTION => Some(CacheOperation::Unify),
        _ => None,
    }
}

/// Words are the first offset in the page and the one behind the last.
fn decode_frame(kernel: &Kernel<Machine>, frame: FrameCap, message: &Message) -> Result<Range, Error> {
    let operation = frame_operation(message.label).ok_or(Error::IllegalOperation)?;
    message.require(2)?;
    if !frame.mapping.is_some() {
        return Err(Error::IllegalOperation);
    }
    let asid = frame.mapping.asid;
    let root = kernel.root_of(asid).ok_or(INVALID_ROOT)?;
    let (start, end) = (kernel.argument(message, 0), kernel.argument(message, 1));
    let size = 1 << frame.bits();
    if end <= start {
        return Err(Error::InvalidArgument(1));
    }
    if start >= size || end > size {
        return Err(Error::InvalidArgument(0));
    }
    let place = kernel.mapped_place(&frame).ok_or(Error::InvalidCapability(0))?;
    check_access(operation, kernel.raw_entry(place))?;
    let base = frame.mapping.address.0;
    let root = Store::<Machine>::physical(root.address());
    Ok(Range { operation, root, asid, start: base + start, end: base + end })
}

/// Words are the first address and the one behind the last.
fn decode_space(kernel: &Kernel<Machine>, cap: Cap, message: &Message) -> Result<Range, Error> {
    let operation = space_operation(message.label).ok_or(Error::IllegalOperation)?;
    message.require(2)?;
    let (start, end) = (kernel.argument(message, 0), kernel.argument(message, 1));
    if end <= start {
        return Err(Error::InvalidArgument(1));
    }
    if end > Machine::USER_TOP {
        return Err(Error::IllegalOperation);
    }
    let space: VSpaceCap = kernel.assigned_space(cap, 0)?;
    kernel.check_space(space, 0)?;
    let root = Store::<Machine>::physical(space.root.address());
    let nothing = Range { operation, root, asid: space.asid, start, end: start };
    let Some((place, _)) = kernel.lookup_page(space.root, VirtAddr(start)) else { return Ok(nothing) };
    let last = start | ((1 << keel_kernel::cap::page_bits(place.level)) - 1);
    if end - 1 > last {
        return Err(Error::Range { min: start, max: last });
    }
    check_access(operation, kernel.raw_entry(place))?;
    Ok(Range { end, ..nothing })
}

/// Forgetting what a cache has is like writing the memory.
fn check_access(operation: CacheOperation, entry: u64) -> Result<(), Error> {
    match operation {
        CacheOperation::Invalidate if !entries::is_writable(entry) => Err(Error::IllegalOperation),
        _ => Ok(()),
    }
}

/// Maintains a range for `caller`, from where it was preempted on.
pub fn perform(kernel: &mut Kernel<Machine>, range: Range, caller: Ref<Tcb>) -> Result<u64, Preempted> {
    let epoch = kernel.arch.maintenance.epoch.get();
    let mut at = position(&kernel.store[caller].registers, &range, epoch).unwrap_or(range.start);
    // Each round is a chunk, with a preemption point behind it.
    while at < range.end {
        let next = range.end.min((at & !(CHUNK_BYTES - 1)) + CHUNK_BYTES);
        kernel.arch.maintain(range.operation, range.root, range.asid, at, next);
        at = next;
        if at < range.end && kernel.preemption_point().is_err() {
            keep(&mut kernel.store[caller].registers, &range, epoch, at);
            return Err(Preempted);
        }
    }
    forget(&mut kernel.store[caller].registers);
    Ok(0)
}

/// What a position must agree with.
fn key(range: &Range, epoch: u64) -> [u64; 4] {
    [range.start, range.end, u64::from(range.asid) << 8 | range.operation as u64, epoch]
}

/// Where a preempted operation goes on, if this is one.
fn position(registers: &Registers, range: &Range, epoch: u64) -> Option<u64> {
    let [at, kept @ ..] = POSITION.map(|word| registers.words[word]);
    let mut rounds = at_most!(4);
    let is_same = |(kept, wanted): (u64, u64)| {
        rounds.count();
        kept == wanted
    };
    let is_kept = kept.into_iter().zip(key(range, epoch)).all(is_same);
    (is_kept && (range.start..range.end).contains(&at)).then_some(at)
}

/// Keeps the position of a preempted operation.
fn keep(registers: &mut Registers, range: &Range, epoch: u64, at: u64) {
    registers.words[POSITION[0]] = at;
    let mut rounds = at_most!(4);
    for (&word, value) in POSITION[1..].iter().zip(key(range, epoch)) {
        rounds.count();
        registers.words[word] = value;
    }
}

/// The error where an identifier stands for nothing.
const INVALID_ROOT: Error = Error::FailedLookup { source: false, failure: LookupFailure::InvalidRoot };

#[cfg(test)]
mod test {
    use super::*;
    use crate::test::{kernel, thread};
    use keel_arch::model;

    /// Two MiB, in an address space with the identifier 1.
    const RANGE: Range = Range {
        operation: CacheOperation::Clean,
        root: PhysAddr(0x4000),
        asid: 1,
        start: 0x20_0040,
        end: 0x40_0000,
    };

    /// The lines that were cleaned since this was last asked.
    fn cleaned() -> Vec<u64> {
        let is_clean = |&(instruction, at)| (instruction == "dc cvac, {}").then_some(at);
        model::executed().iter().filter_map(is_clean).collect()
    }

    /// A kernel, a thread, and an interrupt that waits all the time; lines of 64 bytes.
    fn preempted() -> (Kernel<Machine>, Ref<Tcb>) {
        let mut kernel = kernel();
        let tcb = thread(&mut kernel, 0);
        model::set("ctr_el0", 4 << 16);
        model::set("isr_el1", 1 << 7);
        model::executed();
        (kernel, tcb)
    }

    #[test]
    fn a_preempted_operation_does_each_line_once() {
        let (mut kernel, tcb) = preempted();
        let mut calls = 1;
        while perform(&mut kernel, RANGE, tcb) == Err(Preempted) {
            calls += 1;
        }
        assert_eq!(calls, 512);
        let all: Vec<u64> = (RANGE.start..RANGE.end).step_by(64).collect();
        assert!(cleaned() == all);
        // The next one is a new one.
        model::set("isr_el1", 0);
        assert_eq!(perform(&mut kernel, RANGE, tcb), Ok(0));
        assert!(cleaned() == all);
        assert_eq!(model::read("ttbr0_el1") >> 48, 1);
    }

    #[test]
    fn a_position_is_for_the_repeated_call_alone() {
        let (mut kernel, tcb) = preempted();
        let first = |kernel: &mut Kernel<Machine>, range| {
            let _ = perform(kernel, range, tcb);
            cleaned()[0]
        };
        assert_eq!(first(&mut kernel, RANGE), RANGE.start);
        assert_eq!(first(&mut kernel, RANGE), 0x20_1000);
        assert_eq!(first(&mut kernel, Range { end: 0x3f_0000, ..RANGE }), RANGE.start);
        assert_eq!(first(&mut kernel, RANGE), RANGE.start);
        Machine::written(&mut kernel.store[tcb].registers);
        assert_eq!(first(&mut kernel, RANGE), RANGE.start);
        kernel.arch.maintenance.start_epoch();
        assert_eq!(first(&mut kernel, RANGE), RANGE.start);
        assert_eq!(first(&mut kernel, RANGE), 0x20_1000);
    }
}
