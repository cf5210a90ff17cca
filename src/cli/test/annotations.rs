//! Test results in a GitHub workflow: an annotation for each test that failed, and the step's summary.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anstream::println;

use super::super::github::{Annotation, Level, markdown};
use super::super::{github, render};
use super::Run;
use crate::config::Environment;
use crate::suite::{Failure, Report, TestReport};

/// So many cases of one test are named in its annotation.
const NAMED: usize = 10;
/// So many rows has the summary's table: GitHub takes 1 MiB.
const ROWS: usize = 500;

/// Prints a run. Nothing out of a file stands on a line of its own: it could be a command.
pub(super) fn print(run: &Run, base: &Path, environment: &Environment) {
    let path = |path: &str| github::in_workspace(base, path, environment);
    for finding in &run.findings {
        println!("{}", github::finding(finding, &path(&finding.path)));
    }
    let report = &*run.on_record();
    for file in &report.files {
        for test in file.tests.iter().filter(|test| !test.failures.is_empty()) {
            let annotation = Annotation {
                level: Level::Error,
                path: &path(&file.path),
                line: Some(test.place.line),
                column: Some(test.place.column),
                title: &test.name,
                message: &message(test),
            };
            println!("{annotation}");
        }
    }
    let head = head(run);
    println!("{head}");
    if let Some(summary) = environment.get("GITHUB_STEP_SUMMARY")
        && let Err(error) = append(Path::new(summary), &summary_of(&head, report))
    {
        render::failure(&format!("the step's summary cannot be written: {error}"), None);
    }
}

fn message(test: &TestReport) -> String {
    let mut lines: Vec<_> = test.failures.iter().take(NAMED).map(line).collect();
    if let Some(more) = test.failures.len().checked_sub(NAMED).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn line(failure: &Failure) -> String {
    let asked = &failure.asked;
    let what = format!(
        "{} {} {}: expected {}, got {}: {}",
        asked.principal,
        asked.action,
        asked.resource,
        failure.expected,
        failure.got,
        failure.why.join("; ")
    );
    let remarks = failure.remarks().map(|remark| format!("  {remark}"));
    std::iter::once(what).chain(remarks).collect::<Vec<_>>().join("\n")
}

fn head(run: &Run) -> String {
    run.report.as_ref().map(Report::count).map_or_else(
        || "not run, the policies do not compile".to_owned(),
        |count| format!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped),
    )
}

fn summary_of(head: &str, report: &Report) -> String {
    let count = report.count();
    let mut text = format!("### Policy tests: {head}\n\n");
    for finding in &report.findings {
        let _infallible = writeln!(text, "- {}", markdown(&finding.to_string()));
    }
    if count.failed == 0 {
        return text;
    }
    text.push_str("\n| test | principal | action | resource | expected | got |\n|---|---|---|---|---|---|\n");
    let tests = report.files.iter().flat_map(|file| &file.tests);
    let failures = tests.flat_map(|test| test.failures.iter().map(move |failure| (test, failure)));
    for (test, failure) in failures.take(ROWS) {
        let got = format!("{}: {}", failure.got, failure.why.join("; "));
        let asked = &failure.asked;
        let cells = [&*test.name, &asked.principal, &asked.action, &asked.resource, &failure.expected, &got];
        let _infallible = writeln!(text, "| {} |", cells.map(markdown).join(" | "));
    }
    if count.failed > ROWS {
        let _infallible = writeln!(text, "\nand {} more", count.failed - ROWS);
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "the file that the workflow names")]
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}
