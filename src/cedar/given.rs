//! A request whose principal and entities are given as they are, in Cedar's own JSON: the form of
//! Cedar's test suites. Never fed by a request from outside.

use std::str::FromStr;

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{Context, Entities, EntityUid, Request};

use super::Snapshot;
use super::scene::Scene;
use crate::model::Evaluation;

/// A request in Cedar's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Given<'a> {
    /// `User::"alice"`.
    pub principal: &'a str,
    /// `Action::"view"`.
    pub action: &'a str,
    /// `Photo::"p-1"`.
    pub resource: &'a str,
    /// The context in Cedar's JSON.
    pub context: &'a str,
    /// The entities in Cedar's JSON, the principal's included.
    pub entities: &'a str,
}

impl Snapshot {
    /// Evaluates a request as it is given: no token, no plan, no checks beyond Cedar's own parsers.
    /// Values are typed by the schema where they conform to it, and taken as written where not.
    ///
    /// # Errors
    /// A part of it is not in Cedar's format.
    pub fn evaluate_given(&self, given: &Given<'_>) -> Result<Evaluation, String> {
        Ok(self.decide_given(&self.scene_of(given)?).owned())
    }

    /// Whether the schema knows what a request speaks of. [`Self::evaluate_given`] does not ask, and
    /// denies what it does not know.
    ///
    /// # Errors
    /// What the schema does not know, or what is not of its type.
    pub fn check_given(&self, given: &Given<'_>) -> Result<(), String> {
        let uid = |text: &str| EntityUid::from_str(text).map_err(|error| format!("`{text}`: {error}"));
        self.check_action(given.action).map_err(|refusal| refusal.detail)?;
        let action = uid(given.action)?;
        let context = Context::from_json_str(given.context, Some((&self.cedar, &action)))
            .map_err(|error| format!("context: {error}"))?;
        Request::new(uid(given.principal)?, action, uid(given.resource)?, context, Some(&self.cedar))
            .map_err(|error| error.to_string())?;
        Entities::from_json_str(given.entities, Some(&self.cedar))
            .map_err(|error| format!("entities: {}", with_cause(&error)))?;
        Ok(())
    }

    /// What the conditions of policies are judged against.
    pub(super) fn scene_of(&self, given: &Given<'_>) -> Result<Scene, String> {
        let uid = |text: &str| EntityUid::from_str(text).map_err(|error| format!("`{text}`: {error}"));
        let action = uid(given.action)?;
        let context = Context::from_json_str(given.context, Some((&self.cedar, &action)))
            .or_else(|_| Context::from_json_str(given.context, None))
            .map_err(|error| format!("context: {error}"))?;
        let entities = Entities::from_json_str(given.entities, Some(&self.cedar))
            .or_else(|_| self.untyped(given.entities))
            .map_err(|error| format!("entities: {error}"))?;
        let request = Request::new(uid(given.principal)?, action, uid(given.resource)?, context, None)
            .map_err(|error| error.to_string())?;
        Ok(Scene { request, entities })
    }

    /// Entities that do not conform to the schema, with the schema's actions.
    fn untyped(&self, entities: &str) -> Result<Entities, EntitiesError> {
        let actions = self.cedar.action_entities()?;
        let given = Entities::from_json_str(entities, None)?;
        let missing: Vec<_> =
            actions.into_iter().filter(|action| given.get(&action.uid()).is_none()).collect();
        given.add_entities(missing, None)
    }
}

/// The engine says in the cause which entity it is.
fn with_cause(error: &EntitiesError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
