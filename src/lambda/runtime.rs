//! The Runtime API, as the runtime of a function speaks it: it waits for an event, answers it or says why not,
//! and waits for the next.
//!
//! Shapes, headers and order are those of the AWS Lambda Developer Guide, "Using the Lambda runtime API for
//! custom runtimes".

use std::fmt;

pub use super::api::ApiFault;
use super::api::{Api, Failed, no_answer, sent};

const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// The API of one environment.
#[derive(Debug, Clone)]
pub struct Runtime(Api);

/// One event, to be answered or failed.
pub struct Invocation {
    api: Api,
    /// As Lambda's own log names it.
    pub request_id: String,
    /// What came, in JSON.
    pub event: Vec<u8>,
}

/// What a function fails of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable word, for people and alarms.
    pub kind: &'static str,
    /// What whoever invoked the function is told.
    pub message: String,
}

/// Without the event, which holds the user's token.
impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("request_id", &self.request_id)
            .field("event_bytes", &self.event.len())
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// The API at `host:port`, as `AWS_LAMBDA_RUNTIME_API` names it.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub fn at(authority: &str) -> Result<Self, ApiFault> {
        Api::at(authority, "2018-06-01/runtime").map(Self)
    }

    /// Says that we are ready, and waits for an event. The environment may be frozen meanwhile, for hours.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn next(&self) -> Result<Invocation, ApiFault> {
        let call = "invocation/next";
        let response = sent(call, self.0.wait(call)).await?;
        let request_id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let request_id = request_id.ok_or(ApiFault::NoHeader(REQUEST_ID))?.to_owned();
        let event = response.bytes().await.map_err(|cause| no_answer(call, cause))?;
        Ok(Invocation { api: self.0.clone(), request_id, event: event.into() })
    }

    /// Reports that the start has failed. Lambda ends the environment once we exit.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn init_failed(&self, failure: &Failure) -> Result<(), ApiFault> {
        let call = "init/error";
        sent(call, self.0.report(call, &failure.told())).await.map(drop)
    }
}

impl Invocation {
    /// Answers the event, in JSON.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn answer(&self, answer: String) -> Result<(), ApiFault> {
        let call = format!("invocation/{}/response", self.request_id);
        sent(&call, self.api.tell(&call, answer)).await.map(drop)
    }

    /// Says why the event is not answered.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn fail(&self, failure: &Failure) -> Result<(), ApiFault> {
        let call = format!("invocation/{}/error", self.request_id);
        sent(&call, self.api.report(&call, &failure.told())).await.map(drop)
    }
}

impl Failure {
    fn told(&self) -> Failed<'_> {
        Failed { kind: self.kind, message: &self.message, header: ERROR_TYPE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_never_shown() {
        let Runtime(api) = Runtime::at("127.0.0.1:9").unwrap();
        let event = br#"{"authorizationToken": "eyJh"}"#.to_vec();
        let invocation = Invocation { api, request_id: "r-1".to_owned(), event };
        let shown = format!("{invocation:?}");
        assert!(!shown.contains("eyJh") && !shown.contains("101, 121, 74, 104"), "{shown}");
        assert!(shown.contains("r-1") && shown.contains("event_bytes: 30"), "{shown}");
    }
}
