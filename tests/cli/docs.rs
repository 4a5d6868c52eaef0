//! Every block of YAML in the documentation is what the program reads.

use crate::site::{Ran, Site};
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

fn repository(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("it is there")
}

#[test]
fn every_example_of_a_gate_is_read() {
    let text = repository("docs/gates.md");
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
fn s09_the_example_of_rights_is_read_and_every_right_is_named() {
    let text = repository("docs/rights.md");
    let [(_, block)] = blocks(&text).try_into().expect("it has one example");
    Site::unsynced(&block).run(&["config", "check"]).ends(0);
    Site::unsynced(&block.replace("promote", "premote")).run(&["config", "check"]).ends(2);
    let schema = Site::unsynced("").run(&["config", "schema"]).ends(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("it is JSON");
    let rights = schema["$defs"]["RuleEntry"]["properties"]["may"]["items"]["enum"].as_array().expect("rights");
    assert_eq!(rights.len(), 9);
    for right in rights.iter().filter_map(serde_json::Value::as_str) {
        assert!(text.contains(&format!("| `{right}` |")), "{right}");
    }
}

#[test]
fn every_kind_and_key_of_the_schema_is_named() {
    let text = repository("docs/gates.md");
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

/// Writes an example of a playbook under its own name; how it is run, with the variables that a comment in it gives.
fn example(site: &Site, block: &str) -> Vec<String> {
    let name = block.lines().next().and_then(|line| line.strip_prefix("name: ")).expect("it begins with its name");
    site.write(&format!("playbooks/{name}.yaml"), block);
    let vars = block.lines().filter_map(|line| line.strip_prefix("# --var "));
    ["run", name].into_iter().chain(vars.flat_map(|var| ["--var", var])).map(str::to_owned).collect()
}

fn play(site: &Site, example: &[String], more: &[&str]) -> Ran {
    site.run(&example.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
}

/// Where mistakes are, from the file's name on, and the hints.
fn mistakes(ran: &Ran) -> impl Iterator<Item = &str> {
    ran.stderr.lines().map(|line| line.split_once("/playbooks/").map_or(line, |(_, place)| place))
}

#[test]
fn every_example_of_a_playbook_is_planned_or_refused_as_the_page_says() {
    let text = repository("docs/playbooks.md");
    let site = Site::small("soak: {wave: 0s, group: 0s, watch: 0s}\n");
    let (mut planned, mut refused) = (0, 0);
    for (line, block) in &blocks(&text) {
        let example = example(&site, block);
        let before = site.digest();
        let ran = play(&site, &example, &["--dry-run"]);
        assert_eq!(site.digest(), before, "docs/playbooks.md:{line}: a dry run changed something");
        let has = |begin: &str| block.lines().any(|line| line.starts_with(begin));
        if has("# refused") {
            assert_eq!(ran.code, 2, "docs/playbooks.md:{line}: {ran}");
            for said in mistakes(&ran) {
                assert!(text.contains(said), "docs/playbooks.md:{line} does not say `{said}`: {ran}");
            }
            refused += 1;
            continue;
        }
        planned += 1;
        // What has hours or freezes is planned at any time, and then refused at some.
        if (has("hours:") || has("freeze:")) && ran.code == 10 {
            ran.says("now it would be refused");
        } else {
            assert_eq!(ran.code, 0, "docs/playbooks.md:{line}: {ran}");
        }
    }
    assert!(planned >= 4 && refused >= 3, "{planned} and {refused} blocks were found");
}

#[test]
fn the_first_playbook_and_the_careful_one_go_through() {
    let text = repository("docs/playbooks.md");
    let blocks = blocks(&text);
    let named = |name: &str| &blocks.iter().find(|(_, block)| block.starts_with(name)).expect("it is there").1;
    let site = Site::small("soak: {wave: 0s, group: 0s, watch: 0s}\n");
    let first = example(&site, named("name: first\n"));
    let ran = play(&site, &first, &["--var", "soak=10ms"]).ends(0);
    for line in text.lines().filter_map(|line| line.strip_prefix("    p1: ")).take_while(|line| !line.contains("look"))
    {
        assert!(ran.stderr.contains(&format!("p1: {line}\n")), "`{line}` is not said: {ran}");
    }
    site.run(&["rollback", "--yes", "-m", "no more"]).ends(0);
    site.stage("wmf-config/limits.json", "{\"a\": 2}\n");
    let careful = example(&site, named("name: careful\n"));
    play(&site, &careful, &["--override-freeze", "a test"]).ends(0);
    for host in site.hosts() {
        let served = fs::read_to_string(site.served(host, "wmf-config/limits.json")).expect("it is there");
        assert_eq!(served, "{\"a\": 2}\n", "{host}");
    }
}

#[test]
fn every_verb_and_key_of_playbooks_stands_in_its_row() {
    let text = repository("docs/playbooks.md");
    let site = Site::unsynced("");
    let hint = |stage: &str, words: &str| {
        site.write("playbooks/wrong.yaml", &format!("name: wrong\nstages: [{{name: a, {stage}}}]\n"));
        let ran = site.run(&["run", "wrong"]).ends(2);
        let list = ran.stderr.lines().find_map(|line| line.split_once(words)).map(|(_, list)| list.to_owned());
        list.unwrap_or_else(|| panic!("no `{words}`: {ran}"))
    };
    let verbs = hint("zzzzzzzz: {}", "verbs are ");
    assert_eq!(verbs.split(", ").count(), 16, "{verbs}");
    for verb in verbs.split(", ") {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{verb}` | "))).expect(verb);
        let keys = row.split('|').nth(2).expect("the second column");
        let known = hint(&format!("{verb}: {{zzzzzzzz: 1}}"), &format!("the keys of `{verb}` are "));
        let named = |key: &str| keys.contains(&format!("`{key}`"));
        assert!(known.split(", ").all(named), "{known} are not all in {row}");
        assert_eq!(keys.matches('`').count(), 2 * known.split(", ").count(), "{row} has more than {known}");
    }
}

#[test]
fn every_shipped_playbook_stands_in_the_table_with_its_variables() {
    let text = repository("docs/playbooks.md");
    let (_, text) = text.split_once("## The shipped playbooks").expect("it has that section");
    let mut seen = 0;
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks")).expect("they are shipped") {
        let file = fs::read_to_string(file.expect("listed").path()).expect("it is text");
        let book: serde_yaml::Value = serde_yaml::from_str(&file).expect("it is YAML");
        let name = book["name"].as_str().expect("it has a name");
        let row = text.lines().find(|line| line.starts_with(&format!("| `{name}` | "))).expect(name);
        let word = |value: &serde_yaml::Value| match value.as_u64() {
            Some(number) => number.to_string(),
            None => value.as_str().expect("a text or a number").to_owned(),
        };
        let variables = book["variables"].as_mapping().expect("each has some");
        for (variable, declared) in variables {
            let default = declared.get("default").map(|value| format!(" ({})", word(value))).unwrap_or_default();
            let cell = format!("`{}`{default}", word(variable));
            assert!(row.contains(&cell), "`{cell}` is not in {row}");
        }
        assert_eq!(
            row.split('|').nth(2).expect("the second column").matches('`').count(),
            2 * variables.len(),
            "{row}"
        );
        seen += 1;
    }
    assert_eq!(seen, 7);
}
