//! What a caller gets: decisions that are on record, with the ids that they have there.

use std::fmt;

use serde::{Serialize, Serializer};
use uuid::fmt::Hyphenated;
use uuid::{NoContext, Uuid};

use crate::audit::Receipt;
use crate::cedar::explain::Explanation;
use crate::model::printed::{Members, Object, Objects};
use crate::model::{Decision, Evaluation, Now, Reason, Refusal};

/// More bytes than a decision takes that one policy determines.
const USUAL: usize = 384;

/// A decision that is on record: only a receipt of the decision log makes one.
#[derive(Debug)]
pub struct Answer(Draft);

/// An answer that nobody may have yet. It is written before its record is waited for, so that nothing is held
/// meanwhile of what the decision was made from.
#[derive(Debug)]
pub(super) struct Draft {
    json: Vec<u8>,
    decision: Decision,
    reason: Reason,
    decision_id: DecisionId,
}

/// The decisions of a batch that is on record, in the order asked.
#[derive(Debug)]
pub struct BatchAnswer(BatchDraft);

/// The answer to a batch that nobody may have yet.
#[derive(Debug)]
pub(super) struct BatchDraft(Vec<u8>);

/// A `UUIDv7` (RFC 9562, section 5.7): the same in the answer, the record and the trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DecisionId([u8; Hyphenated::LENGTH]);

impl Draft {
    /// # Errors
    /// Never for what an explanation can hold.
    pub(super) fn new(
        evaluation: &Evaluation,
        decision_id: DecisionId,
        revision: &str,
        explanation: Option<&Explanation>,
    ) -> serde_json::Result<Self> {
        let mut json = Vec::with_capacity(USUAL);
        let mut object = Object::begin(&mut json);
        write(evaluation, None, decision_id, &mut object)?;
        object.text("revision", revision)?;
        if let Some(explanation) = explanation {
            object.member("explain", explanation)?;
        }
        object.end();
        Ok(Self { json, decision: evaluation.decision, reason: evaluation.reason, decision_id })
    }

    /// Now it may go out.
    pub(super) fn on_record(self, _: &Receipt) -> Answer {
        Answer(self)
    }
}

impl Answer {
    /// As the caller gets it: a JSON object.
    pub fn into_json(self) -> Vec<u8> {
        self.0.json
    }

    /// The decision's id.
    pub fn decision_id(&self) -> DecisionId {
        self.0.decision_id
    }

    /// Allow or deny.
    pub fn decision(&self) -> Decision {
        self.0.decision
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }
}

impl BatchDraft {
    /// Decisions in their order, none yet.
    pub(super) fn decisions(room_for: usize) -> Objects {
        Objects::begin("decisions", room_for.saturating_mul(USUAL))
    }

    /// The decisions may come in several parts.
    pub(super) fn new(parts: impl IntoIterator<Item = Objects>, revision: &str) -> serde_json::Result<Self> {
        let mut parts = parts.into_iter();
        let mut decisions = parts.next().unwrap_or_else(|| Self::decisions(0));
        parts.for_each(|part| decisions.append(&part));
        decisions.end(|object| object.text("revision", revision)).map(Self)
    }

    /// Now it may go out.
    pub(super) fn on_record(self, _: &Receipt) -> BatchAnswer {
        BatchAnswer(self)
    }
}

impl BatchAnswer {
    /// As the caller gets it: a JSON object.
    pub fn into_json(self) -> Vec<u8> {
        self.0.0
    }
}

/// What stands for an item that was not evaluated.
const NOT_EVALUATED: Evaluation = Evaluation {
    decision: Decision::Deny,
    reason: Reason::NotEvaluated,
    policies: Vec::new(),
    errors: Vec::new(),
};

/// Writes what came of one item of a batch; what [`Evaluation::write`] says of it may have been written before.
pub(super) fn write_item(
    id: Option<&str>,
    decision_id: DecisionId,
    judged: Result<(&Evaluation, &Members), &Refusal>,
    object: &mut Object<'_>,
) -> serde_json::Result<()> {
    if let Some(id) = id {
        object.text("id", id)?;
    }
    match judged {
        Ok((evaluation, written)) => write(evaluation, Some(written), decision_id, object),
        Err(refusal) => {
            write(&NOT_EVALUATED, None, decision_id, object)?;
            object.member("error", refusal)
        }
    }
}

fn write(
    evaluation: &Evaluation,
    written: Option<&Members>,
    decision_id: DecisionId,
    object: &mut Object<'_>,
) -> serde_json::Result<()> {
    match written {
        Some(members) => object.members(members),
        None => evaluation.write(object)?,
    }
    object.objects("errors", &evaluation.errors, |error, object| {
        object.text("policy", &error.policy)?;
        object.word("code", error.code.as_str());
        Ok(())
    })?;
    object.verbatim("decision_id", [decision_id.as_str()]);
    Ok(())
}

impl DecisionId {
    /// A new one, of that time.
    pub(super) fn new(now: Now) -> Self {
        Self(new_uuid(now))
    }

    /// Lower case, with hyphens.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A new `UUIDv7` of that time, as text.
pub(crate) fn new_uuid(now: Now) -> [u8; Hyphenated::LENGTH] {
    let seconds = u64::try_from(now.wall.seconds()).unwrap_or_default();
    let nanos = u32::try_from(now.wall.millis().rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    let uuid = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos));
    let mut text = [0; Hyphenated::LENGTH];
    uuid.hyphenated().encode_lower(&mut text);
    text
}

impl fmt::Display for DecisionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for DecisionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
