//! Work that no request waits for, on threads beside those that serve.
//!
//! They have the same priority. A thread that yields more is stopped wherever it is, and that may be where
//! it changes the memory of the process: every other thread then waits for it, and requests that took 30 ms
//! at most take 250.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{Builder, available_parallelism, sleep};
use std::time::Duration;

use tokio::sync::oneshot;

use super::THE_FILES;
use crate::cedar::Snapshot;
use crate::model::Finding;

/// How often it is looked whether a snapshot is still used.
const RETIRING: Duration = Duration::from_millis(50);

/// So often at most: much longer than any request may take.
const LOOKS: usize = 1_200;

/// How many threads may compile beside those that serve: one processor is left to these.
pub(super) fn threads() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get).saturating_sub(1).max(1)
}

/// Runs something on a thread of its own, which gives its memory back when it ends.
///
/// # Errors
/// What the work gives, or that it came to no end.
pub(super) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Vec<Finding>> + Send + 'static,
) -> Result<T, Vec<Finding>> {
    let failed = |what: String| vec![Finding::error(&THE_FILES.into(), "internal", what)];
    let (tell, told) = oneshot::channel();
    let started = Builder::new().name("reload".to_owned()).spawn(move || {
        let _nobody_waits = tell.send(work());
    });
    started.map_err(|error| failed(format!("no thread to reload on: {error}")))?;
    told.await.unwrap_or_else(|_| Err(failed("the reload stopped in the middle".to_owned())))
}

/// Frees a snapshot when the last request under it has ended: of many policies and entities that takes
/// longer than a request may wait.
pub(super) fn retire(former: Arc<Snapshot>) {
    // Without a thread, whoever has it last frees it.
    let _started = Builder::new().name("retire".to_owned()).spawn(move || {
        for _ in 0..LOOKS {
            if Arc::strong_count(&former) == 1 {
                break;
            }
            sleep(RETIRING);
        }
        drop(former);
    });
}
