//! Prints findings and failures: the source line with a caret for people, JSON for programs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::Arc;

use anstream::{eprintln, println};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report, Severity,
};
use serde::Serialize;

use super::Format;
use crate::cedar::{Source, Sources};
use crate::config::{Configuration, DEFAULT_FILE};
use crate::model::{self, Finding, Place};

/// The longest source line that is shown, in bytes: no terminal has more, and a file of one line
/// would bury its finding.
const LONGEST_LINE: usize = 1_000;

/// So many findings are shown: nobody reads more, and each is searched for in its text.
const MOST_FINDINGS: usize = 200;

/// What the runner of a GitHub workflow takes for a command wherever it stands.
const WORKFLOW_COMMAND: &str = "##[";

/// The texts that findings point into, by path.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<Arc<str>, Arc<str>>);

impl Texts {
    pub(super) fn of(sources: &Sources, configuration: &Configuration) -> Self {
        let Sources { policies, links, schema, entities, .. } = sources;
        let files = policies.iter().chain(links).chain(schema).chain(entities);
        let mut texts: HashMap<_, _> =
            files.map(|file| (Arc::clone(&file.path), Arc::clone(&file.text))).collect();
        if let Some(file) = &configuration.file {
            texts.insert(file.path.display().to_string().into(), Arc::clone(&file.text));
            // What compiling finds in the settings goes by the usual name.
            texts.insert(DEFAULT_FILE.into(), Arc::clone(&file.text));
        }
        Self(texts)
    }

    /// The text of a file.
    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(AsRef::as_ref)
    }

    /// With further files.
    pub(super) fn and(mut self, sources: &[Source]) -> Self {
        self.0.extend(sources.iter().map(|file| (Arc::clone(&file.path), Arc::clone(&file.text))));
        self
    }

    pub(super) fn one(path: &Arc<str>, text: &str) -> Self {
        Self(HashMap::from([(Arc::clone(path), text.into())]))
    }
}

/// Prints findings for people, on standard error, each with its source line.
pub(super) fn findings(findings: &[Finding], texts: &Texts) {
    for finding in findings.iter().take(MOST_FINDINGS) {
        eprintln!("{}", report(finding, texts));
    }
    if let Some(more @ 1..) = findings.len().checked_sub(MOST_FINDINGS) {
        eprintln!("… and {more} more");
    }
}

/// A remark about places in one file, each marked and labelled in its source line; nothing where the
/// lines are not for a terminal. For standard output.
pub(super) fn remark(
    message: &str,
    path: &Arc<str>,
    labels: &[(Place, String)],
    texts: &Texts,
) -> Option<String> {
    let text = texts.0.get(path)?;
    let labels: Vec<_> = labels
        .iter()
        .filter(|(place, _)| can_be_shown(text, *place))
        .map(|(place, label)| LabeledSpan::new(Some(label.clone()), place.offset, place.length))
        .collect();
    let remark = MietteDiagnostic::new(plain(message)).with_severity(Severity::Advice).with_labels(labels);
    remark.labels.as_ref().filter(|labels| !labels.is_empty())?;
    let report = Report::new(remark).with_source_code(NamedSource::new(plain(path), text.to_string()));
    Some(graphical(&report, std::io::stdout().is_terminal()))
}

/// Prints a value for programs, on standard output.
pub(super) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => println!("{text}"),
        Err(error) => failure(&format!("the result cannot be written as JSON: {error}"), None),
    }
}

/// Prints a complaint about the settings.
pub(super) fn fault(finding: &Finding, text: &str, format: Format) {
    match format {
        Format::Text => findings(std::slice::from_ref(finding), &Texts::one(&finding.path, text)),
        Format::Json => json(&serde_json::json!({"findings": [finding]})),
    }
}

/// Prints why a verb could not run, and what to do.
pub(super) fn failure(message: &str, help: Option<&str>) {
    let finding = MietteDiagnostic::new(plain_lines(message));
    let finding = match help {
        Some(help) => finding.with_help(plain_lines(help)),
        None => finding,
    };
    eprintln!("{}", on_stderr(&Report::new(finding)));
}

