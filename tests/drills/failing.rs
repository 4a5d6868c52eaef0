//! The kernel refuses a call, once or from then on: no false success, nothing torn, and one converge settles the rest.

use crate::amount::{Trial, try_points};
use crate::killed::{CONVERGE, PIN, PROMOTE, ROLLBACK, SYNC_COMMON, SYNC_FILE};
use crate::points::{self, Point};
use crate::stand::{Drill, Stand};
use crate::trace::{Call, Order};

/// How many calls are refused in a usual run.
const USUALLY: usize = 8;

/// The refusals that a call may meet; none for a call that neither writes nor opens.
fn errors(call: &Call) -> &'static [&'static str] {
    match call.name.as_str() {
        "write" | "writev" | "pwrite64" | "fsync" | "fdatasync" | "ftruncate" | "fallocate" | "copy_file_range"
        | "sendfile" | "mkdir" | "mkdirat" | "rename" | "renameat" | "renameat2" | "symlinkat" | "link" | "linkat" => {
            &["ENOSPC", "EIO"]
        }
        "open" | "openat" | "openat2" if call.rest.contains("O_CREAT") => &["EMFILE", "ENOSPC", "EIO"],
        "open" | "openat" | "openat2" => &["EMFILE", "EIO"],
        "pipe2" | "socketpair" | "fcntl" if is_opening(call) => &["EMFILE"],
        "unlink" | "unlinkat" | "rmdir" | "syncfs" | "fchmod" | "flock" | "sync_file_range" => &["EIO"],
        _ => &[],
    }
}

/// Whether a call opens a descriptor without a path; `fcntl` does when it duplicates one.
fn is_opening(call: &Call) -> bool {
    call.name != "fcntl" || call.rest.contains("F_DUPFD")
}

/// Whether a write goes to something that no disk is behind: a full or failing disk refuses neither a pipe nor the eventfd
/// by which a runtime wakes itself.
fn is_elsewhere(call: &Call) -> bool {
    call.name.starts_with("write") && call.file().is_none()
}

/// What calls are refused, each with its name.
fn points(stand: &Stand) -> Vec<(String, (Point, Order))> {
    let mut refused = Vec::new();
    for (name, point) in [points::of_controller(stand), points::of_agents(stand)].concat() {
        let call = &point.call;
        let (_, recorded) = stand.recorded.iter().find(|(who, _)| *who == point.who).expect("it was recorded");
        for error in errors(call).iter().filter(|_| !is_elsewhere(call)) {
            let what = format!("error={error}");
            let orders = [Order::once(call, &what), Order::from_there_on(call, &what, recorded)];
            for (order, times) in orders.into_iter().zip(["once", "from there on"]) {
                refused.push((format!("{name} {error} {times}"), (point.clone(), order)));
            }
        }
    }
    refused
}

fn drill(drill: &'static Drill) {
    let stand = Stand::new(drill);
    try_points(&format!("{} refused", drill.name), &points(&stand), USUALLY, |(point, order)| {
        let (end, said) = stand.trial(point.who, order);
        let judged = stand
            .judge(end, &said)
            .map_err(|why| format!("{} {:?} {order}: {why}\nit had said:\n{said}", drill.name, point.who));
        Trial { kind: point.place.to_owned(), end: end.to_string(), judged }
    });
}

#[test]
fn a_promotion_is_refused_what_it_writes() {
    drill(&PROMOTE);
}

#[test]
fn a_rollback_is_refused_what_it_writes() {
    drill(&ROLLBACK);
}

#[test]
fn a_sync_of_all_is_refused_what_it_writes() {
    drill(&SYNC_COMMON);
}

#[test]
fn a_sync_of_a_file_is_refused_what_it_writes() {
    drill(&SYNC_FILE);
}

#[test]
fn a_pin_is_refused_what_it_writes() {
    drill(&PIN);
}

#[test]
fn a_converge_is_refused_what_it_writes() {
    drill(&CONVERGE);
}
