//! What a change of the policies does: the same questions, asked of both sides.
//!
//! A [`Comparison`] asks what the tests of both sides ask, what their fixtures could be asked about,
//! and what is on record. An [`Impact`] is what came of it, as plain data: what changes, and just as
//! plainly what was not looked at.

mod asking;
mod combinations;
mod interned;
mod record;
mod tally;
#[cfg(test)]
mod tests;

pub use asking::Side;
pub use record::Torn;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::Serialize;

use crate::cedar::{EditKind, Given, entity_parts};
use crate::model::{
    Decision, EntityDescription, PolicyErrorCode, Reason, Record, Refusal, RefusalCode, Timestamp,
};
use crate::suite::questions::{Circumstances, Posed, Questions, Speaker};
use asking::{Asker, Query};
use combinations::Combinations;
use interned::Interned;
use record::{Read, Recorded, Records};
use tally::{Asked, Tally};

/// So many combinations of fixtures are asked; of more, so many that lie evenly among them.
pub const MOST_COMBINATIONS: usize = 100_000;

/// How a comparison goes.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The time of the questions that have none of their own.
    pub now: Timestamp,
    /// Whether the impact may speak of the users and entities of recorded questions by their ids.
    pub show_values: bool,
}

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
    /// Decisions and refusals on record.
    pub records: usize,
    /// Those that were asked again.
    #[serde(flatten)]
    pub count: Count,
    /// Those that could not be, by why.
    pub not_replayed: BTreeMap<String, usize>,
    /// Those that the old side decides otherwise than it is on record.
    pub decided_otherwise: usize,
}

/// Asks both sides.
#[derive(Debug)]
pub struct Comparison<'a> {
    old: Side<'a>,
    new: Side<'a>,
    terms: Terms,
    speakers: Interned<Speaker<'a>>,
    /// The speakers, judged by both sides.
    askers: Vec<Asker>,
    things: Interned<&'a EntityDescription>,
    thing_names: Vec<Arc<str>>,
    circumstances: Interned<Circumstances>,
    /// What the tests tell each action.
    told: BTreeMap<Arc<str>, BTreeSet<usize>>,
    asked: HashSet<Key>,
    records: Records,
    tally: Tally,
}

/// A question, by what it consists of: speaker, action, thing and circumstances.
type Key = (usize, Arc<str>, usize, usize);

impl<'a> Comparison<'a> {
    /// Compares the texts; nothing is asked yet.
    pub fn of(old: Side<'a>, new: Side<'a>, terms: Terms) -> Self {
        Self {
            tally: Tally::of(&old, &new),
            old,
            new,
            terms,
            speakers: Interned::default(),
            askers: Vec::new(),
            things: Interned::default(),
            thing_names: Vec::new(),
            circumstances: Interned::default(),
            told: BTreeMap::new(),
            asked: HashSet::new(),
            records: Records::default(),
        }
    }

    /// Asks what the tests of both sides ask, each question once.
    pub fn ask_tests(&mut self) {
        let mut given = HashSet::new();
        // The new ones first: a name that both sides use is then the new side's.
        for suite in [self.new.suite, self.old.suite] {
            for posed in suite.questions() {
                match posed {
                    Posed::Questions(questions) => self.ask_questions(&questions),
                    Posed::Given(request) if given.insert(request) => self.ask_given(&request),
                    Posed::Given(_) => {}
                }
            }
        }
    }

    /// Asks what the fixtures of both sides could be asked about beside: every principal about every
    /// action on every resource that it applies to, told what tests tell it.
    pub fn ask_combinations(&mut self) {
        // One that tests ask about is known already, with the issuer that they name.
        let known: HashSet<_> = self.speakers.all().iter().map(|speaker| speaker.token).collect();
        for suite in [self.new.suite, self.old.suite] {
            for speaker in suite.speakers().filter(|speaker| !known.contains(speaker.token)) {
                self.asker(speaker);
            }
            for thing in suite.things() {
                self.thing(thing.name, thing.entity);
            }
        }
        let untold = self.circumstances.number(Circumstances::default());
        let combinations = Combinations::of(self, untold);
        let mut before = 0;
        for key in combinations.spread(MOST_COMBINATIONS) {
            if !self.asked.contains(&key) {
                self.ask(&key, Source::Combination);
            } else {
                before += 1;
            }
        }
        self.tally.note_combinations(combinations.count().saturating_sub(before), MOST_COMBINATIONS);
    }

    /// Notes that a log is replayed, whatever it turns out to hold.
    pub fn expect_records(&mut self) {
        self.tally.note_log();
    }

    /// Asks what a line of a decision log asked.
    ///
    /// # Errors
    /// It is no record.
    pub fn replay(&mut self, line: &str) -> Result<(), Torn> {
        let recorded = match self.records.read(line)? {
            Read::Nothing => return Ok(()),
            Read::NotReplayable(why) => {
                self.tally.note_record(Some(why));
                return Ok(());
            }
            Read::Recorded(recorded) => recorded,
        };
        let unheld = [&self.old, &self.new].into_iter().find_map(|side| recorded.lacks(side));
        if let Some(claim) = unheld {
            self.tally.note_record(Some(format!("the claim `{claim}` is mapped and not on record")));
            return Ok(());
        }
        self.tally.note_record(None);
        self.ask_recorded(&recorded);
        Ok(())
    }

    /// What came of everything that was asked.
    pub fn into_impact(self) -> Impact {
        self.tally.into_impact(&self.old, &self.new)
    }

