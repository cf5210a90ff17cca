//! The one request body as it is written: its members before anything is made of them, and what is wrong with
//! its form in our words.

use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use super::{EntityDescription, Question, some};
use crate::model::object::{self, Object};
use crate::model::value::deeper_than;
use crate::model::{Limits, Record, Refusal, Token};

/// A question as it is written, alone or as an item of a batch: the members of both, because
/// serde cannot refuse unknown members of a flattened struct.
#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, expecting = "an object with `action` and `resource`")]
pub(super) struct Written {
    #[serde(default, deserialize_with = "some")]
    pub(super) token: Option<Token>,
    #[serde(default, deserialize_with = "some")]
    pub(super) id: Option<String>,
    pub(super) action: SmolStr,
    pub(super) resource: EntityDescription,
    #[serde(default)]
    pub(super) context: Record,
    #[serde(default)]
    pub(super) entities: Vec<EntityDescription>,
}

/// What is still read of an item that is wrong: its name, so that the answer can carry it.
#[derive(Deserialize)]
pub(super) struct WrittenId {
    pub(super) id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `requests`")]
pub(super) struct WrittenBatch<T> {
    #[serde(default, deserialize_with = "some")]
    pub(super) token: Option<Token>,
    pub(super) requests: Vec<T>,
    #[serde(default)]
    pub(super) context: Record,
    #[serde(default)]
    pub(super) entities: Vec<EntityDescription>,
}

impl Written {
    pub(super) fn into_question(self) -> Question {
        Question {
            action: self.action,
            resource: self.resource,
            context: self.context,
            entities: self.entities,
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(deserializer))
    }
}

/// Reads a text that nests no deeper than it may.
pub(super) fn parse<'de, T: Deserialize<'de>>(json: &'de [u8], limits: &Limits) -> Result<T, Refusal> {
    if json.is_empty() {
        return Err(Refusal::malformed("there is no body: send the question in JSON"));
    }
    if let Some(depth) = deeper_than(json, limits.depth) {
        return Err(Refusal::malformed(format!("the JSON nests {depth} deep, more than {}", limits.depth)));
    }
    read(json)
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
