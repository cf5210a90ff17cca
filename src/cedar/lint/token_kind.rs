//! The rule about forbids that a client gets around by sending its other token.
//!
//! Where an issuer's access tokens and ID tokens are both accepted, the client chooses. A forbid
//! that asks `principal has suspended` does not meet a principal that was made from the kind of
//! token which has no such claim.

use cedar_policy::pst::{self, BinaryOp, Clause, Expr, Literal, PrincipalConstraint, Template, UnaryOp};

use super::expression;
use super::rule::Rule;
use super::statement::Statement;
use crate::cedar::Sources;
use crate::cedar::attribute_source::Source;
use crate::cedar::mapping::PROFILE_CLAIMS;
use crate::cedar::parts::Parts;
use crate::cedar::principal::Plan;
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

/// The attribute that says which kind of token a principal was made from.
const TOKEN_USE: &str = "token_use";

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
    let gap =
        gaps.iter().find(|gap| may_be(policy, &gap.principal_type) && gap.lets_evade(policy.clauses()))?;
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

impl Gap {
    /// Whether the kind of token without the attribute gets around a forbid that reads it. Where it
    /// cannot be told, a forbid that asks for the kind of token is taken to know what it does.
    fn lets_evade(&self, clauses: &[Clause]) -> bool {
        let read = |attribute| clauses.iter().any(|clause| reads(expression::condition(clause), attribute));
        let asks_for_the_kind = read(TOKEN_USE);
        read(&self.attribute)
            && clauses.iter().any(|clause| {
                let must_hold = matches!(clause, Clause::When(_));
                expression::parts(clause).iter().any(|part| match self.value(part) {
                    Some(holds) => holds != must_hold,
                    None => !asks_for_the_kind && reads(part, &self.attribute),
                })
            })
    }

    /// What a condition comes to for the kind of token without the attribute, as far as it depends
    /// on nothing else.
    #[expect(clippy::wildcard_enum_match_arm, reason = "of every other kind of expression nothing is known")]
    fn value(&self, condition: &Expr) -> Option<bool> {
        match condition {
            Expr::HasAttr { .. } => {
                let asked = expression::principal_attribute(condition)?;
                (asked == self.attribute).then_some(false)
            }
            Expr::UnaryOp { op: UnaryOp::Not, expr } => self.value(expr).map(|holds| !holds),
            Expr::BinaryOp { op: BinaryOp::And, left, right } => {
                match (self.value(left), self.value(right)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (left, right) => left.and(right),
                }
            }
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => match (self.value(left), self.value(right)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (left, right) => left.and(right),
            },
            Expr::BinaryOp { op: BinaryOp::Eq, left, right } => self.is_of_kind(left, right),
            Expr::BinaryOp { op: BinaryOp::NotEq, left, right } => {
                self.is_of_kind(left, right).map(|holds| !holds)
            }
            _ => None,
        }
    }

    /// What a comparison of the kind of token with a string comes to, whichever stands first.
    fn is_of_kind(&self, left: &Expr, right: &Expr) -> Option<bool> {
        let ((kind, Expr::Literal(Literal::String(named))) | (Expr::Literal(Literal::String(named)), kind)) =
            (left, right)
        else {
            return None;
        };
        let is_kind =
            matches!(kind, Expr::GetAttr { .. }) && expression::principal_attribute(kind) == Some(TOKEN_USE);
        is_kind.then(|| named == self.lacking.as_str())
    }
}

fn reads(condition: &Expr, attribute: &str) -> bool {
    expression::pieces(condition).any(|piece| expression::principal_attribute(piece) == Some(attribute))
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
