//! What holds for any file that people write, and for those that the program keeps.

use crate::texts::{harmless, text};
use pointsman::config::diagnostic::Diagnostics;
use pointsman::config::policy::Policy;
use pointsman::config::{self, incident, playbook, policytest};
use pointsman::model::books::{Books, Record};
use pointsman::model::ids::BooksId;
use pointsman::model::limits::{DIAGNOSTICS_MAX, RANGE_HOSTS_MAX};
use pointsman::model::map::VersionMap;
use pointsman::model::time::Time;
use pointsman::plan::saved::{PlanFile, Saved};
use pointsman::report::status::{self, StatusView};
use pointsman::report::timeline::{self, Mark, Span, Teller};
use pointsman::report::{escape, history};
use pointsman::tree::listing;
use pointsman::tree::manifest::{EntryKind, Manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component as Part, Path};
use std::sync::LazyLock;

/// A small site.
pub const SITE: &str = r#"deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
configuration: [wmf-config]
wikis: {dblist: all.dblist}
groups:
  - {name: group0, wikis: [testwiki]}
  - {name: group1, expression: "%% all.dblist - group0.dblist"}
hosts:
  - {name: "mw[1-4]", roles: [appserver], datacenter: codfw}
  - {name: mw1017, roles: [debug], datacenter: eqiad, user: deploy, port: 22, address: 10.0.0.1}
"#;

/// A gate of each kind that judges what comes from monitoring.
pub const GATES: &str = r#"gates:
  - {name: number, kind: threshold, source: {graphite: "http://g", target: a}, failure: "> 9", success: "< 5"}
  - {name: series, kind: threshold, source: {graphite: "http://g", target: a}, percent_above: {warn: 250, crit: 1000, percent: 1}}
  - {name: ranks, kind: ranks, source: {program: [/usr/bin/latency]}, floor: 20}
  - {name: counts, kind: counts, logs: {file: /var/log/access.log, events: error}, sequential: true}
"#;

/// A gate that asks as a file of httpbb says.
const HTTPBB: &str = "gates: [{name: web, kind: probe, httpbb: tests.yaml}]\n";

/// An incident of that site.
const INCIDENT: &str = r#"name: small
title: a release with a new error
version: 1.27.0-wmf.11
from: 2016-01-20T10:00:00Z
to: 2016-01-20T16:00:00Z
map: {group0: 1.27.0-wmf.10, group1: 1.27.0-wmf.10}
site: groups.yaml
chapters: [{name: train, from: 2016-01-20T10:00:00Z}, {name: back, from: 2016-01-20T14:00:00Z}]
events: [{at: 2016-01-20T10:05:00Z, promote: group0, to: 1.27.0-wmf.11}]
"#;

