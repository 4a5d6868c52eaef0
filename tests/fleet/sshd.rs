//! One sshd as one host: its namespace, its configuration, its processes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a server may take to be up.
const UP_MAX: Duration = Duration::from_secs(20);

/// What is wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Nobody listens.
    Refused,
    /// Connections are taken and nothing is ever said.
    Silent,
    /// Connections are taken and closed at once.
    Closed,
    /// The listen queue is full, so that connecting itself hangs.
    Blackhole,
    /// Another host key than known_hosts has.
    KeyChanged,
    /// known_hosts has no key for it.
    KeyUnknown,
    /// The login's key is not accepted, passwords are asked for.
    Password,
    /// The login's key is not accepted, and nothing else is offered.
    Denied,
    /// The home directory is read-only.
    HomeReadOnly,
    /// The home directory is a full file system of 64 KiB.
    HomeFull,
    /// Nothing may be executed in the home directory.
    HomeNoExec,
    /// The deploy root and the agent's state are read-only.
    RootReadOnly,
    /// The deploy root and the agent's state are a file system of 64 KiB.
    RootFull,
    /// The login shell prints a message of the day before each command, on stdout and stderr.
    Motd,
    /// Its gzip does not work.
    NoGzip,
    /// Its gzip keeps what it unpacks, packed, in the home's `unpacked`.
    NotedGzip,
    /// `uname -m` says i686 (by `setarch`, so the kernel itself says so to all its programs).
    OtherMachine,
    /// sshd and all that it runs are stopped in the middle of what they do.
    Stopped,
    /// The deploy root and the agent's state are as they were, and their disk is full to the last byte.
    RootJammed,
    /// Not broken, but with as little as a host can give: its login is an ordinary user's, whose key starts one program
    /// (`contrib/locked-down`); /usr is read-only and nothing in /tmp can be executed. What root put on it lies in
    /// `locked` of its directory.
    LockedDown,
    /// In place of a shell the login has a program that lies.
    Lies(Lie),
}

/// What a program says that is no agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// One byte a second, for ever.
    Drip,
    /// Bytes without an end.
    Flood,
    /// An agent's greeting, then a message without an end.
    Endless,
    /// Bytes that are no UTF-8.
    Bytes,
    /// Sequences that a terminal would obey.
    Escapes,
    /// An agent's greeting, then half of a frame.
    Half,
}

impl Lie {
    /// As the program is told.
    fn kind(self) -> &'static str {
        match self {
            Self::Drip => "drip",
            Self::Flood => "flood",
            Self::Endless => "endless",
            Self::Bytes => "bytes",
            Self::Escapes => "escapes",
            Self::Half => "half",
        }
    }
}

/// A host.
pub struct Host {
    /// Where the harness keeps what belongs to it.
    pub dir: PathBuf,
    /// The directory that it sees as [`Host::mount`].
    pub root: PathBuf,
    /// Its login's home.
    pub home: PathBuf,
    /// The path at which every host sees its own root.
    pub mount: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    server: Option<Child>,
    decoy: Option<Decoy>,
}

/// A listener in the place of sshd.
struct Decoy {
    closer: Option<(JoinHandle<()>, Arc<AtomicBool>, SocketAddr)>,
    _held: Vec<TcpStream>,
    _listener: TcpListener,
}

