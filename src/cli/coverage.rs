//! `coverage`: which traffic each group and canary host carries, read from access logs.

use super::exit::Exit;
use super::seat::Seat;
use super::usage::Usage;
use crate::model::limits::LOG_LINE_BYTES_MAX;
use crate::model::names::HostName;
use crate::report::coverage;
use anyhow::Context;
use clap::Args;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

/// Say which share and which kinds of traffic each group and canary host carries, and what only the last group meets
#[derive(Args)]
#[command(after_help = "\
Logs are Apache's combined format with the virtual host first, or JSON lines with vhost (or wiki), method and path.

Example:
  pointsman coverage --log /var/log/apache2/access.log --log mw1017.eqiad.wmnet=mw1017.log")]
pub struct Coverage {
    /// An access log; HOST=FILE when it is the log of that host
    #[arg(long = "log", value_name = "[HOST=]FILE", required = true)]
    logs: Vec<String>,
}

impl Coverage {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let policy = seat.policy()?;
        let mut found = coverage::Coverage::new(&policy);
        for log in &self.logs {
            let (host, file) = of_host(log);
            if let Some(host) = host.as_ref().filter(|host| !policy.hosts.contains_key(host)) {
                return Err(Usage(format!("there is no host `{host}` in groups.yaml, as --log {log} says")).into());
            }
            read(&file, host.as_ref(), &mut found).with_context(|| format!("failed to read {}", file.display()))?;
        }
        match seat.json {
            true => seat.printer.event("coverage", &found.json()),
            false => found.text().iter().for_each(|line| seat.printer.data(line)),
        }
        Ok(Exit::Done)
    }
}

/// `HOST=FILE`, or a file alone: one whose name has a `=` behind what is no host name, or that is there, is a file.
fn of_host(log: &str) -> (Option<HostName>, PathBuf) {
    match log.split_once('=') {
        Some((host, file)) if !PathBuf::from(log).exists() => match host.parse() {
            Ok(host) => (Some(host), file.into()),
            Err(_) => (None, log.into()),
        },
        _ => (None, log.into()),
    }
}

/// Reads line by line; of one that is too long only the beginning is kept.
fn read(file: &PathBuf, host: Option<&HostName>, found: &mut coverage::Coverage) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, File::open(file)?);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        reader.by_ref().take(LOG_LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        number += 1;
        if line.len() == LOG_LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            skip_line(&mut reader)?;
        }
        let text = String::from_utf8_lossy(&line);
        found.add(text.trim_end(), host, || format!("{}:{number}", file.display()));
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|b| *b == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(());
        }
    }
}
