//! Every output of one check in which everything that can be wrong is wrong, and of one in which nothing is.

use super::*;
use crate::model::fault::Fault;
use crate::model::protocol::Level;
use crate::model::stale::StaleReason;
use crate::report::{junit, nagios, textfile};
use expect_test::expect;

const NOW: Time = Time(1_453_511_640_000);

fn host(n: usize) -> HostName {
    format!("mw{n}.codfw.wmnet").parse().expect("a host")
}

fn gate(name: &str, standing: Standing, said: Option<(Verdict, &str, Option<f64>)>) -> Asked {
    let judgement = said.map(|(verdict, sentence, value)| Judgement {
        gate: name.parse().expect("a name"),
        verdict,
        at: NOW,
        value,
        limit: "below 1.5".into(),
        n: 12,
        window_ms: 60_000,
        query: "q".into(),
        sentence: sentence.into(),
        samples: vec!["mw2020.codfw.wmnet 340 of 1000\x1b[2J".into()],
        against: Default::default(),
    });
    let name = name.parse().expect("a name");
    Asked { name, kind: "counts".into(), enforces: true, standing, judgement }
}

fn well() -> CanaryView {
    CanaryView {
        by: Looked::Canary,
        now: NOW,
        took_ms: 1_234,
        hosts: (2018..2021).map(host).collect(),
        canaries: [host(2018)].into(),
        levels: (2018..2021).map(|n| (host(n), Level::L2)).collect(),
        stale: BTreeMap::new(),
        gates: vec![gate(
            "errors",
            Standing::Passed,
            Some((Verdict::Pass, "0.9 times the control's errors", Some(0.9))),
        )],
        blamed: Vec::new(),
    }
}

fn ill() -> CanaryView {
    let stale = Stale { reason: StaleReason::Fault(Fault::Refused), since: Time(1_453_427_280_000) };
    let hostile = "8.5 | 'x'=1\nPOINTSMAN OK <&\"\u{1}]]>";
    CanaryView {
        stale: [(host(2020), stale)].into(),
        gates: vec![
            gate("errors", Standing::Failed, Some((Verdict::Fail, hostile, Some(8.5)))),
            gate("few", Standing::Undecided, Some((Verdict::Inconclusive, "3 requests", None))),
            gate("down", Standing::Undecided, Some((Verdict::Error, "no route", Some(f64::NAN)))),
            gate("late", Standing::Open, None),
            Asked {
                enforces: false,
                ..gate("looks", Standing::Failed, Some((Verdict::Fail, "20 is above 10", Some(20.0))))
            },
        ],
        blamed: vec!["340 of 340 events come from mw2020".into()],
        ..well()
    }
}

