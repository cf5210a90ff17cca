//! The three parts of a policy's scope: which of them a request is outside of, and where in its
//! file each is written.

use std::ops::Range;

use cedar_policy::{ActionConstraint, Entity, EntityUid, Policy};

use super::lexer::tokens_in;
use super::schema::Action;
use super::scope::{Constraint, Standing};
use super::statements::PolicyText;

/// The scope of one policy, the slots of a link filled in.
#[derive(Debug, Clone)]
pub(super) struct ScopeParts {
    pub(super) principal: Constraint,
    pub(super) action: ActionConstraint,
    pub(super) resource: Constraint,
}

/// One of the three; those that are of most interest when a request is outside of them come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ScopePart {
    Principal,
    Resource,
    Action,
}

impl ScopeParts {
    /// The scope of a policy, static or linked.
    pub(super) fn of(policy: &Policy) -> Self {
        Self {
            principal: policy.principal_constraint().into(),
            action: policy.action_constraint(),
            resource: policy.resource_constraint().into(),
        }
    }

    /// The parts that a request is outside of.
    pub(super) fn outside(
        &self,
        principal: &Standing<'_, impl Fn(&EntityUid) -> bool>,
        action: &Standing<'_, impl Fn(&EntityUid) -> bool>,
        resource: &Standing<'_, impl Fn(&EntityUid) -> bool>,
    ) -> impl Iterator<Item = ScopePart> {
        let parts = [
            (ScopePart::Principal, self.principal.admits(principal)),
            (ScopePart::Resource, self.resource.admits(resource)),
            (ScopePart::Action, self.names(action)),
        ];
        parts.into_iter().filter(|(_, admitted)| !admitted).map(|(part, _)| part)
    }

    /// Whether it is for this action.
    pub(super) fn names(&self, action: &Standing<'_, impl Fn(&EntityUid) -> bool>) -> bool {
        match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => action.is(uid),
            ActionConstraint::In(uids) => uids.iter().any(|uid| action.is_in(uid)),
        }
    }
}

impl ScopePart {
    /// The variable that it is about.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Resource => "resource",
            Self::Action => "action",
        }
    }
}

/// An action for scopes to look at.
pub(super) fn standing(action: &Action) -> Standing<'_, impl Fn(&EntityUid) -> bool> {
    let groups: Vec<_> = action.entities.iter().map(Entity::uid).collect();
    Standing::new((&action.uid).into(), move |uid| groups.contains(uid))
}

/// A constraint as a policy writes it.
pub(super) fn written(variable: &str, constraint: &Constraint) -> String {
    match constraint {
        Constraint::Any => variable.to_owned(),
        Constraint::Equal(uid) => format!("{variable} == {uid}"),
        Constraint::In(uid) => format!("{variable} in {uid}"),
        Constraint::Is(name) => format!("{variable} is {name}"),
        Constraint::IsIn(name, uid) => format!("{variable} is {name} in {uid}"),
    }
}

/// Where in its file a part of a policy's scope stands.
pub(super) fn located(text: &str, policy: &PolicyText, part: ScopePart) -> Option<Range<usize>> {
    let brackets = policy.scope.clone()?;
    let mut span: Option<Range<usize>> = None;
    let mut depth = 0_usize;
    for token in tokens_in(text, brackets) {
        let outermost = depth == 1;
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
        }
        let ends = (outermost && token.is(",")) || depth == 0;
        match &mut span {
            Some(span) if !ends => span.end = token.span().end,
            Some(_) => break,
            None if outermost && token.is_word(part.as_str()) => span = Some(token.span()),
            None => {}
        }
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cedar::statements;

    #[test]
    fn each_part_is_found_in_the_text_without_what_stands_around_it() {
        let text = "@id(\"principal\") permit (\n  principal in A::\"a, (b\", // resource,\n  \
                    action in [A::\"x\", A::\"resource\"],\n  resource is B in ?resource,\n)\nwhen { resource.principal };";
        let [policy] = &statements::policies(text)[..] else { panic!() };
        let written = |part| located(text, policy, part).and_then(|span| text.get(span));
        assert_eq!(written(ScopePart::Principal), Some("principal in A::\"a, (b\""));
        assert_eq!(written(ScopePart::Action), Some("action in [A::\"x\", A::\"resource\"]"));
        assert_eq!(written(ScopePart::Resource), Some("resource is B in ?resource"));
        let [bare] = &statements::policies("permit (principal, action, resource);")[..] else { panic!() };
        assert_eq!(located("permit (principal, action, resource);", bare, ScopePart::Resource), Some(27..35));
    }
}
