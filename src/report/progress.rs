//! How far a wave has come, in one line that fits the terminal: counts, content under way, whom it waits for, time left.
//!
//! Invariant: the line is never wider than was asked for; what matters least is left out first. No meaning is in the bar
//! or in a colour alone.

use super::words::bytes;
use crate::model::names::HostName;
use crate::model::ranges::fold;
use crate::model::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// How many hosts are named that one waits for.
const SLOWEST_SHOWN: usize = 3;
/// Before so many hosts are through, nothing is said about the time that is left.
const THROUGH_MIN: usize = 3;
/// Columns of the bar.
const BAR: usize = 20;

/// Hosts that are being proven or moved together.
#[derive(Debug, Clone, Default)]
pub struct Wave {
    /// What it is: `wave 2 of 3`, `proving`.
    label: String,
    /// How many hosts it has; 0: nothing moves, and those count that are asked.
    hosts: usize,
    /// When it began.
    began: Time,
    /// Bytes that had been sent then.
    sent_before: u64,
    /// Hosts with a command under way: which, since when.
    under_way: BTreeMap<HostName, (&'static str, Time)>,
    /// Hosts that have answered.
    answered: BTreeSet<HostName>,
    /// Hosts that serve the wanted map.
    switched: BTreeSet<HostName>,
    /// Hosts that are proven at the wanted state.
    proven: BTreeSet<HostName>,
    /// Hosts that did not answer, or are left behind.
    failed: BTreeSet<HostName>,
}

impl Wave {
    /// A wave of so many hosts begins.
    pub fn new(label: impl Into<String>, hosts: usize, began: Time, sent_before: u64) -> Self {
        Self { label: label.into(), hosts, began, sent_before, ..Self::default() }
    }

    /// A command is under way to a host.
    pub fn begin(&mut self, host: &HostName, command: &'static str, now: Time) {
        self.under_way.insert(host.clone(), (command, now));
    }

    /// The command came to an end there.
    pub fn end(&mut self, host: &HostName, answered: bool) {
        self.under_way.remove(host);
        let set = if answered { &mut self.answered } else { &mut self.failed };
        set.insert(host.clone());
    }

    /// A host serves the wanted map.
    pub fn switched(&mut self, host: &HostName) {
        self.switched.insert(host.clone());
    }

    /// A host is proven at the wanted state.
    pub fn proven(&mut self, host: &HostName) {
        self.failed.remove(host);
        self.proven.insert(host.clone());
    }

    /// A host is left behind.
    pub fn left(&mut self, host: &HostName) {
        self.failed.insert(host.clone());
    }

    /// Commands to hosts of other waves, to confirm or to look once more, don't count.
    fn all(&self) -> usize {
        if self.moves() {
            return self.hosts;
        }
        let heard: BTreeSet<&HostName> =
            self.answered.iter().chain(&self.failed).chain(self.under_way.keys()).collect();
        heard.len()
    }

    /// Hosts that need nothing more: proven where something moves, else those that answered.
    fn through(&self) -> usize {
        match self.moves() {
            true => self.proven.len(),
            false => self.answered.iter().filter(|host| !self.under_way.contains_key(*host)).count(),
        }
    }

    fn moves(&self) -> bool {
        self.hosts > 0
    }

    /// The line, at most `width` columns.
    pub fn line(&self, now: Time, sent: u64, width: usize) -> String {
        let (through, all) = (self.through(), self.all());
        let what = if self.moves() { "proven" } else { "answered" };
        let mut line = format!("{}: {through} of {all} {what}", self.label);
        let parts = [self.counts(), self.content(now, sent), self.slowest(now), self.left_time(now, through, all)];
        for part in parts.into_iter().flatten() {
            if line.chars().count() + 2 + part.chars().count() <= width {
                line = format!("{line}, {part}");
            }
        }
        if all > 0 && line.chars().count() + BAR + 3 <= width {
            let full = BAR * through.min(all) / all;
            line = format!("[{:<BAR$}] {line}", "#".repeat(full));
        }
        match line.chars().count() > width {
            true => line.chars().take(width).collect(),
            false => line,
        }
    }

