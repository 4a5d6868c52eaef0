//! Counts, numbers and series out of VictoriaMetrics, which speaks Prometheus' protocol and takes old samples at once;
//! and what is made of servers that answer nonsense.

use super::common::{self, Server, free_port, http, scope};
use pointsman::gate::reading::{ReadError, Reading, What};
use pointsman::gate::spec::numbers::{Condition, Op, PercentAbove, Rule, Source, Threshold};
use pointsman::model::names::HostName;
use pointsman::model::verdict::Count;
use pointsman::signal::Provider;
use pointsman::signal::numbers::{CountsReader, ThresholdReader};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

/// 2026, in the retention that the server is started with.
const SINCE_MS: u64 = 1_790_000_000_000;

/// A server of its own.
pub struct Victoria(Server);

impl Victoria {
    /// One that has nothing yet.
    pub fn start() -> Self {
        let (data, port) = (tempfile::tempdir().expect("a directory"), free_port());
        let mut command = Command::new("victoria-metrics");
        command.arg(format!("-storageDataPath={}", data.path().join("data").display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        command.args(["-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.disableCache"]);
        Self(Server::start(command, port, data, "/health"))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Takes samples: when, ms since 1970, and the number.
    pub fn take(&self, metric: serde_json::Value, samples: &[(u64, f64)]) {
        let (timestamps, values): (Vec<u64>, Vec<f64>) = samples.iter().copied().unzip();
        let row = serde_json::json!({"metric": metric, "values": values, "timestamps": timestamps});
        let answer = http(self.0.port, "POST", "/api/v1/import", &row.to_string()).expect("it takes samples");
        assert!(answer.contains(" 204 "), "{answer}");
        http(self.0.port, "GET", "/internal/force_flush", "").expect("it flushes");
    }

    /// A sample every minute from ten minutes before the switch to ten minutes after it.
    fn import(&self, name: &str, host: &str, value: impl Fn(u64) -> f64) {
        let samples: Vec<_> = (0..=20).map(|m| (SINCE_MS - 600_000 + m * 60_000, value(m))).collect();
        self.take(serde_json::json!({"__name__": name, "instance": format!("{host}:9100")}), &samples);
    }
}

/// Ten minutes after the switch.
fn read(provider: &mut impl Provider) -> Result<Reading, ReadError> {
    common::read(provider, &scope(SINCE_MS), SINCE_MS + 600_000)
}

fn source(server: &str, query: &str) -> Source {
    let (server, query, host_label) = (server.to_owned(), query.to_owned(), "instance".to_owned());
    Source::Prometheus { server, query, host_label, alive: None }
}

fn number(source: Source) -> ThresholdReader {
    let rule = Rule::Number { success: Some(Condition { op: Op::Below, limit: 5.0 }), failure: None };
    ThresholdReader(Threshold { source, rule, newest_age_ms_max: 300_000, window_ms: 600_000 })
}

#[test]
fn counts_numbers_and_series_of_a_real_server() {
    let server = Victoria::start();
    let minutes_after = |minute: u64| minute.saturating_sub(10) as f64;
    for host in ["mw2001.codfw.wmnet", "mw2002.codfw.wmnet", "db1.codfw.wmnet"] {
        server.import("requests_total", host, |minute| 100.0 * minute as f64);
    }
    server.import("errors_total", "mw2001.codfw.wmnet", |minute| 7.0 * minutes_after(minute));
    let url = server.url();

    let by_host = |name: &str| source(&url, &format!("sum by (instance) (increase({name}[$window]))"));
    let mut counts = CountsReader::new(by_host("errors_total"), by_host("requests_total"), None);
    let What::Counts(tally) = read(&mut counts).expect("it answers").what else { panic!("counts were asked for") };
    let of = |events, exposure| Count { events, exposure };
    let names = ["mw2001.codfw.wmnet", "mw2002.codfw.wmnet"].map(|name| name.parse::<HostName>().expect("a host"));
    let hosts: Vec<_> = names.iter().map(|host| tally.hosts[host]).collect();
    assert_eq!(hosts, [of(70, 1000), of(0, 1000)], "no series of errors is no errors, where there is exposure");
    assert_eq!(tally.hosts.len(), 2, "a host that is not in scope is left out");
    let before = tally.before.expect("it can tell");
    assert_eq!((before[&names[0]].events, before[&names[1]].events), (0, 0));
    assert!(before[&names[0]].exposure >= 900, "{before:?}");

    let what = |query: &str| read(&mut number(source(&url, query))).map(|reading| reading.what);
    assert_eq!(what("sum(errors_total)"), Ok(What::Number(Some(70.0))));
    assert_eq!(what("absent_of_all"), Ok(What::Number(None)), "an empty vector is no data");
    assert!(what("requests_total").expect_err("three series").why.contains("3 series"));
    assert!(what("sum((").is_err(), "a query that is broken");

    let classic = PercentAbove { warn: 250.0, crit: 1000.0, percent: 1.0, under: false, warning_fails: false };
    let mut series = number(source(&url, "sum(errors_total)"));
    series.0.rule = Rule::PercentAbove(classic);
    let What::Points(points) = read(&mut series).expect("it answers").what else { panic!("points were asked for") };
    assert_eq!((points.first(), points.last()), (Some(&Some(0.0)), Some(&Some(70.0))));
}

/// A server that gives every question this answer and hangs up.
fn answering(answer: &'static str) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        if let Ok((mut stream, _)) = socket.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn s17_a_source_that_is_down_or_answers_nonsense_is_an_error_and_never_a_number() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let good = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let failing: &'static str = format!("HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n{good}").leak();
    let huge: &'static str = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\"{}", "x".repeat(17 << 20)).leak();
    let fine: &'static str = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{good}").leak();
    let bad = [
        format!("http://{closed}"),
        answering("garbage"),
        answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":"),
        answering("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>\u{1b}[2J</html>"),
        answering(failing),
        answering(moved),
        answering(huge),
    ];
    for server in bad {
        let error = read(&mut number(source(&server, "sum(up)"))).expect_err("no number");
        assert!(!error.why.is_empty() && !error.why.contains(char::is_control), "{error}");
    }
    let reading = read(&mut number(source(&answering(fine), "sum(up)"))).expect("the good answer is read");
    assert_eq!(reading.what, What::Number(Some(1.0)), "so the others fail for what is wrong with them");
}
