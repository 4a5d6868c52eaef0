//! Questions on their way to an agent, and their answers on the way back.
//!
//! Invariant: an answer is to the question that was asked, with the paths that were asked for, wherever a directory of
//! this machine that stands for a host has them.

use super::exchange::wrong_reply;
use super::local;
use crate::model::fault::Fault;
use crate::model::question::{Answer, Question};
use crate::wire::message::ToController;
use std::path::Path;

/// The question to the agent of a directory: log files lie below it, plugins are this machine's.
pub fn below(directory: &Path, question: &Question) -> Question {
    match question {
        Question::Facts { logs } => {
            Question::Facts { logs: logs.iter().map(|log| local::below(directory, log)).collect() }
        }
        Question::Tail { file, from, bytes_max } => {
            Question::Tail { file: local::below(directory, file), from: *from, bytes_max: *bytes_max }
        }
        Question::Plugin { .. } => question.clone(),
    }
}

/// The answer that was given, when it is one to this question.
pub fn answer(question: &Question, said: ToController) -> Result<Answer, Fault> {
    let ToController::Answer(mut answer) = said else { return Err(wrong_reply()) };
    match (question, &mut answer) {
        (_, Answer::Failed(_))
        | (Question::Tail { .. }, Answer::Tail(_))
        | (Question::Plugin { .. }, Answer::Plugin(_)) => Ok(answer),
        (Question::Facts { logs }, Answer::Facts(facts)) if facts.logs.len() == logs.len() => {
            facts.logs.iter_mut().zip(logs).for_each(|((path, _), asked)| path.clone_from(asked));
            Ok(answer)
        }
        _ => Err(wrong_reply()),
    }
}

/// An agent that ended at a question may be one that knows none; the words say so.
pub fn of_an_older_agent(fault: Fault) -> Fault {
    match fault {
        Fault::ClosedEarly => Fault::Other(
            "its agent ended when it was asked a question, as one does that is too old to know any; \
             `pointsman agent install` puts this one there"
                .to_owned(),
        ),
        fault => fault,
    }
}
