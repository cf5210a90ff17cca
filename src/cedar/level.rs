//! How deep the conditions of a policy reach into entities (Cedar RFC 76, level validation).

use std::collections::{HashMap, HashSet};

use cedar_policy::{PolicyId, PolicySet, ValidationError, ValidationMode, ValidationResult, Validator};

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

/// A strict validation, with what it says of levels apart.
#[derive(Debug)]
pub(super) struct Validated {
    /// What is wrong with the policies.
    pub(super) errors: Vec<ValidationError>,
    pub(super) result: ValidationResult,
    /// Where policies that no level bounds leave the bounds.
    pub(super) unbounded: Vec<ValidationError>,
    /// Of the policies whose level is not the usual one.
    levels: HashMap<PolicyId, Level>,
}

impl Validated {
    /// Validates policies and templates, and finds how deep they reach.
    pub(super) fn of(policies: &PolicySet, validator: &Validator) -> Self {
        let result = validator.validate_with_level(policies, ValidationMode::Strict, USUAL);
        let mut validated =
            Self { errors: Vec::new(), result, unbounded: Vec::new(), levels: HashMap::new() };
        let (beyond, errors): (Vec<_>, Vec<_>) =
            validated.result.validation_errors().cloned().partition(is_of_levels);
        validated.errors = errors;
        if !beyond.is_empty() {
            let ids = beyond.iter().map(|error| error.policy_id().clone()).collect();
            validated.look_deeper(policies, &ids, validator);
        }
        validated
    }

    /// How deep a policy or template reaches, if it is valid.
    pub(super) fn level(&self, id: &PolicyId) -> Level {
        self.levels.get(id).copied().unwrap_or(Level::Bounded(USUAL))
    }

    /// The deepest level first: what that does not bound, no other does.
    fn look_deeper(&mut self, policies: &PolicySet, ids: &HashSet<PolicyId>, validator: &Validator) {
        let deeper = only(policies, ids);
        let strict = validator.validate(&deeper, ValidationMode::Strict);
        // What is of levels by its kind, and is found without them, is an error of its own.
        let own: Vec<_> = strict.validation_errors().filter(|error| is_of_levels(error)).cloned().collect();
        self.errors.extend(own);
        let at = |level| validator.validate_with_level(&deeper, ValidationMode::Strict, level);
        self.unbounded =
            at(DEEPEST).validation_errors().filter(|error| is_of_levels(error)).cloned().collect();
        let unbounded: HashSet<_> = self.unbounded.iter().map(ValidationError::policy_id).collect();
        self.levels = ids
            .iter()
            .map(|id| {
                let level = if unbounded.contains(id) { Level::Unbounded } else { Level::Bounded(DEEPEST) };
                (id.clone(), level)
            })
            .collect();
        if self.levels.values().all(|level| *level == Level::Unbounded) {
            return;
        }
        for level in (USUAL + 1..DEEPEST).rev() {
            let result = at(level);
            let beyond: HashSet<_> = result
                .validation_errors()
                .filter(|error| is_of_levels(error))
                .map(ValidationError::policy_id)
                .collect();
            for (_, found) in self.levels.iter_mut().filter(|(id, _)| !beyond.contains(id)) {
                *found = Level::Bounded(level);
            }
        }
    }
}

/// Whether an error is about levels alone. Of some expressions Cedar says that it should never have come
/// to judge their level.
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
mod tests {
    use std::str::FromStr as _;

    use cedar_policy::Schema;

    use super::*;

    const SCHEMA: &str = "
        entity Group in [Group] = { lead: User };
        entity User in [Group] = { boss: User, name: String, home: { at: Group } };
        action act appliesTo { principal: User, resource: User, context: { by: User } };";

    fn validated(conditions: &str) -> (Level, Validated) {
        let text = format!("permit (principal, action, resource) {conditions};");
        let policies = PolicySet::from_str(&text).unwrap();
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        let validated = Validated::of(&policies, &Validator::new(schema));
        (validated.level(policies.policies().next().unwrap().id()), validated)
    }

    fn level(conditions: &str) -> Level {
        let (level, validated) = validated(conditions);
        assert!(validated.errors.is_empty(), "{conditions}: {:?}", validated.errors);
        level
    }

    #[test]
    fn a_level_is_how_many_references_are_followed() {
        assert_eq!(level(r#"when { principal.name == "a" && resource in Group::"b" }"#), Level::Bounded(1));
        assert_eq!(
            level(r#"when { principal.home.at == Group::"b" }"#),
            Level::Bounded(1),
            "records count not"
        );
        assert_eq!(level("when { context.by.name == resource.name }"), Level::Bounded(1));
        assert_eq!(level(r#"when { principal.home.at in Group::"b" }"#), Level::Bounded(2));
        for steps in 2..DEEPEST {
            let bosses = ".boss".repeat(steps as usize - 1);
            assert_eq!(
                level(&format!("unless {{ context.by{bosses}.name == \"a\" }}")),
                Level::Bounded(steps)
            );
        }
    }

    #[test]
    fn what_no_level_bounds_is_known_with_its_place() {
        let bosses = ".boss".repeat(DEEPEST as usize);
        for conditions in [
            r#"when { User::"root".name == principal.name }"#.to_owned(),
            r#"when { (if context.by.name == "a" then principal else User::"root") in Group::"b" }"#
                .to_owned(),
            format!("when {{ principal{bosses}.name == \"a\" }}"),
        ] {
            let (level, validated) = validated(&conditions);
            assert_eq!((level, validated.errors.len()), (Level::Unbounded, 0), "{conditions}");
            assert!(!validated.unbounded.is_empty());
        }
    }

    #[test]
    fn what_is_wrong_is_wrong_at_any_level() {
        let (_, validated) = validated(r#"when { principal.nme == User::"root".name }"#);
        assert_eq!(validated.errors.len(), 1, "{:?}", validated.errors);
    }
}
