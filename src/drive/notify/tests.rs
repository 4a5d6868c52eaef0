//! Real receivers on this machine: web servers of these tests, sockets, files, and a script in the place of sendmail.

use super::*;
use crate::config::policy::{Hook, NotifyTo, SalTo, SyslogTo};
use crate::model::notice::Occasion;
use crate::model::secret::Reference;
use crate::model::time::Time;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// How a web server of these tests answers.
#[derive(Clone, Copy)]
enum Answers {
    /// As it should.
    Well,
    /// With this status.
    Status(&'static str),
    /// With a body that has no end.
    Endlessly,
    /// Never.
    Never,
}

/// Its address, and what it is sent: head and body.
fn web(answers: Answers) -> (String, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    let (sent, received) = mpsc::channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            if let Some(asked) = request(&stream) {
                let _ = sent.send(asked);
            }
            let _ = match answers {
                Answers::Well => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
                Answers::Status(line) => {
                    stream.write_all(format!("HTTP/1.1 {line}\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n").as_bytes())
                }
                Answers::Endlessly => {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n");
                    std::thread::spawn(move || while stream.write_all(&[b'x'; 64 << 10]).is_ok() {});
                    continue;
                }
                Answers::Never => {
                    held.push(stream);
                    continue;
                }
            };
        }
    });
    (format!("http://{address}/hook"), received)
}

fn request(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

/// A file of mode 600 with a secret in it.
fn secret(directory: &Path, name: &str, text: &str) -> Reference {
    let path = directory.join(name);
    fs::write(&path, format!("{text}\n")).expect("ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    Reference::File(path)
}

fn webhook(directory: &Path, name: &str, url: &str) -> NotifierPolicy {
    let url = secret(directory, name, url);
    policy(name, NotifyTo::Webhook { hook: Hook::Json, url, token: None, ca: None })
}

fn policy(name: &str, to: NotifyTo) -> NotifierPolicy {
    let on = Occasion::ALL.iter().map(|(_, occasion)| *occasion).collect();
    NotifierPolicy { name: name.parse().expect("a name"), on, to }
}

fn notice(on: Occasion, text: &str) -> Notice {
    let (subject, by) = ("r12 promote group1 1.27.0-wmf.11".to_owned(), "alice@deploy1".to_owned());
    Notice { on, at: Time(1_453_402_560_000), subject, by, text: text.to_owned(), lines: Vec::new(), hint: None }
}

/// Tells, waits for the end as a command does, and gives the warnings.
fn tell(to: Vec<NotifierPolicy>, notices: Vec<Notice>) -> Vec<String> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let notifier = Notifier::new(to, Arc::new(move |why: &str| heard.lock().expect("ours").push(why.to_owned())));
    notifier.tell(notices);
    drop(notifier);
    said.lock().expect("ours").clone()
}

fn two() -> Vec<Notice> {
    vec![notice(Occasion::Approved, "approved"), notice(Occasion::RolledBack, "rolled back")]
}

#[test]
fn a_webhook_gets_json_and_its_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let (url, received) = web(Answers::Well);
    let (url, token) = (secret(directory.path(), "url", &url), secret(directory.path(), "token", "t0ken"));
    let hook = Hook::IrcBridge { gateway: "releng".to_owned() };
    let to = policy("irc", NotifyTo::Webhook { hook, url, token: Some(token), ca: None });
    assert_eq!(tell(vec![to], two()), Vec::<String>::new());
    let (head, body) = received.recv().expect("it was asked");
    assert!(head.starts_with("POST /hook HTTP/1.1") && head.contains("authorization: Bearer t0ken"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
    assert_eq!(body["text"], "r12 promote group1 1.27.0-wmf.11: approved");
    assert_eq!(received.recv().expect("in order").1.matches("rolled back").count(), 1);
}

#[test]
fn one_that_is_dead_hangs_refuses_or_babbles_is_one_warning_and_keeps_nothing_from_the_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    let place = |name: &str, url: &str| webhook(directory.path(), name, url);
    let (well, received) = web(Answers::Well);
    let to = vec![
        place("dead", &format!("http://{nobody}/CANARY")),
        place("hanging", &web(Answers::Never).0),
        place("broken", &web(Answers::Status("500 Internal Server Error")).0),
        place("elsewhere", &web(Answers::Status("302 Found")).0),
        place("babbling", &web(Answers::Endlessly).0),
        place("no-url", "CANARY"),
        place("well", &well),
    ];
    let mut warnings = tell(to, two());
    warnings.sort();
    let told = "approved of r12 promote group1 1.27.0-wmf.11";
    let expected = [
        ("broken", "it answers 500".to_owned()),
        ("dead", "connection refused".to_owned()),
        ("elsewhere", "it answers 302".to_owned()),
        ("hanging", format!("no answer within {NOTIFY_MS_MAX} ms")),
        ("no-url", format!("file:{} holds no URL", directory.path().join("no-url").display())),
    ];
    let expected =
        expected.map(|(name, why)| format!("the notifier {name} was not told {told}: {why}; nothing waits for it"));
    assert_eq!(warnings, expected, "one line each, and no secret in any");
    assert_eq!(received.iter().take(2).count(), 2, "who is well was told of both");
}

#[test]
fn a_full_queue_drops_what_is_new_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let to = vec![webhook(directory.path(), "hanging", &web(Answers::Never).0)];
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let notifier = Notifier::new(to, Arc::new(move |why: &str| heard.lock().expect("ours").push(why.to_owned())));
    // More than both queues hold: whichever is full, telling goes on.
    while said.lock().expect("ours").is_empty() {
        notifier.tell([notice(Occasion::WaveDone, "wave")]);
        std::thread::yield_now();
    }
    assert!(said.lock().expect("ours")[0].contains("more than 64 notices wait for hanging"), "{said:?}");
}

