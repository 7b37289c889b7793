// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processor on the host: system registers that keep what is written, and a record of what was executed.
//! The `cpu` modules of the machines put it in the place of their assembly.
//!
//! Each thread of the host has its own, so that tests do not disturb each other. It starts with all registers zero.

use keel_kernel::object::tcb::{FPU_WORDS, FpuState};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The state of the processor.
struct Processor {
    /// System registers by name.
    registers: BTreeMap<String, u64>,
    /// The FPU's registers.
    fpu: [u64; FPU_WORDS],
    /// Registers of devices by address.
    devices: BTreeMap<u64, u32>,
    /// Executed instructions with their operand.
    executed: Vec<(&'static str, u64)>,
}

thread_local! {
    /// This thread's processor.
    static PROCESSOR: RefCell<Processor> = const {
        RefCell::new(Processor {
            registers: BTreeMap::new(),
            fpu: [0; FPU_WORDS],
            devices: BTreeMap::new(),
            executed: Vec::new(),
        })
    };
}

/// Does something with this thread's processor.
fn with<T>(action: impl FnOnce(&mut Processor) -> T) -> T {
    PROCESSOR.with_borrow_mut(action)
}

/// Reads a system register.
pub fn read(register: &str) -> u64 {
    with(|processor| processor.registers.get(register).copied().unwrap_or(0))
}

/// Sets a system register.
pub fn set(register: &str, value: u64) {
    with(|processor| processor.registers.insert(register.into(), value));
}

/// Executes instructions: `msr`, `csrw`, `csrs` and `csrc` write their register, everything else is recorded alone.
pub fn execute(instructions: &'static str, operand: u64) {
    for line in instructions.lines() {
        write_register(line, operand);
        with(|processor| processor.executed.push((line, operand)));
    }
}

/// The effect of an instruction on its register.
fn write_register(line: &str, operand: u64) {
    let Some((operation, register)) = line.strip_suffix(", {}").and_then(|rest| rest.split_once(' ')) else {
        return;
    };
    match operation {
        "msr" | "csrw" => set(register, operand),
        "csrs" => set(register, read(register) | operand),
        "csrc" => set(register, read(register) & !operand),
        _ => {}
    }
}

/// What was executed since this was last asked.
pub fn executed() -> Vec<(&'static str, u64)> {
    with(|processor| std::mem::take(&mut processor.executed))
}

/// The FPU's registers.
pub fn fpu() -> [u64; FPU_WORDS] {
    with(|processor| processor.fpu)
}

/// Sets the FPU's registers.
pub fn set_fpu(registers: [u64; FPU_WORDS]) {
    with(|processor| processor.fpu = registers);
}

/// Saves the FPU's registers.
pub fn save_fpu(state: &mut FpuState) {
    state.0 = fpu();
}

/// Loads the FPU's registers.
pub fn load_fpu(state: &FpuState) {
    set_fpu(state.0);
}

/// Reads the register of a device.
pub fn read_device(address: u64) -> u32 {
    with(|processor| processor.devices.get(&address).copied().unwrap_or(0))
}

/// Writes the register of a device.
pub fn write_device(address: u64, value: u32) {
    with(|processor| processor.devices.insert(address, value));
}
