// SPDX-License-Identifier: MIT OR Apache-2.0

//! Capabilities: the packed two-word form that slots store, and the `enum` that code matches on.
//!
//! Packing and unpacking are shifts and masks that vanish once inlined. Code that only asks one thing of a
//! capability (its type, or its type and a right) asks the packed form, with one mask and one comparison.
//!
//! Layout of the first word, the same for all types:
//!
//! ```text
//!  63   58 57     54 53      48 47                                  6 5    0
//! +-------+---------+----------+-------------------------------------+------+
//! |  tag  | device  |   bits   |  address of the object (bits 4..47) | low  |
//! +-------+---------+----------+-------------------------------------+------+
//! ```
//!
//! *bits* is a size, a radix or a zombie's kind; *low* holds rights where the alignment of the object leaves room.
//! The second word is a badge, a guard, a watermark, a mapping (ASID in bits 48..63, virtual address below) or a
//! count.
//!
//! A CNode's form suits the walk through a CSpace, which takes it as it is ([`RawCap::index`]): *low* is by how much
//! an address is shifted down to leave the bits of one level, guard and radix; the second word is the guard, shifted up
//! by the radix; so the exclusive or of the two is the slot's index, or too large if the guard is another. One bit of
//! the field *device* says that it is a CNode.
//!
//! The tag is the number that `DebugCapIdentify` reports (`syscalls.md` §13); odd tags other than those of
//! [`Cap`]'s own variants belong to the machine and are opaque here ([`Cap::Machine`]).
//!
//! Invariants:
//! - **C1** `Cap::from(RawCap::from(cap)) == cap` for every capability with fields in range: addresses of kernel
//!   objects are canonical 48-bit and aligned to their object, physical addresses below 2^48.
//! - **C2** The all-zero pair is `Cap::Null`.

use crate::arch::Arch;
use crate::cspace::{SLOT_BITS, Slot};
use crate::object::{AsidPool, Endpoint, Notification, Reply, SchedContext, Table, Tcb};
use crate::store::Ref;
use crate::units::{Asid, Irq, KernelAddr, PhysAddr, VirtAddr};

/// A capability as slots store it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct RawCap {
    /// Tag, address, sizes and rights: see the module's layout.
    pub word0: u64,
    /// Badge, guard, watermark, mapping or count.
    pub word1: u64,
}

/// The type of a capability, as the packed form and `DebugCapIdentify` number it.
pub mod tag {
    /// No capability.
    pub const NULL: u8 = 0;
    /// A frame of memory.
    pub const FRAME: u8 = 1;
    /// Untyped memory.
    pub const UNTYPED: u8 = 2;
    /// A page table below the root.
    pub const PAGE_TABLE: u8 = 3;
    /// An endpoint.
    pub const ENDPOINT: u8 = 4;
    /// A notification.
    pub const NOTIFICATION: u8 = 6;
    /// A reply object.
    pub const REPLY: u8 = 8;
    /// The root of a virtual address space.
    pub const VSPACE: u8 = 9;
    /// A table of slots.
    pub const CNODE: u8 = 10;
    /// The authority to make ASID pools.
    pub const ASID_CONTROL: u8 = 11;
    /// A thread.
    pub const TCB: u8 = 12;
    /// A pool of address space identifiers.
    pub const ASID_POOL: u8 = 13;
    /// The authority to make interrupt handlers.
    pub const IRQ_CONTROL: u8 = 14;
    /// The authority over one interrupt.
    pub const IRQ_HANDLER: u8 = 16;
    /// An object that is being deleted.
    pub const ZOMBIE: u8 = 18;
    /// The authority over domains.
    pub const DOMAIN_SET: u8 = 20;
    /// A scheduling context.
    pub const SCHED_CONTEXT: u8 = 22;
    /// The authority over the time of one core.
    pub const SCHED_CONTROL: u8 = 24;
}

/// Rights of endpoint, notification and reply capabilities, in the bits of the interface's rights word
/// (`objects.md` §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Rights(u8);

