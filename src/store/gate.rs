//! What a revision must pass, beside compiling, before it is put in force: its tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::THE_FILES;
use super::files::Files;
use super::test_files::{TestFiles, TestTexts};
use crate::cedar::limits::EVALUATION_STACK;
use crate::cedar::{self, Compiled, Compiler, Revision, Snapshot, Sources};
use crate::model::Finding;

/// Judges a snapshot by the texts of tests: what stands in its way. It runs on a thread whose stack
/// carries every legal policy, and should end soon once the flag is set: nobody waits any more.
pub type Judge = dyn Fn(&Snapshot, &TestTexts, &AtomicBool) -> Vec<Finding> + Send + Sync;

/// The tests that a revision must pass, and who judges by them: what a test is, is not known here.
#[derive(Clone)]
pub struct Gate {
    tests: TestFiles,
    timeout: Duration,
    judge: Arc<Judge>,
}

/// Everything that was read for one revision.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) sources: Result<Sources, Vec<Finding>>,
    /// That of the sources, where they are any: digesting them takes a while.
    pub(super) revision: Option<Revision>,
    /// Nothing where no gate stands.
    pub(super) tests: Option<TestTexts>,
}

impl Edit {
    /// Digests what was read.
    pub(super) fn new(sources: Result<Sources, Vec<Finding>>, tests: Option<TestTexts>) -> Self {
        Self { revision: sources.as_ref().ok().map(Sources::revision), sources, tests }
    }

    /// The files that it was read from, as findings name them.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let sources = self.sources.iter().flat_map(|sources| {
            let Sources { policies, links, schema, entities, .. } = sources;
            [policies, links, schema, entities]
        });
        let tests = self.tests.iter().flat_map(|tests| [&tests.shared, &tests.tests]);
        sources.chain(tests).flatten().map(|source| &*source.path)
    }
}

impl Gate {
    /// A gate of these tests, which may take so long.
    pub fn new(tests: TestFiles, timeout: Duration, judge: Arc<Judge>) -> Self {
        Self { tests, timeout, judge }
    }

    pub(super) const fn tests(&self) -> &TestFiles {
        &self.tests
    }

    /// Runs the tests and gives what failed. Blocks until there is a verdict, and never longer than
    /// their time.
    ///
    /// # Errors
    /// There is no verdict.
    fn judge(&self, snapshot: Arc<Snapshot>, texts: TestTexts) -> Result<Vec<Finding>, Vec<Finding>> {
        let failed = |code, message: String, help: &str| {
            vec![Finding::error(&self.tests.name(), code, message).help(help)]
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = channel();
        let (judge, stopped) = (Arc::clone(&self.judge), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("tests".to_owned()).stack_size(EVALUATION_STACK);
        let started = thread.spawn(move || {
            let _nobody_waits = tell.send(judge(&snapshot, &texts, &stopped));
        });
        if let Err(error) = started {
            return Err(failed("internal", format!("no thread to run the tests on: {error}"), "try again"));
        }
        match told.recv_timeout(self.timeout) {
            Ok(findings) => Ok(findings),
            Err(RecvTimeoutError::Timeout) => {
                stop.store(true, Ordering::Relaxed);
                let message = format!("the tests have no verdict after {:?}", self.timeout);
                Err(failed("tests-too-slow", message, "make them fewer, or raise `policies.tests_timeout`"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(failed(
                "internal",
                "the tests stopped in the middle".to_owned(),
                "`palisade test` shows where",
            )),
        }
    }
}

/// Compiles what was read, and lets it through the gate. Blocks.
///
/// A case that passes without the files that wait for no tests is not held against the edit: an
/// emergency would fail the tests, and would keep every other edit out for as long as it lasts.
pub(super) fn admit(edit: Edit, files: &Files, compiler: &Compiler) -> Result<Compiled, Vec<Finding>> {
    let sources = edit.sources?;
    let admitted = compiler.compile(&sources, files.limits())?;
    let (Some(gate), Some(texts)) = (files.gate(), edit.tests) else { return Ok(admitted) };
    let mut failed = gate.judge(Arc::clone(&admitted.snapshot), texts.clone())?;
    let (urgent, rest) = sources.split(files.ungated());
    if !failed.is_empty() && cedar::ungated::count(&urgent) > 0 {
        let without = gate.judge(compiler.compile(&rest, files.limits())?.snapshot, texts)?;
        let same = |one: &Finding, other: &Finding| (&one.path, one.place) == (&other.path, other.place);
        failed.retain(|finding| without.iter().any(|other| same(finding, other)));
    }
    if failed.is_empty() { Ok(admitted) } else { Err(failed) }
}

/// An edit that takes away every policy is a slip of the hand.
///
/// # Errors
/// It is one.
pub(super) fn unless_emptied(admitted: Compiled, before: &Snapshot) -> Result<Compiled, Vec<Finding>> {
    if admitted.snapshot.policy_count() > 0 || before.policy_count() == 0 {
        return Ok(admitted);
    }
    let help = "to deny everything, write `forbid (principal, action, resource);`; \
                to serve without policies, restart";
    let emptied = Finding::error(&THE_FILES.into(), "policies-emptied", "there is no policy any more");
    Err(vec![emptied.help(help)])
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tests, timeout, .. } = self;
        formatter.debug_struct("Gate").field("tests", tests).field("timeout", timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::shop::Shop;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn admitted(timeout: Duration, judge: Arc<Judge>) -> Result<Compiled, Vec<Finding>> {
        let shop = Shop::new();
        shop.write("tests/a.test.yaml", "");
        let tests = TestFiles::new(shop.folder(), &[shop.path("tests")], shop.limits.clone());
        let files = shop.files().behind(Some(Gate::new(tests, timeout, judge)));
        admit(files.read_edit(), &files, &Compiler::default())
    }

    #[test]
    fn tests_without_a_verdict_in_time_have_failed_and_are_told_to_stop() {
        let (tell, told) = channel();
        let findings = admitted(
            Duration::from_millis(50),
            Arc::new(move |_, _, stop| {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                tell.send(()).unwrap();
                Vec::new()
            }),
        )
        .unwrap_err();
        assert_eq!((findings[0].code, &*findings[0].path), ("tests-too-slow", "tests"));
        told.recv().unwrap();
    }

    #[test]
    fn tests_that_stop_in_the_middle_have_failed() {
        let findings = admitted(PATIENCE, Arc::new(|_, _, _| panic!("in the middle"))).unwrap_err();
        assert_eq!(findings[0].code, "internal");
        assert!(admitted(PATIENCE, Arc::new(|_, _, _| Vec::new())).is_ok());
    }
}
