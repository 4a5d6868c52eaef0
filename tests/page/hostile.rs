//! Whatever a host, a program, a log or a person says, the page of it runs nothing and loads nothing (S19).

use crate::browser::Browser;
use crate::journal::{BEGIN, case_of, host, outcome, page_of};
use crate::report::is_a_good_page;
use pointsman::model::books::{Books, Kind, Pin, PinSource, Pins, Record, Rollout, Snapshot, Status};
use pointsman::model::health::HealthRecord;
use pointsman::model::ids::{BooksId, Generation, PlaybookId, RolloutId, SnapshotId};
use pointsman::model::names::{GateName, Version};
use pointsman::model::stale::StaleReason;
use pointsman::model::time::Time;
use pointsman::model::verdict::{Against, Judgement, Verdict};
use pointsman::playbook::asked::Asked;
use pointsman::report::escape::{Untrusted, visible};
use pointsman::report::html::board::{self, Board};
use pointsman::report::status::StatusView;
use serde_json::json;
use std::fs;

const PAYLOADS: [&str; 58] = [
    "<script>window.__pwned=1</script>",
    "</script><script>window.__pwned=1</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>window.__pwned=1</scr</script>ipt>",
    "<script\n>window.__pwned=1</script\n>",
    "<script/x>window.__pwned=1</script>",
    "<script type=module>window.__pwned=1</script>",
    "</style><script>window.__pwned=1</script>",
    "</title><script>window.__pwned=1</script>",
    "</textarea><script>window.__pwned=1</script>",
    "</pre></code></td></table><script>window.__pwned=1</script>",
    "--><script>window.__pwned=1</script><!--",
    "]]><script>window.__pwned=1</script>",
    "<img src=x onerror=window.__pwned=1>",
    "<img src=\"x\" onerror=\"window.__pwned=1\">",
    "<img/src=x/onerror=window.__pwned=1>",
    "<IMG SRC=x OnErRoR=window.__pwned=1>",
    "<img src=x:x onerror=`window.__pwned=1`>",
    "\"><img src=x onerror=window.__pwned=1>",
    "'><img src=x onerror=window.__pwned=1>",
    "\" onmouseover=\"window.__pwned=1\" autofocus onfocus=\"window.__pwned=1",
    "' onfocus='window.__pwned=1' autofocus='",
    "` onerror=`window.__pwned=1",
    "<svg onload=window.__pwned=1>",
    "<svg/onload=window.__pwned=1>",
    "<svg><script>window.__pwned=1</script></svg>",
    "<svg><animate onbegin=window.__pwned=1 attributeName=x dur=1s>",
    "<svg><a xlink:href=\"javascript:window.__pwned=1\"><text>x</text></a></svg>",
    "</svg><svg><foreignObject><iframe srcdoc=\"<script>parent.__pwned=1</script>\"></foreignObject></svg>",
    "</desc></svg><script>window.__pwned=1</script>",
    "<math><mi//xlink:href=\"data:x,<script>window.__pwned=1</script>\">",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=window.__pwned=1>",
    "<body onload=window.__pwned=1>",
    "<html onload=window.__pwned=1>",
    "<iframe src=javascript:parent.__pwned=1>",
    "<iframe srcdoc='<script>parent.__pwned=1</script>'>",
    "<object data=javascript:window.__pwned=1>",
    "<embed src=javascript:window.__pwned=1>",
    "<a href=javascript:window.__pwned=1>click</a>",
    "<a href=\"&#106;avascript:window.__pwned=1\">click</a>",
    "<form action=javascript:window.__pwned=1><button autofocus>x</button></form>",
    "<button formaction=javascript:window.__pwned=1>x</button>",
    "<input onfocus=window.__pwned=1 autofocus>",
    "<details open ontoggle=window.__pwned=1>x</details>",
    "<video><source onerror=window.__pwned=1></video>",
    "<audio src=x onerror=window.__pwned=1>",
    "<marquee onstart=window.__pwned=1>x</marquee>",
    "<meta http-equiv=refresh content='0;url=javascript:window.__pwned=1'>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{background:url(//evil.example/x)}</style>",
    "<div style=\"background:url(javascript:window.__pwned=1)\">x</div>",
    "<template><script>window.__pwned=1</script></template>",
    "&lt;script&gt;window.__pwned=1&lt;/script&gt;",
    "javascript:window.__pwned=1",
    "\u{202e}<script>window.__pwned=1</script>\u{2066}\u{200b}",
    "nul\0<scr\0ipt>window.__pwned=1</script>\x1b]0;pwned\x07",
    "\u{ff1c}script\u{ff1e}window.__pwned=1\u{ff1c}/script\u{ff1e}",
];