impl Rights {
    /// Send or signal.
    pub const WRITE: Self = Self(1);
    /// Receive or wait.
    pub const READ: Self = Self(2);
    /// Pass capabilities on.
    pub const GRANT: Self = Self(4);
    /// Let the receiver reply.
    pub const GRANT_REPLY: Self = Self(8);
    /// All of them.
    pub const ALL: Self = Self(15);
    /// Read and write.
    pub const READ_WRITE: Self = Self(3);

    /// The rights in an interface word; the bits above are ignored.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self((word & 15) as u8)
    }

    /// Whether all of `other` is in here.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether a sender with these rights can be answered (`syscalls.md` §8).
    #[must_use]
    pub const fn can_be_answered(self) -> bool {
        self.0 & (Self::GRANT.0 | Self::GRANT_REPLY.0) != 0
    }

    /// The rights in the bits of a packed capability.
    const fn word(self) -> u64 {
        self.0 as u64
    }
}

/// What a mapping of a frame allows (`objects.md` §3.1, `memory.md` §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum VmRights {
    /// User level cannot touch it.
    #[default]
    KernelOnly = 0,
    /// Reading.
    ReadOnly = 1,
    /// Reading and writing.
    ReadWrite = 2,
}

impl VmRights {
    /// These rights, masked with what is asked for.
    #[must_use]
    pub const fn masked(self, asked: Rights) -> Self {
        match self {
            Self::ReadWrite if asked.has(Rights::READ_WRITE) => Self::ReadWrite,
            Self::ReadWrite | Self::ReadOnly if asked.has(Rights::READ) => Self::ReadOnly,
            _ => Self::KernelOnly,
        }
    }

    /// The rights in the low bits of a packed frame capability.
    const fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            1 => Self::ReadOnly,
            2 => Self::ReadWrite,
            _ => Self::KernelOnly,
        }
    }
}

/// Untyped memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UntypedCap {
    /// Where the memory begins.
    pub base: PhysAddr,
    /// Log2 of its size in bytes.
    pub bits: u8,
    /// Whether it is device memory, from which only frames and untypeds can be made.
    pub device: bool,
    /// Bytes from the base that have been given away or are not clear.
    pub watermark: u64,
}

/// An endpoint or a notification.
#[derive(Debug)]
pub struct IpcCap<T> {
    /// The object.
    pub object: Ref<T>,
    /// What a receiver sees of this capability.
    pub badge: u64,
    /// What it allows.
    pub rights: Rights,
}

impl<T> Clone for IpcCap<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for IpcCap<T> {}
impl<T> PartialEq for IpcCap<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.object, self.badge, self.rights) == (other.object, other.badge, other.rights)
    }
}
impl<T> Eq for IpcCap<T> {}

/// A table of slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CNodeCap {
    /// The first slot.
    pub slots: Ref<Slot>,
    /// Log2 of the number of slots.
    pub radix: u8,
    /// Number of guard bits.
    pub guard_bits: u8,
    /// The guard, in the low `guard_bits` bits.
    pub guard: u64,
}

/// A frame of memory and where this capability maps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameCap {
    /// Where the memory begins.
    pub base: PhysAddr,
    /// 0 for the smallest page, 1 for the next, 2 for the largest: 12, 21, 30 bits.
    pub level: u8,
    /// Whether it is device memory.
    pub device: bool,
    /// What it allows.
    pub rights: VmRights,
    /// The mapping, if there is one.
    pub mapping: Mapping,
}

impl FrameCap {
    /// Log2 of the size in bytes.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        page_bits(self.level)
    }
}

/// Log2 of the span of an entry of a table at `level`, 0 being the level of the smallest pages.
#[must_use]
pub const fn page_bits(level: u8) -> u8 {
    12 + 9 * level
}

/// Where a frame or a table is mapped. `asid` 0: nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mapping {
    /// The address space, 0 for none.
    pub asid: Asid,
    /// The address, page aligned.
    pub address: VirtAddr,
    /// A number of the machine's choice (0..3): what kind of mapping it is, where it has several.
    pub kind: u8,
}

impl Mapping {
    /// Mapped nowhere.
    pub const NONE: Self = Self { asid: 0, address: VirtAddr(0), kind: 0 };

