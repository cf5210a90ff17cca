//! Where the attributes of principals come from: the token, by a claim of its own or by one that is mapped.

use super::schema::Type;
use crate::model::{Identity, Issuer, Value};

/// Where an attribute comes from.
#[derive(Debug)]
pub(super) enum Source {
    Groups,
    Username,
    Scope,
    ClientId,
    TokenUse,
    Claim(String),
}

/// An attribute's name, its type, and where it comes from.
pub(super) type Standard = (&'static str, fn() -> Type, fn() -> Source);

/// Attributes that Palisade fills by itself, where the schema declares them with this type.
pub(super) const STANDARD: [Standard; 5] = [
    ("groups", strings, || Source::Groups),
    ("username", || Type::String, || Source::Username),
    ("scope", strings, || Source::Scope),
    ("client_id", || Type::String, || Source::ClientId),
    ("token_use", || Type::String, || Source::TokenUse),
];

impl Source {
    /// What a token gives for it, if anything.
    pub(super) fn value(&self, identity: &Identity, issuer: &Issuer) -> Option<Value> {
        let strings =
            |names: &[String]| Value::Set(names.iter().map(|name| Value::String(name.into())).collect());
        match self {
            Self::Groups => {
                let ids: Vec<_> = identity.groups.iter().map(|group| issuer.entity_id(group)).collect();
                Some(strings(&ids))
            }
            Self::Username => identity.username.as_ref().map(|name| Value::String(name.into())),
            Self::Scope => identity.scope.as_deref().map(strings),
            Self::ClientId => identity.client_id.as_ref().map(|id| Value::String(id.into())),
            Self::TokenUse => Some(Value::String(identity.token_use.as_str().into())),
            Self::Claim(claim) => identity.claims.get(claim).cloned(),
        }
    }

    /// The claim's name, in back-ticks, for messages.
    pub(super) fn claim(&self) -> String {
        match self {
            Self::Groups => "`cognito:groups`".to_owned(),
            Self::Username => "`username`".to_owned(),
            Self::Scope => "`scope`".to_owned(),
            Self::ClientId => "`client_id`".to_owned(),
            Self::TokenUse => "`token_use`".to_owned(),
            Self::Claim(claim) => format!("`{claim}`"),
        }
    }
}

fn strings() -> Type {
    Type::Set(Box::new(Type::String))
}
