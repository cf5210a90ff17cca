//! Cedar's errors as findings: file, line, column, what is wrong, what to do about it.

use std::ops::Range;

use miette::Diagnostic;

use super::Source;
use crate::model::{Finding, Place, Severity};

/// An error at a place of a text.
pub(super) fn at(
    source: &Source,
    span: Range<usize>,
    code: &'static str,
    message: impl Into<String>,
) -> Finding {
    let length = span.end.saturating_sub(span.start);
    Finding::error(&source.path, code, message).at(Place::of(&source.text, span.start, length))
}

/// What one of Cedar's errors says, and the others that came with it.
pub(super) fn from_diagnostic(
    source: &Source,
    code: &'static str,
    diagnostic: &dyn Diagnostic,
) -> Vec<Finding> {
    let mut findings = vec![one(source, code, diagnostic)];
    for related in diagnostic.related().into_iter().flatten() {
        findings.extend(from_diagnostic(source, code, related));
    }
    findings
}

fn one(source: &Source, code: &'static str, diagnostic: &dyn Diagnostic) -> Finding {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let message = diagnostic.to_string();
    let mut finding = match label {
        Some(label) => at(source, label.offset()..label.offset() + label.len(), code, message),
        None => Finding::error(&source.path, code, message),
    };
    if diagnostic.severity().is_some_and(|severity| severity != miette::Severity::Error) {
        finding.severity = Severity::Warning;
    }
    finding.help = diagnostic.help().map(|help| help.to_string());
    finding
}
