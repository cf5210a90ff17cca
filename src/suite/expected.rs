//! What a test expects of a case, and what a case came to.

use std::sync::Arc;

use super::yaml::Name;
use crate::model::{Decision, Evaluation, PolicyErrorCode, Reason, Refusal, RefusalCode};

/// What a case came to: an answer, or why there is none.
pub type Outcome = Result<Evaluation, Refusal>;

/// What a test expects of each of its cases.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    /// An answer.
    Answer(Answer),
    /// No answer, for this reason.
    Refused(RefusalCode),
    /// What Cedar's `run-tests` compares.
    Cedar {
        decision: Decision,
        /// Some of the determining policies.
        reason: Vec<Arc<str>>,
        errors: usize,
    },
}

/// The parts of an expected answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) decision: Decision,
    pub(super) reason: Option<Reason>,
    pub(super) policies: Determining,
    /// Exactly these errors, none where nothing is said: otherwise an answer that came about
    /// because a policy broke would pass for one that a policy gave.
    pub(super) errors: Vec<(Name, PolicyErrorCode)>,
    /// The test does not name the action; a failure says so.
    pub(super) unlisted: bool,
}

/// The determining policies that an answer must have.
#[derive(Debug, Clone)]
pub(super) enum Determining {
    Any,
    Exactly(Vec<Name>),
    Including(Vec<Name>),
}

impl Expected {
    /// What a table of what may be done expects of an action: that it is allowed where it lists it,
    /// and denied where it does not.
    pub(super) const fn where_listed(listed: bool) -> Self {
        let decision = if listed { Decision::Allow } else { Decision::Deny };
        Self::Answer(Answer {
            decision,
            reason: None,
            policies: Determining::Any,
            errors: Vec::new(),
            unlisted: !listed,
        })
    }

    /// Whether the case should be allowed.
    pub(super) fn is_allow(&self) -> bool {
        match self {
            Self::Answer(Answer { decision, .. }) | Self::Cedar { decision, .. } => {
                *decision == Decision::Allow
            }
            Self::Refused(_) => false,
        }
    }

    /// In words: `deny`, `allow by exactly a`, `refused: invalid_token`.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Answer(answer) => answer.words(),
            Self::Refused(code) => format!("refused: {}", code.as_str()),
            Self::Cedar { decision, reason, errors } => {
                let by = if reason.is_empty() { String::new() } else { format!(" by {}", listed(reason)) };
                let errors = match errors {
                    0 => String::new(),
                    1 => " with 1 error".to_owned(),
                    errors => format!(" with {errors} errors"),
                };
                format!("{}{by}{errors}", decision.as_str())
            }
        }
    }

    /// Everything that is not as expected, in words; nothing where all is.
    pub(super) fn differences(&self, outcome: &Outcome) -> Vec<String> {
        match (self, outcome) {
            (Self::Refused(code), Err(refusal)) if refusal.code == *code => Vec::new(),
            (Self::Refused(_) | Self::Answer(_) | Self::Cedar { .. }, Err(refusal)) => {
                vec![refusal.detail.clone()]
            }
            (Self::Refused(_), Ok(evaluation)) => vec![why(evaluation)],
            (Self::Answer(answer), Ok(evaluation)) => answer.differences(evaluation),
            (Self::Cedar { decision, reason, errors }, Ok(evaluation)) => {
                let mut differences = of_decision(*decision, evaluation);
                let missing: Vec<_> =
                    reason.iter().filter(|policy| !evaluation.policies.contains(policy)).collect();
                if !missing.is_empty() {
                    differences.push(format!("{} did not determine it", listed(missing)));
                }
                if *errors != evaluation.errors.len() {
                    let got = evaluation.errors.len();
                    differences.push(format!("policies that could not be evaluated: {got}, not {errors}"));
                }
                differences
            }
        }
    }
}

impl Answer {
    fn words(&self) -> String {
        let mut words = self.decision.as_str().to_owned();
        if let Some(reason) = self.reason {
            words = format!("{words} ({})", reason.as_str());
        }
        match &self.policies {
            Determining::Any => {}
            Determining::Exactly(ids) if ids.is_empty() => words.push_str(" by no policy"),
            Determining::Exactly(ids) => {
                words = format!("{words} by exactly {}", listed(ids.iter().map(|id| &id.value)));
            }
            Determining::Including(ids) => {
                words = format!("{words} by {}", listed(ids.iter().map(|id| &id.value)));
            }
        }
        if self.unlisted {
            words.push_str(", as `may` does not list it");
        }
        if !self.errors.is_empty() {
            words = format!("{words} with errors in {}", listed(self.errors.iter().map(|(id, _)| &id.value)));
        }
        words
    }

    fn differences(&self, evaluation: &Evaluation) -> Vec<String> {
        let mut differences = of_decision(self.decision, evaluation);
        if let Some(reason) = self.reason.filter(|reason| *reason != evaluation.reason)
            && differences.is_empty()
        {
            differences.push(format!(
                "the reason is {}, not {}",
                evaluation.reason.as_str(),
                reason.as_str()
            ));
        }
        differences.extend(self.policies.difference(&evaluation.policies));
        for error in &evaluation.errors {
            let expected =
                self.errors.iter().any(|(policy, code)| policy.value == error.policy && *code == error.code);
            if !expected {
                differences.push(format!(
                    "`{}` could not be evaluated ({}): {}",
                    error.policy,
                    error.code.as_str(),
                    error.text
                ));
            }
        }
        for (policy, code) in &self.errors {
            if !evaluation.errors.iter().any(|error| policy.value == error.policy) {
                differences.push(format!("`{}` did not fail with {}", policy.value, code.as_str()));
            }
        }
        differences
    }
}

impl Determining {
    fn difference(&self, got: &[Arc<str>]) -> Option<String> {
        let is_got = |id: &&Name| got.contains(&id.value);
        let (expected, exactly) = match self {
            Self::Any => return None,
            Self::Exactly(expected) => (expected, true),
            Self::Including(expected) => (expected, false),
        };
        let missing: Vec<_> = expected.iter().filter(|id| !is_got(id)).map(|id| &id.value).collect();
        let surplus: Vec<_> =
            got.iter().filter(|got| exactly && !expected.iter().any(|id| id.value == **got)).collect();
        match (missing.is_empty(), surplus.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("{} did not determine it", listed(missing))),
            (true, false) => Some(format!("{} determined it too", listed(surplus))),
            (false, false) => Some(format!("{} determined it, not {}", listed(surplus), listed(missing))),
        }
    }
}

fn of_decision(expected: Decision, evaluation: &Evaluation) -> Vec<String> {
    if evaluation.decision == expected { Vec::new() } else { vec![why(evaluation)] }
}

/// Why an answer is what it is, in one clause.
fn why(evaluation: &Evaluation) -> String {
    let verb = |singular: &str, plural: &str| {
        let verb = if evaluation.policies.len() == 1 { singular } else { plural };
        format!("{} {verb} it", listed(&evaluation.policies))
    };
    match evaluation.reason {
        Reason::Permitted => verb("permits", "permit"),
        Reason::Forbidden => verb("forbids", "forbid"),
        Reason::NoPermit | Reason::NotEvaluated => "no policy permits it".to_owned(),
        Reason::EvaluationError => "a policy could not be evaluated".to_owned(),
    }
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
