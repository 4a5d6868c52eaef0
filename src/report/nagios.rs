//! A canary check, or a check of readiness alone, as one line for Nagios, Icinga and their kin.
//!
//! The form is that of the Monitoring Plugins Development Guidelines: status, `-`, words, `|`, perfdata of the form
//! `'label'=value[unit];[warn];[crit];[min];[max]`, and an exit code of its own.
//!
//! Invariant: one line whatever text is in it, with exactly one `|`, and labels and values that the grammar allows.

use super::canary::{CanaryView, Looked};
use crate::model::verdict::Verdict;

/// The largest number that is written out in perfdata; beyond, its digits are noise.
const VALUE_MAX: f64 = 1e15;

/// A state of a service; the number is the plugin's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All well.
    Ok = 0,
    /// A gate is inconclusive.
    Warning = 1,
    /// A gate failed, or a host is not ready.
    Critical = 2,
    /// A gate could not be checked, or nothing could.
    Unknown = 3,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The state of what was found; what is known to be bad beats what is not known.
pub fn state(view: &CanaryView) -> State {
    let some = |verdict| !view.enforced(verdict).is_empty();
    match () {
        () if some(Verdict::Fail) || !view.stale.is_empty() => State::Critical,
        () if some(Verdict::Inconclusive) => State::Warning,
        () if some(Verdict::Error) => State::Unknown,
        () => State::Ok,
    }
}

/// The line, without a line end.
pub fn line(view: &CanaryView) -> String {
    let clauses = view.clauses();
    let words = if clauses.is_empty() { view.summary() } else { clauses.join("; ") };
    format!("POINTSMAN {} - {} | {}", state(view).word(), plain(&words), perfdata(view).join(" "))
}

/// The line when nothing could be checked, and why.
pub fn unknown(why: &str) -> String {
    format!("POINTSMAN {} - {}", State::Unknown.word(), plain(&super::escape::Untrusted(why).to_string()))
}

/// A text without what separates it from perfdata, or lines from each other.
fn plain(text: &str) -> String {
    text.replace('|', "/").replace(char::is_control, " ")
}

fn perfdata(view: &CanaryView) -> Vec<String> {
    let (hosts, stale) = (view.hosts.len(), view.stale.len());
    let gates = view.gates.iter().filter(|gate| gate.enforces).count();
    let of = |verdict| view.enforced(verdict).len();
    let time = format!("time={:.3}s;;;0", view.took_ms as f64 / 1000.0);
    let mut data = vec![format!("hosts={hosts};;;0"), format!("stale={stale};;0;0;{hosts}")];
    if view.by == Looked::Check {
        return data.into_iter().chain([time]).collect();
    }
    data.extend([
        format!("gates={gates};;;0"),
        format!("failed={};;0;0;{gates}", of(Verdict::Fail)),
        format!("inconclusive={};0;;0;{gates}", of(Verdict::Inconclusive)),
        format!("errors={};;;0;{gates}", of(Verdict::Error)),
        time,
    ]);
    for gate in &view.gates {
        let value = gate.judgement.as_ref().and_then(|last| last.value);
        data.extend(value.map(|value| format!("{}={}", label(&format!("gate_{}", gate.name)), number(value))));
    }
    data
}

/// A label in quotes: without `=`, quotes in it doubled.
fn label(name: &str) -> String {
    format!("'{}'", name.replace('=', "_").replace('\'', "''").replace(char::is_control, "_"))
}

/// A value of digits, `-` and `.`; `U` where there is none that can be written so.
fn number(value: f64) -> String {
    match value.is_finite() && value.abs() <= VALUE_MAX {
        true => format!("{value}"),
        false => "U".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels_and_values_are_of_the_grammar() {
        for (name, expected) in
            [("errors", "'errors'"), ("a b", "'a b'"), ("it's", "'it''s'"), ("a=b", "'a_b'"), ("a\nb", "'a_b'")]
        {
            assert_eq!(label(name), expected);
        }
        let written = [0.5, -2.0, 1e-9, 1e300, f64::NAN, f64::INFINITY].map(number);
        assert_eq!(written, ["0.5", "-2", "0.000000001", "U", "U", "U"]);
    }

    proptest! {
        #[test]
        fn whatever_went_wrong_it_is_one_line_without_perfdata(why in any::<String>()) {
            let line = unknown(&why);
            prop_assert!(line.starts_with("POINTSMAN UNKNOWN - "));
            prop_assert!(!line.contains(['|', '\n', '\r']), "{line:?}");
        }
    }
}