    fn ask_questions(&mut self, questions: &Questions<'a>) {
        let asker = self.asker(questions.speaker);
        let thing = self.thing(questions.thing.name, questions.thing.entity);
        let mut actions: BTreeSet<_> =
            questions.actions.iter().map(|action| self.short_name(action)).collect();
        if questions.every_other
            && let Some(asker) = self.askers.get(asker)
        {
            let resource_type = &questions.thing.entity.type_name;
            actions.extend(asker.applicable(&self.old, &self.new, resource_type));
        }
        for action in actions {
            let is_same = |name: &str| self.short_name(name) == action;
            let circumstances = self.plain(&action, questions.circumstances(is_same));
            let circumstances = self.circumstances.number(circumstances);
            self.told.entry(Arc::clone(&action)).or_default().insert(circumstances);
            let key = (asker, action, thing, circumstances);
            if self.asked.insert(key.clone()) {
                self.ask(&key, Source::Test);
            }
        }
    }

    fn ask(&mut self, (asker, action, thing, circumstances): &Key, source: Source) {
        let parts =
            (self.askers.get(*asker), self.things.get(*thing), self.circumstances.get(*circumstances));
        let (Some(asker), Some(entity), Some(circumstances)) = parts else { return };
        let now = circumstances.now.unwrap_or(self.terms.now);
        let query = Query { action, entity, circumstances, now };
        let outcomes = (self.old.ask(&asker.old, &query), self.new.ask(&asker.new, &query));
        let asked = Asked {
            source,
            users: &asker.users,
            principal: &asker.name,
            action,
            resource: self.thing_names.get(*thing).map_or(action, |name| name),
            resource_type: &entity.type_name,
            may_be_shown: true,
        };
        self.tally.note(&asked, &outcomes.0, &outcomes.1);
    }

    fn ask_given(&mut self, given: &Given<'_>) {
        let ask = |side: &Side<'_>| side.snapshot.examine_given(given).map_err(Refusal::malformed);
        let outcomes = (ask(&self.old), ask(&self.new));
        let text = |text: &str| Arc::<str>::from(text);
        let resource_type = entity_parts(given.resource).map_or(given.resource, |(name, _)| name);
        let asked = Asked {
            source: Source::Test,
            users: &[Users::Untold],
            principal: &text(given.principal),
            action: &text(given.action),
            resource: &text(given.resource),
            resource_type,
            may_be_shown: true,
        };
        self.tally.note(&asked, &outcomes.0, &outcomes.1);
    }

    fn ask_recorded(&mut self, recorded: &Recorded) {
        let asker = Asker::of(&recorded.speaker(), &self.old, &self.new);
        let action = self.short_name(&recorded.action);
        let query = Query {
            action: &action,
            entity: &recorded.entity,
            circumstances: &recorded.circumstances,
            now: recorded.time,
        };
        let outcomes = (self.old.ask(&asker.old, &query), self.new.ask(&asker.new, &query));
        if let (Some(decided), Ok(old)) = (recorded.decision, &outcomes.0)
            && decided != old.evaluation.decision
        {
            self.tally.note_decided_otherwise();
        }
        let (principal, resource) = recorded.names(self.terms.show_values);
        let asked = Asked {
            source: Source::Record,
            users: &asker.users,
            principal: &principal,
            action: &action,
            resource: &resource,
            resource_type: &recorded.entity.type_name,
            may_be_shown: self.terms.show_values,
        };
        self.tally.note(&asked, &outcomes.0, &outcomes.1);
    }

    fn asker(&mut self, speaker: Speaker<'a>) -> usize {
        let number = self.speakers.number(speaker);
        if number == self.askers.len() {
            self.askers.push(Asker::of(&speaker, &self.old, &self.new));
        }
        number
    }

    fn thing(&mut self, name: &Arc<str>, entity: &'a EntityDescription) -> usize {
        let number = self.things.number(entity);
        if number == self.thing_names.len() {
            self.thing_names.push(Arc::clone(name));
        }
        number
    }

    /// The same circumstances without a word about what is cut, where both sides cut alike: equal
    /// questions must be seen to be equal.
    fn plain(&self, action: &str, mut circumstances: Circumstances) -> Circumstances {
        if !circumstances.cut {
            circumstances.own = circumstances.shared.into_iter().chain(circumstances.own).collect();
            return Circumstances { shared: Record::new(), ..circumstances };
        }
        let knows = |side: &&Side<'_>| side.snapshot.action_name(action).is_some();
        let taken: Vec<_> = [&self.old, &self.new]
            .into_iter()
            .filter(knows)
            .map(|side| side.snapshot.context_members(action))
            .collect();
        circumstances.shared.retain(|member, _| taken.iter().any(|taken| taken.contains(member.as_str())));
        let alike = |member: &String| taken.iter().all(|taken| taken.contains(member.as_str()));
        if circumstances.shared.keys().all(alike) {
            let Circumstances { shared, own, .. } = circumstances;
            let own = shared.into_iter().chain(own).collect();
            return Circumstances { shared: Record::new(), cut: false, own, ..circumstances };
        }
        circumstances
    }

    /// The name of an action by which both sides know it, if either does.
    fn short_name(&self, action: &str) -> Arc<str> {
        let known = |side: &Side<'_>| side.snapshot.short_action_name(action);
        known(&self.new).or_else(|| known(&self.old)).unwrap_or_else(|| action.into())
    }
}

/// Where a question comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Test,
    Combination,
    Record,
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
