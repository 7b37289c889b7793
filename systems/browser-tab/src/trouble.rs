// SPDX-License-Identifier: MIT OR Apache-2.0

//! Why the tab gives up.

use core::fmt::Display;

use keel::println;
use keel_browser_protocol::Text;

/// What went wrong, in a few words that fit into an ending; and why, for the console.
#[derive(Clone, Debug)]
pub struct Trouble {
    what: &'static str,
    why: Text,
}

/// What the tab's functions return.
pub type Result<T = ()> = core::result::Result<T, Trouble>;

impl Trouble {
    /// This, because of that.
    pub fn new(what: &'static str, why: impl Display) -> Self {
        Self { what, why: Text::of(&why) }
    }

    /// Tells the user why; gives what.
    pub fn tell(self) -> &'static str {
        println!("tab: {}: {}", self.what, self.why);
        self.what
    }
}

impl From<keel::Error> for Trouble {
    fn from(error: keel::Error) -> Self {
        Self::new("the tab cannot go on", error)
    }
}
