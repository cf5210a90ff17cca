//! Outcomes, added up: by policy, by users, by what stays and by what was not looked at.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Changes, Count, EditedPolicy, Example, Grounds, Impact, OneSided, OtherGrounds, PolicyImpact,
    Questioning, Role, Side, Source, Users, UsersImpact, Which,
};
use crate::cedar::{self, EditKind, Examined, edits};
use crate::identity::Config;
use crate::model::{Decision, Evaluation, Reason, Refusal};

/// So many examples are kept of one kind.
const EXAMPLES: usize = 5;

/// What has been seen so far.
#[derive(Debug)]
pub(super) struct Tally {
    edited: BTreeMap<Arc<str>, Touches>,
    also_edited: Vec<&'static str>,
    policies: BTreeMap<(Arc<str>, Role), (Changes, Vec<Example>)>,
    users: BTreeMap<Users, (Changes, BTreeMap<Arc<str>, usize>)>,
    other_grounds: BTreeMap<(Grounds, Grounds), (Decision, usize, Example)>,
    one_sided: BTreeMap<SidedKey, OneSided>,
    changes: Changes,
    asked: Questioning,
}

/// The side that can be asked, the other's refusal, the action, the type of the resource.
type SidedKey = (Which, &'static str, Arc<str>, Arc<str>);

/// An edited policy, and the questions that touched it.
#[derive(Debug)]
struct Touches {
    edit: EditKind,
    in_scope: usize,
    determined: usize,
}

/// A question, in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'q> {
    pub(super) source: Source,
    pub(super) users: &'q [Users],
    pub(super) principal: &'q Arc<str>,
    pub(super) action: &'q Arc<str>,
    pub(super) resource: &'q Arc<str>,
    pub(super) resource_type: &'q str,
    /// Whether what a refusal says of it may be repeated.
    pub(super) may_be_shown: bool,
}

type Outcome = Result<Examined, Refusal>;

