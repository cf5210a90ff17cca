//! Every rule for one token, kept or broken: what `palisade token` prints.

use super::claims::Claims;
use super::members::Members;
use super::rule::{Broken, Rule, RuleOutcome};
use super::token::{self, Header, Parts};
use super::{Accepted, TokenError, Verifier, read_header, verify_signature};
use crate::model::Token;

impl Verifier {
    /// How a token fares under every rule, in order, by the road that [`Verifier::verify`] takes. The claims
    /// of a token that is not genuine are judged all the same: for reading, not for believing.
    pub async fn inspect(&self, token: &Token) -> Vec<RuleOutcome> {
        let mut outcomes = Outcomes::default();
        let Some(parts) = outcomes.note(Rule::Form, token::split(token.expose(), self.0.longest_token))
        else {
            return outcomes.complete();
        };
        let Some(members) = outcomes.note_on(Rule::Form, parts.claims()) else {
            return outcomes.complete();
        };
        let header = outcomes.note_on(Rule::Header, read_header(&parts));
        let Some((place, issuer)) = outcomes.note_on(Rule::Issuer, self.0.issuer(&members)) else {
            outcomes.show_issuer(&members, self.0.issuers.len());
            return outcomes.complete();
        };
        if let Some(header) = header {
            outcomes.judge_signature(&parts, &header, issuer).await;
        }
        let claims = Claims::read(&members, &issuer.mapping);
        outcomes.0.extend(claims.report(&issuer.config, place, self.0.clock.now().wall));
        outcomes.complete()
    }
}

#[derive(Default)]
struct Outcomes(Vec<RuleOutcome>);

impl Outcomes {
    fn note<T>(&mut self, rule: Rule, result: Result<T, impl Into<Broken>>) -> Option<T> {
        let (passed, detail, value) = match result {
            Ok(value) => (true, String::new(), Some(value)),
            Err(broken) => (false, broken.into().cause, None),
        };
        self.0.push(RuleOutcome { rule, passed: Some(passed), detail, setting: None });
        value
    }

    /// The same for a rule that may have been noted as kept before.
    fn note_on<T>(&mut self, rule: Rule, result: Result<T, impl Into<Broken>>) -> Option<T> {
        self.0.retain(|outcome| outcome.rule != rule);
        self.note(rule, result)
    }

    async fn judge_signature(&mut self, parts: &Parts<'_>, header: &Header, issuer: &Accepted) {
        match issuer.keys_with(&header.kid).await {
            Ok(loaded) => {
                self.note(Rule::Key, Ok::<_, Broken>(()));
                self.note(Rule::Signature, verify_signature(parts, header, &loaded));
            }
            Err(TokenError::Invalid { cause, .. }) => self.push(Rule::Key, Some(false), cause),
            Err(error @ TokenError::KeysUnavailable { .. }) => self.push(Rule::Key, None, error.to_string()),
        }
    }

    /// The issuer is what has to be put into the configuration, so it is shown.
    fn show_issuer(&mut self, members: &Members<'_>, issuers: usize) {
        let Some(named) = members.string("iss").into_given() else { return };
        if let Some(outcome) = self.0.iter_mut().find(|outcome| outcome.rule == Rule::Issuer) {
            outcome.detail = format!("{}; `{named}`", outcome.detail);
            let index = if issuers == 1 { 0 } else { issuers };
            outcome.setting = Some(format!("issuers.{index}.issuer"));
        }
    }

    fn push(&mut self, rule: Rule, passed: Option<bool>, detail: String) {
        self.0.push(RuleOutcome { rule, passed, detail, setting: None });
    }

    /// Every rule once; those that were not reached are left undecided.
    fn complete(mut self) -> Vec<RuleOutcome> {
        for rule in Rule::ALL {
            if self.0.iter().all(|outcome| outcome.rule != rule) {
                self.push(rule, None, String::new());
            }
        }
        self.0.sort_by_key(|outcome| outcome.rule);
        self.0
    }
}
