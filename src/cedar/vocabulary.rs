//! What can be asked under a snapshot, by the names that questions use, and its policies by id.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Snapshot;
use super::lexer::unescape;
use super::schema::Action;
use super::setting::SERVER_CONTEXT;
use crate::model::{Identity, Place, Refusal};

/// An action by its two names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionName {
    /// The shortest that a question may use: `updateProduct`.
    pub short: Arc<str>,
    /// As policies write it: `Shop::Action::"updateProduct"`.
    pub full: Arc<str>,
}

/// The type and the id of an entity as policies and records write it, `Shop::User::"3f0c…"`.
pub fn entity_parts(uid: &str) -> Option<(&str, String)> {
    let (type_name, _) = uid.split_once("::\"")?;
    let id = unescape(uid.get(type_name.len() + 2..)?)?;
    Some((type_name, id))
}

impl Snapshot {
    /// Judges the name of an action.
    ///
    /// # Errors
    /// The schema has no such action.
    pub fn check_action(&self, name: &str) -> Result<(), Refusal> {
        self.schema.action(name).map(|_| ())
    }

    /// Judges the name of an entity type.
    ///
    /// # Errors
    /// The schema has no such type.
    pub fn check_type(&self, name: &str) -> Result<(), Refusal> {
        self.schema.entity_type(name).map(|_| ())
    }

    /// The shortest name of an action that a question may use; nothing where the schema has no such action.
    pub fn short_action_name(&self, name: &str) -> Option<Arc<str>> {
        self.schema.action(name).ok().map(|action| self.names(action).short)
    }

    /// The actions that apply to this principal and to resources of this type, sorted by name.
    ///
    /// # Errors
    /// The identity makes no principal, or the schema has no such type.
    pub fn applicable_actions(
        &self,
        identity: &Identity,
        resource_type: &str,
    ) -> Result<Vec<ActionName>, Refusal> {
        let principal = self.principal(identity)?;
        let resource = &self.schema.entity_type(resource_type)?.name;
        let applies = |action: &&Arc<Action>| {
            action.principals.contains(principal.uid.type_name()) && action.resources.contains(resource)
        };
        let mut names: Vec<_> =
            self.schema.actions().filter(applies).map(|action| self.names(action)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Every action, sorted by name, with the types of the resources that it applies to.
    pub fn actions(&self) -> Vec<(ActionName, Vec<String>)> {
        let types = |action: &Action| {
            let mut types: Vec<_> = action.resources.iter().map(ToString::to_string).collect();
            types.sort_unstable();
            types
        };
        let mut actions: Vec<_> =
            self.schema.actions().map(|action| (self.names(action), types(action))).collect();
        actions.sort_unstable();
        actions
    }

    /// The members of the context that a question about this action may give; none for an action
    /// that the schema does not have.
    pub fn context_members(&self, action: &str) -> BTreeSet<&str> {
        let declared = self.schema.action(action).ok().map(|action| action.context.0.keys());
        let names = declared.into_iter().flatten().map(String::as_str);
        names.filter(|name| !SERVER_CONTEXT.contains(name)).collect()
    }

    /// The claims that become attributes of the principals of this identity's issuer.
    pub fn mapped_claims(&self, identity: &Identity) -> impl Iterator<Item = &str> {
        self.plans.mapped_claims(identity)
    }

    /// The ids of its policies, links included and templates not.
    pub fn policy_ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.policies.keys()
    }

    /// Where a policy stands.
    pub fn policy_place(&self, id: &str) -> Option<(&Arc<str>, Place)> {
        self.policies.get(id).map(|info| (&info.path, info.place))
    }

    /// Its policies as Cedar numbers them: in the order of the files and of their texts, templates and
    /// links aside.
    pub fn policies_in_order(&self) -> Vec<&Arc<str>> {
        let mut policies: Vec<_> =
            self.policies.values().filter(|info| info.path.ends_with(".cedar")).collect();
        policies.sort_unstable_by_key(|info| (&info.path, info.place.offset));
        policies.into_iter().map(|info| &info.id).collect()
    }

    fn names(&self, action: &Action) -> ActionName {
        let full = Arc::clone(&action.name);
        let short = action.uid.id().unescaped();
        match self.schema.action(short) {
            Ok(named) if named.uid == action.uid => ActionName { short: Arc::from(short), full },
            Ok(_) | Err(_) => ActionName { short: Arc::clone(&full), full },
        }
    }
}
