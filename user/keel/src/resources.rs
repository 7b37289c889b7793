// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a program has to build with: slots, memory, addresses, and the rights to make threads run.
//!
//! A root task makes its [`Resources`] of the boot information; a child that was given an Untyped, its
//! own CNode and so on makes them of its startup page. From then on there is no difference: both make
//! objects, map memory and start programs with the same code.
//!
//! Small objects are cut one after the other from a chunk of memory and never given back one by one.
//! What should be given back whole, a process for instance, is built from an Untyped of its own
//! ([`Resources::untyped`], [`Resources::release_untyped`]).

use core::ops::Range;

use crate::{
    addresses::Addresses,
    arch::{MAX_TABLES, TABLES, abi::memory::TABLE_INDEX_BITS, object as machine},
    cap::{
        AsidPool, Attributes, Blueprint, CNode, CPtr, Cap, FixedSize, Frame, Rights, SchedContext,
        SchedControl, SlotPath, Tcb, Untyped, VSpace,
    },
    error::{Error, InvocationError, LookupFailure, Result},
    memory::{Memory, Splitter},
    slots::Slots,
};

/// Bytes of a small page.
pub const PAGE_BYTES: u64 = 1 << machine::SMALL_PAGE_BITS;

/// Bytes of a large page.
pub const LARGE_PAGE_BYTES: u64 = 1 << machine::LARGE_PAGE_BITS;

/// Size of the chunks that small objects are cut from.
const CHUNK_BITS: u8 = 16;

/// Objects of this size and above have their own piece of memory.
const BIG_BITS: u8 = 14;

/// The capabilities that [`Resources`] work with.
#[derive(Clone, Copy, Debug)]
pub struct Authority {
    /// The root of the program's CSpace, whose slot numbers are its capability pointers.
    pub cnode: Cap<CNode>,
    /// The program's address space.
    pub vspace: Cap<VSpace>,
    /// The program's thread, whose MCP bounds the priorities it gives.
    pub tcb: Cap<Tcb>,
    /// Where new address spaces get their identifier.
    pub asid_pool: Cap<AsidPool>,
    /// The right to give time.
    pub sched_control: Cap<SchedControl>,
}

/// What a program builds with.
pub struct Resources {
    /// The capabilities used.
    pub authority: Authority,
    /// Free slots of the own CSpace.
    pub slots: Slots,
    /// Free memory.
    pub memory: Memory,
    /// Free addresses of the own address space.
    pub addresses: Addresses,
    chunk: Chunk,
    scratch: Option<u64>,
}

/// A piece of memory that objects are cut from, and how much of it is used.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    untyped: Cap<Untyped>,
    used: u64,
    size: u64,
}

impl Chunk {
    const EMPTY: Self = Self { untyped: Cap::null(), used: 0, size: 0 };

    /// Where the kernel's watermark stands after an object of 2^`bits` more; `None` if it does not fit.
    fn after(&self, bits: u8) -> Option<u64> {
        let end = self.used.next_multiple_of(1 << bits) + (1 << bits);
        (end <= self.size).then_some(end)
    }
}

/// Splits Untypeds of the own CSpace.
struct OwnSplitter<'a> {
    cnode: Cap<CNode>,
    slots: &'a mut Slots,
}

impl Splitter for OwnSplitter<'_> {
    fn split(&mut self, untyped: CPtr, half_bits: u8) -> Result<[CPtr; 2]> {
        let first = self.slots.allocate_range(2)?;
        let halves = Blueprint::Untyped { bits: half_bits };
        if let Err(error) = untyped.cap::<Untyped>().retype(halves, self.cnode, 0, 0, first, 2) {
            self.slots.release(first);
            self.slots.release(first + 1);
            return Err(error.into());
        }
        Ok([CPtr::new(first), CPtr::new(first + 1)])
    }

    fn join(&mut self, halves: [CPtr; 2]) -> Result {
        for half in halves {
            self.cnode.path(half).delete()?;
            self.slots.release(half.bits());
        }
        Ok(())
    }
}

