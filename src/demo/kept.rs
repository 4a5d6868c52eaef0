//! The web tier as a process of its own, which outlives the command that started it: `pointsman demo-web --dir DIR`.
//!
//! Its pid and ports lie in `.demo/web.json`, written whole before it says that it is ready.
//!
//! Invariant: a process is taken for ours only when its own command line names this very site; a pid alone proves
//! nothing, since pids are given out again. It is signalled through a handle that cannot come to mean another one.

use super::error::{DemoError, Result, at};
use super::site::Site;
use super::traffic::Traffic;
use super::web::{self, Place, Ports};
use crate::fleet::classify::last_line;
use crate::model::limits::{DEMO_PAGE_BYTES_MAX, DEMO_WEB_MS_MAX, STDERR_BYTES_MAX};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// The hidden command that runs the web tier; `--dir` and the site's directory follow.
pub const COMMAND: &str = "demo-web";
/// The file in `.demo/` that says where each host listens.
const ADDRESSES: &str = "web-addresses";
/// What it says on its stdout when it serves.
const READY: &str = "ready\n";

/// What `.demo/web.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The process.
    pub pid: u32,
    /// Where each host's server listens, on 127.0.0.1.
    pub ports: Ports,
}

/// How a kept web tier was found to be, or was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There was none.
    None,
    /// It had ended before, or its pid is another program's by now.
    Gone,
    /// It ended when it was asked to.
    Asked,
    /// It had to be killed.
    Killed,
}

/// Where the record lies.
pub fn file(site: &Site) -> PathBuf {
    site.home().join("web.json")
}

