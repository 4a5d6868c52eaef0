//! What tests of gates share: scripts whose answer is a file, and a running program whose words are waited for.

use crate::site::Site;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStderr};

/// A small site with these gates and these times of soaking; gates are asked again after 20 ms.
pub fn site(soak: &str, gates: &[&str]) -> Site {
    let gates: String = gates.iter().map(|gate| format!("  - {{{gate}, interval: 20ms}}\n")).collect();
    let site = Site::small(&format!("soak: {{{soak}}}\ngates:\n{gates}"));
    // As a plugin of Nagios: its code is what the file beside it says, and so is its number.
    script(&site, "plugin", "read code < \"${0%.sh}.code\"; echo \"PLUGIN $code | code=$code\"; exit $code");
    script(&site, "number", "cat \"${0%.sh}.code\"");
    answers(&site, "plugin", 0);
    answers(&site, "number", 0);
    site
}

/// Writes `checks/NAME.sh`.
pub fn script(site: &Site, name: &str, body: &str) {
    let name = format!("checks/{name}.sh");
    site.write(&name, &format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(site.path(&name), PermissionsExt::from_mode(0o755)).expect("chmod");
}

/// What `checks/NAME.sh` says from now on; a reader finds the old or the new answer and never half of one.
pub fn answers(site: &Site, name: &str, code: u32) {
    let new = format!("checks/{name}.new");
    site.write(&new, &format!("{code}\n"));
    fs::rename(site.path(&new), site.path(&format!("checks/{name}.code"))).expect("renamed");
}

/// A run of the program that has not ended yet; it is killed when the test is over before.
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    /// Starts the program.
    pub fn start(site: &Site, arguments: &[&str]) -> Self {
        let mut child = site.start(arguments);
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        Self { child, stderr, said: String::new() }
    }

    /// Reads on until these words were said.
    #[track_caller]
    pub fn says(&mut self, words: &str) {
        while !self.said.contains(words) {
            let read = self.stderr.read_line(&mut self.said).expect("it says UTF-8");
            assert!(read > 0, "it ended without `{words}`:\n{}", self.said);
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it lives");
    }

    /// Waits for its end; everything it said on stderr.
    #[track_caller]
    pub fn ends(mut self, code: i32) -> String {
        self.stderr.read_to_string(&mut self.said).expect("it says UTF-8");
        let ended = self.child.wait().expect("it ends").code();
        assert_eq!(ended, Some(code), "{}", self.said);
        std::mem::take(&mut self.said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
