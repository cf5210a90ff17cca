//! Scopes decided without the engine: from the uids of a request and what those stand in.
//!
//! A scope never fails to evaluate, whatever entities there are, so its verdict here is Cedar's.

use std::num::NonZeroU32;

use cedar_policy::{EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};
use smallvec::SmallVec;

use super::hashing::FastMap;
use super::uid::{Id, Uid};

/// What a scope asks of the principal, or of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    uid: Uid<'a>,
    stands_in: F,
}

/// The number of a constraint, the same for equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConstraintNumber(NonZeroU32);

/// Different constraints, numbered, and found by the entities that they admit.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    count: u32,
    any: Option<ConstraintNumber>,
    by_type: FastMap<EntityTypeName, OfType>,
}

/// Constraints, and those of them that speak of one type.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    all: &'a Constraints,
    of_type: Option<&'a OfType>,
}

/// The constraints that speak of a type, or of its entities.
#[derive(Debug, Default)]
struct OfType {
    is: Option<ConstraintNumber>,
    by_id: FastMap<Id, OfEntity>,
}

/// The constraints that speak of one entity.
#[derive(Debug, Default)]
struct OfEntity {
    equal: Option<ConstraintNumber>,
    within: Option<ConstraintNumber>,
    /// Few have any, and there are as many of these as entities in scopes.
    is_in: Option<Box<FastMap<EntityTypeName, ConstraintNumber>>>,
}

/// As many constraints as admit one entity where few policies name it.
const USUAL: usize = 8;

/// More constraints than numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are more policies than can be numbered")]
pub(super) struct TooMany;

impl ConstraintNumber {
    /// Counted from 0.
    pub(super) const fn position(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Constraints {
    /// The number of a constraint, a new one if it has none yet.
    ///
    /// # Errors
    /// There are none left.
    pub(super) fn number(&mut self, constraint: Constraint) -> Result<ConstraintNumber, TooMany> {
        let slot = match constraint {
            Constraint::Any => &mut self.any,
            Constraint::Is(type_name) => &mut self.by_type.entry(type_name).or_default().is,
            Constraint::Equal(uid) => &mut of_entity(&mut self.by_type, &uid).equal,
            Constraint::In(uid) => &mut of_entity(&mut self.by_type, &uid).within,
            Constraint::IsIn(type_name, uid) => {
                let numbers = of_entity(&mut self.by_type, &uid).is_in.get_or_insert_default();
                if let Some(known) = numbers.get(&type_name) {
                    return Ok(*known);
                }
                let number = next(&mut self.count)?;
                numbers.insert(type_name, number);
                return Ok(number);
            }
        };
        match *slot {
            Some(known) => Ok(known),
            None => Ok(*slot.insert(next(&mut self.count)?)),
        }
    }

    /// For entities of this type.
    pub(super) fn about(&self, type_name: &EntityTypeName) -> About<'_> {
        About { all: self, of_type: self.by_type.get(type_name) }
    }

    /// Gives back what growing has taken too much.
    pub(super) fn shrink(&mut self) {
        self.by_type.values_mut().for_each(|of_type| of_type.by_id.shrink_to_fit());
    }

    /// What the tables take. Short ids stand in them.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        // Of eight places seven are taken at most, and each has a byte that says whether it is.
        let of_type = |of_type: &OfType| of_type.by_id.capacity() * 8 / 7 * (size_of::<(Id, OfEntity)>() + 1);
        self.by_type.values().map(of_type).sum()
    }

    fn of_entity(&self, uid: Uid<'_>) -> Option<&OfEntity> {
        self.by_type.get(uid.type_name())?.by_id.get(uid.id())
    }
}

impl About<'_> {
    /// The numbers of those that admit an entity of the type which stands in these others, near and far.
    pub(super) fn admitting<'u>(
        self,
        uid: Uid<'u>,
        ancestors: impl IntoIterator<Item = Uid<'u>>,
    ) -> SmallVec<[ConstraintNumber; USUAL]> {
        let Self { all, of_type } = self;
        let mut found = SmallVec::new();
        found.extend(all.any);
        found.extend(of_type.and_then(|of_type| of_type.is));
        let of_itself = of_type.and_then(|of_type| of_type.by_id.get(uid.id()));
        found.extend(of_itself.and_then(|of_entity| of_entity.equal));
        let of_ancestors = ancestors.into_iter().filter_map(|ancestor| all.of_entity(ancestor));
        for of_entity in of_itself.into_iter().chain(of_ancestors) {
            found.extend(of_entity.within);
            found.extend(of_entity.is_in.as_ref().and_then(|numbers| numbers.get(uid.type_name()).copied()));
        }
        found
    }
}

fn of_entity<'a>(by_type: &'a mut FastMap<EntityTypeName, OfType>, uid: &EntityUid) -> &'a mut OfEntity {
    by_type.entry(uid.type_name().clone()).or_default().by_id.entry(uid.id().into()).or_default()
}

fn next(count: &mut u32) -> Result<ConstraintNumber, TooMany> {
    *count = count.checked_add(1).ok_or(TooMany)?;
    NonZeroU32::new(*count).map(ConstraintNumber).ok_or(TooMany)
}

impl<'a, F: Fn(&EntityUid) -> bool> Standing<'a, F> {
    pub(super) const fn new(uid: Uid<'a>, stands_in: F) -> Self {
        Self { uid, stands_in }
    }

    pub(super) fn is(&self, uid: &EntityUid) -> bool {
        self.uid == uid.into()
    }

    /// As Cedar's `in`, which holds for the entity itself too.
    pub(super) fn is_in(&self, uid: &EntityUid) -> bool {
        self.is(uid) || (self.stands_in)(uid)
    }
}

impl Constraint {
    /// Whether an entity meets it.
    pub(super) fn admits(&self, entity: &Standing<'_, impl Fn(&EntityUid) -> bool>) -> bool {
        match self {
            Self::Any => true,
            Self::Is(type_name) => entity.uid.type_name() == type_name,
            Self::In(uid) => entity.is_in(uid),
            Self::Equal(uid) => entity.is(uid),
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
