//! The Extensions API, as an external extension speaks it: it registers, waits for the end of its environment,
//! and reports what it cannot do.
//!
//! Shapes, headers and order are those of the AWS Lambda Developer Guide, "Using the Lambda Extensions API to
//! create extensions".

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde::Deserialize;

/// The name under which Lambda has started us: that of the file below `/opt/extensions`.
const NAME: &str = "palisade";

/// Told of the end and of nothing else: whoever asks to be told of invocations prolongs each of them until it
/// asks for the next event.
const EVENTS: &str = r#"{"events":["SHUTDOWN"]}"#;

const IDENTIFIER: &str = "lambda-extension-identifier";

const JSON: &str = "application/json";

/// How long a call may take that is answered at once. All of the start has ten seconds.
const PROMPT: Duration = Duration::from_secs(2);

/// The API of one environment.
#[derive(Debug, Clone)]
pub struct Extensions {
    client: Client,
    base: String,
}

/// An extension that Lambda knows: only such a one can wait for an event or report a failure.
#[derive(Debug)]
pub struct Registered {
    api: Extensions,
    identifier: HeaderValue,
}

/// What ended the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Reason {
    /// Nobody has invoked the function for a while.
    Spindown,
    /// An invocation took too long.
    Timeout,
    /// The runtime or an extension has failed.
    Failure,
    /// One that is not in the guide.
    #[serde(other)]
    Other,
}

/// What an extension can fail of, as Lambda shows it: `Extension.ConfigInvalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The settings are wrong.
    ConfigInvalid,
    /// The policies cannot serve.
    PoliciesInvalid,
    /// The environment does not give what it takes.
    StartFailed,
    /// It has served, and cannot any more.
    Broken,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(reqwest::Error),
    /// No answer.
    #[error("the Extensions API does not answer `{call}`: {cause}")]
    NoAnswer {
        /// The path below `extension/`.
        call: &'static str,
        /// Without the URL.
        cause: reqwest::Error,
    },
    /// Not the answer that the guide promises.
    #[error("the Extensions API answered `{call}` with the status {status}")]
    Status {
        /// The path below `extension/`.
        call: &'static str,
        /// Of HTTP.
        status: u16,
    },
    /// It accepted us and did not say as whom.
    #[error("the Extensions API gave no `Lambda-Extension-Identifier`")]
    Anonymous,
    /// An event that does not say what it is.
    #[error("the Extensions API sent an event that cannot be read: {0}")]
    Event(serde_json::Error),
}

#[derive(Deserialize)]
#[serde(tag = "eventType", rename_all = "UPPERCASE")]
enum Event {
    Shutdown {
        #[serde(rename = "shutdownReason")]
        reason: Reason,
    },
    #[serde(other)]
    Other,
}

impl Extensions {
    /// The API at `host:port`, as `AWS_LAMBDA_RUNTIME_API` names it.
    ///
    /// # Errors
    /// There is no HTTP client.
    pub fn at(authority: &str) -> Result<Self, ApiFault> {
        let client = Client::builder()
            // On loopback, without encryption: neither a proxy nor the trust store is asked for anything.
            .no_proxy()
            .tls_certs_only([])
            .redirect(Policy::none())
            .build()
            .map_err(ApiFault::Client)?;
        Ok(Self { client, base: format!("http://{authority}/2020-01-01/extension/") })
    }

    /// Makes us known. The runtime is started once every extension has done so.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn register(&self) -> Result<Registered, ApiFault> {
        let call = "register";
        let request = self.client.post(self.url(call)).header("lambda-extension-name", NAME).timeout(PROMPT);
        let response = sent(call, request.header(CONTENT_TYPE, JSON).body(EVENTS)).await?;
        let identifier = response.headers().get(IDENTIFIER).cloned().ok_or(ApiFault::Anonymous)?;
        Ok(Registered { api: self.clone(), identifier })
    }

    fn url(&self, call: &str) -> String {
        format!("{}{call}", self.base)
    }
}

impl Registered {
    /// Says that we are ready, and waits for the end. The environment may be frozen meanwhile, for hours.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn end(&self) -> Result<Reason, ApiFault> {
        let call = "event/next";
        loop {
            let request = self.api.client.get(self.api.url(call)).header(IDENTIFIER, &self.identifier);
            let response = sent(call, request).await?;
            let event = response.bytes().await.map_err(|cause| no_answer(call, cause))?;
            match serde_json::from_slice(&event).map_err(ApiFault::Event)? {
                Event::Shutdown { reason } => return Ok(reason),
                Event::Other => tracing::warn!("an event came that was not asked for"),
            }
        }
    }

    /// Reports that the start has failed. Lambda ends the environment once we exit.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn init_failed(&self, failure: Failure, message: &str) -> Result<(), ApiFault> {
        self.report("init/error", failure, message).await
    }

    /// Reports that we end before the environment does.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn exit_failed(&self, failure: Failure, message: &str) -> Result<(), ApiFault> {
        self.report("exit/error", failure, message).await
    }

    async fn report(&self, call: &'static str, failure: Failure, message: &str) -> Result<(), ApiFault> {
        let kind = failure.error_type();
        let body = serde_json::json!({ "errorMessage": message, "errorType": kind, "stackTrace": [] });
        let request = self.api.client.post(self.api.url(call)).header(IDENTIFIER, &self.identifier);
        let request = request.header("lambda-extension-function-error-type", kind).timeout(PROMPT);
        sent(call, request.header(CONTENT_TYPE, JSON).body(body.to_string())).await.map(drop)
    }
}

impl Failure {
    const fn error_type(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "Extension.ConfigInvalid",
            Self::PoliciesInvalid => "Extension.PoliciesInvalid",
            Self::StartFailed => "Extension.StartFailed",
            Self::Broken => "Extension.Broken",
        }
    }
}

async fn sent(call: &'static str, request: RequestBuilder) -> Result<Response, ApiFault> {
    let response = request.send().await.map_err(|cause| no_answer(call, cause))?;
    match response.status() {
        status if status.is_success() => Ok(response),
        status => Err(ApiFault::Status { call, status: status.as_u16() }),
    }
}

fn no_answer(call: &'static str, cause: reqwest::Error) -> ApiFault {
    ApiFault::NoAnswer { call, cause: cause.without_url() }
}
