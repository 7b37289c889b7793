// SPDX-License-Identifier: MIT OR Apache-2.0

//! What all machines have: system calls, a thread pointer, and a few instructions by which a program meets its walls.
//!
//! 1. A system call changes no register but those that the interface calls outputs, and those that the machine
//!    lists as `changed` (`syscalls.md` §2); flags and the FPU's registers are kept too.
//! 2. What it does to memory (the IPC buffer, memory shared with others) the compiler must assume of any `asm!` without
//!    `nomem`.

/// Makes the functions of a machine from its registers and instructions.
///
/// A list of instructions in brackets may have operands of its own behind it, in braces.
macro_rules! machine {
    (
        trap: [$($trap:literal),+] { $($changed:tt)* },
        number: $number:tt,
        cap: $cap:tt,
        info: $info:tt,
        words: [$word0:tt, $word1:tt, $word2:tt, $word3:tt],
        reply: $reply:tt,
        destination: $destination:tt,
        thread_pointer: $thread_pointer:literal,
        barrier: $barrier:literal,
        undefined: $undefined:literal,
        load: $load:literal,
        touch: [$($touch:literal),+] { $($touched:tt)* },
        jump: $jump:literal,
        kernel_register: $kernel_register:literal,
    ) => {
        /// A system call that gives nothing back.
        #[inline(always)]
        pub fn trap_send(number: i64, input: $crate::arch::Input) {
            // SAFETY: all that changes is declared (1, 2).
            unsafe {
                ::core::arch::asm!(
                    $($trap,)+
                    $($changed)*
                    in($number) number,
                    in($cap) input.cap,
                    in($info) input.info,
                    in($word0) input.words[0],
                    in($word1) input.words[1],
                    in($word2) input.words[2],
                    in($word3) input.words[3],
                    options(nostack, preserves_flags),
                );
            }
        }

        /// A system call that receives.
        #[inline(always)]
        pub fn trap_receive(number: i64, input: $crate::arch::Input) -> $crate::arch::Output {
            let (badge, info, w0, w1, w2, w3);
            // SAFETY: all that changes is declared (1, 2).
            unsafe {
                ::core::arch::asm!(
                    $($trap,)+
                    $($changed)*
                    in($number) number,
                    inlateout($cap) input.cap => badge,
                    inlateout($info) input.info => info,
                    inlateout($word0) input.words[0] => w0,
                    inlateout($word1) input.words[1] => w1,
                    inlateout($word2) input.words[2] => w2,
                    inlateout($word3) input.words[3] => w3,
                    in($reply) input.reply,
                    options(nostack, preserves_flags),
                );
            }
            $crate::arch::Output { badge, info, words: [w0, w1, w2, w3] }
        }

        /// NBSendRecv, the one system call with a seventh argument: where to send.
        #[inline(always)]
        pub fn trap_send_receive(
            number: i64,
            input: $crate::arch::Input,
            destination: u64,
        ) -> $crate::arch::Output {
            let (badge, info, w0, w1, w2, w3);
            // SAFETY: all that changes is declared (1, 2).
            unsafe {
                ::core::arch::asm!(
                    $($trap,)+
                    $($changed)*
                    in($number) number,
                    inlateout($cap) input.cap => badge,
                    inlateout($info) input.info => info,
                    inlateout($word0) input.words[0] => w0,
                    inlateout($word1) input.words[1] => w1,
                    inlateout($word2) input.words[2] => w2,
                    inlateout($word3) input.words[3] => w3,
                    in($reply) input.reply,
                    in($destination) destination,
                    options(nostack, preserves_flags),
                );
            }
            $crate::arch::Output { badge, info, words: [w0, w1, w2, w3] }
        }

        /// The thread pointer: in this library the address of the running thread's IPC buffer.
        #[inline(always)]
        pub fn thread_pointer() -> usize {
            let value;
            // SAFETY: reads what user level owns, and what does not change while the thread runs.
            unsafe {
                ::core::arch::asm!(
                    $thread_pointer,
                    out(reg) value,
                    options(nomem, nostack, preserves_flags),
                );
            }
            value
        }

        /// Makes earlier writes to shared memory visible before later ones (to other observers, devices too).
        #[inline(always)]
        pub fn memory_barrier() {
            // SAFETY: a barrier has no other effect.
            unsafe { ::core::arch::asm!($barrier, options(nostack, preserves_flags)) };
        }

        /// Ends the thread on an instruction that is undefined everywhere: a UserException.
        pub fn abort() -> ! {
            // SAFETY: it faults; the thread never goes on behind it.
            unsafe { ::core::arch::asm!($undefined, options(noreturn, nostack)) }
        }

        /// Loads a word from an aligned address, mapped or not.
        pub fn load_anywhere(address: u64) -> u64 {
            let value;
            // SAFETY: a load changes nothing, and its value is a number like any other; where it faults the
            // thread stops.
            unsafe {
                ::core::arch::asm!(
                    $load,
                    out(reg) value,
                    in(reg) address,
                    options(nostack, preserves_flags),
                );
            }
            value
        }

        /// Stores what is there already at an aligned address, mapped or not.
        pub fn touch_anywhere(address: u64) {
            // SAFETY: what is stored is what was there: no value in memory changes.
            unsafe {
                ::core::arch::asm!(
                    $($touch,)+
                    $($touched)*
                    address = in(reg) address,
                    options(nostack),
                );
            }
        }

        /// Jumps to an address that is not executable, or where an undefined instruction is.
        pub fn jump_anywhere(address: u64) -> ! {
            // SAFETY: the caller sees to it that the jump faults; the thread never goes on there.
            unsafe { ::core::arch::asm!($jump, in(reg) address, options(noreturn, nostack)) }
        }

        /// Reads a register that belongs to the kernel.
        pub fn read_kernel_register() -> u64 {
            let value;
            // SAFETY: at user level the instruction is refused and the thread stops.
            unsafe {
                ::core::arch::asm!(
                    $kernel_register,
                    out(reg) value,
                    options(nomem, nostack, preserves_flags),
                );
            }
            value
        }
    };
}