impl Resources {
    /// Resources of these parts.
    pub fn new(authority: Authority, slots: Slots, memory: Memory, addresses: Addresses) -> Self {
        Self { authority, slots, memory, addresses, chunk: Chunk::EMPTY, scratch: None }
    }

    /// The slot of a capability of the own CSpace.
    pub fn path(&self, cptr: CPtr) -> SlotPath {
        self.authority.cnode.path(cptr)
    }

    /// An empty slot of the own CSpace.
    pub fn slot(&mut self) -> Result<CPtr> {
        self.slots.allocate().map(CPtr::new)
    }

    /// Deletes what a slot holds and takes the slot back.
    pub fn discard(&mut self, cptr: CPtr) -> Result {
        self.path(cptr).delete()?;
        self.slots.release(cptr.bits());
        Ok(())
    }

    /// Runs `fill` on an empty slot; takes the slot back if that fails.
    pub fn fill_slot<T>(&mut self, fill: impl FnOnce(SlotPath) -> Result) -> Result<Cap<T>> {
        let slot = self.slot()?;
        match fill(self.path(slot)) {
            Ok(()) => Ok(slot.cap()),
            Err(error) => {
                self.slots.release(slot.bits());
                Err(error)
            }
        }
    }

    /// An Untyped of 2^`bits` bytes of its own, which can be given back whole.
    pub fn untyped(&mut self, bits: u8) -> Result<Cap<Untyped>> {
        let Self { memory, slots, authority, .. } = self;
        memory.allocate(bits, &mut OwnSplitter { cnode: authority.cnode, slots }).map(CPtr::cap)
    }

    /// Destroys everything made of an Untyped that [`Self::untyped`] gave, and takes it back.
    pub fn release_untyped(&mut self, untyped: Cap<Untyped>) -> Result {
        self.path(untyped.cptr()).revoke()?;
        let Self { memory, slots, authority, .. } = self;
        memory.release(untyped.cptr(), &mut OwnSplitter { cnode: authority.cnode, slots })
    }

    /// The Untyped of the device memory of 2^`bits` bytes at a physical address.
    pub fn device_untyped(&mut self, paddr: u64, bits: u8) -> Result<Cap<Untyped>> {
        let Self { memory, slots, authority, .. } = self;
        memory.allocate_at(paddr, bits, &mut OwnSplitter { cnode: authority.cnode, slots }).map(CPtr::cap)
    }

    /// Makes one object of `untyped`.
    pub fn make_from(&mut self, untyped: Cap<Untyped>, blueprint: Blueprint) -> Result<CPtr> {
        self.make_many_from(untyped, blueprint, 1)
    }

    /// Makes `count` objects of `untyped`; gives the first of as many consecutive pointers.
    pub fn make_many_from(
        &mut self,
        untyped: Cap<Untyped>,
        blueprint: Blueprint,
        count: u64,
    ) -> Result<CPtr> {
        let first = self.slots.allocate_range(count)?;
        let made = (0..count).step_by(FAN_OUT as usize).try_for_each(|done| {
            let count = FAN_OUT.min(count - done);
            untyped.retype(blueprint, self.authority.cnode, 0, 0, first + done, count)
        });
        if let Err(error) = made {
            (first..first + count).for_each(|slot| self.give_up(slot));
            return Err(error.into());
        }
        Ok(CPtr::new(first))
    }

    /// Makes `count` objects of an Untyped that [`Self::untyped`] or [`Self::device_untyped`] gave for
    /// them; takes it back if that fails.
    pub(crate) fn make_many_or_release(
        &mut self,
        untyped: Cap<Untyped>,
        blueprint: Blueprint,
        count: u64,
    ) -> Result<CPtr> {
        match self.make_many_from(untyped, blueprint, count) {
            Ok(first) => Ok(first),
            Err(error) => {
                self.release_untyped(untyped)?;
                Err(error)
            }
        }
    }

