// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a child finds when it starts: one page, written by its parent, mapped read-only.
//!
//! Everything has a name: capabilities ("console", "vault"), regions of memory ("input", "heap"). What
//! is not on the page the child does not have, and the other way round: the page is a convenience, the
//! authority is in the CSpace. A child trusts its parent, who could as well change its code; so it
//! takes the page as it is. The parent never reads it again.
//!
//! Invariants, kept by [`crate::process`]:
//! 1. Regions do not overlap each other, nor the image, the stack or this page.
//! 2. A [`RegionKind::Frozen`] region does not change while the child runs.
//! 3. A [`RegionKind::Private`] region is mapped in this child alone.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::{
    addresses::Addresses,
    cap::{CPtr, Cap, Endpoint},
    console::{self, Sink},
    device::DeviceMemory,
    memory::Memory,
    resources::{Authority, PAGE_BYTES, Resources},
    shared::View,
    slots::Slots,
};

/// Capabilities that can be given by name.
pub const MAX_GRANTS: usize = 32;
/// Regions that can be given by name.
pub const MAX_REGIONS: usize = 16;
/// Bytes of arguments.
pub const MAX_ARGUMENT: usize = 1024;

/// Name of the grant that a child prints to.
pub const CONSOLE: &str = "console";
/// Name of the region that a child's heap lives in.
pub const HEAP: &str = "heap";

/// A name of up to 16 bytes, filled up with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Name([u8; 16]);

impl Name {
    /// A name of this text, cut to fit.
    pub fn new(text: &str) -> Self {
        let mut name = [0; 16];
        let count = text.len().min(name.len());
        name[..count].copy_from_slice(&text.as_bytes()[..count]);
        Self(name)
    }
}

/// What may happen to a region's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RegionKind {
    /// Read-only here, and nobody changes it.
    Frozen,
    /// This child's alone.
    Private,
    /// Read-only here; others may change it at any time.
    SharedReadOnly,
    /// Others may read and change it at any time.
    Shared,
    /// Registers of a device.
    Device,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Grant {
    pub name: Name,
    pub slot: u64,
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Region {
    pub name: Name,
    pub address: u64,
    pub size: u64,
    pub kind: RegionKind,
}

/// Slots of what a child builds with; 0 for what it was not given.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Means {
    pub cnode: u64,
    pub vspace: u64,
    pub tcb: u64,
    pub asid_pool: u64,
    pub sched_control: u64,
    pub untyped: u64,
    pub untyped_bits: u64,
    pub first_slot: u64,
    pub end_slot: u64,
    pub first_address: u64,
    pub end_address: u64,
}

/// What a child finds when it starts.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Startup {
    pub(crate) means: Means,
    pub(crate) grants: [Grant; MAX_GRANTS],
    pub(crate) regions: [Region; MAX_REGIONS],
    pub(crate) grant_count: u64,
    pub(crate) region_count: u64,
    pub(crate) argument_len: u64,
    pub(crate) argument: [u8; MAX_ARGUMENT],
}

const _: () = {
    assert!(size_of::<Startup>() <= PAGE_BYTES as usize);
    // No padding: the parts add up to the whole.
    assert!(size_of::<Grant>() == 24 && size_of::<Region>() == 40 && size_of::<Means>() == 11 * 8);
    let parts = size_of::<Means>() + 24 * MAX_GRANTS + 40 * MAX_REGIONS + 3 * 8 + MAX_ARGUMENT;
    assert!(size_of::<Startup>() == parts);
};

/// Which regions have been taken by [`Startup::take_region`].
static TAKEN_REGIONS: AtomicU32 = AtomicU32::new(0);
/// Whether the resources have been taken.
static TAKEN_RESOURCES: AtomicBool = AtomicBool::new(false);

impl Startup {
    /// An empty page.
    pub(crate) fn empty() -> Self {
        let name = Name::new("");
        Self {
            means: Means::default(),
            grants: [Grant { name, slot: 0 }; MAX_GRANTS],
            regions: [Region { name, address: 0, size: 0, kind: RegionKind::Frozen }; MAX_REGIONS],
            grant_count: 0,
            region_count: 0,
            argument_len: 0,
            argument: [0; MAX_ARGUMENT],
        }
    }

