//! An evaluation, and which policies were in question at all: what comparing two snapshots stands on.

use std::sync::Arc;

use super::case::Case;
use super::index::Filed;
use super::setting::Setting;
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
        let setting = Setting::of(self, &principal, question)?;
        let case = Case::judge(&setting, question)?;
        Ok(Examined { in_scope: ids(case.admitting()), evaluation: self.decide(&case, now)?.owned() })
    }

    /// Evaluates a request in Cedar's own form as [`Snapshot::evaluate_given`] does.
    ///
    /// # Errors
    /// What that refuses.
    pub fn examine_given(&self, given: &Given<'_>) -> Result<Examined, String> {
        let scene = self.scene_of(given)?;
        Ok(Examined {
            in_scope: ids(self.admitting_given(&scene)),
            evaluation: self.decide_given(&scene).owned(),
        })
    }
}

fn ids<'a>(policies: impl IntoIterator<Item = &'a Filed>) -> Vec<Arc<str>> {
    policies.into_iter().map(|policy| Arc::clone(&policy.id)).collect()
}
