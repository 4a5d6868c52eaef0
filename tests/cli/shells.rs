//! Completions as shells get them, and manual pages.
//!
//! Invariant: what is compared is what bash, zsh and fish themselves offer, set up as `completions --help` says, for a line that ends
//! where the cursor is.

use crate::site::{Site, V10, V11};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a shell offers at the end of a line, sorted.
type Shell = fn(&Site, &str) -> Vec<String>;

const SHELLS: [(&str, Shell); 3] = [("bash", bash), ("zsh", zsh), ("fish", fish)];

/// A person's shell in the site, which finds the program on its path and a home of its own.
fn shell(site: &Site, program: &str) -> Command {
    let ours = Path::new(env!("CARGO_BIN_EXE_pointsman")).parent().expect("it has a directory");
    let mut command = Command::new(program);
    command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", ours.display())).env("LC_ALL", "C.UTF-8");
    command.env("HOME", site.path("home")).env("TERM", "dumb").current_dir(site.path(""));
    command
}

/// Runs it to its end; what it said on stdout.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/test installs it"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Each once, without what stands around it.
fn sorted<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let words: BTreeSet<&str> = lines.into_iter().map(str::trim).filter(|word| !word.is_empty()).collect();
    words.into_iter().map(str::to_owned).collect()
}

