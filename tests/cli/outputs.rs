//! What checks and dry runs write for CI and monitoring.

use crate::site::{Site, V11};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Without what differs from run to run: times.
fn redacted(text: &str) -> String {
    let number = |word: &str| word.parse::<f64>().is_ok();
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((before, last)) if number(last) && (line.contains("_seconds") && !line.starts_with('#')) => {
            format!("{before} N")
        }
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn check_writes_for_nagios_prometheus_and_ci_whether_hosts_are_ready() {
    let site = Site::small("");
    let well = site.run(&["check", "--nagios"]).ends(0);
    assert!(
        well.stdout.starts_with("POINTSMAN OK - 3 of 3 hosts ready (L2) | hosts=3;;;0 stale=0;;0;0;3 time="),
        "{well}"
    );
    assert_eq!(well.stdout.lines().count(), 1, "{well}");
    let gone = site.hosts()[2].clone();
    fs::remove_dir_all(site.served(&gone, "php-1.27.0-wmf.10/includes")).expect("ours");
    let ill = site.run(&["check", "--nagios"]).ends(2);
    assert!(ill.stdout.starts_with(&format!("POINTSMAN CRITICAL - 1 host not ready: {gone} (")), "{ill}");
    assert!(ill.stdout.contains("| hosts=3;;;0 stale=1;;0;0;3 time=") && !ill.stdout.contains("gates"), "{ill}");
    site.run(&["check", "--nagios", "--json"]).ends(3).says("POINTSMAN UNKNOWN");
    site.run(&["check", "1.27.0-wmf.12", "--nagios"]).ends(3).says("POINTSMAN UNKNOWN").says("never synced");

    let (prom, xml) = (site.path("check.prom"), site.path("check.xml"));
    let shown = |path: &Path| path.display().to_string();
    site.run(&["check", "--prometheus", &shown(&prom), "--junit", &shown(&xml)]).ends(7);
    let metrics = redacted(&fs::read_to_string(&prom).expect("it is there"));
    let samples: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    let since = format!("pointsman_check_host_stale_since_timestamp_seconds{{host=\"{gone}\"}} N");
    let expected = [
        "pointsman_check_last_run_timestamp_seconds N",
        "pointsman_check_duration_seconds N",
        "pointsman_check_well 0",
        "pointsman_check_hosts 3",
        "pointsman_check_stale_hosts 1",
        since.as_str(),
    ];
    assert_eq!(samples, expected);
    let report = fs::read_to_string(&xml).expect("it is there");
    assert!(
        report.contains("<testsuites name=\"pointsman check\" tests=\"3\" skipped=\"0\" failures=\"1\" errors=\"0\""),
        "{report}"
    );
    assert!(report.contains(&format!("<testcase name=\"{gone}\" classname=\"pointsman.readiness\">")), "{report}");
    assert!(!report.contains("name=\"gates\"") && report.contains("pointsman sync-common"), "{report}");
}

#[test]
fn a_dry_run_is_a_report_for_ci_and_a_real_one_is_not() {
    let site = Site::small("");
    let xml = site.path("plan.xml");
    let shown = xml.display().to_string();
    let promote = ["promote", "group0", V11, "-m", "x"];
    let with = |more: &[&'static str]| {
        let all: Vec<&str> = promote.iter().copied().chain(more.iter().copied()).chain(["--junit", &shown]).collect();
        site.run(&all)
    };
    let before = site.digest();
    with(&["--yes"]).ends(2).says("--junit is about a plan");
    assert_eq!(site.digest(), before);
    with(&["--dry-run"]).ends(0);
    let report = fs::read_to_string(&xml).expect("it is there");
    assert!(
        report.contains("<testsuites name=\"pointsman plan\" tests=\"3\" skipped=\"0\" failures=\"0\" errors=\"0\""),
        "{report}"
    );
    assert!(report.contains("<testsuite name=\"r2 promote\"") && report.contains("wave 1: 1 host"), "{report}");

    let gone = site.hosts()[1].clone();
    fs::rename(site.host(&gone), site.path("away")).expect("moved");
    with(&["--dry-run"]).ends(7);
    let report = fs::read_to_string(&xml).expect("it is there");
    assert!(report.contains("tests=\"3\" skipped=\"0\" failures=\"1\" errors=\"0\""), "{report}");
    assert!(report.contains(&format!("<testcase name=\"{gone}\" classname=\"pointsman.plan\">")), "{report}");

    let view = site.run(&["status", "--json"]).stdout;
    site.write("view.json", &view);
    let offline = site.path("view.json").display().to_string();
    let all: Vec<&str> = promote.iter().copied().chain(["--view", &offline, "--junit", &shown]).collect();
    site.run(&all).ends(0);
    let report = fs::read_to_string(&xml).expect("it is there");
    assert!(
        report.contains("failures=\"0\" errors=\"0\"") && report.matches("it was not looked at").count() == 3,
        "{report}"
    );
}

/// The values that `type` and `step` may have, wherever they stand.
fn kinds(schema: &Value, found: &mut Vec<String>) {
    for key in ["type", "step"] {
        found.extend(schema["properties"][key]["const"].as_str().map(str::to_owned));
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|value| kinds(value, found)),
        Value::Array(items) => items.iter().for_each(|value| kinds(value, found)),
        _ => {}
    }
}

#[test]
fn the_page_names_every_type_and_step_of_the_schema() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/outputs.md")).expect("it is there");
    let schema = Site::unsynced("").run(&["schema", "events"]).ends(0).stdout;
    let schema: Value = serde_json::from_str(&schema).expect("it is JSON");
    let mut names = Vec::new();
    kinds(&schema, &mut names);
    assert_eq!(names.len(), 12 + 13, "types and steps: {names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
}
