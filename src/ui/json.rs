//! `--json`: a stream of events on stdout, one JSON object a line: `{"v":1,"type":"switched","host":...}`.
//!
//! Invariant: one event is one line whatever text is in it, since JSON escapes line ends (S13); and what stands first
//! is ours: a body can't change `v` and `type`.

use serde_json::{Map, Value};

/// The form of the stream.
pub const VERSION: u32 = 1;

/// One event, without a line end. The fields of `body` stand after `v` and `type`; a body that is no object stands in
/// `value`, and null in nothing.
pub fn line(kind: &str, body: &Value) -> String {
    let mut fields = match body {
        Value::Object(fields) => fields.clone(),
        Value::Null => Map::new(),
        value => [("value".to_owned(), value.clone())].into_iter().collect(),
    };
    fields.remove("v");
    fields.remove("type");
    let comma = if fields.is_empty() { "" } else { "," };
    let rest = Value::Object(fields).to_string();
    format!("{{\"v\":{VERSION},\"type\":{}{comma}{}", Value::from(kind), &rest[1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn s13_one_event_is_one_line() {
        let hostile = json!({"host": "mw2020", "why": "a\n{\"v\":1}", "v": 9, "type": "done"});
        let lines = [line("switched", &hostile), line("done", &Value::Null), line("hosts", &json!([1, 2]))];
        let expected = [
            r#"{"v":1,"type":"switched","host":"mw2020","why":"a\n{\"v\":1}"}"#,
            r#"{"v":1,"type":"done"}"#,
            r#"{"v":1,"type":"hosts","value":[1,2]}"#,
        ];
        assert_eq!(lines, expected);
        for line in lines {
            serde_json::from_str::<Value>(&line).expect("it is JSON");
        }
    }

    proptest::proptest! {
        #[test]
        fn s13_any_text_stays_within_its_line_and_its_field(key in ".{0,20}", text in "(?s).{0,80}") {
            let line = line("switched", &json!({ (key.as_str()): text.as_str() }));
            assert!(!line.contains(['\n', '\r']) && line.starts_with("{\"v\":1,\"type\":\"switched\""), "{line}");
            let read: Value = serde_json::from_str(&line).expect("it is JSON");
            assert!(["v", "type"].contains(&key.as_str()) || read[&key] == text.as_str(), "{line}");
        }
    }
}
