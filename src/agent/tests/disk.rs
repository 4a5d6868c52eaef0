//! What only a disk has: links that somebody swaps in, pipes, modes, environments, processes that do not end.

use super::bench::{Controller, build, component, disk, disk_in, readiness, tree};
use crate::agent::Agent;
use crate::agent::diskbase::Directory;
use crate::agent::hostfs::{EnvValue, HostFs, Kind, Place, Program};
use crate::model::protocol::{Level, Readiness, Refusal};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

pub(super) fn make_pipe(at: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("a pipe");
}

fn program(argv: &[&str], ms_max: u64) -> Program {
    let env = BTreeMap::from([
        ("POINTSMAN_VERSION", EnvValue::Text("1.27.0".to_owned())),
        ("POINTSMAN_ROOT", EnvValue::Path(Place::root(""))),
    ]);
    Program { argv: argv.iter().map(|a| (*a).to_owned()).collect(), directory: Place::root(""), env, ms_max }
}

#[test]
fn s05_no_link_leads_out_of_the_roots() {
    let (kept, mut host) = disk();
    host.lock().expect("made");
    let root = kept.path().join("srv/mediawiki");
    let outside = kept.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("secret"), "s").expect("written");
    symlink(&outside, root.join("out")).expect("made");
    symlink(outside.join("secret"), root.join("file")).expect("made");
    symlink("out", root.join("inner")).expect("made");
    for path in ["out/secret", "file", "../outside/secret", "inner/secret", "/etc/passwd", "srv/../../outside/secret"] {
        let at = Place::root(path);
        assert!(host.read(&at, 100).is_err(), "read {path}");
        assert!(host.hash(&at).is_err(), "hash {path}");
    }
    for path in ["out/new", "../outside/new", "inner/new", "/new", "out/new/deep", "..", "."] {
        let at = Place::root(path);
        assert!(host.write(&at, b"x").is_err(), "write {path}");
        assert!(host.make_dir(&at.join("d")).is_err(), "make_dir {path}");
        assert!(host.symlink("x", &at).is_err(), "symlink {path}");
        assert!(host.rename(&Place::root("file"), &at).is_err(), "rename {path}");
    }
    host.remove_tree(&Place::root("out")).expect("the link itself");
    host.write(&Place::root("file"), b"new").expect("instead of the link");
    assert_eq!(fs::read_to_string(outside.join("secret")).expect("untouched"), "s");
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 1);
}

/// A pipe is opened neither for its bytes nor as a directory: that would wait until somebody writes.
#[test]
fn s05_a_pipe_in_the_place_of_a_file_or_a_directory_does_not_hang() {
    let (kept, mut host) = disk();
    host.lock().expect("made");
    make_pipe(&kept.path().join("srv/mediawiki/pipe"));
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (pipe, below) = (Place::root("pipe"), Place::root("pipe/a"));
        let read = host.read(&pipe, 100).expect_err("it is no file").to_string();
        let hashed = host.hash(&pipe).is_err();
        let listed = [host.list(&pipe).err(), host.lstat_all(&pipe, &["a"]).err(), host.make_dir(&pipe).err()];
        let below = [host.read(&below, 100).err(), host.write(&below, b"x").err(), host.make_dir(&below).err()];
        send.send((read, hashed, [listed, below].map(|errors| errors.map(|error| error.map(|error| error.kind())))))
    });
    let (read, hashed, below) = receive.recv_timeout(Duration::from_secs(60)).expect("it hangs");
    assert!(read.contains("is not a regular file") && hashed, "{read}");
    assert_eq!(below, [[Some(ErrorKind::NotADirectory); 3]; 2]);
}

/// What is started on a host, a hook or a plugin, gets none of the agent's files.
#[test]
fn s05_a_root_is_a_directory_and_closed_for_programs() {
    let (kept, mut host) = disk();
    host.lock().expect("made");
    let root = kept.path().join("srv/mediawiki");
    let directory = Directory::new(&root);
    let handle = directory.open().expect("it is there");
    assert!(rustix::io::fcntl_getfd(handle).expect("it is open").contains(rustix::io::FdFlags::CLOEXEC));
    fs::write(root.join("file"), "").expect("written");
    let said = Directory::new(&root.join("file")).open().expect_err("it is a file");
    assert_eq!(said.kind(), ErrorKind::NotADirectory);
}

