//! Plugins as real processes, those that mean harm among them.

use super::bench::disk;
use crate::agent::Agent;
use crate::model::limits::PLUGIN_OUTPUT_BYTES_MAX;
use crate::model::question::{Answer, PluginSaid, Question};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// Asserts that what a plugin forked is gone once `run` has its answer; it is given a script for sh and a deadline in ms.
#[track_caller]
pub(crate) fn nothing_is_left(run: impl Fn(&str, u64) -> PluginSaid) {
    let said = run("sleep 600 & echo $!", 20_000);
    assert_eq!(said.code, Some(0));
    is_gone(&said.output);
    // On a busy machine the shell may be killed before it says its child's number.
    let killed = [300, 3_000, 30_000].into_iter().map(|ms| run("sleep 600 & echo $!; wait", ms));
    let said = killed.inspect(|said| assert_eq!(said.code, None)).find(|said| !said.output.is_empty());
    is_gone(&said.expect("it says its child's number").output);
}

/// Asserts that the process of this number is gone. The kernel kills it a moment after it was asked to.
#[track_caller]
fn is_gone(pid: &str) {
    let pid: u32 = pid.trim().parse().expect("a process's number");
    let stat = format!("/proc/{pid}/stat");
    let lives = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    (0..3_000).take_while(|_| lives()).for_each(|_| sleep(Duration::from_millis(20)));
    assert!(!lives(), "{pid} lives");
}

fn plugin(argv: &[&str], deadline_ms: u64) -> Result<PluginSaid, String> {
    let (_directory, fs) = disk();
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    match Agent::new(fs).answer(&Question::Plugin { argv, deadline_ms }) {
        Answer::Plugin(said) => Ok(said),
        Answer::Failed(why) => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn plugins_are_bounded_whatever_they_do() {
    let sh = |script: &str, ms| plugin(&["/bin/sh", "-c", script], ms).expect("sh starts");
    let said = sh("echo \"WARN | a=1 $HOME$PATH\"; echo no >&2; exit 1", 20_000);
    assert_eq!((said.code, said.output.as_str()), (Some(1), "WARN | a=1 /usr/sbin:/usr/bin:/sbin:/bin\n"));
    let said = sh("head -c 100000000 /dev/zero; exit 2", 120_000);
    assert_eq!((said.code, said.output.len()), (Some(2), PLUGIN_OUTPUT_BYTES_MAX));
    nothing_is_left(sh);
    assert_eq!(plugin(&["sh"], 1000).expect_err("relative"), "a plugin is named by an absolute path");
    assert!(plugin(&["/nonexistent/check_load"], 1000).is_err());
}
