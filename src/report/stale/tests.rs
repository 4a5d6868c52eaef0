//! Every reason in words, as one page.

use super::*;
use crate::model::digest::Digest;
use crate::model::ids::{BooksId, Generation, Incarnation};
use crate::model::protocol::{Level, NotReady};
use expect_test::{Expect, expect};

fn host() -> HostName {
    "mw2020.codfw.wmnet".parse().expect("a host")
}

fn version() -> Component {
    "php-1.27.0-wmf.10".parse().expect("a component")
}

fn check(reasons: impl IntoIterator<Item = StaleReason>, expected: Expect) {
    let line = |reason: StaleReason| {
        let line = line(&host(), &Stale { reason, since: Time(1_453_427_280_000) }, Time(1_453_511_760_000));
        line.replace(", since 2016-01-22 01:48 UTC, 23 h ago; type: ", "\n    ").replace("mw2020.codfw.wmnet", "HOST")
    };
    expected.assert_eq(&reasons.into_iter().map(line).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_incident_would_have_read_so() {
    let lacking = Readiness::ArtefactsMissing(ArtefactCount { path: "cache/l10n".into(), have: 0, want: 449 });
    let stale = Stale { reason: StaleReason::NotReady(vec![(version(), lacking)]), since: Time(1_453_427_280_000) };
    expect!["mw2020.codfw.wmnet: php-1.27.0-wmf.10 lacks built artefacts: cache/l10n has 0 of 449 files, since 2016-01-22 01:48 UTC, 23 h ago; type: pointsman sync-common mw2020.codfw.wmnet"]
        .assert_eq(&line(&host(), &stale, Time(1_453_511_760_000)));
}

#[test]
fn faults() {
    let faults = [
        Fault::Refused,
        Fault::TimedOut("connecting".into()),
        Fault::NoRoute,
        Fault::Dns,
        Fault::HostKeyChanged,
        Fault::HostKeyUnknown,
        Fault::PasswordPrompt,
        Fault::PermissionDenied,
        Fault::ClosedEarly,
        Fault::DiskFull("12 of 900 MB".into()),
        Fault::ReadOnly,
        Fault::WrongArchitecture { host: "aarch64".into(), agent: "x86_64".into() },
        Fault::NoAgent,
        Fault::AgentKeptOut("agent-0f".into()),
        Fault::Protocol("\x1b[2Jbad".into()),
        Fault::Other("ssh: \r\nall is well".into()),
    ];
    check(
        faults.map(StaleReason::Fault),
        expect![[r#"
            HOST: connection refused
                pointsman depool HOST (or pointsman sync-common HOST when it is back)
            HOST: timed out connecting
                pointsman depool HOST (or pointsman sync-common HOST when it is back)
            HOST: no route to host
                pointsman depool HOST (or pointsman sync-common HOST when it is back)
            HOST: name does not resolve
                pointsman depool HOST (or pointsman sync-common HOST when it is back)
            HOST: host key changed
                pointsman hosts trust HOST
            HOST: host key unknown
                pointsman hosts trust HOST
            HOST: asks for a password
                pointsman sync-common HOST (after our key was put there)
            HOST: permission denied
                pointsman sync-common HOST (after our key was put there)
            HOST: closed the connection early
                pointsman check --hosts HOST
            HOST: disk full: 12 of 900 MB
                pointsman sync-common HOST (after space was made there)
            HOST: read-only file system
                pointsman sync-common HOST (after it was mounted writable)
            HOST: wrong architecture: it is aarch64, the agent is for x86_64
                pointsman depool HOST (it needs a pointsman of its own kind)
            HOST: no agent
                pointsman agent install HOST
            HOST: its login runs only agents that its owner put there, and `agent-0f` is not one of them
                pointsman sync-common HOST (after this program's agent was put there under that name)
            HOST: does not speak the protocol: \u{1b}[2Jbad
                pointsman agent install HOST
            HOST: ssh: \u{d}\u{a}all is well
                pointsman check --hosts HOST"#]],
    );
}

#[test]
fn refusals() {
    let not_ready = NotReady { component: version(), readiness: Readiness::Absent };
    let refusals = [
        Refusal::Foreign(BooksId(0xabcd_ef01 << 96)),
        Refusal::Fenced(Generation { epoch: 3, seq: 14 }),
        Refusal::Reborn(None),
        Refusal::Conflict(None),
        Refusal::NotReady(Box::new(not_ready)),
        Refusal::BuildFailed("php: \x1b[31mno such file".into()),
        Refusal::DiskFull("12 of 900 MB".into()),
        Refusal::ReadOnly,
        Refusal::Failed("EIO".into()),
    ];
    check(
        refusals.map(StaleReason::Refused),
        expect![[r#"
        HOST: refused: it belongs to other books (abcdef01)
            pointsman hosts adopt HOST
        HOST: refused: a newer command was there before (3.14)
            pointsman converge
        HOST: refused: it was rebuilt since it was observed
            pointsman sync-common HOST
        HOST: refused: its version map changed since it was observed
            pointsman converge
        HOST: refused: php-1.27.0-wmf.10 is missing
            pointsman sync-common HOST
        HOST: refused: the build step failed: php: \u{1b}[31mno such file
            pointsman sync-common HOST
        HOST: refused: disk full: 12 of 900 MB
            pointsman sync-common HOST (after space was made there)
        HOST: refused: read-only file system
            pointsman sync-common HOST (after it was mounted writable)
        HOST: refused: EIO
            pointsman check --hosts HOST"#]],
    );
}

#[test]
fn readiness_of_every_kind() {
    let count = |have| ArtefactCount { path: "cache/l10n".into(), have, want: 449 };
    let damaged = |missing, changed, extra| Readiness::Damaged { missing, changed, extra, first: "a\nb.php".into() };
    let kinds = [
        Readiness::Ready { files: 1, bytes: 2048, level: Level::L1, age_ms: 0 },
        Readiness::Absent,
        Readiness::Unproven { artefacts: vec![count(449), count(3)] },
        Readiness::Unproven { artefacts: vec![] },
        Readiness::Differs { have: Digest::of(b"x") },
        damaged(1, 2, 0),
        damaged(0, 0, 1),
        Readiness::ArtefactsMissing(count(0)),
        Readiness::ArtefactsStale { path: "cache/l10n".into() },
    ];
    let lines: Vec<String> = kinds.iter().map(|kind| readiness(&version(), kind)).collect();
    expect![[r#"
        php-1.27.0-wmf.10 is ready (L1): 1 file, 2.0 KiB
        php-1.27.0-wmf.10 is missing
        php-1.27.0-wmf.10 was never proven, and cache/l10n has 3 of 449 files
        php-1.27.0-wmf.10 was never proven
        php-1.27.0-wmf.10 has other content than wanted: 3ae7d805f678
        php-1.27.0-wmf.10 was changed since it was proven: 1 file gone, 2 files changed, a\u{a}b.php for one
        php-1.27.0-wmf.10 was changed since it was proven: 1 file that nobody sent, a\u{a}b.php for one
        php-1.27.0-wmf.10 lacks built artefacts: cache/l10n has 0 of 449 files
        php-1.27.0-wmf.10 has artefacts of other input than wanted: cache/l10n"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn everything_else() {
    let (was, now) = (Incarnation(0xaaaa_aaaa << 96), Incarnation(0xbbbb_bbbb << 96));
    let config = "wmf-config".parse().expect("a component");
    let reasons = [
        StaleReason::New,
        StaleReason::Rebuilt { was, now },
        StaleReason::Rebuilt { was, now: was },
        StaleReason::Cloned { twin: "mw2019.codfw.wmnet".parse().expect("a host") },
        StaleReason::AbsurdFence { epoch: u64::MAX },
        StaleReason::NotReady(vec![(version(), Readiness::Absent), (config, Readiness::Absent)]),
        StaleReason::MapDiffers { have: None, want: Digest::of(b"w") },
        StaleReason::MapDiffers { have: Some(Digest::of(b"h")), want: Digest::of(b"w") },
        StaleReason::Unanswered(Fault::TimedOut("waiting for the agent's answer".into())),
        StaleReason::Unknown,
        StaleReason::RestartFailed("exit 1".into()),
        StaleReason::Missed("sync r12".into()),
    ];
    check(
        reasons,
        expect![[r#"
        HOST: never seen
            pointsman sync-common HOST
        HOST: rebuilt: installation aaaaaaaa became bbbbbbbb
            pointsman sync-common HOST
        HOST: restored from an older image of itself
            pointsman sync-common HOST
        HOST: has the same installation as mw2019.codfw.wmnet: one is a clone of the other
            pointsman sync-common HOST (after its agent's state directory was removed by hand)
        HOST: its fence claims epoch 18446744073709551615, which nobody ever took
            pointsman sync-common HOST (after its agent's state directory was removed by hand)
        HOST: php-1.27.0-wmf.10 is missing; wmf-config is missing
            pointsman sync-common HOST
        HOST: serves no version map, wanted is f2f21520bebe
            pointsman converge
        HOST: serves version map c3af7b114121, wanted is f2f21520bebe
            pointsman converge
        HOST: its switch was not answered (timed out waiting for the agent's answer), so it counts as switched
            pointsman converge
        HOST: its switch was not answered, so it counts as switched
            pointsman converge
        HOST: switched, but the restart hook failed (exit 1), so it may serve old code
            pointsman converge
        HOST: missed sync r12
            pointsman sync-common HOST"#]],
    );
}
