//! The decider: one snapshot, one evaluation, one record, and only then an answer.

use std::cell::RefCell;
use std::iter;
use std::sync::{Arc, LazyLock};

pub use crate::audit::{AuditError, Refused};
use crate::audit::{Line, Lines, Log, Outcome, Pending, Setting};
use crate::cedar::Snapshots;
use crate::clock::Clock;
use crate::identity::Verified;
use crate::model::{BatchItem, Identity, Now, Question, Refusal};
use crate::telemetry::Metrics;
use crate::workers::Workers;

mod alike;
mod answer;
mod batch;
mod case;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use answer::new_uuid;
pub use answer::{Answer, BatchAnswer, DecisionId};
use answer::{BatchDraft, Draft};
use batch::Judged;
use case::{Case, Names};

/// What refusals are counted under: what was refused may name an action that the schema does not have.
static NO_ACTION: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));

/// Decides, and puts on record what it decides.
#[derive(Debug, Clone)]
pub struct Decider {
    /// The read end of the swap point.
    pub snapshots: Snapshots,
    /// The decision log.
    pub log: Log,
    /// For latencies.
    pub clock: Clock,
    /// Counts decisions, by outcome and action.
    pub metrics: Metrics,
    /// Who shares in large batches, if anybody does.
    pub workers: Option<Workers>,
}

/// What is known of a request beside its question.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// As the program log names it.
    pub request_id: &'a str,
    /// When its headers had come: the time that it is judged under.
    pub started: Now,
}

/// An answer that waits for its record, and what is counted once that is there.
struct Drafted {
    answer: Draft,
    pending: Pending,
    action: Arc<str>,
    errors: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// The question, or the token's claims, are at fault; that is on record under this id.
    #[error("{refusal}")]
    Refused {
        /// What the caller may know.
        refusal: Refusal,
        /// The id in the record.
        decision_id: DecisionId,
    },
    /// There is no record, so there is no answer either.
    #[error(transparent)]
    Unrecorded(#[from] AuditError),
}

impl Decider {
    /// Decides one question about one principal.
    pub async fn decide(
        &self,
        verified: &Verified,
        question: &Question,
        facts: RequestFacts<'_>,
    ) -> Result<Answer, Undecided> {
        self.answer(verified.identity(), question, facts, false).await
    }

    /// Decides one question and says who the principal was and what determined the decision.
    pub async fn explain(
        &self,
        verified: &Verified,
        question: &Question,
        facts: RequestFacts<'_>,
    ) -> Result<Answer, Undecided> {
        self.answer(verified.identity(), question, facts, true).await
    }

    /// Decides the questions of a batch about one principal, all under one snapshot.
    pub async fn decide_batch(
        &self,
        verified: &Verified,
        items: Vec<BatchItem>,
        facts: RequestFacts<'_>,
    ) -> Result<BatchAnswer, Undecided> {
        self.answer_batch(verified.identity(), items, facts).await
    }

    /// Puts on record that a request was refused after its token was verified.
    pub async fn refuse(
        &self,
        verified: &Verified,
        refused: Refused<'_>,
        facts: RequestFacts<'_>,
    ) -> Result<DecisionId, AuditError> {
        Case::new(self, verified.identity(), facts).refuse(refused, None).await
    }

    async fn answer(
        &self,
        identity: &Arc<Identity>,
        question: &Question,
        facts: RequestFacts<'_>,
        explain: bool,
    ) -> Result<Answer, Undecided> {
        let case = Case::new(self, identity, facts);
        let Drafted { answer, pending, action, errors } = match self.draft(&case, question, explain)? {
            Ok(drafted) => drafted,
            Err(refusal) => return Err(case.refused(refusal, Some(question)).await),
        };
        // What it was decided by is not held while its record is written.
        drop(case);
        let receipt = pending.settled().await?;
        let answer = answer.on_record(&receipt);
        self.metrics.count_decisions(answer.decision().as_str(), &action, 1);
        self.count_errors(errors);
        Ok(answer)
    }

    /// Decides, writes the answer, and lets its record go on its way.
    fn draft(
        &self,
        case: &Case<'_>,
        question: &Question,
        explain: bool,
    ) -> Result<Result<Drafted, Refusal>, AuditError> {
        let mut hearing = case.hearing();
        let judged = case.evaluate(&mut hearing, question).and_then(|evaluation| {
            let explanation = explain.then(|| case.explain(question, &evaluation)).transpose()?;
            Ok((evaluation, explanation))
        });
        let (evaluation, explanation) = match judged {
            Ok(judged) => judged,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let decision_id = case.new_id();
        let hearing = hearing.as_ref().ok();
        let Names { action, resource } = case.names(hearing, question);
        let answer = Draft::new(&evaluation, decision_id, case.revision(), explanation.as_ref())?;
        let asked = case.asked(Setting::Plain(&action, &question.context), resource, question);
        let pending = self.append(&case.decided(&decision_id, asked, &evaluation)?)?;
        Ok(Ok(Drafted { answer, pending, action: action.into_owned(), errors: evaluation.errors.len() }))
    }

    async fn answer_batch(
        &self,
        identity: &Arc<Identity>,
        items: Vec<BatchItem>,
        facts: RequestFacts<'_>,
    ) -> Result<BatchAnswer, Undecided> {
        let case = Case::new(self, identity, facts);
        let batch = case.new_id();
        let mut parts = Judged::of(&case, items, &batch).await?;
        if let Some(refusal) = parts.iter().find_map(|part| part.refused_for_all.as_ref()) {
            return Err(case.refused(refusal.clone(), None).await);
        }
        let ids: Vec<_> = parts.iter().flat_map(|part| &part.ids).map(DecisionId::as_str).collect();
        let mut head = Lines::default();
        head.push(&case.head(&batch, &ids)?)?;
        let answers = parts.iter_mut().map(|part| part.answers.take());
        let answer = BatchDraft::new(answers, case.revision()).map_err(AuditError::from)?;
        // As that of one question is: see `answer`.
        drop(case);
        let lines: Vec<_> = iter::once(&head).chain(parts.iter().map(|part| &part.lines)).collect();
        let receipt = self.log.record(&lines).await?;
        for part in &parts {
            for (outcome, action, count) in &part.counted {
                self.metrics.count_decisions(outcome.as_str(), action, *count);
            }
            self.count_errors(part.errors);
        }
        Ok(answer.on_record(&receipt))
    }

    /// Appends one line through a buffer of this thread, which is free again before anybody waits.
    fn append(&self, line: &Line<'_>) -> Result<Pending, AuditError> {
        thread_local! {
            static LINES: RefCell<Lines> = RefCell::default();
        }
        LINES.with_borrow_mut(|lines| {
            lines.clear();
            lines.push(line)?;
            self.log.append(&[lines])
        })
    }

    fn count_errors(&self, errors: usize) {
        if errors > 0 {
            self.metrics.evaluation_errors.inc_by(u64::try_from(errors).unwrap_or(u64::MAX));
        }
    }

    fn count_refused(&self) {
        self.metrics.count_decisions(Outcome::Refused.as_str(), &NO_ACTION, 1);
    }
}
