//! Identities without a token: claims that somebody wrote down, or a principal and its groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::claims::{Claims, LONGEST_SUBJECT};
use super::groups::{self, GroupsFault};
use super::members::{Member, Members, MembersFault};
use super::token::NESTING;
use crate::model::identity::Serial;
use crate::model::{Identity, Issuer, Kind, Origin, TokenUse};

/// What is wrong with a description of a principal. It was written by whoever reads this, so names are shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenFault {
    /// No JSON object.
    #[error("the claims are wrong: the JSON {0}")]
    Json(#[from] MembersFault),
    /// A claim that is needed.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim of a wrong type.
    #[error("the claim `{0}` is not of its type")]
    Type(String),
    /// Claims of another issuer.
    #[error("the claim `iss` is `{given}`, not `{configured}`")]
    Issuer {
        /// As written.
        given: String,
        /// As configured.
        configured: Arc<str>,
    },
    /// Too long or empty.
    #[error("`sub` does not have 1 to {LONGEST_SUBJECT} bytes")]
    Subject,
    /// Another word than `access` and `id`.
    #[error("`token_use` is neither `access` nor `id`")]
    TokenUse,
    /// The groups.
    #[error("the groups are wrong: {0}")]
    Groups(#[from] GroupsFault),
    /// A mixture.
    #[error(
        "the claims are neither a user's nor a machine's: `username`, groups, `sub` and `client_id` do not fit together"
    )]
    Kind,
    /// A machine, where there are none.
    #[error("the claims are a machine's, and the issuer has no `machine_type`")]
    Machine,
}

/// The identity that a token with these claims would give. Neither times nor clients are judged: there
/// is nothing to be fooled about. With `fill_missing`, `iss`, `token_use`, `username` and a machine's `sub`
/// and `scope` may be left out; without, the claims must be as complete as a token's.
pub fn identity_from_claims(
    json: &[u8],
    issuer: &Issuer,
    fill_missing: bool,
) -> Result<Identity, GivenFault> {
    let members = Members::read(json, NESTING)?;
    let mut claims = Claims::read(&members, issuer);
    if let Some(name) = claims.wrong() {
        return Err(GivenFault::Type(name.to_owned()));
    }
    check_attributes(&members, issuer)?;
    check_issuer(&claims, issuer, fill_missing)?;
    if fill_missing {
        claims.fill(issuer);
    }
    let sub = claims.sub.given().ok_or(GivenFault::Missing("sub"))?;
    if sub.is_empty() || sub.len() > LONGEST_SUBJECT {
        return Err(GivenFault::Subject);
    }
    if let Err(fault) = &claims.groups {
        return Err(GivenFault::Groups(*fault));
    }
    if claims.token_use == Member::Absent {
        return Err(GivenFault::Missing("token_use"));
    }
    let token_use = claims.token_use().ok_or(GivenFault::TokenUse)?;
    let kind = match claims.kind() {
        Some(kind) => kind,
        None if fill_missing && claims.username == Member::Absent && !claims.is_about_itself() => Kind::User,
        None => return Err(GivenFault::Kind),
    };
    if kind == Kind::Machine && issuer.machine_type.is_none() {
        return Err(GivenFault::Machine);
    }
    let identity =
        claims.into_identity(issuer, kind, token_use, Origin::Claims).ok_or(GivenFault::Missing("sub"))?;
    Ok(if fill_missing { with_scope(identity) } else { identity })
}

