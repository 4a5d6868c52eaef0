//! One notice to one notifier.
//!
//! Invariants. HTTP as providers do it: no proxy of the environment, no redirect, TLS that is verified; of an answer only
//! its status is read. No shell and nothing of a notice in an argv. No error has any part of a secret.

use crate::config::policy::{Hook, NotifyTo, SalTo, SyslogTo};
use crate::config::secret::referred;
use crate::drive::hook;
use crate::gate::signature::harmless;
use crate::model::limits::{FAULT_CHARS_MAX, NOTIFY_MS_MAX};
use crate::model::notice::Notice;
use crate::model::secret::Reference;
use crate::report::notice::form::{self, Speaker};
use crate::signal::http;
use reqwest::{Client, Url};
use rustix::fs::OFlags;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{UdpSocket, UnixDatagram};

/// Tells one notifier; an error is one line of why it can't be.
pub async fn deliver(to: &NotifyTo, notice: &Notice) -> Result<(), String> {
    let told = match to {
        NotifyTo::Sal(SalTo::File(file)) => append(file.clone(), form::sal(notice)).await,
        NotifyTo::Sal(SalTo::Argv(argv)) => {
            let line = format!("{}\n", form::sal(notice));
            hook::feed(argv, None, line.as_bytes(), NOTIFY_MS_MAX).await
        }
        NotifyTo::Webhook { hook, url, token, ca } => {
            post(&body(hook, notice)?, url, token.as_ref(), ca.as_deref()).await
        }
        NotifyTo::Mail { from, to, sendmail } => {
            let argv = [sendmail.to_string_lossy().into_owned(), "-t".to_owned(), "-oi".to_owned()];
            hook::feed(&argv, None, form::mail(notice, from, to).as_bytes(), NOTIFY_MS_MAX).await
        }
        NotifyTo::Syslog(to) => log(to, notice).await,
    };
    told.map_err(|why| harmless(&why, FAULT_CHARS_MAX))
}

fn body(hook: &Hook, notice: &Notice) -> Result<Value, String> {
    match hook {
        Hook::Slack => Ok(form::slack(notice)),
        Hook::Mattermost => Ok(form::mattermost(notice)),
        Hook::IrcBridge { gateway } => Ok(form::irc_bridge(notice, gateway)),
        Hook::Json => serde_json::to_value(form::json(notice)).map_err(|error| error.to_string()),
    }
}

/// One line at the end of a file, in one write, so that lines of two deploys are not mixed.
async fn append(path: PathBuf, line: String) -> Result<(), String> {
    let shown = path.display().to_string();
    let write = move || -> std::io::Result<()> {
        // A pipe without a reader does not make it wait, and a link leads nowhere.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut file: File = OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags).open(path)?;
        match file.metadata()?.is_file() {
            true => file.write_all(format!("{line}\n").as_bytes()),
            false => Err(std::io::Error::other("it is not a file")),
        }
    };
    let written = tokio::task::spawn_blocking(write).await.map_err(|error| error.to_string())?;
    written.map_err(|error| format!("{shown}: {error}"))
}

async fn post(body: &Value, url: &Reference, token: Option<&Reference>, ca: Option<&Path>) -> Result<(), String> {
    let of = |reference: &Reference| referred(reference).map_err(|why| format!("{reference}: {why}"));
    let known = |target: &Url| matches!(target.scheme(), "http" | "https");
    let target = Url::parse(of(url)?.expose()).ok().filter(known).ok_or_else(|| format!("{url} holds no URL"))?;
    let pem = ca.map(|ca| std::fs::read(ca).map_err(|error| format!("{}: {error}", ca.display()))).transpose()?;
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let builder = builder.tls_backend_preconfigured(http::config(pem.as_deref())?);
    let client = builder.build().map_err(|error| http::cause(&error.without_url()))?;
    let mut request = client.post(target).header("content-type", "application/json").body(body.to_string());
    if let Some(token) = token {
        request = request.bearer_auth(of(token)?.expose());
    }
    let answer = request.send().await.map_err(|error| http::cause(&error.without_url()))?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answers {}", status.as_u16())),
    }
}

async fn log(to: &SyslogTo, notice: &Notice) -> Result<(), String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let speaker = Speaker { host, pid: std::process::id() };
    let (shown, sent) = match to {
        SyslogTo::Socket(path) => {
            let text = form::syslog_local(notice, &speaker);
            let send = async { UnixDatagram::unbound()?.send_to(text.as_bytes(), path).await };
            (path.display().to_string(), send.await)
        }
        SyslogTo::Udp(name, port) => {
            let address = match name.parse::<IpAddr>() {
                Ok(ip) => SocketAddr::new(ip, *port),
                Err(_) => http::resolve(name, *port).await?,
            };
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let text = form::syslog_remote(notice, &speaker);
            let send = async { UdpSocket::bind(any).await?.send_to(text.as_bytes(), address).await };
            (format!("{name}:{port}"), send.await)
        }
    };
    sent.map(|_| ()).map_err(|error| format!("{shown}: {error}"))
}
