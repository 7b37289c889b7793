// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit Arm (Arm DDI 0487, C4.1).

use super::{Flow, Instruction, Length, Stack, signed};
use anyhow::{Context, Result, bail};

/// The number of the stack pointer where a register can be one.
const SP: u32 = 31;
/// The register of the third argument.
const THIRD: u32 = 2;

/// Does nothing.
const NOP: u32 = 0xd503_201f;

/// The instruction at `address`, of which `code` begins with the bytes.
pub fn decode(address: u64, code: &[u8]) -> Result<Instruction> {
    let bytes = code.first_chunk().context("half an instruction")?;
    let word = u32::from_le_bytes(*bytes);
    let flow = flow(word, address)?;
    Ok(Instruction {
        address,
        bytes: 4,
        flow,
        stack: stack(word),
        length: length(word),
        is_idle: word == NOP,
    })
}

/// Branches, exceptions and system instructions are those with 101 in bits 28 to 26 (C4.1.86).
fn flow(word: u32, address: u64) -> Result<Flow> {
    if word >> 16 == 0 {
        return Ok(Flow::Stop); // UDF
    }
    if word >> 26 & 0b111 != 0b101 {
        return Ok(Flow::Next);
    }
    let to = |value: u32, bits: u32| address.wrapping_add_signed(signed(value, bits) * 4);
    let operation = word >> 24;
    Ok(match operation {
        0x14..=0x17 => Flow::Jump(to(word, 26)),
        0x94..=0x97 => Flow::Call(to(word, 26)),
        0x34 | 0x35 | 0xb4 | 0xb5 | 0x54 => Flow::Branch(to(word >> 5, 19)),
        0x36 | 0x37 | 0xb6 | 0xb7 => Flow::Branch(to(word >> 5, 14)),
        // HVC and SMC come back; SVC, BRK and HLT are not for a kernel that works.
        0xd4 if word & 0xe0_001f == 2 || word & 0xe0_001f == 3 => Flow::Next,
        0xd4 => Flow::Stop,
        // Hints, barriers, system registers.
        0xd5 => Flow::Next,
        0xd6 => match word >> 21 & 7 {
            0 => Flow::ComputedJump,
            1 => Flow::ComputedCall,
            2 => Flow::Return,
            4 => Flow::Leave,
            _ => bail!("an unknown branch {word:#x}"),
        },
        _ => bail!("an unknown branch {word:#x}"),
    })
}

/// The forms in which compilers move the stack pointer: by a constant, or with a store or load of registers.
fn stack(word: u32) -> Stack {
    let (destination, base) = (word & 31, word >> 5 & 31);
    match word >> 22 {
        // SUB and ADD (immediate), 64-bit, optionally shifted by 12.
        0x344 | 0x345 | 0x244 | 0x245 if destination == SP => {
            if base != SP {
                return Stack::Set;
            }
            let amount = i64::from(word >> 10 & 0xfff) << if word >> 22 & 1 == 1 { 12 } else { 0 };
            Stack::Moves(if word >> 30 & 1 == 1 { -amount } else { amount })
        }
        // STP and LDP of 64-bit registers, before (0x2a6, 0x2a7) and after (0x2a2, 0x2a3).
        0x2a2 | 0x2a3 | 0x2a6 | 0x2a7 if base == SP => Stack::Moves(signed(word >> 15 & 0x7f, 7) * 8),
        // STR and LDR of a 64-bit register with the address moved.
        0x3e0 | 0x3e1 if base == SP && word >> 21 & 1 == 0 && word >> 10 & 1 == 1 => {
            Stack::Moves(signed(word >> 12 & 0x1ff, 9))
        }
        _ => Stack::Same,
    }
}

/// Branches have no destination, but for MRS, which is in their class. Most other instructions have their destination in the low five bits; what is not told apart is taken to be one of them.
fn length(word: u32) -> Length {
    let is_branch = word >> 26 & 0b111 == 0b101;
    if word & 31 != THIRD || is_branch && word >> 20 != 0xd53 {
        return Length::Same;
    }
    let value = u64::from(word >> 5 & 0xffff);
    match word >> 21 {
        // MOVZ without shift, 32-bit and 64-bit.
        0x294 | 0x694 => Length::Constant(value),
        // ORR (immediate) from the zero register: a run of ones.
        _ if word >> 23 & 0xff == 0x64 && word >> 5 & 31 == 31 => ones(word),
        _ => Length::Unknown,
    }
}

/// The constant of a logical immediate that is one run of ones in 32 or 64 bits (C6.2, `DecodeBitMasks`).
fn ones(word: u32) -> Length {
    let (wide, n, rotate, ones) = (word >> 31 == 1, word >> 22 & 1 == 1, word >> 16 & 63, word >> 10 & 63);
    match (wide, n) {
        (true, true) => Length::Constant((u64::MAX >> (63 - ones)).rotate_right(rotate)),
        (_, false) if ones < 32 => {
            let run = (u32::MAX >> (31 - ones)).rotate_right(rotate);
            Length::Constant(if wide { u64::from(run) << 32 | u64::from(run) } else { run.into() })
        }
        _ => Length::Unknown,
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn of(word: u32) -> Instruction {
        decode(0x1000, &word.to_le_bytes()).unwrap()
    }

    #[test]
    fn branches_go_where_the_assembler_meant() {
        for (word, flow) in [
            (0x1400_0002, Flow::Jump(0x1008)),
            (0x17ff_ffff, Flow::Jump(0xffc)),
            (0x9400_0100, Flow::Call(0x1400)),
            (0x5400_0041, Flow::Branch(0x1008)),
            (0xb4ff_ffe3, Flow::Branch(0xffc)),
            (0x3608_0042, Flow::Branch(0x1008)),
            (0xd65f_03c0, Flow::Return),
            (0xd69f_03e0, Flow::Leave),
            (0xd61f_0100, Flow::ComputedJump),
            (0xd63f_0100, Flow::ComputedCall),
            (0xd420_0020, Flow::Stop),
            (0xd400_0003, Flow::Next),
            (0xd503_201f, Flow::Next),
            (0x0000_0000, Flow::Stop),
            (0x8b02_0020, Flow::Next),
        ] {
            assert_eq!(of(word).flow, flow, "{word:#x}");
        }
    }

    #[test]
    fn the_stack_moves() {
        for (word, stack) in [
            (0xd101_43ff, Stack::Moves(-80)),
            (0x9101_43ff, Stack::Moves(80)),
            (0xd140_07ff, Stack::Moves(-4096)),
            (0xa9ba_7bfd, Stack::Moves(-96)),
            (0xa8c6_7bfd, Stack::Moves(96)),
            (0xf81f_0ffe, Stack::Moves(-16)),
            (0xf841_07fe, Stack::Moves(16)),
            (0x9100_001f, Stack::Set),
            (0xa901_7bfd, Stack::Same),
        ] {
            assert_eq!(of(word).stack, stack, "{word:#x}");
        }
    }

    #[test]
    fn constants_are_read() {
        assert_eq!(of(0x5280_3702).length, Length::Constant(0x1b8));
        assert_eq!(of(0xd280_3702).length, Length::Constant(0x1b8));
        assert_eq!(of(0x3214_03e2).length, Length::Constant(0x1000));
        assert_eq!(of(0xaa01_03e2).length, Length::Unknown);
        assert_eq!(of(0x5280_3703).length, Length::Same);
        assert_eq!(of(0x9400_0102).length, Length::Same, "a call");
        assert_eq!(of(0xd53b_4202).length, Length::Unknown, "a system register");
    }
}
