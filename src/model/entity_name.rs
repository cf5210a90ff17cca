//! An entity's uid as policies write it, on its way into a record.

use std::fmt;

/// `Shop::Product::"p-1"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityName<'a> {
    /// As nearly all are: written piece by piece, without a text for the whole.
    Plain(Plain<'a>),
    /// As a whole.
    Whole(String),
}

/// The name of an entity whose id needs no escaping, neither in a policy nor in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain<'a> {
    type_name: &'a str,
    id: &'a str,
}

impl<'a> Plain<'a> {
    /// The name of an entity of that type, which is a name of Cedar's and so of letters, digits, `_` and `::`;
    /// nothing where the id must be escaped.
    pub fn of(type_name: &'a str, id: &'a str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte);
        debug_assert!(type_name.bytes().all(is_plain), "`{type_name}` is no type");
        id.bytes().all(is_plain).then_some(Self { type_name, id })
    }

    /// What it is made of inside a string of JSON.
    pub fn in_json(self) -> [&'a str; 4] {
        [self.type_name, "::\\\"", self.id, "\\\""]
    }
}

impl fmt::Display for EntityName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(Plain { type_name, id }) => write!(formatter, "{type_name}::\"{id}\""),
            Self::Whole(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::printed::Object;

    #[test]
    fn a_plain_name_is_the_same_in_json_whatever_stands_in_it() {
        let mut plain = 0;
        for letter in ('\0'..='\u{2fff}').chain(['\u{fffd}', '\u{10ffff}']) {
            let id = format!("a{letter}b");
            let Some(name) = Plain::of("Shop::Product", &id) else { continue };
            let mut json = Vec::new();
            let mut object = Object::begin(&mut json);
            object.verbatim("name", name.in_json());
            object.end();
            let read: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(read["name"], EntityName::Plain(name).to_string());
            assert_eq!(read["name"], format!("Shop::Product::{id:?}"), "as it is escaped");
            plain += 1;
        }
        assert_eq!(plain, 91, "what can be seen of ASCII, but for quotes and the backslash");
    }
}
