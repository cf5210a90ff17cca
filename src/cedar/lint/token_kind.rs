//! The rule about forbids that a client gets around by sending its other token.
//!
//! Where an issuer's access tokens and ID tokens are both accepted, the client chooses. A forbid
//! that asks `principal has suspended` does not meet a principal that was made from the kind of
//! token which has no such claim.

use cedar_policy::pst::{self, PrincipalConstraint, Template};

use super::expression;
use super::rule::Rule;
use super::statement::Statement;
use crate::cedar::Sources;
use crate::cedar::compile::Parts;
use crate::cedar::principal::{PROFILE_CLAIMS, Plan, Source};
use crate::model::{Finding, TokenUse};

/// Claims of ID tokens that access tokens do not have, beside profile claims and `custom:…`.
/// Source: Amazon Cognito's developer guide, "Understanding the identity (ID) token".
const OF_ID_TOKENS: [&str; 9] = [
    "cognito:username",
    "cognito:roles",
    "cognito:preferred_role",
    "identities",
    "email_verified",
    "phone_number_verified",
    "nonce",
    "at_hash",
    "aud",
];

/// Claims of access tokens that ID tokens do not have. Source: the same, "Understanding the access token".
const OF_ACCESS_TOKENS: [&str; 6] = ["client_id", "scope", "username", "version", "device_key", "event_id"];

/// Forbids that read an attribute which one of the allowed kinds of token cannot carry.
pub(super) fn evadable(statements: &[Statement<'_>], parts: &Parts, sources: &Sources) -> Vec<Finding> {
    if sources.settings.issuers.is_empty() {
        return Vec::new();
    }
    let gaps = gaps(parts);
    statements.iter().filter_map(|statement| of_statement(statement, &gaps)).collect()
}

/// An attribute of a principal type that is missing where it is made from one kind of token.
#[derive(Debug)]
struct Gap {
    principal_type: String,
    attribute: String,
    claim: String,
    lacking: TokenUse,
}

fn gaps(parts: &Parts) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for plan in parts.plans.all() {
        // An attribute that the schema requires is there, or the token is refused.
        for attribute in plan.user.attributes.iter().filter(|attribute| !attribute.required) {
            gaps.extend(lacking(&attribute.source, plan).map(|lacking| Gap {
                principal_type: plan.user.entity_type.name.to_string(),
                attribute: attribute.name.clone(),
                claim: attribute.source.claim(),
                lacking,
            }));
        }
    }
    gaps.sort_unstable_by(|left, right| left.attribute.cmp(&right.attribute));
    gaps
}

/// The allowed kind of token that cannot carry what an attribute comes from.
fn lacking(source: &Source, plan: &Plan) -> Option<TokenUse> {
    let only = match source {
        Source::Groups | Source::Username | Source::ClientId | Source::TokenUse => return None,
        Source::Scope => TokenUse::Access,
        Source::Claim(claim) => only_kind(claim)?,
    };
    plan.issuer.token_use.iter().copied().find(|kind| *kind != only)
}

/// The one kind of token that has a claim. A claim that is not known may be in both: a trigger of
/// the user pool can add it.
fn only_kind(claim: &str) -> Option<TokenUse> {
    if claim.starts_with("custom:") || PROFILE_CLAIMS.contains(&claim) || OF_ID_TOKENS.contains(&claim) {
        Some(TokenUse::Id)
    } else if OF_ACCESS_TOKENS.contains(&claim) {
        Some(TokenUse::Access)
    } else {
        None
    }
}

fn of_statement(statement: &Statement<'_>, gaps: &[Gap]) -> Option<Finding> {
    let policy = statement.parsed.as_ref().filter(|policy| policy.effect == pst::Effect::Forbid)?;
    let reads = |attribute: &str| {
        expression::of_conditions(policy)
            .any(|piece| expression::principal_attribute(piece) == Some(attribute))
    };
    if reads("token_use") {
        return None;
    }
    let gap = gaps.iter().find(|gap| may_be(policy, &gap.principal_type) && reads(&gap.attribute))?;
    let span = statement.token(|token| token.is_word(&gap.attribute));
    let span = span.as_ref().unwrap_or_else(|| statement.effect());
    let kind = gap.lacking.as_str();
    let message = format!(
        "an {kind} token cannot carry {}, so whoever sends one is not forbidden by `{}`",
        gap.claim, gap.attribute
    );
    let help =
        format!("accept only one kind of token, or ask for it: `principal.token_use == \"{kind}\" || …`");
    Some(statement.finding(Rule::TokenKind, span, message).help(help))
}

/// Whether a principal of this type can be in the scope.
fn may_be(policy: &Template, principal_type: &str) -> bool {
    match &policy.principal {
        PrincipalConstraint::Is(name) | PrincipalConstraint::IsIn(name, _) => {
            name.to_string() == principal_type
        }
        PrincipalConstraint::Any | PrincipalConstraint::Eq(_) | PrincipalConstraint::In(_) => true,
    }
}
