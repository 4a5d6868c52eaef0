//! Signatures: log lines with what varies taken out, so that a new kind of error can be told from an old one.
//!
//! Invariant: two lines that differ only in numbers, addresses, paths, URLs, quoted texts or SQL literals have the same
//! signature; the signature of a signature is itself; both are bounded and harmless to print.
//!
//! Deliberately absent: learning. A mask is a rule that can be read, so an acknowledged signature stays one.

use crate::model::digest::Digest;
use crate::model::limits::{SIGNATURE_CHARS_MAX, SIGNATURE_INPUT_BYTES_MAX, UNTRUSTED_SHOWN_MAX};
use crate::model::names::HostName;
use crate::model::time::Time;
use crate::model::verdict::HostCounts;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One signature, as a source saw it since the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The masked line, as it is printed and acknowledged.
    pub signature: String,
    /// One whole line of it, made harmless and bounded.
    pub sample: String,
    /// Events by host since the switch.
    pub hosts: BTreeMap<HostName, u64>,
    /// Exposure by host, for the comparison of frequencies; empty: not known.
    pub exposure: HostCounts,
    /// When it was first seen within the look-back and before the switch; `None`: never.
    pub known_since: Option<Time>,
}

/// What MediaWiki and Monolog write before a message: time, request, host, wiki, version, channel and level.
static PLAIN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let when = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[^\s\]]*";
    let medium = r"(?:\[\S+\] )?\S+ [a-z0-9_-]+(?: \d+\.\d+\.\d\S*)?(?: (?P<channel>\S+) (?P<level>[A-Z]+))?";
    let monolog = r"(?P<monolog>[A-Za-z][\w.-]*\.[A-Z]+)";
    Regex::new(&format!(r"^\[?{when}\]? (?:{monolog}|{medium}): (?P<message>.*)$")).ok()
});

/// Several masked values in a row, as in SQL's `IN (...)`.
static REPEATED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(<n>|<str>)(?:\s*,\s*(?:<n>|<str>))+").ok());

/// What stands for what was masked.
const MASKS: [&str; 5] = ["<n>", "<str>", "<path>", "<url>", "<ip>"];
/// Words with digits in them that do not vary.
const WORDS: [&str; 13] =
    ["a11y", "base64", "g11n", "http2", "i18n", "ipv4", "ipv6", "l10n", "md5", "sha1", "sha256", "sha512", "utf8"];
/// Maskings after which a text that still changes is taken as it is.
const ROUNDS_MAX: usize = 8;

/// The signature of a line of a log; `None` for what is no event of its own: empty lines and the frames of a trace.
pub fn signature(line: &str) -> Option<String> {
    let line = cut(line.trim_end(), SIGNATURE_INPUT_BYTES_MAX);
    if is_continuation(line) {
        return None;
    }
    let text = match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(document)) => of_document(&Value::Object(document)),
        _ => of_plain(line),
    };
    Some(mask(&text)).filter(|text| !text.is_empty())
}

/// Eight hexadecimal digits that stand for a signature where there is no room for it.
pub fn id(signature: &str) -> String {
    Digest::of(signature.as_bytes()).to_string().chars().take(8).collect()
}

/// A text of a host, safe to print: in one line, without control characters, and of a long one the beginning.
pub fn harmless(text: &str, chars_max: usize) -> String {
    let plain = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() || is_invisible(c) => '\u{fffd}',
        c => c,
    };
    let mut shown: String = text.trim().chars().take(chars_max).map(plain).collect();
    if text.trim().chars().nth(chars_max).is_some() {
        shown.push_str("...");
    }
    shown
}

/// A sample of a line.
pub fn sample(line: &str) -> String {
    harmless(line, UNTRUSTED_SHOWN_MAX)
}

/// Characters that turn or hide what stands beside them (Unicode's UAX 9, and those of no width).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Frames of a trace and other lines that go on with what the line before began.
fn is_continuation(line: &str) -> bool {
    let frame = line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    line.is_empty() || frame || line.starts_with([' ', '\t'])
}

/// `CHANNEL: MESSAGE` of a plain line, without its time, host and wiki.
fn of_plain(line: &str) -> String {
    let Some(found) = PLAIN.as_ref().and_then(|shape| shape.captures(line)) else { return line.to_owned() };
    let part = |name| found.name(name).map(|part| part.as_str());
    let message = part("message").unwrap_or_default();
    match part("channel").or(part("monolog")) {
        Some(channel) => format!("{channel}: {message}"),
        None => message.to_owned(),
    }
}

/// `CHANNEL: CLASS: MESSAGE at FRAME` of a document as Logstash and Monolog have them.
pub fn of_document(document: &Value) -> String {
    let text = |paths: &[&str]| {
        let found = paths.iter().filter_map(|path| document.pointer(path)?.as_str());
        found.map(str::to_owned).find(|text| !text.is_empty())
    };
    let class = text(&["/exception/class", "/context/exception/class", "/exception_class"]);
    let said = text(&["/exception/message", "/context/exception/message"]);
    let message = text(&["/message", "/msg", "/normalized_message"]);
    let frame = text(&[
        "/exception/trace/0/file",
        "/exception/trace/0",
        "/context/exception/trace/0",
        "/exception/file",
        "/context/exception/file",
    ]);
    let message = if class.is_some() { said.or(message) } else { message };
    let parts = [text(&["/channel", "/type", "/logger"]), class, message];
    let mut line = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    if line.is_empty() {
        // No shape that is known here: its keys are its signature, since values vary.
        let keys = document.as_object().into_iter().flat_map(|entries| entries.keys());
        return keys.cloned().collect::<Vec<_>>().join(" ");
    }
    if let Some(frame) = frame {
        let file = frame.rsplit('/').next().unwrap_or_default();
        line.push_str(" at ");
        line.push_str(file.split([':', '(']).next().unwrap_or_default());
    }
    line
}

