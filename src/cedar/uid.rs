//! Uids of entities, borrowed from whoever names them, and what is found by them. Nearly all entities of a
//! request are only looked up; an owned uid is made for those that the engine is given.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ptr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};

use super::hashing::{FastMap, FastSet};

/// The uid of an entity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uid<'a> {
    type_name: &'a EntityTypeName,
    id: &'a str,
    /// Where somebody owns it: a long id is not copied then.
    owned: Option<&'a EntityUid>,
}

/// Some uids in their order, owned or borrowed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Uids<'a> {
    owned: &'a [EntityUid],
    borrowed: &'a [Uid<'a>],
}

/// Things by the type of an entity, and within it by the id.
#[derive(Debug)]
pub(super) struct ByUid<T>(FastMap<EntityTypeName, FastSet<T>>);

/// An id that is found by its text.
#[derive(Debug, Clone)]
pub(super) struct Id(EntityId);

impl<'a> Uid<'a> {
    pub(super) const fn new(type_name: &'a EntityTypeName, id: &'a str) -> Self {
        Self { type_name, id, owned: None }
    }

    pub(super) const fn type_name(self) -> &'a EntityTypeName {
        self.type_name
    }

    pub(super) const fn id(self) -> &'a str {
        self.id
    }

    /// As the engine takes it.
    pub(super) fn owned(self) -> EntityUid {
        let made = || EntityUid::from_type_name_and_id(self.type_name.clone(), EntityId::new(self.id));
        self.owned.cloned().unwrap_or_else(made)
    }
}

impl<'a> From<&'a EntityUid> for Uid<'a> {
    fn from(uid: &'a EntityUid) -> Self {
        Self { owned: Some(uid), ..Self::new(uid.type_name(), uid.id().unescaped()) }
    }
}

impl PartialEq for Uid<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Most names are those of one schema.
        self.id == other.id && (ptr::eq(self.type_name, other.type_name) || self.type_name == other.type_name)
    }
}

impl Eq for Uid<'_> {}

impl Hash for Uid<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.type_name.hash(state);
        self.id.hash(state);
    }
}

/// As policies write it.
impl fmt::Display for Uid<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.owned().fmt(formatter)
    }
}

impl<'a> Uids<'a> {
    pub(super) const fn is_empty(self) -> bool {
        self.owned.is_empty() && self.borrowed.is_empty()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Uid<'a>> {
        self.owned.iter().map(Uid::from).chain(self.borrowed.iter().copied())
    }
}

impl<'a> From<&'a [EntityUid]> for Uids<'a> {
    fn from(owned: &'a [EntityUid]) -> Self {
        Self { owned, ..Self::default() }
    }
}

impl<'a> From<&'a [Uid<'a>]> for Uids<'a> {
    fn from(borrowed: &'a [Uid<'a>]) -> Self {
        Self { borrowed, ..Self::default() }
    }
}

impl<T: Borrow<str> + Hash + Eq> ByUid<T> {
    pub(super) fn get(&self, uid: Uid<'_>) -> Option<&T> {
        self.0.get(uid.type_name)?.get(uid.id)
    }

    pub(super) fn contains(&self, uid: Uid<'_>) -> bool {
        self.get(uid).is_some()
    }

    /// Adds a thing of that type, unless it is there.
    pub(super) fn insert(&mut self, type_name: &EntityTypeName, thing: T) {
        match self.0.get_mut(type_name) {
            Some(of_type) => drop(of_type.insert(thing)),
            None => drop(self.0.insert(type_name.clone(), FastSet::from_iter([thing]))),
        }
    }

    /// Takes room for so many more of a type.
    pub(super) fn reserve(&mut self, type_name: &EntityTypeName, more: usize) {
        self.0.entry(type_name.clone()).or_default().reserve(more);
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(FastSet::len).sum()
    }

    /// All of them, each with its uid.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Uid<'_>, &T)> {
        self.0.iter().flat_map(|(type_name, things)| {
            things.iter().map(move |thing| (Uid::new(type_name, thing.borrow()), thing))
        })
    }
}

impl<T> Default for ByUid<T> {
    fn default() -> Self {
        Self(FastMap::default())
    }
}

impl Id {
    pub(super) fn new(id: &str) -> Self {
        Self(EntityId::new(id))
    }
}

impl From<&EntityId> for Id {
    fn from(id: &EntityId) -> Self {
        Self(id.clone())
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        self.0.unescaped()
    }
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.unescaped().hash(state);
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.0.unescaped() == other.0.unescaped()
    }
}

impl Eq for Id {}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;
    use std::str::FromStr;

    use super::*;

    fn uid(text: &str) -> EntityUid {
        EntityUid::from_str(text).unwrap()
    }

    #[test]
    fn uids_are_the_same_whoever_holds_them() {
        let (one, same) = (uid(r#"Shop::Product::"a\"b""#), uid(r#"Shop::Product::"a\"b""#));
        let others = [r#"Product::"a\"b""#, r#"Shop::Category::"a\"b""#, r#"Shop::Product::"ab""#].map(uid);
        let hasher = foldhash::fast::RandomState::default();
        assert_eq!(Uid::from(&one), Uid::from(&same));
        assert_eq!(hasher.hash_one(Uid::from(&one)), hasher.hash_one(Uid::from(&same)));
        assert_eq!(Uid::from(&one).owned(), one);
        assert_eq!(Uid::from(&one).to_string(), one.to_string());
        for other in &others {
            assert_ne!(Uid::from(&one), Uid::from(other), "{other}");
        }
    }

    #[test]
    fn things_are_found_by_type_and_id() {
        let mut things = ByUid::default();
        let (one, two) = (uid("Shop::Product::\"a\""), uid("Shop::Category::\"a\""));
        for uid in [&one, &two, &one] {
            things.insert(uid.type_name(), Id::from(uid.id()));
        }
        assert_eq!(things.len(), 2);
        assert!(things.contains((&one).into()) && things.contains((&two).into()));
        for absent in ["Product::\"a\"", "Shop::Product::\"b\"", "Shop::User::\"a\""].map(uid) {
            assert!(!things.contains((&absent).into()), "{absent}");
        }
        let mut all: Vec<_> = things.iter().map(|(uid, _)| uid.owned()).collect();
        all.sort();
        assert_eq!(all, [two, one]);
    }

    #[test]
    fn several_uids_come_in_their_order() {
        let owned = [uid("T::\"a\""), uid("T::\"b\"")];
        let borrowed: Vec<_> = owned.iter().map(Uid::from).collect();
        assert!(Uids::from(owned.as_slice()).iter().eq(borrowed.iter().copied()));
        assert!(Uids::from(&*borrowed).iter().eq(borrowed.iter().copied()));
        assert!(Uids::default().is_empty() && !Uids::from(owned.as_slice()).is_empty());
    }
}
