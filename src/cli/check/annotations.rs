//! Findings as annotations in a GitHub workflow, and what is left of them for the log.

use anstream::println;

use super::super::repository::Repository;
use super::super::{github, render};
use crate::cedar::lint::Checked;

/// Prints the findings that stand. Nothing out of a file stands on a line of its own: it could be a
/// command to the runner.
pub(super) fn print(checked: &Checked, repository: &Repository) {
    for finding in &checked.findings {
        let path = repository.path(&finding.path);
        println!("{}", github::finding(finding, path.as_deref().unwrap_or(&finding.path)));
    }
    println!("{}, {} silenced", render::count(&checked.findings), checked.silenced.len());
}
