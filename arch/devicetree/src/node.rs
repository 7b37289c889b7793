// SPDX-License-Identifier: MIT OR Apache-2.0

//! Nodes, their properties, and addresses as the CPU sees them.
//!
//! A `reg` is written in the address space of the node's parent. Each bus on the way to the root says in
//! its `ranges` how its children's addresses appear one level up; a bus without `ranges` hides them
//! (section 2.3.8). A [`Node`] therefore knows where its ancestors' properties begin; what they say is looked up when
//! somebody asks for its regions, which happens to few nodes.

use crate::token::{Cursor, Token, name_at};
use crate::{MAX_DEPTH, Region};
use core::str;

/// What a node says about the addresses of its children.
#[derive(Clone, Copy, Default)]
struct Bus<'a> {
    /// Words of an address (`#address-cells`, default 2).
    address_cells: usize,
    /// Words of a size (`#size-cells`, default 1).
    size_cells: usize,
    /// Translation into the parent's addresses: none = hidden, empty = the same.
    ranges: Option<&'a [u8]>,
}

/// A node of the tree.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    /// Its name with the unit address, as bytes.
    name: &'a [u8],
    /// Its first property.
    properties: Cursor<'a>,
    /// The strings block.
    strings: &'a [u8],
    /// Number of ancestors.
    depth: usize,
    /// Where the ancestors' properties begin, root first.
    ancestors: [u32; MAX_DEPTH],
    /// What is asked of nearly every node.
    common: Common<'a>,
}

/// The properties that are asked of nearly every node: found while the walk passes them.
#[derive(Clone, Copy, Default)]
struct Common<'a> {
    /// `device_type`.
    kind: Option<Property<'a>>,
    /// `compatible`.
    compatible: Option<Property<'a>>,
    /// `status`.
    status: Option<Property<'a>>,
}

impl<'a> Common<'a> {
    /// Takes note of a property with its name at `at`.
    #[inline(always)]
    fn see(&mut self, strings: &[u8], at: usize, value: &'a [u8]) {
        let (place, name) = match strings.get(at) {
            Some(b'd') => (&mut self.kind, "device_type"),
            Some(b'c') => (&mut self.compatible, "compatible"),
            Some(b's') => (&mut self.status, "status"),
            _ => return,
        };
        if place.is_none() && is_name(strings, at, name) {
            *place = Some(Property(value));
        }
    }
}

impl<'a> Node<'a> {
    /// The name with its unit address, `uart@9000000`; empty for the root.
    pub fn name(&self) -> Option<&'a str> {
        str::from_utf8(self.name).ok()
    }

    /// What `compatible` lists.
    pub fn compatible(&self) -> Option<Property<'a>> {
        self.common.compatible
    }

    /// Whether this is its name, with the unit address.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name.as_bytes()
    }

    /// Number of ancestors: 0 for the root.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The properties in the order of the blob.
    pub fn properties(&self) -> impl Iterator<Item = (&'a [u8], Property<'a>)> + use<'a> {
        let (mut cursor, strings) = (self.properties, self.strings);
        core::iter::from_fn(move || match cursor.next() {
            Ok(Token::Property { name, value }) => Some((name_at(strings, name).ok()?, Property(value))),
            _ => None,
        })
    }

    /// The property of this name.
    pub fn property(&self, name: &str) -> Option<Property<'a>> {
        property(self.properties, self.strings, name)
    }

    /// The property of this name as one string.
    pub fn string(&self, name: &str) -> Option<&'a str> {
        self.property(name)?.strings().next()
    }

    /// Whether it is of this kind (`device_type`, section 2.3.11).
    pub fn is_of_type(&self, kind: &str) -> bool {
        self.common.kind.is_some_and(|found| found.is_string(kind))
    }

    /// Whether `compatible` lists `name`.
    pub fn is_compatible(&self, name: &str) -> bool {
        self.common.compatible.is_some_and(|list| list.lists(&[name]))
    }

    /// Whether the device may be used: `status` is absent or says so (section 2.3.4).
    pub fn is_enabled(&self) -> bool {
        self.common.status.is_none_or(|status| status.is_string("okay") || status.is_string("ok"))
    }

    /// The regions of `reg` as the CPU addresses them. Entries that no bus translates are left out.
    pub fn regions(&self) -> impl Iterator<Item = Region> + Clone + use<'a> {
        let node = *self;
        let bus = node.depth.checked_sub(1).map(|parent| node.bus(parent)).unwrap_or_default();
        let entry_bytes = (bus.address_cells + bus.size_cells) * 4;
        let reg = node.property("reg").map_or(&[][..], |property| property.0);
        // A root without cells would make empty entries: none then.
        let entries = if entry_bytes == 0 { [].chunks_exact(1) } else { reg.chunks_exact(entry_bytes) };
        entries.filter_map(move |entry| {
            let (address, size) = entry.split_at(bus.address_cells * 4);
            node.translate(cells(address)?, cells(size)?)
        })
    }

    /// Brings an address of the parent's space up to the root.
    fn translate(&self, address: u64, size: u64) -> Option<Region> {
        let mut address = address;
        // The root (ancestor 0) speaks the CPU's addresses.
        for level in (1..self.depth).rev() {
            let (bus, above) = (self.bus(level), self.bus(level - 1));
            let ranges = bus.ranges?;
            if ranges.is_empty() {
                continue;
            }
            let parts = [bus.address_cells * 4, above.address_cells * 4, bus.size_cells * 4];
            address = ranges.chunks_exact(parts.iter().sum::<usize>().max(1)).find_map(|entry| {
                let (child, rest) = entry.split_at_checked(parts[0])?;
                let (parent, length) = rest.split_at_checked(parts[1])?;
                let window = Region::new(cells(child)?, cells(length)?)?;
                let inside = window.contains(Region::new(address, size)?);
                inside.then(|| cells(parent)?.checked_add(address - window.start())).flatten()
            })?;
        }
        Region::new(address, size)
    }

    /// What the ancestor at this depth tells its children.
    fn bus(&self, depth: usize) -> Bus<'a> {
        let Some(&at) = self.ancestors.get(depth) else { return Bus::default() };
        let property = |name| property(self.properties.moved_to(at as usize), self.strings, name);
        let count = |name, default| {
            let number = property(name).and_then(|property| property.number());
            number.filter(|&count| count <= 4).map_or(default, |count| count as usize)
        };
        Bus {
            address_cells: count("#address-cells", 2),
            size_cells: count("#size-cells", 1),
            ranges: property("ranges").map(|property| property.0),
        }
    }
}

