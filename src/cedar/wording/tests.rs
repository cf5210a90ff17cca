//! What people read who slip as they write: sentences, made of what Cedar's parser says.

use crate::cedar::{Source, Sources, compile};
use crate::model::Limits;

/// The first message about a text of policies.
fn said(policies: &str) -> String {
    let schema = include_str!("../../../schema/shop.cedarschema");
    let source = |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![source("a.cedar", policies)],
        schema: vec![source("shop.cedarschema", schema)],
        ..Sources::default()
    };
    compile(&sources, &Limits::default()).unwrap_err().remove(0).message
}

#[test]
fn a_text_that_ends_too_early_is_told_in_a_sentence() {
    for (text, message) in [
        ("permit (", "the text ends where `)` or an identifier is expected"),
        ("permit", "the text ends where `(` is expected"),
        ("permit (principal, action, resource", "the text ends too early"),
        (
            "permit (principal, action, resource) when { resource.",
            "the text ends where an identifier is expected",
        ),
        ("permit (principal, action, resource) when { resource == ", "the text ends too early"),
        ("@id(", "the text ends where a string is expected"),
    ] {
        assert_eq!(said(text), message, "{text}");
    }
}

#[test]
fn what_stands_where_something_else_is_expected_is_told_with_it() {
    for (text, message) in [
        ("permit (principal action, resource);", "unexpected `action`"),
        (
            "permit (principal, action, resource) when { resource.1 };",
            "unexpected `1`, expected an identifier",
        ),
        ("permit (principal, action, resource) when resource;", "unexpected `resource`, expected `{`"),
        ("@id(x) permit (principal, action, resource);", "unexpected `x`, expected a string"),
    ] {
        assert_eq!(said(text), message, "{text}");
    }
}
