// SPDX-License-Identifier: MIT OR Apache-2.0

//! The system tests: systems that are booted in QEMU and whose consoles are judged.
//!
//! A test is a row of the table. It counts as one, except where its system reports its cases one by one, in
//! lines `case NAME ok`, `case NAME failed: …` and `case NAME skipped: …`: there each case counts.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo::Cargo;
use crate::guest::{self, Console, End, Limits, Typing};
use crate::machine::{Arch, KernelProfile};
use crate::qemu::Boot;
use crate::system::{self, Luggage};
use crate::test::Tally;
use crate::{console, image, options};

/// One system test.
#[derive(Debug)]
pub(crate) struct SystemTest {
    /// Its name, for filters and results.
    name: &'static str,
    /// The system that it boots.
    system: &'static str,
    /// The kernel that it boots on.
    kernel: KernelProfile,
    /// Build options, as on the command line.
    options: &'static [&'static str],
    /// The system's input, as a path in the workspace.
    input: Option<&'static str>,
    /// Whether the console shows no colours.
    grey: bool,
    /// The one architecture that it is about, if there is one.
    only: Option<Arch>,
    /// More of QEMU's arguments, for another machine than the usual one.
    machine: &'static [&'static str],
    /// What is typed at its console.
    types: Option<Typing<'static>>,
    /// Whether instructions are counted.
    icount: bool,
    /// How long it may take.
    timeout: Duration,
    /// How the line begins that ends the run.
    ends_with: &'static str,
    /// Texts that must stand on the console.
    shows: &'static [&'static str],
    /// Whether the system reports its cases one by one.
    has_cases: bool,
}

const PLAIN: SystemTest = SystemTest {
    name: "",
    system: "",
    kernel: KernelProfile::Debug,
    options: &[],
    input: None,
    grey: false,
    only: None,
    machine: &[],
    types: None,
    icount: false,
    timeout: Duration::from_secs(60),
    ends_with: "keel: success",
    shows: &[],
    has_cases: false,
};

const HELLO: SystemTest =
    SystemTest { name: "hello", system: "hello", shows: &["Hello from user level"], ..PLAIN };

const PROCESSES: SystemTest = SystemTest { name: "processes", system: "processes", has_cases: true, ..PLAIN };

const BROWSER: SystemTest =
    SystemTest { name: "browser", system: "browser", timeout: Duration::from_secs(240), ..PLAIN };

static TESTS: &[SystemTest] = &[
    HELLO,
    SystemTest { name: "hello-release", kernel: KernelProfile::Release, ..HELLO },
    SystemTest { name: "hello-icount", icount: true, ..HELLO },
    SystemTest { name: "hello-domains", options: &["domains=16"], ..HELLO },
    // More than a receive FIFO holds.
    SystemTest {
        name: "echo",
        system: "echo",
        types: Some(Typing {
            after: "Type a line.",
            text: "the quick brown fox jumps over the lazy dog, 0123456789\r",
        }),
        shows: &["You typed `the quick brown fox jumps over the lazy dog, 0123456789`."],
        ..PLAIN
    },
    PROCESSES,
    SystemTest { name: "processes-release", kernel: KernelProfile::Release, ..PROCESSES },
    SystemTest { name: "processes-icount", icount: true, ..PROCESSES },
    // Without a timer of the processor's own the kernel asks firmware.
    SystemTest {
        name: "processes-firmware-timer",
        only: Some(Arch::Riscv64),
        machine: &["-cpu", "rv64,sstc=off"],
        ..PROCESSES
    },
    CONFORMANCE,
    SystemTest { name: "conformance-release", kernel: KernelProfile::Release, ..CONFORMANCE },
    SystemTest { name: "conformance-domains", options: &["domains=16"], ..CONFORMANCE },
    SystemTest { name: "conformance-hardware-debug", options: &["hardware-debug=on"], ..CONFORMANCE },
    // With EL2 the firmware is called by smc.
    SystemTest {
        name: "conformance-smc",
        options: &["smc=on"],
        only: Some(Arch::Aarch64),
        machine: &["-machine", "virtualization=on"],
        ..CONFORMANCE
    },
    SystemTest {
        name: "fuzz",
        system: "fuzz",
        icount: true,
        timeout: Duration::from_secs(300),
        shows: &["calls with seed"],
        ..PLAIN
    },
    SystemTest {
        name: "browser",
        shows: &[
            "picture: PNG, 480 x 320, 3 channels, CRC-32 7f3a7db2",
            "fault caught: memory fault",
            "budget ran out",
            "16 of 16 attacks contained",
            "the tab's memory is free again, to the byte, and was made into something else: yes",
        ],
        ..BROWSER
    },
    SystemTest {
        name: "browser-release",
        kernel: KernelProfile::Release,
        input: Some("systems/browser/pictures/keel.jpg"),
        grey: true,
        shows: &["picture: JPEG, 480 x 320, 3 channels, CRC-32 9049e40a", "16 of 16 attacks contained"],
        ..BROWSER
    },
    SystemTest {
        name: "browser-progressive",
        input: Some("systems/browser/pictures/progressive.jpg"),
        shows: &["picture: JPEG, 240 x 160, 3 channels, CRC-32 078b8e36", "16 of 16 attacks contained"],
        icount: true,
        ..BROWSER
    },
    SystemTest {
        name: "browser-large",
        input: Some("systems/browser/pictures/large.png"),
        grey: true,
        shows: &["picture: PNG, 2000 x 1500, 1 channel, CRC-32 20a0576c", "16 of 16 attacks contained"],
        ..BROWSER
    },
    SystemTest {
        name: "browser-broken-png",
        input: Some("systems/browser/pictures/truncated.png"),
        ends_with: "keel: failure: the picture is broken",
        ..BROWSER
    },
    SystemTest {
        name: "browser-broken-jpeg",
        input: Some("systems/browser/pictures/truncated.jpg"),
        ends_with: "keel: failure: the picture is broken",
        ..BROWSER
    },
    SystemTest {
        name: "browser-huge",
        input: Some("systems/browser/pictures/huge.png"),
        ends_with: "keel: failure: the picture is too large",
        shows: &["9000 x 9000, 1 channel: 78 MiB of pixels, and 64 MiB are the most"],
        ..BROWSER
    },
    SystemTest {
        name: "browser-other-kind",
        input: Some("systems/browser/pictures/text.txt"),
        ends_with: "keel: failure: the file is neither a PNG nor a JPEG picture",
        ..BROWSER
    },
];

