//! Hooks as real processes.
//!
//! Invariant: no shell, nothing in the environment but `PATH` and what the agent names, a process group of its own that
//! is killed as a whole at the deadline, and no more kept of what it prints than the last
//! [`STDERR_BYTES_MAX`] bytes.

use super::hostfs::{Ended, EnvValue, Place, Program};
use crate::model::limits::STDERR_BYTES_MAX;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Where programs are looked for when the agent itself has no `PATH`.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the end of the output is waited for once the process has ended: a daemon that it left may keep it open.
const OUTPUT_MS_MAX: u64 = 1_000;

/// Runs a hook to its end; `path_of` gives the absolute path of a place.
pub(super) fn run(program: &Program, path_of: &dyn Fn(&Place) -> PathBuf) -> io::Result<Ended> {
    let (name, arguments) = program.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(name);
    command.args(arguments).current_dir(path_of(&program.directory)).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH_DEFAULT.into()));
    for (key, value) in &program.env {
        match value {
            EnvValue::Text(text) => command.env(key, text),
            EnvValue::Path(place) => command.env(key, path_of(place)),
        };
    }
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let child = command.spawn()?;
    // It holds this process's copies of the pipe's writing end, which would keep the output open.
    drop(command);
    let group = rustix::process::Pid::from_child(&child);
    let (tail, output_ended) = collect(reader);
    let ended = wait(child);
    let limit = Duration::from_millis(program.ms_max);
    let (status, how) = match ended.recv_timeout(limit) {
        Ok(status) => status.map(|status| (status, describe(status)))?,
        Err(_) => {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let status = ended.recv().map_err(io::Error::other)??;
            (status, format!("killed after {} s", limit.as_secs()))
        }
    };
    let _ = output_ended.recv_timeout(Duration::from_millis(OUTPUT_MS_MAX));
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Ended { success: status.success(), how, output: String::from_utf8_lossy(&tail).into_owned() })
}

fn wait(mut child: Child) -> Receiver<io::Result<ExitStatus>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(child.wait()));
    receive
}

/// Reads to the end and keeps the last bytes; the channel closes at the end.
fn collect(mut reader: PipeReader) -> (Arc<Mutex<Vec<u8>>>, Receiver<()>) {
    let tail = Arc::new(Mutex::new(Vec::new()));
    let (send, receive) = mpsc::channel();
    let kept = Arc::clone(&tail);
    thread::spawn(move || {
        let _open = send;
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&buffer[..n]);
            let surplus = kept.len().saturating_sub(STDERR_BYTES_MAX);
            kept.drain(..surplus);
        }
    });
    (tail, receive)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended in a way that has no name".to_owned(),
    }
}
