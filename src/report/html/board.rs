//! The board: the train as it stands, what runs, what waits for a person, and what was done.
//!
//! It reads without scripts. Its one script asks for the page again when the journal has more, and is named by its digest in
//! the policy of the page.

use super::super::escape::Untrusted;
use super::super::status::StatusView;
use super::super::{history, stale};
use super::case::Case;
use super::words::{Mood, badge, moment, scrolled};
use super::{Live, document, gates, hosts, section_of, status};
use crate::model::books::{Rollout, Status};
use crate::model::ids::RolloutId;
use crate::model::names::{GateName, HostName, Wiki};
use crate::model::ranges::fold;
use crate::model::time::Time;
use crate::model::words::count;
use crate::playbook::asked::Asked;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// What a board is made from.
#[derive(Debug, Clone, Copy)]
pub struct Board<'a> {
    /// The books and the site.
    pub view: &'a StatusView,
    /// The newest undertaking, as far as the journal has it.
    pub newest: Option<&'a Case>,
    /// What was done, the newest first.
    pub rollouts: &'a [Rollout],
    /// Whether an approval can be given here.
    pub takes_approvals: bool,
    /// A line of answer to what was just asked.
    pub said: Option<&'a str>,
}

/// The page.
pub fn page(board: Board<'_>) -> String {
    let view = board.view;
    let body = html! {
        header {
            p.eyebrow { "pointsman board" }
            h1 { "The train" }
            p.lead { (headline(board)) }
            p.note { "As the books have it at " (moment(view.now)) ". No host was asked for this page." }
        }
        main {
            @if let Some(said) = board.said { p.said role="status" { (Untrusted(said)) } }
            div #live {
                (section_of("approvals", "Waits for a person", approvals(board)))
                (section_of("train", "Groups and versions", train(view)))
                (section_of("fleet", "Hosts", fleet(view)))
                @if let Some(case) = board.newest {
                    (section_of("running", &running(case), undertaking(case)))
                }
                (section_of("history", "What was done", done(board.rollouts)))
            }
        }
        footer { p { "Everything else is done on the command line. Machines read " a href="/api/v1/openapi.json" { "/api/v1" } " and " a href="/metrics" { "/metrics" } "." } }
    };
    document("pointsman board", &body, Live::Yes)
}

/// A page with one sentence.
pub fn sentence(title: &str, said: &str) -> String {
    let body = html! {
        header { p.eyebrow { "pointsman board" } h1 { (title) } }
        main { p role="status" { (Untrusted(said)) } p { a href="/" { "back to the board" } } }
    };
    document(title, &body, Live::No)
}

fn headline(board: Board<'_>) -> Markup {
    let books = &board.view.books;
    let hold = books.hold.as_ref();
    html! {
        @match books.open().next_back() {
            Some(open) => { (badge(Mood::Doubtful, "running")) ": " (open.id) " " (history::what(open)) " by " (Untrusted(&open.by)) }
            None => { (badge(Mood::Good, "idle")) ": nothing is under way" }
        }
        @for run in books.playbooks.values().filter(|run| run.status.is_unfinished()) {
            br; (badge(Mood::Doubtful, "playbook")) ": " (run.id) " by " (Untrusted(&run.by))
            @if !run.why.is_empty() { ", " (Untrusted(&run.why)) }
        }
        @if let Some(hold) = hold {
            br; (badge(Mood::Bad, "hold")) " since " (moment(hold.since)) " by " (Untrusted(&hold.by)) ": " (Untrusted(&hold.reason))
        }
    }
}

/// Approvals of undertakings that have not ended.
pub fn waiting(view: &StatusView) -> Vec<(RolloutId, &GateName, Time)> {
    let open = |id: &RolloutId| view.books.rollouts.get(id).is_some_and(|rollout| rollout.status == Status::Open);
    view.books.health.waiting().filter(|(id, ..)| open(id)).collect()
}

fn approvals(board: Board<'_>) -> Markup {
    let waiting = waiting(board.view);
    html! {
        @if waiting.is_empty() && board.view.asked.is_empty() { p { "Nothing." } }
        @for (id, gate, since) in waiting {
            @let of = board.view.books.rollouts.get(&id);
            h3 { (id) ": " (gate) }
            p {
                @if let Some(of) = of { (history::what(of)) " by " (Untrusted(&of.by)) ": " (Untrusted(&of.why)) ". " }
                "It waits since " (moment(since)) "."
            }
            @match board.takes_approvals {
                true => (form(&id.to_string(), gate.as_str(), &format!("{id}-{gate}"))),
                false => p.note { "To answer: " code { "pointsman approve " (id) " " (gate) " -m WHY" } " or " code { "pointsman deny" } "." }
            }
        }
        @for asked in &board.view.asked { (run_asks(asked, board.takes_approvals)) }
    }
}

/// What a run of a playbook asks.
fn run_asks(asked: &Asked, takes_approvals: bool) -> Markup {
    let id = asked.id.to_string();
    html! {
        h3 { (id) ": " (Untrusted(&asked.stage)) }
        p {
            "playbook " (Untrusted(&asked.name)) " by " (Untrusted(&asked.by)) ": " (Untrusted(&asked.text)) ". "
            "It waits since " (moment(asked.since)) "."
        }
        @if let Some((by, why)) = &asked.denied {
            p { (badge(Mood::Bad, "denied")) " by " (Untrusted(by)) ": " (Untrusted(why)) ". It can still be approved." }
        }
        @if asked.paused { p.note { "It is paused: once this is approved, " code { "pointsman resume " (id) } " goes on." } }
        @match takes_approvals {
            true => (form(&id, &asked.stage, &id)),
            false => p.note { "To answer: " code { "pointsman approve " (id) " -m WHY" } " or " code { "pointsman deny" } "." }
        }
    }
}

