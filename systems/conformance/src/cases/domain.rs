// SPDX-License-Identifier: MIT OR Apache-2.0

//! Domains and their schedule (`invocations.md §8`, `scheduling.md §7`).

use keel_abi::{
    label,
    timing::{DOMAIN_SCHEDULE_ENTRIES as ENTRIES, DOMAINS, MAX_DOMAIN_DURATION_TICKS as LONGEST},
};

use super::Case;
use crate::{check::*, invoke::*, machine, puppet::Syscall, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    set_checks_in_order,
    configure_checks_in_order,
    set_start_checks_in_order,
    a_thread_of_another_domain_waits_for_it,
    the_schedule_goes_round,
    threads_inherit_the_current_domain,
];

/// `invocations.md §2`.
fn unknown_labels(_: &mut Tester) -> Outcome {
    for label in [0, label::DOMAIN_SET_SET - 1, label::DOMAIN_SCHEDULE_SET_START + 1] {
        refuses_label("DomainSetUnknownLabel/IllegalOperation#1", label, DOMAIN_SET)?;
    }
    Ok(())
}

/// `invocations.md §8`, Set.
fn set_checks_in_order(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    refuses("DomainSetSet/TruncatedMessage#1", DOMAIN_SET, &[], &[tcb], &[])?;
    for domain in [DOMAINS, u64::MAX, 1 << 32] {
        refuses("DomainSetSet/InvalidArgument#2", DOMAIN_SET, &[domain], &[], &[0])?;
    }
    refuses("DomainSetSet/TruncatedMessage#3", DOMAIN_SET, &[0], &[], &[])?;
    for wrong in [NULL, CNODE] {
        refuses("DomainSetSet/InvalidArgument#4", DOMAIN_SET, &[0], &[wrong], &[1])?;
    }
    accepts("DomainSetSet", DOMAIN_SET, &[DOMAINS - 1], &[tcb])?;
    Ok(())
}

/// `invocations.md §8`, ScheduleConfigure.
fn configure_checks_in_order(_: &mut Tester) -> Outcome {
    let refuse = |row, words: &[u64], detail: &[u64]| refuses(row, DOMAIN_SET, words, &[], detail);
    let (domain, duration) = (DOMAINS, LONGEST + 1);
    refuse("DomainScheduleConfigure/TruncatedMessage#1", &[ENTRIES, domain], &[])?;
    for index in [ENTRIES - 1, ENTRIES, u64::MAX] {
        refuse("DomainScheduleConfigure/RangeError#2", &[index, domain, duration], &[0, ENTRIES - 2])?;
    }
    for domain in [DOMAINS, u64::MAX] {
        refuse("DomainScheduleConfigure/RangeError#3", &[0, domain, duration], &[0, DOMAINS - 1])?;
    }
    for duration in [LONGEST + 1, u64::MAX] {
        refuse("DomainScheduleConfigure/InvalidArgument#4", &[0, DOMAINS - 1, duration], &[2])?;
    }
    if DOMAINS > 1 {
        refuse("DomainScheduleConfigure/InvalidArgument#5", &[0, 1, 0], &[1])?;
    }
    refuse("DomainScheduleConfigure/InvalidArgument#6", &[0, 0, 0], &[2])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[0, 0, LONGEST], &[])?;
    if ENTRIES > 2 {
        accepts("DomainScheduleConfigure", DOMAIN_SET, &[ENTRIES - 2, DOMAINS - 1, 1], &[])?;
        accepts("DomainScheduleConfigure", DOMAIN_SET, &[ENTRIES - 2, 0, 0], &[])?;
    }
    Ok(())
}

/// `invocations.md §8`, ScheduleSetStart.
fn set_start_checks_in_order(_: &mut Tester) -> Outcome {
    let refuse = |row, words: &[u64], detail: &[u64]| refuses(row, DOMAIN_SET, words, &[], detail);
    refuse("DomainScheduleSetStart/TruncatedMessage#1", &[], &[])?;
    for index in [ENTRIES, u64::MAX] {
        refuse("DomainScheduleSetStart/RangeError#2", &[index], &[0, ENTRIES - 1])?;
    }
    for index in [1, ENTRIES - 1] {
        refuse("DomainScheduleSetStart/InvalidArgument#3", &[index], &[0])?;
    }
    accepts("DomainScheduleSetStart", DOMAIN_SET, &[0], &[])?;
    Ok(())
}

/// Ticks of so many microseconds.
fn ticks(us: u64) -> u64 {
    us * machine::ticks_per_second() / 1_000_000
}

/// Puts the schedule back: domain 0 for as long as can be.
fn restore() -> Outcome {
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[0, 0, LONGEST], &[])?;
    accepts("DomainScheduleSetStart", DOMAIN_SET, &[0], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[1, 0, 0], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[2, 0, 0], &[])?;
    Ok(())
}

fn needs_domains() -> Outcome {
    if DOMAINS > 1 { Ok(()) } else { skip("this kernel has one domain") }
}

/// `scheduling.md §7`: only threads of the current domain run.
fn a_thread_of_another_domain_waits_for_it(t: &mut Tester) -> Outcome {
    needs_domains()?;
    let puppet = t.puppet(ABOVE)?;
    accepts("DomainSetSet", DOMAIN_SET, &[1], &[puppet.tcb])?;
    puppet.start(Syscall::yield_now())?;
    t.sleep(1_000)?;
    puppet.busy()?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[1, 1, ticks(2_000)], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[2, 0, LONGEST], &[])?;
    let start = machine::ticks();
    // The other domain's slot runs, and when it ends this one's.
    accepts("DomainScheduleSetStart", DOMAIN_SET, &[1], &[])?;
    let away = us_of_ticks(machine::ticks() - start);
    let result = puppet.done();
    restore()?;
    result?;
    within("microseconds in the other domain", 1_950, 2_100, away)
}

/// `scheduling.md §7`: at an end marker the schedule begins at its start index.
fn the_schedule_goes_round(_: &mut Tester) -> Outcome {
    needs_domains()?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[1, 1, ticks(1_000)], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[0, 0, ticks(3_000)], &[])?;
    accepts("DomainScheduleSetStart", DOMAIN_SET, &[0], &[])?;
    // In 12 ms there are three slots of the other domain: this thread sees three gaps.
    let (start, mut last, mut gaps) = (machine::ticks(), machine::ticks(), 0);
    while last - start < ticks(12_000) {
        let now = machine::ticks();
        gaps += u64::from(now - last > ticks(900));
        last = now;
    }
    restore()?;
    same("gaps", 3, gaps)
}

/// `scheduling.md §7`: new TCBs are in the creator's current domain.
fn threads_inherit_the_current_domain(t: &mut Tester) -> Outcome {
    // This case runs in domain 0, so its puppets do.
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::yield_now())?;
    Ok(())
}
