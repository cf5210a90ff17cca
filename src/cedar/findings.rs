//! stub
use super::Source;
use crate::model::*;
pub(super) fn from_diagnostic(
    source: &Source,
    code: &'static str,
    d: &dyn miette::Diagnostic,
) -> Vec<Finding> {
    vec![Finding::error(&source.path, code, d.to_string())]
}
pub(super) fn plain(text: &str) -> String {
    text.to_owned()
}
pub(super) fn is_about(_: &Source, _: &dyn miette::Diagnostic) -> bool {
    true
}
pub(super) fn of_policy(
    source: &Source,
    place: Place,
    code: &'static str,
    d: &dyn miette::Diagnostic,
    _known: &[String],
) -> Vec<Finding> {
    vec![Finding::error(&source.path, code, d.to_string()).at(place)]
}
pub(super) fn at(
    source: &Source,
    span: std::ops::Range<usize>,
    code: &'static str,
    m: impl Into<String>,
) -> Finding {
    Finding::error(&source.path, code, m).at(Place::of(&source.text, span.start, span.len()))
}
