//! Numbers from monitoring.

use std::fmt;

/// The words that stand for something in queries, each after a `$`. Nothing else is replaced, and what they become is
/// safe within a text or a regular expression of any query language, because versions and groups have strict grammars.
pub const PLACEHOLDERS: [&str; 3] = ["window", "group", "version"];

/// Where a number, a series or one number a host comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Prometheus, by `/api/v1/query` or `/api/v1/query_range`.
    Prometheus {
        /// `http://prometheus:9090`.
        server: String,
        /// PromQL; `$window` stands for the time since the switch (`90s`), `$group` and `$version` for what is promoted.
        query: String,
        /// The label that names a host, with or without a port.
        host_label: String,
        /// A selector ([`is_selector`]) whose newest sample shows that the source lives; `None`: the query, where that is
        /// one, and else it is not known.
        alive: Option<String>,
    },
    /// Graphite, by `/render?format=json`.
    Graphite {
        /// `http://graphite`.
        server: String,
        /// A target; the same placeholders.
        target: String,
        /// Which dot-separated part of a series' name is the host, counted from 0, with `_` for `.`.
        host_node: Option<usize>,
    },
    /// A program on the deploy host that prints one number, or lines `HOST NUMBER`.
    Program {
        /// Absolute, and its arguments; no shell sees them.
        argv: Vec<String>,
    },
}

/// Whether a PromQL expression is a plain selector of the newest samples: a name, matchers in braces, or both
/// (<https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors>).
pub fn is_selector(text: &str) -> bool {
    let text = text.trim();
    let name = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')).count();
    let (name, rest) = text.split_at(name);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    match rest.trim_start().strip_prefix('{') {
        None => rest.is_empty() && !name.is_empty(),
        Some(matchers) => ends_at_brace(matchers),
    }
}

/// Whether the first closing brace outside of quotes is the end.
fn ends_at_brace(matchers: &str) -> bool {
    let mut quote = None;
    let mut chars = matchers.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('"' | '\''), '\\') => drop(chars.next()),
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '}') => return chars.as_str().is_empty(),
            (None, '{' | '(' | ')') => return false,
            _ => {}
        }
    }
    false
}

/// A number against conditions, or a series by Graphite's classic alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Where it comes from.
    pub source: Source,
    /// What decides.
    pub rule: Rule,
    /// A newest sample older than this makes it inconclusive, ms.
    pub newest_age_ms_max: u64,
    /// How far back a series goes, ms.
    pub window_ms: u64,
}

/// What decides about a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Pass when `success` holds, fail when `failure` holds; both or neither: inconclusive, but when only one of them
    /// is given, the other is its opposite.
    Number {
        /// When it is good.
        success: Option<Condition>,
        /// When it is bad.
        failure: Option<Condition>,
    },
    /// See [`PercentAbove`].
    PercentAbove(PercentAbove),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// How.
    pub op: Op,
    /// With what.
    pub limit: f64,
}

impl Condition {
    /// Whether it holds; no number never does.
    pub fn holds(&self, value: f64) -> bool {
        match self.op {
            Op::Below => value < self.limit,
            Op::AtMost => value <= self.limit,
            Op::Above => value > self.limit,
            Op::AtLeast => value >= self.limit,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.op {
            Op::Below => "<",
            Op::AtMost => "<=",
            Op::Above => ">",
            Op::AtLeast => ">=",
        };
        write!(f, "{sign} {}", self.limit)
    }
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// Graphite's classic alert over the points of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PercentAbove {
    /// A point beyond is a warning.
    pub warn: f64,
    /// A point beyond is critical.
    pub crit: f64,
    /// Percent of valid points that make the whole so; 1.
    pub percent: f64,
    /// Whether small numbers are bad.
    pub under: bool,
    /// Whether a warning fails the gate; else it is inconclusive.
    pub warning_fails: bool,
}

/// One number a host, switched hosts against the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// Where the numbers come from.
    pub source: Source,
    /// 0.01.
    pub alpha: f64,
    /// A12 must reach this for a failure; 0.64.
    pub effect_min: f64,
    /// The shift must be above this for a failure, in the unit of the numbers.
    pub floor: f64,
    /// As for a threshold, ms.
    pub newest_age_ms_max: u64,
    /// As for a threshold, ms.
    pub window_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::{Condition, Op, is_selector};

    #[test]
    fn a_condition_holds_beyond_its_limit_or_at_it() {
        let of = |op| [4.9, 5.0, 5.1, f64::NAN].map(|value| Condition { op, limit: 5.0 }.holds(value));
        assert_eq!(of(Op::Below), [true, false, false, false]);
        assert_eq!(of(Op::AtMost), [true, true, false, false]);
        assert_eq!(of(Op::Above), [false, false, true, false]);
        assert_eq!(of(Op::AtLeast), [false, true, true, false]);
    }

    #[test]
    fn a_selector_is_a_name_with_matchers() {
        for good in ["up", " job:x:rate5m ", "up{}", r#"up{job="a}\"(",code=~'5..'}"#, r#"{__name__="up"}"#] {
            assert!(is_selector(good), "{good}");
        }
        for bad in [
            "",
            "5",
            "sum(up)",
            "up[5m]",
            "up offset 5m",
            "up + up",
            "up{a=\"b\"} > 1",
            "up{a=\"b",
            "rate(a{}[5m])",
            "up{a(}",
        ] {
            assert!(!is_selector(bad), "{bad}");
        }
    }
}
