// SPDX-License-Identifier: MIT OR Apache-2.0

//! A plugin of QEMU's translator that counts the instructions of the benchmark's windows from outside.
//!
//! It sees each instruction before it executes. Those of the benchmark that read the cycle counter open and
//! close windows, and two hints part the groups of operations (`systems/bench/src/window.rs` says which);
//! what is executed in between is counted, the kernel's part by its addresses. One core runs, so nothing
//! here is shared between threads.
//!
//! Arguments: `out=FILE`, where the counts go; `kernel=ADDRESS`, the kernel's entry; `user=ADDRESS`, the root
//! task's; `profile=GROUP.WINDOW.WINDOWS`, whose instructions are counted one by one.
//!
//! The file has lines `boot COUNT`, `window GROUP TOTAL KERNEL` in order of time and
//! `instruction ADDRESS COUNT`.
//!
//! The declarations are those of the plugin interface, version 1 (QEMU 4.2 to 8.2).

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt::Write as _;

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

/// Meanings of instructions of aarch64.
const MEANINGS: [(u32, Meaning); 4] = [
    (0xd53b_9d09, Meaning::OpenWindow),  // mrs x9, pmccntr_el0
    (0xd53b_9d0a, Meaning::CloseWindow), // mrs x10, pmccntr_el0
    (0xd503_2e1f, Meaning::BeginGroup),  // hint #112
    (0xd503_2e3f, Meaning::EndGroups),   // hint #113
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
    total: u64,
    kernel: u64,
}

/// Which windows are profiled: of this group each one with this index modulo the number.
#[derive(Clone, Copy)]
struct Profile {
    group: u64,
    window: u64,
    windows: u64,
}

/// All that is known.
struct Counter {
    out: String,
    kernel_entry: u64,
    user_entry: u64,
    profile: Option<Profile>,
    executed: u64,
    boot_began: Option<u64>,
    boot: Option<u64>,
    groups: u64,
    windows_in_group: u64,
    is_open: bool,
    is_profiled: bool,
    total: u64,
    kernel: u64,
    windows: Vec<Window>,
    instructions: BTreeMap<(u64, u32), Box<UnsafeCell<Instruction>>>,
}

struct Global(UnsafeCell<Counter>);

// SAFETY: QEMU calls from the thread of its one emulated core, and before that from the one that starts it.
unsafe impl Sync for Global {}

static COUNTER: Global = Global(UnsafeCell::new(Counter {
    out: String::new(),
    kernel_entry: 0,
    user_entry: 0,
    profile: None,
    executed: 0,
    boot_began: None,
    boot: None,
    groups: 0,
    windows_in_group: 0,
    is_open: false,
    is_profiled: false,
    total: 0,
    kernel: 0,
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
            let code = match qemu_plugin_insn_size(instruction) {
                4 => qemu_plugin_insn_data(instruction).cast::<u32>().read_unaligned(),
                _ => 0,
            };
            let data = counter().instruction(address, code);
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, executes, 0, data.cast());
        }
    }
}

/// An instruction is about to execute.
extern "C" fn executes(_core: c_uint, data: *mut c_void) {
    // SAFETY: `translated` passed an instruction, which lives for ever, and this is its only reference.
    counter().execute(unsafe { &mut *data.cast::<Instruction>() });
}

impl Counter {
    /// Takes an argument; whether it could.
    fn set(&mut self, argument: &str) -> bool {
        let Some((name, value)) = argument.split_once('=') else { return false };
        let number = || u64::from_str_radix(value.trim_start_matches("0x"), 16);
        match name {
            "out" => self.out = value.to_owned(),
            "kernel" => self.kernel_entry = number().unwrap_or(0),
            "user" => self.user_entry = number().unwrap_or(0),
            "profile" => {
                let numbers: Vec<u64> = value.split('.').filter_map(|number| number.parse().ok()).collect();
                let [group, window, windows] = numbers[..] else { return false };
                self.profile = Some(Profile { group, window, windows });
            }
            _ => return false,
        }
        true
    }

    fn instruction(&mut self, address: u64, code: u32) -> *mut Instruction {
        let meaning = MEANINGS.iter().find(|meaning| meaning.0 == code && address < KERNEL);
        let meaning = meaning.map_or(Meaning::Nothing, |meaning| meaning.1);
        let new = || Box::new(UnsafeCell::new(Instruction { address, meaning, profiled: 0 }));
        self.instructions.entry((address, code)).or_insert_with(new).get()
    }

    fn execute(&mut self, instruction: &mut Instruction) {
        if self.boot.is_none() {
            self.count_boot(instruction.address);
        }
        self.executed += 1;
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
            let in_kernel = instruction.address >= KERNEL;
            self.total += 1;
            self.kernel += u64::from(in_kernel);
            instruction.profiled += u64::from(self.is_profiled);
        }
    }

    fn count_boot(&mut self, address: u64) {
        if address == self.kernel_entry && self.boot_began.is_none() {
            self.boot_began = Some(self.executed);
        }
        if let Some(began) = self.boot_began
            && address == self.user_entry
        {
            self.boot = Some(self.executed - began);
        }
    }

    fn open(&mut self) {
        (self.is_open, self.total, self.kernel) = (true, 0, 0);
        self.is_profiled = self.profile.is_some_and(|profile| {
            let index = self.windows_in_group;
            self.groups == profile.group + 1
                && index % profile.windows == profile.window
                && index >= WARM_UP * profile.windows
        });
    }

    fn close(&mut self) {
        self.is_open = false;
        if let Some(group) = self.groups.checked_sub(1) {
            // The first instruction was the store of the opening read.
            self.windows.push(Window { group, total: self.total.saturating_sub(1), kernel: self.kernel });
            self.windows_in_group += 1;
        }
    }

    fn write(&self) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "boot {}", self.boot.unwrap_or(0));
        for Window { group, total, kernel } in &self.windows {
            let _ = writeln!(text, "window {group} {total} {kernel}");
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
