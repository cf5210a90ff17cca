//! One test file, judged by itself: its names, and expectations that could ever hold.

use std::sync::Arc;

use super::expected::{Answer, Determining, Expected};
use super::fixtures::{Fixtures, Names};
use super::given::GivenTest;
use super::written::{WrittenCedarTest, WrittenFile, WrittenTest};
use super::yaml::{self, Name, Named, Placed};
use crate::cedar::Source;
use crate::model::{Decision, EntityDescription, Finding, Place, Reason, Record, Timestamp};

/// A file of tests.
#[derive(Debug)]
pub struct TestFile {
    /// Its path, as findings name it.
    pub path: Arc<str>,
    /// Its tests that could be read.
    pub tests: Vec<Test>,
}

/// A test: one or more cases with one expectation.
#[derive(Debug)]
pub struct Test {
    /// What it is called.
    pub name: Arc<str>,
    /// Where its name stands.
    pub place: Place,
    pub(super) body: Body,
}

/// What a test consists of.
#[derive(Debug)]
pub(super) enum Body {
    /// Nothing, for this reason.
    Skipped(Arc<str>),
    /// A table of questions.
    Table(Box<Table>),
    /// A request in Cedar's own form.
    Given(Box<GivenTest>),
}

/// Principals and resources, and what is asked about each pair of them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) issuer: Option<Name>,
    pub(super) now: Option<Timestamp>,
    pub(super) rows: Vec<Row>,
    pub(super) asks: Asks,
    pub(super) resources: Vec<usize>,
    pub(super) context: Record,
    pub(super) contexts: Named<Record>,
    pub(super) entities: Vec<Arc<EntityDescription>>,
}

/// A principal of a table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) principal: usize,
    pub(super) place: Place,
    /// The actions that it may do, exactly; only in a table of what everybody may.
    pub(super) may: Vec<Name>,
}

/// What is asked about each pair of a principal and a resource.
#[derive(Debug)]
pub(super) enum Asks {
    /// These actions, with the same expectation.
    Each(Vec<Name>, Expected),
    /// Every action that applies.
    May,
}

impl TestFile {
    /// Reads one file. What is wrong with a test takes this test out, and no other.
    pub(super) fn read(
        source: &Source,
        mut names: Names,
        fixtures: &mut Fixtures,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let path = &source.path;
        let mut judged = Vec::new();
        if is_cedars(&source.text) {
            let tests = keep(yaml::read::<Vec<Placed<WrittenCedarTest>>>(source), findings)?;
            let tests = tests.into_iter().enumerate();
            judged.extend(tests.map(|(index, test)| GivenTest::judged(path, index, test)));
        } else {
            let written = keep(yaml::read::<WrittenFile>(source), findings)?;
            fixtures.add(path, written.principals, written.resources, &mut names, findings);
            judged.extend(written.tests.into_iter().map(|test| Judge { path, names: &names }.test(test)));
        }
        if judged.is_empty() {
            let message = "the file holds no tests";
            findings.push(Finding::error(path, "no-tests", message).help("write some below `tests:`"));
        }
        let mut tests = Vec::with_capacity(judged.len());
        for judged in judged {
            match judged {
                Ok(test) => tests.push(test),
                Err(found) => findings.extend(found),
            }
        }
        Some(Self { path: Arc::clone(path), tests })
    }
}

/// Cedar's form is an array at the top.
fn is_cedars(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('[')
}

fn keep<T>(read: Result<T, Finding>, findings: &mut Vec<Finding>) -> Option<T> {
    read.map_err(|finding| findings.push(finding)).ok()
}

/// Judges the tests of one file.
struct Judge<'a> {
    path: &'a Arc<str>,
    names: &'a Names,
}

