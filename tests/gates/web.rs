//! Probes, served versions and contracts against a real nginx, with TLS and without.

use crate::common::{HOSTS, Server, free_port, gate, host, scope};
use expect_test::{Expect, expect};
use pointsman::config::policy::Web;
use pointsman::gate::judge::judge;
use pointsman::gate::reading::{ReadError, Reading};
use pointsman::gate::spec::Kind;
use pointsman::gate::spec::probe::{Assert, Contract, Journey, Probe, Served, ServedField, Step, Target};
use pointsman::model::fault::Fault;
use pointsman::model::names::HostName;
use pointsman::model::question::{Answer, Question};
use pointsman::model::time::Time;
use pointsman::model::verdict::Verdict;
use pointsman::signal::contract::Comparer;
use pointsman::signal::probe::Prober;
use pointsman::signal::served::Asker;
use pointsman::signal::{Provider, World};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The name in certificates and in the Host header.
const NAME: &str = "enwiki.example";

/// Where the two hosts' web servers are.
struct Places(BTreeMap<HostName, SocketAddr>);

impl Places {
    fn of(ports: [u16; 2]) -> Self {
        let place = |(name, port): (&str, u16)| (host(name), SocketAddr::from(([127, 0, 0, 1], port)));
        Self(HOSTS.into_iter().zip(ports).map(place).collect())
    }
}

impl World for Places {
    async fn ask(&self, _: &HostName, _: Question, _: Duration) -> Result<Answer, Fault> {
        unreachable!("web servers are asked, not agents")
    }

    async fn web(&self, host: &HostName) -> Result<SocketAddr, String> {
        self.0.get(host).copied().ok_or_else(|| "nobody knows".to_owned())
    }

    fn now(&self) -> Time {
        Time(1)
    }
}

fn read(provider: &mut impl Provider, places: &Places) -> Result<Reading, ReadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(provider.read(&scope(1), places))
}