const CONFORMANCE: SystemTest = SystemTest {
    name: "conformance",
    system: "conformance",
    icount: true,
    timeout: Duration::from_secs(400),
    has_cases: true,
    ..PLAIN
};

/// Which tests to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    /// Only those with this text in their names; with a case, only the one of this name.
    pub(crate) filter: Option<&'a str>,
    /// Only this case, of those that have cases.
    pub(crate) case: Option<&'a str>,
}

/// The chosen rows of the table.
pub(crate) fn choose(choice: Choice<'_>, arches: &[Arch]) -> Vec<&'static SystemTest> {
    let is_meant = |name: &str, filter: &str| match choice.case {
        Some(_) => name == filter,
        None => name.contains(filter),
    };
    let is_chosen = |test: &&SystemTest| {
        choice.filter.is_none_or(|filter| is_meant(test.name, filter))
            && (choice.case.is_none() || test.has_cases)
            && arches.iter().any(|&arch| test.runs_on(arch))
    };
    TESTS.iter().filter(is_chosen).collect()
}

impl SystemTest {
    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it can be run on an architecture.
    pub(crate) fn runs_on(&self, arch: Arch) -> bool {
        let is_meant = self.only.is_none_or(|only| only == arch);
        is_meant && system::find(self.system).is_ok_and(|system| system.runs_on(arch))
    }

    /// Runs the test and prints its result; what went wrong before it could run is a failure too.
    pub(crate) fn run(&self, cargo: &Cargo<'_>, case: Option<&str>) -> Tally {
        println!("\nsystem test {} on {}", self.name, cargo.machine.name);
        let start = Instant::now();
        let mut console = Vec::new();
        let judgement = match self.boot(cargo, case, &mut console) {
            Ok(end) => self.judge(&end, &console),
            Err(error) => Judgement::failure(format!("{error:#}")),
        };
        judgement.print(self.name, &console, start.elapsed());
        judgement.tally
    }

    fn boot(&self, cargo: &Cargo<'_>, case: Option<&str>, console: &mut Vec<u8>) -> Result<End> {
        let more = self.options.iter().map(|text| options::parse(text).map_err(anyhow::Error::msg));
        let system = system::find(self.system)?;
        let settings = system.settings(cargo.settings)?.with(more.collect::<Result<Vec<_>>>()?);
        let cargo = Cargo { settings: &settings, ..*cargo };
        let image = image::build(&cargo, self.kernel)?;
        let input = self.input.map(|path| cargo.workspace.root().join(path));
        let luggage = Luggage { input: input.as_deref(), case, grey: self.grey };
        let built = system.build(&cargo, luggage)?;
        let boot = self.on_machine(&cargo, &image.image, &built.root_task);
        let limits = Limits { timeout: Some(self.timeout), ..Limits::default() };
        guest::run(boot.command(), Console::Captured(self.types), limits, console)
            .context("cannot run the test")
    }

    fn on_machine<'a>(&self, cargo: &Cargo<'a>, image: &'a Path, root_task: &'a Path) -> Boot<'a> {
        Boot {
            machine: cargo.machine,
            image,
            root_task,
            memory: None,
            more: self.machine,
            icount: self.icount,
            gdb: false,
        }
    }

    /// Holds what happened against what should have.
    fn judge(&self, end: &End, console: &[u8]) -> Judgement {
        let lines = console::lines(console);
        let mut problems = Vec::new();
        match end {
            End::Decided(verdict) if verdict.text().starts_with(self.ends_with) => {}
            _ => problems.push(end.reason()),
        }
        let missing = self.shows.iter().filter(|text| !lines.iter().any(|line| line.contains(**text)));
        problems.extend(missing.map(|text| format!("the console does not show `{text}`")));
        if self.has_cases { judge_cases(&lines, problems) } else { Judgement::of_one(problems) }
    }
}

