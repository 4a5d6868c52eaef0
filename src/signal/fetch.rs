//! Questions by HTTP to monitoring systems, bounded.
//!
//! Invariants. No proxy of the environment, no redirect, a deadline for the whole, and at most
//! [`PROVIDER_BODY_BYTES_MAX`] of a body. An answer that is not JSON is an error. What comes back in an error is harmless text.

use crate::gate::reading::ReadError;
use crate::gate::signature::harmless;
use crate::model::limits::{FAULT_CHARS_MAX, PROVIDER_BODY_BYTES_MAX, PROVIDER_MS_MAX};
use reqwest::{Client, Url};
use serde_json::Value;
use std::time::Duration;

/// A form, sent by POST.
pub type Form = Vec<(&'static str, String)>;

/// Asks `url`, which stands in errors as `query`; the status code and the JSON of the answer.
pub async fn json(url: &str, body: &Form, query: &str) -> Result<(u16, Value), ReadError> {
    let body = ("application/x-www-form-urlencoded", form(body));
    within(url, body, PROVIDER_MS_MAX).await.map_err(|why| error(query, &why))
}

/// The same with JSON for a body.
pub async fn post(url: &str, body: &Value, query: &str) -> Result<(u16, Value), ReadError> {
    within(url, ("application/json", body.to_string()), PROVIDER_MS_MAX).await.map_err(|why| error(query, &why))
}

/// An error about `query` whose reason is made harmless and short.
pub fn error(query: &str, why: &str) -> ReadError {
    ReadError { query: harmless(query, FAULT_CHARS_MAX), why: harmless(why, FAULT_CHARS_MAX) }
}

/// A body and its type.
type Body = (&'static str, String);

async fn within(url: &str, body: Body, ms_max: u64) -> Result<(u16, Value), String> {
    let deadline = Duration::from_millis(ms_max);
    match tokio::time::timeout(deadline, ask(url, body)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no whole answer within {ms_max} ms")),
    }
}

async fn ask(url: &str, (kind, body): Body) -> Result<(u16, Value), String> {
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = builder.build().map_err(|error| causes(&error))?;
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let request = client.post(url).header("content-type", kind);
    let mut response = request.body(body).send().await.map_err(|error| causes(&error))?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
        if bytes.len() + chunk.len() > PROVIDER_BODY_BYTES_MAX {
            return Err(format!("the answer is larger than {PROVIDER_BODY_BYTES_MAX} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    let read = serde_json::from_slice(&bytes);
    read.map(|value| (status, value)).map_err(|_| {
        let begins: String = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        format!("status {status}, and the body is not JSON: it begins with {begins:?}")
    })
}

fn form(pairs: &[(&'static str, String)]) -> String {
    let url = Url::parse_with_params("http://form/", pairs);
    url.ok().and_then(|url| url.query().map(str::to_owned)).unwrap_or_default()
}

/// An error with what led to it: the outermost alone says only that a request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_escaped_and_a_reason_is_harmless() {
        assert_eq!(form(&[("query", "a{b=\"c d\"}&x".to_owned())]), "query=a%7Bb%3D%22c+d%22%7D%26x");
        let shown = error("q", "a\u{1b}[31m\n\"b\"");
        assert_eq!(shown.why, "a\u{fffd}[31m \"b\"");
        assert_eq!(error("q", &"x".repeat(9999)).why.len(), FAULT_CHARS_MAX + "...".len());
    }
}
