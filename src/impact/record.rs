//! The lines of a decision log, read back: questions, as far as a record holds what they were about.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, json};

use super::Side;
use crate::cedar::entity_parts;
use crate::identity::Fixture;
use crate::identity::claims::VERIFIED_BY;
use crate::model::{
    Decision, EntityDescription, EntityReference, Kind, Record, Timestamp, TokenUse, Value, object, value,
};
use crate::suite::questions::{Circumstances, Speaker};

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Torn {
    /// What is wrong.
    pub message: String,
    /// Counted from 1, in bytes.
    pub column: usize,
}

/// Reads lines in their order: the items of a batch stand behind its head, which has the principal.
#[derive(Debug, Default)]
pub(super) struct Records {
    head: Option<(String, Principal)>,
}

/// What a line holds.
#[derive(Debug)]
pub(super) enum Read {
    /// No decision.
    Nothing,
    /// A question.
    Recorded(Box<Recorded>),
    /// One that cannot be asked again, and why.
    NotReplayable(String),
}

/// A question of the past.
#[derive(Debug)]
pub(super) struct Recorded {
    principal: Arc<str>,
    pub(super) token: Fixture,
    pub(super) issuer: String,
    /// The mapped claims, those included that the token did not carry.
    claims: BTreeMap<String, Option<Value>>,
    pub(super) action: String,
    resource: Arc<str>,
    pub(super) entity: EntityDescription,
    pub(super) circumstances: Circumstances,
    pub(super) time: Timestamp,
    /// What was decided, if it was.
    pub(super) decision: Option<Decision>,
}

/// A record, as far as replaying needs it. What else it holds is nobody's concern here.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a record of the decision log")]
struct Written {
    time: String,
    decision_id: String,
    outcome: Outcome,
    batch: Option<String>,
    principal: Option<String>,
    kind: Option<Kind>,
    #[serde(default)]
    groups: Vec<String>,
    issuer: Option<String>,
    token_use: Option<TokenUse>,
    identity: Option<WrittenIdentity>,
    action: Option<String>,
    resource: Option<String>,
    #[serde(default, deserialize_with = "value::optional_record")]
    context: Option<Record>,
    #[serde(default, deserialize_with = "value::optional_record")]
    attributes: Option<Record>,
    parents: Option<Vec<EntityReference>>,
    #[serde(default, deserialize_with = "value::optional_record")]
    tags: Option<Record>,
    #[serde(default)]
    entities: Vec<Arc<EntityDescription>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Allow,
    Deny,
    Refused,
    Batch,
}

#[derive(Debug, Clone, Deserialize)]
struct WrittenIdentity {
    sub: String,
    username: Option<String>,
    client_id: Option<String>,
    scope: Option<Vec<String>>,
    claims: BTreeMap<String, Option<Value>>,
}

/// Who was asked about.
#[derive(Debug, Clone)]
struct Principal {
    uid: String,
    kind: Kind,
    groups: Vec<String>,
    issuer: String,
    token_use: TokenUse,
    identity: Option<WrittenIdentity>,
}

impl Records {
    /// Reads one line.
    pub(super) fn read(&mut self, line: &str) -> Result<Read, Torn> {
        let mut written: Written = object::read(line.as_bytes()).map_err(|error| torn(&error))?;
        let time = Timestamp::parse(&written.time)
            .ok_or_else(|| Torn { message: "`time` is no time".to_owned(), column: 1 })?;
        let own = written.principal();
        if written.outcome == Outcome::Batch {
            self.head = own.map(|principal| (written.decision_id, principal));
            return Ok(Read::Nothing);
        }
        let unreplayable = |why: &str| Ok(Read::NotReplayable(why.to_owned()));
        let of_head = || {
            let (head, principal) = self.head.as_ref()?;
            (written.batch.as_ref() == Some(head)).then(|| principal.clone())
        };
        let Some(principal) = own.or_else(of_head) else {
            return unreplayable("the head of its batch is not in the log");
        };
        let (Some(action), Some(resource)) = (&written.action, &written.resource) else {
            return unreplayable("it was refused before it was a question");
        };
        let (Some(context), Some(identity)) = (written.context.take(), &principal.identity) else {
            return unreplayable("it holds no values (`audit.values` was off)");
        };
        let Some((type_name, id)) = entity_parts(resource) else {
            return unreplayable("its resource has no name that can be read");
        };
        let entity = EntityDescription {
            type_name: type_name.into(),
            id: id.into(),
            attributes: written.attributes.take(),
            parents: written.parents.take(),
            tags: written.tags.take(),
        };
        let entities = std::mem::take(&mut written.entities);
        Ok(Read::Recorded(Box::new(Recorded {
            principal: principal.uid.as_str().into(),
            token: principal.token(identity),
            issuer: principal.issuer.clone(),
            claims: identity.claims.clone(),
            action: action.clone(),
            resource: resource.as_str().into(),
            entity,
            circumstances: Circumstances { shared: context, entities, ..Circumstances::default() },
            time,
            decision: match written.outcome {
                Outcome::Allow => Some(Decision::Allow),
                Outcome::Deny => Some(Decision::Deny),
                Outcome::Refused | Outcome::Batch => None,
            },
        })))
    }
}

