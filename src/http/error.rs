//! What a caller is told when there is no answer: the only place with status codes.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ops::Status;
use crate::decision::{AuditError, DecisionId, Refused, Undecided};
use crate::identity::TokenError;
use crate::model::{Refusal, RefusalCode};

/// RFC 9457, section 3.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// In seconds: what is short of keys, of the log or of room may have them again by then.
const RETRY: HeaderValue = HeaderValue::from_static("1");

/// The problems by their stable codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Wrong without looking at the schema.
    MalformedRequest,
    /// The body describes what only the token and the stored entities may.
    ForgedIdentity,
    /// The body describes an entity that is stored.
    StoredEntity,
    /// Not JSON.
    UnsupportedMediaType,
    /// No token anywhere.
    MissingToken,
    /// A token that is not accepted.
    InvalidToken,
    /// The caller may not do this.
    NotPermitted,
    /// `explain` is not for this service's callers.
    ExplainNotAllowed,
    /// No such route.
    NotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// More than a limit.
    TooLarge,
    /// No such action in the schema.
    UnknownAction,
    /// No such type in the schema.
    UnknownType,
    /// Known names, but not as the schema wants them.
    SchemaMismatch,
    /// Too many requests at once.
    Overloaded,
    /// No keys have been had yet.
    NotReady,
    /// The issuer's keys cannot be had.
    KeysUnavailable,
    /// The decision cannot be put on record.
    AuditUnavailable,
    /// It took too long.
    Timeout,
    /// A defect of ours.
    Internal,
}

/// A request that was not answered: what the caller is told, and what the program log is told.
#[derive(Debug)]
pub struct ApiError {
    problem: Problem,
    detail: Cow<'static, str>,
    decision_id: Option<DecisionId>,
    cause: Option<String>,
}

/// What the program log is told, on its way there inside the response.
#[derive(Debug, Clone)]
pub(super) struct Failure(pub(super) Arc<ApiError>);

impl Problem {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::ForgedIdentity => "forged_identity",
            Self::StoredEntity => "stored_entity",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::NotPermitted => "not_permitted",
            Self::ExplainNotAllowed => "explain_not_allowed",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnknownAction => "unknown_action",
            Self::UnknownType => "unknown_type",
            Self::SchemaMismatch => "schema_mismatch",
            Self::Overloaded => "overloaded",
            Self::NotReady => "not_ready",
            Self::KeysUnavailable => "keys_unavailable",
            Self::AuditUnavailable => "audit_unavailable",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::MalformedRequest => "The request is not what it should be",
            Self::ForgedIdentity => "The request describes the principal",
            Self::StoredEntity => "The request describes a stored entity",
            Self::UnsupportedMediaType => "The body is not JSON",
            Self::MissingToken => "There is no token",
            Self::InvalidToken => "The token is not accepted",
            Self::NotPermitted => "The caller may not do this",
            Self::ExplainNotAllowed => "Explanations are switched off",
            Self::NotFound => "There is nothing here",
            Self::MethodNotAllowed => "Not with this method",
            Self::TooLarge => "The request is too large",
            Self::UnknownAction => "The schema has no such action",
            Self::UnknownType => "The schema has no such type",
            Self::SchemaMismatch => "The request does not fit the schema",
            Self::Overloaded => "Too many requests at once",
            Self::NotReady => "The service is not ready yet",
            Self::KeysUnavailable => "The issuer's keys cannot be had",
            Self::AuditUnavailable => "The decision cannot be put on record",
            Self::Timeout => "The request took too long",
            Self::Internal => "A defect of the service",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::MalformedRequest | Self::ForgedIdentity | Self::StoredEntity => StatusCode::BAD_REQUEST,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MissingToken | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::NotPermitted | Self::ExplainNotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownAction | Self::UnknownType | Self::SchemaMismatch => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Overloaded
            | Self::NotReady
            | Self::KeysUnavailable
            | Self::AuditUnavailable
            | Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<RefusalCode> for Problem {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::MalformedRequest => Self::MalformedRequest,
            RefusalCode::ForgedIdentity => Self::ForgedIdentity,
            RefusalCode::StoredEntity => Self::StoredEntity,
            RefusalCode::UnknownAction => Self::UnknownAction,
            RefusalCode::UnknownType => Self::UnknownType,
            RefusalCode::SchemaMismatch => Self::SchemaMismatch,
            RefusalCode::InvalidToken => Self::InvalidToken,
        }
    }
}

impl ApiError {
    /// A problem with the sentence that the caller reads.
    pub fn new(problem: Problem, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { problem, detail: detail.into(), decision_id: None, cause: None }
    }

