//! The stored entities: read once, validated, and looked up by what a request can reach.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cedar_policy::{Entity, EntityTypeName, EntityUid};
use serde::Deserialize;

use super::Source;
use super::ancestry::first_too_deep;
use super::check::{At, Checker, Form};
use super::json::{self, Part};
use super::kept::{Keeper, KeptMembers, has_extension, kept_expressions};
use super::origin::{Origin, Origins};
use super::progress::{Progress, Work};
use super::schema::Schema;
use super::typed::Expressions;
use super::uid::{ByUid, Id, Uid, Uids};
use super::workers::on_several;
use crate::model::{Finding, Limits, Places, Record, Value};

/// How many generations of ancestors stored entities may have: the closure is kept per entity,
/// and a chain of 1,000 takes 114 MB.
const STORED_ANCESTRY: usize = 64;
/// The parents of one stored entity.
const STORED_PARENTS: usize = 1_000;

/// Every stored entity by uid.
#[derive(Debug, Default)]
pub(super) struct Store(ByUid<ById>);

/// A stored entity with what it leads to.
#[derive(Debug)]
pub(super) struct StoredEntity {
    uid: EntityUid,
    attributes: KeptMembers,
    tags: KeptMembers,
    /// Every entity that its attributes and tags mention, and then its parents.
    references: Box<[EntityUid]>,
    /// How many of them are parents.
    parents: u32,
    origin: Origin,
    /// As the engine takes it, where it takes long to make.
    made: Option<Box<Entity>>,
}

/// Found by its id. On the heap, so that a table with room to grow has no room for entities.
#[derive(Debug)]
struct ById(Box<StoredEntity>);

/// For each principal type the attributes that tokens supply. An attribute has one source, so
/// stored principals neither need nor may give them.
pub(super) type Supplied = HashMap<EntityTypeName, HashSet<String>>;

/// An entity of Cedar's entity format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an entity: {\"uid\": …, \"attrs\": …, \"parents\": …}")]
struct WrittenEntity {
    uid: Value,
    #[serde(default)]
    attrs: Record,
    #[serde(default)]
    parents: Vec<Value>,
    #[serde(default)]
    tags: Record,
}

/// What files of stored entities are read under.
#[derive(Debug)]
pub(super) struct StoredFiles<'a> {
    pub(super) schema: &'a Schema,
    pub(super) supplied: &'a Supplied,
    pub(super) limits: &'a Limits,
}

