//! The part of an issuer's settings that decides: how its claims become a principal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::TokenUse;

/// How one issuer's tokens become principals. Part of the revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issuer {
    /// The `iss` of its tokens, as configured; aliases stand for it.
    pub issuer: Arc<str>,
    /// Which kinds of token it may send.
    pub token_use: Vec<TokenUse>,
    /// The entity type of its users.
    pub principal_type: String,
    /// The entity type of its groups.
    pub group_type: String,
    /// The entity type of machines, where client-credentials tokens are accepted.
    pub machine_type: Option<String>,
    /// The claim that holds the names of the groups.
    pub groups_claim: String,
    /// How `sub` and group names become entity ids.
    pub id_format: IdFormat,
    /// Schema attribute = claim; nothing else of a user's own making is taken from the token.
    pub attributes: BTreeMap<String, MappedClaim>,
}

/// How the ids of principals and groups are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum IdFormat {
    /// The bare `sub` and the bare group name.
    #[default]
    #[serde(rename = "sub")]
    Sub,
    /// With the pool's id before each, `us-east-1_EXAMPLE|3f0c…`, as Amazon Verified Permissions does.
    #[serde(rename = "pool|sub")]
    PoolSub,
}

/// Where a mapped attribute comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappedClaim {
    /// The claim's name.
    pub claim: String,
    /// The operator vouches that users cannot write this claim themselves.
    pub immutable: bool,
}

impl<'de> Deserialize<'de> for MappedClaim {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a claim's name, or { claim = \"…\", immutable = true }")]
        enum Written {
            Name(String),
            Full(Full),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            claim: String,
            #[serde(default)]
            immutable: bool,
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Name(claim) => Self { claim, immutable: false },
            Written::Full(Full { claim, immutable }) => Self { claim, immutable },
        })
    }
}

impl Issuer {
    /// The contract's defaults, for tools that run without a configured issuer.
    pub fn unconfigured() -> Self {
        Self {
            issuer: Arc::from(""),
            token_use: vec![TokenUse::Access, TokenUse::Id],
            principal_type: "User".to_owned(),
            group_type: "Group".to_owned(),
            machine_type: Some("Machine".to_owned()),
            groups_claim: "cognito:groups".to_owned(),
            id_format: IdFormat::Sub,
            attributes: BTreeMap::new(),
        }
    }

    /// The entity id of a subject or a group of this issuer.
    pub fn entity_id(&self, name: &str) -> String {
        match self.id_format {
            IdFormat::Sub => name.to_owned(),
            IdFormat::PoolSub => format!("{}|{name}", self.pool()),
        }
    }

    /// The pool's id: the last segment of the issuer's path.
    pub fn pool(&self) -> &str {
        self.issuer.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_its_pool_where_that_is_asked_for() {
        let mut issuer = Issuer::unconfigured();
        issuer.issuer = Arc::from("https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE");
        assert_eq!(issuer.entity_id("admin"), "admin");
        issuer.id_format = IdFormat::PoolSub;
        assert_eq!(issuer.entity_id("admin"), "us-east-1_EXAMPLE|admin");
    }
}