/// What no page of ours has, by what it does; 0 when all is well.
const FOREIGN: &str = "
    const SCRIPT = OURS;
    const known = 'html head meta title style body header nav main section footer p h1 h2 h3 ul li a dl dt dd span strong code pre \
        div table caption thead tbody tr th td time details summary figure figcaption svg desc line circle path text \
        form input label button ol br'.split(' ');
    const foreign = [];
    for (const element of document.querySelectorAll('*')) {
        const ours = element.localName === 'script' && element.text === SCRIPT;
        if (!ours && !known.includes(element.localName)) foreign.push(element.outerHTML);
        for (const {name, value} of element.attributes) {
            const runs = name.startsWith('on') || ['src', 'srcset', 'srcdoc', 'style', 'formaction'].includes(name);
            const leaves = (name.endsWith('href') || name === 'action') && !/^(#|\\/[a-z])/.test(value);
            if (runs || leaves) foreign.push(name + '=' + value);
        }
    }
    if (window.__pwned !== undefined) foreign.push('it ran');
    return foreign";

fn foreign() -> String {
    FOREIGN.replace("OURS", &json!(include_str!("../../src/report/html/live.js")).to_string())
}

/// What a run of a playbook asks, in which everybody says `text`.
fn asked(text: &str) -> Vec<Asked> {
    let (id, since, words) = (PlaybookId(1), Time(BEGIN), || text.to_owned());
    let (denied, groups) = (Some((words(), words())), Vec::new());
    vec![Asked { id, name: words(), by: words(), groups, stage: words(), text: words(), since, paused: true, denied }]
}

/// The board of books in which everybody says `text` wherever they can, while an approval waits.
fn board_of(text: &str) -> String {
    let mut books = Books::new(BooksId(7));
    for record in said(text) {
        match record {
            Record::Opened { rollout, snapshot, .. } => {
                let rollout = Rollout { status: Status::Open, ..rollout };
                books.apply(Time(BEGIN), &Record::Opened { rollout, snapshot, moves_current: true });
            }
            Record::Ended { .. } => {}
            record => books.apply(Time(BEGIN), &record),
        }
    }
    let gate = "train".parse().expect("a gate");
    books.apply(Time(BEGIN), &Record::Health(HealthRecord::Asked { rollout: RolloutId(2), gate }));
    let rollouts: Vec<Rollout> = books.rollouts.values().cloned().collect();
    let (groups, hosts) = (vec![("group1".parse().expect("a group"), Vec::new())], (1..5).map(host).collect());
    let (now, observed) = (Time(BEGIN), Default::default());
    let view = StatusView {
        format: 1,
        now,
        books,
        holder_lives: None,
        groups,
        hosts,
        observed,
        rollback: None,
        asked: asked(text),
    };
    let case = case_of(&spaced(said(text))).0;
    board::page(Board {
        view: &view,
        newest: Some(&case),
        rollouts: &rollouts,
        takes_approvals: true,
        said: Some(text),
    })
}

fn version() -> Version {
    "1.27.0-wmf.11".parse().expect("a version")
}

/// An undertaking in which everybody says `text` wherever they can.
fn said(text: &str) -> Vec<Record> {
    let rollout = RolloutId(2);
    let (generation, gate) = (Generation { epoch: 1, seq: 1 }, "new-errors".parse::<GateName>().expect("a gate"));
    let opened = Rollout {
        id: rollout,
        kind: Kind::Promote,
        groups: vec!["group1".parse().expect("a group")],
        version: Some(version()),
        from: Some(SnapshotId(1)),
        to: SnapshotId(2),
        by: text.into(),
        why: text.into(),
        at: Time(BEGIN),
        status: Status::WentBack,
        dispatched: true,
        effect: text.into(),
        playbook: None,
    };
    let judgement = Judgement {
        gate: gate.clone(),
        verdict: Verdict::Fail,
        at: Time(BEGIN + 60_000),
        value: Some(5.0),
        limit: text.into(),
        n: 3,
        window_ms: 90_000,
        query: text.into(),
        sentence: text.into(),
        samples: vec![text.into(), text.into()],
        against: Against::bound(3.0),
    };
    let (moment, by, reason) = (text.to_owned(), text.to_owned(), text.to_owned());
    let (id, version) = (text.to_owned(), Some(version()));
    vec![
        Record::Opened { rollout: opened, snapshot: Some(state(text)), moves_current: false },
        Record::Intents {
            rollout,
            command: "switch".into(),
            hosts: (1..5_u64).map(|n| (host(n), generation)).collect(),
        },
        outcome(2, 1, "ok"),
        outcome(2, 2, text),
        outcome(2, 3, "ok"),
        Record::Stale { host: host(3), reason: StaleReason::Suspect(text.into()) },
        Record::Owed { host: host(3), what: text.into() },
        Record::Fresh { host: host(1) },
        Record::Health(HealthRecord::Judged { rollout, moment, judgement }),
        Record::Health(HealthRecord::Attributed { rollout, gate: gate.clone(), blame: text.into() }),
        Record::Health(HealthRecord::Answered { rollout, gate, yes: true, by: by.clone(), reason: reason.clone() }),
        Record::Health(HealthRecord::Blocked { id, by: by.clone(), text: text.into(), version }),
        Record::Held { by: by.clone(), reason: reason.clone() },
        Record::Depooled { host: host(3), by: by.clone(), reason },
        Record::Note { by, text: text.into() },
        Record::Ended { rollout, status: Status::WentBack, moves_current: false, effect: text.into() },
    ]
}

/// Ten seconds after one another.
fn spaced(records: Vec<Record>) -> Vec<(u64, Record)> {
    (0..).step_by(10_000).zip(records).collect()
}

fn state(text: &str) -> Snapshot {
    let pin = Pin {
        version: version(),
        reason: text.into(),
        owner: text.into(),
        since: Time(BEGIN),
        until: None,
        source: PinSource::Books,
    };
    let pins = Pins { hosts: [(host(1), pin)].into(), ..Pins::default() };
    Snapshot { id: SnapshotId(2), map: Default::default(), pins, wanted: Default::default(), at: Time(BEGIN) }
}

#[test]
fn s19_nothing_that_is_said_runs_in_a_page() {
    let home = tempfile::tempdir().expect("a directory is made");
    let file = home.path().join("page.html");
    let browser = Browser::start();
    // The check sees what it looks for.
    fs::write(&file, "<title>x</title><script>window.__pwned = 1</script>").expect("written");
    browser.open_file(&file);
    assert_eq!(browser.run(&foreign()).as_array().map(Vec::len), Some(2), "a page that runs something");

    let long = "<script>window.__pwned=1</script>".repeat(40_000);
    let deep = "<b>".repeat(2_000);
    for payload in PAYLOADS.into_iter().chain([long.as_str(), deep.as_str()]) {
        let page = page_of(&spaced(said(payload)), None);
        assert_eq!(page, visible(&page), "no character of it leads astray");
        fs::write(&file, &page).expect("written");
        browser.open_file(&file);
        assert_eq!(browser.run(&foreign()), json!([]), "{payload:?}");
        assert_eq!(browser.run("return document.title"), format!("r2: promote group1 to {}", version()));
        assert_eq!(browser.complaints(), [""; 0], "{payload:?}");
        let shown = Untrusted(payload).to_string();
        let count = format!("return document.body.textContent.split({}).length - 1", json!(shown));
        assert!(browser.run(&count).as_u64() > Some(20), "it is shown as text: {payload:?}");

        fs::write(&file, board_of(payload)).expect("written");
        browser.open_file(&file);
        assert_eq!(browser.run(&foreign()), json!([]), "on the board: {payload:?}");
        assert!(browser.run(&count).as_u64() > Some(15), "it is shown on the board as text: {payload:?}");
        // Its server is not there, which the browser complains of.
        browser.complaints();
    }
}

#[test]
fn a_page_of_three_hundred_hosts_stays_readable() {
    let mut records = said("as is");
    let rollout = RolloutId(2);
    let generation = Generation { epoch: 1, seq: 2 };
    let hosts: Vec<_> = (2001..2301).map(|n| (host(n), generation)).collect();
    let mut more = vec![Record::Intents { rollout, command: "switch".into(), hosts }];
    more.extend((2001..2298).map(|n| outcome(2, n, "ok")));
    more.extend((2001..2298).map(|n| Record::Fresh { host: host(n) }));
    records.splice(8..8, more);
    let home = tempfile::tempdir().expect("a directory is made");
    let file = home.path().join("page.html");
    fs::write(&file, page_of(&spaced(records), None)).expect("written");
    let browser = Browser::start();
    browser.open_file(&file);
    is_a_good_page(&browser, "large");
    let folded = browser.run(
        "return [...document.querySelectorAll('#hosts details')].filter(d => !d.open).map(d => d.querySelector('summary').innerText)",
    );
    assert_eq!(folded, json!(["✓ 297 switched and proven mw[2001-2297].codfw.wmnet"]));
}
