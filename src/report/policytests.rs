//! What came of policy tests: as lines, as JSON and as JUnit XML.

use super::escape::Untrusted;
use super::junit::{case, said};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCaseStatus, TestSuite};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A test that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its file, as it was named.
    pub file: PathBuf,
    /// Its name, out of the file.
    pub name: String,
    /// What did not hold, in order; empty: it passed.
    pub missed: Vec<Missed>,
    /// How long it took, ms.
    pub took_ms: u64,
}

/// An expectation that did not hold, or a replay that could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Where it stands, from 1; 0: the whole test.
    pub line: u64,
    /// What was found instead.
    pub found: String,
}

/// A line a test, and a line for each thing that did not hold.
pub fn line(ran: &Ran) -> String {
    let word = if ran.missed.is_empty() { "ok  " } else { "FAIL" };
    let seconds = ran.took_ms as f64 / 1000.0;
    let mut out = format!("{word}  {}  ({}, {seconds:.1} s)", Untrusted(&ran.name), Untrusted(&named(&ran.file)));
    for missed in &ran.missed {
        let _ = write!(out, "\n      {}: {}", Untrusted(&place(&ran.file, missed)), Untrusted(&missed.found));
    }
    out
}

/// How many passed and how many did not.
pub fn sum(all: &[Ran]) -> String {
    let failed = all.iter().filter(|ran| !ran.missed.is_empty()).count();
    match failed {
        0 => format!("{} passed", all.len()),
        _ => format!("{} passed, {failed} failed", all.len() - failed),
    }
}

/// For machines.
pub fn json(all: &[Ran]) -> Value {
    let missed = |missed: &Missed| json!({"line": missed.line, "found": missed.found});
    let test = |ran: &Ran| {
        json!({
            "file": named(&ran.file),
            "name": ran.name,
            "passed": ran.missed.is_empty(),
            "took_ms": ran.took_ms,
            "missed": ran.missed.iter().map(missed).collect::<Vec<_>>(),
        })
    };
    json!({"tests": all.iter().map(test).collect::<Vec<_>>()})
}

/// One case a test.
///
/// # Errors
///
/// The writer's own, which text in memory does not cause.
pub fn junit(all: &[Ran]) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("policy");
    for ran in all {
        let lines: Vec<String> =
            ran.missed.iter().map(|missed| format!("{}: {}", place(&ran.file, missed), missed.found)).collect();
        let status = match ran.missed.first() {
            None => TestCaseStatus::success(),
            Some(first) => said(NonSuccessKind::Failure, "expectation", &first.found, &lines.join("\n")),
        };
        let mut case = case(&named(&ran.file), &ran.name, status);
        case.set_time(Duration::from_millis(ran.took_ms));
        suite.add_test_case(case);
    }
    let mut report = Report::new("pointsman test");
    report.set_time(Duration::from_millis(all.iter().map(|ran| ran.took_ms).sum()));
    report.add_test_suite(suite);
    report.to_string()
}

fn named(file: &Path) -> String {
    let file = file.strip_prefix(".").unwrap_or(file);
    file.to_string_lossy().into_owned()
}

fn place(file: &Path, missed: &Missed) -> String {
    match missed.line {
        0 => named(file),
        line => format!("{}:{line}", named(file)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn ran(name: &str, missed: &[(u64, &str)]) -> Ran {
        let missed = missed.iter().map(|(line, found)| Missed { line: *line, found: (*found).to_owned() }).collect();
        Ran { file: "incidents/night.test.yaml".into(), name: name.to_owned(), missed, took_ms: 1250 }
    }

    #[test]
    fn a_test_that_fails_says_where_and_what_was_found() {
        let all = [ran("one pass", &[]), ran("no\u{7} host", &[(7, "expected <held>"), (0, "it broke")])];
        let lines: Vec<String> = all.iter().map(line).collect();
        expect![[r#"
            ok    one pass  (incidents/night.test.yaml, 1.2 s)
            FAIL  no\u{7} host  (incidents/night.test.yaml, 1.2 s)
                  incidents/night.test.yaml:7: expected <held>
                  incidents/night.test.yaml: it broke"#]]
        .assert_eq(&lines.join("\n"));
        assert_eq!(sum(&all), "1 passed, 1 failed");
        assert_eq!(sum(&all[..1]), "1 passed");
        assert_eq!(json(&all)["tests"][1]["missed"][0]["line"], 7);
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="pointsman test" tests="2" skipped="0" failures="1" errors="0" time="2.500">
                <testsuite name="policy" tests="2" skipped="0" errors="0" failures="1">
                    <testcase name="one pass" classname="incidents/night.test.yaml" time="1.250"/>
                    <testcase name="no host" classname="incidents/night.test.yaml" time="1.250">
                        <failure message="expected &lt;held&gt;" type="expectation">incidents/night.test.yaml:7: expected &lt;held&gt;
            incidents/night.test.yaml: it broke</failure>
                    </testcase>
                </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&junit(&all).expect("it is written"));
    }
}
