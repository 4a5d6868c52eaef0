//! How far something is: a bar on a terminal, one plain line an event without one, nothing when quiet.

use super::printer::Printer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Display;

/// Something that goes on, of a known size.
#[derive(Debug)]
pub struct Progress<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
    label: String,
    total: u64,
}

impl<'a> Progress<'a> {
    /// Begins; `total` is in whatever `tick` counts, hosts for instance.
    pub fn new(printer: &'a Printer, total: u64, label: impl Into<String>) -> Self {
        let settings = printer.settings();
        let (label, shown) = (label.into(), settings.terminal && !settings.quiet);
        let bar = match shown {
            true => printer.bars().add(ProgressBar::new(total)),
            false => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()),
        };
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}");
        bar.set_style(style.expect("the template is one of indicatif's form").progress_chars("=> "));
        bar.set_message(label.clone());
        Self { printer, bar, label, total }
    }

    /// Something happened that people may want to read: a line of its own, with how far it is without a bar.
    pub fn event(&self, text: impl Display) {
        match self.printer.settings().terminal {
            true => self.printer.talk(text),
            false => self.printer.talk(format!("{} {}/{}: {text}", self.label, self.bar.position(), self.total)),
        }
    }

    /// That many are done now.
    pub fn tick(&self, done: u64) {
        self.bar.set_position(done.min(self.total));
    }

    /// It is over; the bar vanishes.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::printer::{Settings, tests::printer};

    fn run(settings: Settings) -> String {
        let (printer, out, err) = printer(settings);
        let progress = Progress::new(&printer, 2, "switch");
        progress.event("mw2019: switched");
        progress.tick(1);
        progress.event("mw2020: refused");
        progress.tick(9);
        progress.finish();
        assert_eq!(out.text(), "", "progress is talk, never data");
        err.text()
    }

    #[test]
    fn without_a_terminal_each_event_is_a_line() {
        let expected = "switch 0/2: mw2019: switched\nswitch 1/2: mw2020: refused\n";
        assert_eq!(run(Settings { quiet: false, terminal: false }), expected);
    }

    #[test]
    fn with_a_terminal_events_stand_above_the_bar() {
        assert_eq!(run(Settings { quiet: false, terminal: true }), "mw2019: switched\nmw2020: refused\n");
    }

    #[test]
    fn quiet_is_quiet() {
        assert_eq!(run(Settings { quiet: true, terminal: false }), "");
    }
}
