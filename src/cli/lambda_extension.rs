//! `palisade lambda-extension`: the service beside the handlers of a Lambda function, which Lambda starts,
//! freezes between invocations, and ends.

use std::time::Duration;

use tokio::sync::OnceCell;

use super::in_lambda::{address, said, tell};
use super::serve::{self, FirstKeys, Patience, Refused, RefusedBy, Service};
use super::{Exit, Shell};
use crate::lambda::extension::{ApiFault, Extensions, Failure, Registered};

/// Lambda kills whatever has not ended two seconds after it was told to. No handler runs any more by then.
const PATIENCE: Patience = Patience {
    drain: Duration::ZERO,
    requests: Duration::from_millis(500),
    records: Duration::from_millis(500),
    probes: Duration::from_millis(100),
};

pub(super) fn run(shell: &Shell) -> Exit {
    let authority =
        match address(shell, "Lambda starts this verb, from a layer; elsewhere it is `palisade serve`") {
            Ok(authority) => authority,
            Err(exit) => return exit,
        };
    let api = match Extensions::at(authority) {
        Ok(api) => api,
        Err(fault) => return serve::failed(&fault, None),
    };
    match serve::start(shell) {
        Ok((runtime, service, keys)) => runtime.block_on(live(&api, service.in_lambda(PATIENCE), keys)),
        Err(refused) => give_up(&api, &refused),
    }
}

/// Serves from the first request to the end of the environment.
async fn live(api: &Extensions, service: Service, keys: FirstKeys) -> Exit {
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
    keys: FirstKeys,
) -> Result<(), ApiFault> {
    keys.come().await;
    let registered = extension.get_or_try_init(|| api.register()).await?;
    tracing::info!("ready");
    let reason = registered.end().await?;
    tracing::info!(?reason, "the environment ends");
    Ok(())
}

/// Tells Lambda why there is no service. Only who has registered can.
fn give_up(api: &Extensions, refused: &Refused) -> Exit {
    let failure = match refused.by {
        RefusedBy::Settings => Failure::ConfigInvalid,
        RefusedBy::Policies => Failure::PoliciesInvalid,
        RefusedBy::Machine => Failure::StartFailed,
    };
    tell(async {
        let registered = api.register().await?;
        registered.init_failed(failure, &refused.reason).await
    });
    Exit::Failed
}
