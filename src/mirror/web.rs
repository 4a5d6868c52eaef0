//! How the controller's requests to mirrors travel.
//!
//! Invariant: no proxy of the environment, no redirect, TLS that is verified, and no more of an answer than
//! [`MIRROR_ANSWER_BYTES_MAX`], whatever a mirror sends.

use crate::model::limits::{FETCH_IDLE_MS_MAX, MIRROR_ANSWER_BYTES_MAX};
use crate::signal::http;
use http_body_util::{BodyExt, Limited};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, Result as StoreResult};
use reqwest::Client;
use std::pin::Pin;
use std::time::Duration;

/// Makes the one client that all requests to a mirror go through.
#[derive(Debug)]
pub struct Connector(Client);

impl Connector {
    /// One that trusts these PEM certificates, else the system's.
    ///
    /// # Errors
    ///
    /// There is no certificate, in words.
    pub fn new(ca: Option<&str>) -> Result<Self, String> {
        let tls = http::config(ca.map(str::as_bytes)).map_err(|why| format!("has no certificates: {why}"))?;
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let builder = builder.tls_backend_preconfigured(tls).connect_timeout(Duration::from_millis(FETCH_IDLE_MS_MAX));
        builder.http1_only().build().map(Self).map_err(|error| error.without_url().to_string())
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> StoreResult<HttpClient> {
        Ok(HttpClient::new(Bounded(self.0.clone())))
    }
}

/// A client whose answers end.
#[derive(Debug)]
struct Bounded(Client);

impl HttpService for Bounded {
    // As `async_trait` would write it.
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let (parts, body) = HttpService::call(&self.0, request).await?.into_parts();
            let limited = Limited::new(body, MIRROR_ANSWER_BYTES_MAX);
            let body = limited.map_err(|error| HttpError::new(HttpErrorKind::Decode, std::io::Error::other(error)));
            Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
        })
    }
}