/// The result of a test.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judgement {
    tally: Tally,
    problems: Vec<String>,
    /// Cases that did not run, with their reasons.
    skipped: Vec<String>,
}

impl Judgement {
    fn of_one(problems: Vec<String>) -> Self {
        let failed = u64::from(!problems.is_empty());
        Judgement { tally: Tally { passed: 1 - failed, failed }, problems, skipped: Vec::new() }
    }

    fn failure(problem: String) -> Self {
        Self::of_one(vec![problem])
    }

    fn print(&self, name: &str, console: &[u8], time: Duration) {
        if !self.problems.is_empty() {
            println!("---- console of {name}");
            println!("{}", String::from_utf8_lossy(console).trim_end());
            println!("---- end of console");
        }
        for text in
            self.skipped.iter().map(|case| format!("skipped: {case}")).chain(self.problems.iter().cloned())
        {
            println!("system test {name}: {text}");
        }
        let result = if self.tally.failed == 0 { "ok" } else { "FAILED" };
        println!("system test {name}: {result} ({:.1} s)", time.as_secs_f64());
    }
}

/// How one case went.
#[derive(Debug, PartialEq, Eq)]
enum Case<'a> {
    Ok,
    Failed(&'a str),
    Skipped(&'a str),
}

/// Reads a line in which a system reports a case.
fn case(line: &str) -> Option<Case<'_>> {
    let report = line.strip_prefix("case ")?;
    let (_name, result) = report.split_once(' ')?;
    match result {
        "ok" => Some(Case::Ok),
        _ if result.starts_with("failed:") => Some(Case::Failed(report)),
        _ if result.starts_with("skipped:") => Some(Case::Skipped(report)),
        _ => None,
    }
}

/// Counts the cases. Problems of the run as a whole count as one more failure, unless failed cases explain
/// them.
fn judge_cases(lines: &[String], mut problems: Vec<String>) -> Judgement {
    let mut judgement = Judgement::default();
    let mut failed = Vec::new();
    for case in lines.iter().filter_map(|line| case(line)) {
        match case {
            Case::Ok => judgement.tally.passed += 1,
            Case::Failed(report) => failed.push(format!("case {report}")),
            Case::Skipped(report) => judgement.skipped.push(report.to_owned()),
        }
    }
    if judgement.tally.passed == 0 && failed.is_empty() {
        problems.push("the system reported no case".into());
    }
    judgement.tally.failed = failed.len() as u64;
    if failed.is_empty() && !problems.is_empty() {
        judgement.tally.failed = 1;
    }
    problems.extend(failed);
    judgement.problems = problems;
    judgement
}

#[cfg(test)]
mod tests {
    use keel_browser_decode::Decoded;
    use keel_browser_picture::{Kind, checksum};

    use super::*;
    use crate::console::Verdict;

    const CASES: SystemTest = SystemTest { name: "cases", has_cases: true, ..PLAIN };

    fn tally(test: &SystemTest, end: &End, console: &str) -> (u64, u64) {
        let judgement = test.judge(end, console.as_bytes());
        assert_eq!(judgement.problems.is_empty(), judgement.tally.failed == 0);
        (judgement.tally.passed, judgement.tally.failed)
    }