    /// The page at this address.
    ///
    /// # Safety
    /// A parent mapped a page there that keeps the module's invariants, for as long as the program
    /// runs.
    pub(crate) unsafe fn at(page: *const Self) -> &'static Self {
        // SAFETY: the caller's promise; the page is read-only, so nothing changes behind the reference.
        unsafe { &*page }
    }

    /// Writes the page into the start of the bytes of a frame.
    pub(crate) fn write_to(&self, bytes: &mut [u8]) {
        // SAFETY: the structure is made of words and bytes without padding (asserted above), so all its
        // bytes are initialised.
        let own = unsafe { core::slice::from_raw_parts((&raw const *self).cast::<u8>(), size_of::<Self>()) };
        let count = own.len().min(bytes.len());
        bytes[..count].copy_from_slice(&own[..count]);
    }

    fn grants(&self) -> &[Grant] {
        &self.grants[..(self.grant_count as usize).min(MAX_GRANTS)]
    }

    fn regions(&self) -> &[Region] {
        &self.regions[..(self.region_count as usize).min(MAX_REGIONS)]
    }

    /// The capability given under this name.
    pub fn cap<T>(&self, name: &str) -> Option<Cap<T>> {
        let name = Name::new(name);
        let grant = self.grants().iter().find(|grant| grant.name == name)?;
        Some(CPtr::new(grant.slot).cap())
    }

    /// The bytes passed as argument.
    pub fn argument(&self) -> &[u8] {
        &self.argument[..(self.argument_len as usize).min(MAX_ARGUMENT)]
    }

    fn region(&self, name: &str) -> Option<(usize, &Region)> {
        let name = Name::new(name);
        self.regions().iter().enumerate().find(|(_, region)| region.name == name)
    }

    /// The bytes of a frozen region.
    pub fn bytes(&self, name: &str) -> Option<&'static [u8]> {
        let (_, region) = self.region(name).filter(|(_, region)| region.kind == RegionKind::Frozen)?;
        // SAFETY: mapped for good, and by invariant 2 it does not change.
        Some(unsafe { core::slice::from_raw_parts(region.address as *const u8, region.size as usize) })
    }

    fn take(&self, name: &str, kind: RegionKind) -> Option<&Region> {
        let (index, region) = self.region(name).filter(|(_, region)| region.kind == kind)?;
        let bit = 1 << index;
        (TAKEN_REGIONS.fetch_or(bit, Ordering::Relaxed) & bit == 0).then_some(region)
    }

    /// The registers of a device, once.
    pub fn take_device(&self, name: &str) -> Option<DeviceMemory> {
        let region = self.take(name, RegionKind::Device)?;
        // SAFETY: mapped for good; by invariant 1 nothing else is there, and it is given once.
        Some(unsafe { DeviceMemory::mapped(region.address, region.size) })
    }

    /// The memory of a private region, once.
    pub fn take_region(&self, name: &str) -> Option<&'static mut [u8]> {
        let region = self.take(name, RegionKind::Private)?;
        // SAFETY: mapped for good; by invariants 1 and 3 nobody else has it, and it is given once.
        Some(unsafe { core::slice::from_raw_parts_mut(region.address as *mut u8, region.size as usize) })
    }

    /// A view of a shared region.
    pub fn view(&self, name: &str) -> Option<View<'static>> {
        let (_, region) = self.region(name)?;
        let writable = match region.kind {
            RegionKind::Shared => true,
            RegionKind::SharedReadOnly => false,
            RegionKind::Frozen | RegionKind::Private | RegionKind::Device => return None,
        };
        // SAFETY: mapped for good, so by the page.
        Some(unsafe { View::new(region.address, region.size, writable) })
    }

    /// What this program builds with, if its parent gave it the means, once.
    pub fn take_resources(&self) -> Option<Resources> {
        let means = &self.means;
        if means.untyped == 0 || TAKEN_RESOURCES.swap(true, Ordering::Relaxed) {
            return None;
        }
        let mut memory = Memory::new();
        memory.add(CPtr::new(means.untyped), means.untyped_bits as u8, 0, false).ok()?;
        let authority = Authority {
            cnode: Cap::at(means.cnode),
            vspace: Cap::at(means.vspace),
            tcb: Cap::at(means.tcb),
            asid_pool: Cap::at(means.asid_pool),
            sched_control: Cap::at(means.sched_control),
        };
        let slots = Slots::new(means.first_slot..means.end_slot);
        let addresses = Addresses::new(means.first_address..means.end_address);
        Some(Resources::new(authority, slots, memory, addresses))
    }

    /// Prints to the console that was given, if one was.
    pub(crate) fn open_console(&self) {
        if let Some(endpoint) = self.cap::<Endpoint>(CONSOLE) {
            console::set_sink(Sink::driver(endpoint));
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn things_are_found_by_name_and_kind() {
        static FROZEN: [u8; 3] = *b"abc";
        let mut startup = Startup::empty();
        startup.grants[0] = Grant { name: Name::new("vault"), slot: 5 };
        startup.grant_count = 1;
        let address = FROZEN.as_ptr() as u64;
        let name = Name::new("input");
        startup.regions[0] = Region { name, address, size: 3, kind: RegionKind::Frozen };
        startup.region_count = 1;
        startup.argument[..2].copy_from_slice(b"hi");
        startup.argument_len = 2;
        assert_eq!(startup.cap::<Endpoint>("vault"), Some(Cap::at(5)));
        assert_eq!(startup.cap::<Endpoint>("vaul"), None);
        assert_eq!(startup.bytes("input"), Some(&b"abc"[..]));
        assert!(startup.take_region("input").is_none());
        assert!(startup.view("input").is_none());
        assert!(startup.take_resources().is_none());
        assert_eq!(startup.argument(), b"hi");
    }

    #[test]
    fn a_private_region_is_given_once() {
        let memory = std::vec![7_u8; 16].leak();
        let mut startup = Startup::empty();
        let (name, address) = (Name::new(HEAP), memory.as_ptr() as u64);
        startup.regions[0] = Region { name, address, size: 16, kind: RegionKind::Private };
        startup.region_count = 1;
        assert_eq!(startup.take_region(HEAP).map(|bytes| bytes.len()), Some(16));
        assert!(startup.take_region(HEAP).is_none());
        assert!(startup.bytes(HEAP).is_none());
    }
}
