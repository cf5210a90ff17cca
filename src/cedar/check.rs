//! What somebody gives, judged against the schema and made into Cedar's values in the same step.
//!
//! Typed constructors only: a claim or a body never passes through Cedar's own JSON, where
//! `{"__entity": …}` in a plain string's place would become an entity.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use super::schema::{EntityType, Extension, RecordType, Schema, Type};
use crate::model::suggestion::did_you_mean;
use crate::model::{Record, Refusal, Value};

/// Attributes, tags or context members in Cedar's form.
pub(super) type Members = Vec<(String, RestrictedExpression)>;

/// Judges values under one schema and remembers every entity that they mention.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    schema: &'a Schema,
    form: Form,
    /// The entities that the values name, in order, repeats included.
    pub(super) mentioned: Vec<EntityUid>,
}

/// How entities and extension values may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Plain JSON, typed by the schema: what requests hold.
    Plain,
    /// Also Cedar's `__entity` and `__extn`: what files of stored entities hold.
    Cedar,
}

/// Where in a request a value stands: `resource.attributes.owner`.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    Root(&'a str),
    Member(&'a Self, &'a str),
    Element(&'a Self, usize),
}

impl<'a> At<'a> {
    pub(super) const fn member(&'a self, name: &'a str) -> Self {
        At::Member(self, name)
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => formatter.write_str(name),
            Self::Member(parent, name) => write!(formatter, "{parent}.{name}"),
            Self::Element(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

impl<'a> Checker<'a> {
    pub(super) const fn new(schema: &'a Schema, form: Form) -> Self {
        Self { schema, form, mentioned: Vec::new() }
    }

    /// A closed record. A required member that is not given is asked of `elsewhere`: whether
    /// somebody else supplies it.
    pub(super) fn record(
        &mut self,
        given: &Record,
        declared: &RecordType,
        at: At<'_>,
        elsewhere: impl Fn(&str) -> bool,
    ) -> Result<Members, Refusal> {
        let missing = declared
            .0
            .iter()
            .find(|(name, attribute)| attribute.required && !given.contains_key(*name) && !elsewhere(name));
        if let Some((name, attribute)) = missing {
            let at = at.member(name);
            return Err(Refusal::mismatch(format!(
                "`{at}` is missing: the schema requires {}",
                attribute.ty.expected()
            )));
        }
        let mut members = Vec::with_capacity(given.len());
        for (name, value) in given {
            let attribute = declared.0.get(name).ok_or_else(|| {
                let known = declared.0.keys().map(String::as_str);
                Refusal::mismatch(format!(
                    "the schema has no `{}`{}",
                    at.member(name),
                    did_you_mean(name, known)
                ))
            })?;
            members.push((name.clone(), self.value(value, &attribute.ty, at.member(name))?));
        }
        Ok(members)
    }

    /// The tags of an entity: all of one type.
    pub(super) fn tags(
        &mut self,
        given: &Record,
        declared: &EntityType,
        at: At<'_>,
    ) -> Result<Members, Refusal> {
        let Some(ty) = &declared.tags else {
            if given.is_empty() {
                return Ok(Vec::new());
            }
            return Err(Refusal::mismatch(format!(
                "`{at}`: entities of type `{}` have no tags",
                declared.name
            )));
        };
        given
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.value(value, ty, at.member(name))?)))
            .collect()
    }

    /// A parent, of a type that the schema allows there.
    pub(super) fn parent(
        &mut self,
        declared: &EntityType,
        type_name: &str,
        id: &str,
        at: At<'_>,
    ) -> Result<EntityUid, Refusal> {
        let uid = self.schema.entity(type_name, id)?;
        if !declared.ancestors.contains(uid.type_name()) {
            return Err(Refusal::mismatch(format!(
                "`{at}`: an entity of type `{}` cannot stand in one of type `{}`",
                declared.name,
                uid.type_name()
            )));
        }
        self.mentioned.push(uid.clone());
        Ok(uid)
    }

