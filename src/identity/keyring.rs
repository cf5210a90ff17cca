//! The keys of one issuer over time: fetched once for everybody, kept while they cannot be fetched, and
//! never fetched as often as somebody who invents key ids would like.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::jwks::{FetchFault, Fetcher, KeySource};
use super::keys::KeySet;
use crate::clock::Clock;
use crate::model::Now;
use crate::model::status::KeyStatus;
use crate::telemetry::metrics::{FetchLabels, IssuerLabels, Metrics};

/// How long nothing is fetched on demand after an unknown key id and after a failed fetch.
pub const QUIET: Duration = Duration::from_secs(10);

/// How much later than its bound a fetch may end on a machine that is busy and not frozen.
const SLACK: Duration = Duration::from_secs(2);

/// How many requests wait for one fetch; more are turned away at once.
pub const MOST_WAITING: usize = 64;

/// The keys of one issuer.
pub struct Keyring {
    issuer: Arc<str>,
    source: KeySource,
    periods: Periods,
    fetcher: Fetcher,
    clock: Clock,
    metrics: Metrics,
    status: StatusSlot,
    loaded: ArcSwap<Loaded>,
    flight: Mutex<Flight>,
    /// How many fetches have ended.
    landed: watch::Sender<u64>,
}

/// How long keys live.
#[derive(Debug, Clone, Copy)]
pub struct Periods {
    /// Between two fetches.
    pub refresh: Duration,
    /// Since the last fetch that succeeded.
    pub max_stale: Duration,
}

/// The keys at one moment.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The keys.
    pub keys: Arc<KeySet>,
    /// Changes whenever the content does, and never comes back.
    pub generation: u64,
    fetched_at: Option<Now>,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFault {
    /// The issuer has just been asked and does not list it.
    Unknown,
    /// The issuer cannot be asked, so nobody knows.
    Unavailable(String),
}

/// One issuer's place in the list that `/readyz` reads.
#[derive(Debug, Clone)]
pub struct StatusSlot {
    /// The list.
    pub all: watch::Sender<Vec<KeyStatus>>,
    /// The place in it.
    pub index: usize,
}

/// The one fetch that there is at a time.
#[derive(Debug, Default)]
struct Flight {
    running: bool,
    /// A request waits for it, or the last one was waited for.
    on_demand: bool,
    waiting: usize,
    /// When the last one ended that [`QUIET`] follows.
    quiet_since: Option<Now>,
    /// The last one that has ended took longer than a fetch may: it was frozen on its way, and what came of it
    /// says nothing about the issuer.
    was_frozen: bool,
    /// Why the last fetch that has ended failed, if it did.
    failure: Option<String>,
}

impl Keyring {
    /// A ring without keys; a source in memory is read at once.
    pub fn new(
        issuer: Arc<str>,
        source: KeySource,
        periods: Periods,
        fetcher: Fetcher,
        clock: Clock,
        metrics: Metrics,
        status: StatusSlot,
    ) -> Result<Arc<Self>, FetchFault> {
        let given = match &source {
            KeySource::Given(document) => Some(KeySet::parse(document.as_bytes())?),
            KeySource::Url(_) | KeySource::File(_) => None,
        };
        let nothing = Loaded { keys: Arc::default(), generation: 0, fetched_at: None };
        let keyring = Self {
            issuer,
            source,
            periods,
            fetcher,
            clock,
            metrics,
            status,
            loaded: ArcSwap::from_pointee(nothing),
            flight: Mutex::new(Flight::default()),
            landed: watch::Sender::new(0),
        };
        if let Some(keys) = given {
            keyring.take_in(Ok(keys), keyring.clock.now());
        }
        Ok(Arc::new(keyring))
    }

    /// The generation of the keys, if they may be used now. Never waits, never allocates, unless the keys
    /// are overdue: then a fetch is started for later.
    pub fn generation(self: &Arc<Self>, now: Now) -> Option<u64> {
        let loaded = self.loaded.load();
        self.fetch_if_overdue(&loaded, now);
        self.is_fresh(&loaded, now).then_some(loaded.generation)
    }

    /// Whether there are keys that may be used now.
    pub fn is_usable(&self, now: Now) -> bool {
        self.is_fresh(&self.loaded.load(), now)
    }

