//! The kill switch: forbids that go live over what is in force, whatever the rest of an edit is like and
//! whatever is still judged.

use std::sync::Arc;

use super::{Reloads, off_the_serving_threads};
use crate::cedar::{Source, Sources, ungated};
use crate::model::Finding;
use crate::store::files::Files;

/// The texts in force, where some of the files wait for no tests.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    /// Those files, as they were read last.
    ungated: Vec<Source>,
    /// Forbids that they held before, and that stay until the rest of the edit is judged: they may have
    /// moved to a file whose tests fail, or have been narrowed.
    kept: Option<Source>,
    rest: Sources,
}

impl InForce {
    /// Nothing where every file waits for tests.
    pub(super) fn of(sources: &Sources, files: &Files) -> Option<Self> {
        if files.ungated().is_empty() {
            return None;
        }
        let (ungated, rest) = sources.clone().split(files.ungated());
        Some(Self { ungated, kept: None, rest })
    }

    /// The texts as one.
    pub(super) fn sources(&self) -> Sources {
        self.rest.clone().with(self.ungated.iter().chain(&self.kept).cloned().collect())
    }

    /// The same after an edit of the files that wait for nobody: what they forbid now, and what they
    /// forbade. Nothing where that changes nothing.
    fn with_more(&self, ungated: Vec<Source>) -> Option<Self> {
        let before: Vec<_> = self.ungated.iter().chain(&self.kept).cloned().collect();
        let changed = ungated != self.ungated;
        changed.then(|| Self { kept: ungated::left_out(&before, &ungated), ungated, rest: self.rest.clone() })
    }

    /// The same, exactly as the files say: the rest of the edit is what is in force.
    fn settled(&self, edit: &Sources, files: &Files) -> Option<Self> {
        let (ungated, rest) = edit.clone().split(files.ungated());
        let same_rest = rest.revision() == self.rest.revision();
        (same_rest && (self.kept.is_some() || ungated != self.ungated)).then_some(Self {
            ungated,
            kept: None,
            rest,
        })
    }
}

impl Reloads {
    /// Puts in force at once what the files that wait for no tests forbid now. What is wrong with them
    /// is told with the rest of the edit.
    pub(super) async fn publish_more_forbids(&mut self) {
        let Some(in_force) = self.in_force.clone() else { return };
        let (files, in_vain) = (Arc::clone(&self.files), self.tried_in_vain.clone());
        let next = move || {
            let next = in_force.with_more(files.read_ungated()?);
            Ok(next.filter(|next| in_vain.as_ref() != Some(&next.ungated)))
        };
        self.publish_urgent(next).await;
    }

    /// Puts in force what these files say, and no more, where nothing else of the edit is new.
    pub(super) async fn publish_settled_forbids(&mut self, edit: &Sources) {
        let Some(in_force) = self.in_force.clone() else { return };
        let (files, edit) = (Arc::clone(&self.files), edit.clone());
        self.publish_urgent(move || Ok(in_force.settled(&edit, &files))).await;
    }

    /// What was admitted under forbids that came while it was judged; nothing where none came.
    pub(super) fn overtaking(&self, admitted: Option<&InForce>, before: Option<&InForce>) -> Option<InForce> {
        let now = self.in_force.as_ref()?;
        if now.ungated == before?.ungated {
            return None;
        }
        admitted?.with_more(now.ungated.clone())
    }

    /// Compiles what is next and puts it in force, and says whether it did: what does not compile is
    /// told with the rest of the edit.
    pub(super) async fn publish_urgent(
        &mut self,
        next: impl FnOnce() -> Result<Option<InForce>, Vec<Finding>> + Send + 'static,
    ) -> bool {
        let (files, compiler) = (Arc::clone(&self.files), Arc::clone(&self.compiler));
        let next = off_the_serving_threads(move || {
            let Some(next) = next()? else { return Ok(None) };
            Ok(Some((compiler.compile(&next.sources(), files.limits()), next)))
        });
        let Ok(Some((result, next))) = next.await else { return false };
        let Ok(with_more) = result else {
            self.tried_in_vain = Some(next.ungated);
            return false;
        };
        let (forbids, kept) = (ungated::count(&next.ungated), ungated::count(next.kept.as_slice()));
        tracing::warn!(forbids, kept, files = ?self.files.ungated(), "forbids that wait for no tests go live");
        self.put_in_force(&with_more);
        self.in_force = Some(next);
        self.tried_in_vain = None;
        true
    }
}
