//! Where in palisade.toml a key stands.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::CODE;
use crate::model::suggestion::nearest;
use crate::model::{Finding, Place};

/// What the parser complains about, with its place, and the key that was meant.
pub(super) fn of_error(path: &Arc<str>, text: &str, error: &toml::de::Error) -> Finding {
    let finding = Finding::error(path, CODE, in_our_words(error.message()));
    let finding = match error.span() {
        Some(span) => finding.at(Place::of(text, span.start, span.len())),
        None => finding,
    };
    match meant(error.message()) {
        Some((_, known)) => finding.help(format!("did you mean `{known}`?")),
        None => finding,
    }
}

/// The place of a key such as `issuers.0.client_ids`; where it is not written, that of the nearest
/// table around it.
pub(super) fn of_key(text: &str, key: &str) -> Option<Place> {
    let document = DeTable::parse(text).ok()?;
    let mut place = None;
    let mut value = Spanned::new(document.span(), DeValue::Table(document.into_inner()));
    for part in key.split('.') {
        let span;
        (span, value) = match value.into_inner() {
            DeValue::Table(table) => {
                let Some((name, value)) = table.into_iter().find(|(name, _)| name.get_ref() == part) else {
                    break;
                };
                (name.span(), value)
            }
            DeValue::Array(array) => {
                let Some(value) = part.parse().ok().and_then(|index: usize| array.into_iter().nth(index))
                else {
                    break;
                };
                (value.span(), value)
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => break,
        };
        place = Some(Place::of(text, span.start, span.len()));
    }
    place
}

/// The unknown key of a message, and the known one that is nearest to it.
pub(super) fn meant(message: &str) -> Option<(&str, &str)> {
    let (unknown, known) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let known = known.split('`').skip(1).step_by(2);
    nearest(unknown, known).map(|known| (unknown, known))
}

/// The parser speaks of fields, and of what it had in mind for them.
pub(super) fn in_our_words(message: &str) -> String {
    message
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace("duplicate field", "duplicate key")
}
