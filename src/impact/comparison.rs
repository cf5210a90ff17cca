//! Both sides, asked the same: what tests ask, what their fixtures combine to, what is on record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::asking::{Asker, Query, Side};
use super::combinations::Combinations;
use super::interned::Interned;
use super::record::{Read, Recorded, Records, Torn};
use super::tally::{Asked, Tally};
use super::{Impact, Source, Users};
use crate::cedar::{Given, entity_parts};
use crate::identity::Fixture;
use crate::model::{EntityDescription, Record, Refusal, Timestamp};
use crate::suite::questions::{Circumstances, Posed, Questions, Speaker};

/// So many users of a log are remembered: few of them ask most of what is on record.
const REMEMBERED: usize = 10_000;

/// How a comparison goes.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The time of the questions that have none of their own.
    pub now: Timestamp,
    /// How many combinations of fixtures are asked at most; of more, so many that lie evenly among them.
    pub combinations: usize,
    /// Whether the impact may speak of the users and entities of recorded questions by their ids.
    pub show_values: bool,
}

/// Asks both sides.
#[derive(Debug)]
pub struct Comparison<'a> {
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    pub(super) terms: Terms,
    speakers: Interned<Speaker<'a>>,
    /// The speakers, judged by both sides.
    pub(super) askers: Vec<Asker>,
    pub(super) things: Interned<&'a EntityDescription>,
    thing_names: Vec<Arc<str>>,
    circumstances: Interned<Circumstances>,
    /// What the tests tell each action.
    pub(super) told: BTreeMap<Arc<str>, BTreeSet<usize>>,
    asked: HashSet<Key>,
    records: Records,
    /// Those who asked what is on record, by their tokens and issuers.
    remembered: HashMap<(Fixture, String), Asker>,
    tally: Tally,
}

/// A question, by what it consists of: speaker, action, thing and circumstances.
pub(super) type Key = (usize, Arc<str>, usize, usize);

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
            remembered: HashMap::new(),
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
        for key in combinations.spread(self.terms.combinations) {
            if self.asked.contains(&key) {
                before += 1;
            } else {
                self.ask(&key, Source::Combination);
            }
        }
        let all = combinations.count();
        self.tally.note_combinations(all - before, all > self.terms.combinations);
    }

    /// Notes that a log is replayed, whatever it turns out to hold.
    pub fn expect_records(&mut self) {
        self.tally.note_log();
    }

    /// Notes a line of a log that is no whole record: it could not be replayed either.
    pub fn note_torn(&mut self) {
        self.tally.note_torn();
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
        let in_words = Asked {
            source,
            users: &asker.users,
            principal: &asker.name,
            action,
            resource: self.thing_names.get(*thing).map_or(action, |name| name),
            resource_type: &entity.type_name,
            may_be_shown: true,
        };
        self.tally.note(&in_words, &outcomes.0, &outcomes.1);
    }

    fn ask_given(&mut self, given: &Given<'_>) {
        let ask = |side: &Side<'_>| side.snapshot.examine_given(given).map_err(Refusal::malformed);
        let outcomes = (ask(&self.old), ask(&self.new));
        let text = |text: &str| Arc::<str>::from(text);
        let resource_type = entity_parts(given.resource).map_or(given.resource, |(name, _)| name);
        let in_words = Asked {
            source: Source::Test,
            users: &[Users::Untold],
            principal: &text(given.principal),
            action: &text(given.action),
            resource: &text(given.resource),
            resource_type,
            may_be_shown: true,
        };
        self.tally.note(&in_words, &outcomes.0, &outcomes.1);
    }

    fn ask_recorded(&mut self, recorded: &Recorded) {
        let action = self.short_name(&recorded.action);
        self.make_room();
        let Recorded { token, issuer, .. } = recorded;
        let asker = self
            .remembered
            .entry((token.clone(), issuer.clone()))
            .or_insert_with(|| Asker::of(&recorded.speaker(), &self.old, &self.new));
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
        let in_words = Asked {
            source: Source::Record,
            users: &asker.users,
            principal: &principal,
            action: &action,
            resource: &resource,
            resource_type: &recorded.entity.type_name,
            may_be_shown: self.terms.show_values,
        };
        self.tally.note(&in_words, &outcomes.0, &outcomes.1);
    }

    /// Forgets everybody once they are too many; those who ask again are soon known again.
    fn make_room(&mut self) {
        if self.remembered.len() < REMEMBERED {
            return;
        }
        for (_, asker) in self.remembered.drain() {
            for (side, identity) in [(&self.old, &asker.old), (&self.new, &asker.new)] {
                if let Ok(identity) = identity {
                    side.snapshot.forget(identity);
                }
            }
        }
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
        circumstances.shared.retain(|member| taken.iter().any(|taken| taken.contains(member.as_str())));
        let alike = |member: &str| taken.iter().all(|taken| taken.contains(member));
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
