//! Cedar's errors as findings: file, line, column, what is wrong, what to do about it.

use std::ops::Range;

use miette::{Diagnostic, LabeledSpan};

use super::Source;
use super::lexer::tokens;
use super::lint::Rule;
use super::wording::{Complaint, Wording};
use crate::model::{Finding, Fix, Place, Severity};

/// Of the errors that come at once, so many are said: who mends them sees the rest.
const RELATED: usize = 49;

/// An error at a place of a text.
pub(super) fn at(
    source: &Source,
    span: Range<usize>,
    code: &'static str,
    message: impl Into<String>,
) -> Finding {
    Finding::error(&source.path, code, message).at(place(source, &span))
}

/// Words of Cedar's in our style, where nothing but the words is known.
pub(super) fn plain(text: &str) -> String {
    Wording::of(&Complaint { message: text, ..Complaint::default() }).message
}

/// Whether the places of an error are places of this text. One that names no text may be of any.
pub(super) fn is_about(source: &Source, diagnostic: &dyn Diagnostic) -> bool {
    let Some(code) = diagnostic.source_code() else { return true };
    // Its beginning and all lines behind it. A span longer than the text would panic in miette.
    code.read_span(&(0, 0).into(), 0, usize::MAX)
        .is_ok_and(|contents| contents.data() == source.text.as_bytes())
}

/// What an error says, and the others that came with it.
pub(super) fn from_diagnostic(
    source: &Source,
    code: &'static str,
    diagnostic: &dyn Diagnostic,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    collect(source, code, diagnostic, &[], &mut findings);
    findings
}

/// What the validation of a policy says. `place` is where the policy stands, for what has no
/// place of its own in this text; `known` are the full names of types and actions,
/// `Shop::User` and `Shop::Action::"updateProduct"`.
pub(super) fn of_policy(
    source: &Source,
    place: Place,
    code: &'static str,
    diagnostic: &dyn Diagnostic,
    known: &[String],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    collect(source, code, diagnostic, known, &mut findings);
    for finding in &mut findings {
        finding.place.get_or_insert(place);
    }
    findings
}

/// One after the other, up to a bound: each is searched for in the text.
fn collect(
    source: &Source,
    code: &'static str,
    diagnostic: &dyn Diagnostic,
    known: &[String],
    findings: &mut Vec<Finding>,
) {
    findings.push(one(source, code, diagnostic, known));
    for related in diagnostic.related().into_iter().flatten().take(RELATED) {
        findings.push(one(source, code, related, known));
    }
}

fn one(source: &Source, code: &'static str, diagnostic: &dyn Diagnostic, known: &[String]) -> Finding {
    let mut labels: Vec<LabeledSpan> =
        diagnostic.labels().filter(|_| is_about(source, diagnostic)).into_iter().flatten().collect();
    // Of two places of one name, the later one is too many.
    labels.sort_by_key(LabeledSpan::offset);
    let label = labels.pop();
    let span = label.as_ref().map(|label| label.offset()..label.offset() + label.len());
    let help = diagnostic.help().map(|help| help.to_string());
    let wording = Wording::of(&Complaint {
        message: &message(diagnostic),
        expected: label.as_ref().and_then(LabeledSpan::label),
        help: help.as_deref(),
        text: &source.text,
        span: span.clone(),
        known,
    });
    let span = wording.span.or(span).map(|span| after_the_last_word(source, span));
    let first = labels.first().map(|first| Place::of(&source.text, first.offset(), first.len()).line);
    let first = first.map(|line| format!("the first is on line {line}"));
    Finding {
        path: std::sync::Arc::clone(&source.path),
        place: span.map(|span| place(source, &span)),
        severity: severity(diagnostic),
        code: wording.rule.map_or(code, Rule::id),
        message: wording.message,
        help: wording.help.or(first),
        fix: wording.fix.map(|(span, replacement)| Fix { place: place(source, &span), replacement }),
    }
}

/// What went wrong, with its causes: the outer error alone often says no more than that it did.
fn message(diagnostic: &dyn Diagnostic) -> String {
    let mut message = diagnostic.to_string();
    let mut cause = diagnostic.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    message
}

fn severity(diagnostic: &dyn Diagnostic) -> Severity {
    match diagnostic.severity() {
        None | Some(miette::Severity::Error) => Severity::Error,
        Some(miette::Severity::Warning | miette::Severity::Advice) => Severity::Warning,
    }
}

/// Where a part of a text stands.
pub(super) fn place(source: &Source, span: &Range<usize>) -> Place {
    Place::of(&source.text, span.start, span.end.saturating_sub(span.start))
}

/// The end of a text is not where somebody forgot something: that is behind its last word.
fn after_the_last_word(source: &Source, span: Range<usize>) -> Range<usize> {
    let rest = source.text.get(span.start..).unwrap_or_default();
    if span.is_empty() && tokens(rest).next().is_none() {
        let end = tokens(&source.text).last().map_or(0, |token| token.span().end);
        return end..end;
    }
    span
}
