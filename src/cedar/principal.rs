//! From an identity to the principal's entity, by a plan that is made once per snapshot, and the
//! principal's sealed closure: what no request may describe.

use std::sync::{Arc, OnceLock};

use cedar_policy::{Entities, Entity, EntityTypeName, EntityUid, RestrictedExpression};

use super::ancestry::ancestors;
use super::attribute_source::{STANDARD, Source};
use super::claims::convert;
use super::entities::{Store, StoredEntity, Supplied};
use super::hashing::{FastMap, FastSet};
use super::index::{Index, Row};
use super::mapping::{configuration, judge_mapping, unknown_attributes};
use super::schema::{EntityType, Schema, Type};
use super::typed::Expressions;
use super::uid::{ByUid, Id, Uid, Uids};
use crate::model::printed::Members;
use crate::model::{Finding, Identity, Issuer, Kind, Refusal, RefusalCode};

/// A principal that is ready for any number of requests.
#[derive(Debug)]
pub struct Principal {
    pub(super) uid: EntityUid,
    /// The uid as policies write it.
    pub(super) name: Arc<str>,
    /// Where the policies are whose scope admits it.
    pub(super) rows: Box<[Row]>,
    /// What it stands in, near and far.
    pub(super) ancestors: FastSet<EntityUid>,
    /// What it stands in by itself: the groups of the token, and the parents that are stored.
    pub(super) parents: Vec<EntityUid>,
    /// The principal as an entity, with all of its ancestors, and no other entity.
    pub(super) alone: Entities,
    /// The same without what it stands in, for those who do not ask.
    pub(super) without_ancestors: Entities,
    /// The closure: itself, its ancestors, and everything that they lead to, stored or not. A body may
    /// name these and describe none.
    pub(super) sealed: ByUid<Id>,
    /// The groups that the token names.
    pub(super) token_groups: FastSet<EntityUid>,
    /// What every record has of it, once one was written.
    on_record: OnceLock<Members>,
}

impl Principal {
    /// What every record has of it, which `write` writes from its uid: once.
    ///
    /// # Errors
    /// What `write` says.
    pub fn on_record<E>(&self, write: impl FnOnce(&str) -> Result<Members, E>) -> Result<&Members, E> {
        if let Some(written) = self.on_record.get() {
            return Ok(written);
        }
        let written = write(&self.name)?;
        Ok(self.on_record.get_or_init(|| written))
    }
}

/// How the identities of every issuer become principals.
#[derive(Debug, Default)]
pub(super) struct Plans {
    by_issuer: FastMap<Arc<str>, Plan>,
    /// The types of principals, groups and machines: never described by a body.
    identity_types: FastSet<EntityTypeName>,
}

/// How the identities of one issuer become principals.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) issuer: Issuer,
    pub(super) user: KindPlan,
    machine: Option<KindPlan>,
    pub(super) group: Arc<EntityType>,
}

/// How one kind of identity becomes a principal.
#[derive(Debug)]
pub(super) struct KindPlan {
    pub(super) entity_type: Arc<EntityType>,
    pub(super) attributes: Vec<PlannedAttribute>,
}

/// One attribute with its one source.
#[derive(Debug)]
pub(super) struct PlannedAttribute {
    pub(super) name: String,
    ty: Type,
    pub(super) required: bool,
    pub(super) source: Source,
}

