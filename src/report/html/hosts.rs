//! Hosts by wave: how each stood in the end, when it had switched, and how far apart the hosts of a wave were.
//!
//! Hosts may be hundreds: those to which the same happened are one folded list, and those that did not make it are open.

use super::super::escape::Untrusted;
use super::super::stale;
use super::case::{Case, Stands, Wave};
use super::plot;
use super::words::{Mood, badge, clock, lasted, scrolled};
use crate::model::names::HostName;
use crate::model::ranges::fold;
use crate::model::time::Time;
use crate::model::words::count;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Hosts of one state whose list is open at once.
const OPEN_MAX: usize = 12;

/// How a host stood in the end, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Owed,
    Stale,
    Refused,
    Silent,
    Unproven,
    NotReached,
    AsWanted,
    Proven,
}

impl State {
    fn of(case: &Case, host: &HostName, answer: Option<&Option<(Time, String)>>) -> Self {
        let stood = case.stands.get(host).cloned().unwrap_or_default();
        match (&stood, answer) {
            (Stands { owed: Some(_), .. }, _) => Self::Owed,
            (Stands { stale: Some(_), .. }, _) => Self::Stale,
            (Stands { proven: true, .. }, Some(_)) => Self::Proven,
            (Stands { proven: true, .. }, None) if !case.has_waves() => Self::AsWanted,
            (_, Some(Some((_, said)))) if said == "ok" => Self::Unproven,
            (_, Some(Some(_))) => Self::Refused,
            (_, Some(None)) => Self::Silent,
            (_, None) => Self::NotReached,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Owed => "left behind and owed",
            Self::Stale => "stale",
            Self::Refused => "did not switch",
            Self::Silent => "never answered, so it may have switched",
            Self::Unproven => "switched, not proven in this undertaking",
            Self::NotReached => "not told to switch",
            Self::AsWanted => "was as wanted, proven",
            Self::Proven => "switched and proven",
        }
    }

    fn mood(self) -> Mood {
        match self {
            Self::Owed | Self::Stale | Self::Refused => Mood::Bad,
            Self::Silent | Self::Unproven => Mood::Doubtful,
            Self::NotReached => Mood::Quiet,
            Self::AsWanted | Self::Proven => Mood::Good,
        }
    }
}

type Answer<'a> = Option<&'a Option<(Time, String)>>;

/// Hosts by how they stood.
fn by_state<'a>(case: &Case, hosts: impl Iterator<Item = (&'a HostName, Answer<'a>)>) -> ByState<'a> {
    let mut states = ByState::new();
    for (host, answer) in hosts {
        states.entry(State::of(case, host, answer)).or_default().push((host, answer));
    }
    states
}

type ByState<'a> = BTreeMap<State, Vec<(&'a HostName, Answer<'a>)>>;

fn answers(wave: &Wave) -> impl Iterator<Item = (&HostName, Answer<'_>)> {
    wave.hosts.iter().map(|(host, answer)| (host, Some(answer)))
}

/// Hosts that no switch was sent to.
fn others(case: &Case) -> impl Iterator<Item = (&HostName, Answer<'_>)> {
    let told = |host: &HostName| case.waves.iter().any(|wave| wave.hosts.contains_key(host));
    case.scope.iter().filter(move |host| !told(host)).map(|host| (host, None))
}

/// How all of them stood: `2 switched and proven, 1 stale`.
pub(super) fn sum(case: &Case) -> String {
    // A host that was tried twice stands as it did the last time.
    let last: BTreeMap<&HostName, Answer<'_>> = case.waves.iter().flat_map(answers).collect();
    let states = by_state(case, last.into_iter().chain(others(case)));
    match states.is_empty() {
        true => "no host was talked to".to_owned(),
        false => counts(&states),
    }
}

fn counts(states: &ByState<'_>) -> String {
    let each = |(state, hosts): (&State, &Vec<_>)| format!("{} {}", hosts.len(), state.words());
    states.iter().rev().map(each).collect::<Vec<_>>().join("; ")
}

/// The largest distance between the first and the last switch of a wave, ms; `None`: no wave has two.
pub(super) fn worst_skew(case: &Case) -> Option<u64> {
    case.waves.iter().filter_map(Wave::skew_ms).max().filter(|_| case.has_waves())
}

