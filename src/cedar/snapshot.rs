//! One revision, compiled and validated, immutable: what questions are judged under.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, Request};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::case::{Case, LastNow};
use super::entities::Store;
use super::explain::hints::{self, Hint};
use super::explain::{self, Circumstances, Explanation};
use super::index::{Candidates, Index};
use super::outline::Outline;
use super::policies::PolicyInfo;
use super::principal::{Plans, Principal};
use super::schema::Schema;
use super::scope::Standing;
use super::verdict::Verdict;
use super::{ForbidErrors, Revision};
use crate::model::identity::Serial;
use crate::model::{Evaluation, Identity, Limits, Question, Refusal, Timestamp};

/// How much the remembered principals of one snapshot may weigh in all: about 60 MB, a uid being one.
const PRINCIPALS: u64 = 200_000;
/// What a principal weighs beside the uids of its closure: its entity takes about 6 kB.
const PRINCIPAL: u64 = 16;
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
        PRINCIPAL.saturating_add(u64::try_from(principal.sealed.len()).unwrap_or(u64::MAX))
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
        let case = Case::judge(self, &principal, question)?;
        self.decide(&case, now)
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
        let case = Case::judge(self, &principal, question)?;
        let scene = case.scene(now)?;
        let around = Circumstances { snapshot: self, identity, principal: &principal, case: &case, scene };
        Ok(explain::explanation(&around, evaluation))
    }

    /// What to do about a question that cannot be asked, where more can be said than the refusal does.
    pub fn advise(&self, question: &Question) -> Vec<Hint> {
        hints::of_refusal(&self.schema, question)
    }

    /// The uid of the principal as policies write it, `Shop::User::"3f0c…"`; the bare subject
    /// where the schema has no type for it.
    pub fn principal_uid(&self, identity: &Identity) -> Arc<str> {
        if let Some(principal) = self.principals.0.get(&identity.serial) {
            return Arc::clone(&principal.name);
        }
        match self.plans.uid(identity) {
            Ok(uid) => uid.to_string().into(),
            Err(_) => identity.subject.as_str().into(),
        }
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

    /// Lets go of what is remembered of an identity that will not come again.
    pub fn forget(&self, identity: &Identity) {
        self.principals.0.remove(&identity.serial);
    }

    /// Decides a case by scopes where that is enough, and asks the engine where it is not.
    pub(super) fn decide(&self, case: &Case<'_>, now: Timestamp) -> Result<Evaluation, Refusal> {
        let mut verdict = Verdict::default();
        if let Some(candidates) = case.candidates()
            && candidates.by_scope(&case.principal(), &case.resource(), &mut verdict)
        {
            let (request, entities) = case.build(candidates, now)?;
            self.ask(candidates, &request, &entities, &mut verdict);
        }
        Ok(verdict.evaluation(self.forbid_errors))
    }

    /// Decides a request in the engine's form.
    pub(super) fn decide_given(&self, request: &Request, entities: &Entities) -> Evaluation {
        let mut verdict = Verdict::default();
        let uids = (request.action(), request.principal(), request.resource());
        if let (Some(action), Some(principal), Some(resource)) = uids
            && let Some(candidates) = self.index.candidates(action)
        {
            let principal = Standing::new(principal, |uid| entities.is_ancestor_of(uid, principal));
            let resource = Standing::new(resource, |uid| entities.is_ancestor_of(uid, resource));
            if candidates.by_scope(&principal, &resource, &mut verdict) {
                self.ask(candidates, request, entities, &mut verdict);
            }
        }
        verdict.evaluation(self.forbid_errors)
    }

    fn ask(&self, candidates: &Candidates, request: &Request, entities: &Entities, verdict: &mut Verdict) {
        let response = Authorizer::new().is_authorized(request, &candidates.conditional, entities);
        verdict.hear(&response, &self.policies);
    }
}
