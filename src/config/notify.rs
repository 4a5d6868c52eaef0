//! The section `notify`: who is told what became of rollouts, and how.
//!
//! Invariants. No secret stands in groups.yaml: a webhook's URL is one, so only where it stands is said, and what stands
//! there by mistake is not repeated. An address of a mail has no character that could end a header or be an option.

pub mod entry;

use super::diagnostic::{Place, Sink};
use super::policy::{Hook, NotifierPolicy, NotifyTo, SalTo, SyslogTo};
use super::raw::At;
use super::resolve::{argv, line, local_path, parsed};
use super::store::reference;
use crate::model::limits::{LINE_BYTES_MAX, MAIL_RECIPIENTS_MAX, NOTIFIERS_MAX};
use crate::model::names::{GateName, HostName};
use crate::model::notice::Occasion;
use crate::model::secret::Reference;
use entry::{Form, NotifyEntry, WAYS, Way};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where mail is handed over unless the site says otherwise.
const SENDMAIL: &str = "/usr/sbin/sendmail";
/// Where the system's log listens unless the site says otherwise.
const DEV_LOG: &str = "/dev/log";

/// Who is told, in the order of the file.
pub fn notify(entries: &[NotifyEntry], base: &Path, sink: &mut Sink) -> Vec<NotifierPolicy> {
    let mut found: Vec<NotifierPolicy> = Vec::new();
    for entry in entries {
        let way = entry.to.value;
        for (key, of, place) in entry.own() {
            if let Some(place) = place.filter(|_| of != way) {
                sink.add(place, format!("`{key}` belongs to a notifier with `to: {}`", word(of)));
            }
        }
        let name: Option<GateName> = parsed(&entry.name, "the name of a notifier", sink);
        if found.iter().any(|other| other.name.as_str() == entry.name.value) {
            sink.add(entry.name.place, format!("the notifier `{}` is listed twice", entry.name.value));
        }
        let to = match way {
            Way::Sal => sal(entry, base, sink),
            Way::Webhook => webhook(entry, base, sink),
            Way::Mail => mail(entry, base, sink),
            Way::Syslog => syslog(entry, base, sink),
        };
        let on = match &entry.on {
            Some(on) => on.value.iter().copied().collect(),
            None => Occasion::ALL.iter().map(|(_, occasion)| *occasion).collect(),
        };
        if found.len() == NOTIFIERS_MAX {
            sink.add(entry.name.place, format!("there are more than {NOTIFIERS_MAX} notifiers"));
            break;
        }
        found.extend(name.zip(to).map(|(name, to)| NotifierPolicy { name, on, to }));
    }
    found
}

fn word(way: Way) -> &'static str {
    WAYS.iter().find(|(_, other)| *other == way).map_or("", |(word, _)| word)
}

/// A key without which a way is none.
fn need<'a, T>(at: &'a Option<At<T>>, key: &str, entry: &NotifyEntry, sink: &mut Sink) -> Option<&'a At<T>> {
    if at.is_none() {
        sink.add(entry.name.place, format!("a notifier with `to: {}` needs `{key}`", word(entry.to.value)));
    }
    at.as_ref()
}

/// A path that means the same whoever types a command where.
fn absolute(at: &At<String>, base: &Path, sink: &mut Sink) -> Option<PathBuf> {
    if !at.value.starts_with('/') {
        sink.hint(at.place, "this path must be absolute", Some("it begins with `/`".to_owned()));
        return None;
    }
    local_path(at, base, sink)
}

fn sal(entry: &NotifyEntry, base: &Path, sink: &mut Sink) -> Option<NotifyTo> {
    match (&entry.file, &entry.argv) {
        (Some(file), None) => absolute(file, base, sink).map(|file| NotifyTo::Sal(SalTo::File(file))),
        (None, Some(words)) => {
            let words = argv(words, sink);
            if words.is_empty() {
                sink.add(entry.argv.as_ref().map_or(Place::default(), |at| at.place), "a program must stand here");
            }
            Some(NotifyTo::Sal(SalTo::Argv(words)))
        }
        _ => {
            let hint = "`file: /var/log/pointsman/sal.log`, or `argv: [PROGRAM]` which gets the line on its stdin";
            sink.hint(
                entry.name.place,
                "a notifier with `to: sal` needs either `file` or `argv`",
                Some(hint.to_owned()),
            );
            None
        }
    }
}