fn bash(site: &Site, line: &str) -> Vec<String> {
    let script = r#"
        source <(pointsman completions bash)
        complete -p pointsman >/dev/null || exit 3
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        spec=$(complete -p pointsman); call=${spec##* -F }; call=${call%% *}
        "$call" pointsman "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    sorted(said(shell(site, "bash").args(["--norc", "-c", script, "bash"]).args(line.split(' '))).lines())
}

/// zsh completes on a terminal only, so a second zsh gives it one: what would be offered, the line then, and the screen.
fn zsh_at_a_terminal(site: &Site, line: &str) -> (Vec<String>, String, String) {
    let start = r#"
        autoload -Uz compinit && compinit -u -D
        source <(pointsman completions zsh)
        # Nothing asks whether a long list is wanted.
        LISTMAX=10000
        # Whatever is about to be offered passes through here.
        compadd() {
            local -a matching
            builtin compadd -O matching "$@"
            print -rl -- $matching >> offered
            builtin compadd "$@"
        }
        # In the place of somebody who types the line and presses Tab.
        zle-line-init() {
            BUFFER=$LINE_TYPED CURSOR=$#BUFFER
            zle complete-word
            print -rn -- $BUFFER > completed
            exit
        }
        zle -N zle-line-init
    "#;
    let terminal =
        "zmodload zsh/zpty; zpty shell 'zsh -d -i'; while zpty -r shell screen; do print -rn -- $screen; done";
    site.write("home/.zshrc", start);
    site.write("offered", "");
    let screen = said(shell(site, "timeout").args(["60", "zsh", "-f", "-c", terminal]).env("LINE_TYPED", line));
    let read = |name: &str| fs::read_to_string(site.path(name)).expect("it is there");
    (sorted(read("offered").lines()), read("completed"), screen)
}

fn zsh(site: &Site, line: &str) -> Vec<String> {
    zsh_at_a_terminal(site, line).0
}

/// What fish offers, each with a word about it after a tab.
fn fish_with_words(site: &Site, line: &str) -> String {
    let script = site.run(&["completions", "fish"]).ends(0).stdout;
    site.write("home/.config/fish/completions/pointsman.fish", &script);
    said(shell(site, "fish").args(["-c", "complete -C \"$argv\"", line]))
}

fn fish(site: &Site, line: &str) -> Vec<String> {
    let offered = fish_with_words(site, line);
    sorted(offered.lines().map(|line| line.split('\t').next().unwrap_or_default()))
}

/// What every shell offers for this line.
#[track_caller]
fn offered(site: &Site, line: &str) -> Vec<String> {
    let [bash, zsh, fish] = SHELLS.map(|(_, shell)| shell(site, line));
    assert_eq!(bash, zsh, "bash and zsh: {line}");
    assert_eq!(bash, fish, "bash and fish: {line}");
    bash
}

#[test]
fn shells_offer_what_the_site_has_now() {
    let site = Site::small("");
    assert_eq!(offered(&site, "pointsman promote group"), ["group0", "group1", "group2"]);
    assert_eq!(offered(&site, "pointsman plan promote group2"), ["group2"]);
    assert_eq!(offered(&site, "pointsman promote group0 1.27.0-wmf.1"), [V10, V11]);
    assert_eq!(offered(&site, "pointsman depool mw"), site.hosts());
    assert_eq!(offered(&site, "pointsman check --hosts mw1018"), [site.hosts()[1].clone()]);
    assert_eq!(offered(&site, "pointsman sign php-1.27.0-wmf.1"), [format!("php-{V10}"), format!("php-{V11}")]);
    assert_eq!(offered(&site, "pointsman sign w"), ["wmf-config"]);
    assert_eq!(offered(&site, "pointsman rollback --to "), ["s1"]);
    site.promote("group0", V11).ends(0);
    assert_eq!(offered(&site, "pointsman rollback --to "), ["s1", "s2"]);
    assert_eq!(offered(&site, "pointsman show r"), ["r1", "r2"]);
    // A groups.yaml that can't be read offers nothing and says nothing.
    site.write("groups.yaml", "}");
    assert_eq!(offered(&site, "pointsman promote group"), [""; 0]);
}

#[test]
fn shells_offer_commands_by_their_names_and_flags() {
    let site = Site::unsynced("");
    let commands = offered(&site, "pointsman ");
    let has = |name: &str| commands.iter().any(|command| command == name);
    assert!(has("rollback") && has("promote") && has("sync-common"), "{commands:?}");
    assert!(!has("revert"), "what it is called too is no second command: {commands:?}");
    assert_eq!(offered(&site, "pointsman rev"), ["revert"], "but who begins to type it may go on");
    assert_eq!(offered(&site, "pointsman roll"), ["rollback"]);
    assert_eq!(offered(&site, "pointsman promote --dr"), ["--dry-run"]);
    let shells = ["--help", "--json", "--quiet", "--site", "bash", "fish", "zsh"];
    assert_eq!(offered(&site, "pointsman completions "), shells);
}

#[test]
fn a_list_of_hosts_is_completed_at_its_end() {
    let site = Site::unsynced("");
    let first = &site.hosts()[0];
    let lists: Vec<String> = site.hosts().iter().map(|host| format!("{first},{host}")).collect();
    assert_eq!(offered(&site, &format!("pointsman depool {first},mw")), lists);
    assert_eq!(offered(&site, "pointsman promote group0,gro"), [""; 0], "of groups there is no list");
}

#[test]
fn zsh_completes_the_line_and_zsh_and_fish_say_a_word_about_each() {
    let site = Site::small("");
    assert_eq!(zsh_at_a_terminal(&site, "pointsman roll").1, "pointsman rollback ");
    let (_, line, screen) = zsh_at_a_terminal(&site, "pointsman promote group");
    assert_eq!(line, "pointsman promote group");
    assert!(screen.contains("group0") && screen.contains("-- 2 wikis"), "{screen}");
    let words = fish_with_words(&site, "pointsman promote g");
    assert_eq!(words, "group0\t2 wikis\ngroup1\t3 wikis\ngroup2\t2 wikis\n");
}

#[test]
fn s12_a_reason_that_somebody_wrote_is_one_harmless_line() {
    let site = Site::small("");
    site.run(&["pin", "enwiki", V10, "--yes", "--reason", "a: b\u{1b}[2J\nr9\u{7}"]).ends(0);
    assert_eq!(fish_with_words(&site, "pointsman unpin en"), "enwiki\ta: b\\u{1b}[2J\\u{a}r9\\u{7}\n");
    let (names, line, screen) = zsh_at_a_terminal(&site, "pointsman unpin ");
    assert!(names.contains(&"enwiki".to_owned()) && !names.contains(&"r9".to_owned()), "{names:?}");
    assert!(line == "pointsman unpin " && screen.contains("a: b\\u{1b}[2J\\u{a}r9"), "{line}: {screen}");
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
