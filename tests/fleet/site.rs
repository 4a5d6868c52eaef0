//! A whole site over sshd hosts, and the real command line on it.

use crate::harness::TestFleet;
use std::fmt::Write;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The version that is served at first, as it stands in wikiversions.php.
pub const OLD: &str = "php-1.27.0-wmf.10";
/// The version that is promoted.
pub const NEW: &str = "php-1.27.0-wmf.11";
/// Where staging has the file that tests sync.
pub const SETTINGS: &str = "wmf-config/InitialiseSettings.php";
/// Wikis that are not pinned.
pub const WIKIS: usize = 7;

const GROUPS: &str = "\
groups:
  - {name: group0, wikis: [testwiki, test2wiki]}
  - {name: group1, wikis: [aawiktionary, commonswiki, labswiki, metawiki]}
  - {name: group2, wikis: [dewiki, enwiki]}
pins: [{wiki: labswiki, version: 1.27.0-wmf.9, reason: upgraded by hand, owner: labs}]
configuration: [wmf-config]
artefacts: [{path: cache/l10n, files: 3, inputs: [languages/i18n]}]
limits: {connect_ms_max: 6000, command_ms_max: 60000}
";
const WIKIVERSIONS: [&str; 8] =
    ["aawiktionary", "commonswiki", "dewiki", "enwiki", "labswiki", "metawiki", "test2wiki", "testwiki"];
const BUILD: &str = "#!/bin/sh\nset -e\nmkdir -p cache/l10n\nfor l in de en fr; do\n  \
                     sort languages/i18n/$l.json > cache/l10n/$l.cdb\ndone\n";

/// How long a child may take to come to where a test waits for it.
const REACHED_MAX: Duration = Duration::from_secs(60);

/// Hosts of sites that run at once: two sites' servers and their agents are as much as two processors carry within deadlines.
const ROOM: usize = 32;
/// A site of more hosts than this has the machine for itself.
const SHARING_MAX: usize = 16;
/// How many of [`ROOM`] are taken, and who waits until some are free.
static TAKEN: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Room that a site takes as long as this lives.
pub struct Room(usize);

impl Room {
    /// Waits for room for so many hosts.
    fn take(hosts: usize) -> Self {
        let hosts = if hosts > SHARING_MAX { ROOM } else { hosts };
        let taken = TAKEN.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = TAKEN.1.wait_while(taken, |taken| *taken + hosts > ROOM);
        *waited.unwrap_or_else(PoisonError::into_inner) += hosts;
        Self(hosts)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *TAKEN.0.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        TAKEN.1.notify_all();
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it said on stdout.
    pub stdout: String,
    /// What it said on stderr.
    pub stderr: String,
}

impl Output {
    /// Everything it said.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The command ended with `code`; else what it said is shown.
    #[track_caller]
    pub fn is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said());
        self
    }

    /// It said, about host `name`, something with `words` in it.
    #[track_caller]
    pub fn names(self, name: &str, words: &str) -> Self {
        let said = self.said();
        let found = said.lines().any(|line| line.contains(name) && line.contains(words));
        assert!(found, "no line with {name} and {words:?}:\n{said}");
        self
    }
}

impl TestFleet {
    /// Starts `count` healthy hosts and makes a site of them: 8 wikis in three groups, one pinned, and three versions
    /// in staging. The first host is a debug host, the next two are canaries. Nothing is synced yet.
    pub fn site(count: usize) -> Self {
        let room = Room::take(count);
        let mut fleet = Self::ssh(count);
        fleet.room = Some(room);
        fleet.write_program();
        for host in &fleet.hosts {
            fs::create_dir_all(host.root.join("mediawiki")).expect("the host is ours");
        }
        DirBuilder::new().mode(0o700).create(fleet.dir.path().join("runtime")).expect("it is new");
        fleet.write_staging();
        fs::write(fleet.path("restart"), fleet.restart_hook()).expect("it is ours");
        let text = fleet.site_groups();
        fs::write(fleet.file(), &text).expect("it is ours");
        fleet.site = Some(text);
        fleet
    }

