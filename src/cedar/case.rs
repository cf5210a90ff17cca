//! One question, every part of it judged under the schema; and, only where a condition must be
//! evaluated, the request and the entities for the engine.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};

use super::Snapshot;
use super::ancestry::{ancestors, first_too_deep};
use super::check::{At, Checker, Form};
use super::conditions::Scene;
use super::extension;
use super::index::Candidates;
use super::principal::Principal;
use super::schema::{Action, EntityType, Extension, Type};
use super::scope::Standing;
use super::typed::{Members, expressions};
use crate::model::{EntityDescription, EntityReference, Question, Record, Refusal, RefusalCode, Timestamp};

/// Members of the context that only the server fills in.
pub(super) const SERVER_CONTEXT: [&str; 3] = ["now", "token", "caller"];

/// A question that may be asked. Nothing is left that could be refused, whichever policies there are.
#[derive(Debug)]
pub(super) struct Case<'a> {
    snapshot: &'a Snapshot,
    principal: &'a Principal,
    pub(super) action: &'a Arc<Action>,
    resource: EntityUid,
    /// What the body describes.
    described: BTreeMap<EntityUid, Described<'a>>,
    context: Members<'a>,
    /// The entities that the body names, repeats included.
    mentioned: Vec<EntityUid>,
}

/// What the body says of one entity.
#[derive(Debug)]
struct Described<'a> {
    attributes: Members<'a>,
    tags: Members<'a>,
    parents: Vec<EntityUid>,
}

/// Judges one question, part by part.
#[derive(Debug)]
struct Intake<'a> {
    snapshot: &'a Snapshot,
    principal: &'a Principal,
    checker: Checker<'a>,
    described: BTreeMap<EntityUid, Described<'a>>,
}

impl<'a> Case<'a> {
    /// Judges the question under the schema.
    pub(super) fn judge(
        snapshot: &'a Snapshot,
        principal: &'a Principal,
        question: &'a Question,
    ) -> Result<Self, Refusal> {
        let action = snapshot.schema.action(&question.action)?;
        let resource_type = snapshot.schema.entity_type(&question.resource.type_name)?;
        let resource = resource_type.entity(&question.resource.id)?;
        applies(action, principal, resource_type)?;

        let checker = Checker::new(&snapshot.schema, Form::Plain);
        let mut intake = Intake { snapshot, principal, checker, described: BTreeMap::new() };
        intake.resource(&question.resource, resource_type, &resource)?;
        for (index, entity) in question.entities.iter().enumerate() {
            intake.further(entity, &resource, At::Element(&At::Root("entities"), index))?;
        }
        let context = intake.context(question, action)?;
        let Intake { checker, described, .. } = intake;
        let mentioned = checker.mentioned;
        let case = Self { snapshot, principal, action, resource, described, context, mentioned };
        case.check_ancestry()?;
        Ok(case)
    }

