//! How far a wave has come: a bar on a terminal, plain lines elsewhere.

use super::Printer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// Progress over the hosts of a wave.
pub struct Progress<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Shows through `printer`; a bar only where a person watches on a terminal.
    pub fn new(printer: &'a Printer) -> Self {
        let bar = (std::io::stderr().is_terminal() && !printer.is_quiet()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
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
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.step(line)),
            None => self.printer.step(line),
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
