//! What `--json` writes: the types of its events, from which their JSON Schema is made.
//!
//! Invariant: an event that is not one of these is not written by what moves or looks at the fleet, so the schema says
//! what is written. A new field may come within a version; one that is removed or means something else is a new version.
//!
//! Absent on purpose: the inside of a plan, which has a schema of its own, and documents that are one answer and no stream.

use super::canary::{Asked, CanaryView};
use super::status::StatusView;
use crate::model::digest::Digest;
use crate::model::health::Blocker;
use crate::model::names::{GateName, HostName, Version};
use crate::model::playbook::PlaybookStatus;
use crate::model::protocol::{Collected, Level};
use crate::model::stale::StaleReason;
use crate::model::verdict::{Judgement, Verdict};
use crate::plan::hosts::Plan;
use crate::rollout::effect::{Left, Outcome, Told};
use crate::store::Verified;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One event. On the wire `"v": 1` stands before it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// Of a rollout under way.
    Step(Step),
    /// An order came to its end.
    Ended(Ended),
    /// A watch came to its end.
    Watched {
        /// Of which rollout: `r12`.
        rollout: String,
        /// The exit code.
        code: u8,
    },
    /// A host is not ready.
    Stale {
        /// Which.
        host: HostName,
        /// Why.
        reason: StaleReason,
    },
    /// A host is ready.
    Ready {
        /// Which.
        host: HostName,
        /// By what it was proven.
        level: Level,
    },
    /// A gate, as a canary check found it.
    Gate {
        /// Its name.
        gate: GateName,
        /// Its kind, as groups.yaml names it.
        kind: String,
        /// Whether it decides.
        enforces: bool,
        /// Over all that was counted.
        verdict: Verdict,
        /// Its last judgement; null: it gave none in time.
        judgement: Option<Judgement>,
    },
    /// A canary check came to its end.
    Canary {
        /// How many hosts were looked at.
        hosts: usize,
        /// Those of them that were judged.
        canaries: BTreeSet<HostName>,
        /// By what those that are ready were proven.
        levels: BTreeMap<HostName, Level>,
        /// How many are not ready.
        stale: usize,
        /// Whether hosts are ready and every gate that decides passed.
        well: bool,
        /// How long it took, ms.
        took_ms: u64,
        /// Who is to blame for failed gates, a sentence each.
        blamed: Vec<String>,
        /// The exit code.
        code: u8,
    },
    /// A run of a playbook came to its end, or to where a person is needed.
    Playbook {
        /// Which: `p3`.
        id: String,
        /// How it stands.
        status: PlaybookStatus,
        /// Why; may be empty.
        why: String,
        /// The exit code.
        code: u8,
    },
    /// A line that a playbook has for people.
    Note {
        /// Of which run: `p3`.
        id: String,
        /// The line.
        text: String,
    },
    /// An open blocker.
    Blocker {
        /// Its name.
        id: String,
        /// What it says.
        blocker: Blocker,
    },
    /// What was removed on this deploy host.
    Collected {
        /// Whether it would have been.
        dry_run: bool,
        /// How many manifests.
        manifests: u64,
        /// How many files.
        files: u64,
        /// How many frames of bundles.
        frames: u64,
        /// How many signatures of contents that are gone.
        signatures: u64,
        /// All of it, bytes.
        bytes: u64,
    },
    /// A plan, as a dry run shows it. [`super::plan::json`] writes it.
    Plan {
        /// The digest of the plan.
        id: String,
        /// The plan.
        plan: Value,
        /// What is known beside it.
        #[serde(skip_serializing_if = "Option::is_none")]
        facts: Option<Value>,
    },
}

