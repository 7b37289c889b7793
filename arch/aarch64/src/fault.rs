// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an exception from user level means (`errors-and-faults.md` §4.3, §4.4).

use keel_kernel::ipc::fault::Fault;

/// An exception, by what has to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exception {
    /// The FPU was used while it was not open.
    Fpu,
    /// A fault of the thread.
    Fault(Fault),
}

/// Exception classes (ESR_EL1, bits 26 to 31).
mod class {
    /// Access to the FPU.
    pub const FPU: u64 = 0x07;
    /// Instruction abort from user level.
    pub const INSTRUCTION_ABORT: u64 = 0x20;
    /// Data abort from user level.
    pub const DATA_ABORT: u64 = 0x24;
}

/// The interface shows 32 bits of the syndrome.
const SYNDROME: u64 = 0xffff_ffff;

/// Classifies an exception by its syndrome (ESR), the address that the processor reports (FAR), and the
/// instruction at which it happened.
pub const fn exception(syndrome: u64, address: u64, instruction: u64) -> Exception {
    let status = syndrome & SYNDROME;
    Exception::Fault(match syndrome >> 26 & 0x3f {
        class::FPU => return Exception::Fpu,
        class::INSTRUCTION_ABORT => Fault::VirtualMemory { address: instruction, is_fetch: true, status },
        class::DATA_ABORT => Fault::VirtualMemory { address, is_fetch: false, status },
        _ => user_exception(syndrome),
    })
}

/// The fault of an exception that has no fault of its own.
pub const fn user_exception(syndrome: u64) -> Fault {
    Fault::UserException { number: syndrome & SYNDROME, code: 0 }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn aborts_are_memory_faults() {
        let data = Fault::VirtualMemory { address: 0x1234, is_fetch: false, status: 0x9200_0046 };
        assert_eq!(exception(0x9200_0046, 0x1234, 0x40_0000), Exception::Fault(data));
        let fetch = Fault::VirtualMemory { address: 0x40_0000, is_fetch: true, status: 0x8200_0006 };
        assert_eq!(exception(0x8200_0006, 0x1234, 0x40_0000), Exception::Fault(fetch));
    }

    #[test]
    fn everything_else_is_a_user_exception() {
        let undefined = Fault::UserException { number: 0x0200_0000, code: 0 };
        assert_eq!(exception(0x0200_0000, 0, 0), Exception::Fault(undefined));
        assert_eq!(exception(0xffff_0000_f200_0001, 0, 0), Exception::Fault(user_exception(0xf200_0001)));
        assert_eq!(exception(0x1fe0_0000, 0, 0), Exception::Fpu);
    }
}
