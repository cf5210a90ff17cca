//! Which policies can matter for a request: those whose scope admits it, found without a look at the
//! others.
//!
//! A scope never fails to evaluate. So a policy whose scope does not admit the request contributes neither
//! an effect nor an error, and one without conditions is decided by its scope alone. Every constraint that
//! policies place on principals, or on resources, has a number; a request knows the numbers of those that
//! admit it, and policies are filed under theirs.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect, Entity, EntityUid};
use smallvec::SmallVec;

use super::clauses::Clauses;
use super::level::Level;
use super::policies::{Policies, PolicyInfo};
use super::schema::{Action, Schema};
use super::scope::{ConstraintNumber, Constraints, TooMany};

/// As many policies as admit a request where few are for everybody.
const USUAL: usize = 16;

/// All policies of a snapshot, static and linked, filed under their scopes.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) principals: Constraints,
    pub(super) resources: Constraints,
    /// For each action of the schema, by its position, the numbers of the action constraints that admit it,
    /// sorted.
    actions: Vec<Box<[ActionNumber]>>,
    /// Where in `rows` those of each principal constraint are.
    rows_of: Vec<Range<usize>>,
    rows: Vec<Row>,
    /// Sorted within each row.
    entries: Vec<Entry>,
    /// By id.
    policies: Vec<Filed>,
}

/// A policy, as far as decisions go.
#[derive(Debug)]
pub(super) struct Filed {
    pub(super) id: Arc<str>,
    pub(super) effect: Effect,
    /// None where the scope alone decides.
    pub(super) guard: Option<Box<Guard>>,
}

/// The conditions of a policy, and which entities they can get at.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) clauses: Arc<Clauses>,
    pub(super) level: Level,
    /// The entities that the policy names, where conditions could look into those.
    pub(super) literals: Vec<EntityUid>,
}

/// Where the policies of one principal constraint and one action constraint are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    action: ActionNumber,
    start: u32,
    end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    resource: ConstraintNumber,
    policy: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ActionNumber(u32);

impl Index {
    /// Files every policy.
    ///
    /// # Errors
    /// They are too many.
    pub(super) fn of(policies: &Policies, schema: &Schema) -> Result<Self, TooMany> {
        let mut filed: Vec<_> = policies.all().collect();
        filed.sort_unstable_by(|left, right| left.id.cmp(&right.id));
        let mut index = Self::default();
        let mut actions = HashMap::new();
        let mut placed = Vec::with_capacity(filed.len());
        for info in &filed {
            // A template by itself applies to nothing.
            let Some(scope) = &info.scope else { continue };
            let number = u32::try_from(index.policies.len()).map_err(|_| TooMany)?;
            let principal = index.principals.number(scope.principal.clone())?;
            let resource = index.resources.number(scope.resource.clone())?;
            for action in action_numbers(&scope.action, &mut actions) {
                placed.push((principal, action, Entry { resource, policy: number }));
            }
            index.policies.push(Filed {
                id: Arc::clone(&info.id),
                effect: info.effect,
                guard: info.clauses.as_ref().map(|clauses| Box::new(Guard::of(clauses, info))),
            });
        }
        if u32::try_from(placed.len()).is_err() {
            return Err(TooMany);
        }
        placed.sort_unstable();
        index.lay_out(&placed);
        index.actions = schema.actions().map(|action| numbers_for(action, &actions)).collect();
        Ok(index)
    }

    /// The rows of the principals that these constraints admit, sorted.
    pub(super) fn rows(&self, principals: &[ConstraintNumber]) -> Box<[Row]> {
        let of_one = |number: &ConstraintNumber| self.rows_of.get(number.position());
        let rows = principals.iter().filter_map(of_one).filter_map(|rows| self.rows.get(rows.clone()));
        let mut rows: Vec<_> = rows.flatten().copied().collect();
        rows.sort_unstable_by_key(|row| (row.action, row.start));
        rows.into()
    }

