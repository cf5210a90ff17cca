//! An evaluation, and which policies were in question at all: what comparing two snapshots stands on.

use std::sync::Arc;

use cedar_policy::EntityUid;

use super::case::Case;
use super::conditions::Scene;
use super::scope::Standing;
use super::{Given, Snapshot};
use crate::model::{Evaluation, Identity, Question, Refusal, Timestamp};

/// An evaluation with the policies that it was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// What the service would answer.
    pub evaluation: Evaluation,
    /// The policies whose scope admits the question, whatever their conditions said.
    pub in_scope: Vec<Arc<str>>,
}

impl Snapshot {
    /// Evaluates a question as [`Snapshot::evaluate`] does.
    ///
    /// # Errors
    /// What that refuses.
    pub fn examine(
        &self,
        identity: &Identity,
        question: &Question,
        now: Timestamp,
    ) -> Result<Examined, Refusal> {
        let principal = self.principal(identity)?;
        let case = Case::judge(self, &principal, question)?;
        let candidates = case.candidates();
        let in_scope = candidates.map(|candidates| candidates.admitting(&case.principal(), &case.resource()));
        Ok(Examined { evaluation: self.decide(&case, now)?, in_scope: in_scope.unwrap_or_default() })
    }

    /// Evaluates a request in Cedar's own form as [`Snapshot::evaluate_given`] does.
    ///
    /// # Errors
    /// What that refuses.
    pub fn examine_given(&self, given: &Given<'_>) -> Result<Examined, String> {
        let Scene { request, entities } = self.scene_of(given)?;
        let standing =
            |uid| Standing::new(uid, |container: &EntityUid| entities.is_ancestor_of(container, uid));
        let in_scope = match (request.action(), request.principal(), request.resource()) {
            (Some(action), Some(principal), Some(resource)) => self
                .index
                .candidates(action)
                .map(|candidates| candidates.admitting(&standing(principal), &standing(resource))),
            _ => None,
        };
        let evaluation = self.decide_given(&request, &entities);
        Ok(Examined { evaluation, in_scope: in_scope.unwrap_or_default() })
    }
}
