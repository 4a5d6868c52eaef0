//! Numbers from monitoring: kinds threshold and ranks, and the sources that they and counts read.
//!
//! Invariant: a source that was read can be asked: its URL is http or https and carries no password, its program is an
//! absolute path, and every `$word` of a query is a placeholder that is replaced.

use super::Known;
use crate::config::diagnostic::{Place, Sink};
use crate::config::fields::{Fields, argv, decimal, duration, flag, number, text};
use crate::config::raw::At;
use crate::config::yaml::{Node, Value};
use crate::gate::spec::Kind;
use crate::gate::spec::numbers::{
    Condition, Op, PLACEHOLDERS, PercentAbove, Ranks, Rule, Source, Threshold, is_selector,
};
use crate::model::limits::LINE_BYTES_MAX;

/// Keys of threshold.
pub const THRESHOLD_KEYS: &[&str] = &["source", "success", "failure", "percent_above", "newest_age", "window"];
/// Keys of ranks.
pub const RANKS_KEYS: &[&str] = &["source", "alpha", "effect_min", "floor", "newest_age", "window"];

const SOURCE_KEYS: &[&str] =
    &["prometheus", "query", "host_label", "alive", "graphite", "target", "host_node", "program"];

/// Unless said, samples older than Prometheus' own look-back are too old, ms.
pub(super) const NEWEST_AGE_MS: u64 = 300_000;
/// Unless said, how far back a series goes, ms: the ten points of the classic alert are ten minutes.
const WINDOW_MS: u64 = 600_000;

/// A gate of kind threshold.
pub fn threshold(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let from = f.need("source", |n, s| source(n, known, s));
    let success = f.optional("success", condition);
    let failure = f.optional("failure", condition);
    let percent = f.optional("percent_above", percent_above);
    let (newest_age_ms_max, window_ms) = ages(f)?;
    let (from, success, failure, percent) = (from?, success?, failure?, percent?);
    let rule = match (success, failure, percent) {
        (None, None, None) => {
            let hint = "say `success: \"< 5\"`, `failure: \"> 10\"` or `percent_above: {warn: 250, crit: 1000}`";
            f.sink.hint(f.node.place, "a gate without a condition decides nothing", Some(hint.to_owned()));
            return None;
        }
        (None, None, Some(percent)) => match &from.value {
            Source::Program { .. } => {
                f.sink.add(percent.place, "`percent_above` is about a series, and a program prints one number");
                return None;
            }
            _ => Rule::PercentAbove(percent.value),
        },
        (success, failure, None) => {
            Rule::Number { success: success.map(|at| at.value), failure: failure.map(|at| at.value) }
        }
        (_, _, Some(percent)) => {
            f.sink.add(percent.place, "`percent_above` decides alone: leave `success` and `failure` out");
            return None;
        }
    };
    Some(Kind::Threshold(Threshold { source: from.value, rule, newest_age_ms_max, window_ms }))
}

/// A gate of kind ranks.
pub fn ranks(f: &mut Fields<'_>, known: &Known<'_>) -> Option<Kind> {
    let from = f.need("source", |n, s| source(n, known, s));
    let alpha = f.optional("alpha", alpha);
    let effect = f.optional("effect_min", decimal);
    let floor = f.need("floor", decimal);
    let (newest_age_ms_max, window_ms) = ages(f)?;
    let (from, effect_min) = (from?, effect?.map_or((0.64, f.node.place), |at| (at.value, at.place)));
    if !(0.5..=1.0).contains(&effect_min.0) {
        f.sink.add(effect_min.1, "`effect_min` is from 0.5, no difference, to 1, every host worse than every other");
        return None;
    }
    if let Source::Graphite { host_node: None, .. } = from.value {
        f.sink.hint(from.place, "`host_node` is missing: ranks needs one number a host", Some(host_node_hint()));
        return None;
    }
    Some(Kind::Ranks(Ranks {
        source: from.value,
        alpha: alpha?.map_or(0.01, |at| at.value),
        effect_min: effect_min.0,
        floor: floor?.value,
        newest_age_ms_max,
        window_ms,
    }))
}

