//! Where the server is and who we are there: a URL that groups.yaml only refers to.
//!
//! Invariants. No error and no output has any part of the URL but the server's name, port and database. TLS is left out
//! on a Unix socket and on a loopback address only, and there is no word in the URL that switches its verification off.

use super::super::error::StoreError;
use super::tls::Tls;
use crate::config::policy::StorePolicy;
use crate::model::limits::{CREDENTIALS_BYTES_MAX, FAULT_CHARS_MAX};
use crate::model::secret::Secret;
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use url::Url;

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By a socket in the file system.
    Socket(PathBuf),
    /// By TCP: a name or an address, and a port.
    Tcp(String, u16),
}

/// A server, and how we show it who we are.
pub struct Target {
    server: String,
    /// How it is reached.
    pub host: Host,
    /// Without it nothing is encrypted, as on loopback.
    pub tls: Option<Tls>,
    user: String,
    password: Option<Secret>,
    database: String,
}

/// Never the password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Target {
    /// As it may be shown: `postgres://db1.codfw.wmnet:5432/pointsman`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// For a connection.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.user(&self.user).dbname(&self.database).application_name("pointsman");
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        config.ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config
    }
}

/// Reads what groups.yaml refers to.
pub fn target(at: &StorePolicy) -> Result<Target, StoreError> {
    let refused = |why: String| StoreError::Address { reference: at.source.to_string(), why };
    let text = crate::config::secret::referred(&at.source);
    let parts = text.and_then(|text| parse(text.expose())).map_err(refused)?;
    let tls = match (&parts.host, parts.wants_tls || at.ca_file.is_some()) {
        (Host::Tcp(name, _), true) => Some(tls(name, at).map_err(refused)?),
        _ => None,
    };
    let Parts { server, host, user, password, database, .. } = parts;
    Ok(Target { server, host, tls, user, password, database })
}

fn tls(name: &str, at: &StorePolicy) -> Result<Tls, String> {
    let pem = at.ca_file.as_ref().map(|path| {
        let found = std::fs::metadata(path).map_err(|e| e.to_string());
        let short = found.map(|found| found.is_file() && found.len() <= CREDENTIALS_BYTES_MAX)?;
        if !short {
            return Err(format!("it is no file of at most {CREDENTIALS_BYTES_MAX} bytes"));
        }
        std::fs::read(path).map_err(|e| e.to_string())
    });
    let shown = at.ca_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let pem = pem.transpose().map_err(|why| format!("its `ca_file` {shown} can't be read: {why}"))?;
    let config = crate::signal::http::config(pem.as_deref()).map_err(|why| format!("its `ca_file` {shown}: {why}"))?;
    let name = ServerName::try_from(name.to_owned()).map_err(|_| "the server's name is none of DNS".to_owned())?;
    Ok(Tls { config: Arc::new(config), name })
}

/// A URL's parts. The password is in it, so there is no `Debug`.
struct Parts {
    server: String,
    host: Host,
    wants_tls: bool,
    user: String,
    password: Option<Secret>,
    database: String,
}

/// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `postgres://USER@/DATABASE?host=/run/postgresql`.
///
/// # Errors
///
/// What is wrong with it, without any part of it.
fn parse(text: &str) -> Result<Parts, String> {
    let form = || "it is not of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned();
    // A URL with a user and no host is none; the dash stands for the socket that is named behind.
    let url = Url::parse(&text.replacen("@/", "@-/", 1)).map_err(|_| form())?;
    if !["postgres", "postgresql"].contains(&url.scheme()) || url.fragment().is_some() {
        return Err(form());
    }
    let decoded = |part: &str| percent(part).ok_or_else(form);
    let (user, database) = (decoded(url.username())?, decoded(url.path().trim_start_matches('/'))?);
    if user.is_empty() || database.is_empty() || database.contains('/') {
        return Err("it must name a user and a database: postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned());
    }
    let (mut socket, mut port, mut wants_tls) = (None, url.port().unwrap_or(5432), false);
    for (key, value) in url.query_pairs() {
        match (&*key, &*value) {
            ("host", path) if path.starts_with('/') => socket = Some(path.to_owned()),
            ("port", number) => port = number.parse().map_err(|_| form())?,
            ("sslmode", "require" | "verify-ca" | "verify-full") => wants_tls = true,
            ("sslmode", _) => return Err("TLS can't be switched off: take `sslmode` out of it".to_owned()),
            _ => {
                return Err(
                    "it has a parameter that is not known; `host=/DIRECTORY`, `port` and `sslmode` are".to_owned()
                );
            }
        }
    }
    let name = url.host_str().map(|name| name.trim_matches(['[', ']'])).filter(|name| !["", "-"].contains(name));
    let host = match (name, socket) {
        (None, Some(directory)) => Host::Socket(PathBuf::from(directory).join(format!(".s.PGSQL.{port}"))),
        (Some(name), None) => Host::Tcp(name.to_owned(), port),
        _ => return Err("it must name either a host or, with `?host=/DIRECTORY`, a socket".to_owned()),
    };
    let server = match &host {
        Host::Socket(path) => format!("{} in {}", database, path.display()),
        Host::Tcp(name, port) => format!("postgres://{name}:{port}/{database}"),
    };
    let server = server.escape_debug().take(FAULT_CHARS_MAX).collect();
    let is_near = |name: &str| literal(name).is_some_and(|address| address.is_loopback());
    let wants_tls = wants_tls || matches!(&host, Host::Tcp(name, _) if !is_near(name));
    let password = url.password().map(decoded).transpose()?.map(Secret::new);
    Ok(Parts { server, host, wants_tls, user, password, database })
}

/// The address that a name is, without that anybody is asked: then nobody can answer with another one.
pub fn literal(name: &str) -> Option<IpAddr> {
    match name {
        "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        name => name.parse().ok(),
    }
}

/// A part of a URL without its escapes; `None`: they are not UTF-8.
fn percent(part: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        let digit = |b: Option<u8>| char::from(b?).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Host, bool, String) {
        let parts = parse(text).expect(text);
        assert_eq!((parts.user.as_str(), parts.database.as_str()), ("me", "books"));
        (parts.host, parts.wants_tls, parts.server)
    }

    #[test]
    fn s18_tls_is_left_out_near_by_only() {
        let tcp = |name: &str, port| Host::Tcp(name.to_owned(), port);
        let far = parsed("postgres://me:p%40ss@db1.codfw.wmnet/books");
        assert_eq!(far, (tcp("db1.codfw.wmnet", 5432), true, "postgres://db1.codfw.wmnet:5432/books".to_owned()));
        for (text, name, tls) in [
            ("postgres://me@10.0.0.1:1/books", "10.0.0.1", true),
            ("postgresql://me@127.0.0.2:1/books", "127.0.0.2", false),
            ("postgres://me@localhost:1/books", "localhost", false),
            ("postgres://me@[::1]:1/books", "::1", false),
            ("postgres://me@localhost.evil.example:1/books", "localhost.evil.example", true),
            ("postgres://me@localhost:1/books?sslmode=verify-full", "localhost", true),
        ] {
            let (host, wants_tls, _) = parsed(text);
            assert_eq!((host, wants_tls), (tcp(name, 1), tls), "{text}");
        }
        let (host, tls, shown) = parsed("postgres://me@/books?host=/run/postgresql");
        assert_eq!((host, tls), (Host::Socket("/run/postgresql/.s.PGSQL.5432".into()), false));
        assert_eq!(shown, "books in /run/postgresql/.s.PGSQL.5432");
        assert!(
            parse("postgres://me:p%40ss@h/books").ok().and_then(|p| p.password).is_some_and(|p| p.expose() == "p@ss")
        );
    }

    #[test]
    fn s10_what_is_wrong_is_said_without_a_part_of_it() {
        for text in [
            "CANARY",
            "http://CANARY:CANARY@h/CANARY",
            "postgres://CANARY:CANARY@h/",
            "postgres://:CANARY@h/CANARY",
            "postgres://CANARY:CANARY@h/books?sslmode=disable",
            "postgres://CANARY:CANARY@h/books?sslmode=prefer",
            "postgres://CANARY:CANARY@h/books?options=CANARY",
            "postgres://CANARY:CANARY@h/books?host=/CANARY",
            "postgres://CANARY:CANARY%ff@h/books",
            "postgres://CANARY:CANARY@/books",
            "postgres://CANARY:CANARY@h:99999/books",
        ] {
            let why = parse(text).err().expect(text);
            assert!(!why.contains("CANARY"), "{text}: {why}");
        }
        assert_eq!(
            parse("postgres://me@h/books?sslmode=disable").err().as_deref(),
            Some("TLS can't be switched off: take `sslmode` out of it")
        );
    }
}
