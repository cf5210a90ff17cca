//! The Extensions API, as an external extension speaks it: it registers, waits for the end of its environment,
//! and reports what it cannot do.
//!
//! Shapes, headers and order are those of the AWS Lambda Developer Guide, "Using the Lambda Extensions API to
//! create extensions".

use reqwest::header::HeaderValue;
use serde::Deserialize;

pub use super::api::ApiFault;
use super::api::{Api, Failed, no_answer, sent};

/// The name under which Lambda has started us: that of the file below `/opt/extensions`.
const NAME: &str = "palisade";

/// Told of the end and of nothing else: whoever asks to be told of invocations prolongs each of them until it
/// asks for the next event.
const EVENTS: &str = r#"{"events":["SHUTDOWN"]}"#;

const IDENTIFIER: &str = "lambda-extension-identifier";

/// The API of one environment.
#[derive(Debug, Clone)]
pub struct Extensions(Api);

/// An extension that Lambda knows: only such a one can wait for an event or report a failure.
#[derive(Debug)]
pub struct Registered {
    api: Api,
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
        Api::at(authority, "2020-01-01/extension").map(Self)
    }

    /// Makes us known. The runtime is started once every extension has done so.
    ///
    /// # Errors
    /// The call came to nothing.
    pub async fn register(&self) -> Result<Registered, ApiFault> {
        let call = "register";
        let request = self.0.tell(call, EVENTS).header("lambda-extension-name", NAME);
        let response = sent(call, request).await?;
        let identifier = response.headers().get(IDENTIFIER).cloned().ok_or(ApiFault::NoHeader(IDENTIFIER))?;
        Ok(Registered { api: self.0.clone(), identifier })
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
            let request = self.api.wait(call).header(IDENTIFIER, &self.identifier);
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
        let failed =
            Failed { kind: failure.error_type(), message, header: "lambda-extension-function-error-type" };
        let request = self.api.report(call, &failed).header(IDENTIFIER, &self.identifier);
        sent(call, request).await.map(drop)
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