/// A text with what varies masked, in one line, bounded; masking it again changes nothing.
pub fn mask(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let next = once(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn once(text: &str) -> String {
    let mut masked = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (taken, out) = match c {
            '\'' | '"' => quoted(&text[..at], rest).map_or((1, None), |end| (end, Some("<str>"))),
            c if c.is_whitespace() || is_delimiter(c) => (c.len_utf8(), None),
            _ => {
                let (taken, out) = word(rest);
                masked.push_str(&out);
                at += taken;
                continue;
            }
        };
        masked.push_str(out.unwrap_or(&rest[..taken]));
        at += taken;
    }
    let joined = match &*REPEATED {
        Some(repeated) => repeated.replace_all(&masked, "$1").into_owned(),
        None => masked,
    };
    let line = joined.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = harmless(&line, usize::MAX).chars().take(SIGNATURE_CHARS_MAX).collect();
    line.trim_end().to_owned()
}

fn is_delimiter(c: char) -> bool {
    "()[]{}<>,;|=`".contains(c)
}

fn in_word(c: char) -> bool {
    !c.is_whitespace() && !is_delimiter(c) && c != '\'' && c != '"'
}

/// Where a quoted text that begins here ends, behind its last quote; `None` when this quote does not begin one, as in
/// `can't`.
fn quoted(before: &str, rest: &str) -> Option<usize> {
    let quote = rest.chars().next()?;
    if before.ends_with(char::is_alphanumeric) || MASKS.iter().any(|mask| before.ends_with(mask)) {
        return None;
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        let after = &rest[at + c.len_utf8()..];
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote && !after.starts_with(char::is_alphanumeric) => {
                let goes_on = MASKS.iter().any(|mask| after.starts_with(mask));
                if !goes_on {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// How many bytes the word here has, and what is left of it.
fn word(rest: &str) -> (usize, String) {
    let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
    let short = &rest[..end];
    let kind = match () {
        () if short.contains("://") => Some("<url>"),
        () if is_path(short) => Some("<path>"),
        () => None,
    };
    if let Some(kind) = kind {
        // They may hold what else ends a word: `/w/index.php?title=A,(B)`.
        let end = rest.find(|c: char| c.is_whitespace() || "\"<>]`".contains(c)).unwrap_or(rest.len());
        let kept = rest[..end].trim_end_matches(|c: char| ".,:;!?)}'".contains(c));
        return (kept.len().max(1), kind.to_owned());
    }
    let bare = short.trim_end_matches(['.', ':', '!', '?']);
    let tail = &short[bare.len()..];
    match () {
        () if is_address(bare) => (end, format!("<ip>{tail}")),
        () if is_uuid(bare) => (end, format!("<n>{tail}")),
        () => (end, runs(short)),
    }
}

fn is_path(word: &str) -> bool {
    let absolute = word.strip_prefix(['/', '~']).is_some_and(|rest| rest.contains(char::is_alphanumeric));
    let inside = word.matches('/').count() > 1 && word.contains(char::is_alphanumeric);
    absolute || inside || word.starts_with("./") || word.starts_with("../")
}

fn is_address(word: &str) -> bool {
    let plain = word.parse::<std::net::IpAddr>().is_ok() || word.parse::<std::net::SocketAddr>().is_ok();
    plain && word.contains(|c: char| c.is_ascii_digit())
}

fn is_uuid(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Masks the numbers of a word, and those of its parts that look like identifiers.
fn runs(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let alnum = c.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != alnum).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match alnum {
            false => out.push_str(run),
            true if WORDS.contains(&run.to_ascii_lowercase().as_str()) => out.push_str(run),
            true if is_identifier(run) => out.push_str("<n>"),
            true => numbers(run, &mut out),
        }
        rest = after;
    }
    out
}

/// Hexadecimal from eight digits on, or from six when there is a decimal one among them; `0x...`; and long ones that mix
/// cases and digits, as base 64 does.
fn is_identifier(run: &str) -> bool {
    let hex = run.strip_prefix("0x").unwrap_or(run);
    let digit = run.contains(|c: char| c.is_ascii_digit());
    let all_hex = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let has = |of: fn(&char) -> bool| run.chars().any(|c| of(&c));
    let mixed = run.len() >= 16 && digit && has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase);
    all_hex && (hex.len() < run.len() || run.len() >= 8 || (run.len() >= 6 && digit)) || mixed
}

fn numbers(run: &str, out: &mut String) {
    let mut within = false;
    for c in run.chars() {
        let number = c.is_numeric();
        match number {
            true if !within => out.push_str("<n>"),
            true => {}
            false => out.push(c),
        }
        within = number;
    }
}

/// The first bytes of a text, whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;