/// A step of a rollout.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// A wave begins.
    Wave {
        /// Counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Its hosts.
        hosts: usize,
    },
    /// A wave was switched.
    WaveDone {
        /// Counted from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// How many of its hosts are proven.
        proven: usize,
        /// Its hosts.
        hosts: usize,
    },
    /// A host lacks content and is being repaired.
    Repairing {
        /// Which.
        host: HostName,
        /// What it lacks.
        reason: StaleReason,
    },
    /// A host serves the wanted map now.
    Switched {
        /// Which.
        host: HostName,
    },
    /// A host is proven at the wanted state.
    Proven {
        /// Which.
        host: HostName,
    },
    /// A host removed what nobody needs.
    Collected {
        /// Which.
        host: HostName,
        /// What.
        removed: Collected,
    },
    /// A host could not.
    NotCollected {
        /// Which.
        host: HostName,
        /// Why.
        why: String,
    },
    /// Gates are asked.
    Gates {
        /// When, in words.
        what: String,
        /// For at least so long, ms.
        least_ms: u64,
        /// How many.
        gates: usize,
    },
    /// A gate gave another verdict than before.
    Judged {
        /// Which, and why.
        judgement: Judgement,
    },
    /// Who is to blame for a failed gate.
    Blamed {
        /// In words.
        sentence: String,
    },
    /// A host is left behind.
    Left {
        /// Which.
        host: HostName,
        /// Why.
        reason: StaleReason,
    },
    /// What is wrong with a mirror.
    Mirror {
        /// In words.
        sentence: String,
    },
    /// Bytes that hosts got.
    Brought {
        /// By where they came from.
        bytes: BTreeMap<String, u64>,
    },
}

impl From<&Told> for Step {
    fn from(told: &Told) -> Self {
        match told.clone() {
            Told::Wave { number, of, hosts } => Self::Wave { number, of, hosts },
            Told::WaveDone { number, of, proven, hosts } => Self::WaveDone { number, of, proven, hosts },
            Told::Repairing { host, reason } => Self::Repairing { host, reason },
            Told::Switched(host) => Self::Switched { host },
            Told::Fresh(host) => Self::Proven { host },
            Told::Collected { host, collected: Ok(removed) } => Self::Collected { host, removed },
            Told::Collected { host, collected: Err(why) } => Self::NotCollected { host, why },
            Told::Gating { what, least_ms, gates } => Self::Gates { what, least_ms, gates },
            Told::Judged(judgement) => Self::Judged { judgement: *judgement },
            Told::Blamed(sentence) => Self::Blamed { sentence },
            Told::Left(host, reason) => Self::Left { host, reason },
            Told::Mirror(sentence) => Self::Mirror { sentence },
            Told::Brought(bytes) => Self::Brought { bytes },
        }
    }
}

/// How an order ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Ended {
    /// Which rollout: `r12`.
    rollout: String,
    /// `nothing`, `done`, `stale`, `denied`, `lint`, `went-back`, `gate-failed`, `held`, `paused`, `changed`, `stopped`.
    outcome: &'static str,
    /// What came of it in one line; null where that is nothing.
    effect: Option<String>,
    /// Those that are left behind or were not ready.
    hosts: Behind,
    /// The exit code.
    code: u8,
    /// The most requests that one host had to answer.
    round_trips_max: u32,
    /// Where the journal ends now.
    journal: Journal,
}

/// Where a journal ends.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Journal {
    /// How many events it has.
    events: u64,
    /// The hash over all of them.
    head: Digest,
}

/// Hosts that did not make it, as an outcome has them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Behind {
    /// They are owed what the others have.
    Owed(BTreeMap<HostName, Owed>),
    /// They are not ready.
    Stale(BTreeMap<HostName, StaleReason>),
    /// Of a rollout that paused.
    Paused {
        /// Whether hosts were switched before, which stay so.
        begun: bool,
    },
}

/// A host that was left behind.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Owed {
    /// Why.
    reason: StaleReason,
    /// What it serves as far as is known: how many wikis of each version.
    serves: BTreeMap<Version, usize>,
    /// Whether it was taken out of service.
    depooled: bool,
}

impl Behind {
    fn nobody() -> Self {
        Self::Owed(BTreeMap::new())
    }
}

impl From<&BTreeMap<HostName, Left>> for Behind {
    fn from(left: &BTreeMap<HostName, Left>) -> Self {
        let owed =
            |left: &Left| Owed { reason: left.reason.clone(), serves: left.serves.clone(), depooled: left.depooled };
        Self::Owed(left.iter().map(|(host, left)| (host.clone(), owed(left))).collect())
    }
}

