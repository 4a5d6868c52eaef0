//! The server of a proxy: what it answers, to whom, and until when.

use super::bench::{Controller, disk, memory, tree};
use crate::agent::Agent;
use crate::agent::hostfs::{HostFs, Place};
use crate::agent::serve::{Shelf, refused};
use crate::model::digest::Digest;
use crate::model::limits::{SHELF_BYTES_MAX, SHELF_FREE_SHARE, SHELF_OBJECTS_MAX};
use crate::wire::serve::{Refused, Serve, Shelve, Shelved};
use crate::wire::sync_io::write_blob;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// An address that nobody listens at. A child that another test forks at this moment holds the listener until it runs its
/// program, so the first that refuses connections is taken.
fn free() -> SocketAddr {
    let pick = |_| TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    (0..1_000).map(pick).find(|at| TcpStream::connect(at).is_err()).expect("a port that is free")
}

/// Whether requests get no answer: refused, or let in by what a forked child still holds, and closed without a word.
fn is_silent(at: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(at) else { return true };
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
    let mut answer = Vec::new();
    let _ = write!(stream, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let _ = stream.read_to_end(&mut answer);
    !answer.starts_with(b"HTTP/")
}

/// The status and the body of an answer.
fn said(at: SocketAddr, method: &str, path: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(at).expect("it listens");
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    (head[9..12].parse().expect("a status"), answer[end..].to_vec())
}

#[test]
fn files_of_what_is_ready_are_served_to_who_knows_the_token_while_the_session_lasts() {
    let (_directory, fs) = disk();
    let mut agent = Agent::new(fs);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("it is new");
    let (ready, other) = (tree("1.27.0-wmf.9"), tree("1.27.0-wmf.10"));
    controller.prepare(&mut agent, &ready, ready.want(), &[]).expect("it is proven");
    let mut transfer = controller.begin(&mut agent, &other, other.want()).expect("it begins");
    let own = Digest::of(b"<?php // 1.27.0-wmf.10");
    agent.prepare_put(&mut transfer, own, &mut other.files[&own].as_slice()).expect("it is put");

    let listen = free();
    let order = |tree: &super::bench::Tree| Serve {
        listen,
        token: TOKEN.to_owned(),
        component: tree.component.clone(),
        id: tree.manifest.id(),
    };
    let mut shelf = Shelf::default();
    assert_eq!(shelf.serve(&agent.fs, &order(&other)), Err(Refused::Nothing), "it is not ready");
    let wrong = Serve { id: other.manifest.id(), ..order(&ready) };
    assert_eq!(shelf.serve(&agent.fs, &wrong), Err(Refused::Nothing), "it is ready with another id");
    let short = Serve { token: "abc".to_owned(), ..order(&ready) };
    assert_eq!(shelf.serve(&agent.fs, &short), Err(Refused::Order));
    assert!(is_silent(listen), "nobody listens yet");

    assert_eq!(shelf.serve(&agent.fs, &order(&ready)), Ok(()));
    for (digest, bytes) in &ready.files {
        assert_eq!(said(listen, "GET", &format!("/{TOKEN}/{digest}")), (200, bytes.clone()), "{digest}");
    }
    let known = ready.files.keys().next().expect("there are files");
    let wrong_token = TOKEN.replace('f', "e");
    for (method, path) in [
        ("GET", format!("/{wrong_token}/{known}")),
        ("GET", format!("//{known}")),
        ("GET", format!("/{TOKEN}/{known}/")),
        ("GET", format!("/{TOKEN}/")),
        ("GET", format!("/{TOKEN}/../../etc/passwd")),
        ("GET", format!("/{TOKEN}/{}", Digest::of(b"unknown"))),
        ("GET", format!("/{TOKEN}/{own}")),
        ("PUT", format!("/{TOKEN}/{known}")),
        ("POST", format!("/{TOKEN}/{known}")),
        ("HEAD", format!("/{TOKEN}/{known}")),
    ] {
        assert_eq!(said(listen, method, &path), (404, Vec::new()), "{method} {path}");
    }
    let moved = Serve { listen: free(), ..order(&ready) };
    assert_eq!(shelf.serve(&agent.fs, &moved), Err(Refused::Order), "one session, one address");
    assert!(!is_silent(listen), "strangers are answered, with 404");
    let mut another = Shelf::default();
    assert_eq!(another.serve(&agent.fs, &order(&ready)), Err(Refused::InUse));
    let mut open = TcpStream::connect(listen).expect("it listens");
    drop(shelf);
    assert!(is_silent(listen), "it ended with the session");
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)), "and so did connections");
}

/// An order for these objects, and their blobs.
fn shelved(listen: SocketAddr, objects: &[(&[u8], &[u8])]) -> (Shelve, Vec<u8>) {
    let mut blobs = Vec::new();
    objects.iter().for_each(|(_, sent)| _ = write_blob(&mut blobs, &mut &**sent).expect("memory takes it"));
    let item = |(said, _): &(&[u8], &[u8])| Shelved { digest: Digest::of(said), bytes: said.len() as u64 };
    (Shelve { listen, token: TOKEN.to_owned(), objects: objects.iter().map(item).collect() }, blobs)
}

