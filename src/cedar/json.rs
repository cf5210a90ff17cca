//! JSON files that hold a list: its parts, and where each stands.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Source;
use crate::model::{Finding, Place, object};

/// One element of the list that a file holds. Its place is found by who wants one, with the
/// [`Places`](crate::model::Places) of the file: counting the lines before each of a million entities would be
/// quadratic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) source: &'a Source,
    raw: &'a str,
}

/// The elements of a file's list, which is within the limits.
pub(super) fn parts(source: &Source) -> Result<Vec<Part<'_>>, Finding> {
    let raws: Vec<&RawValue> = serde_json::from_str(&source.text).map_err(|error| {
        let start: usize =
            source.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let place = Place::of(&source.text, start + error.column().saturating_sub(1), 1);
        Finding::error(&source.path, "json", in_our_words(&error)).at(place)
    })?;
    Ok(raws.into_iter().map(|raw| Part { source, raw: raw.get() }).collect())
}

impl Part<'_> {
    /// Reads the element.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, String> {
        object::read(self.raw.as_bytes()).map_err(|error| in_our_words(&error))
    }

    /// In bytes from the start of the file. The element borrows from the source's text, so it
    /// starts where its address says.
    pub(super) fn offset(self) -> usize {
        (self.raw.as_ptr() as usize).saturating_sub(self.source.text.as_ptr() as usize)
    }

    /// In bytes.
    pub(super) const fn length(self) -> usize {
        self.raw.len()
    }
}

/// Without the place, which a finding gives apart, and without Rust's words.
fn in_our_words(error: &serde_json::Error) -> String {
    let text = error
        .to_string()
        .replace("unknown field", "unknown member")
        .replace("missing field", "missing member");
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}
