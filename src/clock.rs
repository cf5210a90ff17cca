//! The one place where time is read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Now, Timestamp};

/// Both clocks of the machine, or hands that a test moves.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    Machine { started: Instant },
    Hands(Arc<Mutex<Now>>),
}

impl Clock {
    /// The machine's clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place where time is read")]
    pub fn machine() -> Self {
        Self(Source::Machine { started: Instant::now() })
    }

    /// A clock that stands still until `advance` moves it.
    pub fn standing_at(wall: Timestamp) -> Self {
        Self(Source::Hands(Arc::new(Mutex::new(Now { wall, monotonic: Duration::ZERO }))))
    }

    /// What both clocks show.
    #[expect(clippy::disallowed_methods, reason = "the one place where time is read")]
    pub fn now(&self) -> Now {
        match &self.0 {
            Source::Machine { started } => {
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let millis = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
                Now { wall: Timestamp::from_millis(millis), monotonic: started.elapsed() }
            }
            Source::Hands(hands) => *hands.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The time since the process started alone: what latencies are told by.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::Machine { started } => started.elapsed(),
            Source::Hands(_) => self.now().monotonic,
        }
    }

    /// Sets the wall clock of a standing clock, as an operator or NTP does; the monotonic one stays.
    pub fn set_wall(&self, wall: Timestamp) {
        if let Source::Hands(hands) = &self.0 {
            hands.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
        }
    }

    /// Moves the hands of a standing clock; the machine's clocks move by themselves.
    pub fn advance(&self, by: Duration) {
        if let Source::Hands(hands) = &self.0 {
            let mut now = hands.lock().unwrap_or_else(PoisonError::into_inner);
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            now.wall = Timestamp::from_millis(now.wall.millis().saturating_add(millis));
            now.monotonic = now.monotonic.saturating_add(by);
        }
    }
}
