//! One request to one web server: connected to an address that we choose, with a Host header that we choose.
//!
//! Invariants. No proxy, no redirect, no decompression, no name that is looked up by the C library. The whole exchange has
//! a deadline, and at most [`PROBE_BODY_BYTES_MAX`] of a body are read. What a server says is never trusted to be text.

use crate::config::policy::Web;
use crate::model::limits::{FAULT_CHARS_MAX, PROBE_BODY_BYTES_MAX};
use crate::model::secret::Secret;
use reqwest::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is asked. It can't be shown: a header may have a secret.
#[derive(Clone)]
pub struct Ask<'a> {
    /// Where to connect.
    pub address: SocketAddr,
    /// Whether by TLS.
    pub tls: bool,
    /// The Host header, and the name that a certificate must have; not an address.
    pub host_header: &'a str,
    /// `GET` and so on.
    pub method: &'a str,
    /// Begins with `/`.
    pub path: &'a str,
    /// Beside Host.
    pub headers: Vec<(&'a str, Secret)>,
    /// What is sent.
    pub body: Option<&'a str>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    /// Every header.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
    /// From the first byte sent to the last one read, ms.
    pub ms: u64,
}

/// Until when all that is asked of one host must be answered.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    until: Instant,
    ms: u64,
}

impl Deadline {
    /// So many ms from now.
    pub fn new(ms: u64) -> Self {
        Self { until: Instant::now() + Duration::from_millis(ms), ms }
    }

    /// Whether it has passed.
    pub fn passed(&self) -> bool {
        Instant::now() >= self.until
    }

    /// What `work` gives, or that it was late.
    ///
    /// # Errors
    ///
    /// Those of `work`, and that it did not end in time, in words.
    pub async fn keep<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let late = |_| Err(format!("no whole answer within {} ms", self.ms));
        tokio::time::timeout_at(self.until.into(), work).await.unwrap_or_else(late)
    }
}

/// Makes requests. Clones share the trusted certificates.
#[derive(Debug, Clone)]
pub struct Http {
    tls: Arc<ClientConfig>,
}

impl Http {
    /// With the certificates that `web` names, else the system's.
    ///
    /// # Errors
    ///
    /// The file of certificates can't be read or has none, in words.
    pub fn new(web: &Web) -> Result<Self, String> {
        let config = match &web.ca {
            None => config(None)?,
            Some(file) => {
                let failed = |why: String| format!("{}: {why}", file.display());
                let pem = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
                config(Some(&pem)).map_err(failed)?
            }
        };
        Ok(Self { tls: Arc::new(config) })
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// There was no whole answer in time, in words of ours.
    pub async fn ask(&self, ask: &Ask<'_>, deadline: &Deadline) -> Result<Answer, String> {
        deadline.keep(self.exchange(ask)).await
    }

    async fn exchange(&self, ask: &Ask<'_>) -> Result<Answer, String> {
        let client = self.client(ask)?;
        let method = Method::from_bytes(ask.method.as_bytes()).map_err(|_| "the method is none".to_owned())?;
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "a header's value is none".to_owned());
        headers.insert(HOST, value(ask.host_header)?);
        for (name, text) in &ask.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is none".to_owned())?;
            let mut value = value(text.expose())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let began = Instant::now();
        let mut request = client.request(method, url(ask)?).headers(headers);
        if let Some(body) = ask.body {
            request = request.body(body.to_owned());
        }
        let mut response = request.send().await.map_err(|error| cause(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
            if body.len() + chunk.len() > PROBE_BODY_BYTES_MAX {
                return Err(format!("the answer is larger than {PROBE_BODY_BYTES_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body, ms: began.elapsed().as_millis().try_into().unwrap_or(u64::MAX) })
    }

    /// A client that takes the Host header's name for the address and knows no other name.
    fn client(&self, ask: &Ask<'_>) -> Result<Client, String> {
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let builder = builder.resolve(ask.host_header, ask.address).tls_backend_preconfigured((*self.tls).clone());
        builder.http1_only().build().map_err(|error| cause(&error))
    }
}

/// The URL of a request; its name is resolved to the address, and its port is the address's.
pub fn url(ask: &Ask<'_>) -> Result<Url, String> {
    let scheme = if ask.tls { "https" } else { "http" };
    let text = format!("{scheme}://{}:{}{}", ask.host_header, ask.address.port(), ask.path);
    let url = Url::parse(&text).map_err(|error| format!("{}{}: {error}", ask.host_header, ask.path))?;
    // An address in the Host header would be connected to, instead of the host that is judged.
    match url.domain() {
        Some(_) => Ok(url),
        None => Err(format!("{} is not a name", ask.host_header)),
    }
}

/// The address of a host by its name, with the resolver of this program, as a static one may not use the C library's.
///
/// # Errors
///
/// There is none, in words.
pub async fn resolve(name: &str, port: u16) -> Result<SocketAddr, String> {
    use hickory_resolver::TokioResolver;
    let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let builder = TokioResolver::builder_tokio().map_err(|error| failed(&error))?;
    let resolver = builder.build().map_err(|error| failed(&error))?;
    let found = resolver.lookup_ip(name).await.map_err(|error| failed(&error))?;
    let first = found.iter().next().ok_or_else(|| format!("{name} has no address"))?;
    Ok(SocketAddr::new(first, port))
}

/// How TLS is spoken here: verified against these PEM certificates, else the system's.
///
/// # Errors
///
/// There is no certificate in `pem`, in words.
pub fn config(pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    let roots = match pem {
        Some(pem) => trusted(pem)?,
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

fn trusted(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    match roots.is_empty() {
        true => Err("there is no certificate in it".to_owned()),
        false => Ok(roots),
    }
}

/// What led to an error: the outermost says only that a request failed.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        last = cause.to_string();
        source = cause.source();
    }
    let plain = match last.as_str() {
        text if text.contains("Connection refused") => "connection refused".to_owned(),
        text if text.contains("UnknownIssuer") => "TLS: its certificate is of an issuer that is not trusted".to_owned(),
        text if text.contains("Expired") || text.contains("expired") => "TLS: its certificate has expired".to_owned(),
        text if text.contains("NotValidForName") || text.contains("not valid for name") => {
            "TLS: its certificate is for another name".to_owned()
        }
        text => text.to_owned(),
    };
    crate::gate::signature::harmless(&plain, FAULT_CHARS_MAX)
}
