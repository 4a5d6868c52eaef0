//! Files that go to a host: asked for, sent, proven.

use crate::harness::{LONG, TestFleet, run_async};
use crate::sshd::Broken;
use pointsman::fleet::Install;
use pointsman::fleet::exchange::ContentSource;
use pointsman::fleet::session::Session;
use pointsman::model::component::Want;
use pointsman::model::digest::Digest;
use pointsman::model::fault::Fault;
use pointsman::model::ids::{BooksId, Generation};
use pointsman::model::protocol::{Command, Expect, Peek, Readiness, Refusal, Reply, Stamp};
use pointsman::model::signed::Signing;
use pointsman::tree::manifest::{Entry, EntryKind, Manifest};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use tempfile::TempDir;

/// Names that a shell, a template or a terminal would make something of.
const NAMES: [&str; 12] = [
    "x;touch y",
    "$(touch pwned)",
    "`touch pwned`",
    "a b\tc",
    "-rf",
    "'\"\\",
    "{{ 7*7 }}",
    "%n%s",
    "*?[a]",
    "new\nline",
    "\u{1b}]52;c;x\u{7}",
    "ünïcode",
];

/// Those, and a hundred that have one mark each: at the beginning, before what looks like a command, and within one.
fn names() -> Vec<String> {
    let marks = "-;&|$`'\"\\<>(){}[]*?!#~%^=+:,@.\t\n\r\u{1}\u{1b}\u{7f}\u{202e} ".chars();
    let marked = marks.flat_map(|c| [format!("{c}x"), format!("x{c}touch y"), format!("$({c})")]);
    let names: Vec<String> = NAMES.map(str::to_owned).into_iter().chain(marked).collect();
    assert!(names.len() >= 100, "{}", names.len());
    names
}

/// A tree whose files have their own paths as content, and one large file.
struct Tree {
    dir: TempDir,
    manifest: Manifest,
    contents: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    fn new(large_bytes: usize) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut contents: BTreeMap<String, Vec<u8>> =
            names().into_iter().map(|name| (format!("includes/{name}"), name.into_bytes())).collect();
        contents.insert("empty".into(), Vec::new());
        contents.insert("large".into(), (0..large_bytes).map(|i| (i % 251) as u8).collect());
        let entry = |(path, bytes): (&String, &Vec<u8>)| {
            let digest = Digest::of(bytes);
            fs::write(dir.path().join(digest.to_string()), bytes).expect("the temporary directory takes it");
            let kind = EntryKind::File { exec: false, size: bytes.len() as u64, digest };
            Entry { path: path.parse().expect("a relative path"), kind }
        };
        let manifest = Manifest::new(contents.iter().map(entry).collect()).expect("its paths are legal");
        Self { dir, manifest, contents }
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        self.dir.path().join(digest.to_string())
    }
}

impl ContentSource for Tree {
    fn open(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.file(digest))
    }
}

fn stamp(seq: u64) -> Stamp {
    Stamp { books: BooksId(7), generation: Generation { epoch: 1, seq } }
}

/// Observes and then brings `tree` to the host as a version; also the bytes of files that went there.
async fn bring(session: &mut Session, tree: &Tree, seq: u64) -> (Result<Reply, Fault>, u64) {
    let peek = Peek::at_state();
    let observed = session.command(&Command::Observe { stamp: stamp(seq), adopt: false, peek }, LONG).await;
    let observation = match observed {
        Ok(Reply::Observed(observation)) => observation,
        other => return (other, 0),
    };
    let incarnation = observation.incarnation.expect("observing makes one");
    let component = "php-1.27.0-wmf.11".parse().expect("a component");
    let prepare = Command::Prepare {
        stamp: stamp(seq + 1),
        expect: Expect { incarnation, active: observation.active },
        want: Want { component, id: tree.manifest.id(), artefacts: vec![] },
        build: vec![],
        signing: Signing::default(),
    };
    let mut sent = 0;
    let mut progress = |bytes| sent += bytes;
    let reply = session.prepare(&prepare, &tree.manifest.to_bytes(), tree, LONG, &mut progress).await;
    (reply, sent)
}

#[test]
fn s03_any_name_arrives_byte_for_byte_and_a_second_time_nothing_goes() {
    let fleet = TestFleet::ssh(1);
    let tree = Tree::new(3_000_000);
    let opened = fleet.open();
    run_async(async {
        let mut session = opened.session(&fleet.name(0), Install::IfMissing).await.expect("it connects");
        let (reply, sent) = bring(&mut session, &tree, 1).await;
        let Ok(Reply::Prepared { readiness: Readiness::Ready { files, bytes, .. } }) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!((files, bytes), (tree.manifest.files(), tree.manifest.bytes()));
        assert_eq!((sent, session.round_trips()), (bytes, 3), "observe, what is lacking, files");
        let (reply, sent) = bring(&mut session, &tree, 3).await;
        assert!(matches!(reply, Ok(Reply::Prepared { .. })), "{reply:?}");
        assert_eq!((sent, session.round_trips()), (0, 5), "observe, prepare");
        session.close(LONG).await;
    });
    for (path, bytes) in &tree.contents {
        let there = fleet.file_of(0, &format!("mediawiki/php-1.27.0-wmf.11/{path}"));
        assert!(there.as_ref() == Some(bytes), "{path:?}");
    }
    assert_eq!(fleet.sessions(0), 3, "look, upload, and one agent for everything");
}

#[test]
fn content_that_is_gone_here_is_our_fault_and_the_session_goes_on() {
    let fleet = TestFleet::ssh(1);
    let tree = Tree::new(1000);
    let large = Digest::of(&tree.contents["large"]);
    let bytes = fs::read(tree.file(&large)).expect("it was written");
    fs::remove_file(tree.file(&large)).expect("it is ours");
    let opened = fleet.open();
    run_async(async {
        let mut session = opened.session(&fleet.name(0), Install::IfMissing).await.expect("it connects");
        let (reply, _) = bring(&mut session, &tree, 1).await;
        let fault = reply.expect_err("the file is gone").to_string();
        assert!(fault.starts_with(&format!("here: content {} cannot be read", large.short())), "{fault}");
        fs::write(tree.file(&large), &bytes).expect("it is ours");
        let (reply, _) = bring(&mut session, &tree, 3).await;
        assert!(matches!(reply, Ok(Reply::Prepared { .. })), "{reply:?}");
        session.close(LONG).await;
    });
}

#[test]
fn a_root_without_room_or_read_only_is_named() {
    let fleet = TestFleet::broken(&[Some(Broken::RootFull), Some(Broken::RootReadOnly)]);
    let tree = Tree::new(3_000_000);
    let opened = fleet.open();
    run_async(async {
        let mut replies = Vec::new();
        for i in 0..2 {
            let mut session = opened.session(&fleet.name(i), Install::IfMissing).await.expect("it connects");
            replies.push(bring(&mut session, &tree, 1).await.0);
            session.close(LONG).await;
        }
        assert!(matches!(replies[0], Ok(Reply::Refused(Refusal::DiskFull(_)))), "{:?}", replies[0]);
        assert!(matches!(replies[1], Ok(Reply::Refused(Refusal::ReadOnly))), "{:?}", replies[1]);
    });
}