    /// Whether it is a mapping.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.asid != 0
    }

    /// The mapping as second word of a packed capability.
    const fn word(self) -> u64 {
        (self.asid as u64) << 48 | self.address.0 & MAPPED_ADDRESS_MASK | self.kind as u64 & 3
    }

    /// The mapping in the second word of a packed capability.
    const fn from_word(word: u64) -> Self {
        Self {
            asid: (word >> 48) as u16,
            address: VirtAddr(word & MAPPED_ADDRESS_MASK),
            kind: (word & 3) as u8,
        }
    }
}

/// The bits of a mapping's address in its word.
const MAPPED_ADDRESS_MASK: u64 = 0x0000_ffff_ffff_f000;

/// A page table below the root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableCap {
    /// The table.
    pub table: Ref<Table>,
    /// The level of its entries on machines that have a type per level, else 0.
    pub level: u8,
    /// The mapping, if there is one.
    pub mapping: Mapping,
}

/// The root of a virtual address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VSpaceCap {
    /// The root table.
    pub root: Ref<Table>,
    /// The identifier assigned, 0 for none.
    pub asid: Asid,
}

/// What is being deleted (`object/delete.rs`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ZombieKind {
    /// A thread, with its slots.
    Tcb,
    /// A CNode of this radix.
    CNode {
        /// Log2 of the number of slots.
        radix: u8,
    },
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
}

/// An object whose last capability was deleted and that is being taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZombieCap {
    /// The object.
    pub object: KernelAddr,
    /// What it was.
    pub kind: ZombieKind,
    /// How much is left, in units of the kind: slots for TCB and CNode.
    pub left: u64,
}

/// A capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cap {
    /// No capability.
    Null,
    /// Untyped memory.
    Untyped(UntypedCap),
    /// An endpoint.
    Endpoint(IpcCap<Endpoint>),
    /// A notification.
    Notification(IpcCap<Notification>),
    /// A reply object, and whether replies through it pass capabilities.
    Reply {
        /// The object.
        object: Ref<Reply>,
        /// [`Rights::GRANT`] or nothing.
        rights: Rights,
    },
    /// A table of slots.
    CNode(CNodeCap),
    /// A thread.
    Tcb(Ref<Tcb>),
    /// A scheduling context.
    SchedContext {
        /// The object.
        object: Ref<SchedContext>,
        /// Log2 of its size in bytes.
        bits: u8,
    },
    /// The authority over the time of one core.
    SchedControl {
        /// The core.
        core: u16,
    },
    /// The authority over domains.
    DomainSet,
    /// The authority to make interrupt handlers.
    IrqControl,
    /// The authority over one interrupt.
    IrqHandler(Irq),
    /// An object that is being deleted.
    Zombie(ZombieCap),
    /// A frame of memory.
    Frame(FrameCap),
    /// A page table.
    Table(TableCap),
    /// The root of a virtual address space.
    VSpace(VSpaceCap),
    /// The authority to make ASID pools.
    AsidControl,
    /// A pool of address space identifiers.
    AsidPool {
        /// The object.
        pool: Ref<AsidPool>,
        /// The first of its identifiers.
        base: Asid,
    },
    /// A capability that only this machine has; the machine reads it.
    Machine(RawCap),
}

/// Where the tag begins.
const TAG_SHIFT: u32 = 58;
/// Set for device memory.
const DEVICE_BIT: u64 = 1 << 54;
/// Set for CNodes.
const CNODE_BIT: u64 = 1 << 57;
/// Where the field *bits* begins.
const BITS_SHIFT: u32 = 48;
/// The field *bits*, shifted down.
const BITS_MASK: u64 = 63;
/// The address of the object.
const PHYS_MASK: u64 = 0x0000_ffff_ffff_fff0;
/// The field *low*.
const LOW_MASK: u64 = 63;
/// A frame's level, in the field *low*.
const FRAME_LEVEL_MASK: u64 = 3 << 2;

/// The first word of a packed capability.
const fn head(tag: u8, address: u64, bits: u8, low: u64) -> u64 {
    (tag as u64) << TAG_SHIFT | (bits as u64 & BITS_MASK) << BITS_SHIFT | address & PHYS_MASK | low
}

