//! Cedar's messages about names that nobody declared, or that are not always there.

use std::ops::Range;

use super::{Complaint, Wording, between, ticked, unticked};
use crate::cedar::lexer::{tokens, tokens_in};
use crate::cedar::lint::Rule;
use crate::model::suggestion::nearest;

/// The methods of Cedar, for those who slip.
const METHODS: [&str; 24] = [
    "contains",
    "containsAll",
    "containsAny",
    "isEmpty",
    "getTag",
    "hasTag",
    "lessThan",
    "lessThanOrEqual",
    "greaterThan",
    "greaterThanOrEqual",
    "isIpv4",
    "isIpv6",
    "isLoopback",
    "isMulticast",
    "isInRange",
    "offset",
    "durationSince",
    "toDate",
    "toTime",
    "toMilliseconds",
    "toSeconds",
    "toMinutes",
    "toHours",
    "toDays",
];

/// Names that nobody declared.
pub(super) fn undeclared(message: &str, complaint: &Complaint<'_>) -> Option<Wording> {
    if let Some(name) = between(message, "unrecognized entity type `", "`") {
        return Some(complaint.unknown(format!("there is no entity type `{name}`"), name));
    }
    if let Some(name) = between(message, "unrecognized action `", "`") {
        return Some(complaint.unknown(format!("there is no action `{name}`"), name));
    }
    if let Some(name) = message.strip_suffix(" is not a valid method").and_then(unticked) {
        let meant = nearest(name, METHODS).map(|name| format!("did you mean `{name}`?"));
        return Some(Wording::new(format!("there is no method `{name}`")).maybe_help(meant));
    }
    if let Some(name) = message.strip_suffix(" is not a valid function").and_then(unticked) {
        let message = format!("there is no function `{name}`");
        let help = complaint.near(name).unwrap_or_else(|| {
            "the functions are `ip`, `decimal`, `datetime` and `duration`; others are methods: `a.contains(b)`".to_owned()
        });
        return Some(Wording::new(message).help(help));
    }
    if message == "invalid variable: null" {
        return Some(
            Wording::new("Cedar has no `null`")
                .help("ask whether an attribute is there: `resource has owner`"),
        );
    }
    if let Some(name) = message.strip_prefix("invalid variable: ") {
        return Some(Wording::new(format!("there is no variable `{name}`")));
    }
    attributes(message, complaint)
}

/// Attributes and tags that are not there, or not always.
fn attributes(message: &str, complaint: &Complaint<'_>) -> Option<Wording> {
    if let Some(rest) = message.strip_prefix("attribute `")
        && let Some((name, rest)) = rest.split_once('`')
        && let Some(holder) = rest.strip_suffix(" not found").and_then(holder)
    {
        let message = format!("{holder} has no attribute `{name}`");
        return Some(Wording::new(message).help(
            complaint.near(name).unwrap_or_else(|| "the schema says which attributes there are".to_owned()),
        ));
    }
    let unsafe_access = message.strip_prefix("unable to guarantee safety of access to ")?;
    if let Some(rest) = unsafe_access.strip_prefix("optional attribute `")
        && let Some((name, rest)) = rest.split_once('`')
    {
        let message = format!("{} may lack its optional attribute `{name}`", holder(rest)?);
        let target = complaint.written().split_once(&format!(".{name}")).map_or("…", |(target, _)| target);
        let help = format!("test for it first: `{target} has {name} && …`");
        return Some(Wording::new(message).help(help).rule(Rule::OptionalAttribute));
    }
    let (tag, rest) = unsafe_access.strip_prefix("tag `")?.split_once('`')?;
    let message = format!("{} may lack the tag `{tag}`", holder(rest)?);
    let target = complaint.written().split_once(".getTag").map_or("…", |(target, _)| target);
    let help = format!("test for it first: `{target}.hasTag({tag}) && …`");
    Some(Wording::new(message).help(help).rule(Rule::OptionalAttribute))
}

/// `` on entity type `T` `` and `` in context for A `` as the subject of a sentence.
fn holder(text: &str) -> Option<String> {
    if let Some(name) = text.strip_prefix(" on entity type ") {
        return Some(name.to_owned());
    }
    let action = text.strip_prefix(" in context for ")?;
    Some(format!("the context of `{action}`"))
}

impl Complaint<'_> {
    /// Cedar's `did you mean`, where what it suggests is near: it suggests something always.
    fn near(&self, name: &str) -> Option<String> {
        let suggestion = between(self.help?, "did you mean `", "`?")?;
        nearest(name, [suggestion]).map(|name| format!("did you mean `{name}`?"))
    }

    /// An unknown name, with what it may have meant: the full form of a short one, or a neighbour.
    fn unknown(&self, message: String, name: &str) -> Wording {
        let ending = format!("::{name}");
        let full: Vec<_> = self.known.iter().filter(|known| known.ends_with(&ending)).collect();
        if full.is_empty() {
            let alike = self.known.iter().map(String::as_str);
            let alike = alike.filter(|known| known.contains('"') == name.contains('"'));
            let meant = nearest(name, alike).map(|name| format!("did you mean `{name}`?"));
            return Wording::new(message).maybe_help(meant.or_else(|| self.near(name)));
        }
        let written: Vec<_> = full.iter().map(ticked).collect();
        let help = format!("policies use full names: write {}", written.join(" or "));
        let wording = Wording::new(message).help(help).rule(Rule::ShortTypeName);
        match (full.as_slice(), self.written_name(name)) {
            ([full], Some(span)) => {
                let namespace = full.strip_suffix(name).unwrap_or_default();
                Wording { fix: Some((span.start..span.start, namespace.to_owned())), ..wording }.at(span)
            }
            _ => wording,
        }
    }

    /// Where in the marked part of the text a name stands by itself, no namespace before it.
    fn written_name(&self, name: &str) -> Option<Range<usize>> {
        let wanted: Vec<_> = tokens(name).map(|token| token.text).collect();
        let marked: Vec<_> = tokens_in(self.text, self.span.clone()?).collect();
        let mut before = None;
        for (index, token) in marked.iter().enumerate() {
            let here = marked.get(index..index + wanted.len())?;
            let last = here.last()?;
            if before != Some("::") && here.iter().map(|token| token.text).eq(wanted.iter().copied()) {
                return Some(token.start..last.span().end);
            }
            before = Some(token.text);
        }
        None
    }
}
