//! A directory of this machine as a host: the same program as a child process.
//!
//! Invariant: the child's environment is cleared but for PATH, which its hooks need. It needs no installation.

use super::channel::Channel;
use crate::model::fault::Fault;
use crate::model::signed::ALLOWED_SIGNERS;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// `path`, an absolute one of the site, below the host's directory.
pub fn below(directory: &Path, path: &Path) -> PathBuf {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
    names.fold(directory.to_owned(), |below, name| below.join(name))
}

/// Where the owner's list of signers is, on a host that is a whole machine or, with a directory, `below` that.
pub fn signers(directory: Option<&Path>) -> PathBuf {
    let list = Path::new(ALLOWED_SIGNERS);
    directory.map_or_else(|| list.to_owned(), |directory| below(directory, list))
}

/// Starts `program agent` for the host that `directory` stands for.
pub fn start(program: &Path, directory: &Path) -> Result<Channel, Fault> {
    check(directory)?;
    let mut command = Command::new(program);
    // The owner of a host that is a directory keeps files below it too.
    command
        .args(["agent", "--below"])
        .arg(directory)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // Ctrl-C at a terminal is for the controller, which lets this host finish what it does, as one that is reached by ssh.
    command.current_dir("/").kill_on_drop(true).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.spawn().and_then(Channel::local);
    started.map_err(|error| Fault::Other(format!("here: cannot start {}: {error}", program.display())))
}

/// A host whose directory is gone is a host that no way leads to.
pub fn check(directory: &Path) -> Result<(), Fault> {
    directory.is_dir().then_some(()).ok_or(Fault::NoRoute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_paths_stay_below_the_hosts_directory() {
        let below = |path| below(Path::new("/demo/mw1"), Path::new(path));
        assert_eq!(below("/srv/mediawiki"), Path::new("/demo/mw1/srv/mediawiki"));
        assert_eq!(below("/../../etc"), Path::new("/demo/mw1/etc"));
    }
}
