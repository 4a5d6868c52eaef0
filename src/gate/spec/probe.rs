//! Requests to the web servers of hosts.

use crate::model::names::{HostName, Wiki};
use crate::model::secret::Reference;
use std::collections::BTreeMap;

/// Scripted requests to every host in scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Each must hold on every host.
    pub journeys: Vec<Journey>,
    /// A host passes with so many of the `tries` in a row, and fails with so many failures in a row.
    pub needed: u32,
    /// At most so many, not below `needed`.
    pub tries: u32,
    /// Time for one journey on one host, ms.
    pub deadline_ms: u64,
}

/// Requests that share cookie jars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// What it shows: `a logout made elsewhere ends the session`.
    pub name: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// Which host a step asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The host that is being judged.
    Scope,
    /// Another host of those in scope, the same one through the journey.
    Another,
    /// This one.
    Named(HostName),
}

/// One request and what must be true of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The jar whose cookies are sent and kept: `a` or `b` by convention.
    pub jar: String,
    /// Who is asked.
    pub target: Target,
    /// Whether by TLS; `None`: as the site's web section says.
    pub tls: Option<bool>,
    /// The Host header: a wiki's or any name.
    pub host_header: String,
    /// `GET` and so on.
    pub method: String,
    /// Begins with `/`.
    pub path: String,
    /// Beside Host and what the jar adds.
    pub headers: Vec<(String, HeaderText)>,
    /// What is sent.
    pub body: Option<String>,
    /// Redirects that are followed.
    pub redirects_max: u32,
    /// What must be true, never empty.
    pub asserts: Vec<Assert>,
}

/// What a header that is sent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderText {
    /// This.
    Plain(String),
    /// A secret, of which only where it stands is known.
    Secret(Reference),
}

/// One thing that must be true of an answer. Patterns are regular expressions of the `regex` crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assert {
    /// One of these.
    Status(Vec<u16>),
    /// Header: exactly this value.
    Header(String, String),
    /// Header: matches.
    HeaderRegex(String, String),
    /// No such header.
    HeaderAbsent(String),
    /// The body has this text.
    BodyContains(String),
    /// The body matches.
    BodyRegex(String),
    /// A JSON pointer (RFC 6901) leads to this value.
    Json(String, serde_json::Value),
    /// A cookie stands so in the step's jar afterwards.
    Cookie(String, CookieState),
    /// The whole answer took at most, ms.
    TimeMax(u64),
}

/// How a cookie stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieState {
    /// In the jar.
    Set,
    /// Not in the jar.
    Absent,
    /// Removed by this answer.
    Cleared,
}

/// Which version a host really serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Asked for; a few wikis of each group.
    pub wikis: Vec<Wiki>,
    /// The name that is asked for instead of a wiki's own.
    pub host_headers: BTreeMap<Wiki, String>,
    /// As in a probe's step.
    pub path: String,
    /// Where the version stands.
    pub field: ServedField,
    /// Time for one host, ms.
    pub deadline_ms: u64,
}

/// Where the version stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServedField {
    /// In this header.
    Header(String),
    /// Where a JSON pointer (RFC 6901) leads to.
    Json(String),
}

/// Fixed URLs whose answers must not change: status, Cache-Control, Pragma, Vary and the attributes of Set-Cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Host header and path.
    pub urls: Vec<(String, String)>,
    /// Headers beside those that are compared anyway.
    pub headers: Vec<String>,
    /// Differences that are expected: header (or `status`) to the candidate's value.
    pub expected: BTreeMap<String, String>,
    /// Time for one host, ms.
    pub deadline_ms: u64,
}
