// SPDX-License-Identifier: MIT OR Apache-2.0

//! The I/O ports of x86. The kinds are known everywhere, so that drivers need not ask what they are built for;
//! capabilities of these kinds are only found where there are such ports.

use keel_abi::x86_64::label;

use super::{Cap, Invoked, SlotPath, invoke};

/// The right to hand out I/O ports.
pub enum IoPortControl {}

/// A range of I/O ports.
pub enum IoPort {}

impl Cap<IoPortControl> {
    /// Puts the right to use the ports `first..=last`, which nobody has yet, into a slot.
    pub fn issue(self, first: u16, last: u16, destination: SlotPath) -> Invoked {
        let words = [first.into(), last.into(), destination.index, destination.depth];
        let caps = [destination.root.cptr()];
        invoke(self.cptr(), label::IO_PORT_CONTROL_ISSUE, &words, &caps).map(drop)
    }
}

impl Cap<IoPort> {
    fn input(self, label: u64, port: u16) -> Invoked<u64> {
        invoke(self.cptr(), label, &[port.into()], &[]).map(|reply| reply.word(0))
    }

    fn output(self, label: u64, port: u16, value: u32) -> Invoked {
        invoke(self.cptr(), label, &[port.into(), value.into()], &[]).map(drop)
    }

    /// Reads a byte.
    pub fn read_8(self, port: u16) -> Invoked<u8> {
        self.input(label::IO_PORT_IN_8, port).map(|value| value as u8)
    }

    /// Reads two bytes.
    pub fn read_16(self, port: u16) -> Invoked<u16> {
        self.input(label::IO_PORT_IN_16, port).map(|value| value as u16)
    }

    /// Reads four bytes.
    pub fn read_32(self, port: u16) -> Invoked<u32> {
        self.input(label::IO_PORT_IN_32, port).map(|value| value as u32)
    }

    /// Writes a byte.
    pub fn write_8(self, port: u16, value: u8) -> Invoked {
        self.output(label::IO_PORT_OUT_8, port, value.into())
    }

    /// Writes two bytes.
    pub fn write_16(self, port: u16, value: u16) -> Invoked {
        self.output(label::IO_PORT_OUT_16, port, value.into())
    }

    /// Writes four bytes.
    pub fn write_32(self, port: u16, value: u32) -> Invoked {
        self.output(label::IO_PORT_OUT_32, port, value)
    }
}
