//! Asking many hosts at the same time.
//!
//! Invariant: the futures run in the task that asks, so that they can borrow; how many agents are really talked to at once
//! is the fleet's business; web servers are asked [`few`] at a time.

use crate::gate::reading::ReadError;
use crate::model::limits::{FAULT_CHARS_MAX, NAMES_SHOWN_MAX};
use crate::model::names::HostName;
use crate::model::words::count;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use tokio::sync::Semaphore;

/// What each host answered, or why it did not, in words.
pub type Answers<T> = BTreeMap<HostName, Result<T, String>>;

/// Runs one future a host and gives all results.
pub async fn each<'a, T, F: Future<Output = Result<T, String>>>(
    hosts: impl IntoIterator<Item = &'a HostName>,
    ask: impl Fn(&'a HostName) -> F,
) -> Answers<T> {
    let mut open: Vec<(&HostName, Pin<Box<F>>)> = hosts.into_iter().map(|host| (host, Box::pin(ask(host)))).collect();
    let mut answers = BTreeMap::new();
    poll_fn(move |context| {
        open.retain_mut(|(host, future)| match future.as_mut().poll(context) {
            Poll::Ready(answer) => {
                answers.insert(host.clone(), answer);
                false
            }
            Poll::Pending => true,
        });
        match open.is_empty() {
            true => Poll::Ready(std::mem::take(&mut answers)),
            false => Poll::Pending,
        }
    })
    .await
}

/// The same, but at most so many hosts at a time.
pub async fn few<'a, T, F: Future<Output = Result<T, String>>>(
    hosts: impl IntoIterator<Item = &'a HostName>,
    at_once: usize,
    ask: impl Fn(&'a HostName) -> F,
) -> Answers<T> {
    let (gate, ask) = (Semaphore::new(at_once), &ask);
    let gate = &gate;
    each(hosts, |host| async move {
        // Nobody closes it, so that a permit comes in the end.
        let _permit = gate.acquire().await;
        ask(host).await
    })
    .await
}

/// What was asked and how many hosts did not answer: `/var/log/a.log on 3 hosts, 1 did not answer (mw1: no agent)`.
/// An error when none did.
pub fn query<T>(asked: &str, answers: &Answers<T>) -> Result<String, ReadError> {
    let mut query = format!("{asked} on {}", count(answers.len(), "host"));
    let silent: Vec<String> = answers
        .iter()
        .filter_map(|(host, answer)| answer.as_ref().err().map(|why| format!("{host}: {}", words(why))))
        .collect();
    let mut named = silent[..silent.len().min(NAMES_SHOWN_MAX)].join("; ");
    if silent.len() > NAMES_SHOWN_MAX {
        named.push_str(&format!("; and {} more", silent.len() - NAMES_SHOWN_MAX));
    }
    match silent.len() {
        _ if answers.is_empty() => Err(ReadError { query, why: "there is no host to ask".to_owned() }),
        0 => Ok(query),
        n if n == answers.len() => Err(ReadError { query, why: format!("no host answered ({named})") }),
        n => {
            query.push_str(&format!(", {n} did not answer ({named})"));
            Ok(query)
        }
    }
}

/// A host's words, made harmless.
pub fn words(text: &str) -> String {
    crate::gate::signature::harmless(text, FAULT_CHARS_MAX)
}
