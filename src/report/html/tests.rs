//! Pages out of records that were made by hand. What a browser makes of them is tried in `tests/page`.

use super::super::fixture::{BEGIN, host, rollout};
use super::*;
use crate::model::books::{Kind, Record, Rollout};
use crate::model::digest::Digest as Hash;
use crate::model::health::HealthRecord;
use crate::model::ids::{Generation, RolloutId};
use crate::model::stale::StaleReason;
use crate::model::verdict::{Against, Judgement, Verdict};
use expect_test::{Expect, expect};

fn opened(id: u64, kind: Kind) -> Record {
    Record::Opened { rollout: rollout(id, kind), snapshot: None, moves_current: false }
}

fn switch(id: u64, hosts: impl IntoIterator<Item = u32>) -> Record {
    let hosts = hosts.into_iter().map(|n| (host(n), Generation { epoch: 1, seq: 1 })).collect();
    Record::Intents { rollout: RolloutId(id), command: "switch".into(), hosts }
}

fn outcome(id: u64, n: u32, result: &str) -> Record {
    let (rollout, generation) = (RolloutId(id), Generation { epoch: 1, seq: 1 });
    Record::Outcome { rollout, command: "switch".into(), host: host(n), generation, result: result.into() }
}

fn ended(id: u64, status: Status) -> Record {
    Record::Ended { rollout: RolloutId(id), status, moves_current: false, effect: String::new() }
}

fn judged(verdict: Verdict, value: Option<f64>, against: Against) -> Record {
    let judgement = Judgement {
        gate: "lag".parse().expect("a gate"),
        verdict,
        at: Time(BEGIN),
        value,
        limit: "below 5".into(),
        n: 1,
        window_ms: 0,
        query: String::new(),
        sentence: "Passes: it lags.".into(),
        samples: vec!["db1 lags".into()],
        against,
    };
    Record::Health(HealthRecord::Judged { rollout: RolloutId(2), moment: "after wave 1 of 2".into(), judgement })
}

/// What the journal has of r2, with a second between its events.
fn case(kind: Kind, records: &[Record]) -> Case {
    let mut case = Case::new(rollout(2, kind));
    for (n, record) in (1..).zip(records) {
        case.take(Mark { seq: n, at: Time(BEGIN + 1000 * n), epoch: 1 }, Hash::of(&[]), record);
    }
    case
}

fn told(case: &Case) -> Told<'_> {
    Told { case, rows: &[], before: None, after: None, now: Time(BEGIN) }
}

