//! Elasticsearch and OpenSearch: answers of `_search`.
//!
//! Invariant: an answer that is not of all documents is an error: a search that timed out, a shard that failed, an index
//! that is not there, more values of a field than are told apart. What both servers have alike is used and nothing else;
//! so pages are turned by time, and not by a point in time, which each of the two has its own way to make.
//! Form: <https://www.elastic.co/guide/en/elasticsearch/reference/7.17/search-search.html>, which OpenSearch shares.

pub mod readers;

use super::fetch;
use crate::gate::reading::ReadError;
use crate::model::limits::{SEARCH_DOCS_MAX, SEARCH_MS_MAX, SEARCH_PAGE_DOCS, SEARCH_TERMS_MAX};
use crate::model::time::Time;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// `http://logstash:9200`.
    pub server: &'a str,
    /// `logstash-*`.
    pub index: &'a str,
    /// Which documents, in the query-string syntax.
    pub query: &'a str,
    /// The field with the time.
    pub time_field: &'a str,
    /// The first time, and the first one after.
    pub within: (Time, Time),
}

/// Documents by the value of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many have each value.
    pub by: BTreeMap<String, u64>,
    /// When the newest was written; `None`: there is none.
    pub newest: Option<Time>,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its index and id.
    pub id: String,
    /// When it was written.
    pub at: Time,
    /// What it says.
    pub document: Value,
}

/// Documents of some time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Messages {
    /// The newest first.
    pub read: Vec<Message>,
    /// How many there are.
    pub all: u64,
}

/// How many documents there are by the values of `field`; `only`: of those that have one of these values in that field.
pub async fn counts(search: &Search<'_>, field: &str, only: Option<(&str, &[String])>) -> Result<Counted, ReadError> {
    let mut body = search.body(only);
    body["size"] = json!(0);
    body["aggs"] = json!({
        "by": {"terms": {"field": field, "size": SEARCH_TERMS_MAX}},
        "newest": {"max": {"field": search.time_field}},
    });
    let answer = search.ask(&body).await?;
    counted(&answer, field).map_err(|why| fetch::error(search.query, &why))
}

/// Documents, newest first, at most [`SEARCH_DOCS_MAX`]; of each what stands in `fields`, which may end in `*`.
pub async fn messages(search: &Search<'_>, fields: &[&str]) -> Result<Messages, ReadError> {
    let pages = tokio::time::timeout(Duration::from_millis(SEARCH_MS_MAX), pages(search, fields));
    let late = |_| fetch::error(search.query, &format!("not all pages came within {SEARCH_MS_MAX} ms"));
    pages.await.map_err(late)?
}

async fn pages(search: &Search<'_>, fields: &[&str]) -> Result<Messages, ReadError> {
    let mut body = search.body(None);
    body["size"] = json!(SEARCH_PAGE_DOCS);
    body["_source"] = json!(fields);
    body["sort"] = json!([{search.time_field: {"order": "desc"}}]);
    let mut found = Messages::default();
    let mut ids = BTreeSet::new();
    loop {
        let answer = search.ask(&body).await?;
        let (page, last) = page(&answer).map_err(|why| fetch::error(search.query, &why))?;
        let (whole, before) = (page.len() == SEARCH_PAGE_DOCS, ids.len());
        found.all = found.all.max(answer["hits"]["total"]["value"].as_u64().unwrap_or(0));
        found.read.extend(page.into_iter().filter(|message| ids.insert(message.id.clone())));
        found.read.truncate(SEARCH_DOCS_MAX);
        let Some(last) = last.filter(|_| whole && found.read.len() < SEARCH_DOCS_MAX) else { return Ok(found) };
        if ids.len() == before {
            let why =
                format!("more than {SEARCH_PAGE_DOCS} documents have the same time, and pages are turned by time");
            return Err(fetch::error(search.query, &why));
        }
        // Others may be as old as the last one: they are asked for again, and those that came already are left out.
        body["search_after"] = json!([last.saturating_add(1)]);
    }
}

