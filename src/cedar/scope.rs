//! Scopes decided without the engine: from the uids of a request and what those stand in.
//!
//! A scope never fails to evaluate, whatever entities there are, so its verdict here is Cedar's.

use cedar_policy::{EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};

/// What a scope asks of the principal, or of the resource.
#[derive(Debug, Clone)]
pub(super) enum Constraint {
    Any,
    Is(EntityTypeName),
    In(EntityUid),
    Equal(EntityUid),
    IsIn(EntityTypeName, EntityUid),
}

/// The principal or the resource of a request, and what says whether it stands in another entity,
/// near or far.
#[derive(Debug)]
pub(super) struct Standing<'a, F> {
    uid: &'a EntityUid,
    stands_in: F,
}

impl<'a, F: Fn(&EntityUid) -> bool> Standing<'a, F> {
    pub(super) const fn new(uid: &'a EntityUid, stands_in: F) -> Self {
        Self { uid, stands_in }
    }

    pub(super) fn is(&self, uid: &EntityUid) -> bool {
        self.uid == uid
    }

    /// As Cedar's `in`, which holds for the entity itself too.
    pub(super) fn is_in(&self, uid: &EntityUid) -> bool {
        self.uid == uid || (self.stands_in)(uid)
    }
}

impl Constraint {
    /// Whether an entity meets it.
    pub(super) fn admits(&self, entity: &Standing<'_, impl Fn(&EntityUid) -> bool>) -> bool {
        match self {
            Self::Any => true,
            Self::Is(type_name) => entity.uid.type_name() == type_name,
            Self::In(uid) => entity.is_in(uid),
            Self::Equal(uid) => entity.uid == uid,
            Self::IsIn(type_name, uid) => entity.uid.type_name() == type_name && entity.is_in(uid),
        }
    }
}

impl From<PrincipalConstraint> for Constraint {
    fn from(constraint: PrincipalConstraint) -> Self {
        match constraint {
            PrincipalConstraint::Any => Self::Any,
            PrincipalConstraint::Is(type_name) => Self::Is(type_name),
            PrincipalConstraint::In(uid) => Self::In(uid),
            PrincipalConstraint::Eq(uid) => Self::Equal(uid),
            PrincipalConstraint::IsIn(type_name, uid) => Self::IsIn(type_name, uid),
        }
    }
}

impl From<ResourceConstraint> for Constraint {
    fn from(constraint: ResourceConstraint) -> Self {
        match constraint {
            ResourceConstraint::Any => Self::Any,
            ResourceConstraint::Is(type_name) => Self::Is(type_name),
            ResourceConstraint::In(uid) => Self::In(uid),
            ResourceConstraint::Eq(uid) => Self::Equal(uid),
            ResourceConstraint::IsIn(type_name, uid) => Self::IsIn(type_name, uid),
        }
    }
}
