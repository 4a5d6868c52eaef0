//! Gates: what each said and when, a plot where the journal has numbers, who was blamed, what people decided, and the lines
//! that were measured or logged where a gate did not pass.

use super::super::escape::Untrusted;
use super::super::gates::reason;
use super::case::{Case, Said};
use super::plot;
use super::words::{Mood, badge, clock, moment, scrolled};
use crate::gate::judge::brief;
use crate::model::names::GateName;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::model::words::count;
use maud::{Markup, html};

fn judgements(said: &[Said]) -> impl DoubleEndedIterator<Item = (&str, &Judgement)> {
    said.iter().filter_map(|said| match said {
        Said::Judged(moment, judgement) => Some((moment.as_str(), judgement)),
        _ => None,
    })
}

fn verdict(verdict: Verdict) -> Markup {
    let mood = match verdict {
        Verdict::Pass => Mood::Good,
        Verdict::Fail => Mood::Bad,
        Verdict::Inconclusive | Verdict::Error => Mood::Doubtful,
    };
    badge(mood, &verdict.to_string())
}

/// Every gate.
pub(super) fn all(case: &Case) -> Markup {
    if case.gates.is_empty() {
        return html! { p { "No gate was asked." } };
    }
    html! {
        p.note {
            "The journal keeps a gate's judgement when it says something else than the one before, every failure, and the last \
             one that passed. What lies between them was measured and is not kept."
        }
        @for (name, said) in &case.gates { (one(case, name, said)) }
    }
}

fn one(case: &Case, name: &GateName, said: &[Said]) -> Markup {
    let last = judgements(said).next_back();
    html! {
        h3 id={ "gate-" (name) } {
            (name) " "
            @match last { Some((_, last)) => (verdict(last.verdict)), None => (badge(Mood::Quiet, "not judged")) }
        }
        (plots(case, name, said))
        @if last.is_some() { (table(name, said)) }
        (people(said))
    }
}

/// Values that a number limits, plotted with others in the same unit.
fn plots(case: &Case, name: &GateName, said: &[Said]) -> Markup {
    let numbers = |(_, one): (_, &_)| has_numbers(one);
    let mut series: Vec<(&str, Vec<&Judgement>)> = Vec::new();
    for (_, one) in judgements(said).filter(|one| numbers(*one)) {
        // Gates that count speak of a rate, a ratio or a likelihood, as much as there is to judge: no axis fits two of them.
        let unit = one.limit.split(' ').next().unwrap_or_default();
        match series.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, judged)) => judged.push(one),
            None => series.push((unit, vec![one])),
        }
    }
    html! {
        @for (n, (_, judged)) in series.iter().enumerate() {
            (plot::series(&format!("plot-{name}-{n}"), judged, &case.waves))
        }
        @if series.is_empty() {
            p.note { "No plot: the journal holds no value of this gate with a limit in numbers." }
        }
    }
}

fn has_numbers(judgement: &Judgement) -> bool {
    judgement.value.is_some() && !judgement.against.bounds.is_empty()
}

fn table(name: &GateName, said: &[Said]) -> Markup {
    html! {
        (scrolled(&format!("Judgements of {name}"), html! { table {
                caption { "Judgements of " (name) ", in the order of the journal." }
                thead {
                    tr {
                        th scope="col" { "Time" } th scope="col" { "When" } th scope="col" { "Verdict" }
                        th.n scope="col" { "Value" } th scope="col" { "Limit" } th scope="col" { "Says" }
                    }
                }
                tbody {
                    @for (when, one) in judgements(said) {
                        tr {
                            td.time { (clock(one.at)) }
                            td { (Untrusted(when)) }
                            td { (verdict(one.verdict)) }
                            td.n { @match one.value { Some(value) => (brief(value)), None => "none" } }
                            td { (Untrusted(&one.limit)) }
                            td { (reason(&one.sentence)) }
                        }
                    }
                }
            } }))
    }
}

/// What people were asked and what they said.
fn people(said: &[Said]) -> Markup {
    let asked = said.iter().any(|said| matches!(said, Said::Asked(_)));
    let word = |yes| match (asked, yes) {
        (true, true) => "approved",
        (true, false) => "denied",
        (false, _) => "overruled",
    };
    let lines: Vec<Markup> = said
        .iter()
        .filter_map(|said| match said {
            Said::Asked(at) => Some(html! { (moment(*at)) ": a person was asked" }),
            Said::Answered(at, person) => Some(html! {
                (moment(*at)) ": " strong { (word(person.yes)) } " by " (Untrusted(&person.by)) ": " (Untrusted(&person.reason))
            }),
            _ => None,
        })
        .collect();
    html! { @if !lines.is_empty() { ul { @for line in lines { li { (line) } } } } }
}

/// Who was blamed, by which gate.
pub(super) fn attribution(case: &Case) -> Markup {
    let blamed = |(name, said): (&GateName, &Vec<Said>)| {
        let each = said.iter().filter_map(|said| match said {
            Said::Blamed(at, blame) => Some((*at, blame.clone())),
            _ => None,
        });
        each.map(|(at, blame)| (at, name.clone(), blame)).collect::<Vec<_>>()
    };
    let mut all: Vec<(Time, GateName, String)> = case.gates.iter().flat_map(blamed).collect();
    all.sort();
    html! {
        @if all.is_empty() {
            p { "No failure was attributed to a host or to the release." }
        } @else {
            dl {
                @for (at, name, blame) in all {
                    dt { (name) ", " (clock(at)) }
                    dd { (Untrusted(&blame)) }
                }
            }
        }
    }
}

/// Where a gate did not pass: the lines that it rests on, as text.
pub(super) fn lines(case: &Case) -> Markup {
    // A failure decides, and so does what a gate could not say in the end. Of those in a row with the same lines the first
    // has them.
    let decided = |said: &'_ [Said]| -> Vec<(String, Judgement)> {
        let mut told: Vec<(String, Judgement)> = Vec::new();
        let last = judgements(said).next_back().map(|(_, last)| last).filter(|last| last.verdict != Verdict::Pass);
        for (when, one) in judgements(said) {
            let decides = one.verdict == Verdict::Fail || Some(one) == last;
            let is_new = told.last().is_none_or(|(_, last)| last.samples != one.samples);
            if decides && is_new && !one.samples.is_empty() {
                told.push((when.to_owned(), one.clone()));
            }
        }
        told
    };
    let all: Vec<(&GateName, (String, Judgement))> =
        case.gates.iter().flat_map(|(name, said)| decided(said).into_iter().map(move |one| (name, one))).collect();
    html! {
        @if all.is_empty() {
            p { "The journal holds no line of a gate that did not pass." }
        }
        @for (name, (when, one)) in all {
            h3 { (name) ", " (Untrusted(&when)) ": " (verdict(one.verdict)) }
            p.note { (count(one.samples.len(), "line")) " at " (moment(one.at)) ", as text; what is no plain text in it is written out." }
            pre tabindex="0" role="group" aria-label={ "Lines of " (name) } {
                @for line in &one.samples { (Untrusted(line)) "\n" }
            }
            @if !one.query.is_empty() { p.note { "Asked: " code { (Untrusted(&one.query)) } } }
        }
    }
}
