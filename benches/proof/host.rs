//! A host on this machine's disk with one large release tree, brought there by the agent itself.

use pointsman::agent::Agent;
use pointsman::agent::diskfs::DiskFs;
use pointsman::model::component::Want;
use pointsman::model::digest::Digest;
use pointsman::model::ids::{BooksId, Generation};
use pointsman::model::protocol::{Command, Expect, Level, Peek, Readiness, Reply, Stamp};
use pointsman::model::signed::Signing;
use pointsman::tree::manifest::{Entry, EntryKind, Manifest};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A host that is ready.
pub struct Host {
    agent: Agent<DiskFs>,
    want: Want,
    root: PathBuf,
}

/// What the file of this number holds: between nothing and 16 KiB, as source files are.
fn content(number: usize) -> Vec<u8> {
    let line = format!("<?php // line of file {number}, which is like no other\n");
    line.into_bytes().into_iter().cycle().take(number * 7919 % 16_384).collect()
}

fn path(number: usize) -> String {
    format!("includes/part{}/section{}/File{number}.php", number / 400, number / 20 % 20)
}

impl Host {
    /// A host below `directory` that holds so many files.
    pub fn with_tree(directory: &Path, files: usize) -> io::Result<Self> {
        let directory = directory.canonicalize()?;
        let root = directory.join("root");
        let mut contents = BTreeMap::new();
        let mut entries = Vec::new();
        for number in 0..files {
            let bytes = content(number);
            let digest = Digest::of(&bytes);
            let path = path(number).parse().map_err(io::Error::other)?;
            entries.push(Entry { path, kind: EntryKind::File { exec: false, size: bytes.len() as u64, digest } });
            contents.insert(digest, number);
        }
        let manifest = Manifest::new(entries).map_err(io::Error::other)?;
        let component = "php-1.27.0-wmf.10".parse().map_err(io::Error::other)?;
        let want = Want { component, id: manifest.id(), artefacts: Vec::new() };
        let mut host = Self { agent: Agent::new(DiskFs::new(&root, &directory.join("state"))), want, root };
        let expect = host.observe(1);
        let (want, stamp) = (host.want.clone(), stamp(2));
        let agent = &mut host.agent;
        let mut transfer =
            agent.prepare_begin(stamp, &expect, want, manifest, &Signing::default()).map_err(io::Error::other)?;
        for digest in transfer.needs() {
            let bytes = content(contents[&digest]);
            agent.prepare_put(&mut transfer, digest, &mut bytes.as_slice()).map_err(io::Error::other)?;
        }
        assert!(matches!(agent.prepare_finish(transfer, &[]), Reply::Prepared { .. }), "it is prepared");
        // As on any host, an observe comes before a look that counts.
        host.observe(3);
        Ok(host)
    }

    fn observe(&mut self, seq: u64) -> Expect {
        let peek = peek(vec![self.want.clone()], Level::L1);
        match self.agent.command(&Command::Observe { stamp: stamp(seq), adopt: false, peek }) {
            Reply::Observed(seen) => {
                Expect { incarnation: seen.incarnation.expect("an observe makes it"), active: seen.active }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Where its tree is.
    pub fn tree(&self) -> PathBuf {
        self.root.join(self.want.component.to_string())
    }

    /// Proves the tree.
    pub fn prove(&self, level: Level) {
        let seen = self.agent.peek(&peek(vec![self.want.clone()], level)).expect("a peek is answered");
        let proven = |readiness: &Readiness| matches!(readiness, Readiness::Ready { level: by, .. } if *by == level);
        assert!(proven(&seen.readiness[0].1), "{:?}", seen.readiness);
    }
}

fn peek(prove: Vec<Want>, level: Level) -> Peek {
    Peek::new(prove, level, 1)
}

fn stamp(seq: u64) -> Stamp {
    Stamp { books: BooksId(1), generation: Generation { epoch: 1, seq } }
}

/// Copies a tree, times included.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    copied.success().then_some(()).ok_or_else(|| io::Error::other("cp failed"))
}

/// What every proof has to do at least.
pub fn lstat_all(top: &Path) {
    for entry in std::fs::read_dir(top).expect("it is there") {
        let entry = entry.expect("it is listed");
        if entry.metadata().expect("it is there").is_dir() {
            lstat_all(&entry.path());
        }
    }
}
