//! One question in its setting, every part of it judged under the schema, whichever policies there are.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Entity, EntityUid};

use super::Snapshot;
use super::ancestry::{ancestors, first_too_deep};
use super::check::{At, Checker, Form};
use super::entities::StoredEntity;
use super::index::Filed;
use super::principal::Principal;
use super::schema::{Action, EntityType};
use super::scope::Standing;
use super::setting::{GivenType, Setting};
use super::typed::{Members, expressions};
use super::uid::{Uid, Uids};
use crate::model::{EntityDescription, EntityReference, Question, Record, Refusal, RefusalCode};

/// A question that may be asked. Nothing is left that could be refused, whichever policies there are.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) principal: &'a Principal,
    pub(super) action: &'a Arc<Action>,
    pub(super) setting: &'a Setting<'a>,
    pub(super) context: &'a Members<'a>,
    pub(super) resource: Uid<'a>,
    /// What the body says of the resource.
    of_resource: Option<Described<'a>>,
    /// The resource, where it is stored.
    stored: Option<&'a StoredEntity>,
    /// What it says of others.
    further: HashMap<Uid<'a>, Described<'a>>,
    /// The entities that the descriptions name, repeats included.
    mentioned: Vec<Uid<'a>>,
}

/// What is known of an entity that is not the principal.
#[derive(Debug, Clone, Copy)]
enum Known<'a> {
    /// From the body.
    Described(&'a Described<'a>),
    Stored(&'a StoredEntity),
    Nothing,
}

/// What the body says of one entity.
#[derive(Debug)]
struct Described<'a> {
    attributes: Members<'a>,
    tags: Members<'a>,
    /// Those of the entities that the descriptions name which this names.
    mentions: Range<usize>,
    /// The last of those.
    parents: Range<usize>,
}

/// Judges one question, part by part.
#[derive(Debug)]
struct Intake<'a> {
    snapshot: &'a Snapshot,
    principal: &'a Principal,
    checker: Checker<'a>,
}

impl<'a> Case<'a> {
    /// Judges the rest of a question under the schema; the setting is its own.
    pub(super) fn judge(setting: &'a Setting<'a>, question: &'a Question) -> Result<Self, Refusal> {
        let Setting { snapshot, principal, action, .. } = setting;
        let resource = setting.resource_type.declared.uid(&question.resource.id)?;
        let checker = Checker::new(&snapshot.schema, Form::Plain);
        let mut intake = Intake { snapshot, principal, checker };
        let stored = snapshot.store.get(resource);
        let of_resource =
            intake.resource(&question.resource, setting.resource_type, resource, stored.is_some())?;
        let mut further = HashMap::default();
        for (index, entity) in question.entities.iter().enumerate() {
            let at = At::Element(&At::Root("entities"), index);
            let (uid, described) = intake.further(entity, resource, at)?;
            if further.contains_key(&uid) {
                return Err(Refusal::malformed(format!("`{at}`: `{uid}` is described twice")));
            }
            further.insert(uid, described);
        }
        let mentioned = intake.checker.mentioned;
        let context = setting.context.as_ref().map_err(Refusal::clone)?;
        let case = Self {
            snapshot,
            principal,
            action,
            setting,
            context,
            resource,
            of_resource,
            stored,
            further,
            mentioned,
        };
        case.check_ancestry()?;
        Ok(case)
    }

    /// The policies whose scope admits the question, by id.
    pub(super) fn admitting(&self) -> impl Iterator<Item = &'a Filed> + use<'a> {
        let about = self.setting.about_resources;
        let near = self.parents(self.resource);
        let resources = if self.stand_in_nothing(near) {
            about.admitting(self.resource, near.iter())
        } else {
            about.admitting(self.resource, self.ancestors_of_resource())
        };
        self.snapshot.index.admitting(self.action, &self.principal.rows, &resources)
    }

