//! What holds for any text: names, paths, ranges and lists as people write them, lines of logs, and what is shown of all that.

use pointsman::config::dblist::{Asked, Lists};
use pointsman::config::diagnostic::{Place, Sink, escaped};
use pointsman::config::ranges::expand;
use pointsman::gate::signature::{mask, sample, signature};
use pointsman::model::component::Component;
use pointsman::model::digest::Digest;
use pointsman::model::limits::{RANGE_HOSTS_MAX, SIGNATURE_CHARS_MAX, UNTRUSTED_SHOWN_MAX};
use pointsman::model::names::{GateName, Group, HostName, UserName, Version, Wiki};
use pointsman::model::ranges::fold;
use pointsman::report::access;
use pointsman::report::escape::{Untrusted, visible, whole};
use pointsman::report::markdown::Cell;
use pointsman::tree::path::RelPath;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::io;
use std::path::{Component as Part, Path};
use std::str::FromStr;

/// The text that bytes are, with a mark where they are none.
pub fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// What a name of any kind keeps: it is written as it was read, also in JSON, and has nothing that a shell, a terminal or a path obeys.
fn name<T: FromStr + Display + Debug + PartialEq + Serialize + DeserializeOwned>(text: &str, bytes_max: usize) {
    let Ok(name) = text.parse::<T>() else { return };
    assert_eq!(name.to_string(), text);
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    assert!(!text.is_empty() && text.len() <= bytes_max && text.bytes().all(legal), "{text:?}");
    assert!(!text.starts_with('-') && !text.starts_with('.'), "{text:?}");
    let json = serde_json::to_string(&name).expect("a name is a text");
    assert_eq!(serde_json::from_str::<T>(&json).expect("it was just written"), name);
}

/// Names of every kind.
pub fn names(data: &[u8]) {
    let text = text(data);
    name::<HostName>(&text, 253);
    name::<UserName>(&text, 64);
    name::<Wiki>(&text, 128);
    name::<Group>(&text, 128);
    name::<GateName>(&text, 128);
    name::<Version>(&text, 128);
    name::<Component>(&text, 128);
    name::<Digest>(&text, 64);
}

/// Two paths below a component, with a NUL between.
pub fn path(data: &[u8]) {
    let text = text(data);
    let mut paths = text.split('\0').map(|part| (part, part.parse::<RelPath>()));
    let (first, second) = (paths.next(), paths.next());
    let good = |found: Option<(&str, Result<RelPath, _>)>| {
        let (text, path) = found?;
        let path = path.ok()?;
        assert_eq!(path.as_str(), text);
        assert!(Path::new(text).components().all(|part| matches!(part, Part::Normal(_))), "{text:?}");
        assert_eq!(
            Path::new(text).components().collect::<std::path::PathBuf>().as_os_str(),
            text,
            "it is normal already"
        );
        assert_eq!(path.segments().collect::<Vec<_>>().join("/"), text);
        let above = path.parent();
        assert!(above.as_ref().is_none_or(|above| path.is_within(above.as_str()) && *above < path), "{text:?}");
        Some(path)
    };
    let (Some(one), Some(other)) = (good(first), good(second)) else { return };
    let parts = |path: &RelPath| path.segments().map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(one.cmp(&other), parts(&one).cmp(&parts(&other)), "{one:?} {other:?}");
    let (below, prefix) = (one.is_within(other.as_str()), Path::new(one.as_str()).starts_with(other.as_str()));
    assert_eq!(below, prefix, "{one:?} {other:?}");
}

