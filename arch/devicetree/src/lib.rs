// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reads a flattened device tree (FDT): what the machine consists of, as the firmware tells it.
//!
//! The loader and the kernels of the architectures that have device trees share this crate. The kernel
//! reads the tree once, at boot, before it has anything else; so the reader allocates nothing, borrows
//! from the blob and knows only what booting needs: walking nodes, translated `reg` properties, memory
//! and reservations, `/chosen`. It is our own because the kernel proper takes no dependency for what is
//! this small.
//!
//! The blob is hostile until checked. [`DeviceTree::new`] walks all of it once; what it accepts keeps
//! these invariants, and no later call can panic or run away even where it does not:
//!
//! 1. All three blocks (reservations, structure, strings) lie within the blob.
//! 2. The structure block is a sequence of whole tokens, nodes nest and close properly, at most
//!    [`MAX_DEPTH`] deep, and there is exactly one root.
//! 3. Every name ends within its block, after at most 255 bytes, so that a walk takes a time linear in the
//!    size of the blob. Names are bytes; those that are not UTF-8 match nothing.
//!
//! References are to the Devicetree Specification, release 0.4.

#![cfg_attr(not(any(test, feature = "builder")), no_std)]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "builder"))]
pub mod builder;
mod node;
mod region;
#[cfg(test)]
mod test;
mod token;

pub use node::{Node, Nodes, Property};
pub use region::Region;

use core::fmt;
use token::{Cursor, Token};

/// How deep nodes may nest. Real trees stay below 8.
pub const MAX_DEPTH: usize = 12;

/// Bytes of the header (section 5.2).
pub const HEADER_BYTES: usize = 40;

/// Bytes of the largest tree that is read: the bound that Linux sets for arm64.
pub const MAX_BYTES: usize = 2 << 20;

/// First word of the header, big-endian.
const MAGIC: u32 = 0xd00d_feed;

/// Why a blob is not a device tree that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The first word is not the magic number.
    NotADeviceTree,
    /// The layout's version is not one that version 17 can read.
    Version,
    /// A block or the whole does not lie within the bytes given, or is larger than [`MAX_BYTES`].
    Size,
    /// A token is cut off, unknown or out of place, or a name does not end.
    Structure,
    /// Nodes nest deeper than [`MAX_DEPTH`].
    Depth,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NotADeviceTree => "no device tree (magic number missing)",
            Error::Version => "device tree of an unknown version",
            Error::Size => "device tree with blocks outside of itself, or too large",
            Error::Structure => "device tree with a broken structure block",
            Error::Depth => "device tree that nests too deeply",
        })
    }
}

/// What a region of memory is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Memory.
    Memory,
    /// To be left alone.
    Reservation,
}

/// Tells the nodes whose regions are memory, or must be left alone, from others. To be shown all nodes, in order.
#[derive(Clone, Copy, Default)]
pub struct Purposes {
    /// Whether the last node of depth 1 was `/reserved-memory`.
    inside: bool,
}

impl Purposes {
    /// What the regions of the next node are for, if it is in use.
    pub fn of(&mut self, node: &Node<'_>) -> Option<Purpose> {
        if node.depth() == 1 {
            self.inside = node.is_called("reserved-memory");
        }
        let purpose = match node.depth() {
            _ if node.is_of_type("memory") => Purpose::Memory,
            2 if self.inside => Purpose::Reservation,
            _ => return None,
        };
        node.is_enabled().then_some(purpose)
    }
}

/// A checked device tree within a borrowed blob.
#[derive(Clone, Copy)]
pub struct DeviceTree<'a> {
    /// Pairs of big-endian 64-bit start and size, ended by a pair of zeros (section 5.3).
    reservations: &'a [u8],
    /// Tokens (section 5.4).
    structure: &'a [u8],
    /// Names of properties (section 5.5).
    strings: &'a [u8],
    /// Bytes from the start of the blob to the end of its last block.
    used: usize,
}

impl<'a> DeviceTree<'a> {
    /// The size in bytes that a blob beginning with `header` claims to have: what must be mapped before
    /// [`DeviceTree::new`] can look at it.
    pub fn claimed_size(header: &[u8]) -> Result<usize, Error> {
        if word(header, 0)? != MAGIC {
            return Err(Error::NotADeviceTree);
        }
        let total = word(header, 4)? as usize;
        if (HEADER_BYTES..=MAX_BYTES).contains(&total) { Ok(total) } else { Err(Error::Size) }
    }

    /// Checks a blob and gives access to it. Bytes behind the claimed size are ignored.
    pub fn new(blob: &'a [u8]) -> Result<Self, Error> {
        let total = Self::claimed_size(blob)?;
        let blob = blob.get(..total).ok_or(Error::Size)?;
        if word(blob, 20)? < 16 || word(blob, 24)? > 17 {
            return Err(Error::Version);
        }
        let block = |offset: u32, size: u32| {
            let start = offset as usize;
            blob.get(start..start + size as usize).ok_or(Error::Size)
        };
        let structure_size = match word(blob, 20)? {
            16 => (total as u32).saturating_sub(word(blob, 8)?),
            _ => word(blob, 36)?,
        };
        let structure = block(word(blob, 8)?, structure_size)?;
        let strings = block(word(blob, 12)?, word(blob, 32)?)?;
        let reservations_start = word(blob, 16)? as usize;
        let reservations = blob.get(reservations_start..).ok_or(Error::Size)?;
        let reservations = &reservations[..reservations_size(reservations)?];
        let used = [
            word(blob, 8)? as usize + structure.len(),
            word(blob, 12)? as usize + strings.len(),
            reservations_start + reservations.len(),
        ];
        let used = used.into_iter().fold(HEADER_BYTES, usize::max);
        let tree = Self { reservations, structure, strings, used };
        tree.check()?;
        Ok(tree)
    }