/// The whole part of the page.
pub(super) fn matrix(case: &Case) -> Markup {
    let others = by_state(case, others(case));
    if case.waves.is_empty() && others.is_empty() {
        return html! { p { "The journal has no host of it." } };
    }
    html! {
        @if case.waves.is_empty() {
            p { "No host was told to switch." }
        } @else {
            (overview(case))
        }
        @for (n, wave) in case.waves.iter().enumerate() {
            h3 { (name(case, n)) ": " (count(wave.hosts.len(), "host")) }
            @if wave.hosts.len() > 1 { (plot::strip(n, wave, widest(case))) }
            (lists(case, &by_state(case, answers(wave)), Some(wave)))
        }
        @if !others.is_empty() {
            h3 { "Without a switch: " (count(others.values().map(Vec::len).sum(), "host")) }
            (lists(case, &others, None))
        }
    }
}

/// From sending to the last answer, of the wave that took longest, ms.
fn widest(case: &Case) -> u64 {
    let answered = |wave: &Wave| wave.hosts.values().flatten().map(|(at, _)| at.ms_since(wave.sent())).max();
    case.waves.iter().filter_map(answered).max().unwrap_or(0)
}

fn name(case: &Case, n: usize) -> String {
    if case.has_waves() { format!("Wave {}", n + 1) } else { "Each host for itself".to_owned() }
}

fn overview(case: &Case) -> Markup {
    let after = |ms: Option<u64>| ms.map_or("none".to_owned(), |ms| format!("+{}", lasted(ms)));
    html! {
        p.note {
            "The skew lies between the first and the last host of a wave that had switched. A host had switched when its answer \
             was written down on the deploy host, so a little earlier than is said here."
        }
        (scrolled("Waves", html! { table {
                caption { "Waves" }
                thead {
                    tr {
                        th scope="col" { "Wave" } th.n scope="col" { "Hosts" } th scope="col" { "Sent" }
                        th.n scope="col" { "First" } th.n scope="col" { "Last" } th.n scope="col" { "Skew" }
                        th scope="col" { "How they stood" }
                    }
                }
                tbody {
                    @for (n, wave) in case.waves.iter().enumerate() {
                        tr {
                            th scope="row" { (name(case, n)) }
                            td.n { (wave.hosts.len()) }
                            td.time { (clock(wave.sent())) }
                            td.n { (after(wave.switched_ms().map(|(first, _)| first))) }
                            td.n { (after(wave.switched_ms().map(|(_, last)| last))) }
                            td.n { @match wave.skew_ms() { Some(skew) => (lasted(skew)), None => "none" } }
                            td { (counts(&by_state(case, answers(wave)))) }
                        }
                    }
                }
            } }))
    }
}

/// A folded list a state; what needs a person's eye is open.
fn lists(case: &Case, states: &ByState<'_>, wave: Option<&Wave>) -> Markup {
    html! {
        @for (state, hosts) in states {
            details open[state.mood() <= Mood::Doubtful || hosts.len() <= OPEN_MAX && wave.is_some()] {
                summary {
                    (badge(state.mood(), &format!("{} {}", hosts.len(), state.words()))) " "
                    code { (fold(&hosts.iter().map(|(host, _)| (*host).clone()).collect::<Vec<_>>())) }
                }
                (table(case, *state, hosts, wave))
            }
        }
    }
}

fn table(case: &Case, state: State, hosts: &[(&HostName, Answer<'_>)], wave: Option<&Wave>) -> Markup {
    let why = state.mood() <= Mood::Doubtful;
    html! {
        (scrolled(&format!("Hosts: {}", state.words()), html! { table {
                caption { "Hosts: " (state.words()) }
                thead {
                    tr {
                        th scope="col" { "Host" }
                        @if wave.is_some() { th scope="col" { "Answered" } th.n scope="col" { "After" } }
                        @if why { th scope="col" { "Why" } }
                    }
                }
                tbody {
                    @for (host, answer) in hosts {
                        @let at = answer.and_then(Option::as_ref).map(|(at, _)| *at);
                        tr {
                            th scope="row" { (host) }
                            @if let Some(wave) = wave {
                                td.time { @match at { Some(at) => (clock(at)), None => "no answer" } }
                                td.n { @if let Some(at) = at { "+" (lasted(at.ms_since(wave.sent()))) } }
                            }
                            @if why { td { (reason(case, host, *answer)) } }
                        }
                    }
                }
            } }))
    }
}

/// What is known of why it did not make it.
fn reason(case: &Case, host: &HostName, answer: Answer<'_>) -> String {
    let stood = case.stands.get(host).cloned().unwrap_or_default();
    let said = answer.and_then(Option::as_ref).map(|(_, said)| said.as_str()).filter(|said| *said != "ok");
    let parts = [
        stood.stale.as_ref().map(stale::reason),
        stood.owed.map(|what| format!("owed {}", Untrusted(&what))),
        said.map(|said| format!("it said: {}", Untrusted(said))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