impl RawCap {
    /// No capability.
    pub const NULL: Self = Self { word0: 0, word1: 0 };

    /// The tag.
    #[must_use]
    pub const fn tag(self) -> u8 {
        (self.word0 >> TAG_SHIFT) as u8
    }

    /// Whether there is no capability.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.tag() == tag::NULL
    }

    /// Whether it is of type `tag` and has `rights`, in one comparison.
    #[must_use]
    pub const fn is_with(self, tag: u8, rights: Rights) -> bool {
        let mask = 63 << TAG_SHIFT | rights.word();
        self.word0 & mask == head(tag, 0, 0, rights.word())
    }

    /// Whether it is to the same object as `other`. Untyped memory and authorities without an object are not
    /// objects in this sense: nothing happens when their last capability goes.
    #[must_use]
    #[inline]
    pub fn is_same_object<A: Arch>(self, other: Self) -> bool {
        let (difference, tag) = (self.word0 ^ other.word0, self.tag());
        if difference >> TAG_SHIFT != 0 {
            return false;
        }
        // Where the object lies, without what the field *low* holds below it.
        match tag {
            tag::ENDPOINT
            | tag::NOTIFICATION
            | tag::REPLY
            | tag::TCB
            | tag::SCHED_CONTEXT
            | tag::PAGE_TABLE
            | tag::VSPACE
            | tag::ASID_POOL => difference & PHYS_MASK == 0,
            tag::CNODE => difference & PHYS_MASK & !LOW_MASK == 0,
            tag::FRAME => difference & (PHYS_MASK | FRAME_LEVEL_MASK) == 0,
            tag::SCHED_CONTROL | tag::IRQ_HANDLER => self.word1 == other.word1,
            tag::DOMAIN_SET | tag::ASID_CONTROL => true,
            tag::NULL | tag::UNTYPED | tag::IRQ_CONTROL | tag::ZOMBIE => false,
            _ => A::same_object(self, other),
        }
    }

    /// The field *bits*.
    const fn bits(self) -> u8 {
        (self.word0 >> BITS_SHIFT & BITS_MASK) as u8
    }

    /// The address of the kernel object, of which the low `aligned` bits are zero.
    const fn kernel_address(self, aligned: u32) -> u64 {
        // Bits 4..47, sign-extended from bit 47, without the low field.
        (((self.word0 << 16) as i64 >> 16) as u64) >> aligned << aligned
    }

    /// The kernel object, whose address has `aligned` zero bits; none at address 0.
    #[inline(always)]
    pub(crate) fn object<T>(self, aligned: u32) -> Option<Ref<T>> {
        Ref::at(KernelAddr(self.kernel_address(aligned)))
    }

    /// The rights in the field *low*.
    pub(crate) const fn rights(self) -> Rights {
        Rights::from_word(self.word0)
    }

    /// Whether it is to a CNode.
    #[inline(always)]
    pub(crate) const fn is_cnode(self) -> bool {
        self.word0 & CNODE_BIT != 0
    }

    /// The slot that `address` names, if this is the root of a CSpace of one level.
    #[inline(always)]
    pub(crate) fn only_level_slot<A: Arch>(self, address: u64) -> Option<Ref<Slot>> {
        // A CNode that takes all 64 bits shifts by 0.
        if self.word0 & (CNODE_BIT | LOW_MASK) != CNODE_BIT {
            return None;
        }
        self.slot::<A>(self.index(address)?)
    }

    /// Of a CNode: the index that the highest bits of `rest` name, none if they have not the guard.
    #[inline(always)]
    pub(crate) const fn index(self, rest: u64) -> Option<u64> {
        let index = rest >> (self.word0 & LOW_MASK) ^ self.word1;
        if index >> self.bits() == 0 { Some(index) } else { None }
    }

    /// Of a CNode: the slot with this index.
    #[inline(always)]
    pub(crate) fn slot<A: Arch>(self, index: u64) -> Option<Ref<Slot>> {
        // CNodes lie in the kernel's window, the base of which is a multiple of its size: so it need not be asked
        // whether this is 0.
        let offset = self.word0 & PHYS_MASK & !LOW_MASK & !A::PHYS_WINDOW;
        Ref::at(KernelAddr(offset.wrapping_add(index << SLOT_BITS) | A::PHYS_WINDOW))
    }

    /// Of a CNode: how many bits of an address it takes for guard and radix, below 0: -64 to -1.
    #[inline(always)]
    pub(crate) const fn bits_taken(self) -> i64 {
        (self.word0 | !LOW_MASK).cast_signed()
    }

    /// To the object of the same kind that lies `bytes` further on, by which both are aligned.
    #[must_use]
    pub(crate) const fn further_on(self, bytes: u64) -> Self {
        // The field of the address has its place at bit 0; a sum stays in it (C1).
        Self { word0: self.word0.wrapping_add(bytes), ..self }
    }

    /// With no more than `rights`, which its type must have.
    pub(crate) fn masked(self, rights: Rights) -> Self {
        Self { word0: self.word0 & (!Rights::ALL.word() | rights.word()), ..self }
    }

    /// The physical address, of which the low `aligned` bits are zero.
    fn physical(self, aligned: u32) -> PhysAddr {
        PhysAddr((self.word0 & PHYS_MASK) >> aligned << aligned)
    }
}

