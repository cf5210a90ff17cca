//! `[[issuers]]` of the configuration: whose tokens are accepted, and on what terms.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::issuer::DEV_ISSUER;
use crate::endpoint::Endpoint;
use crate::model::{IdFormat, Issuer, MappedClaim, Period, TokenUse};

/// The most that a token may outlive its `exp`, and the most that an issuer's clock may run ahead of ours.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// Keys fetched more often than this are a mistake: on demand they come at once anyway.
const SHORTEST_REFRESH: Duration = Duration::from_secs(10);

/// One issuer, as it is written. Lists that must not be empty default to empty, because environment
/// variables may still fill them; [`check_all`] judges the whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The `iss` of its tokens, compared byte for byte.
    pub issuer: String,
    /// Other forms of `iss` that stand for the same pool.
    pub issuer_aliases: Vec<String>,
    /// The app clients whose tokens are accepted.
    pub client_ids: Vec<String>,
    /// The kinds of token that are accepted.
    pub token_use: Vec<TokenUse>,
    /// What an access token may be bound to, if it carries `aud` at all.
    pub audiences: Vec<String>,
    /// Where its keys are; by default below the issuer's URL.
    pub jwks_url: Option<String>,
    /// Where its keys are, on disk. Used as it stands: whoever read the configuration joined the base.
    pub jwks_file: Option<PathBuf>,
    /// The entity type of its users.
    pub principal_type: String,
    /// The entity type of its groups.
    pub group_type: String,
    /// The entity type of machines; without it client-credentials tokens are refused.
    pub machine_type: Option<String>,
    /// The claim that holds the names of the groups.
    pub groups_claim: String,
    /// How `sub` and group names become entity ids.
    pub id_format: IdFormat,
    /// The longest life of a token, and the longest time since it was issued.
    pub max_token_age: Period,
    /// How long a token is accepted after its `exp`; at most [`CLOCK_TOLERANCE`].
    pub leeway: Period,
    /// How long keys serve on while they cannot be fetched.
    pub max_stale: Period,
    /// How often the keys are fetched, give or take a tenth.
    pub refresh: Period,
    /// Schema attribute = claim.
    pub attributes: BTreeMap<String, MappedClaim>,
}

/// What is wrong with the issuers, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {message}")]
pub struct ConfigFault {
    /// The key: `client_ids` from [`Config::check`], `issuers.0.client_ids` from [`check_all`].
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Default for Config {
    fn default() -> Self {
        let mapping = Issuer::unconfigured();
        Self {
            issuer: String::new(),
            issuer_aliases: Vec::new(),
            client_ids: Vec::new(),
            token_use: Vec::new(),
            audiences: Vec::new(),
            jwks_url: None,
            jwks_file: None,
            principal_type: mapping.principal_type,
            group_type: mapping.group_type,
            machine_type: None,
            groups_claim: mapping.groups_claim,
            id_format: mapping.id_format,
            max_token_age: Period(Duration::from_hours(24)),
            leeway: Period(Duration::ZERO),
            max_stale: Period(Duration::from_hours(24)),
            refresh: Period(Duration::from_hours(1)),
            attributes: BTreeMap::new(),
        }
    }
}

/// Judges every issuer by itself and all of them together. The issuer of `palisade dev` is refused.
pub fn check_all(configs: &[Config]) -> Result<(), ConfigFault> {
    for (index, config) in configs.iter().enumerate() {
        config.check().map_err(|fault| fault.of(index))?;
    }
    check_together(configs)
}

/// The rules between issuers: each `iss` once, and no entity that two of them could mean.
pub(super) fn check_together(configs: &[Config]) -> Result<(), ConfigFault> {
    for (index, config) in configs.iter().enumerate() {
        for earlier in configs.iter().take(index) {
            config.check_beside(earlier).map_err(|fault| fault.of(index))?;
        }
    }
    Ok(())
}

impl Config {
    /// Judges one issuer by itself.
    pub fn check(&self) -> Result<(), ConfigFault> {
        if self.forms().any(|form| form == DEV_ISSUER) {
            return Err(fault(
                "issuer",
                format!("`{DEV_ISSUER}` signs for whoever asks: it belongs to `palisade dev`"),
                "name your own user pool's issuer",
            ));
        }
        self.check_rules()
    }

