//! Whose turn it is to verify a signature, which takes longer than all the rest of a request.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;

/// For how long after a wrong signature more of them are expected.
const DOUBT: Duration = Duration::from_secs(1);

/// One turn at a time on each thread, so that whoever else is ready there goes between. After a wrong signature
/// one less on all of them together than there are processors, for a while: a flood of forged tokens waits for
/// itself, and tokens that are known have a processor of their own.
#[derive(Debug)]
pub(super) struct Turns {
    by_seat: Box<[Semaphore]>,
    in_doubt: Semaphore,
    last_wrong: Mutex<Option<Duration>>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self {
            by_seat: (0..processors).map(|_| Semaphore::new(1)).collect(),
            in_doubt: Semaphore::new(processors.saturating_sub(1).max(1)),
            last_wrong: Mutex::new(None),
        }
    }

    /// Waits for a turn, which lasts as long as what it gives. `now` is of the monotonic clock.
    pub(super) async fn take(&self, now: Duration) -> Option<SemaphorePermit<'_>> {
        let last = *self.last_wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let doubt = last.is_some_and(|last| now.saturating_sub(last) < DOUBT);
        let turns = if doubt { &self.in_doubt } else { self.usual()? };
        // Neither is ever closed.
        let turn = turns.acquire().await.ok();
        // Whoever else is ready goes first.
        yield_now().await;
        turn
    }

    /// Those of this thread: a turn that is given to another thread's task would leave this one idle.
    fn usual(&self) -> Option<&Semaphore> {
        static SEATS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static SEAT: usize = SEATS.fetch_add(1, Ordering::Relaxed));
        self.by_seat.get(SEAT.with(|seat| seat % self.by_seat.len().max(1)))
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
        let first = turns.take(at(10)).await;
        assert_eq!(turns.usual().unwrap().available_permits(), 0, "one at a time");
        drop(first);

        turns.was_wrong(at(10));
        let in_doubt = turns.take(at(10)).await;
        assert_eq!(turns.in_doubt.available_permits(), processors.saturating_sub(1).max(1) - 1);
        assert_eq!(turns.usual().unwrap().available_permits(), 1);
        let _later = turns.take(at(11)).await;
        assert_eq!(turns.usual().unwrap().available_permits(), 0);
        drop(in_doubt);
    }
}