/// Asserts that a terminal shows `shown` as what it is.
pub fn harmless(shown: &str) {
    let bad = shown.chars().find(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    assert_eq!(bad, None, "{shown:?}");
}

/// Every way in which a text of somebody else is shown.
pub fn escape(data: &[u8]) {
    let text = text(data);
    let shown = Untrusted(&text).to_string();
    harmless(&shown);
    assert!(shown.chars().count() <= UNTRUSTED_SHOWN_MAX * "\\u{10ffff}".len() + "...".len());
    let all = whole(&text);
    harmless(&all);
    assert_eq!(whole(&all), all, "what is harmless stays as it is");
    assert!(text.chars().count() > UNTRUSTED_SHOWN_MAX || shown == all);
    let lines = visible(&text);
    assert_eq!(lines.lines().count(), text.split('\n').collect::<Vec<_>>().join("\n").lines().count());
    lines.split('\n').for_each(harmless);
    harmless(&escaped(&text));
    let cell = Cell(&text).to_string();
    harmless(&cell);
    let mut before = ' ';
    for c in cell.chars() {
        assert!(!"|`<*_[]".contains(c) || before == '\\', "{cell:?}");
        before = if before == '\\' { ' ' } else { c };
    }
}

/// Hosts and ranges.
pub fn ranges(data: &[u8]) {
    let Ok(hosts) = expand(&text(data)) else { return };
    let all: BTreeSet<_> = hosts.iter().cloned().collect();
    assert!(!all.is_empty() && all.len() == hosts.len() && hosts.len() <= RANGE_HOSTS_MAX);
    let folded = fold(&hosts);
    let again = expand(&folded).unwrap_or_else(|why| panic!("{folded}: {why}"));
    assert_eq!(again.into_iter().collect::<BTreeSet<_>>(), all, "{folded}");
}

/// An expression, and after each line `=` a list that it can name: a.dblist, b.dblist and so on.
pub fn dblist(data: &[u8]) {
    let text = text(data);
    let mut parts = text.split("\n=\n");
    let expression = parts.next().unwrap_or_default();
    let lists: Vec<&str> = parts.take(26).collect();
    let read = |path: &Path| -> io::Result<String> {
        let name = path.to_str().and_then(|name| name.strip_suffix(".dblist"));
        let at = name.and_then(|name| ('a'..='z').position(|c| name == c.to_string()));
        at.and_then(|at| lists.get(at)).map(|text| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let file = Path::new("groups.yaml");
    let mut sink = Sink::new(file);
    let asked = Asked { file, place: Place { line: 1, column: 1 } };
    let wikis = Lists::new(&read).expression(expression, Path::new(""), asked, &mut sink);
    assert_eq!(wikis.is_some(), sink.count() == 0, "all of it or a mistake");
    for wiki in wikis.into_iter().flatten() {
        assert!(
            lists.iter().any(|list| list.lines().any(|line| line.trim_start().starts_with(wiki.as_str()))),
            "{wiki}"
        );
    }
}

/// A line of an access log.
pub fn access(data: &[u8]) {
    let text = text(data);
    let Some(request) = access::parse(&text) else { return };
    assert!(!request.site.contains(':') && !request.site.bytes().any(|b| b.is_ascii_uppercase()), "{request:?}");
    let parts = [&request.site, &request.method, &request.target, &request.agent];
    let parts = parts.into_iter().chain(&request.wiki).chain(&request.server);
    assert!(parts.map(String::len).sum::<usize>() <= text.len(), "nothing is invented: {request:?}");
    if !text.trim_start().starts_with('{') {
        assert!(text.contains(&request.target) && text.contains(&request.agent), "{request:?}");
    }
}

/// A line of any other log, and the signature of what it says.
pub fn log(data: &[u8]) {
    let line = text(data);
    harmless(&sample(&line));
    assert!(sample(&line).chars().count() <= UNTRUSTED_SHOWN_MAX + "...".len());
    let Some(signature) = signature(&line) else { return };
    harmless(&signature);
    assert_eq!(whole(&signature), signature, "it can be printed as it is");
    assert!(!signature.is_empty() && signature.chars().count() <= SIGNATURE_CHARS_MAX);
    assert_eq!(mask(&signature), signature, "the signature of a signature is itself");
}
