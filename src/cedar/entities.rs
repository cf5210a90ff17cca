//! The stored entities: read once, validated, and looked up by what a request can reach.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityTypeName, EntityUid};
use serde::Deserialize;

use super::Source;
use super::ancestry::first_too_deep;
use super::check::{At, Checker, Form};
use super::json::{self, Part};
use super::schema::Schema;
use super::typed::{Expressions, expressions};
use crate::model::value;
use crate::model::{Finding, Limits, Record, Value};

/// How many generations of ancestors stored entities may have: the closure is kept per entity,
/// and a chain of 1,000 takes 114 MB.
const STORED_ANCESTRY: usize = 64;
/// The parents of one stored entity.
const STORED_PARENTS: usize = 1_000;

/// Every stored entity by uid.
#[derive(Debug, Default)]
pub(super) struct Store(HashMap<EntityUid, StoredEntity>);

/// A stored entity with what it leads to.
#[derive(Debug)]
pub(super) struct StoredEntity {
    entity: Entity,
    pub(super) parents: Vec<EntityUid>,
    /// Its parents and every entity that its attributes and tags mention.
    references: Vec<EntityUid>,
    /// What a token's claims are added to, for entities of a principal's type.
    pub(super) written: Option<Box<Written>>,
}

/// The attributes and tags of a stored principal, still apart from the entity.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) attributes: Expressions,
    pub(super) tags: Expressions,
}

/// For each principal type the attributes that tokens supply. An attribute has one source, so
/// stored principals neither need nor may give them.
pub(super) type Supplied = HashMap<EntityTypeName, HashSet<String>>;

/// An entity of Cedar's entity format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an entity: {\"uid\": …, \"attrs\": …, \"parents\": …}")]
struct WrittenEntity {
    uid: Value,
    #[serde(default, deserialize_with = "value::record")]
    attrs: Record,
    #[serde(default)]
    parents: Vec<Value>,
    #[serde(default, deserialize_with = "value::record")]
    tags: Record,
}

impl Store {
    /// Reads all files. The store holds what could be read; the findings say what could not.
    pub(super) fn read(
        sources: &[Source],
        schema: &Schema,
        supplied: &Supplied,
        limits: &Limits,
    ) -> (Self, Vec<Finding>) {
        let mut store = Self::default();
        let mut origins: HashMap<EntityUid, Part<'_>> = HashMap::new();
        let mut findings = Vec::new();
        for source in sources {
            let parts = json::parts(source).unwrap_or_else(|finding| {
                findings.push(finding);
                Vec::new()
            });
            for part in parts {
                let stored = match read_entity(part, schema, supplied) {
                    Ok(stored) => stored,
                    Err(message) => {
                        findings.push(part.error("entity", message));
                        continue;
                    }
                };
                let uid = stored.entity.uid();
                if let Some(first) = origins.get(&uid) {
                    let (path, place) = (&first.source.path, first.place());
                    let message = format!(
                        "`{uid}` is described twice, first at {path}:{}:{}",
                        place.line, place.column
                    );
                    findings.push(part.error("duplicate-entity", message));
                    continue;
                }
                origins.insert(uid.clone(), part);
                store.0.insert(uid, stored);
            }
        }
        if store.0.len() > limits.stored_entities
            && let Some(source) = sources.first()
        {
            let message =
                format!("{} entities are stored, more than {}", store.0.len(), limits.stored_entities);
            findings.push(
                Finding::error(&source.path, "too-many-entities", message)
                    .help("raise `limits.stored_entities`"),
            );
        }
        findings.extend(store.ancestry(&origins));
        (store, findings)
    }

    pub(super) fn get(&self, uid: &EntityUid) -> Option<&StoredEntity> {
        self.0.get(uid)
    }

    /// What a stored entity stands in by itself.
    pub(super) fn parents(&self, uid: &EntityUid) -> Option<&[EntityUid]> {
        self.0.get(uid).map(|stored| stored.parents.as_slice())
    }

    pub(super) fn entity(&self, uid: &EntityUid) -> Option<&Entity> {
        self.0.get(uid).map(|stored| &stored.entity)
    }

    /// Its parents and every entity that its attributes and tags mention.
    pub(super) fn references(&self, uid: &EntityUid) -> &[EntityUid] {
        self.0.get(uid).map_or(&[], |stored| &stored.references)
    }

