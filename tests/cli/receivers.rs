//! What real receivers of notices make of them: msmtp in the place of sendmail, and rsyslogd.
//!
//! Invariant: the message is as hostile as an operator can type it, and what is judged is what arrived behind the receiver.

use crate::notified::{notify, who};
use crate::site::{Site, V11};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What a notice of the train begins with when somebody agreed to it.
const TRAIN: &str = "r2 promote group0 1.27.0-wmf.11: approved, by";

/// After so long it will not come any more, so that the test ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// One mail as it came over SMTP.
struct Mail {
    /// `MAIL FROM:<...>` and what else was said beside the mail.
    commands: Vec<String>,
    /// Its lines, the dots that SMTP doubles taken back.
    lines: Vec<String>,
}

/// Not a mail server: it speaks as much of SMTP (RFC 5321) as takes one mail, and says yes to everything. Its port.
fn smtp() -> (u16, Receiver<Mail>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    let (sent, received) = channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody connects");
        let (mut answers, mut lines) =
            (stream.try_clone().expect("one socket, two hands"), BufReader::new(stream).lines());
        let mut mail = Mail { commands: Vec::new(), lines: Vec::new() };
        write!(answers, "220 a test\r\n").expect("it listens");
        while let Some(Ok(command)) = lines.next() {
            let answer = match command.as_str() {
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "250 yes",
            };
            write!(answers, "{answer}\r\n").expect("it listens");
            if command == "DATA" {
                let data = lines.by_ref().map(|line| line.expect("it is UTF-8")).take_while(|line| line != ".");
                mail.lines = data.map(|line| line.strip_prefix('.').unwrap_or(&line).to_owned()).collect();
                write!(answers, "250 taken\r\n").expect("it listens");
            }
            mail.commands.push(command);
        }
        let _ = sent.send(mail);
    });
    (port, received)
}

/// msmtp takes a lone dot for no end, with or without `-oi`; that sendmail is told so is tested beside the code.
#[test]
fn s13_a_mail_arrives_whole_and_a_hostile_message_adds_no_header_and_no_recipient() {
    let site = Site::small("");
    let (port, received) = smtp();
    site.write("msmtprc", &format!("account default\nhost 127.0.0.1\nport {port}\nfrom bounces@example.org\n"));
    site.write("sendmail", &format!("#!/bin/sh\nexec msmtp -C '{}' \"$@\"\n", site.path("msmtprc").display()));
    fs::set_permissions(site.path("sendmail"), PermissionsExt::from_mode(0o755)).expect("chmod");
    let sendmail = site.path("sendmail").display().to_string();
    notify(
        &site,
        &format!(
            "  - {{name: mail, to: mail, from: train@example.org, recipients: [ops@example.org, b@example.org], \
             sendmail: \"{sendmail}\", on: [approved]}}\n"
        ),
    );
    // Words as long as a line of a mail leave the dot between them one of its own.
    let (long, longer) = ("a".repeat(100), "b".repeat(100));
    let message = format!("x\r\n.\r\nBcc: e@f.org\r\n\r\n {long} . {longer} End é");
    let ran = site.run(&["promote", "group0", V11, "--yes", "-m", &message]).ends(0);
    assert!(!ran.stderr.contains("notifier"), "{ran}");
    let mail = received.recv_timeout(PATIENCE).expect("it comes");
    let said: Vec<&str> = mail.commands.iter().map(String::as_str).skip(1).collect();
    let to = ["RCPT TO:<ops@example.org>", "RCPT TO:<b@example.org>"];
    assert_eq!(said, [&["MAIL FROM:<bounces@example.org>"], &to[..], &["DATA", "QUIT"]].concat());
    let end = mail.lines.iter().position(String::is_empty).expect("headers end");
    // The date and the identity of a mail are sendmail's to give.
    let theirs = |line: &&String| line.starts_with("Date: ") || line.starts_with("Message-ID: ");
    let (given, ours): (Vec<&String>, Vec<&String>) = mail.lines[..end].iter().partition(theirs);
    assert_eq!(given.len(), 2, "{given:?}");
    assert_eq!(
        ours,
        [
            "From: train@example.org",
            "To: ops@example.org, b@example.org",
            "Subject: [pointsman] approved: r2 promote group0 1.27.0-wmf.11",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
        ]
    );
    let body = &mail.lines[end + 1..];
    let shown = message.replace('\r', "\\u{d}").replace('\n', "\\u{a}");
    assert!(body.join(" ").contains(&format!("{TRAIN} {}: {shown}", who())), "{body:#?}");
    assert!(body.last().is_some_and(|line| line.ends_with(&format!(", by {}", who()))), "{body:#?}");
    assert!(body.iter().any(|line| line == "."), "there is such a line, and more follows: {body:#?}");
}

