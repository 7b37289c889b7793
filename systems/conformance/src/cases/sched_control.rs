// SPDX-License-Identifier: MIT OR Apache-2.0

//! Configuring scheduling contexts (`invocations.md §6`, `scheduling.md §2`).

use keel::cap::Blueprint;
use keel_abi::{label, timing::MIN_BUDGET_US};

use super::Case;
use crate::{check::*, invoke::*, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    checks_in_order,
    the_smallest_and_largest_times,
    extra_refills_are_bounded_by_the_size,
    a_copy_has_the_same_power,
];

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    for label in [0, label::SCHED_CONTROL_CONFIGURE_FLAGS + 1, label::SCHED_CONTEXT_BIND] {
        refuses_label("SchedControlUnknownLabel/IllegalOperation#1", label, t.sched_control())?;
    }
    Ok(())
}

/// The range that the kernel names for times.
fn range(t: &Tester) -> Outcome<[u64; 2]> {
    let words = [0, 0, 0, 0, 0];
    let answer = call(t.sched_control(), label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[CNODE]);
    same("least time", MIN_BUDGET_US, answer.word(0))?;
    Ok([answer.word(0), answer.word(1)])
}

/// `invocations.md §6`, ConfigureFlags.
fn checks_in_order(t: &mut Tester) -> Outcome {
    let (control, sc) = (t.sched_control(), t.sched_context()?);
    let [least, most] = range(t)?;
    let full = |budget, period| [budget, period, 99, 0, 0];
    refuses("SchedControlConfigureFlags/TruncatedMessage#1", control, &[0, 0], &[], &[])?;
    let short = &full(0, 0)[..4];
    refuses("SchedControlConfigureFlags/TruncatedMessage#2", control, short, &[CNODE], &[])?;
    let refuse = |row, words: [u64; 5], detail: [u64; 2]| refuses(row, control, &words, &[CNODE], &detail);
    let times = [least, most];
    refuse("SchedControlConfigureFlags/RangeError#3", full(most + 1, most + 1), times)?;
    refuse("SchedControlConfigureFlags/RangeError#3", full(u64::MAX, 0), times)?;
    refuse("SchedControlConfigureFlags/RangeError#4", full(0, most + 1), times)?;
    refuse("SchedControlConfigureFlags/RangeError#5", full(0, 0), times)?;
    refuse("SchedControlConfigureFlags/RangeError#5", full(least - 1, 0), times)?;
    refuse("SchedControlConfigureFlags/RangeError#6", full(least, 0), times)?;
    refuse("SchedControlConfigureFlags/RangeError#6", full(100, least - 1), times)?;
    refuse("SchedControlConfigureFlags/RangeError#7", full(101, 100), [least, 100])?;
    for wrong in [CNODE, NULL] {
        let row = "SchedControlConfigureFlags/InvalidCapability#8";
        refuses(row, control, &full(100, 100), &[wrong], &[1])?;
    }
    let row = "SchedControlConfigureFlags/RangeError#9";
    refuses(row, control, &full(100, 200), &[sc], &[0, 0])?;
    refuses(row, control, &full(100, 100), &[sc], &[0, 0])
}

/// `scheduling.md §2`: 20 µs succeed; so does the maximum.
fn the_smallest_and_largest_times(t: &mut Tester) -> Outcome {
    let sc = t.sched_context()?;
    let [least, most] = range(t)?;
    holds("more than a day at most", most > 86_400_000_000)?;
    for (budget, period) in [(least, least), (least, least + 1), (least, most), (most, most), (most - 1, most)] {
        t.configure(sc, [budget, period, 0, u64::MAX, 1])?;
    }
    Ok(())
}

/// `objects.md §6`: (2^b − 128) / 16 extra refills.
fn extra_refills_are_bounded_by_the_size(t: &mut Tester) -> Outcome {
    for (bits, extra) in [(7, 0), (8, 8), (9, 24), (10, 56), (12, 248)] {
        let sc = t.make(Blueprint::SchedContext { bits })?;
        t.configure(sc, [100, 200, extra, 0, 0])?;
        let words = [100, 200, extra + 1, 0, 0];
        let row = "SchedControlConfigureFlags/RangeError#9";
        refuses(row, t.sched_control(), &words, &[sc], &[0, extra])?;
        let words = [100, 200, u64::MAX, 0, 0];
        refuses(row, t.sched_control(), &words, &[sc], &[0, extra])?;
    }
    Ok(())
}

/// `semantics.md §1`: SchedControl is derived like any other.
fn a_copy_has_the_same_power(t: &mut Tester) -> Outcome {
    let (copy, sc) = (t.copy(t.sched_control(), 0)?, t.sched_context()?);
    accepts("SchedControlConfigureFlags", copy, &[100, 200, 0, 0, 0], &[sc])?;
    Ok(())
}
