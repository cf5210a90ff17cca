//! Points in time and lengths of time, as configuration, tokens and records write them.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time: milliseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down: what a JWT's `NumericDate` counts (RFC 7519, section 2).
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time since `earlier`; nothing where the clock has been set back behind it.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.0.checked_sub(earlier.0)?).ok().map(Duration::from_millis)
    }

    /// Its text, which all records of one millisecond share.
    pub fn with_text<T>(self, read: impl FnOnce(&str) -> T) -> T {
        thread_local! {
            static LAST: RefCell<Option<(Timestamp, Box<str>)>> = const { RefCell::new(None) };
        }
        LAST.with_borrow_mut(|last| {
            let known = last.take().filter(|(time, _)| *time == self);
            let (_, text) = last.insert(known.unwrap_or_else(|| (self, self.to_string().into())));
            read(text)
        })
    }

    /// Reads RFC 3339, as a test or a replay gives it.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_millisecond()))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-23T09:30:00.125Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(formatter, "{time:.3}"),
            Err(_) => write!(formatter, "{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One reading of both clocks: the wall clock, which can be set, and the monotonic one, which
/// can stand still while a machine sleeps. Ages are the larger of the two.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// What the wall clock shows.
    pub wall: Timestamp,
    /// Time since the process started, never going back.
    pub monotonic: Duration,
}

/// How far a wall clock may be behind where it was: it is being corrected, or somebody read both clocks
/// while another read one of them.
const CORRECTION: Duration = Duration::from_millis(500);

impl Now {
    /// How old something of `then` is: by the clock that says more, so that neither a machine that slept nor
    /// a clock that was set makes it younger. A wall clock that was set back behind `then` says nothing any
    /// more, and what nobody knows the age of counts as older than anything.
    pub fn age_of(self, then: Self) -> Duration {
        let Some(monotonic) = self.monotonic.checked_sub(then.monotonic) else { return Duration::ZERO };
        match (self.wall.since(then.wall), then.wall.since(self.wall)) {
            (Some(wall), _) => wall.max(monotonic),
            (None, Some(behind)) if behind <= CORRECTION => monotonic,
            (None, _) => Duration::MAX,
        }
    }
}

/// A length of time as configuration writes it: `250ms`, `5s`, `10m`, `24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .map(Self)
            .ok_or_else(|| {
                de::Error::custom(format_args!(
                    "`{text}` is not a length of time: write `250ms`, `5s`, `10m` or `24h`"
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_with_milliseconds_and_read_back() {
        let time = Timestamp::from_millis(1_795_426_200_125);
        assert_eq!(time.to_string(), "2026-11-23T09:30:00.125Z");
        assert_eq!(Timestamp::parse("2026-11-23T09:30:00.125Z"), Some(time));
        assert_eq!(Timestamp::from_millis(1_795_426_200_000).to_string(), "2026-11-23T09:30:00.000Z");
        assert_eq!(Timestamp::from_millis(-1).seconds(), -1);
        let next = Timestamp::from_millis(1_795_426_200_126);
        for time in [time, time, next, time] {
            assert_eq!(time.with_text(str::to_owned), time.to_string());
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_things_stale_not_fresh() {
        let now = |wall, seconds| Now {
            wall: Timestamp::from_millis(wall),
            monotonic: Duration::from_secs(seconds),
        };
        let then = now(10_000, 1);
        let (set_back, corrected, frozen) = (now(9_000, 2), now(9_500, 2), now(70_000, 2));
        assert_eq!(set_back.age_of(then), Duration::MAX);
        assert_eq!(corrected.age_of(then), Duration::from_secs(1));
        assert_eq!(frozen.age_of(then), Duration::from_mins(1));
        assert_eq!(then.age_of(frozen), Duration::ZERO, "what is still to come");
    }

    #[test]
    fn periods_are_read_with_their_units() {
        let read = |text: &str| serde_json::from_value::<Period>(text.into()).map(|period| period.0);
        assert_eq!(read("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(read("24h").unwrap(), Duration::from_hours(24));
        assert!(read("5").unwrap_err().to_string().contains("is not a length of time"));
        assert!(read("-5s").is_err());
    }
}
