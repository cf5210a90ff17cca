//! The claims of a token: typed once, judged rule by rule, and turned into an identity.

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Config;
use super::groups::{self, GroupsFault};
use super::members::{Member, Members};
use super::rule::{Broken, Rule};
use super::times::{TimeTerms, Times};
use crate::model::identity::Serial;
use crate::model::{Identity, Issuer, Kind, Origin, Timestamp, TokenUse, Value};

/// The longest `sub`. Cognito's have 36 bytes.
pub const LONGEST_SUBJECT: usize = 256;

/// Claims that count only while their `…_verified` claim is true: a user may write anything into them.
pub const VERIFIED_BY: [(&str, &str); 2] =
    [("email", "email_verified"), ("phone_number", "phone_number_verified")];

/// The claims that are read under every mapping.
pub(super) const READ: [&str; 14] = [
    "iss",
    "sub",
    "token_use",
    "client_id",
    "aud",
    "exp",
    "iat",
    "nbf",
    "username",
    "cognito:username",
    "scope",
    "jti",
    "email_verified",
    "phone_number_verified",
];

/// The claims that are ever read. Each is typed; none has been judged.
#[derive(Clone)]
pub struct Claims {
    pub(super) iss: Member<String>,
    pub(super) sub: Member<String>,
    pub(super) token_use: Member<String>,
    pub(super) client_id: Member<String>,
    pub(super) aud: Member<Audience>,
    exp: Member<i64>,
    iat: Member<i64>,
    nbf: Member<i64>,
    pub(super) username: Member<String>,
    cognito_username: Member<String>,
    scope: Member<String>,
    jti: Member<String>,
    verified: BTreeMap<&'static str, Member<Flag>>,
    pub(super) has_groups: bool,
    pub(super) groups: Result<Vec<String>, GroupsFault>,
    /// The claims that the mapping names, by claim.
    mapped: BTreeMap<String, Member<Value>>,
}

