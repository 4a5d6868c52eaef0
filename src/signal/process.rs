//! Programs of the site on the deploy host that print numbers.
//!
//! Invariant: no shell, nothing in the environment but `PATH` and what is named here, a process group of its own that is
//! killed as a whole at the deadline, and no more read than [`PROVIDER_PROGRAM_BYTES_MAX`] bytes.

use crate::model::limits::PROVIDER_PROGRAM_BYTES_MAX;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// Where programs are searched for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program printed on stdout within `ms_max`; an error says why there is nothing to read.
pub async fn output(argv: &[String], env: &[(&str, String)], ms_max: u64) -> Result<String, String> {
    let (program, arguments) = argv.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).envs(env.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut stdout = child.stdout.take().ok_or("it has no output")?.take(PROVIDER_PROGRAM_BYTES_MAX as u64 + 1);
    let mut bytes = Vec::new();
    let ended = async {
        stdout.read_to_end(&mut bytes).await.map_err(|error| error.to_string())?;
        if bytes.len() > PROVIDER_PROGRAM_BYTES_MAX {
            return Err(format!("it prints more than {PROVIDER_PROGRAM_BYTES_MAX} bytes"));
        }
        child.wait().await.map_err(|error| error.to_string())
    };
    let status = tokio::time::timeout(Duration::from_millis(ms_max), ended).await;
    drop(group);
    match status {
        Err(_) => Err(format!("it took longer than {ms_max} ms and was killed")),
        Ok(Err(why)) => Err(why),
        Ok(Ok(status)) if !status.success() => Err(format!("it ended with {status}")),
        Ok(Ok(_)) => String::from_utf8(bytes).map_err(|_| "it prints what is no text".to_owned()),
    }
}

/// A process group, killed when nobody waits for it any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
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
