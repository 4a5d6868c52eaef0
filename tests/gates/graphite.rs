//! A real Graphite: carbon takes points by its plaintext protocol, graphite-web renders them.

use super::common::{Server, free_port, gate, http, now_ms, read, scope, until};
use pointsman::gate::judge::judge;
use pointsman::gate::reading::What;
use pointsman::gate::spec::Kind;
use pointsman::gate::spec::numbers::{PercentAbove, Rule, Source, Threshold};
use pointsman::model::time::Time;
use pointsman::model::verdict::{Judgement, Verdict};
use pointsman::signal::numbers::ThresholdReader;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// graphite-web on a port of its own, with the server that Python has.
const WEB: &str = "\
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server
from graphite.wsgi import application
class Threaded(ThreadingMixIn, WSGIServer): daemon_threads = True
make_server('127.0.0.1', int(sys.argv[1]), application, Threaded).serve_forever()
";

/// Where points go in and where they come out.
struct Graphite {
    web: Server,
    carbon: Server,
}

impl Graphite {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let [lines, pickles, queries, port] = [(); 4].map(|()| free_port());
        let at = data.path().to_owned();
        let write = |name: &str, text: &str| std::fs::write(at.join(name), text).expect("it is written");
        for name in ["conf", "log", "run", "whisper"] {
            std::fs::create_dir(at.join(name)).expect("a directory");
        }
        write("conf/carbon.conf", &carbon_conf(&at, [lines, pickles, queries]));
        write("conf/storage-schemas.conf", "[all]\npattern = .*\nretentions = 60s:1d\n");
        write("settings_of_test.py", &settings(&at, queries));
        write("web.py", WEB);
        let mut web = Command::new("/usr/bin/python3");
        web.arg(at.join("web.py")).arg(port.to_string()).env("PYTHONPATH", &at);
        web.env("GRAPHITE_SETTINGS_MODULE", "settings_of_test");
        let mut carbon = Command::new("carbon-cache");
        carbon.arg(format!("--config={}", at.join("conf/carbon.conf").display()));
        carbon.arg(format!("--pidfile={}", at.join("run/carbon.pid").display()));
        carbon.arg(format!("--logdir={}", at.join("log").display())).args(["--nodaemon", "start"]);
        let carbon = Server::listening(carbon, lines, tempfile::tempdir().expect("a directory"));
        let web = Server::start(web, port, data, "/render?format=json&target=none");
        Self { web, carbon }
    }

    /// A point a minute, the newest of which is of this minute's begin.
    fn take(&self, name: &str, points: &[Option<f64>], newest_ms: u64) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.carbon.port)).expect("carbon listens");
        for (back, point) in points.iter().rev().enumerate() {
            if let Some(point) = point {
                writeln!(stream, "{name} {point} {}", newest_ms / 1000 - 60 * back as u64).expect("carbon reads");
            }
        }
    }
}

fn carbon_conf(at: &Path, [lines, pickles, queries]: [u16; 3]) -> String {
    let at = at.display();
    format!(
        "[cache]\nUSER =\nSTORAGE_DIR = {at}\nCONF_DIR = {at}/conf\nLOG_DIR = {at}/log\nPID_DIR = {at}/run\n\
         LOCAL_DATA_DIR = {at}/whisper\nLINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {lines}\n\
         PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickles}\n\
         CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {queries}\nMAX_CREATES_PER_MINUTE = inf\n\
         ENABLE_LOGROTATION = False\nCARBON_METRIC_INTERVAL = 0\n"
    )
}

fn settings(at: &Path, queries: u16) -> String {
    let at = at.display();
    format!(
        "SECRET_KEY = 'test'\nALLOWED_HOSTS = ['*']\nTIME_ZONE = 'UTC'\nSTORAGE_DIR = '{at}'\nLOG_DIR = '{at}/log'\n\
         INDEX_FILE = '{at}/index'\nWHISPER_DIR = '{at}/whisper'\nSTANDARD_DIRS = ['{at}/whisper']\n\
         CARBONLINK_HOSTS = ['127.0.0.1:{queries}']\n\
         DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': '{at}/graphite.db'}}}}\n"
    )
}

fn threshold(graphite: &Graphite, target: &str) -> Threshold {
    Threshold {
        source: Source::Graphite { server: graphite.web.url(), target: target.to_owned(), host_node: None },
        rule: Rule::PercentAbove(PercentAbove {
            warn: 250.0,
            crit: 1000.0,
            percent: 1.0,
            under: false,
            warning_fails: false,
        }),
        newest_age_ms_max: 300_000,
        window_ms: 600_000,
    }
}

/// Whether these are the points by now. While carbon creates the file of a metric, graphite-web may answer with status 500.
fn came(points: &[Option<f64>], threshold: &Threshold, now: u64) -> bool {
    match read(&mut ThresholdReader(threshold.clone()), &scope(now - 60_000), now) {
        Ok(reading) => reading.what == What::Points(points.to_vec()),
        Err(error) if error.why.starts_with("status 500") => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// The points and what is made of them, at the end of a minute.
fn judged(threshold: &Threshold, now: u64) -> (Vec<Option<f64>>, Judgement) {
    let scope = scope(now - 60_000);
    let reading = read(&mut ThresholdReader(threshold.clone()), &scope, now);
    let judgement = judge(&gate(Kind::Threshold(threshold.clone())), &scope, &reading, Time(now));
    match reading.expect("it answers").what {
        What::Points(points) => (points, judgement),
        other => panic!("points were asked for, not {other:?}"),
    }
}

#[test]
fn the_alert_of_the_incident_end_to_end() {
    let graphite = Graphite::start();
    // Kept for a day, so points are of today; the minute that has begun is left alone.
    let now = now_ms() / 60_000 * 60_000 - 1000;
    let newest = now / 60_000 * 60_000;
    let points = [1500.0, 1400.0, 1200.0, 1100.0, 300.0, 200.0, 100.0, 50.0, 10.0].map(Some);
    let alert: Vec<Option<f64>> = points.into_iter().chain([None]).collect();
    graphite.take("MediaWiki.edit.failures.session_loss", &alert, newest);
    let session_loss = threshold(&graphite, "MediaWiki.edit.failures.session_loss");
    until("carbon has all points", || came(&alert, &session_loss, now));
    let (_, judgement) = judged(&session_loss, now);
    assert_eq!(judgement.verdict, Verdict::Fail);
    let says = "44.44% of data above the critical threshold [1000.0]";
    assert!(judgement.sentence.contains(says), "{}", judgement.sentence);

    let fine = [10.0; 10].map(Some);
    graphite.take("fine", &fine, newest);
    until("carbon has the other points", || came(&fine, &threshold(&graphite, "fine"), now));
    assert_eq!(judged(&threshold(&graphite, "fine"), now).1.verdict, Verdict::Pass);

    let http_says = http(graphite.web.port, "GET", "/render?format=json&target=no.such.metric", "");
    assert!(http_says.is_ok_and(|said| said.contains(" 200 ") && said.ends_with("[]")), "as if all were well");
    let (points, judgement) = judged(&threshold(&graphite, "no.such.metric"), now);
    assert_eq!((points.len(), judgement.verdict), (0, Verdict::Inconclusive));

    let stopped: Vec<_> = [Some(10.0); 4].into_iter().chain([None; 6]).collect();
    graphite.take("stopped", &stopped, newest);
    until("carbon has those that came", || came(&stopped, &threshold(&graphite, "stopped"), now));
    let judgement = judged(&threshold(&graphite, "stopped"), now).1;
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(judgement.sentence.contains("went blind"), "{}", judgement.sentence);
}
