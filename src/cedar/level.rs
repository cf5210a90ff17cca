//! How deep the conditions of a policy reach into entities (Cedar RFC 76, level validation).

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Policy, PolicyId, PolicySet, Template, ValidationError, ValidationMode, ValidationResult, Validator,
};

mod usual;

pub(super) use usual::is_usual;

/// How many steps from the request's own entities conditions take: the attributes, tags and ancestors of
/// the principal are one, those of an entity that an attribute names are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// So many at most, and none into entities that the policy names itself.
    Bounded(u32),
    /// Nobody knows.
    Unbounded,
}

/// How many steps are tried: who follows more references in a row is not bounded.
pub(super) const DEEPEST: u32 = 8;

/// What nearly every policy with conditions takes.
const USUAL: u32 = 1;

/// A strict validation, and how deep policies reach.
#[derive(Debug)]
pub(super) struct Validated {
    pub(super) result: ValidationResult,
    /// Where policies that no level bounds leave the bounds.
    pub(super) unbounded: Vec<ValidationError>,
    /// Of the policies whose level is not the usual one.
    levels: HashMap<PolicyId, Level>,
}

impl Validated {
    /// Validates policies and templates, and finds how deep they reach; those that `is_usual` knows take one
    /// step.
    pub(super) fn of(
        policies: &PolicySet,
        validator: &Validator,
        is_usual: impl Fn(&PolicyId) -> bool,
    ) -> Self {
        let result = validator.validate(policies, ValidationMode::Strict);
        let mut validated = Self { result, unbounded: Vec::new(), levels: HashMap::new() };
        let statements = policies.policies().filter(|policy| policy.is_static()).map(Policy::id);
        let statements = statements.chain(policies.templates().map(Template::id));
        let others: HashSet<_> = statements.filter(|id| !is_usual(id)).cloned().collect();
        if !others.is_empty() {
            validated.look_deeper(&only(policies, &others), validator);
        }
        validated
    }

    /// How deep a policy or template reaches, if it is valid.
    pub(super) fn level(&self, id: &PolicyId) -> Level {
        self.levels.get(id).copied().unwrap_or(Level::Bounded(USUAL))
    }

    /// Of those that go beyond the usual level, the deepest is tried first: what that does not bound, no
    /// other does.
    fn look_deeper(&mut self, policies: &PolicySet, validator: &Validator) {
        let beyond = |policies: &PolicySet, level| -> Vec<ValidationError> {
            let result = validator.validate_with_level(policies, ValidationMode::Strict, level);
            result.validation_errors().filter(|error| is_of_levels(error)).cloned().collect()
        };
        let ids = |errors: &[ValidationError]| -> HashSet<PolicyId> {
            errors.iter().map(|error| error.policy_id().clone()).collect()
        };
        let deeper = ids(&beyond(policies, USUAL));
        if deeper.is_empty() {
            return;
        }
        let policies = only(policies, &deeper);
        self.unbounded = beyond(&policies, DEEPEST);
        let unbounded = ids(&self.unbounded);
        let bounded: HashSet<_> = deeper.difference(&unbounded).cloned().collect();
        self.levels.extend(unbounded.into_iter().map(|id| (id, Level::Unbounded)));
        self.levels.extend(bounded.iter().map(|id| (id.clone(), Level::Bounded(DEEPEST))));
        let policies = only(&policies, &bounded);
        for level in (USUAL + 1..DEEPEST).rev().take_while(|_| !bounded.is_empty()) {
            let still = ids(&beyond(&policies, level));
            self.levels.extend(bounded.difference(&still).map(|id| (id.clone(), Level::Bounded(level))));
        }
    }
}

/// Whether an error is about levels. Of some expressions Cedar says that it should never have come to judge
/// their level.
fn is_of_levels(error: &ValidationError) -> bool {
    matches!(
        error,
        ValidationError::EntityDerefLevelViolation(_) | ValidationError::InternalInvariantViolation(_)
    )
}

/// Some of the policies and templates. Links are as deep as their templates.
fn only(policies: &PolicySet, ids: &HashSet<PolicyId>) -> PolicySet {
    let mut some = PolicySet::new();
    for id in ids {
        // Each is in the other set once, under this id.
        if let Some(policy) = policies.policy(id) {
            let _infallible = some.add(policy.clone());
        } else if let Some(template) = policies.template(id) {
            let _infallible = some.add_template(template.clone());
        }
    }
    some
}

#[cfg(test)]
mod tests;
