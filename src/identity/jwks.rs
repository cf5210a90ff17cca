//! An issuer's keys, fetched and kept: the one socket of this module, and the one file.
//!
//! Known keys never wait. An unknown `kid` brings one fetch, not one fetch each; an outage of the
//! endpoint logs nobody out, and a removed key stops verifying at the next refresh.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::Url;
use reqwest::redirect::Policy;
use tokio::sync::{Mutex, Semaphore};

use super::TokenError;
use super::config::Config;
use super::keys::{Key, KeySet, KeySetFault};
use crate::clock::Clock;
use crate::model::Now;
use crate::model::status::KeyStatus;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{FetchLabels, IssuerLabels};

/// From connecting to the last byte. Cognito answers in some tens of milliseconds.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A pool has two keys, about 800 bytes.
const LARGEST: usize = 256 * 1024;

/// After an unknown `kid` or a failed fetch nothing is fetched on demand for so long.
const BACK_OFF: Duration = Duration::from_secs(10);

/// How many requests may wait for a fetch at once.
const WAITING: usize = 64;

/// Where keys may be fetched from: https, or plain http that does not leave this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why that is no place for keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// Not a URL.
    #[error("`{0}` is not a URL")]
    NotAUrl(String),
    /// Whoever sits between us and there could hand out keys.
    #[error("`{0}` is neither https nor plain http to loopback")]
    Insecure(String),
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// An endpoint.
    Url(Endpoint, reqwest::Client),
    /// A file.
    File(PathBuf),
    /// This document, for ever.
    Given(Arc<str>),
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    issuer: Arc<str>,
    source: KeySource,
    max_stale: Duration,
    refresh: Duration,
    current: ArcSwap<Current>,
    /// When something may be fetched on demand again; held while a fetch runs.
    next_fetch: Mutex<Duration>,
    waiting: Semaphore,
    clock: Clock,
    metrics: Metrics,
}

/// What is known of the keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Current {
    set: Arc<KeySet>,
    /// Another one whenever the content of the set is another.
    pub(super) generation: u64,
    fetched_at: Option<Now>,
    failure: Option<Arc<str>>,
}

/// Why a fetch gave no keys.
#[derive(Debug, thiserror::Error)]
enum FetchFault {
    #[error("no answer within 3 s")]
    Timeout,
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("a redirect, which is not followed")]
    Redirect,
    #[error("status {0}")]
    Status(u16),
    #[error("more than {LARGEST} bytes")]
    TooLarge,
    #[error("the file cannot be read: {0}")]
    File(std::io::Error),
    #[error(transparent)]
    Document(#[from] KeySetFault),
}

impl Endpoint {
    /// Judges a URL.
    pub fn parse(text: &str) -> Result<Self, EndpointFault> {
        let url = Url::parse(text).map_err(|_| EndpointFault::NotAUrl(text.to_owned()))?;
        let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if !secure || !url.has_host() {
            return Err(EndpointFault::Insecure(text.to_owned()));
        }
        Ok(Self(url))
    }

