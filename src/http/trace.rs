//! What every request gets, of whichever listener: an id, one line in the program log, and an end of its own
//! where it panics.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::{ApiError, Failure};
use crate::clock::Clock;
use crate::decision::{RequestFacts, new_uuid};
use crate::model::Now;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a caller may give its request.
const LONGEST_ID: usize = 128;

/// What is known of a request before anything of it is judged.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) id: HeaderValue,
    pub(super) started: Now,
}

impl Facts {
    pub(super) fn new(headers: &HeaderMap, started: Now) -> Self {
        Self { id: given_id(headers).unwrap_or_else(|| new_id(started)), started }
    }

    /// The same for the decision log.
    pub(super) fn for_record(&self) -> RequestFacts<'_> {
        RequestFacts { request_id: self.id.to_str().unwrap_or_default(), started: self.started }
    }
}

/// Runs a request to the operations listener: without limits, because it is asked when they are reached.
pub(super) async fn operation(State(clock): State<Clock>, request: Request, next: Next) -> Response {
    let facts = Facts::new(request.headers(), clock.now());
    let line = LogLine::of(&request);
    let answered = caught(pin!(async { Ok(next.run(request).await) })).await;
    let mut response = answered.unwrap_or_else(ApiError::into_response);
    let latency = clock.monotonic().saturating_sub(facts.started.monotonic);
    line.write(facts.for_record().request_id, &response, latency);
    response.headers_mut().insert(REQUEST_ID, facts.id);
    response
}

/// A panic ends its own request and no other.
pub(super) async fn caught(
    mut answering: Pin<&mut impl Future<Output = Result<Response, ApiError>>>,
) -> Result<Response, ApiError> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(ApiError::internal(message(panic.as_ref())))),
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", said.unwrap_or("without a message"))
}

/// The id that the caller gave, if it can stand in a log line.
fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let bytes = id.as_bytes();
    ((1..=LONGEST_ID).contains(&bytes.len()) && bytes.iter().all(sane)).then(|| id.clone())
}

fn new_id(now: Now) -> HeaderValue {
    HeaderValue::from_bytes(&new_uuid(now)).unwrap_or(HeaderValue::from_static("none"))
}

/// The one line in the program log.
pub(super) struct LogLine {
    method: Method,
    route: &'static str,
}

impl LogLine {
    pub(super) fn of<B>(request: &http::Request<B>) -> Self {
        let path = request.uri().path();
        // What is not a route of ours is not repeated: it can hold anything.
        let route = super::ROUTES.into_iter().find(|route| *route == path).unwrap_or("other");
        Self { method: request.method().clone(), route }
    }

    pub(super) fn write(&self, request_id: &str, response: &Response, latency: Duration) {
        let status = response.status();
        let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let Self { method, route } = self;
        let Some(Failure(error)) = response.extensions().get() else {
            tracing::debug!(request_id, %method, route, status = status.as_u16(), latency_us, "answered");
            return;
        };
        let (code, detail, cause) = (error.problem().code(), error.detail(), error.cause());
        if status.is_server_error() {
            tracing::error!(request_id, %method, route, status = status.as_u16(), latency_us, code, detail, cause, "failed");
        } else {
            tracing::info!(request_id, %method, route, status = status.as_u16(), latency_us, code, detail, cause, "refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_spoil_a_log_line_is_replaced() {
        let given = |id: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
            given_id(&headers).is_some()
        };
        assert!(given(b"a-B_0.9") && given(&[b'x'; 128]));
        assert!(!given(b"") && !given(b"a b") && !given(b"a:b") && !given(&[0xff]) && !given(&[b'x'; 129]));
    }

    #[tokio::test]
    async fn a_panic_is_told_to_the_log_and_not_to_the_caller() {
        let error = caught(pin!(async { panic!("the secret of {}", 7) })).await.unwrap_err();
        assert_eq!(error.cause(), Some("panic: the secret of 7"));
        assert!(!error.detail().contains("secret"));
    }
}
