//! What the schema declares: entity types, actions, the types of attributes, and the names that
//! requests may use for them.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Entity, EntityTypeName, EntityUid};

use super::hashing::{FastMap, FastSet};
use super::resolved::{self, Resolved};
use super::uid::Uid;
use crate::model::entity_name::Plain;
use crate::model::suggestion::did_you_mean;
use crate::model::{EntityName, Refusal, RefusalCode};

/// The type of an attribute, a tag or a member of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Long,
    String,
    Set(Box<Self>),
    Record(RecordType),
    Entity(EntityTypeName),
    Extension(Extension),
}

/// Cedar's extension types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    Decimal,
    Ipaddr,
    Datetime,
    Duration,
}

/// A closed record: these members and no others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RecordType(pub(super) BTreeMap<String, Attribute>);

/// A member of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) ty: Type,
    pub(super) required: bool,
}

/// An entity type.
#[derive(Debug)]
pub(super) struct EntityType {
    pub(super) name: EntityTypeName,
    /// The same as policies write it.
    pub(super) written: Box<str>,
    pub(super) attributes: RecordType,
    pub(super) tags: Option<Type>,
    /// The types that an ancestor may have, near and far.
    pub(super) ancestors: FastSet<EntityTypeName>,
    /// The ids of an enumerated type; none where every id goes.
    pub(super) ids: Option<BTreeSet<String>>,
}

/// An action that can be asked about.
#[derive(Debug)]
pub(super) struct Action {
    /// Among all actions of the schema, counted from 0.
    pub(super) position: usize,
    pub(super) uid: EntityUid,
    /// The uid as policies write it.
    pub(super) name: Arc<str>,
    pub(super) principals: Vec<EntityTypeName>,
    pub(super) resources: Vec<EntityTypeName>,
    pub(super) context: RecordType,
    /// The action and its groups, ready for every request.
    pub(super) entities: Vec<Entity>,
}

/// Everything that the schema declares, by name.
#[derive(Debug)]
pub(super) struct Schema {
    types: FastMap<EntityTypeName, Arc<EntityType>>,
    /// What requests may write: full names, and short ones of the configured namespace.
    type_names: FastMap<String, Arc<EntityType>>,
    action_names: FastMap<String, Arc<Action>>,
    /// By their positions.
    actions: Vec<Arc<Action>>,
    /// Every action and every group of actions as an entity, with all of its ancestors.
    action_entities: FastMap<EntityUid, Entity>,
    namespace: String,
}

impl Schema {
    /// Reads the declarations of a schema that Cedar has accepted.
    pub(super) fn of(
        schema: &cedar_policy::Schema,
        resolved: &Resolved,
        namespace: &str,
    ) -> Result<Self, String> {
        let types = resolved::entity_types(schema, resolved)?;
        let mut type_names = FastMap::default();
        for (name, entity_type) in &types {
            type_names.insert(name.to_string(), Arc::clone(entity_type));
            if name.namespace() == namespace {
                type_names.insert(name.basename().to_owned(), Arc::clone(entity_type));
            }
        }
        let actions: Vec<_> = resolved::actions(schema, resolved)?.into_iter().map(Arc::new).collect();
        let mut action_names = FastMap::default();
        for action in &actions {
            action_names.insert(action.name.to_string(), Arc::clone(action));
            if action.uid.type_name().namespace() == namespace {
                action_names.insert(action.uid.id().unescaped().to_owned(), Arc::clone(action));
            }
        }
        let types = types.into_iter().collect();
        let entities = schema.action_entities().map_err(|error| error.to_string())?;
        let action_entities = entities.iter().map(|action| (action.uid(), action.clone())).collect();
        Ok(Self {
            types,
            type_names,
            action_names,
            actions,
            action_entities,
            namespace: namespace.to_owned(),
        })
    }

    /// The action that a request names.
    pub(super) fn action(&self, name: &str) -> Result<&Arc<Action>, Refusal> {
        self.action_names.get(name).ok_or_else(|| {
            let known = self.action_names.keys().map(String::as_str);
            let detail =
                format!("the schema has no action `{name}`{}", did_you_mean(name, same_form(name, known)));
            Refusal::new(RefusalCode::UnknownAction, detail)
        })
    }

    /// An action, or a group of actions, as an entity.
    pub(super) fn action_entity(&self, uid: &EntityUid) -> Option<&Entity> {
        self.action_entities.get(uid)
    }

    /// The entity type that a request names.
    pub(super) fn entity_type(&self, name: &str) -> Result<&Arc<EntityType>, Refusal> {
        self.type_names.get(name).ok_or_else(|| {
            let known = self.type_names.keys().map(String::as_str);
            let detail = format!(
                "the schema has no entity type `{name}`{}",
                did_you_mean(name, same_form(name, known))
            );
            Refusal::new(RefusalCode::UnknownType, detail)
        })
    }

