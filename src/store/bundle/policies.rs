//! Policies that are fetched: fresh enough to decide by, or not to be had.
//!
//! They are asked about when somebody wants to decide by them, because where the service is frozen between two
//! requests nothing else runs; and beside that every so often, so that an idle service notices as well.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};

use super::Config;
use super::copy::CopyFile;
use super::fetch::{Fetcher, SourceFault};
use super::polls::Polls;
use crate::cedar::{Compiler, Snapshots};
use crate::clock::Clock;
use crate::model::Now;
use crate::model::status::{BundleStatus, PolicyStatus};
use crate::store::background;
use crate::store::files::Files;
use crate::store::standing::Standing;
use crate::telemetry::Metrics;

/// How long a request waits for a poll, in all: a function that is woken by a request has little more.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long a poll may take: a large bundle comes after the request that asked for it has gone on.
const POLL: Duration = Duration::from_secs(3);

/// How often a store is asked while there is nothing to decide by: what `Retry-After` says.
const RETRY: Duration = Duration::from_secs(1);

/// Policies that are fetched, as one bundle.
#[derive(Debug)]
pub struct FetchedPolicies {
    poll: Duration,
    max_stale: Duration,
    clock: Clock,
    held: ArcSwap<Held>,
    /// One poll at a time.
    polls: Arc<Mutex<Polls>>,
    /// Tells the fetch under way that everything was frozen meanwhile: nobody may be there any more.
    thawed: Notify,
    /// For the one request that waits for a poll that it has not begun.
    patient: Mutex<()>,
    status: watch::Receiver<PolicyStatus>,
}

/// What there is to decide by, and how old that is.
#[derive(Debug, Clone, Default)]
struct Held {
    snapshots: Option<Snapshots>,
    /// When the store was last heard.
    heard_at: Option<Now>,
    /// When it was last asked.
    asked_at: Option<Now>,
}

/// Why nothing can be decided now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// No bundle has come yet that could be put in force.
    #[error("no bundle of policies has been had yet")]
    Never,
    /// The store has not been heard for longer than `max_stale`.
    #[error("nothing has been heard of the policies for {0:?}")]
    Stale(Duration),
}