impl StoredFiles<'_> {
    /// Reads all files, on so many threads. The store holds what could be read; the findings say what
    /// could not.
    ///
    /// # Errors
    /// A thread stopped in the middle.
    pub(super) fn read(
        &self,
        sources: &[Source],
        threads: usize,
        progress: &Progress,
    ) -> Result<(Store, Vec<Finding>), Vec<Finding>> {
        progress.begin(Work::Entities, sources.len());
        let numbered: Vec<_> = (0_u32..).zip(sources).collect();
        let files = on_several(threads, &numbered, |(number, source)| {
            let read = self.file(*number, source);
            progress.one_more();
            read
        });
        let mut store = Store::default();
        let mut findings = Vec::new();
        let files = files?;
        store.reserve(files.iter().flat_map(|(entities, _)| entities));
        // Each in its own order, which is that of the files: of the firsts too, where a file was copied.
        let (mut firsts, mut seconds) = (Origins::of(sources), Origins::of(sources));
        for (entities, found) in files {
            findings.extend(found);
            for stored in entities {
                let Some(first) = store.get((&stored.0.uid).into()) else {
                    let type_name = stored.0.uid.type_name().clone();
                    store.0.insert(&type_name, stored);
                    continue;
                };
                if let Some((first, second)) = firsts.find(first.origin).zip(seconds.find(stored.0.origin)) {
                    let message = format!("`{}` is described twice, first at {first}", stored.0.uid);
                    findings.push(second.error("duplicate-entity", message));
                }
            }
        }
        if store.0.len() > self.limits.stored_entities
            && let Some(source) = sources.first()
        {
            let message =
                format!("{} entities are stored, more than {}", store.0.len(), self.limits.stored_entities);
            findings.push(
                Finding::error(&source.path, "too-many-entities", message)
                    .help("raise `limits.stored_entities`"),
            );
        }
        findings.extend(store.ancestry(sources));
        Ok((store, findings))
    }

    fn entity(
        &self,
        part: Part<'_>,
        origin: Origin,
        names: &mut HashSet<Arc<str>>,
    ) -> Result<StoredEntity, String> {
        let schema = self.schema;
        let written: WrittenEntity = part.read()?;
        let uid = reference(&written.uid).ok_or("`uid` is no entity: write {\"type\": …, \"id\": …}")?;
        let detail = |refusal: crate::model::Refusal| refusal.detail;
        let declared = schema.entity_type(uid.0).map_err(detail)?;
        let uid = declared.uid(uid.1).map_err(detail)?.owned();
        if written.parents.len() > STORED_PARENTS {
            return Err(format!("`{uid}` has {} parents, more than {STORED_PARENTS}", written.parents.len()));
        }
        let supplied = self.supplied.get(&declared.name);
        if let Some(name) =
            written.attrs.keys().find(|name| supplied.is_some_and(|supplied| supplied.contains(*name)))
        {
            return Err(format!(
                "`{uid}` gives `{name}`, which its tokens supply: an attribute has one source"
            ));
        }
        let mut checker = Checker::new(schema, Form::Cedar);
        let elsewhere = |name: &str| supplied.is_some_and(|supplied| supplied.contains(name));
        let attributes = checker
            .record(&written.attrs, &declared.attributes, At::Root("attrs"), elsewhere)
            .map_err(detail)?;
        let tags = checker.tags(&written.tags, declared, At::Root("tags")).map_err(detail)?;
        for parent in &written.parents {
            let (type_name, id) = reference(parent)
                .ok_or("a member of `parents` is no entity: write {\"type\": …, \"id\": …}")?;
            checker.parent(declared, type_name, id, At::Root("parents")).map_err(detail)?;
        }
        // A parent is mentioned where it is checked, so these are the last.
        let references: Box<[_]> = checker.mentioned.into_iter().map(Uid::owned).collect();
        let parents = u32::try_from(written.parents.len()).unwrap_or(u32::MAX);
        let mut keeper = Keeper::new(names, &references);
        let lost = "an entity that is mentioned is lost";
        let (attributes, tags) =
            (keeper.members(&attributes).ok_or(lost)?, keeper.members(&tags).ok_or(lost)?);
        let made = None;
        let mut stored = StoredEntity { uid, attributes, tags, references, parents, origin, made };
        // The engine takes it, whether or not it is made again for each request.
        let entity = stored.entity()?;
        if has_extension(&stored.attributes) || has_extension(&stored.tags) {
            stored.made = Some(Box::new(entity));
        }
        Ok(stored)
    }

    fn file(&self, number: u32, source: &Source) -> (Vec<ById>, Vec<Finding>) {
        let parts = match json::parts(source) {
            Ok(parts) => parts,
            Err(finding) => return (Vec::new(), vec![finding]),
        };
        let (mut entities, mut findings) = (Vec::with_capacity(parts.len()), Vec::new());
        let mut names = HashSet::new();
        let mut places = Places::of(&source.text);
        for part in parts {
            match self.entity(part, Origin::of(number, part), &mut names) {
                Ok(stored) => entities.push(ById(Box::new(stored))),
                Err(message) => findings.push(
                    Finding::error(&source.path, "entity", message)
                        .at(places.at(part.offset(), part.length())),
                ),
            }
        }
        (entities, findings)
    }
}

impl Store {
    pub(super) fn get(&self, uid: Uid<'_>) -> Option<&StoredEntity> {
        self.0.get(uid).map(|found| &*found.0)
    }

