//! The person at the terminal: sees the plan and the steps, and says yes or no.

use super::seat::Seat;
use crate::drive::clock;
use crate::drive::run::{Audience, Step};
use crate::model::names::HostName;
use crate::model::stale::StaleReason;
use crate::model::words::count;
use crate::plan::facts::Facts;
use crate::plan::gates::span;
use crate::plan::hosts::Plan;
use crate::report;
use crate::report::escape::Untrusted;
use crate::report::events::Event;
use crate::rollout::effect::Told;
use crate::ui::progress::Progress;
use crate::ui::prompt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::oneshot;

/// Shows plans and steps through the printer.
pub struct Terminal<'a> {
    /// Where it sits.
    pub seat: &'a Seat,
    /// Whether the answer to every question is yes.
    pub yes: bool,
    /// What a saved plan was shown with.
    pub facts: Option<Facts>,
    /// How far it has come.
    pub progress: Progress<'a>,
}

impl<'a> Terminal<'a> {
    /// A person at `seat`; with `yes` nothing is asked.
    pub fn new(seat: &'a Seat, yes: bool) -> Self {
        Self { seat, yes, facts: None, progress: Progress::new(&seat.printer, clock::now) }
    }
}

impl Audience for Terminal<'_> {
    fn ask(&mut self, plan: &Plan) -> oneshot::Receiver<bool> {
        self.progress.end();
        self.seat.printer.talk(report::plan::text(plan, self.facts.as_ref()).trim_end());
        let (answer, owed) = oneshot::channel();
        if self.yes {
            let _ = answer.send(true);
            return owed;
        }
        let printer = Arc::clone(&self.seat.printer);
        // Not waited for: who presses Ctrl-C instead of answering leaves it behind.
        std::thread::spawn(move || {
            let agreed = prompt::confirm("Go on?").unwrap_or_else(|error| {
                printer.talk(&error.to_string());
                false
            });
            let _ = answer.send(agreed);
        });
        owed
    }

    fn moves(&mut self, host: &HostName, step: Step) {
        match step {
            Step::Begun(command) => self.progress.sends(host, command),
            Step::Answered => self.progress.hears(host, true),
            Step::Failed => self.progress.hears(host, false),
        }
    }

    fn stopping(&mut self, hosts: usize) {
        let under_way = match hosts {
            0 => String::new(),
            hosts => format!(", what is under way to {} is finished", count(hosts, "host")),
        };
        let words = format!("stopping: no new step begins{under_way}; once more stops at once");
        self.seat.printer.talk(&words);
    }

    fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress.sent)
    }

    fn tell(&mut self, told: &Told) {
        if self.seat.json {
            self.seat.event(&Event::Step(told.into()));
            return;
        }
        match told {
            Told::Wave { number, of, hosts } => {
                let words = format!(": {}", count(*hosts, "host"));
                self.progress.begin(&format!("wave {number} of {of}"), &words, *hosts);
            }
            // Its hosts were said one by one, and what follows is said next.
            Told::WaveDone { .. } => {}
            Told::Repairing { host, reason } => self.progress.repairs(host, &report::stale::reason(reason)),
            Told::Switched(host) => self.progress.switched(host),
            Told::Fresh(host) => self.progress.proven(host),
            Told::Collected { host, collected: Ok(removed) } => {
                if let Some(words) = report::words::removed(removed) {
                    self.progress.line(&format!("{host}: {words}"));
                }
            }
            Told::Collected { host, collected: Err(why) } => {
                self.progress.line(&format!("{host}: nothing was removed: {}", Untrusted(why)));
            }
            Told::Gating { what, least_ms, gates } => {
                let (gates, least) = (count(*gates, "gate"), span(*least_ms));
                self.progress.line(&format!("{what}: {gates}, at least {least}"));
            }
            Told::Judged(said) => {
                let reason = report::gates::reason(&said.sentence);
                self.progress.line(&format!("{} {}: {reason}", said.gate, said.verdict));
            }
            Told::Blamed(sentence) => self.progress.line(&Untrusted(sentence).to_string()),
            Told::Left(host, reason) => self.progress.left(host, &report::stale::now_line(host, reason)),
            Told::Mirror(sentence) => self.progress.line(&format!("warning: {}", Untrusted(sentence))),
            Told::Brought(bytes) => {
                let from = |(from, bytes): (&String, &u64)| format!("{} from {from}", report::words::bytes(*bytes));
                let parts: Vec<String> = bytes.iter().map(from).collect();
                self.progress.line(&format!("hosts got {}", parts.join(", ")));
            }
        }
    }
}

/// One line a stale host: what is wrong and what to type.
pub fn say_stale(seat: &Seat, hosts: &BTreeMap<HostName, StaleReason>) {
    for (host, reason) in hosts {
        seat.printer.data(&report::stale::now_line(host, reason));
    }
}
