// SPDX-License-Identifier: MIT OR Apache-2.0

//! What firmware's tables say of the machine, as far as the kernel needs it (Advanced Configuration and Power Interface
//! specification 6.5, chapters 4 and 5).
//!
//! ```text
//!   RSDP ─▶ RSDT or XSDT ─▶ MADT: interrupt controllers
//!                        ─▶ FADT: how to switch off ─▶ DSDT: the value for that
//! ```

use crate::multiboot::Physical;
use core::fmt;
use keel_devicetree::Region;

/// How many controllers of lines are used.
pub const MAX_IO_APICS: usize = 4;
/// Bytes of the root pointer in BootInfo.
pub const ROOT_POINTER_BYTES: usize = 36;

/// Why the kernel cannot run on a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No tables at all.
    NoTables,
    /// No table of the interrupt controllers.
    NoInterruptControllers,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NoTables => "firmware has no ACPI tables",
            Error::NoInterruptControllers => "the ACPI tables do not name the interrupt controllers",
        })
    }
}

/// How the machine is switched off: what is written where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerSwitch {
    /// The port of the control register.
    pub port: u16,
    /// The value.
    pub value: u16,
}

/// What the tables say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tables {
    /// The root pointer, for the root task. Version 1 has only the first 20 bytes.
    pub root_pointer: [u8; ROOT_POINTER_BYTES],
    /// The physical address of the processors' own interrupt controllers.
    pub local_apic: u64,
    /// The physical addresses of the controllers of lines, in the first `io_apic_count` places.
    io_apics: [u64; MAX_IO_APICS],
    /// How many there are.
    io_apic_count: usize,
    /// How the machine is switched off.
    pub power: Option<PowerSwitch>,
}

/// Bytes of the head of a table.
const HEAD_BYTES: u64 = 36;
/// Larger tables are not believed.
const MAX_BYTES: u64 = 1 << 24;

impl Tables {
    /// Looks where firmware of PCs puts the root pointer (section 5.2.5.1), and follows it.
    pub fn find(memory: &impl Physical) -> Result<Self, Error> {
        /// Where the segment of the extended BIOS data area stands.
        const EXTENDED_AREA: u64 = 0x40e;
        let extended = memory.number::<2>(EXTENDED_AREA).unwrap_or(0) << 4;
        let places = (extended..extended + 1024).step_by(16).chain((0xe_0000..0x10_0000).step_by(16));
        let (root_pointer, tables) =
            places.filter_map(|place| root_pointer(memory, place)).next().ok_or(Error::NoTables)?;
        let mut found =
            Self { root_pointer, local_apic: 0, io_apics: [0; MAX_IO_APICS], io_apic_count: 0, power: None };
        let controllers = tables.find(memory, b"APIC").ok_or(Error::NoInterruptControllers)?;
        found.read_controllers(memory, controllers).ok_or(Error::NoInterruptControllers)?;
        found.power = tables.find(memory, b"FACP").and_then(|table| power_switch(memory, table));
        Ok(found)
    }

    /// The physical addresses of the controllers of lines.
    pub fn io_apics(&self) -> &[u64] {
        &self.io_apics[..self.io_apic_count]
    }

    /// Reads the table of the interrupt controllers (section 5.2.12).
    fn read_controllers(&mut self, memory: &impl Physical, table: Region) -> Option<()> {
        /// A controller of lines.
        const IO_APIC: u64 = 1;
        /// Another address of the local one, for 64 bits.
        const LOCAL_APIC_ADDRESS: u64 = 5;
        self.local_apic = memory.number::<4>(table.start() + HEAD_BYTES)?;
        let mut at = table.start() + HEAD_BYTES + 8;
        // Each round moves on by at least 2.
        while at + 2 <= table.end() {
            let [kind, length] = [memory.number::<1>(at)?, memory.number::<1>(at + 1)?];
            match kind {
                IO_APIC if self.io_apic_count < MAX_IO_APICS => {
                    self.io_apics[self.io_apic_count] = memory.number::<4>(at + 4)?;
                    self.io_apic_count += 1;
                }
                LOCAL_APIC_ADDRESS => self.local_apic = memory.number::<8>(at + 4)?,
                _ => {}
            }
            at += length.max(2);
        }
        Some(())
    }
}

/// The list of tables.
struct List {
    /// The addresses in it.
    entries: Region,
    /// Whether they have 8 bytes or 4.
    is_wide: bool,
}

