//! From what each policy did to the decision and its reason.

use std::borrow::Cow;
use std::sync::Arc;

use cedar_policy::{Effect, EvaluationError};
use smallvec::SmallVec;

use super::ForbidErrors;
use crate::model::{Decision, Evaluation, PolicyError, PolicyErrorCode, Reason};

/// The policies that applied, and those that failed.
#[derive(Debug, Default)]
pub(super) struct Verdict<'a> {
    permits: Ids<'a>,
    forbids: Ids<'a>,
    errors: Vec<PolicyError>,
    permit_failed: bool,
    forbid_failed: bool,
}

/// An evaluation before anybody keeps it: to count references of ids that all workers share takes longer than to
/// look at them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evaluated<'a> {
    decision: Decision,
    reason: Reason,
    policies: Ids<'a>,
    errors: Vec<PolicyError>,
}

/// As many as determine most decisions need no memory of their own.
type Ids<'a> = SmallVec<[Cow<'a, Arc<str>>; 2]>;

impl Evaluated<'_> {
    /// To keep.
    pub(super) fn owned(self) -> Evaluation {
        let policies = self.policies.into_iter().map(Cow::into_owned).collect();
        Evaluation { decision: self.decision, reason: self.reason, policies, errors: self.errors }
    }
}

impl PartialEq<Evaluation> for Evaluated<'_> {
    fn eq(&self, other: &Evaluation) -> bool {
        let Evaluation { decision, reason, policies, errors } = other;
        (self.decision, self.reason, &self.errors) == (*decision, *reason, errors)
            && self.policies.iter().map(AsRef::as_ref).eq(policies)
    }
}

impl<'a> Verdict<'a> {
    /// A policy applied.
    pub(super) fn applies(&mut self, effect: Effect, id: Cow<'a, Arc<str>>) {
        match effect {
            Effect::Permit => self.permits.push(id),
            Effect::Forbid => self.forbids.push(id),
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
    pub(super) fn evaluated(mut self, forbid_errors: ForbidErrors) -> Evaluated<'a> {
        let (decision, reason, mut policies) = if !self.forbids.is_empty() {
            (Decision::Deny, Reason::Forbidden, self.forbids)
        } else if self.forbid_failed && forbid_errors == ForbidErrors::Deny {
            (Decision::Deny, Reason::EvaluationError, Ids::new())
        } else if !self.permits.is_empty() {
            (Decision::Allow, Reason::Permitted, self.permits)
        } else if self.permit_failed {
            (Decision::Deny, Reason::EvaluationError, Ids::new())
        } else {
            (Decision::Deny, Reason::NoPermit, Ids::new())
        };
        policies.sort_unstable();
        self.errors.sort_unstable_by(|left, right| left.policy.cmp(&right.policy));
        Evaluated { decision, reason, policies, errors: self.errors }
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
