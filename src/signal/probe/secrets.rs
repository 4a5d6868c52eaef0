//! Secrets in the headers that a step sends.
//!
//! Invariant: they are read when they are sent, and what a host sends back of them is blotted out before anybody sees the
//! answer, assertions too: what these say is shown to people and written into the journal.
//!
//! Deliberately absent: keeping a secret from the host that is asked. It is sent there.

use crate::config::secret::referred;
use crate::gate::spec::probe::{HeaderText, Step};
use crate::model::secret::Secret;
use crate::signal::http::Answer;
use reqwest::header::HeaderValue;

/// What stands in the place of a secret.
const BLOT: &str = "(secret)";
/// The shortest part of a secret that is blotted out alone, bytes: `Bearer` is no secret.
const PART_BYTES_MIN: usize = 8;

/// The headers of a step with what they say.
pub fn sent(step: &Step) -> Result<Vec<(&str, Secret)>, String> {
    let read = |(name, said): &(String, HeaderText)| match said {
        HeaderText::Plain(text) => Ok(Secret::new(text.clone())),
        HeaderText::Secret(reference) => {
            let failed = |why: &str| format!("the header {name} cannot be sent: {reference}: {why}");
            let secret = referred(reference).map_err(|why| failed(&why))?;
            match HeaderValue::from_str(secret.expose()) {
                Ok(value) if !value.is_empty() => Ok(secret),
                _ => Err(failed("what stands there is not the value of a header")),
            }
        }
    };
    step.headers.iter().map(|header| Ok((header.0.as_str(), read(header)?))).collect()
}

/// The answer without the secrets of its step.
pub fn blotted(mut answer: Answer, step: &Step, sent: &[(&str, Secret)]) -> Answer {
    let mut words: Vec<&str> = Vec::new();
    for ((_, said), (_, text)) in step.headers.iter().zip(sent) {
        if matches!(said, HeaderText::Plain(_)) {
            continue;
        }
        let whole = text.expose();
        words.push(whole);
        words.extend(whole.split([' ', ';', ',', '=', '"']).filter(|part| part.len() >= PART_BYTES_MIN));
    }
    // The longest first, so that no part is taken out of the whole.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let blot = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let is_there = words.iter().any(|word| text.contains(word));
        is_there.then(|| words.iter().fold(text.into_owned(), |text, word| text.replace(word, BLOT)))
    };
    if let Some(body) = blot(&answer.body) {
        answer.body = body.into_bytes();
    }
    for value in answer.headers.values_mut() {
        if let Some(text) = blot(value.as_bytes()) {
            *value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(BLOT));
        }
    }
    answer
}