/// A part of a page without its elements, a line for each that had text.
fn text(markup: &Markup) -> String {
    let mut text = String::new();
    for piece in markup.0.split('<') {
        text += piece.split_once('>').map_or(piece, |(_, text)| text);
        if ["/tr>", "/p>", "/summary>", "/h3>", "/dd>", "/caption>"].iter().any(|end| piece.starts_with(end)) {
            text += "\n";
        } else {
            text += " ";
        }
    }
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn check_hosts(kind: Kind, records: &[Record], want: Expect) {
    let case = case(kind, records);
    // Without what is the same on every page, and without the names of columns.
    let said = text(&hosts::matrix(&case));
    let same =
        |line: &&str| !["The skew", "Waves", "Wave Hosts", "Hosts:", "Host "].iter().any(|same| line.starts_with(same));
    let lines: Vec<&str> = said.lines().filter(same).collect();
    want.assert_eq(&format!("{}\n{}", hosts::sum(&case), lines.join("\n")));
}

#[test]
fn every_host_stands_as_the_journal_has_it() {
    let records = [
        opened(2, Kind::Promote),
        switch(2, [1]),
        outcome(2, 1, "ok"),
        Record::Fresh { host: host(1) },
        switch(2, 2..8),
        outcome(2, 2, "ok"),
        outcome(2, 3, "ok"),
        outcome(2, 4, "<b>disk</b> full"),
        Record::Fresh { host: host(2) },
        Record::Stale { host: host(5), reason: StaleReason::Suspect("it alone fails".into()) },
        Record::Owed { host: host(6), what: "the state s3 of r2".into() },
        ended(2, Status::Owed),
        // By somebody else, later: not ours.
        opened(3, Kind::Sync),
        Record::Fresh { host: host(7) },
        Record::Stale { host: host(1), reason: StaleReason::New },
    ];
    check_hosts(
        Kind::Promote,
        &records,
        expect![[r#"
        2 switched and proven; 1 switched, not proven in this undertaking; 1 never answered, so it may have switched; 1 did not switch; 1 stale; 1 left behind and owed
        Wave 1 1 01:16:02 +1.0 s +1.0 s none 1 switched and proven
        Wave 2 6 01:16:05 +1.0 s +2.0 s 1.0 s 1 switched and proven; 1 switched, not proven in this undertaking; 1 never answered, so it may have switched; 1 did not switch; 1 stale; 1 left behind and owed
        Wave 1: 1 host
        ✓ 1 switched and proven mw1.codfw.wmnet
        mw1.codfw.wmnet 01:16:03 +1.0 s
        Wave 2: 6 hosts
        When the hosts answered 2 of 6 hosts had switched, 1 said no, 3 never answered; from the sending to the last answer: 3.0 s. sent + 3.0 s 2 of 6 hosts had switched, 1 said no, 3 never answered; from the sending to the last answer: 3.0 s. ✕ 1 left behind and owed mw6.codfw.wmnet
        mw6.codfw.wmnet no answer owed the state s3 of r2
        ✕ 1 stale mw5.codfw.wmnet
        mw5.codfw.wmnet no answer at fault, and not the release: it alone fails
        ✕ 1 did not switch mw4.codfw.wmnet
        mw4.codfw.wmnet 01:16:08 +3.0 s it said: &lt;b&gt;disk&lt;/b&gt; full
        ◆ 1 never answered, so it may have switched mw7.codfw.wmnet
        mw7.codfw.wmnet no answer
        ◆ 1 switched, not proven in this undertaking mw3.codfw.wmnet
        mw3.codfw.wmnet 01:16:07 +2.0 s
        ✓ 1 switched and proven mw2.codfw.wmnet
        mw2.codfw.wmnet 01:16:06 +1.0 s"#]],
    );
    check_hosts(
        Kind::Promote,
        &[],
        expect![[r#"
        no host was talked to
        The journal has no host of it."#]],
    );
}

#[test]
fn where_each_host_goes_for_itself_there_is_one_wave() {
    let records = [
        Record::Intents {
            rollout: RolloutId(2),
            command: "observe".into(),
            hosts: (1..4).map(|n| (host(n), Generation { epoch: 1, seq: 1 })).collect(),
        },
        opened(2, Kind::Rollback),
        Record::Fresh { host: host(1) },
        switch(2, [2]),
        outcome(2, 2, "ok"),
        switch(2, [3]),
        Record::Fresh { host: host(2) },
    ];
    check_hosts(
        Kind::Rollback,
        &records,
        expect![[r#"
        1 switched and proven; 1 was as wanted, proven; 1 never answered, so it may have switched
        Each host for itself 2 01:16:04 +1.0 s +1.0 s none 1 switched and proven; 1 never answered, so it may have switched
        Each host for itself: 2 hosts
        When the hosts answered 1 of 2 hosts had switched, 0 said no, 1 never answered; from the sending to the last answer: 1.0 s. sent + 1.0 s 1 of 2 hosts had switched, 0 said no, 1 never answered; from the sending to the last answer: 1.0 s. ◆ 1 never answered, so it may have switched mw3.codfw.wmnet
        mw3.codfw.wmnet no answer
        ✓ 1 switched and proven mw2.codfw.wmnet
        mw2.codfw.wmnet 01:16:05 +1.0 s
        Without a switch: 1 host
        ✓ 1 was as wanted, proven mw1.codfw.wmnet
        Host
        mw1.codfw.wmnet"#]],
    );
}

#[test]
fn an_undertaking_spans_what_took_it_back_and_nothing_later() {
    let records = [
        Record::Released { by: "bob".into() },
        opened(2, Kind::Promote),
        ended(2, Status::Done),
        opened(3, Kind::Converge),
        judged(Verdict::Fail, Some(9.0), Against::bound(5.0)),
        opened(4, Kind::Rollback),
        ended(4, Status::Done),
        opened(5, Kind::Promote),
    ];
    let case = case(Kind::Promote, &records);
    assert_eq!(case.followed, Some(RolloutId(4)));
    let spans: Vec<bool> = (1..=8).map(|n| case.spans(Time(BEGIN + 1000 * n))).collect();
    assert_eq!(spans, [false, true, true, true, true, true, true, false]);
}

#[test]
fn a_gate_is_plotted_where_the_journal_has_numbers() {
    let bound = Against { bounds: vec![5.0], baseline: Some(1.0) };
    let records = [
        opened(2, Kind::Promote),
        switch(2, [1]),
        judged(Verdict::Pass, Some(3.0), bound.clone()),
        judged(Verdict::Fail, Some(9.5), bound),
    ];
    let plotted = gates::all(&case(Kind::Promote, &records)).0;
    let (_, plot) = plotted.split_once("<svg").expect("it has a plot");
    let (plot, _) = plot.split_once("</figure>").expect("it ends");
    let (drawn, legend) = plot.split_once("<figcaption>").expect("words follow");
    let drawn = drawn.replace("><", ">\n<");
    let lines: Vec<&str> = drawn.lines().filter(|line| !line.starts_with("</")).collect();
    expect![[r#"
         class="plot" role="img" aria-labelledby="plot-lag-0-t plot-lag-0-d" width="100%" height="190">
        <title id="plot-lag-0-t">Values of the gate over time</title>
        <desc id="plot-lag-0-d">2 values within 2.0 s: from 3 to 9.5; limit: below 5; baseline 1.</desc>
        <line class="wave" x1="98%" x2="98%" y1="16" y2="164">
        <text class="wave" x="98%" y="12" text-anchor="middle">1</text>
        <line class="limit" x1="0" x2="100%" y1="93.5" y2="93.5">
        <text class="limit" x="100%" y="88.5" text-anchor="end">limit 5</text>
        <line class="baseline" x1="0" x2="100%" y1="150" y2="150">
        <text class="baseline" x="0" y="145" text-anchor="start">baseline 1</text>
        <line class="value" x1="2%" y1="121.8" x2="2%" y2="30">
        <svg x="2%" y="121.8">
        <circle class="pass" r="4">
        <svg x="2%" y="30">
        <path class="fail" d="M-5-5L5 5M-5 5L5-5">
        <text x="0" y="182">01:16:00</text>
        <text x="100%" y="182" text-anchor="end">01:16:02</text>"#]]
    .assert_eq(&lines.join("\n"));
    assert!(
        legend.starts_with("2 values within 2.0 s: from 3 to 9.5; limit: below 5; baseline 1.</figcaption>"),
        "{legend}"
    );
}

#[test]
fn without_numbers_there_is_no_plot_and_that_is_said() {
    let of = |records: &[Record]| gates::all(&case(Kind::Promote, records));
    let none = "No plot: the journal holds no value of this gate with a limit in numbers.";
    for record in
        [judged(Verdict::Pass, Some(3.0), Against::default()), judged(Verdict::Error, None, Against::bound(5.0))]
    {
        let said = of(&[opened(2, Kind::Promote), record]).0;
        assert!(said.contains(none) && !said.contains("<figure"), "{said}");
    }
    assert_eq!(text(&gates::all(&case(Kind::Promote, &[]))), "No gate was asked.");
}

#[test]
fn lines_are_those_that_decided() {
    let bound = || Against::bound(5.0);
    let pass = judged(Verdict::Pass, Some(3.0), bound());
    let fail = judged(Verdict::Fail, Some(9.0), bound());
    let unsure = judged(Verdict::Inconclusive, Some(5.0), bound());
    let lines = |records: &[Record]| text(&gates::lines(&case(Kind::Promote, records))).matches("db1 lags").count();
    assert_eq!(lines(&[unsure.clone(), pass.clone()]), 0);
    assert_eq!(lines(&[pass.clone(), unsure]), 1);
    assert_eq!(lines(&[fail.clone(), fail, pass]), 1);
}

#[test]
fn s19_a_page_forbids_itself_to_run_anything_and_is_what_its_policy_says() {
    let hostile = Rollout { why: "\u{202e}<script>\0".into(), ..rollout(2, Kind::Promote) };
    let case = Case::new(hostile);
    let page = page(told(&case));
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains("\\u{202e}") && page.contains("\\u{0}"), "{page}");
    let (_, style) = page.split_once("<style>").expect("it has a style");
    let (style, _) = style.split_once("</style>").expect("it ends");
    let sum = base64(&Sha256::digest(style));
    let policy = format!("default-src 'none'; style-src 'sha256-{sum}'; base-uri 'none'; form-action 'none'");
    assert!(page.contains(&format!("content=\"{policy}\"")), "{page}");
    assert!(page.contains("The journal has no event of it.") && page.contains("a journal without events"), "{page}");
}

#[test]
fn digests_are_written_as_rfc_4648_has_it() {
    let written = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
    assert_eq!(written, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
}