impl Search<'_> {
    fn body(&self, only: Option<(&str, &[String])>) -> Value {
        let (from, to) = self.within;
        let mut filter = vec![
            json!({"query_string": {"query": self.query}}),
            json!({"range": {self.time_field: {"gte": from.0, "lt": to.0, "format": "epoch_millis"}}}),
        ];
        filter.extend(only.map(|(field, values)| json!({"terms": {field: values}})));
        json!({"query": {"bool": {"filter": filter}}, "track_total_hits": true, "timeout": "10s"})
    }

    async fn ask(&self, body: &Value) -> Result<Value, ReadError> {
        let url = format!("{}/{}/_search", self.server, self.index);
        let (status, answer) = fetch::post(&url, body, self.query).await?;
        whole(status, &answer, self.index).map_err(|why| fetch::error(self.query, &why))?;
        Ok(answer)
    }
}

/// Refuses an answer that is not of all documents.
pub fn whole(status: u16, answer: &Value, index: &str) -> Result<(), String> {
    if status != 200 || !answer["error"].is_null() {
        return Err(format!("status {status}: {}", reason(&answer["error"])));
    }
    let shards = &answer["_shards"];
    match (answer["timed_out"].as_bool(), shards["failed"].as_u64(), shards["total"].as_u64()) {
        (Some(false), Some(0), Some(1..)) => Ok(()),
        (Some(true), ..) => Err("the search timed out, and what it gives is not all".to_owned()),
        (_, Some(failed @ 1..), total) => {
            let why = reason(&shards["failures"][0]["reason"]);
            Err(format!("{failed} of {} shards failed: {why}", total.unwrap_or(failed)))
        }
        (_, _, Some(0)) => Err(format!("there is no index {index}")),
        _ => Err("this is no answer to a search".to_owned()),
    }
}

/// The innermost reason of an error.
fn reason(error: &Value) -> String {
    let mut at = error;
    while at["caused_by"]["reason"].is_string() {
        at = &at["caused_by"];
    }
    let said = at["reason"].as_str().or_else(|| error.as_str());
    said.unwrap_or("no reason is given").to_owned()
}

/// The counts of an answer by the values of `field`.
pub fn counted(answer: &Value, field: &str) -> Result<Counted, String> {
    let by = &answer["aggregations"]["by"];
    match by["sum_other_doc_count"].as_u64() {
        Some(0) => {}
        Some(others) => return Err(format!("{others} documents have further values of {field}, and are not counted")),
        None => return Err("an answer without what was counted".to_owned()),
    }
    let mut found = Counted::default();
    for bucket in by["buckets"].as_array().ok_or("an answer without buckets")? {
        let key = bucket["key"].as_str().ok_or_else(|| format!("{field} has values that are no text"))?;
        let count = bucket["doc_count"].as_u64().ok_or("a bucket without a count")?;
        found.by.insert(key.to_owned(), count);
    }
    let all = answer["hits"]["total"]["value"].as_u64().ok_or("an answer without a total")?;
    if all > 0 && found.by.is_empty() {
        return Err(format!("none of {all} documents has the field {field}"));
    }
    found.newest = answer["aggregations"]["newest"]["value"].as_f64().filter(|at| *at > 0.0).map(|at| Time(at as u64));
    Ok(found)
}

/// The documents of a page, and what the last of them was sorted by.
pub fn page(answer: &Value) -> Result<(Vec<Message>, Option<u64>), String> {
    let hits = answer["hits"]["hits"].as_array().ok_or("an answer without documents")?;
    let mut last = None;
    let mut found = Vec::with_capacity(hits.len());
    for hit in hits {
        let sorted = hit["sort"][0].as_u64().ok_or("a document without a time")?;
        let (index, id) = (hit["_index"].as_str().unwrap_or_default(), hit["_id"].as_str().ok_or("one without an id")?);
        // Nanoseconds, where the field is of type date_nanos; as milliseconds they would be tens of thousands of years.
        let ms = if sorted > 1 << 50 { sorted / 1_000_000 } else { sorted };
        found.push(Message { id: format!("{index}/{id}"), at: Time(ms), document: hit["_source"].clone() });
        last = Some(sorted);
    }
    Ok((found, last))
}

#[cfg(test)]
mod tests;
