//! Files by their digest over HTTP, for hosts of the same datacenter, for as long as one session lasts.
//!
//! Invariants. Only GET of `/TOKEN/DIGEST` is answered, and only for files that were proven here and came from the
//! controller; nothing is written. Connections, their headers and their time are bounded. Files are opened below the deploy
//! root as all others are, and whoever gets them hashes them. It ends when it is dropped.

use super::diskfs::DiskFs;
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
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
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
type Files = Arc<Mutex<BTreeMap<Digest, Place>>>;

/// A server in a thread of its own.
pub struct Server {
    files: Files,
    /// Dropped to end it.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `address`.
    pub fn start(fs: DiskFs, address: SocketAddr, token: String) -> Result<Self, Refused> {
        let refused = |error: io::Error| match error.kind() {
            ErrorKind::AddrInUse => Refused::InUse,
            ErrorKind::AddrNotAvailable => Refused::NotHere,
            _ => Refused::System,
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(refused)?;
        let files = Files::default();
        let (end, ended) = oneshot::channel();
        let shelf = Shelf { fs, token, files: Arc::clone(&files) };
        let thread =
            std::thread::Builder::new().spawn(move || run(&runtime, listener, shelf, ended)).map_err(refused)?;
        Ok(Self { files, end: Some(end), thread: Some(thread) })
    }
}

impl Serving for Server {
    fn add(&mut self, more: BTreeMap<Digest, Place>) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).extend(more);
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
struct Shelf {
    fs: DiskFs,
    token: String,
    files: Files,
}

fn run(runtime: &Runtime, listener: TcpListener, shelf: Shelf, ended: oneshot::Receiver<()>) {
    let local = LocalSet::new();
    local.block_on(runtime, async {
        tokio::select! {
            _ = ended => {}
            () = listen(listener, Rc::new(shelf)) => {}
        }
    });
}

async fn listen(listener: TcpListener, shelf: Rc<Shelf>) {
    let gate = Arc::new(Semaphore::new(PROXY_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&gate).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: a moment later there may be fewer.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shelf = Rc::clone(&shelf);
        tokio::task::spawn_local(async move {
            converse(stream, &shelf).await;
            drop(permit);
        });
    }
}

async fn converse(stream: TcpStream, shelf: &Rc<Shelf>) {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(shelf.answer(&request))));
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(PROXY_HEADER_MS_MAX));
    let serving = connection.serve_connection(TokioIo::new(stream), service);
    drop(tokio::time::timeout(Duration::from_millis(PROXY_MS_MAX), serving).await);
}

impl Shelf {
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
        let place = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()?;
        let file = self.fs.open_file(&place).ok()?;
        let left = file.metadata().ok()?.len();
        Some(Content { file, left })
    }
}

/// A file on its way.
struct Content {
    file: File,
    left: u64,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut bytes = Vec::new();
        let most = self.left.min(PROXY_CHUNK_BYTES);
        Poll::Ready(Some(match (&self.file).take(most).read_to_end(&mut bytes) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
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
