//! What a GitHub workflow reads: annotations of files on standard output.

use std::fmt;

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

/// The escapes of `@actions/core`, file `command.ts`: what comes behind the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The same for a property, which `:` and `,` end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
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
            message: "100%\r\n::add-mask::z",
        };
        assert_eq!(
            annotation.to_string(),
            "::error file=tests/a%2Cb%3Ac.test.yaml,line=3,col=5,\
             title=x%0A%3A%3Astop-commands%3A%3Ay::100%25%0D%0A::add-mask::z"
        );
    }
}
