//! The board over real HTTP and in a real browser: what it shows while a rollout runs, whom it believes, and that an approval
//! given there lets the rollout go on.

use crate::browser::Browser;
use crate::gated::{Running, site};
use crate::report::is_a_good_page;
use crate::site::{Site, V10, V11};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `open sesame`, and `printf %s 'open sesame' | sha256sum`; root says `open barley`.
const TOKEN: &str = "open sesame";
const PEOPLE: &str = "alice 41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb\n\
    root 03cbfbf904bcf073e8a68b9dc130b451faa8eebcfc47377057f2085453875d63\n";

/// A board that ends with this value.
pub struct Board {
    program: Child,
    pub place: String,
}

impl Board {
    pub fn start(site: &Site) -> Self {
        Self::start_as(site, &["--listen", "127.0.0.1:0"])
    }

    pub fn start_as(site: &Site, more: &[&str]) -> Self {
        let people = people(site);
        let arguments = [&["serve", "--people", people.to_str().expect("text")], more].concat();
        let mut program = site.command(&arguments);
        let mut program = program.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let mut stderr = BufReader::new(program.stderr.take().expect("it is piped"));
        stderr.read_line(&mut line).expect("it says where it is");
        let place = line.trim().strip_prefix("the board is at ").and_then(|rest| rest.strip_suffix('/'));
        let place = place.and_then(|place| place.split_once("://")).map(|(_, place)| place);
        let place = place.unwrap_or_else(|| panic!("it says where it is: {line}")).to_owned();
        Self { program, place }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.place)
    }

    /// The answer to bytes as they are: its status, and all of it.
    pub fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.place).expect("it listens");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        // One that is refused in the middle of a request may be cut.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
    }

    pub fn get(&self, path: &str) -> String {
        let (status, answer) =
            self.raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.place));
        assert_eq!(status, 200, "{path}: {answer}");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// Sends the form as a page of `origin` would.
    pub fn form(&self, origin: &str, fields: &str) -> (u16, String) {
        self.raw(&format!(
            "POST /approvals HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{fields}",
            self.place,
            fields.len()
        ))
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn people(site: &Site) -> std::path::PathBuf {
    site.write("people", PEOPLE);
    fs::set_permissions(site.path("people"), PermissionsExt::from_mode(0o600)).expect("chmod");
    site.path("people")
}

/// A site whose promotions wait for a person.
fn waits() -> Site {
    site("wave: 1ms, group: 1ms, max: 1h, watch: 0s", &["name: train, kind: approval"])
}

pub fn promote(why: &str) -> [&str; 6] {
    ["promote", "group0", V11, "--yes", "-m", why]
}

/// Waits until a script's expression is true.
fn until(browser: &Browser, what: &str) {
    let script = format!(
        "new Promise((well, ill) => {{ let left = 250; const look = () => ({what}) ? well(true) : left-- ? setTimeout(look, 100) : \
         ill(document.body.innerText); look() }})"
    );
    assert_eq!(browser.wait(&script), true, "{what}");
}

#[test]
fn an_approval_given_in_the_browser_lets_the_promotion_go_on() {
    let site = waits();
    let board = Board::start(&site);
    let browser = Browser::start();
    browser.open(&board.url("/"));
    until(&browser, "document.querySelector('#approvals').innerText.includes('Nothing.')");
    browser.run("window.__same = 1");

    let mut promotes = Running::start(&site, &promote("weekly train, T119948"));
    promotes.says("pointsman approve r2 -m WHY");
    until(&browser, "document.querySelector('#approvals form') !== null");
    assert_eq!(browser.run("return window.__same"), 1, "the page was not loaded again");
    is_a_good_page(&browser, "board");
    assert_eq!(site.map(&site.hosts()[0])["testwiki"], V10, "it waits");

    // What is typed is not taken away by what happens meanwhile.
    browser.run(&format!(
        "document.querySelector('[name=reason]').value = 'looks well'; document.querySelector('[name=token]').value = '{TOKEN}'"
    ));
    site.run(&["blocker", "add", "T1", "-m", "something else"]).ends(0);
    site.run(&["blocker", "close", "T1", "-m", "gone"]).ends(0);
    browser.run("document.querySelector('button[value=yes]').click()");
    until(&browser, "document.querySelector('.said') !== null");
    promotes.ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
    until(&browser, "document.querySelector('#history').innerText.includes('done')");
    site.run(&["show", "r2"]).ends(0).says("approved by alice at the board").says("looks well");
    assert_eq!(browser.complaints(), [""; 0]);

    browser.run("document.querySelector('#history a[href=\"/rollouts/r2\"]').click()");
    until(&browser, "document.title.startsWith('r2: promote group0')");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn s27_only_a_person_with_a_token_at_a_page_of_the_board_is_believed() {
    let site = waits();
    let board = Board::start(&site);
    let mut promotes = Running::start(&site, &promote("<script>window.__pwned=1</script>"));
    promotes.says("pointsman approve r2 -m WHY");
    let page = board.get("/");
    assert!(page.contains("&lt;script&gt;window.__pwned") && !page.contains("<script>window.__pwned"), "{page}");
    let here = format!("http://{}", board.place);
    let fields = |token: &str, gate: &str| format!("of=r2&which={gate}&answer=no&reason=not+now&token={token}");
    let good = fields("open+sesame", "train");
    for (origin, fields, status) in [
        ("http://evil.example", good.as_str(), 403),
        ("null", &good, 403),
        (&here, &fields("sesame", "train"), 403),
        (&here, &fields("", "train"), 403),
        (&here, &fields("open+sesame", "other"), 409),
        (&here, &good.replace("=no&", "=maybe&"), 400),
        (&here, &good.replace("not+now", "+"), 400),
        (&here, &format!("{good}&more=1"), 422),
    ] {
        let (answered, answer) = board.form(origin, fields);
        assert_eq!(answered, status, "{origin} {fields}: {answer}");
        assert!(!answer.contains("sesame"), "{answer}");
    }
    let (status, answer) = board.raw("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(status, 421, "{answer}");
    let long = format!("GET / HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n", board.place, "x".repeat(64 << 10));
    assert_eq!(board.raw(&long).0, 431);
    assert_eq!(board.form(&here, &"x".repeat(64 << 10)).0, 413);
    site.run(&["show", "r2"]).ends(0).hides("at the board");

    let (status, answer) = board.form(&here, &good);
    assert!(status == 303 && answer.to_lowercase().contains("location: /?said=denied"), "{answer}");
    promotes.ends(3);
    assert_eq!(site.counts(), ".10: 7");
    assert_eq!(board.form(&here, &good).0, 409, "nobody waits any more");
}

#[test]
fn s09_a_token_is_no_right_to_approve() {
    let site = waits();
    let text = fs::read_to_string(site.path("groups.yaml")).expect("it is there");
    let rules = |who: &str| {
        format!("{text}policy: {{rules: [{{users: [root], may: [promote]}}, {{users: [{who}], may: [approve]}}]}}\n")
    };
    site.write("groups.yaml", &rules("bob"));
    let board = Board::start(&site);
    let mut promotes = Running::start(&site, &promote("train"));
    promotes.says("pointsman approve r2 -m WHY");
    let here = format!("http://{}", board.place);
    let yes = "of=r2&which=train&answer=yes&reason=looks+well&token=open+sesame";
    let (status, answer) = board.form(&here, yes);
    assert!(status == 403 && answer.contains("alice has no right `approve` for group0"), "{answer}");
    site.run(&["timeline"]).ends(0).says("alice at the board").says("alice has no right");
    assert_eq!(site.counts(), ".10: 7");
    // The board reads groups.yaml anew.
    site.write("groups.yaml", &rules("alice"));
    assert_eq!(board.form(&here, yes).0, 303);
    promotes.ends(0);
    assert_eq!(site.counts(), ".10: 5, .11: 2");
}

#[test]
fn machines_read_what_the_page_shows() {
    let site = waits();
    let board = Board::start(&site);
    let json = |path: &str| serde_json::from_str::<Value>(&board.get(path)).expect("JSON");
    let described = json("/api/v1/openapi.json");
    let paths: Vec<&String> = described["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(paths.len(), 7);
    for path in paths.into_iter().filter(|path| path.starts_with("/api/")) {
        json(&path.replace("{id}", "r1"));
    }
    assert_eq!(json("/api/v1/rollouts")[0]["kind"], "sync");
    assert_eq!(json("/api/v1/status")["hosts"].as_array().map(Vec::len), Some(3));
    let metrics = board.get("/metrics");
    for line in [
        "pointsman_hosts 3",
        "pointsman_stale_hosts 0",
        "pointsman_wikis{group=\"group0\",version=\"1.27.0-wmf.10\"} 2",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line}: {metrics}");
    }
    let page = board.get("/");
    assert!(page.contains("1.27.0-wmf.10"), "it is read without a script: {page}");
    for missing in ["/rollouts/r9", "/rollouts/..%2f..", "/api/v1/rollouts/x", "/nothing"] {
        let request = format!("GET {missing} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", board.place);
        assert_eq!(board.raw(&request).0, 404, "{missing}");
    }
}

/// Schemathesis makes requests out of the description, good ones and bad ones, and holds each answer against it. Not of the
/// stream of events, which does not end.
#[test]
fn what_is_described_is_what_is_answered() {
    let site = waits();
    let board = Board::start(&site);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis");
    let mut command = Command::new(program);
    command.args(["run", &board.url("/api/v1/openapi.json"), "--checks", "all", "--max-examples", "20", "--no-color"]);
    // It keeps a directory of what it found.
    command.args(["--exclude-path", "/events"]).current_dir(site.path(""));
    let ran = command.output().expect("schemathesis is there: scripts/test installs it");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("Tested: 5"), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn s27_away_from_loopback_a_certificate_and_people_are_demanded() {
    let site = Site::unsynced("");
    site.run(&["sync-common", "--from-staging", "--yes", "-m", "first"]).ends(0);
    site.run(&["serve", "--listen", "0.0.0.0:0"]).ends(2).says("not a loopback address").says("--tls-cert");
    let people = people(&site);
    fs::set_permissions(&people, PermissionsExt::from_mode(0o644)).expect("chmod");
    let people = people.to_str().expect("text").to_owned();
    site.run(&["serve", "--people", &people]).ends(2).says("others could read it").hides("41ef");
}

#[test]
fn s27_within_tls_reading_takes_a_token() {
    let site = Site::small("");
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| site.path(name).to_str().expect("text").to_owned());
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=board.example", "-addext", "subjectAltName=DNS:board.example"]);
    let made = openssl.args(["-keyout", &key, "-out", &cert]).output().expect("openssl is there");
    assert!(made.status.success(), "{made:?}");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("chmod");
    let board = Board::start_as(
        &site,
        &["--listen", "0.0.0.0:0", "--name", "board.example", "--tls-cert", &cert, "--tls-key", &key],
    );
    let port = board.place.rsplit(':').next().expect("a port");
    let asked = |more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &cert, "--resolve"]);
        curl.arg(format!("board.example:{port}:127.0.0.1")).args(more);
        let said = curl.arg(format!("https://board.example:{port}/metrics")).output().expect("curl is there");
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    assert_eq!(asked(&[]), "401");
    assert_eq!(asked(&["-u", "alice:sesame"]), "401");
    assert_eq!(asked(&["-u", &format!("alice:{TOKEN}")]), "200");
    assert_eq!(asked(&["-u", &format!("alice:{TOKEN}"), "-H", "Host: evil.example"]), "421");
    let mut plain = TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).expect("it listens");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: board.example\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "nothing is said outside of TLS");
}
