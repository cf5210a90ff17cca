//! One case: what is asked, and how the answer is judged.

use std::sync::Arc;

use serde::Serialize;

use super::expected::{Expected, Outcome};
use super::file::Test;
use super::report::{Determined, Failure};
use crate::cedar::{Given, Snapshot};
use crate::model::{Identity, Place, Question, Refusal, Timestamp};

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
            Ask::Given(given) => snapshot.evaluate_given(given).map_err(Refusal::malformed),
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
        })
    }
}
