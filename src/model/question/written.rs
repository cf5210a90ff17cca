//! How a request body is read: its members as they are written, and in our words what is wrong with its form.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use compact_str::CompactString;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{EntityDescription, Question, some};
use crate::model::object::{self, Object};
use crate::model::value::nesting;
use crate::model::{Limits, Record, Refusal, Token, Value};

/// A question as it is written, alone or as an item of a batch: the members of both, because
/// serde cannot refuse unknown members of a flattened struct.
#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, expecting = "an object with `action` and `resource`")]
pub(super) struct Written {
    #[serde(default, deserialize_with = "some")]
    pub(super) token: Option<Token>,
    #[serde(default, deserialize_with = "some")]
    pub(super) id: Option<String>,
    pub(super) action: CompactString,
    pub(super) resource: EntityDescription,
    #[serde(default)]
    pub(super) context: Record,
    #[serde(default)]
    pub(super) entities: Vec<Arc<EntityDescription>>,
}

/// What is still read of an item that is wrong: its name, so that the answer can carry it.
#[derive(Deserialize)]
pub(super) struct WrittenId {
    pub(super) id: Option<String>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(deserialize = "T: Deserialize<'de>"),
    expecting = "an object with `requests`"
)]
pub(super) struct WrittenBatch<T> {
    #[serde(default, deserialize_with = "some")]
    pub(super) token: Option<Token>,
    #[serde(deserialize_with = "several")]
    pub(super) requests: Vec<T>,
    #[serde(default)]
    pub(super) context: Record,
    #[serde(default)]
    pub(super) entities: Vec<Arc<EntityDescription>>,
}

/// As many items as most batches have at most: while a list grows, it is copied again and again.
const USUAL: usize = 128;

/// Reads a list of many.
fn several<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Several<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Several<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut several = Vec::with_capacity(USUAL);
            while let Some(element) = elements.next_element()? {
                several.push(element);
            }
            Ok(several)
        }
    }

    deserializer.deserialize_seq(Several(PhantomData))
}

impl Written {
    /// With the context that it is asked in: its own or that of a batch.
    pub(super) fn into_question(self, context: Arc<Record>) -> Question {
        Question { action: self.action, resource: self.resource, context, entities: self.entities }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(deserializer))
    }
}

/// How many brackets are open at most where no value is: those of a batch, its requests, one of them, its
/// entities, one of those, its parents, one of those. Around a value there is one less.
const AROUND: usize = 7;

/// What values can be deep in.
pub(super) trait Nested {
    /// How deep the deepest of them is, or more.
    fn depth(&self) -> usize;
}

/// Reads a text that nests no deeper than it may. What nests so deep that it could overflow a stack, `serde_json`
/// refuses by itself; what is read is looked through for depth sooner than its text.
pub(super) fn parse<'de, T: Deserialize<'de> + Nested>(
    json: &'de [u8],
    limits: &Limits,
) -> Result<T, Refusal> {
    if json.is_empty() {
        return Err(Refusal::malformed("there is no body: send the question in JSON"));
    }
    let parsed = read::<T>(json);
    let is_flat = parsed.as_ref().is_ok_and(|parsed| parsed.depth().saturating_add(AROUND) <= limits.depth);
    let depth = if is_flat { 0 } else { nesting(json) };
    if depth > limits.depth {
        return Err(Refusal::malformed(format!("the JSON nests {depth} deep, more than {}", limits.depth)));
    }
    parsed
}

impl Nested for Written {
    fn depth(&self) -> usize {
        let described = self.entities.iter().map(|entity| entity.depth()).chain([self.resource.depth()]);
        described.max().unwrap_or_default().max(self.context.depth())
    }
}

impl<T: Nested> Nested for WrittenBatch<T> {
    fn depth(&self) -> usize {
        let items = self.requests.iter().map(Nested::depth);
        let described = self.entities.iter().map(|entity| entity.depth());
        items.chain(described).max().unwrap_or_default().max(self.context.depth())
    }
}

impl Nested for EntityDescription {
    fn depth(&self) -> usize {
        let records = [&self.attributes, &self.tags].into_iter().flatten();
        records.map(Nested::depth).max().unwrap_or_default()
    }
}

impl Nested for Record {
    fn depth(&self) -> usize {
        self.values().map(Value::depth).max().unwrap_or_default()
    }
}

/// Of a text that has not been read, nothing is known.
impl Nested for &RawValue {
    fn depth(&self) -> usize {
        usize::MAX
    }
}

pub(super) fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Refusal> {
    object::read(json).map_err(|error| Refusal::malformed(in_our_words(&error)))
}

/// Serde repeats the value that it did not expect, and that value can be a token put into the
/// wrong place.
fn in_our_words(error: &serde_json::Error) -> String {
    let text = error
        .to_string()
        .replace("unknown field", "unknown member")
        .replace("missing field", "missing member")
        .replace("duplicate field", "duplicate member")
        .replace("invalid type: sequence", "invalid type: an array")
        .replace("invalid type: map", "invalid type: an object")
        .replace("expected a sequence", "expected an array")
        .replace("EOF while parsing", "the text ends within");
    let text = match (text.find("string \""), text.rfind("\", expected")) {
        (Some(start), Some(end)) => {
            let (before, after) =
                (text.get(..start).unwrap_or_default(), text.get(end + 1..).unwrap_or_default());
            format!("{before}a string{after}")
        }
        _ => text,
    };
    match text.rsplit_once(" at line ") {
        Some((what, place)) => format!("{what} (line {})", place.replace(" column ", ", column ")),
        None => text,
    }
}
