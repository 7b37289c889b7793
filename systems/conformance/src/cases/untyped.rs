// SPDX-License-Identifier: MIT OR Apache-2.0

//! Untyped memory (`invocations.md §3`, `semantics.md §3`).

use super::{Case, cases};
use crate::{check::*, invoke::*, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![first];

/// `invocations.md §3.1`.
fn first(t: &mut Tester) -> Outcome {
    t.endpoint()?;
    same("x", 0, 0)?;
    refuses("UntypedRetype/TruncatedMessage#2", t.block(), &[0; 5], &[CNODE], &[])
}
