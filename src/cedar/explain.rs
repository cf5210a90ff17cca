//! An evaluation in words: who the principal was, which policies determined it, which almost
//! applied, and what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::Entity;
use serde::Serialize;

use super::Snapshot;
use super::case::Case;
use super::policies::PolicyInfo;
use super::principal::Principal;
use super::scene::Scene;
use crate::model::{Evaluation, Identity, Record, TokenUse};

mod failed_part;
pub(in crate::cedar) mod hints;
mod near_misses;

pub use failed_part::{FailedPart, Part, Seen};
pub use hints::{Hint, HintCode};

pub use near_misses::NearMiss;
use near_misses::NearMisses;

/// The principal as Palisade saw it, the policies that determined the decision, and what to do
/// where another one was expected.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The principal.
    pub principal: ExplainedPrincipal,
    /// The determining policies, in the order of the answer.
    pub policies: Vec<ExplainedPolicy>,
    /// The errors of policies in the engine's own words.
    pub errors: Vec<ExplainedError>,
    /// Policies that did not apply but almost did: those whose scope the request is within, or
    /// outside of in one part. The effect that could have turned the decision comes first, and
    /// what failed in the fewest parts.
    pub near_misses: Vec<NearMiss>,
    /// How many policies were not looked into because there are too many.
    #[serde(skip_serializing_if = "is_none")]
    pub unexamined: usize,
    /// Probable causes, and what to do about them.
    pub hints: Vec<Hint>,
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
    pub attributes: Record,
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

/// A request that was evaluated, and everything that it was evaluated under.
pub(super) struct Circumstances<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) identity: &'a Identity,
    pub(super) principal: &'a Principal,
    pub(super) case: &'a Case<'a>,
    pub(super) scene: Scene,
}

/// Puts the explanation of one evaluation together.
pub(super) fn explanation(around: &Circumstances<'_>, evaluation: &Evaluation) -> Explanation {
    let error = |error: &crate::model::PolicyError| ExplainedError {
        policy: Arc::clone(&error.policy),
        message: error.text.clone(),
    };
    let NearMisses { told: near_misses, unexamined } = NearMisses::of(around, evaluation);
    Explanation {
        principal: explained_principal(around.identity, around.principal),
        policies: evaluation
            .policies
            .iter()
            .filter_map(|id| around.snapshot.policies.get(id))
            .map(|info| explained_policy(info))
            .collect(),
        errors: evaluation.errors.iter().map(error).collect(),
        hints: hints::of_near_misses(around, &near_misses),
        near_misses,
        unexamined,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
const fn is_none(count: &usize) -> bool {
    *count == 0
}

fn explained_principal(identity: &Identity, principal: &Principal) -> ExplainedPrincipal {
    let mut groups: Vec<_> = principal
        .ancestors
        .iter()
        .map(|uid| ExplainedGroup {
            uid: uid.to_string(),
            from: if principal.token_groups.contains(uid) { GroupOrigin::Token } else { GroupOrigin::Stored },
        })
        .collect();
    groups.sort_unstable_by(|left, right| left.uid.cmp(&right.uid));
    ExplainedPrincipal {
        uid: principal.uid.to_string(),
        token_use: identity.token_use,
        groups,
        attributes: principal.alone.get(&principal.uid).map(attributes).unwrap_or_default(),
    }
}

fn attributes(entity: &Entity) -> Record {
    let json = entity.to_json_value().unwrap_or_default();
    json.get("attrs")
        .cloned()
        .and_then(|attributes| serde_json::from_value(attributes).ok())
        .unwrap_or_default()
}

fn explained_policy(info: &PolicyInfo) -> ExplainedPolicy {
    ExplainedPolicy {
        id: Arc::clone(&info.id),
        effect: info.effect_name(),
        path: Arc::clone(&info.path),
        line: info.place.line,
        column: info.place.column,
        annotations: info.annotations(),
    }
}

#[cfg(test)]
mod tests;
