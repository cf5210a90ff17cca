//! Which policies can matter for a request: those whose scope admits its action.
//!
//! A policy is `principal-scope && action-scope && resource-scope && conditions`, short-circuited,
//! and a scope never fails to evaluate. So one whose scope does not admit the action contributes
//! neither an effect nor an error, and leaving it out changes nothing that anybody sees.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Entity, EntityUid, Policy, PolicySet, PolicySetError};

use super::entities::Store;
use super::schema::{Action, Schema};

/// The candidates by action.
#[derive(Debug)]
pub(super) struct Index(HashMap<EntityUid, Arc<Candidates>>);

/// The policies that can matter for one action.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) policies: PolicySet,
    /// The stored entities that these policies name themselves and could look into.
    pub(super) entities: Vec<Entity>,
    /// Whether any of them looks at the context; if not, its content cannot matter.
    pub(super) read_context: bool,
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
    fn of(action: &Action, policies: &PolicySet, store: &Store) -> Result<Self, PolicySetError> {
        let admitted: HashSet<_> =
            action.entities.iter().map(Entity::uid).chain([action.uid.clone()]).collect();
        let mut candidates = Self::default();
        let mut reached = HashSet::new();
        for policy in policies.policies().filter(|policy| admits(policy, &action.uid, &admitted)) {
            candidates.add(policy, policies)?;
            if policy.has_non_scope_constraint() {
                store.gather(policy.entity_literals(), &mut reached, &mut candidates.entities);
                candidates.read_context |= policy.to_string().contains("context");
            }
        }
        Ok(candidates)
    }

    /// A set refuses a linked policy by itself: it wants its template first, and the link again.
    fn add(&mut self, policy: &Policy, policies: &PolicySet) -> Result<(), PolicySetError> {
        let (Some(template_id), Some(links)) = (policy.template_id(), policy.template_links()) else {
            return self.policies.add(policy.clone());
        };
        if self.policies.template(template_id).is_none()
            && let Some(template) = policies.template(template_id)
        {
            self.policies.add_template(template.clone())?;
        }
        self.policies.link(template_id.clone(), policy.id().clone(), links)
    }
}

fn admits(policy: &Policy, action: &EntityUid, admitted: &HashSet<EntityUid>) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == *action,
        ActionConstraint::In(uids) => uids.iter().any(|uid| admitted.contains(uid)),
    }
}
