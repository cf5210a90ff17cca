//! Try, then swap: an edit is put in force when it compiles, and until then the last good revision serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::files::{Files, read_capped};
use super::gate::{Edit, admit};
use super::test_files::TestTexts;
use super::watch::Watch;
use crate::cedar::{Compiled, Compiler, Publisher, Revision, Snapshots, Source, live};
use crate::clock::Clock;
use crate::model::Finding;
use crate::model::status::PolicyStatus;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ResultLabels;

mod background;
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
    status: watch::Sender<PolicyStatus>,
    /// What was refused last, so that it is judged and told once only.
    refused: Option<Reading>,
    /// The texts in force, where some of them can change without tests.
    in_force: Option<InForce>,
    /// Forbids that did not compile over those texts: they are not tried again and again.
    tried_in_vain: Option<Vec<Source>>,
    /// The tests that what is in force has passed.
    passed: Option<TestTexts>,
    clock: Clock,
    metrics: Metrics,
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
        let (status, read_end) = watch::channel(PolicyStatus {
            revision,
            loaded_at: clock.now(),
            findings: Arc::default(),
            configuration_changed: false,
        });
        let (publisher, snapshots) = live::channel(snapshot);
        let files = Arc::new(files);
        let reloads = Reloads {
            files,
            configuration,
            compiler: Arc::new(compiler),
            publisher,
            status,
            refused: None,
            in_force,
            tried_in_vain: None,
            passed,
            clock,
            metrics,
        };
        Ok(Self { snapshots, status: read_end, warnings, reloads })
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
        self.status.send_if_modified(|status| {
            std::mem::replace(&mut status.configuration_changed, changed) != changed
        });
        let result = match outcome {
            Outcome::Unchanged => "unchanged",
            Outcome::Published => "ok",
            Outcome::Refused => "failed",
        };
        self.metrics.reloads.get_or_create(&ResultLabels { result }).inc();
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
                self.refuse(Reading::of(&edit), findings);
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
                self.put_in_force(compiled);
            }
            self.in_force = admitted;
            self.tried_in_vain = None;
        }
        self.note_taken_back();
        self.passed = edit.tests;
    }

    fn note_taken_back(&mut self) {
        self.refused = None;
        if !self.status.borrow().findings.is_empty() {
            tracing::info!("the files on disk are those in force again");
            self.set_findings(Arc::default());
        }
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
        if admitted.snapshot.policy_count() == 0 && self.publisher.current().policy_count() > 0 {
            return Err(vec![
                Finding::error(&THE_FILES.into(), "policies-emptied", "there is no policy any more").help(
                    "to deny everything, write `forbid (principal, action, resource);`; \
                     to serve without policies, restart",
                ),
            ]);
        }
        Ok(admitted)
    }

    /// What was found wrong with other files stands.
    fn put_in_force(&mut self, compiled: Compiled) {
        let Compiled { snapshot, warnings } = compiled;
        for warning in &warnings {
            tracing::warn!(code = warning.code, finding = %warning, help = warning.help, "policy warning");
        }
        let revision = Arc::clone(snapshot.revision().as_str());
        let policies = snapshot.policy_count();
        background::retire(self.publisher.publish(snapshot));
        self.metrics.set_revision(&revision);
        tracing::info!(%revision, policies, "another revision is in force");
        let loaded_at = self.clock.now();
        self.status.send_modify(|status| {
            status.revision = revision;
            status.loaded_at = loaded_at;
        });
    }

    fn refuse(&mut self, reading: Reading, findings: Vec<Finding>) {
        for finding in &findings {
            let (code, help) = (finding.code, finding.help.as_deref());
            if finding.is_error() {
                tracing::error!(code, %finding, help, "policy error");
            } else {
                tracing::warn!(code, %finding, help, "policy warning");
            }
        }
        let revision = self.publisher.current().revision().clone();
        tracing::error!(%revision, "the files on disk cannot serve: the last good revision stays in force");
        self.refused = Some(reading);
        self.set_findings(findings.into_iter().filter(Finding::is_error).collect());
    }

    fn set_findings(&self, findings: Arc<[Finding]>) {
        self.metrics.reload_failing.set(i64::from(!findings.is_empty()));
        self.status.send_modify(|status| status.findings = findings);
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

/// What findings about no file in particular are about.
const THE_FILES: &str = "policies";

async fn off_the_serving_threads<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Vec<Finding>> + Send + 'static,
) -> Result<T, Vec<Finding>> {
    let stopped = |_| vec![Finding::error(&THE_FILES.into(), "internal", "the reload stopped in the middle")];
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests edit the files that are watched")]
mod tests;
