//! Which gates are asked when, and what is said of them: twelve hosts in waves of one, two and nine.

use super::*;
use crate::config::policy::{Environment, HostPolicy, Role};
use crate::gate::spec::Kind as GateKind;
use crate::gate::spec::counts::CountLimits;
use crate::gate::spec::signatures::{LogSource, Signatures};
use crate::model::books::Status;
use crate::model::verdict::{Against, Verdict};
use crate::plan::fixture::{books, ended, group, policy, promotion, site, wiki, wmf};
use crate::plan::forward::promote;
use crate::plan::hosts;
use expect_test::expect;

fn name(name: &str) -> GateName {
    name.parse().expect("a name")
}

/// A gate that can decide once so many hosts are switched.
fn gate(of: &str, hosts: u64, at: &[Moment]) -> Gate {
    let kind = Signatures {
        source: LogSource::Files(Vec::new()),
        requests_file: None,
        look_back_ms: 1000,
        newest_age_ms_max: None,
        min_events: 3,
        min_hosts: hosts,
        limits: CountLimits::default(),
        acknowledged: Vec::new(),
    };
    Gate::new(name(of), at.iter().copied(), GateKind::Signatures(kind))
}

/// How a promotion of group0 is gated by these.
fn gated(gates: Vec<Gate>) -> Result<Gating, Blocked> {
    let policy = Policy { gates, ..policy(12) };
    let books = books(&policy);
    let site = site(&policy, &books, 1);
    let goal = promote(site, &group("group0"), &wmf(11), "train", None).expect("it is planned");
    hosts::plan(site, goal, None).map(|plan| plan.gating)
}

#[test]
fn a_gate_is_asked_after_the_waves_after_which_it_can_decide() {
    let all = [Moment::Wave, Moment::Group];
    let gating = gated(vec![gate("one", 1, &all), gate("three", 3, &all), gate("twelve", 12, &all)]).expect("planned");
    let at = |moment: Moment, wave: usize| {
        gating.at(moment, wave).iter().map(GateName::as_str).collect::<Vec<_>>().join(" ")
    };
    let waves = [(Moment::Wave, 0), (Moment::Wave, 1), (Moment::Group, 2)].map(|(moment, wave)| at(moment, wave));
    assert_eq!(waves, ["one", "one three", "one three twelve"]);
    assert_eq!(at(Moment::Watch, 2), "");
}

