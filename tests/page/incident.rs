//! The page of a promotion as it might have been in January 2016; its pictures are those of the documentation.

use crate::browser::{Browser, Look};
use crate::journal::{BEGIN, host, outcome, page_of};
use crate::report::{is_a_good_page, pictures};
use pointsman::model::books::{Kind, Pin, PinSource, Pins, Record, Rollout, Snapshot, Status};
use pointsman::model::component::Component;
use pointsman::model::digest::Digest;
use pointsman::model::fault::Fault;
use pointsman::model::health::HealthRecord;
use pointsman::model::ids::{Generation, RolloutId, SnapshotId};
use pointsman::model::map::VersionMap;
use pointsman::model::stale::StaleReason;
use pointsman::model::time::Time;
use pointsman::model::verdict::{Against, Judgement, Verdict};
use std::fs;

const R: RolloutId = RolloutId(12);

fn opened(id: u64, kind: Kind, by: &str, why: &str, (status, effect): (Status, &str)) -> Record {
    let rollout = Rollout {
        id: RolloutId(id),
        kind,
        groups: vec!["group1".parse().expect("a group")],
        version: Some("1.27.0-wmf.11".parse().expect("a version")),
        from: Some(SnapshotId(id)),
        to: SnapshotId(id + 1),
        by: by.into(),
        why: why.into(),
        at: Time(BEGIN),
        status,
        dispatched: true,
        effect: effect.into(),
        playbook: None,
    };
    Record::Opened { rollout, snapshot: Some(state("1.27.0-wmf.11")), moves_current: kind == Kind::Rollback }
}

fn state(version: &str) -> Snapshot {
    let pin = Pin {
        version: "1.27.0-wmf.9".parse().expect("a version"),
        reason: "logins are tested here".into(),
        owner: "labs".into(),
        since: Time(BEGIN),
        until: Some(Time(BEGIN + 864_000_000)),
        source: PinSource::Books,
    };
    let wiki = |name: &str, version: &str| (name.parse().expect("a wiki"), version.parse().expect("a version"));
    let moved = ["cawiki", "hewiki", "itwiki", "commonswiki", "wikidatawiki", "mediawikiwiki"];
    let map = moved.map(|name| wiki(name, version)).into_iter().chain([wiki("labswiki", "1.27.0-wmf.9")]);
    let of = |name: &str| (name.parse::<Component>().expect("a component"), Digest::of(name.as_bytes()));
    Snapshot {
        id: SnapshotId(13),
        map: VersionMap(map.chain(["dewiki", "enwiki"].map(|name| wiki(name, "1.27.0-wmf.10"))).collect()),
        pins: Pins { wikis: [("labswiki".parse().expect("a wiki"), pin)].into(), ..Pins::default() },
        wanted: ["php-1.27.0-wmf.10", "php-1.27.0-wmf.11", "wmf-config"].map(of).into(),
        at: Time(BEGIN),
    }
}

fn switch(rollout: u64, hosts: std::ops::Range<u64>) -> Record {
    let generation = Generation { epoch: 1, seq: 1 };
    let hosts = hosts.map(|n| (host(n), generation)).collect();
    Record::Intents { rollout: RolloutId(rollout), command: "switch".into(), hosts }
}

fn health(ms: u64, moment: &str, judgement: Judgement) -> (u64, Record) {
    let judgement = Judgement { at: Time(BEGIN + ms), ..judgement };
    (ms, Record::Health(HealthRecord::Judged { rollout: R, moment: moment.into(), judgement }))
}

fn errors(verdict: Verdict, ratio: f64, says: &str) -> Judgement {
    Judgement {
        gate: "errors".parse().expect("a gate"),
        verdict,
        at: Time(0),
        value: Some(ratio),
        limit: "ratio below 1.5".into(),
        n: 412,
        window_ms: 90_000,
        query: "/var/log/apache2/access.log on 47 hosts".into(),
        sentence: format!("Fails: {says} (n 412, over 90 s)."),
        samples: ["mw2011.codfw.wmnet 31 of 9204", "mw2004.codfw.wmnet 28 of 8877"].map(String::from).to_vec(),
        against: Against { bounds: vec![1.5], baseline: Some(1.0) },
    }
}

fn new_errors(verdict: Verdict, found: f64, says: &str) -> Judgement {
    Judgement {
        gate: "new-errors".parse().expect("a gate"),
        limit: "no new signature with 3 events on 2 hosts".into(),
        query: "/var/log/exception.log on 47 hosts".into(),
        sentence: says.into(),
        samples: [
            "[a1b2] /w/index.php RuntimeException from SessionManager.php line 226: Can neither load the session nor create an \
             empty session",
            "[c3d4] /w/api.php RuntimeException from SessionManager.php line 226: Can neither load the session nor create an \
             empty session",
        ]
        .map(String::from)
        .to_vec(),
        against: Against::bound(0.0),
        ..errors(verdict, found, "")
    }
}