impl Plans {
    /// Makes the plans. Without issuers there is one for the contract's default types, and what
    /// the schema lacks for it is no finding.
    pub(super) fn of(issuers: &[Issuer], schema: &Schema) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut plans = Self::default();
        let unconfigured = [Issuer::unconfigured()];
        for issuer in if issuers.is_empty() { &unconfigured } else { issuers } {
            let (plan, found) = Plan::of(issuer, schema);
            if !issuers.is_empty() {
                findings.extend(found);
            }
            plans.add(issuer, plan);
        }
        (plans, findings)
    }

    fn add(&mut self, issuer: &Issuer, plan: Option<Plan>) {
        let Some(plan) = plan else { return };
        let kinds = [Some(&plan.user), plan.machine.as_ref()].into_iter().flatten();
        self.identity_types.extend(kinds.map(|kind| kind.entity_type.name.clone()));
        self.identity_types.insert(plan.group.name.clone());
        self.by_issuer.insert(Arc::clone(&issuer.issuer), plan);
    }

    /// The plan of each issuer.
    pub(super) fn all(&self) -> impl Iterator<Item = &Plan> {
        self.by_issuer.values()
    }

    /// Whether entities of this type are principals, groups or machines.
    pub(super) fn is_identity(&self, type_name: &EntityTypeName) -> bool {
        self.identity_types.contains(type_name)
    }

    /// The attributes that tokens supply, by principal type.
    pub(super) fn supplied(&self) -> Supplied {
        let mut supplied = Supplied::new();
        for plan in self.by_issuer.values() {
            for kind in [Some(&plan.user), plan.machine.as_ref()].into_iter().flatten() {
                let names = kind.attributes.iter().map(|attribute| attribute.name.clone());
                supplied.entry(kind.entity_type.name.clone()).or_default().extend(names);
            }
        }
        supplied
    }

    /// The uid of an identity's principal.
    pub(super) fn uid(&self, identity: &Identity) -> Result<EntityUid, Refusal> {
        let (plan, kind) = self.plan(identity)?;
        kind.entity_type.uid(&plan.issuer.entity_id(&identity.subject)).map(Uid::owned).map_err(refused)
    }

    /// The type of the groups that this identity's token names.
    pub(super) fn group_type(&self, identity: &Identity) -> Option<&EntityTypeName> {
        self.by_issuer.get(&identity.issuer).map(|plan| &plan.group.name)
    }

    /// The claim that fills an attribute of this identity's principal, in back-ticks.
    pub(super) fn claim(&self, identity: &Identity, attribute: &str) -> Option<String> {
        let (_, kind) = self.plan(identity).ok()?;
        let planned = kind.attributes.iter().find(|planned| planned.name == attribute)?;
        Some(planned.source.claim())
    }

    /// The claims that become attributes under this identity's issuer.
    pub(super) fn mapped_claims(&self, identity: &Identity) -> impl Iterator<Item = &str> {
        let plan = self.by_issuer.get(&identity.issuer).into_iter();
        plan.flat_map(|plan| plan.issuer.attributes.values().map(|mapped| mapped.claim.as_str()))
    }

    /// Builds the principal and seals its closure.
    pub(super) fn principal(
        &self,
        identity: &Identity,
        store: &Store,
        index: &Index,
    ) -> Result<Principal, Refusal> {
        let (plan, kind) = self.plan(identity)?;
        let uid = self.uid(identity)?;
        let broken = |why: String| Refusal::new(RefusalCode::InvalidToken, why);
        let stored = store.get((&uid).into());
        let mut attributes = kind.attributes(identity, &plan.issuer)?;
        let mut tags = Expressions::new();
        if let Some(stored) = stored {
            attributes.extend(stored.attributes().map_err(broken)?);
            tags.extend(stored.tags().map_err(broken)?);
        }
        kind.complete(&attributes, identity)?;

        let group =
            |name: &String| plan.group.uid(&plan.issuer.entity_id(name)).map(Uid::owned).map_err(refused);
        let token_groups = identity.groups.iter().map(group).collect::<Result<FastSet<_>, _>>()?;
        let stored_parents = stored.map(StoredEntity::parents).unwrap_or_default();
        let parents: Vec<_> = token_groups.iter().chain(stored_parents).cloned().collect();
        let ancestors: FastSet<_> =
            ancestors(Uids::from(&*parents), |uid| store.parents(uid)).into_iter().map(Uid::owned).collect();
        let entity = |standing_in: &FastSet<EntityUid>| {
            Entity::new_with_tags(
                uid.clone(),
                attributes.iter().cloned(),
                standing_in.iter().cloned(),
                tags.iter().cloned(),
            )
            .map_err(|error| error.to_string())
            .and_then(|entity| Entities::from_entities([entity], None).map_err(|error| error.to_string()))
            .map_err(|why| Refusal::new(RefusalCode::InvalidToken, why))
        };
        let (alone, without_ancestors) = (entity(&ancestors)?, entity(&FastSet::default())?);

        let mentioned = store.references((&uid).into()).iter();
        let sealed = store.closure(token_groups.iter().chain(mentioned).chain([&uid]).map(Uid::from));
        let standing_in = ancestors.iter().map(Uid::from);
        let rows = index.rows(&index.principals.about(uid.type_name()).admitting((&uid).into(), standing_in));
        let name = uid.to_string().into();
        Ok(Principal {
            uid,
            name,
            rows,
            ancestors,
            parents,
            alone,
            without_ancestors,
            sealed,
            token_groups,
            on_record: OnceLock::new(),
        })
    }

    fn plan(&self, identity: &Identity) -> Result<(&Plan, &KindPlan), Refusal> {
        let no_type = || Refusal::new(RefusalCode::InvalidToken, "the schema has no type for this principal");
        let plan = self.by_issuer.get(&identity.issuer).ok_or_else(no_type)?;
        let kind = match identity.kind {
            Kind::User => &plan.user,
            Kind::Machine => plan.machine.as_ref().ok_or_else(no_type)?,
        };
        Ok((plan, kind))
    }
}