/// `aud` as RFC 7519, section 4.1.3 allows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A boolean, or a string where Cognito and its look-alikes write one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl Claims {
    /// Types the claims. `mapping` says which claim holds the groups and which others are wanted.
    pub fn read(members: &Members<'_>, mapping: &Issuer) -> Self {
        let wanted = mapping.attributes.values().map(|mapped| mapped.claim.as_str());
        Self {
            iss: members.string("iss"),
            sub: members.string("sub"),
            token_use: members.string("token_use"),
            client_id: members.string("client_id"),
            aud: members.typed("aud"),
            exp: members.integer("exp"),
            iat: members.integer("iat"),
            nbf: members.integer("nbf"),
            username: members.string("username"),
            cognito_username: members.string("cognito:username"),
            scope: members.string("scope"),
            jti: members.string("jti"),
            verified: VERIFIED_BY.iter().map(|(_, by)| (*by, members.typed(by))).collect(),
            has_groups: members.contains(&mapping.groups_claim),
            groups: groups::read(members.raw(&mapping.groups_claim)),
            mapped: wanted.map(|claim| (claim.to_owned(), members.typed(claim))).collect(),
        }
    }

    /// Judges every rule about claims, and stops at the first that is broken.
    pub fn judge(&self, config: &Config, now: Timestamp) -> Result<(), Broken> {
        Rule::about_claims().try_for_each(|rule| self.keeps(rule, config, now))
    }

    /// The times, where the token gives them.
    pub fn times(&self) -> Option<Times> {
        let nbf = match self.nbf {
            Member::Wrong => return None,
            Member::Absent => None,
            Member::Given(nbf) => Some(nbf),
        };
        Some(Times { exp: self.exp.clone().into_given()?, iat: self.iat.clone().into_given()?, nbf })
    }

    /// Which of Cognito's two kinds of token it says it is.
    pub fn token_use(&self) -> Option<TokenUse> {
        match self.token_use.given()? {
            "access" => Some(TokenUse::Access),
            "id" => Some(TokenUse::Id),
            _ => None,
        }
    }

    /// Whose token it is; nothing for a mixture. A machine's access token has no `username` and no
    /// groups and is about its own client; a user's has a `username` and is not.
    pub fn kind(&self) -> Option<Kind> {
        let sub = self.sub.given()?;
        match self.token_use()? {
            TokenUse::Id => (self.client(TokenUse::Id) != Some(sub)).then_some(Kind::User),
            TokenUse::Access => {
                let about_itself = self.client_id.given() == Some(sub);
                match (about_itself, self.username != Member::Absent, self.has_groups) {
                    (true, false, false) => Some(Kind::Machine),
                    (false, true, _) => Some(Kind::User),
                    _ => None,
                }
            }
        }
    }

    /// The identity that these claims describe. Judge them first.
    pub(super) fn into_identity(
        self,
        mapping: &Issuer,
        kind: Kind,
        token_use: TokenUse,
        origin: Origin,
    ) -> Option<Identity> {
        let client_id = self.client(token_use).map(str::to_owned);
        let claims = self.attributes();
        let scope = self.scope.into_given().map(|scope| {
            let mut scope: Vec<_> = scope.split_whitespace().map(str::to_owned).collect();
            scope.sort_unstable();
            scope.dedup();
            scope
        });
        let username = match token_use {
            TokenUse::Access => self.username,
            TokenUse::Id => self.cognito_username,
        };
        Some(Identity {
            issuer: Arc::clone(&mapping.issuer),
            kind,
            subject: self.sub.into_given()?,
            groups: self.groups.ok()?,
            token_use,
            username: username.into_given(),
            client_id,
            scope,
            claims,
            token_id: self.jti.into_given(),
            origin,
            serial: Serial::next(),
        })
    }

    /// The claims of a wrong type, groups and mapped claims aside.
    pub(super) fn wrong(&self) -> Option<&'static str> {
        let members = [
            ("iss", self.iss.is_wrong()),
            ("sub", self.sub.is_wrong()),
            ("exp", self.exp.is_wrong()),
            ("iat", self.iat.is_wrong()),
            ("nbf", self.nbf.is_wrong()),
            ("token_use", self.token_use.is_wrong()),
            ("client_id", self.client_id.is_wrong()),
            ("aud", self.aud.is_wrong()),
            ("username", self.username.is_wrong()),
            ("cognito:username", self.cognito_username.is_wrong()),
            ("scope", self.scope.is_wrong()),
            ("jti", self.jti.is_wrong()),
        ];
        let verified = self.verified.iter().map(|(name, member)| (*name, member.is_wrong()));
        members.into_iter().chain(verified).find_map(|(name, wrong)| wrong.then_some(name))
    }

    pub(super) fn keeps(&self, rule: Rule, config: &Config, now: Timestamp) -> Result<(), Broken> {
        match rule {
            Rule::Form | Rule::Header | Rule::Issuer | Rule::Key | Rule::Signature => Ok(()),
            Rule::Claims => self.are_complete(),
            Rule::Subject => self.has_subject(),
            Rule::Expiry | Rule::Issued | Rule::Age | Rule::NotBefore => match self.times() {
                Some(times) => times.keeps(rule, TimeTerms::of(config), now),
                None => Err(malformed(rule, "a time is missing or not an integer".to_owned())),
            },
            Rule::TokenUse => self.is_of_an_accepted_kind(config),
            Rule::Client => self.is_of_an_accepted_client(config),
            Rule::Audience => self.is_for_an_accepted_audience(config),
            Rule::Kind => self.is_of_one_kind(config),
            Rule::Groups => self.groups.as_ref().map(|_| ()).map_err(|fault| Broken {
                rule,
                class: "groups",
                detail: "groups malformed",
                cause: format!("`{}`: {fault}", config.groups_claim),
                setting: Some("groups_claim"),
            }),
            Rule::Attributes => self.attributes_are_values(),
        }
    }

    fn are_complete(&self) -> Result<(), Broken> {
        if let Some(name) = self.wrong() {
            return Err(malformed(Rule::Claims, format!("`{name}` is not of its type")));
        }
        let required = [
            ("iss", self.iss == Member::Absent),
            ("sub", self.sub == Member::Absent),
            ("exp", self.exp == Member::Absent),
            ("iat", self.iat == Member::Absent),
            ("token_use", self.token_use == Member::Absent),
        ];
        match required.into_iter().find(|(_, absent)| *absent) {
            Some((name, _)) => Err(Broken {
                rule: Rule::Claims,
                class: "claims",
                detail: "claim missing",
                cause: format!("`{name}` is missing"),
                setting: None,
            }),
            None => Ok(()),
        }
    }

    fn has_subject(&self) -> Result<(), Broken> {
        match self.sub.given() {
            Some(sub) if !sub.is_empty() && sub.len() <= LONGEST_SUBJECT => Ok(()),
            _ => Err(Broken {
                rule: Rule::Subject,
                class: "subject",
                detail: "subject malformed",
                cause: format!("`sub` does not have 1 to {LONGEST_SUBJECT} bytes"),
                setting: None,
            }),
        }
    }

    fn is_of_an_accepted_kind(&self, config: &Config) -> Result<(), Broken> {
        match self.token_use() {
            Some(token_use) if config.token_use.contains(&token_use) => Ok(()),
            known => Err(Broken {
                rule: Rule::TokenUse,
                class: "token_use",
                detail: "token_use not allowed",
                cause: "`token_use` is not among the issuer's".to_owned(),
                setting: known.map(|_| "token_use"),
            }),
        }
    }

    fn is_of_an_accepted_client(&self, config: &Config) -> Result<(), Broken> {
        let client = self.token_use().and_then(|token_use| self.client(token_use));
        if client.is_some_and(|client| config.client_ids.iter().any(|known| known == client)) {
            return Ok(());
        }
        Err(Broken {
            rule: Rule::Client,
            class: "client",
            detail: "client not allowed",
            cause: "its client is not among the issuer's `client_ids`".to_owned(),
            setting: client.map(|_| "client_ids"),
        })
    }

    fn is_for_an_accepted_audience(&self, config: &Config) -> Result<(), Broken> {
        let accepted = |audience: &String| config.audiences.contains(audience);
        let passes = match (self.token_use(), &self.aud) {
            (Some(TokenUse::Id), _) | (_, Member::Absent) => true,
            (_, Member::Given(Audience::One(audience))) => accepted(audience),
            // RFC 7519 asks for one of them. All of them is stricter: a token that was made for others
            // as well can be replayed here by those others.
            (_, Member::Given(Audience::Many(audiences))) => {
                !audiences.is_empty() && audiences.iter().all(accepted)
            }
            (_, Member::Wrong) => false,
        };
        if passes {
            return Ok(());
        }
        Err(Broken {
            rule: Rule::Audience,
            class: "audience",
            detail: "audience not allowed",
            cause: "an access token carries `aud`, and it is not among the issuer's `audiences`".to_owned(),
            setting: Some("audiences"),
        })
    }

    fn is_of_one_kind(&self, config: &Config) -> Result<(), Broken> {
        match self.kind() {
            Some(Kind::User) => Ok(()),
            Some(Kind::Machine) if config.machine_type.is_some() => Ok(()),
            Some(Kind::Machine) => Err(Broken {
                rule: Rule::Kind,
                class: "machine",
                detail: "machine tokens not allowed",
                cause: "a client-credentials token, and the issuer has no `machine_type`".to_owned(),
                setting: Some("machine_type"),
            }),
            None => Err(Broken {
                rule: Rule::Kind,
                class: "kind",
                detail: "neither a user's nor a machine's token",
                cause: "`username`, groups, `sub` and the client do not fit together".to_owned(),
                setting: None,
            }),
        }
    }

    fn attributes_are_values(&self) -> Result<(), Broken> {
        match self.mapped.iter().find(|(_, member)| member.is_wrong()) {
            Some((claim, _)) => Err(Broken {
                setting: Some("attributes"),
                ..malformed(
                    Rule::Attributes,
                    format!("`{claim}` is mapped, and its value is one that Cedar does not have"),
                )
            }),
            None => Ok(()),
        }
    }

    /// The client: `client_id` of an access token, the one `aud` of an ID token.
    pub(super) fn client(&self, token_use: TokenUse) -> Option<&str> {
        match (token_use, &self.aud) {
            (TokenUse::Access, _) => self.client_id.given(),
            (TokenUse::Id, Member::Given(Audience::One(client))) => Some(client),
            (TokenUse::Id, _) => None,
        }
    }

    /// The mapped claims, without those that nobody has verified.
    fn attributes(&self) -> BTreeMap<String, Value> {
        self.mapped
            .iter()
            .filter(|(claim, _)| self.is_trusted(claim))
            .filter_map(|(claim, member)| Some((claim.clone(), member.clone().into_given()?)))
            .collect()
    }

    fn is_trusted(&self, claim: &str) -> bool {
        VERIFIED_BY.iter().find(|(known, _)| *known == claim).is_none_or(|(_, by)| {
            match self.verified.get(by) {
                Some(Member::Given(Flag::Bool(verified))) => *verified,
                Some(Member::Given(Flag::Text(verified))) => verified == "true",
                Some(Member::Absent | Member::Wrong) | None => false,
            }
        })
    }
}

/// Which claims it has, not what they say.
impl std::fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Claims").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

fn malformed(rule: Rule, cause: String) -> Broken {
    Broken { rule, class: "claims", detail: "claim malformed", cause, setting: None }
}

#[cfg(test)]
mod tests;