#[test]
fn each_is_told_of_what_it_asked_for_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("sal.log");
    let mut to = policy("sal", NotifyTo::Sal(SalTo::File(file.clone())));
    to.on = [Occasion::RolledBack].into();
    let all = directory.path().join("all.log");
    let everything = policy("all", NotifyTo::Sal(SalTo::File(all.clone())));
    assert_eq!(tell(vec![to.clone(), everything], two()), Vec::<String>::new());
    assert_eq!(tell(vec![to], two()), Vec::<String>::new());
    assert_eq!(fs::read_to_string(&all).expect("it is there").lines().count(), 2, "and the other of both");
    let line = "2016-01-21T18:56:00Z alice@deploy1 r12 promote group1 1.27.0-wmf.11: rolled back\n";
    assert_eq!(fs::read_to_string(&file).expect("it is there"), line.repeat(2), "it is appended to");
}

#[test]
fn a_log_is_neither_a_link_nor_a_pipe() {
    let directory = tempfile::tempdir().expect("a directory");
    let (link, pipe) = (directory.path().join("link"), directory.path().join("pipe"));
    fs::write(directory.path().join("other"), "").expect("ours");
    std::os::unix::fs::symlink(directory.path().join("other"), &link).expect("ours");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("ours");
    for path in [link, pipe] {
        let shown = path.display().to_string();
        let said = tell(vec![policy("sal", NotifyTo::Sal(SalTo::File(path)))], two());
        assert!(said.len() == 1 && said[0].contains(&shown), "{said:?}");
    }
    assert_eq!(fs::read_to_string(directory.path().join("other")).expect("ours"), "");
}

