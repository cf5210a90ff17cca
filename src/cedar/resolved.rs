//! Reads the schema in Cedar's resolved JSON form: the only public road to the types of attributes.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Entity, EntityTypeName, EntityUid, SchemaFragment};
use serde::Deserialize;

use super::schema::{Action, Attribute, EntityType, Extension, RecordType, Type};

/// The schema by namespace, all names in full.
pub(super) type Resolved = BTreeMap<String, Namespace>;

/// The declarations of one namespace.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Namespace {
    common_types: BTreeMap<String, WrittenType>,
    entity_types: BTreeMap<String, WrittenEntityType>,
    actions: BTreeMap<String, WrittenAction>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WrittenEntityType {
    shape: Option<WrittenType>,
    tags: Option<WrittenType>,
    #[serde(rename = "enum")]
    ids: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenAction {
    applies_to: Option<AppliesTo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AppliesTo {
    context: Option<WrittenType>,
}

#[derive(Debug, Deserialize)]
struct WrittenType {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    element: Option<Box<Self>>,
    attributes: Option<BTreeMap<String, WrittenAttribute>>,
}

#[derive(Debug, Deserialize)]
struct WrittenAttribute {
    #[serde(flatten)]
    ty: WrittenType,
    #[serde(default = "yes")]
    required: bool,
}

const fn yes() -> bool {
    true
}

/// Merges fragments that Cedar has accepted together into one resolved schema. Several files may
/// speak of one namespace, which Cedar's own resolver does not take.
pub(super) fn resolve(fragments: Vec<SchemaFragment>) -> Result<Resolved, String> {
    let mut merged = serde_json::Map::new();
    for fragment in fragments {
        let json = fragment.to_json_value().map_err(|error| error.to_string())?;
        merge(&mut merged, json);
    }
    let text = SchemaFragment::from_json_value(merged.into())
        .map_err(|error| error.to_string())?
        .to_cedarschema()
        .map_err(|error| error.to_string())?;
    let (resolved, _) =
        cedar_policy::schema_str_to_json_with_resolved_types(&text).map_err(|error| error.to_string())?;
    serde_json::from_value(resolved).map_err(|error| error.to_string())
}

/// The entity types, with the ancestors that Cedar allows them.
pub(super) fn entity_types(
    schema: &cedar_policy::Schema,
    resolved: &Resolved,
) -> Result<HashMap<EntityTypeName, Arc<EntityType>>, String> {
    let mut ancestors: HashMap<EntityTypeName, _> = HashMap::new();
    for name in schema.entity_types() {
        let of_type = schema.ancestors(name).map(|types| types.cloned().collect()).unwrap_or_default();
        ancestors.insert(name.clone(), of_type);
    }
    let mut types = HashMap::new();
    for (namespace, declared) in resolved {
        for (name, written) in &declared.entity_types {
            let name = EntityTypeName::from_str(&full(namespace, name)).map_err(|error| error.to_string())?;
            let entity_type = EntityType {
                written: name.to_string().into(),
                attributes: match &written.shape {
                    Some(shape) => record(shape, resolved)?,
                    None => RecordType::default(),
                },
                tags: written.tags.as_ref().map(|tags| of(tags, resolved)).transpose()?,
                ancestors: ancestors.remove(&name).unwrap_or_default(),
                ids: written.ids.clone().map(|ids| ids.into_iter().collect()),
                name: name.clone(),
            };
            types.insert(name, Arc::new(entity_type));
        }
    }
    Ok(types)
}

/// The actions, with their groups as entities.
pub(super) fn actions(schema: &cedar_policy::Schema, resolved: &Resolved) -> Result<Vec<Action>, String> {
    let entities = schema.action_entities().map_err(|error| error.to_string())?;
    let ready = |uid: &EntityUid| -> Vec<Entity> {
        let groups = entities.ancestors(uid).into_iter().flatten();
        std::iter::once(uid).chain(groups).filter_map(|uid| entities.get(uid).cloned()).collect()
    };
    let context = |uid: &EntityUid| -> Result<RecordType, String> {
        resolved
            .get(&uid.type_name().namespace())
            .and_then(|declared| declared.actions.get(uid.id().unescaped()))
            .and_then(|written| written.applies_to.as_ref()?.context.as_ref())
            .map_or_else(|| Ok(RecordType::default()), |context| record(context, resolved))
    };
    schema
        .actions()
        .enumerate()
        .map(|(position, uid)| {
            Ok(Action {
                position,
                name: uid.to_string().into(),
                principals: schema.principals_for_action(uid).into_iter().flatten().cloned().collect(),
                resources: schema.resources_for_action(uid).into_iter().flatten().cloned().collect(),
                context: context(uid)?,
                entities: ready(uid),
                uid: uid.clone(),
            })
        })
        .collect()
}

fn merge(into: &mut serde_json::Map<String, serde_json::Value>, json: serde_json::Value) {
    let serde_json::Value::Object(members) = json else { return };
    for (name, value) in members {
        match into.get_mut(&name) {
            Some(serde_json::Value::Object(there)) => merge(there, value),
            Some(_) | None => {
                into.insert(name, value);
            }
        }
    }
}

fn full(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}::{name}") }
}

fn record(written: &WrittenType, resolved: &Resolved) -> Result<RecordType, String> {
    match of(written, resolved)? {
        Type::Record(record) => Ok(record),
        Type::Bool | Type::Long | Type::String | Type::Set(_) | Type::Entity(_) | Type::Extension(_) => {
            Err(format!("a record was expected, not `{}`", written.kind))
        }
    }
}

fn of(written: &WrittenType, resolved: &Resolved) -> Result<Type, String> {
    let incomplete = || format!("the type `{}` is incomplete", written.kind);
    if let Some(common) = common(&written.kind, resolved) {
        return of(common, resolved);
    }
    Ok(match written.kind.strip_prefix("__cedar::").unwrap_or(&written.kind) {
        "Bool" | "Boolean" => Type::Bool,
        "Long" => Type::Long,
        "String" => Type::String,
        "decimal" => Type::Extension(Extension::Decimal),
        "ipaddr" => Type::Extension(Extension::Ipaddr),
        "datetime" => Type::Extension(Extension::Datetime),
        "duration" => Type::Extension(Extension::Duration),
        "Set" => {
            let element = written.element.as_ref().ok_or_else(incomplete)?;
            Type::Set(Box::new(of(element, resolved)?))
        }
        "Record" => {
            let attributes = written.attributes.as_ref().ok_or_else(incomplete)?;
            let attribute = |(name, written): (&String, &WrittenAttribute)| {
                Ok((name.clone(), Attribute { ty: of(&written.ty, resolved)?, required: written.required }))
            };
            Type::Record(RecordType(attributes.iter().map(attribute).collect::<Result<_, String>>()?))
        }
        "Entity" => {
            let name = written.name.as_ref().ok_or_else(incomplete)?;
            Type::Entity(EntityTypeName::from_str(name).map_err(|error| error.to_string())?)
        }
        "Extension" => {
            let name = written.name.clone().ok_or_else(incomplete)?;
            return of(&WrittenType { kind: name, name: None, element: None, attributes: None }, resolved);
        }
        unknown => return Err(format!("the type `{unknown}` is not known to this version")),
    })
}

fn common<'a>(name: &str, resolved: &'a Resolved) -> Option<&'a WrittenType> {
    let (namespace, base) = name.rsplit_once("::").unwrap_or(("", name));
    resolved.get(namespace)?.common_types.get(base)
}
