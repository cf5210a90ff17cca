//! From the text of a token to a verified identity: claims and keys, no schema.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::model::status::KeyStatus;
use crate::model::{Identity, Issuer, Limits, Now, Origin, Token};
use crate::telemetry::Metrics;

mod cache;
pub mod claims;
pub mod config;
mod given;
pub mod groups;
pub mod issuer;
mod jwks;
pub mod keys;
pub mod members;
pub mod rule;
pub mod times;
pub mod token;

use cache::{Known, TokenCache};
use claims::Claims;
pub use config::{Config, ConfigFault, check_all};
pub use given::{GivenFault, identity_from_claims, identity_of};
use jwks::Keys;
pub use jwks::{Endpoint, EndpointFault, KeySource};
use members::Members;
pub use rule::{Rule, RuleOutcome};
use times::TimeTerms;
use token::{FormFault, Header, HeaderFault, Parts};

/// An identity whose token was verified: signature, issuer, times, client, kind and groups.
/// Only [`Verifier::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified(Arc<Identity>);

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

/// The client that fetches keys could not be made.
#[derive(Debug, thiserror::Error)]
#[error("keys cannot be fetched from this machine: {0}")]
pub struct ClientFault(#[from] reqwest::Error);

/// Verifies tokens of the configured issuers. Clones share keys and cache.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    issuers: Vec<Trusted>,
    /// Every form of `iss`, aliases included.
    by_form: HashMap<String, usize>,
    cache: TokenCache,
    longest: usize,
    clock: Clock,
    statuses: watch::Sender<Vec<KeyStatus>>,
    refresh: Notify,
}

/// An issuer whose tokens are accepted.
#[derive(Debug)]
struct Trusted {
    config: Config,
    mapping: Issuer,
    terms: TimeTerms,
    keys: Keys,
}

impl Verified {
    /// Who it is.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.0
    }
}

impl Verifier {
    /// A verifier that has fetched nothing yet.
    ///
    /// # Errors
    /// An issuer has a URL, and no client can be made for it.
    pub fn new(
        configs: &[Config],
        limits: &Limits,
        clock: Clock,
        metrics: &Metrics,
    ) -> Result<Self, ClientFault> {
        let sources = configs.iter().map(source_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::with_sources(configs, sources, limits, clock, metrics))
    }

    /// A verifier of one issuer whose keys are this JWKS document, for ever.
    pub fn with_keys(
        config: &Config,
        document: &str,
        limits: &Limits,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let source = KeySource::Given(document.into());
        Self::with_sources(std::slice::from_ref(config), vec![source], limits, clock, metrics)
    }

    fn with_sources(
        configs: &[Config],
        sources: Vec<KeySource>,
        limits: &Limits,
        clock: Clock,
        metrics: &Metrics,
    ) -> Self {
        let trusted = |(config, source): (&Config, KeySource)| Trusted {
            config: config.clone(),
            mapping: config.mapping(),
            terms: TimeTerms::of(config),
            keys: Keys::new(config, source, clock.clone(), metrics.clone()),
        };
        let issuers: Vec<_> = configs.iter().zip(sources).map(trusted).collect();
        let forms = |(index, config): (usize, &Config)| {
            config.forms().map(|form| (form.to_owned(), index)).collect::<Vec<_>>()
        };
        let statuses = issuers.iter().map(|issuer| issuer.keys.status()).collect();
        Self(Arc::new(Shared {
            by_form: configs.iter().enumerate().flat_map(forms).collect(),
            cache: TokenCache::new(limits.token_cache),
            longest: limits.token,
            clock,
            statuses: watch::Sender::new(statuses),
            refresh: Notify::new(),
            issuers,
        }))
    }

    /// Verifies a token, from the cache where it is known. Waits for a fetch of keys at most.
    pub async fn verify(&self, token: &Token) -> Result<Verified, TokenError> {
        let now = self.0.clock.now();
        match self.known(token, now)? {
            Some(verified) => Ok(verified),
            None => self.verify_afresh(token, now).await,
        }
    }

