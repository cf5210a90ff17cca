//! Policy tests: texts in, a report out, through the same evaluation as the service.
//!
//! A [`Suite`] is what the files say. A [`Plan`] is that under one snapshot and its issuers: every
//! token judged, every name known. Its [`Case`]s can be asked one by one by whoever wants to see
//! each question and its answer; [`run`] does no more than that, and keeps the [`Report`].

mod case;
mod check;
pub mod coverage;
mod expected;
mod file;
mod filter;
mod fixtures;
mod given;
mod plan;
pub mod questions;
mod report;
mod speakers;
mod table;
mod written;
mod yaml;

pub use case::{Ask, Asked, Case};
pub use coverage::Coverage;
pub use expected::Outcome;
pub use file::{Test, TestFile};
pub use filter::Filter;
pub use plan::{Plan, PlannedTest};
pub use report::{Count, Determined, Failure, FileReport, Nearest, Report, TestReport};

use crate::cedar::{Source, Tracer};
use crate::model::{Finding, Timestamp};
use fixtures::{Fixtures, Shared};

/// So many failures of a run are explained: it takes up to some milliseconds each.
const EXPLAINED: usize = 100;

/// The JSON Schema of test files, for editors.
pub const SCHEMA: &str = include_str!("../docs/schema/policy-test.schema.json");

/// What the test files say.
#[derive(Debug, Default)]
pub struct Suite {
    files: Vec<TestFile>,
    fixtures: Fixtures,
    findings: Vec<Finding>,
}

/// How a run goes.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Which cases.
    pub filter: Filter,
    /// The time of the questions whose tests set none.
    pub now: Timestamp,
    /// Whether the first failure ends the run.
    pub fail_fast: bool,
    /// Whether failures are explained: what almost allowed them, and hints. Takes time.
    pub explain: bool,
}

impl Terms {
    /// Every case, judged and no more, at this time.
    pub fn at(now: Timestamp) -> Self {
        Self { filter: Filter::default(), now, fail_fast: false, explain: false }
    }
}

impl Suite {
    /// Reads the texts of test files, and of the `fixtures.yaml` that they share. What is wrong with
    /// one of them is a finding, and the others stand.
    pub fn read(shared: &[Source], tests: &[Source]) -> Self {
        let mut suite = Self::default();
        let mut read: Vec<Shared> = Vec::new();
        // The outer ones first: a name of an inner one that is taken is the inner one's fault.
        let mut outer_first: Vec<_> = shared.iter().collect();
        outer_first.sort_by_key(|source| source.path.matches('/').count());
        for source in outer_first {
            read.extend(Shared::read(source, &read, &mut suite.fixtures, &mut suite.findings));
        }
        for source in tests {
            let names = Shared::visible_from(&source.path, &read);
            suite.files.extend(TestFile::read(source, names, &mut suite.fixtures, &mut suite.findings));
        }
        suite
    }

    /// The files that could be read.
    pub fn files(&self) -> &[TestFile] {
        &self.files
    }

    /// The names of the groups that the users of these tests are in, by what they write down and by
    /// claims of these names.
    pub fn groups<'a>(&'a self, claims: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        let tokens = self.fixtures.principals.iter().map(|principal| &principal.token);
        tokens.flat_map(move |token| {
            let claimed = claims.iter().filter_map(|claim| token.claims.get(*claim)?.as_array()).flatten();
            let written = token.groups.iter().flatten().map(String::as_str);
            written.chain(claimed.filter_map(serde_json::Value::as_str))
        })
    }

    /// What is wrong with the texts.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// Asks and judges every case that passes the filter.
pub fn run(plan: &Plan<'_>, terms: &Terms) -> Report {
    run_until(plan, terms, || false)
}

/// The same, as long as somebody waits for it: asked before every case.
pub fn run_until(plan: &Plan<'_>, terms: &Terms, stop: impl Fn() -> bool) -> Report {
    judged(plan, terms, |_| (), stop)
}

/// The same, with what it covers of the policies of the plan's snapshot.
pub fn run_with_coverage(plan: &Plan<'_>, terms: &Terms, tracer: &Tracer<'_>) -> (Report, Coverage) {
    let mut coverage = Coverage::new(tracer, plan.snapshot());
    let report = judged(plan, terms, |case| coverage.note(case, tracer), || false);
    (report, coverage)
}

fn judged(
    plan: &Plan<'_>,
    terms: &Terms,
    mut note: impl FnMut(&Case<'_>),
    stop: impl Fn() -> bool,
) -> Report {
    let mut report = Report::of(plan);
    let mut explanations = if terms.explain { EXPLAINED } else { 0 };
    for planned in plan.tests(&terms.filter) {
        report.note_skipped(planned);
        for case in plan.cases_in(planned, &terms.filter, terms.now) {
            let outcome = case.outcome(plan.snapshot());
            let mut failure = case.judge(&outcome, plan.snapshot());
            if let Some(failure) = failure.as_mut().filter(|_| explanations > 0) {
                case.explain(failure, &outcome, plan.snapshot());
                explanations -= 1;
            }
            let failed = failure.is_some();
            report.note(&case, failure);
            note(&case);
            if failed && terms.fail_fast || stop() {
                report.stopped = true;
                return report;
            }
        }
    }
    report
}
