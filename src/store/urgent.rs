//! The kill switch: forbids that go live over the last good revision, whatever the rest of an edit is like.

use super::files::Files;
use crate::cedar::{Source, Sources, ungated};

/// The texts in force, where some of the files wait for no tests.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    ungated: Vec<Source>,
    rest: Sources,
}

impl InForce {
    /// Nothing where every file waits for tests.
    pub(super) fn of(sources: &Sources, files: &Files) -> Option<Self> {
        if files.ungated().is_empty() {
            return None;
        }
        let (ungated, rest) = sources.clone().split(files.ungated());
        Some(Self { ungated, rest })
    }

    /// What may go live before the rest of an edit is judged: the files that wait for nobody, over what
    /// is in force. `read` is the whole edit, as far as it could be read.
    ///
    /// A forbid that is taken away goes with the rest of its edit: it may have moved to a file whose
    /// tests fail.
    pub(super) fn urgent(
        &self,
        ungated: Vec<Source>,
        read: Option<&Sources>,
        files: &Files,
    ) -> Option<Sources> {
        let rest_is_in_force = read.is_some_and(|read| {
            let (_, rest) = read.clone().split(files.ungated());
            rest.revision() == self.rest.revision()
        });
        let changed = self.ungated != ungated;
        let may = changed && (rest_is_in_force || ungated::keeps_all(&self.ungated, &ungated));
        may.then(|| self.rest.clone().with(ungated))
    }
}