/// Of which promotion or run, its gate or stage, and what its fields are named by. The token stands in the form, so that no page elsewhere can send it for its reader.
fn form(of: &str, which: &str, name: &str) -> Markup {
    html! {
        form method="post" action="/approvals" {
            input type="hidden" name="of" value=(of);
            input type="hidden" name="which" value=(which);
            label for={ "why-" (name) } { "Why, for the books" }
            input id={ "why-" (name) } name="reason" required maxlength="500" autocomplete="off";
            label for={ "token-" (name) } { "Your token" }
            input id={ "token-" (name) } name="token" type="password" required maxlength="200" autocomplete="off";
            p {
                button name="answer" value="yes" { "Approve" } " "
                button name="answer" value="no" { "Deny" }
            }
        }
    }
}

/// Groups as stations of a line, in the order of promotion.
fn train(view: &StatusView) -> Markup {
    let map = view.books.wanted().map(|wanted| wanted.map.0.clone()).unwrap_or_default();
    let versions = |wikis: &[Wiki]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for wiki in wikis {
            *counts.entry(map.get(wiki).map_or("none".to_owned(), ToString::to_string)).or_default() += 1;
        }
        counts
    };
    html! {
        ol.line {
            @for (group, wikis) in &view.groups {
                li {
                    h3 { (group) }
                    @for (version, wikis) in versions(wikis) {
                        p { code { (version) } " " span.quiet { (count(wikis, "wiki")) } }
                    }
                }
            }
        }
    }
}

fn fleet(view: &StatusView) -> Markup {
    let stale = view.stale();
    let owed: Vec<HostName> = with(view, |row| row.owed.is_some());
    let depooled = with(view, |row| row.depooled.is_some());
    let pins = view.books.wanted().map(|wanted| &wanted.pins);
    let well: Vec<HostName> = view.hosts.iter().filter(|host| !stale.contains_key(*host)).cloned().collect();
    html! {
        p { (badge(Mood::Good, &format!("{} as wanted when last proven", well.len()))) " " code { (fold(&well)) } }
        @if !owed.is_empty() { p { (badge(Mood::Bad, &format!("{} owed", owed.len()))) " " code { (fold(&owed)) } } }
        @if !depooled.is_empty() {
            p { (badge(Mood::Doubtful, &format!("{} out of service", depooled.len()))) " " code { (fold(&depooled)) } }
        }
        @if !stale.is_empty() {
            details open[stale.len() <= 12] {
                summary {
                    (badge(Mood::Bad, &format!("{} stale", stale.len()))) " "
                    code { (fold(&stale.keys().cloned().collect::<Vec<_>>())) }
                }
                ul { @for (host, why) in &stale { li { (stale::line(host, why, view.now)) } } }
            }
        }
        @if let Some(pins) = pins.filter(|pins| !pins.wikis.is_empty() || !pins.hosts.is_empty()) {
            h3 { "Pins" }
            ul {
                @for (wiki, pin) in &pins.wikis { li { (wiki) " at " code { (pin.version) } ": " (Untrusted(&pin.reason)) } }
                @for (host, pin) in &pins.hosts { li { (host) " at " code { (pin.version) } ": " (Untrusted(&pin.reason)) } }
            }
        }
    }
}

fn with(view: &StatusView, is: impl Fn(&crate::model::books::HostRow) -> bool) -> Vec<HostName> {
    view.hosts.iter().filter(|host| view.books.hosts.get(*host).is_some_and(&is)).cloned().collect()
}

fn running(case: &Case) -> String {
    let word = if case.ended.is_some() { "The last undertaking" } else { "Under way" };
    format!("{word}: {} {}", case.rollout.id, history::what(&case.rollout))
}

fn undertaking(case: &Case) -> Markup {
    html! {
        p { "By " (Untrusted(&case.rollout.by)) ", begun " (moment(case.rollout.at)) ": " (Untrusted(&case.rollout.why)) }
        p { (hosts::sum(case)) ". " a href={ "/rollouts/" (case.rollout.id) } { "Its report" } }
        (hosts::matrix(case))
        (gates::all(case))
    }
}

fn done(rollouts: &[Rollout]) -> Markup {
    html! {
        @if rollouts.is_empty() { p { "Nothing was undertaken yet." } }
        @else {
            (scrolled("What was done", html! { table {
                    caption { "The newest first; a name leads to its report." }
                    thead {
                        tr {
                            th scope="col" { "Name" } th scope="col" { "When" } th scope="col" { "What" }
                            th scope="col" { "By" } th scope="col" { "Stands" }
                        }
                    }
                    tbody {
                        @for rollout in rollouts {
                            tr {
                                th scope="row" { a href={ "/rollouts/" (rollout.id) } { (rollout.id) } }
                                td.time { (moment(rollout.at)) }
                                td { (history::what(rollout)) }
                                td { (Untrusted(&rollout.by)) }
                                td { (status(rollout.status)) }
                            }
                        }
                    }
                } }))
        }
    }
}
