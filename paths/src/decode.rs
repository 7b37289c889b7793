// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an instruction does to the flow of control and to the stack; nothing else matters here.
//!
//! On 64-bit Arm and on RISC-V the instructions that change the flow of control have encodings of their own, few enough
//! to be decoded here in full. On x86 a library decodes them all. One that is not understood is an error, never passed
//! over.

mod aarch64;
mod riscv64;
mod x86_64;

use anyhow::{Context, Result, bail};
use object::Architecture;

/// Where control goes from an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// To the next one.
    Next,
    /// To the next one, after it has been executed several times.
    Repeats,
    /// To an address.
    Jump(u64),
    /// To an address, or to the next one.
    Branch(u64),
    /// To a function, and then to the next one.
    Call(u64),
    /// To the function whose address stands at this address, and then to the next one.
    CallBy(u64),
    /// To the address that stands at this address.
    JumpBy(u64),
    /// To a computed address, and then to the next one.
    ComputedCall,
    /// To a computed address.
    ComputedJump,
    /// Back to the caller.
    Return,
    /// To user level.
    Leave,
    /// Nowhere: the processor stops or raises an exception.
    Stop,
}

/// What an instruction does to the stack pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stack {
    /// Nothing.
    Same,
    /// Adds this.
    Moves(i64),
    /// Sets it to something else.
    Set,
}

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// Its address.
    pub address: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Where control goes.
    pub flow: Flow,
    /// What happens to the stack pointer.
    pub stack: Stack,
    /// A constant that becomes the third argument of a call.
    pub length: Length,
    /// Whether it does nothing.
    pub is_idle: bool,
}

/// What an instruction does to the register of a function's third argument: the length, where memory is copied or filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// Nothing.
    Same,
    /// Sets it to a constant.
    Constant(u64),
    /// Sets it to something else.
    Unknown,
}

/// The instructions of a function, which begins at `start`.
pub fn decode(architecture: Architecture, start: u64, code: &[u8]) -> Result<Vec<Instruction>> {
    let decode = match architecture {
        Architecture::Aarch64 => aarch64::decode,
        Architecture::Riscv64 => riscv64::decode,
        Architecture::X86_64 => x86_64::decode,
        other => bail!("no decoder for {other:?}"),
    };
    let mut instructions = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let address = start + at as u64;
        let instruction = decode(address, &code[at..]).with_context(|| format!("at {address:#x}"))?;
        at += instruction.bytes as usize;
        instructions.push(instruction);
    }
    match architecture {
        Architecture::Riscv64 => riscv64::join(&mut instructions, start, code)?,
        Architecture::X86_64 => x86_64::resolve(&mut instructions, code),
        _ => {}
    }
    Ok(instructions)
}

/// Bytes that a call itself puts on the stack, for the function that is called.
pub const fn call_bytes(architecture: Architecture) -> u64 {
    match architecture {
        Architecture::X86_64 => x86_64::RETURN_BYTES,
        _ => 0,
    }
}

/// The `bits` low bits of `value`, with their sign, as a number to be added to an address.
const fn signed(value: u32, bits: u32) -> i64 {
    ((value as i64) << (64 - bits)) >> (64 - bits)
}
