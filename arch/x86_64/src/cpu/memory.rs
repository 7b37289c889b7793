// SPDX-License-Identifier: MIT OR Apache-2.0

//! Copying and filling memory: the functions that the compiler calls for what is longer than a few registers. Those of
//! the compiler's own runtime align what they write first, which costs more than it gains here.

use core::arch::global_asm;

global_asm!(
    // Words, then bytes.
    ".macro keel_string words bytes",
    "mov rcx, rdx",
    "shr rcx, 3",
    "2:",
    ".pushsection .keel.bounds, \"\"",
    ".8byte 2b, {repeated}, 8, 0, 0",
    ".popsection",
    ".rept {place}",
    "nop",
    ".endr",
    "rep \\words",
    "mov ecx, edx",
    "and ecx, 7",
    "3:",
    ".pushsection .keel.bounds, \"\"",
    ".8byte 3b, {repeated}, 0, 7, 0",
    ".popsection",
    ".rept {place}",
    "nop",
    ".endr",
    "rep \\bytes",
    ".endm",
    ".pushsection .text.memory, \"ax\", @progbits",
    // rdi: to, rsi: from, rdx: bytes. Gives rdi.
    ".balign 16",
    ".type memcpy, @function",
    ".globl memcpy",
    "memcpy:",
    "mov rax, rdi",
    "keel_string movsq movsb",
    "ret",
    ".size memcpy, . - memcpy",
    // rdi: to, sil: byte, rdx: bytes. Gives rdi.
    ".balign 16",
    ".type memset, @function",
    ".globl memset",
    "memset:",
    "mov r8, rdi",
    "movzx eax, sil",
    "mov rcx, 0x0101010101010101",
    "imul rax, rcx",
    "keel_string stosq stosb",
    "mov rax, r8",
    "ret",
    ".size memset, . - memset",
    ".popsection",
    repeated = const keel_bounds::kind::REPEATED,
    place = const keel_bounds::PLACE,
);
