//! From the text of a token to a verified identity: claims and keys, no schema.

pub mod cache;
#[cfg(test)]
mod canned;
pub mod claims;
pub mod config;
pub mod fixture;
pub mod given;
pub mod groups;
pub mod inspect;
pub mod issuer;
pub mod jwks;
pub mod keyring;
pub mod keys;
pub mod members;
pub mod mistake;
pub mod pasted;
pub mod rule;
pub mod times;
pub mod token;
mod turns;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use config::{Config, ConfigFault, check_all};
pub use fixture::Fixture;
pub use given::{GivenFault, identity_from_claims, identity_of};
pub use issuer::{Cognito, DEV_ISSUER, TokenIssuer};
pub use jwks::KeySource;
pub use mistake::Mistake;
pub use pasted::Pasted;
pub use rule::{Rule, RuleOutcome};

use cache::{Remembered, TokenCache};
use claims::Claims;
use jwks::{Bounds, Fetcher};
use keyring::{KeyFault, Keyring, Loaded, Periods, StatusSlot};
use members::Members;
use rule::Broken;
use times::TimeTerms;
use token::{FormFault, Header, HeaderFault, Parts};
use turns::Turns;

use crate::clock::Clock;
use crate::endpoint::ClientFault;
use crate::model::status::KeyStatus;
use crate::model::{Identity, Issuer, Limits, Now, Origin, Token};
use crate::telemetry::metrics::Metrics;

/// An identity whose token was verified: signature, issuer, times, client, kind and groups.
/// Only [`Verifier::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified(Arc<Identity>);

impl Verified {
    /// Who it is.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.0
    }
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is wrong. `class` is a stable, bounded label for metrics; `detail` is what the caller may see,
    /// nothing before the signature was verified; `cause` is for the log and holds no claim's value.
    #[error("the token was refused: {cause}")]
    Invalid {
        /// `malformed`, `algorithm`, `unknown_issuer`, `unknown_key`, `signature`, `expired`, …
        class: &'static str,
        /// For the caller.
        detail: Option<String>,
        /// For the log.
        cause: String,
    },
    /// It could not be judged: no keys of its issuer can be had right now.
    #[error("no usable keys of {issuer}: {cause}")]
    KeysUnavailable {
        /// The configured issuer.
        issuer: Arc<str>,
        /// For the log.
        cause: String,
    },
}

/// Why a verifier cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// There is no HTTP client, for want of a trust store for instance.
    #[error(transparent)]
    Client(#[from] ClientFault),
    /// A key set that was handed over in memory is none.
    #[error("the keys of {issuer}: {fault}")]
    Keys {
        /// The issuer.
        issuer: String,
        /// Why.
        fault: jwks::FetchFault,
    },
}

/// Verifies tokens of the configured issuers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: Vec<Accepted>,
    /// Every form of every `iss`, with its issuer's place.
    places: HashMap<String, usize>,
    cache: TokenCache,
    turns: Turns,
    clock: Clock,
    longest_token: usize,
    statuses: watch::Sender<Vec<KeyStatus>>,
}

/// An issuer whose tokens are accepted.
#[derive(Debug)]
struct Accepted {
    config: Config,
    mapping: Issuer,
    terms: TimeTerms,
    keyring: Arc<Keyring>,
}

