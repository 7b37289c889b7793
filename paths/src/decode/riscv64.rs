// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit RISC-V with compressed instructions (the unprivileged specification, chapters 2, 16 and 24).

use super::{Flow, Instruction, Length, Stack, signed};
use anyhow::{Context, Result, bail};

/// The return address register.
const RA: u32 = 1;
/// The stack pointer.
const SP: u32 = 2;
/// The register of the third argument.
const THIRD: u32 = 12;

/// Does nothing: ADDI and C.NOP.
const NOPS: [u32; 2] = [0x13, 0x1];

/// The instruction at `address`, of which `code` begins with the bytes.
pub fn decode(address: u64, code: &[u8]) -> Result<Instruction> {
    let half = u16::from_le_bytes(*code.first_chunk().context("half an instruction")?);
    if half & 3 != 3 {
        return compressed(address, half.into());
    }
    let word = u32::from_le_bytes(*code.first_chunk().context("half an instruction")?);
    full(address, word)
}

/// Jumps and calls beyond the reach of one instruction are two: AUIPC sets a register, to which the JALR behind it adds.
/// Gives those their targets. So is the address of the stack's top.
pub fn join(instructions: &mut [Instruction], start: u64, code: &[u8]) -> Result<()> {
    let word = |at: u64| {
        let bytes = code.get((at - start) as usize..).and_then(|code| code.first_chunk());
        bytes.map_or(0, |&bytes| u32::from_le_bytes(bytes))
    };
    let mut joined = Vec::new();
    for index in 1..instructions.len() {
        let [first, second] = [index - 1, index].map(|index| instructions[index].address);
        let [upper, jump] = [first, second].map(word);
        let (register, base) = (upper >> 7 & 31, jump >> 15 & 31);
        if instructions[index - 1].stack == Stack::Set && matches!(instructions[index].stack, Stack::Moves(_))
        {
            // An address made of two parts.
            instructions[index].stack = Stack::Set;
        }
        if upper & 0x7f != 0x17 || jump & 0x707f != 0x67 || register != base {
            continue;
        }
        let upper = i64::from((upper & !0xfff).cast_signed());
        let target = first.wrapping_add_signed(upper + signed(jump >> 20, 12));
        instructions[index].flow = match jump >> 7 & 31 {
            0 => Flow::Jump(target),
            _ => Flow::Call(target),
        };
        joined.push(second);
    }
    let is_torn = |instruction: &&Instruction| match instruction.flow {
        Flow::Jump(to) | Flow::Branch(to) => joined.contains(&to),
        _ => false,
    };
    if let Some(instruction) = instructions.iter().find(is_torn) {
        bail!("the jump at {:#x} leads between AUIPC and JALR", instruction.address);
    }
    Ok(())
}

/// An instruction of four bytes.
fn full(address: u64, word: u32) -> Result<Instruction> {
    let (operation, rd, rs1) = (word & 0x7f, word >> 7 & 31, word >> 15 & 31);
    let to = |offset: i64| address.wrapping_add_signed(offset);
    let flow = match operation {
        0x63 => Flow::Branch(to(signed(
            word >> 31 << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 0x3f) << 5 | (word >> 8 & 0xf) << 1,
            13,
        ))),
        0x6f => {
            let target = to(signed(
                word >> 31 << 20
                    | (word >> 12 & 0xff) << 12
                    | (word >> 20 & 1) << 11
                    | (word >> 21 & 0x3ff) << 1,
                21,
            ));
            match rd {
                0 => Flow::Jump(target),
                _ => Flow::Call(target),
            }
        }
        0x67 => match (rd, rs1) {
            (0, RA) => Flow::Return,
            (0, _) => Flow::ComputedJump,
            _ => Flow::ComputedCall,
        },
        0x73 if word >> 12 & 7 == 0 => match word >> 20 {
            // ECALL to the firmware comes back; SRET goes to user level.
            0 => Flow::Next,
            0x102 => Flow::Leave,
            0x105 => Flow::Next,                // WFI
            1 => Flow::Stop,                    // EBREAK
            _ if word >> 25 == 9 => Flow::Next, // SFENCE.VMA
            _ => bail!("an unknown system instruction {word:#x}"),
        },
        _ => Flow::Next,
    };
    let immediate = signed(word >> 20, 12);
    let stack = match (operation, word >> 12 & 7, rd) {
        (0x13, 0, SP) if rs1 == SP => Stack::Moves(immediate),
        (0x13 | 0x33 | 0x17 | 0x37 | 0x03, _, SP) => Stack::Set,
        _ => Stack::Same,
    };
    let length = match (operation, word >> 12 & 7, rd) {
        (0x63 | 0x23, _, _) => Length::Same,
        (0x13, 0, THIRD) if rs1 == 0 => Length::Constant(immediate as u64),
        (0x37, _, THIRD) => Length::Constant(i64::from((word & !0xfff).cast_signed()) as u64),
        (_, _, THIRD) => Length::Unknown,
        _ => Length::Same,
    };
    Ok(Instruction { address, bytes: 4, flow, stack, length, is_idle: NOPS.contains(&word) })
}

