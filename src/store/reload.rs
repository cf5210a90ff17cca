//! Try, then swap: an edit is put in force when it compiles, and until then the last good revision serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::THE_FILES;
use super::background;
use super::files::Files;
use super::gate::{Edit, admit, unless_emptied};
use super::standing::Standing;
use super::test_files::TestTexts;
use super::tree::read_capped;
use super::watch::Watch;
use crate::cedar::{Compiled, Compiler, Publisher, Revision, Snapshots, Source, live};
use crate::clock::Clock;
use crate::model::Finding;
use crate::model::status::{PolicyStatus, Serving};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ResultLabels;

mod urgent;

use urgent::InForce;

/// Two readings this far apart that agree are no edit in progress. A half-finished edit can be valid:
/// a forbid that is moved from one file to another is gone for a moment.
const SETTLING: Duration = Duration::from_millis(150);

/// How many readings are compared before a folder counts as never at rest.
const READINGS: usize = 25;

/// What is started with, and what takes it from there.
#[derive(Debug)]
pub struct Loaded {
    /// The read end of the swap point.
    pub snapshots: Snapshots,
    /// How the policies are.
    pub status: watch::Receiver<PolicyStatus>,
    /// What somebody should look at all the same.
    pub warnings: Vec<Finding>,
    /// Puts edits in force.
    pub reloads: Reloads,
}

/// The configuration as it was read at the start, to notice that it has changed. It is never applied
/// to a running service.
#[derive(Debug, Clone)]
pub struct ConfigurationFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it said.
    pub text: Arc<str>,
}

/// The write end of the swap point, with what it is written from.
#[derive(Debug)]
pub struct Reloads {
    files: Arc<Files>,
    configuration: Option<ConfigurationFile>,
    compiler: Arc<Compiler>,
    publisher: Publisher,
    standing: Standing,
    /// What was refused last, so that it is judged and told once only.
    refused: Option<Reading>,
    /// The texts in force, where some of them can change without tests.
    in_force: Option<InForce>,
    /// Forbids that did not compile over those texts: they are not tried again and again.
    tried_in_vain: Option<Vec<Source>>,
    /// The tests that what is in force has passed.
    passed: Option<TestTexts>,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// What serves is what is on disk.
    Unchanged,
    /// Another revision is in force.
    Published,
    /// What is on disk cannot serve.
    Refused,
}

/// What was read, on its way to being in force.
#[derive(Debug)]
struct Candidate {
    edit: Edit,
    /// What was in force when it was read.
    before: Option<InForce>,
    verdict: Verdict,
}

/// What comes of judging it.
type Verdict = background::Job<Compiled>;

/// What a reading came to, as far as readings are compared.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    revision: Option<Revision>,
    findings: Option<Vec<Finding>>,
    tests: Option<TestTexts>,
}

impl Loaded {
    /// Reads and compiles for the first time, without waiting for the files to come to rest. Blocks.
    ///
    /// # Errors
    /// Everything that stands in the way.
    pub fn first(
        files: Files,
        configuration: Option<ConfigurationFile>,
        clock: Clock,
        metrics: Metrics,
        mut compiler: Compiler,
    ) -> Result<Self, Vec<Finding>> {
        let edit = files.read_edit();
        let in_force = edit.sources.as_ref().ok().and_then(|sources| InForce::of(sources, &files));
        let passed = edit.tests.clone();
        let Compiled { snapshot, mut warnings } = admit(edit, &files, &compiler)?;
        compiler.set_threads(background::threads());
        warnings.extend(files.missing_ungated());
        let revision = Arc::clone(snapshot.revision().as_str());
        metrics.set_revision(&revision);
        let serving = Some(Serving { revision, loaded_at: clock.now() });
        let standing = Standing::new(PolicyStatus { serving, ..PolicyStatus::default() }, clock, metrics);
        let status = standing.status.subscribe();
        let (publisher, snapshots) = live::channel(snapshot);
        let files = Arc::new(files);
        let reloads = Reloads {
            files,
            configuration,
            compiler: Arc::new(compiler),
            publisher,
            standing,
            refused: None,
            in_force,
            tried_in_vain: None,
            passed,
        };
        Ok(Self { snapshots, status, warnings, reloads })
    }
}

impl Reloads {
    /// Looks whenever something may have changed, if `watch` is set, and whenever `now` is notified;
    /// until `shutdown`.
    pub async fn run(mut self, watch: bool, now: Arc<Notify>, shutdown: impl Future<Output = ()>) {
        let looking = async {
            let watch = if watch { self.watch().await } else { None };
            self.look_for_ever(watch, &now).await;
        };
        tokio::select! {
            () = shutdown => {}
            () = looking => {}
        }
    }