#[test]
fn nagios_reads_one_line() {
    expect!["POINTSMAN OK - 3 of 3 hosts ready (L2), 1 of 1 gate passed | hosts=3;;;0 stale=0;;0;0;3 gates=1;;;0 failed=0;;0;0;1 inconclusive=0;0;;0;1 errors=0;;;0;1 time=1.234s;;;0 'gate_errors'=0.9"]
    .assert_eq(&nagios::line(&well()));
    expect![[r#"POINTSMAN CRITICAL - 1 gate failed: errors (8.5 / 'x'=1\u{a}POINTSMAN OK <&"\u{1}]]>); 1 host not ready: mw2020.codfw.wmnet (connection refused); 1 gate inconclusive: few (3 requests); 2 gates could not be checked: down (no route), late (it gave no answer in time) | hosts=3;;;0 stale=1;;0;0;3 gates=4;;;0 failed=1;;0;0;4 inconclusive=1;0;;0;4 errors=2;;;0;4 time=1.234s;;;0 'gate_errors'=8.5 'gate_down'=U 'gate_looks'=20"#]]
    .assert_eq(&nagios::line(&ill()));
}

#[test]
fn what_is_known_to_be_bad_beats_what_is_not_known() {
    let state = |keep: &[&str], stale: bool| {
        let mut view = ill();
        view.gates.retain(|gate| keep.contains(&gate.name.as_str()));
        view.stale.retain(|_, _| stale);
        nagios::state(&view)
    };
    assert_eq!(state(&["errors", "few", "down"], false), nagios::State::Critical);
    assert_eq!(state(&["few", "down"], true), nagios::State::Critical);
    assert_eq!(state(&["few", "down"], false), nagios::State::Warning);
    assert_eq!(state(&["down", "looks"], false), nagios::State::Unknown);
    assert_eq!(state(&["late"], false), nagios::State::Unknown);
    assert_eq!(state(&["looks"], false), nagios::State::Ok);
}

#[test]
fn people_read_lines() {
    expect![[r#"
        mw2020.codfw.wmnet: connection refused, since 2016-01-22 01:48 UTC, 23 h ago; type: pointsman depool mw2020.codfw.wmnet (or pointsman sync-common mw2020.codfw.wmnet when it is back)
        errors fail: 8.5 | 'x'=1\u{a}POINTSMAN OK <&"\u{1}]]>
        few inconclusive: 3 requests
        down error: no route
        late error: it gave no answer in time
        looks fail (observes only): 20 is above 10
          340 of 340 events come from mw2020
        2 of 3 hosts ready (L2), 0 of 4 gates passed
        3 of 3 hosts ready (L2), 1 of 1 gate passed"#]]
    .assert_eq(&(lines(&ill()).join("\n") + "\n" + &ill().summary() + "\n" + &well().summary()));
}

#[test]
fn ci_servers_read_junit() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="pointsman canary" tests="8" skipped="1" failures="2" errors="3" time="1.234">
            <testsuite name="readiness" tests="3" skipped="0" errors="0" failures="1">
                <testcase name="mw2018.codfw.wmnet" classname="pointsman.readiness"/>
                <testcase name="mw2019.codfw.wmnet" classname="pointsman.readiness"/>
                <testcase name="mw2020.codfw.wmnet" classname="pointsman.readiness">
                    <failure message="connection refused" type="stale">mw2020.codfw.wmnet: connection refused, since 2016-01-22 01:48 UTC, 23 h ago; type: pointsman depool mw2020.codfw.wmnet (or pointsman sync-common mw2020.codfw.wmnet when it is back)</failure>
                </testcase>
            </testsuite>
            <testsuite name="gates" tests="5" skipped="1" errors="3" failures="1">
                <testcase name="errors" classname="pointsman.gates">
                    <failure message="8.5 | &apos;x&apos;=1\u{a}POINTSMAN OK &lt;&amp;&quot;\u{1}]]&gt;" type="fail">errors fail: 8.5 | &apos;x&apos;=1\u{a}POINTSMAN OK &lt;&amp;&quot;\u{1}]]&gt;</failure>
                    <system-out>8.5 | &apos;x&apos;=1\u{a}POINTSMAN OK &lt;&amp;&quot;\u{1}]]&gt;
        mw2020.codfw.wmnet 340 of 1000\u{1b}[2J</system-out>
                </testcase>
                <testcase name="few" classname="pointsman.gates">
                    <error message="3 requests" type="inconclusive">few inconclusive: 3 requests</error>
                    <system-out>3 requests
        mw2020.codfw.wmnet 340 of 1000\u{1b}[2J</system-out>
                </testcase>
                <testcase name="down" classname="pointsman.gates">
                    <error message="no route" type="error">down error: no route</error>
                    <system-out>no route
        mw2020.codfw.wmnet 340 of 1000\u{1b}[2J</system-out>
                </testcase>
                <testcase name="late" classname="pointsman.gates">
                    <error message="it gave no answer in time" type="error">late error: it gave no answer in time</error>
                    <system-out>it gave no answer in time</system-out>
                </testcase>
                <testcase name="looks" classname="pointsman.gates">
                    <skipped message="fail, and it only observes: 20 is above 10"/>
                    <system-out>20 is above 10
        mw2020.codfw.wmnet 340 of 1000\u{1b}[2J</system-out>
                </testcase>
            </testsuite>
        </testsuites>
    "#]]
    .assert_eq(&junit::xml(&ill()).expect("it is written"));
}

#[test]
fn prometheus_reads_a_text_file() {
    expect![[r##"
        # HELP pointsman_canary_last_run_timestamp_seconds When the check ended.
        # TYPE pointsman_canary_last_run_timestamp_seconds gauge
        pointsman_canary_last_run_timestamp_seconds 1453511640
        # HELP pointsman_canary_duration_seconds How long the check took.
        # TYPE pointsman_canary_duration_seconds gauge
        pointsman_canary_duration_seconds 1.234
        # HELP pointsman_canary_well 1 when every host is ready and every gate passed.
        # TYPE pointsman_canary_well gauge
        pointsman_canary_well 0
        # HELP pointsman_hosts Hosts that were looked at.
        # TYPE pointsman_hosts gauge
        pointsman_hosts 3
        # HELP pointsman_stale_hosts Hosts that are not ready.
        # TYPE pointsman_stale_hosts gauge
        pointsman_stale_hosts 1
        # HELP pointsman_host_stale_since_timestamp_seconds Since when a host is not ready.
        # TYPE pointsman_host_stale_since_timestamp_seconds gauge
        pointsman_host_stale_since_timestamp_seconds{host="mw2020.codfw.wmnet"} 1453427280
        # HELP pointsman_gate_verdict 1 for the verdict that a gate gave.
        # TYPE pointsman_gate_verdict gauge
        pointsman_gate_verdict{gate="errors",kind="counts",mode="enforce",verdict="pass"} 0
        pointsman_gate_verdict{gate="errors",kind="counts",mode="enforce",verdict="fail"} 1
        pointsman_gate_verdict{gate="errors",kind="counts",mode="enforce",verdict="inconclusive"} 0
        pointsman_gate_verdict{gate="errors",kind="counts",mode="enforce",verdict="error"} 0
        pointsman_gate_verdict{gate="few",kind="counts",mode="enforce",verdict="pass"} 0
        pointsman_gate_verdict{gate="few",kind="counts",mode="enforce",verdict="fail"} 0
        pointsman_gate_verdict{gate="few",kind="counts",mode="enforce",verdict="inconclusive"} 1
        pointsman_gate_verdict{gate="few",kind="counts",mode="enforce",verdict="error"} 0
        pointsman_gate_verdict{gate="down",kind="counts",mode="enforce",verdict="pass"} 0
        pointsman_gate_verdict{gate="down",kind="counts",mode="enforce",verdict="fail"} 0
        pointsman_gate_verdict{gate="down",kind="counts",mode="enforce",verdict="inconclusive"} 0
        pointsman_gate_verdict{gate="down",kind="counts",mode="enforce",verdict="error"} 1
        pointsman_gate_verdict{gate="late",kind="counts",mode="enforce",verdict="pass"} 0
        pointsman_gate_verdict{gate="late",kind="counts",mode="enforce",verdict="fail"} 0
        pointsman_gate_verdict{gate="late",kind="counts",mode="enforce",verdict="inconclusive"} 0
        pointsman_gate_verdict{gate="late",kind="counts",mode="enforce",verdict="error"} 1
        pointsman_gate_verdict{gate="looks",kind="counts",mode="observe",verdict="pass"} 0
        pointsman_gate_verdict{gate="looks",kind="counts",mode="observe",verdict="fail"} 1
        pointsman_gate_verdict{gate="looks",kind="counts",mode="observe",verdict="inconclusive"} 0
        pointsman_gate_verdict{gate="looks",kind="counts",mode="observe",verdict="error"} 0
        # HELP pointsman_gate_value The number that decided, in the unit of the gate's limit.
        # TYPE pointsman_gate_value gauge
        pointsman_gate_value{gate="errors"} 8.5
        pointsman_gate_value{gate="down"} NaN
        pointsman_gate_value{gate="looks"} 20
        # HELP pointsman_gate_samples How many samples, hosts or events a verdict rests on.
        # TYPE pointsman_gate_samples gauge
        pointsman_gate_samples{gate="errors"} 12
        pointsman_gate_samples{gate="few"} 12
        pointsman_gate_samples{gate="down"} 12
        pointsman_gate_samples{gate="looks"} 12
    "##]]
    .assert_eq(&textfile::text(&ill()));
}