    /// What stays of a wave that is over.
    pub fn summary(&self, now: Time) -> String {
        let failed = match self.failed.len() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let what = if self.moves() { "proven" } else { "answered" };
        let seconds = now.ms_since(self.began).div_ceil(1000);
        format!("{}: {} of {} {what}{failed} in {seconds} s", self.label, self.through(), self.all())
    }

    fn counts(&self) -> Option<String> {
        let waiting = self.switched.difference(&self.proven).count();
        let parts = [(waiting, "switched"), (self.failed.len(), "failed")];
        let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn content(&self, now: Time, sent: u64) -> Option<String> {
        let receiving = self.under_way.values().filter(|(command, _)| *command == "prepare").count();
        let sent = sent.saturating_sub(self.sent_before);
        let rate = sent.checked_mul(1000)?.checked_div(now.ms_since(self.began)).unwrap_or_default();
        (receiving > 0).then(|| format!("{receiving} receiving ({} at {}/s)", bytes(sent), bytes(rate)))
    }

    /// Those that one waits for longest.
    fn slowest(&self, now: Time) -> Option<String> {
        let mut slow: Vec<(u64, &HostName)> =
            self.under_way.iter().map(|(host, (_, since))| (now.ms_since(*since) / 1000, host)).collect();
        slow.retain(|(seconds, _)| *seconds > 0);
        slow.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let short = |host: &HostName| host.as_str().split('.').next().unwrap_or_default().to_owned();
        let named: Vec<String> =
            slow.iter().take(SLOWEST_SHOWN).map(|(seconds, host)| format!("{} {seconds} s", short(host))).collect();
        (!named.is_empty()).then(|| format!("waits for {}", named.join(", ")))
    }

    /// By the pace so far.
    fn left_time(&self, now: Time, through: usize, all: usize) -> Option<String> {
        let passed = now.ms_since(self.began);
        let left = passed.checked_mul((all - through.min(all)) as u64)? / (through as u64).max(1);
        (through >= THROUGH_MIN && through < all).then(|| format!("{} s left", left.div_ceil(1000)))
    }
}

/// Hosts that lacked something and get it beside the rollout, each with what it lacked: hundreds may lack the same.
#[derive(Debug, Clone, Default)]
pub struct Repairs {
    under_way: BTreeMap<HostName, String>,
    done: BTreeMap<String, Vec<HostName>>,
    /// What was said of some host since the last summary.
    said: BTreeSet<String>,
}

impl Repairs {
    /// A host is being repaired, which lacks this; whether it is the first of those that lack the same.
    pub fn begin(&mut self, host: &HostName, lacks: &str) -> bool {
        self.under_way.insert(host.clone(), lacks.to_owned());
        self.said.insert(lacks.to_owned())
    }

    /// A host is proven at the wanted state.
    pub fn proven(&mut self, host: &HostName) {
        if let Some(lacked) = self.under_way.remove(host) {
            self.done.entry(lacked).or_default().push(host.clone());
        }
    }

    /// A host is left behind, and said so.
    pub fn left(&mut self, host: &HostName) {
        self.under_way.remove(host);
    }

    /// Those whose repair has come to no end, in one line.
    pub fn open(&self) -> Option<String> {
        let hosts: Vec<HostName> = self.under_way.keys().cloned().collect();
        (!hosts.is_empty()).then(|| format!("still being repaired: {}", fold(&hosts)))
    }