/// How to say where a host stands in a series' name.
pub(super) fn host_node_hint() -> String {
    "`host_node: 1` when series are named like `servers.mw2020_codfw_wmnet.loadavg`".to_owned()
}

fn ages(f: &mut Fields<'_>) -> Option<(u64, u64)> {
    let (newest, window) = (f.optional("newest_age", duration), f.optional("window", duration));
    let window = window?;
    if let Some(at) = window.as_ref().filter(|at| at.value < 1000) {
        f.sink.add(at.place, "`window` is at least a second");
        return None;
    }
    Some((newest?.map_or(NEWEST_AGE_MS, |at| at.value), window.map_or(WINDOW_MS, |at| at.value)))
}

/// A probability of a false alarm.
pub(super) fn alpha(node: &Node, sink: &mut Sink) -> Option<f64> {
    let value = decimal(node, sink)?;
    let sound = value > 0.0 && value <= 0.5;
    if !sound {
        sink.add(node.place, format!("`alpha` is the chance of a false alarm, above 0 and at most 0.5, not {value}"));
    }
    sound.then_some(value)
}

/// Where a number comes from.
pub(super) fn source(node: &Node, known: &Known<'_>, sink: &mut Sink) -> Option<Source> {
    let mut f = Fields::of(node, SOURCE_KEYS, "a source", sink)?;
    let named: Vec<&str> = ["prometheus", "graphite", "program"].into_iter().filter(|k| f.get(k).is_some()).collect();
    let own: &[&str] = match named[..] {
        ["prometheus"] => &["prometheus", "query", "host_label", "alive"],
        ["graphite"] => &["graphite", "target", "host_node"],
        ["program"] => &["program"],
        _ => {
            let hint = "as in {prometheus: \"http://prometheus:9090\", query: up}, {graphite: URL, target: ...} or {program: [PATH]}";
            f.sink.hint(node.place, "a source is one of prometheus, graphite and program", Some(hint.to_owned()));
            return None;
        }
    };
    if let Some(odd) = SOURCE_KEYS.iter().find(|key| f.get(key).is_some() && !own.contains(key)) {
        f.sink.add(node.place, format!("`{odd}` does not go with `{}`", named[0]));
        return None;
    }
    match named[0] {
        "prometheus" => prometheus(&mut f),
        "graphite" => graphite(&mut f),
        _ => {
            let argv = f.need("program", argv)?;
            Some(Source::Program { argv: super::program(&argv, known, f.sink)? })
        }
    }
}

fn prometheus(f: &mut Fields<'_>) -> Option<Source> {
    let (server, asked, label) = (f.need("prometheus", url), f.need("query", query), f.optional("host_label", text));
    let alive = f.optional("alive", query);
    let host_label = label?.map_or_else(|| "instance".to_owned(), |at| at.value);
    if !is_label(&host_label) {
        let place = f.get("host_label").map_or(f.node.place, |node| node.place);
        f.sink.add(place, format!("`{host_label}` is not a label of Prometheus"));
        return None;
    }
    let alive = alive?;
    if let Some(at) = alive.as_ref().filter(|at| !is_selector(&at.value)) {
        let hint =
            "as in `up{job=\"mediawiki\"}`: only of a selector is it known when its samples were taken".to_owned();
        f.sink.hint(at.place, format!("`{}` is not a plain selector", at.value), Some(hint));
        return None;
    }
    Some(Source::Prometheus { server: server?.value, query: asked?.value, host_label, alive: alive.map(|at| at.value) })
}

/// Whether Prometheus takes it for the name of a label
/// (<https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>).
pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn graphite(f: &mut Fields<'_>) -> Option<Source> {
    let (server, target, node) = (f.need("graphite", url), f.need("target", query), f.optional("host_node", number));
    let host_node = node?.map(|at| at.value as usize);
    Some(Source::Graphite { server: server?.value, target: target?.value, host_node })
}