/// A principal by its name, in these groups, with no claims at all.
pub fn identity_of(
    kind: Kind,
    subject: &str,
    groups: Vec<String>,
    issuer: &Issuer,
) -> Result<Identity, GivenFault> {
    if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
        return Err(GivenFault::Subject);
    }
    if kind == Kind::Machine && issuer.machine_type.is_none() {
        return Err(GivenFault::Machine);
    }
    if kind == Kind::Machine && !groups.is_empty() {
        return Err(GivenFault::Kind);
    }
    Ok(with_scope(Identity {
        issuer: Arc::clone(&issuer.issuer),
        kind,
        subject: subject.to_owned(),
        groups: groups::check(groups)?,
        token_use: usual_kind(issuer, kind),
        username: None,
        client_id: (kind == Kind::Machine).then(|| subject.to_owned()),
        scope: None,
        claims: BTreeMap::new(),
        token_id: None,
        origin: Origin::Given,
        serial: Serial::next(),
    }))
}

impl Claims {
    /// Puts in what can be told from the rest.
    fn fill(&mut self, issuer: &Issuer) {
        if self.sub == Member::Absent && self.username == Member::Absent && !self.has_groups {
            self.sub = self.client_id.clone();
        }
        if self.token_use == Member::Absent {
            let kind = if self.is_about_itself() { Kind::Machine } else { Kind::User };
            let usual = match (&self.aud, &self.client_id) {
                (Member::Given(_), Member::Absent) => TokenUse::Id,
                _ => usual_kind(issuer, kind),
            };
            self.token_use = Member::Given(usual.as_str().to_owned());
        }
    }

    fn is_about_itself(&self) -> bool {
        self.sub.given().is_some() && self.sub.given() == self.client_id.given()
    }
}

fn check_attributes(members: &Members<'_>, issuer: &Issuer) -> Result<(), GivenFault> {
    let wrong = |claim: &&String| members.typed::<crate::model::Value>(claim).is_wrong();
    match issuer.attributes.values().map(|mapped| &mapped.claim).find(wrong) {
        Some(claim) => Err(GivenFault::Type(claim.clone())),
        None => Ok(()),
    }
}

fn check_issuer(claims: &Claims, issuer: &Issuer, fill_missing: bool) -> Result<(), GivenFault> {
    match claims.iss.given() {
        Some(given) if *given != *issuer.issuer && !issuer.issuer.is_empty() => {
            Err(GivenFault::Issuer { given: given.to_owned(), configured: Arc::clone(&issuer.issuer) })
        }
        Some(_) => Ok(()),
        None if fill_missing => Ok(()),
        None => Err(GivenFault::Missing("iss")),
    }
}

/// A machine's token always has `scope`, so that a schema may require it.
fn with_scope(mut identity: Identity) -> Identity {
    if identity.kind == Kind::Machine && identity.scope.is_none() {
        identity.scope = Some(Vec::new());
    }
    identity
}

