//! The values of stored entities, as small as they can be kept: of a million entities, few are ever asked
//! about, and as the engine holds them each takes several kilobytes.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::schema::Extension;
use super::typed::{Expressions, Members, Typed, expressions};
use super::uid::Uid;

/// A value that was judged against its type.
#[derive(Debug)]
pub(super) enum Kept {
    Bool(bool),
    Long(i64),
    String(Box<str>),
    Set(Box<[Self]>),
    Record(KeptMembers),
    /// One of the entities that its holder refers to, by position.
    Entity(u32),
    Extension(Extension, Box<str>),
}

/// Attributes or tags by name.
pub(super) type KeptMembers = Box<[(Arc<str>, Kept)]>;

/// Turns typed values into kept ones: names are shared among them, and entities are those that one holder
/// refers to.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    pub(super) names: &'a mut HashSet<Arc<str>>,
    pub(super) references: &'a [EntityUid],
    /// Values mostly come in the order of the references.
    next: usize,
}

impl<'a> Keeper<'a> {
    pub(super) const fn new(names: &'a mut HashSet<Arc<str>>, references: &'a [EntityUid]) -> Self {
        Self { names, references, next: 0 }
    }

    /// Members to keep; nothing where an entity is none of the references.
    pub(super) fn members(&mut self, members: &Members<'_>) -> Option<KeptMembers> {
        members.iter().map(|(name, value)| Some((self.name(name), self.value(value)?))).collect()
    }

    fn value(&mut self, value: &Typed<'_>) -> Option<Kept> {
        Some(match value {
            Typed::Bool(value) => Kept::Bool(*value),
            Typed::Long(value) => Kept::Long(*value),
            Typed::String(text) => Kept::String((*text).into()),
            Typed::Set(elements) => {
                Kept::Set(elements.iter().map(|element| self.value(element)).collect::<Option<_>>()?)
            }
            Typed::Record(members) => Kept::Record(self.members(members)?),
            Typed::Entity(uid) => Kept::Entity(self.reference(*uid)?),
            Typed::Extension(kind, text) => Kept::Extension(*kind, (*text).into()),
        })
    }

    fn reference(&mut self, uid: Uid<'_>) -> Option<u32> {
        if self.references.get(self.next).map(Uid::from) != Some(uid) {
            self.next = self.references.iter().position(|reference| Uid::from(reference) == uid)?;
        }
        self.next += 1;
        u32::try_from(self.next - 1).ok()
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name = Arc::<str>::from(name);
        self.names.insert(Arc::clone(&name));
        name
    }
}

/// Members as the engine takes them.
///
/// # Errors
/// The engine's words; never for what was judged.
pub(super) fn kept_expressions(
    members: &KeptMembers,
    references: &[EntityUid],
) -> Result<Expressions, String> {
    expressions(&typed_members(members, references)?)
}

/// Whether an extension's parser runs when these are made for the engine, which takes longer than the rest
/// of a request.
pub(super) fn has_extension(members: &KeptMembers) -> bool {
    members.iter().any(|(_, value)| is_extension(value))
}

fn is_extension(value: &Kept) -> bool {
    match value {
        Kept::Extension(..) => true,
        Kept::Set(elements) => elements.iter().any(is_extension),
        Kept::Record(members) => has_extension(members),
        Kept::Bool(_) | Kept::Long(_) | Kept::String(_) | Kept::Entity(_) => false,
    }
}

fn typed_members<'a>(members: &'a KeptMembers, references: &'a [EntityUid]) -> Result<Members<'a>, String> {
    members.iter().map(|(name, value)| Ok((&**name, typed(value, references)?))).collect()
}

fn typed<'a>(value: &'a Kept, references: &'a [EntityUid]) -> Result<Typed<'a>, String> {
    Ok(match value {
        Kept::Bool(value) => Typed::Bool(*value),
        Kept::Long(value) => Typed::Long(*value),
        Kept::String(text) => Typed::String(text),
        Kept::Set(elements) => {
            let elements: Result<Vec<_>, String> =
                elements.iter().map(|element| typed(element, references)).collect();
            Typed::Set(elements?)
        }
        Kept::Record(members) => Typed::Record(typed_members(members, references)?),
        Kept::Entity(position) => {
            let uid = references.get(*position as usize).ok_or("an entity is lost")?;
            Typed::Entity(uid.into())
        }
        Kept::Extension(kind, text) => Typed::Extension(*kind, text),
    })
}