#[test]
fn programs_get_the_text_on_their_stdin_and_a_constant_argv() {
    let directory = tempfile::tempdir().expect("a directory");
    let (script, got) = (directory.path().join("sendmail"), directory.path().join("got"));
    // Not sendmail: it writes down what sendmail would be given.
    let text = format!("#!/bin/sh\n{{ echo \"$# $*\"; cat; }} >> '{}'\n", got.display());
    fs::write(directory.path().join("text"), text).expect("ours");
    // By another process: other threads fork, and what one of them holds open for writing can't be executed.
    let mut install = std::process::Command::new("install");
    install.args(["-m", "755"]).arg(directory.path().join("text")).arg(&script);
    assert!(install.status().expect("install runs").success());
    let (from, to) = ("pointsman@deploy1.example.org".to_owned(), vec!["ops@example.org".to_owned()]);
    let mail = policy("mail", NotifyTo::Mail { from, to, sendmail: script.clone() });
    let hostile = notice(Occasion::Owed, "1 host is owed\nBcc: evil@example.org");
    assert_eq!(tell(vec![mail], vec![hostile.clone()]), Vec::<String>::new());
    let mail = fs::read_to_string(&got).expect("it ran");
    assert!(mail.starts_with("2 -t -oi\nFrom: pointsman@deploy1.example.org\nTo: ops@example.org\n"), "{mail}");
    assert!(mail.contains("\nSubject: [pointsman] owed: r12 promote group1 1.27.0-wmf.11\n"), "{mail}");
    assert!(!mail.lines().any(|line| line.starts_with("Bcc")) && mail.contains("owed\\u{a}Bcc"), "{mail}");

    fs::remove_file(&got).expect("ours");
    let sal = policy("sal", NotifyTo::Sal(SalTo::Argv(vec![script.display().to_string(), "--log".to_owned()])));
    assert_eq!(tell(vec![sal], vec![hostile]), Vec::<String>::new());
    let line = fs::read_to_string(&got).expect("it ran");
    assert!(line.starts_with("1 --log\n2016-01-21T18:56:00Z alice@deploy1 r12") && line.lines().count() == 2, "{line}");

    let gone = policy("gone", NotifyTo::Sal(SalTo::Argv(vec![PathBuf::from("/nonexistent").display().to_string()])));
    let failing = ["sh", "-c", "echo no mail today >&2; exit 75"].map(str::to_owned).to_vec();
    let failing = policy("failing", NotifyTo::Sal(SalTo::Argv(failing)));
    let mut said = tell(vec![gone, failing], two());
    said.sort();
    assert!(said[0].contains("exit status: 75: no mail today") && said[1].contains("/nonexistent"), "{said:?}");
}

#[test]
fn syslog_is_a_datagram_here_and_elsewhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let remote = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = remote.local_addr().expect("it has one");
    let here = policy("here", NotifyTo::Syslog(SyslogTo::Socket(path.clone())));
    let there = policy("there", NotifyTo::Syslog(SyslogTo::Udp(address.ip().to_string(), address.port())));
    let hostile = notice(Occasion::GateFailed, "a gate failed\n<0>Jan 1 00:00:00 kernel: fake");
    assert_eq!(tell(vec![here.clone(), there], vec![hostile]), Vec::<String>::new());
    let mut buffer = [0; 4096];
    let n = socket.recv(&mut buffer).expect("it came");
    let (text, pid) = (String::from_utf8_lossy(&buffer[..n]).into_owned(), std::process::id());
    assert!(text.starts_with(&format!("<27>Jan 21 18:56:00 pointsman[{pid}]: r12 promote")), "{text}");
    assert!(text.ends_with("a gate failed\\u{a}<0>Jan 1 00:00:00 kernel: fake"), "{text}");
    let n = remote.recv(&mut buffer).expect("it came");
    let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
    assert!(text.starts_with("<27>1 2016-01-21T18:56:00Z "), "{text}");
    assert!(text.contains(&format!(" pointsman {pid} gate-failed - r12 promote")), "{text}");

    drop(socket);
    fs::remove_file(&path).expect("ours");
    let said = tell(vec![here], two());
    assert!(said.len() == 1 && said[0].contains("No such file"), "{said:?}");
}