impl Tally {
    /// Nothing yet but what was edited.
    pub(super) fn of(old: &Side<'_>, new: &Side<'_>) -> Self {
        let touches = |edit| Touches { edit, in_scope: 0, determined: 0 };
        let edited = edits(old.snapshot, new.snapshot);
        let (before, after) = (old.sources, new.sources);
        let texts = |sources: &[cedar::Source]| {
            let mut texts: Vec<_> =
                sources.iter().map(|file| (Arc::clone(&file.name), Arc::clone(&file.text))).collect();
            texts.sort_unstable();
            texts
        };
        // Where keys lie says nothing about rights, and a path differs by where a side was read.
        let rules = |side: &Side<'_>| {
            let issuers = side.issuers.iter().cloned();
            issuers.map(|issuer| Config { jwks_file: None, ..issuer }).collect::<Vec<_>>()
        };
        let settings = before.settings != after.settings || rules(old) != rules(new);
        let also = [
            ("schema", texts(&before.schema) != texts(&after.schema)),
            ("entities", texts(&before.entities) != texts(&after.entities)),
            ("settings", settings),
        ];
        Self {
            edited: edited.into_iter().map(|edit| (edit.id, touches(edit.kind))).collect(),
            also_edited: also.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect(),
            policies: BTreeMap::new(),
            users: BTreeMap::new(),
            other_grounds: BTreeMap::new(),
            one_sided: BTreeMap::new(),
            changes: Changes::default(),
            asked: Questioning::default(),
        }
    }

    /// Notes what both sides said.
    pub(super) fn note(&mut self, asked: &Asked<'_>, old: &Outcome, new: &Outcome) {
        let answered: Vec<_> = [old, new].into_iter().flatten().collect();
        self.note_touched(&answered);
        match (old, new) {
            (Ok(old), Ok(new)) => {
                self.count(asked.source).asked += 1;
                self.note_answers(asked, &old.evaluation, &new.evaluation);
            }
            (Ok(old), Err(refusal)) => self.note_one_sided(asked, Which::Old, &old.evaluation, refusal),
            (Err(refusal), Ok(new)) => self.note_one_sided(asked, Which::New, &new.evaluation, refusal),
            (Err(_), Err(refusal)) => {
                *self.count(asked.source).refused.entry(refusal.code.as_str()).or_default() += 1;
            }
        }
    }

    /// Notes how many combinations there are beside those that tests ask.
    pub(super) fn note_combinations(&mut self, all: usize, cut: bool) {
        self.asked.all_combinations = all;
        self.asked.cut = cut;
    }

    /// Notes a record: replayed, or why not.
    pub(super) fn note_record(&mut self, not_replayed: Option<String>) {
        let replay = self.asked.recorded.get_or_insert_default();
        replay.records += 1;
        if let Some(why) = not_replayed {
            *replay.not_replayed.entry(why).or_default() += 1;
        }
    }

    /// Notes a line that is no whole record.
    pub(super) fn note_torn(&mut self) {
        let replay = self.asked.recorded.get_or_insert_default();
        replay.records += 1;
        replay.torn += 1;
    }

    /// Notes that a log was read, whatever it holds.
    pub(super) fn note_log(&mut self) {
        self.asked.recorded.get_or_insert_default();
    }

    /// Notes that the old side decides otherwise than it is on record.
    pub(super) fn note_decided_otherwise(&mut self) {
        self.asked.recorded.get_or_insert_default().decided_otherwise += 1;
    }

    /// Everything, widest first.
    pub(super) fn into_impact(self, old: &Side<'_>, new: &Side<'_>) -> Impact {
        let Self { edited, also_edited, policies, users, other_grounds, one_sided, changes, asked } = self;
        let place = |id: &Arc<str>| {
            let place = new.snapshot.policy_place(id).or_else(|| old.snapshot.policy_place(id));
            place.map_or_else(|| (Arc::from(""), 0), |(path, place)| (Arc::clone(path), place.line))
        };
        let by_policy = policies.into_iter().map(|((policy, role), (changes, examples))| {
            let edit = edited.get(&policy).map(|touches| touches.edit);
            let (path, line) = place(&policy);
            PolicyImpact { policy, role, edit, path, line, changes, examples }
        });
        let by_users = users.into_iter().map(|(users, (changes, actions))| UsersImpact {
            users,
            changes,
            actions: widest(actions.into_iter(), |(_, count)| *count).map(|(action, _)| action).collect(),
        });
        let other_grounds = other_grounds.into_iter().map(|((old, new), (decision, questions, example))| {
            OtherGrounds { decision, old, new, questions, example }
        });
        let policies = edited.iter().map(|(policy, touches)| {
            let Touches { edit, in_scope, determined } = *touches;
            let (path, line) = place(policy);
            EditedPolicy { policy: Arc::clone(policy), edit, path, line, in_scope, determined }
        });
        let mut policies: Vec<_> = policies.collect();
        policies.sort_by_key(|policy| policy.in_scope > 0);
        Impact {
            changes,
            by_policy: widest(by_policy, |impact| impact.changes.all()).collect(),
            by_users: widest(by_users, |impact| impact.changes.all()).collect(),
            other_grounds: widest(other_grounds, |grounds| grounds.questions).collect(),
            one_sided: widest(one_sided.into_values(), |sided| sided.allowed + sided.denied).collect(),
            edited: policies,
            also_edited,
            asked,
        }
    }

    fn note_touched(&mut self, sides: &[&Examined]) {
        for (id, touches) in &mut self.edited {
            touches.in_scope += usize::from(sides.iter().any(|side| side.in_scope.contains(id)));
            touches.determined += usize::from(sides.iter().any(|side| side.evaluation.policies.contains(id)));
        }
    }

    fn note_answers(&mut self, asked: &Asked<'_>, old: &Evaluation, new: &Evaluation) {
        let changes = match (old.decision, new.decision) {
            (Decision::Deny, Decision::Allow) => Changes { newly_allowed: 1, newly_denied: 0 },
            (Decision::Allow, Decision::Deny) => Changes { newly_allowed: 0, newly_denied: 1 },
            (Decision::Allow, Decision::Allow) | (Decision::Deny, Decision::Deny) => {
                return self.note_grounds(asked, old, new);
            }
        };
        self.changes.add(changes);
        self.count(asked.source).changes.add(changes);
        for (policy, role) in responsible(old, new) {
            let (sum, examples) = self.policies.entry((Arc::clone(policy), role)).or_default();
            sum.add(changes);
            if examples.len() < EXAMPLES {
                let example = asked.example();
                if !examples.contains(&example) {
                    examples.push(example);
                }
            }
        }
        for users in asked.users {
            let (sum, actions) = self.users.entry(users.clone()).or_default();
            sum.add(changes);
            *actions.entry(Arc::clone(asked.action)).or_default() += 1;
        }
    }

    fn note_grounds(&mut self, asked: &Asked<'_>, old: &Evaluation, new: &Evaluation) {
        let (before, after) = (Grounds::of(old), Grounds::of(new));
        if before != after {
            let seen = self.other_grounds.entry((before, after));
            seen.or_insert_with(|| (new.decision, 0, asked.example())).1 += 1;
        }
    }

    fn note_one_sided(&mut self, asked: &Asked<'_>, only: Which, answer: &Evaluation, refusal: &Refusal) {
        self.count(asked.source).asked += 1;
        let resource_type = Arc::<str>::from(asked.resource_type);
        let key = (only, refusal.code.as_str(), Arc::clone(asked.action), Arc::clone(&resource_type));
        let sided = self.one_sided.entry(key).or_insert_with(|| OneSided {
            only,
            code: refusal.code,
            detail: None,
            action: Arc::clone(asked.action),
            resource_type,
            allowed: 0,
            denied: 0,
        });
        if sided.detail.is_none() && asked.may_be_shown {
            sided.detail = Some(refusal.detail.clone());
        }
        match answer.decision {
            Decision::Allow => sided.allowed += 1,
            Decision::Deny => sided.denied += 1,
        }
    }

    fn count(&mut self, source: Source) -> &mut Count {
        match source {
            Source::Test => &mut self.asked.tests,
            Source::Combination => &mut self.asked.combinations,
            Source::Record => &mut self.asked.recorded.get_or_insert_default().count,
        }
    }
}