    /// The same, with the content synced and group0, group1 and group2 promoted as far as `groups` says.
    pub fn promoted(count: usize, groups: &[&str]) -> Self {
        let fleet = Self::site(count);
        fleet.run(&["sync-common", "--from-staging", "-y"]).is(0);
        for group in groups {
            fleet.promote(group, &[]).is(0);
        }
        fleet
    }

    /// `promote GROUP` to the new version, not asking.
    pub fn promote(&self, group: &str, more: &[&str]) -> Output {
        self.run(&[&["promote", group, "1.27.0-wmf.11", "-m", "the train", "-y"], more].concat())
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        ended(self.command(args).output().expect("the program starts"))
    }

    /// Starts the program.
    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }

    /// The same as the foreground of a terminal of its own would be: a process group.
    pub fn spawn_in_front(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.spawn().expect("the program starts")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path("pointsman"));
        command.arg("-C").arg(self.dir.path()).args(args).stdin(Stdio::null());
        command.env("HOME", self.dir.path()).env("XDG_RUNTIME_DIR", self.path("runtime"));
        command
    }

    /// Something in the fleet's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How many wikis host `i` serves from `version`, by its wikiversions.php as it lies there.
    pub fn serves(&self, i: usize, version: &str) -> usize {
        let map = self.file_of(i, "mediawiki/wikiversions.php").unwrap_or_default();
        String::from_utf8_lossy(&map).matches(&format!("'{version}'")).count()
    }

    /// Every host serves `count` wikis from the new version, the pinned one from its own, and the rest from the old;
    /// but for the hosts `except`.
    #[track_caller]
    pub fn all_serve(&self, count: usize, except: &[usize]) {
        for i in (0..self.hosts.len()).filter(|i| !except.contains(i)) {
            let served = [NEW, OLD, "php-1.27.0-wmf.9"].map(|version| self.serves(i, version));
            assert_eq!(served, [count, WIKIS - count, 1], "{}", self.name(i));
        }
    }

    /// Makes the restart hook of host `i` wait until the file that is given back is written to or closed.
    pub fn gate(&self, i: usize) -> File {
        let fifo = self.path("fifo");
        crate::sshd::run(Command::new("mkfifo").arg(&fifo));
        fs::write(self.path(&format!("gate-mw{:03}", i + 1)), "").expect("it is ours");
        File::options().read(true).write(true).open(fifo).expect("it was made")
    }

    /// Waits until the hook of host `i` is where it waits, and lets later ones pass.
    pub fn at_the_gate(&self, i: usize, child: &mut Child) {
        let name = format!("mw{:03}", i + 1);
        self.wait_for(&format!("reached-{name}"), child);
        fs::remove_file(self.path(&format!("gate-{name}"))).expect("it is there");
    }

    /// Waits until a file is there.
    pub fn wait_for(&self, name: &str, child: &mut Child) {
        let since = Instant::now();
        while !self.path(name).exists() {
            let over = child.try_wait().expect("it is our child");
            assert!(over.is_none() && since.elapsed() < REACHED_MAX, "{name} is not there, child: {over:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One line for each file of the books and of every host: path, mode, time and content.
    pub fn everything(&self) -> String {
        let mut text = String::new();
        list(&self.path("books"), &mut text);
        for host in &self.hosts {
            list(&host.root, &mut text);
            list(&host.home, &mut text);
        }
        text
    }

    /// It opens the pipe before it says that it is there: afterwards whoever writes may be gone, and it would wait for ever.
    fn restart_hook(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            "read host < /proc/sys/kernel/hostname\n[ -e {dir}/gate-$host ] || exit 0\n\
             exec 3< {dir}/fifo\ntouch {dir}/reached-$host\nread go <&3\nexit 0\n"
        )
    }

    /// The built programs, without their debugging information: every host gets a copy of one, which is most of the work.
    fn write_program(&self) {
        let built = [env!("CARGO_BIN_EXE_pointsman"), env!("CARGO_BIN_EXE_pointsman-agent")];
        for (built, name) in built.into_iter().zip(["pointsman", "pointsman-agent"]) {
            let here = self.path(name);
            let stripped = Command::new("strip").arg("-o").arg(&here).arg(built).status();
            if !stripped.is_ok_and(|status| status.success()) {
                fs::copy(built, &here).expect("the temporary directory takes it");
            }
        }
    }

    fn write_staging(&self) {
        let put = |name: String, text: &str| {
            let path = self.path("staging").join(name);
            fs::create_dir_all(path.parent().expect("it is in staging")).expect("staging is ours");
            fs::write(&path, text).expect("staging is ours");
            path
        };
        for n in 9..12 {
            let tree = format!("php-1.27.0-wmf.{n}");
            put(format!("{tree}/includes/Settings.php"), &format!("<?php\n$wgVersion = '1.27.0-wmf.{n}';\n"));
            // More than a host with a full disk has room for.
            put(format!("{tree}/includes/Big.php"), &format!("<?php\n// {n}\n").repeat(10_000));
            for language in ["de", "en", "fr"] {
                put(format!("{tree}/languages/i18n/{language}.json"), &format!("{{\n\"{language}\": \"{n}\"\n}}\n"));
            }
            let build = put(format!("{tree}/maintenance/build"), BUILD);
            fs::set_permissions(build, PermissionsExt::from_mode(0o755)).expect("it is ours");
        }
        put(SETTINGS.to_owned(), "<?php\n$wgSettings = 1;\n");
        let version = |wiki: &str| if wiki == "labswiki" { "php-1.27.0-wmf.9" } else { OLD };
        let lines: Vec<String> = WIKIVERSIONS.iter().map(|w| format!("    \"{w}\": \"{}\"", version(w))).collect();
        put("wikiversions.json".to_owned(), &format!("{{\n{}\n}}\n", lines.join(",\n")));
    }

    fn site_groups(&self) -> String {
        let dir = self.dir.path().display();
        let mut hosts = String::new();
        for (i, host) in self.hosts.iter().enumerate() {
            let role = ["debug", "canary", "canary"].get(i).unwrap_or(&"appserver");
            let (name, ip, port) = (self.name(i), host.address.ip(), host.address.port());
            let _ = writeln!(
                hosts,
                "  - {{name: {name}, roles: [{role}], datacenter: eqiad, user: root, address: {ip}, port: {port}}}"
            );
        }
        format!(
            "deploy: {{root: {dir}/host/mediawiki, state: {dir}/host/state, staging: staging, books: books}}\n\
             wikis: [{}]\n{GROUPS}hosts:\n{hosts}\
             hooks: {{build: [./maintenance/build], restart: [sh, {dir}/restart]}}\n\
             ssh: {{config: {dir}/ssh_config, kex: curve25519-sha256, keep: 0s}}\n",
            WIKIVERSIONS.join(", ")
        )
    }
}

/// How a finished process ended and what it said.
pub fn ended(output: std::process::Output) -> Output {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it says UTF-8");
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Waits for a child's end.
pub fn end_of(child: Child) -> Output {
    ended(child.wait_with_output().expect("it is our child"))
}

/// Sends a signal to a child.
pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("it is our child and was not waited for");
}

pub fn list(path: &Path, text: &mut String) {
    let metadata = fs::symlink_metadata(path).expect("nobody removes it now");
    let content = match metadata.is_file() {
        true => blake3(&fs::read(path).expect("it is a file")),
        false => String::new(),
    };
    let time = (metadata.mtime(), metadata.mtime_nsec());
    let _ = writeln!(text, "{} {:o} {time:?} {content}", path.display(), metadata.mode());
    if metadata.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path).expect("it is one").flatten().map(|e| e.path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| list(entry, text));
    }
}

fn blake3(bytes: &[u8]) -> String {
    pointsman::model::digest::Digest::of(bytes).to_string()
}
