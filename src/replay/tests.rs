//! A small incident, told in the three ways that the big one can be told.

use super::played::{Act, ActEnd, ChapterPlayed, Played, Row, Served, Side};
use super::{columns, page, play};
use crate::config::incident::spec::{Cause, Chapter, Event, HostEvent, Incident, Shows, Signal, What};
use crate::config::policy::Policy;
use crate::model::names::HostName;
use crate::model::time::Time;
use std::path::Path;

const SITE: &str = r#"
deploy: {root: /srv/mediawiki, state: /var/lib/pointsman, staging: staging, books: books}
configuration: [wmf-config]
wikis: [testwiki, labswiki, hewiki, cawiki, enwiki, dewiki]
groups:
  - {name: group0, wikis: [testwiki]}
  - {name: group1, wikis: [hewiki, cawiki, labswiki]}
  - {name: group2, wikis: [enwiki, dewiki]}
hosts:
  - {name: mw1017.eqiad.wmnet, roles: [debug], datacenter: eqiad}
  - {name: "mw[1018-1019].eqiad.wmnet", roles: [canary], datacenter: eqiad}
  - {name: "mw[2016-2020].codfw.wmnet", roles: [appserver], datacenter: codfw}
pins:
  - {wiki: labswiki, version: "1.27.0-wmf.9", reason: by hand, owner: labs}
hooks: {build: [build]}
artefacts: [{path: cache/l10n, files: 3, inputs: [languages]}]
soak: {wave: 1m, group: 2m, max: 30m, watch: 6h}
gates:
  - {name: text-5xx, kind: threshold, source: {graphite: "http://graphite", target: reqstats}, interval: 1m, window: 10m,
     percent_above: {warn: 250, crit: 1000, percent: 40}}
  - {name: new-signatures, kind: signatures, files: [/var/log/mediawiki/exception.log], interval: 1m}
  - {name: load, kind: threshold, source: {graphite: "http://graphite", target: load}, failure: "> 9"}
"#;

fn time(text: &str) -> Time {
    Time::parse(text).expect("a time")
}

