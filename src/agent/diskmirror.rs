//! A mirror over the network: one GET at a time, each bounded in time, in bytes and in where it leads.
//!
//! Invariants: no redirect, no proxy of the environment, no decompression; verification of certificates cannot be switched
//! off. Nothing that a mirror says comes back as text.

use super::hostfs::Mirror;
use crate::model::limits::{FETCH_BYTES_PER_MS_MIN, FETCH_IDLE_MS_MAX, FETCH_MS_MAX};
use crate::signal::http;
use crate::wire::fetch::{Failure, Parcel};
use reqwest::{Client, Response, Url};
use std::io::{self, Read};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout_at};

const IDLE: Duration = Duration::from_millis(FETCH_IDLE_MS_MAX);

/// A mirror that is reached by HTTP.
pub struct Web {
    runtime: Runtime,
    client: Client,
    /// When all must be over.
    until: Instant,
}

impl Web {
    /// One that trusts these PEM certificates, else the system's.
    pub fn new(ca: Option<&str>) -> Result<Self, Failure> {
        let tls = http::config(ca.map(str::as_bytes)).map_err(|_| Failure::Certificate)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|_| Failure::Unreachable)?;
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = builder.tls_backend_preconfigured(tls).http1_only().connect_timeout(IDLE).build();
        let client = client.map_err(|_| Failure::Unreachable)?;
        Ok(Self { runtime, client, until: Instant::now() + Duration::from_millis(FETCH_MS_MAX) })
    }
}

impl Mirror for Web {
    fn get<'a>(&'a mut self, parcel: &Parcel) -> Result<Box<dyn Read + 'a>, Failure> {
        let url = Url::parse(parcel.address.reveal()).map_err(|_| Failure::Order)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Failure::Order);
        }
        let ask = async { tokio::time::timeout(IDLE, self.client.get(url).send()).await };
        let response = match self.runtime.block_on(ask) {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(Failure::Slow),
        };
        match response.status().as_u16() {
            200 => {}
            status => return Err(Failure::Status(status)),
        }
        if response.content_length().is_some_and(|bytes| bytes != parcel.bytes) {
            return Err(Failure::Lies);
        }
        let until = self.until.min(Instant::now() + Duration::from_millis(ms_max(parcel.bytes)));
        Ok(Box::new(Body { runtime: &self.runtime, response, until, chunk: Default::default(), read: 0 }))
    }
}

/// How long so many bytes may take to come.
fn ms_max(bytes: u64) -> u64 {
    FETCH_IDLE_MS_MAX.saturating_add(bytes / FETCH_BYTES_PER_MS_MIN)
}

/// The body of an answer as a reader; it ends with `TimedOut` when it takes too long.
struct Body<'a> {
    runtime: &'a Runtime,
    response: Response,
    until: Instant,
    chunk: Vec<u8>,
    read: usize,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() && !buffer.is_empty() {
            let until = self.until.min(Instant::now() + IDLE);
            let next = async { timeout_at(until, self.response.chunk()).await };
            self.chunk = match self.runtime.block_on(next) {
                Ok(Ok(chunk)) => chunk.map(|chunk| chunk.to_vec()).unwrap_or_default(),
                Ok(Err(_)) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
            self.read = 0;
        }
        let n = buffer.len().min(self.chunk.len() - self.read);
        buffer[..n].copy_from_slice(&self.chunk[self.read..][..n]);
        self.read += n;
        Ok(n)
    }
}

fn failure(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Slow;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<rustls::Error>().is_some() {
            return Failure::Certificate;
        }
        // What rustls says comes in the system's wrapper.
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is_some_and(|inner| inner.downcast_ref::<rustls::Error>().is_some()) {
            return Failure::Certificate;
        }
        source = cause.source();
    }
    Failure::Unreachable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_megabits_a_second_are_fast_enough() {
        assert_eq!([0, 255, 256, 1 << 20].map(ms_max), [5_000, 5_000, 5_001, 9_096]);
        assert_eq!(ms_max(u64::MAX), 5_000 + (u64::MAX >> 8));
    }
}
