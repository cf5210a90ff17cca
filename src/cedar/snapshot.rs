//! One revision, compiled and validated, immutable: what questions are judged under.

use std::sync::Arc;

use super::Revision;
use super::explain::Explanation;
use crate::model::{Evaluation, Identity, Question, Refusal, RefusalCode, Timestamp};

/// One revision in its compiled form.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) revision: Revision,
}

impl Snapshot {
    /// The revision that this is.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Judges one question about one principal. The same inputs give the same evaluation, always.
    pub fn evaluate(&self, _: &Identity, _: &Question, _: Timestamp) -> Result<Evaluation, Refusal> {
        Err(Refusal::new(RefusalCode::UnknownAction, "not built yet"))
    }

    /// Says who the principal was and which policies determined an evaluation of this snapshot.
    pub fn explain(&self, _: &Identity, _: &Evaluation) -> Result<Explanation, Refusal> {
        Err(Refusal::new(RefusalCode::UnknownAction, "not built yet"))
    }

    /// The uid of the principal as policies write it, `Shop::User::"3f0c…"`.
    pub fn principal_uid(&self, _: &Identity) -> String {
        String::new()
    }

    /// The name of an action or a type in full, as records write it; as given where the schema has no such name.
    pub fn action_name(&self, name: &str) -> Arc<str> {
        name.into()
    }

    /// The uid of an entity that a request names, as policies write it.
    pub fn entity_name(&self, type_name: &str, id: &str) -> String {
        format!("{type_name}::{id:?}")
    }
}
