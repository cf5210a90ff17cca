//! The policies that almost applied to a request, and what stood in their way.
//!
//! The core has no clock, so the work is bounded by counting it: scopes compared, policies looked
//! into, text parsed. What is left out for that is counted too.

use cedar_policy::Effect;
use serde::Serialize;

use super::failed_part::FailedPart;
use super::{Circumstances, ExplainedPolicy, explained_policy};
use crate::cedar::conditions::Condition;
use crate::cedar::outline::{Outline, Outlined};
use crate::cedar::scene::Scene;
use crate::cedar::scope_parts::{ScopePart, standing};
use crate::model::{Decision, Evaluation};

/// How many near misses are told.
const TOLD: usize = 5;

/// How many policies are looked into, condition by condition.
const EXAMINED: usize = 50;

/// How many scopes are compared with the request.
const COMPARED: usize = 10_000;

/// How much policy text is parsed for one explanation, in bytes: parsing is the slowest part. What was
/// parsed once stays parsed.
const PARSED: usize = 4 * 1024;

/// A policy that did not apply, but almost did.
#[derive(Debug, Clone, Serialize)]
pub struct NearMiss {
    /// Which one, and where it stands.
    #[serde(flatten)]
    pub policy: ExplainedPolicy,
    /// What stood in its way: a part of its scope, a condition, or one of each.
    pub failed: Vec<FailedPart>,
}

/// The near misses of one request.
#[derive(Debug, Default)]
pub(super) struct NearMisses {
    /// Those that come first.
    pub(super) told: Vec<NearMiss>,
    /// How many policies were not looked into.
    pub(super) unexamined: usize,
}

/// A policy that may be a near miss.
struct Candidate<'a> {
    policy: &'a Outlined,
    /// The one part of the scope that the request is outside of.
    outside: Option<ScopePart>,
    /// The first condition that is not met, or the error that it ends in.
    condition: Option<(&'a Condition, Option<String>)>,
}

impl NearMisses {
    /// Finds the near misses of a request that was evaluated: first the effect that would have
    /// turned the decision, then the fewest failed parts.
    pub(super) fn of(around: &Circumstances<'_>, evaluation: &Evaluation) -> Self {
        let wanted = match evaluation.decision {
            Decision::Deny => Effect::Permit,
            Decision::Allow => Effect::Forbid,
        };
        let policies = around.snapshot.outline.policies();
        let (principal, resource) = (around.case.principal(), around.case.resource());
        let action = standing(around.case.action);
        let mut near: Vec<_> = policies
            .iter()
            .take(COMPARED)
            .filter(|policy| !evaluation.policies.contains(&policy.info.id))
            .filter_map(|policy| {
                Candidate::near(policy, policy.scope.outside(&principal, &action, &resource))
            })
            .collect();
        near.sort_by_key(|candidate| (candidate.policy.info.effect != wanted, candidate.outside));
        let affordable = affordable(&near);
        let unexamined = policies.len().saturating_sub(COMPARED) + near.len() - affordable;
        near.truncate(affordable);
        if Outline::read(near.iter().map(|candidate| candidate.policy)).is_err() {
            return Self { told: Vec::new(), unexamined: policies.len() };
        }

        let mut misses: Vec<_> = near
            .into_iter()
            .filter(|candidate| candidate.could_matter(around))
            .map(|candidate| candidate.examined(&around.scene))
            .filter(|candidate| candidate.failures() > 0)
            .collect();
        misses.sort_by_key(|miss| (miss.policy.info.effect != wanted, miss.failures(), miss.outside));
        let told = misses.iter().take(TOLD).map(|miss| miss.told(around));
        Self { told: told.collect(), unexamined }
    }
}

/// How many of these, from the front, may be looked into.
fn affordable(candidates: &[Candidate<'_>]) -> usize {
    let mut to_parse = 0;
    let fitting = candidates.iter().take(EXAMINED).take_while(|candidate| {
        let fits = to_parse < PARSED;
        let written = &candidate.policy.written;
        to_parse += if written.is_read() { 0 } else { written.place.length };
        fits
    });
    fitting.count()
}

impl<'a> Candidate<'a> {
    fn near(policy: &'a Outlined, mut outside: impl Iterator<Item = ScopePart>) -> Option<Self> {
        match (outside.next(), outside.next()) {
            (first, None) => Some(Self { policy, outside: first, condition: None }),
            (_, Some(_)) => None,
        }
    }

    /// A policy for other actions is of interest only where one of them could be asked about this
    /// principal and this resource.
    fn could_matter(&self, around: &Circumstances<'_>) -> bool {
        let request = &around.scene.request;
        let (Some(ScopePart::Action), Some(principal), Some(resource)) =
            (self.outside, request.principal(), request.resource())
        else {
            return true;
        };
        around.snapshot.schema.actions().any(|action| {
            action.resources.contains(resource.type_name())
                && action.principals.contains(principal.type_name())
                && self.policy.scope.names(&standing(action))
        })
    }

    /// With its first condition that is not met. Conditions may rely on the scope: outside of it an
    /// error says nothing, and another action has another context.
    fn examined(mut self, scene: &Scene) -> Self {
        if self.outside == Some(ScopePart::Action) {
            return self;
        }
        for condition in self.policy.conditions() {
            self.condition = match condition.is_met(scene) {
                Ok(true) => continue,
                Ok(false) => Some((condition, None)),
                Err(error) => self.outside.is_none().then_some((condition, Some(error))),
            };
            break;
        }
        self
    }

    fn failures(&self) -> usize {
        usize::from(self.outside.is_some()) + usize::from(self.condition.is_some())
    }

    fn told(&self, around: &Circumstances<'_>) -> NearMiss {
        let policy = explained_policy(&self.policy.info);
        let scope = self.outside.and_then(|part| FailedPart::of_scope(self.policy, part, &around.scene));
        let condition = self.condition.as_ref().map(|(condition, error)| {
            FailedPart::of_condition(self.policy, condition, error.as_deref(), &around.scene)
        });
        NearMiss { policy, failed: scope.into_iter().chain(condition).collect() }
    }
}
