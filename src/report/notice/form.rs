//! The forms in which notices leave: a closed set of templates, each with the escapes of the place where it is shown.
//!
//! Invariants. Every text is first made harmless as for a terminal ([`Untrusted`]), so no control character, no turn of
//! the reading direction and no endless line is left for any form. A header of a mail has names of strict grammars only.

use crate::model::limits::{IRC_LINE_BYTES_MAX, MAIL_COLUMNS_MAX, SYSLOG_TEXT_BYTES_MAX};
use crate::model::notice::{Notice, Occasion};
use crate::report::escape::Untrusted;
use crate::report::markdown::Cell;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Facility `daemon` of RFC 5424.
const DAEMON: u8 = 3;

fn plain(text: &str) -> String {
    Untrusted(text).to_string()
}

/// What it is about and what happened, in one line.
fn headline(notice: &Notice) -> String {
    format!("{}: {}", notice.subject, plain(&notice.text))
}

/// Every line, the headline first.
fn lines(notice: &Notice) -> Vec<String> {
    let hint = notice.hint.iter().map(|hint| format!("hint: {hint}"));
    std::iter::once(headline(notice)).chain(notice.lines.iter().map(|line| plain(line))).chain(hint).collect()
}

/// The first bytes of a text, cut between characters.
fn cut(text: &str, bytes_max: usize) -> String {
    match text.len() <= bytes_max {
        true => text.to_owned(),
        false => format!("{}...", &text[..text.floor_char_boundary(bytes_max - 3)]),
    }
}

/// A line of the site's log for people, without a line end.
pub fn sal(notice: &Notice) -> String {
    format!("{} {} {}", notice.at, plain(&notice.by), headline(notice))
}

/// For an incoming webhook of Slack. `&`, `<` and `>` are what could begin a mention or a link there; that nothing is
/// formatted is said.
pub fn slack(notice: &Notice) -> Value {
    let text = lines(notice).join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({"text": text, "mrkdwn": false, "unfurl_links": false, "unfurl_media": false})
}

/// For an incoming webhook of Mattermost, which reads Markdown; a mention is one in spite of a backslash, so what follows
/// an `@` is kept apart from it.
pub fn mattermost(notice: &Notice) -> Value {
    let lines: Vec<String> = lines(notice).iter().map(|line| Cell(line).to_string()).collect();
    json!({"text": lines.join("\n").replace('@', "@\u{200b}")})
}

/// For the API of Matterbridge (`POST /api/message`), which brings it to IRC: one line that fits.
pub fn irc_bridge(notice: &Notice, gateway: &str) -> Value {
    let hint = notice.hint.iter().map(|hint| format!(" ({hint})"));
    let line = std::iter::once(headline(notice)).chain(hint).collect::<String>();
    json!({"text": cut(&line, IRC_LINE_BYTES_MAX), "username": "pointsman", "gateway": gateway})
}

/// Every part of a notice by its name, as a webhook with `form: json` is sent it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "pointsman notice")]
pub struct NoticeJson {
    /// The form of this.
    v: u32,
    /// `notice`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// About what.
    on: Occasion,
    /// When, in RFC 3339.
    at: String,
    /// What was undertaken.
    subject: String,
    /// Who undertook it.
    by: String,
    /// What happened.
    text: String,
    /// What it rests on.
    lines: Vec<String>,
    /// What to type now.
    hint: Option<String>,
}

/// Every part of a notice by its name.
pub fn json(notice: &Notice) -> NoticeJson {
    NoticeJson {
        v: 1,
        kind: "notice",
        on: notice.on,
        at: notice.at.to_string(),
        subject: notice.subject.clone(),
        by: plain(&notice.by),
        text: plain(&notice.text),
        lines: notice.lines.iter().map(|line| plain(line)).collect(),
        hint: notice.hint.clone(),
    }
}

/// A whole mail. Its headers are ours, the addresses of groups.yaml and the subject, all of which have strict grammars.
pub fn mail(notice: &Notice, from: &str, to: &[String]) -> String {
    let (to, subject, on) = (to.join(", "), &notice.subject, notice.on);
    let headers = format!(
        "From: {from}\nTo: {to}\nSubject: [pointsman] {on}: {subject}\nAuto-Submitted: auto-generated\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    );
    let mut lines = lines(notice);
    lines.push(format!("{}, by {}", notice.at, plain(&notice.by)));
    let lines: Vec<String> =
        lines.iter().flat_map(|line| textwrap::wrap(line, MAIL_COLUMNS_MAX)).map(Into::into).collect();
    format!("{headers}\n{}\n", lines.join("\n"))
}

/// Who speaks to a syslog.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// The name of this host.
    pub host: String,
    /// Of this process.
    pub pid: u32,
}

/// `<27>`: the facility and how grave it is.
fn priority(notice: &Notice) -> u8 {
    let severity = match notice.on {
        Occasion::GateFailed => 3,
        Occasion::Paused | Occasion::RolledBack | Occasion::Owed => 4,
        Occasion::Approved | Occasion::WaveDone | Occasion::Ended => 5,
    };
    DAEMON * 8 + severity
}

/// For the socket of this host, as its C library would write it (RFC 3164 without a host), the time in UTC.
pub fn syslog_local(notice: &Notice, speaker: &Speaker) -> String {
    let stamp = i64::try_from(notice.at.0 / 1000).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    let stamp = stamp.map(|stamp| stamp.strftime("%b %e %H:%M:%S ").to_string()).unwrap_or_default();
    let text = cut(&headline(notice), SYSLOG_TEXT_BYTES_MAX);
    format!("<{}>{stamp}pointsman[{}]: {text}", priority(notice), speaker.pid)
}

/// For another host (RFC 5424).
pub fn syslog_remote(notice: &Notice, speaker: &Speaker) -> String {
    let host: String = speaker.host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let text = cut(&headline(notice), SYSLOG_TEXT_BYTES_MAX);
    format!("<{}>1 {} {host} pointsman {} {} - {text}", priority(notice), notice.at, speaker.pid, notice.on)
}

#[cfg(test)]
mod tests;
