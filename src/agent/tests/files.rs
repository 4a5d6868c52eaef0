//! Single files of a disk: how much of one is read, what is seen of it, and streams that come in pieces or break off.

use super::bench::disk;
use super::disk::make_pipe;
use crate::agent::diskbase::Directory;
use crate::agent::diskfs::{hash_all, inodes_free, pour};
use crate::agent::disktree::stat_of;
use crate::agent::hostfs::{HostFs, Kind, Place};
use crate::model::digest::Digest;
use crate::model::limits::PROOF_NICE;
use crate::wire::pieces::{Pieces, pieces};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

#[test]
fn a_stream_has_exactly_as_many_bytes_as_announced() {
    let poured = |size| {
        let mut to = Vec::new();
        let digest = pour(&mut pieces([Ok(b"ab"), Err(ErrorKind::Interrupted), Ok(b"cde")]), &mut to, size);
        digest.map(|digest| (digest, to)).map_err(|error| error.to_string())
    };
    assert_eq!(poured(5), Ok((Digest::of(b"abcde"), b"abcde".to_vec())), "an interrupted read is made again");
    assert_eq!(poured(6), Err("fewer bytes than announced".to_owned()));
    assert_eq!(poured(4), Err("more bytes than announced".to_owned()));
    let broken = pour(&mut pieces([Ok(b"ab"), Err(ErrorKind::ConnectionReset)]), io::sink(), 2).map_err(|e| e.kind());
    assert_eq!(broken, Err(ErrorKind::ConnectionReset));
    assert_eq!(pour(&mut pieces([]), io::sink(), 0).expect("nothing is all of it"), Digest::of(b""));
}

