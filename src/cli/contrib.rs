//! What lies in contrib/ is what the program and systemd understand.

use super::Cli;
use clap::Parser;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every file below contrib/.
fn files() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib")];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("it is there") {
            let path = entry.expect("it is listed").path();
            match path.is_dir() {
                true => left.push(path),
                false => drop(found.insert(path.clone(), std::fs::read_to_string(path).expect("it is text"))),
            }
        }
    }
    found
}

/// Words as a shell splits them, with what stands for a value in each format replaced by one.
fn words(line: &str) -> Vec<String> {
    let values =
        [("$ARG1$", "/srv/deploy"), ("$ARG2$", "role:canary"), ("$GROUP", "group1"), ("$VERSION", "1.27.0-wmf.11")];
    let line = values.iter().fold(line.to_owned(), |line, (name, value)| line.replace(name, value));
    let mut words = Vec::new();
    for (n, part) in line.split('"').enumerate() {
        match n % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// The command lines of one file: what begins with the program, in comments too.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let begins = ["ExecStart=", "command_line ", "- "];
    let lines = text.lines().map(str::trim).filter_map(|line| {
        let line = begins.iter().find_map(|begin| line.strip_prefix(begin)).unwrap_or(line).trim();
        let program = line.split_whitespace().next()?;
        (program.rsplit('/').next() == Some("pointsman")).then(|| words(line))
    });
    let quoted = text.split('`').skip(1).step_by(2).filter(|line| line.starts_with("pointsman "));
    let quoted = quoted.map(|line| words(line.split('>').next().unwrap_or(line)));
    lines.chain(quoted).collect()
}

#[test]
fn every_command_line_is_accepted() {
    let mut seen = 0;
    for (path, text) in files() {
        for line in command_lines(&text) {
            seen += 1;
            if let Err(error) = Cli::try_parse_from(&line) {
                panic!("{}: {line:?}: {error}", path.display());
            }
        }
    }
    assert!(seen >= 9, "only {seen} command lines were found");
    let icinga = include_str!("../../contrib/nagios/icinga2.conf");
    let options: Vec<&str> =
        icinga.lines().filter_map(|l| l.trim().strip_prefix('"')?.split_once("\" = {")).map(|l| l.0).collect();
    assert_eq!(options, ["-C", "--hosts", "--window"]);
    let line = ["pointsman", "canary", "--nagios", "-C", "/srv", "--hosts", "dc:codfw", "--window", "1h"];
    assert!(Cli::try_parse_from(line).is_ok());
}

#[test]
fn a_command_line_with_a_mistake_would_be_found() {
    let lines = command_lines("ExecStart=/usr/local/bin/pointsman canary --nagois\n# see `pointsman statuss`\n");
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| Cli::try_parse_from(line).is_err()));
}

/// Sections and keys of a unit; a line that is neither is a mistake.
fn unit(text: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut sections: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => name.clone_into(&mut section),
            None => {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("`{line}` is no setting"));
                assert!(!section.is_empty() && key.chars().all(char::is_alphanumeric), "`{line}`");
                sections.entry(section.clone()).or_default().push((key.to_owned(), value.to_owned()));
            }
        }
    }
    sections
}

#[test]
fn the_units_are_understood_by_systemd() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut paths = Vec::new();
    for (name, nice) in [("canary", "10"), ("scrub", "19")] {
        let text = |suffix: &str| {
            let path = format!("contrib/systemd/pointsman-{name}.{suffix}");
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there")
        };
        let (service, timer) = (unit(&text("service")), unit(&text("timer")));
        let has = |key: &str, value: &str| service["Service"].contains(&(key.to_owned(), value.to_owned()));
        assert!(has("NoNewPrivileges", "yes") && has("ProtectSystem", "strict"), "{name}");
        assert!(has("Nice", nice) && has("IOSchedulingClass", "idle"), "{name}");
        assert!(timer["Timer"].iter().any(|(key, _)| key == "OnCalendar"), "{name}");
        for suffix in ["service", "timer"] {
            let path = directory.path().join(format!("pointsman-{name}.{suffix}"));
            // systemd's judgement wants the program to be where the unit says.
            let text = text(suffix).replace("/usr/local/bin/pointsman", "/bin/true");
            std::fs::write(&path, text.replace("User=deploy", "User=root")).expect("written");
            paths.push(path);
        }
    }
    let Ok(said) = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output() else { return };
    let words = String::from_utf8_lossy(&said.stderr);
    let about = |line: &&str| line.contains("pointsman");
    assert!(said.status.success() && !words.lines().any(|line| about(&line)), "{words}");
}

#[test]
fn the_ci_jobs_are_yaml() {
    let jobs: serde_json::Value =
        serde_saphyr::from_str(include_str!("../../contrib/ci/gitlab-ci.yml")).expect("it is YAML");
    for job in ["config", "plan", "dry-run", "canary"] {
        assert!(jobs[job]["script"].as_array().is_some_and(|script| !script.is_empty()), "{job}");
    }
}
