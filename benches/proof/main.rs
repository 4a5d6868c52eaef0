//! What a proof costs on one host: CPU a file at each level, beside a bare walk with `lstat` and beside `rsync -nc`.
//!
//! It needs no root. The tree is made in a directory of its own below the current one and is removed at the end. rsync's
//! CPU is that of both its sides, as both run here.

mod cost;
mod host;

use cost::{Cpu, median};
use host::Host;
use pointsman::model::protocol::Level;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Files of the two trees.
const FILES: [usize; 2] = [8_000, 50_000];
/// How often each is measured.
const ROUNDS: usize = 5;

fn main() -> io::Result<()> {
    // `cargo test` starts it too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "CPU us a file (wall us a file), medians of {ROUNDS}; files, lstat, L1, L2, L3, rsync -nc")?;
    for files in FILES {
        let directory = tempfile::tempdir_in(".")?;
        let host = Host::with_tree(directory.path(), files)?;
        let copy = directory.path().join("copy");
        host::copy(&host.tree(), &copy)?;
        let mut line = format!("{files:>6}");
        let mut add = |work: &dyn Fn()| {
            let costs: Vec<Cpu> = (0..ROUNDS).map(|_| cost::of(work)).collect();
            let a_file = |of: fn(&Cpu) -> f64| 1e6 * median(costs.iter().map(of).collect()) / files as f64;
            line += &format!("  {:6.2} ({:6.2})", a_file(|c| c.cpu), a_file(|c| c.wall));
        };
        add(&|| host::lstat_all(&host.tree()));
        add(&|| host.prove(Level::L1));
        add(&|| host.prove(Level::L2));
        add(&|| host.prove(Level::L3));
        add(&|| rsync(&copy, &host.tree()));
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn rsync(from: &Path, to: &Path) {
    let mut command = Command::new("rsync");
    command.args(["-nrlc", "--delete"]).arg(format!("{}/", from.display())).arg(to).stdout(Stdio::null());
    assert!(command.status().is_ok_and(|status| status.success()), "rsync runs");
}