impl Plan {
    fn of(issuer: &Issuer, schema: &Schema) -> (Option<Self>, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut declared = |key: &str, name: &str| {
            let found = schema.in_namespace(name).and_then(|name| schema.declared(&name).cloned());
            if found.is_none() {
                let message = format!(
                    "`{key}` of the issuer `{}` is `{name}`, and the schema has no such type",
                    issuer.issuer
                );
                findings.push(Finding::error(&configuration(), "principal-type", message));
            }
            found
        };
        let user = declared("principal_type", &issuer.principal_type);
        let group = declared("group_type", &issuer.group_type);
        let machine = issuer.machine_type.as_ref().map(|name| declared("machine_type", name));
        let (Some(user), Some(group)) = (user, group) else { return (None, findings) };
        if !user.ancestors.contains(&group.name) {
            let message = format!(
                "the schema does not let `{}` stand in `{}`, so groups could not be parents",
                user.name, group.name
            );
            let help = format!("declare `entity {} in [{}]`", user.name.basename(), group.name.basename());
            findings.push(Finding::error(&configuration(), "group-type", message).help(help));
        }
        let machine =
            machine.flatten().map(|machine| KindPlan::of(machine, Kind::Machine, issuer, &mut findings));
        let user = KindPlan::of(user, Kind::User, issuer, &mut findings);
        findings.extend(unknown_attributes(issuer, &user.entity_type));
        (Some(Self { issuer: issuer.clone(), user, machine, group }), findings)
    }
}

impl KindPlan {
    fn of(entity_type: Arc<EntityType>, kind: Kind, issuer: &Issuer, findings: &mut Vec<Finding>) -> Self {
        let mut attributes = Vec::new();
        for (name, attribute) in &entity_type.attributes.0 {
            let mapped = issuer.attributes.get(name).filter(|_| kind == Kind::User);
            let standard = STANDARD.iter().find(|(standard, ..)| standard == name);
            let source = match (mapped, standard) {
                (Some(mapped), None) => {
                    findings.extend(judge_mapping(issuer, name, mapped, &attribute.ty));
                    Source::Claim(mapped.claim.clone())
                }
                (Some(_), Some(_)) => {
                    let message = format!(
                        "`issuers.attributes.{name}` maps an attribute that Palisade fills by itself"
                    );
                    findings.push(Finding::error(&configuration(), "attribute-source", message));
                    continue;
                }
                (None, Some((_, ty, source))) if attribute.ty == ty() => source(),
                (None, Some((_, ty, _))) => {
                    let message = format!(
                        "the schema declares `{name}` of `{}` with another type than Palisade fills it with: {}",
                        entity_type.name,
                        ty().expected()
                    );
                    findings.push(Finding::error(&configuration(), "attribute-type", message));
                    continue;
                }
                (None, None) => continue,
            };
            attributes.push(PlannedAttribute {
                name: name.clone(),
                ty: attribute.ty.clone(),
                required: attribute.required,
                source,
            });
        }
        Self { entity_type, attributes }
    }

    fn attributes(&self, identity: &Identity, issuer: &Issuer) -> Result<Expressions, Refusal> {
        let mut members = Expressions::new();
        for attribute in &self.attributes {
            if let Some(value) = attribute.source.value(identity, issuer) {
                let value = convert(&value, &attribute.ty).map_err(|reason| {
                    let detail = format!("the claim {} cannot be read as {reason}", attribute.source.claim());
                    Refusal::new(RefusalCode::InvalidToken, detail)
                })?;
                members.push((attribute.name.clone(), value));
            }
        }
        Ok(members)
    }

    /// Every attribute that the schema requires is there, from the token or from the store.
    fn complete(&self, given: &[(String, RestrictedExpression)], identity: &Identity) -> Result<(), Refusal> {
        let missing =
            self.entity_type.attributes.0.iter().find(|(name, attribute)| {
                attribute.required && !given.iter().any(|(given, _)| given == *name)
            });
        let Some((name, _)) = missing else { return Ok(()) };
        let planned = self.attributes.iter().find(|attribute| attribute.required && attribute.name == *name);
        Err(Refusal::new(
            RefusalCode::InvalidToken,
            match planned {
                Some(attribute) => format!(
                    "the {} token does not carry {}, which the schema requires as `{name}`",
                    identity.token_use.as_str(),
                    attribute.source.claim()
                ),
                None => {
                    format!("the schema requires `{name}`, which neither the token nor a stored entity gives")
                }
            },
        ))
    }
}

fn refused(refusal: Refusal) -> Refusal {
    Refusal::new(RefusalCode::InvalidToken, refusal.detail)
}