    /// A client that goes to this endpoint and nowhere else.
    pub(super) fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        let client = if is_loopback(&self.0) { client.no_proxy() } else { client };
        client.https_only(self.0.scheme() == "https").build()
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Keys {
    pub(super) fn new(config: &Config, source: KeySource, clock: Clock, metrics: Metrics) -> Self {
        Self {
            issuer: config.issuer.as_str().into(),
            source,
            max_stale: config.max_stale.0,
            refresh: config.refresh.0,
            current: ArcSwap::default(),
            next_fetch: Mutex::default(),
            waiting: Semaphore::new(WAITING),
            clock,
            metrics,
        }
    }

    /// The generation in force, if keys of it may still be used.
    pub(super) fn generation(&self, now: Now) -> Option<u64> {
        let current = self.current.load();
        self.is_usable(&current, now).then_some(current.generation)
    }

    /// The set that holds the key, fetched on demand where it does not.
    pub(super) async fn holding(&self, kid: &str, now: Now) -> Result<Found, TokenError> {
        if let Some(found) = self.find(kid, now) {
            return Ok(found);
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(self.unavailable("too many requests wait for its keys"));
        };
        let mut next_fetch = self.next_fetch.lock().await;
        if let Some(found) = self.find(kid, now) {
            return Ok(found);
        }
        if self.clock.now().monotonic >= *next_fetch {
            self.fetch().await;
            let found = self.find(kid, self.clock.now());
            if found.is_none() {
                *next_fetch = self.clock.now().monotonic + BACK_OFF;
            }
            if let Some(found) = found {
                return Ok(found);
            }
        }
        Err(self.unknown(now))
    }

    /// Fetches once, whatever was fetched before.
    pub(super) async fn refresh(&self) {
        let mut next_fetch = self.next_fetch.lock().await;
        self.fetch().await;
        let failed = self.current.load().failure.is_some();
        *next_fetch = if failed { self.clock.now().monotonic + BACK_OFF } else { Duration::ZERO };
    }

    /// How long until the next regular fetch: give or take a tenth, so that replicas do not come
    /// all at once, and soon after one that failed.
    pub(super) fn pause(&self) -> Duration {
        if self.current.load().failure.is_some() {
            return BACK_OFF;
        }
        let per_mille = u32::try_from(RandomState::new().hash_one(0) % 201).unwrap_or_default() + 900;
        self.refresh.saturating_mul(per_mille) / 1_000
    }

    pub(super) fn status(&self) -> KeyStatus {
        let current = self.current.load();
        KeyStatus {
            issuer: Arc::clone(&self.issuer),
            fetched_at: current.fetched_at,
            keys: current.set.len(),
            failure: current.failure.as_deref().map(str::to_owned),
        }
    }

    fn find(&self, kid: &str, now: Now) -> Option<Found> {
        let current = self.current.load_full();
        let there = self.is_usable(&current, now) && current.set.get(kid).is_some();
        there.then(|| Found { current, kid: kid.to_owned() })
    }

    /// Age is judged when keys are used: timers stand still while a process is frozen.
    fn is_usable(&self, current: &Current, now: Now) -> bool {
        current.fetched_at.is_some_and(|fetched_at| now.age_of(fetched_at) <= self.max_stale)
    }

    /// A key that is not listed is the token's fault only if we know what is listed.
    fn unknown(&self, now: Now) -> TokenError {
        let current = self.current.load();
        match &current.failure {
            Some(failure) => self.unavailable(failure),
            None if !self.is_usable(&current, now) => self.unavailable("its keys are too old"),
            None => TokenError::Invalid {
                class: "unknown_key",
                detail: None,
                cause: "`kid` is none of the issuer's keys".to_owned(),
            },
        }
    }

    fn unavailable(&self, cause: &str) -> TokenError {
        TokenError::KeysUnavailable { issuer: Arc::clone(&self.issuer), cause: cause.to_owned() }
    }

    async fn fetch(&self) {
        let fetched = self.document().await.and_then(|document| Ok(KeySet::parse(&document)?));
        let mut current = Current::clone(&self.current.load());
        let result = match fetched {
            Ok(set) => {
                if *current.set != set {
                    current.generation += 1;
                    current.set = Arc::new(set);
                    tracing::info!(
                        issuer = &*self.issuer,
                        keys = current.set.len(),
                        "the issuer's keys are new"
                    );
                }
                current.fetched_at = Some(self.clock.now());
                current.failure = None;
                "ok"
            }
            Err(fault) => {
                tracing::warn!(issuer = &*self.issuer, %fault, "the issuer's keys could not be fetched");
                current.failure = Some(fault.to_string().into());
                fault.label()
            }
        };
        let issuer = || Arc::clone(&self.issuer);
        self.metrics.key_fetches.get_or_create(&FetchLabels { issuer: issuer(), result }).inc();
        let keys = i64::try_from(current.set.len()).unwrap_or(i64::MAX);
        self.metrics.keys.get_or_create(&IssuerLabels { issuer: issuer() }).set(keys);
        self.current.store(Arc::new(current));
    }

    async fn document(&self) -> Result<Vec<u8>, FetchFault> {
        match &self.source {
            KeySource::Url(endpoint, client) => download(endpoint, client).await,
            KeySource::Given(document) => Ok(document.as_bytes().to_vec()),
            KeySource::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read_file(&path)).await;
                read.map_err(|error| FetchFault::File(std::io::Error::other(error)))?
            }
        }
    }
}

/// A set of keys with the one that was looked for.
#[derive(Debug)]
pub(super) struct Found {
    current: Arc<Current>,
    kid: String,
}

impl Found {
    pub(super) fn key(&self) -> Option<&Key> {
        self.current.set.get(&self.kid)
    }

    pub(super) fn generation(&self) -> u64 {
        self.current.generation
    }
}

impl FetchFault {
    const fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Redirect => "redirect",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::File(_) => "unreadable",
            Self::Document(KeySetFault::Unparseable) => "unparseable",
            Self::Document(KeySetFault::Empty(_)) => "empty",
        }
    }
}

impl From<reqwest::Error> for FetchFault {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout } else { Self::Unreachable(chain(&error)) }
    }
}

/// The library's own message leaves out why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

async fn download(endpoint: &Endpoint, client: &reqwest::Client) -> Result<Vec<u8>, FetchFault> {
    let mut response = client.get(endpoint.0.clone()).send().await?;
    match response.status() {
        status if status.is_redirection() => return Err(FetchFault::Redirect),
        status if status != reqwest::StatusCode::OK => return Err(FetchFault::Status(status.as_u16())),
        _ => {}
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if document.len() + chunk.len() > LARGEST {
            return Err(FetchFault::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

#[expect(clippy::disallowed_methods, reason = "the keys' own file")]
fn read_file(path: &std::path::Path) -> Result<Vec<u8>, FetchFault> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(FetchFault::File)?;
    let mut document = Vec::new();
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut document).map_err(FetchFault::File)?;
    if document.len() > LARGEST { Err(FetchFault::TooLarge) } else { Ok(document) }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
