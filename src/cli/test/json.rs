//! Test results for programs.

use serde_json::{Value, json};

use super::super::render;
use super::{Run, coverage};
use crate::suite::{FileReport, TestReport};

/// Prints a run.
pub(super) fn print(run: &Run) {
    let Some(report) = &run.report else {
        return render::json(&json!({"findings": run.findings, "revision": null}));
    };
    let count = report.count();
    let mut results = json!({
        "passed": count.passed,
        "failed": count.failed,
        "skipped": count.skipped,
        "findings": run.findings,
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
        "revision": run.snapshot.as_ref().map(|snapshot| snapshot.revision().to_string()),
    });
    if let (Some(members), Some(coverage)) = (results.as_object_mut(), &run.coverage) {
        members.insert("coverage".to_owned(), coverage::json(coverage));
    }
    render::json(&results);
}

fn file(file: &FileReport) -> Value {
    let count = file.count();
    json!({
        "path": file.path,
        "passed": count.passed,
        "failed": count.failed,
        "skipped": count.skipped,
        "tests": file.tests.iter().map(test).collect::<Vec<_>>(),
    })
}

fn test(test: &TestReport) -> Value {
    let mut value = json!({
        "name": test.name,
        "line": test.place.line,
        "column": test.place.column,
        "passed": test.passed.len(),
        "failures": test.failures,
    });
    if let (Some(members), Some(why)) = (value.as_object_mut(), &test.skipped) {
        members.insert("skipped".to_owned(), json!(why));
    }
    value
}
