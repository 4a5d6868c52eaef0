//! Traces of rollouts: what is sent by the built program to a collector of these tests, and what a real one makes of it.

use crate::site::{Ran, Site, V11, ran};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a collector may take to show what it was sent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A collector that answers so, or never; its address, and what it is sent: the head and the document.
fn collector(answer: Option<&'static str>) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let (sent, received) = channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut reader = BufReader::new(stream.try_clone().expect("one socket, two hands"));
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {
                let last = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                if let Some(value) = last.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the whole body");
            let _ = sent.send((head, serde_json::from_slice(&body).expect("it is JSON")));
            match answer {
                Some(line) => {
                    drop(write!(stream, "HTTP/1.1 {line}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"))
                }
                None => held.push(stream),
            }
        }
    });
    (format!("http://{address}"), received)
}

fn run(site: &Site, endpoint: &str, arguments: &[&str]) -> Ran {
    let mut command = site.command(arguments);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20CANARY");
    ran(&mut command, arguments)
}

fn spans(document: &Value) -> Vec<Value> {
    document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").clone()
}

fn text<'a>(span: &'a Value, key: &str) -> &'a str {
    span[key].as_str().unwrap_or_else(|| panic!("no {key} in {span}"))
}

fn nanos(span: &Value, key: &str) -> u128 {
    text(span, key).parse().expect("64 bits in decimal digits")
}

#[test]
fn a_collector_gets_one_trace_whose_parents_and_times_are_right() {
    let site = Site::small("");
    let (endpoint, received) = collector(Some("200 OK"));
    run(&site, &endpoint, &["promote", "group0", V11, "-m", "train", "--yes"]).ends(0).hides("CANARY");
    let (head, document) = received.recv().expect("it was sent");
    assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
    assert!(head.contains("content-type: application/json") && head.contains("authorization: Bearer CANARY"), "{head}");
    let spans = spans(&document);
    let by_id: BTreeMap<&str, &Value> = spans.iter().map(|span| (text(span, "spanId"), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "each span has an id of its own");
    let path = |span: &Value| {
        let (mut names, mut at) = (vec![text(span, "name").to_owned()], span);
        while let Some(parent) = by_id.get(text(at, "parentSpanId")) {
            assert!(nanos(parent, "startTimeUnixNano") <= nanos(at, "startTimeUnixNano"), "{parent} {at}");
            assert!(nanos(parent, "endTimeUnixNano") >= nanos(at, "endTimeUnixNano"), "{parent} {at}");
            names.insert(0, text(parent, "name").to_owned());
            at = parent;
        }
        assert_eq!(text(at, "parentSpanId"), "", "it leads to the root");
        names.join(" / ")
    };
    let paths: Vec<String> = spans.iter().map(path).collect();
    let root = "promote group0";
    let mut expected = vec![root.to_owned(), format!("{root} / prove")];
    expected.extend(site.hosts().iter().map(|host| format!("{root} / prove / {host}")));
    expected.push(format!("{root} / switch"));
    for (number, host) in site.hosts().iter().enumerate() {
        let wave = format!("{root} / switch / wave {} of 3", number + 1);
        expected.extend([wave.clone(), format!("{wave} / {host}")]);
    }
    assert_eq!(paths, expected);
    for span in &spans {
        assert_eq!((text(span, "traceId").len(), text(span, "spanId").len()), (32, 16));
        assert_eq!(text(span, "traceId"), text(&spans[0], "traceId"));
        assert!(nanos(span, "startTimeUnixNano") <= nanos(span, "endTimeUnixNano"), "{span}");
        for event in span["events"].as_array().expect("a list") {
            let at = nanos(event, "timeUnixNano");
            assert!((nanos(span, "startTimeUnixNano")..=nanos(span, "endTimeUnixNano")).contains(&at), "{span}");
        }
    }
    assert_eq!(spans[0]["status"]["code"], 1, "OK");
    // The books give the same once more.
    let shown: Value = serde_json::from_str(&site.run(&["show", "r2", "--otlp"]).ends(0).stdout).expect("it is JSON");
    assert_eq!(spans, self::spans(&shown));
}

#[test]
fn a_collector_that_hangs_refuses_or_is_gone_costs_one_warning() {
    let site = Site::small("");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    for (endpoint, why) in [
        (collector(None).0, "no answer within 5000 ms".to_owned()),
        (collector(Some("503 No")).0, "it answers 503".to_owned()),
        (format!("http://{gone}"), "connection refused".to_owned()),
        ("gone".to_owned(), "OTEL_EXPORTER_OTLP_ENDPOINT is no URL".to_owned()),
    ] {
        let said = run(&site, &endpoint, &["sync-common", "--yes"]).ends(0).hides("CANARY");
        assert!(said.stderr.contains(&format!("warning: its trace was not sent: {why}")), "{said}");
    }
}

/// Rotel, a collector that others use, ended with the test; it writes what it understood of each span.
struct Rotel {
    child: Child,
    said: Receiver<String>,
}

impl Rotel {
    fn start(site: &Site, port: u16) -> Self {
        let lib = concat!(env!("CARGO_MANIFEST_DIR"), "/target/rotel/lib");
        let python = std::fs::read_dir(lib).ok().and_then(|mut entries| entries.next()?.ok());
        let python = python.expect("rotel is installed below target: scripts/test does that");
        let mut command = Command::new(python.path().join("site-packages/rotel/rotel-agent"));
        command
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed"]);
        command.arg("--otlp-http-endpoint").arg(format!("127.0.0.1:{port}"));
        command.args(["--otlp-grpc-endpoint", "127.0.0.1:0", "--pid-file"]).arg(site.path("rotel.pid"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (sender, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let begun = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, said }
    }

    /// What it says of the next span up to its status: parent, id, name, times and status.
    fn next(&self) -> [String; 6] {
        let keys = ["Parent ID", "ID", "Name", "Start time", "End time", "Status code"];
        let mut found = [const { String::new() }; 6];
        while found[5].is_empty() {
            let line = self.said.recv_timeout(PATIENCE).expect("a span is shown");
            let Some((key, value)) = line.split_once(':') else { continue };
            if let Some(number) = keys.iter().position(|known| *known == key.trim()) {
                found[number] = value.trim().to_owned();
            }
        }
        found
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_collector_understands_every_span() {
    let site = Site::small("");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port is free").port();
    let collector = Rotel::start(&site, port);
    let endpoint = format!("http://127.0.0.1:{port}");
    let ran = run(&site, &endpoint, &["promote", "group0", V11, "-m", "train", "--yes"]).ends(0);
    assert!(!ran.stderr.contains("its trace was not sent"), "{ran}");
    let shown: Value = serde_json::from_str(&site.run(&["show", "r2", "--otlp"]).ends(0).stdout).expect("it is JSON");
    for span in spans(&shown) {
        let [parent, id, name, start, end, status] = collector.next();
        assert_eq!(
            [parent, id, name].each_ref().map(String::as_str),
            ["parentSpanId", "spanId", "name"].map(|key| text(&span, key))
        );
        assert_eq!(
            [start, end].each_ref().map(String::as_str),
            ["startTimeUnixNano", "endTimeUnixNano"].map(|key| text(&span, key))
        );
        let code = span["status"]["code"].as_u64().unwrap_or_default() as usize;
        assert_eq!(status, ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"][code], "{span}");
    }
}
