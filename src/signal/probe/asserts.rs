//! Whether what must be true of an answer is.

use super::Jar;
use crate::gate::spec::probe::{Assert, CookieState};
use crate::model::limits::PROBE_WORDS_MAX;
use crate::signal::http::Answer;
use regex::Regex;

/// `Err`: what was seen instead, in words.
pub fn holds(assert: &Assert, answer: &Answer, jar: &Jar, ms: u64) -> Result<(), String> {
    match assert {
        Assert::Status(wanted) if wanted.contains(&answer.status) => Ok(()),
        Assert::Status(wanted) => {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            Err(format!("status {} instead of {}", answer.status, wanted.join(" or ")))
        }
        Assert::Header(name, wanted) => header(answer, name, &format!("`{wanted}`"), |value| value == wanted),
        Assert::HeaderRegex(name, pattern) => {
            let regex = compiled(pattern)?;
            header(answer, name, &format!("what matches `{pattern}`"), |value| regex.is_match(value))
        }
        Assert::HeaderAbsent(name) => match answer.headers.get(name) {
            None => Ok(()),
            Some(_) => Err(format!("the header {name} is there and must not be")),
        },
        Assert::BodyContains(wanted) => match text(answer).contains(wanted) {
            true => Ok(()),
            false => Err(format!("the body has no `{wanted}`; it begins with {}", begin(answer))),
        },
        Assert::BodyRegex(pattern) => match compiled(pattern)?.is_match(&text(answer)) {
            true => Ok(()),
            false => Err(format!("nothing in the body matches `{pattern}`; it begins with {}", begin(answer))),
        },
        Assert::Json(pointer, wanted) => json(answer, pointer, wanted),
        Assert::Cookie(name, state) => cookie(jar, name, *state),
        Assert::TimeMax(max) if ms <= *max => Ok(()),
        Assert::TimeMax(max) => Err(format!("it took {ms} ms, more than {max}")),
    }
}

/// Patterns were compiled when groups.yaml was read; here they are again.
fn compiled(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("`{pattern}`: {error}"))
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn begin(answer: &Answer) -> String {
    let words = crate::gate::signature::harmless(&text(answer), PROBE_WORDS_MAX);
    if words.is_empty() { "nothing".to_owned() } else { format!("`{words}`") }
}

fn header(answer: &Answer, name: &str, wanted: &str, good: impl Fn(&str) -> bool) -> Result<(), String> {
    let values: Vec<String> = answer
        .headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    match values.as_slice() {
        [] => Err(format!("there is no header {name}; wanted is {wanted}")),
        values if values.iter().any(|value| good(value)) => Ok(()),
        values => {
            let seen = crate::gate::signature::harmless(&values.join(", "), PROBE_WORDS_MAX);
            Err(format!("the header {name} is `{seen}`; wanted is {wanted}"))
        }
    }
}

fn json(answer: &Answer, pointer: &str, wanted: &serde_json::Value) -> Result<(), String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body)
        .map_err(|_| format!("the body is not JSON; it begins with {}", begin(answer)))?;
    match body.pointer(pointer) {
        Some(found) if found == wanted => Ok(()),
        Some(found) => {
            let seen = crate::gate::signature::harmless(&found.to_string(), PROBE_WORDS_MAX);
            Err(format!("{pointer} is {seen}; wanted is {wanted}"))
        }
        None => Err(format!("there is no {pointer} in the body; wanted is {wanted}")),
    }
}

fn cookie(jar: &Jar, name: &str, state: CookieState) -> Result<(), String> {
    match (state, jar.has(name), jar.was_cleared(name)) {
        (CookieState::Set, true, _) | (CookieState::Absent, false, _) | (CookieState::Cleared, false, true) => Ok(()),
        (CookieState::Set, false, _) => Err(format!("the cookie {name} is not set")),
        (CookieState::Absent, true, _) => Err(format!("the cookie {name} is still there")),
        (CookieState::Cleared, true, _) => Err(format!("the cookie {name} survived; it was to be cleared")),
        (CookieState::Cleared, false, false) => Err(format!("the answer does not clear the cookie {name}")),
    }
}
