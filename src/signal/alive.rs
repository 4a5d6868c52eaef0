//! Whether what Prometheus scrapes still lives.
//!
//! The time of an answer of an instant query is that of the query, whatever it was made of, and `increase(x[1h])` goes on
//! to give numbers long after the exporter died. So the age of the newest sample is asked for by itself, of a selector:
//! `timestamp` of anything else is the time of the query again.

use super::{fetch, prometheus};
use crate::gate::reading::ReadError;
use crate::gate::spec::numbers::{Source, is_selector};
use crate::model::limits::DURATION_MS_MAX;
use crate::model::time::Time;

/// The selector whose newest sample shows that a source lives: what the gate says, or its query where that is one.
pub fn selector(source: &Source) -> Option<(&str, &str)> {
    let Source::Prometheus { server, query, alive, .. } = source else { return None };
    let selector = alive.as_deref().or_else(|| Some(query.as_str()).filter(|query| is_selector(query)))?;
    Some((server, selector))
}

/// How old the newest sample of a selector is, ms; a year when there was none for a day.
pub async fn age_ms(server: &str, selector: &str, at: Time) -> Result<u64, ReadError> {
    let newest = format!("max(timestamp({selector}))");
    if let Some(age) = asked(server, &newest, at).await? {
        return Ok(age);
    }
    // A series ends as soon as its exporter is gone; when that was stands in the day before.
    let newest = format!("max(max_over_time(timestamp({selector})[1d:1m]))");
    Ok(asked(server, &newest, at).await?.unwrap_or(DURATION_MS_MAX))
}

async fn asked(server: &str, newest: &str, at: Time) -> Result<Option<u64>, ReadError> {
    let found = prometheus::instant(server, newest, at).await?;
    let seconds = found.first().and_then(|series| series.samples.first()?.1);
    match seconds {
        None => Ok(None),
        Some(seconds) if seconds > 0.0 => Ok(Some(at.ms_since(Time((seconds * 1000.0).round() as u64)))),
        Some(_) => Err(fetch::error(newest, "a sample without a time")),
    }
}

/// Whether a query had any series in the last week. A query of errors that never had one may have been misspelt, or what
/// it names may have been renamed, and then there are none and nobody sees them.
pub async fn ever(server: &str, query: &str, at: Time) -> Result<bool, ReadError> {
    let asked = format!("count(last_over_time(({query})[7d:1h]))");
    let found = prometheus::instant(server, &asked, at).await?;
    Ok(found.iter().flat_map(|series| &series.samples).any(|(_, number)| number.is_some_and(|number| number > 0.0)))
}
