//! What the source of a threshold gate measured in the past.
//!
//! Invariant: at most [`HISTORY_POINTS_MAX`] points are asked for, a minute apart at least.

use super::{fetch, graphite, prometheus};
use crate::gate::reading::ReadError;
use crate::gate::spec::numbers::{PLACEHOLDERS, Source, Threshold};
use crate::model::limits::HISTORY_POINTS_MAX;
use crate::model::time::Time;

/// The past of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// What was asked.
    pub query: String,
    /// From one point to the next, ms.
    pub step_ms: u64,
    /// Points in order of time: when, ms since 1970, and the number; `None`: null.
    pub points: Vec<(u64, Option<f64>)>,
}

/// The points of a gate's source between two times; `$window` is the gate's. A program has no past, and a query of a
/// group or a version none that goes on.
pub async fn of(threshold: &Threshold, from: Time, to: Time) -> Result<History, ReadError> {
    let step_ms = to.ms_since(from).div_ceil(HISTORY_POINTS_MAX as u64).max(60_000).next_multiple_of(60_000);
    let written = match &threshold.source {
        Source::Prometheus { query, .. } => query,
        Source::Graphite { target, .. } => target,
        Source::Program { argv } => return Err(fetch::error(&argv.join(" "), "a program has no past")),
    };
    let query = written.replace("$window", &format!("{}s", threshold.window_ms.div_ceil(1000)));
    if let Some(word) = PLACEHOLDERS.iter().find(|word| query.contains(&format!("${word}"))) {
        return Err(fetch::error(&query, &format!("${word} is another one in each promotion, so it has no past")));
    }
    let mut series: Vec<Vec<(u64, Option<f64>)>> = match &threshold.source {
        Source::Graphite { server, .. } => {
            let found = graphite::render(server, &query, from, to).await?;
            found.into_iter().map(|series| series.points).collect()
        }
        Source::Prometheus { server, .. } => {
            let found = prometheus::range(server, &query, from, to, step_ms).await?;
            found.into_iter().map(|series| series.samples).collect()
        }
        Source::Program { .. } => Vec::new(),
    };
    if series.len() > 1 {
        let why = format!("{} series where one is due: sum them in the query", series.len());
        return Err(fetch::error(&query, &why));
    }
    let points = series.pop().unwrap_or_default();
    // Graphite has steps of its own.
    let own = points.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).filter(|step| *step > 0).min();
    Ok(History { query, step_ms: own.unwrap_or(step_ms), points })
}