impl Judge<'_> {
    fn test(&self, written: WrittenTest) -> Result<Test, Vec<Finding>> {
        let Placed { value: name, place } = written.name.clone();
        let body = match &written.skip {
            Some(why) => Body::Skipped(Arc::from(why.as_str())),
            None => Body::Table(Box::new(self.table(written)?)),
        };
        Ok(Test { name, place, body })
    }

    fn table(&self, written: WrittenTest) -> Result<Table, Vec<Finding>> {
        let mut findings = Vec::new();
        let now = written.now.as_ref().and_then(|now| {
            let time = Timestamp::parse(&now.value);
            if time.is_none() {
                let message = format!("`{}` is no time", now.value);
                findings
                    .push(self.error("test-time", now.place, message).help("write `2026-11-23T09:30:00Z`"));
            }
            time
        });
        let shape = self.shape(&written).map_err(|finding| vec![*finding])?;
        let (rows, asks) = match shape {
            Shape::Each(expected) => {
                let rows = self.needed(written.principals, "principals", &written.name, &mut findings);
                let actions = self.needed(written.actions, "actions", &written.name, &mut findings);
                let rows = rows.into_iter().map(|name| (name, Vec::new())).collect();
                (rows, Asks::Each(actions, expected))
            }
            Shape::May(rows) => (rows, Asks::May),
        };
        let mut principals = Vec::with_capacity(rows.len());
        for (name, may) in rows {
            match self.names.principal(&name.value) {
                Ok(principal) => principals.push(Row { principal, place: name.place, may }),
                Err(message) => findings.push(self.error("unknown-fixture", name.place, message)),
            }
        }
        let mut resources = Vec::new();
        for name in self.needed(written.resources, "resources", &written.name, &mut findings) {
            match self.names.resource(&name.value) {
                Ok(resource) => resources.push(resource),
                Err(message) => findings.push(self.error("unknown-fixture", name.place, message)),
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        Ok(Table {
            issuer: written.issuer,
            now,
            rows: principals,
            asks,
            resources,
            context: written.context,
            contexts: written.contexts,
            entities: written.entities,
        })
    }

    /// Which of the forms a test has, and that its parts go together.
    fn shape(&self, written: &WrittenTest) -> Result<Shape, Box<Finding>> {
        let fault =
            |message: &str| Box::new(self.error("test-shape", written.name.place, message.to_owned()));
        let of_answers = written.reason.is_some()
            || written.policies.is_some()
            || written.policies_include.is_some()
            || !written.errors.0.is_empty();
        match (&written.may, written.expect, written.refused) {
            (Some(may), None, None) => {
                if of_answers || written.principals.is_some() || written.actions.is_some() {
                    return Err(fault(
                        "`may` says by itself who is asked about what: \
                         it stands beside `resources`, `context`, `contexts` and `entities` only",
                    ));
                }
                if may.0.is_empty() {
                    return Err(fault("`may` names nobody"));
                }
                Ok(Shape::May(may.0.clone()))
            }
            (None, None, Some(code)) if of_answers => Err(fault(&format!(
                "what is refused ({}) has no answer with `reason`, `policies` or `errors`",
                code.as_str()
            ))),
            (None, None, Some(code)) => Ok(Shape::Each(Expected::Refused(code))),
            (None, Some(decision), None) => {
                self.answer(written, decision).map(|answer| Shape::Each(Expected::Answer(answer)))
            }
            (None, None, None) => Err(Box::new(
                (*fault("the test expects nothing"))
                    .help("write `expect: allow`, `expect: deny`, `refused: <code>` or a table `may`"),
            )),
            _ => Err(fault("a test has one of `expect`, `refused` and `may`")),
        }
    }

    fn answer(&self, written: &WrittenTest, decision: Decision) -> Result<Answer, Box<Finding>> {
        let policies = match (written.policies.clone(), written.policies_include.clone()) {
            (Some(_), Some(_)) => {
                let message = "`policies` are exact: `policies_include` beside them says nothing";
                return Err(Box::new(self.error("test-shape", written.name.place, message.to_owned())));
            }
            (Some(exactly), None) => Determining::Exactly(exactly),
            (None, Some(including)) => Determining::Including(including),
            (None, None) => Determining::Any,
        };
        if let Some(reason) = &written.reason {
            let never = match reason.value {
                Reason::Permitted => decision == Decision::Deny,
                Reason::Forbidden | Reason::NoPermit | Reason::EvaluationError => decision == Decision::Allow,
                Reason::NotEvaluated => true,
            };
            if never {
                let message = format!(
                    "no answer is ever `{}` for the reason `{}`",
                    decision.as_str(),
                    reason.value.as_str()
                );
                return Err(Box::new(self.error("impossible-answer", reason.place, message)));
            }
        }
        let reason = written.reason.as_ref().map(|reason| reason.value);
        Ok(Answer { decision, reason, policies, errors: written.errors.0.clone(), unlisted: false })
    }

    /// A list that a test of this form must have.
    fn needed(
        &self,
        list: Option<Vec<Name>>,
        member: &str,
        test: &Name,
        findings: &mut Vec<Finding>,
    ) -> Vec<Name> {
        let list = list.unwrap_or_default();
        if list.is_empty() {
            let message = format!("the test names no `{member}`");
            findings.push(self.error("test-shape", test.place, message));
        }
        list
    }

    fn error(&self, code: &'static str, place: Place, message: String) -> Finding {
        Finding::error(self.path, code, message).at(place)
    }
}

/// The two forms of a table.
enum Shape {
    Each(Expected),
    May(Vec<(Name, Vec<Name>)>),
}