/// An instruction of two bytes.
fn compressed(address: u64, word: u32) -> Result<Instruction> {
    let to = |offset: i64| address.wrapping_add_signed(offset);
    let (quadrant, function, rd) = (word & 3, word >> 13, word >> 7 & 31);
    let bit = |from: u32, at: u32| (word >> from & 1) << at;
    let immediate = signed(bit(12, 5) | word >> 2 & 31, 6);
    let mut stack = Stack::Same;
    let mut length = Length::Same;
    let flow = match (quadrant, function) {
        (0, 0) if word == 0 => Flow::Stop,
        (1, 5) => Flow::Jump(to(signed(
            bit(12, 11)
                | bit(11, 4)
                | (word >> 9 & 3) << 8
                | bit(8, 10)
                | bit(7, 6)
                | bit(6, 7)
                | (word >> 3 & 7) << 1
                | bit(2, 5),
            12,
        ))),
        (1, 6 | 7) => Flow::Branch(to(signed(
            bit(12, 8) | (word >> 10 & 3) << 3 | (word >> 5 & 3) << 6 | (word >> 3 & 3) << 1 | bit(2, 5),
            9,
        ))),
        (2, 4) if word >> 2 & 31 == 0 => match (word >> 12 & 1, rd) {
            (0, RA) => Flow::Return,
            (0, 0) => bail!("an unknown instruction {word:#x}"),
            (0, _) => Flow::ComputedJump,
            (_, 0) => Flow::Stop, // C.EBREAK
            _ => Flow::ComputedCall,
        },
        _ => Flow::Next,
    };
    match (quadrant, function) {
        (1, 0) if rd == SP => stack = Stack::Moves(immediate),
        (1, 3) if rd == SP => {
            let amount = bit(12, 9) | bit(6, 4) | bit(5, 6) | (word >> 3 & 3) << 7 | bit(2, 5);
            stack = Stack::Moves(signed(amount, 10));
        }
        (2, 4) if rd == SP && word >> 2 & 31 != 0 => stack = Stack::Set,
        (1, 2) if rd == THIRD => length = Length::Constant(immediate as u64),
        (1, 3) if rd == THIRD => length = Length::Constant((immediate << 12) as u64),
        (1, 0 | 1) | (2, 0 | 2 | 3) if rd == THIRD => length = Length::Unknown,
        (2, 4) if rd == THIRD && word >> 2 & 31 != 0 => length = Length::Unknown,
        // Registers x8 to x15 in three bits: x12 is 4.
        (0, 0..=3) if word >> 2 & 7 == THIRD - 8 => length = Length::Unknown,
        (1, 4) if word >> 7 & 7 == THIRD - 8 => length = Length::Unknown,
        _ => {}
    }
    Ok(Instruction { address, bytes: 2, flow, stack, length, is_idle: NOPS.contains(&word) })
}

#[cfg(test)]
mod test {
    use super::*;

    fn of(bytes: &[u8]) -> Instruction {
        decode(0x1000, bytes).unwrap()
    }

    #[test]
    fn branches_go_where_the_assembler_meant() {
        for (bytes, flow) in [
            (&[0x6f, 0x00, 0x80, 0x00][..], Flow::Jump(0x1008)), // j +8
            (&[0xef, 0xf0, 0xdf, 0xff], Flow::Call(0xffc)),      // jal -4
            (&[0x63, 0x04, 0xb5, 0x00], Flow::Branch(0x1008)),   // beq a0, a1, +8
            (&[0xe3, 0x9e, 0x05, 0xfe], Flow::Branch(0xffc)),    // bnez a1, -4
            (&[0x67, 0x80, 0x00, 0x00], Flow::Return),           // jalr zero, 0(ra)
            (&[0x82, 0x80], Flow::Return),                       // c.jr ra
            (&[0x82, 0x87], Flow::ComputedJump),                 // c.jr a5
            (&[0x82, 0x97], Flow::ComputedCall),                 // c.jalr a5
            (&[0x21, 0xa0], Flow::Jump(0x1008)),                 // c.j +8
            (&[0x11, 0xc1], Flow::Branch(0x1004)),               // c.beqz a0, +4
            (&[0xfd, 0xfd], Flow::Branch(0xffe)),                // c.bnez a1, -2
            (&[0x73, 0x00, 0x20, 0x10], Flow::Leave),            // sret
            (&[0x73, 0x00, 0x00, 0x00], Flow::Next),             // ecall
            (&[0x00, 0x00], Flow::Stop),
        ] {
            assert_eq!(of(bytes).flow, flow, "{bytes:x?}");
        }
    }

    #[test]
    fn the_stack_moves() {
        assert_eq!(of(&[0x13, 0x01, 0x01, 0xf9]).stack, Stack::Moves(-112)); // addi sp, sp, -112
        assert_eq!(of(&[0x39, 0x71]).stack, Stack::Moves(-64)); // c.addi16sp -64
        assert_eq!(of(&[0x41, 0x11]).stack, Stack::Moves(-16)); // c.addi sp, -16
    }

    #[test]
    fn far_calls_and_jumps_are_joined() {
        let of = |jump: [u8; 4]| {
            let code = [[0x17, 0x23, 0x00, 0x00], jump].concat(); // auipc t1, 2
            let mut instructions = vec![decode(0x1000, &code).unwrap(), decode(0x1004, &code[4..]).unwrap()];
            join(&mut instructions, 0x1000, &code).unwrap();
            instructions[1].flow
        };
        assert_eq!(of([0x67, 0x00, 0xc3, 0xff]), Flow::Jump(0x2ffc)); // jr -4(t1)
        assert_eq!(of([0xe7, 0x00, 0x83, 0x00]), Flow::Call(0x3008)); // jalr 8(t1)
        assert_eq!(of([0xe7, 0x80, 0x83, 0x00]), Flow::ComputedCall); // jalr 8(t2)
    }

    #[test]
    fn constants_are_read() {
        assert_eq!(of(&[0x13, 0x06, 0x80, 0x1b]).length, Length::Constant(0x1b8)); // li a2, 0x1b8
        assert_eq!(of(&[0x41, 0x46]).length, Length::Constant(16)); // c.li a2, 16
        assert_eq!(of(&[0x05, 0x66]).length, Length::Constant(4096)); // c.lui a2, 1
        assert_eq!(of(&[0x2e, 0x86]).length, Length::Unknown); // c.mv a2, a1
    }
}
