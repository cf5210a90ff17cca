//! The texts of Cedar's extension types: judged by the extension's own parser, and without it where
//! a text is of a form that the parser takes for certain.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use super::schema::Extension;

/// Digits before the point that a decimal can have without a thought for its 64 bits.
const SAFE_DIGITS: usize = 14;
/// Digits behind the point of a decimal.
const DECIMAL_PLACES: usize = 4;

/// Whether a text is a value of the extension type.
///
/// # Errors
/// What it is not, for a message that must not repeat the text.
pub(super) fn judge(kind: Extension, text: &str) -> Result<(), String> {
    if is_certain(kind, text) {
        return Ok(());
    }
    // The extension's parser runs when an entity is made; there is no nearer public road to it.
    let probe = PROBE.clone().ok_or("the engine is not as it was built for")?;
    Entity::new_with_tags(probe, [(String::new(), expression(kind, text))], [], [])
        .map(|_| ())
        .map_err(|_| format!("the string is not {} as Cedar writes them", article(kind)))
}

/// A value of the extension type; it is judged when the engine first looks at it.
pub(super) fn expression(kind: Extension, text: &str) -> RestrictedExpression {
    match kind {
        Extension::Decimal => RestrictedExpression::new_decimal(text),
        Extension::Ipaddr => RestrictedExpression::new_ip(text),
        Extension::Datetime => RestrictedExpression::new_datetime(text),
        Extension::Duration => RestrictedExpression::new_duration(text),
    }
}

/// The function that Cedar writes such values with.
pub(super) const fn constructor(kind: Extension) -> &'static str {
    match kind {
        Extension::Ipaddr => "ip",
        Extension::Decimal | Extension::Datetime | Extension::Duration => kind.as_str(),
    }
}

/// Common forms, told without the engine, which looks every function's name up with its whole
/// parser: that costs more than the rest of a request. `false` means only that it must be asked.
fn is_certain(kind: Extension, text: &str) -> bool {
    match kind {
        Extension::Decimal => is_plain_decimal(text),
        Extension::Ipaddr => {
            Ipv4Addr::from_str(text).is_ok() || (!text.contains('.') && Ipv6Addr::from_str(text).is_ok())
        }
        Extension::Datetime | Extension::Duration => false,
    }
}

fn is_plain_decimal(text: &str) -> bool {
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.strip_prefix('-')
        .unwrap_or(text)
        .split_once('.')
        .is_some_and(|(whole, places)| digits(whole, SAFE_DIGITS) && digits(places, DECIMAL_PLACES))
}

static PROBE: LazyLock<Option<EntityUid>> = LazyLock::new(|| {
    let probe = EntityTypeName::from_str("Probe").ok()?;
    Some(EntityUid::from_type_name_and_id(probe, EntityId::new("")))
});

const fn article(kind: Extension) -> &'static str {
    match kind {
        Extension::Decimal => "a decimal (`1.25`)",
        Extension::Ipaddr => "an address (`203.0.113.9`, `10.0.0.0/8`)",
        Extension::Datetime => "a datetime (`2026-11-23T09:30:00Z`)",
        Extension::Duration => "a duration (`1h30m`)",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Cedar says of a text, whatever is certain about it.
    fn cedar_takes(kind: Extension, text: &str) -> bool {
        let probe = PROBE.clone().unwrap();
        Entity::new_with_tags(probe, [(String::new(), expression(kind, text))], [], []).is_ok()
    }

    #[test]
    fn usual_forms_are_certain_and_others_are_asked_about() {
        for (kind, text, certain) in [
            (Extension::Decimal, "1.25", true),
            (Extension::Decimal, "-99999999999999.9999", true),
            (Extension::Decimal, "922337203685477.5807", false),
            (Extension::Ipaddr, "203.0.113.9", true),
            (Extension::Ipaddr, "2001:db8::1", true),
            (Extension::Ipaddr, "10.0.0.0/8", false),
        ] {
            assert_eq!(is_certain(kind, text), certain, "{text}");
            assert!(judge(kind, text).is_ok(), "{text}");
        }
        for (kind, text) in [
            (Extension::Decimal, "1.23456"),
            (Extension::Decimal, "1"),
            (Extension::Ipaddr, "203.0.113.009"),
            (Extension::Ipaddr, "::ffff:1.2.3.4"),
            (Extension::Datetime, "yesterday"),
            (Extension::Duration, "1x"),
        ] {
            assert!(judge(kind, text).is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_certain_is_what_cedar_takes(
            text in prop_oneof![
                r"-?[0-9]{1,16}\.[0-9]{1,5}",
                r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(/[0-9]{1,2})?",
                r"([0-9a-f]{0,5}:){2,8}[0-9a-f]{0,4}(\.1\.1\.1)?",
                r"[-0-9.:a-f/ ]{0,12}",
            ],
        ) {
            for kind in [Extension::Decimal, Extension::Ipaddr] {
                if is_certain(kind, &text) {
                    prop_assert!(cedar_takes(kind, &text), "{:?} {}", kind, text);
                }
            }
        }
    }
}
