//! Programs of the site on the deploy host: those that print numbers, and plugins.
//!
//! Invariant: no shell, nothing in the environment but `PATH` and what is named here, a process group of its own that is
//! killed as a whole at the deadline or when nobody waits any more, and a bounded output.

use crate::model::limits::PROVIDER_PROGRAM_BYTES_MAX;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Where programs are searched for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the end of the output is waited for once the group was killed.
const OUTPUT_MS_MAX: u64 = 1_000;

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: it was killed at the deadline.
    pub status: Option<ExitStatus>,
    /// The first bytes of its stdout.
    pub stdout: Vec<u8>,
    /// Whether there were more.
    pub more: bool,
}

/// What is kept of stdout, and whether more of it ends the program.
#[derive(Debug, Clone, Copy)]
pub enum Keep {
    /// So many bytes; the rest is read and forgotten.
    First(usize),
    /// So many bytes; with more it is killed.
    AtMost(usize),
}

/// Runs a program within a time.
pub async fn run(argv: &[String], env: &[(&str, String)], within: Duration, keep: Keep) -> io::Result<Ended> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // From where it is named it is looked for, and it is run at the root.
    let path = if program.contains('/') { std::path::absolute(program)? } else { program.into() };
    let mut command = Command::new(path);
    command.args(arguments).current_dir("/").env_clear().env("PATH", PATH);
    command.envs(env.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).ok_or(io::ErrorKind::Other)?;
    let group = Group(pid);
    let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut output = Kept { keep, bytes: Vec::new(), more: false };
    let ended = tokio::time::timeout(within, async {
        // Whichever ends first: what it forked may keep the output open, and it may close its output and go on.
        tokio::select! {
            biased;
            status = child.wait() => status.map(Some),
            () = output.drain(&mut stdout) => match output.is_too_much() {
                true => Ok(None),
                false => child.wait().await.map(Some),
            },
        }
    })
    .await;
    drop(group);
    let _ = tokio::time::timeout(Duration::from_millis(OUTPUT_MS_MAX), output.drain(&mut stdout)).await;
    let status = ended.unwrap_or(Ok(None))?;
    Ok(Ended { status, stdout: output.bytes, more: output.more })
}

/// What was read.
struct Kept {
    keep: Keep,
    bytes: Vec<u8>,
    more: bool,
}

impl Kept {
    fn is_too_much(&self) -> bool {
        self.more && matches!(self.keep, Keep::AtMost(_))
    }

    /// Reads to the end, or until it is too much, and keeps the first bytes.
    async fn drain(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let (Keep::First(max) | Keep::AtMost(max)) = self.keep;
        let mut buffer = vec![0; 16 << 10];
        while !self.is_too_much() {
            let Ok(n @ 1..) = from.read(&mut buffer).await else { return };
            let room = max - self.bytes.len();
            self.bytes.extend_from_slice(&buffer[..n.min(room)]);
            self.more |= n > room;
        }
    }
}

/// Kills a process group when dropped, so that a check that is given up leaves nothing behind.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

/// What a program printed on stdout within `ms_max`; an error says why there is nothing to read.
pub async fn output(argv: &[String], env: &[(&str, String)], ms_max: u64) -> Result<String, String> {
    let keep = Keep::AtMost(PROVIDER_PROGRAM_BYTES_MAX);
    let ended = run(argv, env, Duration::from_millis(ms_max), keep).await.map_err(|error| error.to_string())?;
    match ended.status {
        _ if ended.more => Err(format!("it prints more than {PROVIDER_PROGRAM_BYTES_MAX} bytes")),
        None => Err(format!("it took longer than {ms_max} ms and was killed")),
        Some(status) if !status.success() => Err(format!("it ended with {status}")),
        Some(_) => String::from_utf8(ended.stdout).map_err(|_| "it prints what is no text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, ms_max: u64) -> Result<String, String> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(output(&argv, &[("POINTSMAN_GROUP", "group0".to_owned())], ms_max))
    }

    #[test]
    fn it_sees_only_what_is_named_and_failures_are_errors() {
        assert_eq!(run("echo $POINTSMAN_GROUP$HOME$USER", 10_000).as_deref(), Ok("group0\n"));
        assert!(run("echo 5; exit 3", 10_000).expect_err("it fails").contains("exit status: 3"));
        assert!(run("yes", 10_000).expect_err("too much").contains("more than"));
        assert!(run("sleep 600 & sleep 600", 50).expect_err("too long").contains("killed"));
    }
}
