//! New and more frequent log lines.

use super::counts::CountLimits;
use crate::model::time::Time;
use std::path::PathBuf;

/// Log lines, clustered.
#[derive(Debug, Clone, PartialEq)]
pub struct Signatures {
    /// Where they come from.
    pub source: LogSource,
    /// A log file on every host whose lines are requests, absolute, so that frequencies can be compared; `None`: they are not.
    pub requests_file: Option<PathBuf>,
    /// A signature that was seen this long ago is not new, ms; 30 days.
    pub look_back_ms: u64,
    /// When nobody wrote for longer, the source is taken for blind, ms; `None`: a log may be quiet.
    pub newest_age_ms_max: Option<u64>,
    /// A new one with fewer events is inconclusive; 3.
    pub min_events: u64,
    /// Or on fewer hosts; 2.
    pub min_hosts: u64,
    /// For those that are not new: alpha is divided by their number.
    pub limits: CountLimits,
    /// Known ones that are borne.
    pub acknowledged: Vec<Acknowledged>,
}

/// Where log lines come from.
#[derive(Debug, Clone, PartialEq)]
pub enum LogSource {
    /// Files on hosts, absolute.
    Files(Vec<PathBuf>),
    /// An Elasticsearch or OpenSearch index.
    Search {
        /// `http://logstash:9200`.
        server: String,
        /// `logstash-*`.
        index: String,
        /// Which documents, in the query-string syntax.
        query: String,
        /// The field with the message.
        message_field: String,
        /// The field that names a host.
        host_field: String,
        /// The field with the time.
        time_field: String,
    },
}

/// A known signature that somebody answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The signature as it is printed.
    pub signature: String,
    /// Why it is borne.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// When it stops being borne.
    pub until: Time,
}

/// Whether a signature is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Borne<'a> {
    /// Nobody answers for it.
    No,
    /// Somebody does.
    By(&'a Acknowledged),
    /// Somebody did, until this ended: it counts again, and that is said.
    Ended(&'a Acknowledged),
}

impl Signatures {
    /// Whether somebody answers for this signature now.
    pub fn borne(&self, signature: &str, now: Time) -> Borne<'_> {
        match self.acknowledged.iter().find(|known| known.signature == signature) {
            None => Borne::No,
            Some(known) if known.until > now => Borne::By(known),
            Some(known) => Borne::Ended(known),
        }
    }
}
