// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a hostile decoder is told to try.

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Load from the address where the vault keeps its passwords.
    ReadVault(u64),
    /// Load from the kernel's memory.
    ReadKernel,
    /// Write to the compressed bytes.
    WriteInput,
    /// Jump to an address where nothing is.
    Jump,
    /// Write instructions into the output and run them.
    RunOutput,
    /// Read a register of the kernel.
    Privileged,
    /// Try every capability slot with every system call.
    Guess,
    /// Spin for ever.
    Spin,
    /// Give up the processor for ever.
    Wait,
    /// Send without end.
    Flood,
    /// Send what makes no sense.
    Malformed,
}

impl Attack {
    /// Where nothing is: an address that no program of this system has.
    pub const NOWHERE: u64 = 0x6666_6666_6000;
    /// An address of the kernel: where it sees all memory.
    pub const KERNEL: u64 = 0xffff_ff80_4000_0000;

    /// As a program's argument.
    pub fn encode(self) -> [u8; 16] {
        let (number, address) = match self {
            Self::ReadVault(address) => (0, address),
            Self::ReadKernel => (1, 0),
            Self::WriteInput => (2, 0),
            Self::Jump => (3, 0),
            Self::RunOutput => (4, 0),
            Self::Privileged => (5, 0),
            Self::Guess => (6, 0),
            Self::Spin => (7, 0),
            Self::Wait => (8, 0),
            Self::Flood => (9, 0),
            Self::Malformed => (10, 0),
        };
        let mut argument = [0; 16];
        argument[0] = number;
        argument[8..].copy_from_slice(&u64::to_le_bytes(address));
        argument
    }

    /// The attack that an argument names.
    pub fn decode(argument: &[u8]) -> Option<Self> {
        let (&number, rest) = argument.split_first()?;
        let address = rest.get(7..15)?.try_into().map(u64::from_le_bytes).ok()?;
        Some(match number {
            0 => Self::ReadVault(address),
            1 => Self::ReadKernel,
            2 => Self::WriteInput,
            3 => Self::Jump,
            4 => Self::RunOutput,
            5 => Self::Privileged,
            6 => Self::Guess,
            7 => Self::Spin,
            8 => Self::Wait,
            9 => Self::Flood,
            10 => Self::Malformed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn an_attack_survives_the_argument() {
        for number in 0..=11 {
            let mut argument = [0; 16];
            argument[0] = number;
            let attack = Attack::decode(&argument);
            assert_eq!(attack.map(Attack::encode), (number < 11).then_some(argument));
        }
        let attack = Attack::ReadVault(0x1234_5678_9abc);
        assert_eq!(Attack::decode(&attack.encode()), Some(attack));
        assert_eq!(Attack::decode(b"\0"), None);
    }
}
