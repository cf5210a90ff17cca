//! The groups claim: an array of names, or a reason to refuse the token.

use serde_json::value::RawValue;

/// Cognito allows 100 groups a user; ten times that is no user any more.
pub const MOST_GROUPS: usize = 1_000;

/// Cognito allows 128 characters; most of them may take two bytes.
pub const LONGEST_NAME: usize = 256;

/// Why a groups claim is refused. It never becomes "no groups".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupsFault {
    /// A string, a number, null, an object, or an array that holds one of these.
    #[error("it is not an array of strings")]
    Shape,
    /// More than [`MOST_GROUPS`].
    #[error("it holds more than {MOST_GROUPS} names")]
    TooMany,
    /// Empty, or longer than [`LONGEST_NAME`].
    #[error("a name in it does not have 1 to {LONGEST_NAME} bytes")]
    Name,
}

/// Reads the claim: sorted, each name once. Names are taken as they are: `["a,b"]` is one group.
pub fn read(claim: Option<&RawValue>) -> Result<Vec<String>, GroupsFault> {
    let Some(claim) = claim else { return Ok(Vec::new()) };
    check(serde_json::from_str(claim.get()).map_err(|_| GroupsFault::Shape)?)
}

/// The same for names that somebody wrote down.
pub fn check(mut names: Vec<String>) -> Result<Vec<String>, GroupsFault> {
    if names.len() > MOST_GROUPS {
        return Err(GroupsFault::TooMany);
    }
    if names.iter().any(|name| name.is_empty() || name.len() > LONGEST_NAME) {
        return Err(GroupsFault::Name);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(json: &str) -> Result<Vec<String>, GroupsFault> {
        read(Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn groups_are_sorted_and_each_given_once() {
        assert_eq!(groups(r#"["user", "admin", "user"]"#).unwrap(), ["admin", "user"]);
        assert_eq!(groups("[]").unwrap(), [""; 0]);
        assert_eq!(read(None).unwrap(), [""; 0]);
    }

    #[test]
    fn whatever_is_not_an_array_of_strings_refuses_the_token() {
        for json in [
            r#""admin""#,
            r#""[\"admin\"]""#,
            "null",
            "7",
            "true",
            r#"{"admin": true}"#,
            r#"[["admin"]]"#,
            r#"["admin", null]"#,
            r#"["admin", 7]"#,
            r#"[{"__entity": {"type": "Group", "id": "admin"}}]"#,
        ] {
            assert_eq!(groups(json).unwrap_err(), GroupsFault::Shape, "{json}");
        }
    }

    #[test]
    fn names_that_look_like_other_names_are_just_other_names() {
        for name in
            [r#"["admin"]"#, "admin,user", " admin", "Admin", "admin\0", "us-east-1_X|admin", "\"admin\""]
        {
            let json = serde_json::to_string(&[name]).unwrap();
            assert_eq!(groups(&json).unwrap(), [name]);
            assert_ne!(name, "admin");
        }
    }

    #[test]
    fn names_and_their_number_are_bounded() {
        assert_eq!(groups(r#"[""]"#).unwrap_err(), GroupsFault::Name);
        assert_eq!(check(vec!["x".repeat(257)]).unwrap_err(), GroupsFault::Name);
        assert!(check(vec!["x".repeat(256)]).is_ok());
        assert_eq!(check(vec!["x".to_owned(); 1_001]).unwrap_err(), GroupsFault::TooMany);
        assert!(check(vec!["x".to_owned(); 1_000]).is_ok());
    }
}