/// What lies beside the file that is read.
fn beside(path: &Path, tests: &str) -> io::Result<String> {
    match path.to_str().unwrap_or_default() {
        "all.dblist" => Ok("testwiki\nenwiki\ndewiki\n".to_owned()),
        "group0.dblist" => Ok("testwiki\n".to_owned()),
        "groups.yaml" => Ok(SITE.to_owned()),
        "small.yaml" => Ok(INCIDENT.to_owned()),
        "tests.yaml" => Ok(tests.to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The small site with something added.
pub fn site(more: &str) -> Result<Policy, Diagnostics> {
    config::parse(Path::new("groups.yaml"), &format!("{SITE}{more}"), &|path| beside(path, ""))
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| site(GATES).unwrap_or_else(|mistakes| panic!("{mistakes}")));

/// What came of reading `text` from `file`; of mistakes: they are few, in order, at places of the text, bounded and harmless.
fn read<T>(result: Result<T, Diagnostics>, file: &str, text: &str) -> Option<T> {
    let mistakes = match result {
        Ok(value) => return Some(value),
        Err(mistakes) => mistakes,
    };
    assert!((1..=DIAGNOSTICS_MAX).contains(&mistakes.list.len()));
    assert!(mistakes.more == 0 || mistakes.list.len() == DIAGNOSTICS_MAX);
    let lines = text.split(['\n', '\r']).count() as u64;
    for mistake in &mistakes.list {
        let place = mistake.place;
        assert!(mistake.file != Path::new(file) || place.line <= lines + 1, "{mistake} of {lines} lines");
        let shown = mistake.to_string();
        shown.split('\n').for_each(harmless);
        assert!(shown.len() < 30_000 && shown.lines().count() <= 2, "{shown}");
    }
    None
}

/// A groups.yaml.
pub fn groups(data: &[u8]) {
    let text = text(data);
    let result = config::parse(Path::new("groups.yaml"), &text, &|path| beside(path, ""));
    let Some(policy) = read(result, "groups.yaml", &text) else { return };
    for path in [&policy.root, &policy.state] {
        let plain = |part| matches!(part, Part::RootDir | Part::Normal(_));
        assert!(path.is_absolute() && path.components().all(plain), "{path:?}");
    }
    assert!(!policy.state.starts_with(&policy.root) && !policy.root.starts_with(&policy.state));
    assert!(!policy.hosts.is_empty() && policy.hosts.len() <= RANGE_HOSTS_MAX);
    let mut seen = BTreeSet::new();
    assert!(policy.groups.iter().flat_map(|group| &group.wikis).all(|wiki| seen.insert(wiki)), "a wiki of two groups");
}

/// A file of httpbb.
pub fn httpbb(data: &[u8]) {
    let text = text(data);
    let groups = format!("{SITE}{HTTPBB}");
    let result = config::parse(Path::new("groups.yaml"), &groups, &|path| beside(path, &text));
    if let Some(policy) = read(result, "tests.yaml", &text) {
        let pointsman::gate::spec::Kind::Probe(probe) = &policy.gates[0].kind else { panic!("a probe") };
        let steps = || probe.journeys.iter().flat_map(|journey| &journey.steps);
        assert!(steps().count() > 0 && steps().all(|step| step.path.starts_with('/') && !step.asserts.is_empty()));
        for step in steps() {
            let header = |text: &str| assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
            [&step.host_header, &step.path, &step.method].into_iter().for_each(|text| header(text));
        }
    }
}

/// A playbook.
pub fn playbook(data: &[u8]) {
    let text = text(data);
    let result = playbook::parse(Path::new("train.yaml"), &text, &POLICY, &BTreeMap::new());
    let Some(playbook) = read(result, "train.yaml", &text) else { return };
    assert!(!playbook.stages.is_empty());
    for (at, stage) in playbook.stages.iter().enumerate() {
        assert!(stage.next.is_none_or(|next| next > at && next < playbook.stages.len()), "nothing leads back");
    }
}

/// An incident.
pub fn incident(data: &[u8]) {
    let text = text(data);
    let result = incident::parse(Path::new("incident.yaml"), &text, &|path| beside(path, ""));
    let Some(incident) = read(result, "incident.yaml", &text) else { return };
    assert!(incident.from < incident.to);
}

/// A policy test.
pub fn policytest(data: &[u8]) {
    let text = text(data);
    read(policytest::parse(Path::new("a.test.yaml"), &text, &|path| beside(path, "")), "a.test.yaml", &text);
}

/// A plan file, or what stands in one under `saved`.
pub fn plan(data: &[u8]) {
    if let Ok(file) = PlanFile::read(data) {
        assert_eq!(file.to_bytes(), data, "it is read byte by byte as it was written");
    }
    let Ok(saved) = serde_json::from_slice::<Saved>(data) else { return };
    let file = PlanFile::new(saved);
    let bytes = file.to_bytes();
    assert_eq!(PlanFile::read(&bytes).expect("it was just written"), file);
    let mut other = bytes;
    if let Some(byte) = other.iter_mut().find(|byte| byte.is_ascii_digit()) {
        *byte = if *byte == b'0' { b'1' } else { b'0' };
    }
    assert!(PlanFile::read(&other).is_err(), "another byte is another file");
}

/// What may come of a manifest that was packed, bytes: the limit of a wire's message is that of an execution's whole memory.
const PLAIN_BYTES_MAX: usize = 1 << 20;

/// A manifest as it is kept, or as it is sent.
pub fn manifest(data: &[u8]) {
    let Ok(manifest) = listing::read(data, PLAIN_BYTES_MAX) else { return };
    if Manifest::from_bytes(data).is_ok() {
        assert_eq!(manifest.to_bytes(), data, "one content has one form");
    }
    assert_eq!(listing::read(&listing::pack(&manifest), PLAIN_BYTES_MAX).as_ref(), Ok(&manifest));
    let mut entries = manifest.entries().to_vec();
    entries.reverse();
    let again = Manifest::new(entries).expect("it is one in any order");
    assert_eq!((&again, again.id()), (&manifest, manifest.id()));
    for entry in manifest.entries() {
        let place = Path::new(entry.path.as_str());
        assert!(place.components().all(|part| matches!(part, Part::Normal(_))), "{place:?}");
        assert_eq!(manifest.get(&entry.path), Some(&entry.kind));
        let EntryKind::Symlink { target } = &entry.kind else { continue };
        let mut depth = place.components().count() - 1;
        for part in Path::new(target).components() {
            match part {
                Part::Normal(_) => depth += 1,
                Part::CurDir => {}
                Part::ParentDir => depth = depth.checked_sub(1).expect("no link leaves the tree"),
                Part::RootDir | Part::Prefix(_) => panic!("an absolute target: {target:?}"),
            }
        }
    }
}

/// A wikiversions.json, or the wikiversions.php that is served.
pub fn map(data: &[u8]) {
    let (json, php) = (VersionMap::from_json(data), VersionMap::from_php(data));
    for map in [json, php].into_iter().flatten() {
        assert_eq!(VersionMap::from_json(&map.to_json()).expect("it was just written"), map);
        assert_eq!(VersionMap::from_php(&map.to_php()).expect("it was just written"), map);
    }
}

/// Records of the journal as JSON, one a line: the books that come of them, and what people are shown of all that.
pub fn journal(data: &[u8]) {
    let mut books = Books::new(BooksId(1));
    let until = Time(1 << 40);
    let span = Span { since: None, until };
    let mut teller = Teller::new(span);
    for (n, line) in data.split(|b| *b == b'\n').enumerate() {
        let Ok(record) = serde_json::from_slice::<Record>(line) else { continue };
        let again = serde_json::to_vec(&record).expect("it has only string keys");
        assert_eq!(serde_json::from_slice::<Record>(&again).expect("it was just written"), record);
        let mark = Mark { seq: n as u64 + 1, at: Time(1000 * n as u64), epoch: 1 };
        books.apply(mark.at, &record);
        teller.take(mark, &record);
    }
    let again = serde_json::to_vec(&books).expect("they have only string keys");
    assert_eq!(serde_json::from_slice::<Books>(&again).expect("they were just written"), books);
    let shown = |page: &str| assert_eq!(escape::visible(page), page, "nothing in it leads a reader astray");
    shown(&timeline::text(&teller.rows(), span));
    shown(&history::text(&books.rollouts.values().cloned().collect::<Vec<_>>()));
    let view = StatusView::of(&POLICY, books, None, until, "a@b");
    shown(&status::text(&view));
    let bytes = serde_json::to_vec(&status::json(&view)).expect("a value can be written");
    assert_eq!(StatusView::read(&bytes).expect("it was just written"), view);
}
