// SPDX-License-Identifier: MIT OR Apache-2.0

//! Watching a console for the line that decides a run.
//!
//! A system ends by saying `keel: success` or `keel: failure: …`; the kernel tells of a root task that
//! faulted and of a bug of its own. These are whole lines. The texts that a user looks for count as soon as
//! they stand on the console, even within a line that is not complete, such as a prompt.
//!
//! Invariants:
//!
//! 1. The verdict depends on the bytes alone, not on the pieces in which they arrive.
//! 2. Colours and other terminal sequences are not part of a line. One that does not end hides at most the
//!    rest of its line.
//! 3. However much comes without a line's end, no more than [`MAX_LINE_BYTES`] of it are kept.

/// A line longer than this decides nothing by itself; texts are still found in it.
const MAX_LINE_BYTES: usize = 64 * 1024;

const SUCCESS: &str = "keel: success";
const FAILURE: &str = "keel: failure";
const ROOT_TASK_FAULT: &str = "keel: root task fault";
const KERNEL_BUG: &str = "keel: kernel bug";

/// What a console said about its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The system reported success.
    Success,
    /// The system reported failure, with this line.
    Failure(String),
    /// The root task faulted, as this line says.
    RootTaskFault(String),
    /// The kernel found a bug of its own, as this line says.
    KernelBug(String),
    /// The text that means success appeared.
    Until(String),
    /// The text that means failure appeared.
    FailOn(String),
}

impl Verdict {
    /// Whether the run went well.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Verdict::Success | Verdict::Until(_))
    }

    /// One line that says why.
    pub(crate) fn reason(&self) -> String {
        match self {
            Verdict::Success => "success: the system reported success".into(),
            Verdict::Failure(line) => format!("failure: the system reported failure ({line})"),
            Verdict::RootTaskFault(line) => {
                format!("failure: the root task faulted and nobody handles it ({line})")
            }
            Verdict::KernelBug(line) => format!("failure: the kernel found a bug of its own ({line})"),
            Verdict::Until(text) => format!("success: the console showed `{text}`"),
            Verdict::FailOn(text) => format!("failure: the console showed `{text}`"),
        }
    }

    /// The line or text that decided.
    pub(crate) fn text(&self) -> &str {
        match self {
            Verdict::Success => SUCCESS,
            Verdict::Failure(text)
            | Verdict::RootTaskFault(text)
            | Verdict::KernelBug(text)
            | Verdict::Until(text)
            | Verdict::FailOn(text) => text,
        }
    }

    fn of_line(line: &str) -> Option<Self> {
        let owned = || line.to_owned();
        match line {
            SUCCESS => Some(Verdict::Success),
            _ if line.starts_with(FAILURE) => Some(Verdict::Failure(owned())),
            _ if line.starts_with(ROOT_TASK_FAULT) => Some(Verdict::RootTaskFault(owned())),
            _ if line.starts_with(KERNEL_BUG) => Some(Verdict::KernelBug(owned())),
            _ => None,
        }
    }
}

/// Reads a console byte by byte until it decides.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    until: Option<String>,
    fail_on: Option<String>,
    line: Vec<u8>,
    line_was_cut: bool,
    escape: Escape,
}

/// Where in a terminal sequence the console is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    /// In plain text.
    #[default]
    Outside,
    /// After ESC.
    Begun,
    /// In a control sequence, which ends with a letter or the like.
    Control,
    /// In an operating system command, which ends with BEL or with ESC and a byte.
    Command,
}

impl Watcher {
    /// Looks for these texts besides what a system says itself.
    pub(crate) fn new(until: Option<&str>, fail_on: Option<&str>) -> Self {
        Watcher { until: until.map(str::to_owned), fail_on: fail_on.map(str::to_owned), ..Watcher::default() }
    }

    /// Takes what the console showed next; gives the first verdict in it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<Verdict> {
        bytes.iter().find_map(|&byte| self.feed_byte(byte))
    }

    /// The console ended; a last line without an end counts as one.
    pub(crate) fn finish(&mut self) -> Option<Verdict> {
        self.end_line()
    }

    fn feed_byte(&mut self, byte: u8) -> Option<Verdict> {
        if byte == b'\n' {
            self.escape = Escape::Outside;
            return self.end_line();
        }
        let (escape, is_text) = self.escape.next(byte);
        self.escape = escape;
        if !is_text {
            return None;
        }
        if self.line.len() == MAX_LINE_BYTES {
            self.line.drain(..MAX_LINE_BYTES / 2);
            self.line_was_cut = true;
        }
        self.line.push(byte);
        let shows = |text: &&String| self.line.ends_with(text.as_bytes());
        if let Some(text) = self.fail_on.as_ref().filter(shows) {
            return Some(Verdict::FailOn(text.clone()));
        }
        self.until.as_ref().filter(shows).map(|text| Verdict::Until(text.clone()))
    }

    fn end_line(&mut self) -> Option<Verdict> {
        let line = std::mem::take(&mut self.line);
        let was_cut = std::mem::take(&mut self.line_was_cut);
        if was_cut { None } else { Verdict::of_line(String::from_utf8_lossy(&line).trim()) }
    }
}

impl Escape {
    /// The state after this byte, and whether the byte is text.
    fn next(self, byte: u8) -> (Self, bool) {
        match (self, byte) {
            (_, 0x1b) => (Escape::Begun, false),
            (Escape::Outside, _) => (Escape::Outside, true),
            (Escape::Begun, b'[') => (Escape::Control, false),
            (Escape::Begun, b']') => (Escape::Command, false),
            (Escape::Begun, _) => (Escape::Outside, false),
            (Escape::Control, 0x40..=0x7e) => (Escape::Outside, false),
            (Escape::Control, _) => (Escape::Control, false),
            (Escape::Command, 0x07) => (Escape::Outside, false),
            (Escape::Command, _) => (Escape::Command, false),
        }
    }
}