    /// The part of these settings that makes principals.
    pub fn mapping(&self) -> Issuer {
        Issuer {
            issuer: Arc::from(self.issuer.as_str()),
            token_use: self.token_use.clone(),
            principal_type: self.principal_type.clone(),
            group_type: self.group_type.clone(),
            machine_type: self.machine_type.clone(),
            groups_claim: self.groups_claim.clone(),
            id_format: self.id_format,
            attributes: self.attributes.clone(),
        }
    }

    /// Every `iss` that means this issuer.
    pub fn forms(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.issuer.as_str()).chain(self.issuer_aliases.iter().map(String::as_str))
    }

    /// The URL of its keys, where they do not come from a file.
    pub fn keys_url(&self) -> String {
        self.jwks_url
            .clone()
            .unwrap_or_else(|| format!("{}/.well-known/jwks.json", self.issuer.trim_end_matches('/')))
    }

    pub(super) fn check_rules(&self) -> Result<(), ConfigFault> {
        self.check_names()?;
        self.check_lists()?;
        self.check_keys()?;
        self.check_types()?;
        self.check_periods()
    }

    fn check_names(&self) -> Result<(), ConfigFault> {
        let help = "write the issuer's URL exactly as `iss` has it, such as \
                    https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";
        if self.issuer.is_empty() {
            return Err(fault("issuer", "is required", help));
        }
        let keys = std::iter::once("issuer").chain(std::iter::repeat("issuer_aliases"));
        for (form, key) in self.forms().zip(keys) {
            Endpoint::parse(form).map_err(|reason| fault(key, reason.to_string(), help))?;
            // OpenID Connect Discovery 1.0, section 3: an issuer has neither query nor fragment.
            if form.contains(['?', '#']) {
                return Err(fault(key, format!("`{form}` has a query or a fragment"), help));
            }
        }
        if self.id_format == IdFormat::PoolSub && pool_is_ambiguous(self.mapping().pool()) {
            return Err(fault(
                "id_format",
                "`pool|sub` needs an issuer whose path ends in the pool's id",
                "write `id_format = \"sub\"`",
            ));
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), ConfigFault> {
        if self.client_ids.is_empty() {
            return Err(fault(
                "client_ids",
                "is required and holds at least one app client",
                "write `client_ids = [\"…\"]`: without it any client of the pool could send its tokens here",
            ));
        }
        if self.token_use.is_empty() {
            return Err(fault(
                "token_use",
                "is required and holds at least one kind of token",
                "HTTP API and Amplify access tokens: `[\"access\"]`; \
                 a REST API's Cognito authorizer without scopes: `[\"id\"]`",
            ));
        }
        for (key, list) in [("client_ids", &self.client_ids), ("audiences", &self.audiences)] {
            if list.iter().any(String::is_empty) {
                return Err(fault(key, "holds an empty string", "remove it"));
            }
        }
        if self.groups_claim.is_empty() {
            return Err(fault("groups_claim", "is empty", "leave it out for `cognito:groups`"));
        }
        if let Some(attribute) =
            self.attributes.iter().find_map(|(name, mapped)| mapped.claim.is_empty().then_some(name))
        {
            return Err(fault("attributes", format!("`{attribute}` names no claim"), "name one"));
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), ConfigFault> {
        if self.jwks_url.is_some() && self.jwks_file.is_some() {
            return Err(fault("jwks_file", "is given beside `jwks_url`", "keep one of the two"));
        }
        if self.jwks_file.is_none() {
            Endpoint::parse(&self.keys_url()).map_err(|reason| {
                fault("jwks_url", reason.to_string(), "write an https URL; plain http only to loopback")
            })?;
        }
        Ok(())
    }

    fn check_types(&self) -> Result<(), ConfigFault> {
        let types: Vec<_> = self.types().collect();
        for (index, (key, name)) in types.iter().enumerate() {
            if name.is_empty() {
                return Err(fault(key, "is empty", "name an entity type of the schema"));
            }
            if let Some((other, _)) = types.iter().take(index).find(|(_, earlier)| same_type(earlier, name)) {
                return Err(fault(
                    key,
                    format!("`{name}` is the type of `{other}` too: a name of one could stand for the other"),
                    "give each its own type, written with its namespace if need be",
                ));
            }
        }
        Ok(())
    }

    fn check_periods(&self) -> Result<(), ConfigFault> {
        if self.leeway.0 > CLOCK_TOLERANCE {
            return Err(fault("leeway", "is more than 60 s", "set the clocks instead"));
        }
        if self.max_token_age.0.is_zero() {
            return Err(fault("max_token_age", "is zero: no token could pass", "write `24h`"));
        }
        if self.refresh.0 < SHORTEST_REFRESH {
            return Err(fault("refresh", "is less than 10 s", "write `1h`"));
        }
        if self.max_stale.0 < self.refresh.0 {
            return Err(fault(
                "max_stale",
                "is shorter than `refresh`: keys would be refused before they are fetched again",
                "write `24h`",
            ));
        }
        Ok(())
    }

    fn check_beside(&self, earlier: &Self) -> Result<(), ConfigFault> {
        for (form, key) in
            self.forms().zip(std::iter::once("issuer").chain(std::iter::repeat("issuer_aliases")))
        {
            if earlier.forms().any(|other| other == form) {
                return Err(fault(key, format!("`{form}` is configured twice"), "keep one of the two"));
            }
        }
        let (mine, theirs) = (self.mapping(), earlier.mapping());
        let apart = self.id_format == IdFormat::PoolSub
            && earlier.id_format == IdFormat::PoolSub
            && mine.pool() != theirs.pool();
        for (key, name) in self.types() {
            let Some((role, _)) = earlier.types().find(|(_, other)| same_type(other, name)) else { continue };
            if role != key {
                return Err(fault(
                    key,
                    format!("`{name}` is the `{role}` of `{}`", earlier.issuer),
                    "use a type for one purpose only",
                ));
            }
            if !apart {
                return Err(fault(
                    key,
                    format!("`{name}` is shared with `{}`, whose ids could be the same", earlier.issuer),
                    "give each issuer its own types, or both `id_format = \"pool|sub\"`; \
                     two forms of one pool are one issuer with `issuer_aliases`",
                ));
            }
        }
        Ok(())
    }

    fn types(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("principal_type", self.principal_type.as_str()), ("group_type", self.group_type.as_str())]
            .into_iter()
            .chain(self.machine_type.as_deref().map(|name| ("machine_type", name)))
    }
}

impl ConfigFault {
    fn of(mut self, index: usize) -> Self {
        self.key = format!("issuers.{index}.{}", self.key);
        self
    }
}

fn fault(key: &str, message: impl Into<String>, help: &str) -> ConfigFault {
    ConfigFault { key: key.to_owned(), message: message.into(), help: help.to_owned() }
}

/// `User` may turn out to be `Shop::User` once the namespace is known, so a short name and a full
/// one that ends in it count as the same.
fn same_type(left: &str, right: &str) -> bool {
    let short = |name: &str| !name.contains("::");
    let last = |name: &str| name.rsplit("::").next().unwrap_or_default().to_owned();
    left == right || ((short(left) || short(right)) && last(left) == last(right))
}

/// A `|` in the pool's id would make two different pairs of pool and `sub` look the same.
fn pool_is_ambiguous(pool: &str) -> bool {
    pool.is_empty() || pool.contains('|')
}

#[cfg(test)]
mod tests;
