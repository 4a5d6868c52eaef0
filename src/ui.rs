//! The only door to the terminal: stdout is the data that was asked for, stderr is talk.
//!
//! Invariants: nothing else in the house prints; a reader of stdout that goes away is not an error; there is no colour,
//! so no meaning is lost without it, and no bar without a terminal; what a person reads at a terminal fits it.
//!
//! Absent on purpose: words. What is printed was composed, and made harmless, in `report`.

mod fold;
pub mod json;
pub mod progress;
pub mod prompt;

use indicatif::MultiProgress;
use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Says things, as the person wants them said.
pub struct Printer {
    quiet: bool,
    json: bool,
    /// Whether stderr is a terminal that can draw a bar.
    terminal: bool,
    out: Mutex<Out>,
    err: Mutex<Box<dyn Write + Send>>,
    bars: MultiProgress,
    /// Columns of stdout and of stderr where these are terminals.
    columns: [fn() -> Option<usize>; 2],
}

/// Where data goes, and what became of it.
struct Out {
    to: Box<dyn Write + Send>,
    /// Its reader went away; nothing more is written.
    closed: bool,
    /// Why something could not be written, the first time.
    failed: Option<io::Error>,
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").field("quiet", &self.quiet).field("json", &self.json).finish_non_exhaustive()
    }
}

impl Printer {
    /// To this process's stdout and stderr. With `quiet` only errors and data are said; with `json` stdout carries
    /// events only. `NO_COLOR` (<https://no-color.org>) and a dumb terminal are as no terminal.
    pub fn new(quiet: bool, json: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !no_color && !dumb;
        let columns = [|| columns(io::stdout()), || columns(io::stderr())];
        Self { columns, ..Self::to(Box::new(io::stdout()), Box::new(io::stderr()), (quiet, json, terminal)) }
    }

    fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, (quiet, json, terminal): (bool, bool, bool)) -> Self {
        let out = Mutex::new(Out { to: out, closed: false, failed: None });
        Self { quiet, json, terminal, out, err: Mutex::new(err), bars: MultiProgress::new(), columns: [|| None; 2] }
    }

    /// Whether only errors and data are said.
    pub fn is_quiet(&self) -> bool {
        self.quiet || self.json
    }

    /// Where bars are drawn, below what is said; `None` where nobody watches.
    fn bars(&self) -> Option<&MultiProgress> {
        (self.terminal && !self.is_quiet()).then_some(&self.bars)
    }

    /// Data that was asked for, a line or several, on stdout, folded at a terminal unless it is JSON; a line end is added when
    /// there is none.
    pub fn data(&self, text: &str) {
        match (self.columns[0])().filter(|_| !self.json) {
            Some(columns) => self.raw(&fold::folded(text, columns)),
            None => self.raw(text),
        }
    }

    /// Data that a program or a file is meant to take, as it is. A reader that went away has seen enough; for any other
    /// failure see [`Self::failure`].
    pub fn raw(&self, text: &str) {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let mut out = lock(&self.out);
        if out.closed {
            return;
        }
        let write = || write!(out.to, "{text}{end}").and_then(|()| out.to.flush());
        match self.bars.suspend(write) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::BrokenPipe => out.closed = true,
            Err(e) => drop(out.failed.get_or_insert(e)),
        }
    }

    /// Why data could not be written, a full disk behind `> FILE` for instance, once: then the command failed.
    pub fn failure(&self) -> Option<io::Error> {
        lock(&self.out).failed.take()
    }

    /// An error or a closing word, on stderr. Nobody can be told that stderr is gone, so that is not an error.
    pub fn talk(&self, text: &str) {
        let text = text.trim_end_matches('\n');
        let text = (self.columns[1])().map_or(Cow::Borrowed(text), |columns| Cow::Owned(fold::folded(text, columns)));
        let mut err = lock(&self.err);
        let _ = self.bars.suspend(|| writeln!(err, "{text}").and_then(|()| err.flush()));
    }

    /// A step on the way, on stderr; not said when quiet.
    pub fn step(&self, text: &str) {
        if !self.quiet {
            self.talk(text);
        }
    }

    /// One event of the JSON stream: `{"v":1,"type":KIND,...}` on one line.
    pub fn event(&self, kind: &str, body: &serde_json::Value) {
        debug_assert!(self.json, "events are for --json");
        self.data(&json::line(kind, body));
    }
}

/// What a thread that panicked left is still good to print to.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Columns of a line of two on stdout: the terminal's, from 60 on; 110 where there is none.
pub fn width() -> usize {
    columns(io::stdout()).map_or(110, |columns| columns.max(60))
}

/// Columns of a terminal; `None`: it is none, or does not know.
fn columns(of: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(of).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Columns of the living line on stderr: one less than the terminal has, so that it never wraps.
fn err_width() -> usize {
    columns(io::stderr()).filter(|columns| *columns > 1).map_or(79, |columns| columns - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A place that tests look into, or one that fails.
    #[derive(Clone, Default)]
    pub struct Place {
        text: Arc<Mutex<String>>,
        fails: Option<ErrorKind>,
    }

    impl Place {
        pub fn text(&self) -> String {
            lock(&self.text).clone()
        }
    }

    impl Write for Place {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.fails {
                return Err(kind.into());
            }
            lock(&self.text).push_str(std::str::from_utf8(bytes).map_err(io::Error::other)?);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A printer, its stdout and its stderr; quiet, JSON, terminal.
    pub fn printer(settings: (bool, bool, bool)) -> (Printer, Place, Place) {
        let (out, err) = (Place::default(), Place::default());
        (Printer::to(Box::new(out.clone()), Box::new(err.clone()), settings), out, err)
    }

    #[test]
    fn data_and_talk_go_their_ways() {
        for (quiet, said) in [(false, "step\nerror: x\n"), (true, "error: x\n")] {
            let (printer, out, err) = printer((quiet, false, false));
            printer.data("data");
            printer.data("whole line\n");
            printer.step("step");
            printer.talk("error: x\n");
            assert_eq!((out.text().as_str(), err.text().as_str()), ("data\nwhole line\n", said));
        }
    }

    #[test]
    fn a_terminal_is_not_overrun_and_what_is_for_programs_stays_whole() {
        for (json, folded) in [(false, "one two\n    three\n"), (true, "one two three\n")] {
            let (printer, out, err) = printer((false, json, false));
            let printer = Printer { columns: [|| Some(10); 2], ..printer };
            printer.data("one two three");
            printer.raw("one two three");
            printer.talk("one two three");
            assert_eq!(out.text(), format!("{folded}one two three\n"));
            assert_eq!(err.text(), "one two\n    three\n");
        }
    }

    #[test]
    fn a_reader_that_went_away_is_success_and_a_full_disk_is_not() {
        let to = |kind| {
            let out = Place { fails: Some(kind), ..Place::default() };
            let printer = Printer::to(Box::new(out), Box::new(Place::default()), (false, false, false));
            printer.data("nobody reads this");
            printer.data("nor this");
            printer.failure().map(|e| e.kind())
        };
        assert_eq!(to(ErrorKind::BrokenPipe), None);
        assert_eq!(to(ErrorKind::StorageFull), Some(ErrorKind::StorageFull));
    }
}
