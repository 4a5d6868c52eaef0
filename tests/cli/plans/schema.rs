//! Saved plans against the schema that is published.
//!
//! As much of JSON Schema as our schemas use is known here; any other word fails, so that nothing is passed over.

use super::{Desk, plan};
use crate::site::{Site, V9, V11};
use serde_json::Value;

#[test]
fn saved_plans_are_of_the_published_schema() {
    let (site, desk) = (Site::small(""), Desk::new());
    let schema = site.run(&["plan", "schema"]).ends(0).stdout;
    let schema: Value = serde_json::from_str(&schema).expect("it is JSON");
    site.promote("group0", V11).ends(0);
    site.run(&["pin", &site.hosts()[0], V9, "--reason", "held", "--yes"]).ends(0);
    plan(&site, &desk, "promote.plan", &["promote", "group1", V11, "-m", "x"]);
    plan(&site, &desk, "back.plan", &["rollback"]);
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    plan(&site, &desk, "sync.plan", &["sync-common", "--from-staging"]);
    for name in ["promote.plan", "back.plan", "sync.plan"] {
        let file: Value = serde_json::from_str(&desk.text(name)).expect("it is JSON");
        assert_eq!(wrong(&schema, &file), Vec::<String>::new(), "{name}");
        let shown = site.run(&["plan", "show", &desk.file(name), "--json"]).ends(0).stdout;
        let shown: Value = serde_json::from_str(&shown).expect("it is JSON");
        assert_eq!(
            (&shown["type"], &shown["digest"], &shown["saved"]),
            (&"plan-file".into(), &file["digest"], &file["saved"])
        );
        // What is read is really held against it.
        for (place, value) in
            [("/saved/basis/wanted", "s3"), ("/saved/planned/plan/goal/mode", "sideways"), ("/digest", "")]
        {
            let mut broken = file.clone();
            *broken.pointer_mut(place).expect("it is there") = match value {
                "" => Value::Null,
                value => value.into(),
            };
            assert!(!wrong(&schema, &broken).is_empty(), "{place}");
        }
        let mut more = file.clone();
        more["saved"]["more"] = 1.into();
        assert!(!wrong(&schema, &more).is_empty());
    }
}

/// What is wrong with `value` by `schema`, a line each.
pub fn wrong(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(words) = schema else {
        assert_eq!(schema, &Value::Bool(true), "{at}");
        return;
    };
    for (word, want) in words {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" | "default" => {}
            "$ref" => {
                let name = want.as_str().and_then(|name| name.strip_prefix('#')).expect("a reference within");
                check(root, root.pointer(name).expect("it leads somewhere"), value, at, found);
            }
            "type" => {
                let kinds: Vec<&str> = match want {
                    Value::String(kind) => vec![kind],
                    kinds => kinds.as_array().expect("types").iter().filter_map(Value::as_str).collect(),
                };
                if !kinds.iter().any(|kind| is(value, kind)) {
                    found.push(format!("{at}: {value} is not {kinds:?}"));
                }
            }
            "enum" if !want.as_array().expect("values").contains(value) => found.push(format!("{at}: {value}")),
            "const" if want != value => found.push(format!("{at}: {value} is not {want}")),
            "minimum" if value.as_f64().is_some_and(|n| n < want.as_f64().expect("a number")) => {
                found.push(format!("{at}: {value} is too small"));
            }
            "maximum" if value.as_f64().is_some_and(|n| n > want.as_f64().expect("a number")) => {
                found.push(format!("{at}: {value} is too large"));
            }
            "enum" | "const" | "minimum" | "maximum" => {}
            "uniqueItems" => {}
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, want, item, &format!("{at}/{n}"), found);
                }
            }
            "required" => {
                for name in want.as_array().expect("names").iter().filter_map(Value::as_str) {
                    if value.get(name).is_none() {
                        found.push(format!("{at}: lacks {name}"));
                    }
                }
            }
            "properties" | "patternProperties" | "additionalProperties" => {}
            "anyOf" | "oneOf" => {
                let each = want.as_array().expect("schemas").iter();
                let fits = |schema: &&Value| {
                    let mut wrong = Vec::new();
                    check(root, schema, value, at, &mut wrong);
                    wrong.is_empty()
                };
                if each.filter(fits).count() == 0 {
                    found.push(format!("{at}: {value} is none of them"));
                }
            }
            other => panic!("{at}: the schema has `{other}`, which this does not know"),
        }
    }
    members(root, words, value, at, found);
}

fn members(root: &Value, words: &serde_json::Map<String, Value>, value: &Value, at: &str, found: &mut Vec<String>) {
    let named = words.get("properties").and_then(Value::as_object);
    // The only pattern that schemars makes is that of whole numbers.
    let numbered =
        words.get("patternProperties").and_then(Value::as_object).and_then(|patterns| patterns.values().next());
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        let number = numbered.filter(|_| name.bytes().all(|b| b.is_ascii_digit()));
        match (named.and_then(|named| named.get(name)).or(number), words.get("additionalProperties")) {
            (Some(schema), _) => check(root, schema, member, &at, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{at}: is not known")),
            (None, Some(schema)) => check(root, schema, member, &at, found),
            (None, None) => {}
        }
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("no type {other}"),
    }
}
