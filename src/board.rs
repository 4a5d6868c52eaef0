//! The board: a page of the train that is read in a browser, and where a waiting approval can be answered.
//!
//! Invariants. It reads the books as `status` does and writes one kind of record: a named person's answer to an approval that waits.
//! It talks to no host and takes no lock. Off loopback it speaks TLS only and to nobody without a token ([`access`]).
//! Connections, headers, forms and time are bounded (`model/limits.rs`).
//!
//! Absent on purpose: every other command, sessions and cookies, and keeping a token anywhere but as its digest.

pub mod access;
mod answering;
mod connections;
pub mod people;
pub mod reading;
mod routes;
mod watching;

use access::Access;
use people::People;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

/// What a board is started with.
pub struct Board {
    /// groups.yaml, which is read anew for each page.
    pub groups_yaml: PathBuf,
    /// Who may come and from where.
    pub access: Access,
    /// Who may answer approvals.
    pub people: People,
    /// The certificate and its key; `None`: loopback only.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What all requests share.
struct Shared {
    board: Board,
    /// How many events the journal has.
    events: watch::Receiver<u64>,
    /// The newest undertaking as it is read from the journal.
    newest: Arc<std::sync::Mutex<watching::Newest>>,
    /// One token is looked at at a time.
    asking: Mutex<()>,
    /// Readers of the books, or one writer: SQLite shares what connections of one process map, and what was mapped to be read
    /// can't be written through.
    books: Arc<RwLock<()>>,
}

/// Serves until the listener fails or the future is dropped.
///
/// # Errors
///
/// That of the listener.
pub async fn serve(listener: TcpListener, board: Board) -> io::Result<()> {
    let (told, events) = watch::channel(0);
    let newest = Arc::default();
    let books = Arc::<RwLock<()>>::default();
    let watching = watching::watch(board.groups_yaml.clone(), Arc::clone(&newest), Arc::clone(&books), told);
    let tls = board.tls.clone();
    let shared = Arc::new(Shared { board, events, newest, asking: Mutex::new(()), books });
    tokio::select! {
        () = watching => Ok(()),
        ended = connections::listen(listener, tls, routes::router(shared)) => ended,
    }
}
