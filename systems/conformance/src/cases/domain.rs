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
    time_of_others_is_not_charged,
    configuring_the_running_entry_counts_from_the_next_turn,
    a_thread_is_woken_across_domains,
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

/// Makes a schedule behind its entry 0 and starts it: so long in domain 1, so long in this one, again and again.
fn alternate(other_us: u64, own_us: u64) -> Outcome {
    if DOMAINS == 1 {
        return skip("this kernel has one domain");
    }
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[1, 1, ticks(other_us)], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[2, 0, ticks(own_us)], &[])?;
    accepts("DomainScheduleSetStart", DOMAIN_SET, &[1], &[])?;
    Ok(())
}

/// Puts the schedule back: domain 0 for as long as can be. The supervisor does so after each case, too, as one
/// that fails may have left its own.
pub fn restore() -> Outcome {
    if DOMAINS == 1 {
        return Ok(());
    }
    accepts("DomainScheduleSetStart", DOMAIN_SET, &[0], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[2, 0, 0], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[1, 0, 0], &[])?;
    Ok(())
}

/// `scheduling.md §7`: SetStart ends the current slot at once; only threads of the current domain run.
fn a_thread_of_another_domain_waits_for_it(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    accepts("DomainSetSet", DOMAIN_SET, &[DOMAINS - 1], &[puppet.tcb])?;
    if DOMAINS > 1 {
        accepts("DomainSetSet", DOMAIN_SET, &[1], &[puppet.tcb])?;
        puppet.start(Syscall::yield_now())?;
        t.sleep(1_000)?;
        puppet.busy()?;
    }
    let start = machine::ticks();
    alternate(2_000, 5_000)?;
    let away = us_of_ticks(machine::ticks() - start);
    restore()?;
    puppet.done()?;
    within("microseconds in the other domain", 1_950, 2_100, away)
}

/// `scheduling.md §7`: at an end marker the schedule begins at its start index.
fn the_schedule_goes_round(_: &mut Tester) -> Outcome {
    alternate(1_000, 3_000)?;
    // In 11 ms from here there are two slots of the other domain: this thread sees two gaps.
    let (start, mut last, mut gaps) = (machine::ticks(), machine::ticks(), 0);
    while last - start < ticks(10_500) {
        let now = machine::ticks();
        gaps += u64::from(now - last > ticks(900));
        last = now;
    }
    restore()?;
    same("gaps", 2, gaps)
}

/// `scheduling.md §7`: of threads in other domains no time is charged, and their budgets come back.
fn time_of_others_is_not_charged(t: &mut Tester) -> Outcome {
    let sc = t.own_sched_context();
    accepts("SchedContextConsumed", sc, &[], &[])?;
    alternate(5_000, 100_000)?;
    restore()?;
    let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    within("microseconds consumed, of 5000 in the other domain", 0, 200, used)
}

/// `scheduling.md §7`: "changes an entry without affecting the running slot".
fn configuring_the_running_entry_counts_from_the_next_turn(_: &mut Tester) -> Outcome {
    alternate(1_000, 4_000)?;
    let start = machine::ticks();
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[2, 0, ticks(500)], &[])?;
    accepts("DomainScheduleConfigure", DOMAIN_SET, &[1, 1, ticks(2_000)], &[])?;
    let (first, away) = gap();
    let at = us_of_ticks(first - start);
    restore()?;
    within("microseconds until the slot ended", 3_900, 4_050, at)?;
    within("microseconds in the other domain", 1_950, 2_100, us_of_ticks(away))
}

/// When the next slot of the other domain begins, and how long it is.
fn gap() -> (u64, u64) {
    let mut last = machine::ticks();
    // Bounded by the watchdog.
    loop {
        let now = machine::ticks();
        if now - last > ticks(400) {
            return (last, now - last);
        }
        last = now;
    }
}

/// `scheduling.md §1.1` 2: a thread woken from another domain runs when its own is current.
fn a_thread_is_woken_across_domains(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::wait(notification))?;
    accepts("DomainSetSet", DOMAIN_SET, &[DOMAINS.min(2) - 1], &[puppet.tcb])?;
    keel::sys::send(notification, Default::default(), [0; 4]);
    if DOMAINS > 1 {
        puppet.busy()?;
    }
    alternate(1_000, 5_000)?;
    restore()?;
    puppet.done()?.is_signal(0)
}

/// `scheduling.md §7`: new TCBs are in the creator's current domain: here by one of domain 1.
fn threads_inherit_the_current_domain(t: &mut Tester) -> Outcome {
    let (creator, slot) = (t.puppet(ABOVE)?, t.slot()?);
    let buffer = creator.buffer();
    buffer.set_caps(&[CNODE]);
    let words = [keel_abi::object::TCB, 0, 0, 0, slot.bits(), 1];
    buffer.set_word(4, words[4]);
    buffer.set_word(5, words[5]);
    accepts("DomainSetSet", DOMAIN_SET, &[DOMAINS.min(2) - 1], &[creator.tcb])?;
    creator.start(Syscall::call(t.block()).words(&words[..4]).info(label::UNTYPED_RETYPE, 1, 6))?;
    alternate(1_000, 20_000)?;
    let child = t.puppet(ABOVE)?;
    // The puppet's thread is of this domain; the creator's lends it nothing but its TCB.
    let caps = [AUTHORITY, child.sc, child.done];
    accepts("SchedContextUnbind", child.sc, &[], &[])?;
    accepts("TCBConfigure", slot, &[0, 0, 0], &[CNODE, VSPACE, NULL])?;
    accepts("TCBSetSchedParams", slot, &[0, ABOVE], &caps)?;
    let mut words = [0; 5];
    words[..3].copy_from_slice(&[1, 3, machine::nothing().start]);
    accepts("TCBWriteRegisters", slot, &words, &[])?;
    let early = keel::sys::nb_wait(child.done).info.label();
    alternate(1_000, 20_000)?;
    let late = keel::sys::nb_wait(child.done).info.label();
    restore()?;
    same("message info", 0, creator.done()?.info.word())?;
    same("fault before the domain's turn", 0, early)?;
    same("fault after it", keel_abi::fault::USER_EXCEPTION, late)
}