/// rsyslogd with a socket and a port of its own, ended with the test; what it made of messages comes out of a pipe.
struct Syslog {
    pid: Pid,
    said: Receiver<String>,
}

impl Syslog {
    /// It goes to the background once it listens.
    fn start(site: &Site, socket: &str, port: u16) -> Self {
        let (pipe, pid) = (site.path("said"), site.path("rsyslogd.pid"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        // Held open for both, so that nobody waits for the other and the pipe never ends.
        let pipe_ends = OpenOptions::new().read(true).write(true).open(&pipe).expect("it is ours");
        let (sender, said) = channel();
        std::thread::spawn(move || {
            BufReader::new(pipe_ends).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let parts = "%syslogfacility-text%.%syslogseverity-text% %app-name% %procid% %msgid% %msg%";
        site.write(
            "rsyslog.conf",
            &format!(
                "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{socket}\")\n\
                 module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")\n\
                 template(name=\"parts\" type=\"string\" string=\"{parts}\\n\")\n\
                 action(type=\"ompipe\" pipe=\"{}\" template=\"parts\")\n",
                pipe.display()
            ),
        );
        let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/target/rsyslog");
        let libraries = fs::read_dir(format!("{unpacked}/usr/lib")).into_iter().flatten().flatten();
        let libraries = libraries.map(|entry| entry.path()).find(|path| path.join("rsyslog").is_dir());
        let libraries = libraries.expect("rsyslog is unpacked below target: scripts/test does that");
        let mut command = Command::new(format!("{unpacked}/usr/sbin/rsyslogd"));
        command.arg("-M").arg(libraries.join("rsyslog")).env("LD_LIBRARY_PATH", &libraries);
        command.arg("-f").arg(site.path("rsyslog.conf")).arg("-i").arg(&pid).stdin(Stdio::null());
        let ended = command.status().expect("it starts");
        assert!(ended.success(), "{ended}");
        let pid = fs::read_to_string(pid).ok().and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
        Self { pid: pid.expect("it wrote its number"), said }
    }

    /// The next message: facility and severity, program, process, occasion, text.
    fn next(&self) -> Vec<String> {
        let line = self.said.recv_timeout(PATIENCE).expect("a message comes");
        line.trim_end().splitn(5, ' ').map(|part| part.trim_start().to_owned()).collect()
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::TERM);
    }
}

#[test]
fn s13_rsyslogd_reads_both_forms_and_a_hostile_message_is_one_line_of_ours() {
    let site = Site::small("");
    let socket = site.path("log.socket").display().to_string();
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port is free").port();
    let syslog = Syslog::start(&site, &socket, port);
    notify(
        &site,
        &format!(
            "  - {{name: here, to: syslog, address: \"{socket}\", on: [approved, ended]}}\n  \
             - {{name: there, to: syslog, address: \"127.0.0.1:{port}\", on: [approved, ended]}}\n"
        ),
    );
    let message = "x\n<0>Jan  1 00:00:00 kernel: fake\r\n<0>1 2016-01-21T18:56:00Z h kernel - - - fake";
    let ran = site.run(&["promote", "group0", V11, "--yes", "-m", message]).ends(0);
    assert!(!ran.stderr.contains("notifier"), "{ran}");
    let mut said: Vec<Vec<String>> = (0..4).map(|_| syslog.next()).collect();
    // The two ways are read side by side; that of the socket knows no occasion.
    said.sort_by_key(|line| line[3].clone());
    let text = format!("{TRAIN} {}: {}", who(), message.replace('\n', "\\u{a}").replace('\r', "\\u{d}"));
    let process = said[0][2].clone();
    assert!(process.parse::<u32>().is_ok(), "{said:#?}");
    let approved = |way: &str| ["daemon.notice", "pointsman", &process, way, &text].map(str::to_owned);
    assert_eq!(said[0], approved("-"), "{said:#?}");
    assert!(said[1][..4] == approved("-")[..4] && said[1][4].contains("11: done: group0"), "{said:#?}");
    assert_eq!(said[2], approved("approved"), "{said:#?}");
    assert!(said[3][..4] == approved("ended")[..4] && said[3][4] == said[1][4], "{said:#?}");
}
