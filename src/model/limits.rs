//! The bounds on everything that somebody else sends or writes; `[limits]` of the configuration.

use std::time::Duration;

use serde::Deserialize;

use super::Period;

/// Every bound with its default. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A request body.
    pub body: usize,
    /// The body of a batch.
    pub batch_body: usize,
    /// The items of a batch.
    pub batch_items: usize,
    /// The entities that a batch describes, shared ones counted once.
    pub batch_entities: usize,
    /// A string in a request.
    pub string: usize,
    /// The elements of a set in a request.
    pub set: usize,
    /// An entity id in a request.
    pub id: usize,
    /// How deep a request's JSON nests.
    pub depth: usize,
    /// The entities that a request describes beside its resource.
    pub entities: usize,
    /// The parents of one entity of a request.
    pub parents: usize,
    /// How many generations of ancestors an entity may have.
    pub ancestry: usize,
    /// A token.
    pub token: usize,
    /// The verified tokens that are remembered, in bytes in all.
    pub token_cache: u64,
    /// How long a request's headers may take, from their first byte.
    pub headers: Period,
    /// How long a connection may wait for its next request: longer than the clients that pool
    /// connections keep theirs, nginx for a minute, so that it is they who close them.
    pub idle: Period,
    /// How long a request may take from its headers to its answer.
    pub request: Period,
    /// The requests that run at once; more are refused with 503 `overloaded`.
    pub in_flight: usize,
    /// A file on disk.
    pub file: usize,
    /// The text of one policy.
    pub policy: usize,
    /// All policy texts together.
    pub policies: usize,
    /// The entities in the store.
    pub stored_entities: usize,
    /// The bytes of all files of stored entities together.
    pub stored_bytes: usize,
    /// A bundle of policies, packed or unpacked.
    pub bundle: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 256 * 1024,
            batch_body: 2 * 1024 * 1024,
            batch_items: 1_000,
            batch_entities: 4_096,
            string: 16 * 1024,
            set: 1_000,
            id: 512,
            depth: 32,
            entities: 256,
            parents: 100,
            ancestry: 32,
            token: 32 * 1024,
            token_cache: 32 * 1024 * 1024,
            headers: Period(Duration::from_secs(5)),
            idle: Period(Duration::from_secs(75)),
            request: Period(Duration::from_secs(2)),
            in_flight: 1_024,
            file: 1024 * 1024,
            policy: 10 * 1024,
            policies: 64 * 1024 * 1024,
            stored_entities: 1_000_000,
            stored_bytes: 512 * 1024 * 1024,
            bundle: 64 * 1024 * 1024,
        }
    }
}