fn usual_kind(issuer: &Issuer, kind: Kind) -> TokenUse {
    match kind {
        Kind::Machine => TokenUse::Access,
        Kind::User => issuer.token_use.first().copied().unwrap_or(TokenUse::Access),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MappedClaim, Value};

    fn filled(json: &str) -> Result<Identity, GivenFault> {
        identity_from_claims(json.as_bytes(), &Issuer::unconfigured(), true)
    }

    fn complete(json: &str) -> Result<Identity, GivenFault> {
        identity_from_claims(json.as_bytes(), &Issuer::unconfigured(), false)
    }

    #[test]
    fn the_least_that_describes_a_user_is_a_sub() {
        let identity = filled(r#"{"sub": "ana", "cognito:groups": ["user", "admin"]}"#).unwrap();
        assert_eq!((identity.kind, identity.token_use), (Kind::User, TokenUse::Access));
        assert_eq!(identity.groups, ["admin", "user"]);
        assert_eq!(identity.origin, Origin::Claims);
        assert_eq!(complete(r#"{"sub": "ana"}"#).unwrap_err(), GivenFault::Missing("iss"));
    }

    #[test]
    fn a_client_id_alone_describes_a_machine() {
        let identity = filled(r#"{"client_id": "importer", "scope": "shop/write shop/read"}"#).unwrap();
        assert_eq!((identity.kind, identity.subject.as_str()), (Kind::Machine, "importer"));
        assert_eq!(identity.scope.unwrap(), ["shop/read", "shop/write"]);
    }

    #[test]
    fn an_id_token_is_told_by_its_aud() {
        let identity = filled(r#"{"sub": "ana", "aud": "web", "cognito:username": "a"}"#).unwrap();
        assert_eq!((identity.token_use, identity.client_id.as_deref()), (TokenUse::Id, Some("web")));
        assert_eq!(identity.username.as_deref(), Some("a"));
    }

    #[test]
    fn what_would_refuse_a_token_refuses_written_claims() {
        assert_eq!(filled("[]").unwrap_err(), GivenFault::Json(MembersFault::Shape));
        assert_eq!(filled("{}").unwrap_err(), GivenFault::Missing("sub"));
        assert_eq!(filled(r#"{"sub": ""}"#).unwrap_err(), GivenFault::Subject);
        assert_eq!(filled(r#"{"sub": 7}"#).unwrap_err(), GivenFault::Type("sub".to_owned()));
        assert_eq!(filled(r#"{"sub": "a", "token_use": "x"}"#).unwrap_err(), GivenFault::TokenUse);
        assert_eq!(
            filled(r#"{"sub": "a", "cognito:groups": "admin"}"#).unwrap_err(),
            GivenFault::Groups(GroupsFault::Shape)
        );
        assert_eq!(
            filled(r#"{"sub": "a", "client_id": "a", "username": "a"}"#).unwrap_err(),
            GivenFault::Kind
        );
    }

    #[test]
    fn claims_of_another_issuer_are_refused() {
        let issuer = Issuer { issuer: Arc::from("https://mine.example"), ..Issuer::unconfigured() };
        let json = br#"{"iss": "https://other.example", "sub": "ana"}"#;
        assert!(matches!(identity_from_claims(json, &issuer, true), Err(GivenFault::Issuer { .. })));
    }

    #[test]
    fn only_mapped_claims_are_taken_and_email_only_once_verified() {
        let mut issuer = Issuer::unconfigured();
        for claim in ["email", "custom:level"] {
            let mapped = MappedClaim { claim: claim.to_owned(), immutable: false };
            issuer.attributes.insert(claim.replace("custom:", ""), mapped);
        }
        let claims = |verified: &str| {
            let json = format!(
                r#"{{"sub": "ana", "email": "a@example.com", "email_verified": {verified},
                     "custom:level": "9", "custom:other": "x"}}"#
            );
            identity_from_claims(json.as_bytes(), &issuer, true).unwrap().claims
        };
        for verified in ["true", r#""true""#] {
            assert_eq!(claims(verified).len(), 2);
        }
        for verified in ["false", r#""false""#, r#""True""#, r#""yes""#] {
            let claims = claims(verified);
            assert_eq!(claims.get("email"), None);
            assert_eq!(claims.get("custom:level"), Some(&Value::String("9".into())));
        }
        let null = br#"{"sub": "ana", "custom:level": null}"#;
        assert_eq!(
            identity_from_claims(null, &issuer, true).unwrap_err(),
            GivenFault::Type("custom:level".to_owned())
        );
    }

    #[test]
    fn a_principal_can_be_given_by_name() {
        let issuer = Issuer::unconfigured();
        let user = identity_of(Kind::User, "ana", vec!["b".to_owned(), "a".to_owned()], &issuer).unwrap();
        assert_eq!(
            (user.groups.as_slice(), user.origin),
            (&["a".to_owned(), "b".to_owned()][..], Origin::Given)
        );
        let machine = identity_of(Kind::Machine, "importer", Vec::new(), &issuer).unwrap();
        assert_eq!((machine.client_id.as_deref(), machine.scope), (Some("importer"), Some(Vec::new())));
        assert!(identity_of(Kind::Machine, "importer", vec!["a".to_owned()], &issuer).is_err());
        assert!(identity_of(Kind::User, "", Vec::new(), &issuer).is_err());
    }
}