#[test]
fn a_gate_that_could_decide_after_no_wave_is_a_mistake_unless_it_decides_nothing() {
    let cannot = |gate: Gate| gated(vec![gate]).err().map(|blocked| blocked.what);
    let after_none =
        |hosts: u64| format!("the gate g could decide after no wave: a new signature has to be on {hosts} hosts, and ");
    let is =
        |said: Option<String>, want: String| assert!(said.as_ref().is_some_and(|s| s.starts_with(&want)), "{said:?}");
    is(cannot(gate("g", 13, &[Moment::Wave, Moment::Group])), after_none(13));
    // All hosts are switched after the last wave only, and then it is not asked.
    is(cannot(gate("g", 12, &[Moment::Wave])), after_none(12));
    assert_eq!(cannot(gate("g", 12, &[Moment::Group])), None);
    assert_eq!(cannot(gate("g", 3, &[Moment::Wave])), None);
    assert_eq!(cannot(gate("g", 13, &[Moment::Before, Moment::Watch])), None, "no wave is waited for");
    let observes = Gate { mode: Mode::Observe, ..gate("g", 13, &[Moment::Wave]) };
    let gating = gated(vec![observes, gate("h", 1, &[Moment::Wave])]).expect("it decides nothing");
    assert_eq!(gating.gates.iter().map(|gate| gate.enforces).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_the_evidence_of_a_stage_lacks_is_named_with_the_gates_that_need_it() {
    let needs = |of: &str, word: &str| Gate { needs: [word.to_owned()].into(), ..gate(of, 1, &[Moment::Group]) };
    let stage = |name: &str, group_name: &str, differs: &[(&str, &str)]| Environment {
        name: name.to_owned(),
        groups: [group(group_name)].into(),
        differs: differs.iter().map(|(word, how)| ((*word).to_owned(), (*how).to_owned())).collect(),
    };
    let policy = Policy {
        gates: vec![needs("certificate", "tls"), needs("pages", "caches")],
        environments: vec![
            stage("beta", "group0", &[("dns", "names of its own"), ("tls", "no TLS here")]),
            stage("elsewhere", "group1", &[("tls", "no TLS here")]),
        ],
        ..policy(12)
    };
    let lines = [
        "beta differs from production: dns: names of its own",
        "beta differs from production: tls: no TLS here; not covered here: certificate",
    ];
    assert_eq!(differs(&policy, &group("group0")), lines);
}

#[test]
fn what_was_found_against_a_version_is_told_of_each_gate_once_and_the_newest_first() {
    let policy = policy(12);
    let mut books = books(&policy);
    let mut found = |now: u64, version: u32, gates: &[(&str, Option<&str>)]| {
        let again = Some("to find out");
        let goal = promote(site(&policy, &books, now), &group("group0"), &wmf(version), "train", again);
        let goal = goal.expect("it is planned");
        let id = goal.rollout.id;
        ended(&mut books, goal, Status::WentBack, now);
        let row = |(of, why): &(&str, Option<&str>)| {
            let failed = why.map(|why| Judgement {
                gate: name(of),
                verdict: Verdict::Fail,
                at: Time(now * 60_000),
                value: None,
                limit: String::new(),
                n: 1,
                window_ms: 0,
                query: String::new(),
                sentence: why.to_owned(),
                samples: Vec::new(),
                against: Against::default(),
            });
            (name(of), GateRow { failed, ..GateRow::default() })
        };
        books.health.gates.insert(id, gates.iter().map(row).collect());
    };
    found(1, 11, &[("pages", Some("an old failure")), ("logout", Some("sessions are lost"))]);
    found(2, 12, &[("served", Some("of another version"))]);
    found(3, 11, &[("pages", Some("a new failure")), ("errors", None)]);
    expect![[r#"
        r3, 1970-01-01 00:03 UTC, the gate pages: a new failure
        r1, 1970-01-01 00:01 UTC, the gate logout: sessions are lost"#]]
    .assert_eq(&evidence(&books, &wmf(11)).join("\n"));
}

#[test]
fn who_is_judged_are_the_switched_against_the_others_without_pinned_hosts() {
    let (mut plan, mut policy) = (promotion(), policy(12));
    let hosts: Vec<HostName> = plan.hosts.keys().cloned().collect();
    let log: HostName = "log1001.codfw.wmnet".parse().expect("a host");
    let serves_none = HostPolicy { roles: [Role::Other].into(), ..policy.hosts[&hosts[0]].clone() };
    policy.hosts.insert(log.clone(), serves_none);
    let pin = plan.goal.snapshot.pins.wikis[&wiki("labswiki")].clone();
    plan.goal.snapshot.pins.hosts.insert(hosts[1].clone(), pin);
    let scope = scope(&policy, &plan, &hosts[..3].iter().cloned().collect(), Time(7));
    assert_eq!(scope.rolled, [&hosts[0], &hosts[2]].map(Clone::clone).into());
    assert_eq!((scope.control.len(), scope.others, scope.since), (9, [log].into(), Time(7)));
    assert_eq!((scope.group, scope.version), (Some(group("group0")), Some(wmf(11))));
    assert_eq!(scope.wikis.len(), 894);
    assert_eq!(scope.wikis[&wiki("labswiki")], (group("group1"), wmf(9)));
}

#[test]
fn what_will_be_asked_is_a_line_a_moment_and_moments_that_never_come_have_none() {
    let all = [Moment::Before, Moment::Wave, Moment::Group, Moment::Watch];
    let observes = Gate { mode: Mode::Observe, ..gate("twelve", 12, &all) };
    let mut gating = gated(vec![gate("one", 1, &[Moment::Group]), observes]).expect("it is planned");
    gating.differs.push("beta differs from production: tls: no TLS here".to_owned());
    gating.evidence.push("r1, the gate pages: a failure".to_owned());
    expect![[r#"
        gates before the first wave: twelve
        gates after each wave but the last, for 20 s: twelve
        gates after the last wave, for 60 s: one, twelve
        watched for 30 min then: twelve
        twelve observes only
        twelve is not asked after wave 1: a new signature has to be on 12 hosts, and 1 host is switched
        twelve is not asked after wave 2: a new signature has to be on 12 hosts, and 3 hosts are switched
        beta differs from production: tls: no TLS here
        before: r1, the gate pages: a failure"#]]
    .assert_eq(&lines(&gating, 3).join("\n"));
    gating.soak.watch_ms = 0;
    gating.gates.truncate(1);
    assert_eq!(lines(&gating, 3)[0], "gates after the last wave, for 60 s: one");
    gating.gates[0].at = all.into();
    let first = |waves: usize| lines(&gating, waves).iter().map(|line| line[..16].to_owned()).collect::<Vec<_>>();
    assert_eq!(first(2)[..3], ["gates before the", "gates after each", "gates after the "]);
    assert_eq!(first(1)[..2], ["gates before the", "gates after the "]);
    assert!(!first(1).iter().any(|line| line.starts_with("watched")), "nobody watches");
    assert_eq!(lines(&Gating::default(), 3), [""; 0]);
}

#[test]
fn a_span_is_said_in_one_unit() {
    for (ms, said) in [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (119_999, "119 s"),
        (120_000, "2 min"),
        (7_199_999, "119 min"),
        (7_200_000, "2 h"),
        (172_799_999, "47 h"),
        (172_800_000, "2 days"),
        (864_000_000, "10 days"),
    ] {
        assert_eq!(span(ms), said, "{ms}");
    }
}
