//! `gate list` and `gate suggest` with the real program: what thirty days in VictoriaMetrics suggest.

use super::common::now_ms;
use super::victoria::Victoria;
use std::path::Path;
use std::process::{Command, Output};

fn run(site: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("-C").arg(site).args(arguments).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn site(server: &str) -> tempfile::TempDir {
    let site = tempfile::tempdir().expect("a directory");
    std::fs::write(site.path().join("all.dblist"), "testwiki\nenwiki\n").expect("it is written");
    let source = |query: &str| format!("{{prometheus: \"{server}\", query: \"{query}\"}}");
    let groups = format!(
        r#"deploy: {{root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}}
configuration: [wmf-config]
wikis: {{dblist: all.dblist}}
groups: [{{name: group0, wikis: [testwiki]}}, {{name: group1, wikis: [enwiki]}}]
hosts: [{{name: mw2001.codfw.wmnet, roles: [appserver], datacenter: codfw}}]
gates:
  - {{name: edit-failures, kind: threshold, source: {}, success: "< 100"}}
  - {{name: of-this-version, kind: threshold, source: {}, success: "< 100", mode: observe}}
  - {{name: nothing, kind: threshold, source: {}, success: "< 100", groups: [group1]}}
  - {{name: somebody, kind: approval}}
"#,
        source("sum(edit_failures)"),
        source("edit_failures{version='$version'}"),
        source("sum(no_such_series)")
    );
    std::fs::write(site.path().join("groups.yaml"), groups).expect("it is written");
    site
}

#[test]
fn limits_out_of_thirty_days() {
    let server = Victoria::start();
    // Every five minutes for thirty days: 40 to 49, once 120 and, an hour later, 250.
    let begin = now_ms() - 30 * 86_400_000;
    let value = |n: u64| match n {
        4000 => 120.0,
        4012 => 250.0,
        n => 40.0 + (n % 10) as f64,
    };
    let samples: Vec<_> = (0..30 * 288).map(|n| (begin + n * 300_000, value(n))).collect();
    server.take(serde_json::json!({"__name__": "edit_failures"}), &samples);
    let site = site(&server.url());

    let list = run(site.path(), &["gate", "list"]);
    assert!(list.status.success(), "{}", said(&list));
    let lines = said(&list);
    let lines: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!((&lines[0][..2], lines[0].last()), (&["edit-failures", "threshold"][..], Some(&"decides")));
    assert_eq!(lines[1].last(), Some(&"observes"));

    let suggested = run(site.path(), &["--json", "gate", "suggest", "edit-failures", "--since", "30d"]);
    assert!(suggested.status.success(), "{}", said(&suggested));
    let found: serde_json::Value = serde_json::from_slice(&suggested.stdout).expect("it is JSON");
    let found = &found["found"];
    assert_eq!((found["smallest"].as_f64(), found["largest"].as_f64()), (Some(40.0), Some(250.0)), "{found}");
    let limits: Vec<_> =
        found["limits"].as_array().expect("limits").iter().map(|one| (&one["bad"], &one["times"])).collect();
    let want = [(">= 100", 2), ("> 49", 2), ("> 49", 2), ("> 250", 0)];
    let want = want.map(|(bad, times)| (serde_json::json!(bad), serde_json::json!(times)));
    assert_eq!(limits, want.iter().map(|(bad, times)| (bad, times)).collect::<Vec<_>>());

    let text = said(&run(site.path(), &["gate", "suggest", "edit-failures"]));
    for words in ["40 to 250", "bad is >= 100", "2 times", "failure: \"> 250\""] {
        assert!(text.contains(words), "`{words}` is not in\n{text}");
    }
    for (gate, code, why) in [
        ("of-this-version", 1, "$version is another one in each promotion"),
        ("nothing", 1, "not one number"),
        ("somebody", 2, "of kind approval"),
        ("no-such-gate", 2, "no gate no-such-gate"),
    ] {
        let refused = run(site.path(), &["gate", "suggest", gate]);
        assert_eq!(refused.status.code(), Some(code), "{}", said(&refused));
        assert!(said(&refused).contains(why), "{}", said(&refused));
    }
}
