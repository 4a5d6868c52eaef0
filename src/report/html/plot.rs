//! Plots as inline SVG: a gate's values over time, and the moments at which the hosts of a wave had switched.
//!
//! Places across are percent and places down are pixels, so that a plot is as wide as its page and its words stay as large as
//! all others. What a plot shows, its caption or the table beside it says too.

use super::super::escape::Untrusted;
use super::case::Wave;
use super::words::lasted;
use crate::gate::judge::brief;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::model::words::count;
use maud::{Markup, html};

/// From the upper edge to the largest value, and to the smallest, pixels.
const TOP: f64 = 30.0;
const BOTTOM: f64 = 150.0;
/// Words closer to each other than this would lie upon each other: pixels down, percent across.
const APART_DOWN: f64 = 15.0;
const APART_ACROSS: f64 = 4.0;
/// Rows of dots in a strip, so that hosts of the same moment are seen.
const STRIP_ROWS: usize = 5;

/// A range of numbers.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: f64,
    to: f64,
}

impl Range {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let none = Self { from: f64::INFINITY, to: f64::NEG_INFINITY };
        let range = numbers.fold(none, |range, n| Self { from: range.from.min(n), to: range.to.max(n) });
        match range.to > range.from {
            true => range,
            // One number, or none, lies in the middle.
            false if range.from.is_finite() => Self { from: range.from - 1.0, to: range.to + 1.0 },
            false => Self { from: 0.0, to: 1.0 },
        }
    }

    /// Which part of the range lies below `n`.
    fn share(self, n: f64) -> f64 {
        // Halves, since the whole may be more than a number can be.
        ((n / 2.0 - self.from / 2.0) / (self.to / 2.0 - self.from / 2.0)).clamp(0.0, 1.0)
    }
}

fn percent(share: f64) -> f64 {
    (2.0 + 96.0 * share).mul_add(100.0, 0.0).round() / 100.0
}

fn across(share: f64) -> String {
    format!("{}%", percent(share))
}

/// A gate's values, in the order of time, with its limits, its baseline and the switches of all waves; `id` is of this page
/// only.
pub(super) fn series(id: &str, judged: &[&Judgement], waves: &[Wave]) -> Markup {
    let plot = Plot::new(judged, waves);
    let words = plot.words();
    html! {
        figure {
            svg.plot role="img" aria-labelledby={ (id) "-t " (id) "-d" } width="100%" height="190" {
                title id={ (id) "-t" } { "Values of the gate over time" }
                desc id={ (id) "-d" } { (words) }
                (plot.switches(waves))
                @for (n, bound) in plot.bounds.iter().enumerate() {
                    (plot.line("limit", *bound, plot.is_free(n)))
                }
                @if let Some(baseline) = plot.baseline { (plot.line("baseline", baseline, true)) }
                (plot.values())
                text x="0" y="182" { (crate::report::timeline::day_and_time(plot.first).1) }
                text x="100%" y="182" text-anchor="end" { (crate::report::timeline::day_and_time(plot.last).1) }
            }
            figcaption { (words) }
            p.legend {
                @for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive, Verdict::Error] {
                    span { (legend(verdict)) " " (verdict) }
                }
                span { "dashed: limit" }
                @if plot.baseline.is_some() { span { "dotted: baseline" } }
                span { "upright: a wave begins" }
            }
        }
    }
}

struct Plot<'a> {
    judged: &'a [&'a Judgement],
    first: Time,
    last: Time,
    bounds: Vec<f64>,
    baseline: Option<f64>,
    times: Range,
    values: Range,
}

