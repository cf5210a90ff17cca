//! The Lambda authorizer of API Gateway: an event comes in, is decided on record, and is answered.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::timeout;

use crate::decision::{AuditError, Decider, DecisionId, Refused, RequestFacts, Undecided};
use crate::gateway::{Event, EventFault, Facts, Form, Misfit, RouteMap, Unasked, Unwritten};
use crate::identity::{TokenError, Verified, Verifier};
use crate::model::{self, Decision, Limits, Question, RefusalCode};
use crate::telemetry::metrics::ClassLabels;

/// The code of a request that the route map has no route for.
const NO_ROUTE: &str = "no_route";

/// Answers events. It holds what decides, and nothing of any one request.
#[derive(Debug)]
pub struct Authorizer {
    /// Judges tokens.
    pub verifier: Verifier,
    /// Judges questions.
    pub decider: Decider,
    /// What methods and paths ask for.
    pub routes: RouteMap,
    /// The form of the answers.
    pub form: Form,
    /// What it does not take.
    pub limits: Limits,
}

/// Why an event is not answered. Whatever it is, API Gateway lets nobody pass.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// API Gateway answers a client with 401 where an authorizer fails with exactly this word.
    #[error("Unauthorized")]
    Unauthorized,
    /// It is no event of an authorizer.
    #[error(transparent)]
    Event(#[from] EventFault),
    /// API Gateway would not understand the answer.
    #[error(transparent)]
    Form(#[from] Misfit),
    /// There are no policies, or they are too old.
    #[error("there is nothing to decide by: {0}")]
    Policies(String),
    /// No keys can be had to verify the token with.
    #[error("the token cannot be verified: {0}")]
    Keys(TokenError),
    /// The route map and the schema do not fit together.
    #[error("the route map asks what the schema does not know: {0}")]
    Map(model::Refusal),
    /// There is no record, so there is no answer either.
    #[error(transparent)]
    Unrecorded(#[from] AuditError),
    /// It took too long.
    #[error("no decision was made within {0:?}")]
    Timeout(Duration),
    /// It was refused on record, and there is no answer that says so.
    #[error("the answer cannot be written: {0}")]
    Answer(#[from] Unwritten),
}

impl Unanswered {
    /// Whether any client can bring it about, so that it is nothing to wake anybody for.
    pub const fn is_by_the_client(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::Answer(Unwritten::Arn(_)))
    }
}

/// What a request came to, and is on record as.
struct Outcome {
    decision: Decision,
    /// The stable code of the reason, or of the refusal.
    reason: &'static str,
    decision_id: DecisionId,
}

/// Why a request is denied that asks nothing.
struct Refusal {
    code: &'static str,
    detail: String,
}

impl Authorizer {
    /// Answers an event, or says why nobody can. `request_id` is what Lambda calls it.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn answer(&self, event: &[u8], request_id: &str) -> Result<String, Unanswered> {
        let limit = self.limits.request.0;
        let facts = RequestFacts { request_id, started: self.decider.clock.now() };
        timeout(limit, self.answer_in_time(event, facts)).await.unwrap_or(Err(Unanswered::Timeout(limit)))
    }

    async fn answer_in_time(&self, event: &[u8], facts: RequestFacts<'_>) -> Result<String, Unanswered> {
        let event = Event::parse(event)?;
        self.form.fits(event.kind)?;
        match self.judge(&event, facts).await {
            Ok((verified, Outcome { decision, reason, decision_id })) => {
                let (decision_id, sub) = (decision_id.as_str(), verified.identity().subject.as_str());
                Ok(self.form.answer(&event, decision, Facts { decision_id, reason, sub })?)
            }
            // HTTP APIs know no such word: they would answer 500.
            Err(Unanswered::Unauthorized) if !event.kind.is_rest() => Ok(self.form.denial(&event)?),
            Err(unanswered) => Err(unanswered),
        }
    }

    /// The road of every request: the token first, then the question, then the decision, on record.
    async fn judge(&self, event: &Event, facts: RequestFacts<'_>) -> Result<(Verified, Outcome), Unanswered> {
        let verified = self.verify(event, facts).await?;
        let outcome = match self.question(event) {
            Ok(question) => self.decide(&verified, &question, facts).await?,
            Err(refusal) => self.refuse(&verified, &refusal, facts).await?,
        };
        Ok((verified, outcome))
    }

    async fn verify(&self, event: &Event, facts: RequestFacts<'_>) -> Result<Verified, Unanswered> {
        let unauthorized = |cause: &dyn Display| {
            tracing::info!(request_id = facts.request_id, %cause, "unauthorized");
            Unanswered::Unauthorized
        };
        let token = event.token.as_ref().map_err(|fault| unauthorized(fault))?;
        self.verifier.verify(token).await.map_err(|error| match &error {
            TokenError::Invalid { class, .. } => {
                self.decider.metrics.token_failures.get_or_create(&ClassLabels { class }).inc();
                unauthorized(&error)
            }
            TokenError::KeysUnavailable { .. } => Unanswered::Keys(error),
        })
    }

    fn question(&self, event: &Event) -> Result<Question, Refusal> {
        let malformed = |detail: String| Refusal { code: RefusalCode::MalformedRequest.as_str(), detail };
        let asked = event.asked.as_ref().map_err(|fault| malformed(fault.to_string()))?;
        let question = self.routes.question(asked).map_err(|unasked| match unasked {
            Unasked::NoRoute => Refusal { code: NO_ROUTE, detail: unasked.to_string() },
            Unasked::OtherReading | Unasked::SeveralValues(_) => malformed(unasked.to_string()),
        })?;
        match question.check(&self.limits) {
            Ok(()) => Ok(question),
            Err(refusal) => Err(malformed(refusal.detail)),
        }
    }

    async fn decide(
        &self,
        verified: &Verified,
        question: &Question,
        facts: RequestFacts<'_>,
    ) -> Result<Outcome, Unanswered> {
        match self.decider.decide(verified, question, facts).await {
            Ok(answer) => Ok(Outcome {
                decision: answer.decision(),
                reason: answer.reason().as_str(),
                decision_id: answer.decision_id(),
            }),
            Err(Undecided::Refused { refusal, decision_id }) => match refusal.code {
                RefusalCode::InvalidToken => Err(Unanswered::Unauthorized),
                RefusalCode::UnknownAction | RefusalCode::UnknownType => Err(Unanswered::Map(refusal)),
                code @ (RefusalCode::MalformedRequest
                | RefusalCode::ForgedIdentity
                | RefusalCode::StoredEntity
                | RefusalCode::SchemaMismatch) => {
                    Ok(Outcome { decision: Decision::Deny, reason: code.as_str(), decision_id })
                }
            },
            Err(Undecided::Unrecorded(error)) => Err(error.into()),
        }
    }

    /// Puts on record that nothing was asked: that is a denial.
    async fn refuse(
        &self,
        verified: &Verified,
        Refusal { code, detail }: &Refusal,
        facts: RequestFacts<'_>,
    ) -> Result<Outcome, Unanswered> {
        let decision_id = self.decider.refuse(verified, Refused { code, detail }, facts).await?;
        Ok(Outcome { decision: Decision::Deny, reason: code, decision_id })
    }
}
