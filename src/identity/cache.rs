//! Tokens that were verified a moment ago, so that a signature is checked once and not at every request.

use std::fmt;
use std::hash::{Hash, Hasher, RandomState};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use super::times::Times;
use crate::model::{Identity, Value};

/// A usual token with its identity; sizes the tables and nothing else.
const USUAL_WEIGHT: u64 = 3 * 1024;

/// An identity without its strings, an entry's bookkeeping, and what an allocator adds.
const FIXED_WEIGHT: u64 = 512;

/// How much of a token is hashed: 24 bytes of its signature.
const HASHED: usize = 32;

/// Verified tokens, bounded by their bytes. Found by the whole text.
pub struct TokenCache {
    entries: Option<Cache<Verbatim<Box<str>>, Remembered, Weight, RandomState>>,
}

/// The text of a token. Its hash is that of the end of its signature, under a key that nobody outside can
/// foresee: only verified tokens are kept, and nobody chooses how the signature of one ends.
struct Verbatim<T>(T);

/// What is remembered of a token. Whether it still holds is judged at every use.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// The issuer's place in the configuration.
    pub issuer: usize,
    /// The issuer's keys when it was verified.
    pub generation: u64,
    /// When it holds.
    pub times: Times,
}

impl TokenCache {
    /// A cache of so many bytes; of none at all if that is zero.
    pub fn of_bytes(bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            .weight_capacity(bytes)
            .estimated_items_capacity(usize::try_from(bytes / USUAL_WEIGHT).unwrap_or(usize::MAX))
            .build();
        let entries = options.ok().filter(|_| bytes > 0).map(|options| {
            Cache::with_options(options, Weight, RandomState::new(), DefaultLifecycle::default())
        });
        Self { entries }
    }

    /// What is remembered of exactly this token.
    pub fn get(&self, token: &str) -> Option<Remembered> {
        self.entries.as_ref()?.get(&Verbatim(token))
    }

    /// Remembers a token that was verified.
    pub fn insert(&self, token: &str, remembered: Remembered) {
        if let Some(entries) = &self.entries {
            entries.insert(Verbatim(Box::from(token)), remembered);
        }
    }

    /// Forgets a token that holds no longer.
    pub fn remove(&self, token: &str) {
        if let Some(entries) = &self.entries {
            entries.remove(&Verbatim(token));
        }
    }

    /// How many tokens are remembered.
    pub fn count(&self) -> usize {
        self.entries.as_ref().map_or(0, Cache::len)
    }
}

/// Sizes only: the tokens are secrets.
impl fmt::Debug for TokenCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenCache({} tokens)", self.count())
    }
}

impl<T: AsRef<str>> Hash for Verbatim<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let token = self.0.as_ref().as_bytes();
        state.write(token.last_chunk::<HASHED>().map_or(token, |end| end));
    }
}

impl PartialEq for Verbatim<Box<str>> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Verbatim<Box<str>> {}

impl Equivalent<Verbatim<Box<str>>> for Verbatim<&str> {
    fn equivalent(&self, key: &Verbatim<Box<str>>) -> bool {
        *self.0 == *key.0
    }
}

#[derive(Debug, Clone, Copy)]
struct Weight;

impl Weighter<Verbatim<Box<str>>, Remembered> for Weight {
    fn weight(&self, Verbatim(token): &Verbatim<Box<str>>, remembered: &Remembered) -> u64 {
        let identity = &remembered.identity;
        let list = |names: &[String]| names.iter().map(|name| weigh(name)).sum::<u64>();
        let texts = [Some(&identity.subject), identity.username.as_ref(), identity.client_id.as_ref()];
        weigh(token)
            + FIXED_WEIGHT
            + list(&identity.groups)
            + identity.scope.as_deref().map_or(0, list)
            + texts.into_iter().flatten().map(|text| weigh(text)).sum::<u64>()
            + identity.claims.iter().map(|(claim, value)| weigh(claim) + weigh_value(value)).sum::<u64>()
    }
}

fn weigh(text: &str) -> u64 {
    u64::try_from(size_of::<String>() + text.len()).unwrap_or(u64::MAX)
}

fn weigh_value(value: &Value) -> u64 {
    let own = u64::try_from(size_of::<Value>()).unwrap_or(u64::MAX);
    own + match value {
        Value::Bool(_) | Value::Long(_) => 0,
        Value::String(text) => weigh(text),
        Value::Set(values) => values.iter().map(weigh_value).sum(),
        Value::Record(members) => members.iter().map(|(name, value)| weigh(name) + weigh_value(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::given::identity_of;
    use crate::model::{Issuer, Kind};

    fn remembered() -> Remembered {
        let identity = identity_of(Kind::User, "ana", Vec::new(), &Issuer::unconfigured()).unwrap();
        Remembered {
            identity: Arc::new(identity),
            issuer: 0,
            generation: 1,
            times: Times { exp: 2, iat: 1, nbf: None },
        }
    }

    #[test]
    fn a_token_is_found_by_the_whole_of_it() {
        let cache = TokenCache::of_bytes(1024 * 1024);
        cache.insert("header.payload.signature", remembered());
        assert!(cache.get("header.payload.signature").is_some());
        assert!(cache.get("header.payload.signaturE").is_none());
        assert!(cache.get("header.payload").is_none());
        cache.remove("header.payload.signature");
        assert!(cache.get("header.payload.signature").is_none());
    }

    #[test]
    fn the_bytes_are_bounded_whatever_the_number_of_tokens() {
        let cache = TokenCache::of_bytes(1024 * 1024);
        for index in 0..1_000 {
            cache.insert(&format!("{}{index}", "x".repeat(10_000)), remembered());
        }
        assert!((50..=100).contains(&cache.count()), "{cache:?}");
    }

    #[test]
    fn a_cache_of_no_bytes_remembers_nothing() {
        let cache = TokenCache::of_bytes(0);
        cache.insert("token", remembered());
        assert!(cache.get("token").is_none());
    }

    #[test]
    fn no_token_is_shown() {
        let cache = TokenCache::of_bytes(1024 * 1024);
        cache.insert("secret", remembered());
        assert_eq!(format!("{cache:?}"), "TokenCache(1 tokens)");
    }
}
