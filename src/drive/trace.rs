//! Sends a rollout that is over to a collector of OpenTelemetry, where the environment names one.
//!
//! Invariants. The variables are those of the OpenTelemetry specification ("OpenTelemetry Protocol Exporter"). Without them
//! nothing is sent. A collector that is dead or slow costs a named time after everything else is done, and one warning.

use crate::model::books::Rollout;
use crate::model::ids::RolloutId;
use crate::model::limits::NOTIFY_MS_MAX;
use crate::report::otlp::{Recorded, document};
use crate::signal::http;
use crate::store::Store;
use crate::store::error::StoreError;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use serde_json::Value;
use std::time::Duration;

/// Where traces go as it is written there.
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Where all signals go, below it `v1/traces`.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// `name=value,name=value`, the values percent-encoded.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// A file of PEM certificates that are trusted instead of the system's.
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// Why a trace was not sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It can't be read from the books.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be handed over.
    #[error("{0}")]
    Sending(String),
}

/// Sends the trace of `id`; whether there is somebody to send it to, and something.
///
/// # Errors
///
/// See [`TraceError`]; none has any part of a header.
pub async fn send(store: &dyn Store, id: RolloutId) -> Result<bool, TraceError> {
    let Some(target) = target(&|name| std::env::var(name).ok()).map_err(TraceError::Sending)? else {
        return Ok(false);
    };
    let Some(rollout) = store.rollout(id)? else { return Ok(false) };
    let body = of(store, &rollout)?.to_string();
    match tokio::time::timeout(Duration::from_millis(NOTIFY_MS_MAX), post(target, body)).await {
        Ok(sent) => sent.map(|()| true).map_err(TraceError::Sending),
        Err(_) => Err(TraceError::Sending(format!("no answer within {NOTIFY_MS_MAX} ms"))),
    }
}

/// The trace of an undertaking, out of the books.
///
/// # Errors
///
/// The books can't be read.
pub fn of(store: &dyn Store, rollout: &Rollout) -> Result<Value, StoreError> {
    let (steps, books) = (store.steps(rollout.id)?, store.load()?);
    let gates = books.health.gates.get(&rollout.id);
    Ok(document(Recorded { books: books.id, rollout, steps: &steps, gates }))
}

/// Where the environment says, if it does.
fn target(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Url>, String> {
    let named = |name| variable(name).filter(|value| !value.is_empty());
    let (name, text) = match (named(TRACES), named(ENDPOINT)) {
        (Some(whole), _) => (TRACES, whole),
        (None, Some(base)) => (ENDPOINT, format!("{}/v1/traces", base.trim_end_matches('/'))),
        (None, None) => return Ok(None),
    };
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.map(Some).ok_or_else(|| format!("{name} is no URL"))
}

async fn post(target: Url, body: String) -> Result<(), String> {
    let pem = match std::env::var_os(CERTIFICATE).filter(|file| !file.is_empty()) {
        Some(file) => Some(std::fs::read(file).map_err(|error| format!("{CERTIFICATE}: {error}"))?),
        None => None,
    };
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let builder = builder.tls_backend_preconfigured(http::config(pem.as_deref())?);
    let client = builder.build().map_err(|error| http::cause(&error.without_url()))?;
    let given = headers(&std::env::var(HEADERS).unwrap_or_default())?;
    let request = client.post(target).headers(given).header("content-type", "application/json").body(body);
    let answer = request.send().await.map_err(|error| http::cause(&error.without_url()))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answers {}", status.as_u16())),
    }
}

/// The headers of `name=value,name=value`. Values are percent-encoded, as those of W3C Baggage are.
fn headers(text: &str) -> Result<HeaderMap, String> {
    let wrong = || format!("{HEADERS} is not `name=value,name=value`");
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        // What a form calls a space is a plus sign here.
        let form = format!("v={}", value.trim().replace('+', "%2B"));
        let value = url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned());
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        headers.append(name, HeaderValue::from_str(&value.unwrap_or_default()).map_err(|_| wrong())?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_mean_what_the_specification_says() {
        let of = |traces: &str, all: &str| {
            let (traces, all) = (traces.to_owned(), all.to_owned());
            let found = target(&move |name| Some(if name == TRACES { traces.clone() } else { all.clone() }));
            found.map(|url| url.map_or("nowhere".to_owned(), |url| url.to_string())).unwrap_or_else(|why| why)
        };
        assert_eq!(of("", ""), "nowhere");
        assert_eq!(of("", "http://otel:4318"), "http://otel:4318/v1/traces");
        assert_eq!(of("", "http://otel:4318/base/"), "http://otel:4318/base/v1/traces");
        assert_eq!(of("https://x/t", "http://otel:4318"), "https://x/t");
        assert_eq!(of("", "otel:4318"), format!("{ENDPOINT} is no URL"));
        assert_eq!(of("file:///etc/passwd", ""), format!("{TRACES} is no URL"));
    }

    #[test]
    fn headers_are_decoded_and_what_is_none_is_refused_without_being_shown() {
        let read = headers("authorization=Bearer%20a+b, x-scope = 1").expect("they are some");
        assert_eq!(
            (&read["authorization"], &read["x-scope"]),
            (&"Bearer a+b".parse().expect("a value"), &"1".parse().expect("a value"))
        );
        for wrong in ["CANARY", "a b=CANARY", "x=CANARY%0d%0aHost:y"] {
            let why = headers(wrong).expect_err(wrong);
            assert!(why.contains(HEADERS) && !why.contains("CANARY"), "{why}");
        }
    }
}
