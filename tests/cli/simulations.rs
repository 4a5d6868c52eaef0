//! `simulate`: figures of what was tried, the same for the same seeds, and clear words where arguments or files are wrong.

use crate::replay::run;
use serde_json::Value;
use std::fs;

#[test]
fn the_same_seeds_come_to_the_same_figures_and_write_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let arguments = ["--json", "simulate", "--seeds", "5..9", "--hosts", "4"];
    let said = [0, 1].map(|_| run(&home, &arguments).ends(0).stdout);
    let [one, other] = said.map(|said| serde_json::from_str::<Value>(&said).expect("it is JSON"));
    for figure in ["seeds", "rollouts", "commands", "faults", "reached", "outcomes", "trace", "broken"] {
        assert_eq!(one[figure], other[figure], "{figure}");
    }
    assert_eq!((one["seeds"].as_u64(), one["broken"].as_u64()), (Some(4), Some(0)), "{one}");
    assert!(one["commands"].as_u64() > Some(100), "{one}");
    assert_eq!(fs::read_dir(home.path()).expect("it is there").count(), 0);
}

#[test]
fn rates_come_from_a_file() {
    let home = tempfile::tempdir().expect("a directory");
    let names = "command_lost reply_lost late twice slow dead rebooted rebuilt cloned disk_full damaged agent_killed crash take_over skewed map_edited clock_jumps reply_late reply_twice";
    let calm: String = names.split(' ').map(|name| format!("{name}: 0\n")).collect();
    fs::write(home.path().join("f.yaml"), format!("{calm}gate_flaps: 10000\n")).expect("it can be written");
    let said = run(&home, &["simulate", "--seeds", "0..5", "--hosts", "3", "--faults", "f.yaml"]).ends(0).stdout;
    let faults: Vec<&str> = said.lines().skip_while(|l| *l != "faults").skip(1).take_while(|l| !l.is_empty()).collect();
    assert!(faults.len() == 1 && faults[0].trim_start().starts_with("gate_flaps"), "{said}");

    fs::write(home.path().join("f.yaml"), "late: 10\ncrush: 10\n").expect("it can be written");
    let said = run(&home, &["simulate", "--faults", "f.yaml"]).ends(2).stderr;
    assert!(said.contains("f.yaml:2:1") && said.contains("crash"), "{said}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    for (arguments, words) in [
        (["--seeds", "9..9"], "must be greater"),
        (["--seeds", "9"], "two numbers"),
        (["--seeds", "a..b"], "`a` is not a number"),
        (["--hosts", "1"], "2 to 200"),
        (["--hosts", "201"], "2 to 200"),
    ] {
        let said = run(&home, &[&["simulate"], arguments.as_slice()].concat()).ends(2).stderr;
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}