fn webhook(entry: &NotifyEntry, base: &Path, sink: &mut Sink) -> Option<NotifyTo> {
    let form = need(&entry.form, "form", entry, sink);
    let url = need(&entry.url, "url", entry, sink).and_then(|at| secret(at, "a webhook's URL", base, sink));
    let token = entry.token.as_ref().map(|at| secret(at, "a token", base, sink));
    let ca = entry.ca.as_ref().and_then(|at| local_path(at, base, sink));
    let form = form?.value;
    let hook = match (form, &entry.gateway) {
        (Form::IrcBridge, _) => {
            Hook::IrcBridge { gateway: line(need(&entry.gateway, "gateway", entry, sink)?, "a gateway", sink)? }
        }
        (_, Some(gateway)) => {
            sink.add(gateway.place, "`gateway` belongs to a webhook with `form: irc-bridge`");
            return None;
        }
        (Form::Slack, None) => Hook::Slack,
        (Form::Mattermost, None) => Hook::Mattermost,
        (Form::Json, None) => Hook::Json,
    };
    let token = match token {
        Some(token) => Some(token?),
        None => None,
    };
    Some(NotifyTo::Webhook { hook, url: url?, token, ca })
}

fn secret(at: &At<String>, what: &str, base: &Path, sink: &mut Sink) -> Option<Reference> {
    reference(at, base, sink, |sink| {
        let hint = "as in `env:POINTSMAN_WEBHOOK` or `file:/etc/pointsman/webhook`, a file of mode 600";
        sink.hint(
            at.place,
            format!("{what} is a secret, so only where it stands is written here"),
            Some(hint.to_owned()),
        );
    })
}

fn mail(entry: &NotifyEntry, base: &Path, sink: &mut Sink) -> Option<NotifyTo> {
    let from = need(&entry.from, "from", entry, sink).and_then(|at| mailbox(at, sink));
    let recipients = need(&entry.recipients, "recipients", entry, sink)?;
    let many = recipients.value.len();
    if many == 0 || many > MAIL_RECIPIENTS_MAX {
        sink.add(recipients.place, format!("1 to {MAIL_RECIPIENTS_MAX} addresses must stand here, not {many}"));
    }
    let to: Vec<String> = recipients.value.iter().filter_map(|at| mailbox(at, sink)).collect();
    let sendmail = match &entry.sendmail {
        Some(at) => absolute(at, base, sink)?,
        None => PathBuf::from(SENDMAIL),
    };
    Some(NotifyTo::Mail { from: from?, to, sendmail })
}

/// `name@host`, of characters that mean nothing in a header.
fn mailbox(at: &At<String>, sink: &mut Sink) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+_-=".contains(c);
    let good = at.value.split_once('@').filter(|(name, host)| {
        let name = (1..=64).contains(&name.len()) && name.chars().all(plain) && !name.starts_with(['-', '.']);
        name && host.parse::<HostName>().is_ok()
    });
    if good.is_none() {
        let hint = "as in `ops@example.org`, without a name before it".to_owned();
        sink.hint(at.place, format!("`{}` is not the address of a mailbox", at.value), Some(hint));
    }
    good.map(|_| at.value.clone())
}

fn syslog(entry: &NotifyEntry, base: &Path, sink: &mut Sink) -> Option<NotifyTo> {
    let Some(at) = &entry.address else { return Some(NotifyTo::Syslog(SyslogTo::Socket(DEV_LOG.into()))) };
    if at.value.starts_with('/') {
        return local_path(at, base, sink).map(|path| NotifyTo::Syslog(SyslogTo::Socket(path)));
    }
    if let Ok(address) = at.value.parse::<SocketAddr>() {
        return Some(NotifyTo::Syslog(SyslogTo::Udp(address.ip().to_string(), address.port())));
    }
    let parts = at.value.rsplit_once(':').filter(|_| at.value.len() <= LINE_BYTES_MAX);
    let parts = parts.and_then(|(host, port)| Some((host.parse::<HostName>().ok()?, port.parse::<u16>().ok()?)));
    if parts.is_none() {
        let hint = "a socket as in `/dev/log`, or a host and its port as in `log1.example.org:514`".to_owned();
        sink.hint(at.place, format!("`{}` is not where a syslog listens", at.value), Some(hint));
    }
    parts.map(|(host, port)| NotifyTo::Syslog(SyslogTo::Udp(host.to_string(), port)))
}
