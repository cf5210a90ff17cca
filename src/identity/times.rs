//! The times of a token, judged at every request: a token that was verified a minute ago may have expired.

use std::time::Duration;

use super::config::{CLOCK_TOLERANCE, Config};
use super::rule::{Broken, Rule};
use crate::model::Timestamp;

/// `exp`, `iat` and `nbf`: seconds since 1970 (RFC 7519, section 2, `NumericDate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it ends.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// When it begins, where it says so.
    pub nbf: Option<i64>,
}

/// What an issuer allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeTerms {
    /// How long after `exp` it is still accepted.
    pub leeway: Duration,
    /// The longest life and the greatest age.
    pub max_age: Duration,
}

impl TimeTerms {
    /// The part of an issuer's settings that is about time.
    pub fn of(config: &Config) -> Self {
        Self { leeway: config.leeway.0.min(CLOCK_TOLERANCE), max_age: config.max_token_age.0 }
    }
}

impl Times {
    /// The rules about time, in order.
    pub const RULES: [Rule; 4] = [Rule::Expiry, Rule::Issued, Rule::Age, Rule::NotBefore];

    /// Every rule about time. Allocates only where one is broken.
    pub fn check(self, terms: TimeTerms, now: Timestamp) -> Result<(), Broken> {
        Self::RULES.into_iter().try_for_each(|rule| self.keeps(rule, terms, now))
    }

    /// One rule about time; every other is kept.
    pub fn keeps(self, rule: Rule, terms: TimeTerms, now: Timestamp) -> Result<(), Broken> {
        let now = i128::from(now.millis());
        let [exp, iat] = [self.exp, self.iat].map(in_millis);
        match rule {
            Rule::Expiry if now >= exp + millis(terms.leeway) => {
                Err(broken(rule, "expired", "expired", "`exp` has passed", None))
            }
            Rule::Issued if iat > now + millis(CLOCK_TOLERANCE) => {
                Err(broken(rule, "issued_in_future", "issued in the future", "`iat` is in the future", None))
            }
            Rule::Age if exp - iat > millis(terms.max_age) => Err(broken(
                rule,
                "too_old",
                "too old",
                "the time from `iat` to `exp` is longer than `max_token_age`",
                Some("max_token_age"),
            )),
            Rule::Age if now - iat > millis(terms.max_age) => Err(broken(
                rule,
                "too_old",
                "too old",
                "the time since `iat` is longer than `max_token_age`",
                Some("max_token_age"),
            )),
            Rule::NotBefore if self.nbf.is_some_and(|nbf| in_millis(nbf) > now + millis(CLOCK_TOLERANCE)) => {
                Err(broken(rule, "not_yet_valid", "not yet valid", "`nbf` is in the future", None))
            }
            _ => Ok(()),
        }
    }
}

fn broken(
    rule: Rule,
    class: &'static str,
    detail: &'static str,
    cause: &str,
    setting: Option<&'static str>,
) -> Broken {
    Broken { rule, class, detail, cause: cause.to_owned(), setting }
}

/// In 128 bits, because a token may say any 64 of them.
fn in_millis(seconds: i64) -> i128 {
    i128::from(seconds) * 1_000
}

fn millis(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: TimeTerms = TimeTerms { leeway: Duration::ZERO, max_age: Duration::from_hours(24) };
    const NOW: i64 = 1_800_000_000;

    fn at(exp: i64, iat: i64, nbf: Option<i64>, terms: TimeTerms) -> Result<(), &'static str> {
        Times { exp: NOW + exp, iat: NOW + iat, nbf: nbf.map(|nbf| NOW + nbf) }
            .check(terms, Timestamp::from_millis(NOW * 1_000))
            .map_err(|broken| broken.class)
    }

    #[test]
    fn a_token_ends_at_exp_to_the_second_and_to_the_millisecond() {
        assert_eq!(at(1, -3_600, None, TERMS), Ok(()));
        assert_eq!(at(0, -3_600, None, TERMS), Err("expired"));
        let times = Times { exp: NOW, iat: NOW - 10, nbf: None };
        assert!(times.check(TERMS, Timestamp::from_millis(NOW * 1_000 - 1)).is_ok());
    }

    #[test]
    fn leeway_is_for_exp_only() {
        let lenient = TimeTerms { leeway: Duration::from_mins(1), ..TERMS };
        assert_eq!(at(-59, -3_600, None, lenient), Ok(()));
        assert_eq!(at(-60, -3_600, None, lenient), Err("expired"));
        assert_eq!(at(60, 61, None, lenient), Err("issued_in_future"));
    }

    #[test]
    fn a_clock_may_run_ahead_of_ours_by_a_minute() {
        assert_eq!(at(3_600, 60, Some(60), TERMS), Ok(()));
        assert_eq!(at(3_600, 61, None, TERMS), Err("issued_in_future"));
        assert_eq!(at(3_600, 0, Some(61), TERMS), Err("not_yet_valid"));
    }

    #[test]
    fn neither_a_long_life_nor_a_great_age_passes() {
        assert_eq!(at(86_400, 0, None, TERMS), Ok(()));
        assert_eq!(at(86_401, 0, None, TERMS), Err("too_old"));
        let lenient = TimeTerms { leeway: Duration::from_mins(1), ..TERMS };
        assert_eq!(at(-1, -86_401, None, lenient), Err("too_old"));
    }

    #[test]
    fn no_time_that_can_be_written_overflows() {
        let extremes = [i64::MIN, -1, 0, 1, NOW, i64::MAX];
        for (exp, iat, nbf) in extremes
            .into_iter()
            .flat_map(|exp| extremes.into_iter().flat_map(move |iat| extremes.map(|nbf| (exp, iat, nbf))))
        {
            for now in [i64::MIN, 0, NOW * 1_000, i64::MAX] {
                let _ = Times { exp, iat, nbf: Some(nbf) }.check(TERMS, Timestamp::from_millis(now));
            }
        }
    }
}
