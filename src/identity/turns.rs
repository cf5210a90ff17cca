//! Whose turn it is to verify a signature, which takes longer than all the rest of a request.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;

/// For how long after a wrong signature more of them are expected.
const DOUBT: Duration = Duration::from_secs(1);

/// As many turns at a time as there are processors. After a wrong signature one less, for a while: a flood of
/// forged tokens waits for itself, and tokens that are known have a processor of their own.
#[derive(Debug)]
pub(super) struct Turns {
    usual: Semaphore,
    in_doubt: Semaphore,
    last_wrong: Mutex<Option<Duration>>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self {
            usual: Semaphore::new(processors),
            in_doubt: Semaphore::new(processors.saturating_sub(1).max(1)),
            last_wrong: Mutex::new(None),
        }
    }

    /// Waits for a turn, which lasts as long as what it gives. `now` is of the monotonic clock.
    pub(super) async fn take(&self, now: Duration) -> Option<SemaphorePermit<'_>> {
        let last = *self.last_wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let doubt = last.is_some_and(|last| now.saturating_sub(last) < DOUBT);
        let turns = if doubt { &self.in_doubt } else { &self.usual };
        // Neither is ever closed.
        let turn = turns.acquire().await.ok();
        // Whoever else is ready goes first.
        yield_now().await;
        turn
    }

    /// A signature was wrong.
    pub(super) fn was_wrong(&self, now: Duration) {
        *self.last_wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_wrong_signature_a_processor_is_left_to_others_for_a_while() {
        let processors = available_parallelism().map_or(1, NonZero::get);
        let turns = Turns::new();
        let at = |seconds| Duration::from_secs(seconds);
        let mut taken = Vec::new();
        for _ in 0..processors {
            taken.push(turns.take(at(10)).await);
        }
        assert_eq!(turns.usual.available_permits(), 0);
        taken.clear();

        turns.was_wrong(at(10));
        taken.push(turns.take(at(10)).await);
        assert_eq!(turns.in_doubt.available_permits(), processors.saturating_sub(1).max(1) - 1);
        assert_eq!(turns.usual.available_permits(), processors);
        taken.push(turns.take(at(11)).await);
        assert_eq!(turns.usual.available_permits(), processors - 1);
    }
}
