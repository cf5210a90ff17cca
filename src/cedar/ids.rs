//! The id of a policy: its `@id`, or its file and its number there.

use thiserror::Error;

/// What an id may be long, in bytes.
const LONGEST: usize = 128;

/// An `@id` that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` cannot be a policy's id")]
pub(super) struct BadId(String);

impl BadId {
    /// The code of its finding.
    pub(super) const CODE: &'static str = "bad-id";
    /// What to do about it.
    pub(super) const HELP: &'static str =
        "an id has 1 to 128 letters of ASCII, digits, and the characters `.`, `_`, `/` and `-`";
}

/// The id of the policy that stands at `ordinal`, counted from 1 over all statements of the file.
///
/// # Errors
/// The annotation is no id.
pub(super) fn policy_id(path: &str, ordinal: usize, annotation: Option<&str>) -> Result<String, BadId> {
    match annotation {
        Some(id) if is_id(id) => Ok(id.to_owned()),
        Some(other) => Err(BadId(shown(other))),
        None => Ok(format!("{}#{ordinal}", path.strip_suffix(".cedar").unwrap_or(path))),
    }
}

fn is_id(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte))
}

/// On one line, and not longer than an id may be.
fn shown(text: &str) -> String {
    let mut shown: String = text.escape_debug().take(LONGEST).collect();
    if text.escape_debug().count() > LONGEST {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_called_by_its_annotation_or_by_its_place() {
        let longest = "x".repeat(128);
        assert_eq!(policy_id("policies/product.cedar", 2, None).unwrap(), "policies/product#2");
        assert_eq!(policy_id("policies/a.cedar.cedar", 1, None).unwrap(), "policies/a.cedar#1");
        for id in ["admins-manage-products", "team/a_b.2", &longest] {
            assert_eq!(policy_id("a.cedar", 1, Some(id)).unwrap(), id);
        }
    }

    #[test]
    fn what_a_log_line_could_not_hold_is_no_id() {
        let too_long = "x".repeat(129);
        for id in ["", "a b", "a#1", "naïve", "a\nb", &too_long] {
            assert!(policy_id("a.cedar", 1, Some(id)).is_err(), "{id}");
        }
        let long = policy_id("a.cedar", 1, Some(&"\n".repeat(1_000))).unwrap_err().to_string();
        assert!(long.len() < 200 && !long.contains('\n'), "{long}");
    }
}
