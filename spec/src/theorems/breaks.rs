// SPDX-License-Identifier: MIT OR Apache-2.0

//! Ways to break the text of a step on purpose. Each breaks one place of it: a line of `authority/`.

use std::fmt;
use std::panic::Location;

/// Where in the text.
pub type Place = &'static Location<'static>;

/// What is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Break {
    /// A decision is yes without looking. What is found is any slot.
    Yes(Place),
    /// A decision is no without looking.
    No(Place),
    /// A write is forgotten.
    Forgotten(Place),
    /// Of rights and a mask, the rights.
    NotMasked(Place),
    /// Of rights and a mask, the mask.
    OnlyMask(Place),
}

impl Break {
    /// The place.
    pub const fn place(self) -> Place {
        match self {
            Self::Yes(place)
            | Self::No(place)
            | Self::Forgotten(place)
            | Self::NotMasked(place)
            | Self::OnlyMask(place) => place,
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Yes(_) => "yes to",
            Self::No(_) => "no to",
            Self::Forgotten(_) => "without",
            Self::NotMasked(_) => "not masked in",
            Self::OnlyMask(_) => "only the mask in",
        };
        write!(f, "{what} `{}`", text(self.place()))
    }
}

/// A break that changes nothing that matters.
pub struct Harmless {
    /// In these steps.
    pub steps: &'static [&'static str],
    /// The break.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
}

/// All of them. Of each it is proved that all theorems hold of the broken step, and of all others that some does not.
pub const HARMLESS: &[Harmless] = &[
    Harmless {
        steps: &["copy", "transfer"],
        what: "no to `decide(is(&[Kind::CNode]))`",
        why: "no guard is asked for, so the copy keeps that of the source",
    },
    Harmless {
        steps: &["transfer"],
        what: "not masked in `common_rights(&copy.rights, mask)`",
        why: "a message takes a capability along with all its rights",
    },
    Harmless {
        steps: &["transfer"],
        what: "no to `decide(is(&[Kind::Endpoint, Kind::Notification]))`",
        why: "the mask has all rights and no badge is asked for",
    },
    Harmless {
        steps: &["transfer"],
        what: "no to `decide(is(&[Kind::Reply]))`",
        why: "the mask has all rights",
    },
    Harmless {
        steps: &["move", "mutate", "collapse"],
        what: "no to `decide(x.not(self.is_empty(x, b)))`",
        why: "the target is empty",
    },
    Harmless {
        steps: &["swap"],
        what: "yes to `decide(x.not(self.is_empty(x, b)))`",
        why: "there is a capability in both",
    },
    Harmless {
        steps: &["collapse"],
        what: "yes to `decide(x.not(self.is_empty(x, b)))`",
        why: "what is left in the emptied slot names the dead object, and nobody asks who holds that",
    },
    Harmless {
        steps: &["collapse"],
        what: "no to `decide(one_of(x, &live, &[Kind::Reply]))`",
        why: "a zombie names no reply object",
    },
    Harmless {
        steps: &["delete", "collapse"],
        what: "yes to `decide(one_of(x, &live, &[Kind::Tcb]))`",
        why: "what is no thread awaits no answer",
    },
    Harmless {
        steps: &["delete", "collapse", "answer"],
        what: "yes to `decide(x.not(x.same_object(&caller, &x.no_object())))`",
        why: "if nobody waits, it is written once more that nobody does",
    },
];

/// Those of a step.
pub fn harmless(step: &str) -> impl Iterator<Item = &'static Harmless> {
    HARMLESS.iter().filter(move |harmless| harmless.steps.contains(&step))
}

/// The files of the steps.
const FILES: [(&str, &str); 5] = [
    ("authority.rs", include_str!("../authority.rs")),
    ("authority/delete.rs", include_str!("../authority/delete.rs")),
    ("authority/derive.rs", include_str!("../authority/derive.rs")),
    ("authority/memory.rs", include_str!("../authority/memory.rs")),
    ("authority/message.rs", include_str!("../authority/message.rs")),
];

/// What is written at a place, up to the end of the expression or of the line. Of a write, the line after it.
fn text(place: Place) -> &'static str {
    let file = FILES.iter().find(|(name, _)| place.file().ends_with(name));
    let mut lines = file.map(|(_, text)| text.lines()).into_iter().flatten().skip(place.line() as usize - 1);
    let text = lines.next().and_then(|line| line.get(place.column() as usize - 1..)).unwrap_or_default();
    if text.starts_with("writes()") {
        return lines.next().unwrap_or_default().trim();
    }
    let mut open = 0;
    let end = text.find(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        c == ')' && open <= 0
    });
    end.map_or(text, |end| &text[..=end])
}
