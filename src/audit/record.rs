//! The lines of the decision log: one JSON object each, and never the token.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::printed::{Members, Object};
use crate::model::{Decision, EntityName, Evaluation, Identity, Question, Record, Refusal, Timestamp, Value};

/// One line: a decision, a refusal after the token was verified, or the head of a batch.
#[derive(Debug)]
pub struct Line<'a> {
    /// What it begins with.
    pub opening: Opening<'a>,
    /// The id in the answer and in the trace.
    pub decision_id: &'a str,
    /// The request, as the program log names it.
    pub request_id: Option<&'a str>,
    /// What came of it.
    pub outcome: Outcome,
    /// Who was asked about.
    pub principal: Option<Principal<'a>>,
    /// What was asked, where it could be understood.
    pub asked: Option<Asked<'a>>,
    /// What was decided.
    pub decided: Option<Decided<'a>>,
    /// Why nothing was.
    pub refused: Option<Refused<'a>>,
    /// Of a batch: its items.
    pub items: Option<Items<'a>>,
    /// What the policies were.
    pub revision: Option<&'a str>,
    /// From the request's headers to this line, in microseconds.
    pub latency_us: Option<u64>,
}

/// When the request came, and which it was part of.
#[derive(Debug, Clone, Copy)]
pub enum Opening<'a> {
    /// The time of a request by itself.
    Time(Timestamp),
    /// That of an item of a batch, and the batch.
    OfBatch(&'a OfBatch),
}

/// What the lines of all items of a batch begin with, written once.
#[derive(Debug)]
pub struct OfBatch(Members);

/// What the lines of questions say that ask for the same action in the same context, written once.
#[derive(Debug)]
pub struct OfSetting(Members);

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Decided: it may.
    Allow,
    /// Decided: it may not.
    Deny,
    /// Not decided.
    Refused,
    /// The head of a batch: the lines of its items say what came of each.
    Batch,
}

/// Who was asked about.
#[derive(Debug)]
pub struct Principal<'a> {
    members: Cow<'a, Members>,
    identity: Option<IdentityValues<'a>>,
}

/// What was asked.
#[derive(Debug)]
pub struct Asked<'a> {
    setting: Setting<'a>,
    resource: EntityName<'a>,
    values: Option<Values<'a>>,
}

/// Which action, in which context.
#[derive(Debug)]
pub enum Setting<'a> {
    /// The full name of the action, and the context.
    Plain(&'a str, &'a Record),
    /// Both, as they were written before.
    Written(&'a OfSetting),
}

/// What was decided.
#[derive(Debug)]
pub struct Decided<'a> {
    evaluation: &'a Evaluation,
    written: Option<&'a Members>,
}

/// Why nothing was decided.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// The stable code of the answer.
    pub code: &'a str,
    /// The sentence in the answer.
    pub detail: &'a str,
}

/// The items of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a> {
    /// How many there are.
    pub count: usize,
    /// The `decision_id` of each, in order.
    pub decision_ids: &'a [&'a str],
}

/// What `[audit] values = true` adds.
#[derive(Debug)]
struct Values<'a>(&'a Question);

/// What `[audit] values = true` adds of the principal: what of its token can decide.
#[derive(Debug, Serialize)]
struct IdentityValues<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a [String]>,
    /// Every claim that the issuer's mapping names; null for one that did not count.
    claims: BTreeMap<&'a str, Option<&'a Value>>,
}

impl<'a> Principal<'a> {
    /// What every record of a principal has of it; `uid` is as policies write it.
    ///
    /// # Errors
    /// Never for what an identity can hold.
    pub fn members(uid: &str, identity: &Identity) -> serde_json::Result<Members> {
        Members::of(|line| {
            line.text("principal", uid)?;
            line.word("kind", identity.kind.as_str());
            line.texts("groups", identity.groups.iter().map(String::as_str))?;
            line.text("issuer", &identity.issuer)?;
            line.word("token_use", identity.token_use.as_str());
            identity.token_id.as_deref().map_or(Ok(()), |jti| line.text("jti", jti))
        })
    }

    /// A principal with its [`Self::members`].
    pub fn new(members: Cow<'a, Members>) -> Self {
        Self { members, identity: None }
    }

    /// With what of the token can decide, those mapped claims included; together with the values of a
    /// question it is enough to ask it again.
    #[must_use]
    pub fn with_values(self, identity: &'a Identity, mapped: impl Iterator<Item = &'a str>) -> Self {
        let values = IdentityValues {
            sub: &identity.subject,
            username: identity.username.as_deref(),
            client_id: identity.client_id.as_deref(),
            scope: identity.scope.as_deref(),
            claims: mapped.map(|claim| (claim, identity.claims.get(claim))).collect(),
        };
        Self { identity: Some(values), ..self }
    }