    /// With what only the program log is told.
    #[must_use]
    pub fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// With the id that it is on record under.
    #[must_use]
    pub fn on_record(self, decision_id: DecisionId) -> Self {
        Self { decision_id: Some(decision_id), ..self }
    }

    /// What kind of problem.
    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// What the program log is told beside the answer.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What the caller is told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What the decision log is told.
    pub(super) fn refused(&self) -> Refused<'_> {
        Refused { code: self.problem.code(), detail: &self.detail }
    }

    /// A defect of ours, with its cause for the program log.
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        Self::new(Problem::Internal, "the program log has the cause, under the request id").because(cause)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code.into(), refusal.detail)
    }
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        let problem = match error {
            AuditError::Failed(_) | AuditError::Stalled | AuditError::Full => Problem::AuditUnavailable,
            AuditError::Encoding(_) => return Self::internal(error.to_string()),
        };
        Self::new(problem, "there is no answer without a record of it, and records cannot be written")
            .because(error.to_string())
    }
}

impl From<Undecided> for ApiError {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Refused { refusal, decision_id } => Self::from(refusal).on_record(decision_id),
            Undecided::Unrecorded(error) => error.into(),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        let cause = error.to_string();
        match error {
            TokenError::Invalid { detail: Some(detail), .. } => Self::new(Problem::InvalidToken, detail),
            TokenError::Invalid { detail: None, .. } => {
                Self::new(Problem::InvalidToken, "the token is not accepted")
            }
            TokenError::KeysUnavailable { .. } => Self::new(
                Problem::KeysUnavailable,
                "the token cannot be judged, because its issuer's keys cannot be had right now",
            ),
        }
        .because(cause)
    }
}

/// RFC 9457, section 3.1, with our members `code` and `decision_id`.
#[derive(Serialize)]
struct Written<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<DecisionId>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.problem.status();
        let written = Written {
            r#type: format!("urn:palisade:problem:{}", self.problem.code()),
            title: self.problem.title(),
            status: status.as_u16(),
            code: self.problem.code(),
            detail: &self.detail,
            decision_id: self.decision_id,
        };
        let body = serde_json::to_vec(&written).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some(challenge) = challenge(&self) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(RETRY_AFTER, RETRY);
        }
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}

/// RFC 6750, section 3: an error code only where there was a token.
fn challenge(error: &ApiError) -> Option<HeaderValue> {
    if error.problem == Problem::MissingToken {
        return Some(HeaderValue::from_static("Bearer"));
    }
    if error.problem != Problem::InvalidToken {
        return None;
    }
    // The characters of `error_description`: printable ASCII but for quote and backslash.
    let allowed = |letter: &char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
    let description: String =
        error.detail.chars().map(|letter| if allowed(&letter) { letter } else { '?' }).collect();
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{description}\"");
    HeaderValue::try_from(challenge).ok()
}

/// How `/readyz` is answered: degraded is ready, because the last good revision serves.
pub(super) const fn code_of(status: Status) -> StatusCode {
    match status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The answer to an unknown path. It does not repeat the path.
pub(super) fn no_route() -> ApiError {
    ApiError::new(
        Problem::NotFound,
        "there is no such route: `GET /openapi.json` of the operations listener has them all",
    )
}

/// The answer to a known path with another method, beside `Allow`.
pub(super) fn wrong_method() -> ApiError {
    ApiError::new(Problem::MethodNotAllowed, "the header `Allow` has the methods of this route")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(error: ApiError, name: axum::http::HeaderName) -> Option<String> {
        let response = error.into_response();
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_challenge_describes_the_error_in_characters_that_a_header_may_hold() {
        let error = || ApiError::new(Problem::InvalidToken, "a \"b\"\r\nü \\");
        assert_eq!(
            header(error(), WWW_AUTHENTICATE).unwrap(),
            r#"Bearer error="invalid_token", error_description="a ?b???? ?""#
        );
        assert_eq!(header(ApiError::new(Problem::MissingToken, ""), WWW_AUTHENTICATE).unwrap(), "Bearer");
        assert_eq!(header(ApiError::new(Problem::NotFound, ""), WWW_AUTHENTICATE), None);
    }

    #[test]
    fn what_may_pass_is_worth_another_try() {
        let retry = |error: ApiError| header(error, RETRY_AFTER).is_some();
        assert!(retry(AuditError::Stalled.into()));
        assert!(retry(ApiError::new(Problem::Overloaded, "")));
        assert!(!retry(ApiError::internal("")));
    }
}
