//! Counts, numbers and series out of VictoriaMetrics, which speaks Prometheus' protocol and takes old samples at once;
//! and what is made of servers that answer nonsense.

use pointsman::gate::reading::{ReadError, Reading, What};
use pointsman::gate::scope::Scope;
use pointsman::gate::spec::numbers::{Condition, Op, PercentAbove, Rule, Source, Threshold};
use pointsman::model::fault::Fault;
use pointsman::model::names::HostName;
use pointsman::model::question::{Answer, Question};
use pointsman::model::time::Time;
use pointsman::model::verdict::Count;
use pointsman::signal::numbers::{CountsReader, ThresholdReader};
use pointsman::signal::{Provider, World};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// 2026, in the retention that the server is started with.
const SINCE_MS: u64 = 1_790_000_000_000;

/// A world in which it is ten minutes after the switch, and that has no hosts to ask.
struct Now;

impl World for Now {
    async fn ask(&self, _: &HostName, _: Question, _: Duration) -> Result<Answer, Fault> {
        unreachable!("monitoring asks no host")
    }

    async fn web(&self, _: &HostName) -> Result<SocketAddr, String> {
        unreachable!("monitoring asks no host")
    }

    fn now(&self) -> Time {
        Time(SINCE_MS + 600_000)
    }
}

/// A server of its own, ended with the test.
struct Victoria {
    child: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Drop for Victoria {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn http(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Victoria {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.expect("a free port").port();
        let mut command = Command::new("victoria-metrics");
        command.arg(format!("-storageDataPath={}", data.path().join("data").display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        command.args(["-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.disableCache"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("victoria-metrics is installed: scripts/lib.sh says how");
        let server = Self { child, port, _data: data };
        let patience = Instant::now() + Duration::from_secs(60);
        while !http(port, "GET", "/health", "").is_ok_and(|answer| answer.contains("200 OK")) {
            assert!(Instant::now() < patience, "victoria-metrics does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A sample every minute from ten minutes before the switch to ten minutes after it.
    fn import(&self, name: &str, host: &str, value: impl Fn(u64) -> f64) {
        let minutes: Vec<u64> = (0..=20).collect();
        let row = serde_json::json!({
            "metric": {"__name__": name, "instance": format!("{host}:9100")},
            "values": minutes.iter().map(|minute| value(*minute)).collect::<Vec<_>>(),
            "timestamps": minutes.iter().map(|minute| SINCE_MS - 600_000 + minute * 60_000).collect::<Vec<_>>(),
        });
        let answer = http(self.port, "POST", "/api/v1/import", &row.to_string()).expect("it takes samples");
        assert!(answer.contains(" 204 "), "{answer}");
        http(self.port, "GET", "/internal/force_flush", "").expect("it flushes");
    }
}

fn scope() -> Scope {
    let host = |name: &str| [name.parse().expect("a host")].into_iter().collect();
    Scope {
        others: Default::default(),
        rolled: host("mw2001.codfw.wmnet"),
        control: host("mw2002.codfw.wmnet"),
        group: None,
        version: None,
        wikis: BTreeMap::new(),
        since: Time(SINCE_MS),
    }
}

fn read(provider: &mut impl Provider) -> Result<Reading, ReadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(provider.read(&scope(), &Now))
}

fn source(server: &str, query: &str) -> Source {
    Source::Prometheus { server: server.to_owned(), query: query.to_owned(), host_label: "instance".to_owned() }
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
    let mut counts =
        CountsReader { events: by_host("errors_total"), exposure: by_host("requests_total"), wiki_label: None };
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
fn a_source_that_is_down_or_answers_nonsense_is_an_error_and_never_a_number() {
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
        let error = read(&mut number(source(&server, "up"))).expect_err("no number");
        assert!(!error.why.is_empty() && !error.why.contains(char::is_control), "{error}");
    }
    let reading = read(&mut number(source(&answering(fine), "up"))).expect("the good answer is read");
    assert_eq!(reading.what, What::Number(Some(1.0)), "so the others fail for what is wrong with them");
}
