//! A real Prometheus that scrapes two exporters: from freshly started, with nothing, to exporters that stopped.

use super::common::{HOSTS, Server, free_port, gate, host, http, now_ms, read, scope, until};
use pointsman::gate::judge::judge;
use pointsman::gate::reading::{Tally, What};
use pointsman::gate::spec::Kind;
use pointsman::gate::spec::counts::{CountLimits, CountSource, Counts};
use pointsman::gate::spec::numbers::{Condition, Op, Ranks, Rule, Source, Threshold};
use pointsman::model::limits::DURATION_MS_MAX;
use pointsman::model::time::Time;
use pointsman::model::verdict::Verdict;
use pointsman::signal::numbers::{CountsReader, RanksReader, ThresholdReader};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What answers scrapes: ten more requests each time, of which five fail once it is told so. Ends when dropped.
struct Exporter {
    port: u16,
    fails: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Exporter {
    fn start(latency: f64) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        let (fails, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (failing, end) = (Arc::clone(&fails), Arc::clone(&stopped));
        let serve = move || {
            let (mut requests, mut errors) = (0, 0);
            for mut stream in socket.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                requests += 10;
                errors += if failing.load(Ordering::SeqCst) { 5 } else { 0 };
                let body = format!("requests_total {requests}\nerrors_total {errors}\nlatency_seconds {latency}\n");
                let _ = stream.read(&mut [0; 4096]);
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
                let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        };
        Self { port, fails, stopped, thread: Some(std::thread::spawn(serve)) }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Its configuration: it scrapes these, each as one of [`HOSTS`].
fn configured(exporters: &[Exporter]) -> String {
    let mut file = "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n".to_owned();
    for (exporter, host) in exporters.iter().zip(HOSTS) {
        let target = format!("targets: ['127.0.0.1:{}'], labels: {{instance: '{host}:9100'}}", exporter.port);
        file.push_str(&format!("- {{job_name: {host}, static_configs: [{{{target}}}]}}\n"));
    }
    file
}

fn start() -> Server {
    let (data, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let file = data.path().join("prometheus.yml");
    std::fs::write(&file, "global: {}\n").expect("it is written");
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", data.path().join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--web.enable-lifecycle");
    Server::start(command, port, data, "/-/ready")
}

fn source(server: &Server, query: &str, alive: Option<&str>) -> Source {
    Source::Prometheus {
        server: server.url(),
        query: query.to_owned(),
        host_label: "instance".to_owned(),
        alive: alive.map(str::to_owned),
    }
}

fn threshold(server: &Server, query: &str) -> Threshold {
    let rule = Rule::Number { success: Some(Condition { op: Op::Below, limit: 5.0 }), failure: None };
    Threshold { source: source(server, query, None), rule, newest_age_ms_max: 60_000, window_ms: 60_000 }
}

#[test]
fn from_freshly_started_to_blind() {
    let server = start();
    let slowest = threshold(&server, r#"latency_seconds{instance=~"mw2001.*"}"#);
    let verdict = |threshold: &Threshold| {
        let (scope, now) = (scope(now_ms()), now_ms());
        let reading = read(&mut ThresholdReader(threshold.clone()), &scope, now);
        judge(&gate(Kind::Threshold(threshold.clone())), &scope, &reading, Time(now))
    };
    let fresh = read(&mut ThresholdReader(slowest.clone()), &scope(now_ms()), now_ms()).expect("it answers");
    assert_eq!((fresh.what, fresh.newest_age_ms), (What::Number(None), Some(DURATION_MS_MAX)), "no data is no number");
    assert_eq!(verdict(&slowest).verdict, Verdict::Inconclusive);

    let exporters = [Exporter::start(0.5), Exporter::start(0.25)];
    std::fs::write(server.data.path().join("prometheus.yml"), configured(&exporters)).expect("it is written");
    http(server.port, "POST", "/-/reload", "").expect("it reloads");
    until("a number comes", || verdict(&slowest).verdict == Verdict::Pass);
    let unknown = verdict(&threshold(&server, "max(latency_seconds)"));
    assert_eq!((unknown.verdict, unknown.value), (Verdict::Pass, Some(0.5)));
    assert!(unknown.sentence.contains("how old its newest sample is is not known"), "{}", unknown.sentence);
    let broken = verdict(&threshold(&server, "max((latency_seconds"));
    assert_eq!(broken.verdict, Verdict::Error, "{}", broken.sentence);

    ranks(&server);
    let counted = counts(&server, &exporters[0]);
    drop(exporters);
    blind(&server, counted);
}

fn ranks(server: &Server) {
    let from = source(server, "latency_seconds", None);
    let mut spec =
        Ranks { source: from, alpha: 0.01, effect_min: 0.64, floor: 0.0, newest_age_ms_max: 60_000, window_ms: 60_000 };
    let numbers = || {
        let reading = read(&mut RanksReader(spec.clone()), &scope(now_ms()), now_ms()).expect("it answers");
        assert!(reading.newest_age_ms.is_some_and(|age| age < 60_000), "{reading:?}");
        reading.what
    };
    let want = What::Numbers([(host(HOSTS[0]), 0.5), (host(HOSTS[1]), 0.25)].into());
    until("both hosts have a number", || numbers() == want);
    spec.source = source(server, "latency_seconds", Some("no_such_series"));
    let reading = read(&mut RanksReader(spec), &scope(now_ms()), now_ms()).expect("it answers");
    assert_eq!(reading.newest_age_ms, Some(DURATION_MS_MAX), "what shows that it lives is not there");
}

/// Errors begin with the switch, on the switched host; gives the source and the time of the switch.
fn counts(server: &Server, switched: &Exporter) -> (CountSource, u64) {
    let by_host = |name: &str| format!("sum by (instance) (increase({name}[$window]))");
    let events = source(server, &by_host("errors_total"), None);
    let exposure = source(server, &by_host("requests_total"), Some("requests_total"));
    let reader = RefCell::new(CountsReader::new(events.clone(), exposure.clone(), None));
    let tally = |since: u64| -> Tally {
        match read(&mut *reader.borrow_mut(), &scope(since), now_ms()).expect("it answers").what {
            What::Counts(tally) => tally,
            other => panic!("counts were asked for, not {other:?}"),
        }
    };
    let [ours, theirs] = HOSTS.map(host);
    let begun = now_ms();
    until("both hosts are counted", || {
        let hosts = tally(begun).hosts;
        [&ours, &theirs].iter().all(|host| hosts.get(host).is_some_and(|count| count.exposure > 50))
    });
    let since = now_ms();
    switched.fails.store(true, Ordering::SeqCst);
    until("errors are counted, and what was before", || {
        let tally = tally(since);
        let before = tally.before.unwrap_or_default();
        let (ours_now, theirs_now) = (tally.hosts.get(&ours), tally.hosts.get(&theirs));
        ours_now.is_some_and(|count| count.events > 20 && count.exposure > count.events)
            && theirs_now.is_some_and(|count| count.events == 0 && count.exposure > 0)
            && before.get(&ours).is_some_and(|count| count.events == 0 && count.exposure > 0)
    });
    let mut misspelt = CountsReader::new(source(server, &by_host("erorrs_total"), None), exposure.clone(), None);
    let error = read(&mut misspelt, &scope(since), now_ms()).expect_err("it never had a series");
    assert!(error.why.contains("no series in the last week"), "{error}");
    let always = "sum by (instance) (increase(erorrs_total[$window])) or 0 * sum by (instance) (requests_total)";
    let mut silent = CountsReader::new(source(server, always, None), exposure.clone(), None);
    assert!(read(&mut silent, &scope(since), now_ms()).is_ok(), "it always has one");
    (CountSource::Monitoring { events, exposure, wiki_label: None }, since)
}

/// The exporters are gone: rates go on to give numbers, and are no longer believed.
fn blind(server: &Server, (source, since): (CountSource, u64)) {
    let CountSource::Monitoring { events, exposure, .. } = source.clone() else { panic!("it is monitoring") };
    let gate = gate(Kind::Counts(Counts { source, newest_age_ms_max: Some(1000), limits: CountLimits::default() }));
    let reader = RefCell::new(CountsReader::new(events, exposure, None));
    until(&format!("{} is seen to be blind", server.url()), || {
        let now = now_ms();
        let reading = read(&mut *reader.borrow_mut(), &scope(since), now);
        let judged = judge(&gate, &scope(since), &reading, Time(now));
        let What::Counts(tally) = reading.expect("it answers").what else { panic!("counts were asked for") };
        assert!(!tally.hosts.is_empty(), "numbers go on to come");
        judged.verdict == Verdict::Inconclusive && judged.sentence.contains("went blind")
    });
}
