//! What an evaluation comes to: the decision, its reason, and what determined it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::printed::Object;

/// Cedar's two decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// A permit applied and no forbid did.
    Allow,
    /// Everything else.
    Deny,
}

/// Why, as a stable code; the first that fits, in this order (but for `NotEvaluated`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A forbid applied.
    Forbidden,
    /// A forbid could not be evaluated; or no permit applied and one could not be evaluated.
    EvaluationError,
    /// A permit applied.
    Permitted,
    /// No policy applied.
    NoPermit,
    /// An item of a batch that could not be asked.
    NotEvaluated,
}

/// One question judged under one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Allow or deny.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// The determining policies by id, sorted; empty but for `Forbidden` and `Permitted`.
    pub policies: Vec<Arc<str>>,
    /// The policies that failed to evaluate, sorted by id.
    pub errors: Vec<PolicyError>,
}

impl Evaluation {
    /// Writes what answers and records say alike: the decision, its reason, and the policies that determined it.
    ///
    /// # Errors
    /// Never.
    pub fn write(&self, object: &mut Object<'_>) -> serde_json::Result<()> {
        object.word("decision", self.decision.as_str());
        object.word("reason", self.reason.as_str());
        object.texts("policies", self.policies.iter().map(AsRef::as_ref))
    }
}

/// A policy that could not be evaluated and was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyError {
    /// The policy's id.
    pub policy: Arc<str>,
    /// What kind of error.
    pub code: PolicyErrorCode,
    /// The engine's own words; for the log and `explain`, not for the plain answer.
    #[serde(skip)]
    pub text: String,
}

/// The ways in which Cedar's evaluation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyErrorCode {
    /// An entity that is not there was asked for an attribute or a tag.
    MissingEntity,
    /// An attribute or a tag that is not there was read.
    MissingAttribute,
    /// A value had another type than the operator takes.
    TypeMismatch,
    /// Integer arithmetic left 64 bits.
    Overflow,
    /// An extension function refused its argument.
    Extension,
    /// The evaluation nested too deep.
    RecursionLimit,
    /// Anything else that the engine reports.
    Other,
}

impl Decision {
    /// As answers and records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Reason {
    /// As answers and records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::EvaluationError => "evaluation_error",
            Self::Permitted => "permitted",
            Self::NoPermit => "no_permit",
            Self::NotEvaluated => "not_evaluated",
        }
    }
}

impl PolicyErrorCode {
    /// As answers and records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingEntity => "missing_entity",
            Self::MissingAttribute => "missing_attribute",
            Self::TypeMismatch => "type_mismatch",
            Self::Overflow => "overflow",
            Self::Extension => "extension",
            Self::RecursionLimit => "recursion_limit",
            Self::Other => "other",
        }
    }
}
