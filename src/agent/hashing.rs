//! Reading and hashing the files that a proof doubts, on a few threads.
//!
//! Invariant: the answer does not depend on how many threads there are. The threads of a look that nobody waits for
//! stand back behind the web server; the thread that asked does not, since it may have a switch to make next.

use super::compare::{Doubt, Spot};
use super::hostfs::{HostFs, Place};
use super::index::What;
use crate::model::digest::Digest;
use crate::model::limits::{PROOF_THREAD_BYTES, PROOF_THREAD_FILES, PROOF_THREADS_MAX};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many files a thread takes at a time.
const AT_A_TIME: usize = 16;

/// Those of the doubted files below `top` whose bytes, or link's target, are not what the index says.
///
/// # Errors
///
/// A file cannot be read, or vanished since it was listed.
pub(super) fn changed<'a>(
    fs: &impl HostFs,
    top: &Place,
    doubts: &[Doubt<'a>],
    in_background: bool,
) -> io::Result<Vec<Spot<'a>>> {
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<Vec<Spot<'a>>> {
        let mut changed = Vec::new();
        loop {
            let from = next.fetch_add(AT_A_TIME, Ordering::Relaxed).min(doubts.len());
            let taken = &doubts[from..doubts.len().min(from + AT_A_TIME)];
            if taken.is_empty() {
                return Ok(changed);
            }
            for doubt in taken {
                if !same_bytes(fs, &top.join(doubt.spot.line.path), &doubt.spot.line.what)? {
                    changed.push(doubt.spot);
                }
            }
        }
    };
    let threads = threads(doubts);
    if threads == 1 && !in_background {
        return work();
    }
    let niced = || {
        if in_background {
            fs.stand_back();
        }
        work()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| thread::Builder::new().spawn_scoped(scope, niced)).collect();
        let mut changed = Vec::new();
        for started in running {
            // The others do its work too.
            let Ok(thread) = started else { continue };
            changed.extend(thread.join().map_err(|_| io::Error::other("a thread that hashed files ended early"))??);
        }
        // Whatever is left when no thread could be started.
        changed.extend(work()?);
        Ok(changed)
    })
}

fn threads(doubts: &[Doubt<'_>]) -> usize {
    let bytes: u64 = doubts.iter().map(|doubt| doubt.stat.size).sum();
    match doubts.len() < PROOF_THREAD_FILES && bytes < PROOF_THREAD_BYTES {
        true => 1,
        false => thread::available_parallelism().map_or(1, |n| n.get().min(PROOF_THREADS_MAX)),
    }
}

/// Whether the bytes, or a link's target, are these.
fn same_bytes(fs: &impl HostFs, at: &Place, what: &What<'_>) -> io::Result<bool> {
    Ok(match what {
        What::File { size, digest, .. } => {
            let (found, bytes) = fs.hash(at)?;
            bytes == *size && digest.parse() == Ok::<Digest, _>(found)
        }
        What::Symlink { target } => fs.read_link(at).is_ok_and(|found| found == *target),
    })
}