impl Verifier {
    /// A verifier for the issuers of the configuration, without keys yet: see [`Self::run`]. Refuses
    /// what [`check_all`] refuses.
    pub fn new(
        configs: &[Config],
        limits: &Limits,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, StartFault> {
        check_all(configs)?;
        let with_source = |config: &Config| Ok((config.clone(), source(config)?));
        let issuers = configs.iter().map(with_source).collect::<Result<_, ConfigFault>>()?;
        Self::with_sources(issuers, limits, clock, metrics)
    }

    /// The same, where the keys come from elsewhere than the settings say. The issuer of `palisade dev` is
    /// accepted here, with keys in memory.
    pub fn with_sources(
        issuers: Vec<(Config, KeySource)>,
        limits: &Limits,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, StartFault> {
        Self::with_bounds(issuers, limits, clock, metrics, Bounds::default())
    }

    fn with_bounds(
        issuers: Vec<(Config, KeySource)>,
        limits: &Limits,
        clock: Clock,
        metrics: &Metrics,
        bounds: Bounds,
    ) -> Result<Self, StartFault> {
        for (config, source) in &issuers {
            if source.can_change() { config.check()? } else { config.check_rules()? }
        }
        let configs: Vec<_> = issuers.iter().map(|(config, _)| config.clone()).collect();
        config::check_together(&configs)?;
        let fetcher = Fetcher::new(issuers.iter().map(|(_, source)| source), bounds)?;
        let statuses = watch::Sender::new(configs.iter().map(no_keys_yet).collect());
        let places = configs.iter().enumerate().flat_map(|(index, config)| {
            config.forms().map(move |form| (form.to_owned(), index)).collect::<Vec<_>>()
        });
        let places = places.collect();
        let mut accepted = Vec::with_capacity(issuers.len());
        for (index, (config, source)) in issuers.into_iter().enumerate() {
            let status = StatusSlot { all: statuses.clone(), index };
            let mapping = config.mapping();
            let periods = Periods { refresh: config.refresh.0, max_stale: config.max_stale.0 };
            let keyring = Keyring::new(
                Arc::clone(&mapping.issuer),
                source,
                periods,
                fetcher.clone(),
                clock.clone(),
                metrics.clone(),
                status,
            )
            .map_err(|fault| StartFault::Keys { issuer: config.issuer.clone(), fault })?;
            accepted.push(Accepted { terms: TimeTerms::of(&config), config, mapping, keyring });
        }
        Ok(Self(Arc::new(Inner {
            issuers: accepted,
            places,
            cache: TokenCache::of_bytes(limits.token_cache),
            turns: Turns::new(),
            clock,
            longest_token: limits.token,
            statuses,
        })))
    }

    /// Verifies a token, from the cache where it is known. Waits for a fetch of keys at most.
    pub async fn verify(&self, token: &Token) -> Result<Verified, TokenError> {
        self.verify_at(token, self.0.clock.now()).await
    }

    /// The same at a time that was read a moment ago.
    pub async fn verify_at(&self, token: &Token<impl AsRef<str>>, now: Now) -> Result<Verified, TokenError> {
        match self.0.remembered(token.expose(), now) {
            Some(judged) => judged,
            None => self.0.verify_afresh(token.expose()).await,
        }
    }

    /// Fetches the keys of every issuer, all at the same time, whatever happened before. Failures are in
    /// [`Self::statuses`].
    pub async fn refresh_now(&self) {
        let mut fetches = JoinSet::new();
        for issuer in &self.0.issuers {
            let keyring = Arc::clone(&issuer.keyring);
            fetches.spawn(async move { keyring.refresh().await });
        }
        while fetches.join_next().await.is_some() {}
    }

    /// Keeps the keys fresh until `shutdown`: fetches those that are missing at once, the others on time.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut rings = JoinSet::new();
        for issuer in &self.0.issuers {
            rings.spawn(Arc::clone(&issuer.keyring).keep_fresh());
        }
        shutdown.await;
        rings.shutdown().await;
    }

    /// How the keys of each issuer are, in the order of the configuration.
    pub fn statuses(&self) -> watch::Receiver<Vec<KeyStatus>> {
        self.0.statuses.subscribe()
    }

    /// Whether tokens can be verified: **every** issuer has keys, and none are older than its `max_stale`.
    /// One pool without keys makes a service that refuses some of its users, and that is not ready.
    pub fn usable(&self, now: Now) -> bool {
        !self.0.issuers.is_empty() && self.0.issuers.iter().all(|issuer| issuer.keyring.is_usable(now))
    }
}

impl Inner {
    /// What the cache knows of a token: nothing, if anything but its times could have changed.
    fn remembered(&self, token: &str, now: Now) -> Option<Result<Verified, TokenError>> {
        let Remembered { identity, issuer, generation, times } = self.cache.get(token)?;
        let issuer = self.issuers.get(issuer)?;
        if issuer.keyring.generation(now) != Some(generation) {
            self.cache.remove(token);
            return None;
        }
        Some(match times.check(issuer.terms, now.wall) {
            Ok(()) => Ok(Verified(identity)),
            Err(broken) => {
                self.cache.remove(token);
                Err(broken.into())
            }
        })
    }