    /// The principal for scopes to look at.
    pub(super) fn principal(&self) -> Standing<'a, impl Fn(&EntityUid) -> bool> {
        let principal = self.principal;
        Standing::new((&principal.uid).into(), |uid| principal.ancestors.contains(uid))
    }

    /// The resource for scopes to look at. Its ancestors are found when the first scope asks.
    pub(super) fn resource(&self) -> Standing<'_, impl Fn(&EntityUid) -> bool> {
        let found = OnceCell::new();
        let find = || self.ancestors_of_resource();
        Standing::new(self.resource, move |uid| found.get_or_init(find).contains(&Uid::from(uid)))
    }

    /// An entity as the engine takes it, its ancestors left out where nobody asks for them; nothing where
    /// there is none of that uid.
    ///
    /// # Errors
    /// The engine's words; never for what was judged.
    pub(super) fn entity(&self, uid: Uid<'_>, ancestors: bool) -> Result<Option<Entity>, String> {
        if self.is_principal(uid) {
            return Ok(self.principal.alone.get(&self.principal.uid).cloned());
        }
        match self.known(uid) {
            Known::Described(described) => {
                let parents = if ancestors { self.named(&described.parents) } else { &[] };
                described.entity(uid, parents).map(Some)
            }
            Known::Stored(stored) => stored.entity().map(Some),
            // Of all entities, actions alone have types of that name.
            Known::Nothing if uid.type_name().basename() == "Action" => {
                Ok(self.snapshot.schema.action_entity(&uid.owned()).cloned())
            }
            Known::Nothing => Ok(None),
        }
    }

    /// What the description of an entity mentions, whoever gave it: its parents, and what its attributes
    /// and tags name.
    pub(super) fn mentioned_by<'s>(&'s self, uid: Uid<'s>) -> Uids<'s> {
        // Tokens name no entities, so of a principal all that is mentioned is stored.
        match self.known(uid) {
            Known::Described(described) => self.named(&described.mentions).into(),
            Known::Stored(stored) => stored.references().into(),
            Known::Nothing => Uids::default(),
        }
    }

    /// What an entity stands in by itself, whoever says so: the token, the body or the store.
    pub(super) fn parents<'s>(&'s self, uid: Uid<'s>) -> Uids<'s> {
        if self.is_principal(uid) {
            return Uids::from(&*self.principal.parents);
        }
        match self.known(uid) {
            Known::Described(described) => self.named(&described.parents).into(),
            Known::Stored(stored) => stored.parents().into(),
            Known::Nothing => Uids::default(),
        }
    }

    pub(super) fn stands_in_something(&self, uid: Uid<'_>) -> bool {
        !self.parents(uid).is_empty()
    }

    fn is_principal(&self, uid: Uid<'_>) -> bool {
        uid == Uid::from(&self.principal.uid)
    }

    fn named(&self, range: &Range<usize>) -> &[Uid<'a>] {
        self.mentioned.get(range.clone()).unwrap_or_default()
    }

    /// Whether none of these has ancestors.
    fn stand_in_nothing(&self, uids: Uids<'_>) -> bool {
        !uids.iter().any(|uid| self.stands_in_something(uid))
    }

    fn known<'s>(&'s self, uid: Uid<'s>) -> Known<'s> {
        let (described, stored) = if uid == self.resource {
            (self.of_resource.as_ref(), self.stored)
        } else {
            (self.further.get(&uid), None)
        };
        match (described, stored) {
            (Some(described), _) => Known::Described(described),
            (None, Some(stored)) => Known::Stored(stored),
            (None, None) => self.snapshot.store.get(uid).map_or(Known::Nothing, Known::Stored),
        }
    }

    fn ancestors_of_resource(&self) -> HashSet<Uid<'_>> {
        ancestors(self.parents(self.resource), |uid| self.parents(uid))
    }

    /// Ancestors of described entities: as many generations as are allowed, and no rings.
    fn check_ancestry(&self) -> Result<(), Refusal> {
        let limit = self.snapshot.limits.ancestry;
        let of_resource = self.of_resource.iter().map(|described| (&self.resource, described));
        let described = of_resource.chain(&self.further);
        let mut deep = described.filter(|(_, described)| {
            limit == 0 || !self.stand_in_nothing(self.named(&described.parents).into())
        });
        let Some((first, _)) = deep.next() else { return Ok(()) };
        let standing = std::iter::once(*first).chain(deep.map(|(uid, _)| *uid));
        match first_too_deep(standing, |uid| self.parents(uid), limit) {
            None => Ok(()),
            Some(uid) => Err(Refusal::malformed(format!(
                "`{uid}` has more than {limit} generations of ancestors, or stands in itself"
            ))),
        }
    }
}

