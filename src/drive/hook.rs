//! The site's own commands on the deploy host: depool and pool. An argv, no shell, a cleared environment.

use crate::model::limits::STDERR_BYTES_MAX;
use crate::model::names::HostName;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Where hooks are searched for.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs `argv` for `host` within `deadline_ms`; an error is the last words of the command, for people.
pub async fn run(argv: &[String], host: &HostName, deadline_ms: u64) -> Result<(), String> {
    run_with(argv, ("POINTSMAN_HOST", host.as_str()), deadline_ms).await
}

/// The same with another variable in its environment.
pub async fn run_with(argv: &[String], variable: (&str, &str), deadline_ms: u64) -> Result<(), String> {
    feed(argv, Some(variable), &[], deadline_ms).await
}

/// Runs `argv` with `input` on its stdin.
pub async fn feed(
    argv: &[String],
    variable: Option<(&str, &str)>,
    input: &[u8],
    deadline_ms: u64,
) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("groups.yaml has no such hook".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).envs(variable);
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    // In a process group of its own: Ctrl-C at a terminal lets it finish.
    command.stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let ran = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing may still do what it is for: how it ends is what counts.
            let _ = stdin.write_all(input).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(Duration::from_millis(deadline_ms), ran).await {
        Err(_) => Err(format!("{program} took longer than {deadline_ms} ms")),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let words = &output.stderr[output.stderr.len().saturating_sub(STDERR_BYTES_MAX)..];
            Err(format!("{program}: {}: {}", output.status, String::from_utf8_lossy(words).trim()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn run_hook(words: &[&str], deadline_ms: u64) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let host = "mw2020.codfw.wmnet".parse().expect("a host");
        runtime.block_on(run(&argv(words), &host, deadline_ms))
    }

    #[test]
    fn s11_a_hook_sees_the_host_and_nothing_of_our_environment() {
        let check = "test \"$POINTSMAN_HOST\" = mw2020.codfw.wmnet && test -z \"$HOME$USER\"";
        assert_eq!(run_hook(&["sh", "-c", check], 10_000), Ok(()));
    }

    #[test]
    fn a_failing_hook_says_why() {
        let said = run_hook(&["sh", "-c", "echo no such pool >&2; exit 3"], 10_000).expect_err("it fails");
        assert!(said.contains("exit status: 3") && said.contains("no such pool"), "{said}");
        assert!(run_hook(&[], 10_000).is_err());
        assert!(run_hook(&["/nonexistent/hook"], 10_000).is_err());
    }

    #[test]
    fn a_hook_that_hangs_is_ended() {
        let said = run_hook(&["sleep", "600"], 50).expect_err("it is ended");
        assert!(said.contains("longer than 50 ms"), "{said}");
    }
}
