//! What was edited between two snapshots: policies by id, judged by what their texts say to Cedar.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::Snapshot;
use super::lexer::tokens_in;
use super::outline::Outlined;
use super::scope_parts::written;

/// A policy that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Its id.
    pub id: Arc<str>,
    /// What happened to it.
    pub kind: EditKind,
}

/// What happened to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EditKind {
    /// Only the new side has it.
    Added,
    /// Only the old side has it.
    Removed,
    /// Its text says something else.
    Changed,
}

/// The policies that differ, sorted by id. Comments, spaces and annotations are no difference: they
/// decide nothing.
pub fn edits(old: &Snapshot, new: &Snapshot) -> Vec<Edit> {
    let (old, new) = (meanings(old), meanings(new));
    let mut edits = BTreeMap::new();
    for (id, meaning) in &old {
        match new.get(id) {
            None => edits.insert(*id, EditKind::Removed),
            Some(other) if other != meaning => edits.insert(*id, EditKind::Changed),
            Some(_) => None,
        };
    }
    for id in new.keys().filter(|id| !old.contains_key(*id)) {
        edits.insert(*id, EditKind::Added);
    }
    edits.into_iter().map(|(id, kind)| Edit { id: Arc::clone(id), kind }).collect()
}

/// What each policy says: its tokens from the effect on and, for a link, what its slots stand for.
fn meanings(snapshot: &Snapshot) -> BTreeMap<&Arc<str>, Vec<String>> {
    snapshot.outline.policies().iter().map(|policy| (&policy.info.id, meaning(policy))).collect()
}

fn meaning(policy: &Outlined) -> Vec<String> {
    let statement = policy.written.statement();
    let effect = statement.effect.map_or(statement.span.start, |effect| effect.start);
    let tokens = tokens_in(&policy.written.text, effect..statement.span.end);
    let mut meaning: Vec<_> = tokens.map(|token| token.text.to_owned()).collect();
    if policy.info.template.is_some() {
        meaning.push(written("principal", &policy.scope.principal));
        meaning.push(written("resource", &policy.scope.resource));
    }
    meaning
}