/// Runs the web tier until SIGTERM or SIGINT; what `demo-web` does. `say` gets one line when it serves.
///
/// # Errors
///
/// No ports, or the record cannot be written.
pub async fn run(site: &Site, say: &mut impl Write) -> Result<()> {
    let handler = |kind| signal(kind).map_err(|error| DemoError::Web(format!("cannot wait for signals: {error}")));
    let (mut end, mut interrupt) = (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    // Taken and not heeded: the terminal may be closed.
    let _hangup = handler(SignalKind::hangup())?;
    let mut web = web::start(Place::of(site)).await?;
    let traffic = Traffic::new(&site.policy, &web.ports);
    write_addresses(site, &web.ports)?;
    write(site, &Kept { pid: std::process::id(), ports: web.ports.clone() })?;
    let said = say.write_all(READY.as_bytes()).and_then(|()| say.flush());
    said.map_err(|error| DemoError::Web(format!("cannot say that it is ready: {error}")))?;
    tokio::select! {
        () = web.serve() => {}
        () = traffic.run() => {}
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Starts `program demo-web` for the site and waits until it serves. It goes on when this process ends.
///
/// # Errors
///
/// One is running already, or it does not come up in time.
pub async fn start(program: &Path, site: &Site) -> Result<Kept> {
    spawn(Command::new(program), site).await
}

async fn spawn(mut command: Command, site: &Site) -> Result<Kept> {
    if let Some(kept) = read(site)?.filter(|kept| handle(site, kept.pid).is_some()) {
        return Err(DemoError::Web(format!("is already running, pid {}", kept.pid)));
    }
    command.arg(COMMAND).arg("--dir").arg(&site.directory).env_clear().current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| DemoError::Web(format!("cannot be started: {error}")))?;
    let up = timeout(Duration::from_millis(DEMO_WEB_MS_MAX), is_ready(&mut child)).await;
    let kept = read(site)?.filter(|kept| Some(kept.pid) == child.id());
    match (up, kept) {
        (Ok(true), Some(kept)) => Ok(kept),
        (up, _) => {
            let why = if up.is_err() { "was not ready in time" } else { "ended before it was ready" };
            // It has ended already, or is of no use.
            drop(child.start_kill());
            Err(DemoError::Web(format!("{why}: {}", last_words(child).await)))
        }
    }
}

async fn is_ready(child: &mut Child) -> bool {
    let Some(stdout) = child.stdout.take() else { return false };
    let mut line = String::new();
    let read = BufReader::new(stdout.take(READY.len() as u64)).read_line(&mut line).await;
    read.is_ok() && line == READY
}

async fn last_words(mut child: Child) -> String {
    let mut bytes = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = stderr.take(STDERR_BYTES_MAX as u64);
        drop(timeout(Duration::from_millis(DEMO_WEB_MS_MAX), stderr.read_to_end(&mut bytes)).await);
    }
    last_line(&bytes).unwrap_or_else(|| "it said nothing".to_owned())
}

/// The record; `None` when there is none.
///
/// # Errors
///
/// It cannot be read or is not one.
pub fn read(site: &Site) -> Result<Option<Kept>> {
    let path = file(site);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => at("open", &path, other)?,
    };
    let mut bytes = Vec::new();
    at("read", &path, file.take(DEMO_PAGE_BYTES_MAX).read_to_end(&mut bytes))?;
    let wrong = |error: serde_json::Error| DemoError::Web(format!("left a record that is none: {error}"));
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

fn write(site: &Site, kept: &Kept) -> Result<()> {
    let (path, draft) = (file(site), file(site).with_extension("draft"));
    let text = serde_json::to_string_pretty(kept).expect("names and numbers become JSON");
    at("write", &draft, std::fs::write(&draft, text + "\n"))?;
    at("move into place", &path, std::fs::rename(&draft, &path))
}

/// Where each host listens, a line `HOST ADDRESS:PORT`: what groups.yaml names in its section `web`.
fn write_addresses(site: &Site, ports: &Ports) -> Result<()> {
    let path = site.home().join(ADDRESSES);
    let draft = path.with_extension("draft");
    let lines: String = ports.iter().map(|(host, port)| format!("{host} 127.0.0.1:{port}\n")).collect();
    at("write", &draft, std::fs::write(&draft, lines))?;
    at("move into place", &path, std::fs::rename(&draft, &path))
}

/// Ends the kept web tier, politely first; `grace` is the time that it gets. Blocks until it has ended.
///
/// # Errors
///
/// The record cannot be read, or the process may not be signalled.
pub fn end(site: &Site, grace: Duration) -> Result<Ended> {
    let Some(kept) = read(site)? else { return Ok(Ended::None) };
    let Some(process) = handle(site, kept.pid) else { return Ok(Ended::Gone) };
    let failed = |error| DemoError::Web(format!("cannot be ended, pid {}: {error}", kept.pid));
    for (signal, grace, ended) in
        [(Signal::TERM, grace, Ended::Asked), (Signal::KILL, Duration::from_millis(DEMO_WEB_MS_MAX), Ended::Killed)]
    {
        match pidfd_send_signal(&process, signal) {
            Err(Errno::SRCH) => return Ok(Ended::Gone),
            other => other.map_err(failed)?,
        }
        if has_ended(&process, grace).map_err(failed)? {
            return Ok(ended);
        }
    }
    Err(DemoError::Web(format!("does not end, pid {}", kept.pid)))
}

/// Waits for the end of a process: its handle becomes readable then.
fn has_ended(process: &OwnedFd, within: Duration) -> rustix::io::Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            other => return other.map(|ready| ready > 0),
        }
    }
}

