//! The identities of policy tests: what a token would give whose signature, times and issuer hold.

use serde_json::{Map, Value, json};

use super::claims::{Claims, READ};
use super::config::Config;
use super::members::Members;
use super::rule::Rule;
use super::token::NESTING;
use crate::model::{Identity, Issuer, Kind, Origin, Refusal, RefusalCode, Timestamp, TokenUse};

/// The client of tokens where no issuer says which it knows.
const ANY_CLIENT: &str = "client";

/// Claims of every token of Cognito's that say nothing about rights.
const HOUSEKEEPING: [&str; 4] = ["auth_time", "event_id", "origin_jti", "version"];

/// A token of which some claims are written down.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// What it is called; the `sub` of a user whose claims give none.
    pub name: String,
    /// Whose token it is, where that is said.
    pub kind: Kind,
    /// The names in the groups claim, where they are given apart from the claims.
    pub groups: Option<Vec<String>>,
    /// The claims by name.
    pub claims: Map<String, Value>,
}

impl Fixture {
    /// The identity under the rules of an issuer; without one under the contract's defaults: its
    /// types, both kinds of token, any client, no mapped attributes.
    ///
    /// # Errors
    /// The service would not accept this token: `invalid_token`, with the rule that it breaks.
    pub fn identity(&self, issuer: Option<&Config>) -> Result<Identity, Refusal> {
        let unconfigured = unconfigured();
        let config = issuer.unwrap_or(&unconfigured);
        let mapping = if issuer.is_some() { config.mapping() } else { Issuer::unconfigured() };
        let json = Value::Object(self.complete(config)).to_string();
        let members = Members::read(json.as_bytes(), NESTING)
            .map_err(|fault| refused(format!("the claims are wrong: the JSON {fault}")))?;
        let claims = Claims::read(&members, &mapping);
        for rule in Rule::about_claims().filter(|rule| is_judged(*rule, issuer.is_some())) {
            claims.keeps(rule, config, Timestamp::from_millis(0)).map_err(|broken| refused(broken.cause))?;
        }
        let incomplete = || refused("the claims do not make an identity".to_owned());
        let (Some(kind), Some(token_use)) = (claims.kind(), claims.token_use()) else {
            return Err(incomplete());
        };
        claims.into_identity(&mapping, kind, token_use, Origin::Claims).ok_or_else(incomplete)
    }

    /// The claims with everything that a token of this kind always carries.
    fn complete(&self, config: &Config) -> Map<String, Value> {
        let mut claims = self.claims.clone();
        if let Some(groups) = &self.groups {
            claims.insert(config.groups_claim.clone(), json!(groups));
        }
        let mut fill = |claim: &str, value: Value| claims.entry(claim).or_insert(value).clone();
        fill("iss", json!(config.issuer));
        fill("iat", json!(0));
        fill("exp", json!(i64::MAX));
        let usual = match (self.kind, config.token_use.first()) {
            (Kind::User, Some(usual)) => *usual,
            (Kind::User, None) | (Kind::Machine, _) => TokenUse::Access,
        };
        let token_use = fill("token_use", json!(usual.as_str()));
        let client = config.client_ids.first().map_or(ANY_CLIENT, String::as_str);
        let own_client = if token_use == json!("id") { "aud" } else { "client_id" };
        let client = fill(own_client, json!(client));
        match self.kind {
            Kind::Machine => {
                fill("sub", client);
                fill("scope", json!(""));
            }
            Kind::User => {
                let subject = fill("sub", json!(self.name));
                let own_name = if token_use == json!("id") { "cognito:username" } else { "username" };
                // A token about its own client is a machine's, and has no user's name.
                if subject != client {
                    fill(own_name, json!(self.name));
                }
            }
        }
        claims
    }
}

/// Whether anything of a token reads this claim: as a rule, as a group or as an attribute. Claims
/// that every token of Cognito's carries count as read.
pub fn is_read(claim: &str, mapping: &Issuer) -> bool {
    READ.contains(&claim)
        || HOUSEKEEPING.contains(&claim)
        || mapping.groups_claim == claim
        || mapping.attributes.values().any(|mapped| mapped.claim == claim)
}

/// The settings of the contract's default types.
fn unconfigured() -> Config {
    let Issuer { token_use, machine_type, .. } = Issuer::unconfigured();
    Config { token_use, machine_type, ..Config::default() }
}

/// Times hold by assumption, and without an issuer there are no clients to compare with.
const fn is_judged(rule: Rule, configured: bool) -> bool {
    match rule {
        Rule::Expiry | Rule::Issued | Rule::Age | Rule::NotBefore => false,
        Rule::Client | Rule::Audience => configured,
        Rule::Form
        | Rule::Header
        | Rule::Issuer
        | Rule::Key
        | Rule::Signature
        | Rule::Claims
        | Rule::Subject
        | Rule::TokenUse
        | Rule::Kind
        | Rule::Groups
        | Rule::Attributes => true,
    }
}

fn refused(detail: String) -> Refusal {
    Refusal::new(RefusalCode::InvalidToken, detail)
}