fn openssl(directory: &Path, arguments: &str) {
    let ran = Command::new("openssl").current_dir(directory).args(arguments.split(' ')).output().expect("openssl runs");
    assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// `ca.pem`, and certificates of its: `good`, `expired`, `other` (for another name), and `alien`, which nobody vouches for.
fn certificates(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for issuer in ["ca", "stranger"] {
        openssl(
            directory,
            &format!("req -x509 {key} -keyout {issuer}.key -out {issuer}.pem -subj /CN={issuer} -days 2"),
        );
    }
    for (name, issuer, of, days) in [
        ("good", "ca", NAME, 2),
        ("expired", "ca", NAME, -1),
        ("other", "ca", "dewiki.example", 2),
        ("alien", "stranger", NAME, 2),
    ] {
        std::fs::write(directory.join("ext"), format!("subjectAltName=DNS:{of}\n")).expect("written");
        openssl(directory, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={of}"));
        let signed =
            format!("x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -extfile ext");
        openssl(directory, &format!("{signed} -days {days} -out {name}.pem"));
    }
}

/// An nginx with these `server` blocks; ports are what `PORT0`, `PORT1` ... stand for.
fn nginx(servers: &str) -> (Server, Vec<u16>) {
    let data = tempfile::tempdir().expect("a directory");
    certificates(data.path());
    std::fs::write(data.path().join("huge"), vec![b'x'; 2 << 20]).expect("written");
    let count = servers.matches("listen 127.0.0.1:PORT").count();
    let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
    let mut servers = servers.to_owned();
    for (number, port) in ports.iter().enumerate() {
        servers = servers.replace(&format!("PORT{number}"), &port.to_string());
    }
    let home = data.path().display().to_string();
    let paths =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {home}/{kind};"));
    let text = format!(
        "daemon off;\nmaster_process off;\npid {home}/pid;\nerror_log {home}/errors;\nevents {{}}\nhttp {{\naccess_log off;\n{}\n{}\n}}\n",
        paths.join("\n"),
        servers.replace("HOME", &home)
    );
    std::fs::write(data.path().join("nginx.conf"), text).expect("written");
    let mut command = Command::new("nginx");
    command.arg("-c").arg(data.path().join("nginx.conf")).arg("-e").arg(data.path().join("errors"));
    (Server::listening(command, ports[0], data), ports)
}

fn step(path: &str, redirects_max: u32, asserts: Vec<Assert>) -> Step {
    Step {
        jar: "a".into(),
        target: Target::Scope,
        tls: None,
        host_header: NAME.into(),
        method: "GET".into(),
        path: path.into(),
        headers: Vec::new(),
        body: None,
        redirects_max,
        asserts,
    }
}

fn probe(step: Step, deadline_ms: u64) -> Probe {
    let journey = Journey { name: "front".into(), steps: vec![step] };
    Probe { journeys: vec![journey], needed: 1, tries: 1, deadline_ms }
}

/// What the gate says of one request to both ports; ports and directories are made equal.
#[track_caller]
fn says(probe: Probe, web: &Web, ports: [u16; 2], verdict: Verdict, expected: Expect) {
    let mut prober = Prober::new(&probe, web);
    let said = judge(&gate(Kind::Probe(probe)), &scope(1), &read(&mut prober, &Places::of(ports)), Time(2));
    let sentence = said.sentence.replace(&ports[0].to_string(), "PORT").replace(&ports[1].to_string(), "PORT");
    assert_eq!(said.verdict, verdict, "{sentence}");
    expected.assert_eq(&sentence);
}

fn plain() -> Web {
    Web::default()
}

#[test]
fn s17_what_pages_must_say() {
    let (_server, ports) = nginx(
        "server { listen 127.0.0.1:PORT0;\n\
           location = / { add_header X-Served-By mw1; default_type application/json; return 200 '{\"user\":null}'; }\n\
           location = /away { return 302 http://elsewhere.example/; }\n\
           location = /here { return 302 /; }\n\
           location = /loop { return 302 /loop; }\n\
           location = /huge { root HOME; }\n\
           location = /broken { return 503 'no database'; }\n}\n",
    );
    let ports = [ports[0]; 2];
    let all = vec![
        Assert::Status(vec![200]),
        Assert::Header("X-Served-By".into(), "mw1".into()),
        Assert::HeaderRegex("x-served-by".into(), "^mw[0-9]$".into()),
        Assert::HeaderAbsent("X-Powered-By".into()),
        Assert::BodyContains("user".into()),
        Assert::Json("/user".into(), serde_json::Value::Null),
    ];
    let good = expect!["Passes: 1 host answered as wanted (n 1, asked: front)."];
    says(probe(step("/", 0, all), 5_000), &plain(), ports, Verdict::Pass, good);
    let ok = || vec![Assert::Status(vec![200])];
    let good = expect!["Passes: 1 host answered as wanted (n 1, asked: front)."];
    says(probe(step("/here", 1, ok()), 5_000), &plain(), ports, Verdict::Pass, good);
    for (path, redirects, verdict, words) in [
        ("/broken", 0, Verdict::Fail, "status 503 instead of 200"),
        ("/here", 0, Verdict::Fail, "status 302 instead of 200"),
        ("/away", 3, Verdict::Fail, "it redirects to http://elsewhere.example/, which is not followed"),
        ("/loop", 3, Verdict::Fail, "more than 3 redirects"),
        ("/huge", 0, Verdict::Error, "the answer is larger than 1048576 bytes"),
    ] {
        let probe = probe(step(path, redirects, ok()), 5_000);
        let said = judge(
            &gate(Kind::Probe(probe.clone())),
            &scope(1),
            &read(&mut Prober::new(&probe, &plain()), &Places::of(ports)),
            Time(2),
        );
        assert!(said.verdict == verdict && said.sentence.contains(words), "{path}: {} {}", said.verdict, said.sentence);
    }
}

#[test]
fn who_cannot_be_asked_is_an_error_and_no_verdict() {
    let ok = || vec![Assert::Status(vec![200])];
    let nobody = free_port();
    let said = |ports: [u16; 2], deadline_ms| {
        let probe = probe(step("/", 0, ok()), deadline_ms);
        let read = read(&mut Prober::new(&probe, &plain()), &Places::of(ports));
        judge(&gate(Kind::Probe(probe)), &scope(1), &read, Time(2))
    };
    let refused = said([nobody; 2], 5_000);
    assert!(
        refused.verdict == Verdict::Error && refused.sentence.contains("connection refused"),
        "{}",
        refused.sentence
    );
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let late = said([port; 2], 200);
    assert!(late.verdict != Verdict::Pass && late.sentence.contains("200 ms"), "{} {}", late.verdict, late.sentence);
}

#[test]
fn s18_a_certificate_is_verified_by_its_issuer_its_dates_and_its_name() {
    let server = |number: usize, name: &str| {
        format!(
            "server {{ listen 127.0.0.1:PORT{number} ssl; ssl_certificate HOME/{name}.pem; ssl_certificate_key HOME/{name}.key; \
             location / {{ return 200 'ok'; }} }}\n"
        )
    };
    let servers: String =
        ["good", "expired", "other", "alien"].iter().enumerate().map(|(number, name)| server(number, name)).collect();
    let (nginx, ports) = nginx(&servers);
    let web = Web { tls: true, ca: Some(nginx.data.path().join("ca.pem")), ..Web::default() };
    let asked = || probe(step("/", 0, vec![Assert::BodyContains("ok".into())]), 5_000);
    let good = expect!["Passes: 1 host answered as wanted (n 1, asked: front)."];
    says(asked(), &web, [ports[0]; 2], Verdict::Pass, good);
    for (port, words) in [
        (ports[1], "TLS: its certificate has expired"),
        (ports[2], "TLS: its certificate is for another name"),
        (ports[3], "TLS: its certificate is of an issuer that is not trusted"),
    ] {
        let read = read(&mut Prober::new(&asked(), &web), &Places::of([port; 2]));
        let said = judge(&gate(Kind::Probe(asked())), &scope(1), &read, Time(2));
        assert!(said.verdict == Verdict::Error && said.sentence.contains(words), "{} {}", said.verdict, said.sentence);
    }
    // The system's certificates do not know this issuer.
    let system = Web { ca: None, ..web };
    let read = read(&mut Prober::new(&asked(), &system), &Places::of([ports[0]; 2]));
    let said = judge(&gate(Kind::Probe(asked())), &scope(1), &read, Time(2));
    assert!(said.sentence.contains("an issuer that is not trusted"), "{}", said.sentence);
}

/// A gate's question for the version that a page of a wiki is served by.
fn served(path: &str) -> Served {
    let wiki: pointsman::model::names::Wiki = "enwiki".parse().expect("a wiki");
    Served {
        wikis: vec![wiki.clone()],
        host_headers: BTreeMap::from([(wiki, NAME.to_owned())]),
        path: path.into(),
        field: ServedField::Header("X-Wiki-Version".into()),
        deadline_ms: 5_000,
    }
}

#[test]
fn versions_that_are_served_and_contracts_that_are_kept() {
    let server = |number: usize, version: &str, cache: &str| {
        format!(
            "server {{ listen 127.0.0.1:PORT{number}; location / {{ {version} add_header Cache-Control {cache}; return 200 'ok'; }} }}\n"
        )
    };
    let header = |version: &str| format!("add_header X-Wiki-Version {version};");
    let (_server, ports) = nginx(
        &(server(0, &header("1.27.0-wmf.11"), "private")
            + &server(1, &header("php-1.27.0-wmf.10"), "private")
            + &server(2, "", "public")),
    );
    let served = served("/");
    for (port, verdict, words) in [
        (ports[0], Verdict::Pass, "served the wanted version"),
        (ports[1], Verdict::Fail, "1.27.0-wmf.10"),
        (ports[2], Verdict::Error, "no X-Wiki-Version in the answer"),
    ] {
        let read = read(&mut Asker::new(&served, &plain()), &Places::of([port, ports[0]]));
        let said = judge(&gate(Kind::Served(served.clone())), &scope(1), &read, Time(2));
        assert!(said.verdict == verdict && said.sentence.contains(words), "{} {}", said.verdict, said.sentence);
    }
    let contract = |expected: &[(&str, &str)]| Contract {
        urls: vec![(NAME.to_owned(), "/".to_owned())],
        headers: Vec::new(),
        expected: expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        deadline_ms: 5_000,
    };
    for (port, contract, verdict, words) in [
        (ports[1], contract(&[]), Verdict::Pass, ""),
        (ports[2], contract(&[]), Verdict::Fail, "cache-control was"),
        (ports[2], contract(&[("cache-control", "public")]), Verdict::Pass, ""),
    ] {
        let read = read(&mut Comparer::new(&contract, &plain()), &Places::of([port, ports[0]]));
        let said = judge(&gate(Kind::Contract(contract)), &scope(1), &read, Time(2));
        assert!(said.verdict == verdict && said.sentence.contains(words), "{} {}", said.verdict, said.sentence);
    }
}

/// There is no way to ask a host for another version than it serves, so none can be used from outside: the gate asks as any
/// reader does, and what it is told is what readers get.
#[test]
fn s26_a_host_is_asked_for_what_it_serves_as_any_reader_asks() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut asked = String::new();
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
        while lines.read_line(&mut asked).expect("it is text") > 2 {}
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nX-Wiki-Version: 1.27.0-wmf.11\r\nContent-Length: 0\r\n\r\n")
            .expect("it listens");
        asked
    });
    let served = served("/wiki/Main");
    let reading = read(&mut Asker::new(&served, &plain()), &Places::of([port; 2]));
    let said = judge(&gate(Kind::Served(served)), &scope(1), &reading, Time(2));
    assert_eq!(said.verdict, Verdict::Pass, "{}", said.sentence);
    let asked = server.join().expect("it was asked once").to_lowercase();
    let (first, headers) = asked.split_once("\r\n").expect("a request has lines");
    assert_eq!(first, "get /wiki/main http/1.1", "no parameter names a version");
    let names: BTreeSet<&str> = headers.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let common = BTreeSet::from(["accept", "accept-encoding", "connection", "host", "user-agent"]);
    assert!(names.contains("host") && names.is_subset(&common), "and neither does a header: {asked}");
    assert!(!asked.contains("wmf"), "{asked}");
}
