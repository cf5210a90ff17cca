//! The items of a batch: judged side by side where there are processors for it, and put on record in
//! their order.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::task::{JoinSet, yield_now};

use super::alike::Alike;
use super::answer::{BatchDraft, write_item};
use super::case::Case;
use super::{Decider, DecisionId, NO_ACTION, RequestFacts};
use crate::audit::{AuditError, Decided, Line, Lines, OfBatch, Opening, Outcome, Setting};
use crate::cedar::{Hearing, Snapshot};
use crate::model::printed::Objects;
use crate::model::{BatchItem, Identity, Now, Refusal, RefusalCode};
use crate::workers::Workers;

/// How many items are judged at a time, which takes less than 0.1 ms where little is asked of each: others have
/// their turn in between.
const CHUNK: usize = 32;

/// How many items are worth another worker's time: what it costs to wake one is lost among so many.
const SHARE: usize = 64;

/// What came of some items of a batch, one behind the other.
#[derive(Debug)]
pub(super) struct Judged {
    /// Nobody may have them yet.
    pub(super) answers: Objects,
    pub(super) lines: Lines,
    pub(super) ids: Vec<DecisionId>,
    /// What neighbours that are counted alike are counted under, and how many those are.
    pub(super) counted: Vec<(Outcome, Arc<str>, usize)>,
    /// Policies that could not be evaluated.
    pub(super) errors: usize,
    /// The refusal that goes for every item alike: it lies in the one token.
    pub(super) refused_for_all: Option<Refusal>,
}

/// A case of its own for each task: all of one request, under one snapshot.
struct Shared {
    decider: Decider,
    snapshot: Arc<Snapshot>,
    identity: Arc<Identity>,
    request_id: String,
    started: Now,
    batch: OfBatch,
}

impl Judged {
    /// Judges the items of a batch, and returns what came of them in parts, in their order. A panic in one
    /// of them is the batch's.
    pub(super) async fn of(
        case: &Case<'_>,
        items: Vec<BatchItem>,
        batch: &DecisionId,
    ) -> Result<Vec<Self>, AuditError> {
        let batch = OfBatch::new(case.facts.started.wall, batch.as_str())?;
        let workers = case.decider.workers.as_ref().filter(|_| items.len() >= 2 * SHARE);
        match workers {
            Some(workers) => Self::by_several(workers, case, items, batch).await,
            None => Ok(vec![Self::part(case, &items, &batch).await?]),
        }
    }

    /// Each of several workers judges a part.
    async fn by_several(
        workers: &Workers,
        case: &Case<'_>,
        items: Vec<BatchItem>,
        batch: OfBatch,
    ) -> Result<Vec<Self>, AuditError> {
        let shared = Arc::new(Shared::of(case, batch));
        let size = items.len().div_ceil(workers.iter().len()).max(SHARE);
        let mut tasks = JoinSet::new();
        let mut items = items.into_iter();
        for (place, worker) in workers.iter().enumerate() {
            let part: Vec<_> = items.by_ref().take(size).collect();
            if part.is_empty() {
                break;
            }
            let shared = Arc::clone(&shared);
            let judge = async move { (place, Self::part(&shared.case(), &part, &shared.batch).await) };
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
        parts.into_iter().map(|(_, part)| part).collect()
    }

    fn with_room_for(items: usize) -> Self {
        Self {
            answers: BatchDraft::decisions(items),
            lines: Lines::with_room_for(items),
            ids: Vec::with_capacity(items),
            counted: Vec::new(),
            errors: 0,
            refused_for_all: None,
        }
    }

    async fn part(case: &Case<'_>, items: &[BatchItem], batch: &OfBatch) -> Result<Self, AuditError> {
        let mut judged = Self::with_room_for(items.len());
        let (mut hearing, mut alike) = (case.hearing(), Alike::default());
        for (number, chunk) in items.chunks(CHUNK).enumerate() {
            if number > 0 {
                yield_now().await;
            }
            for item in chunk {
                judged.judge(case, &mut hearing, item, batch, &mut alike)?;
            }
        }
        Ok(judged)
    }

    /// Judges one item, and writes its answer and its record: a small one, because the head of the batch has what
    /// all items share.
    fn judge<'i>(
        &mut self,
        case: &Case<'_>,
        hearing: &mut Result<Hearing<'i>, Refusal>,
        BatchItem { id, question }: &'i BatchItem,
        batch: &OfBatch,
        alike: &mut Alike,
    ) -> Result<(), AuditError> {
        let decision_id = case.new_id();
        let judged = match question {
            Ok(question) => case.evaluate(hearing, question),
            Err(refusal) => Err(refusal.clone()),
        };
        let hearing = hearing.as_ref().ok();
        let outcome = judged.as_ref().map_or(Outcome::Refused, |evaluation| evaluation.decision.into());
        let mut line = Line::new(Opening::OfBatch(batch), decision_id.as_str(), outcome);
        let mut action = None;
        if let Ok(question) = question {
            let names = case.names(hearing, question);
            let setting = alike.setting.of(&names.action, &question.context)?;
            line.asked = Some(case.asked(Setting::Written(setting), names.resource, question));
            action = Some(names.action);
        }
        let answered = match &judged {
            Ok(evaluation) => {
                let written = alike.decision.of(evaluation)?;
                line.decided = Some(Decided::new(evaluation, Some(written)));
                Ok((&**evaluation, written))
            }
            Err(refusal) => {
                line.refused = Some(refusal.into());
                Err(refusal)
            }
        };
        self.lines.push(&line)?;
        self.answers.push(|answer| write_item(id.as_deref(), decision_id, answered, answer))?;
        self.ids.push(decision_id);
        match judged {
            Ok(evaluation) => {
                self.errors += evaluation.errors.len();
                self.count(outcome, action.as_deref().unwrap_or(&NO_ACTION));
            }
            Err(refusal) => {
                self.count(outcome, &NO_ACTION);
                if refusal.code == RefusalCode::InvalidToken {
                    self.refused_for_all.get_or_insert(refusal);
                }
            }
        }
        Ok(())
    }

    /// Most batches ask the same many times.
    fn count(&mut self, outcome: Outcome, action: &Arc<str>) {
        match self.counted.last_mut() {
            Some((last, on, count)) if *last == outcome && on == action => *count += 1,
            _ => self.counted.push((outcome, Arc::clone(action), 1)),
        }
    }
}

impl Shared {
    fn of(case: &Case<'_>, batch: OfBatch) -> Self {
        Self {
            decider: case.decider.clone(),
            snapshot: case.snapshot.share(),
            identity: Arc::clone(case.identity),
            request_id: case.facts.request_id.to_owned(),
            started: case.facts.started,
            batch,
        }
    }

    fn case(&self) -> Case<'_> {
        let facts = RequestFacts { request_id: &self.request_id, started: self.started };
        Case::under(Arc::clone(&self.snapshot).into(), &self.decider, &self.identity, facts)
    }
}