impl From<Cap> for RawCap {
    #[inline(always)]
    fn from(cap: Cap) -> Self {
        let pair = |word0, word1| Self { word0, word1 };
        match cap {
            Cap::Null => Self::NULL,
            Cap::Untyped(c) => {
                let device = if c.device { DEVICE_BIT } else { 0 };
                pair(head(tag::UNTYPED, c.base.0, c.bits, 0) | device, c.watermark)
            }
            Cap::Endpoint(c) => pair(head(tag::ENDPOINT, c.object.address().0, 0, c.rights.word()), c.badge),
            Cap::Notification(c) => {
                pair(head(tag::NOTIFICATION, c.object.address().0, 0, c.rights.word()), c.badge)
            }
            Cap::Reply { object, rights } => pair(head(tag::REPLY, object.address().0, 0, rights.word()), 0),
            Cap::CNode(c) => {
                let shift = u64::from(c.guard_bits + c.radix).wrapping_neg() & LOW_MASK;
                let word0 = head(tag::CNODE, c.slots.address().0, c.radix, shift) | CNODE_BIT;
                pair(word0, c.guard << (c.radix & 63))
            }
            Cap::Tcb(tcb) => pair(head(tag::TCB, tcb.address().0, 0, 0), 0),
            Cap::SchedContext { object, bits } => {
                pair(head(tag::SCHED_CONTEXT, object.address().0, bits, 0), 0)
            }
            Cap::SchedControl { core } => pair(head(tag::SCHED_CONTROL, 0, 0, 0), core as u64),
            Cap::DomainSet => pair(head(tag::DOMAIN_SET, 0, 0, 0), 0),
            Cap::IrqControl => pair(head(tag::IRQ_CONTROL, 0, 0, 0), 0),
            Cap::IrqHandler(irq) => pair(head(tag::IRQ_HANDLER, 0, 0, 0), irq.0 as u64),
            Cap::Zombie(c) => pair(head(tag::ZOMBIE, c.object.0, c.kind.number(), 0), c.left),
            Cap::Frame(c) => {
                let device = if c.device { DEVICE_BIT } else { 0 };
                let low = (c.level as u64 & 3) << 2 | c.rights as u64;
                pair(head(tag::FRAME, c.base.0, 0, low) | device, c.mapping.word())
            }
            Cap::Table(c) => {
                pair(head(tag::PAGE_TABLE, c.table.address().0, 0, c.level as u64 & 3), c.mapping.word())
            }
            Cap::VSpace(c) => pair(head(tag::VSPACE, c.root.address().0, 0, 0), c.asid as u64),
            Cap::AsidControl => pair(head(tag::ASID_CONTROL, 0, 0, 0), 0),
            Cap::AsidPool { pool, base } => pair(head(tag::ASID_POOL, pool.address().0, 0, 0), base as u64),
            Cap::Machine(raw) => raw,
        }
    }
}

