// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel hands to a root task: boot information, first capabilities, the device tree.

use dtoolkit::fdt::Fdt;
use keel_abi::{
    bootinfo::{self, ExtraHeader},
    slot,
};

pub use keel_abi::bootinfo::BootInfo;

use crate::{
    addresses::Addresses,
    arch::abi as machine,
    cap::{
        AsidControl, AsidPool, CNode, CPtr, Cap, DomainSet, Frame, IoPortControl, IrqControl, SchedContext,
        Tcb, VSpace,
    },
    console::{self, Sink},
    error::{Error, Result},
    memory::Memory,
    resources::{Authority, Resources},
    slots::Slots,
    uart::{OpenUart, UartInfo, UartRegisters},
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
/// The right to hand out I/O ports; there on x86 only.
pub const IO_PORT_CONTROL: Cap<IoPortControl> = Cap::at(slot::IO_PORT_CONTROL);
/// The frame of the boot information.
pub const BOOT_INFO_FRAME: Cap<Frame> = Cap::at(slot::BOOT_INFO_FRAME);
/// The frame of the IPC buffer.
pub const IPC_BUFFER: Cap<Frame> = Cap::at(slot::INIT_IPC_BUFFER);
/// The right to set domains.
pub const DOMAIN_SET: Cap<DomainSet> = Cap::at(slot::DOMAIN_SET);
/// The time that the root task runs on.
pub const SCHED_CONTEXT: Cap<SchedContext> = Cap::at(slot::INIT_SCHED_CONTEXT);
/// The right to call the firmware; there in some kernels only.
#[cfg(machine = "aarch64")]
pub const SMC: Cap<crate::cap::Smc> = Cap::at(slot::SMC);

/// What a root task's `main` gets.
pub struct Root {
    /// The kernel's boot information.
    pub boot: &'static BootInfo,
    /// All free slots, memory and addresses.
    pub resources: Resources,
    extra: &'static [u8],
    uart: Option<OpenUart>,
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

    /// The serial port that the device tree names as console, or else its first; without a tree, the one that every
    /// machine of the architecture has.
    pub fn uart_info(&self) -> Option<UartInfo> {
        UartInfo::find(self.device_tree())
    }

    fn need_uart(&self) -> Result<UartInfo> {
        self.uart_info().ok_or(Error::Missing("serial port"))
    }

    /// The name of the driver program for the serial port.
    pub fn console_driver(&self) -> Result<&'static str> {
        Ok(self.need_uart()?.kind.driver())
    }

    /// Takes the serial port's registers and prints there from now on. Done before `main`; fails if
    /// the machine shows no such port or it has been given away.
    pub fn open_console(&mut self) -> Result {
        let uart = OpenUart::new(self.need_uart()?, &mut self.resources)?;
        // SAFETY: it is open for the console alone, and `close_console` changes the sink before it closes it.
        console::set_sink(unsafe { uart.sink() });
        self.uart = Some(uart);
        Ok(())
    }

    /// Stops printing to the serial port and gives it away, to be handed to a driver. There is no
    /// output until [`console::set_sink`] names the driver's endpoint.
    pub fn close_console(&mut self) -> Result<(UartInfo, UartRegisters)> {
        let info = self.need_uart()?;
        let uart = self.uart.take().ok_or(Error::Missing("console of the root task"))?;
        console::set_sink(Sink::NONE);
        Ok((info, uart.close()?))
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

#[cfg(test)]
mod test {
    use std::vec::Vec;

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
