// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit x86, by the decoder of `iced-x86`.
//!
//! A string instruction that repeats is executed once for each time, and once more, when it finds nothing left: so the
//! emulator counts it.
//!
//! The address that a call pushes belongs to the stack of the function that is called ([`RETURN_BYTES`]).

use super::{Flow, Instruction, Length, Stack};
use anyhow::{Result, bail, ensure};
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a call pushes.
pub const RETURN_BYTES: u64 = 8;

/// See [`super::decode`].
pub fn decode(address: u64, code: &[u8]) -> Result<Instruction> {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    ensure!(decoder.can_decode(), "half an instruction");
    let decoded = decoder.decode();
    ensure!(!decoded.is_invalid(), "an unknown instruction {:02x?}", &code[..code.len().min(15)]);
    Ok(Instruction {
        address,
        bytes: decoded.len() as u64,
        flow: flow(&decoded)?,
        stack: if writes(&decoded, Register::RSP) { stack(&decoded) } else { Stack::Same },
        is_idle: decoded.mnemonic() == Mnemonic::Nop,
        length: if writes(&decoded, Register::RDX) { length(&decoded) } else { Length::Same },
    })
}

/// Finds what is called by calls of an address in a register: functions whose address stands at one place in memory, from
/// which the register was loaded on all ways to the call.
///
/// Calls by the compiler itself, of what copies and fills memory, go through such places, and out of loops it takes the load.
pub fn resolve(instructions: &mut [Instruction], code: &[u8]) {
    let Some(start) = instructions.first().map(|first| first.address) else { return };
    let decoded: BTreeMap<_, _> = Decoder::with_ip(64, code, start, DecoderOptions::NONE)
        .into_iter()
        .map(|decoded| (decoded.ip(), decoded))
        .collect();
    let mut before = BTreeMap::<u64, Vec<u64>>::new();
    for &Instruction { address, bytes, flow, .. } in &*instructions {
        if let Flow::Jump(to) | Flow::Branch(to) = flow {
            before.entry(to).or_default().push(address);
        }
        if !matches!(flow, Flow::Jump(_) | Flow::ComputedJump | Flow::Return | Flow::Leave | Flow::Stop) {
            before.entry(address + bytes).or_default().push(address);
        }
    }
    for instruction in instructions.iter_mut().filter(|one| one.flow == Flow::ComputedCall) {
        let is_in_register = decoded[&instruction.address].op0_kind() == OpKind::Register;
        if let Some(place) =
            is_in_register.then(|| loaded_from(&decoded, &before, instruction.address)).flatten()
        {
            instruction.flow = Flow::CallBy(place);
        }
    }
}

/// The place in memory from which the register was loaded by which the instruction at an address calls.
fn loaded_from(
    decoded: &BTreeMap<u64, iced_x86::Instruction>,
    before: &BTreeMap<u64, Vec<u64>>,
    call: u64,
) -> Option<u64> {
    /// Registers that a function leaves as they were.
    const KEPT: [Register; 6] =
        [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];
    let register = decoded[&call].op0_register();
    let mut places = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut work = vec![call];
    while let Some(at) = work.pop() {
        // Where the function begins the register has what the caller left there.
        if decoded.first_key_value().is_some_and(|(&start, _)| start == at) {
            return None;
        }
        for &from in before.get(&at)? {
            let one = &decoded[&from];
            let is_call = matches!(one.flow_control(), FlowControl::Call | FlowControl::IndirectCall);
            if is_call && !KEPT.contains(&register) {
                return None;
            }
            if !is_call && writes(one, register) {
                let is_load = one.mnemonic() == Mnemonic::Mov
                    && one.op0_register() == register
                    && one.is_ip_rel_memory_operand();
                places.insert(is_load.then(|| one.ip_rel_memory_address())?);
            } else if seen.insert(from) {
                work.push(from);
            }
        }
    }
    let only = places.pop_first();
    only.filter(|_| places.is_empty())
}