    /// Takes room for these.
    fn reserve<'a>(&mut self, entities: impl Iterator<Item = &'a ById>) {
        let mut counts = HashMap::<_, usize>::new();
        for ById(stored) in entities {
            *counts.entry(stored.uid.type_name()).or_default() += 1;
        }
        for (type_name, count) in counts {
            self.0.reserve(type_name, count);
        }
    }

    /// What a stored entity stands in by itself.
    pub(super) fn parents(&self, uid: Uid<'_>) -> Uids<'_> {
        self.get(uid).map(StoredEntity::parents).unwrap_or_default().into()
    }

    /// Its parents and every entity that its attributes and tags mention.
    pub(super) fn references(&self, uid: Uid<'_>) -> &[EntityUid] {
        self.get(uid).map_or(&[], StoredEntity::references)
    }

    pub(super) fn contains(&self, uid: Uid<'_>) -> bool {
        self.0.contains(uid)
    }

    /// Every uid that is described, or that a description mentions; repeats included.
    pub(super) fn mentioned(&self) -> impl Iterator<Item = &EntityUid> {
        self.0.iter().flat_map(|(_, ById(stored))| std::iter::once(&stored.uid).chain(&stored.references))
    }

    /// A uid and all its stored ancestors.
    pub(super) fn with_ancestors(&self, uid: &EntityUid) -> HashSet<EntityUid> {
        let mut reached = HashSet::new();
        let mut open = vec![uid.clone()];
        while let Some(uid) = open.pop() {
            if let Some(stored) = self.get((&uid).into()).filter(|_| !reached.contains(&uid)) {
                open.extend(stored.parents().iter().cloned());
            }
            reached.insert(uid);
        }
        reached
    }

    /// Everything that the roots lead to, over whatever is stored; the roots themselves and what is not
    /// stored included.
    pub(super) fn closure<'a>(&'a self, roots: impl IntoIterator<Item = Uid<'a>>) -> ByUid<Id> {
        let mut reached = ByUid::default();
        let mut open: Vec<_> = roots.into_iter().collect();
        while let Some(uid) = open.pop() {
            if !reached.contains(uid) {
                open.extend(self.references(uid).iter().map(Uid::from));
                reached.insert(uid.type_name(), Id::new(uid.id()));
            }
        }
        reached
    }

    /// The first chain of parents that is too long, or closed to a ring.
    fn ancestry(&self, sources: &[Source]) -> Option<Finding> {
        let mut stored: Vec<_> = self.0.iter().map(|(_, ById(stored))| stored).collect();
        stored.retain(|stored| stored.parents > 0);
        stored.sort_unstable_by_key(|stored| stored.origin);
        let uids = stored.into_iter().map(|stored| Uid::from(&stored.uid));
        let too_deep = first_too_deep(uids, |uid| self.parents(uid), STORED_ANCESTRY)?;
        let message = format!(
            "`{too_deep}` has more than {STORED_ANCESTRY} generations of ancestors, or stands in itself"
        );
        let described = Origins::of(sources).find(self.get(too_deep)?.origin)?;
        Some(described.error("ancestry", message))
    }
}

impl StoredEntity {
    /// What it stands in by itself.
    pub(super) fn parents(&self) -> &[EntityUid] {
        let first = self.references.len().saturating_sub(self.parents as usize);
        self.references.get(first..).unwrap_or_default()
    }

    /// Its attributes as the engine takes them; those that tokens supply are none of them.
    ///
    /// # Errors
    /// The engine's words; never for what was judged.
    pub(super) fn attributes(&self) -> Result<Expressions, String> {
        kept_expressions(&self.attributes, &self.references)
    }

    /// Its tags likewise.
    ///
    /// # Errors
    /// See [`Self::attributes`].
    pub(super) fn tags(&self) -> Result<Expressions, String> {
        kept_expressions(&self.tags, &self.references)
    }

    /// Every entity that its attributes and tags mention, and then its parents.
    pub(super) fn references(&self) -> &[EntityUid] {
        &self.references
    }

    /// As the engine takes it.
    ///
    /// # Errors
    /// See [`Self::attributes`].
    pub(super) fn entity(&self) -> Result<Entity, String> {
        if let Some(made) = &self.made {
            return Ok((**made).clone());
        }
        let parents = self.parents().iter().cloned();
        Entity::new_with_tags(self.uid.clone(), self.attributes()?, parents, self.tags()?)
            .map_err(|error| error.to_string())
    }
}

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        self.0.uid.id().unescaped()
    }
}

/// Within the entities of one type.
impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<str>::borrow(self).hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.uid.id() == other.0.uid.id()
    }
}

impl Eq for ById {}

/// `{"type": …, "id": …}`, or the same in Cedar's `__entity`.
fn reference(value: &Value) -> Option<(&str, &str)> {
    let Value::Record(given) = value else { return None };
    let given = match given.get("__entity") {
        Some(Value::Record(inner)) if given.len() == 1 => inner,
        Some(_) | None => given,
    };
    match (given.get("type"), given.get("id"), given.len()) {
        (Some(Value::String(type_name)), Some(Value::String(id)), 2) => Some((type_name, id)),
        _ => None,
    }
}
