// SPDX-License-Identifier: MIT OR Apache-2.0

//! Segments, the task's state, and where each vector goes (chapters 3, 6 and 7).
//!
//! Segments are flat and used for nothing but the level of privilege. The task's state names the stacks for traps: from
//! user level that is the running thread's TCB (`cpu::trap`), and for what can come at any time, or can mean that the stack
//! itself is bad, a stack of its own.
//!
//! 1. The tables are written once, by [`install`], and then only read; but for the stack for traps, which is written at
//!    each exit to user level.

use crate::fault::vector;
use crate::registers::selector;
use core::arch::asm;
use keel_abi::x86_64::irq::{FIRST_TRAP_VECTOR, LAST_TRAP_VECTOR};

/// The task's state (section 7.7).
#[repr(C, packed(4))]
pub struct Task {
    /// Unused.
    reserved: u32,
    /// The stack for traps from user level.
    pub trap_stack: u64,
    /// Stacks for levels of privilege that are not used.
    other_stacks: [u64; 2],
    /// Unused.
    reserved_too: u64,
    /// The stacks that vectors name, from 1 on.
    own_stacks: [u64; 7],
    /// Unused.
    reserved_last: [u16; 5],
    /// Where the map of I/O ports begins: behind the end, so that there is none.
    port_map: u16,
}

const _: () = assert!(size_of::<Task>() == 104);

/// The task's state.
#[unsafe(no_mangle)]
pub static mut keel_task: Task = Task {
    reserved: 0,
    trap_stack: 0,
    other_stacks: [0; 2],
    reserved_too: 0,
    own_stacks: [0; 7],
    reserved_last: [0; 5],
    port_map: size_of::<Task>() as u16,
};

/// Which of the task's stacks is for traps that cannot be handled.
const FATAL_STACK: u64 = 1;

/// Segments (section 3.4.5): long mode looks at little more than kind, privilege and presence.
mod segment {
    /// Code: present, executable, readable, 64 bits.
    const CODE: u64 = 0x00af_9a00_0000_ffff;
    /// Data: present, writable.
    const DATA: u64 = 0x00cf_9200_0000_ffff;
    /// For user level.
    const USER: u64 = 3 << 45;
    /// A task's state that is available: present.
    const TASK: u64 = 0x89 << 40;

    /// All segments, in the order of [`crate::registers::selector`], with a task at an address.
    pub const fn all(task: u64, last_byte: u64) -> [u64; 7] {
        let low = (task & 0xff_ffff) << 16 | (task >> 24 & 0xff) << 56 | TASK | last_byte;
        [0, CODE, DATA, DATA | USER, CODE | USER, low, task >> 32]
    }
}

/// The table of segments.
static mut SEGMENTS: [u64; 7] = [0; 7];

/// Where vectors go: two words each.
static mut GATES: [[u64; 2]; 256] = [[0; 2]; 256];

/// A gate (section 6.14.1) that masks interrupts, to an address, with a stack of the task's.
fn gate(target: u64, stack: u64, for_user: bool) -> [u64; 2] {
    /// Present, an interrupt's.
    const GATE: u64 = 0x8e << 40;
    let user = if for_user { 3 << 45 } else { 0 };
    let low = target & 0xffff | selector::KERNEL_CODE << 16 | stack << 32 | GATE | user;
    [low | (target >> 16 & 0xffff) << 48, target >> 32]
}

/// The operand of the instructions that load tables.
#[repr(C, packed(2))]
struct Pointer {
    /// The offset of the last byte.
    last: u16,
    /// Where the table is.
    address: u64,
}

/// Has the processor use the tables.
///
/// # Safety
/// Called once. `stubs` are 256 entry points, `stub_bytes` apart, that can take what the processor puts on the stacks.
pub unsafe fn install(stubs: u64, stub_bytes: u64, fatal_stack: u64) {
    let task = (&raw const keel_task).addr() as u64;
    let gates = core::array::from_fn(|index| {
        let number = index as u64;
        let is_fatal =
            [vector::NON_MASKABLE, vector::DOUBLE_FAULT, vector::MACHINE_CHECK].contains(&(index as u8));
        let for_user = (FIRST_TRAP_VECTOR..=LAST_TRAP_VECTOR).contains(&number)
            || number == u64::from(vector::BREAKPOINT);
        gate(stubs + number * stub_bytes, if is_fatal { FATAL_STACK } else { 0 }, for_user)
    });
    // SAFETY: nobody else uses the statics yet, as this is called once.
    unsafe {
        GATES = gates;
        SEGMENTS = segment::all(task, size_of::<Task>() as u64 - 1);
        keel_task.own_stacks[FATAL_STACK as usize - 1] = fatal_stack;
    }
    let segments =
        Pointer { last: size_of::<[u64; 7]>() as u16 - 1, address: (&raw const SEGMENTS).addr() as u64 };
    let gates =
        Pointer { last: size_of::<[[u64; 2]; 256]>() as u16 - 1, address: (&raw const GATES).addr() as u64 };
    // SAFETY: the tables are whole, and live for ever. The running code's segment is the same as before.
    unsafe {
        asm!(
            "lgdt [{segments}]",
            "lidt [{gates}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2: mov ss, {data:x}",
            "mov ds, {zero:x}",
            "mov es, {zero:x}",
            "mov fs, {zero:x}",
            "mov gs, {zero:x}",
            // No other table of segments.
            "lldt {zero:x}",
            "ltr {task:x}",
            segments = in(reg) &raw const segments,
            gates = in(reg) &raw const gates,
            code = in(reg) selector::KERNEL_CODE,
            data = in(reg) selector::KERNEL_DATA,
            zero = in(reg) 0,
            task = in(reg) selector::TASK,
            scratch = out(reg) _,
        );
    }
}