    /// Takes back an Untyped and the slots of all that was made of it.
    pub(crate) fn release_many(&mut self, untyped: Cap<Untyped>, first: CPtr, count: u64) -> Result {
        self.release_untyped(untyped)?;
        (first.bits()..first.bits() + count).for_each(|slot| self.slots.release(slot));
        Ok(())
    }

    /// Empties a slot that may hold something, on the way out of a failure. A slot that cannot be
    /// emptied stays taken.
    fn give_up(&mut self, slot: u64) {
        if self.path(CPtr::new(slot)).delete().is_ok() {
            self.slots.release(slot);
        }
    }

    /// Makes one object of any free memory.
    pub fn make(&mut self, blueprint: Blueprint) -> Result<CPtr> {
        let bits = blueprint.memory_bits();
        if bits >= BIG_BITS {
            let untyped = self.untyped(bits)?;
            return self.make_many_or_release(untyped, blueprint, 1);
        }
        let end = match self.chunk.after(bits) {
            Some(end) => end,
            None => {
                let untyped = self.untyped(CHUNK_BITS)?;
                self.chunk = Chunk { untyped, used: 0, size: 1 << CHUNK_BITS };
                1 << bits
            }
        };
        let cptr = self.make_from(self.chunk.untyped, blueprint)?;
        self.chunk.used = end;
        Ok(cptr)
    }

    /// Makes an object of a kind that has one size.
    ///
    /// ```no_run
    /// # fn example(resources: &mut keel::Resources) -> keel::Result {
    /// use keel::cap::{Endpoint, Reply};
    /// let endpoint = resources.allocate::<Endpoint>()?;
    /// let reply = resources.allocate::<Reply>()?;
    /// let message = endpoint.recv(reply);
    /// # Ok(()) }
    /// ```
    pub fn allocate<T: FixedSize>(&mut self) -> Result<Cap<T>> {
        self.make(T::BLUEPRINT).map(CPtr::cap)
    }

    /// Makes a CNode of 2^`radix` slots.
    pub fn allocate_cnode(&mut self, radix: u8) -> Result<Cap<CNode>> {
        self.make(Blueprint::CNode { radix }).map(CPtr::cap)
    }

    /// Makes a scheduling context, large enough for this many extra refills.
    pub fn allocate_sched_context(&mut self, extra_refills: u64) -> Result<Cap<SchedContext>> {
        self.make(sched_context(extra_refills)).map(CPtr::cap)
    }

    /// Makes a small frame.
    pub fn allocate_frame(&mut self) -> Result<Cap<Frame>> {
        self.make(Blueprint::SmallPage).map(CPtr::cap)
    }

    /// A copy of a capability with at most these rights, in a new slot.
    pub fn copy<T>(&mut self, cap: Cap<T>, rights: Rights) -> Result<Cap<T>> {
        let source = self.path(cap.cptr());
        self.fill_slot(|slot| Ok(slot.copy_from(source, rights)?))
    }

    /// A copy of an endpoint or notification capability with at most these rights and a badge.
    pub fn mint<T>(&mut self, cap: Cap<T>, rights: Rights, badge: u64) -> Result<Cap<T>> {
        let source = self.path(cap.cptr());
        self.fill_slot(|slot| Ok(slot.mint_from(source, rights, badge)?))
    }