    fn write(&self, line: &mut Object<'_>) -> serde_json::Result<()> {
        line.members(&self.members);
        match &self.identity {
            Some(identity) => line.member("identity", identity),
            None => Ok(()),
        }
    }
}

impl OfBatch {
    /// The time of the batch, and the `decision_id` of its head, which has the principal.
    ///
    /// # Errors
    /// Never.
    pub fn new(time: Timestamp, batch: &str) -> serde_json::Result<Self> {
        let members = Members::of(|line| {
            time.with_text(|time| line.text("time", time))?;
            line.text("batch", batch)
        });
        members.map(Self)
    }
}

impl<'a> Asked<'a> {
    /// A question in its setting with the full name of its resource; `values` puts what the caller said about
    /// them on record too.
    pub fn new(setting: Setting<'a>, resource: EntityName<'a>, question: &'a Question, values: bool) -> Self {
        Self { setting, resource, values: values.then_some(Values(question)) }
    }

    fn write(&self, line: &mut Object<'_>) -> serde_json::Result<()> {
        self.setting.write(line)?;
        match &self.resource {
            EntityName::Plain(name) => line.verbatim("resource", name.in_json()),
            EntityName::Whole(name) => line.text("resource", name)?,
        }
        let Some(Values(Question { resource, context, entities, .. })) = &self.values else { return Ok(()) };
        line.member("context", &**context)?;
        if let Some(attributes) = &resource.attributes {
            line.member("attributes", attributes)?;
        }
        if let Some(parents) = &resource.parents {
            line.member("parents", parents)?;
        }
        if let Some(tags) = &resource.tags {
            line.member("tags", tags)?;
        }
        line.member("entities", entities)
    }
}

impl Setting<'_> {
    fn write(&self, line: &mut Object<'_>) -> serde_json::Result<()> {
        match self {
            Self::Plain(action, context) => {
                line.text("action", action)?;
                line.texts("context_keys", context.keys())
            }
            Self::Written(OfSetting(members)) => {
                line.members(members);
                Ok(())
            }
        }
    }
}

impl OfSetting {
    /// The full name of the action, and the context.
    ///
    /// # Errors
    /// Never.
    pub fn new(action: &str, context: &Record) -> serde_json::Result<Self> {
        Members::of(|line| Setting::Plain(action, context).write(line)).map(Self)
    }
}

impl<'a> Decided<'a> {
    /// An evaluation; what [`Evaluation::write`] says of it may have been written before.
    pub const fn new(evaluation: &'a Evaluation, written: Option<&'a Members>) -> Self {
        Self { evaluation, written }
    }

    fn write(&self, line: &mut Object<'_>) -> serde_json::Result<()> {
        match self.written {
            Some(members) => line.members(members),
            None => self.evaluation.write(line)?,
        }
        // Unlike the answer, the record has the engine's own words.
        line.objects("errors", &self.evaluation.errors, |error, object| {
            object.text("policy", &error.policy)?;
            object.word("code", error.code.as_str());
            object.text("text", &error.text)
        })
    }
}

impl<'a> From<&'a Refusal> for Refused<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self { code: refusal.code.as_str(), detail: &refusal.detail }
    }
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow => Self::Allow,
            Decision::Deny => Self::Deny,
        }
    }
}

impl Outcome {
    /// As records and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Refused => "refused",
            Self::Batch => "batch",
        }
    }
}

impl<'a> Line<'a> {
    /// A line that says nothing more than that.
    pub fn new(opening: Opening<'a>, decision_id: &'a str, outcome: Outcome) -> Self {
        Self {
            opening,
            decision_id,
            request_id: None,
            outcome,
            principal: None,
            asked: None,
            decided: None,
            refused: None,
            items: None,
            revision: None,
            latency_us: None,
        }
    }

    pub(super) fn write(&self, line: &mut Object<'_>) -> serde_json::Result<()> {
        match self.opening {
            Opening::Time(time) => time.with_text(|time| line.text("time", time))?,
            Opening::OfBatch(OfBatch(members)) => line.members(members),
        }
        line.text("decision_id", self.decision_id)?;
        if let Some(request_id) = self.request_id {
            line.text("request_id", request_id)?;
        }
        line.word("outcome", self.outcome.as_str());
        if let Some(principal) = &self.principal {
            principal.write(line)?;
        }
        if let Some(asked) = &self.asked {
            asked.write(line)?;
        }
        if let Some(decided) = &self.decided {
            decided.write(line)?;
        }
        if let Some(Refused { code, detail }) = self.refused {
            line.text("code", code)?;
            line.text("detail", detail)?;
        }
        if let Some(Items { count, decision_ids }) = self.items {
            line.member("count", &count)?;
            line.texts("decision_ids", decision_ids.iter().copied())?;
        }
        if let Some(revision) = self.revision {
            line.text("revision", revision)?;
        }
        match &self.latency_us {
            Some(latency) => line.member("latency_us", latency),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
