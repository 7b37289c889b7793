// SPDX-License-Identifier: MIT OR Apache-2.0

//! A plugin of QEMU's translator that counts the instructions of the benchmark's windows from outside.
//!
//! It sees each instruction before it executes. Those of the benchmark that read the cycle counter open and
//! close windows, and two hints part the groups of operations (`systems/bench/src/machine` says which);
//! what is executed in between is counted, the kernel's and firmware's parts by their addresses. One core runs, so
//! nothing here is shared between threads.
//!
//! Arguments: `arch=NAME`, the architecture; `out=FILE`, where the counts go; `kernel=ADDRESS`, the kernel's entry;
//! `user=ADDRESS`, the root task's; `firmware=START-END`, where firmware runs; `profile=GROUP.WINDOW.WINDOWS` or
//! `profile=boot`, whose instructions are counted one by one.
//!
//! The file has lines `boot COUNT FIRMWARE`, `window GROUP TOTAL KERNEL FIRMWARE` in order of time and
//! `instruction ADDRESS COUNT`.
//!
//! The declarations are those of the plugin interface, version 1 (QEMU 4.2 to 8.2).

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt::Write as _;
use std::ops::Range;

/// The version of the interface that is declared here.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// A block of translated instructions.
#[repr(C)]
pub struct Block {
    opaque: [u8; 0],
}

/// An instruction in a block.
#[repr(C)]
pub struct BlockInstruction {
    opaque: [u8; 0],
}

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut Block));
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut BlockInstruction;
    fn qemu_plugin_insn_data(instruction: *const BlockInstruction) -> *const u8;
    fn qemu_plugin_insn_size(instruction: *const BlockInstruction) -> usize;
    fn qemu_plugin_insn_vaddr(instruction: *const BlockInstruction) -> u64;
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut BlockInstruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
}

/// What an instruction of user level means here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Nothing,
    OpenWindow,
    CloseWindow,
    BeginGroup,
    EndGroups,
}

/// What instructions mean, by their code of up to four bytes, the first one lowest.
type Meanings = [(u32, Meaning); 4];

/// The meanings on each architecture.
const MEANINGS: &[(&str, Meanings)] = &[
    (
        "aarch64",
        [
            (0xd53b_9d09, Meaning::OpenWindow),  // mrs x9, pmccntr_el0
            (0xd53b_9d0a, Meaning::CloseWindow), // mrs x10, pmccntr_el0
            (0xd503_2e1f, Meaning::BeginGroup),  // hint #112
            (0xd503_2e3f, Meaning::EndGroups),   // hint #113
        ],
    ),
    (
        "riscv64",
        [
            (0xc000_2f73, Meaning::OpenWindow),  // csrr t5, cycle
            (0xc000_2ff3, Meaning::CloseWindow), // csrr t6, cycle
            (0x0700_2013, Meaning::BeginGroup),  // slti zero, zero, 112
            (0x0710_2013, Meaning::EndGroups),   // slti zero, zero, 113
        ],
    ),
    (
        "x86_64",
        [
            (0x0000_310f, Meaning::OpenWindow),  // rdtsc
            (0x0031_0f48, Meaning::CloseWindow), // rex.w rdtsc
            (0x7040_1f0f, Meaning::BeginGroup),  // nop dword ptr [rax + 112]
            (0x7140_1f0f, Meaning::EndGroups),   // nop dword ptr [rax + 113]
        ],
    ),
];

/// Addresses from here on are the kernel's.
const KERNEL: u64 = 1 << 63;

/// Rounds that are not profiled.
const WARM_UP: u64 = 16;

/// An instruction at an address.
struct Instruction {
    address: u64,
    meaning: Meaning,
    profiled: u64,
}

/// A window that has been closed.
struct Window {
    group: u64,
    count: Count,
}

/// How many instructions were executed, and where.
#[derive(Clone, Copy, Default)]
struct Count {
    total: u64,
    kernel: u64,
    firmware: u64,
}