impl Recorded {
    /// Who asked, as a token.
    pub(super) fn speaker(&self) -> Speaker<'_> {
        Speaker { name: &self.principal, token: &self.token, issuer: Some(&self.issuer) }
    }

    /// A claim that a side maps, and that is not on record, neither as given nor as absent.
    pub(super) fn lacks(&self, side: &Side<'_>) -> Option<String> {
        let config = side.issuer(Some(&self.issuer)).ok().flatten()?;
        let mapped = config.attributes.values().map(|mapped| &mapped.claim);
        mapped.into_iter().find(|claim| !self.claims.contains_key(*claim)).cloned()
    }

    /// Principal and resource by their names, or by what they are.
    pub(super) fn names(&self, show_values: bool) -> (Arc<str>, Arc<str>) {
        if show_values {
            return (Arc::clone(&self.principal), Arc::clone(&self.resource));
        }
        let principal = format!("a {}", self.token.kind.as_str());
        (principal.into(), format!("a {}", self.entity.type_name).into())
    }
}

impl Written {
    fn principal(&mut self) -> Option<Principal> {
        Some(Principal {
            uid: self.principal.take()?,
            kind: self.kind?,
            groups: std::mem::take(&mut self.groups),
            issuer: self.issuer.take()?,
            token_use: self.token_use?,
            identity: self.identity.take(),
        })
    }
}

impl Principal {
    /// A token that says what the recorded one said, as far as anything of it decides.
    fn token(&self, identity: &WrittenIdentity) -> Fixture {
        let mut claims = Map::new();
        for (claim, value) in &identity.claims {
            let Some(value) = value else { continue };
            claims.insert(claim.clone(), json!(value));
            // On record is what counted, and so that one was true.
            if let Some((_, by)) = VERIFIED_BY.iter().find(|(known, _)| known == claim) {
                claims.insert((*by).to_owned(), json!(true));
            }
        }
        let (client, username) = match self.token_use {
            TokenUse::Access => ("client_id", "username"),
            TokenUse::Id => ("aud", "cognito:username"),
        };
        claims.insert("sub".to_owned(), json!(identity.sub));
        claims.insert("token_use".to_owned(), json!(self.token_use.as_str()));
        let mut add = |claim: &str, value: Option<String>| {
            claims.extend(value.map(|value| (claim.to_owned(), json!(value))));
        };
        add(client, identity.client_id.clone());
        add(username, identity.username.clone());
        add("scope", identity.scope.as_ref().map(|scope| scope.join(" ")));
        let groups = (self.kind == Kind::User).then(|| self.groups.clone());
        Fixture { name: identity.sub.clone(), kind: self.kind, groups, claims }
    }
}

/// Serde repeats what it did not expect, and that may be a value that nobody is to see.
fn torn(error: &serde_json::Error) -> Torn {
    let text = error.to_string();
    let message = match text.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        Some((member, _)) => format!("this is no record: it has no `{member}`"),
        None if error.is_eof() => "the line ends in the middle of a record".to_owned(),
        None if error.is_syntax() => "this is no record: it is not JSON".to_owned(),
        None => "this is no record: a member is not of its type".to_owned(),
    };
    Torn { message, column: error.column().max(1) }
}
