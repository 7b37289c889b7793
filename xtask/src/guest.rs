// SPDX-License-Identifier: MIT OR Apache-2.0

//! A guest from its start to its end.
//!
//! ```text
//!   start ──► running ──► the console decides ──► a moment more ──► killed
//!                │──────► the time is over ──────────────────────► killed
//!                │──────► Ctrl-C ────────────────────────────────► killed
//!                └──────► QEMU ends by itself
//! ```
//!
//! One thread reads the console into a channel, so that waiting can end at any time. Invariant: a guest is
//! killed and waited for before [`run`] returns, on every way out.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::console::{Verdict, Watcher};
use crate::{interrupt, terminal};

/// How often a waiting tool looks for Ctrl-C.
const POLL: Duration = Duration::from_millis(50);

/// How long a guest may go on after a verdict that more may follow: the dump of a failure, the rest of a line.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long QEMU may take to end after it closed its console.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// What ends a run, besides what a system says itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits<'a> {
    /// A text that means success.
    pub(crate) until: Option<&'a str>,
    /// A text that means failure.
    pub(crate) fail_on: Option<&'a str>,
    /// How long the run may take.
    pub(crate) timeout: Option<Duration>,
}

/// What is typed at the console, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Typing<'a> {
    /// When this is shown.
    pub(crate) after: &'a str,
    /// The keys.
    pub(crate) text: &'a str,
}

/// Who reads and writes the guest's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Console<'a> {
    /// The user: input is the tool's own, QEMU's messages go to stderr.
    Live,
    /// Nobody, but for what is typed: QEMU's messages are part of what is captured.
    Captured(Option<Typing<'a>>),
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The console decided.
    Decided(Verdict),
    /// The time was over.
    TimedOut(Duration),
    /// QEMU ended and nothing had been decided.
    Exited(ExitStatus),
    /// The tool was asked to end.
    Interrupted,
}

impl End {
    /// The tool's exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            End::Decided(verdict) if verdict.is_success() => 0,
            End::Decided(_) | End::Exited(_) => 1,
            End::TimedOut(_) => 124,
            End::Interrupted => interrupt::STATUS,
        }
    }

    /// The kernel's line about a fault of the root task, if that is what decided.
    pub(crate) fn fault_line(&self) -> Option<&str> {
        match self {
            End::Decided(Verdict::RootTaskFault(line)) => Some(line),
            _ => None,
        }
    }

    /// One line that says why.
    pub(crate) fn reason(&self) -> String {
        match self {
            End::Decided(verdict) => verdict.reason(),
            End::TimedOut(limit) => {
                format!("timeout: nothing was decided within {} s", limit.as_secs_f64())
            }
            End::Exited(status) => {
                format!("failure: QEMU ended by itself ({status}) before the system reported anything")
            }
            End::Interrupted => "interrupted".into(),
        }
    }
}

/// Runs a guest to its end and writes its console to `shown` as it comes.
pub(crate) fn run(
    command: Command,
    console: Console<'_>,
    limits: Limits<'_>,
    shown: &mut dyn Write,
) -> Result<End> {
    interrupt::watch()?;
    let _terminal = (console == Console::Live).then(terminal::Saved::new);
    let (mut guest, output) = Guest::start(command, console)?;
    let mut typist = guest.typist(console);
    let deadline = limits.timeout.map(|timeout| Instant::now() + timeout);
    let mut watcher = Watcher::new(limits.until, limits.fail_on);
    loop {
        match next(&output, deadline) {
            Next::Bytes(bytes) => {
                show(shown, &bytes)?;
                typist.see(&bytes)?;
                if let Some(verdict) = watcher.feed(&bytes) {
                    if verdict != Verdict::Success {
                        show_last_words(&output, shown)?;
                    }
                    return Ok(End::Decided(verdict));
                }
            }
            Next::TimedOut => return Ok(End::TimedOut(limits.timeout.unwrap_or_default())),
            Next::Interrupted => return Ok(End::Interrupted),
            Next::Closed => {
                let status = guest.wait()?;
                return Ok(match watcher.finish() {
                    Some(verdict) => End::Decided(verdict),
                    None if interrupt::requested() => End::Interrupted,
                    None => End::Exited(status),
                });
            }
        }
    }
}

/// What a waiting tool meets next.
enum Next {
    Bytes(Vec<u8>),
    Closed,
    TimedOut,
    Interrupted,
}

