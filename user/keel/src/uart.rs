// SPDX-License-Identifier: MIT OR Apache-2.0

//! The serial port of the machine: where it is, and taking it over.

use dtoolkit::{
    Node, Property,
    fdt::{Fdt, FdtNode},
    standard::NodeStandard,
};

use crate::{
    arch::{self, interrupt_number},
    boot::IO_PORT_CONTROL,
    cap::{Cap, Frame, IoPort},
    console::Sink,
    device::DeviceMemory,
    error::Result,
    ns16550,
    resources::{PAGE_BYTES, Resources},
};

/// How a serial port is programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartKind {
    /// As Arm's PL011.
    Pl011,
    /// As National Semiconductor's 16550.
    Ns16550,
}

impl UartKind {
    /// The kinds that are known, by their names in device trees.
    const NAMES: [(&str, Self); 3] =
        [("arm,pl011", Self::Pl011), ("ns16550a", Self::Ns16550), ("ns16550", Self::Ns16550)];

    /// The name of its driver program.
    pub const fn driver(self) -> &'static str {
        match self {
            Self::Pl011 => "keel-pl011",
            Self::Ns16550 => "keel-ns16550",
        }
    }
}

/// Where a port's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In memory, from this physical address on.
    Memory(u64),
    /// At I/O ports, from this one on.
    Ports(u16),
}

/// A serial port of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UartInfo {
    /// How it is programmed.
    pub kind: UartKind,
    /// Where its registers are.
    pub place: Place,
    /// Its interrupt's number with the interrupt controller.
    pub irq: u64,
}

impl UartInfo {
    /// The port that the tree names as console, or else its first; without a tree, the one that is always there.
    pub(crate) fn find(tree: Option<Fdt<'_>>) -> Option<Self> {
        match tree {
            Some(tree) => find_uart(tree),
            None => {
                arch::COM1.map(|(port, irq)| Self { kind: UartKind::Ns16550, place: Place::Ports(port), irq })
            }
        }
    }
}

/// A serial port that is open for this program's console.
#[derive(Debug)]
pub(crate) enum OpenUart {
    /// Its registers are mapped.
    Memory(UartKind, DeviceMemory),
    /// Its registers are at I/O ports from this one on.
    Ports(Cap<IoPort>, u16),
}

/// What a serial port's driver is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartRegisters {
    /// The frame with its registers.
    Memory(Cap<Frame>),
    /// The I/O ports, from this one on.
    Ports(Cap<IoPort>, u16),
}

impl OpenUart {
    /// Takes the port's registers.
    pub fn new(info: UartInfo, resources: &mut Resources) -> Result<Self> {
        match info.place {
            Place::Memory(paddr) => {
                Ok(Self::Memory(info.kind, DeviceMemory::map(resources, paddr, PAGE_BYTES)?))
            }
            Place::Ports(first) => {
                let last = first + ns16550::PORTS - 1;
                let ports = resources.fill_slot(|slot| Ok(IO_PORT_CONTROL.issue(first, last, slot)?))?;
                Ok(Self::Ports(ports, first))
            }
        }
    }

    /// Output to this port.
    ///
    /// # Safety
    /// As long as it is a sink, the port stays open and nothing else in this program uses it.
    pub unsafe fn sink(&self) -> Sink {
        match self {
            // SAFETY: the registers of such a port are mapped there, because the machine's description says so;
            // the rest is the caller's promise.
            Self::Memory(kind, memory) => unsafe { Sink::uart(*kind, memory.address() as usize) },
            Self::Ports(ports, first) => Sink::ports(*ports, *first),
        }
    }

    /// Gives the registers up.
    pub fn close(self) -> Result<UartRegisters> {
        match self {
            Self::Memory(_, memory) => {
                let frame = memory.frame();
                frame.unmap()?;
                Ok(UartRegisters::Memory(frame))
            }
            Self::Ports(ports, first) => Ok(UartRegisters::Ports(ports, first)),
        }
    }
}

