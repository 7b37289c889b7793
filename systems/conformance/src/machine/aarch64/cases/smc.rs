// SPDX-License-Identifier: MIT OR Apache-2.0

//! Secure monitor calls, where the firmware takes them (`invocations.md §10`).

use keel::cap::CPtr;
use keel_abi::{aarch64::label, slot};

use crate::{cases::Case, check::*, invoke::*, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![calls_check_in_order, badges_bound_the_function];

const SMC: CPtr = CPtr::new(slot::SMC);
/// PSCI_VERSION.
const VERSION: u64 = 0x8400_0000;

/// Skips the case where slot 15 is empty.
fn needs_smc(t: &mut Tester) -> Outcome {
    let spare = t.slot()?;
    let words = [spare.bits(), DEPTH, slot::SMC, DEPTH, ALL];
    let answer = call(CNODE, keel_abi::label::CNODE_COPY, &words, &[CNODE]);
    if answer.info.label() == 0 { Ok(()) } else { skip("there is no capability to call the firmware") }
}

/// `invocations.md §10`, SMCCall.
fn calls_check_in_order(t: &mut Tester) -> Outcome {
    needs_smc(t)?;
    refuses_label("ARMSMCUnknownLabel/IllegalOperation#1", label::PAGE_MAP, SMC)?;
    let badged = t.mint(SMC, ALL, VERSION + 1)?;
    refuses("ARMSMCCall/TruncatedMessage#1", badged, &[VERSION, 0, 0, 0, 0, 0, 0], &[], &[])?;
    refuses("ARMSMCCall/IllegalOperation#2", badged, &[VERSION, 0, 0, 0, 0, 0, 0, 0], &[], &[])?;
    accepts("ARMSMCCall", SMC, &[VERSION, 0, 0, 0, 0, 0, 0, 0], &[])?;
    Ok(())
}

/// `objects.md §3.3`.
fn badges_bound_the_function(t: &mut Tester) -> Outcome {
    needs_smc(t)?;
    let badged = t.mint(SMC, ALL, VERSION)?;
    accepts("ARMSMCCall", badged, &[VERSION, 0, 0, 0, 0, 0, 0, 0], &[])?;
    let slot = t.slot()?;
    let words = [slot.bits(), DEPTH, badged.bits(), DEPTH, ALL, VERSION];
    refuses("CNodeMint/IllegalOperation#8", CNODE, &words, &[CNODE], &[])
}
