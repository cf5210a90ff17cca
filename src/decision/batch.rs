//! The items of a batch: judged side by side where there are processors for it, and put on record in
//! their order.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::{JoinSet, yield_now};

use super::case::Case;
use super::{Decider, DecisionId, NO_ACTION, RequestFacts};
use crate::audit::{AuditError, Line, Lines, Outcome};
use crate::cedar::Snapshot;
use crate::model::{BatchItem, Evaluation, Identity, Now, Question, Refusal, RefusalCode};
use crate::workers::Workers;

/// How many items are judged at a time: little enough to let other requests have their turn.
const CHUNK: usize = 16;

/// How many items are worth another worker's time: what it costs to wake one is lost among so many.
const SHARE: usize = 64;

/// Items with what came of them, and their records.
pub(super) struct Judged {
    pub(super) items: Vec<JudgedItem>,
    pub(super) lines: Lines,
}

/// An item of a batch with what came of it.
pub(super) struct JudgedItem {
    pub(super) id: Option<String>,
    pub(super) decision_id: DecisionId,
    pub(super) judged: Result<Evaluation, Refusal>,
    /// The action's full name; empty where the item could not be read.
    pub(super) action: Arc<str>,
    question: Option<Question>,
}

/// A case of its own for each task: all of one request, under one snapshot.
struct Shared {
    decider: Decider,
    snapshot: Arc<Snapshot>,
    identity: Arc<Identity>,
    request_id: String,
    started: Now,
}

impl Judged {
    /// Judges the items of a batch. A panic in one of them is the batch's.
    pub(super) async fn of(
        case: &Case<'_>,
        items: Vec<BatchItem>,
        batch: DecisionId,
    ) -> Result<Self, AuditError> {
        let workers = case.decider.workers.as_ref().filter(|_| items.len() >= 2 * SHARE);
        match workers {
            Some(workers) => Self::by_several(workers, case, items, batch).await,
            None => Self::part(case, items, &batch).await,
        }
    }

    /// Each of several workers judges a part.
    async fn by_several(
        workers: &Workers,
        case: &Case<'_>,
        items: Vec<BatchItem>,
        batch: DecisionId,
    ) -> Result<Self, AuditError> {
        let shared = Arc::new(Shared::of(case));
        let count = items.len();
        let size = count.div_ceil(workers.iter().len()).max(SHARE);
        let mut tasks = JoinSet::new();
        let mut items = items.into_iter();
        for (place, worker) in workers.iter().enumerate() {
            let part: Vec<_> = items.by_ref().take(size).collect();
            if part.is_empty() {
                break;
            }
            let shared = Arc::clone(&shared);
            let judge = async move { (place, Self::part(&shared.case(), part, &batch).await) };
            tasks.spawn_on(judge, worker.runtime());
        }
        let mut parts = Vec::with_capacity(tasks.len());
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(part) => parts.push(part),
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The runtime ends, and this task with it.
                    Err(_cancelled) => pending().await,
                },
            }
        }
        parts.sort_unstable_by_key(|(place, _)| *place);
        let mut judged = Self::with_room_for(count);
        for (_, part) in parts {
            let Self { items, lines } = part?;
            judged.items.extend(items);
            judged.lines.append(&lines);
        }
        Ok(judged)
    }

    fn with_room_for(items: usize) -> Self {
        Self { items: Vec::with_capacity(items), lines: Lines::with_room_for(items) }
    }

    async fn part(case: &Case<'_>, items: Vec<BatchItem>, batch: &DecisionId) -> Result<Self, AuditError> {
        let mut judged = Self::with_room_for(items.len());
        for (number, item) in items.into_iter().enumerate() {
            if number > 0 && number % CHUNK == 0 {
                yield_now().await;
            }
            let item = JudgedItem::new(case, item);
            judged.lines.push(&item.line(case, batch))?;
            judged.items.push(item);
        }
        Ok(judged)
    }

    /// The refusal that goes for every item alike: it lies in the one token.
    pub(super) fn refused_for_all(&self) -> Option<Refusal> {
        let mut refusals = self.items.iter().filter_map(|item| item.judged.as_ref().err());
        refusals.find(|refusal| refusal.code == RefusalCode::InvalidToken).cloned()
    }
}

impl Shared {
    fn of(case: &Case<'_>) -> Self {
        Self {
            decider: case.decider.clone(),
            snapshot: case.snapshot.share(),
            identity: Arc::clone(case.identity),
            request_id: case.facts.request_id.to_owned(),
            started: case.facts.started,
        }
    }

    fn case(&self) -> Case<'_> {
        let facts = RequestFacts { request_id: &self.request_id, started: self.started };
        Case::under(Arc::clone(&self.snapshot).into(), &self.decider, &self.identity, facts)
    }
}

impl JudgedItem {
    /// Judges one item.
    fn new(case: &Case<'_>, item: BatchItem) -> Self {
        let decision_id = case.new_id();
        let BatchItem { id, question } = item;
        let (question, judged) = match question {
            Ok(question) => {
                let judged = case.evaluate(&question);
                (Some(question), judged)
            }
            Err(refusal) => (None, Err(refusal)),
        };
        let action = question.as_ref().map(|question| case.action(question));
        Self { id, decision_id, judged, action: action.unwrap_or_else(|| Arc::from("")), question }
    }

    fn outcome(&self) -> Outcome {
        self.judged.as_ref().map_or(Outcome::Refused, |evaluation| evaluation.decision.into())
    }

    /// The labels that it is counted under.
    pub(super) fn counted_under(&self) -> (Outcome, &Arc<str>) {
        (self.outcome(), if self.judged.is_ok() { &self.action } else { &NO_ACTION })
    }

    /// Its record: small, because the head of its batch has what all items share.
    fn line<'l>(&'l self, case: &'l Case<'_>, batch: &'l DecisionId) -> Line<'l> {
        Line {
            batch: Some(batch.as_str()),
            asked: self.question.as_ref().map(|question| case.asked(&self.action, question)),
            decided: self.judged.as_ref().ok().map(Into::into),
            refused: self.judged.as_ref().err().map(Into::into),
            ..Line::new(case.facts.started.wall, self.decision_id.as_str(), self.outcome())
        }
    }
}
