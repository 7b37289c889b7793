// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an exception from user level means (`errors-and-faults.md` §4.2 to §4.4).

use keel_kernel::ipc::fault::Fault;

/// Vectors of exceptions (section 6.15).
pub mod vector {
    /// Interrupt that cannot be masked.
    pub const NON_MASKABLE: u8 = 2;
    /// The instruction `int3`.
    pub const BREAKPOINT: u8 = 3;
    /// Use of the FPU while it is closed.
    pub const NO_FPU: u8 = 7;
    /// Exception within an exception.
    pub const DOUBLE_FAULT: u8 = 8;
    /// What the page tables forbid.
    pub const PAGE_FAULT: u8 = 14;
    /// The machine is broken.
    pub const MACHINE_CHECK: u8 = 18;
    /// The first vector that is not an exception's.
    pub const FIRST_FREE: u8 = 32;
}

/// Error code of a page fault: an instruction was fetched.
const FETCH: u64 = 1 << 4;
/// The bits of a page fault's error code that are shown.
const PAGE_FAULT_CODE: u64 = 0x1f;
/// The bits of other error codes that are shown.
const CODE: u64 = (1 << 28) - 1;

/// The fault of an exception: its vector and error code, and the address of a page fault (CR2).
pub const fn fault(vector: u8, error: u64, address: u64) -> Fault {
    match vector {
        vector::PAGE_FAULT => {
            Fault::VirtualMemory { address, is_fetch: error & FETCH != 0, status: error & PAGE_FAULT_CODE }
        }
        _ => Fault::UserException { number: vector as u64, code: error & CODE },
    }
}

/// The fault of the instruction `int` with a vector that is nobody's: a call with a number made of the vector and of eax.
pub const fn software_interrupt(vector: u8, accumulator: u64) -> Fault {
    let number = (vector as u32) << 24 | (accumulator as u32 & 0xff_ffff);
    Fault::UnknownSyscall { number: number.cast_signed() as u64 }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn page_faults_are_told_from_the_rest() {
        let fetch = Fault::VirtualMemory { address: 0x1234, is_fetch: true, status: 0x15 };
        assert_eq!(fault(14, 0x8015, 0x1234), fetch);
        let write = Fault::VirtualMemory { address: 0x1234, is_fetch: false, status: 7 };
        assert_eq!(fault(14, 7, 0x1234), write);
        for number in (0..32).filter(|&vector| vector != 14) {
            let exception = Fault::UserException { number: number.into(), code: 0x0fff_ffff };
            assert_eq!(fault(number, u64::MAX, 0x1234), exception);
        }
    }

    #[test]
    fn software_interrupts_are_calls_with_signed_numbers() {
        assert_eq!(
            software_interrupt(158, 0x1_2233_4455),
            Fault::UnknownSyscall { number: 0xffff_ffff_9e33_4455 }
        );
    }
}
