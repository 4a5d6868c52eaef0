//! One undertaking as one page for a browser: what was asked and what happened, when, on which host, what the gates found, and
//! why. No scripts, nothing from the network.
//!
//! Invariants. Every value reaches the page through a splice of `maud::html!`, which escapes whatever is not [`Markup`]; nothing
//! here makes markup of a text (`PreEscaped` stands in [`document`] only, around our own stylesheet and script). The page as a whole goes
//! through [`visible`], so that no control or bidirectional character is left in it. It forbids itself to load or to run
//! anything. What the journal does not hold is said not to be held.
//!
//! Absent on purpose: judgement of who was right, and anything that is not in the books.

pub mod board;
pub mod case;
mod gates;
mod hosts;
mod plan;
mod plot;
#[cfg(test)]
mod tests;
mod words;

use super::escape::{Untrusted, visible};
use super::history;
use super::markdown::{Span, spans};
use super::timeline::{Mark, Row, day_and_time};
use crate::model::books::{Snapshot, Status};
use crate::model::time::Time;
use crate::model::version::VERSION;
use case::{Case, Wave};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use words::{Mood, badge, lasted, moment};

const STYLE: &str = include_str!("html/style.css");

/// What a page is made from.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// What the journal has of the undertaking.
    pub case: &'a Case,
    /// The timeline of the journal; the page takes its part.
    pub rows: &'a [Row],
    /// The state that it began from; `None`: there was none, or the books no longer have it.
    pub before: Option<&'a Snapshot>,
    /// The state that it leads to.
    pub after: Option<&'a Snapshot>,
    /// When the page is made.
    pub now: Time,
}

/// The page.
pub fn page(told: Told<'_>) -> String {
    let case = told.case;
    let title = format!("{}: {}", case.rollout.id, history::what(&case.rollout));
    let body = html! {
        header {
            p.eyebrow { "pointsman report" }
            h1 { (case.rollout.id) ": " (history::what(&case.rollout)) }
            p.lead {
                (status(case.rollout.status))
                @if !case.rollout.effect.is_empty() { ": " (Untrusted(&case.rollout.effect)) }
            }
        }
        nav aria-label="On this page" {
            ul {
                @for (id, name) in SECTIONS { li { a href={ "#" (id) } { (name) } } }
            }
        }
        main {
            (section(0, summary(told)))
            (section(1, timeline(told)))
            (section(2, hosts::matrix(case)))
            (section(3, gates::all(case)))
            (section(4, gates::attribution(case)))
            (section(5, gates::lines(case)))
            (section(6, plan::recorded(told)))
        }
        footer { (origin(told)) }
    };
    document(&title, &body, Live::No)
}

const SECTIONS: [(&str, &str); 7] = [
    ("summary", "What was asked, what happened"),
    ("timeline", "Timeline"),
    ("hosts", "Hosts by wave"),
    ("gates", "Gates"),
    ("attribution", "Who is to blame"),
    ("lines", "Lines that decided"),
    ("plan", "The plan"),
];

fn section(n: usize, body: Markup) -> Markup {
    section_of(SECTIONS[n].0, SECTIONS[n].1, body)
}

fn section_of(id: &str, name: &str, body: Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-h" } {
            h2 id={ (id) "-h" } { (name) }
            (body)
        }
    }
}

/// Whether a page asks for itself again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Live {
    Yes,
    No,
}

/// The one script of a live page.
const SCRIPT: &str = include_str!("html/live.js");

/// What a page may do, for its `Content-Security-Policy`: nothing but its own style; a live one runs its own script, asks its
/// own server and sends its forms there.
fn policy(live: Live) -> String {
    let sum = |text: &str| base64(&Sha256::digest(text));
    let more = match live {
        Live::No => "form-action 'none'".to_owned(),
        Live::Yes => format!("script-src 'sha256-{}'; connect-src 'self'; form-action 'self'", sum(SCRIPT)),
    };
    format!("default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; {more}", sum(STYLE))
}

/// A whole document around `body`.
fn document(title: &str, body: &Markup, live: Live) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(live));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="same-origin";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                @if live == Live::Yes { script { (PreEscaped(SCRIPT)) } }
            }
        }
    };
    visible(&page.into_string())
}

/// RFC 4648, section 4: what a policy wants a digest to be written in.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, n| bits << 8 | u32::from(chunk.get(n).copied().unwrap_or(0)));
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

fn status(status: Status) -> Markup {
    let mood = match status {
        Status::Done => Mood::Good,
        Status::Owed | Status::Open => Mood::Doubtful,
        Status::WentBack => Mood::Bad,
        Status::Dropped | Status::Superseded => Mood::Quiet,
    };
    badge(mood, history::status(status))
}