/// Whose instructions are counted one by one.
#[derive(Clone, Copy)]
enum Profile {
    Nothing,
    /// From the kernel's entry to the root task's.
    Boot,
    /// Of this group each window with this index modulo the number.
    Windows {
        group: u64,
        window: u64,
        windows: u64,
    },
}

/// All that is known.
struct Counter {
    meanings: Option<&'static Meanings>,
    out: String,
    kernel_entry: u64,
    user_entry: u64,
    firmware: Range<u64>,
    profile: Profile,
    boot: Boot,
    groups: u64,
    windows_in_group: u64,
    is_open: bool,
    is_profiled: bool,
    window: Count,
    windows: Vec<Window>,
    instructions: BTreeMap<(u64, u32), Box<UnsafeCell<Instruction>>>,
}

/// From the kernel's entry to the root task's.
enum Boot {
    Before,
    Booting(Count),
    Booted(Count),
}

struct Global(UnsafeCell<Counter>);

// SAFETY: QEMU calls from the thread of its one emulated core, and before that from the one that starts it.
unsafe impl Sync for Global {}

static COUNTER: Global = Global(UnsafeCell::new(Counter {
    meanings: None,
    out: String::new(),
    kernel_entry: 0,
    user_entry: 0,
    firmware: 0..0,
    profile: Profile::Nothing,
    boot: Boot::Before,
    groups: 0,
    windows_in_group: 0,
    is_open: false,
    is_profiled: false,
    window: Count { total: 0, kernel: 0, firmware: 0 },
    windows: Vec::new(),
    instructions: BTreeMap::new(),
}));

fn counter() -> &'static mut Counter {
    // SAFETY: one thread at a time is here (see `Global`), and no callback calls another.
    unsafe { &mut *COUNTER.0.get() }
}

/// Called by QEMU to begin with. Anything but 0 refuses.
///
/// # Safety
/// `argv` are `argc` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    for index in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: there are so many strings.
        let argument = unsafe { CStr::from_ptr(*argv.add(index)) };
        if !argument.to_str().is_ok_and(|text| counter().set(text)) {
            eprintln!("keel-counter: cannot use the argument {argument:?}");
            return 1;
        }
    }
    // SAFETY: the function is of the type that the interface asks for.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

/// A block has been translated.
extern "C" fn translated(_id: u64, block: *mut Block) {
    // SAFETY: the block and its instructions are valid during this call.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(block) {
            let instruction = qemu_plugin_tb_get_insn(block, index);
            let address = qemu_plugin_insn_vaddr(instruction);
            let data = qemu_plugin_insn_data(instruction);
            let code = std::slice::from_raw_parts(data, qemu_plugin_insn_size(instruction));
            let code = little_endian(code);
            let data = counter().instruction(address, code);
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, executes, 0, data.cast());
        }
    }
}

/// An instruction of up to four bytes as a number; 0 for a longer one.
fn little_endian(code: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    if let Some(start) = bytes.get_mut(..code.len()) {
        start.copy_from_slice(code);
    }
    u32::from_le_bytes(bytes)
}

/// An instruction is about to execute.
extern "C" fn executes(_core: c_uint, data: *mut c_void) {
    // SAFETY: `translated` passed an instruction, which lives for ever, and this is its only reference.
    counter().execute(unsafe { &mut *data.cast::<Instruction>() });
}

impl Count {
    /// Counts an instruction at `address`.
    fn add(&mut self, address: u64, firmware: &Range<u64>) {
        self.total += 1;
        self.kernel += u64::from(address >= KERNEL);
        self.firmware += u64::from(firmware.contains(&address));
    }
}