/// The largest first; equal ones as they came.
fn widest<T>(items: impl Iterator<Item = T>, width: impl Fn(&T) -> usize) -> impl Iterator<Item = T> {
    let mut items: Vec<_> = items.collect();
    items.sort_by_key(|item| Reverse(width(item)));
    items.into_iter()
}

/// The policies that make the difference between two decisions, each with what it does now.
fn responsible<'e>(old: &'e Evaluation, new: &'e Evaluation) -> Vec<(&'e Arc<str>, Role)> {
    let policies = |evaluation: &'e Evaluation, role: Role| {
        evaluation.policies.iter().map(move |policy| (policy, role)).collect()
    };
    let errors = |evaluation: &'e Evaluation, role: Role| {
        evaluation.errors.iter().map(move |error| (&error.policy, role)).collect()
    };
    match (old.reason, new.reason) {
        (Reason::Permitted, Reason::Forbidden) => policies(new, Role::Forbids),
        (Reason::Permitted, Reason::EvaluationError) => errors(new, Role::Fails),
        (Reason::Permitted, _) => policies(old, Role::PermitsNoMore),
        (Reason::Forbidden, _) => policies(old, Role::ForbidsNoMore),
        (Reason::EvaluationError, _) => errors(old, Role::FailsNoMore),
        (Reason::NoPermit | Reason::NotEvaluated, _) => policies(new, Role::Permits),
    }
}

impl Grounds {
    fn of(evaluation: &Evaluation) -> Self {
        Self {
            reason: evaluation.reason,
            policies: evaluation.policies.clone(),
            errors: evaluation.errors.iter().map(|error| (Arc::clone(&error.policy), error.code)).collect(),
        }
    }
}

impl Asked<'_> {
    fn example(&self) -> Example {
        let groups = self.users.iter().filter_map(|users| match users {
            Users::Group(group) => Some(group.as_str()),
            Users::NoGroup | Users::Machines | Users::Untold => None,
        });
        let groups: Vec<_> = groups.collect();
        let principal = match groups.as_slice() {
            [] => Arc::clone(self.principal),
            [first, second, _, ..] => format!("{} ({first}, {second}, …)", self.principal).into(),
            groups => format!("{} ({})", self.principal, groups.join(", ")).into(),
        };
        Example { principal, action: Arc::clone(self.action), resource: Arc::clone(self.resource) }
    }
}

impl Changes {
    /// Both together.
    pub const fn all(self) -> usize {
        self.newly_allowed + self.newly_denied
    }

    fn add(&mut self, other: Self) {
        self.newly_allowed += other.newly_allowed;
        self.newly_denied += other.newly_denied;
    }
}
