//! What a process asks of the kernel, call by call, and strace's orders to interfere with one of the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One system call of a recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    /// Which of that name it is, from 1 on: that is how strace counts.
    pub nth: usize,
    /// Its arguments and result, as strace writes them.
    pub rest: String,
}

impl Call {
    /// The file whose descriptor is its first argument. A pipe, a socket and an eventfd are none.
    pub fn file(&self) -> Option<&str> {
        let path = self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('<')?.split('>').next()?;
        path.starts_with('/').then_some(path)
    }
}

/// The calls of one thread, in order, without the one that began the program.
pub fn read(log: &Path) -> Vec<Call> {
    let text = String::from_utf8_lossy(&std::fs::read(log).expect("strace wrote it")).into_owned();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('(') else { continue };
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            continue;
        }
        let nth = counts.entry(name.to_owned()).or_default();
        *nth += 1;
        calls.push(Call { name: name.to_owned(), nth: *nth, rest: rest.to_owned() });
    }
    assert!(calls.len() > 20, "{} has only {} calls", log.display(), calls.len());
    calls.split_off(1)
}

/// Where books are that a controller writes to.
#[derive(Debug, Clone, Copy)]
pub enum Books {
    /// In a file, which the controller's only thread writes.
    File,
    /// On a server, which a thread speaks to that strace does not follow; the controller waits for it.
    Server,
}

/// The calls of a controller from the one that commits the first intent to the one that reads the last reply.
pub fn between_intent_and_reply(calls: &[Call], books: Books) -> &[Call] {
    let took_lock = |call: &Call| match books {
        Books::File => call.name == "pwrite64" && call.rest.contains("books.sqlite-wal"),
        Books::Server => {
            call.name.starts_with("open") && call.rest.contains("/alive-") && call.rest.contains("O_CREAT")
        }
    };
    let commits = match books {
        Books::File => "fsync",
        Books::Server => "futex",
    };
    let taken = calls.iter().position(took_lock).expect("it takes the lock");
    let starts = |call: &Call| {
        ["clone", "clone3", "vfork", "fork"].contains(&call.name.as_str()) && !call.rest.contains("CLONE_THREAD")
    };
    let agent = taken + calls[taken..].iter().position(starts).expect("it starts an agent");
    let committed = calls[..agent].iter().rposition(|call| call.name == commits).expect("it commits the intent");
    let answered = |call: &Call| call.name == "read" && call.rest.contains("<pipe:") && !call.rest.ends_with("= 0");
    let last = calls.iter().rposition(|call| answered(call) && !call.rest.contains("= -1")).expect("it is answered");
    &calls[committed..=last]
}

/// An order to strace: to interfere with a call of a process.
#[derive(Debug, Clone)]
pub struct Order {
    name: String,
    inject: String,
    /// Where only calls count that are about these files.
    files: Vec<String>,
}

impl Order {
    /// To do `what` (`signal=SIGKILL`, `error=EIO`) at a call.
    pub fn once(call: &Call, what: &str) -> Self {
        let Call { name, nth, .. } = call;
        Self { name: name.clone(), inject: format!("inject={name}:{what}:when={nth}"), files: Vec::new() }
    }

    /// To do it at this call and all later ones of its name; where it writes to a file, to those that write to files.
    pub fn from_there_on(call: &Call, what: &str, recorded: &[Call]) -> Self {
        let mut order = Self::once(call, what);
        if call.name.starts_with("write") && call.file().is_some() {
            let of_files = |other: &&Call| other.name == call.name && other.file().is_some();
            let nth =
                recorded.iter().filter(of_files).position(|other| other.nth == call.nth).expect("it was recorded") + 1;
            order.inject = format!("inject={}:{what}:when={nth}", call.name);
            let files: BTreeSet<&str> = recorded.iter().filter(of_files).filter_map(Call::file).collect();
            order.files = files.into_iter().map(str::to_owned).collect();
        }
        order.inject.push('+');
        order
    }

    /// The order as arguments.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["-e".to_owned(), format!("trace={}", self.name), "-e".to_owned(), self.inject.clone()];
        words.extend(self.files.iter().flat_map(|file| ["-P".to_owned(), file.clone()]));
        words
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.inject)
    }
}
