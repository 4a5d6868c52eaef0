//! What a real machine answers: log files, its own numbers, plugins.
//!
//! Invariant: a log file is a regular file that no link at its path's end leads to; no pipe is waited for. A plugin has a
//! process group of its own, which is killed before the plugin is reaped, so that its number cannot yet be another's.

use super::hostfs::{OpenLog, present};
use crate::model::limits::PLUGIN_OUTPUT_BYTES_MAX;
use crate::model::question::{MachineFacts, PluginSaid};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Where plugins, and what else runs on a host for a question, find programs.
pub(super) const PLUGIN_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the end of the output is waited for once the group was killed: a daemon that left it may keep it open.
const OUTPUT_MS_MAX: u64 = 1_000;
/// The most bytes of a file in `/proc` that are read.
const PROC_BYTES_MAX: u64 = 64 << 10;

/// Opens a log file.
pub(super) fn open(file: &Path) -> io::Result<Option<OpenLog>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Some(opened) = present(rustix::fs::open(file, flags, Mode::empty()).map_err(io::Error::from))? else {
        return Ok(None);
    };
    let stat = rustix::fs::fstat(&opened)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other(format!("{} is not a regular file", file.display())));
    }
    let file = File::from(opened);
    let metadata = file.metadata()?;
    let mtime_ms = metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000);
    Ok(Some(OpenLog {
        inode: metadata.ino(),
        size: metadata.len(),
        mtime_ms: u64::try_from(mtime_ms).unwrap_or(0),
        content: Box::new(file),
    }))
}

/// Numbers of this machine; the disk is that of `root`, or of the nearest directory above it that is there.
pub(super) fn machine(root: &Path) -> io::Result<MachineFacts> {
    let there = root.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let disk = rustix::fs::statvfs(there)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    let (memory, uptime) = (proc("meminfo"), proc("uptime"));
    let uptime_ms = uptime.as_deref().and_then(|text| thousandths(text.split_whitespace().next()?));
    Ok(MachineFacts {
        disk_free_bytes: bytes(disk.f_bavail),
        disk_bytes: bytes(disk.f_blocks.saturating_sub(disk.f_bfree).saturating_add(disk.f_bavail)),
        inodes_free: disk.f_favail,
        inodes: disk.f_files,
        load1_milli: proc("loadavg").and_then(|text| thousandths(text.split_whitespace().next()?)),
        processors: thread::available_parallelism().ok().map(|n| n.get() as u64),
        memory_available_bytes: memory.as_deref().and_then(|text| of_meminfo(text, "MemAvailable")),
        memory_bytes: memory.as_deref().and_then(|text| of_meminfo(text, "MemTotal")),
        uptime_s: uptime_ms.map(|ms| ms / 1000),
        monotonic_ms: uptime_ms.ok_or_else(|| io::Error::other("/proc/uptime cannot be read"))?,
        logs: Vec::new(),
    })
}

fn proc(name: &str) -> Option<String> {
    let mut text = String::new();
    File::open(format!("/proc/{name}")).ok()?.take(PROC_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The thousandths of `12.34`.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

/// The bytes of a line `MemTotal:  16316412 kB`.
fn of_meminfo(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Runs a plugin to its end or to its deadline.
pub(super) fn plugin(argv: &[String], ms_max: u64) -> io::Result<PluginSaid> {
    let (name, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    ran(command, PLUGIN_PATH.as_ref(), reader, ms_max)
}

/// Runs a program to its end or to its deadline, with nothing in its environment but `PATH`; its output goes to `reader`.
pub(super) fn ran(mut command: Command, path: &OsStr, reader: PipeReader, ms_max: u64) -> io::Result<PluginSaid> {
    command.current_dir("/").env_clear().env("PATH", path).env("LC_ALL", "C").process_group(0);
    let mut child = command.spawn()?;
    // It holds this process's copy of the pipe's writing end, which would keep the output open.
    drop(command);
    let group = Pid::from_child(&child);
    let (head, output_ended) = collect(reader);
    let in_time = ended(&child).recv_timeout(Duration::from_millis(ms_max)).is_ok();
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    let _ = output_ended.recv_timeout(Duration::from_millis(OUTPUT_MS_MAX));
    let head = head.lock().unwrap_or_else(PoisonError::into_inner);
    let output = String::from_utf8_lossy(&head).into_owned();
    Ok(PluginSaid { code: status.code().filter(|_| in_time), output })
}

/// Says when the child has ended, and leaves it unreaped.
fn ended(child: &Child) -> Receiver<()> {
    let (send, receive) = mpsc::channel();
    let pid = Pid::from_child(child);
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
        send.send(())
    });
    receive
}

/// Reads to the end and keeps the first bytes; the channel closes at the end.
fn collect(mut reader: PipeReader) -> (Arc<Mutex<Vec<u8>>>, Receiver<()>) {
    let head = Arc::new(Mutex::new(Vec::new()));
    let (send, receive) = mpsc::channel();
    let kept = Arc::clone(&head);
    thread::spawn(move || {
        let _open = send;
        let mut buffer = [0; 16 << 10];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let room = PLUGIN_OUTPUT_BYTES_MAX - kept.len();
            kept.extend_from_slice(&buffer[..n.min(room)]);
        }
    });
    (head, receive)
}
