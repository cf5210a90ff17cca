//! YAML, and with it JSON, as typed values with their places; what is wrong as one finding.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_saphyr::{Error, MessageFormatter as _, Options, Spanned, UserMessageFormatter};

use crate::cedar::Source;
use crate::model::suggestion::did_you_mean;
use crate::model::{Finding, Place};

/// How deep a text nests: what a request may, and the test around it.
const DEPTH: usize = 40;
/// The nodes of one text; the shortest takes two bytes of a file of 1 MiB.
const NODES: usize = 1_000_000;
/// What aliases may add to a text, in events of the parser: `*a` is a name, not an amplifier.
const REPLAYED: usize = 100_000;

/// A value with its place in the text.
#[derive(Debug, Clone)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A name with its place in the text.
pub(super) type Name = Placed<Arc<str>>;

/// The members of a mapping in their order, each name given once.
#[derive(Debug, Clone)]
pub(super) struct Named<T>(pub(super) Vec<(Name, T)>);

/// Reads one document.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn read<T: DeserializeOwned>(source: &Source) -> Result<T, Finding> {
    serde_saphyr::from_str_with_options(&source.text, options()).map_err(|error| finding(source, &error))
}

fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED },
        budget: serde_saphyr::budget! {
            max_depth: DEPTH,
            max_nodes: NODES,
            max_events: 2 * NODES,
            // One list of names, used by every test of a file, is what aliases are for.
            enforce_alias_anchor_ratio: false,
        },
    }
}

fn finding(source: &Source, error: &Error) -> Finding {
    let (message, help) = in_our_words(error);
    let finding = Finding::error(&source.path, "test-format", message);
    let finding = match error.location().filter(|location| location.line() > 0) {
        Some(location) => finding.at(place(&source.text, &location)),
        None => finding,
    };
    match help {
        Some(help) => finding.help(help),
        None => finding,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of many errors, those that authors meet have words of ours"
)]
fn in_our_words(error: &Error) -> (String, Option<String>) {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => in_our_words(error),
        Error::SerdeUnknownField { field, expected, .. } => unknown("member", field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => unknown("value", variant, expected),
        Error::SerdeMissingField { field, .. } => (format!("the member `{field}` is missing"), None),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            (format!("the member `{key}` is given twice"), None)
        }
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            (format!("expected {expected}, found {unexpected}"), None)
        }
        Error::Unexpected { expected, .. } => (format!("expected {}", plainly(expected)), None),
        Error::NullIntoString { .. } => ("expected a string, found nothing".to_owned(), None),
        Error::MultipleDocuments { .. } => {
            ("a second document begins here".to_owned(), Some("write each into a file of its own".to_owned()))
        }
        Error::AliasReplayLimitExceeded { .. } => {
            let message = format!("aliases make the text larger than it is by more than {REPLAYED} values");
            (message, Some("write out what the aliases stand for".to_owned()))
        }
        Error::Budget { .. } => {
            let message = format!("the text nests deeper than {DEPTH}, or holds more than {NODES} values");
            (message, Some("split the file".to_owned()))
        }
        _ => (lower_case(&UserMessageFormatter.format_message(error)), None),
    }
}

/// A name that is near to one needs no list of all.
fn unknown(what: &str, name: &str, known: &[&str]) -> (String, Option<String>) {
    let suggestion = did_you_mean(name, known.iter().copied());
    let help = suggestion.is_empty().then(|| format!("there are {}", list(known)));
    (format!("unknown {what} `{name}`{suggestion}"), help)
}

fn lower_case(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(char::to_lowercase);
    first.into_iter().flatten().chain(characters).collect()
}

fn plainly(expected: &'static str) -> &'static str {
    match expected {
        "sequence start" => "a list",
        "mapping start" => "a mapping",
        "string scalar" => "a string",
        other => other,
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn place(text: &str, location: &serde_saphyr::Location) -> Place {
    let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    if location.span().byte_offset().is_some_and(|offset| size(offset) <= text.len()) {
        return placed(location);
    }
    // The parser's own complaints count characters only.
    let characters = size(location.span().offset());
    let offset = text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset);
    Place { offset, length: 0, ..placed(location) }
}

fn placed(location: &serde_saphyr::Location) -> Place {
    let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let span = location.span();
    Place {
        line: size(location.line()),
        column: size(location.column()),
        offset: span.byte_offset().map_or(0, size),
        length: span.byte_len().map_or(0, size),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { value, place: placed(&referenced) })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Named<T>, A::Error> {
        let mut named = Vec::new();
        while let Some(member) = members.next_entry()? {
            named.push(member);
        }
        Ok(Named(named))
    }
}
