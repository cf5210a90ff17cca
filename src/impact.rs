//! What a change of the policies does: the same questions, asked of both sides.
//!
//! A [`Comparison`] asks what the tests of both sides ask, what their fixtures could be asked about,
//! and what is on record. An [`Impact`] is what came of it, as plain data: what changes, and just as
//! plainly what was not looked at.

mod asking;
mod combinations;
mod comparison;
mod interned;
mod record;
mod tally;
#[cfg(test)]
mod tests;

pub use asking::Side;
pub use comparison::{Comparison, Terms};
pub use record::Torn;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::cedar::EditKind;
use crate::model::{Decision, PolicyErrorCode, Reason, RefusalCode};

/// What a change does.
#[derive(Debug, Clone, Serialize)]
pub struct Impact {
    /// The decisions that change.
    pub changes: Changes,
    /// By the policies that make the difference, widest first.
    pub by_policy: Vec<PolicyImpact>,
    /// By who is concerned, widest first. A user counts in each of their groups.
    pub by_users: Vec<UsersImpact>,
    /// Decisions that stay for other reasons, widest first.
    pub other_grounds: Vec<OtherGrounds>,
    /// What only one side can be asked, widest first.
    pub one_sided: Vec<OneSided>,
    /// The policies that were edited, those that no question touched first.
    pub edited: Vec<EditedPolicy>,
    /// What was edited beside policies: `schema`, `entities`, `settings`.
    pub also_edited: Vec<&'static str>,
    /// What was asked.
    pub asked: Questioning,
}

/// Decisions that change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Changes {
    /// From deny to allow.
    pub newly_allowed: usize,
    /// From allow to deny.
    pub newly_denied: usize,
}

/// What one policy changes.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyImpact {
    /// Its id.
    pub policy: Arc<str>,
    /// What it does on the new side that it did not on the old one.
    pub role: Role,
    /// What happened to its text; nothing where the difference comes from elsewhere.
    pub edit: Option<EditKind>,
    /// Its file.
    pub path: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// The decisions.
    #[serde(flatten)]
    pub changes: Changes,
    /// Some of the questions.
    pub examples: Vec<Example>,
}

/// What a policy does that it did not do before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It applies, a permit.
    Permits,
    /// It does not apply any more, a permit.
    PermitsNoMore,
    /// It applies, a forbid.
    Forbids,
    /// It does not apply any more, a forbid.
    ForbidsNoMore,
    /// It cannot be evaluated.
    Fails,
    /// It can be evaluated again.
    FailsNoMore,
}

/// A question whose decision changes. Of a recorded one the kinds, unless values may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Who asks, with their groups.
    pub principal: Arc<str>,
    /// For what.
    pub action: Arc<str>,
    /// On what.
    pub resource: Arc<str>,
}

/// What changes for some users.
#[derive(Debug, Clone, Serialize)]
pub struct UsersImpact {
    /// Who.
    #[serde(flatten)]
    pub users: Users,
    /// The decisions.
    #[serde(flatten)]
    pub changes: Changes,
    /// By action, widest first.
    pub actions: Vec<Arc<str>>,
}

/// The users that a question is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "users", content = "group", rename_all = "snake_case")]
pub enum Users {
    /// Those of a group.
    Group(String),
    /// Those of none.
    NoGroup,
    /// Programs.
    Machines,
    /// The principals of Cedar's own tests, which have no token.
    Untold,
}

/// Decisions that stay, for other reasons.
#[derive(Debug, Clone, Serialize)]
pub struct OtherGrounds {
    /// What is decided.
    pub decision: Decision,
    /// Why on the old side.
    pub old: Grounds,
    /// Why on the new side.
    pub new: Grounds,
    /// How many.
    pub questions: usize,
    /// One of them.
    pub example: Example,
}

/// Why a decision is what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Grounds {
    /// The reason's code.
    pub reason: Reason,
    /// The determining policies.
    pub policies: Vec<Arc<str>>,
    /// Those that could not be evaluated.
    pub errors: Vec<(Arc<str>, PolicyErrorCode)>,
}

/// Questions that only one side can be asked.
#[derive(Debug, Clone, Serialize)]
pub struct OneSided {
    /// That one.
    pub only: Which,
    /// Why the other cannot.
    pub code: RefusalCode,
    /// The same in words, of one of them; nothing where that could show values.
    pub detail: Option<String>,
    /// The action.
    pub action: Arc<str>,
    /// The type of the resource.
    pub resource_type: Arc<str>,
    /// How many are allowed.
    pub allowed: usize,
    /// How many are denied.
    pub denied: usize,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Before the change.
    Old,
    /// After it.
    New,
}

/// A policy that was edited.
#[derive(Debug, Clone, Serialize)]
pub struct EditedPolicy {
    /// Its id.
    pub policy: Arc<str>,
    /// What happened to it.
    pub edit: EditKind,
    /// Its file.
    pub path: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// The questions that were within its scope, on either side.
    pub in_scope: usize,
    /// Those that it determined.
    pub determined: usize,
}

/// What was asked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Questioning {
    /// What the tests ask.
    pub tests: Count,
    /// What their fixtures could be asked about beside.
    pub combinations: Count,
    /// How many combinations there are; more than were asked where they were too many.
    pub all_combinations: usize,
    /// Whether they were too many.
    pub cut: bool,
    /// What is on record, where a log was replayed.
    pub recorded: Option<Replay>,
}

/// Questions from one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Those that were asked of both sides or of one.
    pub asked: usize,
    /// Those whose decision changes.
    #[serde(flatten)]
    pub changes: Changes,
    /// Those that could be asked of neither side, by the code of the refusal.
    pub refused: BTreeMap<&'static str, usize>,
}

/// What became of a decision log.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Replay {
    /// Decisions and refusals on record, the torn ones among them.
    pub records: usize,
    /// Those that were asked again.
    #[serde(flatten)]
    pub count: Count,
    /// Those that could not be, by why.
    pub not_replayed: BTreeMap<String, usize>,
    /// Lines that are no whole record.
    pub torn: usize,
    /// Those that the old side decides otherwise than it is on record.
    pub decided_otherwise: usize,
}

/// Where a question comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Test,
    Combination,
    Record,
}

impl Replay {
    /// How many records could not be asked again, for whatever reason.
    pub fn unasked(&self) -> usize {
        self.torn + self.not_replayed.values().sum::<usize>()
    }
}

impl Impact {
    /// Whether somebody may do what they could not do before.
    pub fn allows_more(&self) -> bool {
        self.changes.newly_allowed > 0 || self.allowed_by_only(Which::New) > 0
    }

    /// Whether somebody may not do any more what they could do before.
    pub fn allows_less(&self) -> bool {
        self.changes.newly_denied > 0 || self.allowed_by_only(Which::Old) > 0
    }

    /// How many questions one side allows and the other refuses to judge, which is no allow.
    pub fn allowed_by_only(&self, which: Which) -> usize {
        let sided = self.one_sided.iter().filter(|sided| sided.only == which);
        sided.map(|sided| sided.allowed).sum()
    }

    /// How many questions were asked, from wherever.
    pub fn questions(&self) -> usize {
        let Questioning { tests, combinations, recorded, .. } = &self.asked;
        tests.asked + combinations.asked + recorded.as_ref().map_or(0, |replay| replay.count.asked)
    }

    /// The edited policies that no question touched.
    pub fn untouched(&self) -> impl Iterator<Item = &EditedPolicy> {
        self.edited.iter().filter(|policy| policy.in_scope == 0)
    }
}