/// The property called `name` among those that begin at `cursor`.
fn property<'a>(mut cursor: Cursor<'a>, strings: &[u8], name: &str) -> Option<Property<'a>> {
    let first = name.as_bytes().first();
    // One round per property.
    while let Ok(Token::Property { name: at, value }) = cursor.next() {
        // Most names differ in the first letter.
        if strings.get(at) == first && is_name(strings, at, name) {
            return Some(Property(value));
        }
    }
    None
}

/// Whether the name at this offset of the strings block is `name`.
fn is_name(strings: &[u8], at: usize, name: &str) -> bool {
    let found = strings.get(at..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
    found.is_some_and(|rest| rest.first() == Some(&0))
}

/// The bytes of a property.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Property<'a>(&'a [u8]);

impl<'a> Property<'a> {
    /// All bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value of a property of one or two words.
    pub fn number(self) -> Option<u64> {
        if self.0.is_empty() { None } else { cells(self.0) }
    }

    /// The words, of which an incomplete last one is left out.
    pub fn words(self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.chunks_exact(4).filter_map(|word| word.try_into().ok().map(u32::from_be_bytes))
    }

    /// Whether it is this zero-terminated string, or begins with it.
    pub fn is_string(self, string: &str) -> bool {
        self.0.strip_prefix(string.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// Whether one of `strings` is among the zero-terminated strings.
    pub fn lists(self, strings: &[&str]) -> bool {
        let mut rest = self.0;
        // One round per string of the property.
        while let Some(end) = rest.iter().position(|&byte| byte == 0) {
            let (found, behind) = rest.split_at(end);
            if strings.iter().any(|string| string.len() == end && string.as_bytes() == found) {
                return true;
            }
            rest = behind.get(1..).unwrap_or_default();
        }
        false
    }

    /// The zero-terminated strings; those that are not UTF-8 or do not end are left out.
    pub fn strings(self) -> impl Iterator<Item = &'a str> + use<'a> {
        let ended = self.0.iter().rposition(|&byte| byte == 0).unwrap_or(0);
        self.0[..ended].split(|&byte| byte == 0).filter_map(|string| str::from_utf8(string).ok())
    }
}

/// The number that up to two big-endian words make; more than two only if the high ones are zero.
fn cells(bytes: &[u8]) -> Option<u64> {
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
    let all_zero = high.iter().all(|&byte| byte == 0);
    all_zero.then(|| low.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// Walks all nodes, parents before children.
#[derive(Clone)]
pub struct Nodes<'a> {
    /// The next token.
    cursor: Cursor<'a>,
    /// The strings block.
    strings: &'a [u8],
    /// Number of open nodes.
    depth: usize,
    /// Where the open nodes' properties begin, root first.
    open: [u32; MAX_DEPTH],
}

impl<'a> Nodes<'a> {
    /// Starts at the root.
    pub(crate) fn new(structure: &'a [u8], strings: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(structure), strings, depth: 0, open: Default::default() }
    }

    /// Passes over the properties that come next, up to another token.
    fn pass_properties(&mut self) -> Common<'a> {
        let mut common = Common::default();
        let mut ahead = self.cursor;
        // One round per property.
        while let Ok(Token::Property { name, value }) = ahead.next() {
            common.see(self.strings, name, value);
            self.cursor = ahead;
        }
        common
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            match self.cursor.next().ok()? {
                Token::BeginNode(name) => {
                    let properties = self.cursor;
                    let (ancestors, depth) = (self.open, self.depth);
                    *self.open.get_mut(depth)? = properties.position() as u32;
                    self.depth += 1;
                    let (common, strings) = (self.pass_properties(), self.strings);
                    return Some(Node { name, properties, strings, depth, ancestors, common });
                }
                Token::EndNode => self.depth = self.depth.checked_sub(1)?,
                Token::Property { .. } => {}
                Token::End => return None,
            }
        }
    }
}
