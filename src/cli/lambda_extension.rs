//! `palisade lambda-extension`: the service beside the handlers of a Lambda function, which Lambda starts,
//! freezes between invocations, and ends.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{OnceCell, watch};
use tokio::time::timeout;

use super::serve::{self, Patience, Refused, RefusedBy, Service};
use super::{Exit, Shell};
use crate::lambda::extension::{ApiFault, Extensions, Failure, Registered};
use crate::model::status::KeyStatus;

/// Where Lambda tells the address of its APIs.
const API: &str = "AWS_LAMBDA_RUNTIME_API";

/// How long the start waits for the first keys, of the ten seconds that Lambda gives it. Without them it is
/// ready as well: requests are answered with 503, and fetch them.
const FIRST_KEYS: Duration = Duration::from_secs(3);

/// Lambda kills whatever has not ended two seconds after it was told to. No handler runs any more by then.
const PATIENCE: Patience = Patience {
    drain: Duration::ZERO,
    requests: Duration::from_millis(500),
    records: Duration::from_millis(500),
    probes: Duration::from_millis(100),
};

pub(super) fn run(shell: &Shell) -> Exit {
    let Some(authority) = shell.environment.get(API) else {
        let help = "Lambda starts this verb, from a layer; elsewhere it is `palisade serve`";
        return serve::failed(&format!("`{API}` is not set: this is no Lambda function"), Some(help));
    };
    let api = match Extensions::at(authority) {
        Ok(api) => api,
        Err(fault) => return serve::failed(&fault, None),
    };
    match serve::start(shell) {
        Ok((runtime, service)) => runtime.block_on(live(&api, service.stopping_within(PATIENCE))),
        Err(refused) => give_up(&api, &refused),
    }
}

/// Serves from the first request to the end of the environment.
async fn live(api: &Extensions, service: Service) -> Exit {
    let keys = service.keys();
    let extension = OnceCell::new();
    let mut fault = None;
    let end = async {
        if let Err(error) = until_the_end(api, &extension, keys).await {
            fault = Some(error.to_string());
        }
    };
    let ended = Box::pin(service.run(end)).await;
    let Some(failure) = ended.err().map(|broken| broken.to_string()).or(fault) else { return Exit::Good };
    if let Some(extension) = extension.get() {
        said(extension.exit_failed(Failure::Broken, &failure).await);
    }
    serve::failed(&failure, None)
}

/// Registers once requests can be answered, and waits for the end.
async fn until_the_end(
    api: &Extensions,
    extension: &OnceCell<Registered>,
    keys: watch::Receiver<Vec<KeyStatus>>,
) -> Result<(), ApiFault> {
    first_keys(keys).await;
    let registered = extension.get_or_try_init(|| api.register()).await?;
    tracing::info!("ready");
    let reason = registered.end().await?;
    tracing::info!(?reason, "the environment ends");
    Ok(())
}

/// Waits until the keys of every issuer have come or failed to.
async fn first_keys(mut keys: watch::Receiver<Vec<KeyStatus>>) {
    let all_tried = keys
        .wait_for(|issuers| issuers.iter().all(|keys| keys.fetched_at.is_some() || keys.failure.is_some()));
    if timeout(FIRST_KEYS, all_tried).await.is_err() {
        tracing::warn!("ready without keys: they are fetched at the first request");
    }
}

/// Tells Lambda why there is no service. Only who has registered can.
fn give_up(api: &Extensions, refused: &Refused) -> Exit {
    let failure = match refused.by {
        RefusedBy::Settings => Failure::ConfigInvalid,
        RefusedBy::Policies => Failure::PoliciesInvalid,
        RefusedBy::Machine => Failure::StartFailed,
    };
    let told = async {
        let registered = api.register().await?;
        registered.init_failed(failure, &refused.reason).await
    };
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => said(runtime.block_on(told)),
        Err(error) => said(Err(error)),
    }
    Exit::Failed
}

/// What Lambda could not be told stands in its log all the same.
fn said<E: fmt::Display>(told: Result<(), E>) {
    if let Err(fault) = told {
        serve::failed(&format!("Lambda could not be told: {fault}"), None);
    }
}