impl Counter {
    /// Takes an argument; whether it could.
    fn set(&mut self, argument: &str) -> bool {
        let Some((name, value)) = argument.split_once('=') else { return false };
        let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16);
        match name {
            "arch" => {
                self.meanings =
                    MEANINGS.iter().find(|(name, _)| *name == value).map(|(_, meanings)| meanings);
                return self.meanings.is_some();
            }
            "out" => self.out = value.to_owned(),
            "kernel" => self.kernel_entry = number(value).unwrap_or(0),
            "user" => self.user_entry = number(value).unwrap_or(0),
            "firmware" => {
                let Some((start, end)) = value.split_once('-') else { return false };
                let (Ok(start), Ok(end)) = (number(start), number(end)) else { return false };
                self.firmware = start..end;
            }
            "profile" if value == "boot" => self.profile = Profile::Boot,
            "profile" => {
                let numbers: Vec<u64> = value.split('.').filter_map(|number| number.parse().ok()).collect();
                let [group, window, windows] = numbers[..] else { return false };
                self.profile = Profile::Windows { group, window, windows };
            }
            _ => return false,
        }
        true
    }

    fn instruction(&mut self, address: u64, code: u32) -> *mut Instruction {
        let meanings = self.meanings.into_iter().flatten();
        let meaning = meanings.into_iter().find(|meaning| meaning.0 == code && address < KERNEL);
        let meaning = meaning.map_or(Meaning::Nothing, |meaning| meaning.1);
        let new = || Box::new(UnsafeCell::new(Instruction { address, meaning, profiled: 0 }));
        self.instructions.entry((address, code)).or_insert_with(new).get()
    }

    fn execute(&mut self, instruction: &mut Instruction) {
        self.count_boot(instruction);
        match instruction.meaning {
            Meaning::Nothing => {}
            Meaning::OpenWindow => return self.open(),
            Meaning::CloseWindow if self.is_open => self.close(),
            Meaning::CloseWindow => {}
            Meaning::BeginGroup => {
                self.groups += 1;
                self.windows_in_group = 0;
            }
            Meaning::EndGroups => self.write(),
        }
        if self.is_open {
            self.window.add(instruction.address, &self.firmware);
            instruction.profiled += u64::from(self.is_profiled);
        }
    }

    fn count_boot(&mut self, instruction: &mut Instruction) {
        let address = instruction.address;
        match &mut self.boot {
            Boot::Before if address == self.kernel_entry => {
                self.boot = Boot::Booting(Count { total: 1, kernel: 1, firmware: 0 });
            }
            Boot::Booting(count) if address == self.user_entry => self.boot = Boot::Booted(*count),
            Boot::Booting(count) => {
                count.add(address, &self.firmware);
                instruction.profiled += u64::from(matches!(self.profile, Profile::Boot));
            }
            Boot::Before | Boot::Booted(_) => {}
        }
    }

    fn open(&mut self) {
        (self.is_open, self.window) = (true, Count::default());
        let index = self.windows_in_group;
        self.is_profiled = match self.profile {
            Profile::Windows { group, window, windows } => {
                self.groups == group + 1 && index % windows == window && index >= WARM_UP * windows
            }
            Profile::Boot | Profile::Nothing => false,
        };
    }

    fn close(&mut self) {
        self.is_open = false;
        if let Some(group) = self.groups.checked_sub(1) {
            // The first instruction was the store of the opening read.
            let count = Count { total: self.window.total.saturating_sub(1), ..self.window };
            self.windows.push(Window { group, count });
            self.windows_in_group += 1;
        }
    }

    fn write(&self) {
        let mut text = String::new();
        // Writing to a string does not fail.
        if let Boot::Booted(Count { total, firmware, .. }) = self.boot {
            let _ = writeln!(text, "boot {total} {firmware}");
        }
        for Window { group, count: Count { total, kernel, firmware } } in &self.windows {
            let _ = writeln!(text, "window {group} {total} {kernel} {firmware}");
        }
        for instruction in self.instructions.values() {
            // SAFETY: no other reference to it lives: `execute` has the one of the hint that ends all.
            let (address, profiled) =
                unsafe { ((*instruction.get()).address, (*instruction.get()).profiled) };
            if profiled > 0 {
                let _ = writeln!(text, "instruction {address:#x} {profiled}");
            }
        }
        if let Err(error) = std::fs::write(&self.out, text) {
            eprintln!("keel-counter: cannot write {}: {error}", self.out);
        }
    }
}
