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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MappedClaim;

    fn user(claims: Value) -> Fixture {
        let Value::Object(claims) = claims else { panic!("an object") };
        Fixture { name: "ana".to_owned(), kind: Kind::User, groups: None, claims }
    }

    fn machine(claims: Value) -> Fixture {
        Fixture { kind: Kind::Machine, ..user(claims) }
    }

    fn config() -> Config {
        Config {
            issuer: "https://issuer.example/pool".to_owned(),
            client_ids: vec!["web".to_owned(), "app".to_owned()],
            token_use: vec![TokenUse::Id, TokenUse::Access],
            machine_type: Some("Machine".to_owned()),
            ..Config::default()
        }
    }

    #[test]
    fn what_is_not_written_is_as_cognito_would_write_it() {
        let identity = user(json!({})).identity(Some(&config())).unwrap();
        assert_eq!((identity.kind, identity.subject.as_str()), (Kind::User, "ana"));
        assert_eq!((identity.token_use, identity.client_id.as_deref()), (TokenUse::Id, Some("web")));
        assert_eq!(identity.username.as_deref(), Some("ana"));
        assert_eq!(&*identity.issuer, "https://issuer.example/pool");
        assert_eq!(identity.origin, Origin::Claims);

        let access = user(json!({"token_use": "access", "sub": "s-1"})).identity(Some(&config())).unwrap();
        assert_eq!((access.subject.as_str(), access.username.as_deref()), ("s-1", Some("ana")));
    }

    #[test]
    fn a_machine_is_its_client() {
        let identity = machine(json!({"scope": "b a"})).identity(Some(&config())).unwrap();
        assert_eq!((identity.kind, identity.subject.as_str()), (Kind::Machine, "web"));
        assert_eq!(identity.scope.unwrap(), ["a", "b"]);
        let written = user(json!({"token_use": "access", "sub": "web", "client_id": "web"}));
        assert_eq!(written.identity(Some(&config())).unwrap().kind, Kind::Machine);
    }

    #[test]
    fn every_rule_but_signature_times_and_issuer_is_judged() {
        let no_machines = Config { machine_type: None, ..config() };
        let access_only = Config { token_use: vec![TokenUse::Access], ..config() };
        let level = MappedClaim { claim: "custom:level".to_owned(), immutable: true };
        let mapped = Config { attributes: [("level".to_owned(), level)].into(), ..config() };
        let audience = json!({"token_use": "access", "aud": "elsewhere"});
        for (fixture, config, broken) in [
            (user(json!({"sub": 7})), &config(), "`sub` is not of its type"),
            (user(json!({"sub": ""})), &config(), "`sub` does not have 1 to 256 bytes"),
            (user(json!({"token_use": "id"})), &access_only, "`token_use` is not among the issuer's"),
            (user(json!({"aud": "other"})), &config(), "its client is not among"),
            (user(audience), &config(), "an access token carries `aud`"),
            (machine(json!({"client_id": "other"})), &config(), "its client is not among"),
            (machine(json!({})), &no_machines, "no `machine_type`"),
            (user(json!({"cognito:groups": "admin"})), &config(), "it is not an array of strings"),
            (user(json!({"custom:level": null})), &mapped, "one that Cedar does not have"),
        ] {
            let refusal = fixture.identity(Some(config)).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::InvalidToken);
            assert!(refusal.detail.contains(broken), "{broken}: {}", refusal.detail);
        }
        let long_gone = user(json!({"exp": 1, "iat": 0, "nbf": 9_999_999_999_i64, "iss": "elsewhere"}));
        assert!(long_gone.identity(Some(&config())).is_ok());
    }

    #[test]
    fn without_an_issuer_both_kinds_of_token_and_every_client_are_accepted() {
        for claims in [json!({}), json!({"token_use": "id", "aud": "any"}), json!({"client_id": "any"})] {
            assert_eq!(user(claims).identity(None).unwrap().kind, Kind::User);
        }
        assert_eq!(machine(json!({"client_id": "nightly"})).identity(None).unwrap().subject, "nightly");
    }

    #[test]
    fn a_claim_that_nothing_reads_is_known() {
        let mut mapping = Issuer::unconfigured();
        let claim = MappedClaim { claim: "custom:level".to_owned(), immutable: true };
        mapping.attributes.insert("level".to_owned(), claim);
        for claim in ["sub", "cognito:groups", "custom:level", "auth_time"] {
            assert!(is_read(claim, &mapping), "{claim}");
        }
        assert!(!is_read("custom:department", &mapping));
    }
}