impl Host {
    /// A host with an empty root and home below `dir`; not started.
    pub fn new(dir: PathBuf, mount: &Path, address: SocketAddr) -> Self {
        let (root, home) = (dir.join("root"), dir.join("home"));
        for directory in [&dir, &root, &home] {
            fs::create_dir_all(directory).expect("the temporary directory takes it");
        }
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join("key")));
        Self { dir, root, home, mount: mount.to_owned(), address, server: None, decoy: None }
    }

    /// Its line in known_hosts.
    pub fn known_hosts_line(&self) -> String {
        let key = fs::read_to_string(self.dir.join("key.pub")).expect("it was made");
        let mut words = key.split(' ');
        let (algorithm, key) = (words.next().expect("an algorithm"), words.next().expect("a key"));
        format!("[{}]:{} {algorithm} {key}\n", self.address.ip(), self.address.port())
    }

    /// What its sshd logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Starts it, broken or not, after stopping what runs of it.
    pub fn start(&mut self, broken: Option<Broken>) {
        if broken == Some(Broken::Stopped) {
            return self.freeze();
        }
        self.stop();
        match broken {
            Some(Broken::Refused) => {}
            Some(Broken::Silent | Broken::Closed | Broken::Blackhole) => self.start_decoy(broken),
            _ => self.start_server(broken),
        }
    }

    /// Ends its server, all its connections and everything that they run, each by its process id.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            family(server.id()).into_iter().for_each(kill);
            server.wait().expect("it is our child");
        }
        self.decoy = None;
    }

    /// Ends its open connections; its server stays.
    pub fn cut_connections(&self) {
        let server = self.server.as_ref().map(Child::id).expect("it runs");
        family(server).into_iter().filter(|pid| *pid != server).for_each(kill);
    }

    /// Lets its open connections hang; its server goes on. How many processes were stopped.
    pub fn stop_connections(&self) -> usize {
        let server = self.server.as_ref().map(Child::id).expect("it runs");
        let stopped = family(server).into_iter().filter(|pid| *pid != server);
        stopped.map(|pid| signal(pid, rustix::process::Signal::STOP)).count()
    }

    /// Stops its server, its connections and all that these run, where they stand.
    fn freeze(&mut self) {
        if self.server.is_none() {
            self.start_server(None);
        }
        let server = self.server.as_ref().map(Child::id).expect("it was started");
        family(server).into_iter().for_each(|pid| signal(pid, rustix::process::Signal::STOP));
    }

    fn start_server(&mut self, broken: Option<Broken>) {
        let pid_file = self.dir.join("pid");
        let _ = fs::remove_file(&pid_file);
        let conf = self.dir.join("sshd_config");
        fs::write(&conf, self.config(broken)).expect("the temporary directory takes it");
        let mut log = File::options().create(true).append(true).open(self.dir.join("log")).expect("it is ours");
        let from = log.seek(SeekFrom::End(0)).expect("it is a file");
        let machine = if broken == Some(Broken::OtherMachine) { "setarch i686 " } else { "" };
        let script = format!(
            "mount --make-rprivate / && hostname \"$1\" && mount --bind \"$2\" \"$3\" && mount --bind \"$4\" \"$5\" && \
             {} && exec {machine}/usr/sbin/sshd -D -e -f \"$6\"",
            self.mounts(broken)
        );
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "-u", "sh", "-c", &script, "sh"]);
        unshare.arg(self.dir.file_name().expect("it has a name")).args([&self.root, &self.mount, &self.home]);
        unshare.arg(home_of_root()).arg(&conf).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        unshare.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone().expect("a descriptor"));
        let mut server = unshare.spawn().expect("unshare is there");
        let since = Instant::now();
        while !pid_file.exists() {
            let over = server.try_wait().expect("it is our child").is_some() || since.elapsed() > UP_MAX;
            if over {
                let mut said = String::new();
                let mut log = File::open(self.dir.join("log")).expect("it is ours");
                log.seek(SeekFrom::Start(from)).and_then(|_| log.read_to_string(&mut said)).expect("it is text");
                panic!("the sshd of {} did not start: {said}", self.address);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.server = Some(server);
    }

    /// More mounts, as shell words; `$3` is where the host sees its root and `$5` its home.
    fn mounts(&self, broken: Option<Broken>) -> &'static str {
        match broken {
            Some(Broken::HomeReadOnly) => "mount -o remount,bind,ro \"$5\"",
            Some(Broken::HomeNoExec) => "mount -o remount,bind,noexec \"$5\"",
            Some(Broken::HomeFull) => "mount -t tmpfs -o size=64k none \"$5\"",
            Some(Broken::NoGzip) => "mount --bind /bin/false \"$(command -v gzip)\"",
            Some(Broken::NotedGzip) => concat!(
                "cp \"$(command -v gzip)\" \"$5/real\" && printf '#!/bin/sh\\ncase $1 in -dc) tee -a %s/unpacked | ",
                "%s/real -dc;; *) exec %s/real \"$@\";; esac\\n' \"$5\" \"$5\" \"$5\" >\"$5/gzip\" && ",
                "chmod 755 \"$5/gzip\" && mount --bind \"$5/gzip\" \"$(command -v gzip)\""
            ),
            Some(Broken::RootReadOnly) => "mount -o remount,bind,ro \"$3\"",
            Some(Broken::RootFull) => "mount -t tmpfs -o size=64k none \"$3\"",
            Some(Broken::LockedDown) => concat!(
                "mount --rbind /usr /usr && mount -o remount,bind,ro /usr && mount --rbind /tmp /tmp && ",
                "mount -o remount,bind,noexec /tmp && cd \"$2/..\" && cp /etc/passwd passwd && ",
                "echo \"deploy:*:4242:4242::$5:/bin/sh\" >>passwd && mount --bind passwd /etc/passwd && ",
                "mount -t tmpfs -o mode=755 none /etc/sudoers.d && cp locked/sudoers /etc/sudoers.d/pointsman && ",
                "chmod 440 /etc/sudoers.d/pointsman && mount -t tmpfs -o mode=755 none /usr/local/lib && ",
                "cp -r locked /usr/local/lib/pointsman && mount -o remount,ro /usr/local/lib && chown -R 4242:4242 \"$3\" \"$5\""
            ),
            Some(Broken::RootJammed) => {
                "mount -t tmpfs -o size=8m none \"$3\" && cp -a \"$2\"/. \"$3\" && ! cat /dev/zero 2>/dev/null >\"$3/jam\""
            }
            _ => "true",
        }
    }

    fn config(&self, broken: Option<Broken>) -> String {
        let refuses = matches!(broken, Some(Broken::Password | Broken::Denied));
        let asks = if broken == Some(Broken::Password) { "yes" } else { "no" };
        let keys = match broken {
            _ if refuses => "/dev/null".into(),
            Some(Broken::LockedDown) => "/usr/local/lib/pointsman/authorized_keys".into(),
            _ => self.dir.join("../authorized_keys"),
        };
        let key = match broken {
            Some(Broken::KeyChanged) => self.other_key(),
            _ => self.dir.join("key"),
        };
        let forced = match broken {
            Some(Broken::Motd) => {
                "ForceCommand echo '*** welcome ***'; echo 'careless .bashrc' >&2; exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n"
                    .to_owned()
            }
            Some(Broken::Lies(lie)) => {
                let program = self.dir.join("liar.py");
                fs::write(&program, include_str!("../fixtures/fleet/liar.py")).expect("it is ours");
                format!("ForceCommand exec python3 {} {}\n", program.display(), lie.kind())
            }
            _ => String::new(),
        };
        format!(
            "Port {}\nListenAddress {}\nHostKey {}\nPidFile {}\nAuthorizedKeysFile {}\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication {asks}\nKbdInteractiveAuthentication {asks}\nUsePAM {asks}\n\
             UseDNS no\nPrintMotd no\nPrintLastLog no\nLogLevel VERBOSE\nMaxStartups 100\n{}",
            self.address.port(),
            self.address.ip(),
            key.display(),
            self.dir.join("pid").display(),
            keys.display(),
            forced,
        )
    }

    fn other_key(&self) -> PathBuf {
        let key = self.dir.join("other-key");
        if !key.exists() {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
        }
        key
    }

    /// Listens in sshd's place. Nobody accepts what comes: for the client that is a connection on which nothing is said.
    fn start_decoy(&mut self, broken: Option<Broken>) {
        let listener = TcpListener::bind(self.address).expect("nobody listens there now");
        let mut decoy =
            Decoy { closer: None, _held: Vec::new(), _listener: listener.try_clone().expect("a descriptor") };
        match broken {
            Some(Broken::Blackhole) => decoy._held = fill(self.address),
            Some(Broken::Closed) => {
                let over = Arc::new(AtomicBool::new(false));
                let seen = Arc::clone(&over);
                let closer = std::thread::spawn(move || {
                    let _ = listener.incoming().find(|_| seen.load(Ordering::SeqCst));
                });
                decoy.closer = Some((closer, over, self.address));
            }
            _ => {}
        }
        self.decoy = Some(decoy);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        if let Some((closer, over, address)) = self.closer.take() {
            over.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect(address);
            let _ = closer.join();
        }
    }
}

/// Fills a listener's queue, which nobody empties, so that the kernel drops further connections.
fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        held.push(stream);
        assert!(held.len() < 10_000, "this machine's listen queues are too long to be filled");
    }
    held
}

/// Runs a tool to its end; it must succeed.
pub fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The home directory of uid 0.
fn home_of_root() -> String {
    let users = fs::read_to_string("/etc/passwd").expect("every Unix has it");
    let home = users.lines().find_map(|line| line.split(':').nth(5).filter(|_| line.split(':').nth(2) == Some("0")));
    home.expect("uid 0 has a home").to_owned()
}

/// A process and all its descendants.
fn family(pid: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let entries = fs::read_dir("/proc").expect("procfs is mounted").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(elder) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, parent)| *parent == elder).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let _ = rustix::process::kill_process(pid.expect("a process id"), signal);
}