    /// Those whose repair was proven since this was asked last, in one line, or with a line for each thing that they lacked.
    pub fn summary(&mut self, each: bool) -> Vec<String> {
        self.said.clear();
        let done = std::mem::take(&mut self.done);
        match each {
            true => done.iter().map(|(lacked, hosts)| format!("repaired: {} (was: {lacked})", fold(hosts))).collect(),
            false if done.is_empty() => Vec::new(),
            false => vec![format!("repaired: {}", fold(&done.into_values().flatten().collect::<Vec<_>>()))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn host(n: usize) -> HostName {
        format!("mw{}.codfw.wmnet", 2000 + n).parse().expect("a host")
    }

    /// 120 hosts after 10 s: 40 through, 2 switched, 3 receiving, 1 failed.
    fn wave() -> Wave {
        let mut wave = Wave::new("wave 2 of 3", 120, Time(0), 1 << 20);
        for n in 0..40 {
            wave.begin(&host(n), "switch", Time(1000));
            wave.end(&host(n), true);
            wave.switched(&host(n));
            wave.proven(&host(n));
        }
        for n in 40..42 {
            wave.begin(&host(n), "observe", Time(9500));
            wave.switched(&host(n));
        }
        for n in 42..45 {
            wave.begin(&host(n), "prepare", Time(n as u64 * 100));
        }
        wave.begin(&host(45), "observe", Time(0));
        wave.end(&host(45), false);
        wave.left(&host(45));
        wave
    }

    #[test]
    fn what_matters_least_is_left_out_first() {
        let lines: Vec<String> =
            [200, 160, 120, 80, 60, 20].map(|width| wave().line(Time(10_000), 101 << 20, width)).into();
        expect![[r#"
            [######              ] wave 2 of 3: 40 of 120 proven, 2 switched, 1 failed, 3 receiving (100.0 MiB at 10.0 MiB/s), waits for mw2042 5 s, mw2043 5 s, mw2044 5 s, 20 s left
            wave 2 of 3: 40 of 120 proven, 2 switched, 1 failed, 3 receiving (100.0 MiB at 10.0 MiB/s), waits for mw2042 5 s, mw2043 5 s, mw2044 5 s, 20 s left
            wave 2 of 3: 40 of 120 proven, 2 switched, 1 failed, 3 receiving (100.0 MiB at 10.0 MiB/s), 20 s left
            wave 2 of 3: 40 of 120 proven, 2 switched, 1 failed, 20 s left
            wave 2 of 3: 40 of 120 proven, 2 switched, 1 failed
            wave 2 of 3: 40 of 1"#]]
        .assert_eq(&lines.join("\n"));
        assert_eq!(wave().summary(Time(10_001)), "wave 2 of 3: 40 of 120 proven, 1 failed in 11 s");
    }

    #[test]
    fn before_the_first_wave_answers_are_counted() {
        let mut proving = Wave::new("proving", 0, Time(0), 0);
        (0..3).for_each(|n| proving.begin(&host(n), "observe", Time(0)));
        proving.end(&host(0), true);
        proving.end(&host(1), false);
        assert_eq!(
            proving.line(Time(2500), 0, 80),
            "[######              ] proving: 1 of 3 answered, 1 failed, waits for mw2002 2 s"
        );
        assert_eq!(proving.summary(Time(2500)), "proving: 1 of 3 answered, 1 failed in 3 s");
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_wider_than_asked(width in 1_usize..250, sent in proptest::num::u64::ANY, now in proptest::num::u64::ANY) {
            assert!(wave().line(Time(now), sent, width).chars().count() <= width);
        }
    }

    #[test]
    fn repaired_hosts_are_folded_and_said_once() {
        let mut repairs = Repairs::default();
        let lack = |n| if n == 18 { "no marker" } else { "absent" };
        let first: Vec<bool> = (17..=20).map(|n| repairs.begin(&host(n), lack(n))).collect();
        assert_eq!(first, [true, true, false, false]);
        // One is not through yet, and another one had nothing to repair.
        [18, 21, 19, 17].iter().for_each(|n| repairs.proven(&host(*n)));
        let each =
            ["repaired: mw[2017,2019].codfw.wmnet (was: absent)", "repaired: mw2018.codfw.wmnet (was: no marker)"];
        assert_eq!(repairs.clone().summary(true), each);
        assert_eq!(repairs.summary(false), ["repaired: mw[2017-2019].codfw.wmnet"]);
        assert!(repairs.summary(true).is_empty() && repairs.summary(false).is_empty());
        assert_eq!(repairs.open().as_deref(), Some("still being repaired: mw2020.codfw.wmnet"));
        repairs.proven(&host(20));
        assert_eq!(repairs.open(), None);
        assert_eq!(repairs.summary(false), ["repaired: mw2020.codfw.wmnet"]);
        assert!(repairs.begin(&host(21), "absent"), "after a summary it is said again");
        repairs.left(&host(21));
        assert_eq!(repairs.open(), None);
    }
}
