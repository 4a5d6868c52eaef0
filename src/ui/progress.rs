//! How far a wave has come: a bar on a terminal, plain lines elsewhere.

use super::Printer;
use indicatif::{ProgressBar, ProgressStyle};

/// Progress over the hosts of a wave.
pub struct Progress<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Shows through `printer`; a bar only where a person watches on a terminal.
    pub fn new(printer: &'a Printer) -> Self {
        let bar = printer.bars().map(|bars| {
            let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}");
            let style = style.expect("the template is one of indicatif's form");
            bars.add(ProgressBar::new(0).with_style(style))
        });
        Self { printer, bar }
    }

    /// A wave of `hosts` begins.
    pub fn begin(&self, label: &str, hosts: usize) {
        match &self.bar {
            Some(bar) => {
                bar.reset();
                bar.set_length(hosts as u64);
                bar.set_message(label.to_owned());
            }
            None => self.printer.step(label),
        }
    }

    /// Another host is through; on a terminal the bar says it, elsewhere a line does.
    pub fn through(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => self.printer.step(line),
        }
    }

    /// A step of one host, too small for a bar.
    pub fn detail(&self, line: &str) {
        if self.bar.is_none() {
            self.printer.step(line);
        }
    }

    /// Something that has to stay readable.
    pub fn line(&self, line: &str) {
        self.printer.step(line);
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::tests::printer;

    fn said(settings: (bool, bool, bool)) -> String {
        let (printer, out, err) = printer(settings);
        let progress = Progress::new(&printer);
        progress.begin("wave 1 of 1: 2 hosts", 2);
        progress.detail("mw2019: switched");
        progress.through("mw2019: proven");
        progress.line("mw2020: refused");
        drop(progress);
        assert_eq!(out.text(), "", "progress is talk, never data");
        err.text()
    }

    #[test]
    fn without_a_terminal_each_step_is_a_line() {
        let expected = "wave 1 of 1: 2 hosts\nmw2019: switched\nmw2019: proven\nmw2020: refused\n";
        assert_eq!(said((false, false, false)), expected);
    }

    #[test]
    fn on_a_terminal_only_what_has_to_stay_is_a_line() {
        assert_eq!(said((false, false, true)), "mw2020: refused\n");
    }

    #[test]
    fn quiet_is_quiet() {
        assert_eq!(said((true, false, false)), "");
    }
}
