//! The kernel refuses a call, once or from then on: no false success, nothing torn, and one converge settles the rest.

use crate::amount::{Sums, chosen};
use crate::killed::{CONVERGE, PIN, PROMOTE, ROLLBACK, SYNC_COMMON, SYNC_FILE};
use crate::stand::{Drill, End, Stand, Who};
use crate::trace::{self, Call};

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

/// Whether a runtime wakes itself by it.
fn is_waking(call: &Call) -> bool {
    call.rest.contains("<anon_inode:[eventfd]>")
}

/// A call that is refused.
#[derive(Clone)]
struct Point {
    who: Who,
    call: Call,
    error: &'static str,
    from_there_on: bool,
}

fn points(stand: &Stand) -> Vec<Point> {
    let mut points = Vec::new();
    for (who, calls) in &stand.recorded {
        for call in calls.iter().filter(|call| !is_waking(call)) {
            for error in errors(call) {
                let point = |from_there_on| Point { who: *who, call: call.clone(), error, from_there_on };
                points.push(point(false));
                // Where a runtime wakes itself by writing, no disk that is full makes all its writes fail.
                if *who != Who::Controller || call.name != "write" {
                    points.push(point(true));
                }
            }
        }
    }
    points
}

fn drill(drill: &'static Drill) {
    let stand = Stand::new(drill);
    let points = points(&stand);
    let mut sums = Sums::default();
    for Point { who, call, error, from_there_on } in chosen(&points, USUALLY) {
        let order = trace::order(&call, &format!("error={error}"), from_there_on);
        let (end, said) = stand.trial(who, &order);
        let judged = stand.judge(end, &said);
        let judged = judged.map_err(|why| format!("{} {who:?} {order}: {why}\nit had said:\n{said}", drill.name));
        let end = match end {
            End::Killed => "killed".to_owned(),
            End::Code(code) => format!("code {code}"),
        };
        sums.add(&format!("{} {error}", call.name), &end, judged);
    }
    sums.hold(&format!("{} refused", drill.name), points.len());
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