impl Ended {
    /// The end of an order: its outcome, who was left behind, and the exit code.
    pub fn new(plan: &Plan, outcome: &Outcome, code: u8, round_trips_max: u32, journal: &Verified) -> Self {
        let (outcome, effect, hosts) = match outcome {
            Outcome::Nothing => ("nothing", None, Behind::nobody()),
            Outcome::Done { effect, left } => ("done", Some(effect.clone()), Behind::from(left)),
            Outcome::Stale(hosts) => ("stale", None, Behind::Stale(hosts.clone())),
            Outcome::Denied => ("denied", None, Behind::nobody()),
            Outcome::Lint(wrong) => ("lint", Some(wrong.join("; ")), Behind::nobody()),
            Outcome::GoBack(hosts) => ("went-back", None, Behind::Stale(hosts.clone())),
            Outcome::Changed(why) => ("changed", Some(why.join("; ")), Behind::nobody()),
            Outcome::GateFailed(why) => ("gate-failed", Some(why.join("; ")), Behind::nobody()),
            Outcome::Held(why) => ("held", Some(why.join("; ")), Behind::nobody()),
            Outcome::Paused { why, begun } => ("paused", Some(why.join("; ")), Behind::Paused { begun: *begun }),
            Outcome::Stopped => ("stopped", None, Behind::nobody()),
        };
        let journal = Journal { events: journal.events, head: journal.head };
        Self { rollout: plan.goal.rollout.id.to_string(), outcome, effect, hosts, code, round_trips_max, journal }
    }
}

/// A gate of a canary check.
pub fn gate(asked: &Asked) -> Event {
    Event::Gate {
        gate: asked.name.clone(),
        kind: asked.kind.clone(),
        enforces: asked.enforces,
        verdict: asked.verdict(),
        judgement: asked.judgement.clone(),
    }
}

/// The end of a canary check.
pub fn canary(view: &CanaryView, code: u8) -> Event {
    Event::Canary {
        hosts: view.hosts.len(),
        canaries: view.canaries.clone(),
        levels: view.levels.clone(),
        stale: view.stale.len(),
        well: view.is_well(),
        took_ms: view.took_ms,
        blamed: view.blamed.clone(),
        code,
    }
}

/// The JSON Schema of a type as it is written.
pub fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// The JSON Schema of one event, with what stands before it on its line.
pub fn schema(version: u32) -> Value {
    let mut event = schema_of::<Event>().to_value();
    let definitions = event.as_object_mut().and_then(|event| event.remove("$defs")).unwrap_or_default();
    let head = json!({"properties": {"v": {"const": version}}, "required": ["v"]});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "one line of pointsman --json",
        "$defs": definitions,
        "allOf": [head, event],
        "unevaluatedProperties": false,
    })
}

/// The JSON Schema of what `status --json` writes.
pub fn status_schema() -> Value {
    schema_of::<StatusView>().to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Fault;
    use boon::{Compiler, Schemas};

    fn host() -> HostName {
        "mw2020.codfw.wmnet".parse().expect("a host")
    }

    /// What no test of the command line brings about.
    fn rare() -> Vec<Event> {
        let (why, sentence) = ("x".to_owned(), "x".to_owned());
        let steps = [
            Told::Collected { host: host(), collected: Err(why) },
            Told::Mirror(sentence),
            Told::Brought([("proxies".to_owned(), 7)].into()),
        ];
        let stale = || BTreeMap::from([(host(), StaleReason::Fault(Fault::Refused))]);
        let reasons = || vec!["a".to_owned(), "b".to_owned()];
        let outcomes = [Outcome::Lint(reasons()), Outcome::GoBack(stale()), Outcome::Held(reasons()), Outcome::Stopped];
        let journal = Verified { events: 3, head: Digest::of(b"") };
        let plan = crate::plan::fixture::promotion();
        let ended = |outcome: &Outcome| Event::Ended(Ended::new(&plan, outcome, 3, 7, &journal));
        steps.iter().map(|told| Event::Step(told.into())).chain(outcomes.iter().map(ended)).collect()
    }

    #[test]
    fn what_happens_rarely_is_of_the_schema_too() {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("events.json", schema(1)).expect("it has a name");
        let index = compiler.compile("events.json", &mut schemas).unwrap_or_else(|why| panic!("{why:#}"));
        for event in rare() {
            let mut line = serde_json::to_value(&event).expect("it is plain");
            assert!(schemas.validate(&line, index).is_err(), "it has no `v` yet: {line}");
            line["v"] = 1.into();
            schemas.validate(&line, index).unwrap_or_else(|why| panic!("{line}\n{why:#}"));
        }
    }
}
