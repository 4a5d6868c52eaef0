//! The form by which an approval is answered, and what is written of it.
//!
//! Invariant: an answer is taken by the rules of `approve` and `deny` of the command line: to what waits at that moment, by somebody
//! who has the right, and by a second person where one is demanded. A refusal is written down too.

use super::Shared;
use super::routes::{Refused, failed, view};
use crate::config;
use crate::drive::clock;
use crate::drive::deploy::person_named;
use crate::model::books::{Books, Record};
use crate::model::health::HealthRecord;
use crate::model::ids::RolloutId;
use crate::model::limits::LINE_BYTES_MAX;
use crate::model::names::{GateName, Group};
use crate::model::playbook::PlaybookRecord;
use crate::plan::permit;
use crate::playbook::asked::Asked;
use crate::report::html::board;
use crate::report::status::StatusView;
use crate::store::{Store, keeper};
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::PoisonError;

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The promotion, like r12, or the run of a playbook, like p3.
    of: String,
    /// Its gate, or its stage.
    which: String,
    answer: String,
    reason: String,
    /// Whose it is decides who answers.
    pub token: String,
}

/// What was answered and waits.
enum Waits<'a> {
    Promotion(RolloutId, GateName),
    Run(&'a Asked),
}

impl<'a> Waits<'a> {
    fn find(view: &'a StatusView, form: &Answer) -> Option<Self> {
        let promotion =
            |(id, gate, _): &(RolloutId, &GateName, _)| id.to_string() == form.of && gate.as_str() == form.which;
        let run = |asked: &&Asked| asked.id.to_string() == form.of && asked.stage == form.which;
        let promotion = board::waiting(view).into_iter().find(promotion);
        let promotion = promotion.map(|(id, gate, _)| Self::Promotion(id, gate.clone()));
        promotion.or_else(|| view.asked.iter().find(run).map(Self::Run))
    }

    /// As [`permit::answer`] takes it.
    fn asked(&self, books: &'a Books) -> (Vec<Group>, Vec<&'a str>) {
        match self {
            Self::Promotion(id, _) => permit::asked(books, *id),
            Self::Run(asked) => (asked.groups.clone(), vec![&asked.by]),
        }
    }

    fn answered(self, yes: bool, by: String, reason: String) -> Record {
        match self {
            Self::Promotion(rollout, gate) => Record::Health(HealthRecord::Answered { rollout, gate, yes, by, reason }),
            Self::Run(asked) => {
                let (id, stage) = (asked.id, asked.stage.clone());
                Record::Playbook(PlaybookRecord::Answered { id, stage, yes, by, reason })
            }
        }
    }
}

/// Writes down what the person of this name answered, if it is an answer to an approval that waits; whether it was yes.
pub fn write(shared: &Shared, form: &Answer, name: &str) -> Result<bool, Refused> {
    let bad = |why: &str| Refused(StatusCode::BAD_REQUEST, why.to_owned());
    let _alone = shared.books.write().unwrap_or_else(PoisonError::into_inner);
    let policy = config::load(&shared.board.groups_yaml).map_err(failed)?;
    let mut store = keeper::open(&policy, None).map_err(failed)?;
    let view = view(&policy, &store)?;
    let waits = Waits::find(&view, form)
        .ok_or_else(|| Refused(StatusCode::CONFLICT, "this approval does not wait any more".into()))?;
    let by = format!("{name} at the board");
    let yes = match form.answer.as_str() {
        "yes" => true,
        "no" => false,
        _ => return Err(bad("an answer is yes or no")),
    };
    let reason = form.reason.trim().to_owned();
    if reason.is_empty() || reason.len() > LINE_BYTES_MAX {
        return Err(bad("say why, in at most 1000 bytes"));
    }
    let mut note = |record| store.note(clock::now(), view.books.epoch, &[record]).map_err(failed);
    if policy.rights.is_some()
        && let Err(blocked) = permit::answer(&policy, &person_named(name), waits.asked(&view.books), yes)
    {
        note(Record::Note { by, text: format!("refused: {blocked}") })?;
        return Err(Refused(StatusCode::FORBIDDEN, blocked.to_string()));
    }
    note(waits.answered(yes, by, reason))?;
    Ok(yes)
}
