//! The keys `store` and `ca_file` of the section `deploy`: a server that keeps the books for several deploy hosts.
//!
//! Invariant: no secret stands in groups.yaml, and what stands there by mistake is not repeated in a message.

use super::diagnostic::Sink;
use super::policy::StorePolicy;
use super::raw::{At, Deploy};
use super::resolve::local_path;
use crate::model::limits::LINE_BYTES_MAX;
use crate::model::secret::Reference;
use std::path::Path;

/// The server; `None`: the books are a file.
pub fn store(deploy: &Deploy, base: &Path, sink: &mut Sink) -> Option<StorePolicy> {
    let ca_file = deploy.ca_file.as_ref().and_then(|at| local_path(at, base, sink));
    match (&deploy.store, &deploy.ca_file) {
        (Some(at), _) => Some(StorePolicy { source: source(at, base, sink)?, ca_file }),
        (None, Some(at)) => {
            sink.add(at.place, "`ca_file` belongs to a `store`, and there is none");
            None
        }
        (None, None) => None,
    }
}

fn source(at: &At<String>, base: &Path, sink: &mut Sink) -> Option<Reference> {
    reference(at, base, sink, |sink| match at.value.split_once(':') {
        Some(("postgres" | "postgresql", _)) => {
            let hint =
                "write `store: env:POINTSMAN_BOOKS`, or `store: file:PATH` for a file of mode 600 with the address";
            let message = "the address of the books may have a password in it, so it does not stand here";
            sink.hint(at.place, message, Some(hint.to_owned()));
        }
        _ => {
            let hint = "as in `env:POINTSMAN_BOOKS` or `file:/etc/pointsman/books`".to_owned();
            sink.hint(at.place, "`store` says where the address of a PostgreSQL server stands", Some(hint));
        }
    })
}

/// `env:NAME` or `file:PATH`: where a secret stands. `refuse` says what is wrong when it is neither.
pub fn reference(at: &At<String>, base: &Path, sink: &mut Sink, refuse: impl FnOnce(&mut Sink)) -> Option<Reference> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match at.value.split_once(':') {
        Some(("env", name)) if !name.is_empty() && name.len() <= LINE_BYTES_MAX && name.chars().all(plain) => {
            Some(Reference::Env(name.to_owned()))
        }
        Some(("file", path)) if !path.is_empty() => {
            let path = At { value: path.to_owned(), place: at.place };
            local_path(&path, base, sink).map(Reference::File)
        }
        _ => {
            refuse(sink);
            None
        }
    }
}
