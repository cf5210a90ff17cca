//! Calls to the APIs that Lambda gives to the programs of an environment, on loopback and in plain HTTP.
//!
//! The HTTP client is the one that fetches keys: three calls and their retries are less than the crates that
//! speak these APIs bring with them, and those read the environment and end the process by themselves.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};

/// How long a call may take that is answered at once. All of the start has ten seconds.
const PROMPT: Duration = Duration::from_secs(2);

/// One of the APIs, in one environment.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
    base: String,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(reqwest::Error),
    /// No answer.
    #[error("Lambda does not answer `{call}`: {cause}")]
    NoAnswer {
        /// The path below the API's own.
        call: String,
        /// Without the URL.
        cause: reqwest::Error,
    },
    /// Not the answer that the guide promises.
    #[error("Lambda answered `{call}` with the status {status}")]
    Status {
        /// The path below the API's own.
        call: String,
        /// Of HTTP.
        status: u16,
    },
    /// A header that the guide promises.
    #[error("Lambda gave no `{0}`")]
    NoHeader(&'static str),
    /// An event that does not say what it is.
    #[error("Lambda sent an event that cannot be read: {0}")]
    Event(serde_json::Error),
}

/// What went wrong, in the shape in which all of the APIs are told.
pub(super) struct Failed<'a> {
    /// `Extension.ConfigInvalid`
    pub(super) kind: &'a str,
    pub(super) message: &'a str,
    /// The header that repeats the kind.
    pub(super) header: &'static str,
}

impl Api {
    /// The API below `path` at `host:port`, as `AWS_LAMBDA_RUNTIME_API` names it.
    pub(super) fn at(authority: &str, path: &str) -> Result<Self, ApiFault> {
        let client = Client::builder()
            // On loopback, without encryption: neither a proxy nor the trust store is asked for anything.
            .no_proxy()
            .tls_certs_only([])
            .redirect(Policy::none())
            .build()
            .map_err(ApiFault::Client)?;
        Ok(Self { client, base: format!("http://{authority}/{path}/") })
    }

    /// A call that waits for as long as there is nothing to say. The environment may be frozen meanwhile.
    pub(super) fn wait(&self, call: &str) -> RequestBuilder {
        self.client.get(self.url(call))
    }

    /// A call that is answered at once.
    pub(super) fn tell(&self, call: &str, json: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(self.url(call)).timeout(PROMPT).header(CONTENT_TYPE, "application/json").body(json)
    }

    /// Says what went wrong.
    pub(super) fn report(&self, call: &str, failed: &Failed<'_>) -> RequestBuilder {
        let Failed { kind, message, header } = failed;
        let body = serde_json::json!({ "errorMessage": message, "errorType": kind, "stackTrace": [] });
        self.tell(call, body.to_string()).header(*header, *kind)
    }

    fn url(&self, call: &str) -> String {
        format!("{}{call}", self.base)
    }
}

pub(super) async fn sent(call: &str, request: RequestBuilder) -> Result<Response, ApiFault> {
    let response = request.send().await.map_err(|cause| no_answer(call, cause))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(ApiFault::Status { call: call.to_owned(), status: status.as_u16() }),
    }
}

pub(super) fn no_answer(call: &str, cause: reqwest::Error) -> ApiFault {
    ApiFault::NoAnswer { call: call.to_owned(), cause: cause.without_url() }
}
