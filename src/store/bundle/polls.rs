//! One poll after the other: what the store holds now, judged where it is new, and put in force where it is good.

use std::sync::Arc;
use std::time::Duration;

use super::archive::{self, Archive};
use super::copy::{Copied, CopyFault, CopyFile};
use super::digest;
use super::fetch::{Answer, FetchFault, Fetcher, Packed};
use crate::cedar::{Compiled, Compiler, Publisher, Snapshots, live};
use crate::model::status::BundleStatus;
use crate::model::{Finding, Now};
use crate::store::background;
use crate::store::files::Files;
use crate::store::gate::{admit, unless_emptied};
use crate::store::standing::Standing;
use crate::telemetry::metrics::ResultLabels;

/// Of the time that a copy may serve, it is renewed after so many parts while its bundle stays the same.
const RENEWALS: u32 = 24;

/// How long a poll may be held up by a disk, and with it those that come after.
const WRITING: Duration = Duration::from_secs(3);

/// What polls; held by whoever does.
#[derive(Debug)]
pub(super) struct Polls {
    pub(super) fetcher: Fetcher,
    pub(super) files: Arc<Files>,
    /// What findings about the whole archive call it.
    pub(super) name: Arc<str>,
    pub(super) compiler: Arc<Compiler>,
    pub(super) standing: Standing,
    pub(super) copy: Option<CopyFile>,
    pub(super) max_stale: Duration,
    /// What was fetched last, be it in force or refused: it is not judged again.
    pub(super) seen: Option<Seen>,
    /// Whether that came damaged.
    pub(super) damaged: bool,
    pub(super) in_force: Option<InForce>,
}

/// What tells one bundle from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Nothing where the store gives none, or where the bundle came damaged: then it is to come again.
    etag: Option<Arc<str>>,
    digest: Arc<str>,
}

/// The bundle that serves, with the write end of the swap point.
#[derive(Debug)]
pub(super) struct InForce {
    publisher: Publisher,
    bundle: Seen,
    packed: Packed,
    /// When the copy on disk was last confirmed; nothing where there is none of this bundle.
    copied_at: Option<Now>,
}

/// What was judged.
type Judged = Result<Compiled, Vec<Finding>>;

impl Polls {
    /// Asks once for what is not known.
    pub(super) async fn fetch(&self, within: Duration) -> Result<Answer, FetchFault> {
        let known = self.seen.as_ref().and_then(|seen| seen.etag.clone());
        self.fetcher.fetch(known.as_deref(), within).await
    }

    /// Judges what is new. Gives the read end of the swap point where it is the first.
    ///
    /// # Errors
    /// The store was not heard. Then nothing has changed.
    pub(super) async fn settle(
        &mut self,
        asked_at: Now,
        answer: Result<Answer, FetchFault>,
    ) -> Result<Option<Snapshots>, FetchFault> {
        let result = match &answer {
            Ok(Answer::Unchanged) => "unchanged",
            Ok(Answer::Bundle(_)) => "fetched",
            Err(fault) => fault.result(),
        };
        self.standing.metrics.bundle_polls.get_or_create(&ResultLabels { result }).inc();
        let first = match answer {
            Ok(Answer::Unchanged) => {
                self.note_unchanged();
                None
            }
            Ok(Answer::Bundle(packed)) => self.take(packed).await,
            Err(fault) => {
                self.tell_failure(&fault);
                return Err(fault);
            }
        };
        self.tell(|bundle| {
            bundle.heard_at = Some(asked_at);
            bundle.failure = None;
        });
        Ok(first)
    }

    /// What was refused is judged again when it is next fetched.
    pub(super) fn forget_refused(&mut self) {
        self.seen = self.in_force.as_ref().map(|in_force| in_force.bundle.clone());
    }

    /// Takes the last good copy from disk, as if it were fetched; gives the time since which it serves.
    pub(super) async fn take_copy(&mut self) -> Option<(Snapshots, Now)> {
        let copy = self.copy.clone()?;
        let read = tokio::task::spawn_blocking(move || copy.read()).await.ok()?;
        let Copied { packed, confirmed_at } = match read {
            Ok(copied) => copied,
            Err(CopyFault::Missing) => return None,
            Err(fault) => {
                tracing::warn!(%fault, "the last good copy is not used");
                return None;
            }
        };
        // Another process has read the other clock.
        let confirmed_at = Now { wall: confirmed_at, monotonic: Duration::ZERO };
        let age = self.standing.clock.now().age_of(confirmed_at);
        if age > self.max_stale {
            tracing::warn!(?age, max_stale = ?self.max_stale, "the last good copy is too old to be used");
            return None;
        }
        let snapshots = self.take(packed).await?;
        if let Some(in_force) = &mut self.in_force {
            in_force.copied_at = Some(confirmed_at);
        }
        tracing::warn!(?age, "the last good copy serves until the store is heard");
        self.tell(|bundle| bundle.heard_at = Some(confirmed_at));
        Some((snapshots, confirmed_at))
    }

    /// After a damaged one, the bundle in force is there again.
    fn note_unchanged(&mut self) {
        let Some(in_force) = &self.in_force else { return };
        if self.seen.as_ref().is_some_and(|seen| seen.etag == in_force.bundle.etag) {
            self.seen = Some(in_force.bundle.clone());
            self.standing.taken_back();
        }
    }

