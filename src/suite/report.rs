//! What a run came to: failures in full, and of what passed no more than its name.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::case::{Asked, Case};
use super::file::{Body, Test};
use super::plan::{Plan, PlannedTest};
use crate::cedar::Snapshot;
use crate::model::{Finding, Place};

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The files, in their order.
    pub files: Vec<FileReport>,
    /// What is wrong with the files themselves.
    pub findings: Vec<Finding>,
    /// Whether the run ended at its first failure.
    pub stopped: bool,
}

/// One file.
#[derive(Debug, Clone)]
pub struct FileReport {
    /// Its path, as findings name it.
    pub path: Arc<str>,
    /// Its tests that were run or skipped.
    pub tests: Vec<TestReport>,
}

/// One test.
#[derive(Debug, Clone)]
pub struct TestReport {
    /// What it is called.
    pub name: Arc<str>,
    /// Where its name stands.
    pub place: Place,
    /// Why it was not run, if it was not.
    pub skipped: Option<Arc<str>>,
    /// The cases that came out as expected.
    pub passed: Vec<Asked>,
    /// Those that did not.
    pub failures: Vec<Failure>,
}

/// A case that did not come out as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What was asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// Where it stands in the file of its test.
    #[serde(flatten)]
    pub place: Place,
    /// In words: `allow by exactly a`.
    pub expected: String,
    /// In words: `deny (no_permit)`.
    pub got: String,
    /// Everything that is not as expected, in words.
    pub why: Vec<String>,
    /// The policies that determined the answer.
    pub policies: Vec<Determined>,
    /// Where nothing permitted what should be allowed: the permits that almost applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Nearest>,
    /// Probable causes, and what to do, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A policy that almost applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nearest {
    /// Which, and where it stands.
    #[serde(flatten)]
    pub policy: Determined,
    /// The parts of it that the request did not meet, as they are written.
    pub but_for: Vec<String>,
}

/// A policy, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Determined {
    /// Its id.
    pub id: Arc<str>,
    /// Its file.
    pub path: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
}

/// How many cases there were of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// Cases that came out as expected.
    pub passed: usize,
    /// Cases that did not.
    pub failed: usize,
    /// Tests that were not run.
    pub skipped: usize,
}

impl Report {
    /// A report of nothing yet but what is wrong with the files.
    pub fn of(plan: &Plan<'_>) -> Self {
        Self { findings: plan.findings().to_vec(), ..Self::default() }
    }

    /// Notes how a case came out: a failure, or none. Cases come in the order of their plan.
    pub fn note(&mut self, case: &Case<'_>, failure: Option<Failure>) {
        self.with_test(case.file, case.test, |test| match failure {
            Some(failure) => test.failures.push(failure),
            None => test.passed.push(case.asked.clone()),
        });
    }

    /// Notes a test that is not run; of one that is, its cases are noted.
    pub fn note_skipped(&mut self, planned: &PlannedTest<'_>) {
        if let Body::Skipped(why) = &planned.test.body {
            self.with_test(planned.file, planned.test, |test| test.skipped = Some(Arc::clone(why)));
        }
    }

    /// How many cases there were in all.
    pub fn count(&self) -> Count {
        self.files.iter().map(FileReport::count).fold(Count::default(), Count::plus)
    }

    /// Whether every case came out as expected, and nothing is wrong with a file.
    pub fn is_good(&self) -> bool {
        self.count().failed == 0 && !self.findings.iter().any(Finding::is_error)
    }

    /// The report of a test: the last one, or a new one behind it.
    fn with_test(&mut self, path: &Arc<str>, test: &Test, change: impl FnOnce(&mut TestReport)) {
        if self.files.last().is_none_or(|last| last.path != *path) {
            self.files.push(FileReport { path: Arc::clone(path), tests: Vec::new() });
        }
        let Some(file) = self.files.last_mut() else { return };
        if file.tests.last().is_none_or(|last| last.place != test.place || last.name != test.name) {
            file.tests.push(TestReport::of(test));
        }
        if let Some(test) = file.tests.last_mut() {
            change(test);
        }
    }
}

impl FileReport {
    /// How many cases it has.
    pub fn count(&self) -> Count {
        self.tests.iter().map(TestReport::count).fold(Count::default(), Count::plus)
    }
}

impl TestReport {
    fn of(test: &Test) -> Self {
        Self {
            name: Arc::clone(&test.name),
            place: test.place,
            skipped: None,
            passed: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// How many cases it has.
    pub fn count(&self) -> Count {
        Count {
            passed: self.passed.len(),
            failed: self.failures.len(),
            skipped: usize::from(self.skipped.is_some()),
        }
    }
}

impl Failure {
    /// What helps to mend it, a sentence each: what almost allowed it, hints, and what determined it.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        let nearest = self.nearest.iter().map(|near| {
            let but_for = near.but_for.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>();
            format!("nearest: {}, but for {}", near.policy, but_for.join(", "))
        });
        let hints = self.hints.iter().map(|hint| format!("hint: {hint}"));
        nearest.chain(hints).chain(self.policies.iter().map(ToString::to_string))
    }
}

/// `admins-manage-products at policies/product.cedar:9:1`.
impl fmt::Display for Determined {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}:{}:{}", self.id, self.path, self.line, self.column)
    }
}

impl Determined {
    pub(super) fn of(id: &Arc<str>, snapshot: &Snapshot) -> Option<Self> {
        let (path, place) = snapshot.policy_place(id)?;
        let Place { line, column, .. } = place;
        Some(Self { id: Arc::clone(id), path: Arc::clone(path), line, column })
    }
}

impl Count {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Whether nothing was judged.
    pub const fn is_empty(self) -> bool {
        self.passed == 0 && self.failed == 0
    }
}
