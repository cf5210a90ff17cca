//! An evaluation in words: who the principal was, and what each determining policy says.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::model::{TokenUse, Value};

/// The principal as Palisade saw it, and the policies that determined the decision.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The principal.
    pub principal: ExplainedPrincipal,
    /// The determining policies, in the order of the answer.
    pub policies: Vec<ExplainedPolicy>,
    /// The errors of policies in the engine's own words.
    pub errors: Vec<ExplainedError>,
}

/// The principal as an entity.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedPrincipal {
    /// `Shop::User::"3f0c…"`.
    pub uid: String,
    /// Which kind of token spoke for it.
    pub token_use: TokenUse,
    /// Its ancestors.
    pub groups: Vec<ExplainedGroup>,
    /// Its attributes, as Cedar writes them in JSON.
    pub attributes: BTreeMap<String, Value>,
}

/// An ancestor of the principal.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedGroup {
    /// `Shop::Group::"admin"`.
    pub uid: String,
    /// `token` or `stored`.
    pub from: GroupOrigin,
}

/// Where a membership comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupOrigin {
    /// The token's groups claim.
    Token,
    /// The stored entities.
    Stored,
}

/// A determining policy.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedPolicy {
    /// Its id.
    pub id: Arc<str>,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// Its file.
    pub path: Arc<str>,
    /// Where it begins, counted from 1.
    pub line: usize,
    /// Where it begins, counted from 1.
    pub column: usize,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A policy that failed to evaluate.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedError {
    /// Its id.
    pub policy: Arc<str>,
    /// The engine's words.
    pub message: String,
}