/// Waves of one, five and forty-one hosts; the last one brings the errors.
fn night() -> Vec<(u64, Record)> {
    use Verdict::{Fail, Inconclusive, Pass};
    let brought = (Status::WentBack, "taken back by r13");
    let mut told = vec![(0, opened(12, Kind::Promote, "thcipriani@tin", "weekly train, T119948", brought))];
    let wave = |told: &mut Vec<(u64, Record)>, at: u64, hosts: std::ops::Range<u64>| {
        told.push((at, switch(12, hosts.clone())));
        let took = |n: u64| 180 + (n * 7919) % 640 + if n.is_multiple_of(9) { 420 } else { 0 };
        let mut answers: Vec<_> = hosts.filter(|n| *n != 2020).map(|n| (at + took(n), n)).collect();
        answers.sort_unstable();
        for (ms, n) in &answers {
            let said = if *n == 2033 { "the disk is full: 212.4 MiB are free, 1.1 GiB are needed" } else { "ok" };
            told.push((*ms, outcome(12, *n, said)));
        }
        told.extend(
            answers.iter().filter(|(_, n)| *n != 2033).map(|(_, n)| (at + 1_500, Record::Fresh { host: host(*n) })),
        );
    };
    wave(&mut told, 20_000, 2000..2001);
    told.push(health(
        60_000,
        "after wave 1 of 3",
        errors(Inconclusive, 1.9, "12 of 301 against 7 of 288: too little to judge"),
    ));
    told.push(health(
        140_000,
        "after wave 1 of 3",
        errors(Pass, 1.08, "0.71 to 1.08 times the rate, ratio below 1.5 passes"),
    ));
    told.push(health(141_000, "after wave 1 of 3", new_errors(Pass, 0.0, "Passes: 41 signatures, none new.")));
    wave(&mut told, 150_000, 2001..2006);
    told.push(health(
        230_000,
        "after wave 2 of 3",
        errors(Pass, 1.17, "0.83 to 1.17 times the rate, ratio below 1.5 passes"),
    ));
    wave(&mut told, 270_000, 2006..2047);
    let silent = StaleReason::Fault(Fault::TimedOut("waiting for its answer".into()));
    told.push((272_000, Record::Stale { host: host(2020), reason: silent }));
    told.push(health(330_000, "after the last of 3 waves", errors(Inconclusive, 1.44, "1.02 to 1.74 times the rate")));
    let often = "2.1 to 4.4 times the rate, surely above 1.5";
    for (ms, ratio) in [(390_000, 2.1), (420_000, 2.7), (450_000, 3.4)] {
        told.push(health(ms, "after the last of 3 waves", errors(Fail, ratio, often)));
    }
    let new =
        "Fails: `Can neither load the session nor create an empty session` is new: 340 events on 44 switched hosts.";
    told.push(health(451_000, "after the last of 3 waves", new_errors(Fail, 1.0, new)));
    let blame = "412 events on 44 of 45 switched hosts; without the 2 worst hosts it is still more than on the others (p 4.1e-19): \
        it is the release. On 6 of 6 wikis, all in group1.";
    let gate = "errors".parse().expect("a gate");
    told.push((452_000, Record::Health(HealthRecord::Attributed { rollout: R, gate, blame: blame.into() })));
    told.push((455_000, opened(13, Kind::Converge, "thcipriani@tin", "a gate failed", (Status::Done, ""))));
    told.push((455_100, switch(13, 2000..2047)));
    let end =
        |rollout, status, effect: &str| Record::Ended { rollout, status, moves_current: false, effect: effect.into() };
    told.push((458_000, end(RolloutId(13), Status::Done, "no wiki moved; 47 of 47 hosts proven")));
    told.push((458_000, end(R, Status::WentBack, "taken back by r13")));
    told
}

#[test]
fn a_night_is_read_in_a_minute() {
    let home = tempfile::tempdir().expect("a directory is made");
    let file = home.path().join("r12.html");
    fs::write(&file, page_of(&night(), Some(&state("1.27.0-wmf.10")))).expect("written");
    let browser = Browser::start();
    browser.open_file(&file);
    is_a_good_page(&browser, "night");
    let summary = browser.run("return document.querySelector('#summary').innerText");
    let summary = summary.as_str().expect("text");
    for words in ["45 switched and proven; 1 did not switch; 1 stale", "taken back by r13", "at most 983 ms"] {
        assert!(summary.contains(words), "`{words}`: {summary}");
    }
    // What the documentation shows.
    browser.look(Look { width: 1280, dark: false });
    for (name, width, dark, part) in [
        ("report", 1280, false, "#summary"),
        ("report-gates", 1280, true, "#gates"),
        ("report-phone", 360, false, "#hosts"),
    ] {
        browser.look(Look { width, dark });
        browser.run(&format!("document.querySelector('{part}').scrollIntoView()"));
        fs::write(pictures().join(format!("{name}.png.base64")), browser.screen()).expect("written");
    }
}
