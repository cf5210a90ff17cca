//! Test results in the format of `JUnit`, as the `xUnit` plugin of Jenkins describes it: `junit-10.xsd`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::model::Finding;
use crate::suite::{Asked, Failure, FileReport, Report, TestReport};

/// Writes a report to a file.
#[expect(clippy::disallowed_methods, reason = "the file that the command line names")]
pub(super) fn write(path: &Path, report: &Report) -> std::io::Result<()> {
    let text = text(report).map_err(std::io::Error::other)?;
    std::fs::write(path, text)
}

fn text(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut suites: BTreeMap<Arc<str>, TestSuite> = BTreeMap::new();
    let new = |path: &Arc<str>| TestSuite::new(&**path);
    for file in &report.files {
        let suite = suites.entry(Arc::clone(&file.path)).or_insert_with(|| new(&file.path));
        suite.add_test_cases(cases(file));
    }
    for finding in report.findings.iter().filter(|finding| finding.is_error()) {
        let suite = suites.entry(Arc::clone(&finding.path)).or_insert_with(|| new(&finding.path));
        suite.add_test_case(broken(finding));
    }
    let mut junit = quick_junit::Report::new("palisade test");
    junit.add_test_suites(suites.into_values());
    // The schema has no `skipped` for all suites together, only for each; and the first one is theirs.
    let surplus = format!(" skipped=\"{}\"", junit.skipped);
    junit.to_string().map(|text| text.replacen(&surplus, "", 1))
}

fn cases(file: &FileReport) -> impl Iterator<Item = TestCase> {
    file.tests.iter().flat_map(|test| {
        let case = |name: String, status| {
            let mut case = TestCase::new(name, status);
            case.set_classname(&*file.path);
            case
        };
        let skipped = test.skipped.iter().map(move |why| {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&**why);
            case(test.name.to_string(), status)
        });
        let passed = test.passed.iter().map(move |asked| case(name(test, asked), TestCaseStatus::success()));
        let failed =
            test.failures.iter().map(move |failure| case(name(test, &failure.asked), status(failure)));
        skipped.chain(passed).chain(failed)
    })
}

fn name(test: &TestReport, asked: &Asked) -> String {
    format!("{}: {} {} {}", test.name, asked.principal, asked.action, asked.resource)
}

fn status(failure: &Failure) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(failure.got.as_str());
    status.set_message(format!("expected {}, got {}", failure.expected, failure.got));
    let mut lines = failure.why.clone();
    lines.extend(failure.remarks());
    status.set_description(lines.join("\n"));
    status
}

/// A file or a test that could not be run.
fn broken(finding: &Finding) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(finding.code);
    status.set_message(finding.to_string());
    let line = finding.place.map_or_else(String::new, |place| format!(" at line {}", place.line));
    let mut case = TestCase::new(format!("{}{line}", finding.code), status);
    case.set_classname(&*finding.path);
    case
}