impl From<RawCap> for Cap {
    #[inline(always)]
    fn from(raw: RawCap) -> Self {
        Self::unpack(raw).unwrap_or(Self::Null)
    }
}

impl Cap {
    /// The capability of a packed pair; none where an object's address is 0, which C1 excludes.
    #[inline(always)]
    fn unpack(raw: RawCap) -> Option<Self> {
        Some(match raw.tag() {
            tag::NULL => Self::Null,
            tag::UNTYPED => Self::Untyped(UntypedCap {
                base: raw.physical(4),
                bits: raw.bits(),
                device: raw.word0 & DEVICE_BIT != 0,
                watermark: raw.word1,
            }),
            tag::ENDPOINT => {
                Self::Endpoint(IpcCap { object: raw.object(4)?, badge: raw.word1, rights: raw.rights() })
            }
            tag::NOTIFICATION => {
                Self::Notification(IpcCap { object: raw.object(4)?, badge: raw.word1, rights: raw.rights() })
            }
            tag::REPLY => Self::Reply { object: raw.object(5)?, rights: raw.rights() },
            tag::CNODE => Self::CNode(CNodeCap {
                slots: raw.object(6)?,
                radix: raw.bits(),
                guard_bits: (raw.bits_taken() as u8).wrapping_add(raw.bits()).wrapping_neg(),
                guard: raw.word1 >> raw.bits(),
            }),
            tag::TCB => Self::Tcb(raw.object(6)?),
            tag::SCHED_CONTEXT => Self::SchedContext { object: raw.object(6)?, bits: raw.bits() },
            tag::SCHED_CONTROL => Self::SchedControl { core: raw.word1 as u16 },
            tag::DOMAIN_SET => Self::DomainSet,
            tag::IRQ_CONTROL => Self::IrqControl,
            tag::IRQ_HANDLER => Self::IrqHandler(Irq(raw.word1 as u32)),
            tag::ZOMBIE => Self::Zombie(ZombieCap {
                object: KernelAddr(raw.kernel_address(4)),
                kind: ZombieKind::from_number(raw.bits()),
                left: raw.word1,
            }),
            tag::FRAME => Self::Frame(FrameCap {
                base: raw.physical(12),
                level: (raw.word0 >> 2 & 3) as u8,
                device: raw.word0 & DEVICE_BIT != 0,
                rights: VmRights::from_bits(raw.word0),
                mapping: Mapping::from_word(raw.word1),
            }),
            tag::PAGE_TABLE => Self::Table(TableCap {
                table: raw.object(12)?,
                level: (raw.word0 & 3) as u8,
                mapping: Mapping::from_word(raw.word1),
            }),
            tag::VSPACE => Self::VSpace(VSpaceCap { root: raw.object(12)?, asid: raw.word1 as u16 }),
            tag::ASID_CONTROL => Self::AsidControl,
            tag::ASID_POOL => Self::AsidPool { pool: raw.object(12)?, base: raw.word1 as u16 },
            _ => Self::Machine(raw),
        })
    }

    /// Whether there is no capability.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// Number of a dying thread. Numbers 1 to 58 are radices of dying CNodes.
const ZOMBIE_TCB: u8 = 0;
/// Number of a dying endpoint.
const ZOMBIE_ENDPOINT: u8 = 60;
/// Number of a dying notification.
const ZOMBIE_NOTIFICATION: u8 = 61;

impl ZombieKind {
    /// The kind as field *bits*.
    const fn number(self) -> u8 {
        match self {
            Self::Tcb => ZOMBIE_TCB,
            Self::CNode { radix } => radix,
            Self::Endpoint => ZOMBIE_ENDPOINT,
            Self::Notification => ZOMBIE_NOTIFICATION,
        }
    }

    /// The kind in field *bits*.
    const fn from_number(number: u8) -> Self {
        match number {
            ZOMBIE_TCB => Self::Tcb,
            ZOMBIE_ENDPOINT => Self::Endpoint,
            ZOMBIE_NOTIFICATION => Self::Notification,
            radix => Self::CNode { radix },
        }
    }
}
