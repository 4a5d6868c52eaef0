//! Stdout and stderr, held by one value that everybody else is given.

use indicatif::MultiProgress;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// How to print, resolved once from flags and environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// No talk on stderr but errors.
    pub quiet: bool,
    /// Colour on stderr, and a progress bar.
    pub terminal: bool,
}

impl Settings {
    /// For this process: plain without a terminal, with `NO_COLOR` (<https://no-color.org>) and on a dumb terminal.
    pub fn of_process(quiet: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { quiet, terminal: io::stderr().is_terminal() && !set("NO_COLOR") && !dumb }
    }
}

/// The door.
pub struct Printer {
    settings: Settings,
    /// `None` once its reader went away.
    out: Mutex<Option<Box<dyn Write + Send>>>,
    err: Mutex<Box<dyn Write + Send>>,
    bars: MultiProgress,
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a word is, for those who see colours; the words say it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Bad,
    Help,
}

impl Printer {
    /// To this process's stdout and stderr.
    pub fn new(settings: Settings) -> Self {
        Self::to(Box::new(io::stdout()), Box::new(io::stderr()), settings)
    }

    /// To any two places.
    pub fn to(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, settings: Settings) -> Self {
        Self { settings, out: Mutex::new(Some(out)), err: Mutex::new(err), bars: MultiProgress::new() }
    }

    /// How it prints.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The bars that are drawn below what is said.
    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes what was asked for to stdout, with a line end. A reader that went away is success, also later.
    pub fn data(&self, text: impl Display) -> io::Result<()> {
        let text = text.to_string();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = out.as_mut() else { return Ok(()) };
        let mut write = || write!(open, "{text}{end}").and_then(|()| open.flush());
        match self.bars.suspend(&mut write) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                *out = None;
                Ok(())
            }
            written => written,
        }
    }

    /// Says something on stderr, unless quiet.
    pub fn talk(&self, text: impl Display) {
        if !self.settings.quiet {
            self.say(&text.to_string());
        }
    }

    /// Says on stderr that something is not as it should be, quiet or not.
    pub fn warn(&self, text: impl Display) {
        self.say(&format!("{} {text}", self.tone(Tone::Bad, "warning:")));
    }

    /// Says on stderr what failed, quiet or not.
    pub fn error(&self, text: impl Display) {
        self.say(&format!("{} {text}", self.tone(Tone::Bad, "error:")));
    }

    /// Says on stderr what to type, quiet or not.
    pub fn hint(&self, text: impl Display) {
        self.say(&format!("{} {text}", self.tone(Tone::Help, "hint:")));
    }

    /// Asks on stderr, without a line end.
    pub(super) fn ask(&self, question: &str) {
        self.write(question);
    }

    fn say(&self, text: &str) {
        self.write(&format!("{}\n", text.trim_end_matches('\n')));
    }

    /// Nobody can be told that stderr is gone, so its errors are dropped.
    fn write(&self, text: &str) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.bars.suspend(|| err.write_all(text.as_bytes()).and_then(|()| err.flush()));
    }

    fn tone(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Help => "36",
        };
        if self.settings.terminal { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;

    /// A place that tests look into; broken after its room is used up.
    #[derive(Clone, Default)]
    pub struct Place {
        text: Arc<Mutex<String>>,
        broken: bool,
    }

    impl Place {
        pub fn text(&self) -> String {
            self.text.lock().expect("no test panics while it writes").clone()
        }
    }

    impl Write for Place {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.broken {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
            self.text.lock().expect("no test panics while it writes").push_str(text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A printer, its stdout and its stderr.
    pub fn printer(settings: Settings) -> (Printer, Place, Place) {
        let (out, err) = (Place::default(), Place::default());
        (Printer::to(Box::new(out.clone()), Box::new(err.clone()), settings), out, err)
    }

    fn everything(printer: &Printer) {
        printer.data("data").expect("it is written");
        printer.data("whole line\n").expect("it is written");
        printer.talk("talk");
        printer.warn("careful");
        printer.error("failed to x");
        printer.hint("type y");
    }

    #[test]
    fn data_and_talk_go_their_ways() {
        let (plain, out, err) = printer(Settings::default());
        everything(&plain);
        assert_eq!(out.text(), "data\nwhole line\n");
        assert_eq!(err.text(), "talk\nwarning: careful\nerror: failed to x\nhint: type y\n");
    }

    #[test]
    fn quiet_keeps_data_and_errors() {
        let (quiet, out, err) = printer(Settings { quiet: true, terminal: false });
        everything(&quiet);
        assert_eq!(out.text(), "data\nwhole line\n");
        assert_eq!(err.text(), "warning: careful\nerror: failed to x\nhint: type y\n");
    }

    #[test]
    fn a_terminal_sees_colours_and_the_same_words() {
        let (coloured, out, err) = printer(Settings { quiet: false, terminal: true });
        everything(&coloured);
        assert_eq!(out.text(), "data\nwhole line\n", "data is for programs too");
        assert!(err.text().contains("\x1b[1;31merror:\x1b[0m failed to x\n"), "{}", err.text());
    }

    #[test]
    fn a_reader_that_went_away_is_success() {
        let gone = Place { broken: true, ..Place::default() };
        let printer = Printer::to(Box::new(gone), Box::new(Place::default()), Settings::default());
        for _ in 0..2 {
            printer.data("nobody reads this").expect("a broken pipe is success");
        }
    }
}