impl<'a> Plot<'a> {
    fn new(judged: &'a [&'a Judgement], waves: &[Wave]) -> Self {
        let times = || judged.iter().map(|one| one.at).chain(waves.iter().map(Wave::sent));
        let first = times().min().unwrap_or_default();
        let mut bounds: Vec<f64> = judged.iter().flat_map(|one| one.against.bounds.iter().copied()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let baseline = judged.iter().find_map(|one| one.against.baseline);
        let values = judged.iter().filter_map(|one| one.value).chain(bounds.iter().copied()).chain(baseline);
        Self {
            judged,
            first,
            last: times().max().unwrap_or_default(),
            baseline,
            times: Range::of(times().map(|at| at.ms_since(first) as f64)),
            values: Range::of(values),
            bounds,
        }
    }

    fn x(&self, at: Time) -> f64 {
        self.times.share(at.ms_since(self.first) as f64)
    }

    fn y(&self, value: f64) -> f64 {
        ((BOTTOM - (BOTTOM - TOP) * self.values.share(value)) * 10.0).round() / 10.0
    }

    /// Whether the words of this limit do not lie upon those of the one below.
    fn is_free(&self, n: usize) -> bool {
        let below = n.checked_sub(1).and_then(|below| self.bounds.get(below));
        below.is_none_or(|below| self.y(*below) - self.y(self.bounds[n]) >= APART_DOWN)
    }

    fn line(&self, class: &str, value: f64, named: bool) -> Markup {
        let y = self.y(value);
        let (x, anchor) = if class == "limit" { ("100%", "end") } else { ("0", "start") };
        let lower = if class == "limit" || y > BOTTOM - APART_DOWN { -5.0 } else { 13.0 };
        html! {
            line.(class) x1="0" x2="100%" y1=(y) y2=(y) {}
            @if named { text.(class) x=(x) y=(y + lower) text-anchor=(anchor) { (class) " " (brief(value)) } }
        }
    }

    fn values(&self) -> Markup {
        let points: Vec<(&Judgement, f64)> = self.judged.iter().filter_map(|one| Some((*one, one.value?))).collect();
        html! {
            @for pair in points.windows(2) {
                @let ((a, from), (b, to)) = (pair[0], pair[1]);
                line.value x1=(across(self.x(a.at))) y1=(self.y(from)) x2=(across(self.x(b.at))) y2=(self.y(to)) {}
            }
            @for (one, value) in &points {
                svg x=(across(self.x(one.at))) y=(self.y(*value)) { (mark(one.verdict)) }
            }
        }
    }

    /// A line where a wave begins, with its number, and a tick for each host that had switched.
    fn switches(&self, waves: &[Wave]) -> Markup {
        let mut named = f64::NEG_INFINITY;
        html! {
            @for (n, wave) in waves.iter().enumerate() {
                @let x = self.x(wave.sent());
                line.wave x1=(across(x)) x2=(across(x)) y1="16" y2=(BOTTOM + 14.0) {}
                @if percent(x) - named >= APART_ACROSS {
                    text.wave x=(across(x)) y="12" text-anchor="middle" { (n + 1) }
                    @let () = named = percent(x);
                }
                @for (at, _) in wave.hosts.values().flatten().filter(|(_, said)| said == "ok") {
                    @let x = across(self.x(*at));
                    line.tick x1=(x) x2=(x) y1=(BOTTOM + 8.0) y2=(BOTTOM + 16.0) {}
                }
            }
        }
    }

    /// All of it in words, for whoever can't see it.
    fn words(&self) -> String {
        let values: Vec<f64> = self.judged.iter().filter_map(|one| one.value).collect();
        let (least, most) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(*value), most.max(*value)));
        let limit = self.judged.last().map(|one| Untrusted(&one.limit).to_string()).unwrap_or_default();
        let baseline = self.baseline.map(|baseline| format!("; baseline {}", brief(baseline))).unwrap_or_default();
        format!(
            "{} within {}: from {} to {}; limit: {limit}{baseline}.",
            count(values.len(), "value"),
            lasted(self.last.ms_since(self.first)),
            brief(least),
            brief(most)
        )
    }
}

/// A verdict's sign, around the place where it stands.
fn mark(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Pass => html! { circle.pass r="4" {} },
        Verdict::Fail => html! { path.fail d="M-5-5L5 5M-5 5L5-5" {} },
        Verdict::Inconclusive => html! { path.undecided d="M0-6L6 0L0 6L-6 0Z" {} },
        Verdict::Error => html! { path.error d="M-5-5H5V5H-5Z" {} },
    }
}

fn legend(verdict: Verdict) -> Markup {
    html! { svg.sign aria-hidden="true" width="14" height="14" { svg x="7" y="7" { (mark(verdict)) } } }
}

/// When the hosts of a wave had switched: a dot a host, from sending on; `widest` is the end of the scale, ms.
pub(super) fn strip(n: usize, wave: &Wave, widest: u64) -> Markup {
    let (id, end) = (format!("strip-{n}"), widest.max(1));
    let answered = || wave.hosts.values().flatten();
    let (well, ill) = (answered().filter(|(_, said)| said == "ok").count(), answered().count());
    let words = format!(
        "{} of {} had switched, {} said no, {} never answered; from the sending to the last answer: {}.",
        well,
        count(wave.hosts.len(), "host"),
        ill - well,
        wave.hosts.len() - ill,
        lasted(answered().map(|(at, _)| at.ms_since(wave.sent())).max().unwrap_or(0)),
    );
    html! {
        figure {
            svg.strip role="img" aria-labelledby={ (id) "-t " (id) "-d" } width="100%" height="64" {
                title id={ (id) "-t" } { "When the hosts answered" }
                desc id={ (id) "-d" } { (words) }
                line.axis x1="0" x2="100%" y1="46" y2="46" {}
                @for (at, (moment, said)) in answered().enumerate() {
                    @let x = across(moment.ms_since(wave.sent()) as f64 / end as f64);
                    svg x=(x) y=(8 + 7 * (at % STRIP_ROWS)) {
                        (mark(if said == "ok" { Verdict::Pass } else { Verdict::Fail }))
                    }
                }
                text x="0" y="60" { "sent" }
                text x="100%" y="60" text-anchor="end" { "+ " (lasted(end)) }
            }
            figcaption { (words) }
        }
    }
}
