//! What tests against real servers share: servers that end with their test, a world without hosts, a scope of two.

use pointsman::gate::reading::{ReadError, Reading};
use pointsman::gate::scope::Scope;
use pointsman::gate::spec::{Gate, Kind};
use pointsman::model::fault::Fault;
use pointsman::model::names::HostName;
use pointsman::model::question::{Answer, Question};
use pointsman::model::time::Time;
use pointsman::signal::{Provider, World};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A switched host, and one that was not.
pub const HOSTS: [&str; 2] = ["mw2001.codfw.wmnet", "mw2002.codfw.wmnet"];

/// A world at this time that has no hosts to ask.
pub struct At(pub u64);

impl World for At {
    async fn ask(&self, _: &HostName, _: Question, _: Duration) -> Result<Answer, Fault> {
        unreachable!("monitoring asks no host")
    }

    async fn web(&self, _: &HostName) -> Result<SocketAddr, String> {
        unreachable!("monitoring asks no host")
    }

    fn now(&self) -> Time {
        Time(self.0)
    }
}

/// A server, killed with its test.
pub struct Server {
    child: Child,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Its configuration and data.
    pub data: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a program, and waits until `path` on `port` answers with status 200.
    pub fn start(command: Command, port: u16, data: tempfile::TempDir, path: &str) -> Self {
        let server = Self::listening(command, port, data);
        until(&format!("{path} answers"), || http(port, "GET", path, "").is_ok_and(|a| a.contains(" 200 ")));
        server
    }

    /// Starts a program, and waits until it listens on `port`.
    pub fn listening(mut command: Command, port: u16, data: tempfile::TempDir) -> Self {
        let program = command.get_program().to_owned();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{program:?}: {error}; scripts/lib.sh installs it"));
        let server = Self { child, port, data };
        until(&format!("{program:?} listens"), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Waits until something is so, and fails when it never is.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < patience, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The whole answer to a request.
pub fn http(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let length = body.len();
    let kind = "Content-Type: application/json";
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Now, ms since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// The first of [`HOSTS`] was switched at this time, the second was not.
pub fn scope(since: u64) -> Scope {
    let [rolled, control] = HOSTS.map(|name| [host(name)].into_iter().collect());
    let wiki = "enwiki".parse().expect("a wiki");
    let runs = ("group0".parse().expect("a group"), "1.27.0-wmf.11".parse().expect("a version"));
    let wikis = BTreeMap::from([(wiki, runs)]);
    Scope { rolled, control, others: Default::default(), group: None, version: None, wikis, since: Time(since) }
}

/// A host by its name.
pub fn host(name: &str) -> HostName {
    name.parse().expect("a host")
}

/// Reads once.
pub fn read(provider: &mut impl Provider, scope: &Scope, now: u64) -> Result<Reading, ReadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(provider.read(scope, &At(now)))
}

/// A gate of this kind.
pub fn gate(kind: Kind) -> Gate {
    Gate::new("g".parse().expect("a name"), [], kind)
}
