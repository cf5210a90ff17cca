//! An entity's uid as policies write it, on its way into a record.

use std::fmt;

/// `Shop::Product::"p-1"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityName<'a> {
    /// Of an id that needs no escaping, as nearly all are: written piece by piece, without a text for the whole.
    Plain {
        /// The type in full.
        type_name: &'a str,
        /// The id.
        id: &'a str,
    },
    /// As a whole.
    Whole(String),
}

impl EntityName<'_> {
    /// What it is made of.
    pub fn pieces(&self) -> [&str; 4] {
        match self {
            Self::Plain { type_name, id } => [type_name, "::\"", id, "\""],
            Self::Whole(name) => [name, "", "", ""],
        }
    }
}

impl fmt::Display for EntityName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().iter().try_for_each(|piece| formatter.write_str(piece))
    }
}
