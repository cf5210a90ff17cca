//! Findings as annotations in a GitHub workflow, and what is left of them for the log.

use anstream::println;

use super::super::github::{Annotation, Level};
use super::super::render;
use super::super::repository::Repository;
use crate::cedar::lint::Checked;
use crate::model::{Finding, Severity};

/// Prints the findings that stand. Nothing out of a file stands on a line of its own: it could be a
/// command to the runner.
pub(super) fn print(checked: &Checked, repository: &Repository) {
    for finding in &checked.findings {
        let path = repository.path(&finding.path);
        println!("{}", annotation(finding, path.as_deref().unwrap_or(&finding.path)));
    }
    println!("{}, {} silenced", render::count(&checked.findings), checked.silenced.len());
}

fn annotation(finding: &Finding, path: &str) -> String {
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
