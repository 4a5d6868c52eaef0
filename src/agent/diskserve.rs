//! Files and what the controller put on the shelf, by digest over HTTP, for hosts of the same datacenter, for as long as one
//! session lasts.
//!
//! Invariants. Only GET of `/TOKEN/DIGEST` is answered, and only for files that were proven here and came from the
//! controller, and for what it sent for the shelf; nothing that a request says is written. Connections, their headers and their
//! time are bounded. Files are opened below the deploy root as all others are; the shelf is one file without a name there, of
//! which nothing is in memory. Whoever gets something hashes it. It ends when it is dropped, and so does the shelf.

use super::diskfs::{self, DiskFs};
use super::hostfs::{Place, Serving};
use crate::model::digest::Digest;
use crate::model::limits::{PROXY_CHUNK_BYTES, PROXY_CONNECTIONS_MAX, PROXY_HEADER_MS_MAX, PROXY_MS_MAX};
use crate::wire::serve::Refused;
use http_body_util::{Either, Empty};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;

/// What is served, by digest.
type Served = Arc<Mutex<BTreeMap<Digest, Source>>>;

/// Where something that is served lies.
#[derive(Debug, Clone)]
enum Source {
    /// A file of a component.
    File(Place),
    /// On the shelf, from this byte on, so many bytes.
    Shelf(Arc<File>, u64, u64),
}

/// The name of the shelf for the moment in which it needs one; see [`DiskFs::nameless`].
const SHELF: &str = "removed-shelf";

/// A server in a thread of its own.
pub struct Server {
    served: Served,
    fs: DiskFs,
    /// Once something was put there, with its length.
    shelf: Option<(Arc<File>, u64)>,
    /// Dropped to end it.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `address`. It has a file system of its own for its thread.
    pub fn start(fs: [DiskFs; 2], address: SocketAddr, token: String) -> Result<Self, Refused> {
        let [fs, own] = fs;
        let refused = |error: io::Error| match error.kind() {
            ErrorKind::AddrInUse => Refused::InUse,
            ErrorKind::AddrNotAvailable => Refused::NotHere,
            _ => Refused::System,
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(refused)?;
        let served = Served::default();
        let (end, ended) = oneshot::channel();
        let answers = Answers { fs: own, token, served: Arc::clone(&served) };
        let thread =
            std::thread::Builder::new().spawn(move || run(&runtime, listener, answers, ended)).map_err(refused)?;
        Ok(Self { served, fs, shelf: None, end: Some(end), thread: Some(thread) })
    }
}

impl Serving for Server {
    fn add(&mut self, more: BTreeMap<Digest, Place>) {
        let more = more.into_iter().map(|(digest, place)| (digest, Source::File(place)));
        self.served.lock().unwrap_or_else(PoisonError::into_inner).extend(more);
    }

    fn shelve(&mut self, digest: Digest, bytes: u64, from: &mut dyn Read) -> io::Result<bool> {
        let (file, end) = match self.shelf.take() {
            Some(shelf) => shelf,
            None => (Arc::new(self.fs.nameless(SHELF)?), 0),
        };
        // Something that came half is written over.
        self.shelf = Some((Arc::clone(&file), end));
        (&*file).seek(SeekFrom::Start(end))?;
        if diskfs::pour(from, &*file, bytes)? != digest {
            return Ok(false);
        }
        self.shelf = Some((Arc::clone(&file), end + bytes));
        let source = Source::Shelf(file, end, bytes);
        self.served.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, source);
        Ok(true)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What requests are answered from.
struct Answers {
    fs: DiskFs,
    token: String,
    served: Served,
}

fn run(runtime: &Runtime, listener: TcpListener, answers: Answers, ended: oneshot::Receiver<()>) {
    let local = LocalSet::new();
    local.block_on(runtime, async {
        tokio::select! {
            _ = ended => {}
            () = listen(listener, Rc::new(answers)) => {}
        }
    });
}

async fn listen(listener: TcpListener, answers: Rc<Answers>) {
    let gate = Arc::new(Semaphore::new(PROXY_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&gate).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: a moment later there may be fewer.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let answers = Rc::clone(&answers);
        tokio::task::spawn_local(async move {
            converse(stream, &answers).await;
            drop(permit);
        });
    }
}

async fn converse(stream: TcpStream, answers: &Rc<Answers>) {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answers.answer(&request))));
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(PROXY_HEADER_MS_MAX));
    let serving = connection.serve_connection(TokioIo::new(stream), service);
    drop(tokio::time::timeout(Duration::from_millis(PROXY_MS_MAX), serving).await);
}

impl Answers {
    fn answer(&self, request: &Request<Incoming>) -> Response<Either<Content, Empty<Bytes>>> {
        let mut response = match self.find(request) {
            Some(content) => return Response::new(Either::Left(content)),
            None => Response::new(Either::Right(Empty::new())),
        };
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }

    fn find(&self, request: &Request<Incoming>) -> Option<Content> {
        let (token, name) = request.uri().path().strip_prefix('/')?.split_once('/')?;
        let known =
            request.method() == Method::GET && Digest::of(token.as_bytes()) == Digest::of(self.token.as_bytes());
        let digest: Digest = name.parse().ok().filter(|_| known)?;
        let source = self.served.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()?;
        Some(match source {
            Source::File(place) => {
                let file = self.fs.open_file(&place).ok()?;
                let left = file.metadata().ok()?.len();
                Content { file: Arc::new(file), at: 0, left }
            }
            Source::Shelf(file, at, left) => Content { file, at, left },
        })
    }
}

/// Bytes of a file on their way.
struct Content {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(self.left).map_or(PROXY_CHUNK_BYTES, |left| left.min(PROXY_CHUNK_BYTES));
        let mut bytes = vec![0; most];
        Poll::Ready(Some(match self.file.read_at(&mut bytes, self.at) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                bytes.truncate(n);
                self.at += n as u64;
                self.left -= n as u64;
                Ok(Frame::data(bytes.into()))
            }
            Err(error) => Err(error),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn a_body_has_the_bytes_that_were_asked_for_and_no_others() {
        let file = tempfile::tempfile().expect("a file");
        let bytes: Vec<u8> = (0..3 * PROXY_CHUNK_BYTES).map(|n| (n % 251) as u8).collect();
        file.write_all_at(&bytes, 0).expect("written");
        let (at, left) = (7, 2 * PROXY_CHUNK_BYTES + 9);
        let content = Content { file: Arc::new(file), at: at as u64, left: left as u64 };
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let body = runtime.block_on(content.collect()).expect("it is read").to_bytes();
        assert!(body == bytes[at..at + left]);
    }
}
