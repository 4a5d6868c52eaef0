//! A real Chromium without a window, spoken to by WebDriver: JSON over plain HTTP to `chromedriver`, which Debian has.
//!
//! Absent on purpose: clicking by coordinates and waiting for a time. A script says what is there.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub dark: bool,
}

pub const LOOKS: [Look; 6] = [
    Look { width: 360, dark: false },
    Look { width: 360, dark: true },
    Look { width: 768, dark: false },
    Look { width: 768, dark: true },
    Look { width: 1280, dark: false },
    Look { width: 1280, dark: true },
];

impl Look {
    pub fn name(self) -> String {
        format!("{}-{}", self.width, if self.dark { "dark" } else { "light" })
    }
}

/// A browser that ends with this value.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Its profile.
    _home: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let home = tempfile::tempdir().expect("a directory is made");
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is there: scripts/test installs it");
        let port = port(&mut driver);
        let mut browser = Self { driver, port, session: String::new(), _home: home };
        // As root, as in a container, there is no sandbox.
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"];
        let asked = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = browser.ask("POST", "/session", &asked);
        browser.session = format!("/session/{}", made["sessionId"].as_str().expect("it has a name"));
        browser
    }

    pub fn open(&self, url: &str) {
        self.ask("POST", &format!("{}/url", self.session), &json!({"url": url}));
    }

    pub fn open_file(&self, file: &Path) {
        self.open(&format!("file://{}", file.display()));
    }

    /// The value of a script's `return`.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", &format!("{}/execute/sync", self.session), &json!({"script": script, "args": []}))
    }

    /// The value of a script's promise.
    pub fn wait(&self, promise: &str) -> Value {
        let script = format!("const done = arguments[0]; ({promise}).then(done, error => done('' + error));");
        self.ask("POST", &format!("{}/execute/async", self.session), &json!({"script": script, "args": []}))
    }

    /// What the page or the browser complained of since the last time.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.ask("POST", &format!("{}/se/log", self.session), &json!({"type": "browser"}));
        let lines = log.as_array().expect("a list").iter().map(|line| line["message"].to_string());
        lines.collect()
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        let asked = json!({"cmd": command, "params": parameters});
        self.ask("POST", &format!("{}/goog/cdp/execute", self.session), &asked)
    }

    pub fn look(&self, look: Look) {
        let size = json!({"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": look.width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({"name": "prefers-color-scheme", "value": if look.dark { "dark" } else { "light" }});
        self.devtools("Emulation.setEmulatedMedia", json!({"media": "", "features": [scheme]}));
    }

    /// A picture of the whole page, as PNG in base64.
    pub fn picture(&self) -> String {
        let asked = json!({"format": "png", "captureBeyondViewport": true});
        self.devtools("Page.captureScreenshot", asked)["data"].as_str().expect("a picture").to_owned()
    }

    /// A picture of what is in the window, as PNG in base64.
    pub fn screen(&self) -> String {
        self.devtools("Page.captureScreenshot", json!({"format": "png"}))["data"]
            .as_str()
            .expect("a picture")
            .to_owned()
    }

    /// How it looks on paper from here on, without the paper.
    pub fn as_on_paper(&self) {
        self.devtools("Emulation.setEmulatedMedia", json!({"media": "print"}));
    }

    /// The page on paper, as PDF in base64.
    pub fn paper(&self) -> String {
        let printed = self.devtools("Page.printToPDF", json!({"printBackground": false, "preferCSSPageSize": true}));
        printed["data"].as_str().expect("a document").to_owned()
    }

    /// What axe-core finds against the page: the rule and the element, a line each.
    pub fn barriers(&self) -> Vec<String> {
        let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/axe.min.js");
        self.run(&std::fs::read_to_string(axe).expect("axe-core is there: scripts/test installs it"));
        let found = self.wait(
            "axe.run().then(found => found.violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.failureSummary + ' ' + n.html)))",
        );
        let lines = found.as_array().unwrap_or_else(|| panic!("axe-core ran: {found}"));
        lines.iter().map(|line| line.to_string()).collect()
    }

    /// One request to the driver, and the `value` of its answer.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver listens");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("it is sent");
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).expect("a header");
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a number");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut text = vec![0; length];
        answer.read_exact(&mut text).expect("a body");
        let answer: Value = serde_json::from_slice(&text).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].clone()
    }
}

/// Where the driver listens: it chose a port that was free, and says it.
fn port(driver: &mut Child) -> u16 {
    let said = BufReader::new(driver.stdout.take().expect("it is piped"));
    let line = said.lines().map_while(Result::ok).find(|line| line.contains("started successfully on port"));
    let line = line.expect("it starts");
    line.trim_end_matches('.').rsplit(' ').next().and_then(|port| port.parse().ok()).expect("it says its port")
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failure too, or the browser would outlive its driver.
        let end = || self.ask("DELETE", &self.session, &json!({}));
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(end));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
