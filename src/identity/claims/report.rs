//! Every rule about claims for one token, in the words of `palisade token`.

use super::{Audience, Claims};
use crate::identity::config::Config;
use crate::identity::members::Member;
use crate::identity::rule::{Rule, RuleOutcome};
use crate::model::{Timestamp, TokenUse};

impl Claims {
    /// Judges every rule about claims, and shows them all. `index` is the issuer's place in the configuration.
    pub fn report(&self, config: &Config, index: usize, now: Timestamp) -> Vec<RuleOutcome> {
        let outcome = |rule| match self.keeps(rule, config, now) {
            Ok(()) => RuleOutcome { rule, passed: Some(true), detail: self.seen(rule, now), setting: None },
            Err(broken) => RuleOutcome {
                rule,
                passed: Some(false),
                detail: [broken.cause, self.seen(rule, now)]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join("; "),
                setting: broken.setting.map(|key| format!("issuers.{index}.{key}")),
            },
        };
        Rule::about_claims().map(outcome).collect()
    }

    /// What the holder of the token needs to see to mend the configuration.
    fn seen(&self, rule: Rule, now: Timestamp) -> String {
        let relative = |seconds: i64| {
            let distance = i128::from(seconds) - i128::from(now.seconds());
            if distance < 0 { format!("{} s ago", -distance) } else { format!("in {distance} s") }
        };
        let shown = match rule {
            Rule::Expiry => self.exp.clone().into_given().map(|exp| format!("`exp` {}", relative(exp))),
            Rule::Issued | Rule::Age => {
                self.iat.clone().into_given().map(|iat| format!("`iat` {}", relative(iat)))
            }
            Rule::NotBefore => self.nbf.clone().into_given().map(|nbf| format!("`nbf` {}", relative(nbf))),
            Rule::TokenUse => self.token_use.given().map(|token_use| format!("`{token_use}`")),
            Rule::Client => self
                .token_use()
                .and_then(|token_use| self.client(token_use))
                .map(|client| format!("`{client}`")),
            Rule::Audience => match (self.token_use(), &self.aud) {
                (Some(TokenUse::Access), Member::Given(Audience::One(audience))) => {
                    Some(format!("`{audience}`"))
                }
                (Some(TokenUse::Access), Member::Given(Audience::Many(audiences))) => {
                    Some(format!("`{}`", audiences.join("`, `")))
                }
                _ => None,
            },
            Rule::Kind => self.kind().map(|kind| format!("a {}'s", kind.as_str())),
            Rule::Groups => {
                self.groups.as_ref().ok().filter(|groups| !groups.is_empty()).map(|groups| groups.join(", "))
            }
            Rule::Form
            | Rule::Header
            | Rule::Issuer
            | Rule::Key
            | Rule::Signature
            | Rule::Claims
            | Rule::Subject
            | Rule::Attributes => None,
        };
        shown.unwrap_or_default()
    }
}