    /// The policies whose scope admits the action.
    pub(super) fn candidates(&self) -> Option<&'a Arc<Candidates>> {
        self.snapshot.index.candidates(&self.action.uid)
    }

    /// The principal for scopes to look at.
    pub(super) fn principal(&self) -> Standing<'a, impl Fn(&EntityUid) -> bool> {
        let principal = self.principal;
        Standing::new(&principal.uid, |uid| principal.ancestors.contains(uid))
    }

    /// The resource for scopes to look at. Its ancestors are found when the first scope asks.
    pub(super) fn resource(&self) -> Standing<'_, impl Fn(&EntityUid) -> bool> {
        let found = OnceCell::new();
        let find = || ancestors(self.parents(&self.resource).unwrap_or_default(), |uid| self.parents(uid));
        Standing::new(&self.resource, move |uid| found.get_or_init(find).contains(uid))
    }

    /// The request and every entity that conditions of the candidates can reach.
    pub(super) fn build(
        &self,
        candidates: &Candidates,
        now: Timestamp,
    ) -> Result<(Request, Entities), Refusal> {
        let context = if candidates.read_context { self.context_at(now)? } else { Context::empty() };
        let (principal, action) = (self.principal.uid.clone(), self.action.uid.clone());
        let request = Request::new(principal, action, self.resource.clone(), context, None)
            .map_err(|error| Refusal::mismatch(error.to_string()))?;
        Ok((request, self.entities(candidates)?))
    }

    /// The same, for conditions that are judged one by one.
    pub(super) fn scene(&self, now: Timestamp) -> Result<Scene, Refusal> {
        let nobody = Candidates::default();
        let candidates = self.candidates().map_or(&nobody, |candidates| candidates);
        let (request, entities) = self.build(candidates, now)?;
        Ok(Scene { request, entities })
    }

    /// What an entity stands in by itself, whoever says so: the token, the body or the store.
    fn parents(&self, uid: &EntityUid) -> Option<&[EntityUid]> {
        if *uid == self.principal.uid {
            return Some(&self.principal.parents);
        }
        let described = self.described.get(uid).map(|described| described.parents.as_slice());
        described.or_else(|| self.snapshot.store.parents(uid))
    }

    /// Ancestors of described entities: as many generations as are allowed, and no rings.
    fn check_ancestry(&self) -> Result<(), Refusal> {
        let limit = self.snapshot.limits.ancestry;
        let standing = self.described.iter().filter(|(_, described)| !described.parents.is_empty());
        match first_too_deep(standing.map(|(uid, _)| uid), |uid| self.parents(uid), limit) {
            None => Ok(()),
            Some(uid) => Err(Refusal::malformed(format!(
                "`{uid}` has more than {limit} generations of ancestors, or stands in itself"
            ))),
        }
    }

    /// The context with the time of the request, where the schema declares it.
    fn context_at(&self, now: Timestamp) -> Result<Context, Refusal> {
        let mut given = expressions(&self.context).map_err(Refusal::mismatch)?;
        if wants_now(self.action) {
            given.push(("now".to_owned(), self.snapshot.last_now.at(now)));
        }
        Context::from_pairs(given).map_err(|error| Refusal::mismatch(error.to_string()))
    }

    /// The described entities, the principal's closure, the action with its groups, and everything
    /// stored that any of them, the context or the policies themselves lead to.
    fn entities(&self, candidates: &Candidates) -> Result<Entities, Refusal> {
        let mut entities = Vec::with_capacity(self.described.len() + self.principal.entities.len());
        for (uid, described) in &self.described {
            entities.push(described.entity(uid.clone()).map_err(Refusal::mismatch)?);
        }
        entities.extend(self.principal.entities.iter().cloned());
        let mut reached: HashSet<EntityUid> = self.principal.sealed.clone();
        reached.extend(self.described.keys().cloned());
        let roots = self.mentioned.iter().cloned().chain([self.resource.clone()]);
        self.snapshot.store.gather(roots, &mut reached, &mut entities);
        let of_policies = candidates.entities.iter().filter(|entity| !reached.contains(&entity.uid()));
        entities.extend(of_policies.cloned());
        entities.extend(self.action.entities.iter().cloned());
        Entities::from_entities(entities, None).map_err(|error| Refusal::malformed(error.to_string()))
    }
}

impl Described<'_> {
    fn entity(&self, uid: EntityUid) -> Result<Entity, String> {
        let (attributes, tags) = (expressions(&self.attributes)?, expressions(&self.tags)?);
        Entity::new_with_tags(uid, attributes, self.parents.iter().cloned(), tags)
            .map_err(|error| error.to_string())
    }
}

impl<'a> Intake<'a> {
    /// The resource is always there as an entity: described by the body, stored, or the principal itself.
    fn resource(
        &mut self,
        given: &'a EntityDescription,
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
        given: &'a EntityDescription,
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
        given: &'a EntityDescription,
        declared: &EntityType,
        uid: &EntityUid,
        at: At<'_>,
    ) -> Result<(), Refusal> {
        static NOTHING: Record = Record::new();
        let attributes = given.attributes.as_ref().unwrap_or(&NOTHING);
        let attributes =
            self.checker.record(attributes, &declared.attributes, at.member("attributes"), |_| false)?;
        let tags = self.checker.tags(given.tags.as_ref().unwrap_or(&NOTHING), declared, at.member("tags"))?;
        let at_parents = at.member("parents");
        let mut parents = Vec::new();
        for (index, EntityReference { type_name, id }) in given.parents.iter().flatten().enumerate() {
            parents.push(self.checker.parent(declared, type_name, id, At::Element(&at_parents, index))?);
        }
        self.described.insert(uid.clone(), Described { attributes, tags, parents });
        Ok(())
    }

    fn context(&mut self, question: &'a Question, action: &Action) -> Result<Members<'a>, Refusal> {
        if let Some(name) = SERVER_CONTEXT.iter().find(|name| question.context.contains_key(**name)) {
            return Err(Refusal::malformed(format!("`context.{name}` is filled in by the server")));
        }
        let supplied = |name: &str| name == "now" && wants_now(action);
        self.checker.record(&question.context, &action.context, At::Root("context"), supplied)
    }
}

fn wants_now(action: &Action) -> bool {
    action.context.0.get("now").is_some_and(|now| now.ty == Type::Extension(Extension::Datetime))
}

/// The last point in time in Cedar's form. Making one runs Cedar's parser, and the requests of one
/// millisecond share it.
#[derive(Debug, Default)]
pub(super) struct LastNow(Mutex<Option<(Timestamp, RestrictedExpression)>>);

impl LastNow {
    fn at(&self, now: Timestamp) -> RestrictedExpression {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((time, expression)) if *time == now => expression.clone(),
            Some(_) | None => {
                let expression = extension::expression(Extension::Datetime, &now.to_string());
                *last = Some((now, expression.clone()));
                expression
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
