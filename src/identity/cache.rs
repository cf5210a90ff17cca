//! The tokens that were verified before: a hit costs a hash and a comparison instead of a signature.

use std::hash::RandomState;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::times::Times;
use crate::model::Identity;

/// What is known of a token whose signature was verified. Its times are judged at every use.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) identity: Arc<Identity>,
    pub(super) times: Times,
    /// Which of the configured issuers.
    pub(super) issuer: usize,
    /// The keys that it was verified with; of no use once there are others.
    pub(super) generation: u64,
}

/// Bounded by bytes. The key is the whole token under a randomly keyed hash, compared in full.
#[derive(Debug)]
pub(super) struct TokenCache(Cache<Box<str>, Known, Weight, RandomState>);

/// What an entry takes beside its token: the identity and the cache's own bookkeeping.
const BESIDE_TOKEN: u64 = 1024;

/// A typical token, for sizing.
const TYPICAL: u64 = 2 * 1024;

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Box<str>, Known> for Weight {
    fn weight(&self, token: &Box<str>, _: &Known) -> u64 {
        // The claims of an identity come from the token, so they are no larger than it.
        2 * u64::try_from(token.len()).unwrap_or(u64::MAX / 4) + BESIDE_TOKEN
    }
}

impl TokenCache {
    pub(super) fn new(bytes: u64) -> Self {
        let expected = usize::try_from(bytes / TYPICAL / 16).unwrap_or(1_024).clamp(16, 1_024);
        Self(Cache::with(expected, bytes, Weight, RandomState::new(), DefaultLifecycle::default()))
    }

    pub(super) fn get(&self, token: &str) -> Option<Known> {
        self.0.get(token)
    }

    pub(super) fn insert(&self, token: &str, known: Known) {
        self.0.insert(token.into(), known);
    }

    pub(super) fn remove(&self, token: &str) {
        self.0.remove(token);
    }
}