/// The URL of a server, without the `/` at its end.
pub(super) fn url(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    let mut refuse = |why: &str| {
        let hint = Some("as in `http://prometheus:9090`".to_owned());
        sink.hint(node.place, format!("`{written}` is not the URL of a server: {why}"), hint);
    };
    match reqwest::Url::parse(&written) {
        Err(error) => refuse(&error.to_string()),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => refuse("only http and https are spoken"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            // Not shown again: diagnostics end up in logs of builds.
            sink.add(node.place, "a name or a password does not belong into the URL of a server");
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => refuse("`?` and `#` do not belong into it"),
        Ok(url) => return Some(url.as_str().trim_end_matches('/').to_owned()),
    }
    None
}

/// A query whose placeholders are all known.
pub(super) fn query(node: &Node, sink: &mut Sink) -> Option<String> {
    let written = text(node, sink)?;
    if written.trim().is_empty() || written.len() > 8 * LINE_BYTES_MAX {
        sink.add(node.place, format!("a query must stand here, of at most {} bytes", 8 * LINE_BYTES_MAX));
        return None;
    }
    for rest in written.split('$').skip(1) {
        let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        if !word.is_empty() && !PLACEHOLDERS.contains(&word.as_str()) {
            let hint = format!("these are: ${}", PLACEHOLDERS.join(", $"));
            sink.hint(node.place, format!("`${word}` is not a placeholder"), Some(hint));
            return None;
        }
    }
    Some(written)
}

/// `< 5`, `<= 5`, `> 5` or `>= 5`.
pub(super) fn condition(node: &Node, sink: &mut Sink) -> Option<Condition> {
    let written = match &node.value {
        Value::Number(number) => number.to_string(),
        _ => text(node, sink)?,
    };
    let read = parse_condition(&written);
    if read.is_none() {
        let hint = "`< 5`, `<= 5`, `> 5` or `>= 5`, in quotes".to_owned();
        sink.hint(node.place, format!("`{written}` is not a condition"), Some(hint));
    }
    read
}

/// The condition that a text says; `None` when it is none.
fn parse_condition(text: &str) -> Option<Condition> {
    let signs = [("<=", Op::AtMost), (">=", Op::AtLeast), ("<", Op::Below), (">", Op::Above)];
    let (rest, op) = signs.iter().find_map(|(sign, op)| text.trim().strip_prefix(sign).map(|rest| (rest, *op)))?;
    let limit = rest.trim().parse::<f64>().ok().filter(|limit| limit.is_finite())?;
    Some(Condition { op, limit })
}

fn percent_above(node: &Node, sink: &mut Sink) -> Option<PercentAbove> {
    let keys = &["warn", "crit", "percent", "under", "warning_fails"];
    let mut f = Fields::of(node, keys, "`percent_above`", sink)?;
    let (warn, crit) = (f.need("warn", decimal), f.need("crit", decimal));
    let (percent, under) = (f.optional("percent", decimal), f.optional("under", flag));
    let warning_fails = f.optional("warning_fails", flag);
    let (warn, crit, percent, under) = (warn?, crit?, percent?, under?);
    let under = under.is_some_and(|at| at.value);
    let percent_place = percent.as_ref().map_or(node.place, |at| at.place);
    let percent = percent.map_or(1.0, |at| at.value);
    if !(percent > 0.0 && percent <= 100.0) {
        f.sink.add(percent_place, format!("`percent` is above 0 and at most 100, not {percent}"));
        return None;
    }
    check_order(&warn, &crit, under, f.sink, node.place)?;
    Some(PercentAbove {
        warn: warn.value,
        crit: crit.value,
        percent,
        under,
        warning_fails: warning_fails?.is_some_and(|at| at.value),
    })
}

/// What is critical is at least as far out as what is a warning.
fn check_order(warn: &At<f64>, crit: &At<f64>, under: bool, sink: &mut Sink, place: Place) -> Option<()> {
    let sound = if under { crit.value <= warn.value } else { crit.value >= warn.value };
    if !sound {
        let (side, hint) = match under {
            true => ("above", "with `under: true` small numbers are bad"),
            false => ("below", "when small numbers are bad, say `under: true`"),
        };
        let message = format!("`crit` {} is {side} `warn` {}", crit.value, warn.value);
        sink.hint(place, message, Some(hint.to_owned()));
    }
    sound.then_some(())
}
