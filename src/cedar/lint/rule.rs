//! The rules of the linter: their ids, how bad a finding is, and one line of what each finds.

use cedar_policy::ValidationWarning;

use crate::model::Severity;

/// A rule. Each has a section in `docs/lint.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A name without the namespace that it has.
    ShortTypeName,
    /// An optional attribute or a tag, read without asking for it first.
    OptionalAttribute,
    /// A policy without `@id`.
    MissingId,
    /// A policy that no valid request satisfies.
    NeverApplies,
    /// A policy that adds nothing to a broader one.
    Shadowed,
    /// A permit for whoever asks.
    AnyPrincipal,
    /// A condition that is the same for every request.
    ConstantCondition,
    /// A group that nobody has heard of.
    UnknownGroup,
    /// A forbid that a client gets around by sending the other token.
    TokenKind,
    /// An attribute that its owner can write.
    UserWritableClaim,
    /// The time of the request, declared as something else.
    ReservedContext,
    /// A condition that looks into an entity which nothing of the request leads to.
    UnboundedReach,
    /// Letters of several scripts in one word.
    MixedScripts,
    /// Characters that turn the direction of the text around them.
    BidirectionalText,
    /// A character in a name that looks like another.
    ConfusableCharacter,
    /// A silence that names no rule, gives no reason, or is for what cannot be silenced.
    BadAllow,
    /// A silence that silences nothing.
    UnusedAllow,
}

impl Rule {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::ShortTypeName,
        Self::OptionalAttribute,
        Self::MissingId,
        Self::NeverApplies,
        Self::Shadowed,
        Self::AnyPrincipal,
        Self::ConstantCondition,
        Self::UnknownGroup,
        Self::TokenKind,
        Self::UserWritableClaim,
        Self::ReservedContext,
        Self::UnboundedReach,
        Self::MixedScripts,
        Self::BidirectionalText,
        Self::ConfusableCharacter,
        Self::BadAllow,
        Self::UnusedAllow,
    ];

    /// The rule of this id.
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// The rule that a warning of Cedar's validator belongs to; none where the warning is newer than this.
    pub(in crate::cedar) fn of_warning(warning: &ValidationWarning) -> Option<Self> {
        match warning {
            ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
                Some(Self::NeverApplies)
            }
            ValidationWarning::MixedScriptString(_) | ValidationWarning::MixedScriptIdentifier(_) => {
                Some(Self::MixedScripts)
            }
            ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
                Some(Self::BidirectionalText)
            }
            ValidationWarning::ConfusableIdentifier(_) => Some(Self::ConfusableCharacter),
            _ => None,
        }
    }

    /// The code of its findings, and its name in silences.
    pub const fn id(self) -> &'static str {
        match self {
            Self::ShortTypeName => "short-type-name",
            Self::OptionalAttribute => "optional-attribute",
            Self::MissingId => "missing-id",
            Self::NeverApplies => "never-applies",
            Self::Shadowed => "shadowed",
            Self::AnyPrincipal => "any-principal",
            Self::ConstantCondition => "constant-condition",
            Self::UnknownGroup => "unknown-group",
            Self::TokenKind => "token-kind",
            Self::UserWritableClaim => "user-writable-claim",
            Self::ReservedContext => "reserved-context",
            Self::UnboundedReach => "unbounded-reach",
            Self::MixedScripts => "mixed-scripts",
            Self::BidirectionalText => "bidirectional-text",
            Self::ConfusableCharacter => "confusable-character",
            Self::BadAllow => "bad-allow",
            Self::UnusedAllow => "unused-allow",
        }
    }

    /// What it finds, in one line.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::ShortTypeName => "a policy names a type or an action without its namespace",
            Self::OptionalAttribute => "an optional attribute or a tag is read without asking for it first",
            Self::MissingId => "a policy has no `@id`",
            Self::NeverApplies => "no valid request satisfies a policy",
            Self::Shadowed => "a broader policy with the same effect has no conditions",
            Self::AnyPrincipal => "a permit puts no constraint on the principal",
            Self::ConstantCondition => "a condition is the same for every request",
            Self::UnknownGroup => "a policy names a group that no entity, test or setting knows",
            Self::TokenKind => {
                "a forbid reads an attribute that one of the allowed kinds of token cannot carry"
            }
            Self::UserWritableClaim => "a mapped claim can be written by the users themselves",
            Self::ReservedContext => {
                "the schema declares `context.now`, which is the server's, with another type than datetime"
            }
            Self::UnboundedReach => "a condition looks into an entity that nothing of the request leads to",
            Self::MixedScripts => "a string or a name mixes letters of several scripts",
            Self::BidirectionalText => "a string or a name turns the direction of the text around it",
            Self::ConfusableCharacter => "a name has a character that looks like another",
            Self::BadAllow => "a silence names no rule, gives no reason, or is for what cannot be silenced",
            Self::UnusedAllow => "a silence silences nothing",
        }
    }

    /// How bad its findings are.
    pub const fn severity(self) -> Severity {
        match self {
            Self::ShortTypeName | Self::OptionalAttribute => Severity::Error,
            Self::MissingId
            | Self::NeverApplies
            | Self::Shadowed
            | Self::AnyPrincipal
            | Self::ConstantCondition
            | Self::UnknownGroup
            | Self::TokenKind
            | Self::UserWritableClaim
            | Self::ReservedContext
            | Self::UnboundedReach
            | Self::MixedScripts
            | Self::BidirectionalText
            | Self::ConfusableCharacter
            | Self::BadAllow
            | Self::UnusedAllow => Severity::Warning,
        }
    }

    /// Whether one occurrence can be silenced: neither what stops the revision, nor what is wrong
    /// with silences.
    pub const fn can_be_silenced(self) -> bool {
        matches!(self.severity(), Severity::Warning) && !matches!(self, Self::BadAllow | Self::UnusedAllow)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_names_one_rule() {
        let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        assert!(Rule::ALL.iter().all(|rule| Rule::of_id(rule.id()) == Some(*rule)));
        assert_eq!(Rule::of_id("missing"), None);
    }
}