/// A handle to the process when it is this site's web tier. The command line is read after the handle is there, so
/// that what was checked and what is signalled are the same process.
fn handle(site: &Site, pid: u32) -> Option<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
    let mut line = Vec::new();
    File::open(format!("/proc/{pid}/cmdline")).ok()?.take(DEMO_PAGE_BYTES_MAX).read_to_end(&mut line).ok()?;
    let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let ours = [COMMAND.as_bytes(), b"--dir", site.directory.as_os_str().as_encoded_bytes()];
    arguments.windows(3).any(|three| three == ours).then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{fixture, fleet};

    /// A program that stands for ours: `sh` that does `first`, says that it is ready and waits for a signal.
    fn program(site: &Site, first: &str) -> Command {
        let home = site.home();
        let (file, pipe) = (file(site), home.join("pipe"));
        let text = format!(
            "export PATH=/usr/bin:/bin; mkfifo '{}'; {first}; echo '{{\"pid\":'$$',\"ports\":{{\"mw1017\":80}}}}' >'{}'; \
             echo ready; read x <'{0}'",
            pipe.display(),
            file.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &text, "sh"]);
        command
    }

    #[tokio::test]
    async fn a_kept_web_tier_is_started_once_and_ended() {
        let (_directory, site) = fixture::site();
        fleet::create(&site).expect("it is made");
        let kept = spawn(program(&site, ":"), &site).await.expect("it starts");
        assert_eq!(kept.ports.values().copied().collect::<Vec<_>>(), [80]);
        let again = spawn(program(&site, ":"), &site).await.expect_err("one runs").to_string();
        assert_eq!(again, format!("the web tier is already running, pid {}", kept.pid));
        let long = Duration::from_millis(DEMO_WEB_MS_MAX);
        assert_eq!(end(&site, long).expect("it ends"), Ended::Asked);
    }

    #[tokio::test]
    async fn what_the_record_says_is_where_it_serves_once_it_is_ready() {
        let (_directory, site) = fixture::site();
        fleet::create(&site).expect("it is made");
        let (mut say, heard) = std::os::unix::net::UnixStream::pair().expect("a pair");
        heard.set_nonblocking(true).expect("set");
        let mut heard = tokio::net::UnixStream::from_std(heard).expect("registered");
        let wikis = ["enwiki".parse().expect("a wiki")];
        let asked = async {
            let mut line = [0; READY.len()];
            heard.read_exact(&mut line).await.expect("it says something");
            assert_eq!(line, READY.as_bytes());
            let kept = read(&site).expect("a record").expect("it is there");
            assert_eq!(kept.pid, std::process::id());
            crate::demo::ask::ask(&kept.ports, &wikis).await.expect("asked")
        };
        let table = tokio::select! {
            ended = run(&site, &mut say) => panic!("it ended: {ended:?}"),
            table = asked => table,
        };
        assert_eq!(table.rows.len(), 12);
        assert!(table.rows.values().flatten().all(|said| said.to_string() == "HTTP 500"), "hosts are empty: {table}");
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let (_directory, site) = fixture::site();
        fleet::create(&site).expect("it is made");
        spawn(program(&site, "trap '' TERM"), &site).await.expect("it starts");
        assert_eq!(end(&site, Duration::from_millis(1)).expect("it ends"), Ended::Killed);
    }

    #[tokio::test]
    async fn one_that_does_not_come_up_says_why() {
        let (_directory, site) = fixture::site();
        fleet::create(&site).expect("it is made");
        let error = spawn(program(&site, "echo no ports >&2; exit 1"), &site).await.expect_err("it fails").to_string();
        assert_eq!(error, "the web tier ended before it was ready: no ports");
        assert_eq!(end(&site, Duration::ZERO).expect("nothing to end"), Ended::None);
    }

    #[tokio::test]
    async fn another_program_under_the_same_pid_is_left_alone() {
        let (_directory, site) = fixture::site();
        fleet::create(&site).expect("it is made");
        let (_other_directory, other) = fixture::site();
        fleet::create(&other).expect("it is made");
        let stranger = spawn(program(&other, ":"), &other).await.expect("it starts");
        write(&site, &stranger).expect("written");
        assert_eq!(end(&site, Duration::ZERO).expect("nothing of ours"), Ended::Gone);
        assert!(handle(&other, stranger.pid).is_some(), "it lives");
        end(&other, Duration::from_millis(DEMO_WEB_MS_MAX)).expect("it ends");
        std::fs::write(file(&site), "{}").expect("written");
        assert!(end(&site, Duration::ZERO).is_err(), "a record that is none is not overlooked");
    }
}