#[test]
fn s05_a_hard_link_is_replaced_and_not_written_through() {
    let (kept, mut host) = disk();
    host.lock().expect("made");
    let outside = kept.path().join("precious");
    fs::write(&outside, "p").expect("written");
    fs::hard_link(&outside, kept.path().join("srv/mediawiki/a")).expect("linked");
    host.write(&Place::root("a"), b"new").expect("written");
    assert_eq!(fs::read_to_string(&outside).expect("untouched"), "p");
}

#[test]
fn s05_a_directory_that_became_a_link_during_a_transfer_stops_it() {
    let (kept, host) = disk();
    let tree = tree("1.27.0-wmf.10");
    let mut agent = Agent::new(host);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    let mut transfer = controller.begin(&mut agent, &tree, tree.want()).expect("begun");
    let staging = kept.path().join("srv/mediawiki/.pointsman-staging/php-1.27.0-wmf.10@1.2");
    let outside = kept.path().join("outside");
    fs::create_dir(&outside).expect("made");
    for directory in ["includes/deep/er", "includes/deep", "includes", "i18n", "bin"] {
        fs::remove_dir_all(staging.join(directory)).expect("there");
    }
    for directory in ["includes", "i18n", "bin"] {
        symlink(&outside, staging.join(directory)).expect("swapped");
    }
    let mut refused = 0;
    for digest in transfer.needs().to_vec() {
        refused += usize::from(agent.prepare_put(&mut transfer, digest, &mut tree.files[&digest].as_slice()).is_err());
    }
    assert_eq!((refused, fs::read_dir(&outside).expect("there").count()), (3, 0));
}

#[test]
fn s05_strange_things_in_a_tree_are_counted_and_do_not_hang() {
    let (kept, host) = disk();
    let tree = tree("1.27.0-wmf.10");
    let mut agent = Agent::new(host);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("prepared");
    let top = kept.path().join("srv/mediawiki/php-1.27.0-wmf.10");
    fs::remove_file(top.join("index.php")).expect("removed");
    make_pipe(&top.join("index.php"));
    fs::set_permissions(top.join("bin/run"), fs::Permissions::from_mode(0o4755)).expect("set");
    fs::write(top.join(std::ffi::OsString::from(String::from("odd"))), "x").expect("written");
    use std::os::unix::ffi::OsStrExt;
    fs::write(top.join(std::ffi::OsStr::from_bytes(b"\xff")), "x").expect("written");
    for level in [Level::L1, Level::L3] {
        let damaged = readiness(&agent, &tree.want(), level);
        let first = "bin/run".to_owned();
        assert_eq!(damaged, Readiness::Damaged { missing: 0, changed: 2, extra: 2, first });
    }
    controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("repaired");
    assert!(readiness(&agent, &tree.want(), Level::L3).is_ready());
    assert_eq!(fs::read_dir(kept.path().join("srv/mediawiki/.pointsman-staging")).expect("there").count(), 0);
}

#[test]
fn a_component_that_is_a_link_is_unproven_and_replaced_as_such() {
    let (kept, host) = disk();
    let tree = component("conf", &[("a", "1", false)]);
    let mut agent = Agent::new(host);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    let outside = kept.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("a"), "1").expect("written");
    symlink(&outside, kept.path().join("srv/mediawiki/conf")).expect("made");
    assert_eq!(readiness(&agent, &tree.want(), Level::L1), Readiness::Unproven { artefacts: vec![] });
    controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("prepared");
    assert!(readiness(&agent, &tree.want(), Level::L3).is_ready());
    assert_eq!(fs::read_to_string(outside.join("a")).expect("untouched"), "1");
}