    /// A type by its own name.
    pub(super) fn declared(&self, name: &EntityTypeName) -> Option<&Arc<EntityType>> {
        self.types.get(name)
    }

    /// The entity that a request names, its id judged where the type enumerates them.
    pub(super) fn uid<'a>(&'a self, type_name: &str, id: &'a str) -> Result<Uid<'a>, Refusal> {
        self.entity_type(type_name)?.uid(id)
    }

    /// All full names of entity types.
    pub(super) fn type_names(&self) -> impl Iterator<Item = String> {
        self.types.keys().map(ToString::to_string)
    }

    /// The full names of its types and actions.
    pub(super) fn names(&self) -> Vec<String> {
        self.type_names().chain(self.actions().map(|action| action.name.to_string())).collect()
    }

    /// All actions that can be asked about, by their positions.
    pub(super) fn actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.iter()
    }

    /// A type name of configuration in full: short names live in the namespace.
    pub(super) fn in_namespace(&self, name: &str) -> Option<EntityTypeName> {
        let full = if name.contains("::") || self.namespace.is_empty() {
            name.to_owned()
        } else {
            format!("{}::{name}", self.namespace)
        };
        EntityTypeName::from_str(&full).ok()
    }
}

impl Action {
    /// Whether it applies to resources of this type.
    pub(super) fn check_resource(&self, resource: &EntityType) -> Result<(), Refusal> {
        self.check("resources", &resource.name, &self.resources)
    }

    /// Whether it applies to principals of this type.
    pub(super) fn check_principal(&self, principal: &EntityTypeName) -> Result<(), Refusal> {
        self.check("principals", principal, &self.principals)
    }

    /// Whether its context has the time of the request.
    pub(super) fn wants_now(&self) -> bool {
        self.context.0.get("now").is_some_and(|now| now.ty == Type::Extension(Extension::Datetime))
    }

    /// What is wrong with the way it declares a context member that the server fills in.
    pub(super) fn reserved_context(&self) -> Option<String> {
        (self.context.0.contains_key("now") && !self.wants_now()).then(|| {
            format!(
                "`{}` declares `context.now`, which the server fills in, with another type than datetime",
                self.name
            )
        })
    }

    fn check(&self, what: &str, name: &EntityTypeName, those: &[EntityTypeName]) -> Result<(), Refusal> {
        if those.contains(name) {
            return Ok(());
        }
        let mut names: Vec<_> = those.iter().map(|name| format!("`{name}`")).collect();
        names.sort();
        let names =
            if names.is_empty() { "nothing: it is a group of actions".to_owned() } else { names.join(", ") };
        let detail = format!("`{}` does not apply to {what} of type `{name}`, but to {names}", self.name);
        Err(Refusal::mismatch(detail))
    }
}

impl EntityType {
    /// The entity of this type with this id, as policies write it.
    pub(super) fn name_of<'a>(&'a self, id: &'a str) -> Result<EntityName<'a>, Refusal> {
        if self.ids.is_none()
            && let Some(name) = Plain::of(&self.written, id)
        {
            return Ok(EntityName::Plain(name));
        }
        self.uid(id).map(|uid| EntityName::Whole(uid.to_string()))
    }

    /// The entity of this type with this id, judged where the type enumerates them.
    pub(super) fn uid<'a>(&'a self, id: &'a str) -> Result<Uid<'a>, Refusal> {
        if let Some(ids) = &self.ids
            && !ids.contains(id)
        {
            let detail = format!(
                "`{id}` is not one of the ids of `{}`{}",
                self.name,
                did_you_mean(id, ids.iter().map(String::as_str))
            );
            return Err(Refusal::mismatch(detail));
        }
        Ok(Uid::new(&self.name, id))
    }
}

impl Type {
    /// In the words of a message: what to write for a value of this type.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Bool => "a boolean".to_owned(),
            Self::Long => "an integer".to_owned(),
            Self::String => "a string".to_owned(),
            Self::Set(element) => format!("an array, each element {}", element.expected()),
            Self::Record(_) => "an object".to_owned(),
            Self::Entity(name) => format!("an entity of type `{name}`"),
            Self::Extension(extension) => format!("a string that Cedar reads as {}", extension.as_str()),
        }
    }
}

impl Extension {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Decimal => "decimal",
            Self::Ipaddr => "ipaddr",
            Self::Datetime => "datetime",
            Self::Duration => "duration",
        }
    }
}

/// Suggest short names for short ones and full names for full ones.
fn same_form<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let full = name.contains("::");
    known.filter(move |known| known.contains("::") == full)
}