    fn failure(line: &str) -> End {
        End::Decided(Verdict::Failure(line.into()))
    }

    #[test]
    fn the_table_is_consistent() {
        for (index, test) in TESTS.iter().enumerate() {
            assert!(system::find(test.system).is_ok(), "{}", test.name);
            assert!(TESTS[..index].iter().all(|other| other.name != test.name), "{}", test.name);
            assert!(test.options.iter().all(|text| options::parse(text).is_ok()), "{}", test.name);
        }
    }

    /// What the browser has to print of a picture is what the same decoder makes of it on the host.
    #[test]
    fn the_browsers_pictures_are_those_of_the_host() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut compared = 0;
        for test in TESTS.iter().filter(|test| test.system == "browser") {
            let Some(shown) = test.shows.iter().find(|text| text.starts_with("picture: ")) else { continue };
            let file = std::fs::read(root.join(test.input.unwrap_or(system::DEFAULT_PICTURE))).unwrap();
            let kind = Kind::of(&file).unwrap();
            let Decoded { shape, pixels } = keel_browser_decode::decode(kind, &file, 1 << 30).unwrap();
            let checksum = checksum(&pixels);
            assert_eq!(format!("picture: {kind}, {shape}, CRC-32 {checksum:08x}"), *shown, "{}", test.name);
            compared += 1;
        }
        assert!(compared > 2);
    }

    #[test]
    fn a_filter_chooses_by_name() {
        let names = |filter| -> Vec<_> {
            choose(Choice { filter, case: None }, &[Arch::Aarch64]).iter().map(|test| test.name).collect()
        };
        assert_eq!(names(None).len(), TESTS.iter().filter(|test| test.runs_on(Arch::Aarch64)).count());
        assert_eq!(names(Some("hello-rel")), ["hello-release"]);
        assert!(names(Some("nothing")).is_empty());
        let case = choose(Choice { filter: None, case: Some("a") }, &[Arch::Riscv64]);
        assert!(case.iter().all(|test| test.has_cases));
    }

    #[test]
    fn a_system_passes_with_its_verdict_and_its_texts() {
        let success = End::Decided(Verdict::Success);
        assert_eq!(tally(&HELLO, &success, "\x1b[1mHello from user level!\r\nkeel: success\n"), (1, 0));
        assert_eq!(tally(&HELLO, &success, "keel: success\n"), (0, 1));
        assert_eq!(tally(&HELLO, &failure("keel: failure: x"), "Hello from user level\n"), (0, 1));
        assert_eq!(tally(&HELLO, &End::TimedOut(Duration::from_secs(1)), "Hello from user level\n"), (0, 1));
    }

    #[test]
    fn a_system_can_be_meant_to_fail() {
        let test = SystemTest { ends_with: "keel: failure: broken picture", ..PLAIN };
        assert_eq!(tally(&test, &failure("keel: failure: broken picture: cut off"), ""), (1, 0));
        assert_eq!(tally(&test, &failure("keel: failure: other"), ""), (0, 1));
        assert_eq!(tally(&test, &End::Decided(Verdict::Success), ""), (0, 1));
    }

    #[test]
    fn each_case_counts() {
        let success = End::Decided(Verdict::Success);
        let console =
            "case a ok\r\n\x1b[32mcase b ok\x1b[0m\ncase c skipped: no SMC\nsome case d ok\ncase e\n";
        assert_eq!(tally(&CASES, &success, console), (2, 0));
        assert_eq!(CASES.judge(&success, console.as_bytes()).skipped, ["c skipped: no SMC"]);
        let console = "case a ok\ncase b failed: 1 is not 2\ncase c failed: x\n";
        assert_eq!(tally(&CASES, &failure("keel: failure: 2 cases"), console), (1, 2));
    }

    #[test]
    fn a_run_that_breaks_off_fails_whatever_its_cases_said() {
        assert_eq!(tally(&CASES, &End::TimedOut(Duration::from_secs(1)), "case a ok\n"), (1, 1));
        assert_eq!(tally(&CASES, &End::Decided(Verdict::Success), "nothing\n"), (0, 1));
    }

    /// A failed case shows even if the system claims success.
    #[test]
    fn a_failed_case_fails_the_test() {
        assert_eq!(tally(&CASES, &End::Decided(Verdict::Success), "case a failed: x\n"), (0, 1));
    }
}
