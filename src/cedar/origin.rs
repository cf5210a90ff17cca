//! Where stored entities are described: little of each, because there are a million of them, and the place in
//! full only for those that something is said of.

use std::fmt;
use std::sync::Arc;

use super::Source;
use super::json::Part;
use crate::model::{Finding, Place, Places};

/// Where a description stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    file: u32,
    /// In bytes.
    offset: u32,
    length: u32,
}

/// The places of origins, which are found soonest in their order.
#[derive(Debug)]
pub(super) struct Origins<'a>(Vec<(&'a Arc<str>, Places<'a>)>);

/// An origin as people read it.
#[derive(Debug)]
pub(super) struct Described<'a> {
    path: &'a Arc<str>,
    place: Place,
}

impl Origin {
    /// That of an element of the file with this number.
    pub(super) fn of(file: u32, part: Part<'_>) -> Self {
        let bytes = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self { file, offset: bytes(part.offset()), length: bytes(part.length()) }
    }
}

impl<'a> Origins<'a> {
    /// Those of these files, by their numbers.
    pub(super) fn of(sources: &'a [Source]) -> Self {
        Self(sources.iter().map(|source| (&source.path, Places::of(&source.text))).collect())
    }

    /// Where that is; nothing where there is no such file.
    pub(super) fn find(&mut self, origin: Origin) -> Option<Described<'a>> {
        let (path, places) = self.0.get_mut(origin.file as usize)?;
        Some(Described { path, place: places.at(origin.offset as usize, origin.length as usize) })
    }
}

impl Described<'_> {
    /// What is wrong there.
    pub(super) fn error(self, code: &'static str, message: String) -> Finding {
        Finding::error(self.path, code, message).at(self.place)
    }
}

/// `path:line:column`
impl fmt::Display for Described<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.path, self.place.line, self.place.column)
    }
}
