//! One revision, compiled and validated, immutable: what questions are judged under.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::case::Case;
use super::entities::Store;
use super::explain::hints::{self, Hint};
use super::explain::{self, Circumstances, Explanation};
use super::index::{Filed, Guard, Index};
use super::outline::Outline;
use super::policies::PolicyInfo;
use super::principal::{Plans, Principal};
use super::scene::{LastNow, Needs, Scene};
use super::schema::Schema;
use super::setting::Setting;
use super::uid::Uid;
use super::verdict::{Evaluated, Verdict};
use super::verification::Verification;
use super::{ForbidErrors, Revision};
use crate::model::identity::Serial;
use crate::model::{EntityName, Evaluation, Identity, Limits, Question, Refusal, Timestamp};

/// How much the remembered principals of one snapshot may weigh in all: about 60 MB, a uid being one.
const PRINCIPALS: u64 = 200_000;
/// What a principal weighs beside the uids of its closure: its entity takes about 6 kB.
const PRINCIPAL: u64 = 16;
/// How many places of policies weigh as much as a uid.
const ROWS: usize = 16;
/// How many principals are expected; the memory for more is taken when they come.
const EXPECTED_PRINCIPALS: usize = 256;

/// One revision in its compiled form.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) revision: Revision,
    /// As Cedar reads it.
    pub(super) cedar: cedar_policy::Schema,
    pub(super) schema: Arc<Schema>,
    pub(super) plans: Plans,
    pub(super) store: Arc<Store>,
    pub(super) index: Index,
    pub(super) outline: Outline,
    pub(super) policies: HashMap<Arc<str>, Arc<PolicyInfo>>,
    pub(super) forbid_errors: ForbidErrors,
    pub(super) limits: Limits,
    pub(super) principals: Principals,
    pub(super) last_now: LastNow,
    /// Where every decision is made both ways.
    pub(super) verification: Option<Verification>,
}

/// The principals that were made under this snapshot, by the serial number of their identity:
/// nothing to invalidate, freed with the snapshot.
#[derive(Debug)]
pub(super) struct Principals(Cache<Serial, Arc<Principal>, Weight>);

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Serial, Arc<Principal>> for Weight {
    fn weight(&self, _: &Serial, principal: &Arc<Principal>) -> u64 {
        PRINCIPAL.saturating_add(
            u64::try_from(principal.sealed.len() + principal.rows.len() / ROWS).unwrap_or(u64::MAX),
        )
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
        let setting = Setting::of(self, &principal, question)?;
        Ok(self.decide(&Case::judge(&setting, question)?, now)?.owned())
    }

    /// How often the index and the full set of policies came to different evaluations since this was
    /// asked last: never where `verify_index` is off, and never in a program without faults.
    pub fn take_differences(&self) -> u64 {
        self.verification.as_ref().map_or(0, Verification::take_differences)
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
        let setting = Setting::of(self, &principal, question)?;
        let case = Case::judge(&setting, question)?;
        let scene = case.whole_scene(now)?;
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
    pub fn action_name(&self, name: &str) -> Option<&Arc<str>> {
        self.schema.action(name).ok().map(|action| &action.name)
    }

    /// The uid of an entity that a request names, as policies write it; the names as given where
    /// the schema has no such type.
    pub fn entity_name<'a>(&'a self, type_name: &str, id: &'a str) -> EntityName<'a> {
        let named = self.schema.entity_type(type_name).and_then(|declared| declared.name_of(id));
        named.unwrap_or_else(|_| EntityName::Whole(format!("{type_name}::{id:?}")))
    }

    /// The principal of an identity: made once, as long as it is remembered.
    ///
    /// # Errors
    /// The identity makes none.
    pub fn principal(&self, identity: &Identity) -> Result<Arc<Principal>, Refusal> {
        if let Some(principal) = self.principals.0.get(&identity.serial) {
            return Ok(principal);
        }
        let principal = Arc::new(self.plans.principal(identity, &self.store, &self.index)?);
        self.principals.0.insert(identity.serial, Arc::clone(&principal));
        Ok(principal)
    }

    /// Lets go of what is remembered of an identity that will not come again.
    pub fn forget(&self, identity: &Identity) {
        self.principals.0.remove(&identity.serial);
    }

    /// Decides a case by scopes where that is enough, and evaluates conditions where it is not.
    pub(super) fn decide<'a>(&'a self, case: &Case<'a>, now: Timestamp) -> Result<Evaluated<'a>, Refusal> {
        let (mut verdict, guarded) = by_scope(case.admitting());
        if !guarded.is_empty() {
            let needs = Needs::of(guarded.iter().map(|(_, guard)| *guard));
            by_conditions(&guarded, &case.scene(&needs, now)?, &mut verdict);
        }
        let evaluated = verdict.evaluated(self.forbid_errors);
        let Some(verification) = &self.verification else { return Ok(evaluated) };
        let scene = case.scene(&Needs::everything(verification.literals()), now)?;
        Ok(verification.of_evaluated(&evaluated, &scene, &self.policies, self.forbid_errors))
    }

    /// Decides a request in the engine's form.
    pub(super) fn decide_given(&self, scene: &Scene) -> Evaluated<'_> {
        let (mut verdict, guarded) = by_scope(self.admitting_given(scene));
        by_conditions(&guarded, scene, &mut verdict);
        let evaluated = verdict.evaluated(self.forbid_errors);
        let Some(verification) = &self.verification else { return evaluated };
        verification.of_evaluated(&evaluated, scene, &self.policies, self.forbid_errors)
    }

    /// The policies whose scope admits a request in the engine's form, by id.
    pub(super) fn admitting_given(&self, Scene { request, entities }: &Scene) -> Vec<&Filed> {
        let uids = (request.principal(), request.action(), request.resource());
        let (Some(principal), Some(action), Some(resource)) = uids else { return Vec::new() };
        let Some(action) = self.schema.actions().find(|declared| declared.uid == *action) else {
            return Vec::new();
        };
        let ancestors = |uid| entities.ancestors(uid).into_iter().flatten().map(Uid::from);
        let principals = self
            .index
            .principals
            .about(principal.type_name())
            .admitting(principal.into(), ancestors(principal));
        let resources =
            self.index.resources.about(resource.type_name()).admitting(resource.into(), ancestors(resource));
        self.index.admitting(action, &self.index.rows(&principals), &resources).collect()
    }
}

/// What scopes decide, and the policies whose conditions are left.
fn by_scope<'a>(
    admitting: impl IntoIterator<Item = &'a Filed>,
) -> (Verdict<'a>, Vec<(&'a Filed, &'a Guard)>) {
    let mut verdict = Verdict::default();
    let mut guarded = Vec::new();
    for policy in admitting {
        match &policy.guard {
            None => verdict.applies(policy.effect, Cow::Borrowed(&policy.id)),
            Some(guard) => guarded.push((policy, &**guard)),
        }
    }
    (verdict, guarded)
}

fn by_conditions<'a>(guarded: &[(&'a Filed, &'a Guard)], scene: &Scene, verdict: &mut Verdict<'a>) {
    for (policy, guard) in guarded {
        match guard.clauses.hold(&scene.request, &scene.entities) {
            Ok(true) => verdict.applies(policy.effect, Cow::Borrowed(&policy.id)),
            Ok(false) => {}
            Err(error) => verdict.failed(policy.effect, &policy.id, &error),
        }
    }
}
