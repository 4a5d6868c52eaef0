//! Completions as a shell gets them, and manual pages.

use crate::site::{Site, V10, V11};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What bash itself offers for the last of `words`, sorted.
fn bash(site: &Site, words: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_pointsman"));
    // The name that is completed is found on the path, as a person's is.
    let path = format!("{}:/usr/bin:/bin", program.parent().expect("it has a directory").display());
    let script = r#"
        source <(pointsman completions bash)
        complete -p pointsman >/dev/null || exit 3
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        spec=$(complete -p pointsman); call=${spec##* -F }; call=${call%% *}
        "$call" pointsman "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "bash", "pointsman"]).args(words).env("PATH", path);
    let output = command.current_dir(site.path("")).output().expect("bash is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> =
        String::from_utf8(output.stdout).expect("text").lines().map(|line| line.trim_end().to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn bash_offers_what_the_site_has_now() {
    let site = Site::small("");
    assert_eq!(bash(&site, &["promote", "group"]), ["group0", "group1", "group2"]);
    assert_eq!(bash(&site, &["promote", "group0", "1.27.0-wmf.1"]), [V10, V11]);
    assert_eq!(bash(&site, &["depool", "mw101"]).len(), 3);
    assert_eq!(bash(&site, &["sign", "php-1.27.0-wmf.1"]), [format!("php-{V10}"), format!("php-{V11}")]);
    assert_eq!(bash(&site, &["sign", "w"]), ["wmf-config"]);
    assert!(bash(&site, &["roll"]).contains(&"rollback".to_owned()));
    assert_eq!(bash(&site, &["rollback", "--to", ""]), ["s1"]);
    site.promote("group0", V11).ends(0);
    assert_eq!(bash(&site, &["rollback", "--to", ""]), ["s1", "s2"]);
    assert_eq!(bash(&site, &["show", "r"]), ["r1", "r2"]);
    // A groups.yaml that can't be read offers nothing and says nothing.
    site.write("groups.yaml", "}");
    assert_eq!(bash(&site, &["promote", "group"]), [""]);
}

#[test]
fn zsh_and_fish_are_offered_the_same() {
    let site = Site::small("");
    for shell in ["zsh", "fish"] {
        let said = site.run(&["completions", shell]).ends(0).stdout;
        assert!(said.contains("POINTSMAN_COMPLETE"), "{said}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        command.env("POINTSMAN_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2").current_dir(site.path(""));
        let output = command.args(["--", "pointsman", "promote", "group"]).output().expect("it starts");
        let said = String::from_utf8(output.stdout).expect("text");
        assert!(["group0", "group1", "group2"].iter().all(|group| said.contains(group)), "{shell}: {said}");
        assert!(said.contains("2 wikis"), "with a word about each: {said}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let site = Site::unsynced("");
    let to = site.path("man1");
    site.run(&["man", to.to_str().expect("text")]).ends(0);
    for (name, words) in [
        ("pointsman", "Exit codes"),
        ("pointsman-rollback", "pointsman rollback group1"),
        ("pointsman-gate-suggest", "How far back"),
        ("pointsman-demo-down", "pointsman demo down"),
    ] {
        let page = fs::read_to_string(to.join(format!("{name}.1"))).expect("it is there");
        assert!(page.contains(&format!(".TH {name} 1")) && page.contains(words), "{page}");
    }
    assert!(!to.join("pointsman-demo-web.1").exists(), "what is hidden stays hidden");
}
