//! One question, asked of one side: its own issuers make the identity, its own schema judges it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Users;
use crate::cedar::{Examined, Snapshot, Sources};
use crate::identity::Config;
use crate::model::{EntityDescription, Identity, Kind, Limits, Question, Refusal, RefusalCode, Timestamp};
use crate::suite::Suite;
use crate::suite::questions::{Circumstances, Speaker};

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What it decides under.
    pub snapshot: &'a Snapshot,
    /// What that was compiled from.
    pub sources: &'a Sources,
    /// Those that it was compiled with.
    pub issuers: &'a [Config],
    /// What questions are bounded by.
    pub limits: &'a Limits,
    /// Its tests.
    pub suite: &'a Suite,
}

/// Somebody who asks, as each side sees them.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) name: Arc<str>,
    pub(super) old: Result<Identity, Refusal>,
    pub(super) new: Result<Identity, Refusal>,
    /// Never empty.
    pub(super) users: Vec<Users>,
}

/// A question, whoever asks it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'q> {
    pub(super) action: &'q str,
    pub(super) entity: &'q EntityDescription,
    pub(super) circumstances: &'q Circumstances,
    pub(super) now: Timestamp,
}

impl Side<'_> {
    /// Asks, by the road that the service takes.
    pub(super) fn ask(
        &self,
        identity: &Result<Identity, Refusal>,
        query: &Query<'_>,
    ) -> Result<Examined, Refusal> {
        let identity = identity.as_ref().map_err(Clone::clone)?;
        let Query { action, entity, circumstances, now } = *query;
        let mut context = circumstances.shared.clone();
        if circumstances.cut {
            let taken = self.snapshot.context_members(action);
            context.retain(|member| taken.contains(member.as_str()));
        }
        context.extend(circumstances.own.clone());
        let question = Question {
            action: action.into(),
            resource: entity.clone(),
            context: context.into(),
            entities: circumstances.entities.clone(),
        };
        question.check(self.limits)?;
        self.snapshot.examine(identity, &question, now)
    }

    /// The issuer of a token that may name it; without any configured, the contract's defaults.
    pub(super) fn issuer(&self, named: Option<&str>) -> Result<Option<&Config>, Refusal> {
        let refused = |detail: String| Err(Refusal::new(RefusalCode::InvalidToken, detail));
        match (self.issuers, named) {
            ([], _) => Ok(None),
            ([only], None) => Ok(Some(only)),
            (_, None) => refused("whose token it is is not clear: there are several issuers".to_owned()),
            (issuers, Some(named)) => {
                let found = issuers.iter().find(|config| config.forms().any(|form| form == named));
                match found {
                    Some(config) => Ok(Some(config)),
                    None => refused("its issuer is not configured".to_owned()),
                }
            }
        }
    }

    fn identity(&self, speaker: &Speaker<'_>) -> Result<Identity, Refusal> {
        speaker.token.identity(self.issuer(speaker.issuer)?)
    }
}

impl Asker {
    /// Judges a token by the issuers of both sides.
    pub(super) fn of(speaker: &Speaker<'_>, old: &Side<'_>, new: &Side<'_>) -> Self {
        let (old, new) = (old.identity(speaker), new.identity(speaker));
        let users = new.as_ref().or(old.as_ref()).map_or_else(|_| vec![Users::NoGroup], users);
        Self { name: Arc::clone(speaker.name), old, new, users }
    }

    /// The actions that apply to this principal and resources of a type, on either side.
    pub(super) fn applicable(
        &self,
        old: &Side<'_>,
        new: &Side<'_>,
        resource_type: &str,
    ) -> BTreeSet<Arc<str>> {
        let sides = [(old, &self.old), (new, &self.new)];
        let actions = sides.into_iter().filter_map(|(side, identity)| {
            side.snapshot.applicable_actions(identity.as_ref().ok()?, resource_type).ok()
        });
        actions.flatten().map(|action| action.short).collect()
    }
}

fn users(identity: &Identity) -> Vec<Users> {
    match (identity.kind, identity.groups.as_slice()) {
        (Kind::Machine, _) => vec![Users::Machines],
        (Kind::User, []) => vec![Users::NoGroup],
        (Kind::User, groups) => groups.iter().cloned().map(Users::Group).collect(),
    }
}