    /// Keys among which is the one of this name. Waits for a fetch if it is not known, or if the keys are
    /// too old; tokens of known keys never wait.
    pub async fn with_key(self: &Arc<Self>, kid: &str) -> Result<Arc<Loaded>, KeyFault> {
        let now = self.clock.now();
        let loaded = self.loaded.load_full();
        self.fetch_if_overdue(&loaded, now);
        if self.is_fresh(&loaded, now) && loaded.keys.get(kid).is_some() {
            return Ok(loaded);
        }
        if self.source.can_change() {
            self.fetch_on_demand().await?;
        }
        let loaded = self.loaded.load_full();
        let failure = self.flight().failure.clone();
        if !self.is_fresh(&loaded, self.clock.now()) {
            let cause = failure.unwrap_or_else(|| "its keys are older than `max_stale`".to_owned());
            return Err(KeyFault::Unavailable(cause));
        }
        match failure {
            _ if loaded.keys.get(kid).is_some() => Ok(loaded),
            None => Err(KeyFault::Unknown),
            Some(cause) => Err(KeyFault::Unavailable(cause)),
        }
    }

    /// Fetches, whatever happened before, and says why that failed if it did. A fetch that is under way
    /// may have read what has changed since, so another one follows it.
    pub async fn refresh(self: &Arc<Self>) -> Result<(), String> {
        if !self.source.can_change() {
            return Ok(());
        }
        let mut landed = self.landed.subscribe();
        if self.flight().running {
            let _ = landed.changed().await;
        }
        {
            let mut flight = self.flight();
            landed.borrow_and_update();
            if !flight.running && !self.take_off(&mut flight) {
                return Err(NO_RUNTIME.to_owned());
            }
        }
        let _ = landed.changed().await;
        self.flight().failure.clone().map_or(Ok(()), Err)
    }

    /// Fetches again and again, for ever: at once where nothing has been fetched yet, then every `refresh`,
    /// sooner after a failure.
    pub async fn keep_fresh(self: Arc<Self>) {
        if !self.source.can_change() {
            return std::future::pending().await;
        }
        let mut failures = 0_u32;
        if self.loaded.load().fetched_at.is_some() {
            tokio::time::sleep(self.pause(failures)).await;
        }
        loop {
            failures = match self.refresh().await {
                Ok(()) => 0,
                Err(_) => failures.saturating_add(1),
            };
            tokio::time::sleep(self.pause(failures)).await;
        }
    }

    /// A tenth more or less, so that a fleet does not ask in step.
    fn pause(&self, failures: u32) -> Duration {
        let pause = match failures {
            0 => self.periods.refresh,
            _ => QUIET.saturating_mul(1 << failures.min(16).saturating_sub(1)).min(self.periods.refresh),
        };
        let tenths = u32::try_from(RandomState::new().build_hasher().finish() % 201).unwrap_or(100);
        pause.saturating_mul(900 + tenths) / 1_000
    }

    fn is_fresh(&self, loaded: &Loaded, now: Now) -> bool {
        match loaded.fetched_at {
            _ if loaded.keys.is_empty() => false,
            Some(at) => !self.source.can_change() || now.age_of(at) <= self.periods.max_stale,
            None => false,
        }
    }

    /// A timer stands still while a Lambda is frozen, so requests look at the clock as well.
    fn fetch_if_overdue(self: &Arc<Self>, loaded: &Loaded, now: Now) {
        let overdue = self.periods.refresh.saturating_mul(11) / 10;
        if self.source.can_change() && loaded.fetched_at.is_some_and(|at| now.age_of(at) > overdue) {
            let mut flight = self.flight();
            if !flight.running && !flight.is_quiet(now) {
                self.take_off(&mut flight);
            }
        }
    }

    /// Waits for one fetch, or for another where the first was frozen on its way.
    async fn fetch_on_demand(self: &Arc<Self>) -> Result<(), KeyFault> {
        self.wait_for_fetch().await?;
        if self.flight().was_frozen { self.wait_for_fetch().await } else { Ok(()) }
    }