impl List {
    /// The first sound table with a signature.
    fn find(&self, memory: &impl Physical, signature: &[u8; 4]) -> Option<Region> {
        let (start, end) = (self.entries.start(), self.entries.end());
        let mut entries = (start..end).step_by(if self.is_wide { 8 } else { 4 });
        entries.find_map(|entry| {
            let address =
                if self.is_wide { memory.number::<8>(entry)? } else { memory.number::<4>(entry)? };
            table(memory, address, signature)
        })
    }
}

/// The root pointer at an address, and the list of tables that it names, if they are there (section 5.2.5.3).
fn root_pointer(memory: &impl Physical, address: u64) -> Option<([u8; ROOT_POINTER_BYTES], List)> {
    /// Bytes of version 1.
    const FIRST_VERSION: usize = 20;
    let mut bytes = [0; ROOT_POINTER_BYTES];
    memory.read(address, &mut bytes[..FIRST_VERSION])?;
    if &bytes[..8] != b"RSD PTR " || sum(&bytes) != 0 {
        return None;
    }
    let (signature, list, is_wide) = if bytes[15] < 2 {
        (b"RSDT", memory.number::<4>(address + 16)?, false)
    } else {
        memory.read(address, &mut bytes)?;
        (b"XSDT", memory.number::<8>(address + 24)?, true)
    };
    let whole = table(memory, list, signature)?;
    let entries = Region::between(whole.start() + HEAD_BYTES, whole.end())?;
    Some((bytes, List { entries, is_wide }))
}

/// The table at an address, if it is the one with this signature, and sound.
fn table(memory: &impl Physical, address: u64, signature: &[u8; 4]) -> Option<Region> {
    let mut name = [0; 4];
    memory.read(address, &mut name)?;
    if &name != signature {
        return None;
    }
    let length = memory.number::<4>(address + 4).filter(|length| (HEAD_BYTES..MAX_BYTES).contains(length))?;
    let whole = Region::new(address, length)?;
    let mut total = 0u8;
    for part in parts(whole, 0) {
        let mut bytes = [0; PART_BYTES];
        let bytes = &mut bytes[..part.size() as usize];
        memory.read(part.start(), bytes)?;
        total = total.wrapping_add(sum(bytes));
    }
    (total == 0).then_some(whole)
}

/// How much of a table is copied at once.
const PART_BYTES: usize = 128;

/// A table in parts that can be copied at once, of which each has the first `overlap` bytes of the next too.
fn parts(whole: Region, overlap: u64) -> impl Iterator<Item = Region> {
    let starts = (whole.start()..whole.end()).step_by(PART_BYTES - overlap as usize);
    starts.filter_map(move |start| Region::between(start, whole.end().min(start + PART_BYTES as u64)))
}

/// Where these four bytes stand first in a table.
fn find(memory: &impl Physical, whole: Region, name: &[u8; 4]) -> Option<u64> {
    parts(whole, 3).find_map(|part| {
        let mut bytes = [0; PART_BYTES];
        let bytes = &mut bytes[..part.size() as usize];
        memory.read(part.start(), bytes)?;
        let offset = bytes.windows(4).position(|window| window == name)?;
        Some(part.start() + offset as u64)
    })
}