fn summary(told: Told<'_>) -> Markup {
    let (case, rollout) = (told.case, &told.case.rollout);
    let took = case.begun.zip(case.ended).map(|(begun, ended)| ended.at.ms_since(begun.at));
    html! {
        dl {
            dt { "Asked" } dd { (history::what(rollout)) }
            dt { "By" } dd { (Untrusted(&rollout.by)) }
            dt { "Why" } dd { @if rollout.why.is_empty() { "no reason was given" } @else { (Untrusted(&rollout.why)) } }
            @if let Some(playbook) = rollout.playbook { dt { "For" } dd { "playbook " (playbook) } }
            dt { "Begun" } dd { (moment(case.begun.map_or(rollout.at, |begun| begun.at))) }
            dt { "Ended" } dd {
                @match (case.ended, took) {
                    (Some(ended), Some(took)) => { (moment(ended.at)) ", after " (lasted(took)) }
                    _ => { "the journal has no end of it" }
                }
            }
            dt { "Stands" } dd { (history::status_sentence(rollout)) }
            @if !rollout.effect.is_empty() { dt { "Effect" } dd { (Untrusted(&rollout.effect)) } }
            dt { "Hosts" } dd { (hosts::sum(case)) }
            @if let Some(skew) = hosts::worst_skew(case) {
                dt { "Switch skew" }
                dd { "at most " (lasted(skew)) " between the first and the last answer of a wave" }
            }
            @if let Some(back) = case.followed {
                dt { "Then" } dd { "taken back by " (back) "; " code { "pointsman report " (back) " --html FILE" } " makes its page" }
            }
        }
    }
}

/// The lines of the journal's timeline from the first word of this undertaking to the last one of it or of what took it back,
/// and its waves among them.
fn timeline(told: Told<'_>) -> Markup {
    let of_all = told.rows.iter().filter(|row| told.case.spans(row.mark.at)).map(|row| (row.mark, rich(&row.text)));
    let mut lines: Vec<(Mark, Markup)> = of_all.chain(of_waves(told.case)).collect();
    if lines.is_empty() {
        return html! { p { "The journal has no event of it." } };
    }
    lines.sort_by_key(|(mark, _)| mark.seq);
    let mut day = String::new();
    html! {
        p.note { "All that happened in that time, also to others. Times are UTC, by the deploy host's clock." }
        div.scroll tabindex="0" role="group" aria-label="Timeline" {
            table {
                caption { "Timeline" }
                thead { tr { th scope="col" { "Time" } th scope="col" { "What" } } }
                tbody {
                    @for (mark, line) in lines {
                        @let (today, time) = day_and_time(mark.at);
                        @if today != day {
                            tr.day { th colspan="2" scope="colgroup" { (today) } }
                            @let () = day.clone_from(&today);
                        }
                        tr {
                            td.time { time datetime=(mark.at) { (time) } }
                            td { (line) }
                        }
                    }
                }
            }
        }
    }
}

/// When it was begun, and when switches were sent.
fn of_waves(case: &Case) -> impl Iterator<Item = (Mark, Markup)> {
    let begun = case.begun.map(|mark| (mark, html! { strong { (case.rollout.id) } " was begun" }));
    let wave = |(n, wave): (usize, &Wave)| {
        let line = html! {
            strong { (case.rollout.id) } ": "
            @if case.has_waves() { "wave " (n + 1) " of switches" } @else { "the first switch" }
            " was sent; "
            @match wave.switched_ms() {
                Some((_, last)) => { "the last host that answered had switched " (lasted(last)) " later" }
                None => { "no host answered that it had switched" }
            }
        };
        (wave.mark, line)
    };
    begun.into_iter().chain(case.waves.iter().enumerate().map(wave))
}

/// A line of the timeline.
fn rich(cell: &str) -> Markup {
    html! {
        @for span in spans(cell) {
            @match span {
                Span::Plain(text) => { (text) }
                Span::Strong(text) => { strong { (text) } }
                Span::Code(text) => { code { (text) } }
            }
        }
    }
}

fn origin(told: Told<'_>) -> Markup {
    html! {
        p {
            "Made " (moment(told.now)) " by pointsman " (VERSION) " out of the books alone: "
            @match told.case.read {
                Some((events, head)) => {
                    "a journal of " (crate::model::words::count(events as usize, "event")) ", whose last hash is "
                    code { (head) } ". "
                }
                None => { "a journal without events. " }
            }
            "To prove that journal: " code { "pointsman journal verify" } "."
        }
    }
}
