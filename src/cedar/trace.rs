//! What every policy did with a question, condition by condition: what coverage counts.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::case::Case;
use super::conditions::Condition;
use super::outline::{Outline, Outlined};
use super::scene::Scene;
use super::scope::Standing;
use super::scope_parts::standing;
use super::setting::Setting;
use super::{Given, Snapshot};
use crate::model::{Finding, Identity, Place, Question, Refusal, Timestamp};

/// A snapshot whose conditions are all parsed, ready to trace any number of questions.
#[derive(Debug)]
pub struct Tracer<'a> {
    snapshot: &'a Snapshot,
    /// The policies whose scope admits an action, by their positions.
    by_action: HashMap<EntityUid, Vec<usize>>,
}

/// A policy, as coverage speaks of it.
#[derive(Debug, Clone)]
pub struct TracedPolicy {
    /// Its id.
    pub id: Arc<str>,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// The file that its text stands in: that of the template, for a link.
    pub path: Arc<str>,
    /// Where in it.
    pub place: Place,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// In the order of their evaluation.
    pub conditions: Vec<TracedCondition>,
}

/// An operand of the outermost `&&` of a `when` or of the outermost `||` of an `unless`; the whole
/// body where it has none.
#[derive(Debug, Clone)]
pub struct TracedCondition {
    /// `when` or `unless`.
    pub clause: &'static str,
    /// As it is written.
    pub text: String,
    /// Where in the file of its policy.
    pub place: Place,
}

/// What the policies did with one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The action, as policies write it.
    pub action: Arc<str>,
    /// The type of the resource.
    pub resource_type: String,
    /// The policies whose scope the question is within.
    pub policies: Vec<PolicyTrace>,
}

/// What one policy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTrace {
    /// Which one: its position among [`Tracer::policies`].
    pub policy: usize,
    /// Whether all of its conditions held.
    pub applied: bool,
    /// What came of each of its conditions.
    pub conditions: Vec<ConditionOutcome>,
}

/// What came of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionOutcome {
    /// It did not stand in the policy's way: a `when` that is true, an `unless` that is false.
    Held,
    /// It did.
    Failed,
    /// It could not be evaluated.
    Errored,
    /// One before it did not hold.
    NotReached,
}

impl<'a> Tracer<'a> {
    /// Parses every condition. Blocks until it is done.
    ///
    /// # Errors
    /// There is no thread to parse on.
    pub fn of(snapshot: &'a Snapshot) -> Result<Self, Vec<Finding>> {
        Outline::read(snapshot.outline.policies())?;
        let by_action = snapshot.schema.actions().map(|action| {
            let policies = snapshot.outline.policies().iter().enumerate();
            let standing = standing(action);
            let named = policies.filter(|(_, policy)| policy.scope.names(&standing));
            (action.uid.clone(), named.map(|(position, _)| position).collect())
        });
        Ok(Self { snapshot, by_action: by_action.collect() })
    }

    /// The policies in the order of their texts; links where the text of their template is.
    pub fn policies(&self) -> Vec<TracedPolicy> {
        self.snapshot.outline.policies().iter().map(TracedPolicy::of).collect()
    }

    /// Traces one question.
    ///
    /// # Errors
    /// What [`Snapshot::evaluate`] would refuse.
    pub fn trace(&self, identity: &Identity, question: &Question, now: Timestamp) -> Result<Trace, Refusal> {
        let principal = self.snapshot.principal(identity)?;
        let setting = Setting::of(self.snapshot, &principal, question)?;
        let case = Case::judge(&setting, question)?;
        let standings = (case.principal(), case.resource());
        let policies = self.traced(&case.action.uid, &standings.0, &standings.1, || case.whole_scene(now))?;
        let resource_type = self.snapshot.schema.entity_type(&question.resource.type_name)?.name.to_string();
        Ok(Trace { action: Arc::clone(&case.action.name), resource_type, policies })
    }

    /// Traces a request in Cedar's own form.
    ///
    /// # Errors
    /// What [`Snapshot::evaluate_given`] would refuse.
    pub fn trace_given(&self, given: &Given<'_>) -> Result<Trace, String> {
        let Scene { request, entities } = self.snapshot.scene_of(given)?;
        let whole = "the request names a principal, an action and a resource";
        let (principal, action, resource) = (
            request.principal().ok_or(whole)?.clone(),
            request.action().ok_or(whole)?.clone(),
            request.resource().ok_or(whole)?.clone(),
        );
        let scene = Scene { request, entities };
        let policies =
            self.traced(&action, &stands(&scene, &principal), &stands(&scene, &resource), || {
                Ok::<_, String>(&scene)
            })?;
        let resource_type = resource.type_name().to_string();
        Ok(Trace { action: action.to_string().into(), resource_type, policies })
    }

    /// What the policies for an action do. The scene is set when the first condition needs it.
    fn traced<S: Borrow<Scene>, E>(
        &self,
        action: &EntityUid,
        principal: &Standing<'_, impl Fn(&EntityUid) -> bool>,
        resource: &Standing<'_, impl Fn(&EntityUid) -> bool>,
        set: impl Fn() -> Result<S, E>,
    ) -> Result<Vec<PolicyTrace>, E> {
        let mut scene = None;
        let mut traces = Vec::new();
        for position in self.by_action.get(action).into_iter().flatten().copied() {
            let Some(policy) = self.snapshot.outline.policies().get(position) else { continue };
            if !policy.scope.principal.admits(principal) || !policy.scope.resource.admits(resource) {
                continue;
            }
            let conditions = match (policy.conditions(), &mut scene) {
                ([], _) => Vec::new(),
                (conditions, Some(scene)) => outcomes(conditions, S::borrow(scene)),
                (conditions, none) => outcomes(conditions, S::borrow(none.insert(set()?))),
            };
            let applied = conditions.iter().all(|outcome| *outcome == ConditionOutcome::Held);
            traces.push(PolicyTrace { policy: position, applied, conditions });
        }
        Ok(traces)
    }
}

/// What an entity of a scene stands in.
fn stands<'s>(scene: &'s Scene, uid: &'s EntityUid) -> Standing<'s, impl Fn(&EntityUid) -> bool> {
    Standing::new(uid.into(), |container| scene.entities.is_ancestor_of(container, uid))
}

fn outcomes(conditions: &[Condition], scene: &Scene) -> Vec<ConditionOutcome> {
    let mut goes_on = true;
    let outcome = |condition: &Condition| {
        if !goes_on {
            return ConditionOutcome::NotReached;
        }
        let outcome = match condition.is_met(scene) {
            Ok(true) => ConditionOutcome::Held,
            Ok(false) => ConditionOutcome::Failed,
            Err(_) => ConditionOutcome::Errored,
        };
        goes_on = outcome == ConditionOutcome::Held;
        outcome
    };
    conditions.iter().map(outcome).collect()
}

impl TracedPolicy {
    fn of(policy: &Outlined) -> Self {
        let Outlined { info, written, .. } = policy;
        let condition = |condition: &Condition| TracedCondition {
            clause: condition.clause.as_str(),
            text: written.text.get(condition.span.clone()).unwrap_or_default().to_owned(),
            place: Place::of(&written.text, condition.span.start, condition.span.len()),
        };
        Self {
            id: Arc::clone(&info.id),
            effect: info.effect_name(),
            path: Arc::clone(&written.path),
            place: written.place,
            annotations: info.annotations(),
            conditions: policy.conditions().iter().map(condition).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
