//! The text of a user's token: a secret that no log line can show.

use std::fmt;

use serde::Deserialize;

/// A compact JWS as it was received, verified or not. Its `Debug` form hides it, and it has no
/// `Display` and no `Serialize`.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Token<T = String>(T);

impl<T: AsRef<str>> Token<T> {
    /// Takes the text as it came, judged by nobody yet.
    pub fn new(text: impl Into<T>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the verifier.
    pub fn expose(&self) -> &str {
        self.0.as_ref()
    }
}

impl<T: AsRef<str>> fmt::Debug for Token<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({} bytes)", self.expose().len())
    }
}