impl Described<'_> {
    fn entity(&self, uid: Uid<'_>, parents: &[Uid<'_>]) -> Result<Entity, String> {
        let (attributes, tags) = (expressions(&self.attributes)?, expressions(&self.tags)?);
        Entity::new_with_tags(uid.owned(), attributes, parents.iter().map(|parent| parent.owned()), tags)
            .map_err(|error| error.to_string())
    }
}

impl<'a> Intake<'a> {
    /// The resource is always there as an entity: described by the body, stored, or the principal itself.
    fn resource(
        &mut self,
        given: &'a EntityDescription,
        of_type: GivenType<'a>,
        uid: Uid<'a>,
        is_stored: bool,
    ) -> Result<Option<Described<'a>>, Refusal> {
        let GivenType { declared, is_identity } = of_type;
        let there = is_stored || uid == Uid::from(&self.principal.uid);
        if given.describes() {
            self.may_describe(of_type, uid, is_stored, At::Root("resource"))?;
        } else if there {
            return Ok(None);
        }
        if is_identity
            && let Some((name, _)) = declared.attributes.0.iter().find(|(_, attribute)| attribute.required)
        {
            return Err(Refusal::mismatch(format!(
                "`{uid}` is not stored, and the schema requires its attribute `{name}`: entities of type `{}` come from tokens and stored entities only",
                declared.name
            )));
        }
        self.describe(given, declared, At::Root("resource")).map(Some)
    }

    /// Another entity of the body.
    fn further(
        &mut self,
        given: &'a EntityDescription,
        resource: Uid<'a>,
        at: At<'_>,
    ) -> Result<(Uid<'a>, Described<'a>), Refusal> {
        if given.type_name == "Action" || given.type_name.ends_with("::Action") {
            return Err(Refusal::malformed(format!(
                "`{at}` is an action: the schema alone says what actions are"
            )));
        }
        let of_type = GivenType::of(self.snapshot, &given.type_name)?;
        let uid = of_type.declared.uid(&given.id)?;
        if uid == resource {
            return Err(Refusal::malformed(format!("`{at}` is the resource: describe it in `resource`")));
        }
        self.may_describe(of_type, uid, self.snapshot.store.contains(uid), at)?;
        Ok((uid, self.describe(given, of_type.declared, at)?))
    }

    /// Identity comes from the token and the store alone, and what is stored is never overridden.
    fn may_describe(
        &self,
        of_type: GivenType<'_>,
        uid: Uid<'_>,
        is_stored: bool,
        at: At<'_>,
    ) -> Result<(), Refusal> {
        if of_type.is_identity {
            let detail = format!(
                "`{at}` describes an entity of type `{}`: those come from tokens and stored entities only",
                of_type.declared.name
            );
            return Err(Refusal::new(RefusalCode::ForgedIdentity, detail));
        }
        if self.principal.sealed.contains(uid) {
            let detail = format!(
                "`{at}` describes `{uid}`, which the principal stands in or speaks of: name it, and leave its description out"
            );
            return Err(Refusal::new(RefusalCode::ForgedIdentity, detail));
        }
        if is_stored {
            let detail =
                format!("`{at}` describes `{uid}`, which is stored: name it, and leave its description out");
            return Err(Refusal::new(RefusalCode::StoredEntity, detail));
        }
        Ok(())
    }

    fn describe(
        &mut self,
        given: &'a EntityDescription,
        declared: &'a EntityType,
        at: At<'_>,
    ) -> Result<Described<'a>, Refusal> {
        static NOTHING: Record = Record::new();
        let before = self.checker.mentioned.len();
        let attributes = given.attributes.as_ref().unwrap_or(&NOTHING);
        let attributes =
            self.checker.record(attributes, &declared.attributes, at.member("attributes"), |_| false)?;
        let tags = self.checker.tags(given.tags.as_ref().unwrap_or(&NOTHING), declared, at.member("tags"))?;
        let at_parents = at.member("parents");
        let before_parents = self.checker.mentioned.len();
        for (index, EntityReference { type_name, id }) in given.parents.iter().flatten().enumerate() {
            self.checker.parent(declared, type_name, id, At::Element(&at_parents, index))?;
        }
        let end = self.checker.mentioned.len();
        Ok(Described { attributes, tags, mentions: before..end, parents: before_parents..end })
    }
}
