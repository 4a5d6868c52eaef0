//! Real servers for mirrors: nginx, which takes and serves objects, and an S3 server behind an nginx that keeps its log.
//!
//! Invariant: each is ended with its test, by its own process id.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The keys of the S3 server.
pub const KEY_ID: &str = "CANARYKEYID";
pub const SECRET: &str = "CANARYSECRETKEY";

/// A program that is killed with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A web server, maybe with an S3 server behind it.
pub struct Server {
    programs: Vec<Running>,
    home: tempfile::TempDir,
    port: u16,
}

impl Server {
    /// An nginx that takes objects by PUT and serves them; `more` goes to its only location.
    pub fn nginx(more: &str) -> Self {
        let server = Self { programs: Vec::new(), home: tempfile::tempdir().expect("a directory"), port: free_port() };
        server.began_with(&format!("root HOME/objects; dav_methods PUT; create_full_put_path on;\n{more}"))
    }

    /// An S3 server with the bucket `releases`.
    pub fn s3() -> Self {
        let mut server =
            Self { programs: Vec::new(), home: tempfile::tempdir().expect("a directory"), port: free_port() };
        fs::create_dir_all(server.home.path().join("objects/releases")).expect("made");
        let port = free_port();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/s3s/bin/s3s-fs");
        let mut command = Command::new(&program);
        command.args([
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--access-key",
            KEY_ID,
            "--secret-key",
            SECRET,
        ]);
        server.start(command.arg(server.home.path().join("objects")), port);
        server.began_with(&format!("proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host;"))
    }

    fn began_with(mut self, location: &str) -> Self {
        let home = self.home.path().display().to_string();
        fs::create_dir_all(self.home.path().join("objects")).expect("made");
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths: String = kinds.iter().map(|kind| format!("{kind}_temp_path {home}/{kind};\n")).collect();
        let text = format!(
            "daemon off;\nmaster_process off;\npid {home}/pid;\nerror_log {home}/errors;\nevents {{}}\nhttp {{\n\
             log_format short '$request_method $uri $status $body_bytes_sent';\naccess_log {home}/access short;\n{paths}\
             server {{ listen 127.0.0.1:{}; client_max_body_size 0;\nlocation / {{ {} }} }} }}\n",
            self.port,
            location.replace("HOME", &home)
        );
        fs::write(self.home.path().join("nginx.conf"), text).expect("written");
        let mut command = Command::new("nginx");
        command.arg("-c").arg(self.home.path().join("nginx.conf")).arg("-e").arg(self.home.path().join("errors"));
        let port = self.port;
        self.start(&mut command, port);
        self
    }

    /// Starts a program and waits until it listens.
    fn start(&mut self, command: &mut Command, port: u16) {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.programs.push(Running(child.unwrap_or_else(|e| panic!("{program:?}: {e}; scripts/test installs it"))));
        let patience = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < patience, "{program:?} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests of a method that were answered so, as `URI BYTES`.
    pub fn answered(&self, method: &str, status: u16) -> Vec<String> {
        let log = fs::read_to_string(self.home.path().join("access")).unwrap_or_default();
        let wanted = |line: &&str| line.starts_with(&format!("{method} ")) && line.contains(&format!(" {status} "));
        log.lines().filter(wanted).map(str::to_owned).collect()
    }

    /// The objects that were put there, but for what a server notes beside them.
    pub fn objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.home.path().join("objects"), &mut found);
        found.retain(|path| path.file_name().is_some_and(|name| name.len() == 64));
        found
    }
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("listed").path();
        match path.is_dir() {
            true => collect(&path, found),
            false => found.push(path),
        }
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}
