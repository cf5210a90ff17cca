//! The scope of a policy: the principals, actions and resources that it is for, and which of the
//! three a request is outside of.

use std::ops::Range;

use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint, Request,
    ResourceConstraint,
};

use super::case::Case;
use super::lexer::tokens_in;
use super::schema::Action;
use super::statements::PolicyText;

/// The three constraints of one policy, the slots of a link filled in.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) principal: Constraint,
    pub(super) action: ActionConstraint,
    pub(super) resource: Constraint,
}

/// What a scope asks of the principal or of the resource.
#[derive(Debug)]
pub(super) enum Constraint {
    Any,
    Eq(EntityUid),
    In(EntityUid),
    Is(EntityTypeName),
    IsIn(EntityTypeName, EntityUid),
}

/// A part of a scope; those that are of most interest when a request is outside of them come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ScopePart {
    Principal,
    Resource,
    Action,
}

impl Scope {
    /// The scope of a policy, static or linked.
    pub(super) fn of(policy: &Policy) -> Self {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Constraint::Any,
            PrincipalConstraint::Eq(uid) => Constraint::Eq(uid),
            PrincipalConstraint::In(uid) => Constraint::In(uid),
            PrincipalConstraint::Is(name) => Constraint::Is(name),
            PrincipalConstraint::IsIn(name, uid) => Constraint::IsIn(name, uid),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => Constraint::Any,
            ResourceConstraint::Eq(uid) => Constraint::Eq(uid),
            ResourceConstraint::In(uid) => Constraint::In(uid),
            ResourceConstraint::Is(name) => Constraint::Is(name),
            ResourceConstraint::IsIn(name, uid) => Constraint::IsIn(name, uid),
        };
        Self { principal, action: policy.action_constraint(), resource }
    }

    /// Whether the request is within all three parts.
    pub(super) fn admits(&self, case: &Case) -> bool {
        let Case { request, entities, .. } = case;
        self.admits_principal(request, entities)
            && self.admits_resource(request, entities)
            && self.admits_action(request, entities)
    }

    /// The parts that the request is outside of.
    pub(super) fn outside(&self, case: &Case) -> Vec<ScopePart> {
        let Case { request, entities, .. } = case;
        let parts = [
            (ScopePart::Principal, self.admits_principal(request, entities)),
            (ScopePart::Resource, self.admits_resource(request, entities)),
            (ScopePart::Action, self.admits_action(request, entities)),
        ];
        parts.into_iter().filter(|(_, admitted)| !admitted).map(|(part, _)| part).collect()
    }

    fn admits_principal(&self, request: &Request, entities: &Entities) -> bool {
        request.principal().is_some_and(|principal| self.principal.admits(principal, entities))
    }

    fn admits_resource(&self, request: &Request, entities: &Entities) -> bool {
        request.resource().is_some_and(|resource| self.resource.admits(resource, entities))
    }

    fn admits_action(&self, request: &Request, entities: &Entities) -> bool {
        request.action().is_some_and(|action| match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => uid == action,
            ActionConstraint::In(uids) => uids.iter().any(|uid| is_in(action, uid, entities)),
        })
    }

    /// Whether it is also for this action.
    pub(super) fn names(&self, action: &Action) -> bool {
        let stands_in = |uid: &EntityUid| {
            *uid == action.uid || action.entities.iter().any(|entity| entity.uid() == *uid)
        };
        match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => *uid == action.uid,
            ActionConstraint::In(uids) => uids.iter().any(stands_in),
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

impl Constraint {
    fn admits(&self, entity: &EntityUid, entities: &Entities) -> bool {
        match self {
            Self::Any => true,
            Self::Eq(uid) => uid == entity,
            Self::In(uid) => is_in(entity, uid, entities),
            Self::Is(name) => name == entity.type_name(),
            Self::IsIn(name, uid) => name == entity.type_name() && is_in(entity, uid, entities),
        }
    }

    /// As a policy writes it.
    pub(super) fn written(&self, variable: &str) -> String {
        match self {
            Self::Any => variable.to_owned(),
            Self::Eq(uid) => format!("{variable} == {uid}"),
            Self::In(uid) => format!("{variable} in {uid}"),
            Self::Is(name) => format!("{variable} is {name}"),
            Self::IsIn(name, uid) => format!("{variable} is {name} in {uid}"),
        }
    }

    /// The entity that it asks to stand in.
    pub(super) const fn container(&self) -> Option<&EntityUid> {
        match self {
            Self::In(uid) | Self::IsIn(_, uid) => Some(uid),
            Self::Any | Self::Eq(_) | Self::Is(_) => None,
        }
    }
}

fn is_in(entity: &EntityUid, container: &EntityUid, entities: &Entities) -> bool {
    entity == container || entities.is_ancestor_of(container, entity)
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
