//! The one request body: strict shapes, limits, and nothing that needs a schema.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::object::Object;
use super::value;
use super::{Limits, Record, Refusal, Token, Value};

mod batch;
mod written;

pub use batch::{Batch, BatchItem};
use written::{Written, parse};

/// May this principal do this, to that, under these circumstances?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The action's name, short or full.
    pub action: CompactString,
    /// What it acts on.
    pub resource: EntityDescription,
    /// The circumstances: one record for all items of a batch that add nothing to it.
    pub context: Arc<Record>,
    /// Further entities on the resource's side: those that a batch describes are the same for all of its items.
    pub entities: Vec<Arc<EntityDescription>>,
}

/// An entity by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, expecting = "an entity: {\"type\": …, \"id\": …}")]
pub struct EntityReference {
    /// Its type, short or full.
    #[serde(rename = "type")]
    pub type_name: CompactString,
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: CompactString,
}

/// An entity with what the caller knows of it. What is not given is not described.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    remote = "Self",
    deny_unknown_fields,
    expecting = "an entity: {\"type\": …, \"id\": …, \"attributes\": …, \"parents\": …}"
)]
pub struct EntityDescription {
    /// Its type, short or full.
    #[serde(rename = "type")]
    pub type_name: CompactString,
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: CompactString,
    /// Its attributes.
    #[serde(default, deserialize_with = "value::optional_record", skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Record>,
    /// The entities that it stands in.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    pub parents: Option<Vec<EntityReference>>,
    /// Its tags, for types that have them.
    #[serde(default, deserialize_with = "value::optional_record", skip_serializing_if = "Option::is_none")]
    pub tags: Option<Record>,
}

/// The body of `POST /authorize`.
#[derive(Debug, Clone)]
pub struct Body {
    /// The user's token, for callers that cannot set the header.
    pub token: Option<Token>,
    /// What is asked.
    pub question: Question,
}

impl Body {
    /// Reads a body of at most `limits.body` bytes.
    pub fn parse(json: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let mut body: Written = parse(json, limits)?;
        if body.id.is_some() {
            return Err(Refusal::malformed("unknown member `id`: only the items of a batch have one"));
        }
        let token = body.token.take();
        let context = Arc::new(std::mem::take(&mut body.context));
        let question = body.into_question(context);
        question.check(limits)?;
        Ok(Self { token, question })
    }
}

impl Question {
    /// Judges its sizes.
    pub fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        check_record(&self.context, limits)?;
        self.check_apart_from_context(limits)
    }

    fn check_apart_from_context(&self, limits: &Limits) -> Result<(), Refusal> {
        check_id(&self.action, "action", limits)?;
        self.resource.check(limits)?;
        self.check_count(limits)?;
        self.entities.iter().try_for_each(|entity| entity.check(limits))
    }

    fn check_count(&self, limits: &Limits) -> Result<(), Refusal> {
        if self.entities.len() > limits.entities {
            return Err(Refusal::malformed(format!(
                "`entities` describes {} entities, more than the {} of a request",
                self.entities.len(),
                limits.entities
            )));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for EntityReference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(deserializer))
    }
}

impl<'de> Deserialize<'de> for EntityDescription {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(deserializer))
    }
}

/// The derived form; under `remote`, serde leaves the trait to us in both directions.
impl Serialize for EntityReference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl Serialize for EntityDescription {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl EntityReference {
    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        check_id(&self.type_name, "type", limits)?;
        check_id(&self.id, "id", limits)
    }
}

impl EntityDescription {
    /// Whether more than its name is given.
    pub fn describes(&self) -> bool {
        self.attributes.is_some() || self.parents.is_some() || self.tags.is_some()
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        check_id(&self.type_name, "type", limits)?;
        check_id(&self.id, "id", limits)?;
        for record in [&self.attributes, &self.tags].into_iter().flatten() {
            check_record(record, limits)?;
        }
        let parents = self.parents.as_deref().unwrap_or_default();
        if parents.len() > limits.parents {
            return Err(Refusal::malformed(format!(
                "`parents` of `{}` holds {} entities, more than {}",
                self.id,
                parents.len(),
                limits.parents
            )));
        }
        parents.iter().try_for_each(|parent| parent.check(limits))
    }
}

fn check_id(text: &str, member: &str, limits: &Limits) -> Result<(), Refusal> {
    if text.len() > limits.id {
        return Err(Refusal::malformed(format!(
            "`{member}` has {} bytes, more than {}",
            text.len(),
            limits.id
        )));
    }
    Ok(())
}

fn check_record(record: &Record, limits: &Limits) -> Result<(), Refusal> {
    record.iter().try_for_each(|(name, value)| {
        check_id(name, "a member's name", limits)?;
        check_value(value, limits)
    })
}

fn check_value(value: &Value, limits: &Limits) -> Result<(), Refusal> {
    match value {
        Value::String(text) if text.len() > limits.string => {
            Err(Refusal::malformed(format!("a string has {} bytes, more than {}", text.len(), limits.string)))
        }
        Value::Bool(_) | Value::Long(_) | Value::String(_) => Ok(()),
        Value::Set(values) if values.len() > limits.set => Err(Refusal::malformed(format!(
            "an array has {} elements, more than {}",
            values.len(),
            limits.set
        ))),
        Value::Set(values) => values.iter().try_for_each(|value| check_value(value, limits)),
        Value::Record(record) => check_record(record, limits),
    }
}

fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<CompactString, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(id) => Ok(id),
        Value::Long(_) => Err(serde::de::Error::custom("an id is a string: write the number as a string")),
        Value::Bool(_) | Value::Set(_) | Value::Record(_) => {
            Err(serde::de::Error::custom("an id is a string"))
        }
    }
}

fn some<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
