//! What API Gateway is answered: in one of two forms, about exactly the method that was asked for.
//!
//! Shapes: AWS, API Gateway Developer Guide, "Output from an API Gateway Lambda authorizer", and "Control
//! access to HTTP APIs with AWS Lambda authorizers".

use serde::{Deserialize, Serialize};

use super::arn::{ArnFault, MethodArn};
use super::event::{Event, Kind};
use crate::model::Decision;

/// Who the principal of a denial is where no token says so: a policy of IAM has to name somebody.
const NOBODY: &str = "nobody";

/// The form of an answer: `[authorizer] answer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `{"isAuthorized": …}`: HTTP APIs with format 2.0 and simple responses.
    Simple,
    /// A policy of IAM: REST APIs, and HTTP APIs without simple responses.
    Iam,
}

/// What the backend and the access log are told beside: under `requestContext.authorizer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Facts<'a> {
    /// The id in the decision log.
    pub decision_id: &'a str,
    /// The stable code of the reason, or of the refusal.
    pub reason: &'a str,
    /// `sub` of the verified token.
    pub sub: &'a str,
}

/// API Gateway would not understand the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`authorizer.answer = \"simple\"` is only for HTTP APIs with format 2.0: write `\"iam\"`")]
pub struct Misfit;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// A policy would be about more than the method that was asked for, so there is none.
    #[error("the ARN of the method cannot stand in a policy: {0}")]
    Arn(#[from] ArnFault),
    /// It cannot be written as JSON, which does not happen.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Form {
    /// Judges whether API Gateway reads answers of this form to events of that kind.
    ///
    /// # Errors
    /// It does not.
    pub const fn fits(self, kind: Kind) -> Result<(), Misfit> {
        match (self, kind) {
            (Self::Iam, _) | (Self::Simple, Kind::Http2) => Ok(()),
            (Self::Simple, Kind::RestToken | Kind::RestRequest | Kind::Http1) => Err(Misfit),
        }
    }

    /// The answer to an event that was decided, or refused on record.
    ///
    /// # Errors
    /// There is none of this form.
    pub fn answer(self, event: &Event, decision: Decision, facts: Facts<'_>) -> Result<String, Unwritten> {
        self.written(&event.arn, decision, facts.sub, Some(facts))
    }

    /// The denial of an event whose token is not accepted, for an API that knows no better way to say so.
    ///
    /// # Errors
    /// There is none of this form.
    pub fn denial(self, event: &Event) -> Result<String, Unwritten> {
        self.written(&event.arn, Decision::Deny, NOBODY, None)
    }

    fn written(
        self,
        arn: &MethodArn,
        decision: Decision,
        principal_id: &str,
        context: Option<Facts<'_>>,
    ) -> Result<String, Unwritten> {
        let json = match self {
            Self::Simple => {
                serde_json::to_string(&Simple { is_authorized: decision == Decision::Allow, context })
            }
            Self::Iam => {
                let resource = arn.resource()?;
                let effect = match decision {
                    Decision::Allow => "Allow",
                    Decision::Deny => "Deny",
                };
                let statement = Statement { action: "execute-api:Invoke", effect, resource };
                let policy_document = PolicyDocument { version: "2012-10-17", statement: [statement] };
                serde_json::to_string(&Iam { principal_id, policy_document, context })
            }
        };
        Ok(json?)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Simple<'a> {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Facts<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Iam<'a> {
    principal_id: &'a str,
    policy_document: PolicyDocument<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Facts<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument<'a> {
    version: &'static str,
    statement: [Statement<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    action: &'static str,
    effect: &'static str,
    resource: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ARN: &str = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/$default/GET/products/p-1";

    fn event() -> Event {
        about(ARN)
    }

    fn about(arn: &str) -> Event {
        let event = json!({"type": "TOKEN", "authorizationToken": "Bearer a.b.c", "methodArn": arn});
        Event::parse(event.to_string().as_bytes()).unwrap()
    }

    fn read(answer: Result<String, Unwritten>) -> Value {
        serde_json::from_str(&answer.unwrap()).unwrap()
    }

    #[test]
    fn a_policy_names_exactly_the_method_asked_for() {
        let facts = Facts { decision_id: "0193", reason: "permitted", sub: "alice" };
        assert_eq!(
            read(Form::Iam.answer(&event(), Decision::Allow, facts)),
            json!({
                "principalId": "alice",
                "policyDocument": {"Version": "2012-10-17", "Statement": [
                    {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN}
                ]},
                "context": {"decision_id": "0193", "reason": "permitted", "sub": "alice"},
            })
        );
        let denied = read(Form::Iam.answer(&event(), Decision::Deny, facts));
        assert_eq!(denied["policyDocument"]["Statement"][0]["Effect"], "Deny");
    }

    #[test]
    fn a_simple_answer_says_yes_or_no() {
        let facts = Facts { decision_id: "0193", reason: "no_permit", sub: "bob" };
        assert_eq!(
            read(Form::Simple.answer(&event(), Decision::Deny, facts)),
            json!({"isAuthorized": false, "context": {"decision_id": "0193", "reason": "no_permit", "sub": "bob"}})
        );
        assert_eq!(read(Form::Simple.answer(&event(), Decision::Allow, facts))["isAuthorized"], true);
    }

    #[test]
    fn without_an_accepted_token_nobody_is_named() {
        assert_eq!(read(Form::Simple.denial(&event())), json!({"isAuthorized": false}));
        let denied = read(Form::Iam.denial(&event()));
        assert_eq!((&denied["principalId"], &denied["context"]), (&json!("nobody"), &Value::Null));
        assert_eq!(denied["policyDocument"]["Statement"][0]["Effect"], "Deny");
    }

    #[test]
    fn a_pattern_can_be_denied_without_a_policy_alone() {
        let event = about("arn:aws:execute-api:us-east-1:123456789012:a1b2c3/$default/GET/products/*");
        let facts = Facts { decision_id: "0193", reason: "malformed_request", sub: "alice" };
        let denied = Form::Simple.answer(&event, Decision::Deny, facts);
        assert_eq!(read(denied)["isAuthorized"], false);
        let no_policy = |answer| matches!(answer, Err(Unwritten::Arn(ArnFault::Pattern)));
        assert!(no_policy(Form::Iam.answer(&event, Decision::Deny, facts)));
        assert!(no_policy(Form::Iam.denial(&event)));
    }

    #[test]
    fn simple_answers_are_for_format_2_alone() {
        assert_eq!(Form::Simple.fits(Kind::Http2), Ok(()));
        for kind in [Kind::RestToken, Kind::RestRequest, Kind::Http1] {
            assert_eq!(Form::Simple.fits(kind), Err(Misfit));
            assert_eq!(Form::Iam.fits(kind), Ok(()));
        }
    }
}