fn site() -> Policy {
    let read = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    crate::config::parse(Path::new("/site/groups.yaml"), SITE, &read).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn mw2020() -> HostName {
    "mw2020.codfw.wmnet".parse().expect("a host")
}

fn event(at: &str, what: What) -> Event {
    Event { at: time(at), what, text: String::new(), prov: "assumed".to_owned(), because: None, by_itself: false }
}

fn promote(at: &str, group: &str) -> Event {
    let (group, version) = (group.parse().expect("a group"), "1.27.0-wmf.11".parse().expect("a version"));
    event(at, What::Promote(group, version))
}

fn back(at: &str, to: &str) -> Event {
    event(at, What::Rollback(None, to.parse().expect("a version")))
}

fn errors(name: &str, text: &str, cause: Cause) -> Signal {
    let shows = Shows::Errors { text: text.to_owned(), per_minute: 2.0 };
    let (name, prov) = (name.to_owned(), "assumed".to_owned());
    Signal { name, shows, cause, after_ms: 0, from: None, until: None, prov }
}

/// A release that shows nothing, and a host that was installed anew.
fn incident() -> Incident {
    let map = |group: &str| (group.parse().expect("a group"), "1.27.0-wmf.10".parse().expect("a version"));
    let mut forward_again = back("2016-01-23T01:28:00Z", "1.27.0-wmf.11");
    forward_again.because = Some("l10n-errors".to_owned());
    let reinstalled = What::Host(mw2020(), HostEvent::Reinstalled { lacks: [].into() });
    let quiet = Shows::Series { gates: ["text-5xx".parse().expect("a gate")].into(), base: 200.0, value: 2500.0 };
    let never = Cause {
        version: Some("1.27.0-wmf.9".parse().expect("a version")),
        group: Some("group2".parse().expect("a group")),
        ..Cause::default()
    };
    Incident {
        name: "small".to_owned(),
        title: "a small incident".to_owned(),
        site: site(),
        version: "1.27.0-wmf.11".parse().expect("a version"),
        from: time("2016-01-19T23:00:00Z"),
        to: time("2016-01-23T02:00:00Z"),
        map: ["group0", "group1", "group2"].map(map).into(),
        requests_per_minute: 60,
        events: vec![
            promote("2016-01-19T23:14:00Z", "group0"),
            promote("2016-01-20T19:27:00Z", "group1"),
            promote("2016-01-21T22:19:00Z", "group2"),
            event("2016-01-22T07:34:00Z", reinstalled),
            back("2016-01-23T01:09:00Z", "1.27.0-wmf.10"),
            forward_again,
            back("2016-01-23T01:33:00Z", "1.27.0-wmf.10"),
        ],
        signals: vec![
            errors(
                "l10n-errors",
                "No localisation cache found for English",
                Cause { lacks_artefacts: true, ..Cause::default() },
            ),
            Signal { shows: quiet, ..errors("text5xx", "", never) },
        ],
        chapters: Vec::new(),
    }
}

fn played(incident: &Incident, from: &str) -> ChapterPlayed {
    let chapter = Chapter { name: "one".to_owned(), from: time(from), to: None };
    let mut played = play(incident, &[chapter], None).expect("it can be played");
    played.chapters.pop().expect("one chapter")
}

fn ends(chapter: &ChapterPlayed) -> Vec<(&str, ActEnd)> {
    chapter.acts.iter().map(|act: &Act| (act.what.as_str(), act.end)).collect()
}

fn lines(chapter: &ChapterPlayed) -> String {
    let rows = chapter.rows.iter().map(|row| {
        let side = if row.side == Side::History { "then" } else { "now " };
        format!("{} {side} {}\n", row.at, row.text)
    });
    rows.collect()
}

#[test]
fn the_night_names_the_host_and_what_it_lacks_and_needs_one_pass() {
    let chapter = played(&incident(), "2016-01-23T01:00:00Z");
    expect_test::expect![[r#"
        2016-01-23T01:09:00Z then all wikis are moved to 1.27.0-wmf.10
        2016-01-23T01:09:01Z now  mw2020.codfw.wmnet wmf-config was never proven; php-1.27.0-wmf.10 was never proven, and cache/l10n has 0 of 3 files; php-1.27.0-wmf.9 was never proven: repaired before it is switched
        2016-01-23T01:09:07Z now  rollback: done: group0: 1 wiki 1.27.0-wmf.11 -> 1.27.0-wmf.10, group1: 2 wikis 1.27.0-wmf.11 -> 1.27.0-wmf.10, group2: 2 wikis 1.27.0-wmf.11 -> 1.27.0-wmf.10; 8 of 8 hosts proven
        2016-01-23T01:28:00Z then all wikis are moved to 1.27.0-wmf.11
        2016-01-23T01:28:00Z now  there is no reason for this: l10n-errors does not show
        2016-01-23T01:33:00Z then all wikis are moved to 1.27.0-wmf.10
        2016-01-23T01:33:00Z now  nothing to take back: no wiki is wanted at 1.27.0-wmf.11
    "#]].assert_eq(&lines(&chapter));
    assert_eq!(ends(&chapter), [("rollback", ActEnd::Done)]);
    assert!(chapter.acts[0].repaired[&mw2020()].contains("cache/l10n"), "{:?}", chapter.acts[0]);
    assert!(chapter.acts[0].left.is_empty());
    assert_eq!(chapter.unmeasured, ["load"]);
}

#[test]
fn a_host_whose_tree_is_intact_needs_no_repair() {
    let mut incident = incident();
    incident.events.retain(|event| !matches!(event.what, What::Host(..)));
    let chapter = played(&incident, "2016-01-23T01:00:00Z");
    assert_eq!(ends(&chapter), [("rollback", ActEnd::Done)]);
    assert!(chapter.acts[0].repaired.is_empty() && chapter.acts[0].left.is_empty());
}

#[test]
fn errors_on_all_hosts_after_the_rollback_are_the_releases() {
    let mut incident = incident();
    incident.events.retain(|event| !matches!(event.what, What::Host(..)));
    incident.signals[0].cause =
        Cause { version: Some("1.27.0-wmf.10".parse().expect("a version")), ..Cause::default() };
    incident.signals[0].from = Some(time("2016-01-23T01:09:00Z"));
    let chapter = played(&incident, "2016-01-23T01:00:00Z");
    assert_eq!(chapter.acts[0].end, ActEnd::Paused, "{}", lines(&chapter));
    assert!(chapter.acts[0].repaired.is_empty());
    assert!(chapter.acts.iter().all(|act| !act.forward), "nothing goes forward: {:?}", ends(&chapter));
}

#[test]
fn a_new_signature_of_group0_takes_it_back_and_holds_group1() {
    let mut incident = incident();
    let cause = Cause { version: Some(incident.version.clone()), ..Cause::default() };
    let signal = errors("session", "Can neither load the session nor create an empty session", cause);
    incident.signals.push(Signal { after_ms: 2 * 3_600_000, ..signal });
    let chapter = played(&incident, "2016-01-19T23:00:00Z");
    expect_test::expect![[r#"
        2016-01-19T23:14:00Z then group0 is moved to 1.27.0-wmf.11
        2016-01-19T23:18:09Z now  promote group0 1.27.0-wmf.11: done, and watched from now on: group0: 1 wiki 1.27.0-wmf.10 -> 1.27.0-wmf.11; 8 of 8 hosts proven
        2016-01-20T01:16:09Z now  new-signatures: Fails: `Can neither load the session nor create an empty session` is new: 8 events on 3 switched hosts (n 1, over 2 h, asked: the incident's signals for new-signatures).
        2016-01-20T01:16:09Z now  8 events on 3 of 8 switched hosts, and every host was switched: nothing is left to compare with but before the switch.
        2016-01-20T01:16:12Z now  the release is to blame and is taken back: group0: 1 wiki 1.27.0-wmf.11 -> 1.27.0-wmf.10; 8 of 8 hosts proven
        2016-01-20T19:27:00Z then group1 is moved to 1.27.0-wmf.11
        2016-01-20T19:27:00Z now  promote group1 1.27.0-wmf.11: not begun: the blocker 142f0b26 is open since 2016-01-20 01:16 UTC, 18 h ago (new-signatures): Can neither load the session nor create an empty session
        2016-01-21T22:19:00Z then group2 is moved to 1.27.0-wmf.11
        2016-01-21T22:19:00Z now  promote group2 1.27.0-wmf.11: not begun: the blocker 142f0b26 is open since 2016-01-20 01:16 UTC, 45 h ago (new-signatures): Can neither load the session nor create an empty session
        2016-01-22T07:34:00Z then mw2020.codfw.wmnet is installed anew
        2016-01-23T01:09:00Z then all wikis are moved to 1.27.0-wmf.10
        2016-01-23T01:09:00Z now  nothing to take back: no wiki is wanted at 1.27.0-wmf.11
        2016-01-23T01:28:00Z then all wikis are moved to 1.27.0-wmf.11
        2016-01-23T01:28:00Z now  there is no reason for this: l10n-errors does not show
        2016-01-23T01:33:00Z then all wikis are moved to 1.27.0-wmf.10
        2016-01-23T01:33:00Z now  nothing to take back: no wiki is wanted at 1.27.0-wmf.11
    "#]].assert_eq(&lines(&chapter));
    assert_eq!(
        ends(&chapter)[..3],
        [
            ("promote group0 1.27.0-wmf.11", ActEnd::RolledBack),
            ("promote group1 1.27.0-wmf.11", ActEnd::Held),
            ("promote group2 1.27.0-wmf.11", ActEnd::Held)
        ]
    );
    let served = chapter.served[&"group1".parse().expect("a group")];
    assert_eq!(served.pointsman_ms, 0);
    assert_eq!(served.history_ms, time("2016-01-23T01:09:00Z").ms_since(time("2016-01-20T19:27:00Z")) + 5 * 60_000);
}

#[test]
fn the_alert_takes_group1_back_within_minutes() {
    let mut incident = incident();
    let group1 = Cause {
        version: Some(incident.version.clone()),
        group: Some("group1".parse().expect("a group")),
        ..Cause::default()
    };
    (incident.signals[1].cause, incident.signals[1].after_ms) = (group1, 600_000);
    let chapter = played(&incident, "2016-01-20T19:00:00Z");
    let act = &chapter.acts[0];
    assert_eq!(
        (act.what.as_str(), act.end),
        ("promote group1 1.27.0-wmf.11", ActEnd::RolledBack),
        "{}",
        lines(&chapter)
    );
    assert!(act.why[0].starts_with("text-5xx"), "{:?}", act.why);
    let minutes = act.ended.ms_since(act.began) / 60_000;
    assert!((10..=20).contains(&minutes), "{minutes} minutes of virtual time");
}

#[test]
fn the_same_incident_plays_the_same_twice() {
    let incident = incident();
    assert_eq!(played(&incident, "2016-01-19T23:00:00Z"), played(&incident, "2016-01-19T23:00:00Z"));
}

#[test]
fn a_playbook_runs_in_the_place_of_the_people_and_waits_for_its_hours() {
    let mut incident = incident();
    incident.events.retain(|event| matches!(event.what, What::Promote(..)));
    let text = include_str!("../../playbooks/train.yaml");
    let given = [("version", "1.27.0-wmf.11"), ("soak", "24h")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let playbook = crate::config::playbook::parse(Path::new("train.yaml"), text, &incident.site, &given);
    let playbook = playbook.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    incident.to = time("2016-02-01T00:00:00Z");
    let chapter = Chapter { name: "one".to_owned(), from: time("2016-01-19T23:00:00Z"), to: None };
    let played = play(&incident, &[chapter], Some(&playbook)).expect("it can be played");
    expect_test::expect![[r#"
        2016-01-19T23:14:00Z then group0 is moved to 1.27.0-wmf.11
        2016-01-19T23:14:00Z now  train: the playbook begins
        2016-01-19T23:14:00Z now  ready: not replayed, taken to succeed
        2016-01-19T23:14:00Z now  train: group0: outside of the allowed hours, 08:00 to 22:00 in UTC on mon, tue, wed, thu
        2016-01-20T08:04:09Z now  promote group0 1.27.0-wmf.11: done, and watched from now on: group0: 1 wiki 1.27.0-wmf.10 -> 1.27.0-wmf.11; 8 of 8 hosts proven
        2016-01-20T19:27:00Z then group1 is moved to 1.27.0-wmf.11
        2016-01-21T08:08:18Z now  promote group1 1.27.0-wmf.11: done, and watched from now on: group1: 2 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11; 8 of 8 hosts proven
        2016-01-21T22:19:00Z then group2 is moved to 1.27.0-wmf.11
        2016-01-22T08:08:18Z now  train: group2: outside of the allowed hours, 08:00 to 22:00 in UTC on mon, tue, wed, thu
        2016-01-25T08:04:27Z now  promote group2 1.27.0-wmf.11: done, and watched from now on: group2: 2 wikis 1.27.0-wmf.10 -> 1.27.0-wmf.11; 8 of 8 hosts proven
        2016-01-26T08:04:27Z now  said: not replayed, taken to succeed
        2016-01-26T08:04:27Z now  train: the playbook is through
    "#]].assert_eq(&lines(&played.chapters[0]));
    let cause = Cause { version: Some(incident.version.clone()), ..Cause::default() };
    let signal = errors("session", "Can neither load the session nor create an empty session", cause);
    incident.signals.push(Signal { after_ms: 2 * 3_600_000, ..signal });
    let played = play(
        &incident,
        &played
            .chapters
            .iter()
            .map(|one| Chapter { name: one.name.clone(), from: one.from, to: None })
            .collect::<Vec<_>>(),
        Some(&playbook),
    )
    .expect("it can be played");
    let ended: Vec<_> = ends(&played.chapters[0]);
    assert_eq!(ended, [("promote group0 1.27.0-wmf.11", ActEnd::RolledBack)]);
}

/// A chapter with text that means harm.
fn told() -> Played {
    let row = |at: &str, side, text: &str, prov: &str| Row {
        at: time(at),
        side,
        text: text.to_owned(),
        prov: prov.to_owned(),
    };
    let long = "rollback: done: group0: 5 wikis 1.27.0-wmf.11 -> 1.27.0-wmf.10; 477 of 477 hosts proven";
    let rows = vec![
        row("2016-01-22T22:00:00Z", Side::History, "<script>alert(1)</script>\u{1b}[2J & \"so\" on", "assumed"),
        row("2016-01-23T01:09:00Z", Side::History, "all wikis are moved to 1.27.0-wmf.10", "config-repo"),
        row("2016-01-23T01:09:08Z", Side::Pointsman, long, ""),
    ];
    let served = Served { history_ms: 6_540_000, pointsman_ms: 0 };
    let chapter = ChapterPlayed {
        name: "night".to_owned(),
        from: time("2016-01-22T22:00:00Z"),
        to: time("2016-01-23T02:00:00Z"),
        rows,
        acts: Vec::new(),
        unmeasured: vec!["load".to_owned()],
        served: [("group1".parse().expect("a group"), served)].into(),
    };
    Played { incident: "small".to_owned(), title: "a <small> incident".to_owned(), chapters: vec![chapter] }
}

#[test]
fn two_columns_are_told_by_day_and_no_line_is_too_wide() {
    let text = columns::text(&told(), 80);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    expect_test::expect![[r#"
        small: a <small> incident

        == night: from 2016-01-22T22:00:00Z to 2016-01-23T02:00:00Z, with pointsman
                 what happened                      | what pointsman would have done
        2016-01-22
        22:00:00 <script>alert(1)</script>�[2J &    |
                 "so" on (assumed)                  |
        2016-01-23
        01:09:00 all wikis are moved to             |
                 1.27.0-wmf.10                      |
        01:09:08                                    | rollback: done: group0: 5 wikis
                                                    | 1.27.0-wmf.11 -> 1.27.0-wmf.10;
                                                    | 477 of 477 hosts proven

        group1 served it for 1 h 49 min; with pointsman not at all: 1 h 49 min saved
        not asked, because the incident says nothing about them: load
    "#]]
    .assert_eq(&text);
}

#[test]
fn s19_the_page_loads_nothing_and_runs_nothing() {
    let page = page::html(&told());
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(
        !page.contains("<script") && !page.contains('\u{1b}') && !page.contains("http:") && !page.contains("https:"),
        "{page}"
    );
    assert!(page.contains("<title>a &lt;small&gt; incident</title>"));
}

/// What has made pages run scripts elsewhere; each is put where it is and closed off in several ways.
fn payloads() -> Vec<String> {
    let core = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<iframe src=javascript:alert(1)>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<meta http-equiv=refresh content=0;url=//evil>",
        "<base href=//evil/>",
        "<style>@import '//evil'</style>",
        "<link rel=stylesheet href=//evil>",
        "<!--",
        "<![CDATA[<b>x</b>]]>",
        "&lt;script&gt; &#60;b&#62; &amp;lt;",
    ];
    let around = [("", ""), ("\">", ""), ("'>", ""), ("</td></tr></table>", ""), ("</title></style>-->", "\u{2028}\0")];
    core.iter().flat_map(|core| around.map(|(before, after)| format!("{before}{core}{after}"))).collect()
}

/// The page of one chapter a text, which stands in all fields of its own.
fn page_of(texts: &[String]) -> String {
    let chapter = |text: &String| {
        let mut chapter = told().chapters.remove(0);
        chapter.name = text.clone();
        chapter.rows.iter_mut().for_each(|row| row.text = text.clone());
        chapter.rows[1].prov = text.clone();
        chapter.unmeasured = vec![text.clone()];
        chapter
    };
    let title = texts.concat();
    page::html(&Played { incident: title.clone(), title, chapters: texts.iter().map(chapter).collect() })
}

/// The elements of a page with their attributes, as Python's parser of HTML finds them.
fn elements(page: &str) -> String {
    use std::io::Write;
    let script = "import sys, html.parser as h\nclass P(h.HTMLParser):\n  handle_starttag = lambda s, t, a: print(t, a)\n  \
        handle_endtag = lambda s, t: print('/', t)\n  handle_comment = lambda s, d: print('comment')\n  \
        unknown_decl = lambda s, d: print('decl')\n  handle_pi = lambda s, d: print('pi')\n\
        p = P()\np.feed(sys.stdin.buffer.read().decode())\np.close()\n";
    let piped = std::process::Stdio::piped;
    let mut child = std::process::Command::new("python3").args(["-c", script]).stdin(piped()).stdout(piped()).spawn();
    let child = child.as_mut().expect("there is python3");
    child.stdin.take().expect("it is piped").write_all(page.as_bytes()).expect("it reads");
    let mut found = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().expect("it is piped"), &mut found).expect("it is text");
    assert!(child.wait().expect("it ends").success());
    found
}

#[test]
fn s19_no_text_becomes_an_element_of_the_page() {
    let payloads = payloads();
    assert!(payloads.len() >= 60, "{}", payloads.len());
    let plain = elements(&page_of(&vec!["x".to_owned(); payloads.len()]));
    assert!(plain.lines().count() > 1000 && !plain.contains("script"), "{plain}");
    assert_eq!(elements(&page_of(&payloads)), plain);
}

#[test]
fn json_has_both_columns_and_what_was_saved() {
    let json = page::json(&told());
    assert_eq!(json["chapters"][0]["rows"][2]["side"], "pointsman");
    assert_eq!(json["chapters"][0]["served"]["group1"]["history_ms"], 6_540_000);
}
