//! The lines of the decision log: one JSON object each, and never the token.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeSeq;

use super::escape::Printable;
use super::log::AuditError;
use crate::model::{
    Decision, EntityDescription, EntityReference, Evaluation, Identity, Kind, PolicyError, PolicyErrorCode,
    Question, Reason, Record, Refusal, Timestamp, TokenUse, Value,
};

/// What a buffer keeps of its memory when it is emptied: more than one decision needs, less than
/// a large batch leaves behind.
const KEPT: usize = 64 * 1024;

/// Whole lines, ready to be written in one piece.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    count: usize,
}

/// One line: a decision, a refusal after the token was verified, or the head of a batch.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// When the request came.
    pub time: Timestamp,
    /// The id in the answer and in the trace.
    pub decision_id: &'a str,
    /// For an item of a batch: the `decision_id` of its head, which has the principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<&'a str>,
    /// The request, as the program log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// What came of it.
    pub outcome: Outcome,
    /// Who was asked about.
    #[serde(flatten)]
    pub principal: Option<Principal<'a>>,
    /// What was asked, where it could be understood.
    #[serde(flatten)]
    pub asked: Option<Asked<'a>>,
    /// What was decided.
    #[serde(flatten)]
    pub decided: Option<Decided<'a>>,
    /// Why nothing was.
    #[serde(flatten)]
    pub refused: Option<Refused<'a>>,
    /// Of a batch: its items.
    #[serde(flatten)]
    pub items: Option<Items<'a>>,
    /// What the policies were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<&'a str>,
    /// From the request's headers to this line, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Decided: it may.
    Allow,
    /// Decided: it may not.
    Deny,
    /// Not decided.
    Refused,
    /// The head of a batch: the lines of its items say what came of each.
    Batch,
}

/// Who was asked about.
#[derive(Debug, Serialize)]
pub struct Principal<'a> {
    #[serde(rename = "principal")]
    uid: Arc<str>,
    kind: Kind,
    groups: &'a [String],
    issuer: &'a str,
    token_use: TokenUse,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityValues<'a>>,
}

/// What was asked.
#[derive(Debug, Serialize)]
pub struct Asked<'a> {
    action: &'a str,
    resource: String,
    context_keys: Keys<'a>,
    #[serde(flatten)]
    values: Option<Values<'a>>,
}

/// What was decided.
#[derive(Debug, Serialize)]
pub struct Decided<'a> {
    decision: Decision,
    reason: Reason,
    policies: &'a [Arc<str>],
    #[serde(serialize_with = "errors")]
    errors: &'a [PolicyError],
}

/// Why nothing was decided.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Refused<'a> {
    /// The stable code of the answer.
    pub code: &'a str,
    /// The sentence in the answer.
    pub detail: &'a str,
}

/// The items of a batch.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Items<'a> {
    /// How many there are.
    pub count: usize,
    /// The `decision_id` of each, in order.
    pub decision_ids: &'a [&'a str],
}

/// What `[audit] values = true` adds.
#[derive(Debug, Serialize)]
struct Values<'a> {
    context: &'a Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parents: Option<&'a [EntityReference]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a Record>,
    entities: &'a [EntityDescription],
}

/// What `[audit] values = true` adds of the principal: what of its token can decide.
#[derive(Debug, Serialize)]
struct IdentityValues<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a [String]>,
    /// Every claim that the issuer's mapping names; null for one that did not count.
    claims: BTreeMap<&'a str, Option<&'a Value>>,
}

#[derive(Debug)]
struct Keys<'a>(&'a Record);

impl<'a> Principal<'a> {
    /// A principal with its uid as policies write it.
    pub fn new(uid: Arc<str>, identity: &'a Identity) -> Self {
        Self {
            uid,
            kind: identity.kind,
            groups: &identity.groups,
            issuer: &identity.issuer,
            token_use: identity.token_use,
            jti: identity.token_id.as_deref(),
            identity: None,
        }
    }

    /// With what of the token can decide, those mapped claims included; together with the values of a
    /// question it is enough to ask it again.
    #[must_use]
    pub fn with_values(self, identity: &'a Identity, mapped: impl Iterator<Item = &'a str>) -> Self {
        let values = IdentityValues {
            sub: &identity.subject,
            username: identity.username.as_deref(),
            client_id: identity.client_id.as_deref(),
            scope: identity.scope.as_deref(),
            claims: mapped.map(|claim| (claim, identity.claims.get(claim))).collect(),
        };
        Self { identity: Some(values), ..self }
    }
}

impl<'a> Asked<'a> {
    /// A question with the full names of its action and its resource; `values` puts what the
    /// caller said about them on record too.
    pub fn new(action: &'a str, resource: String, question: &'a Question, values: bool) -> Self {
        let values = values.then(|| Values {
            context: &question.context,
            attributes: question.resource.attributes.as_ref(),
            parents: question.resource.parents.as_deref(),
            tags: question.resource.tags.as_ref(),
            entities: &question.entities,
        });
        Self { action, resource, context_keys: Keys(&question.context), values }
    }
}

impl<'a> From<&'a Evaluation> for Decided<'a> {
    fn from(evaluation: &'a Evaluation) -> Self {
        Self {
            decision: evaluation.decision,
            reason: evaluation.reason,
            policies: &evaluation.policies,
            errors: &evaluation.errors,
        }
    }
}

impl<'a> From<&'a Refusal> for Refused<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self { code: refusal.code.as_str(), detail: &refusal.detail }
    }
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow => Self::Allow,
            Decision::Deny => Self::Deny,
        }
    }
}

impl Outcome {
    /// As records and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Refused => "refused",
            Self::Batch => "batch",
        }
    }
}

