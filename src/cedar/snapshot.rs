//! One revision, compiled and validated, immutable: what questions are judged under.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{Authorizer, Effect, EvaluationError, Response};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::case::{Case, LastNow};
use super::entities::Store;
use super::explain::hints::{self, Hint};
use super::explain::{self, Explanation};
use super::index::Index;
use super::outline::Outline;
use super::policies::PolicyInfo;
use super::principal::{Plans, Principal};
use super::schema::Schema;
use super::{ForbidErrors, Revision};
use crate::model::identity::Serial;
use crate::model::{
    Decision, Evaluation, Identity, Limits, PolicyError, PolicyErrorCode, Question, Reason, Refusal,
    Timestamp,
};

/// How many uids the remembered principals of one snapshot may hold in all; about 60 MB.
const PRINCIPALS: u64 = 200_000;
/// How many principals are expected; the memory for more is taken when they come.
const EXPECTED_PRINCIPALS: usize = 256;

/// One revision in its compiled form.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) revision: Revision,
    /// As Cedar reads it.
    pub(super) cedar: cedar_policy::Schema,
    pub(super) schema: Schema,
    pub(super) plans: Plans,
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) outline: Outline,
    pub(super) policies: HashMap<Arc<str>, PolicyInfo>,
    pub(super) forbid_errors: ForbidErrors,
    pub(super) limits: Limits,
    pub(super) principals: Principals,
    pub(super) last_now: LastNow,
}

/// The principals that were made under this snapshot, by the serial number of their identity:
/// nothing to invalidate, freed with the snapshot.
#[derive(Debug)]
pub(super) struct Principals(Cache<Serial, Arc<Principal>, Weight>);

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Serial, Arc<Principal>> for Weight {
    fn weight(&self, _: &Serial, principal: &Arc<Principal>) -> u64 {
        1 + u64::try_from(principal.sealed.len()).unwrap_or(u64::MAX)
    }
}

impl Default for Principals {
    fn default() -> Self {
        Self(Cache::with_weighter(EXPECTED_PRINCIPALS, PRINCIPALS, Weight))
    }
}

impl Snapshot {
    /// The revision that this is.
    pub const fn revision(&self) -> &Revision {
        &self.revision
    }

    /// How many policies it holds, links included and templates not.
    pub fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// Judges one question about one principal. The same inputs give the same evaluation, always.
    ///
    /// # Errors
    /// The question cannot be asked under this schema, or the identity makes no principal.
    pub fn evaluate(
        &self,
        identity: &Identity,
        question: &Question,
        now: Timestamp,
    ) -> Result<Evaluation, Refusal> {
        let principal = self.principal(identity)?;
        let case = Case::assemble(self, &principal, question, now)?;
        Ok(self.judge(&case))
    }

    /// Says of an evaluation under this snapshot who the principal was, which policies determined
    /// it, and which almost applied.
    ///
    /// # Errors
    /// What [`Snapshot::evaluate`] would refuse.
    pub fn explain(
        &self,
        identity: &Identity,
        question: &Question,
        now: Timestamp,
        evaluation: &Evaluation,
    ) -> Result<Explanation, Refusal> {
        let principal = self.principal(identity)?;
        let case = Case::assemble(self, &principal, question, now)?;
        Ok(explain::explanation(self, identity, &principal, &case, evaluation))
    }

    /// What to do about a question that cannot be asked, where more can be said than the refusal does.
    pub fn advise(&self, question: &Question) -> Vec<Hint> {
        hints::of_refusal(&self.schema, question)
    }

    /// The uid of the principal as policies write it, `Shop::User::"3f0c…"`; the bare subject
    /// where the schema has no type for it.
    pub fn principal_uid(&self, identity: &Identity) -> String {
        self.plans.uid(identity).map_or_else(|_| identity.subject.clone(), |uid| uid.to_string())
    }

    /// The full name of an action that a request names; nothing where the schema has no such action.
    pub fn action_name(&self, name: &str) -> Option<Arc<str>> {
        self.schema.action(name).ok().map(|action| Arc::clone(&action.name))
    }

    /// The uid of an entity that a request names, as policies write it; the names as given where
    /// the schema has no such type.
    pub fn entity_name(&self, type_name: &str, id: &str) -> String {
        match self.schema.entity(type_name, id) {
            Ok(uid) => uid.to_string(),
            Err(_) => format!("{type_name}::{id:?}"),
        }
    }

    pub(super) fn principal(&self, identity: &Identity) -> Result<Arc<Principal>, Refusal> {
        if let Some(principal) = self.principals.0.get(&identity.serial) {
            return Ok(principal);
        }
        let principal = Arc::new(self.plans.principal(identity, &self.store)?);
        self.principals.0.insert(identity.serial, Arc::clone(&principal));
        Ok(principal)
    }

    /// Evaluates a case against the policies that can matter for its action.
    pub(super) fn judge(&self, case: &Case) -> Evaluation {
        let candidates = case.request.action().and_then(|action| self.index.candidates(action));
        let response = candidates.map(|candidates| {
            Authorizer::new().is_authorized(&case.request, &candidates.policies, &case.entities)
        });
        match response {
            Some(response) => self.evaluation(&response),
            None => Evaluation {
                decision: Decision::Deny,
                reason: Reason::NoPermit,
                policies: vec![],
                errors: vec![],
            },
        }
    }

    fn evaluation(&self, response: &Response) -> Evaluation {
        let diagnostics = response.diagnostics();
        let info = |id: &cedar_policy::PolicyId| self.policies.get(AsRef::<str>::as_ref(id));
        let mut policies: Vec<_> =
            diagnostics.reason().filter_map(info).map(|info| Arc::clone(&info.id)).collect();
        policies.sort_unstable();
        let mut errors = Vec::new();
        let (mut forbid_failed, mut permit_failed) = (false, false);
        for cedar_policy::AuthorizationError::PolicyEvaluationError(error) in diagnostics.errors() {
            let Some(info) = info(error.policy_id()) else { continue };
            forbid_failed |= info.effect == Effect::Forbid;
            permit_failed |= info.effect == Effect::Permit;
            let text = error.inner().to_string();
            errors.push(PolicyError { policy: Arc::clone(&info.id), code: code(error.inner()), text });
        }
        errors.sort_unstable_by(|left, right| left.policy.cmp(&right.policy));

        let applied = !policies.is_empty();
        let allowed = response.decision() == cedar_policy::Decision::Allow;
        let (decision, reason) = match (allowed, applied) {
            (false, true) => (Decision::Deny, Reason::Forbidden),
            _ if forbid_failed && self.forbid_errors == ForbidErrors::Deny => {
                (Decision::Deny, Reason::EvaluationError)
            }
            (true, _) => (Decision::Allow, Reason::Permitted),
            (false, false) if permit_failed => (Decision::Deny, Reason::EvaluationError),
            (false, false) => (Decision::Deny, Reason::NoPermit),
        };
        if !matches!(reason, Reason::Forbidden | Reason::Permitted) {
            policies.clear();
        }
        Evaluation { decision, reason, policies, errors }
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
