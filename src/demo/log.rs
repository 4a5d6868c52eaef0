//! The two logs that the web tier of a host writes: requests, and what went wrong.
//!
//! [`ACCESS`] is Apache's combined format with the virtual host (the wiki) first; [`ERRORS`] has one JSON object a line
//! as MediaWiki's Monolog writes them: channel, class, message, wiki, host, version.
//!
//! Invariant: each log and the one before it (`.1`) hold no more than [`DEMO_LOG_BYTES_MAX`] each; rotation gives the log
//! a new inode, as logrotate does. A log that cannot be written does not keep a page from being served.

use crate::model::limits::DEMO_LOG_BYTES_MAX;
use crate::model::names::HostName;
use crate::model::time::Time;
use serde_json::json;
use std::fs::{File, OpenOptions, create_dir_all, rename};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Requests; the path as it is on a host.
pub const ACCESS: &str = "/var/log/demo/access.log";
/// What went wrong; the path as it is on a host.
pub const ERRORS: &str = "/var/log/demo/error.log";

/// The logs of one host.
#[derive(Debug)]
pub struct Logs {
    access: Mutex<Log>,
    errors: Mutex<Log>,
}

/// One request, as its line has it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// When.
    pub at: Time,
    /// Who was asked.
    pub wiki: &'a str,
    /// `GET`.
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    /// What was answered.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: usize,
    /// What the client calls itself.
    pub agent: &'a str,
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mishap {
    /// `exception`, `session`.
    pub channel: &'static str,
    /// `MWException`.
    pub class: String,
    /// What it says.
    pub message: String,
}

impl Logs {
    /// The logs at these places; they are made when something is written.
    pub fn new(access: PathBuf, errors: PathBuf) -> Self {
        Self { access: Mutex::new(Log::new(access)), errors: Mutex::new(Log::new(errors)) }
    }

    /// Writes down a request.
    pub fn request(&self, line: &Line<'_>) {
        let when = jiff::Timestamp::from_millisecond(i64::try_from(line.at.0).unwrap_or(i64::MAX));
        let when = when.map_or_else(|_| "-".to_owned(), |when| when.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string());
        let (path, agent) = (plain(line.path), plain(line.agent));
        let (method, status, bytes) = (line.method, line.status, line.bytes);
        let text = format!(
            "{} 127.0.0.1 - - [{when}] \"{method} {path} HTTP/1.1\" {status} {bytes} \"-\" \"{agent}\"",
            line.wiki
        );
        write(&self.access, &text);
    }

    /// Writes down what went wrong.
    pub fn mishap(&self, at: Time, wiki: &str, host: &HostName, mishap: &Mishap) {
        let line = json!({
            "@timestamp": at.to_string(),
            "host": host.as_str(),
            "wiki": wiki,
            "channel": mishap.channel,
            "level": "ERROR",
            "exception": {"class": mishap.class, "message": mishap.message},
            "message": mishap.message,
        });
        write(&self.errors, &line.to_string());
    }
}

/// What a client sent, in a form that ends neither its quotes nor its line.
fn plain(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' { c } else { '?' };
    text.chars().take(500).map(safe).collect()
}

/// A file that is rotated when it has grown.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    open: Option<(File, u64)>,
}

impl Log {
    fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    fn write(&mut self, line: &str, bytes_max: u64) -> std::io::Result<()> {
        if self.open.as_ref().is_some_and(|(_, size)| size + line.len() as u64 >= bytes_max) {
            self.open = None;
            rename(&self.path, beside(&self.path))?;
        }
        let (file, size) = match &mut self.open {
            Some(open) => open,
            None => {
                create_dir_all(self.path.parent().unwrap_or(Path::new("/")))?;
                let file = OpenOptions::new().append(true).create(true).open(&self.path)?;
                let size = file.metadata()?.len();
                self.open.insert((file, size))
            }
        };
        // In one call, so that whoever reads it meanwhile sees whole lines.
        file.write_all(format!("{line}\n").as_bytes())?;
        *size += line.len() as u64 + 1;
        Ok(())
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

fn write(log: &Mutex<Log>, line: &str) {
    // A full disk is no reason to serve nothing; the file is opened anew the next time.
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if log.write(line, DEMO_LOG_BYTES_MAX).is_err() {
        log.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_log_that_grew_goes_aside_and_a_new_one_begins() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("var/log/x.log");
        let mut log = Log::new(path.clone());
        log.write("first", 12).expect("written");
        let inode = path.metadata().expect("there").ino();
        log.write("later", 12).expect("written");
        log.write("third", 12).expect("written");
        let read = |path: &Path| std::fs::read_to_string(path).expect("there");
        assert_eq!((read(&beside(&path)), read(&path)), ("first\nlater\n".to_owned(), "third\n".to_owned()));
        assert_eq!(beside(&path).metadata().expect("there").ino(), inode);
        let mut again = Log::new(path.clone());
        again.write("x", 12).expect("written");
        assert_eq!(read(&path), "third\nx\n", "what is there is continued");
    }

    #[test]
    fn lines_are_what_tools_read_and_nobody_can_forge_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let (access, errors) = (directory.path().join("access.log"), directory.path().join("error.log"));
        let logs = Logs::new(access.clone(), errors.clone());
        let at = Time(1_453_251_492_000);
        let (path, agent) = ("/wiki/X\"\n1", "Mozilla/5.0 \u{1b}[2J");
        logs.request(&Line { at, wiki: "enwiki", method: "GET", path, status: 200, bytes: 12, agent });
        let mishap =
            Mishap { channel: "exception", class: "MWException".to_owned(), message: "no \"cache\"".to_owned() };
        logs.mishap(at, "enwiki", &"mw2020.codfw.wmnet".parse().expect("a host"), &mishap);
        let read = |path: &Path| std::fs::read_to_string(path).expect("there");
        expect![[r#"
            enwiki 127.0.0.1 - - [20/Jan/2016:00:58:12 +0000] "GET /wiki/X??1 HTTP/1.1" 200 12 "-" "Mozilla/5.0 ?[2J"
        "#]]
        .assert_eq(&read(&access));
        let text = read(&errors);
        let signature = crate::gate::signature::signature(text.trim()).expect("it is an event");
        expect!["exception: MWException: no <str>"].assert_eq(&signature);
    }
}