/// The sum of all bytes, which is 0 in what is sound.
fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// How to switch off: the control register by the fixed table (section 5.2.9), and the value for sleeping state 5 (section
/// 7.4.2) by the definitions. These are a program; but what is looked for is a constant, in the form that all compilers
/// give it.
fn power_switch(memory: &impl Physical, fixed: Region) -> Option<PowerSwitch> {
    /// Where the address of the definitions stands.
    const DEFINITIONS: u64 = 40;
    /// Where the port of the control register stands.
    const CONTROL: u64 = 64;
    /// Sleep now.
    const SLEEP: u16 = 1 << 13;
    let port = u16::try_from(memory.number::<4>(fixed.start() + CONTROL)?).ok().filter(|&port| port != 0)?;
    let definitions = table(memory, memory.number::<4>(fixed.start() + DEFINITIONS)?, b"DSDT")?;
    let found = find(memory, definitions, b"_S5_")?;
    // A package: its mark, its length, the number of elements, then the first one.
    let mut element = [0; 8];
    memory.read(found + 4, &mut element)?;
    let kind = match element {
        // A byte with a prefix, or one of the two small numbers.
        [0x12, _, _, 0x0a, kind, ..] => kind,
        [0x12, _, _, kind @ (0 | 1), ..] => kind,
        _ => return None,
    };
    Some(PowerSwitch { port, value: SLEEP | u16::from(kind & 7) << 10 })
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::multiboot::fake::Fake;

    /// Puts a table with this content there.
    fn put_table(memory: &mut Fake, address: u64, signature: &[u8; 4], content: &[u8]) {
        let mut bytes = signature.to_vec();
        bytes.extend((HEAD_BYTES as u32 + content.len() as u32).to_le_bytes());
        bytes.resize(HEAD_BYTES as usize, 0);
        bytes.extend(content);
        bytes[9] = sum(&bytes).wrapping_neg();
        memory.put(address, 1, &bytes.iter().map(|&byte| byte.into()).collect::<Vec<_>>());
    }

    fn memory(version: u8) -> Fake {
        let mut memory = Fake(0, vec![0; 1 << 20]);
        let mut root = b"RSD PTR \0KEEL  \0\0\x10\x0f\0".to_vec();
        root.extend([36, 0, 0, 0, 0, 0x20, 0xf, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        root[15] = version;
        root[8] = sum(&root[..20]).wrapping_neg();
        memory.put(0xf_0040, 1, &root.iter().map(|&byte| byte.into()).collect::<Vec<_>>());
        put_table(&mut memory, 0xf_1000, b"RSDT", &[0, 0x40, 0xf, 0, 0, 0x30, 0xf, 0]);
        put_table(
            &mut memory,
            0xf_2000,
            b"XSDT",
            &[0, 0x40, 0xf, 0, 0, 0, 0, 0, 0, 0x30, 0xf, 0, 0, 0, 0, 0],
        );
        let mut controllers = vec![0, 0, 0xe0, 0xfe, 1, 0, 0, 0];
        controllers.extend([0, 8, 0, 0, 1, 0, 0, 0]);
        controllers.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
        controllers.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
        controllers.extend([1, 12, 1, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0]);
        put_table(&mut memory, 0xf_3000, b"APIC", &controllers);
        let mut fixed = [0; 100];
        fixed[4..8].copy_from_slice(&[0, 0x50, 0xf, 0]);
        fixed[28..32].copy_from_slice(&[4, 6, 0, 0]);
        put_table(&mut memory, 0xf_4000, b"FACP", &fixed);
        put_table(&mut memory, 0xf_5000, b"DSDT", b"\x10\x08_S5_\x12\x06\x04\x0a\x05\0\0\0");
        memory
    }

    #[test]
    fn finds_the_controllers_and_the_switch() {
        for version in [0, 2] {
            let tables = Tables::find(&memory(version)).unwrap();
            assert_eq!(tables.local_apic, 0xfee0_0000);
            assert_eq!(tables.io_apics(), [0xfec0_0000, 0xfec0_1000]);
            assert_eq!(tables.power, Some(PowerSwitch { port: 0x604, value: 0x3400 }));
            assert_eq!(&tables.root_pointer[..8], b"RSD PTR ");
            assert_eq!(tables.root_pointer[20], if version == 0 { 0 } else { 36 });
        }
    }

    #[test]
    fn names_are_found_across_parts() {
        for place in 0..400 {
            let mut memory = Fake(0x1000, vec![b'_'; 404]);
            memory.1[place..place + 4].copy_from_slice(b"_S5_");
            let whole = Region::new(0x1000, 404).unwrap();
            assert_eq!(find(&memory, whole, b"_S5_"), Some(0x1000 + place as u64));
        }
        assert_eq!(find(&Fake(0, vec![0; 9]), Region::new(0, 9).unwrap(), b"_S5_"), None);
    }

    #[test]
    fn broken_tables_are_not_believed() {
        let mut broken = memory(2);
        broken.1[0xf_3030] ^= 1;
        assert_eq!(Tables::find(&broken), Err(Error::NoInterruptControllers));
        broken.1[0xf_0040 + 10] ^= 1;
        assert_eq!(Tables::find(&broken), Err(Error::NoTables));
        let mut unknown = memory(0);
        unknown.1[0xf_5030] ^= 1;
        let tables = Tables::find(&unknown).unwrap();
        assert_eq!((tables.power, tables.local_apic), (None, 0xfee0_0000));
    }

    #[test]
    fn survives_every_single_byte_change() {
        for at in (0xf_0040..0xf_0064).chain(0xf_2000..0xf_2034).chain(0xf_3000..0xf_3060) {
            let mut broken = memory(2);
            broken.1[at] = !broken.1[at];
            let _ = Tables::find(&broken);
        }
    }
}
