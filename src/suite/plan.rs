//! A suite under one snapshot and its issuers: tokens judged, names known, cases in their order.

use std::sync::Arc;

use super::Suite;
use super::case::{Ask, Asked, Case};
use super::check::{self, Check};
use super::expected::Expected;
use super::file::{Asks, Body, Table, Test};
use super::filter::{Filter, Part};
use super::fixtures::Resource;
use super::given::GivenTest;
use super::speakers::{self, Speakers};
use super::table::{Asker, TableOn};
use super::yaml::Name;
use crate::cedar::Snapshot;
use crate::identity::Config;
use crate::model::{Finding, Limits, Timestamp};

/// What a suite comes to under one snapshot.
#[derive(Debug)]
pub struct Plan<'a> {
    suite: &'a Suite,
    snapshot: &'a Snapshot,
    limits: &'a Limits,
    /// The policies as Cedar numbers them.
    in_order: Vec<&'a Arc<str>>,
    speakers: Speakers,
    tests: Vec<PlannedTest<'a>>,
    findings: Vec<Finding>,
}

/// A test that can be run, or is skipped.
#[derive(Debug)]
pub struct PlannedTest<'a> {
    /// The file that it comes from.
    pub file: &'a Arc<str>,
    /// The test.
    pub test: &'a Test,
    cases: Cases<'a>,
}

