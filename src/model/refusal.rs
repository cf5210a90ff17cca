//! Why a question was not answered, where the fault lies in the question or in the token's claims.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A question that cannot be asked: a stable code and a sentence that the caller may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What kind of fault.
    pub code: RefusalCode,
    /// What is wrong and what was meant; never a token, a claim's value or the name of a Rust type.
    pub detail: String,
}

/// The faults that a question, or the token behind it, can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// Wrong without looking at the schema: JSON, shape, limits.
    MalformedRequest,
    /// The body describes what only the token and the stored entities may.
    ForgedIdentity,
    /// The body describes an entity that is stored.
    StoredEntity,
    /// No such action in the schema.
    UnknownAction,
    /// No such entity type in the schema.
    UnknownType,
    /// Known names, but not as the schema wants them.
    SchemaMismatch,
    /// A verified token whose claims do not make a principal under this schema.
    InvalidToken,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Wrong JSON, shape or size.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(RefusalCode::MalformedRequest, detail)
    }

    /// Wrong under the schema.
    pub fn mismatch(detail: impl Into<String>) -> Self {
        Self::new(RefusalCode::SchemaMismatch, detail)
    }
}

impl RefusalCode {
    /// The stable code, as answers and records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::ForgedIdentity => "forged_identity",
            Self::StoredEntity => "stored_entity",
            Self::UnknownAction => "unknown_action",
            Self::UnknownType => "unknown_type",
            Self::SchemaMismatch => "schema_mismatch",
            Self::InvalidToken => "invalid_token",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Refusal {}
