//! A real PostgreSQL for one test: its own cluster in a temporary directory, on loopback and on a socket.
//!
//! Invariant: it is ended by its process id, whatever became of the test, and by the kernel when the test's thread is gone.
//! It refuses root, so root runs it as the user `postgres` of Debian's package; everybody else as themselves. The tests of the command line use this file too, so nothing here knows the library.

use rustix::process::{Pid, Signal};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A word that may stand in no output; with characters that a URL must escape.
pub const PASSWORD: &str = "pass@word/CANARY%1";
/// The same in a URL.
pub const ESCAPED: &str = "pass%40word%2fCANARY%251";

/// How openssl makes a key.
const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// A server that lives as long as this value, with an empty database `books`.
pub struct Server {
    /// The directory of the cluster, its socket and its certificates.
    pub dir: tempfile::TempDir,
    /// On 127.0.0.1.
    pub port: u16,
    child: Option<Child>,
}

/// Where Debian's package has a program of the newest release that is installed.
fn program(name: &str) -> PathBuf {
    let releases = std::fs::read_dir("/usr/lib/postgresql").expect("scripts/lib.sh installs postgresql");
    let mut found: Vec<PathBuf> =
        releases.map(|release| release.expect("listed").path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().expect("scripts/lib.sh installs postgresql")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// One of its programs, in the process that is started.
fn command(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg("--").arg(program(name));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Gives what it must read or write to the user that it runs as.
fn give(path: &Path) {
    if is_root() {
        done(Command::new("chown").arg("postgres:").arg(path));
    }
}

fn done(command: &mut Command) {
    let ran = command.output().expect("it starts");
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

impl Server {
    /// With a new cluster.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("ours");
        let inner = dir.path().join("pg");
        std::fs::DirBuilder::new().mode(0o755).create(&inner).expect("made");
        give(&inner);
        let mut secret = tempfile::NamedTempFile::new_in(dir.path()).expect("a file");
        secret.write_all(PASSWORD.as_bytes()).expect("written");
        std::fs::set_permissions(secret.path(), PermissionsExt::from_mode(0o644)).expect("ours");
        let mut init = command("initdb");
        init.args(["-E", "UTF8", "--locale=C", "-A", "scram-sha-256", "-U", "pointsman", "--no-sync"]);
        done(init.arg("-D").arg(inner.join("data")).arg(format!("--pwfile={}", secret.path().display())));
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let mut server = Self { dir, port, child: None };
        server.start();
        server.sql("postgres", "CREATE DATABASE books");
        server
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("pg/data")
    }

    /// Starts it, and waits until it answers.
    pub fn start(&mut self) {
        let mut start = command("postgres");
        start.arg("-D").arg(self.data()).args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-F"]);
        start.arg("-k").arg(self.dir.path().join("pg")).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(start.spawn().expect("it starts"));
        let answers = |_| {
            let mut ready = command("pg_isready");
            ready.args(["-q", "-t", "5", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            let ready = ready.status().expect("it runs").success();
            if !ready {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            ready
        };
        assert!((0..1_200).any(answers), "it does not come up");
    }

    /// Ends it at once, as a crash does: sessions are cut, and the log is recovered at the next start.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            rustix::process::kill_process(Pid::from_child(&child), Signal::QUIT).expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    /// Runs SQL as the owner of the cluster, and says what it answers.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = command("psql");
        psql.env("PGPASSWORD", PASSWORD).args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "pointsman", "-d", database]);
        psql.arg("-h").arg(self.dir.path().join("pg")).args(["-p", &self.port.to_string(), "-c", sql]);
        let ran = psql.output().expect("it starts");
        assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("it answers in UTF-8").trim().to_owned()
    }

    /// Remembers the books as they are now.
    pub fn keep(&self) {
        self.copy("books", "kept");
    }

    /// The books are again as they were remembered, as after an old backup, or on a replica that lagged behind.
    pub fn restore(&self) {
        self.copy("kept", "books");
    }

    /// Makes the database `to` what the database `from` is.
    pub fn copy(&self, from: &str, to: &str) {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"));
        self.sql("postgres", &format!("CREATE DATABASE {to} TEMPLATE {from}"));
    }

    /// The address of the books, with the password, by TCP to this name.
    pub fn url(&self, host: &str) -> String {
        format!("postgres://pointsman:{ESCAPED}@{host}:{}/books", self.port)
    }

    /// A file of mode 600 with an address.
    pub fn reference(&self, name: &str, url: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, format!("{url}\n")).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("ours");
        path
    }

    /// Has it speak TLS from its next start on, with a certificate for this name that is good for so many days.
    pub fn certify(&mut self, name: &str, days: &str) -> PathBuf {
        let (dir, ca) = (self.dir.path().to_owned(), self.ca());
        std::fs::write(dir.join("names"), format!("subjectAltName={name}\n")).expect("written");
        self.openssl(&format!("req {KEY} -keyout pg/server.key -out server.csr -subj /CN=books"));
        let by_ca = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names";
        self.openssl(&format!("{by_ca} -days {days} -out pg/server.pem"));
        ["pg/server.key", "pg/server.pem"].iter().for_each(|name| give(&dir.join(name)));
        done(Command::new("chmod").args(["600", "pg/server.key"]).current_dir(&dir));
        let pg = dir.join("pg");
        let settings =
            format!("ssl = on\nssl_cert_file = '{0}/server.pem'\nssl_key_file = '{0}/server.key'\n", pg.display());
        self.kill();
        std::fs::write(self.data().join("postgresql.auto.conf"), settings).expect("ours");
        self.start();
        ca
    }

    /// The certificate of an authority of our own.
    pub fn ca(&self) -> PathBuf {
        let ca = self.dir.path().join("ca.pem");
        if !ca.exists() {
            self.openssl(&format!("req -x509 {KEY} -keyout ca.key -out ca.pem -days 3 -subj /CN=ca"));
        }
        ca
    }

    fn openssl(&self, arguments: &str) {
        done(Command::new("openssl").current_dir(self.dir.path()).args(arguments.split(' ')));
    }

    /// The directory with the socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("pg")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a canary stands in any file below a directory.
pub fn stands_in(directory: &Path, word: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(directory).expect("it is listed") {
        let path = entry.expect("it is listed").path();
        let found = match path.is_dir() {
            true => stands_in(&path, word),
            false => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                bytes.windows(word.len()).any(|window| window == word.as_bytes()).then_some(path)
            }
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
