//! The plan as the books have it: which wikis move from what to what, content that changes its id, pins.

use super::super::escape::Untrusted;
use super::Told;
use super::words::{moment, scrolled};
use crate::model::books::{Pin, Snapshot};
use crate::model::names::{Version, Wiki};
use crate::model::words::count;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// The whole part of the page.
pub(super) fn recorded(told: Told<'_>) -> Markup {
    let rollout = &told.case.rollout;
    let from = rollout.from.map_or("nothing".to_owned(), |from| from.to_string());
    let Some(after) = told.after else {
        return html! { p { "States: " (from) " → " (rollout.to) ". The books no longer have them whole." } };
    };
    html! {
        p { "From the recorded state " (from) " to " (rollout.to) ", which was recorded " (moment(after.at)) "." }
        (moves(told.before, after))
        (content(told.before, after))
        (pins(after))
    }
}

type Move = (Option<Version>, Option<Version>);

/// Wikis by what they move from and to.
fn moved(before: Option<&Snapshot>, after: &Snapshot) -> BTreeMap<Move, Vec<Wiki>> {
    let mut moves: BTreeMap<Move, Vec<Wiki>> = BTreeMap::new();
    let was = |wiki: &Wiki| before.and_then(|before| before.map.0.get(wiki)).cloned();
    for (wiki, version) in &after.map.0 {
        moves.entry((was(wiki), Some(version.clone()))).or_default().push(wiki.clone());
    }
    let gone = before.into_iter().flat_map(|before| &before.map.0).filter(|(wiki, _)| !after.map.0.contains_key(*wiki));
    for (wiki, version) in gone {
        moves.entry((Some(version.clone()), None)).or_default().push(wiki.clone());
    }
    moves
}

fn moves(before: Option<&Snapshot>, after: &Snapshot) -> Markup {
    let all = moved(before, after);
    let stay: usize = all.iter().filter(|((from, to), _)| from == to).map(|(_, wikis)| wikis.len()).sum();
    let moves: Vec<_> = all.iter().filter(|((from, to), _)| from != to).collect();
    let word = |version: &Option<Version>| version.as_ref().map_or("none".to_owned(), ToString::to_string);
    html! {
        h3 { "Wikis" }
        p { @if moves.is_empty() { "No wiki moves. " } (count(stay, "wiki")) " keep what they have." }
        @for ((from, to), wikis) in moves {
            details {
                summary { (count(wikis.len(), "wiki")) ": " code { (word(from)) } " → " code { (word(to)) } }
                p.wikis { @for wiki in wikis { (wiki) " " } }
            }
        }
    }
}

fn content(before: Option<&Snapshot>, after: &Snapshot) -> Markup {
    html! {
        h3 { "Content" }
        (scrolled("Content", html! { table {
                caption { "What hosts must hold, by its content id." }
                thead { tr { th scope="col" { "Component" } th scope="col" { "Before" } th scope="col" { "After" } } }
                tbody {
                    @for (component, id) in &after.wanted {
                        @let was = before.and_then(|before| before.wanted.get(component));
                        tr {
                            th scope="row" { (component) }
                            td { @match was { Some(was) => code { (was.short()) }, None => "none" } }
                            td { @if was == Some(id) { "the same" } @else { code { (id.short()) } } }
                        }
                    }
                }
            } }))
    }
}

fn pins(after: &Snapshot) -> Markup {
    let wikis = after.pins.wikis.iter().map(|(wiki, pin)| (wiki.to_string(), pin));
    let pins: Vec<(String, &Pin)> =
        wikis.chain(after.pins.hosts.iter().map(|(host, pin)| (host.to_string(), pin))).collect();
    html! {
        h3 { "Pins" }
        @if pins.is_empty() {
            p { "Nothing was pinned." }
        } @else {
            (scrolled("Pins", html! { table {
                    caption { "Stepped around, as they were then." }
                    thead {
                        tr {
                            th scope="col" { "Who" } th scope="col" { "Version" } th scope="col" { "Why" }
                            th scope="col" { "Owner" } th scope="col" { "Until" }
                        }
                    }
                    tbody {
                        @for (who, pin) in pins {
                            tr {
                                th scope="row" { (who) } td { (pin.version) } td { (Untrusted(&pin.reason)) }
                                td { (Untrusted(&pin.owner)) }
                                td { @match pin.until { Some(until) => (moment(until)), None => "removed by hand" } }
                            }
                        }
                    }
                } }))
        }
    }
}
