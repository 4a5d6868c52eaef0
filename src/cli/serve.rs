//! `serve`: the board in a browser.

use super::exit::Exit;
use super::lock::ended;
use super::seat::Seat;
use super::usage::Usage;
use crate::board::access::Access;
use crate::board::people::People;
use crate::board::{Board, serve};
use crate::config::secret;
use crate::model::names::HostName;
use anyhow::Context;
use clap::Args;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// A live page of the train in a browser, where a waiting approval can be answered
///
/// Groups and versions, hosts, what runs with its gates, and what was done with its reports; /metrics for Prometheus and
/// /api/v1 as JSON. Reads the books and talks to no host. On loopback anybody on this machine may read; elsewhere a
/// certificate and people with tokens are needed. See docs/board.md. Ends with Ctrl-C.
#[derive(Args)]
#[command(
    after_help = "Example:\n  pointsman serve --listen 127.0.0.1:8080\n  pointsman serve --listen 10.0.0.1:8443 --name board.example.org --people people --tls-cert board.pem --tls-key board.key"
)]
pub struct Serve {
    /// Where; a port of 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A name under which browsers ask for it, beside its address
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<HostName>,
    /// Who may answer approvals: lines NAME SHA256-OF-TOKEN, in a file that only you can read
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// Its certificate with those that lead to its issuer, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key in PEM, in a file that only you can read
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Serve {
    /// Runs the command.
    pub fn run(self, seat: &Seat) -> anyhow::Result<Exit> {
        let groups_yaml = seat.groups_yaml_file()?;
        // What is wrong with the site or its books is said now, and not on the first page.
        seat.read_books(&seat.policy()?)?;
        let tls =
            self.tls_cert.as_deref().zip(self.tls_key.as_deref()).map(|(cert, key)| tls(cert, key)).transpose()?;
        if !self.listen.ip().is_loopback() && (tls.is_none() || self.people.is_none()) {
            let why = "others than this machine can reach it: it needs --tls-cert, --tls-key and --people";
            return Err(Usage(format!("{} is not a loopback address, so {why}", self.listen)).into());
        }
        let read = |file: &PathBuf| People::read(file).map_err(|why| Usage(format!("{}: {why}", file.display())));
        let people = self.people.as_ref().map(read).transpose()?.unwrap_or_default();
        let served = seat.block_on(async {
            let listener = TcpListener::bind(self.listen).await;
            let listener = listener.with_context(|| format!("failed to listen on {}", self.listen))?;
            let address = listener.local_addr().context("failed to learn the address")?;
            let names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
            let access = Access::new(address, &names, tls.is_some());
            let scheme = if tls.is_some() { "https" } else { "http" };
            seat.printer.talk(&format!("the board is at {scheme}://{address}/"));
            let board = Board { groups_yaml, access, people, tls };
            tokio::select! {
                served = serve(listener, board) => served.context("failed to serve"),
                ended = ended() => ended.context("failed to listen to signals"),
            }
        })?;
        served.map(|()| Exit::Done)
    }
}

/// A certificate and its key.
fn tls(cert: &Path, key: &Path) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let bad = |file: &Path, why: String| Usage(format!("{}: {why}", file.display()));
    let chain = CertificateDer::pem_file_iter(cert).map_err(|error| bad(cert, error.to_string()))?;
    let chain: Vec<CertificateDer<'static>> =
        chain.collect::<Result<_, _>>().map_err(|error| bad(cert, error.to_string()))?;
    let text = secret::text(key).map_err(|why| bad(key, why))?;
    let private =
        PrivateKeyDer::from_pem_slice(text.expose().as_bytes()).map_err(|_| bad(key, "it has no key in PEM".into()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_no_client_auth().with_single_cert(chain, private);
    Ok(Arc::new(config.map_err(|error| bad(cert, error.to_string()))?))
}