#[test]
fn modes_are_ours_whatever_the_umask() {
    let (kept, host) = disk();
    let tree = tree("1.27.0-wmf.10");
    let mut agent = Agent::new(host);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    controller.prepare(&mut agent, &tree, tree.want_built(), &build()).expect("prepared");
    let (root, state) = (kept.path().join("srv/mediawiki"), kept.path().join("var/pointsman"));
    let top = root.join("php-1.27.0-wmf.10");
    assert_eq!((mode(&top), mode(&top.join("includes/deep"))), (0o755, 0o755));
    assert_eq!((mode(&top.join("index.php")), mode(&top.join("bin/run"))), (0o644, 0o755));
    assert_eq!((mode(&state), mode(&state.join("ready")), mode(&state.join("fence"))), (0o700, 0o700, 0o600));
}

#[test]
fn s06_a_state_directory_that_others_can_enter_is_refused() {
    let (kept, host) = disk();
    fs::create_dir_all(kept.path().join("var/pointsman")).expect("made");
    fs::set_permissions(kept.path().join("var/pointsman"), fs::Permissions::from_mode(0o755)).expect("set");
    let refused = Controller::new(1).observe(&mut Agent::new(host), &[]);
    assert!(matches!(refused, Err(Refusal::Failed(why)) if why.contains("mode 0700")));
}

#[test]
fn the_owners_list_of_signers_is_where_it_is_said_to_be() {
    let (kept, host) = disk();
    let list = kept.path().join("allowed_signers");
    let host = host.with_signers(&list);
    assert_eq!(host.signers(), Ok(None));
    fs::write(&list, "").expect("written");
    fs::set_permissions(&list, fs::Permissions::from_mode(0o644)).expect("set");
    assert_eq!(host.signers(), Ok(Some(list)));
}

#[test]
fn s11_a_hook_sees_a_path_and_our_variables_and_nothing_else() {
    let (kept, mut host) = disk();
    host.lock().expect("made");
    let ended = host.run(&program(&["env"], 60_000)).expect("it runs");
    let mut lines: Vec<&str> = ended.output.lines().filter(|line| !line.starts_with("PATH=")).collect();
    lines.sort_unstable();
    let root = format!("POINTSMAN_ROOT={}/", kept.path().join("srv/mediawiki").display());
    assert_eq!(lines, [root.as_str(), "POINTSMAN_VERSION=1.27.0"]);
    assert!(ended.success);
}

#[test]
fn a_hook_is_bounded_in_time_and_in_what_it_says() {
    let (_kept, mut host) = disk();
    host.lock().expect("made");
    let ended = host.run(&program(&["sh", "-c", "sleep 1000 & sleep 1000"], 20)).expect("it runs");
    assert_eq!((ended.success, ended.how.as_str()), (false, "killed after 0 s"));
    let ended = host.run(&program(&["sh", "-c", "yes | head -c 1000000; echo the end"], 60_000)).expect("it runs");
    assert!(ended.output.ends_with("the end\n") && ended.output.len() <= 16 << 10);
    let ended = host.run(&program(&["sh", "-c", "kill -9 $$"], 60_000)).expect("it runs");
    assert_eq!((ended.success, ended.how.as_str()), (false, "signal 9"));
    assert!(host.run(&program(&["there-is-no-such-program"], 60_000)).is_err());
}

#[test]
fn the_switch_lock_keeps_others_out_until_it_is_let_go() {
    let (kept, mut host) = disk();
    let lock = host.lock().expect("taken");
    let path = kept.path().join("var/pointsman/lock");
    let other = fs::File::open(&path).expect("there");
    assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));
    drop(lock);
    other.try_lock().expect("free");
}

#[test]
fn another_agent_process_finds_what_the_first_left() {
    let (kept, host) = disk();
    let tree = tree("1.27.0-wmf.10");
    let mut agent = Agent::new(host);
    let mut controller = Controller::new(1);
    controller.observe(&mut agent, &[]).expect("obeyed");
    controller.prepare(&mut agent, &tree, tree.want(), &[]).expect("prepared");
    let other = Agent::new(disk_in(kept.path()));
    assert_eq!(readiness(&other, &tree.want(), Level::L1), readiness(&agent, &tree.want(), Level::L1));
    let stat = other.fs.lstat(&Place::root("php-1.27.0-wmf.10")).expect("asked").expect("there");
    assert_eq!(stat.kind, Kind::Directory);
}