/// Where control goes.
fn flow(decoded: &iced_x86::Instruction) -> Result<Flow> {
    let is_near = decoded.op_count() > 0 && decoded.op_kind(0) == OpKind::NearBranch64;
    let to = decoded.near_branch_target();
    Ok(match (decoded.mnemonic(), decoded.flow_control()) {
        (Mnemonic::Iretq | Mnemonic::Sysretq, _) => Flow::Leave,
        (Mnemonic::Ret, _) => Flow::Return,
        (_, FlowControl::Next) if repeats(decoded) => Flow::Repeats,
        (_, FlowControl::Next) => Flow::Next,
        (_, FlowControl::UnconditionalBranch) if is_near => Flow::Jump(to),
        (_, FlowControl::ConditionalBranch) if is_near => Flow::Branch(to),
        (_, FlowControl::Call) if is_near => Flow::Call(to),
        (_, FlowControl::IndirectCall) if decoded.is_ip_rel_memory_operand() => {
            Flow::CallBy(decoded.ip_rel_memory_address())
        }
        (_, FlowControl::IndirectBranch) if decoded.is_ip_rel_memory_operand() => {
            Flow::JumpBy(decoded.ip_rel_memory_address())
        }
        (_, FlowControl::IndirectCall) => Flow::ComputedCall,
        (_, FlowControl::IndirectBranch) | (Mnemonic::Retf, _) => Flow::ComputedJump,
        (_, FlowControl::Interrupt | FlowControl::Exception) => Flow::Stop,
        (mnemonic, _) => bail!("an unknown branch {mnemonic:?}"),
    })
}

/// Whether it is a string instruction with one of the prefixes that repeat it. Elsewhere they mean other things.
fn repeats(decoded: &iced_x86::Instruction) -> bool {
    (decoded.has_rep_prefix() || decoded.has_repne_prefix()) && decoded.is_string_instruction()
}

/// What happens to the stack pointer, which is changed.
fn stack(decoded: &iced_x86::Instruction) -> Stack {
    let constant = || decoded.try_immediate(1).ok().map(u64::cast_signed);
    let destination =
        (decoded.op_count() > 0 && decoded.op_kind(0) == OpKind::Register).then(|| decoded.op0_register());
    match (decoded.mnemonic(), decoded.flow_control()) {
        // The callee's, and what a return takes from it.
        (_, FlowControl::Call | FlowControl::IndirectCall | FlowControl::Return) => Stack::Same,
        (Mnemonic::Leave | Mnemonic::Enter, _) => Stack::Set,
        _ if destination != Some(Register::RSP) || decoded.mnemonic() == Mnemonic::Push => {
            Stack::Moves(decoded.stack_pointer_increment().into())
        }
        (Mnemonic::Add, _) => constant().map_or(Stack::Set, Stack::Moves),
        (Mnemonic::Sub, _) => constant().map_or(Stack::Set, |by| Stack::Moves(-by)),
        // Aligned: moved by less than the alignment.
        (Mnemonic::And, _) => constant().map_or(Stack::Set, |mask| Stack::Moves(mask + 1)),
        (Mnemonic::Lea, _)
            if decoded.memory_base() == Register::RSP && decoded.memory_index() == Register::None =>
        {
            Stack::Moves(decoded.memory_displacement64().cast_signed())
        }
        _ => Stack::Set,
    }
}

/// What happens to the register of the third argument, which is changed.
fn length(decoded: &iced_x86::Instruction) -> Length {
    let is_whole = decoded.op_count() == 2 && matches!(decoded.op0_register(), Register::EDX | Register::RDX);
    match decoded.mnemonic() {
        // Greater constants are addresses.
        Mnemonic::Mov if is_whole => match decoded.try_immediate(1) {
            Ok(constant) if constant < 1 << 31 => Length::Constant(constant),
            _ => Length::Unknown,
        },
        Mnemonic::Xor if is_whole && decoded.op0_register() == decoded.op1_register() => Length::Constant(0),
        _ => Length::Unknown,
    }
}

