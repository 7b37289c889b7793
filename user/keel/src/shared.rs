// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory that several programs see.
//!
//! A [`SharedMemory`] is made by one program, which maps it and then gives it to the processes that it
//! builds. Whoever else has it mapped may change it at any time, and may be hostile; so it is only ever
//! copied, word by word through a [`View`], never referenced.

use core::{marker::PhantomData, ops::Range};

use crate::{
    cap::{Attributes, Blueprint, CPtr, Cap, Frame, Rights, Untyped},
    error::{Error, Result},
    resources::{LARGE_PAGE_BYTES, PAGE_BYTES, Resources},
};

/// A mapped range of memory that others may read or change.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    mapping: PhantomData<&'a ()>,
    address: u64,
    size: u64,
    writable: bool,
}

impl View<'_> {
    /// The memory at this address.
    ///
    /// # Safety
    /// It is mapped there, writable if said so, for the view's lifetime, and no reference into it exists.
    pub(crate) const unsafe fn new(address: u64, size: u64, writable: bool) -> Self {
        Self { mapping: PhantomData, address, size, writable }
    }

    /// Its size in bytes.
    pub const fn len(&self) -> u64 {
        self.size
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Where it is mapped.
    pub const fn address(&self) -> u64 {
        self.address
    }

    fn check(&self, offset: u64, length: usize) -> Result<u64> {
        let end = offset.checked_add(length as u64).filter(|&end| end <= self.size);
        end.map(|_| self.address + offset).ok_or(Error::BadArgument("range of shared memory"))
    }

    /// Copies bytes out.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result {
        let start = self.check(offset, bytes.len())?;
        // SAFETY: inside of the view, which is mapped; `bytes` is this program's own.
        unsafe { copy(start as *const u8, bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies bytes in. Fails on a read-only view.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result {
        let start = self.check(offset, bytes.len())?;
        if !self.writable {
            return Err(Error::BadArgument("write to read-only shared memory"));
        }
        // SAFETY: inside of the view, which is mapped writable; `bytes` is this program's own.
        unsafe { copy(bytes.as_ptr(), start as *mut u8, bytes.len()) };
        Ok(())
    }
}

/// Copies memory that may change meanwhile, volatile: by words where both sides allow, else by bytes.
///
/// # Safety
/// Both ranges are mapped, the second writable, and they do not overlap.
unsafe fn copy(from: *const u8, to: *mut u8, count: usize) {
    const WORD: usize = size_of::<u64>();
    let aligned = (from as usize | to as usize).is_multiple_of(WORD);
    let words = if aligned { count / WORD } else { 0 };
    for index in 0..words {
        // SAFETY: the caller's promise, and both addresses are aligned.
        unsafe {
            let word = from.cast::<u64>().add(index).read_volatile();
            to.cast::<u64>().add(index).write_volatile(word);
        }
    }
    for index in words * WORD..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(index).write_volatile(from.add(index).read_volatile()) };
    }
}

/// Memory to share with processes that this program builds. It is mapped here, read-write.
#[derive(Debug)]
pub struct SharedMemory {
    untyped: Cap<Untyped>,
    first_frame: CPtr,
    frames: u64,
    page_bytes: u64,
    range: Range<u64>,
    size: u64,
}

