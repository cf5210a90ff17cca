//! One case: what is asked, and how the answer is judged.

use std::sync::Arc;

use serde::Serialize;

use super::expected::{Expected, Outcome};
use super::file::Test;
use super::report::{Determined, Failure, Nearest};
use crate::cedar::explain::{ExplainedPolicy, NearMiss, Part};
use crate::cedar::{Given, Snapshot};
use crate::model::{Identity, Place, Question, Reason, Refusal, Timestamp};

/// So many policies that almost applied are told: the first is mostly the one that was meant.
const NEAREST: usize = 2;

/// A case of a test: one question and what is expected of it.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// The file that it comes from.
    pub file: &'a Arc<str>,
    /// The test that it belongs to.
    pub test: &'a Test,
    /// What it is called within its test.
    pub asked: Asked,
    /// Where it stands.
    pub place: Place,
    /// What is put to the engine.
    pub ask: Ask<'a>,
    pub(super) expected: &'a Expected,
}

/// Principal, action and resource, as the test names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Asked {
    /// The fixture's name.
    pub principal: Arc<str>,
    /// The action's name.
    pub action: Arc<str>,
    /// The fixture's name.
    pub resource: Arc<str>,
}

/// What a case puts to the engine.
#[derive(Debug, Clone)]
pub enum Ask<'a> {
    /// A question about an identity, as a request brings them.
    Question {
        /// Who is asked about.
        identity: &'a Identity,
        /// What is asked.
        question: Arc<Question>,
        /// When.
        now: Timestamp,
    },
    /// A request in Cedar's own form.
    Given(Given<'a>),
    /// Nothing: the token or the question is refused before any policy is asked.
    Refused(Refusal),
}

impl Case<'_> {
    /// Asks, by the road that the service takes.
    ///
    /// # Errors
    /// Why there is no answer: an outcome too, that a test may expect.
    pub fn outcome(&self, snapshot: &Snapshot) -> Outcome {
        match &self.ask {
            Ask::Question { identity, question, now } => snapshot.evaluate(identity, question, *now),
            Ask::Given(given) => snapshot
                .check_given(given)
                .and_then(|()| snapshot.evaluate_given(given))
                .map_err(Refusal::mismatch),
            Ask::Refused(refusal) => Err(refusal.clone()),
        }
    }

    /// What is wrong with an outcome of this case; nothing where it is as expected.
    pub fn judge(&self, outcome: &Outcome, snapshot: &Snapshot) -> Option<Failure> {
        let why = self.expected.differences(outcome);
        if why.is_empty() {
            return None;
        }
        let policies = outcome.iter().flat_map(|evaluation| &evaluation.policies);
        Some(Failure {
            asked: self.asked.clone(),
            place: self.place,
            expected: self.expected.words(),
            got: match outcome {
                Ok(evaluation) => {
                    format!("{} ({})", evaluation.decision.as_str(), evaluation.reason.as_str())
                }
                Err(refusal) => format!("refused: {}", refusal.code.as_str()),
            },
            why,
            policies: policies.filter_map(|id| Determined::of(id, snapshot)).collect(),
            nearest: Vec::new(),
            hints: Vec::new(),
        })
    }

    /// Adds to a failure what almost allowed the case, and what to do. Takes much longer than to judge.
    pub fn explain(&self, failure: &mut Failure, outcome: &Outcome, snapshot: &Snapshot) {
        let Ask::Question { identity, question, now } = &self.ask else { return };
        match outcome {
            Ok(evaluation) if evaluation.reason == Reason::NoPermit && self.expected.is_allow() => {
                let Ok(explanation) = snapshot.explain(identity, question, *now, evaluation) else { return };
                let near = explanation.near_misses.into_iter().filter(is_permit_for_this_action);
                failure.nearest = near.take(NEAREST).map(nearest).collect();
                failure.hints = explanation.hints.into_iter().map(|hint| hint.message).collect();
            }
            Ok(_) => {}
            Err(_) => {
                failure.hints = snapshot.advise(question).into_iter().map(|hint| hint.message).collect();
            }
        }
    }
}

fn is_permit_for_this_action(miss: &NearMiss) -> bool {
    miss.policy.effect == "permit" && miss.failed.iter().all(|part| part.part != Part::Action)
}

fn nearest(miss: NearMiss) -> Nearest {
    let ExplainedPolicy { id, path, line, column, .. } = miss.policy;
    let but_for = miss.failed.into_iter().map(|part| part.text).collect();
    Nearest { policy: Determined { id, path, line, column }, but_for }
}