    async fn verify_afresh(&self, token: &str) -> Result<Verified, TokenError> {
        let parts = token::split(token, self.longest_token).map_err(Broken::from)?;
        let header = read_header(&parts)?;
        let members = parts.claims().map_err(Broken::from)?;
        let (place, issuer) = self.issuer(&members)?;
        let loaded = issuer.keys_with(&header.kid).await?;
        {
            let _turn = self.turns.take(self.clock.now().monotonic).await;
            verify_signature(&parts, &header, &loaded)
                .inspect_err(|_| self.turns.was_wrong(self.clock.now().monotonic))?;
        }
        let claims = Claims::read(&members, &issuer.mapping);
        claims.judge(&issuer.config, self.clock.now().wall)?;
        let (times, identity) = issuer.identity(claims)?;
        let identity = Arc::new(identity);
        if issuer.keyring.generation(self.clock.now()) == Some(loaded.generation) {
            let remembered = Remembered {
                identity: Arc::clone(&identity),
                issuer: place,
                generation: loaded.generation,
                times,
            };
            self.cache.insert(token, remembered);
        }
        Ok(Verified(identity))
    }

    /// The issuer that the token names, peeked at only to know whose keys to try.
    fn issuer(&self, members: &Members<'_>) -> Result<(usize, &Accepted), Broken> {
        let named = members
            .string("iss")
            .into_given()
            .ok_or_else(|| early(Rule::Issuer, "malformed", "`iss` is not a string".to_owned()))?;
        self.places.get(&named).and_then(|place| Some((*place, self.issuers.get(*place)?))).ok_or_else(|| {
            Broken {
                setting: Some("issuer"),
                ..early(Rule::Issuer, "unknown_issuer", "`iss` is not a configured one".to_owned())
            }
        })
    }
}

impl Accepted {
    async fn keys_with(&self, kid: &str) -> Result<Arc<Loaded>, TokenError> {
        self.keyring.with_key(kid).await.map_err(|fault| match fault {
            KeyFault::Unknown => unknown_key().into(),
            KeyFault::Unavailable(cause) => {
                TokenError::KeysUnavailable { issuer: Arc::clone(&self.mapping.issuer), cause }
            }
        })
    }

    /// The identity of claims that were judged; they have all that it takes.
    fn identity(&self, claims: Claims) -> Result<(times::Times, Identity), Broken> {
        let parts = (claims.times(), claims.kind(), claims.token_use());
        let (Some(times), Some(kind), Some(token_use)) = parts else { return Err(incomplete()) };
        let identity = claims.into_identity(&self.mapping, kind, token_use, Origin::Token);
        Ok((times, identity.ok_or_else(incomplete)?))
    }
}

fn read_header(parts: &Parts<'_>) -> Result<Header, Broken> {
    Ok(Header::read(&parts.header()?)?)
}

fn verify_signature(parts: &Parts<'_>, header: &Header, loaded: &Loaded) -> Result<(), Broken> {
    let key = loaded.keys.get(&header.kid).ok_or_else(unknown_key)?;
    if key.verifies(parts.signature, parts.signed) {
        return Ok(());
    }
    Err(early(Rule::Signature, "signature", "the signature is not that of the key it names".to_owned()))
}

impl From<FormFault> for Broken {
    fn from(fault: FormFault) -> Self {
        let class = match fault {
            FormFault::TooLong { .. } => "too_long",
            FormFault::Parts | FormFault::Base64(_) | FormFault::Json(..) => "malformed",
        };
        early(Rule::Form, class, fault.to_string())
    }
}

impl From<HeaderFault> for Broken {
    fn from(fault: HeaderFault) -> Self {
        let class = if fault == HeaderFault::Algorithm { "algorithm" } else { "header" };
        early(Rule::Header, class, fault.to_string())
    }
}

fn unknown_key() -> Broken {
    early(Rule::Key, "unknown_key", "its issuer does not list the key that `kid` names".to_owned())
}

fn incomplete() -> Broken {
    early(Rule::Claims, "claims", "claims that were judged do not make an identity".to_owned())
}

/// A rule broken before anything of the token could be believed.
fn early(rule: Rule, class: &'static str, cause: String) -> Broken {
    Broken { rule, class, detail: "", cause, setting: None }
}

fn source(config: &Config) -> Result<KeySource, ConfigFault> {
    KeySource::of(config).map_err(|fault| ConfigFault {
        key: "jwks_url".to_owned(),
        message: fault.to_string(),
        help: "write an https URL".to_owned(),
    })
}

fn no_keys_yet(config: &Config) -> KeyStatus {
    KeyStatus { issuer: Arc::from(config.issuer.as_str()), fetched_at: None, keys: 0, failure: None }
}

#[cfg(test)]
mod tests;