fn next(output: &Receiver<Vec<u8>>, deadline: Option<Instant>) -> Next {
    loop {
        if interrupt::requested() {
            return Next::Interrupted;
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Next::TimedOut;
        }
        match output.recv_timeout(left.map_or(POLL, |left| left.min(POLL))) {
            Ok(bytes) => return Next::Bytes(bytes),
            Err(RecvTimeoutError::Disconnected) => return Next::Closed,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Shows what follows right after a verdict.
fn show_last_words(output: &Receiver<Vec<u8>>, shown: &mut dyn Write) -> Result<()> {
    let deadline = Instant::now() + LAST_WORDS;
    while let Next::Bytes(bytes) = next(output, Some(deadline)) {
        show(shown, &bytes)?;
    }
    Ok(())
}

fn show(shown: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    shown.write_all(bytes).and_then(|()| shown.flush()).context("cannot show the console")
}

/// A QEMU that runs. It ends with the value.
struct Guest {
    child: Child,
}

impl Guest {
    fn start(mut command: Command, console: Console<'_>) -> Result<(Guest, Receiver<Vec<u8>>)> {
        let (reader, writer) = io::pipe().context("cannot make a pipe")?;
        match console {
            Console::Live => {
                command.stdin(terminal::input());
            }
            Console::Captured(typing) => {
                command.stdin(if typing.is_some() { Stdio::piped() } else { Stdio::null() });
                command.stderr(writer.try_clone().context("cannot share a pipe")?);
            }
        }
        command.stdout(writer);
        let program = command.get_program().display().to_string();
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        // The command holds the pipe's writing ends; as long as one is open the console does not end.
        drop(command);
        Ok((Guest { child }, read_in_pieces(reader)))
    }

    /// Who types what is to be typed.
    fn typist<'a>(&mut self, console: Console<'a>) -> Typist<'a> {
        let typing = if let Console::Captured(typing) = console { typing } else { None };
        Typist { waiting: typing.zip(self.child.stdin.take()), used: None, seen: Vec::new() }
    }

    /// Waits for the end of a guest that has closed its console.
    fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + END_PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("cannot wait for QEMU")? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.child.kill().and_then(|()| self.child.wait()).context("cannot end QEMU")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Neither fails but for a child that has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Types when its time has come. The console's input stays open until the value ends.
struct Typist<'a> {
    waiting: Option<(Typing<'a>, ChildStdin)>,
    used: Option<ChildStdin>,
    seen: Vec<u8>,
}

impl Typist<'_> {
    /// The console has shown this.
    fn see(&mut self, bytes: &[u8]) -> Result<()> {
        let Some((typing, mut keys)) = self.waiting.take() else { return Ok(()) };
        self.seen.extend_from_slice(bytes);
        if self.seen.windows(typing.after.len()).any(|window| window == typing.after.as_bytes()) {
            keys.write_all(typing.text.as_bytes()).context("cannot type at the console")?;
            self.used = Some(keys);
        } else {
            self.waiting = Some((typing, keys));
        }
        Ok(())
    }
}

/// Reads on a thread of its own; a slow taker slows the guest instead of filling memory. The thread ends
/// with the guest or with the receiver.
fn read_in_pieces(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(64);
    thread::spawn(move || {
        let mut piece = vec![0; 4096];
        while let Ok(size @ 1..) = from.read(&mut piece) {
            if sender.send(piece[..size].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// Runs a shell script in QEMU's place.
    fn run_script(script: &str, limits: Limits<'_>) -> (End, String) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut shown = Vec::new();
        let end = run(command, Console::Captured(None), limits, &mut shown).unwrap();
        (end, String::from_utf8(shown).unwrap())
    }

    const SECOND: Limits<'_> =
        Limits { until: None, fail_on: None, timeout: Some(Duration::from_millis(1000)) };
    const MINUTE: Limits<'_> = Limits { until: None, fail_on: None, timeout: Some(Duration::from_secs(60)) };

    #[test]
    fn keys_are_typed_when_they_are_asked_for() {
        let typing = Typing { after: "name?", text: "Keel\n" };
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'your name?'; read name; echo \"name: $name\"; echo 'keel: success'"]);
        let mut shown = Vec::new();
        let end = run(command, Console::Captured(Some(typing)), MINUTE, &mut shown).unwrap();
        assert_eq!(end, End::Decided(Verdict::Success));
        assert!(String::from_utf8(shown).unwrap().contains("name: Keel"));
    }

    #[test]
    fn success_ends_a_guest_that_would_go_on() {
        let start = Instant::now();
        let (end, shown) = run_script("echo 'keel: success'; exec sleep 100", MINUTE);
        assert_eq!(end, End::Decided(Verdict::Success));
        assert_eq!((end.status(), shown.as_str()), (0, "keel: success\n"));
        assert!(start.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn failure_still_shows_what_comes_right_after() {
        let (end, shown) =
            run_script("echo 'keel: kernel bug: x'; sleep 0.05; echo dump; exec sleep 100", MINUTE);
        assert_eq!(end.status(), 1);
        assert_eq!(end.reason(), "failure: the kernel found a bug of its own (keel: kernel bug: x)");
        assert_eq!(shown, "keel: kernel bug: x\ndump\n");
    }

    #[test]
    fn a_prompt_decides() {
        let limits = Limits { until: Some("login:"), ..MINUTE };
        let (end, _) = run_script("printf 'login: '; exec sleep 100", limits);
        assert_eq!((end.status(), end.reason()), (0, "success: the console showed `login:`".into()));
        let limits = Limits { fail_on: Some("login:"), ..MINUTE };
        let (end, _) = run_script("printf 'login: '; exec sleep 100", limits);
        assert_eq!((end.status(), end.reason()), (1, "failure: the console showed `login:`".into()));
    }

    #[test]
    fn silence_and_chatter_both_time_out() {
        for script in ["exec sleep 100", "while :; do echo on and on; sleep 0.01; done"] {
            let (end, _) = run_script(script, SECOND);
            assert_eq!((end.status(), end.reason()), (124, "timeout: nothing was decided within 1 s".into()));
        }
    }

    #[test]
    fn an_early_end_is_a_failure_with_its_status() {
        let (end, shown) = run_script("echo 'no such machine' >&2; exit 7", MINUTE);
        assert_eq!(end, End::Exited(ExitStatus::from_raw(7 << 8)));
        assert_eq!(end.status(), 1);
        assert!(end.reason().contains("(exit status: 7)"), "{}", end.reason());
        assert_eq!(shown, "no such machine\n");
    }

    #[test]
    fn a_last_line_without_end_counts() {
        let (end, _) = run_script("printf 'keel: success'", MINUTE);
        assert_eq!(end.status(), 0);
    }

    #[test]
    fn the_guest_is_gone_afterwards() {
        let (_, shown) = run_script("echo $$; echo 'keel: success'; exec sleep 100", MINUTE);
        let process = shown.lines().next().unwrap();
        assert!(!std::path::Path::new("/proc").join(process).exists());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error =
            run(Command::new("no-such-qemu"), Console::Captured(None), MINUTE, &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "cannot start no-such-qemu");
    }
}
