//! Both ways at once: what the index comes to, beside what Cedar's own authorizer comes to over all policies
//! and everything that could be reached. For a service that is to prove itself on its own traffic.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy::{AuthorizationError, Authorizer, Effect, EntityUid, Policy, PolicyId, PolicySet};

use super::ForbidErrors;
use super::policies::PolicyInfo;
use super::scene::Scene;
use super::verdict::{Evaluated, Verdict};

/// All policies of a snapshot in the engine's form, and how often the two differed.
#[derive(Debug)]
pub(super) struct Verification {
    policies: PolicySet,
    /// Every entity that a policy names.
    literals: Vec<EntityUid>,
    differences: AtomicU64,
}

impl Verification {
    pub(super) fn of(policies: PolicySet) -> Self {
        let literals: HashSet<_> = policies.policies().flat_map(Policy::entity_literals).collect();
        Self { policies, literals: literals.into_iter().collect(), differences: AtomicU64::new(0) }
    }

    /// What a scene must hold beside what the request leads to.
    pub(super) fn literals(&self) -> impl Iterator<Item = &EntityUid> {
        self.literals.iter()
    }

    /// What stands: what the full set comes to, whether or not that is what the index came to.
    pub(super) fn of_evaluated<'a>(
        &self,
        by_index: &Evaluated<'a>,
        scene: &Scene,
        infos: &'a HashMap<Arc<str>, Arc<PolicyInfo>>,
        forbid_errors: ForbidErrors,
    ) -> Evaluated<'a> {
        let full = self.in_full(scene, infos).evaluated(forbid_errors);
        if full != *by_index {
            self.differences.fetch_add(1, Ordering::Relaxed);
        }
        full
    }

    /// How often they differed since somebody asked.
    pub(super) fn take_differences(&self) -> u64 {
        // A load alone leaves the line where it is: nearly always there is nothing to take.
        if self.differences.load(Ordering::Relaxed) == 0 {
            0
        } else {
            self.differences.swap(0, Ordering::Relaxed)
        }
    }

    /// The engine names the permits that applied only where no forbid did, and nobody needs them there.
    fn in_full<'a>(&self, scene: &Scene, infos: &'a HashMap<Arc<str>, Arc<PolicyInfo>>) -> Verdict<'a> {
        let response = Authorizer::new().is_authorized(&scene.request, &self.policies, &scene.entities);
        let info = |id: &PolicyId| infos.get(AsRef::<str>::as_ref(id));
        let mut verdict = Verdict::default();
        for id in response.diagnostics().reason() {
            match info(id) {
                Some(applied) => verdict.applies(applied.effect, Cow::Borrowed(&applied.id)),
                // What nobody knows of forbids.
                None => verdict.applies(Effect::Forbid, Cow::Owned(AsRef::<str>::as_ref(id).into())),
            }
        }
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            if let Some(info) = info(error.policy_id()) {
                verdict.failed(info.effect, &info.id, error.inner());
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Settings, Source, Sources, compile};
    use super::*;
    use crate::model::{Decision, Limits};

    const ASKED: Given<'_> = Given {
        principal: "User::\"u\"",
        action: "Action::\"view\"",
        resource: "Doc::\"d\"",
        context: "{}",
        entities: "[]",
    };

    #[test]
    fn where_the_index_differs_the_full_set_stands_and_it_is_counted() {
        let file = |text: &str| vec![Source { path: "f".into(), name: "f".into(), text: text.into() }];
        let sources = Sources {
            policies: file("@id(\"all\") permit (principal, action, resource);"),
            schema: file(
                "entity User; entity Doc; action view appliesTo { principal: User, resource: Doc };",
            ),
            settings: Settings { verify_index: true, ..Settings::default() },
            ..Sources::default()
        };
        let snapshot = compile(&sources, &Limits::default()).unwrap().snapshot;
        let by_index = snapshot.evaluate_given(&ASKED).unwrap();
        assert_eq!((by_index.decision, snapshot.take_differences()), (Decision::Allow, 0));

        let forbids = "@id(\"none\") forbid (principal, action, resource);";
        let verification = Verification::of(forbids.parse().unwrap());
        let scene = snapshot.scene_of(&ASKED).unwrap();
        let by_index = snapshot.decide_given(&scene);
        let stands = verification.of_evaluated(&by_index, &scene, &snapshot.policies, ForbidErrors::Deny);
        assert_eq!(stands.owned().decision, Decision::Deny);
        assert_eq!((verification.take_differences(), verification.take_differences()), (1, 0));
    }
}
