// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the root task tells a tab when it starts.

/// A tab's argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Draw in letters instead of colours.
    pub grey: bool,
    /// Where the vault keeps its passwords, for the attacker to try.
    pub vault_address: u64,
}

impl Orders {
    /// As a program's argument.
    pub fn encode(self) -> [u8; 9] {
        let mut argument = [0; 9];
        argument[0] = self.grey.into();
        argument[1..].copy_from_slice(&self.vault_address.to_le_bytes());
        argument
    }

    /// Reads an argument; one that is not right means none of it.
    pub fn decode(argument: &[u8]) -> Self {
        match argument {
            [grey, address @ ..] => match address.try_into() {
                Ok(address) => Self { grey: *grey != 0, vault_address: u64::from_le_bytes(address) },
                Err(_) => Self::default(),
            },
            [] => Self::default(),
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn orders_survive_the_argument() {
        let orders = Orders { grey: true, vault_address: 0x1234_5678 };
        assert_eq!(Orders::decode(&orders.encode()), orders);
        assert_eq!(Orders::decode(b"x"), Orders::default());
    }
}