    /// The policies whose scope admits a request, by id: from the rows of its principal, and the numbers
    /// of the constraints that admit its resource.
    pub(super) fn admitting<'a>(
        &'a self,
        action: &Action,
        rows: &[Row],
        resources: &[ConstraintNumber],
    ) -> impl Iterator<Item = &'a Filed> + use<'a> {
        let mut found = SmallVec::<[u32; USUAL]>::new();
        for action in self.actions.get(action.position).into_iter().flatten() {
            let start = rows.partition_point(|row| row.action < *action);
            for row in rows.iter().skip(start).take_while(|row| row.action == *action) {
                for resource in resources {
                    found.extend(self.filed_under(row, *resource).map(|entry| entry.policy));
                }
            }
        }
        // One that names several of the action's groups is found once for each.
        found.sort_unstable();
        found.dedup();
        found.into_iter().filter_map(|policy| self.policies.get(policy as usize))
    }

    /// Every policy, by id.
    pub(super) fn policies(&self) -> &[Filed] {
        &self.policies
    }

    fn filed_under(&self, row: &Row, resource: ConstraintNumber) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.get(row.start as usize..row.end as usize).unwrap_or_default();
        let start = entries.partition_point(|entry| entry.resource < resource);
        entries.iter().skip(start).take_while(move |entry| entry.resource == resource)
    }

    /// `placed` is sorted.
    fn lay_out(&mut self, placed: &[(ConstraintNumber, ActionNumber, Entry)]) {
        self.entries.extend(placed.iter().map(|(_, _, entry)| *entry));
        let mut start = 0_u32;
        for of_row in placed.chunk_by(|left, right| (left.0, left.1) == (right.0, right.1)) {
            let Some((principal, action, _)) = of_row.first() else { continue };
            let end = start.saturating_add(u32::try_from(of_row.len()).unwrap_or(u32::MAX));
            let position = principal.position();
            if self.rows_of.len() <= position {
                self.rows_of.resize(position + 1, self.rows.len()..self.rows.len());
            }
            self.rows.push(Row { action: *action, start, end });
            if let Some(rows) = self.rows_of.get_mut(position) {
                rows.end = self.rows.len();
            }
            start = end;
        }
        self.principals.shrink();
        self.resources.shrink();
    }
}

impl Guard {
    fn of(clauses: &Arc<Clauses>, info: &PolicyInfo) -> Self {
        Self { clauses: Arc::clone(clauses), level: info.level, literals: info.literals.to_vec() }
    }
}

/// One part of what an action constraint asks: a list asks for each of its members.
#[derive(Debug, PartialEq, Eq, Hash)]
enum ActionKey {
    Any,
    Equal(EntityUid),
    In(EntityUid),
}

fn action_numbers(
    constraint: &ActionConstraint,
    numbers: &mut HashMap<ActionKey, ActionNumber>,
) -> BTreeSet<ActionNumber> {
    let keys = match constraint {
        ActionConstraint::Any => vec![ActionKey::Any],
        ActionConstraint::Eq(uid) => vec![ActionKey::Equal(uid.clone())],
        ActionConstraint::In(uids) => uids.iter().cloned().map(ActionKey::In).collect(),
    };
    let number = |key| {
        let next = ActionNumber(u32::try_from(numbers.len()).unwrap_or(u32::MAX));
        *numbers.entry(key).or_insert(next)
    };
    keys.into_iter().map(number).collect()
}

/// Those that admit an action: what asks for it, and what asks for a group that it is in.
fn numbers_for(action: &Action, numbers: &HashMap<ActionKey, ActionNumber>) -> Box<[ActionNumber]> {
    let groups = action.entities.iter().map(Entity::uid).chain([action.uid.clone()]);
    let keys = [ActionKey::Any, ActionKey::Equal(action.uid.clone())];
    let found: BTreeSet<_> = keys
        .into_iter()
        .chain(groups.map(ActionKey::In))
        .filter_map(|key| numbers.get(&key).copied())
        .collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::cedar::{Source, Sources, compile};
    use crate::model::Limits;

    const POLICIES: usize = 2_000;

    /// Of a policy's 600 bytes at most: half of it is aimed for.
    const FEW: usize = 300;

    impl Index {
        /// What the tables take, without the conditions: those are the policies', however they are found.
        fn bytes(&self) -> usize {
            let actions: usize = self.actions.iter().map(|numbers| size_of_val(&**numbers)).sum();
            let guards = self.policies.iter().filter(|policy| policy.guard.is_some()).count();
            self.principals.bytes()
                + self.resources.bytes()
                + actions
                + self.rows_of.capacity() * size_of::<Range<usize>>()
                + self.rows.capacity() * size_of::<Row>()
                + self.entries.capacity() * size_of::<Entry>()
                + self.policies.capacity() * size_of::<Filed>()
                + guards * size_of::<Guard>()
        }
    }

    #[test]
    fn a_policy_takes_few_bytes_although_its_principal_and_its_resource_are_its_own() {
        let mut text = String::new();
        for number in 0..POLICIES {
            writeln!(
                text,
                "permit (principal == U::\"u-{number}\", action == Action::\"a\", resource in R::\"r-{number}\") when {{ context.b }};"
            )
            .unwrap();
        }
        let file = |text: &str| vec![Source { path: "f".into(), name: "f".into(), text: text.into() }];
        let schema = "entity U; entity R in [R]; action a appliesTo { principal: U, resource: R, context: { b: Bool } };";
        let sources = Sources { policies: file(&text), schema: file(schema), ..Sources::default() };
        let snapshot = compile(&sources, &Limits::default()).unwrap().snapshot;
        let bytes = snapshot.index.bytes() / POLICIES;
        println!("{bytes} bytes a policy");
        assert!(bytes <= FEW, "{bytes} bytes a policy");
    }
}