    /// Bytes that a copy needs: up to the end of the last block. Firmware often leaves much room behind.
    pub fn used_size(&self) -> usize {
        self.used
    }

    /// All nodes, parents before children, in the order of the blob.
    pub fn nodes(&self) -> Nodes<'a> {
        Nodes::new(self.structure, self.strings)
    }

    /// The first node that is in use and whose `compatible` lists `name`.
    pub fn compatible(&self, name: &str) -> Option<Node<'a>> {
        self.nodes().find(|node| node.is_compatible(name) && node.is_enabled())
    }

    /// The node at an absolute path such as `/soc/uart@1000`.
    pub fn node(&self, path: &str) -> Option<Node<'a>> {
        let components = path.strip_prefix('/')?.split('/').filter(|name| !name.is_empty());
        let wanted = components.clone().count();
        let mut matched = 0;
        for node in self.nodes() {
            if node.depth() == 0 {
                if wanted == 0 {
                    return Some(node);
                }
                continue;
            }
            matched = matched.min(node.depth() - 1);
            if matched == node.depth() - 1 && components.clone().nth(matched) == node.name() {
                matched += 1;
                if matched == wanted {
                    return Some(node);
                }
            }
        }
        None
    }

    /// The regions of all memory nodes that are in use (section 3.4), as the tree lists them.
    pub fn memory(&self) -> impl Iterator<Item = Region> + Clone + use<'a> {
        let nodes = self.memory_nodes().filter(|(purpose, _)| *purpose == Purpose::Memory);
        nodes.flat_map(|(_, node)| node.regions())
    }

    /// The regions that must be left alone: reservation block and children of `/reserved-memory`.
    pub fn reserved(&self) -> impl Iterator<Item = Region> + Clone + use<'a> {
        let nodes = self.memory_nodes().filter(|(purpose, _)| *purpose == Purpose::Reservation);
        self.reservations().chain(nodes.flat_map(|(_, node)| node.regions()))
    }

    /// The regions of the reservation block.
    pub fn reservations(&self) -> impl Iterator<Item = Region> + Clone + use<'a> {
        self.reservations.chunks_exact(16).filter_map(|pair| {
            let half = |at: usize| Some(u64::from_be_bytes(pair.get(at..at + 8)?.try_into().ok()?));
            Region::new(half(0)?, half(8)?)
        })
    }

    /// The nodes that are in use and whose regions are memory, or must be left alone.
    pub fn memory_nodes(&self) -> impl Iterator<Item = (Purpose, Node<'a>)> + Clone + use<'a> {
        let mut purposes = Purposes::default();
        self.nodes().filter_map(move |node| Some((purposes.of(&node)?, node)))
    }

    /// The initial module that the boot program loaded (`/chosen/linux,initrd-start` and `-end`).
    pub fn initial_module(&self) -> Option<Region> {
        let chosen = self.node("/chosen")?;
        let start = chosen.property("linux,initrd-start")?.number()?;
        let end = chosen.property("linux,initrd-end")?.number()?;
        Region::new(start, end.checked_sub(start)?).filter(|region| region.size() > 0)
    }

    /// The console that `/chosen/stdout-path` names, directly or by an alias (section 3.6).
    pub fn console(&self) -> Option<Node<'a>> {
        let path = self.node("/chosen")?.string("stdout-path")?;
        let path = path.split(':').next()?;
        if path.starts_with('/') {
            return self.node(path);
        }
        self.node(self.node("/aliases")?.string(path)?)
    }

    /// Walks all tokens once (I2, I3).
    fn check(&self) -> Result<(), Error> {
        let mut cursor = Cursor::new(self.structure);
        let (mut depth, mut roots) = (0, 0);
        let names_end = token::names_end(self.strings);
        loop {
            match cursor.next()? {
                Token::BeginNode(_) if depth == 0 && roots == 1 => return Err(Error::Structure),
                Token::BeginNode(_) if depth == MAX_DEPTH => return Err(Error::Depth),
                Token::BeginNode(_) => {
                    roots += usize::from(depth == 0);
                    depth += 1;
                }
                Token::EndNode if depth == 0 => return Err(Error::Structure),
                Token::EndNode => depth -= 1,
                Token::Property { .. } if depth == 0 => return Err(Error::Structure),
                Token::Property { name, .. } if name < names_end => {}
                Token::Property { name, .. } => {
                    token::name_at(self.strings, name)?;
                }
                Token::End if depth == 0 && roots == 1 => return Ok(()),
                Token::End => return Err(Error::Structure),
            }
        }
    }
}

/// The big-endian word at byte `at`.
fn word(bytes: &[u8], at: usize) -> Result<u32, Error> {
    match bytes.get(at..at + 4) {
        // Put together by hand: the processor may have no instruction to swap bytes.
        Some(&[a, b, c, d]) => Ok(u32::from(a) << 24 | u32::from(b) << 16 | u32::from(c) << 8 | u32::from(d)),
        _ => Err(Error::Size),
    }
}

/// Bytes of the reservation block without the pair of zeros that ends it.
fn reservations_size(bytes: &[u8]) -> Result<usize, Error> {
    let pairs = bytes.chunks_exact(16).position(|pair| pair.iter().all(|&byte| byte == 0));
    pairs.map(|count| count * 16).ok_or(Error::Size)
}
