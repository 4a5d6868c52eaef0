//! What a process leaves behind that is ended by a signal which leaves a core of others.

use crate::site::Site;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

#[test]
fn s10_a_process_that_crashes_leaves_no_core() {
    let site = Site::unsynced("");
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
    let board = site.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c $(ulimit -H -c); exec \"$@\"", "sh"]).arg(board.get_program()).args(board.get_args());
    shell.envs(board.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = shell.current_dir(site.path("")).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("it is piped")).read_line(&mut line).expect("it says where it is");
    assert!(line.starts_with("the board is at "), "{line}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("it lives");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).expect("it is our child");
    let status = child.wait().expect("it is our child");
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    let of_cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("every kernel says it");
    assert_eq!(of_cores.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "what it starts leaves none either");
}