impl SharedMemory {
    /// `size` zeroed bytes. From 2 MiB on they are made of large pages.
    pub fn new(resources: &mut Resources, size: u64) -> Result<Self> {
        let large = size >= LARGE_PAGE_BYTES;
        let (page_bytes, page) =
            if large { (LARGE_PAGE_BYTES, Blueprint::LargePage) } else { (PAGE_BYTES, Blueprint::SmallPage) };
        let bytes = size
            .max(1)
            .checked_next_multiple_of(page_bytes)
            .filter(|&bytes| bytes <= 1 << 40)
            .ok_or(Error::BadArgument("size of shared memory"))?;
        let frames = bytes / page_bytes;
        let untyped = resources.untyped(bytes.next_power_of_two().ilog2() as u8)?;
        let first_frame = resources.make_many_or_release(untyped, page, frames)?;
        let addresses = &mut resources.addresses;
        let range = if large {
            addresses.allocate_last(bytes, page_bytes)
        } else {
            addresses.allocate(bytes, page_bytes)
        };
        let range = match range {
            Ok(range) => range,
            Err(error) => {
                resources.release_many(untyped, first_frame, frames)?;
                return Err(error);
            }
        };
        let memory = Self { untyped, first_frame, frames, page_bytes, range, size };
        match memory.map_all(resources) {
            Ok(()) => Ok(memory),
            Err(error) => {
                memory.release(resources)?;
                Err(error)
            }
        }
    }

    fn map_all(&self, resources: &mut Resources) -> Result {
        self.frames().try_for_each(|(frame, offset)| {
            resources.map_at(frame, self.range.start + offset, Rights::READ_WRITE, Attributes::DATA)
        })
    }

    /// The frames and their offsets.
    pub(crate) fn frames(&self) -> impl Iterator<Item = (Cap<Frame>, u64)> + use<> {
        let (first, page_bytes) = (self.first_frame.bits(), self.page_bytes);
        (0..self.frames).map(move |frame| (CPtr::new(first + frame).cap(), frame * page_bytes))
    }

    /// Alignment and size of the pages.
    pub(crate) fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// Bytes mapped: the size rounded up to pages.
    pub(crate) fn mapped_bytes(&self) -> u64 {
        self.frames * self.page_bytes
    }

    /// Its size in bytes, as asked for.
    pub fn len(&self) -> u64 {
        self.size
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// This program's view of it.
    pub fn view(&self) -> View<'_> {
        // SAFETY: mapped read-write by `new` until `release`, which cannot come while the view lives.
        unsafe { View::new(self.range.start, self.size, true) }
    }

    /// Takes the memory from everybody who has it, and back.
    pub fn release(self, resources: &mut Resources) -> Result {
        resources.release_many(self.untyped, self.first_frame, self.frames)?;
        resources.addresses.release(self.range)
    }
}

/// Runs `body` on the bytes of a small frame, mapped read-write for as long as that takes.
pub(crate) fn with_frame<R>(
    resources: &mut Resources,
    frame: Cap<Frame>,
    body: impl FnOnce(&mut [u8]) -> R,
) -> Result<R> {
    let address = resources.scratch_address()?;
    resources.map_at(frame, address, Rights::READ_WRITE, Attributes::DATA)?;
    // SAFETY: the frame was just mapped there; the address is used for nothing else, and only inside
    // of this function, which has `resources` for itself.
    let bytes = unsafe { core::slice::from_raw_parts_mut(address as *mut u8, PAGE_BYTES as usize) };
    let result = body(bytes);
    frame.unmap()?;
    Ok(result)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn views_stay_inside() {
        let memory = std::vec![0_u64; 4].leak();
        // SAFETY: leaked memory that nothing references any more.
        let view = unsafe { View::new(memory.as_mut_ptr() as u64, 30, true) };
        view.write(3, b"hello").unwrap();
        view.write(8, &[1; 16]).unwrap();
        let mut back = [0; 5];
        view.read(3, &mut back).unwrap();
        assert_eq!(&back, b"hello");
        assert!(view.write(29, b"xy").is_err());
        assert!(view.read(u64::MAX, &mut back).is_err());
        view.write(30, b"").unwrap();
    }

    #[test]
    fn a_read_only_view_is_not_written() {
        let memory = std::vec![5_u8; 8].leak();
        // SAFETY: leaked memory that nothing references any more.
        let view = unsafe { View::new(memory.as_mut_ptr() as u64, 8, false) };
        assert!(view.write(0, b"x").is_err());
        let mut byte = [0];
        view.read(7, &mut byte).unwrap();
        assert_eq!(byte, [5]);
    }
}