    async fn wait_for_fetch(self: &Arc<Self>) -> Result<(), KeyFault> {
        let mut landed = self.landed.subscribe();
        let place = {
            let mut flight = self.flight();
            if !flight.running {
                if flight.is_quiet(self.clock.now()) {
                    return Ok(());
                }
                if !self.take_off(&mut flight) {
                    return Err(KeyFault::Unavailable(NO_RUNTIME.to_owned()));
                }
            }
            flight.on_demand = true;
            if flight.waiting >= MOST_WAITING {
                return Err(KeyFault::Unavailable(format!("{MOST_WAITING} requests wait for it already")));
            }
            flight.waiting += 1;
            Place(self)
        };
        let _ = landed.changed().await;
        drop(place);
        Ok(())
    }

    /// Starts a fetch of its own, so that nobody who gives up waiting ends it for the others.
    fn take_off(self: &Arc<Self>, flight: &mut Flight) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        flight.running = true;
        let keyring = Arc::clone(self);
        runtime.spawn(async move {
            let started = keyring.clock.now();
            let mut landing = Landing { ring: &keyring, started, failure: Some(CUT_SHORT.to_owned()) };
            let fetched = keyring.fetcher.fetch(&keyring.source).await;
            landing.failure = keyring.take_in(fetched, started);
        });
        true
    }

    /// Good keys replace the old ones; a failure leaves them as they are, and is given back.
    fn take_in(&self, fetched: Result<KeySet, FetchFault>, started: Now) -> Option<String> {
        let result = fetched.as_ref().map_or_else(FetchFault::result, |_| "ok");
        let issuer = Arc::clone(&self.issuer);
        self.metrics.key_fetches.get_or_create(&FetchLabels { issuer, result }).inc();
        let failure = match fetched {
            Ok(keys) => {
                self.put_in_force(keys, started);
                None
            }
            Err(fault) => {
                tracing::warn!(issuer = %self.issuer, error = %fault, "the keys could not be fetched");
                Some(fault.to_string())
            }
        };
        let loaded = self.loaded.load();
        self.status.all.send_modify(|all| {
            if let Some(status) = all.get_mut(self.status.index) {
                status.fetched_at = loaded.fetched_at;
                status.keys = loaded.keys.len();
                status.failure.clone_from(&failure);
            }
        });
        failure
    }

    fn put_in_force(&self, keys: KeySet, started: Now) {
        let before = self.loaded.load();
        let (keys, generation) = if *before.keys == keys {
            (Arc::clone(&before.keys), before.generation)
        } else {
            tracing::info!(issuer = %self.issuer, keys = keys.len(), skipped = keys.skipped(), "new keys");
            (Arc::new(keys), before.generation + 1)
        };
        let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        self.metrics.keys.get_or_create(&IssuerLabels { issuer: Arc::clone(&self.issuer) }).set(count);
        self.loaded.store(Arc::new(Loaded { keys, generation, fetched_at: Some(started) }));
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CUT_SHORT: &str = "the fetch was cut short";
const NO_RUNTIME: &str = "nothing can be fetched outside the service";

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keyring").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Flight {
    /// By both clocks: ten seconds between two invocations are over although no timer has run.
    fn is_quiet(&self, now: Now) -> bool {
        self.quiet_since.is_some_and(|since| now.age_of(since) < QUIET)
    }
}

/// The end of a fetch, however it ends.
struct Landing<'ring> {
    ring: &'ring Keyring,
    started: Now,
    failure: Option<String>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let now = self.ring.clock.now();
        let mut flight = self.ring.flight();
        flight.failure = self.failure.take();
        flight.running = false;
        let failed = flight.failure.is_some();
        flight.was_frozen = failed && now.age_of(self.started) > self.ring.fetcher.longest() + SLACK;
        if std::mem::take(&mut flight.on_demand) || failed {
            flight.quiet_since = (!flight.was_frozen).then_some(now);
        }
        // Under the lock, so that whoever finds no fetch running cannot be woken by this one.
        self.ring.landed.send_modify(|landed| *landed += 1);
    }
}

/// A request's place among those that wait, given up when it goes.
struct Place<'ring>(&'ring Keyring);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut flight = self.0.flight();
        flight.waiting = flight.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
