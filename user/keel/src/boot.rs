// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel hands to a root task: boot information, first capabilities, the device tree.

use dtoolkit::{
    Node, Property,
    fdt::{Fdt, FdtNode},
    standard::NodeStandard,
};
use keel_abi::{
    bootinfo::{self, ExtraHeader},
    slot,
};

pub use keel_abi::bootinfo::BootInfo;

use crate::{
    addresses::Addresses,
    arch::{abi as machine, interrupt_number},
    cap::{AsidControl, AsidPool, CNode, CPtr, Cap, DomainSet, Frame, IrqControl, SchedContext, Tcb, VSpace},
    console::{self, Sink},
    device::DeviceMemory,
    error::{Error, Result},
    memory::Memory,
    resources::{Authority, PAGE_BYTES, Resources},
    slots::Slots,
};

/// The root task's thread.
pub const TCB: Cap<Tcb> = Cap::at(slot::INIT_TCB);
/// The root of its CSpace.
pub const CNODE: Cap<CNode> = Cap::at(slot::INIT_CNODE);
/// Its address space.
pub const VSPACE: Cap<VSpace> = Cap::at(slot::INIT_VSPACE);
/// The right to hand out interrupts.
pub const IRQ_CONTROL: Cap<IrqControl> = Cap::at(slot::IRQ_CONTROL);
/// The right to make pools of address space identifiers.
pub const ASID_CONTROL: Cap<AsidControl> = Cap::at(slot::ASID_CONTROL);
/// The first such pool.
pub const ASID_POOL: Cap<AsidPool> = Cap::at(slot::INIT_ASID_POOL);
/// The frame of the boot information.
pub const BOOT_INFO_FRAME: Cap<Frame> = Cap::at(slot::BOOT_INFO_FRAME);
/// The frame of the IPC buffer.
pub const IPC_BUFFER: Cap<Frame> = Cap::at(slot::INIT_IPC_BUFFER);
/// The right to set domains.
pub const DOMAIN_SET: Cap<DomainSet> = Cap::at(slot::DOMAIN_SET);
/// The time that the root task runs on.
pub const SCHED_CONTEXT: Cap<SchedContext> = Cap::at(slot::INIT_SCHED_CONTEXT);
/// The right to call the firmware; there in some kernels only.
#[cfg(not(all(target_os = "none", target_arch = "riscv64")))]
pub const SMC: Cap<crate::cap::Smc> = Cap::at(slot::SMC);

/// What a root task's `main` gets.
pub struct Root {
    /// The kernel's boot information.
    pub boot: &'static BootInfo,
    /// All free slots, memory and addresses.
    pub resources: Resources,
    extra: &'static [u8],
    uart: Option<DeviceMemory>,
}

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

/// A serial port of the device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UartInfo {
    /// How it is programmed.
    pub kind: UartKind,
    /// Physical address of its registers.
    pub paddr: u64,
    /// Its interrupt's number with the interrupt controller.
    pub irq: u64,
}

impl Root {
    /// Takes over what the kernel gave. `extra` is the extra boot information, `free` the addresses
    /// behind all that is mapped.
    pub(crate) fn new(boot: &'static BootInfo, extra: &'static [u8], first_free: u64) -> Result<Self> {
        let mut memory = Memory::new();
        for (index, untyped) in boot.untypeds().iter().enumerate() {
            let cptr = CPtr::new(boot.untyped.start + index as u64);
            memory.add(cptr, untyped.size_bits, untyped.paddr, untyped.is_device != 0)?;
        }
        let authority = Authority {
            cnode: CNODE,
            vspace: VSPACE,
            tcb: TCB,
            asid_pool: ASID_POOL,
            sched_control: Cap::at(boot.sched_control.start),
        };
        let slots = Slots::new(boot.empty.start..boot.empty.end);
        let addresses = Addresses::new(first_free..machine::memory::LAST_PAGE);
        Ok(Self { boot, resources: Resources::new(authority, slots, memory, addresses), extra, uart: None })
    }