    async fn look_for_ever(&mut self, mut watch: Option<Watch>, now: &Notify) {
        loop {
            let told = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = told => {}
                () = now.notified() => self.refused = None,
            }
            self.look().await;
        }
    }

    /// The first poll of a watch tells of a change in any case: what was edited between the first
    /// reading and the watch is seen by it.
    async fn watch(&self) -> Option<Watch> {
        let files = Arc::clone(&self.files);
        let configuration = self.configuration.as_ref().map(|file| file.path.clone());
        tokio::task::spawn_blocking(move || Watch::start(files, configuration)).await.ok()
    }

    /// Looks once: reads, and puts in force what is new and good.
    pub(super) async fn look(&mut self) -> Outcome {
        let before = self.publisher.current().revision().clone();
        let mut outcome = self.judge().await;
        if outcome == Outcome::Unchanged && *self.publisher.current().revision() != before {
            // Forbids alone went live.
            outcome = Outcome::Published;
        }
        let changed = self.configuration_changed().await;
        self.standing.status.send_if_modified(|status| {
            std::mem::replace(&mut status.configuration_changed, changed) != changed
        });
        let result = match outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Published => "ok",
            Outcome::Refused => "failed",
        };
        self.standing.metrics.reloads.get_or_create(&ResultLabels { result }).inc();
        outcome
    }

    async fn judge(&mut self) -> Outcome {
        self.publish_more_forbids().await;
        let edit = self.read().await;
        if let Some(outcome) = self.known(&edit) {
            return outcome;
        }
        let Candidate { edit, before, verdict } = self.at_rest(edit).await;
        if let Ok(sources) = &edit.sources {
            self.publish_settled_forbids(sources).await;
        }
        if let Some(outcome) = self.known(&edit) {
            return outcome;
        }
        tracing::info!("judging an edit");
        match self.admitted(verdict).await {
            Ok(compiled) => {
                self.publish_admitted(compiled, edit, before).await;
                Outcome::Published
            }
            Err(findings) => {
                self.standing.refused(findings, Some(self.publisher.current().revision()));
                self.refused = Some(Reading::of(&edit));
                Outcome::Refused
            }
        }
    }

    /// What is refused or in force already is not judged again.
    fn known(&mut self, edit: &Edit) -> Option<Outcome> {
        if self.refused.as_ref() == Some(&Reading::of(edit)) {
            return Some(Outcome::Unchanged);
        }
        if self.is_in_force(edit) && edit.tests == self.passed {
            self.note_taken_back();
            return Some(Outcome::Unchanged);
        }
        None
    }

    /// Puts in force what was admitted. Forbids that came while it was judged stay.
    async fn publish_admitted(&mut self, compiled: Compiled, edit: Edit, before: Option<InForce>) {
        let admitted = edit.sources.as_ref().ok().and_then(|sources| InForce::of(sources, &self.files));
        if let Some(newer) = self.overtaking(admitted.as_ref(), before.as_ref()) {
            // Where the two do not go together, the next look judges them as one edit.
            if !self.publish_urgent(|| Ok(Some(newer))).await {
                return;
            }
        } else {
            if !self.is_in_force(&edit) {
                self.put_in_force(&compiled);
            }
            self.in_force = admitted;
            self.tried_in_vain = None;
        }
        self.note_taken_back();
        self.passed = edit.tests;
    }

    fn note_taken_back(&mut self) {
        self.refused = None;
        self.standing.taken_back();
    }

    fn is_in_force(&self, edit: &Edit) -> bool {
        edit.revision.as_ref() == Some(self.publisher.current().revision())
    }

    /// Reads until two readings agree. What was read is judged meanwhile: it is what the next reading will
    /// agree with, nearly always.
    async fn at_rest(&mut self, mut edit: Edit) -> Candidate {
        for _ in 0..READINGS {
            let candidate = self.candidate(edit);
            tokio::time::sleep(SETTLING).await;
            self.publish_more_forbids().await;
            let again = self.read().await;
            if Reading::of(&candidate.edit) == Reading::of(&again) {
                return candidate;
            }
            // One at a time: what it has found out of the files that stay, the next one knows.
            let _outdated = self.admitted(candidate.verdict).await;
            edit = again;
        }
        let finding =
            Finding::error(&THE_FILES.into(), "never-at-rest", "the files change while they are read")
                .help("write them elsewhere, and move them into place when they are complete");
        self.candidate(Edit::new(Err(vec![finding]), None))
    }

    /// Has what was read judged on a thread of its own.
    fn candidate(&self, edit: Edit) -> Candidate {
        let (files, compiler) = (Arc::clone(&self.files), Arc::clone(&self.compiler));
        let judged = edit.clone();
        let verdict = background::start(move || admit(judged, &files, &compiler));
        Candidate { edit, before: self.in_force.clone(), verdict }
    }

    async fn read(&self) -> Edit {
        let files = Arc::clone(&self.files);
        let read = off_the_serving_threads(move || Ok(files.read_edit())).await;
        read.unwrap_or_else(|findings| Edit::new(Err(findings), None))
    }

    async fn admitted(&mut self, mut verdict: Verdict) -> Result<Compiled, Vec<Finding>> {
        let admitted = loop {
            tokio::select! {
                result = verdict.told() => break result?,
                () = tokio::time::sleep(SETTLING) => self.publish_more_forbids().await,
            }
        };
        unless_emptied(admitted, &self.publisher.current())
    }

    fn put_in_force(&mut self, compiled: &Compiled) {
        let before = self.publisher.publish(Arc::clone(&compiled.snapshot));
        self.standing.in_force(compiled);
        background::retire(before);
    }

    async fn configuration_changed(&self) -> bool {
        let Some(file) = self.configuration.clone() else { return false };
        let read =
            move || read_capped(&file.path, file.text.len()).is_ok_and(|now| now == file.text.as_bytes());
        // What cannot be read now would not start either.
        !tokio::task::spawn_blocking(read).await.unwrap_or(false)
    }
}

impl Reading {
    fn of(edit: &Edit) -> Self {
        let findings = edit.sources.as_ref().err().cloned();
        Self { revision: edit.revision.clone(), findings, tests: edit.tests.clone() }
    }
}

async fn off_the_serving_threads<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Vec<Finding>> + Send + 'static,
) -> Result<T, Vec<Finding>> {
    let stopped = |_| vec![Finding::error(&THE_FILES.into(), "internal", "the reload stopped in the middle")];
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests edit the files that are watched")]
mod tests;
