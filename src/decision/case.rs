//! One request under the one snapshot that it is judged under, and what is put on record of it.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Decider, DecisionId, RequestFacts, Undecided};
use crate::audit::{Asked, AuditError, Decided, Items, Line, Opening, Outcome, Principal, Refused, Setting};
use crate::cedar::explain::Explanation;
use crate::cedar::{Hearing, Held, Principal as Speaker};
use crate::model::{EntityName, Evaluation, Identity, Question, Refusal};

/// A request with the snapshot that it took.
pub(super) struct Case<'a> {
    pub(super) decider: &'a Decider,
    pub(super) snapshot: Held,
    pub(super) identity: &'a Arc<Identity>,
    /// Or why the identity makes none.
    principal: Result<Arc<Speaker>, Refusal>,
    pub(super) facts: RequestFacts<'a>,
}

/// What a question names, as policies write it.
pub(super) struct Names<'a> {
    pub(super) action: Cow<'a, Arc<str>>,
    pub(super) resource: EntityName<'a>,
}

impl<'a> Case<'a> {
    /// Takes the snapshot in force.
    pub(super) fn new(decider: &'a Decider, identity: &'a Arc<Identity>, facts: RequestFacts<'a>) -> Self {
        Self::under(decider.snapshots.hold(), decider, identity, facts)
    }

    /// Under a snapshot that was taken before.
    pub(super) fn under(
        snapshot: Held,
        decider: &'a Decider,
        identity: &'a Arc<Identity>,
        facts: RequestFacts<'a>,
    ) -> Self {
        let principal = snapshot.principal(identity);
        Self { decider, snapshot, identity, principal, facts }
    }

    pub(super) fn revision(&self) -> &Arc<str> {
        self.snapshot.revision().as_str()
    }

    /// A new id, of the time that the request is judged under.
    pub(super) fn new_id(&self) -> DecisionId {
        DecisionId::new(self.facts.started)
    }

    /// Where its questions are judged.
    pub(super) fn hearing(&self) -> Result<Hearing<'_>, Refusal> {
        let principal = self.principal.as_deref().map_err(Refusal::clone)?;
        Ok(Hearing::new(&self.snapshot, principal, self.facts.started.wall))
    }

    /// Judges a question of it, where there is a hearing.
    pub(super) fn evaluate<'q>(
        &self,
        hearing: &mut Result<Hearing<'q>, Refusal>,
        question: &'q Question,
    ) -> Result<Arc<Evaluation>, Refusal> {
        let evaluated = hearing.as_mut().map_err(|refusal| refusal.clone())?.evaluate(question);
        self.note_differences();
        evaluated
    }

    /// Those of requests that run at the same time may be among them: they are counted once all the same.
    fn note_differences(&self) {
        let differences = self.snapshot.take_differences();
        if differences > 0 {
            self.decider.metrics.index_differences.inc_by(differences);
            let request_id = self.facts.request_id;
            tracing::error!(request_id, "the index and the full set of policies differ: the full set stands");
        }
    }

    pub(super) fn explain(
        &self,
        question: &Question,
        evaluation: &Evaluation,
    ) -> Result<Explanation, Refusal> {
        self.snapshot.explain(self.identity, question, self.facts.started.wall, evaluation)
    }

    /// The full names of what a question names; as given where the schema has none such.
    pub(super) fn names<'c>(&'c self, hearing: Option<&'c Hearing<'_>>, question: &'c Question) -> Names<'c> {
        if let Some((action, resource)) = hearing.and_then(|hearing| hearing.names_of(question)) {
            return Names { action: Cow::Borrowed(action), resource };
        }
        let action = match self.snapshot.action_name(&question.action) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(question.action.as_str().into()),
        };
        let resource = self.snapshot.entity_name(&question.resource.type_name, &question.resource.id);
        Names { action, resource }
    }

    /// The record of a decision.
    pub(super) fn decided<'l>(
        &'l self,
        decision_id: &'l DecisionId,
        asked: Asked<'l>,
        evaluation: &'l Evaluation,
    ) -> Result<Line<'l>, AuditError> {
        Ok(Line {
            asked: Some(asked),
            decided: Some(Decided::new(evaluation, None)),
            ..self.line(decision_id, evaluation.decision.into())?
        })
    }

    /// The record that stands before those of a batch's items.
    pub(super) fn head<'l>(
        &'l self,
        decision_id: &'l DecisionId,
        items: &'l [&'l str],
    ) -> Result<Line<'l>, AuditError> {
        Ok(Line {
            items: Some(Items { count: items.len(), decision_ids: items }),
            ..self.line(decision_id, Outcome::Batch)?
        })
    }

    /// Puts a refusal on record and gives it its id.
    pub(super) async fn refused(&self, refusal: Refusal, question: Option<&Question>) -> Undecided {
        match self.refuse(Refused::from(&refusal), question).await {
            Ok(decision_id) => Undecided::Refused { refusal, decision_id },
            Err(error) => error.into(),
        }
    }

    /// Puts on record that the request was refused.
    pub(super) async fn refuse(
        &self,
        refused: Refused<'_>,
        question: Option<&Question>,
    ) -> Result<DecisionId, AuditError> {
        let decision_id = self.new_id();
        let names = question.map(|question| (question, self.names(None, question)));
        let asked = names.as_ref().map(|(question, Names { action, resource })| {
            self.asked(Setting::Plain(action, &question.context), resource.clone(), question)
        });
        let line = Line { asked, refused: Some(refused), ..self.line(&decision_id, Outcome::Refused)? };
        let pending = self.decider.append(&line)?;
        pending.settled().await?;
        self.decider.count_refused();
        Ok(decision_id)
    }

    /// What is on record of a question in its setting.
    pub(super) fn asked<'q>(
        &self,
        setting: Setting<'q>,
        resource: EntityName<'q>,
        question: &'q Question,
    ) -> Asked<'q> {
        Asked::new(setting, resource, question, self.decider.log.values())
    }

    /// What the lines of whole requests have in common. The latency runs until here.
    fn line<'l>(&'l self, decision_id: &'l DecisionId, outcome: Outcome) -> Result<Line<'l>, AuditError> {
        let now = self.decider.clock.monotonic();
        let latency = now.saturating_sub(self.facts.started.monotonic);
        let write = |uid: &str| Principal::members(uid, self.identity);
        let principal = Principal::new(match &self.principal {
            Ok(principal) => Cow::Borrowed(principal.on_record(write)?),
            Err(_) => Cow::Owned(write(&self.snapshot.principal_uid(self.identity))?),
        });
        let principal = if self.decider.log.values() {
            principal.with_values(self.identity, self.snapshot.mapped_claims(self.identity))
        } else {
            principal
        };
        Ok(Line {
            request_id: Some(self.facts.request_id),
            principal: Some(principal),
            revision: Some(self.snapshot.revision().as_str()),
            latency_us: Some(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
            ..Line::new(Opening::Time(self.facts.started.wall), decision_id.as_str(), outcome)
        })
    }
}
