//! Journals made by hand, and the page of the undertaking that one begins with.

use pointsman::model::books::{Record, Snapshot};
use pointsman::model::digest::Digest;
use pointsman::model::ids::{Generation, RolloutId};
use pointsman::model::names::HostName;
use pointsman::model::time::Time;
use pointsman::report::html::case::Case;
use pointsman::report::html::{Told, page};
use pointsman::report::timeline::{Mark, Row, Span, Teller};

/// 2016-01-23T01:16:00Z.
pub const BEGIN: u64 = 1_453_511_760_000;

const NOW: Time = Time(BEGIN + 86_400_000);

pub fn host(n: u64) -> HostName {
    format!("mw{n}.codfw.wmnet").parse().expect("a host")
}

/// What a host answered to a switch.
pub fn outcome(rollout: u64, n: u64, result: &str) -> Record {
    let generation = Generation { epoch: 1, seq: 1 };
    Record::Outcome {
        rollout: RolloutId(rollout),
        command: "switch".into(),
        host: host(n),
        generation,
        result: result.into(),
    }
}

/// What records come to, each with its time since [`BEGIN`] in ms, and their timeline.
pub fn case_of(records: &[(u64, Record)]) -> (Case, Vec<Row>) {
    let opened = records.iter().find_map(|(_, record)| match record {
        Record::Opened { rollout, .. } => Some(rollout.clone()),
        _ => None,
    });
    let span = Span { since: None, until: NOW };
    let (mut case, mut teller) = (Case::new(opened.expect("something was undertaken")), Teller::new(span));
    for (n, (ms, record)) in (1..).zip(records) {
        let mark = Mark { seq: n, at: Time(BEGIN + ms), epoch: 1 };
        case.take(mark, Digest::of(&n.to_le_bytes()), record);
        teller.take(mark, record);
    }
    (case, teller.rows())
}

/// The page of records.
pub fn page_of(records: &[(u64, Record)], before: Option<&Snapshot>) -> String {
    let (case, rows) = case_of(records);
    let after = records.iter().find_map(|(_, record)| match record {
        Record::Opened { snapshot, .. } => snapshot.as_ref(),
        _ => None,
    });
    page(Told { case: &case, rows: &rows, before, after, now: NOW })
}
