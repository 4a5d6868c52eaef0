//! Every block of YAML in the documentation is what the program reads.

use crate::site::{Site, V11};
use std::fs;
use std::path::Path;

/// The blocks of YAML, each with the line it begins at.
pub fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, block)), line) => *block += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    found
}

#[test]
fn every_example_of_a_gate_is_read() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gates.md")).expect("it is there");
    let blocks = blocks(&text);
    let (files, sections): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(_, block)| block.starts_with("# "));
    assert!(sections.len() >= 13, "only {} blocks were found", sections.len());
    for (line, block) in &sections {
        let site = Site::unsynced(block);
        for (_, file) in &files {
            let name = file.lines().next().and_then(|line| line.strip_prefix("# ")).expect("it begins with its name");
            site.write(name, file);
        }
        for name in ["logins", "latency", "replication-lag"] {
            site.write(&format!("checks/{name}.sh"), "");
        }
        let ran = site.run(&["config", "check"]);
        assert_eq!(ran.code, 0, "docs/gates.md:{line}: {ran}");
    }
    // What stands there is really read.
    let (_, one) = sections.iter().find(|(_, block)| block.contains("success:")).expect("there is one");
    let wrong = one.replace("success:", "succes:");
    assert_eq!(Site::unsynced(&wrong).run(&["config", "check"]).code, 2);
}

#[test]
fn every_kind_and_key_of_the_schema_is_named() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gates.md")).expect("it is there");
    let site = Site::unsynced("");
    let schema: serde_json::Value = serde_json::from_str(&site.run(&["config", "schema"]).stdout).expect("it is JSON");
    let kinds = schema["properties"]["gates"].to_string();
    let names = kinds.split("\"const\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut seen = 0;
    for kind in names {
        seen += 1;
        assert!(
            text.contains(&format!("kind: {kind}"))
                || text.contains(&format!("`{kind}`"))
                || text.contains(&format!("### {kind}")),
            "{kind}"
        );
    }
    assert_eq!(seen, 12, "{kinds}");
}

#[test]
fn every_playbook_of_the_documentation_is_run_or_refused() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/playbooks.md")).expect("it is there");
    let (mut ran, mut refused) = (0, 0);
    for (line, block) in blocks(&text) {
        let site = Site::small("soak: {wave: 0s, group: 0s, watch: 0s}\n");
        site.write("playbooks/one.yaml", &block.replace("soak: {time: 3s}", "soak: {time: 10ms}"));
        let first = block.lines().next().unwrap_or_default();
        let mut arguments = vec!["run", "one", "--override-freeze", "a test"];
        arguments.extend(
            first.strip_prefix("# ").filter(|words| words.starts_with("--var")).iter().flat_map(|w| w.split(' ')),
        );
        let is_bad = first == "# refused";
        let said = site.run(&arguments);
        assert_eq!(said.code, if is_bad { 2 } else { 0 }, "docs/playbooks.md:{line}: {said}");
        match is_bad {
            true => refused += 1,
            false => ran += 1,
        }
        assert!(is_bad || block.contains("shards") || site.counts().contains(".11"), "{V11} is served: {said}");
    }
    assert_eq!((ran, refused), (3, 1));
}
