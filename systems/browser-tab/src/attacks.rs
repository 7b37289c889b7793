// SPDX-License-Identifier: MIT OR Apache-2.0

//! The attacks, what must become of each, and the proof that life goes on.

use keel::{arch::HAS_EXECUTE_NEVER, fault::Fault, prelude::*, println, rt::Ending};
use keel_browser_picture::Kind;
use keel_browser_protocol::{Attack, Said, Text, names};

use crate::{
    gallery::{Decoders, FIRST_ROOM, Picture, measure},
    job::{Damage, End, Job, Report},
    sandbox::Sandbox,
    table::Table,
    trouble::{Result, Trouble},
};

/// The pictures that ship with the tab.
static PNG: &[u8] = include_bytes!("../../browser/pictures/keel.png");
static JPEG: &[u8] = include_bytes!("../../browser/pictures/keel.jpg");

/// One row of the programme.
enum Act {
    /// The hostile decoder, doing this.
    Hostile(Attack),
    /// A good decoder, with a bad file.
    BadFile(Kind, Damage),
}

/// How an attack ended: whether it was contained, and by what.
type Verdict = (bool, Text);

/// All that the attacks need.
pub struct Attacks {
    vault: u64,
    hostile: &'static [u8],
    decoders: Decoders,
    /// What the two pictures decode to.
    good: [(Kind, Picture); 2],
}

impl Attacks {
    /// Decodes the pictures that must go on decoding.
    pub fn new(startup: &'static Startup, sandbox: &mut Sandbox, vault: u64) -> Result<Self> {
        let hostile = startup.bytes(names::HOSTILE).ok_or(Error::Missing(names::HOSTILE))?;
        let decoders = Decoders::new(startup)?;
        let mut good = |kind| {
            let picture = decode(sandbox, &decoders, kind, Damage::None)?.1;
            picture
                .map(|picture| (kind, picture))
                .ok_or_else(|| Trouble::new("a picture of ours does not decode", kind))
        };
        let good = [good(Kind::Png)?, good(Kind::Jpeg)?];
        Ok(Self { vault, hostile, decoders, good })
    }

