//! The rules that a token must keep, in the order in which they are applied.

use super::TokenError;

/// One rule. The verifier stops at the first that is broken; `palisade token` shows all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Length, three parts, base64url, JSON without a member given twice.
    Form,
    /// `alg`, `crit`, `typ`, `kid`.
    Header,
    /// `iss` is a configured one.
    Issuer,
    /// The issuer lists the key that `kid` names.
    Key,
    /// The signature is that key's.
    Signature,
    /// The claims that every token has are there, and each claim that is read is of its type.
    Claims,
    /// `sub` can be an entity's id.
    Subject,
    /// `exp` has not passed.
    Expiry,
    /// `iat` is not in the future.
    Issued,
    /// Neither its whole life nor its age is longer than `max_token_age`.
    Age,
    /// `nbf` has passed.
    NotBefore,
    /// `token_use` is one of the kinds that are accepted.
    TokenUse,
    /// `client_id`, or `aud` of an ID token, is an accepted client.
    Client,
    /// `aud` of an access token, where it has one, is accepted.
    Audience,
    /// It is clearly a user's or clearly a machine's, and machines are accepted only where configured.
    Kind,
    /// The groups are an array of names.
    Groups,
    /// The claims that `[issuers.attributes]` names can be values.
    Attributes,
}

/// A rule that a token does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// A stable, bounded label for metrics.
    pub class: &'static str,
    /// For the caller, if the signature was verified: the rule, no values.
    pub detail: &'static str,
    /// For the log: claims by name, no values.
    pub cause: String,
    /// The key below `[[issuers]]` that would have to change for the token to pass, where one could.
    pub setting: Option<&'static str>,
}

/// How a token fares under one rule, for `palisade token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOutcome {
    /// Which rule.
    pub rule: Rule,
    /// Whether the token keeps it; nothing where an earlier rule left it undecided.
    pub passed: Option<bool>,
    /// What was found, for the person who holds the token. Never the token itself, nor `sub`.
    pub detail: String,
    /// The key of `palisade.toml` that would have to change: `issuers.0.client_ids`.
    pub setting: Option<String>,
}

impl Rule {
    /// Every rule, in order.
    pub const ALL: [Self; 17] = [
        Self::Form,
        Self::Header,
        Self::Issuer,
        Self::Key,
        Self::Signature,
        Self::Claims,
        Self::Subject,
        Self::Expiry,
        Self::Issued,
        Self::Age,
        Self::NotBefore,
        Self::TokenUse,
        Self::Client,
        Self::Audience,
        Self::Kind,
        Self::Groups,
        Self::Attributes,
    ];

    /// The rules about claims: those behind the signature.
    pub fn about_claims() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|rule| *rule > Self::Signature)
    }

    /// The rule as a sentence.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Form => "three parts of base64url that hold JSON",
            Self::Header => "signed with RS256, by a key that it names",
            Self::Issuer => "`iss` is configured",
            Self::Key => "`kid` is one of the issuer's keys",
            Self::Signature => "the signature is that key's",
            Self::Claims => "the claims of every token, each of its type",
            Self::Subject => "`sub` has 1 to 256 bytes",
            Self::Expiry => "`exp` has not passed",
            Self::Issued => "`iat` is not in the future",
            Self::Age => "no older than `max_token_age`, and never will be",
            Self::NotBefore => "`nbf`, if there is one, has passed",
            Self::TokenUse => "`token_use` is accepted",
            Self::Client => "its client is accepted",
            Self::Audience => "`aud` of an access token, if there is one, is accepted",
            Self::Kind => "clearly a user's, or a machine's where those are accepted",
            Self::Groups => "groups are an array of names",
            Self::Attributes => "mapped claims can be values",
        }
    }
}

impl From<Broken> for TokenError {
    fn from(broken: Broken) -> Self {
        let detail = (broken.rule > Rule::Signature).then(|| broken.detail.to_owned());
        Self::Invalid { class: broken.class, detail, cause: broken.cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rule: Rule) -> Option<String> {
        let broken =
            Broken { rule, class: "x", detail: "said", cause: "for the log".to_owned(), setting: None };
        match TokenError::from(broken) {
            TokenError::Invalid { detail, .. } => detail,
            TokenError::KeysUnavailable { .. } => panic!("a broken rule is the token's fault"),
        }
    }

    #[test]
    fn nothing_is_said_before_the_signature_is_verified() {
        for rule in Rule::ALL.into_iter().take(5) {
            assert_eq!(refusal(rule), None, "{rule:?}");
        }
        for rule in Rule::about_claims() {
            assert_eq!(refusal(rule).as_deref(), Some("said"), "{rule:?}");
        }
    }

    #[test]
    fn the_rules_are_listed_in_their_order() {
        assert!(Rule::ALL.is_sorted());
        assert_eq!(Rule::about_claims().count(), 12);
    }
}
