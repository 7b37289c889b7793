// SPDX-License-Identifier: MIT OR Apache-2.0

//! The slot lookup rule (`invocations.md §2`), which many invocations apply.

use keel::cap::{CNodeData, CPtr};

use crate::{
    check::Outcome,
    invoke::refuses_with,
    tester::{ALL, Tester},
};

/// A message to an object.
pub struct Request {
    cap: CPtr,
    words: [u64; 8],
    length: usize,
    caps: [CPtr; 2],
    extra_caps: usize,
}

impl Request {
    /// At most 8 words and 2 capabilities.
    pub fn new(cap: CPtr, words: &[u64], caps: &[CPtr]) -> Self {
        let mut request =
            Self { cap, words: [0; 8], length: words.len(), caps: [CPtr::NULL; 2], extra_caps: caps.len() };
        request.words[..words.len()].copy_from_slice(words);
        request.caps[..caps.len()].copy_from_slice(caps);
        request
    }
}

/// A lookup that an invocation makes in one of its steps.
#[derive(Clone, Copy)]
pub struct Lookup {
    /// The invocation.
    pub invocation: &'static str,
    /// The step, as it ends the rows' names: `#8`.
    pub step: &'static str,
    /// 0 for a target, 1 for a source.
    pub side: u64,
}

impl Lookup {
    /// Lets each check of the lookup fail, in order. `message` gives the invocation for a root, an index and
    /// a depth.
    pub fn fails(self, t: &mut Tester, message: impl Fn(CPtr, u64, u64) -> Request) -> Outcome {
        let endpoint = t.endpoint()?;
        // The root is checked before the depth.
        self.refuses("/FailedLookup.InvalidRoot", message(endpoint, 0, 65), &[self.side, 1])?;
        self.refuses("/FailedLookup.InvalidRoot", message(CPtr::NULL, 0, 12), &[self.side, 1])?;
        self.fails_below(t, message)
    }

    /// The same where the root is the object invoked.
    pub fn fails_below(self, t: &mut Tester, message: impl Fn(CPtr, u64, u64) -> Request) -> Outcome {
        let plain = t.cnode(4)?;
        let root = t.mint(plain, ALL, CNodeData::new(0b101, 3).word())?;
        let side = self.side;
        for depth in [65, u64::MAX, 1 << 32 | 7] {
            self.refuses("/RangeError", message(root, 0, depth), &[1, 64])?;
        }
        // Another guard; and one that is longer than what is left.
        self.refuses("/FailedLookup.GuardMismatch", message(root, 0b100_0000, 7), &[side, 4, 7, 5, 3])?;
        self.refuses("/FailedLookup.GuardMismatch", message(root, 0b10, 2), &[side, 4, 2, 5, 3])?;
        // A level longer than what is left. Bits above the depth do not count.
        self.refuses("/FailedLookup.DepthMismatch", message(root, 0xff00 | 0b10_1000, 6), &[side, 3, 6, 7])?;
        // The walk ends at what is no CNode, bits are left.
        self.refuses("/FailedLookup.LeftOver", message(root, 0b1_0100_0011, 9), &[side, 3, 2, 0])?;
        Ok(())
    }

    fn refuses(self, error: &str, request: Request, detail: &[u64]) -> Outcome {
        refuses_with(
            &[self.invocation, error, self.step],
            None,
            request.cap,
            &request.words[..request.length],
            &request.caps[..request.extra_caps],
            detail,
        )
    }
}