    fn programme(&self) -> [(&'static str, Act); 16] {
        use Act::{BadFile, Hostile};
        use Damage::{Cut, Flip};
        [
            ("reads the vault's memory", Hostile(Attack::ReadVault(self.vault))),
            ("reads the kernel's memory", Hostile(Attack::ReadKernel)),
            ("writes to its read-only input", Hostile(Attack::WriteInput)),
            ("jumps to a wild address", Hostile(Attack::Jump)),
            ("runs instructions it wrote to its output", Hostile(Attack::RunOutput)),
            ("reads a register of the kernel", Hostile(Attack::Privileged)),
            ("tries all capabilities, all system calls", Hostile(Attack::Guess)),
            ("spins for ever", Hostile(Attack::Spin)),
            ("waits for ever", Hostile(Attack::Wait)),
            ("floods its endpoint", Hostile(Attack::Flood)),
            ("sends malformed messages", Hostile(Attack::Malformed)),
            ("decodes a truncated PNG", BadFile(Kind::Png, Cut(2))),
            ("decodes a corrupted PNG", BadFile(Kind::Png, Flip(997))),
            ("decodes a truncated JPEG", BadFile(Kind::Jpeg, Cut(2))),
            ("decodes a corrupted JPEG", BadFile(Kind::Jpeg, Flip(997))),
            ("decodes a JPEG with hardly a right byte", BadFile(Kind::Jpeg, Flip(3))),
        ]
    }

    /// Lets all of them loose, one at a time.
    pub fn run(&self, sandbox: &mut Sandbox, table: &mut Table) -> Result {
        for (number, (what, act)) in self.programme().into_iter().enumerate() {
            let (report, verdict) = match act {
                Act::Hostile(attack) => self.unleash(sandbox, attack)?,
                Act::BadFile(kind, damage) => self.spoil(sandbox, kind, damage)?,
            };
            let (held, how) = verdict;
            let recovered = self.recover(sandbox, number)?;
            let contained = held && report.memory_back && report.capabilities == 1 && recovered;
            println!("attack {:>2}: {what}: {how}", number + 1);
            if !contained {
                println!("           NOT CONTAINED; recovered: {recovered}; {report:?}");
            }
            table.attack(what, how, contained);
        }
        Ok(())
    }

    fn unleash(&self, sandbox: &mut Sandbox, attack: Attack) -> Result<(Report, Verdict)> {
        let argument = attack.encode();
        let job = Job {
            program: self.hostile,
            argument: &argument,
            file: PNG,
            damage: Damage::None,
            room: FIRST_ROOM,
            patient: attack == Attack::Guess,
        };
        let (report, ()) = sandbox.run(&job, |_, _| ())?;
        let verdict = judge(attack, &report);
        Ok((report, verdict))
    }

    fn spoil(&self, sandbox: &mut Sandbox, kind: Kind, damage: Damage) -> Result<(Report, Verdict)> {
        let (report, picture) = decode(sandbox, &self.decoders, kind, damage)?;
        let verdict = match (&report.end, picture) {
            (End::Said(Said::Broken(why)), _) => (true, Text::of(&format_args!("error reported: {why}"))),
            (_, Some(picture)) => {
                let how = format_args!("other pixels, no harm: CRC-32 {:08x}", picture.checksum);
                (picture != self.good(kind), Text::of(&how))
            }
            (End::Ended(Ending::Panic(why)), _) => (true, Text::of(&format_args!("decoder panicked: {why}"))),
            (End::OutOfTime, _) => out_of_time(&report),
            (end, _) => (false, Text::of(&format_args!("{end:?}"))),
        };
        Ok((report, verdict))
    }

    fn good(&self, kind: Kind) -> Picture {
        self.good[usize::from(kind == Kind::Jpeg)].1
    }

    /// A new decoder in the same place decodes a picture to the same pixels as ever; the two kinds take
    /// turns.
    fn recover(&self, sandbox: &mut Sandbox, number: usize) -> Result<bool> {
        let (kind, picture) = self.good[number % 2];
        let (report, again) = decode(sandbox, &self.decoders, kind, Damage::None)?;
        Ok(again == Some(picture) && report.memory_back)
    }
}

/// Lets a good decoder work on a picture of ours.
fn decode(
    sandbox: &mut Sandbox,
    decoders: &Decoders,
    kind: Kind,
    damage: Damage,
) -> Result<(Report, Option<Picture>)> {
    let file = match kind {
        Kind::Png => PNG,
        Kind::Jpeg => JPEG,
    };
    let job =
        Job { program: decoders.of(kind), argument: &[], file, damage, room: FIRST_ROOM, patient: false };
    let (report, picture) = sandbox.run(&job, |report, pixels| match report.end {
        End::Said(Said::Picture(shape)) => measure(shape, pixels).map(Some),
        _ => Ok(None),
    })?;
    Ok((report, picture?))
}

/// Whether an attack ended as it must.
fn judge(attack: Attack, report: &Report) -> Verdict {
    match (attack, &report.end) {
        (_, End::Said(Said::Loot(word))) => (false, Text::of(&format_args!("it got at {word:#x}"))),
        (Attack::ReadVault(target), End::Fault(fault)) => access(fault, target, false),
        (Attack::ReadKernel, End::Fault(fault)) => access(fault, Attack::KERNEL, false),
        (Attack::Jump, End::Fault(fault)) => access(fault, Attack::NOWHERE, true),
        (Attack::WriteInput, End::Fault(fault @ Fault::Vm { address, .. })) => access(fault, *address, false),
        (Attack::RunOutput, End::Fault(fault @ Fault::Vm { address, .. })) => access(fault, *address, true),
        // They run as what they are: instructions of this program, which faulted like any of its own.
        (Attack::RunOutput, End::Fault(fault @ Fault::UserException { .. })) if !HAS_EXECUTE_NEVER => {
            (true, Text::of(&format_args!("all memory runs on this machine; fault caught: {fault}")))
        }
        (Attack::Privileged, End::Fault(fault @ Fault::UserException { .. })) => {
            (true, Text::of(&format_args!("fault caught: {fault}")))
        }
        (Attack::Guess, End::Ended(Ending::Exit(0))) => guesses(report),
        (Attack::Malformed, End::Ended(Ending::Exit(0))) => malformed(report),
        (Attack::Spin, End::OutOfTime) => out_of_time(report),
        (Attack::Wait, End::Late) => {
            let how = format_args!("cut off by the watch after {} ticks of 10 ms", report.ticks);
            (report.ticks > 0, Text::of(&how))
        }
        (Attack::Flood, End::Noisy) => {
            let how = format_args!("cut off after {} messages, all refused", report.nonsense);
            (report.messages == report.nonsense, Text::of(&how))
        }
        (_, end) => (false, Text::of(&format_args!("{end:?}"))),
    }
}

/// A fault of memory: it must be the one at this address, and of this kind.
fn access(fault: &Fault, expected: u64, fetching: bool) -> Verdict {
    let how = Text::of(&format_args!("fault caught: {fault}"));
    let is_that =
        matches!(*fault, Fault::Vm { address, fetch, .. } if address == expected && fetch == fetching);
    (is_that, how)
}

fn out_of_time(report: &Report) -> Verdict {
    let how = format_args!(
        "budget ran out {} times; ended after {} ms of processor time",
        report.timeouts,
        report.used_us / 1000
    );
    (report.timeouts > 0, Text::of(&how))
}

/// All guesses are wrong: the calls are refused or fault, and at the end the CSpace holds what it held.
fn guesses(report: &Report) -> Verdict {
    let Some(tally) = report.tally else { return (false, Text::of(&"no tally")) };
    let how = format_args!(
        "{} system calls: {} faults, {} errors, {} messages to the tab, {} found",
        tally.tried, report.faults, tally.refused, report.nonsense, tally.succeeded
    );
    let held = tally.succeeded == 0 && report.faults > 0 && tally.refused > 0;
    (held && report.messages == report.nonsense + 1, Text::of(&how))
}

/// Nothing that makes no sense was taken for anything.
fn malformed(report: &Report) -> Verdict {
    let Some(tally) = report.tally else { return (false, Text::of(&"no tally")) };
    let how = format_args!("{} messages, {} refused", tally.tried, report.nonsense);
    let held = tally.tried > 0 && tally.tried == report.nonsense && tally.refused == tally.tried;
    (held, Text::of(&how))
}
