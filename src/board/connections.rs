//! Connections: so many at the same time, each bounded in its headers and its life, within TLS where there is a certificate.

use crate::model::limits::{BOARD_CONNECTIONS_MAX, BOARD_HEADER_BYTES_MAX, BOARD_HEADER_MS_MAX, BOARD_MS_MAX};
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Answers until the listener fails.
pub async fn listen(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, router: Router) -> io::Result<()> {
    let (gate, mut connections) = (Arc::new(Semaphore::new(BOARD_CONNECTIONS_MAX)), JoinSet::new());
    let tls = tls.map(TlsAcceptor::from);
    loop {
        let Ok(permit) = gate.clone().acquire_owned().await else { return Ok(()) };
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that went away before it was taken is not ours to mourn.
                let Ok((stream, _)) = accepted else { continue };
                let (router, tls) = (router.clone(), tls.clone());
                connections.spawn(async move {
                    let life = Duration::from_millis(BOARD_MS_MAX);
                    drop(tokio::time::timeout(life, converse(stream, tls, router)).await);
                    drop(permit);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    let Some(tls) = tls else { return answer(stream, router).await };
    let wait = Duration::from_millis(BOARD_HEADER_MS_MAX);
    if let Ok(Ok(stream)) = tokio::time::timeout(wait, tls.accept(stream)).await {
        answer(stream, router).await;
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let mut connection = hyper::server::conn::http1::Builder::new();
    let wait = Duration::from_millis(BOARD_HEADER_MS_MAX);
    connection.timer(TokioTimer::new()).header_read_timeout(wait).max_buf_size(BOARD_HEADER_BYTES_MAX);
    // A client that hangs up or talks nonsense ends its own connection, and nobody else's.
    drop(connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await);
}
