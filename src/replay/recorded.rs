//! A journal in which a gate failed, recorded and replayed: the same gate must find the same.

use super::play;
use super::played::ActEnd;
use crate::config::incident;
use crate::config::policy::Policy;
use crate::model::books::{Kind, Record, Rollout, Snapshot, Status};
use crate::model::health::HealthRecord;
use crate::model::ids::{Generation, RolloutId, SnapshotId};
use crate::model::map::VersionMap;
use crate::model::names::{HostName, Version};
use crate::model::stale::StaleReason;
use crate::model::time::Time;
use crate::model::verdict::{Judgement, Verdict};
use crate::report::recording::{Recorder, Source};
use crate::report::timeline::Mark;
use std::path::Path;

const SITE: &str = r#"deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
configuration: [wmf-config]
wikis: [testwiki, enwiki, dewiki]
groups: [{name: group0, wikis: [testwiki]}, {name: group1, wikis: [enwiki, dewiki]}]
hosts:
  - {name: mw1017.eqiad.wmnet, roles: [debug], datacenter: eqiad}
  - {name: "mw[2016-2020].codfw.wmnet", roles: [appserver], datacenter: codfw}
hooks: {build: [./build]}
artefacts: [{path: cache/l10n, files: 3, inputs: [languages]}]
soak: {wave: 1m, group: 2m, max: 30m, watch: 6h}
gates:
"#;

fn read(_: &Path) -> std::io::Result<String> {
    Err(std::io::ErrorKind::NotFound.into())
}

fn version(n: u32) -> Version {
    format!("1.27.0-wmf.{n}").parse().expect("a version")
}

fn judged(at: u64, verdict: Verdict, value: f64, samples: &[&str]) -> Record {
    let judgement = Judgement {
        gate: "one".parse().expect("a gate"),
        verdict,
        at: Time(at),
        value: Some(value),
        limit: String::new(),
        n: 9,
        window_ms: 0,
        query: "CANARY".to_owned(),
        sentence: "CANARY".to_owned(),
        samples: samples.iter().map(|sample| (*sample).to_owned()).collect(),
        against: Default::default(),
    };
    Record::Health(HealthRecord::Judged { rollout: RolloutId(2), moment: "watch".to_owned(), judgement })
}

/// The journal of a promotion of group0 during which these were written, as an incident file.
fn recorded(gate: &str, during: Vec<Record>) -> String {
    let text = format!("{SITE}  - {gate}\n");
    let policy: Policy =
        crate::config::parse(Path::new("groups.yaml"), &text, &read).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let wikis = policy.groups.iter().flat_map(|group| &group.wikis);
    let map = VersionMap(wikis.map(|wiki| (wiki.clone(), version(10))).collect());
    let (pins, wanted) = (crate::model::books::Pins::default(), std::collections::BTreeMap::new());
    let start = Snapshot { id: SnapshotId(1), map, pins, wanted, at: Time(0) };
    let at = Time(1_453_330_033_000);
    let rollout = Rollout {
        id: RolloutId(2),
        kind: Kind::Promote,
        groups: vec!["group0".parse().expect("a group")],
        version: Some(version(11)),
        from: Some(SnapshotId(1)),
        to: SnapshotId(2),
        by: "CANARY".to_owned(),
        why: "CANARY".to_owned(),
        at,
        status: Status::Open,
        dispatched: true,
        effect: String::new(),
        playbook: None,
    };
    let source =
        Source { policy: &policy, groups_yaml: &text, rollout: &rollout, start: &start, moved: None, words: false };
    let mut recorder = Recorder::new(source).expect("a promotion is recorded");
    let host: HostName = "mw1017.eqiad.wmnet".parse().expect("a host");
    let switched = Record::Outcome {
        rollout: RolloutId(2),
        command: "switch".to_owned(),
        host,
        generation: Generation { epoch: 1, seq: 1 },
        result: "ok".to_owned(),
    };
    let (status, effect) = (Status::WentBack, "CANARY".to_owned());
    let opened = Record::Opened { rollout: rollout.clone(), snapshot: None, moves_current: false };
    let ended = Record::Ended { rollout: RolloutId(2), status, moves_current: false, effect };
    let journal = [vec![opened, switched], during, vec![ended]].concat();
    for (seq, record) in (1..).zip(journal) {
        // Ten minutes from the switch to what was found.
        recorder.take(Mark { seq, at: Time(at.0 + seq.saturating_sub(2).min(1) * 600_000), epoch: 1 }, &record);
    }
    recorder.text()
}

#[test]
fn what_a_gate_found_it_finds_again() {
    for (gate, samples) in [
        (
            r#"{name: one, kind: threshold, interval: 1m, source: {graphite: "http://x", target: CANARY}, failure: "> 5"}"#,
            &[][..],
        ),
        (
            r#"{name: one, kind: threshold, interval: 1m, source: {graphite: "http://x", target: CANARY},
                percent_above: {warn: 250, crit: 1000, percent: 40}}"#,
            &[],
        ),
        (r#"{name: one, kind: signatures, interval: 1m, files: [/CANARY.log]}"#, &["CANARY"]),
        (r#"{name: one, kind: probe, interval: 1m, url: {host_header: x, path: /CANARY, expect: {status: 200}}}"#, &[]),
        (
            r#"{name: one, kind: counts, interval: 1m, logs: {file: /CANARY.log, events: CANARY}}"#,
            &["mw1017.eqiad.wmnet 340 of 600", "mw2016.codfw.wmnet 300 of 600"],
        ),
    ] {
        let text = recorded(gate, vec![judged(1, Verdict::Pass, 1.0, &[]), judged(2, Verdict::Fail, 9.0, samples)]);
        assert!(!text.contains("CANARY"), "{text}");
        let incident =
            incident::parse(Path::new("recorded.yaml"), &text, &read).unwrap_or_else(|m| panic!("{m}\n{text}"));
        assert_eq!(incident.signals.len(), 1, "{text}");
        let played = play(&incident, &incident.chapters, None).expect("it is played");
        let act = &played.chapters[0].acts[0];
        assert_eq!(
            (act.what.as_str(), act.end),
            ("promote group0 1.27.0-wmf.11", ActEnd::RolledBack),
            "{act:?}\n{text}"
        );
        assert!(act.why.iter().any(|why| why.starts_with("one: ")), "{act:?}");
    }
}

#[test]
fn a_host_that_was_to_blame_is_to_blame_again() {
    let gate = r#"{name: one, kind: probe, interval: 1m, url: {host_header: x, expect: {status: 200}}}"#;
    let host: HostName = "mw2020.codfw.wmnet".parse().expect("a host");
    let suspect = Record::Stale { host, reason: StaleReason::Suspect("CANARY".to_owned()) };
    let text = recorded(gate, vec![judged(2, Verdict::Fail, 1.0, &[]), suspect]);
    assert!(text.contains(r#""hosts":["mw2020.codfw.wmnet"]"#) && !text.contains("CANARY"), "{text}");
    let incident = incident::parse(Path::new("recorded.yaml"), &text, &read).unwrap_or_else(|m| panic!("{m}\n{text}"));
    let played = play(&incident, &incident.chapters, None).expect("it is played");
    let act = &played.chapters[0].acts[0];
    assert_ne!(act.end, ActEnd::RolledBack, "{act:?}");
    assert!(
        act.why.iter().chain(act.left.values()).any(|why| why.contains("mw2020")) || !act.left.is_empty(),
        "{act:?}"
    );
}
