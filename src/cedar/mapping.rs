//! What is wrong with the claims that attributes are mapped to: the settings of an issuer, judged under the schema.

use std::sync::Arc;

use super::claims::convertible;
use super::lint::Rule;
use super::schema::{EntityType, Type};
use crate::model::suggestion::did_you_mean;
use crate::model::{Finding, Issuer, MappedClaim};

/// Claims that users can write themselves under Cognito's default scope
/// (`aws.cognito.signin.user.admin`): the standard profile claims of `OpenID` Connect Core, section 5.1.
pub(super) const PROFILE_CLAIMS: [&str; 17] = [
    "address",
    "birthdate",
    "email",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "phone_number",
    "picture",
    "preferred_username",
    "profile",
    "updated_at",
    "website",
    "zoneinfo",
];

/// `email` and `phone_number` count only once they are verified, which users cannot do at will.
const VERIFIED_CLAIMS: [&str; 2] = ["email", "phone_number"];

/// What is wrong with giving an attribute of this type a claim.
pub(super) fn judge_mapping(issuer: &Issuer, name: &str, mapped: &MappedClaim, ty: &Type) -> Option<Finding> {
    if !convertible(ty) {
        let message = format!("`issuers.attributes.{name}`: a claim cannot become {}", ty.expected());
        return Some(Finding::error(&configuration(), "unmappable-type", message));
    }
    user_writable(issuer, name, mapped)
}

/// What is wrong with trusting a claim that users can write themselves.
pub(super) fn user_writable(issuer: &Issuer, name: &str, mapped: &MappedClaim) -> Option<Finding> {
    let claim = &mapped.claim;
    let users_write = claim.starts_with("custom:") || PROFILE_CLAIMS.contains(&claim.as_str());
    if !users_write || mapped.immutable || VERIFIED_CLAIMS.contains(&claim.as_str()) {
        return None;
    }
    let message = format!(
        "`issuers.attributes.{name}` trusts `{claim}`, which users of `{}` may be able to write themselves",
        issuer.issuer
    );
    let help =
        format!("where the pool forbids that, write `{name} = {{ claim = \"{claim}\", immutable = true }}`");
    Some(Finding::warning(&configuration(), Rule::UserWritableClaim.id(), message).help(help))
}

/// The attributes that claims are mapped to and the schema does not have.
pub(super) fn unknown_attributes(issuer: &Issuer, user: &EntityType) -> Vec<Finding> {
    let known = || user.attributes.0.keys().map(String::as_str);
    let unknown = issuer.attributes.keys().filter(|name| !user.attributes.0.contains_key(*name));
    unknown
        .map(|name| {
            let suggestion = did_you_mean(name, known());
            let message = format!(
                "`issuers.attributes.{name}`: the schema's `{}` has no such attribute{suggestion}",
                user.name
            );
            Finding::error(&configuration(), "unknown-attribute", message)
        })
        .collect()
}

/// The file that findings about the issuers' settings speak of.
pub(super) fn configuration() -> Arc<str> {
    Arc::from("palisade.toml")
}