    /// Judges a token by every rule, one after the other; those behind one that stops everything
    /// are not judged.
    pub async fn report(&self, token: &Token) -> Vec<RuleOutcome> {
        let now = self.0.clock.now();
        let mut outcomes = Vec::new();
        let broken = self.report_until_broken(token, now, &mut outcomes).await.err();
        if let Some((rule, detail, setting)) = broken {
            outcomes.push(RuleOutcome { rule, passed: Some(false), detail, setting });
            let behind = Rule::ALL.into_iter().filter(|other| *other > rule);
            outcomes.extend(behind.map(|rule| RuleOutcome {
                rule,
                passed: None,
                detail: String::new(),
                setting: None,
            }));
        }
        outcomes
    }

    /// Fetches all keys, then each again in its time, until `shutdown`.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let for_ever = async {
            loop {
                let mut pause = None;
                for issuer in &self.0.issuers {
                    issuer.keys.refresh().await;
                    self.publish();
                    pause = pause.min(Some(issuer.keys.pause())).or(Some(issuer.keys.pause()));
                }
                let Some(pause) = pause else { return std::future::pending().await };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.0.refresh.notified() => {}
                }
            }
        };
        tokio::select! {
            () = for_ever => {}
            () = shutdown => {}
        }
    }

    /// Fetches all keys now, whatever their time.
    pub fn refresh_now(&self) {
        self.0.refresh.notify_one();
    }

    /// How the keys of every issuer are.
    pub fn statuses(&self) -> watch::Receiver<Vec<KeyStatus>> {
        self.0.statuses.subscribe()
    }

    /// A known token: its times are judged at every use, and it is forgotten with the keys that it
    /// was verified with.
    fn known(&self, token: &Token, now: Now) -> Result<Option<Verified>, TokenError> {
        let Some(known) = self.0.cache.get(token.expose()) else { return Ok(None) };
        let Some(issuer) = self.0.issuers.get(known.issuer) else { return Ok(None) };
        if issuer.keys.generation(now) != Some(known.generation) {
            self.0.cache.remove(token.expose());
            return Ok(None);
        }
        known.times.check(issuer.terms, now.wall)?;
        Ok(Some(Verified(known.identity)))
    }

    async fn verify_afresh(&self, token: &Token, now: Now) -> Result<Verified, TokenError> {
        let parts = token::split(token.expose(), self.0.longest)?;
        let members = parts.claims()?;
        let (index, issuer) = self.issuer(&members).ok_or_else(unknown_issuer)?;
        let header = Header::read(&parts.header()?)?;
        let generation = self.check_signature(issuer, &header, &parts, now).await?;
        let claims = Claims::read(&members, &issuer.mapping);
        claims.judge(&issuer.config, now.wall)?;
        let (Some(kind), Some(token_use), Some(times)) = (claims.kind(), claims.token_use(), claims.times())
        else {
            return Err(incomplete());
        };
        let identity =
            claims.into_identity(&issuer.mapping, kind, token_use, Origin::Token).ok_or_else(incomplete)?;
        let identity = Arc::new(identity);
        if issuer.keys.generation(now) == Some(generation) {
            let known = Known { identity: Arc::clone(&identity), times, issuer: index, generation };
            self.0.cache.insert(token.expose(), known);
        }
        Ok(Verified(identity))
    }

    /// The generation of the key that signed.
    async fn check_signature(
        &self,
        issuer: &Trusted,
        header: &Header,
        parts: &Parts<'_>,
        now: Now,
    ) -> Result<u64, TokenError> {
        let found = issuer.keys.holding(&header.kid, now).await;
        self.publish_if_changed(issuer);
        let found = found?;
        if found.key().is_some_and(|key| key.verifies(parts.signature, parts.signed)) {
            return Ok(found.generation());
        }
        let cause = "the signature is not that of the key that it names".to_owned();
        Err(TokenError::Invalid { class: "signature", detail: None, cause })
    }

    fn issuer(&self, members: &Members<'_>) -> Option<(usize, &Trusted)> {
        let index = *self.0.by_form.get(members.string("iss").given()?)?;
        self.0.issuers.get(index).map(|issuer| (index, issuer))
    }

    async fn report_until_broken(
        &self,
        token: &Token,
        now: Now,
        outcomes: &mut Vec<RuleOutcome>,
    ) -> Result<(), (Rule, String, Option<String>)> {
        let mut passed = |rule, detail: String| {
            outcomes.push(RuleOutcome { rule, passed: Some(true), detail, setting: None });
        };
        let form = |fault: FormFault| (Rule::Form, fault.to_string(), None);
        let parts = token::split(token.expose(), self.0.longest).map_err(form)?;
        let members = parts.claims().map_err(form)?;
        let header = parts.header().map_err(form)?;
        passed(Rule::Form, String::new());
        let header = Header::read(&header).map_err(|fault| (Rule::Header, fault.to_string(), None))?;
        passed(Rule::Header, format!("`kid` {}", header.kid));
        let iss = members.string("iss");
        let iss = iss.given().unwrap_or_default();
        let Some((index, issuer)) = self.issuer(&members) else {
            let detail = format!("`{iss}` is not configured");
            return Err((Rule::Issuer, detail, Some("issuers.issuer".to_owned())));
        };
        passed(Rule::Issuer, format!("`{iss}`"));
        match self.check_signature(issuer, &header, &parts, now).await {
            Ok(_) => {
                passed(Rule::Key, String::new());
                passed(Rule::Signature, String::new());
            }
            Err(TokenError::Invalid { class: "signature", cause, .. }) => {
                passed(Rule::Key, String::new());
                return Err((Rule::Signature, cause, None));
            }
            Err(TokenError::Invalid { cause, .. } | TokenError::KeysUnavailable { cause, .. }) => {
                return Err((Rule::Key, cause, Some(format!("issuers.{index}.jwks_url"))));
            }
        }
        outcomes.extend(Claims::read(&members, &issuer.mapping).report(&issuer.config, index, now.wall));
        Ok(())
    }

    fn publish(&self) {
        let statuses = self.0.issuers.iter().map(|issuer| issuer.keys.status()).collect();
        self.0.statuses.send_replace(statuses);
    }

    /// A fetch on demand changes the status too.
    fn publish_if_changed(&self, issuer: &Trusted) {
        let status = issuer.keys.status();
        let known = self.0.statuses.borrow().iter().any(|known| {
            known.issuer == status.issuer && known.keys == status.keys && known.failure == status.failure
        });
        if !known {
            self.publish();
        }
    }
}