#[derive(Debug)]
enum Cases<'a> {
    None,
    Table(&'a Table, Vec<PlannedRow>),
    Given(&'a GivenTest, Expected),
}

/// The token of a row.
#[derive(Debug)]
pub(super) struct PlannedRow {
    pub(super) speaker: usize,
    /// The full names of the actions that it may do.
    may: Vec<Arc<str>>,
}

impl<'a> Plan<'a> {
    /// Puts a suite under a snapshot. `issuers` are those that the snapshot was compiled with.
    pub fn of(suite: &'a Suite, snapshot: &'a Snapshot, issuers: &[Config], limits: &'a Limits) -> Self {
        let mut plan = Self {
            suite,
            snapshot,
            limits,
            in_order: snapshot.policies_in_order(),
            speakers: Speakers::default(),
            tests: Vec::new(),
            findings: suite.findings.clone(),
        };
        plan.findings.extend(check::unread_claims(suite, issuers));
        let mut room = check::MOST_CASES;
        for file in &suite.files {
            for test in &file.tests {
                match plan.cases_of(&file.path, test, issuers, &mut room) {
                    Ok(cases) => plan.tests.push(PlannedTest { file: &file.path, test, cases }),
                    Err(findings) => plan.findings.extend(findings),
                }
            }
        }
        plan.findings = check::sorted(plan.findings);
        plan
    }

    /// What is wrong with the files, under this snapshot or any.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The snapshot that it is under.
    pub const fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// The tests that a filter admits, in their order, skipped ones included.
    pub fn tests(&self, filter: &Filter) -> impl Iterator<Item = &PlannedTest<'a>> {
        self.tests.iter().filter(|planned| {
            filter.admits(Part::File, planned.file)
                && filter.admits(Part::Test, &planned.test.name)
                && !(filter.is_about_cases() && matches!(planned.cases, Cases::None))
        })
    }

    /// Every case that a filter admits, in order. `now` is the time where a test sets none.
    pub fn cases<'p>(&'p self, filter: &'p Filter, now: Timestamp) -> impl Iterator<Item = Case<'p>> {
        self.tests(filter).flat_map(move |test| self.cases_in(test, filter, now))
    }

    /// The cases of one test that a filter admits; they are put together one resource after the other.
    pub fn cases_in<'p>(
        &'p self,
        planned: &'p PlannedTest<'a>,
        filter: &'p Filter,
        now: Timestamp,
    ) -> impl Iterator<Item = Case<'p>> {
        let admits = |case: &Case<'_>| {
            filter.admits(Part::Principal, &case.asked.principal)
                && filter.admits(Part::Action, &case.asked.action)
                && filter.admits(Part::Resource, &case.asked.resource)
        };
        let (table, given) = match &planned.cases {
            Cases::None => (None, None),
            Cases::Table(table, rows) => (Some((*table, rows.as_slice())), None),
            Cases::Given(given, expected) => (None, Some(planned.given(given, expected)).filter(admits)),
        };
        let of_table = table.into_iter().flat_map(move |(table, rows)| {
            let resources = self.resources(table);
            let admitted = resources.filter(|resource| filter.admits(Part::Resource, &resource.name));
            admitted.flat_map(move |resource| {
                let (snapshot, limits, file, test) = (self.snapshot, self.limits, planned.file, planned.test);
                let now = table.now.unwrap_or(now);
                let on = TableOn { snapshot, limits, file, test, table, resource, now };
                on.cases(self.askers(table, rows), filter)
            })
        });
        of_table.chain(given)
    }

    pub(super) fn resources(&self, table: &'a Table) -> impl Iterator<Item = &'a Resource> + use<'a> {
        let fixtures = &self.suite.fixtures.resources;
        table.resources.iter().filter_map(|id| fixtures.get(*id))
    }

    pub(super) fn askers<'p>(
        &'p self,
        table: &'p Table,
        rows: &'p [PlannedRow],
    ) -> impl Iterator<Item = Asker<'p>> {
        table.rows.iter().zip(rows).filter_map(|(row, planned)| {
            let name = &self.suite.fixtures.principals.get(row.principal)?.name;
            let speaker = self.speakers.get(planned.speaker)?;
            Some(Asker { name, row, speaker, may: &planned.may })
        })
    }

    fn cases_of(
        &mut self,
        path: &Arc<str>,
        test: &'a Test,
        issuers: &[Config],
        room: &mut usize,
    ) -> Result<Cases<'a>, Vec<Finding>> {
        match &test.body {
            Body::Skipped(_) => Ok(Cases::None),
            Body::Given(given) => {
                Ok(Cases::Given(given, check::with_ids(&given.expected, self.snapshot, &self.in_order)))
            }
            Body::Table(table) => {
                // The names first: a row with an unknown action has no full name for it.
                check::names(self.snapshot, path, table, self.resources(table))?;
                let rows = self.rows(path, table, issuers)?;
                Check { snapshot: self.snapshot, path, test, table }.cases(
                    self.resources(table),
                    || self.askers(table, &rows),
                    room,
                )?;
                Ok(Cases::Table(table, rows))
            }
        }
    }

    fn rows(
        &mut self,
        path: &Arc<str>,
        table: &'a Table,
        issuers: &[Config],
    ) -> Result<Vec<PlannedRow>, Vec<Finding>> {
        let (mut rows, mut findings) = (Vec::with_capacity(table.rows.len()), Vec::new());
        for row in &table.rows {
            let Some(principal) = self.suite.fixtures.principals.get(row.principal) else { continue };
            let asker = speakers::Asker { path, place: row.place, issuer: table.issuer.as_ref() };
            match self.speakers.speaker(row.principal, principal, asker, issuers) {
                Ok(speaker) => {
                    self.learn(speaker, table);
                    let full = |action: &Name| self.snapshot.action_name(&action.value);
                    rows.push(PlannedRow {
                        speaker,
                        may: row.may.iter().filter_map(full).cloned().collect(),
                    });
                }
                Err(finding) => findings.push(finding),
            }
        }
        if findings.is_empty() { Ok(rows) } else { Err(findings) }
    }

    fn learn(&mut self, speaker: usize, table: &'a Table) {
        if matches!(table.asks, Asks::May) {
            for resource in self.resources(table) {
                self.speakers.learn(speaker, &resource.entity.type_name, self.snapshot);
            }
        }
    }
}

impl PlannedTest<'_> {
    fn given<'p>(&'p self, given: &'p GivenTest, expected: &'p Expected) -> Case<'p> {
        let asked = Asked {
            principal: Arc::clone(&given.principal),
            action: Arc::clone(&given.action),
            resource: Arc::clone(&given.resource),
        };
        let (test, place) = (self.test, self.test.place);
        Case { file: self.file, test, asked, place, ask: Ask::Given(given.given()), expected }
    }
}
