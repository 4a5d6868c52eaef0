//! What the stories stand on: small trees, a controller that counts, and hosts of both kinds.

use crate::agent::Agent;
use crate::agent::diskfs::DiskFs;
use crate::agent::hostfs::{Ended, HostFs, Place};
use crate::agent::memfs::{Hook, MemFs};
use crate::agent::prepare::Transfer;
use crate::model::books::Pins;
use crate::model::component::{ArtefactRule, Component, Want};
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation, RolloutId, SnapshotId};
use crate::model::map::VersionMap;
use crate::model::names::Version;
use crate::model::protocol::{
    Collected, Command, ConfirmNote, Direction, Expect, Level, Observation, Peek, Readiness, Refusal, Reply, Stamp,
};
use crate::model::signed::Signing;
use crate::tree::manifest::{Entry, EntryKind, Manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Declares a test that tells the same story on a host in memory and on a disk.
macro_rules! on_both {
    (fn $name:ident($agent:ident) $story:block) => {
        #[test]
        fn $name() {
            fn story<F: crate::agent::hostfs::HostFs>($agent: &mut crate::agent::Agent<F>) $story
            story(&mut crate::agent::Agent::new(super::bench::memory()));
            let (_kept, disk) = super::bench::disk();
            story(&mut crate::agent::Agent::new(disk));
        }
    };
}
pub(super) use on_both;

/// A component's content, whole.
#[derive(Clone)]
pub struct Tree {
    pub component: Component,
    pub manifest: Manifest,
    pub files: BTreeMap<Digest, Vec<u8>>,
}

/// A tree of a version: files that all have, one that only it has, an executable, an empty file and a link.
pub fn tree(version: &str) -> Tree {
    let own = format!("<?php // {version}");
    let files = [
        ("index.php", "<?php shared", false),
        ("includes/deep/er/Setup.php", own.as_str(), false),
        ("includes/copy.php", own.as_str(), false),
        ("bin/run", "#!/bin/sh\n", true),
        ("empty", "", false),
        ("i18n/en.json", "{\"a\": \"b\"}", false),
    ];
    component(&format!("php-{version}"), &files)
}

/// A tree of these files, with a link `link` to `includes` when there is such a directory.
pub fn component(name: &str, files: &[(&str, &str, bool)]) -> Tree {
    let entry = |(path, content, exec): &(&str, &str, bool)| Entry {
        path: path.parse().expect("a path"),
        kind: EntryKind::File { exec: *exec, size: content.len() as u64, digest: Digest::of(content.as_bytes()) },
    };
    let mut entries: Vec<Entry> = files.iter().map(entry).collect();
    if files.iter().any(|(path, ..)| path.starts_with("includes/")) {
        let kind = EntryKind::Symlink { target: "../includes".to_owned() };
        entries.push(Entry { path: "i18n/link".parse().expect("a path"), kind });
    }
    let content = |(_, content, _): &(&str, &str, bool)| (Digest::of(content.as_bytes()), content.as_bytes().to_vec());
    Tree {
        component: name.parse().expect("a component"),
        manifest: Manifest::new(entries).expect("consistent"),
        files: files.iter().map(content).collect(),
    }
}

impl Tree {
    /// It, without artefacts.
    pub fn want(&self) -> Want {
        Want { component: self.component.clone(), id: self.manifest.id(), artefacts: Vec::new() }
    }

    /// It, with the localisation that [`build`] makes.
    pub fn want_built(&self) -> Want {
        let rule = ArtefactRule { path: "cache/l10n".to_owned(), files: 2, inputs: vec!["i18n".to_owned()] };
        Want { artefacts: vec![rule], ..self.want() }
    }
}

/// A build step that makes two files.
pub fn build() -> Vec<String> {
    let script =
        "mkdir -p cache/l10n && for l in en de; do echo \"$l of $POINTSMAN_VERSION\" > cache/l10n/$l.cdb; done";
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// A hook that fails.
pub fn failing() -> Vec<String> {
    ["sh", "-c", "echo no memory left >&2; exit 3"].map(str::to_owned).to_vec()
}

/// A map with all wikis on one version.
pub fn map(version: &str) -> VersionMap {
    let wikis = ["aawiki", "enwiki", "zhwiki"];
    VersionMap(wikis.map(|w| (w.parse().expect("a wiki"), version.parse().expect("a version"))).into())
}

/// A host in memory whose hooks do what those of [`build`] and [`failing`] do on a disk.
pub fn memory() -> MemFs {
    let mut fs = MemFs::new(7);
    fs.hook = Some(Hook(Arc::new(|fs, program| {
        let ended = |success, how: &str, output: &str| Ended { success, how: how.into(), output: output.into() };
        if program.argv == build() {
            for name in ["en", "de"] {
                let text = format!("{name} of {:?}", program.env["POINTSMAN_VERSION"]);
                fs.put(&program.directory.join(&format!("cache/l10n/{name}.cdb")), text.as_bytes())?;
            }
            return Ok(ended(true, "exit code 0", ""));
        }
        Ok(ended(false, "exit code 3", "no memory left\n"))
    })));
    fs
}

/// A host on a disk, in memory where there is such a disk, since these tests sync often.
pub fn disk() -> (TempDir, DiskFs) {
    let directory = match Path::new("/dev/shm").is_dir() {
        true => TempDir::new_in("/dev/shm"),
        false => TempDir::new(),
    };
    let directory = directory.expect("a temporary directory");
    let fs = disk_in(directory.path());
    reboot_disk(directory.path(), "one");
    (directory, fs)
}

/// The host in this directory.
pub fn disk_in(directory: &Path) -> DiskFs {
    let fs = DiskFs::new(&directory.join("srv/mediawiki"), &directory.join("var/pointsman"));
    fs.with_boot_id_file(&directory.join("boot_id"))
}

/// Gives the host in this directory another boot id.
pub fn reboot_disk(directory: &Path, boot: &str) {
    std::fs::write(directory.join("boot_id"), boot).expect("it can be written");
}

/// A controller: counts generations and remembers what it observed.
#[derive(Clone)]
pub struct Controller {
    pub books: BooksId,
    pub epoch: u64,
    pub seq: u64,
    pub expect: Option<Expect>,
    /// How old a proof may be that the host wrote down, ms.
    pub proof_age_ms_max: Option<u64>,
}

impl Controller {
    pub fn new(epoch: u64) -> Self {
        Self { books: BooksId(1), epoch, seq: 0, expect: None, proof_age_ms_max: None }
    }

    pub fn stamp(&mut self) -> Stamp {
        self.seq += 1;
        Stamp { books: self.books, generation: Generation { epoch: self.epoch, seq: self.seq } }
    }

    pub fn expect(&self) -> Expect {
        self.expect.expect("it was observed before")
    }

    pub fn observe<F: HostFs>(&mut self, agent: &mut Agent<F>, prove: &[Want]) -> Result<Observation, Refusal> {
        let command = Command::Observe { stamp: self.stamp(), adopt: false, peek: look(prove, Level::L1) };
        match agent.command(&command) {
            Reply::Observed(seen) => {
                let incarnation = seen.incarnation.expect("an observe makes it");
                self.expect = Some(Expect { incarnation, active: seen.active });
                Ok(*seen)
            }
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub fn begin<F: HostFs>(&mut self, agent: &mut Agent<F>, tree: &Tree, want: Want) -> Result<Transfer, Refusal> {
        let (stamp, expect) = (self.stamp(), self.expect());
        agent.prepare_begin(stamp, &expect, want, tree.manifest.clone(), &Signing::default())
    }

    /// Brings a tree there; the digests that the host lacked come along.
    pub fn prepare<F: HostFs>(
        &mut self,
        agent: &mut Agent<F>,
        tree: &Tree,
        want: Want,
        build: &[String],
    ) -> Result<(Readiness, usize), Refusal> {
        let mut transfer = self.begin(agent, tree, want)?;
        let needs = transfer.needs().to_vec();
        for digest in &needs {
            agent.prepare_put(&mut transfer, *digest, &mut tree.files[digest].as_slice())?;
        }
        match agent.prepare_finish(transfer, build) {
            Reply::Prepared { readiness } => Ok((readiness, needs.len())),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub fn switch<F: HostFs>(
        &mut self,
        agent: &mut Agent<F>,
        map: &VersionMap,
        needs: &[Want],
    ) -> Result<Option<String>, Refusal> {
        let command = Command::Switch {
            stamp: self.stamp(),
            expect: self.expect(),
            map: map.clone(),
            direction: Direction::Forward,
            needs: needs.to_vec(),
            restart: Vec::new(),
            proof_age_ms_max: self.proof_age_ms_max,
        };
        match agent.command(&command) {
            Reply::Switched { restart_failed, .. } => {
                self.expect = Some(Expect { active: Some(map.digest()), ..self.expect() });
                Ok(restart_failed)
            }
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub fn confirm<F: HostFs>(&mut self, agent: &mut Agent<F>) -> Result<(), Refusal> {
        self.confirm_with(agent, self.note(), None).map(|collected| assert_eq!(collected, None))
    }

    /// Confirms, and removes all versions but those that are needed.
    pub fn collect<F: HostFs>(&mut self, agent: &mut Agent<F>, keep: &[&str]) -> Result<Collected, Refusal> {
        let keep = keep.iter().map(|version| version.parse().expect("a version")).collect();
        Ok(self.confirm_with(agent, self.note(), Some(keep))?.expect("it was asked to"))
    }

    fn confirm_with<F: HostFs>(
        &mut self,
        agent: &mut Agent<F>,
        note: ConfirmNote,
        keep: Option<BTreeSet<Version>>,
    ) -> Result<Option<Collected>, Refusal> {
        match agent.command(&Command::Confirm { stamp: self.stamp(), expect: self.expect(), note, keep }) {
            Reply::Confirmed => Ok(None),
            Reply::Collected(collected) => Ok(Some(collected)),
            Reply::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn note(&self) -> ConfirmNote {
        let (snapshot, rollout) = (SnapshotId(self.seq), RolloutId(1));
        ConfirmNote { pins: Pins::default(), wanted: BTreeMap::new(), snapshot, rollout }
    }
}

/// A peek for these wants, confirmed maps included.
pub fn look(prove: &[Want], level: Level) -> Peek {
    Peek { confirmed: true, ..Peek::new(prove.to_vec(), level, 1) }
}

/// How one component stands.
pub fn readiness<F: HostFs>(agent: &Agent<F>, want: &Want, level: Level) -> Readiness {
    let mut seen = agent.peek(&look(std::slice::from_ref(want), level)).expect("a peek is answered");
    seen.readiness.remove(0).1
}

/// The served map's file and the other one agree, or there is neither.
pub fn assert_map_files<F: HostFs>(fs: &F, served: Option<&VersionMap>) {
    let read = |name: &str| fs.read(&Place::root(name), 1 << 20).ok();
    assert_eq!(read("wikiversions.php"), served.map(VersionMap::to_php));
    assert_eq!(read("wikiversions.json"), served.map(VersionMap::to_json));
}