impl<'a> Line<'a> {
    /// A line that says nothing more than that.
    pub fn new(time: Timestamp, decision_id: &'a str, outcome: Outcome) -> Self {
        Self {
            time,
            decision_id,
            batch: None,
            request_id: None,
            outcome,
            principal: None,
            asked: None,
            decided: None,
            refused: None,
            items: None,
            revision: None,
            latency_us: None,
        }
    }
}

impl Lines {
    /// Adds a line behind the others.
    pub fn push(&mut self, line: &Line<'_>) -> Result<(), AuditError> {
        let start = self.bytes.len();
        let written = line.serialize(&mut serde_json::Serializer::with_formatter(&mut self.bytes, Printable));
        if let Err(error) = written {
            self.bytes.truncate(start);
            return Err(AuditError::Encoding(error.to_string().into()));
        }
        self.bytes.push(b'\n');
        self.count += 1;
        Ok(())
    }

    /// Puts a line before the others.
    pub fn push_first(&mut self, line: &Line<'_>) -> Result<(), AuditError> {
        let end = self.bytes.len();
        self.push(line)?;
        self.bytes.rotate_left(end);
        Ok(())
    }

    /// The lines, each with its newline.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes all lines out; the memory stays, as far as it is not out of proportion.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.count = 0;
    }
}

impl Serialize for Keys<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.keys())
    }
}

/// Unlike the answer, the record has the engine's own words.
fn errors<S: serde::Serializer>(errors: &[PolicyError], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Written<'a> {
        policy: &'a str,
        code: PolicyErrorCode,
        text: &'a str,
    }
    let mut list = serializer.serialize_seq(Some(errors.len()))?;
    for error in errors {
        list.serialize_element(&Written { policy: &error.policy, code: error.code, text: &error.text })?;
    }
    list.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identity::Serial;
    use crate::model::{Body, Limits, Origin};

    fn identity() -> Identity {
        Identity {
            issuer: "https://issuer.example/pool".into(),
            kind: Kind::User,
            subject: "3f0c".to_owned(),
            groups: vec!["admin".to_owned(), "a\u{202e}b".to_owned()],
            token_use: TokenUse::Access,
            username: None,
            client_id: None,
            scope: None,
            claims: BTreeMap::from([("custom:team".to_owned(), Value::String("toys".to_owned()))]),
            token_id: Some("jti-1".to_owned()),
            origin: Origin::Token,
            serial: Serial::next(),
        }
    }

    fn question() -> Question {
        let body = r#"{"action": "updateProduct", "context": {"ip": "203.0.113.9"},
            "resource": {"type": "Product", "id": "p\n42", "attributes": {"secret": "x"},
                "parents": [{"type": "Category", "id": "c-7"}]},
            "entities": [{"type": "Category", "id": "c-7", "attributes": {"open": true}}]}"#;
        Body::parse(body.as_bytes(), &Limits::default()).unwrap().question
    }

    fn line(values: bool) -> String {
        let (identity, question) = (identity(), question());
        let evaluation = Evaluation {
            decision: Decision::Deny,
            reason: Reason::EvaluationError,
            policies: vec![],
            errors: vec![PolicyError {
                policy: "p#1".into(),
                code: PolicyErrorCode::Overflow,
                text: "integer overflow".to_owned(),
            }],
        };
        let mut lines = Lines::default();
        let principal = Principal::new("Shop::User::\"3f0c\"".into(), &identity);
        let line = Line {
            request_id: Some("r-1"),
            principal: Some(if values {
                principal.with_values(&identity, ["custom:team", "email"].into_iter())
            } else {
                principal
            }),
            asked: Some(Asked::new(
                "Shop::Action::\"updateProduct\"",
                "Shop::Product::\"p\\n42\"".to_owned(),
                &question,
                values,
            )),
            decided: Some((&evaluation).into()),
            revision: Some("sha256:7c1f"),
            latency_us: Some(120),
            ..Line::new(Timestamp::from_millis(1_795_426_200_125), "0193", evaluation.decision.into())
        };
        lines.push(&line).unwrap();
        String::from_utf8(lines.bytes).unwrap()
    }

    #[test]
    fn a_decision_is_one_line_that_says_who_what_and_why() {
        insta::assert_snapshot!(line(false).trim_end(), @r#"{"time":"2026-11-23T09:30:00.125Z","decision_id":"0193","request_id":"r-1","outcome":"deny","principal":"Shop::User::\"3f0c\"","kind":"user","groups":["admin","a\u202eb"],"issuer":"https://issuer.example/pool","token_use":"access","jti":"jti-1","action":"Shop::Action::\"updateProduct\"","resource":"Shop::Product::\"p\\n42\"","context_keys":["ip"],"decision":"deny","reason":"evaluation_error","policies":[],"errors":[{"policy":"p#1","code":"overflow","text":"integer overflow"}],"revision":"sha256:7c1f","latency_us":120}"#);
    }

    #[test]
    fn values_are_on_record_only_where_that_is_asked_for() {
        for value in ["203.0.113.9", "secret", "toys"] {
            assert!(!line(false).contains(value), "{value}");
        }
        let full = line(true);
        assert!(
            full.contains(
                r#""context":{"ip":"203.0.113.9"},"attributes":{"secret":"x"},"parents":[{"type":"Category","id":"c-7"}]"#
            ),
            "{full}"
        );
        assert!(
            full.contains(r#""identity":{"sub":"3f0c","claims":{"custom:team":"toys","email":null}}"#),
            "{full}"
        );
        assert!(full.contains(r#"{"type":"Category","id":"c-7","attributes":{"open":true}}"#), "{full}");
    }
}
