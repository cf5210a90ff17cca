//! An entity's uid as policies write it, on its way into a record.

use std::fmt;

/// `Shop::Product::"p-1"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityName<'a> {
    /// Of a type and an id that need no escaping, as nearly all are, neither in a policy nor in JSON: written
    /// piece by piece, without a text for the whole.
    Plain {
        /// The type in full.
        type_name: &'a str,
        /// The id.
        id: &'a str,
    },
    /// As a whole.
    Whole(String),
}

impl fmt::Display for EntityName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { type_name, id } => write!(formatter, "{type_name}::\"{id}\""),
            Self::Whole(name) => formatter.write_str(name),
        }
    }
}
