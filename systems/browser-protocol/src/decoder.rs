// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a decoder may say to its tab. The tab believes none of it.

use keel::{error::Result, service::Payload};
use keel_browser_picture::Shape;

use crate::text::Text;

/// A message from a decoder, as far as it makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// There is a picture of this shape at the start of the output.
    Picture(Shape),
    /// The picture is of this shape, for which the output is too small.
    TooLarge(Shape),
    /// The file is broken; why.
    Broken(Text),
    /// A word that the decoder should not have: an attack succeeded.
    Loot(u64),
    /// What an attacker counted.
    Tally(Tally),
}

/// What an attacker counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// System calls tried, or messages sent.
    pub tried: u64,
    /// Those that were answered with an error.
    pub refused: u64,
    /// Those that gave something else than nothing or an error.
    pub succeeded: u64,
}

const PICTURE: u64 = 1;
const TOO_LARGE: u64 = 2;
const BROKEN: u64 = 3;
const LOOT: u64 = 4;
const TALLY: u64 = 5;

/// The first label that means nothing.
pub const FIRST_UNKNOWN: u64 = 6;

/// Label of the claim that there is a picture, for those who lie about it.
pub const CLAIM: u64 = PICTURE;
/// Label of a text, for those who lie about its length.
pub const EXCUSE: u64 = BROKEN;

impl Said {
    /// The message that says so: its label and content.
    pub fn encode(&self) -> Result<(u64, Payload)> {
        let shape = |shape: &Shape| {
            Payload::new()
                .with(shape.width().into())?
                .with(shape.height().into())?
                .with(shape.channels().into())
        };
        Ok(match self {
            Self::Picture(picture) => (PICTURE, shape(picture)?),
            Self::TooLarge(picture) => (TOO_LARGE, shape(picture)?),
            Self::Broken(text) => (BROKEN, Payload::new().with_bytes(text.as_str().as_bytes())?),
            Self::Loot(word) => (LOOT, Payload::new().with(*word)?),
            Self::Tally(tally) => {
                (TALLY, Payload::new().with(tally.tried)?.with(tally.refused)?.with(tally.succeeded)?)
            }
        })
    }

    /// What a message says; `None` if it makes no sense, too long or too short included.
    pub fn decode(label: u64, mut payload: Payload) -> Option<Self> {
        let mut said = None;
        if label == BROKEN {
            let mut room = [0; Text::MAX];
            said = Some(Self::Broken(Text::of_bytes(payload.take_bytes(&mut room).ok()?)));
        } else if label == LOOT {
            said = Some(Self::Loot(payload.take().ok()?));
        } else if [PICTURE, TOO_LARGE, TALLY].contains(&label) {
            let words = [payload.take().ok()?, payload.take().ok()?, payload.take().ok()?];
            said = Self::of_three(label, words);
        }
        said.filter(|_| payload.take().is_err())
    }

    fn of_three(label: u64, [first, second, third]: [u64; 3]) -> Option<Self> {
        match label {
            PICTURE => Shape::new(first, second, third).map(Self::Picture),
            TOO_LARGE => Shape::new(first, second, third).map(Self::TooLarge),
            _ => Some(Self::Tally(Tally { tried: first, refused: second, succeeded: third })),
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn again(said: &Said) -> Option<Said> {
        let (label, payload) = said.encode().unwrap();
        Said::decode(label, payload)
    }

    #[test]
    fn what_is_said_is_heard() {
        let shape = Shape::new(640, 480, 3).unwrap();
        for said in [
            Said::Picture(shape),
            Said::TooLarge(shape),
            Said::Broken(Text::of(&"the file ends too early")),
            Said::Loot(7),
            Said::Tally(Tally { tried: 1, refused: 2, succeeded: 3 }),
        ] {
            assert_eq!(again(&said), Some(said));
        }
    }

    #[test]
    fn nonsense_is_not_heard() {
        let words =
            |words: &[u64]| words.iter().fold(Payload::new(), |payload, &word| payload.with(word).unwrap());
        assert_eq!(Said::decode(PICTURE, words(&[0, 1, 3])), None);
        assert_eq!(Said::decode(PICTURE, words(&[1, 1])), None);
        assert_eq!(Said::decode(PICTURE, words(&[1, 1, 3, 0])), None);
        assert_eq!(Said::decode(TOO_LARGE, words(&[u64::MAX, u64::MAX, 3])), None);
        assert_eq!(Said::decode(BROKEN, words(&[u64::MAX])), None);
        assert_eq!(Said::decode(BROKEN, words(&[8])), None);
        for label in [0, FIRST_UNKNOWN, u64::MAX] {
            assert_eq!(Said::decode(label, words(&[1, 1, 3])), None);
        }
    }
}
