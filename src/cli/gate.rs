//! The tests that a new revision must pass before it is in force: where `store` and `suite` meet.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cedar::Snapshot;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::identity;
use crate::model::{Finding, Limits};
use crate::store::{Gate, TestFiles, TestTexts};
use crate::suite::{Plan, Report, Suite, Terms};

/// Failures that are told one by one.
const TOLD: usize = 20;

/// The gate that the settings ask for.
pub(super) fn of(configuration: &Configuration) -> Option<Gate> {
    let config = &configuration.config;
    let tests: &Path = config.policies.tests.as_deref()?;
    let files = TestFiles::new(&configuration.base, &[tests.to_owned()], config.limits.clone());
    let (issuers, limits) = (config.issuers.clone(), config.limits.clone());
    let judge = move |snapshot: &Snapshot, texts: &TestTexts, stop: &AtomicBool| {
        judge(snapshot, texts, &issuers, &limits, stop)
    };
    Some(Gate::new(files, config.policies.tests_timeout.0, Arc::new(judge)))
}

/// What stands in a snapshot's way.
fn judge(
    snapshot: &Snapshot,
    texts: &TestTexts,
    issuers: &[identity::Config],
    limits: &Limits,
    stop: &AtomicBool,
) -> Vec<Finding> {
    let suite = Suite::read(&texts.shared, &texts.tests);
    let plan = Plan::of(&suite, snapshot, issuers, limits);
    let terms = Terms::at(Clock::machine().now().wall);
    let report = crate::suite::run_until(&plan, &terms, || stop.load(Ordering::Relaxed));
    let broken = texts.findings.iter().chain(&report.findings).filter(|finding| finding.is_error()).cloned();
    let mut findings: Vec<_> = broken.chain(failures(&report)).collect();
    if findings.is_empty() && report.count().is_empty() {
        let path = texts.tests.first().map_or_else(|| Arc::from("tests"), |test| Arc::clone(&test.path));
        let nothing = Finding::error(&path, "no-tests", "there is no test, so nothing could fail");
        findings.push(nothing.help("write one, or take `policies.tests` out of palisade.toml"));
    }
    let more = findings.len().saturating_sub(TOLD);
    if more > 0
        && let Some(last) = findings.get(TOLD - 1).map(|finding| Arc::clone(&finding.path))
    {
        findings.truncate(TOLD);
        findings.push(Finding::error(&last, "test-failed", format!("and {more} more")));
    }
    findings
}

fn failures(report: &Report) -> impl Iterator<Item = Finding> {
    report.files.iter().flat_map(|file| {
        let tests = file.tests.iter();
        let failed = tests.flat_map(|test| test.failures.iter().map(move |failure| (test, failure)));
        failed.map(|(test, failure)| {
            let asked = &failure.asked;
            let message = format!(
                "the test `{}` fails: `{}`, `{}`, `{}`: expected {}, got {}",
                test.name, asked.principal, asked.action, asked.resource, failure.expected, failure.got
            );
            Finding::error(&file.path, "test-failed", message).at(failure.place)
        })
    })
}
