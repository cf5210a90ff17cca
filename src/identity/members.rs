//! The members of one JSON object, each given once, still untyped.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::value::nesting;

/// A JSON object whose members are read one by one. A member given twice refuses the whole, whichever
/// member it is: readers disagree on which of two counts, and an attacker picks the reader.
#[derive(Default)]
pub struct Members<'json>(BTreeMap<String, &'json RawValue>);

/// A member as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member<T> {
    /// Not there.
    Absent,
    /// There, but not of the type that is wanted; `null` is of none.
    Wrong,
    /// There.
    Given(T),
}

/// Why a text is not an object with members. Nothing of the text is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MembersFault {
    /// Judged on the text, before any parser ran.
    #[error("nests deeper than {0}")]
    Nesting(usize),
    /// No JSON, no object, or a member given twice.
    #[error("is not a JSON object whose members are each given once")]
    Shape,
}

impl<'json> Members<'json> {
    /// Reads an object that nests at most `limit` deep.
    pub fn read(json: &'json [u8], limit: usize) -> Result<Self, MembersFault> {
        if nesting(json) > limit {
            return Err(MembersFault::Nesting(limit));
        }
        serde_json::from_slice(json).map_err(|_| MembersFault::Shape)
    }

    /// Whether a member is there, `null` included.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A member's own text.
    pub fn raw(&self, name: &str) -> Option<&'json RawValue> {
        self.0.get(name).copied()
    }

    /// A member of the type that is wanted.
    pub fn typed<T: DeserializeOwned>(&self, name: &str) -> Member<T> {
        match self.raw(name) {
            None => Member::Absent,
            Some(raw) => serde_json::from_str(raw.get()).map_or(Member::Wrong, Member::Given),
        }
    }

    /// A member that is a string.
    pub fn string(&self, name: &str) -> Member<String> {
        self.typed(name)
    }

    /// A member that is an integer of 64 bits, without fraction or exponent.
    pub fn integer(&self, name: &str) -> Member<i64> {
        self.typed(name)
    }
}

impl<T> Member<T> {
    /// What is there.
    pub fn given(&self) -> Option<&T::Target>
    where
        T: std::ops::Deref,
    {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// Takes what is there.
    pub fn into_given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    /// Whether it is there, but of a wrong type.
    pub const fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a member is given twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

/// Names only: the values are a user's.
impl fmt::Debug for Members<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Members<'_>, MembersFault> {
        Members::read(json.as_bytes(), 4)
    }

    #[test]
    fn members_are_read_by_name_and_type() {
        let members = read(r#"{"a": "x", "b": 7, "c": null}"#).unwrap();
        assert_eq!(members.string("a").given(), Some("x"));
        assert_eq!(members.integer("b"), Member::Given(7));
        assert_eq!(members.string("b"), Member::Wrong);
        assert_eq!(members.string("c"), Member::Wrong);
        assert_eq!(members.string("d"), Member::Absent);
        assert!(members.contains("c") && !members.contains("d"));
    }

    #[test]
    fn an_integer_has_neither_fraction_nor_exponent_nor_more_than_64_bits() {
        for number in ["1.0", "1e3", "9223372036854775808", r#""1""#, "true", "[1]"] {
            let json = format!(r#"{{"exp": {number}}}"#);
            assert_eq!(read(&json).unwrap().integer("exp"), Member::Wrong, "{number}");
        }
    }

    #[test]
    fn a_member_given_twice_refuses_the_whole_however_it_is_written() {
        assert_eq!(read(r#"{"a": 1, "a": 1}"#).unwrap_err(), MembersFault::Shape);
        assert_eq!(
            read(r#"{"cognito:groups": ["user"], "cognito\u003agroups": ["admin"]}"#).unwrap_err(),
            MembersFault::Shape
        );
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for json in ["", "null", "[]", "\"a\"", "{} {}", "{\"a\": }", "{\"a\": 1,}", "\u{feff}{}"] {
            assert_eq!(read(json).unwrap_err(), MembersFault::Shape, "{json}");
        }
        assert_eq!(Members::read(b"{\"a\": \"\xff\"}", 4).unwrap_err(), MembersFault::Shape);
        assert_eq!(read(&"[".repeat(100_000)).unwrap_err(), MembersFault::Nesting(4));
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", read(r#"{"a": "secret"}"#).unwrap()), r#"{"a"}"#);
    }
}
