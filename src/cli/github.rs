//! What a GitHub workflow reads: annotations of files on standard output, and the summary of a step.

use std::fmt::{self, Write as _};
use std::path::Path;

use crate::config::Environment;
use crate::model::{Finding, Severity};

/// `::error file=…,line=…,title=…::message`, escaped so that no text in it can be a command of its own.
#[derive(Debug)]
pub(super) struct Annotation<'a> {
    pub(super) level: Level,
    /// From the root of the workspace.
    pub(super) path: &'a str,
    /// Counted from 1.
    pub(super) line: Option<usize>,
    /// Counted from 1.
    pub(super) column: Option<usize>,
    pub(super) title: &'a str,
    /// Any number of lines.
    pub(super) message: &'a str,
}

/// A finding, at its place in the file of this path.
pub(super) fn finding(finding: &Finding, path: &str) -> String {
    let message = match &finding.help {
        Some(help) => format!("{}\n{help}", finding.message),
        None => finding.message.clone(),
    };
    let annotation = Annotation {
        level: match finding.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        },
        path,
        line: finding.place.map(|place| place.line),
        column: finding.place.map(|place| place.column),
        title: finding.code,
        message: &message,
    };
    annotation.to_string()
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Error,
    Warning,
}

impl fmt::Display for Annotation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        write!(formatter, "::{level} file={}", property(self.path))?;
        if let Some(line) = self.line {
            write!(formatter, ",line={line}")?;
        }
        if let Some(column) = self.column {
            write!(formatter, ",col={column}")?;
        }
        write!(formatter, ",title={}::{}", property(self.title), data(self.message))
    }
}

/// The path from the root of the workspace, where annotations look for it.
pub(super) fn in_workspace(base: &Path, path: &str, environment: &Environment) -> String {
    let absolute = std::path::absolute(base.join(path)).unwrap_or_default();
    let workspace = environment.get("GITHUB_WORKSPACE").map(Path::new);
    match workspace.and_then(|workspace| absolute.strip_prefix(workspace).ok()) {
        Some(inside) => inside.display().to_string(),
        None => path.to_owned(),
    }
}

/// The escapes of `@actions/core`, file `command.ts`: what comes behind the second `::`. For `##[` there is
/// none, and the runner takes it for a command wherever it stands.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A").replace("##[", "# #[")
}

/// The same for a property, which `:` and `,` end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A text that means nothing in Markdown: every mark of it is written as an entity.
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            escaped.push(' ');
        } else if c.is_ascii_punctuation() && !matches!(c, '.' | ',' | '/' | '-' | '(' | ')') {
            let _infallible = write!(escaped, "&#{};", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_file_can_start_a_command() {
        let annotation = Annotation {
            level: Level::Error,
            path: "tests/a,b:c.test.yaml",
            line: Some(3),
            column: Some(5),
            title: "x\n::stop-commands::y",
            message: "100%\r\n::add-mask::z ###[error]",
        };
        assert_eq!(
            annotation.to_string(),
            "::error file=tests/a%2Cb%3Ac.test.yaml,line=3,col=5,\
             title=x%0A%3A%3Astop-commands%3A%3Ay::100%25%0D%0A::add-mask::z ## #[error]"
        );
    }

    #[test]
    fn a_text_in_a_table_stays_one_cell_of_text() {
        assert_eq!(markdown("a|b"), "a&#124;b");
        assert_eq!(markdown("<b>`x`\n*y*"), "&#60;b&#62;&#96;x&#96; &#42;y&#42;");
        assert_eq!(markdown("deny (no permit), a/b-c.d"), "deny (no permit), a/b-c.d");
    }
}
