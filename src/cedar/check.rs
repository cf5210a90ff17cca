//! What somebody gives, judged against the schema and typed by it in the same step.
//!
//! Typed constructors only: a claim or a body never passes through Cedar's own JSON, where
//! `{"__entity": …}` in a plain string's place would become an entity.

use std::cmp::Ordering;
use std::fmt;

use cedar_policy::EntityTypeName;

use super::extension;
use super::schema::{EntityType, Extension, RecordType, Schema, Type};
use super::typed::{Members, Typed};
use super::uid::Uid;
use crate::model::suggestion::did_you_mean;
use crate::model::{Record, Refusal, Value};

/// Judges values under one schema and remembers every entity that they mention.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    schema: &'a Schema,
    form: Form,
    /// The entities that the values name, in order, repeats included.
    pub(super) mentioned: Vec<Uid<'a>>,
}

/// How entities and extension values may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Plain JSON, typed by the schema: what requests hold.
    Plain,
    /// Also Cedar's `__entity` and `__extn`: what files of stored entities hold.
    Cedar,
}

/// Whether a record has every member that its type requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Whole,
    Lacking,
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
    pub(super) fn new(schema: &'a Schema, form: Form) -> Self {
        Self { schema, form, mentioned: Vec::new() }
    }

    /// A closed record. A required member that is not given is asked of `elsewhere`: whether
    /// somebody else supplies it.
    pub(super) fn record(
        &mut self,
        given: &'a Record,
        declared: &'a RecordType,
        at: At<'_>,
        elsewhere: impl Fn(&str) -> bool,
    ) -> Result<Members<'a>, Refusal> {
        let judged = self.members(given, declared, at);
        if let Ok((members, Completeness::Whole)) = judged {
            return Ok(members);
        }
        // What is missing is said first.
        let missing = declared
            .0
            .iter()
            .find(|(name, attribute)| attribute.required && !given.contains_key(name) && !elsewhere(name));
        if let Some((name, attribute)) = missing {
            let at = at.member(name);
            return Err(Refusal::mismatch(format!(
                "`{at}` is missing: the schema requires {}",
                attribute.ty.expected()
            )));
        }
        judged.map(|(members, _)| members)
    }

    /// What is given and what is declared are both sorted by name: one walk over both.
    fn members(
        &mut self,
        given: &'a Record,
        declared: &'a RecordType,
        at: At<'_>,
    ) -> Result<(Members<'a>, Completeness), Refusal> {
        let mut completeness = Completeness::Whole;
        let mut left = declared.0.iter();
        let mut members = Vec::with_capacity(given.len());
        for (name, value) in given {
            let attribute = loop {
                let Some((next, attribute)) = left.next() else { return Err(unknown(name, declared, at)) };
                match next.as_str().cmp(name) {
                    Ordering::Less if attribute.required => completeness = Completeness::Lacking,
                    Ordering::Less => {}
                    Ordering::Equal => break attribute,
                    Ordering::Greater => return Err(unknown(name, declared, at)),
                }
            };
            members.push((name.as_str(), self.value(value, &attribute.ty, at.member(name))?));
        }
        if left.any(|(_, attribute)| attribute.required) {
            completeness = Completeness::Lacking;
        }
        Ok((members, completeness))
    }

    /// The tags of an entity: all of one type.
    pub(super) fn tags(
        &mut self,
        given: &'a Record,
        declared: &'a EntityType,
        at: At<'_>,
    ) -> Result<Members<'a>, Refusal> {
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
            .map(|(name, value)| Ok((name.as_str(), self.value(value, ty, at.member(name))?)))
            .collect()
    }

    /// A parent, of a type that the schema allows there: the last that is mentioned then.
    pub(super) fn parent(
        &mut self,
        declared: &EntityType,
        type_name: &str,
        id: &'a str,
        at: At<'_>,
    ) -> Result<(), Refusal> {
        let uid = self.schema.uid(type_name, id)?;
        if !declared.ancestors.contains(uid.type_name()) {
            return Err(Refusal::mismatch(format!(
                "`{at}`: an entity of type `{}` cannot stand in one of type `{}`",
                declared.name,
                uid.type_name()
            )));
        }
        self.mentioned.push(uid);
        Ok(())
    }

    fn value(&mut self, value: &'a Value, ty: &'a Type, at: At<'_>) -> Result<Typed<'a>, Refusal> {
        match (ty, value) {
            (Type::Bool, Value::Bool(value)) => Ok(Typed::Bool(*value)),
            (Type::Long, Value::Long(value)) => Ok(Typed::Long(*value)),
            (Type::String, Value::String(value)) => Ok(Typed::String(value)),
            (Type::Set(ty), Value::Set(values)) => {
                let elements = values
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.value(value, ty, At::Element(&at, index)));
                elements.collect::<Result<_, _>>().map(Typed::Set)
            }
            (Type::Record(declared), Value::Record(given)) => {
                self.record(given, declared, at, |_| false).map(Typed::Record)
            }
            (Type::Entity(name), Value::Record(given)) => {
                let uid = self.entity(given, name, at)?;
                self.mentioned.push(uid);
                Ok(Typed::Entity(uid))
            }
            (Type::Extension(kind), Value::String(text)) => extended(*kind, text, at),
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

    fn entity(&self, given: &'a Record, wanted: &'a EntityTypeName, at: At<'_>) -> Result<Uid<'a>, Refusal> {
        let escaped = if self.form == Form::Cedar { given.get("__entity") } else { None };
        let given = match escaped {
            Some(Value::Record(inner)) if given.len() == 1 => inner,
            Some(_) | None => given,
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
        let uid = self.schema.uid(type_name, id)?;
        if uid.type_name() != wanted {
            return Err(Refusal::mismatch(format!(
                "`{at}` is an entity of type `{}`, and the schema wants `{wanted}`",
                uid.type_name()
            )));
        }
        Ok(uid)
    }

    fn action(&self, type_name: &'a EntityTypeName, id: &'a str, at: At<'_>) -> Result<Uid<'a>, Refusal> {
        let uid = Uid::new(type_name, id);
        match self.schema.action(&uid.to_string()) {
            Ok(_) => Ok(uid),
            Err(_) => Err(Refusal::mismatch(format!("`{at}` is no action of the schema"))),
        }
    }
}

fn unknown(name: &str, declared: &RecordType, at: At<'_>) -> Refusal {
    let known = declared.0.keys().map(String::as_str);
    Refusal::mismatch(format!("the schema has no `{}`{}", at.member(name), did_you_mean(name, known)))
}

/// A value of an extension type, its text judged.
fn extended<'v>(kind: Extension, text: &'v str, at: At<'_>) -> Result<Typed<'v>, Refusal> {
    extension::judge(kind, text)
        .map(|()| Typed::Extension(kind, text))
        .map_err(|error| Refusal::mismatch(format!("`{at}`: {error}")))
}

fn escaped_extension<'v>(given: &'v Record, kind: Extension, at: At<'_>) -> Result<Typed<'v>, Refusal> {
    let given = match given.get("__extn") {
        Some(Value::Record(inner)) if given.len() == 1 => inner,
        Some(_) | None => given,
    };
    match (given.get("fn"), given.get("arg"), given.len()) {
        (Some(Value::String(function)), Some(Value::String(text)), 2)
            if function == extension::constructor(kind) =>
        {
            extended(kind, text, at)
        }
        _ => Err(Refusal::mismatch(format!(
            "`{at}` is an object, and the schema wants {}",
            Type::Extension(kind).expected()
        ))),
    }
}