    /// Maps a frame into the own address space at an address.
    pub fn map_at(
        &mut self,
        frame: Cap<Frame>,
        vaddr: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result {
        let vspace = self.authority.vspace;
        map_with(vspace, frame, vaddr, rights, attributes, |blueprint| self.make(blueprint))
    }

    /// Maps small frames, `count` of them from `first` on, read-write at free addresses in a row.
    pub fn map_frames(&mut self, first: CPtr, count: u64, attributes: Attributes) -> Result<Range<u64>> {
        let range = self.addresses.allocate(count * PAGE_BYTES, PAGE_BYTES)?;
        let mapped = (0..count).try_for_each(|page| {
            let frame = CPtr::new(first.bits() + page).cap();
            self.map_at(frame, range.start + page * PAGE_BYTES, Rights::READ_WRITE, attributes)
        });
        if let Err(error) = mapped {
            // What is mapped already can be unmapped; should that fail too, the addresses stay taken.
            for page in 0..count {
                CPtr::new(first.bits() + page).cap::<Frame>().unmap()?;
            }
            self.addresses.release(range)?;
            return Err(error);
        }
        Ok(range)
    }

    /// The address where a frame can be mapped for a moment (by [`crate::shared`]).
    pub(crate) fn scratch_address(&mut self) -> Result<u64> {
        match self.scratch {
            Some(address) => Ok(address),
            None => {
                let range = self.addresses.allocate(LARGE_PAGE_BYTES, LARGE_PAGE_BYTES)?;
                self.scratch = Some(range.start);
                Ok(range.start)
            }
        }
    }
}

/// Most objects that one Retype makes.
pub(crate) const FAN_OUT: u64 = keel_abi::object::RETYPE_FAN_OUT_LIMIT;

/// The smallest scheduling context with this many extra refills.
pub fn sched_context(extra_refills: u64) -> Blueprint {
    let smallest = keel_abi::object::MIN_SCHED_CONTEXT_BITS as u8;
    let enough = |&bits: &u8| keel_abi::object::max_extra_refills(bits.into()) >= extra_refills;
    Blueprint::SchedContext { bits: (smallest..40).find(enough).unwrap_or(40) }
}

/// Maps a frame, making the page tables that are missing on the way.
pub fn map_with(
    vspace: Cap<VSpace>,
    frame: Cap<Frame>,
    vaddr: u64,
    rights: Rights,
    attributes: Attributes,
    mut make_table: impl FnMut(Blueprint) -> Result<CPtr>,
) -> Result {
    for _ in 0..=MAX_TABLES {
        let missing = match frame.map(vspace, vaddr, rights, attributes) {
            Err(InvocationError::FailedLookup {
                failure: LookupFailure::MissingCapability { bits_left },
                ..
            }) => table_level(bits_left).and_then(|level| TABLES.get(level)),
            other => return other.map_err(Error::from),
        };
        let Some(kind) = missing else { break };
        kind.map(make_table(kind.blueprint)?, vspace, vaddr)?;
    }
    Err(Error::BadArgument("address, where a table is in the frame's way"))
}

/// The span of one table of a level, as a power of two; level 0 is the lowest.
pub const fn table_span_bits(level: usize) -> u32 {
    machine::SMALL_PAGE_BITS + TABLE_INDEX_BITS * (level as u32 + 1)
}

/// The level of the table that is missing where a lookup has so many bits left.
fn table_level(bits_left: u64) -> Option<usize> {
    (0..MAX_TABLES).find(|&level| bits_left == u64::from(table_span_bits(level)))
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_chunk_follows_the_watermark() {
        let mut chunk = Chunk { untyped: Cap::null(), used: 0, size: 1 << 12 };
        chunk.used = chunk.after(4).unwrap();
        assert_eq!(chunk.used, 16);
        chunk.used = chunk.after(11).unwrap();
        assert_eq!(chunk.used, 4096);
        assert_eq!(chunk.after(4), None);
    }

    #[test]
    fn the_missing_table_is_that_of_the_span() {
        assert_eq!([12, 21, 30, 39, 48].map(table_level), [None, Some(0), Some(1), Some(2), None]);
    }

    #[test]
    fn sched_contexts_are_as_small_as_can_be() {
        for (extra, bits) in [(0, 7), (1, 8), (8, 8), (9, 9), (248, 12)] {
            assert_eq!(sched_context(extra), Blueprint::SchedContext { bits });
        }
    }
}
