//! `--json`: a stream of events on stdout, one JSON object a line: `{"v":1,"type":"switched","host":...}`.
//!
//! Invariant: one event is one line whatever text is in it, since JSON escapes line ends (S13).

use super::printer::Printer;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io;

/// The form of the stream.
pub const VERSION: u32 = 1;

/// Writes one event. The fields of `body` stand beside `v` and `type`; a body that is no object stands in `value`.
pub fn event(printer: &Printer, kind: &str, body: &impl Serialize) -> io::Result<()> {
    printer.data(line(kind, serde_json::to_value(body)?))
}

fn line(kind: &str, body: Value) -> String {
    let mut fields = match body {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        value => [("value".to_owned(), value)].into_iter().collect(),
    };
    fields.remove("v");
    fields.remove("type");
    let rest = Value::Object(fields).to_string();
    let rest = rest.strip_prefix('{').filter(|rest| *rest != "}").map_or("}".to_owned(), |rest| format!(",{rest}"));
    format!("{{\"v\":{VERSION},\"type\":{}{rest}", Value::from(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::printer::{Settings, tests::printer};
    use serde_json::json;

    #[test]
    fn one_event_is_one_line() {
        let (printer, out, _) = printer(Settings::default());
        event(&printer, "switched", &json!({"host": "mw2020", "why": "a\n{\"v\":1}\u{2028}", "v": 9}))
            .expect("written");
        event(&printer, "done", &()).expect("written");
        event(&printer, "hosts", &[1, 2]).expect("written");
        let text = out.text();
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        assert_eq!(
            lines[0],
            "{\"v\":1,\"type\":\"switched\",\"host\":\"mw2020\",\"why\":\"a\\n{\\\"v\\\":1}\u{2028}\"}"
        );
        assert_eq!(lines[1..], [r#"{"v":1,"type":"done"}"#, r#"{"v":1,"type":"hosts","value":[1,2]}"#]);
        for line in lines {
            serde_json::from_str::<Value>(line).expect("it is JSON");
        }
    }
}
