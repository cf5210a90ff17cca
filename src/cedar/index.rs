//! Which policies can matter for a request: those whose scope admits it.
//!
//! A policy is `principal-scope && action-scope && resource-scope && conditions`, short-circuited,
//! and a scope never fails to evaluate. So one whose scope does not admit the request contributes
//! neither an effect nor an error, one without conditions is decided by its scope alone, and only
//! the others are the engine's to judge.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect, Entity, EntityUid, Policy, PolicySet, PolicySetError};

use super::entities::Store;
use super::schema::{Action, Schema};
use super::scope::{Constraint, Standing};
use super::verdict::Verdict;

/// The candidates by action.
#[derive(Debug)]
pub(super) struct Index(HashMap<EntityUid, Arc<Candidates>>);

/// The policies whose scope admits one action.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    scopes: Vec<Scope>,
    /// Those of them that have conditions.
    pub(super) conditional: PolicySet,
    /// The stored entities that conditions name themselves and could look into.
    pub(super) entities: Vec<Entity>,
    /// Whether any condition looks at the context; if not, its content cannot matter.
    pub(super) read_context: bool,
}

/// The rest of a policy's scope, and what follows where it admits a request.
#[derive(Debug)]
struct Scope {
    id: Arc<str>,
    effect: Effect,
    principal: Constraint,
    resource: Constraint,
    has_conditions: bool,
}

impl Index {
    /// Files every policy, static or linked, under the actions that its scope admits.
    pub(super) fn of(policies: &PolicySet, schema: &Schema, store: &Store) -> Result<Self, PolicySetError> {
        let mut by_action = HashMap::new();
        for action in schema.actions() {
            by_action.insert(action.uid.clone(), Arc::new(Candidates::of(action, policies, store)?));
        }
        Ok(Self(by_action))
    }

    /// The candidates for an action; none for one that the schema does not have.
    pub(super) fn candidates(&self, action: &EntityUid) -> Option<&Arc<Candidates>> {
        self.0.get(action)
    }
}

impl Candidates {
    /// Tells the verdict which policies apply by their scope alone, and says whether conditions
    /// are left for the engine to judge.
    pub(super) fn by_scope(
        &self,
        principal: &Standing<'_, impl Fn(&EntityUid) -> bool>,
        resource: &Standing<'_, impl Fn(&EntityUid) -> bool>,
        verdict: &mut Verdict,
    ) -> bool {
        let mut conditions_are_left = false;
        let admits = |scope: &&Scope| scope.principal.admits(principal) && scope.resource.admits(resource);
        for scope in self.scopes.iter().filter(admits) {
            if scope.has_conditions {
                conditions_are_left = true;
            } else {
                verdict.applies(scope.effect, &scope.id);
            }
        }
        conditions_are_left
    }

    /// The policies whose scope admits a request.
    pub(super) fn admitting(
        &self,
        principal: &Standing<'_, impl Fn(&EntityUid) -> bool>,
        resource: &Standing<'_, impl Fn(&EntityUid) -> bool>,
    ) -> Vec<Arc<str>> {
        let admits = |scope: &&Scope| scope.principal.admits(principal) && scope.resource.admits(resource);
        self.scopes.iter().filter(admits).map(|scope| Arc::clone(&scope.id)).collect()
    }

    fn of(action: &Action, policies: &PolicySet, store: &Store) -> Result<Self, PolicySetError> {
        let admitted: HashSet<_> =
            action.entities.iter().map(Entity::uid).chain([action.uid.clone()]).collect();
        let mut candidates = Self::default();
        let mut reached = HashSet::new();
        for policy in policies.policies().filter(|policy| admits(policy, &action.uid, &admitted)) {
            candidates.scopes.push(Scope::of(policy));
            if policy.has_non_scope_constraint() {
                candidates.add_conditional(policy, policies)?;
                store.gather(policy.entity_literals(), &mut reached, &mut candidates.entities);
                candidates.read_context |= policy.to_string().contains("context");
            }
        }
        Ok(candidates)
    }

    /// A set refuses a linked policy by itself: it wants its template first, and the link again.
    fn add_conditional(&mut self, policy: &Policy, policies: &PolicySet) -> Result<(), PolicySetError> {
        let (Some(template_id), Some(links)) = (policy.template_id(), policy.template_links()) else {
            return self.conditional.add(policy.clone());
        };
        if self.conditional.template(template_id).is_none()
            && let Some(template) = policies.template(template_id)
        {
            self.conditional.add_template(template.clone())?;
        }
        self.conditional.link(template_id.clone(), policy.id().clone(), links)
    }
}

impl Scope {
    fn of(policy: &Policy) -> Self {
        Self {
            id: AsRef::<str>::as_ref(policy.id()).into(),
            effect: policy.effect(),
            principal: policy.principal_constraint().into(),
            resource: policy.resource_constraint().into(),
            has_conditions: policy.has_non_scope_constraint(),
        }
    }
}

fn admits(policy: &Policy, action: &EntityUid, admitted: &HashSet<EntityUid>) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == *action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| admitted.contains(uid)),
    }
}