    /// The content of a chunk of extra boot information, by its id.
    pub fn extra(&self, id: u64) -> Option<&'static [u8]> {
        find_chunk(self.extra, id)
    }

    /// The device tree, if the loader passed one.
    pub fn device_tree(&self) -> Option<Fdt<'static>> {
        Fdt::new(self.extra(bootinfo::extra::FDT)?).ok()
    }

    /// The serial port that the device tree names as console, or else its first.
    pub fn uart_info(&self) -> Option<UartInfo> {
        find_uart(self.device_tree()?)
    }

    /// The name of the driver program for the serial port.
    pub fn console_driver(&self) -> Result<&'static str> {
        let uart = self.uart_info().ok_or(Error::Missing("serial port in the device tree"))?;
        Ok(uart.kind.driver())
    }

    /// Maps the serial port's registers and prints there from now on. Done before `main`; fails if
    /// the machine shows no such port or it has been given away.
    pub fn open_console(&mut self) -> Result {
        let uart = self.uart_info().ok_or(Error::Missing("serial port in the device tree"))?;
        let device = DeviceMemory::map(&mut self.resources, uart.paddr, PAGE_BYTES)?;
        // SAFETY: the device tree says that such a port is there; it is mapped for the console alone, as
        // `close_console` changes the sink before it unmaps.
        console::set_sink(unsafe { Sink::uart(uart.kind, device.address() as usize) });
        self.uart = Some(device);
        Ok(())
    }

    /// Stops printing to the serial port and gives it away, to be handed to a driver. There is no
    /// output until [`console::set_sink`] names the driver's endpoint.
    pub fn close_console(&mut self) -> Result<(UartInfo, Cap<Frame>)> {
        let info = self.uart_info().ok_or(Error::Missing("serial port in the device tree"))?;
        let device = self.uart.take().ok_or(Error::Missing("console of the root task"))?;
        console::set_sink(Sink::NONE);
        let frame = device.frame();
        frame.unmap()?;
        Ok((info, frame))
    }
}

/// Looks for a chunk in extra boot information (`boot.md` §2.1). A broken chunk ends the search.
fn find_chunk(mut extra: &[u8], id: u64) -> Option<&[u8]> {
    const HEADER: usize = size_of::<ExtraHeader>();
    while let Some((header, _)) = extra.split_first_chunk::<HEADER>() {
        let word = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0);
        let length = usize::try_from(word(8)).ok().filter(|&length| length >= HEADER)?;
        let chunk = extra.get(..length)?;
        if word(0) == id {
            return Some(&chunk[HEADER..]);
        }
        extra = &extra[length..];
    }
    None
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
    Some(UartInfo { kind, paddr, irq: interrupt_number(words)? })
}

#[cfg(test)]
mod test {
    use std::vec::Vec;

    use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

    use super::*;

    fn chunk(id: u64, content: &[u8]) -> Vec<u8> {
        let length = 16 + content.len() as u64;
        [&id.to_le_bytes()[..], &length.to_le_bytes(), content].concat()
    }

    #[test]
    fn chunks_are_found_by_id() {
        let extra = [chunk(0, b"abc"), chunk(6, b"tree"), chunk(1, b"")].concat();
        assert_eq!(find_chunk(&extra, 6), Some(&b"tree"[..]));
        assert_eq!(find_chunk(&extra, 1), Some(&b""[..]));
        assert_eq!(find_chunk(&extra, 2), None);
    }

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
        let first = Some(UartInfo { kind: UartKind::Pl011, paddr: 0x0904_0000, irq: 40 });
        let second = Some(UartInfo { kind: UartKind::Pl011, paddr: 0x0900_0000, irq: 33 });
        assert_eq!(find(None), first);
        assert_eq!(find(Some(b"/pl011@9000000\0")), second);
        assert_eq!(find(Some(b"/pl011@9000000:115200n8\0")), second);
        assert_eq!(find(Some(b"/serial@8000000\0")), first);
        assert_eq!(find(Some(b"nonsense\0")), first);
    }

    #[test]
    fn broken_chunks_end_the_search() {
        let mut extra = chunk(6, b"tree");
        extra[8] = 200;
        assert_eq!(find_chunk(&extra, 6), None);
        extra[8] = 3;
        assert_eq!(find_chunk(&extra, 6), None);
        assert_eq!(find_chunk(&extra[..10], 6), None);
    }
}
