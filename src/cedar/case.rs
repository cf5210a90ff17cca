//! Everything that one evaluation needs, put together and judged: the request and its entities.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};

use super::Snapshot;
use super::ancestry::first_too_deep;
use super::check::{At, Checker, Form, Members, extension};
use super::index::Candidates;
use super::principal::Principal;
use super::schema::{Action, EntityType, Extension, Type};
use crate::model::{EntityDescription, EntityReference, Question, Refusal, RefusalCode, Timestamp};

/// Members of the context that only the server fills in.
pub(super) const SERVER_CONTEXT: [&str; 3] = ["now", "token", "caller"];

/// A request in Cedar's form, every part of it judged.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) request: Request,
    pub(super) entities: Entities,
}

/// Puts one case together.
#[derive(Debug)]
struct Assembly<'a> {
    snapshot: &'a Snapshot,
    principal: &'a Principal,
    checker: Checker<'a>,
    /// What the body describes, by uid, with its parents.
    described: HashMap<EntityUid, Vec<EntityUid>>,
    entities: Vec<Entity>,
}

impl Case {
    /// Judges the question under the schema and gathers every entity that it can reach.
    pub(super) fn assemble(
        snapshot: &Snapshot,
        principal: &Principal,
        question: &Question,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let action = snapshot.schema.action(&question.action)?;
        let resource_type = snapshot.schema.entity_type(&question.resource.type_name)?;
        let resource = resource_type.entity(&question.resource.id)?;
        applies(action, principal, resource_type)?;

        let mut assembly = Assembly {
            snapshot,
            principal,
            checker: Checker::new(&snapshot.schema, Form::Plain),
            described: HashMap::new(),
            entities: Vec::new(),
        };
        assembly.resource(&question.resource, resource_type, &resource)?;
        for (index, entity) in question.entities.iter().enumerate() {
            assembly.further(entity, &resource, At::Element(&At::Root("entities"), index))?;
        }
        assembly.ancestry()?;
        let candidates = snapshot.index.candidates(&action.uid);
        let context = assembly.context(question, action)?;
        let context = match candidates.filter(|candidates| candidates.read_context) {
            Some(_) => with_now(snapshot, context, action, now)?,
            None => Context::empty(),
        };
        let entities = assembly.gather(candidates, action, &resource)?;
        let request = Request::new(principal.uid.clone(), action.uid.clone(), resource, context, None)
            .map_err(|error| Refusal::mismatch(error.to_string()))?;
        Ok(Self { request, entities })
    }
}

