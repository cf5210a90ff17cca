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

/// Work on a thread of its own, and what will come of it.
#[derive(Debug)]
pub(super) struct Job<T>(oneshot::Receiver<Result<T, Vec<Finding>>>);

/// Starts something on a thread of its own, which gives its memory back when it ends.
pub(super) fn start<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Vec<Finding>> + Send + 'static,
) -> Job<T> {
    let (tell, told) = oneshot::channel();
    let started = Builder::new().name("reload".to_owned()).spawn(move || {
        let _nobody_waits = tell.send(work());
    });
    started.map_or_else(|error| Job::failed(format!("no thread to reload on: {error}")), |_| Job(told))
}

impl<T> Job<T> {
    /// Waits for it. May be dropped while it waits, and asked once only when it has answered.
    ///
    /// # Errors
    /// What the work gives, or that it came to no end.
    pub(super) async fn told(&mut self) -> Result<T, Vec<Finding>> {
        let stopped = |_| Err(internal("the reload stopped in the middle".to_owned()));
        (&mut self.0).await.unwrap_or_else(stopped)
    }

    fn failed(why: String) -> Self {
        let (tell, told) = oneshot::channel();
        let _told_below = tell.send(Err(internal(why)));
        Self(told)
    }
}

fn internal(why: String) -> Vec<Finding> {
    vec![Finding::error(&THE_FILES.into(), "internal", why)]
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