/// The size is what the file had when it was opened: it may have grown since.
#[test]
fn a_file_is_hashed_to_its_end_in_whatever_pieces_it_comes() {
    let abcde = (Digest::of(b"abcde"), 5);
    for size in [0, 2, 5, 9] {
        let mut from = pieces([Err(ErrorKind::Interrupted), Ok(b"ab"), Err(ErrorKind::Interrupted), Ok(b"cde")]);
        assert_eq!(hash_all(&mut from, size).expect("read"), if size == 2 { (Digest::of(b"ab"), 2) } else { abcde });
    }
    for at in [vec![], vec![Ok(&b"ab"[..])]] {
        let mut from = Pieces(at.into_iter().chain([Err(ErrorKind::PermissionDenied)]).collect());
        assert_eq!(hash_all(&mut from, 5).map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
    }
}

#[test]
fn a_file_is_read_whole_or_not_at_all() {
    let (_kept, mut host) = disk();
    host.lock().expect("made");
    let at = Place::root("five");
    host.write(&at, b"12345").expect("written");
    for bytes_max in [5, 6, 100] {
        assert_eq!(host.read(&at, bytes_max).expect("it fits"), b"12345");
    }
    for bytes_max in [0, 1, 4] {
        assert_eq!(host.read(&at, bytes_max).map_err(|error| error.kind()), Err(ErrorKind::FileTooLarge));
    }
}

#[test]
fn a_disk_that_counts_no_inodes_has_room_for_any_number() {
    assert_eq!((inodes_free(0, 0), inodes_free(5, 3), inodes_free(5, 0)), (u64::MAX, 3, 0));
}

#[test]
fn a_machine_is_what_the_system_says() {
    let (_kept, host) = disk();
    let text = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    assert_eq!(host.machine_id().expect("asked"), text.trim());
    let said = Command::new("uname").arg("-m").output().expect("uname runs").stdout;
    assert_eq!(host.arch(), String::from_utf8_lossy(&said).trim());
    // Of a container it may be less than of its machine; it is to 10 ms.
    let before = fs::read_to_string("/proc/uptime").expect("the kernel says it");
    let before: f64 = before.split_whitespace().next().and_then(|word| word.parse().ok()).expect("seconds");
    let found = host.uptime_ms();
    assert!(found as f64 >= before * 1000.0 - 10.0, "{found} {before}");
}

/// Whoever hashes in the background stands behind the web server; priorities are of each thread.
#[test]
fn who_stands_back_has_a_lower_priority() {
    let nice = std::thread::spawn(|| {
        disk().1.stand_back();
        rustix::process::getpriority_process(None).expect("asked")
    });
    assert!(nice.join().expect("it ends") >= PROOF_NICE);
}

#[test]
fn what_cannot_be_synced_is_an_error() {
    let (kept, mut host) = disk();
    host.lock().expect("made");
    assert_eq!(host.sync_dir(&Place::root("nothing")).map_err(|e| e.kind()), Err(ErrorKind::NotFound));
    let nothing = Directory::new(&kept.path().join("nothing/below"));
    assert_eq!(nothing.make_lasting().map_err(|e| e.kind()), Err(ErrorKind::NotFound));
    let (_kept, mut host) = disk();
    assert_eq!(host.sync_root().map_err(|e| e.kind()), Err(ErrorKind::NotFound), "it was not made");
}

#[test]
fn a_file_is_no_directory() {
    let (_kept, mut host) = disk();
    host.lock().expect("made");
    host.write(&Place::root("file"), b"").expect("written");
    assert_eq!(host.make_dir(&Place::root("file")).map_err(|e| e.kind()), Err(ErrorKind::NotADirectory));
    assert_eq!(host.sync_dir(&Place::root("file")).map_err(|e| e.kind()), Err(ErrorKind::NotADirectory));
}

#[test]
fn s06_a_state_directory_is_a_directory_of_ours() {
    let (kept, _host) = disk();
    let path = |name: &str| kept.path().join(name);
    fs::write(path("file"), "").expect("written");
    fs::set_permissions(path("file"), fs::Permissions::from_mode(0o600)).expect("set");
    fs::DirBuilder::new().mode(0o700).create(path("ours")).expect("made");
    symlink(path("ours"), path("link")).expect("made");
    for name in ["file", "link"] {
        let said = Directory::new(&path(name)).make_private().expect_err("it is none").to_string();
        assert!(said.contains("is not ours alone"), "{name}: {said}");
    }
    Directory::new(&path("ours")).make_private().expect("it is there");
    let said = Directory::new(Path::new("/sys/pointsman")).make_private().expect_err("nothing is made there");
    assert_ne!(said.kind(), ErrorKind::NotFound, "why it was not made is said: {said}");
    // Which only root can do, and not everywhere.
    if std::os::unix::fs::chown(path("ours"), Some(1), None).is_ok() {
        Directory::new(&path("ours")).make_private().expect_err("it is somebody else's");
    }
}

#[test]
fn what_may_run_as_its_owner_is_no_file_of_ours() {
    let (kept, _host) = disk();
    let at = kept.path().join("file");
    fs::write(&at, "12345").expect("written");
    let of_mode = |mode| {
        fs::set_permissions(&at, fs::Permissions::from_mode(mode)).expect("set");
        let stat = stat_of(&rustix::fs::lstat(&at).expect("there"));
        (stat.kind, stat.exec, stat.size)
    };
    assert_eq!(of_mode(0o644), (Kind::File, false, 5));
    assert_eq!(of_mode(0o755), (Kind::File, true, 5));
    assert_eq!(of_mode(0o4755).0, Kind::Other);
    assert_eq!(of_mode(0o2755).0, Kind::Other);
    assert_eq!(of_mode(0o1644).0, Kind::File);
    make_pipe(&kept.path().join("pipe"));
    assert_eq!(stat_of(&rustix::fs::lstat(kept.path().join("pipe")).expect("there")).kind, Kind::Other);
}

#[test]
fn a_place_says_where_it_is() {
    assert_eq!(Place::root("").to_string(), "the deploy root");
    assert_eq!(Place::state("a\nb").to_string(), "`a\\nb` in the state directory");
}

#[test]
fn s21_a_host_in_memory_believes_no_signature() {
    let said = super::bench::memory().verify(Path::new("/list"), "text", &Place::state("signature"));
    assert_eq!(said, Err("nothing can be verified here".to_owned()));
}
