//! Imports of real directories.

use super::*;
use expect_test::{Expect, expect};
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// A source directory and a store beside it.
struct Site {
    directory: tempfile::TempDir,
    store: ContentStore,
}

impl Site {
    /// Files as `path=content` words.
    fn new(files: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ContentStore::open(&directory.path().join("books")).expect("a store");
        let site = Self { directory, store };
        fs::create_dir(site.source()).expect("made");
        site.write(files);
        site
    }

    fn source(&self) -> PathBuf {
        self.directory.path().join("php-1.27.0-wmf.11")
    }

    fn books(&self) -> PathBuf {
        self.directory.path().join("books")
    }

    fn write(&self, files: &str) {
        for word in files.split_whitespace() {
            let (path, content) = word.split_once('=').expect("path=content");
            let path = self.source().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, content).expect("written");
        }
    }

    fn import(&self) -> Result<Manifest> {
        self.store.import(&self.source(), &["cache/l10n".to_owned()])
    }

    fn paths(&self, base: &Manifest, paths: &str) -> Result<Manifest> {
        let paths: Vec<RelPath> = paths.split_whitespace().map(path).collect();
        self.store.import_paths(base, &self.source(), &paths, &["cache/l10n".to_owned()])
    }

    /// The error with its causes, without this machine's directory.
    fn why(&self, result: Result<Manifest>) -> String {
        let error = result.expect_err("refused");
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text.replace(&*self.directory.path().to_string_lossy(), "DIR")
    }
}

fn path(text: &str) -> RelPath {
    text.parse().expect("a path")
}

/// `path=content` of every entry, read out of the store; `!` marks what may be executed.
fn stored(store: &ContentStore, manifest: &Manifest) -> String {
    let one = |entry: &Entry| match &entry.kind {
        EntryKind::Symlink { target } => format!("{}>{target}", entry.path),
        EntryKind::File { exec, size, digest } => {
            let mut content = String::new();
            store.open_file(*digest).expect("stored").read_to_string(&mut content).expect("read");
            assert_eq!(content.len() as u64, *size);
            format!("{}={}{content}", entry.path, if *exec { "!" } else { "" })
        }
    };
    manifest.entries().iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Every path below a directory with its mode and change time.
fn listing(directory: &Path) -> Vec<(PathBuf, u32, i64, i64)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        let found = fs::symlink_metadata(&path).expect("a stat");
        all.extend(if found.is_dir() { listing(&path) } else { Vec::new() });
        all.push((path, found.mode() & 0o7777, found.ctime(), found.ctime_nsec()));
    }
    all.sort();
    all
}

