//! Traces of rollouts: what a collector of these tests is sent by the built program.

use crate::site::{Ran, Site, V11, ran};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

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
