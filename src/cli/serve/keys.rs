//! The keys of a service: on their way while its policies load, and kept fresh from then on.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::identity::Verifier;

/// How long the first keys are waited for, of the ten seconds that Lambda gives a start: as long as a bundle is, and
/// at the same time.
const FIRST_KEYS: Duration = Duration::from_secs(3);

/// Those of every issuer, for the first time. Who does not wait for them lets go of this.
pub(in crate::cli) struct FirstKeys(JoinHandle<bool>);

/// Has the keys fetched from now on, for as long as the runtime is there.
pub(in crate::cli) fn keep_fresh(runtime: &Runtime, verifier: &Verifier) -> FirstKeys {
    let mut issuers = verifier.statuses();
    let first = runtime.spawn(async move {
        let all_tried = issuers.wait_for(|issuers| {
            issuers.iter().all(|keys| keys.fetched_at.is_some() || keys.failure.is_some())
        });
        timeout(FIRST_KEYS, all_tried).await.is_ok()
    });
    let keys = verifier.clone();
    runtime.spawn(async move { keys.run(std::future::pending()).await });
    FirstKeys(first)
}

impl FirstKeys {
    /// Waits until they have come or failed to, as far as they have not had their time.
    pub(in crate::cli) async fn come(self) {
        if !self.0.await.unwrap_or_default() {
            tracing::warn!("ready without keys: whoever comes first has them fetched");
        }
    }
}
