//! A running agent (or bootstrap line) seen from here: its three streams and its end.
//!
//! Invariant: its stderr is always drained, so that it can't block, and no more than [`STDERR_BYTES_MAX`] of it is kept.

use crate::model::limits::STDERR_BYTES_MAX;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufReader, BufWriter};
use tokio::process::Child;
use tokio::task::JoinHandle;

/// Bytes gathered before a write goes to the other process.
const BUFFER_BYTES: usize = 128 << 10;
/// How long the last words of a process that has closed its stdout are waited for.
const LAST_WORDS: Duration = Duration::from_millis(1_000);

/// Streams and process together.
pub struct Channel {
    /// Its stdin.
    pub input: BufWriter<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    /// Its stdout.
    pub output: BufReader<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    drain: JoinHandle<()>,
    process: Box<dyn Send + Sync>,
}

impl Channel {
    /// The streams of a process here that was started with all three piped.
    pub fn local(mut child: Child) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        match (stdin, stdout, stderr) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Self::new(stdin, stdout, stderr, Box::new(child))),
            _ => Err(io::Error::other("a stream is not piped")),
        }
    }

    /// The streams of a process there that was started with all three piped.
    pub fn remote(mut child: openssh::Child<Arc<openssh::Session>>) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
        match (stdin, stdout, stderr) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Self::new(stdin, stdout, stderr, Box::new(child))),
            _ => Err(io::Error::other("a stream is not piped")),
        }
    }

    /// Streams to something that `process` keeps alive, until it is dropped.
    pub fn new(
        stdin: impl AsyncWrite + Send + Sync + Unpin + 'static,
        stdout: impl AsyncRead + Send + Sync + Unpin + 'static,
        stderr: impl AsyncRead + Send + Sync + Unpin + 'static,
        process: Box<dyn Send + Sync>,
    ) -> Self {
        let kept = Arc::default();
        let drain = tokio::spawn(drain(stderr, Arc::clone(&kept)));
        Self {
            input: BufWriter::with_capacity(BUFFER_BYTES, Box::new(stdin)),
            output: BufReader::with_capacity(BUFFER_BYTES, Box::new(stdout)),
            stderr: kept,
            drain,
            process,
        }
    }

    /// Closes its stdin and gathers its last words: what it said on stderr.
    pub async fn last_words(self) -> String {
        let Self { input, output, stderr, mut drain, process } = self;
        drop((input, output));
        let _ = tokio::time::timeout(LAST_WORDS, &mut drain).await;
        drain.abort();
        drop(process);
        let kept = stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

/// Keeps the first [`STDERR_BYTES_MAX`] bytes and throws the rest away.
async fn drain(mut stderr: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = STDERR_BYTES_MAX - kept.len();
        kept.extend_from_slice(&buffer[..n.min(room)]);
    }
}
