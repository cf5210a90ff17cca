//! The cases of a table: who asks what about one of its resources, and what is expected.

use std::collections::HashMap;
use std::sync::Arc;

use super::case::{Ask, Asked, Case};
use super::expected::Expected;
use super::file::{Asks, Row, Table, Test};
use super::filter::{Filter, Part};
use super::fixtures::Resource;
use super::speakers::Speaker;
use crate::cedar::Snapshot;
use crate::model::{Limits, Question, Record, Refusal, Timestamp};

static ALLOW: Expected = Expected::where_listed(true);
static DENY: Expected = Expected::where_listed(false);

/// What stands in the place of an action where the token is refused, whatever it asks.
const ANY_ACTION: &str = "any action";

/// A principal of a table, with its token under one snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'p> {
    pub(super) name: &'p Arc<str>,
    pub(super) row: &'p Row,
    pub(super) speaker: &'p Speaker,
    /// The full names of the actions that it may do.
    pub(super) may: &'p [Arc<str>],
}

/// A table, and one of its resources.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableOn<'p> {
    pub(super) snapshot: &'p Snapshot,
    pub(super) limits: &'p Limits,
    pub(super) file: &'p Arc<str>,
    pub(super) test: &'p Test,
    pub(super) table: &'p Table,
    pub(super) resource: &'p Resource,
    pub(super) now: Timestamp,
}

impl<'p> TableOn<'p> {
    /// The cases that a filter admits. A question is put together once, whoever asks it.
    pub(super) fn cases(&self, askers: impl Iterator<Item = Asker<'p>>, filter: &Filter) -> Vec<Case<'p>> {
        let mut cases = Vec::new();
        let mut questions = HashMap::new();
        for asker in askers.filter(|asker| filter.admits(Part::Principal, asker.name)) {
            for (action, expected) in self.asks(asker) {
                if !filter.admits(Part::Action, &action) {
                    continue;
                }
                let ask = match &asker.speaker.identity {
                    Err(refusal) => Ask::Refused(refusal.clone()),
                    Ok(identity) => {
                        let question =
                            questions.entry(Arc::clone(&action)).or_insert_with(|| self.question(&action));
                        match question {
                            Ok(question) => {
                                Ask::Question { identity, question: Arc::clone(question), now: self.now }
                            }
                            Err(refusal) => Ask::Refused(refusal.clone()),
                        }
                    }
                };
                let place = match self.table.asks {
                    Asks::Each(..) => self.test.place,
                    Asks::May => asker.row.place,
                };
                let (principal, resource) = (Arc::clone(asker.name), Arc::clone(&self.resource.name));
                let asked = Asked { principal, action, resource };
                cases.push(Case { file: self.file, test: self.test, asked, place, ask, expected });
            }
        }
        cases
    }

    /// The actions that one principal is asked about, each with what is expected.
    fn asks(&self, asker: Asker<'p>) -> Vec<(Arc<str>, &'p Expected)> {
        let listed = &asker.row.may;
        match &self.table.asks {
            Asks::Each(actions, expected) => {
                actions.iter().map(|action| (Arc::clone(&action.value), expected)).collect()
            }
            Asks::May if asker.speaker.identity.is_err() && listed.is_empty() => {
                vec![(Arc::from(ANY_ACTION), &DENY)]
            }
            Asks::May => {
                let applicable = asker.speaker.actions_on(&self.resource.entity.type_name);
                let expected = applicable.iter().map(|action| {
                    let may = asker.may.contains(&action.full);
                    (Arc::clone(&action.short), if may { &ALLOW } else { &DENY })
                });
                // What is listed and does not apply is asked all the same, and will be refused.
                let others = listed.iter().zip(asker.may).filter_map(|(action, full)| {
                    let applies = applicable.iter().any(|applicable| applicable.full == *full);
                    (!applies).then(|| (Arc::clone(&action.value), &ALLOW))
                });
                expected.chain(others).collect()
            }
        }
    }

    /// The question about an action, judged as the body of a request is.
    fn question(&self, action: &Arc<str>) -> Result<Arc<Question>, Refusal> {
        let question = Question {
            action: (&**action).into(),
            resource: self.resource.entity.clone(),
            context: self.context(action).into(),
            entities: self.table.entities.clone(),
        };
        question.check(self.limits).map(|()| Arc::new(question))
    }

    /// The shared context, where every action is asked cut to what this one takes, and its own.
    fn context(&self, action: &str) -> Record {
        let mut context = self.table.context.clone();
        if matches!(self.table.asks, Asks::May) {
            let taken = self.snapshot.context_members(action);
            context.retain(|member| taken.contains(member.as_str()));
        }
        let own = self.table.contexts.0.iter().filter(|(name, _)| self.is_same(&name.value, action));
        context.extend(own.flat_map(|(_, own)| own.clone()));
        context
    }

    fn is_same(&self, name: &str, action: &str) -> bool {
        name == action
            || self
                .snapshot
                .action_name(name)
                .is_some_and(|full| self.snapshot.action_name(action).is_some_and(|action| action == full))
    }
}
