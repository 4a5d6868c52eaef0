//! How far a wave has come: one living line on a terminal, plain lines elsewhere.
//!
//! Invariant: the living line is drawn anew from what is known and from the terminal's width at that moment, so that a
//! resized window garbles nothing; what is said meanwhile goes above it.

use super::Printer;
use crate::model::names::HostName;
use crate::model::time::Time;
use crate::report::progress::{Repairs, Wave};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(200);

/// Progress over the hosts of one wave after the other.
pub struct Progress<'a> {
    printer: &'a Printer,
    now: fn() -> Time,
    /// The wave that is under way; `None`: nothing is.
    wave: Arc<Mutex<Option<Wave>>>,
    repairs: Mutex<Repairs>,
    /// Bytes of content that went from here to hosts.
    pub sent: Arc<AtomicU64>,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Shows through `printer`; a living line only where a person watches on a terminal.
    pub fn new(printer: &'a Printer, now: fn() -> Time) -> Self {
        let wave: Arc<Mutex<Option<Wave>>> = Arc::default();
        let sent: Arc<AtomicU64> = Arc::default();
        let bar = printer.bars().map(|bars| {
            let (wave, sent) = (Arc::clone(&wave), Arc::clone(&sent));
            let draw = move |_: &ProgressState, to: &mut dyn Write| {
                if let Some(wave) = &*super::lock(&wave) {
                    let line = wave.line(now(), sent.load(Ordering::Relaxed), super::err_width());
                    let _ = to.write_str(&line);
                }
            };
            let style = ProgressStyle::with_template("{line}").expect("the template is one of indicatif's form");
            bars.add(ProgressBar::new_spinner().with_style(style.with_key("line", draw)))
        });
        Self { printer, now, wave, repairs: Mutex::default(), sent, bar }
    }

    /// A wave of `hosts` begins: `wave 2 of 3` and `: 12 hosts`.
    pub fn begin(&self, label: &str, words: &str, hosts: usize) {
        self.end();
        match self.bar.is_some() {
            true => self.start(Wave::new(label, hosts, (self.now)(), self.sent.load(Ordering::Relaxed))),
            false => self.printer.step(&format!("{label}{words}")),
        }
    }

    fn start(&self, wave: Wave) {
        *super::lock(&self.wave) = Some(wave);
        if let Some(bar) = &self.bar {
            bar.enable_steady_tick(TICK);
        }
    }

    /// What is known of the wave that is under way changes. Before the first one hosts are being proven.
    fn update(&self, change: impl FnOnce(&mut Wave, Time)) {
        if self.bar.is_none() {
            return;
        }
        if super::lock(&self.wave).is_none() {
            self.start(Wave::new("proving", 0, (self.now)(), self.sent.load(Ordering::Relaxed)));
        }
        if let Some(wave) = &mut *super::lock(&self.wave) {
            change(wave, (self.now)());
        }
    }

    /// A command is under way to a host.
    pub fn sends(&self, host: &HostName, command: &'static str) {
        self.update(|wave, now| wave.begin(host, command, now));
    }

    /// A command came to an end there.
    pub fn hears(&self, host: &HostName, answered: bool) {
        self.update(|wave, _| wave.end(host, answered));
    }

    /// A host serves the wanted map.
    pub fn switched(&self, host: &HostName) {
        self.detail(&format!("{host}: switched"));
        self.update(|wave, _| wave.switched(host));
    }

    /// A host is being repaired, which lacks this. On a terminal the first host of those that lack the same stands for them
    /// until all are named together.
    pub fn repairs(&self, host: &HostName, lacks: &str) {
        let first = super::lock(&self.repairs).begin(host, lacks);
        if first || self.bar.is_none() {
            self.printer.step(&format!("{host}: {lacks}; repairing it"));
        }
    }

    /// A host is proven at the wanted state.
    pub fn proven(&self, host: &HostName) {
        super::lock(&self.repairs).proven(host);
        self.detail(&format!("{host}: proven"));
        self.update(|wave, _| wave.proven(host));
    }

    /// A host is left behind, in so many words.
    pub fn left(&self, host: &HostName, words: &str) {
        super::lock(&self.repairs).left(host);
        self.printer.step(words);
        self.update(|wave, _| wave.left(host));
    }

    /// A step of one host, which a living line says by its counts.
    fn detail(&self, line: &str) {
        if self.bar.is_none() {
            self.printer.step(line);
        }
    }

    /// Something that has to stay readable.
    pub fn line(&self, line: &str) {
        self.printer.step(line);
    }

    /// The wave is over; what it came to stays.
    pub fn end(&self) {
        let over = super::lock(&self.wave).take();
        if let (Some(bar), Some(wave)) = (&self.bar, over) {
            bar.disable_steady_tick();
            bar.tick();
            self.printer.step(&wave.summary((self.now)()));
        }
        super::lock(&self.repairs).summary(self.bar.is_some()).iter().for_each(|line| self.printer.step(line));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.end();
        if let Some(open) = super::lock(&self.repairs).open() {
            self.printer.step(&open);
        }
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
        let progress = Progress::new(&printer, || Time(0));
        let host: HostName = "mw2019".parse().expect("a host");
        let other: HostName = "mw2018".parse().expect("a host");
        progress.begin("wave 1 of 1", ": 2 hosts", 2);
        progress.repairs(&host, "absent");
        progress.repairs(&other, "absent");
        progress.sends(&host, "switch");
        progress.hears(&host, true);
        progress.switched(&host);
        progress.proven(&host);
        progress.left(&"mw2020".parse().expect("a host"), "mw2020: refused");
        drop(progress);
        assert_eq!(out.text(), "", "progress is talk, never data");
        err.text()
    }

    #[test]
    fn without_a_terminal_each_step_is_a_line() {
        let expected = "wave 1 of 1: 2 hosts\nmw2019: absent; repairing it\nmw2018: absent; repairing it\n\
             mw2019: switched\nmw2019: proven\nmw2020: refused\n";
        assert_eq!(said((false, false, false)), format!("{expected}repaired: mw2019\nstill being repaired: mw2018\n"));
    }

    #[test]
    fn on_a_terminal_what_has_to_stay_is_a_line_and_each_wave_one() {
        let expected = "mw2019: absent; repairing it\nmw2020: refused\nwave 1 of 1: 1 of 2 proven, 1 failed in 0 s\n\
             repaired: mw2019 (was: absent)\nstill being repaired: mw2018\n";
        assert_eq!(said((false, false, true)), expected);
    }

    #[test]
    fn quiet_is_quiet() {
        assert_eq!(said((true, false, false)), "");
    }
}
