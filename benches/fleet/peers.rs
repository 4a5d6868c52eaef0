//! What people use instead, as they would: one process a host, all hosts at the same time, over ssh of the same kind.
//!
//! Each is a line of shell whose arguments are the host, ssh's configuration, a local path and a directory there.

use crate::site::Site;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A line of shell and what it is called.
pub struct Peer {
    /// In tables.
    pub name: &'static str,
    /// The tool that must be installed.
    pub tool: &'static str,
    line: &'static str,
    /// Whether its output must be empty, else it found a difference.
    silent: bool,
    /// Which of ssh's configurations it reads.
    config: &'static str,
}

const fn peer(name: &'static str, tool: &'static str, line: &'static str) -> Peer {
    Peer { name, tool, line, silent: false, config: "ssh_config.peers" }
}

/// The same in connections that ssh itself keeps (ControlMaster).
const fn kept(name: &'static str, peer: Peer) -> Peer {
    Peer { name, config: "ssh_config.mux", ..peer }
}

/// Nothing at all, over a new connection.
pub const TRUE: Peer = peer("ssh true", "ssh", "exec ssh -F \"$2\" \"$1\" true");
/// One file by ssh alone.
pub const CAT: Peer =
    peer("ssh cat+mv", "ssh", "exec ssh -F \"$2\" \"$1\" \"cat >$4/f.new && mv $4/f.new $4/f\" <\"$3\"");
/// One file by rsync.
pub const RSYNC_FILE: Peer = peer("rsync -c", "rsync", "exec rsync -c -e \"ssh -F $2\" \"$3\" \"$1:$4/f\"");
/// A tree by tar.
pub const TAR: Peer =
    peer("tar over ssh", "tar", "tar -C \"$3\" -cf - . | ssh -F \"$2\" \"$1\" \"mkdir $4/v1 && tar -C $4/v1 -xf -\"");
/// A tree by rsync.
pub const RSYNC_TREE: Peer = peer("rsync -a", "rsync", "exec rsync -a -e \"ssh -F $2\" \"$3/\" \"$1:$4/v1/\"");
/// The next tree by hard links and rsync.
pub const LINKS: Peer = peer(
    "cp -al, rsync -c",
    "rsync",
    "ssh -F \"$2\" \"$1\" \"rm -rf $4/v2 && cp -al $4/v1 $4/v2\" && \
     exec rsync -ac --delete -e \"ssh -F $2\" \"$3/\" \"$1:$4/v2/\"",
);
/// A proof by rsync.
pub const DRY: Peer = Peer {
    silent: true,
    ..peer("rsync -nc", "rsync", "exec rsync -nac --delete -i -e \"ssh -F $2\" \"$3/\" \"$1:$4/v1/\"")
};
/// [`DRY`] in open connections.
pub const DRY_KEPT: Peer = kept("rsync -nc, mux", DRY);
/// A switch by renaming a link, made durable.
pub const LINK: Peer = peer(
    "ssh ln+mv+sync",
    "ssh",
    "exec ssh -F \"$2\" \"$1\" \"ln -sfn v$3 $4/new && mv -T $4/new $4/now && sync -f $4/now\"",
);

/// [`TRUE`] in open connections.
pub const TRUE_KEPT: Peer = kept("ssh mux true", TRUE);
/// [`CAT`] in open connections.
pub const CAT_KEPT: Peer = kept("ssh mux cat+mv", CAT);
/// [`RSYNC_FILE`] in open connections.
pub const RSYNC_FILE_KEPT: Peer = kept("rsync -c, mux", RSYNC_FILE);
/// [`LINK`] in open connections.
pub const LINK_KEPT: Peer = kept("ssh mux ln+mv+sync", LINK);

impl Peer {
    /// Whether it can run here.
    pub fn installed(&self) -> bool {
        let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", self.tool]).output();
        found.is_ok_and(|output| output.status.success())
    }

    /// Runs it for every host at the same time; `argument` is the local path. Whether all succeeded.
    pub fn run(&self, site: &Site, argument: &Path) -> bool {
        let start = |i: usize| -> Child {
            let mut command = Command::new("sh");
            command.args(["-c", self.line, "sh", &site.name(i)]).arg(site.path(self.config));
            command.arg(argument).arg(site.path("host/peer"));
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
            command.spawn().expect("there is a shell")
        };
        let children: Vec<Child> = (0..site.hosts.len()).map(start).collect();
        let ended = |child: Child| {
            let output = child.wait_with_output().expect("it is our child");
            output.status.success() && (!self.silent || output.stdout.is_empty())
        };
        children.into_iter().map(ended).filter(|right| !right).count() == 0
    }
}

/// Makes what was written on the hosts' file system durable; all hosts share it here.
pub fn sync(site: &Site) -> bool {
    Command::new("sync").arg("-f").arg(&site.hosts[0].root).status().is_ok_and(|status| status.success())
}