/// The lines of a captured console, without terminal sequences.
pub(crate) fn lines(console: &[u8]) -> Vec<String> {
    let mut escape = Escape::Outside;
    let plain = |line: &[u8]| {
        let mut text = Vec::new();
        for &byte in line {
            let (next, is_text) = escape.next(byte);
            escape = next;
            text.extend(is_text.then_some(byte));
        }
        escape = Escape::Outside;
        String::from_utf8_lossy(&text).trim_matches('\r').to_owned()
    };
    console.split(|&byte| byte == b'\n').map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on a console, which must be the same however the bytes arrive.
    fn verdict_with(until: Option<&str>, fail_on: Option<&str>, console: &[u8]) -> Option<Verdict> {
        let [whole, single] = [console.len().max(1), 1].map(|size| {
            let mut watcher = Watcher::new(until, fail_on);
            console.chunks(size).find_map(|piece| watcher.feed(piece)).or_else(|| watcher.finish())
        });
        assert_eq!(whole, single);
        whole
    }

    fn verdict(console: &str) -> Option<Verdict> {
        verdict_with(None, None, console.as_bytes())
    }

    #[test]
    fn a_system_speaks_in_whole_lines() {
        assert_eq!(verdict("hello\nkeel: success\n"), Some(Verdict::Success));
        assert_eq!(verdict("hello\r\nkeel: success\r\n"), Some(Verdict::Success));
        assert_eq!(verdict("keel: success"), Some(Verdict::Success));
        assert_eq!(
            verdict("a\nkeel: failure: no picture\nkeel: success\n"),
            Some(Verdict::Failure("keel: failure: no picture".into()))
        );
        for nothing in
            ["", "keel: succes\n", "keel: successful\n", "he said keel: success\n", "keel: \nsuccess\n"]
        {
            assert_eq!(verdict(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_kernel_has_a_say() {
        let fault = "keel: root task fault: address 0x0";
        assert_eq!(verdict(&format!("{fault}\r\n")), Some(Verdict::RootTaskFault(fault.into())));
        let bug = "keel: kernel bug: queue";
        assert_eq!(verdict(&format!("{bug}\n")), Some(Verdict::KernelBug(bug.into())));
    }

    #[test]
    fn texts_count_within_a_line() {
        let console = b"login: ";
        let until = |text| verdict_with(Some(text), None, console);
        assert_eq!(until("login:"), Some(Verdict::Until("login:".into())));
        assert_eq!(until("logout:"), None);
        assert_eq!(verdict_with(None, Some("login"), console), Some(Verdict::FailOn("login".into())));
    }

    #[test]
    fn the_first_text_decides_and_failure_before_success() {
        let both = |console: &[u8]| verdict_with(Some("good"), Some("bad"), console);
        assert_eq!(both(b"so good and bad"), Some(Verdict::Until("good".into())));
        assert_eq!(both(b"so bad and good"), Some(Verdict::FailOn("bad".into())));
        assert_eq!(verdict_with(Some("bad"), Some("bad"), b"bad"), Some(Verdict::FailOn("bad".into())));
    }

    #[test]
    fn a_text_does_not_cross_lines() {
        assert_eq!(verdict_with(Some("ab"), None, b"a\nb\n"), None);
    }

    #[test]
    fn colours_are_not_text() {
        assert_eq!(verdict("\x1b[1;32mkeel: \x1b[0msuccess\x1b[0m\r\n"), Some(Verdict::Success));
        assert_eq!(verdict("\x1b]0;title\x07keel: success\n"), Some(Verdict::Success));
        assert_eq!(verdict("\x1b]0;title\x1b\\keel: success\n"), Some(Verdict::Success));
        assert_eq!(
            verdict_with(Some("done"), None, b"\x1b[38;2;1;2;3mdo\x1b[0mne"),
            Some(Verdict::Until("done".into()))
        );
    }

    #[test]
    fn an_unfinished_sequence_hides_no_later_line() {
        for start in ["\x1b", "\x1b[", "\x1b[12", "\x1b]never ending"] {
            assert_eq!(verdict(&format!("{start}\nkeel: success\n")), Some(Verdict::Success), "{start:?}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory() {
        let mut watcher = Watcher::new(Some("needle"), None);
        for _ in 0..4 {
            assert_eq!(watcher.feed(&[b'x'; MAX_LINE_BYTES]), None);
            assert!(watcher.line.len() <= MAX_LINE_BYTES);
        }
        assert_eq!(watcher.feed(b"needle"), Some(Verdict::Until("needle".into())));
    }

    #[test]
    fn the_tail_of_a_cut_line_is_no_line() {
        let mut watcher = Watcher::new(None, None);
        let mut console = vec![b'x'; MAX_LINE_BYTES / 2];
        console.extend_from_slice(b"keel: success");
        console.resize(MAX_LINE_BYTES, b' ');
        console.extend_from_slice(b" \nkeel: success\n");
        let place = console.len() - 14;
        assert_eq!(watcher.feed(&console[..place]), None);
        assert_eq!(watcher.feed(&console[place..]), Some(Verdict::Success));
    }

    #[test]
    fn captured_lines_are_plain() {
        assert_eq!(lines(b"\x1b[1mcase\x1b[0m a ok\r\n\x1b]x\nb"), ["case a ok", "", "b"]);
    }
}
