//! The one request body: strict shapes, limits, and nothing that needs a schema.

use std::collections::HashSet;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::Object;
use super::value;
use super::{Limits, Record, Refusal, Token, Value};

mod written;

use written::{Written, WrittenBatch, WrittenId, parse, read};

/// May this principal do this, to that, under these circumstances?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The action's name, short or full.
    pub action: CompactString,
    /// What it acts on.
    pub resource: EntityDescription,
    /// The circumstances: one record for all items of a batch that add nothing to it.
    pub context: Arc<Record>,
    /// Further entities on the resource's side.
    pub entities: Vec<EntityDescription>,
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

/// The body of `POST /authorize/batch`.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The user's token, for callers that cannot set the header.
    pub token: Option<Token>,
    /// What is asked, in order.
    pub items: Vec<BatchItem>,
}

/// One question of a batch, or why it is none.
#[derive(Debug, Clone)]
pub struct BatchItem {
    /// The caller's own name for it.
    pub id: Option<String>,
    /// The question, with the shared context and entities in it.
    pub question: Result<Question, Refusal>,
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

impl Batch {
    /// Reads a batch. An item that is wrong by itself spoils none of its neighbours.
    pub fn parse(json: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        // One pass over the text is enough where every item is one; only else does each stand alone.
        match parse::<WrittenBatch<Written>>(json, limits) {
            Ok(batch) => Self::of(batch, BatchItem::of, limits),
            Err(_) => Self::of(parse::<WrittenBatch<&RawValue>>(json, limits)?, BatchItem::parse, limits),
        }
    }

    fn of<T>(
        batch: WrittenBatch<T>,
        item: impl Fn(T, &Arc<Record>, &[EntityDescription], &Limits) -> BatchItem,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        if batch.requests.len() > limits.batch_items {
            return Err(Refusal::malformed(format!(
                "`requests` holds {} items, more than the {} of a batch: send several",
                batch.requests.len(),
                limits.batch_items
            )));
        }
        check_record(&batch.context, limits)?;
        let context = Arc::new(batch.context);
        for entity in &batch.entities {
            entity.check(limits)?;
        }
        let written = batch.requests.into_iter();
        let items: Vec<_> = written.map(|written| item(written, &context, &batch.entities, limits)).collect();
        let own = |question: &Question| question.entities.len().saturating_sub(batch.entities.len());
        let described: usize = items.iter().flat_map(|item| &item.question).map(own).sum();
        if described + batch.entities.len() > limits.batch_entities {
            return Err(Refusal::malformed(format!(
                "the batch describes more than {} entities",
                limits.batch_entities
            )));
        }
        let mut ids = HashSet::new();
        if let Some(id) = items.iter().filter_map(|item| item.id.as_deref()).find(|id| !ids.insert(*id)) {
            return Err(Refusal::malformed(format!("the id `{id}` is given to two items of `requests`")));
        }
        Ok(Self { token: batch.token, items })
    }
}

impl BatchItem {
    fn of(mut item: Written, context: &Arc<Record>, entities: &[EntityDescription], limits: &Limits) -> Self {
        Self { id: item.id.take(), question: Question::of_item(item, context, entities, limits) }
    }

    fn parse(
        json: &RawValue,
        context: &Arc<Record>,
        entities: &[EntityDescription],
        limits: &Limits,
    ) -> Self {
        let json = json.get().as_bytes();
        match read::<Written>(json) {
            Ok(item) => Self::of(item, context, entities, limits),
            Err(refusal) => {
                let id = read::<WrittenId>(json).ok().and_then(|item| item.id);
                Self { id, question: Err(refusal) }
            }
        }
    }
}

impl Question {
    /// What the batch says has been judged.
    fn of_item(
        mut item: Written,
        context: &Arc<Record>,
        entities: &[EntityDescription],
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        if item.token.is_some() {
            return Err(Refusal::malformed("unknown member `token`: the batch has one token for all"));
        }
        let context = if item.context.is_empty() {
            Arc::clone(context)
        } else {
            let mut own = std::mem::take(&mut item.context);
            for (name, value) in &**context {
                if own.insert(name.clone(), value.clone()).is_some() {
                    return Err(Refusal::malformed(format!(
                        "`context.{name}` is given by the batch and by the item"
                    )));
                }
            }
            check_record(&own, limits)?;
            Arc::new(own)
        };
        let mut question = item.into_question(context);
        question.entities.extend_from_slice(entities);
        question.check_apart_from_context(limits).map(|()| question)
    }

    /// Judges its sizes.
    pub fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        check_record(&self.context, limits)?;
        self.check_apart_from_context(limits)
    }

    fn check_apart_from_context(&self, limits: &Limits) -> Result<(), Refusal> {
        check_id(&self.action, "action", limits)?;
        self.resource.check(limits)?;
        if self.entities.len() > limits.entities {
            return Err(Refusal::malformed(format!(
                "`entities` describes {} entities, more than the {} of a request",
                self.entities.len(),
                limits.entities
            )));
        }
        self.entities.iter().try_for_each(|entity| entity.check(limits))
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