fn find_uart(tree: Fdt<'_>) -> Option<UartInfo> {
    let chosen = tree.find_node("/chosen");
    let named = chosen.as_ref().and_then(|chosen| chosen.property("stdout-path"));
    let path = named.as_ref().and_then(|property| property.value_as::<&str>().ok());
    let named = path.and_then(|path| tree.find_node(path.split(':').next()?));
    named.and_then(describe_uart).or_else(|| first_uart(tree.root()))
}

/// The first serial port among the root's children and theirs: boards may have their devices on a bus.
fn first_uart(root: FdtNode<'_>) -> Option<UartInfo> {
    let devices = || root.children();
    devices()
        .find_map(describe_uart)
        .or_else(|| devices().flat_map(|bus| bus.children()).find_map(describe_uart))
}

/// Reads a serial port's node: `reg` and the first of its `interrupts`.
fn describe_uart(node: FdtNode<'_>) -> Option<UartInfo> {
    let (_, kind) = UartKind::NAMES.into_iter().find(|(name, _)| node.is_compatible(name))?;
    let paddr = node.reg().ok()??.next()?.address::<u64>().ok()?;
    let interrupts = node.property("interrupts")?;
    let words = interrupts.value().chunks_exact(4);
    let words = words.map(|word| u32::from_be_bytes(word.try_into().unwrap_or_default()));
    Some(UartInfo { kind, place: Place::Memory(paddr), irq: interrupt_number(words)? })
}

#[cfg(test)]
mod test {
    use std::vec::Vec;

    use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

    use super::*;

    fn node(name: &str, properties: &[(&str, &[u8])]) -> DeviceTreeNode {
        let mut node = DeviceTreeNode::new(name).unwrap();
        for &(name, value) in properties {
            node.add_property(DeviceTreeProperty::new(name, value).unwrap());
        }
        node
    }

    fn cells(cells: &[u32]) -> Vec<u8> {
        cells.iter().flat_map(|cell| cell.to_be_bytes()).collect()
    }

    /// A machine with a serial port of another make and two PL011s, at 0x09040000 and 0x09000000.
    fn machine(stdout: Option<&[u8]>) -> Vec<u8> {
        let mut tree = DeviceTree::new();
        let width = cells(&[2]);
        tree.root = node("", &[("#address-cells", &width), ("#size-cells", &width)]);
        for (name, make, address, irq) in [
            ("serial@8000000", &b"intel,xscale-uart\0"[..], 0x0800_0000, 5),
            ("pl011@9040000", b"arm,pl011\0arm,primecell\0", 0x0904_0000, 8),
            ("pl011@9000000", b"arm,pl011\0arm,primecell\0", 0x0900_0000, 1),
        ] {
            let (reg, interrupts) = (cells(&[0, address, 0, 0x1000]), cells(&[0, irq, 4]));
            let properties = [("compatible", make), ("reg", &reg), ("interrupts", &interrupts)];
            tree.root.add_child(node(name, &properties));
        }
        if let Some(path) = stdout {
            tree.root.add_child(node("chosen", &[("stdout-path", path)]));
        }
        tree.to_dtb()
    }

    #[test]
    fn the_console_is_the_port_that_is_chosen_or_the_first() {
        let find = |stdout| find_uart(Fdt::new(&machine(stdout)).unwrap());
        let first = Some(UartInfo { kind: UartKind::Pl011, place: Place::Memory(0x0904_0000), irq: 40 });
        let second = Some(UartInfo { kind: UartKind::Pl011, place: Place::Memory(0x0900_0000), irq: 33 });
        assert_eq!(find(None), first);
        assert_eq!(find(Some(b"/pl011@9000000\0")), second);
        assert_eq!(find(Some(b"/pl011@9000000:115200n8\0")), second);
        assert_eq!(find(Some(b"/serial@8000000\0")), first);
        assert_eq!(find(Some(b"nonsense\0")), first);
    }

    #[test]
    fn without_a_tree_there_is_what_is_always_there() {
        assert_eq!(UartInfo::find(None).is_some(), arch::COM1.is_some());
    }
}