    pub(super) fn contains(&self, uid: &EntityUid) -> bool {
        self.0.contains_key(uid)
    }

    /// Every uid that is described, or that a description mentions; repeats included.
    pub(super) fn mentioned(&self) -> impl Iterator<Item = &EntityUid> {
        self.0.iter().flat_map(|(uid, stored)| std::iter::once(uid).chain(&stored.references))
    }

    /// A uid and all its stored ancestors.
    pub(super) fn with_ancestors(&self, uid: &EntityUid) -> HashSet<EntityUid> {
        let mut reached = HashSet::new();
        let mut open = vec![uid.clone()];
        while let Some(uid) = open.pop() {
            if let Some(stored) = self.0.get(&uid).filter(|_| !reached.contains(&uid)) {
                open.extend(stored.parents.iter().cloned());
            }
            reached.insert(uid);
        }
        reached
    }

    /// Everything that the roots lead to, over whatever is stored; the roots themselves and what is not
    /// stored included.
    pub(super) fn closure(&self, roots: impl IntoIterator<Item = EntityUid>) -> HashSet<EntityUid> {
        let mut reached = HashSet::new();
        let mut open: Vec<EntityUid> = roots.into_iter().collect();
        while let Some(uid) = open.pop() {
            if !reached.contains(&uid) {
                open.extend(self.references(&uid).iter().cloned());
                reached.insert(uid);
            }
        }
        reached
    }

    /// The first chain of parents that is too long, or closed to a ring.
    fn ancestry(&self, origins: &HashMap<EntityUid, Part<'_>>) -> Option<Finding> {
        let mut uids: Vec<_> = self.0.keys().collect();
        uids.sort_unstable_by_key(|uid| origins.get(*uid).map(|part| (&part.source.path, part.offset())));
        let too_deep = first_too_deep(uids, |uid| self.parents(uid), STORED_ANCESTRY)?;
        let message = format!(
            "`{too_deep}` has more than {STORED_ANCESTRY} generations of ancestors, or stands in itself"
        );
        Some(origins.get(too_deep)?.error("ancestry", message))
    }
}

fn read_entity(part: Part<'_>, schema: &Schema, supplied: &Supplied) -> Result<StoredEntity, String> {
    let written: WrittenEntity = part.read()?;
    let uid = reference(&written.uid).ok_or("`uid` is no entity: write {\"type\": …, \"id\": …}")?;
    let detail = |refusal: crate::model::Refusal| refusal.detail;
    let declared = schema.entity_type(uid.0).map_err(detail)?;
    let uid = declared.entity(uid.1).map_err(detail)?;
    if written.parents.len() > STORED_PARENTS {
        return Err(format!("`{uid}` has {} parents, more than {STORED_PARENTS}", written.parents.len()));
    }
    let supplied = supplied.get(&declared.name);
    if let Some(name) =
        written.attrs.keys().find(|name| supplied.is_some_and(|supplied| supplied.contains(*name)))
    {
        return Err(format!("`{uid}` gives `{name}`, which its tokens supply: an attribute has one source"));
    }
    let mut checker = Checker::new(schema, Form::Cedar);
    let elsewhere = |name: &str| supplied.is_some_and(|supplied| supplied.contains(name));
    let attributes =
        checker.record(&written.attrs, &declared.attributes, At::Root("attrs"), elsewhere).map_err(detail)?;
    let tags = checker.tags(&written.tags, declared, At::Root("tags")).map_err(detail)?;
    let mut parents = Vec::with_capacity(written.parents.len());
    for parent in &written.parents {
        let (type_name, id) =
            reference(parent).ok_or("a member of `parents` is no entity: write {\"type\": …, \"id\": …}")?;
        parents.push(checker.parent(declared, type_name, id, At::Root("parents")).map_err(detail)?);
    }
    let (attributes, tags) = (expressions(&attributes)?, expressions(&tags)?);
    let written = supplied.map(|_| Box::new(Written { attributes: attributes.clone(), tags: tags.clone() }));
    let entity = Entity::new_with_tags(uid, attributes, parents.iter().cloned(), tags)
        .map_err(|error| error.to_string())?;
    Ok(StoredEntity { entity, parents, references: checker.mentioned, written })
}

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