impl Assembly<'_> {
    /// The resource is always there as an entity: described by the body, stored, or the principal itself.
    fn resource(
        &mut self,
        given: &EntityDescription,
        declared: &EntityType,
        uid: &EntityUid,
    ) -> Result<(), Refusal> {
        let there = *uid == self.principal.uid || self.snapshot.store.contains(uid);
        if given.describes() {
            self.may_describe(declared, uid, At::Root("resource"))?;
        } else if there {
            return Ok(());
        }
        if self.snapshot.plans.is_identity(&declared.name)
            && let Some((name, _)) = declared.attributes.0.iter().find(|(_, attribute)| attribute.required)
        {
            return Err(Refusal::mismatch(format!(
                "`{uid}` is not stored, and the schema requires its attribute `{name}`: entities of type `{}` come from tokens and stored entities only",
                declared.name
            )));
        }
        self.describe(given, declared, uid, At::Root("resource"))
    }

    /// Another entity of the body.
    fn further(
        &mut self,
        given: &EntityDescription,
        resource: &EntityUid,
        at: At<'_>,
    ) -> Result<(), Refusal> {
        if given.type_name == "Action" || given.type_name.ends_with("::Action") {
            return Err(Refusal::malformed(format!(
                "`{at}` is an action: the schema alone says what actions are"
            )));
        }
        let declared = self.snapshot.schema.entity_type(&given.type_name)?;
        let uid = declared.entity(&given.id)?;
        if uid == *resource {
            return Err(Refusal::malformed(format!("`{at}` is the resource: describe it in `resource`")));
        }
        if self.described.contains_key(&uid) {
            return Err(Refusal::malformed(format!("`{at}`: `{uid}` is described twice")));
        }
        self.may_describe(declared, &uid, at)?;
        self.describe(given, declared, &uid, at)
    }

    /// Identity comes from the token and the store alone, and what is stored is never overridden.
    fn may_describe(&self, declared: &EntityType, uid: &EntityUid, at: At<'_>) -> Result<(), Refusal> {
        if self.snapshot.plans.is_identity(&declared.name) {
            let detail = format!(
                "`{at}` describes an entity of type `{}`: those come from tokens and stored entities only",
                declared.name
            );
            return Err(Refusal::new(RefusalCode::ForgedIdentity, detail));
        }
        if self.principal.sealed.contains(uid) {
            let detail = format!(
                "`{at}` describes `{uid}`, which the principal stands in or speaks of: name it, and leave its description out"
            );
            return Err(Refusal::new(RefusalCode::ForgedIdentity, detail));
        }
        if self.snapshot.store.contains(uid) {
            let detail =
                format!("`{at}` describes `{uid}`, which is stored: name it, and leave its description out");
            return Err(Refusal::new(RefusalCode::StoredEntity, detail));
        }
        Ok(())
    }

    fn describe(
        &mut self,
        given: &EntityDescription,
        declared: &EntityType,
        uid: &EntityUid,
        at: At<'_>,
    ) -> Result<(), Refusal> {
        let nothing = crate::model::Record::new();
        let attributes = given.attributes.as_ref().unwrap_or(&nothing);
        let attributes =
            self.checker.record(attributes, &declared.attributes, at.member("attributes"), |_| false)?;
        let tags = self.checker.tags(given.tags.as_ref().unwrap_or(&nothing), declared, at.member("tags"))?;
        let at_parents = at.member("parents");
        let mut parents = Vec::new();
        for (index, EntityReference { type_name, id }) in given.parents.iter().flatten().enumerate() {
            parents.push(self.checker.parent(declared, type_name, id, At::Element(&at_parents, index))?);
        }
        let entity = Entity::new_with_tags(uid.clone(), attributes, parents.iter().cloned(), tags)
            .map_err(|error| Refusal::mismatch(format!("`{at}`: {error}")))?;
        self.entities.push(entity);
        self.described.insert(uid.clone(), parents);
        Ok(())
    }

    fn context(&mut self, question: &Question, action: &Action) -> Result<Members, Refusal> {
        if let Some(name) = SERVER_CONTEXT.iter().find(|name| question.context.contains_key(**name)) {
            return Err(Refusal::malformed(format!("`context.{name}` is filled in by the server")));
        }
        let supplied = |name: &str| name == "now" && wants_now(action);
        self.checker.record(&question.context, &action.context, At::Root("context"), supplied)
    }

    /// Ancestors of described entities: as many generations as are allowed, and no rings.
    fn ancestry(&self) -> Result<(), Refusal> {
        let limit = self.snapshot.limits.ancestry;
        let stored = |uid: &EntityUid| self.snapshot.store.get(uid).map(|stored| stored.parents.as_slice());
        let parents = |uid: &EntityUid| self.described.get(uid).map(Vec::as_slice).or_else(|| stored(uid));
        match first_too_deep(self.described.keys(), parents, limit) {
            None => Ok(()),
            Some(uid) => Err(Refusal::malformed(format!(
                "`{uid}` has more than {limit} generations of ancestors, or stands in itself"
            ))),
        }
    }

    /// The described entities, the principal's closure, the action with its groups, and everything
    /// stored that any of them, the context or the policies themselves lead to.
    fn gather(
        mut self,
        candidates: Option<&Arc<Candidates>>,
        action: &Action,
        resource: &EntityUid,
    ) -> Result<Entities, Refusal> {
        let mut reached: HashSet<EntityUid> = self.principal.sealed.clone();
        reached.extend(self.described.keys().cloned());
        let roots = std::mem::take(&mut self.checker.mentioned);
        self.entities.extend(self.principal.entities.iter().cloned());
        self.snapshot.store.gather(
            roots.into_iter().chain([resource.clone()]),
            &mut reached,
            &mut self.entities,
        );
        if let Some(candidates) = candidates {
            let of_policies = candidates.entities.iter().filter(|entity| !reached.contains(&entity.uid()));
            self.entities.extend(of_policies.cloned());
        }
        self.entities.extend(action.entities.iter().cloned());
        Entities::from_entities(self.entities, None).map_err(|error| Refusal::malformed(error.to_string()))
    }
}

/// The context with the time of the request, where the schema declares it.
fn with_now(
    snapshot: &Snapshot,
    mut given: Members,
    action: &Action,
    now: Timestamp,
) -> Result<Context, Refusal> {
    if wants_now(action) {
        given.push(("now".to_owned(), snapshot.last_now.at(now).map_err(Refusal::mismatch)?));
    }
    Context::from_pairs(given).map_err(|error| Refusal::mismatch(error.to_string()))
}

fn wants_now(action: &Action) -> bool {
    action.context.0.get("now").is_some_and(|now| now.ty == Type::Extension(Extension::Datetime))
}

/// The last point in time in Cedar's form. Making one runs Cedar's parser, and the requests of one
/// millisecond share it.
#[derive(Debug, Default)]
pub(super) struct LastNow(Mutex<Option<(Timestamp, RestrictedExpression)>>);

impl LastNow {
    fn at(&self, now: Timestamp) -> Result<RestrictedExpression, String> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((time, expression)) if *time == now => Ok(expression.clone()),
            Some(_) | None => {
                let expression = extension(Extension::Datetime, &now.to_string())?;
                *last = Some((now, expression.clone()));
                Ok(expression)
            }
        }
    }
}

fn applies(action: &Action, principal: &Principal, resource: &EntityType) -> Result<(), Refusal> {
    if !action.resources.contains(&resource.name) {
        return Err(Refusal::mismatch(format!(
            "`{}` does not apply to resources of type `{}`, but to {}",
            action.name,
            resource.name,
            list(action.resources.iter())
        )));
    }
    if !action.principals.contains(principal.uid.type_name()) {
        return Err(Refusal::mismatch(format!(
            "`{}` does not apply to principals of type `{}`, but to {}",
            action.name,
            principal.uid.type_name(),
            list(action.principals.iter())
        )));
    }
    Ok(())
}

fn list(names: impl Iterator<Item = impl ToString>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{}`", name.to_string())).collect();
    names.sort();
    if names.is_empty() { "nothing: it is a group of actions".to_owned() } else { names.join(", ") }
}

/// What is wrong with the way an action declares a context member that the server fills in.
pub(super) fn reserved_context(action: &Action) -> Option<String> {
    let now = action.context.0.get("now")?;
    (now.ty != Type::Extension(Extension::Datetime)).then(|| {
        format!(
            "`{}` declares `context.now`, which the server fills in, with another type than datetime",
            action.name
        )
    })
}