/// A text out of a file on one line, without characters that command a terminal or turn the text around,
/// and without the marks that command a workflow of GitHub: `##[` anywhere, `::` where a line could start.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let commands = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(commands) && !text.contains(WORKFLOW_COMMAND) && !text.contains("::") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        // A long text is broken at white space, and between characters of some scripts.
        let could_start = before.is_none_or(|before: char| before.is_whitespace() || !before.is_ascii());
        if commands(c) {
            shown.extend(c.escape_default());
        } else if rest.starts_with(WORKFLOW_COMMAND) || (could_start && rest.starts_with("::")) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
        before = Some(c);
    }
    Cow::Owned(shown)
}

/// The same for a text of several lines.
pub(super) fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// `1 error and 2 warnings`.
pub(super) fn count(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match (errors, findings.len() - errors) {
        (0, 0) => "no findings".to_owned(),
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => format!("{} and {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

fn report(finding: &Finding, texts: &Texts) -> String {
    let mut diagnostic = MietteDiagnostic::new(plain_lines(&finding.message))
        .with_code(finding.code)
        .with_severity(match finding.severity {
            model::Severity::Error => Severity::Error,
            model::Severity::Warning => Severity::Warning,
        });
    diagnostic.help = finding.help.as_deref().map(plain_lines);
    match (finding.place, texts.0.get(&finding.path)) {
        (Some(place), Some(text)) if can_be_shown(text, place) => {
            let length = place.length.min(text.len().saturating_sub(place.offset));
            let labeled = diagnostic.with_label(LabeledSpan::new(None, place.offset, length));
            on_stderr(
                &Report::new(labeled)
                    .with_source_code(NamedSource::new(plain(&finding.path), text.to_string())),
            )
        }
        (Some(_), _) => {
            diagnostic.message = plain_lines(&finding.to_string());
            on_stderr(&Report::new(diagnostic))
        }
        (None, _) => {
            diagnostic.message = format!("{}: {}", plain(&finding.path), plain_lines(&finding.message));
            on_stderr(&Report::new(diagnostic))
        }
    }
}

/// Whether the lines around a place are for a terminal: neither overlong, nor with characters that
/// command it or a workflow.
fn can_be_shown(text: &str, place: Place) -> bool {
    let before = place.line.saturating_sub(2);
    let marked = text.get(place.offset..place.offset.saturating_add(place.length)).unwrap_or_default();
    let after = marked.matches('\n').count() + 3;
    text.lines().skip(before).take(after).all(|line| {
        let commands =
            line.contains(|c: char| c.is_control() && c != '\t') || line.contains(WORKFLOW_COMMAND);
        line.len() <= LONGEST_LINE && !commands
    })
}

fn on_stderr(report: &Report) -> String {
    graphical(report, std::io::stderr().is_terminal())
}

fn graphical(report: &Report, colours: bool) -> String {
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut text = String::new();
    // A broken word could go on with a command to a workflow.
    match GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_break_words(false)
        .render_report(&mut text, report.as_ref())
    {
        Ok(()) => text,
        Err(_) => report.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_out_of_a_file_commands_neither_a_terminal_nor_a_workflow() {
        assert_eq!(plain("q\n::error::owned"), "q\\n\\u{3a}:error::owned");
        assert_eq!(plain("::error::owned"), "\\u{3a}:error::owned");
        assert_eq!(plain("  ::error::owned"), "  \\u{3a}:error::owned");
        assert_eq!(plain("a ##[error]b"), "a \\u{23}#[error]b");
        assert_eq!(plain("###[error]"), "#\\u{23}#[error]");
        assert_eq!(plain("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(plain("Shop::Group::\"admin\""), "Shop::Group::\"admin\"");
        assert_eq!(plain_lines("a\n::b"), "a\n\\u{3a}:b");
    }
}
