//! From what each policy did to the decision and its reason.

use std::sync::Arc;

use cedar_policy::{Effect, EvaluationError};

use super::ForbidErrors;
use crate::model::{Decision, Evaluation, PolicyError, PolicyErrorCode, Reason};

/// The policies that applied, and those that failed.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    permits: Vec<Arc<str>>,
    forbids: Vec<Arc<str>>,
    errors: Vec<PolicyError>,
    permit_failed: bool,
    forbid_failed: bool,
}

impl Verdict {
    /// A policy applied.
    pub(super) fn applies(&mut self, effect: Effect, id: &Arc<str>) {
        match effect {
            Effect::Permit => self.permits.push(Arc::clone(id)),
            Effect::Forbid => self.forbids.push(Arc::clone(id)),
        }
    }

    /// A policy could not be evaluated.
    pub(super) fn failed(&mut self, effect: Effect, id: &Arc<str>, error: &EvaluationError) {
        match effect {
            Effect::Permit => self.permit_failed = true,
            Effect::Forbid => self.forbid_failed = true,
        }
        self.errors.push(PolicyError { policy: Arc::clone(id), code: code(error), text: error.to_string() });
    }

    /// The decision, with its reason: the first that fits, in the order of the contract.
    pub(super) fn evaluation(mut self, forbid_errors: ForbidErrors) -> Evaluation {
        let (decision, reason, mut policies) = if !self.forbids.is_empty() {
            (Decision::Deny, Reason::Forbidden, self.forbids)
        } else if self.forbid_failed && forbid_errors == ForbidErrors::Deny {
            (Decision::Deny, Reason::EvaluationError, Vec::new())
        } else if !self.permits.is_empty() {
            (Decision::Allow, Reason::Permitted, self.permits)
        } else if self.permit_failed {
            (Decision::Deny, Reason::EvaluationError, Vec::new())
        } else {
            (Decision::Deny, Reason::NoPermit, Vec::new())
        };
        policies.sort_unstable();
        self.errors.sort_unstable_by(|left, right| left.policy.cmp(&right.policy));
        Evaluation { decision, reason, policies, errors: self.errors }
    }
}

fn code(error: &EvaluationError) -> PolicyErrorCode {
    match error {
        EvaluationError::EntityDoesNotExist(_) => PolicyErrorCode::MissingEntity,
        EvaluationError::EntityAttrDoesNotExist(_) | EvaluationError::RecordAttrDoesNotExist(_) => {
            PolicyErrorCode::MissingAttribute
        }
        EvaluationError::TypeError(_) => PolicyErrorCode::TypeMismatch,
        EvaluationError::IntegerOverflow(_) => PolicyErrorCode::Overflow,
        EvaluationError::FailedExtensionFunctionLookup(_)
        | EvaluationError::WrongNumArguments(_)
        | EvaluationError::FailedExtensionFunctionExecution(_) => PolicyErrorCode::Extension,
        EvaluationError::RecursionLimit(_) => PolicyErrorCode::RecursionLimit,
        EvaluationError::UnlinkedSlot(_) | EvaluationError::NonValue(_) => PolicyErrorCode::Other,
    }
}
