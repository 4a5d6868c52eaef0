//! Graphite: answers of `/render?format=json`.
//!
//! Invariant: null stays null, and `[]`, which it answers with status 200 for what does not exist, is no data.
//! Form of the answers: <https://graphite.readthedocs.io/en/latest/render_api.html>.

use super::fetch;
use crate::gate::reading::ReadError;
use crate::model::time::Time;
use serde_json::Value;

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name, with dots.
    pub name: String,
    /// Its points in order of time: when, ms since 1970, and the number; `None`: null.
    pub points: Vec<(u64, Option<f64>)>,
}

impl Series {
    /// The host that the part `node` of its name is, with `_` for `.`.
    pub fn host(&self, node: usize) -> Option<String> {
        self.name.split('.').nth(node).map(|part| part.replace('_', "."))
    }
}

/// The series of a target from `from` (exclusive, as Graphite has it) to `to`, to the second.
pub async fn render(server: &str, target: &str, from: Time, to: Time) -> Result<Vec<Series>, ReadError> {
    let pairs = vec![
        ("format", "json".to_owned()),
        ("target", target.to_owned()),
        ("from", (from.0 / 1000).to_string()),
        ("until", to.0.div_ceil(1000).to_string()),
        ("noCache", "true".to_owned()),
    ];
    let (status, answer) = fetch::json(&format!("{server}/render"), &pairs, target).await?;
    series(status, &answer).map_err(|why| fetch::error(target, &why))
}

/// The series of an answer.
pub fn series(status: u16, answer: &Value) -> Result<Vec<Series>, String> {
    if status != 200 {
        return Err(format!("status {status}"));
    }
    answer.as_array().ok_or("an answer that is no list")?.iter().map(one).collect()
}

fn one(row: &Value) -> Result<Series, String> {
    let name = row["target"].as_str().ok_or("a series without a name")?.to_owned();
    let points = row["datapoints"].as_array().ok_or("a series without points")?;
    let point = |pair: &Value| {
        let at = pair[1].as_u64().filter(|at| *at < 1 << 40).ok_or("a point without a time")?;
        match &pair[0] {
            Value::Null => Ok((at * 1000, None)),
            number => Ok((at * 1000, Some(number.as_f64().ok_or("a point without a number")?))),
        }
    };
    let points = points.iter().map(point).collect::<Result<_, &str>>()?;
    Ok(Series { name, points })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn points_and_hosts() {
        let answer = json!([{"target": "servers.mw2020_codfw_wmnet.load", "datapoints": [[1.5, 60], [null, 120]]}]);
        let found = series(200, &answer).expect("a series");
        assert_eq!(found[0].points, [(60_000, Some(1.5)), (120_000, None)]);
        assert_eq!(found[0].host(1).as_deref(), Some("mw2020.codfw.wmnet"));
        assert_eq!(found[0].host(9), None);
        assert_eq!(series(200, &json!([])), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_series_is_an_error() {
        let bad = [
            (500, json!([])),
            (200, json!({})),
            (200, json!([{"target": "a"}])),
            (200, json!([{"datapoints": []}])),
            (200, json!([{"target": "a", "datapoints": [["1", 60]]}])),
            (200, json!([{"target": "a", "datapoints": [[1]]}])),
        ];
        for (status, answer) in bad {
            assert!(series(status, &answer).is_err(), "{answer}");
        }
    }
}