fn source_of(config: &Config) -> Result<KeySource, ClientFault> {
    if let Some(path) = &config.jwks_file {
        return Ok(KeySource::File(path.clone()));
    }
    match Endpoint::parse(&config.keys_url()) {
        Ok(endpoint) => {
            let client = endpoint.client()?;
            Ok(KeySource::Url(endpoint, client))
        }
        // The configuration was checked; a source without keys refuses everything.
        Err(_) => Ok(KeySource::Given("".into())),
    }
}

fn unknown_issuer() -> TokenError {
    TokenError::Invalid { class: "unknown_issuer", detail: None, cause: "`iss` is not configured".to_owned() }
}

fn incomplete() -> TokenError {
    TokenError::Invalid {
        class: "claims",
        detail: Some("claim malformed".to_owned()),
        cause: "a claim is missing".to_owned(),
    }
}

impl From<FormFault> for TokenError {
    fn from(fault: FormFault) -> Self {
        Self::Invalid { class: "malformed", detail: None, cause: fault.to_string() }
    }
}

impl From<HeaderFault> for TokenError {
    fn from(fault: HeaderFault) -> Self {
        let class = if fault == HeaderFault::Algorithm { "algorithm" } else { "header" };
        Self::Invalid { class, detail: None, cause: fault.to_string() }
    }
}