#[test]
fn what_is_put_on_the_shelf_is_served_by_its_digest_only_and_leaves_nothing_behind() {
    let (_directory, fs) = disk();
    let mut agent = Agent::new(fs);
    Controller::new(1).observe(&mut agent, &[]).expect("it is new");
    let listed = |agent: &Agent<_>| HostFs::list(&agent.fs, &Place::root("")).expect("there").len();
    let before = listed(&agent);
    let (listen, mut shelf) = (free(), Shelf::default());
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let put = |shelf: &mut Shelf, objects: &[(&[u8], &[u8])]| {
        let (order, blobs) = shelved(listen, objects);
        let mut from = blobs.as_slice();
        let put = shelf.shelve(&agent.fs, &order, &mut from).expect("it is in step");
        assert!(from.is_empty(), "every blob is read to its end");
        put
    };
    let get = |bytes: &[u8]| said(listen, "GET", &format!("/{TOKEN}/{}", Digest::of(bytes)));
    assert_eq!(put(&mut shelf, &[(b"one", b"one"), (&large, &large)]), Ok(()));
    assert_eq!((get(b"one"), get(&large)), ((200, b"one".to_vec()), (200, large.clone())));
    for spoilt in [&b"twO"[..], b"tw", b""] {
        let objects = [(&b"two"[..], spoilt), (b"three", b"three")];
        assert_eq!(put(&mut shelf, &objects), Err(Refused::Spoilt));
        assert_eq!((get(b"two").0, get(b"three").0), (404, 404), "what follows is read and forgotten");
    }
    assert_eq!(put(&mut shelf, &[(b"two", b"two"), (b"", b"")]), Ok(()));
    assert_eq!((get(b"two"), get(b"")), ((200, b"two".to_vec()), (200, Vec::new())));
    assert_eq!(get(&large), (200, large), "what was there before is not written over");
    assert_eq!(listed(&agent), before, "no name is on the disk");
    drop(shelf);
    assert!(is_silent(listen), "it ended with the session");
}

#[test]
fn a_shelf_has_an_end() {
    let (_directory, fs) = disk();
    let mut agent = Agent::new(fs);
    Controller::new(1).observe(&mut agent, &[]).expect("it is new");
    let (mut order, blobs) = shelved(free(), &[(b"one", b"one")]);
    order.objects[0].bytes = SHELF_BYTES_MAX + 1;
    let mut shelf = Shelf::default();
    let refused = shelf.shelve(&agent.fs, &order, &mut blobs.as_slice()).expect("it is in step");
    assert_eq!(refused, Err(Refused::Full));
    order.objects[0].bytes = 3;
    let cut = shelf.shelve(&agent.fs, &order, &mut &blobs[..blobs.len() - 6]);
    assert!(cut.is_err(), "the stream ended half-way");
    order.token = "abc".to_owned();
    let refused = Shelf::default().shelve(&agent.fs, &order, &mut blobs.as_slice()).expect("it is in step");
    assert_eq!(refused, Err(Refused::Order));
}

#[test]
fn why_nothing_was_kept_is_named() {
    use std::io::ErrorKind;
    let of = |kind: ErrorKind| refused(&kind.into());
    assert_eq!(of(ErrorKind::InvalidData), Refused::Spoilt);
    assert_eq!(of(ErrorKind::StorageFull), Refused::Full);
    assert_eq!(of(ErrorKind::PermissionDenied), Refused::System);
}

/// What is put on the shelf of a host in memory, which has room for it but no server, in so many objects of so many bytes.
fn put(room: Option<u64>, objects: usize, bytes: u64) -> Refused {
    let mut agent = Agent::new(memory());
    agent.fs.capacity_bytes = room;
    let (mut order, blobs) = shelved(free(), &vec![(&b""[..], &b""[..]); objects]);
    order.objects.iter_mut().for_each(|object| object.bytes = bytes);
    let put = Shelf::default().shelve(&agent.fs, &order, &mut blobs.as_slice()).expect("it is in step");
    put.expect_err("nothing is served there")
}

#[test]
fn a_shelf_takes_what_it_may_to_the_last_byte_and_object() {
    let free = 1000;
    let fits = [(None, 1, SHELF_BYTES_MAX), (None, SHELF_OBJECTS_MAX, 0), (Some(free), 1, free / SHELF_FREE_SHARE)];
    for (free, objects, bytes) in fits {
        assert_eq!(put(free, objects, bytes), Refused::System, "{objects} of {bytes}");
        let more = if objects == 1 { (1, bytes + 1) } else { (objects + 1, bytes) };
        assert_eq!(put(free, more.0, more.1), Refused::Full, "{more:?}");
        let far_more = if objects == 1 { (1, bytes + 9) } else { (objects + 9, bytes) };
        assert_eq!(put(free, far_more.0, far_more.1), Refused::Full, "{far_more:?}");
    }
}

#[test]
fn a_host_in_memory_serves_nothing() {
    let mut agent = Agent::new(memory());
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("it is new");
    let tree = tree("1.27.0-wmf.9");
    controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("it is proven");
    let order = Serve { listen: free(), token: TOKEN.to_owned(), component: tree.component, id: tree.manifest.id() };
    assert_eq!(Shelf::default().serve(&agent.fs, &order), Err(Refused::System));
}
