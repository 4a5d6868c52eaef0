//! Prometheus and what speaks its protocol: answers of `/api/v1/query` and `/api/v1/query_range`.
//!
//! Invariant: no series, NaN and infinity are no data and never zero; `status: error` is an error, whatever came with it.
//! Form of the answers: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use super::fetch;
use crate::gate::reading::ReadError;
use crate::model::time::Time;
use serde_json::Value;
use std::collections::BTreeMap;

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its samples in order of time: when, ms since 1970, and the number; `None`: NaN or infinite.
    pub samples: Vec<(u64, Option<f64>)>,
}

/// What a query gave at one moment.
pub async fn instant(server: &str, query: &str, at: Time) -> Result<Vec<Series>, ReadError> {
    let pairs = vec![("query", query.to_owned()), ("time", seconds(at.0))];
    let (status, answer) = fetch::json(&format!("{server}/api/v1/query"), &pairs, query).await?;
    series(status, &answer).map_err(|why| fetch::error(query, &why))
}

/// What a query gave from `from` to `to`, every `step_ms`.
pub async fn range(server: &str, query: &str, from: Time, to: Time, step_ms: u64) -> Result<Vec<Series>, ReadError> {
    let pairs = vec![
        ("query", query.to_owned()),
        ("start", seconds(from.0)),
        ("end", seconds(to.0)),
        ("step", seconds(step_ms)),
    ];
    let (status, answer) = fetch::json(&format!("{server}/api/v1/query_range"), &pairs, query).await?;
    series(status, &answer).map_err(|why| fetch::error(query, &why))
}

/// Milliseconds as the decimal seconds that the protocol wants.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// The series of an answer; a scalar is one without labels.
pub fn series(status: u16, answer: &Value) -> Result<Vec<Series>, String> {
    if answer["status"] != "success" || status != 200 {
        let words = answer["error"].as_str().unwrap_or("no reason is given");
        return Err(format!("status {status}: {words}"));
    }
    let (kind, result) = (answer["data"]["resultType"].as_str(), &answer["data"]["result"]);
    if kind == Some("scalar") {
        return Ok(vec![Series { labels: BTreeMap::new(), samples: vec![sample(result)?] }]);
    }
    if !matches!(kind, Some("vector" | "matrix")) {
        return Err("it answers with neither numbers nor series".to_owned());
    }
    result.as_array().ok_or("a result that is no list")?.iter().map(one).collect()
}

fn one(row: &Value) -> Result<Series, String> {
    let labels = row["metric"].as_object().ok_or("a series without labels")?;
    let labels = labels.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    let samples = match (row.get("value"), row.get("values").and_then(Value::as_array)) {
        (Some(value), _) => vec![sample(value)?],
        (None, Some(values)) => values.iter().map(sample).collect::<Result<_, _>>()?,
        (None, None) => return Err("a series without numbers".to_owned()),
    };
    Ok(Series { labels, samples })
}

fn sample(pair: &Value) -> Result<(u64, Option<f64>), String> {
    let at = pair[0].as_f64().filter(|at| (0.0..1e12).contains(at)).ok_or("a sample without a time")?;
    let text = pair[1].as_str().ok_or("a sample without a number")?;
    let number: f64 = match text {
        "NaN" | "+Inf" | "-Inf" | "Inf" => return Ok(((at * 1000.0) as u64, None)),
        text => text.parse().map_err(|_| format!("`{text}` where a number is due"))?,
    };
    Ok(((at * 1000.0).round() as u64, Some(number).filter(|number| number.is_finite())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(kind: &str, result: Value) -> Value {
        json!({"status": "success", "data": {"resultType": kind, "result": result}})
    }

    #[test]
    fn numbers_of_every_form_are_read_and_nan_is_none() {
        let scalar = series(200, &answer("scalar", json!([1435781451.781, "1"]))).expect("a scalar");
        assert_eq!(scalar[0].samples, [(1435781451781, Some(1.0))]);
        let row = json!([{"metric": {"instance": "mw1:9100"}, "value": [10, "NaN"]}]);
        let vector = series(200, &answer("vector", row)).expect("a vector");
        assert_eq!(
            (vector[0].labels["instance"].as_str(), &vector[0].samples[..]),
            ("mw1:9100", &[(10_000, None)][..])
        );
        let row = json!([{"metric": {}, "values": [[1, "2"], [2, "+Inf"], [3, "1e3"]]}]);
        let matrix = series(200, &answer("matrix", row)).expect("a matrix");
        assert_eq!(matrix[0].samples, [(1000, Some(2.0)), (2000, None), (3000, Some(1000.0))]);
        assert_eq!(series(200, &answer("vector", json!([]))), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_success_is_an_error() {
        let bad = [
            (400, json!({"status": "error", "error": "parse error"})),
            (200, json!({"status": "error", "data": {"resultType": "vector", "result": []}})),
            (503, answer("vector", json!([]))),
            (200, json!([])),
            (200, answer("string", json!([1, "x"]))),
            (200, answer("vector", json!({"a": 1}))),
            (200, answer("vector", json!([{"metric": {}}]))),
            (200, answer("vector", json!([{"metric": {}, "value": [1, 2]}]))),
            (200, answer("vector", json!([{"metric": {}, "value": ["x", "2"]}]))),
            (200, answer("vector", json!([{"metric": {}, "value": [1, "two"]}]))),
        ];
        for (status, answer) in bad {
            assert!(series(status, &answer).is_err(), "{answer}");
        }
    }
}