#[test]
fn a_tree_is_stored_whole_and_comes_back_by_its_id() {
    let site = Site::new("index.php=<?php a/b/c=x a/d=x cache/l10n/en.cdb=built cache/other=y");
    fs::set_permissions(site.source().join("a/d"), PermissionsExt::from_mode(0o755)).expect("chmod");
    symlink("b/c", site.source().join("a/link")).expect("linked");
    let manifest = site.import().expect("imported");
    expect!["a/b/c=x a/d=!x a/link>b/c cache/other=y index.php=<?php"].assert_eq(&stored(&site.store, &manifest));
    let again = ContentStore::open(&site.books()).expect("opened again");
    assert_eq!(again.manifest(manifest.id()).expect("read"), Some(manifest.clone()));
    assert_eq!(again.manifest(Digest::of(b"other")).expect("read"), None);
    assert_eq!(site.import().expect("imported again"), manifest);
    for (path, mode, ..) in listing(&site.books()) {
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_thousand_files_are_stored() {
    let site = Site::new("");
    let files: Vec<String> = (0..1000).map(|n| format!("d{}/f{n}={n}", n % 17)).collect();
    site.write(&files.join(" "));
    let manifest = site.import().expect("imported");
    assert_eq!(stored(&site.store, &manifest).split(' ').count(), 1000);
    for entry in manifest.entries() {
        let EntryKind::File { digest, .. } = entry.kind else { panic!("a file") };
        assert_eq!(digest, Digest::of(&entry.path.name().as_bytes()[1..]));
    }
}

#[test]
fn an_empty_or_missing_source_is_refused() {
    let site = Site::new("cache/l10n/en.cdb=built");
    expect!["there is no file in DIR/php-1.27.0-wmf.11"].assert_eq(&site.why(site.import()));
    fs::remove_dir_all(site.source()).expect("removed");
    expect!["there is no directory DIR/php-1.27.0-wmf.11"].assert_eq(&site.why(site.import()));
    symlink("/etc", site.source()).expect("linked");
    expect!["the source tree cannot be taken as it is: `DIR/php-1.27.0-wmf.11` cannot be read: Not a directory (os error 20)"].assert_eq(&site.why(site.import()));
}

#[test]
fn a_base_whose_files_are_not_here_is_refused() {
    let site = Site::new("a=1 b=1");
    let base = site.store.look(&site.source(), &[]).expect("looked");
    expect!["the store lacks the content of `b`; sync the whole component"]
        .assert_eq(&site.why(site.paths(&base, "a")));
    site.import().expect("imported");
    assert_eq!(site.paths(&base, "a").expect("imported"), base);
}

/// Makes one bad thing beside a good file.
fn refused(make: impl Fn(&Path), want: Expect) {
    let site = Site::new("good=1");
    make(&site.source());
    want.assert_eq(&site.why(site.import()));
    assert_eq!(listing(&site.books().join("content/manifests")), [], "nothing was kept");
}

#[test]
fn what_is_never_sent_is_refused_by_name() {
    let mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
    let fifo = |d: &Path| {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, d.join("pipe"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    };
    refused(
        fifo,
        expect!["the source tree cannot be taken as it is: `pipe` is a named pipe, which is never sent to a host"],
    );
    refused(
        |d| drop(std::os::unix::net::UnixListener::bind(d.join("s")).expect("bound")),
        expect!["the source tree cannot be taken as it is: `s` is a socket, which is never sent to a host"],
    );
    refused(
        |d| mode(&d.join("good"), 0o4755),
        expect![
            "the source tree cannot be taken as it is: `good` is a set-user-id file, which is never sent to a host"
        ],
    );
    refused(
        |d| mode(&d.join("good"), 0o2755),
        expect![
            "the source tree cannot be taken as it is: `good` is a set-group-id file, which is never sent to a host"
        ],
    );
    refused(
        |d| symlink("/etc/passwd", d.join("l")).expect("linked"),
        expect!["the source tree cannot be sent: the link `l` has a bad target: it is absolute"],
    );
    refused(
        |d| symlink("../x", d.join("l")).expect("linked"),
        expect!["the source tree cannot be sent: the link `l` has a bad target: it leaves the tree"],
    );
    refused(
        |d| symlink(OsStr::from_bytes(b"\xff"), d.join("l")).expect("linked"),
        expect!["the source tree cannot be taken as it is: \"l\" is not UTF-8, or points to what is not"],
    );
    refused(
        |d| fs::write(d.join(OsStr::from_bytes(b"\xff")), "").expect("written"),
        expect!["the source tree cannot be taken as it is: \"\\xFF\" is not UTF-8, or points to what is not"],
    );
    let deep = |d: &Path| fs::create_dir_all(d.join(["d"; 65].join("/"))).expect("made");
    refused(
        deep,
        expect![
            "the source tree cannot be taken as it is: `d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d`: it is too deep"
        ],
    );
}

#[test]
fn the_stat_index_spares_reading_and_never_trusts_what_is_young() {
    let site = Site::new("a=1 b=2");
    let manifest = site.import().expect("imported");
    let file = site.store.index_path(&site.source());
    let mut index = StatIndex::from_bytes(&fs::read(&file).expect("an index")).expect("well formed");
    assert_eq!(index.files.len(), 2);
    // A false digest in the index shows whether it was believed.
    let other = index.files[&path("b")].1;
    index.files.entry(path("a")).and_modify(|known| known.1 = other);
    index.taken_ns = i128::MAX;
    fs::write(&file, index.to_bytes()).expect("written");
    expect!["a=2 b=2"].assert_eq(&stored(&site.store, &site.store.look(&site.source(), &[]).expect("looked")));
    index.taken_ns = index.files[&path("a")].0.ctime_ns;
    fs::write(&file, index.to_bytes()).expect("written");
    assert_eq!(site.store.look(&site.source(), &[]).expect("looked"), manifest, "as old as the index: read again");
    fs::write(&file, "damaged").expect("written");
    assert_eq!(site.import().expect("imported"), manifest);
}

#[test]
fn looking_writes_nothing() {
    let site = Site::new("a=1");
    let manifest = site.store.look(&site.source(), &[]).expect("looked");
    assert!(!site.books().exists());
    assert_eq!(site.import().expect("imported"), manifest);
    let before = listing(&site.books());
    site.write("b=2");
    assert_ne!(site.store.look(&site.source(), &[]).expect("looked"), manifest);
    assert_eq!(listing(&site.books()), before);
}

#[test]
fn paths_are_taken_alone() {
    let site = Site::new("a=1 d/x=1 d/y=1 e=1");
    let base = site.import().expect("imported");
    site.write("a=2 d/x=2 d/new=2 e=2 cache/l10n/en.cdb=built");
    fs::remove_file(site.source().join("d/y")).expect("removed");
    let check = |paths: &str, want: Expect| {
        let taken = site.paths(&base, paths).expect("imported");
        want.assert_eq(&stored(&site.store, &taken));
        assert_eq!(site.store.manifest(taken.id()).expect("read"), Some(taken));
    };
    check("a", expect!["a=2 d/x=1 d/y=1 e=1"]);
    check("d/y", expect!["a=1 d/x=1 e=1"]);
    check("d e", expect!["a=1 d/new=2 d/x=2 e=2"]);
    check("d d/x", expect!["a=1 d/new=2 d/x=2 e=1"]);
    expect!["there is no `nothing/here`, neither in the source tree nor in the content so far"]
        .assert_eq(&site.why(site.paths(&base, "a nothing/here")));
    expect!["there is no `cache`, neither in the source tree nor in the content so far"]
        .assert_eq(&site.why(site.paths(&base, "cache")));
    fs::remove_dir_all(site.source().join("d")).expect("removed");
    site.write("d=file");
    check("d", expect!["a=1 d=file e=1"]);
    check("d/x", expect!["a=1 d/y=1 e=1"]);
    symlink("/etc", site.source().join("out")).expect("linked");
    expect!["there is no `out/passwd`, neither in the source tree nor in the content so far"]
        .assert_eq(&site.why(site.paths(&base, "out/passwd")));
}

#[test]
fn what_a_crash_left_is_swept_and_what_is_cut_off_is_stored_again() {
    let site = Site::new("a=whole");
    let manifest = site.import().expect("imported");
    let EntryKind::File { digest, .. } = manifest.entries()[0].kind else { panic!("a file") };
    let text = digest.to_string();
    let at = site.books().join("content/files").join(&text[..2]).join(&text[2..]);
    fs::write(&at, "who").expect("cut off");
    fs::write(site.store.staged_path(7), "left").expect("left");
    assert_eq!(site.import().expect("imported"), manifest);
    assert!(!site.store.staged_path(7).exists());
    expect!["a=whole"].assert_eq(&stored(&site.store, &manifest));
}

#[test]
fn a_damaged_manifest_is_noticed() {
    let site = Site::new("a=1");
    let (first, _) = (site.import().expect("imported"), site.write("a=2"));
    let second = site.import().expect("imported");
    let at = |m: &Manifest| site.books().join("content/manifests").join(m.id().to_string());
    fs::copy(at(&second), at(&first)).expect("copied");
    assert!(matches!(site.store.manifest(first.id()), Err(ContentError::Damaged(_))));
    fs::write(at(&second), "x").expect("written");
    assert!(matches!(site.store.manifest(second.id()), Err(ContentError::Damaged(_))));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let site = Site::new("a=1");
    let tree = open(&site.source()).expect("opened");
    let found = scan::walk(tree.as_fd(), &[]).expect("walked");
    site.write("a=22");
    let index = StatIndex::default();
    let reading = Reading { store: &site.store, tree: tree.as_fd(), index: &index, stage: false };
    let result = read_all(&reading, &found).map(|_| Manifest::default());
    expect!["`a` was changed while it was read; try again when nobody writes there"].assert_eq(&site.why(result));
}

#[test]
fn a_store_that_others_can_read_is_refused() {
    let site = Site::new("a=1");
    site.import().expect("imported");
    let content = site.books().join("content");
    fs::set_permissions(&content, PermissionsExt::from_mode(0o750)).expect("chmod");
    assert!(matches!(ContentStore::open(&site.books()), Err(ContentError::NotPrivate(_))));
    expect!["DIR/books/content must be yours alone; type `chmod 700 DIR/books/content`, or have its owner changed"]
        .assert_eq(&site.why(site.import()));
}
