//! From a request to a verified principal and a question, in the order in which both are judged.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};

use super::Api;
use super::bearer;
use super::error::{ApiError, Problem};
use super::service::Content;
use super::trace::Facts;
use crate::identity::{TokenError, Verified};
use crate::model::{Limits, Refusal, Token};
use crate::telemetry::metrics::ClassLabels;

/// A question, and who it is about.
#[derive(Debug)]
pub(super) struct Received<Q> {
    pub(super) verified: Verified,
    pub(super) question: Q,
    pub(super) explain: bool,
}

/// How a route reads its body.
pub(super) struct Reading<Q> {
    /// The largest body, in bytes.
    pub(super) limit: usize,
    /// Whether the route knows `?explain=true`.
    pub(super) explains: bool,
    /// Reads the token, if the body has one, and the question.
    pub(super) parse: Parse<Q>,
}

type Parse<Q> = fn(&[u8], &Limits) -> Result<(Option<Token>, Q), Refusal>;

/// Receives a question. A header token is judged before the body is read; what is refused after
/// that is on record.
pub(super) async fn receive<Q>(
    api: &Api,
    request: Request<impl Content>,
    facts: &Facts,
    reading: Reading<Q>,
) -> Result<Received<Q>, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = match bearer::token(&parts.headers)? {
        Some(token) => Some(verify(api, &token).await?),
        None => None,
    };
    match read(api, &parts, body, reading).await {
        Ok(Read { token, question, explain }) => {
            let verified = match (bearer, token) {
                (Some(verified), None) => verified,
                (None, Some(token)) => verify(api, &token).await?,
                (Some(verified), Some(_)) => {
                    let error = ApiError::new(
                        Problem::MalformedRequest,
                        "there is a token in the header `Authorization` and another in the body: send one",
                    );
                    return Err(on_record(api, error, &verified, facts).await);
                }
                (None, None) => {
                    return Err(ApiError::new(
                        Problem::MissingToken,
                        "send the user's token: `Authorization: Bearer …`, or the body member `token`",
                    ));
                }
            };
            Ok(Received { verified, question, explain })
        }
        Err(error) => Err(match bearer {
            Some(verified) => on_record(api, error, &verified, facts).await,
            None => error,
        }),
    }
}

/// By the clock of this moment: where a request was frozen on its way in, its token has grown older.
async fn verify(api: &Api, token: &Token<impl AsRef<str>>) -> Result<Verified, ApiError> {
    api.verifier.verify_at(token, api.operations.clock.now()).await.map_err(|error| {
        if let TokenError::Invalid { class, .. } = &error {
            api.metrics().token_failures.get_or_create(&ClassLabels { class }).inc();
        } else if !api.operations.has_had_keys() {
            return ApiError::new(Problem::NotReady, "the issuers' keys have not been had yet")
                .because(error.to_string());
        }
        error.into()
    })
}

/// Without a record there is no refusal either: the caller learns that instead.
async fn on_record(api: &Api, error: ApiError, verified: &Verified, facts: &Facts) -> ApiError {
    match api.decider.refuse(verified, error.refused(), facts.for_record()).await {
        Ok(decision_id) => error.on_record(decision_id),
        Err(unrecorded) => unrecorded.into(),
    }
}

struct Read<Q> {
    token: Option<Token>,
    question: Q,
    explain: bool,
}

async fn read<Q>(
    api: &Api,
    parts: &Parts,
    body: impl Content,
    reading: Reading<Q>,
) -> Result<Read<Q>, ApiError> {
    let explain = reading.explains && wants_explanation(parts.uri.query())?;
    if !reading.explains && parts.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(ApiError::new(Problem::MalformedRequest, "this route has no query parameters"));
    }
    if explain && !api.explain {
        return Err(ApiError::new(
            Problem::ExplainNotAllowed,
            "`explain` is answered only where `server.explain = true`",
        ));
    }
    let body = collect(body, reading.limit).await?;
    check_content(&parts.headers)?;
    let (token, question) = (reading.parse)(&body, &api.limits)?;
    Ok(Read { token, question, explain })
}

/// The one query parameter. What else is there is not repeated: it can be a token.
fn wants_explanation(query: Option<&str>) -> Result<bool, ApiError> {
    match query {
        None | Some("" | "explain=false") => Ok(false),
        Some("explain=true") => Ok(true),
        Some(_) => {
            Err(ApiError::new(Problem::MalformedRequest, "`explain=true` is the only query parameter"))
        }
    }
}

/// `application/json`, in UTF-8 if it says so (RFC 9110, section 8.3), and not compressed.
fn check_content(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(ApiError::new(
            Problem::UnsupportedMediaType,
            "the body is JSON in UTF-8: send `Content-Type: application/json`",
        ));
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::new(Problem::UnsupportedMediaType, "send the body without `Content-Encoding`"));
    }
    Ok(())
}

pub(super) fn is_json(content_type: &str) -> bool {
    // As nearly everybody writes it.
    if content_type == "application/json" {
        return true;
    }
    let mut parts = content_type.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

/// The whole body. One that came in one piece, as nearly all do, is not copied.
async fn collect(mut body: impl Content, limit: usize) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large(limit));
    }
    let mut first = Bytes::new();
    let mut all = Vec::new();
    while !body.is_end_stream()
        && let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        let frame = frame.map_err(|error| {
            ApiError::new(Problem::MalformedRequest, "the body broke off").because(error.to_string())
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(Problem::TooLarge, format!("the body has more than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn json_is_json_in_utf_8() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/json; charset=latin1",
            "application/json; version=1",
            "application/jsonp",
            "application/problem+json",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn there_is_one_query_parameter_and_others_are_not_repeated() {
        assert!(wants_explanation(Some("explain=true")).unwrap());
        assert!(!wants_explanation(None).unwrap());
        let refused = wants_explanation(Some("access_token=eyJ")).unwrap_err();
        assert!(!refused.detail().contains("access_token"));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let whole = collect(Body::from("12345678"), 8).await.unwrap();
        assert_eq!(whole, "12345678");
        let error = collect(Body::from("123456789"), 8).await.unwrap_err();
        assert_eq!(error.problem(), Problem::TooLarge);
    }
}
