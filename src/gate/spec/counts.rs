//! Errors among requests, in two arms.

use super::numbers::Source;
use std::path::PathBuf;

/// Errors and exposure by host; switched hosts against the others, and against before the switch when none are left.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Where the counts come from.
    pub source: CountSource,
    /// A newest sample or request older than this makes it inconclusive, ms; `None`: no age does.
    pub newest_age_ms_max: Option<u64>,
    /// When it decides.
    pub limits: CountLimits,
}

/// Where counts come from.
#[derive(Debug, Clone, PartialEq)]
pub enum CountSource {
    /// Two queries of one monitoring system, each a number a host (and, with a wiki label, a wiki) for the time since the switch.
    Monitoring {
        /// Errors.
        events: Source,
        /// Requests.
        exposure: Source,
        /// Prometheus: the label that names a wiki.
        wiki_label: Option<String>,
    },
    /// Lines of log files on hosts.
    Logs(LogCounts),
    /// Documents of an Elasticsearch or OpenSearch index, counted by host.
    Search {
        /// `http://logstash:9200`.
        server: String,
        /// `logstash-*`.
        index: String,
        /// Errors, in the query-string syntax.
        events: String,
        /// Requests.
        exposure: String,
        /// The field that names a host.
        host_field: String,
        /// The field that names a wiki.
        wiki_field: Option<String>,
        /// The field with the time.
        time_field: String,
    },
}

/// Lines of log files on hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct LogCounts {
    /// Whose lines are exposure, absolute.
    pub file: PathBuf,
    /// Which of its lines count; a regular expression; `None`: all.
    pub exposure: Option<String>,
    /// Where errors stand; `None`: in the same file.
    pub events_file: Option<PathBuf>,
    /// Which lines are errors; a regular expression.
    pub events: String,
    /// A regular expression whose first group is the wiki.
    pub wiki: Option<String>,
}

/// When counts decide; names and defaults as in the formulae of [`crate::gate::stat::counts`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountLimits {
    /// r0: canary's rate that is borne, as a multiple of the control's; 1.
    pub tolerated_ratio: f64,
    /// 0.01.
    pub alpha: f64,
    /// Fail above; 1.
    pub min_ratio: f64,
    /// Pass below; 1.5.
    pub max_ratio: f64,
    /// Fewer events never fail; 5.
    pub min_events: u64,
    /// Less exposure in an arm decides nothing; 100.
    pub min_exposure: u64,
    /// The rate that passes when the control has no events at all; 0.001.
    pub max_rate: f64,
    /// Judged by the sequential test, so that polling again and again alarms no more often than alpha.
    pub sequential: bool,
}

impl Default for CountLimits {
    fn default() -> Self {
        Self {
            tolerated_ratio: 1.0,
            alpha: 0.01,
            min_ratio: 1.0,
            max_ratio: 1.5,
            min_events: 5,
            min_exposure: 100,
            max_rate: 1e-3,
            sequential: false,
        }
    }
}