/// Whether an instruction writes a register, or a part of it.
fn writes(decoded: &iced_x86::Instruction, register: Register) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(decoded).used_registers();
    used.iter().any(|one| {
        one.register().full_register() == register
            && !matches!(one.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
    })
}

#[cfg(test)]
mod test {
    use super::*;

    fn of(bytes: &[u8]) -> Instruction {
        let instruction = decode(0x1000, bytes).unwrap();
        assert_eq!(instruction.bytes, bytes.len() as u64, "{bytes:02x?}");
        instruction
    }

    #[test]
    fn branches_go_where_the_assembler_meant() {
        for (bytes, flow) in [
            (&[0xeb, 0x06][..], Flow::Jump(0x1008)),                      // jmp +8
            (&[0xe9, 0xf7, 0xff, 0xff, 0xff], Flow::Jump(0xffc)),         // jmp -4
            (&[0xe8, 0xfb, 0x00, 0x00, 0x00], Flow::Call(0x1100)),        // call +256
            (&[0x74, 0x06], Flow::Branch(0x1008)),                        // je +8
            (&[0x0f, 0x85, 0xf6, 0xff, 0xff, 0xff], Flow::Branch(0xffc)), // jne -4
            (&[0xe2, 0xfe], Flow::Branch(0x1000)),                        // loop -0
            (&[0xc3], Flow::Return),                                      // ret
            (&[0x48, 0xcb], Flow::ComputedJump),                          // retfq
            (&[0xff, 0xe0], Flow::ComputedJump),                          // jmp rax
            (&[0xff, 0xd0], Flow::ComputedCall),                          // call rax
            (&[0xff, 0x25, 0, 0, 0, 0], Flow::JumpBy(0x1006)),            // jmp [rip]
            (&[0xff, 0x15, 2, 0, 0, 0], Flow::CallBy(0x1008)),            // call [rip + 2]
            (&[0xff, 0x10], Flow::ComputedCall),                          // call [rax]
            (&[0x48, 0xcf], Flow::Leave),                                 // iretq
            (&[0x48, 0x0f, 0x07], Flow::Leave),                           // sysretq
            (&[0x0f, 0x0b], Flow::Stop),                                  // ud2
            (&[0xcc], Flow::Stop),                                        // int3
            (&[0xf4], Flow::Next),                                        // hlt
            (&[0xfb], Flow::Next),                                        // sti
            (&[0xf3, 0xa4], Flow::Repeats),                               // rep movsb
            (&[0xf3, 0x48, 0xab], Flow::Repeats),                         // rep stosq
            (&[0xf2, 0xae], Flow::Repeats),                               // repne scasb
            (&[0x48, 0xa5], Flow::Next),                                  // movsq
            (&[0xf3, 0x90], Flow::Next),                                  // pause
        ] {
            assert_eq!(of(bytes).flow, flow, "{bytes:02x?}");
        }
        for bytes in [&[0x0f, 0x05][..], &[0x06], &[0x48]] {
            assert!(decode(0x1000, bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn calls_by_a_register_go_where_it_was_loaded_from() {
        let resolved = |code: &[u8]| {
            let instructions = super::super::decode(object::Architecture::X86_64, 0x1000, code).unwrap();
            instructions.into_iter().map(|one| one.flow).find(|flow| matches!(flow, Flow::CallBy(_)))
        };
        let load = [0x4c, 0x8b, 0x3d, 9, 0, 0, 0]; // mov r15, [rip + 9]
        let call = [0x41, 0xff, 0xd7]; // call r15
        let again = [0x75, 0xfb]; // jne to the call
        assert_eq!(resolved(&[&load[..], &call, &again].concat()), Some(Flow::CallBy(0x1010)));
        // Something else is loaded, too; it is changed on one way; it comes from the caller.
        let other = [0x4c, 0x8b, 0x3d, 8, 0, 0, 0];
        assert_eq!(resolved(&[&load[..], &[0x75, 0x07], &other, &call].concat()), None);
        assert_eq!(resolved(&[&load[..], &[0x75, 0x03], &[0x49, 0xff, 0xc7], &call].concat()), None);
        assert_eq!(resolved(&[&[0x75, 0x07], &load[..], &call].concat()), None);
        // Calls change other registers.
        let (load, call) = ([0x48, 0x8b, 0x05, 9, 0, 0, 0], [0xff, 0xd0]);
        assert_eq!(resolved(&[&load[..], &call].concat()), Some(Flow::CallBy(0x1010)));
        assert_eq!(resolved(&[&load[..], &call, &[0x75, 0xfc]].concat()), None);
    }

    #[test]
    fn the_stack_moves() {
        for (bytes, stack) in [
            (&[0x48, 0x83, 0xec, 0x50][..], Stack::Moves(-80)), // sub rsp, 80
            (&[0x48, 0x81, 0xc4, 0, 0x10, 0, 0], Stack::Moves(0x1000)), // add rsp, 4096
            (&[0x48, 0x83, 0xc4, 0x80], Stack::Moves(-128)),    // add rsp, -128
            (&[0x48, 0x83, 0xe4, 0xc0], Stack::Moves(-63)),     // and rsp, -64
            (&[0x48, 0x8d, 0x64, 0x24, 0x08], Stack::Moves(8)), // lea rsp, [rsp + 8]
            (&[0x48, 0x8d, 0x25, 0, 0, 0, 0], Stack::Set),      // lea rsp, [rip]
            (&[0x48, 0x89, 0xec], Stack::Set),                  // mov rsp, rbp
            (&[0x55], Stack::Moves(-8)),                        // push rbp
            (&[0x41, 0x5c], Stack::Moves(8)),                   // pop r12
            (&[0x9d], Stack::Moves(8)),                         // popfq
            (&[0x6a, 0x02], Stack::Moves(-8)),                  // push 2
            (&[0x5c], Stack::Set),                              // pop rsp
            (&[0xe8, 0, 0, 0, 0], Stack::Same),                 // call
            (&[0xc3], Stack::Same),                             // ret
            (&[0x48, 0x89, 0x04, 0x24], Stack::Same),           // mov [rsp], rax
        ] {
            assert_eq!(of(bytes).stack, stack, "{bytes:02x?}");
        }
    }

    #[test]
    fn constants_are_read() {
        for (bytes, length) in [
            (&[0xba, 0xb8, 0x01, 0, 0][..], Length::Constant(0x1b8)), // mov edx, 0x1b8
            (&[0x31, 0xd2], Length::Constant(0)),                     // xor edx, edx
            (&[0x48, 0x89, 0xca], Length::Unknown),                   // mov rdx, rcx
            (&[0xb2, 0x01], Length::Unknown),                         // mov dl, 1
            (&[0x31, 0xca], Length::Unknown),                         // xor edx, ecx
            (&[0x0f, 0x31], Length::Unknown),                         // rdtsc
            (&[0x48, 0xf7, 0xe1], Length::Unknown),                   // mul rcx
            (&[0x5a], Length::Unknown),                               // pop rdx
            (&[0x48, 0x0f, 0x44, 0xd1], Length::Unknown),             // cmove rdx, rcx
            (&[0xb9, 0xb8, 0x01, 0, 0], Length::Same),                // mov ecx, 0x1b8
            (&[0x48, 0x39, 0xca], Length::Same),                      // cmp rdx, rcx
            (&[0x48, 0x89, 0x11], Length::Same),                      // mov [rcx], rdx
        ] {
            assert_eq!(of(bytes).length, length, "{bytes:02x?}");
        }
    }
}
