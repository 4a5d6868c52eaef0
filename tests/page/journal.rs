//! Journals made by hand, and the page of the undertaking that one begins with.

use pointsman::model::books::{Record, Snapshot};
use pointsman::model::digest::Digest;
use pointsman::model::ids::{Generation, RolloutId};
use pointsman::model::names::HostName;
use pointsman::model::time::Time;
use pointsman::report::html::case::Case;
use pointsman::report::html::{Told, page};
use pointsman::report::timeline::{Mark, Span, Teller};

/// 2016-01-23T01:16:00Z.
pub const BEGIN: u64 = 1_453_511_760_000;

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

/// The page of records, each with its time since [`BEGIN`] in ms.
pub fn page_of(records: &[(u64, Record)], before: Option<&Snapshot>) -> String {
    let opened = records.iter().find_map(|(_, record)| match record {
        Record::Opened { rollout, snapshot, .. } => Some((rollout.clone(), snapshot.clone())),
        _ => None,
    });
    let (rollout, after) = opened.expect("something was undertaken");
    let now = Time(BEGIN + 86_400_000);
    let (mut case, mut teller) = (Case::new(rollout), Teller::new(Span { since: None, until: now }));
    for (n, (ms, record)) in (1..).zip(records) {
        let mark = Mark { seq: n, at: Time(BEGIN + ms), epoch: 1 };
        case.take(mark, Digest::of(&n.to_le_bytes()), record);
        teller.take(mark, record);
    }
    let rows = teller.rows();
    page(Told { case: &case, rows: &rows, before, after: after.as_ref(), now })
}
