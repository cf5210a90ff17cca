//! A part of a policy that a request did not meet, in words: as it is written, where, and what it saw.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{ActionConstraint, EntityUid, EvalResult};
use serde::Serialize;

use crate::cedar::conditions::Condition;
use crate::cedar::outline::Outlined;
use crate::cedar::readings::{Reading, Sight, ancestors};
use crate::cedar::scene::Scene;
use crate::cedar::scope::Constraint;
use crate::cedar::scope_parts::{ScopePart, located, written};
use crate::cedar::statements::ClauseKind;
use crate::model::Place;

/// How much of a value is shown, in bytes: the rest would bury the answer.
const SHOWN: usize = 200;

/// How many of an entity's ancestors are shown.
const ANCESTORS: usize = 20;

/// A part of a policy that a request did not meet.
#[derive(Debug, Clone, Serialize)]
pub struct FailedPart {
    /// Which kind of part.
    pub part: Part,
    /// As the policy writes it; with the slots of a link filled in.
    pub text: String,
    /// The file that it stands in: that of the template, for a link.
    pub path: Arc<str>,
    /// Where in it.
    #[serde(flatten)]
    pub place: Place,
    /// The values that it saw.
    pub seen: Vec<Seen>,
    /// Why it could not be evaluated, in the engine's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The parts of a policy that a request can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The scope's constraint on the principal.
    Principal,
    /// The scope's constraint on the action.
    Action,
    /// The scope's constraint on the resource.
    Resource,
    /// A condition that had to hold.
    When,
    /// A condition that must not hold.
    Unless,
}

/// Something that a part of a policy looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// As the policy writes it: `principal`, `resource.status`, `context has ip`.
    pub expression: String,
    /// Its value as Cedar writes it, cut where it is long; nothing where the request has none.
    pub value: Option<String>,
    /// What the entity stands in, where the part asks for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ancestors: Option<Vec<String>>,
    /// What the request would have to have.
    #[serde(skip)]
    pub(super) absent: Option<Absent>,
}

/// An attribute or a tag that the request does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Absent {
    /// What should have it: `resource`, `resource.owner`.
    pub(super) holder: String,
    pub(super) name: String,
}

impl FailedPart {
    /// A part of a policy's scope.
    pub(super) fn of_scope(policy: &Outlined, part: ScopePart, scene: &Scene) -> Option<Self> {
        let (scope, request) = (&policy.scope, &scene.request);
        let (name, constraint, entity) = match part {
            ScopePart::Principal => (Part::Principal, Some(&scope.principal), request.principal()),
            ScopePart::Resource => (Part::Resource, Some(&scope.resource), request.resource()),
            ScopePart::Action => (Part::Action, None, request.action()),
        };
        let asks_ancestors = match constraint {
            Some(constraint) => matches!(constraint, Constraint::In(_) | Constraint::IsIn(..)),
            None => matches!(scope.action, ActionConstraint::In(_)),
        };
        let span = located(&policy.written.text, &policy.written.statement(), part)?;
        let mut failed = Self::at(policy, name, span);
        if let Some(constraint) = constraint.filter(|_| policy.info.template.is_some()) {
            failed.text = written(part.as_str(), constraint);
        }
        failed.seen.extend(entity.map(|uid| Seen::entity(part.as_str(), uid, asks_ancestors, scene)));
        Some(failed)
    }

    /// A condition that is not met, or could not be evaluated.
    pub(super) fn of_condition(
        policy: &Outlined,
        condition: &Condition,
        error: Option<&str>,
        scene: &Scene,
    ) -> Self {
        let part = match condition.clause {
            ClauseKind::When => Part::When,
            ClauseKind::Unless => Part::Unless,
        };
        let text = &policy.written.text;
        let readings = Reading::all(text, condition.span.clone());
        Self {
            seen: readings.iter().filter_map(|reading| Seen::of(reading, text, scene)).collect(),
            error: error.map(str::to_owned),
            ..Self::at(policy, part, condition.span.clone())
        }
    }

    fn at(policy: &Outlined, part: Part, span: Range<usize>) -> Self {
        let text = &policy.written.text;
        Self {
            part,
            text: text.get(span.clone()).unwrap_or_default().to_owned(),
            path: Arc::clone(&policy.written.path),
            place: Place::of(text, span.start, span.len()),
            seen: Vec::new(),
            error: None,
        }
    }
}

impl Part {
    /// As answers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Action => "action",
            Self::Resource => "resource",
            Self::When => "when",
            Self::Unless => "unless",
        }
    }
}

impl Seen {
    fn of(reading: &Reading, text: &str, scene: &Scene) -> Option<Self> {
        let written = |span: Range<usize>| text.get(span).unwrap_or_default().to_owned();
        let expression = written(reading.span.clone());
        Some(match reading.look(scene)? {
            Sight::Value(EvalResult::EntityUid(uid)) => {
                Self::entity(&expression, &uid, reading.asks_ancestors, scene)
            }
            Sight::Value(value) => {
                Self { expression, value: Some(shown(&value)), ancestors: None, absent: None }
            }
            Sight::Absent { holder, name, is_tested } => Self {
                expression,
                value: is_tested.then(|| "false".to_owned()),
                ancestors: None,
                absent: Some(Absent { holder: written(holder), name: written(name) }),
            },
        })
    }

    fn entity(expression: &str, uid: &EntityUid, asks_ancestors: bool, scene: &Scene) -> Self {
        let ancestors = asks_ancestors.then(|| {
            let mut ancestors = ancestors(scene, uid);
            ancestors.truncate(ANCESTORS);
            ancestors
        });
        Self { expression: expression.to_owned(), value: Some(shown(uid)), ancestors, absent: None }
    }
}

/// A value as Cedar writes it, up to a bound.
fn shown(value: &impl fmt::Display) -> String {
    let mut shown = Shown(String::new());
    match write!(shown, "{value}") {
        Ok(()) => shown.0,
        Err(fmt::Error) => format!("{}…", shown.0),
    }
}

/// A text that takes no more than is shown.
struct Shown(String);

impl fmt::Write for Shown {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = SHOWN.saturating_sub(self.0.len());
        let fitting = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
        self.0.push_str(fitting);
        if fitting.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters_and_says_so() {
        assert_eq!(shown(&"short"), "short");
        let long = shown(&"é".repeat(500));
        assert_eq!(long, format!("{}…", "é".repeat(100)));
    }
}