impl FetchedPolicies {
    /// Policies of the files that `files` names, in the bundle that `config` names. `environment` gives what AWS
    /// calls credentials, region and endpoint: `AWS_ACCESS_KEY_ID`, `AWS_REGION`, …
    ///
    /// # Errors
    /// Nothing can be fetched from there, ever.
    pub fn new<'a>(
        files: Files,
        config: &Config,
        environment: impl Iterator<Item = (&'a str, &'a str)>,
        clock: Clock,
        metrics: Metrics,
        mut compiler: Compiler,
    ) -> Result<Arc<Self>, SourceFault> {
        let Config { url, poll, max_stale, copy } = config;
        let most = files.limits().bundle;
        let fetcher = Fetcher::new(url, environment, most)?;
        compiler.set_threads(background::threads());
        let source: Arc<str> = url.to_string().into();
        let bundle = BundleStatus {
            source: Arc::clone(&source),
            etag: None,
            digest: None,
            heard_at: None,
            failure: None,
            max_stale: max_stale.0,
        };
        let status = PolicyStatus { bundle: Some(bundle), ..PolicyStatus::default() };
        let standing = Standing::new(status, clock.clone(), metrics);
        let status = standing.status.subscribe();
        let polls = Polls {
            fetcher,
            files: Arc::new(files),
            name: url.name().into(),
            compiler: Arc::new(compiler),
            standing,
            copy: copy.as_deref().map(|path| CopyFile::new(path, source, most)),
            max_stale: max_stale.0,
            seen: None,
            damaged: false,
            in_force: None,
        };
        Ok(Arc::new(Self {
            poll: poll.0,
            max_stale: max_stale.0,
            clock,
            held: ArcSwap::default(),
            polls: Arc::new(Mutex::new(polls)),
            thawed: Notify::new(),
            patient: Mutex::new(()),
            status,
        }))
    }

    /// How they are.
    pub fn status(&self) -> watch::Receiver<PolicyStatus> {
        self.status.clone()
    }

    /// Takes the last good copy, where there is one, and asks the store; ends within three seconds, beside what
    /// compiling takes.
    pub async fn load(self: &Arc<Self>) {
        let mut polls = Arc::clone(&self.polls).lock_owned().await;
        if let Some((snapshots, confirmed_at)) = polls.take_copy().await {
            self.note(|held| (held.snapshots, held.heard_at) = (Some(snapshots), Some(confirmed_at)));
        }
        Arc::clone(self).ask(polls).await;
    }

    /// What can be decided by now. Asks the store if what is held is due: one caller at a time does and waits for
    /// it, for a moment, and the others go on with what there is; where there is nothing, they wait as well.
    ///
    /// # Errors
    /// There is nothing, or it is too old.
    pub async fn fresh(self: &Arc<Self>) -> Result<Snapshots, NotReady> {
        let now = self.clock.now();
        if self.is_due() || self.usable(now).is_err() {
            let _comes_later = tokio::time::timeout(PATIENCE, self.renew(now)).await;
        }
        self.usable(self.clock.now())
    }

    /// Asks the store whenever it is due, and at once whenever `now` is notified; until `shutdown`.
    pub async fn run(self: Arc<Self>, now: Arc<Notify>, shutdown: impl Future<Output = ()>) {
        let asking = async {
            loop {
                let told = tokio::select! {
                    () = tokio::time::sleep(self.due_in(self.clock.now())) => false,
                    () = now.notified() => true,
                };
                let mut polls = Arc::clone(&self.polls).lock_owned().await;
                if told {
                    polls.forget_refused();
                }
                if told || self.is_due() {
                    Arc::clone(&self).ask(polls).await;
                }
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = asking => {}
        }
    }

    /// Waits for a poll, where this is who does.
    async fn renew(self: &Arc<Self>, now: Now) {
        let polls = Arc::clone(&self.polls);
        let polls = if let Ok(polls) = Arc::clone(&polls).try_lock_owned() {
            polls
        } else {
            let overlong = self.is_overlong(now);
            if overlong {
                self.thawed.notify_waiters();
            }
            // Held no longer than it is waited for the other's poll.
            let alone = overlong.then(|| self.patient.try_lock().ok()).flatten();
            if alone.is_none() && self.usable(now).is_ok() {
                return;
            }
            polls.lock_owned().await
        };
        // Somebody else may have asked between the two.
        if self.is_due() {
            // On a task of its own: it is not to end with the request.
            let _panicked = tokio::spawn(Arc::clone(self).ask(polls)).await;
        }
    }

    /// Whether the poll under way began before this process was frozen, or has been judging for as long.
    fn is_overlong(&self, now: Now) -> bool {
        self.is_due() && self.held.load().asked_at.is_some_and(|asked_at| now.age_of(asked_at) > POLL)
    }

    fn is_due(&self) -> bool {
        self.due_in(self.clock.now()).is_zero()
    }

    /// Asks, and notes what there is to decide by. The copy is written when nobody waits any more.
    async fn ask(self: Arc<Self>, mut polls: OwnedMutexGuard<Polls>) {
        let (asked_at, answer) = loop {
            let asked_at = self.clock.now();
            self.note(|held| held.asked_at = Some(asked_at));
            tokio::select! {
                answer = polls.fetch(POLL) => break (asked_at, answer),
                () = self.thawed.notified() => {}
            }
        };
        // What is wrong is in the log and in the status.
        let Ok(first) = polls.settle(asked_at, answer).await else { return };
        self.note(|held| {
            held.heard_at = Some(asked_at);
            held.snapshots = held.snapshots.take().or(first);
        });
        tokio::spawn(async move { polls.renew_copy(asked_at).await });
    }

    /// How long the store is not to be asked yet.
    fn due_in(&self, now: Now) -> Duration {
        let wait = if self.usable(now).is_ok() { self.poll } else { self.poll.min(RETRY) };
        let asked_at = self.held.load().asked_at;
        asked_at.map_or(Duration::ZERO, |asked_at| wait.saturating_sub(now.age_of(asked_at)))
    }

    fn usable(&self, now: Now) -> Result<Snapshots, NotReady> {
        let held = self.held.load();
        let (Some(snapshots), Some(heard_at)) = (&held.snapshots, held.heard_at) else {
            return Err(NotReady::Never);
        };
        let age = now.age_of(heard_at);
        if age > self.max_stale { Err(NotReady::Stale(age)) } else { Ok(snapshots.clone()) }
    }

    /// Only who holds the polls writes.
    fn note(&self, change: impl FnOnce(&mut Held)) {
        let mut held = Held::clone(&self.held.load());
        change(&mut held);
        self.held.store(Arc::new(held));
    }
}
