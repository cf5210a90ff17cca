//! A JSON value that Cedar could hold: no floats, no nulls, no member given twice.

use std::{fmt, slice};

use compact_str::CompactString;
use memchr::memchr2;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::Record;

/// A value before any schema has typed it. Entities and extension values are still
/// records and strings here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit signed integer, Cedar's only number.
    Long(i64),
    /// A string.
    String(CompactString),
    /// An array; Cedar takes it as a set.
    Set(Vec<Self>),
    /// An object.
    Record(Record),
}

impl Value {
    /// What this is, in the words of a message: `a string`, `a record`, …
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Long(_) => "a number",
            Self::String(_) => "a string",
            Self::Set(_) => "an array",
            Self::Record(_) => "an object",
        }
    }

    /// What it takes in memory beside itself, in bytes, or a little more.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Bool(_) | Self::Long(_) => 0,
            Self::String(text) => text.len(),
            Self::Set(values) => values.iter().map(|value| size_of::<Self>() + value.size()).sum(),
            Self::Record(members) => members.size(),
        }
    }

    /// How many brackets are open within it at most.
    pub fn depth(&self) -> usize {
        match self {
            Self::Bool(_) | Self::Long(_) | Self::String(_) => 0,
            Self::Set(values) => 1 + values.iter().map(Self::depth).max().unwrap_or_default(),
            Self::Record(members) => 1 + members.values().map(Self::depth).max().unwrap_or_default(),
        }
    }
}

/// How deep the brackets of a JSON text nest. Brackets inside strings do not count.
pub fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Up to the quote that ends it.
fn skip_string(bytes: &mut slice::Iter<'_, u8>) {
    while let Some(place) = memchr2(b'"', b'\\', bytes.as_slice()) {
        if bytes.nth(place) == Some(&b'"') {
            return;
        }
        // What is escaped.
        bytes.next();
    }
    *bytes = [].iter();
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Long(value) => serializer.serialize_i64(*value),
            Self::String(value) => serializer.serialize_str(value),
            Self::Set(values) => serializer.collect_seq(values),
            Self::Record(members) => serializer.collect_map(members),
        }
    }
}

/// Each member is given once.
impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

/// Reads a record that may be left out, and is no null; for `#[serde(deserialize_with)]`.
pub fn optional_record<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Record>, D::Error> {
    Record::deserialize(deserializer).map(Some)
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a boolean, an integer, a string, an array or an object")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Long(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Long).map_err(|_| {
            E::custom(format_args!(
                "the number {value} is too large: Cedar's numbers have 64 bits with a sign"
            ))
        })
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom(
            "fractions and numbers beyond 64 bits are not Cedar values: write a decimal as a string",
        ))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Err(E::custom("null is not a Cedar value: leave the member out"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::Set(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Value, A::Error> {
        RecordVisitor.visit_map(members).map(Value::Record)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Record, A::Error> {
        let mut given = Vec::new();
        while let Some(member) = members.next_entry()? {
            given.push(member);
        }
        Record::of(given)
            .map_err(|name| de::Error::custom(format_args!("the member `{name}` is given twice")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> String {
        serde_json::from_str::<Value>(json).unwrap_err().to_string()
    }

    #[test]
    fn what_cedar_cannot_hold_is_refused_in_our_own_words() {
        assert!(error("1.5").starts_with("fractions"));
        assert!(error("9223372036854775808").starts_with("the number 9223372036854775808 is too large"));
        assert!(error("1e400").contains("number out of range"));
        assert!(error("null").starts_with("null is not a Cedar value"));
        assert!(error(r#"{"a": 1, "a": 1}"#).starts_with("the member `a` is given twice"));
    }

    #[test]
    fn a_value_survives_the_way_to_json_and_back() {
        let json = r#"{"a":[1,true,"x"],"b":{"c":-9223372036854775808}}"#;
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
    }

    #[test]
    fn nesting_counts_brackets_but_not_those_in_strings() {
        assert_eq!(nesting(b"1"), 0);
        assert_eq!(nesting(br#"{"a":[{}],"b":[]}"#), 3);
        assert_eq!(nesting(br#"{"[[[":"\"[[["}"#), 1);
        assert_eq!(nesting(br#"{"[[["#), 1);
        for length in 0..20 {
            let name = "[".repeat(length);
            assert_eq!(nesting(format!(r#"{{"{name}\\":[],"{name}\"[":[{{}}]}}"#).as_bytes()), 3, "{length}");
        }
        assert_eq!(nesting("[".repeat(100_000).as_bytes()), 100_000);
    }

    #[test]
    fn a_value_is_as_deep_as_its_text_nests() {
        for json in ["1", "[]", r#"{"a":[{}],"b":[]}"#, r#"[[],[[{"a":{}}]],"[[[["]"#] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(value.depth(), nesting(json.as_bytes()), "{json}");
        }
    }
}
