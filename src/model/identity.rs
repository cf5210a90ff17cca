//! Who is asked about: the claims that count, before any schema has typed them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::Value;

/// A user or a machine, as a token (or somebody at a keyboard) described it. Knows claims and no
/// schema; `cedar/principal.rs` turns it into an entity under one snapshot.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The configured issuer, never an alias of it.
    pub issuer: Arc<str>,
    /// User or machine.
    pub kind: Kind,
    /// `sub`, or the client id of a machine.
    pub subject: String,
    /// The names in `cognito:groups`, sorted, each once.
    pub groups: Vec<String>,
    /// Which kind of token it was.
    pub token_use: TokenUse,
    /// `username` of an access token, `cognito:username` of an ID token.
    pub username: Option<String>,
    /// `client_id` of an access token, `aud` of an ID token.
    pub client_id: Option<String>,
    /// `scope` of an access token, split at blanks.
    pub scope: Option<Vec<String>>,
    /// The claims that the issuer's mapping names, as far as the token carries them, by claim.
    pub claims: BTreeMap<String, Value>,
    /// `jti`, for the record.
    pub token_id: Option<String>,
    /// Where this description comes from.
    pub origin: Origin,
    /// Told apart from every other identity of this process: what a snapshot caches its principal under.
    pub serial: Serial,
}

/// What kind of principal a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody who signed in.
    User,
    /// A program with client credentials.
    Machine,
}

/// Cognito's two kinds of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenUse {
    /// Says what may be done: `client_id`, `scope`, `username`.
    Access,
    /// Says who it is: `aud`, `email`, `custom:*`.
    Id,
}

/// What stands behind an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A token whose signature was verified.
    Token,
    /// Claims that somebody wrote down (`decide`, `test`).
    Claims,
    /// A principal and its groups, written down without claims.
    Given,
}

/// A number that no other identity of this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial(u64);

#[cfg(test)]
impl Identity {
    /// A user of the issuer that is not configured, as an access token tells of it.
    pub(crate) fn of_user(subject: &str, groups: &[&str]) -> Self {
        Self {
            issuer: "".into(),
            kind: Kind::User,
            subject: subject.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            token_use: TokenUse::Access,
            username: None,
            client_id: None,
            scope: None,
            claims: BTreeMap::new(),
            token_id: None,
            origin: Origin::Token,
            serial: Serial::next(),
        }
    }
}

impl Serial {
    /// The next one.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Kind {
    /// As records and messages write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Machine => "machine",
        }
    }
}

impl TokenUse {
    /// As the claim `token_use` writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}