    fn value(&mut self, value: &Value, ty: &Type, at: At<'_>) -> Result<RestrictedExpression, Refusal> {
        match (ty, value) {
            (Type::Bool, Value::Bool(value)) => Ok(RestrictedExpression::new_bool(*value)),
            (Type::Long, Value::Long(value)) => Ok(RestrictedExpression::new_long(*value)),
            (Type::String, Value::String(value)) => Ok(RestrictedExpression::new_string(value.clone())),
            (Type::Set(ty), Value::Set(values)) => {
                let elements = values
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.value(value, ty, At::Element(&at, index)));
                elements.collect::<Result<Vec<_>, _>>().map(RestrictedExpression::new_set)
            }
            (Type::Record(declared), Value::Record(given)) => {
                let members = self.record(given, declared, at, |_| false)?;
                RestrictedExpression::new_record(members)
                    .map_err(|error| Refusal::mismatch(format!("`{at}`: {error}")))
            }
            (Type::Entity(name), Value::Record(given)) => {
                let uid = self.entity(given, name, at)?;
                self.mentioned.push(uid.clone());
                Ok(RestrictedExpression::new_entity_uid(uid))
            }
            (Type::Extension(kind), Value::String(text)) => {
                extension(*kind, text).map_err(|error| Refusal::mismatch(format!("`{at}`: {error}")))
            }
            (Type::Extension(kind), Value::Record(given)) if self.form == Form::Cedar => {
                escaped_extension(given, *kind, at)
            }
            (Type::Entity(name), Value::String(_)) => Err(Refusal::mismatch(format!(
                "`{at}` is a string, and the schema wants an entity: write {{\"type\": \"{name}\", \"id\": …}}"
            ))),
            (ty, value) => Err(Refusal::mismatch(format!(
                "`{at}` is {}, and the schema wants {}",
                value.kind(),
                ty.expected()
            ))),
        }
    }

    fn entity(&self, given: &Record, wanted: &EntityTypeName, at: At<'_>) -> Result<EntityUid, Refusal> {
        let given = match (self.form, given.get("__entity")) {
            (Form::Cedar, Some(Value::Record(inner))) if given.len() == 1 => inner,
            (Form::Cedar | Form::Plain, _) => given,
        };
        let (Some(Value::String(type_name)), Some(Value::String(id)), 2) =
            (given.get("type"), given.get("id"), given.len())
        else {
            return Err(Refusal::mismatch(format!(
                "`{at}` is no entity: write {{\"type\": \"{wanted}\", \"id\": …}} and no other members"
            )));
        };
        // An action is an entity too, but no type of the schema.
        if wanted.basename() == "Action" && *type_name == wanted.to_string() {
            return self.action(wanted, id, at);
        }
        let uid = self.schema.entity(type_name, id)?;
        if uid.type_name() != wanted {
            return Err(Refusal::mismatch(format!(
                "`{at}` is an entity of type `{}`, and the schema wants `{wanted}`",
                uid.type_name()
            )));
        }
        Ok(uid)
    }

    fn action(&self, type_name: &EntityTypeName, id: &str, at: At<'_>) -> Result<EntityUid, Refusal> {
        let uid = EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id));
        match self.schema.action(&uid.to_string()) {
            Ok(_) => Ok(uid),
            Err(_) => Err(Refusal::mismatch(format!("`{at}` is no action of the schema"))),
        }
    }
}

fn escaped_extension(given: &Record, kind: Extension, at: At<'_>) -> Result<RestrictedExpression, Refusal> {
    let given = match given.get("__extn") {
        Some(Value::Record(inner)) if given.len() == 1 => inner,
        Some(_) | None => given,
    };
    match (given.get("fn"), given.get("arg"), given.len()) {
        (Some(Value::String(function)), Some(Value::String(text)), 2) if function == constructor(kind) => {
            extension(kind, text).map_err(|error| Refusal::mismatch(format!("`{at}`: {error}")))
        }
        _ => Err(Refusal::mismatch(format!(
            "`{at}` is an object, and the schema wants {}",
            Type::Extension(kind).expected()
        ))),
    }
}

/// A value of an extension type, read by the extension's own parser.
pub(super) fn extension(kind: Extension, text: &str) -> Result<RestrictedExpression, String> {
    // Cedar looks the function's name up with its whole parser, so one expression serves twice.
    let expression = match kind {
        Extension::Decimal => RestrictedExpression::new_decimal(text),
        Extension::Ipaddr => RestrictedExpression::new_ip(text),
        Extension::Datetime => RestrictedExpression::new_datetime(text),
        Extension::Duration => RestrictedExpression::new_duration(text),
    };
    // The extension's parser runs when an entity is made; there is no nearer public road to it.
    let probe = PROBE.clone().ok_or("the engine is not as it was built for")?;
    Entity::new_with_tags(probe, [(String::new(), expression.clone())], [], [])
        .map(|_| expression)
        .map_err(|_| format!("the string is not {} as Cedar writes them", article(kind)))
}

static PROBE: LazyLock<Option<EntityUid>> = LazyLock::new(|| {
    let probe = EntityTypeName::from_str("Probe").ok()?;
    Some(EntityUid::from_type_name_and_id(probe, EntityId::new("")))
});

const fn constructor(kind: Extension) -> &'static str {
    match kind {
        Extension::Ipaddr => "ip",
        Extension::Decimal | Extension::Datetime | Extension::Duration => kind.as_str(),
    }
}

const fn article(kind: Extension) -> &'static str {
    match kind {
        Extension::Decimal => "a decimal (`1.25`)",
        Extension::Ipaddr => "an address (`203.0.113.9`, `10.0.0.0/8`)",
        Extension::Datetime => "a datetime (`2026-11-23T09:30:00Z`)",
        Extension::Duration => "a duration (`1h30m`)",
    }
}
