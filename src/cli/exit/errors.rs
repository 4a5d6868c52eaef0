//! Every error that has a code of its own, bare and within others; the rest are ours.

use super::*;
use crate::model::books::Lock;
use crate::model::time::Time;
use crate::store::writer::Writer;
use std::path::{Path, PathBuf};

fn lock() -> Lock {
    Lock { epoch: 2, holder: "alice@deploy1 pid 12".to_owned(), reason: "train".to_owned(), since: Time(0) }
}

fn writer() -> Writer {
    Writer { pid: 12, command: "pointsman".to_owned(), user: "alice".to_owned(), begun: None, stopped: true }
}

fn store_errors() -> Vec<(StoreError, u8)> {
    let path = PathBuf::from("books.sqlite");
    vec![
        (StoreError::Locked(lock(), Some(true)), 5),
        (StoreError::Locked(lock(), None), 5),
        (StoreError::Superseded { epoch: 1, lock: Some(lock()) }, 5),
        (StoreError::Busy { path: path.clone(), writer: Some(writer()) }, 5),
        (StoreError::Busy { path: path.clone(), writer: None }, 1),
        (StoreError::Kept { path: path.clone(), writer: writer(), why: "x".to_owned() }, 5),
        (StoreError::Address { reference: "env:X".to_owned(), why: "x".to_owned() }, 2),
        (StoreError::NoBooks(path.clone()), 1),
        (StoreError::Exists(path), 1),
    ]
}

#[test]
fn every_error_has_its_code_wherever_it_stands() {
    let blocked = |why| ActError::Blocked(Blocked::new(why, "x"));
    let mistakes = || Diagnostics::of_file(Path::new("groups.yaml"), "x", None);
    let errors = || -> Vec<(anyhow::Error, u8)> {
        let mut all: Vec<(anyhow::Error, u8)> = vec![
            (Usage("x".to_owned()).into(), 2),
            (mistakes().into(), 2),
            (blocked(Why::Usage).into(), 2),
            (blocked(Why::Refused).into(), 10),
            (blocked(Why::Paused).into(), 4),
            (Blocked::new(Why::Refused, "x").into(), 10),
            (anyhow::anyhow!("a disk is full"), 1),
        ];
        all.extend(store_errors().into_iter().map(|(error, code)| (error.into(), code)));
        all.extend(store_errors().into_iter().map(|(error, code)| (ActError::from(error).into(), code)));
        all
    };
    for (error, code) in errors() {
        assert_eq!(of_error(&error) as u8, code, "{error:?}");
    }
    for (error, code) in errors() {
        let within = error.context("failed to read what is needed").context("failed");
        assert_eq!(of_error(&within) as u8, code, "{within:?}");
    }
}

#[test]
fn a_code_that_the_books_keep_is_read_back() {
    let all = [
        Exit::Done,
        Exit::Ours,
        Exit::Usage,
        Exit::Held,
        Exit::Paused,
        Exit::Locked,
        Exit::Stale,
        Exit::Owed,
        Exit::Refused,
        Exit::Stopped,
        Exit::Terminated,
    ];
    for exit in all {
        assert_eq!(Exit::of_number(exit as u8), exit);
    }
    assert_eq!(Exit::of_number(99), Exit::Ours);
}