    /// Judges a bundle, where it is another than the last, and puts it in force where it is good.
    async fn take(&mut self, packed: Packed) -> Option<Snapshots> {
        let mut bundle = Seen { etag: packed.etag.clone(), digest: digest(&packed.bytes) };
        if let Some(in_force) =
            self.in_force.as_mut().filter(|in_force| in_force.bundle.digest == bundle.digest)
        {
            // The same bytes were put there again.
            in_force.bundle = bundle.clone();
            self.tell(|told| told.etag.clone_from(&bundle.etag));
            self.seen = Some(bundle);
            self.standing.taken_back();
            return None;
        }
        if let Some(seen) = self.seen.as_mut().filter(|seen| seen.digest == bundle.digest) {
            // A damaged one has the tag of another, so as to come again.
            if !self.damaged {
                seen.etag = bundle.etag;
            }
            return None;
        }
        let judged = self.judge(&packed).await;
        let result = if judged.is_ok() { "ok" } else { "failed" };
        self.standing.metrics.reloads.get_or_create(&ResultLabels { result }).inc();
        match judged {
            Ok(compiled) => {
                self.seen = Some(bundle.clone());
                self.put_in_force(&compiled, bundle, packed)
            }
            Err(findings) => {
                let any = |codes: &[&str]| findings.iter().any(|finding| codes.contains(&finding.code));
                self.damaged = any(&[archive::DAMAGED]);
                if self.damaged {
                    bundle.etag = self.in_force.as_ref().and_then(|in_force| in_force.bundle.etag.clone());
                }
                // What the machine did not give this time is not the bundle's fault.
                if !any(&["internal", "tests-too-slow"]) {
                    self.seen = Some(bundle);
                }
                let current = self.in_force.as_ref().map(|in_force| in_force.publisher.current());
                self.standing.refused(findings, current.as_ref().map(|current| current.revision()));
                None
            }
        }
    }

    async fn judge(&self, packed: &Packed) -> Judged {
        let (files, compiler) = (Arc::clone(&self.files), Arc::clone(&self.compiler));
        let (bytes, name) = (Arc::clone(&packed.bytes), Arc::clone(&self.name));
        let current = self.in_force.as_ref().map(|in_force| in_force.publisher.current());
        let mut judging = background::start(move || {
            let archive = Arc::new(Archive::read(&bytes, &name, files.limits().bundle)?);
            let files = files.within(Arc::clone(&archive));
            let edit = files.read_edit();
            if edit.sources.is_ok() {
                archive.all_read(edit.paths())?;
            }
            let mut admitted = admit(edit, &files, &compiler)?;
            admitted.warnings.extend(files.missing_ungated());
            match current {
                Some(current) => unless_emptied(admitted, &current),
                None => Ok(admitted),
            }
        });
        judging.told().await
    }

    fn put_in_force(&mut self, compiled: &Compiled, bundle: Seen, packed: Packed) -> Option<Snapshots> {
        let (etag, digest) = (bundle.etag.clone(), Arc::clone(&bundle.digest));
        let snapshot = Arc::clone(&compiled.snapshot);
        let first = if let Some(in_force) = &mut self.in_force {
            let before = in_force.publisher.publish(snapshot);
            (in_force.bundle, in_force.packed, in_force.copied_at) = (bundle, packed, None);
            background::retire(before);
            None
        } else {
            let (publisher, snapshots) = live::channel(snapshot);
            self.in_force = Some(InForce { publisher, bundle, packed, copied_at: None });
            Some(snapshots)
        };
        self.standing.in_force(compiled);
        self.standing.taken_back();
        self.tell(|bundle| (bundle.etag, bundle.digest) = (etag, Some(digest)));
        first
    }

    /// Writes the copy where there is none of the bundle in force, or one that grows old.
    pub(super) async fn renew_copy(&mut self, now: Now) {
        let Some(copy) = self.copy.clone() else { return };
        let Some(in_force) = self.in_force.as_mut() else { return };
        // The store has not said anything of the bundle in force.
        if self.seen.as_ref() != Some(&in_force.bundle) {
            return;
        }
        if in_force.copied_at.is_some_and(|copied_at| now.age_of(copied_at) < self.max_stale / RENEWALS) {
            return;
        }
        let packed = Packed { etag: in_force.bundle.etag.clone(), ..in_force.packed.clone() };
        let copied = Copied { packed, confirmed_at: now.wall };
        match copy.write(copied, WRITING).await {
            Ok(()) => in_force.copied_at = Some(now),
            Err(error) => tracing::warn!(%error, "the last good copy cannot be written"),
        }
    }

    /// Once, however often it happens.
    fn tell_failure(&self, fault: &FetchFault) {
        let failure = Some(fault.to_string());
        self.tell(|bundle| {
            if bundle.failure != failure {
                tracing::warn!(%fault, source = %bundle.source, "the bundle could not be asked about");
                bundle.failure = failure;
            }
        });
    }

    fn tell(&self, change: impl FnOnce(&mut BundleStatus)) {
        self.standing.status.send_modify(|status| {
            if let Some(bundle) = &mut status.bundle {
                change(bundle);
            }
        });
    }
}
