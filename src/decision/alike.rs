//! What is said of neighbours alike in their answers and lines, written once. It is what is written that they
//! share: each was judged by itself.

use std::sync::Arc;

use crate::audit::{AuditError, OfSetting};
use crate::model::printed::Members;
use crate::model::{Evaluation, Record};

/// What was written last.
#[derive(Debug, Default)]
pub(super) struct Alike {
    /// Of an action in a context.
    pub(super) setting: Last<(Arc<str>, Arc<Record>), OfSetting>,
    /// Of a decision.
    pub(super) decision: Last<Arc<Evaluation>, Members>,
}

/// What was made last, and of what.
#[derive(Debug)]
pub(super) struct Last<K, V>(Option<(K, V)>);

impl Last<(Arc<str>, Arc<Record>), OfSetting> {
    /// What lines say of it.
    ///
    /// # Errors
    /// Never.
    pub(super) fn of(&mut self, action: &Arc<str>, context: &Arc<Record>) -> Result<&OfSetting, AuditError> {
        let is_it = |(of, under): &(_, _)| Arc::ptr_eq(of, action) && Arc::ptr_eq(under, context);
        let key = || (Arc::clone(action), Arc::clone(context));
        self.get(is_it, || Ok((key(), OfSetting::new(action, context)?)))
    }
}

impl Last<Arc<Evaluation>, Members> {
    /// What answers and lines say of it.
    ///
    /// # Errors
    /// Never.
    pub(super) fn of(&mut self, evaluation: &Arc<Evaluation>) -> Result<&Members, AuditError> {
        let is_it = |of: &_| Arc::ptr_eq(of, evaluation);
        let write = || Members::of(|object| evaluation.write(object));
        self.get(is_it, || Ok((Arc::clone(evaluation), write()?)))
    }
}

impl<K, V> Last<K, V> {
    /// What is there, if it was made of that, or else what is made now.
    fn get<E>(
        &mut self,
        is_it: impl FnOnce(&K) -> bool,
        make: impl FnOnce() -> Result<(K, V), E>,
    ) -> Result<&V, E> {
        let there = self.0.take().filter(|(key, _)| is_it(key));
        let (_, value) = self.0.insert(there.map_or_else(make, Ok)?);
        Ok(value)
    }
}

impl<K, V> Default for Last<K, V> {
    fn default() -> Self {
        Self(None)
    }
}
