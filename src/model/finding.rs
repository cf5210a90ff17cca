//! A problem in a file: a value, not an exception, so that all of them can be shown at once.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Something wrong with a file that Palisade reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as the sources name it (relative to the configuration).
    pub path: Arc<str>,
    /// Where in the file, wherever there is a place.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Whether it stops the revision.
    pub severity: Severity,
    /// A stable code in kebab-case, `duplicate-id`, `user-writable-claim`, …
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// A change of the file that mends it, where there is one that needs no thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// A change of a text: something else in the place of a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What is replaced.
    #[serde(flatten)]
    pub place: Place,
    /// What stands there instead.
    pub replacement: String,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// In bytes from the start.
    pub offset: usize,
    /// In bytes.
    pub length: usize,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The revision cannot serve.
    Error,
    /// It can, but somebody should look.
    Warning,
}

impl Finding {
    /// An error about a whole file.
    pub fn error(path: &Arc<str>, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            path: Arc::clone(path),
            place: None,
            severity: Severity::Error,
            code,
            message: message.into(),
            help: None,
            fix: None,
        }
    }

    /// A warning about a whole file.
    pub fn warning(path: &Arc<str>, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, code, message) }
    }

    /// With its place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Whether it stops the revision.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The places of one text. Where they are asked for in the order of the text, no part of it is counted twice:
/// files that programs write can be a single line.
#[derive(Debug)]
pub struct Places<'text> {
    text: &'text str,
    /// A place whose line and column are known.
    offset: usize,
    line: usize,
    column: usize,
}

impl<'text> Places<'text> {
    /// Those of this text.
    pub const fn of(text: &'text str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    /// The place of `length` bytes at `offset`, as [`Place::of`] gives it.
    pub fn at(&mut self, offset: usize, length: usize) -> Place {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        if offset < self.offset {
            *self = Self::of(self.text);
        }
        let since = self.text.get(self.offset..offset).unwrap_or_default();
        match since.rsplit_once('\n') {
            None => self.column += since.chars().count(),
            Some((before, on_the_line)) => {
                self.line += before.bytes().filter(|byte| *byte == b'\n').count() + 1;
                self.column = on_the_line.chars().count() + 1;
            }
        }
        self.offset = offset;
        Place { line: self.line, column: self.column, offset, length }
    }
}

impl Place {
    /// The place of `length` bytes at `offset` of `text`; an offset inside a character counts
    /// as its start, one behind the end as the end.
    pub fn of(text: &str, offset: usize, length: usize) -> Self {
        Places::of(text).at(offset, length)
    }
}

/// `path:line:column: message`, as editors and terminals understand it.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => {
                write!(formatter, "{}:{}:{}: {}", self.path, place.line, place.column, self.message)
            }
            None => write!(formatter, "{}: {}", self.path, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "é\nnaïve forbid";
        let place = Place::of(text, text.find("forbid").unwrap(), 6);
        assert_eq!((place.line, place.column), (2, 7));
        assert_eq!(Place::of(text, 1, 0).column, 1, "inside the first character");
        assert_eq!(Place::of(text, 999, 0).line, 2, "behind the end");
    }

    #[test]
    fn places_are_the_same_in_whatever_order_they_are_asked_for() {
        let text = "é, é\n\nnaïve, naïve\nforbid";
        let mut places = Places::of(text);
        for offset in (0..=text.len() + 1).chain([7, 7, 3, 99, 0]) {
            assert_eq!(places.at(offset, 1), Place::of(text, offset, 1), "{offset}");
        }
    }
}
