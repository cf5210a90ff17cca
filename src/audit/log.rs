//! The serving side of the decision log: tasks append to a buffer and wait for their receipt.
//!
//! A task that has appended lets the others run once, and the first to come back writes for all of
//! them: waking a thread costs more than a write. What a thread that serves may not wait for (a full
//! pipe, a disk that was slow a moment ago, a file server, a `sync`) it leaves to the one thread
//! (`writer.rs`) that is there to wait. Whoever is not served within `audit.stall` is refused, so
//! that a full pipe or a slow disk holds up answers, and for a bounded time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::output::{OpenError, Output, Patience};
use super::writer::{self, Awaited, Turn};
use super::{Config, Durability, Lines};
use crate::telemetry::Metrics;

/// How often a waiting task lets others run before it asks to be woken: a write by another thread
/// that serves is over by then, nearly always.
const YIELDS: usize = 4;

/// The decision log. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Log {
    to: Option<Arc<Handle>>,
    values: bool,
}

/// The proof that a record has got as far as `[audit] durability` asks for.
#[derive(Debug)]
pub struct Receipt(());

/// A record that is on its way.
#[derive(Debug)]
pub struct Pending(Option<Waiting>);

/// Why there is no record, and so no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// It could not be written.
    #[error("the decision log could not be written: {0}")]
    Failed(Arc<str>),
    /// A write takes longer than `audit.stall`.
    #[error("a write to the decision log takes too long")]
    Stalled,
    /// `audit.queue` bytes are waiting already.
    #[error("too much is waiting to be written to the decision log")]
    Full,
    /// It could not be put into JSON.
    #[error("the record could not be encoded: {0}")]
    Encoding(Arc<str>),
}

impl From<serde_json::Error> for AuditError {
    fn from(error: serde_json::Error) -> Self {
        Self::Encoding(error.to_string().into())
    }
}

/// What the tasks hold: when the last of them is gone, the writer writes what is left and ends.
struct Handle {
    shared: Arc<Shared>,
    writer: Thread,
}

/// What both sides hold.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    pub(super) durability: Durability,
    stall: Duration,
    capacity: usize,
    pub(super) metrics: Metrics,
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Queue {
    /// What the next write takes.
    pub(super) bytes: Vec<u8>,
    /// How many lines that is.
    pub(super) lines: usize,
    /// Their fate.
    pub(super) batch: Arc<Batch>,
    /// Memory for it.
    pub(super) spare: Vec<u8>,
    /// Where it goes; somebody is writing if it is not here.
    pub(super) output: Option<Output>,
    /// The fate of the write that runs.
    pub(super) writing: Option<Arc<Batch>>,
    /// What a thread that serves has left to the one that waits.
    pub(super) left: Option<Turn>,
    /// What the thread waits for although there is something to write.
    pub(super) awaited: Option<Awaited>,
    /// It has run for too long.
    pub(super) stalled: bool,
    /// The file is to be opened anew.
    pub(super) reopen: bool,
    /// Nobody appends any more.
    pub(super) closed: bool,
}

/// Records that are written together and share their fate.
#[derive(Debug, Default)]
pub(super) struct Batch {
    outcome: OnceLock<Result<(), AuditError>>,
    settled: Notify,
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Batch>,
    log: Arc<Handle>,
}

impl Log {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// The file cannot be opened, or `synced` is asked of something that cannot be synchronised.
    pub fn open(config: &Config, metrics: Metrics) -> Result<Self, OpenError> {
        let Some(output) = Output::of(config)? else { return Ok(Self { to: None, values: config.values }) };
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { output: Some(output), ..Queue::default() }),
            durability: config.durability,
            stall: config.stall.0,
            capacity: config.queue,
            metrics,
        });
        let writer = writer::start(Arc::clone(&shared))?;
        Ok(Self { to: Some(Arc::new(Handle { shared, writer })), values: config.values })
    }

    /// Whether the values of attributes and context go on record.
    pub fn values(&self) -> bool {
        self.values
    }

    /// Appends lines in one piece and waits until they are as durable as is configured. Where too much is
    /// waiting already, they wait beside the queue: a few large batches that end together are more than it takes.
    ///
    /// # Errors
    /// They are not on record, or it is not known whether they are: the answer must be withheld.
    pub async fn record(&self, lines: &[&Lines]) -> Result<Receipt, AuditError> {
        let Some(log) = &self.to else { return Ok(Receipt(())) };
        match log.append(lines) {
            Err(AuditError::Full) => timeout(log.shared.stall, log.record_beside_others(lines))
                .await
                .unwrap_or_else(|_| log.refuse(AuditError::Full)),
            appended => log.pending(appended)?.settled().await,
        }
    }

    /// Appends lines in one piece, if there is room: for callers that want their buffer back before they wait.
    ///
    /// # Errors
    /// They will not be on record.
    pub fn append(&self, lines: &[&Lines]) -> Result<Pending, AuditError> {
        let Some(log) = &self.to else { return Ok(Pending(None)) };
        log.pending(log.append(lines))
    }

    /// Opens the file anew, for log rotation; goes on with the old one if that fails.
    pub fn reopen(&self) {
        if let Some(log) = &self.to {
            log.shared.lock().reopen = true;
            log.writer.unpark();
        }
    }

    /// Waits until everything that was appended before is written.
    ///
    /// # Errors
    /// Something is not, or not `within` that time.
    pub async fn flush(&self, within: Duration) -> Result<(), AuditError> {
        let Some(log) = &self.to else { return Ok(()) };
        let batch = {
            let queue = log.shared.lock();
            queue.ahead().or_else(|| queue.writing.clone())
        };
        let Some(batch) = batch else { return Ok(()) };
        log.writer.unpark();
        timeout(within, batch.settled()).await.unwrap_or(Err(AuditError::Stalled))
    }
}

impl Pending {
    /// Waits until the lines are as durable as is configured, or `audit.stall` is over.
    pub async fn settled(self) -> Result<Receipt, AuditError> {
        let Some(waiting) = self.0 else { return Ok(Receipt(())) };
        let outcome = waiting.outcome().await;
        if outcome.is_err() {
            waiting.log.shared.metrics.audit_refusals.inc();
        }
        outcome.map(Receipt)
    }
}

impl Waiting {
    async fn outcome(&self) -> Result<(), AuditError> {
        for _ in 0..YIELDS {
            // Whatever else is ready runs first and appends to the same write.
            yield_now().await;
            if self.batch.outcome.get().is_none() {
                self.log.write();
            }
            if let Some(outcome) = self.batch.outcome.get() {
                return outcome.clone();
            }
        }
        self.log.writer.unpark();
        if let Ok(outcome) = timeout(self.log.shared.stall, self.batch.settled()).await {
            return outcome;
        }
        self.log.shared.give_up(&self.batch);
        self.batch.settled().await
    }
}

/// A task that goes away leaves its record behind, and the writer must learn of it.
impl Drop for Waiting {
    fn drop(&mut self) {
        if self.batch.outcome.get().is_none() {
            self.log.writer.unpark();
        }
    }
}

impl Handle {
    /// Appends as soon as there is room. Whoever it waits for is not given up: in `queued` mode their answers
    /// have left.
    async fn record_beside_others(self: &Arc<Self>, lines: &[&Lines]) -> Result<Receipt, AuditError> {
        loop {
            let ahead = self.shared.lock().ahead();
            if let Some(ahead) = ahead {
                self.writer.unpark();
                if ahead.settled().await.is_err() {
                    // There is room, or there will be none.
                    return self.pending(self.append(lines))?.settled().await;
                }
            }
            match self.append(lines) {
                Err(AuditError::Full) => {}
                appended => return self.pending(appended)?.settled().await,
            }
        }
    }

    fn refuse<T>(&self, error: AuditError) -> Result<T, AuditError> {
        self.shared.metrics.audit_refusals.inc();
        Err(error)
    }

    fn pending(self: &Arc<Self>, appended: Result<Arc<Batch>, AuditError>) -> Result<Pending, AuditError> {
        let batch = appended.or_else(|error| self.refuse(error))?;
        if self.shared.durability == Durability::Queued {
            self.writer.unpark();
            return Ok(Pending(None));
        }
        Ok(Pending(Some(Waiting { batch, log: Arc::clone(self) })))
    }

    fn append(&self, lines: &[&Lines]) -> Result<Arc<Batch>, AuditError> {
        let shared = &self.shared;
        let mut queue = shared.lock();
        if queue.stalled && shared.durability != Durability::Queued {
            return Err(AuditError::Stalled);
        }
        // What is larger than the whole queue is bounded by the request that it comes from.
        let size: usize = lines.iter().map(|lines| lines.as_bytes().len()).sum();
        if !queue.bytes.is_empty() && queue.bytes.len() + size > shared.capacity {
            self.writer.unpark();
            return Err(AuditError::Full);
        }
        queue.bytes.reserve(size);
        for lines in lines {
            queue.bytes.extend_from_slice(lines.as_bytes());
            queue.lines += lines.count();
        }
        shared.note_queue(&queue);
        Ok(Arc::clone(&queue.batch))
    }

    /// Writes for everybody, unless somebody else does.
    fn write(&self) {
        let Some(mut turn) = self.shared.turn() else { return };
        let awaited = match turn.write(Patience::AtOnce) {
            Poll::Ready(result) => self.shared.finish(turn, result),
            Poll::Pending => {
                self.shared.lock().left = Some(turn);
                true
            }
        };
        if awaited {
            self.writer.unpark();
        }
    }
}

/// Without the records that wait: they say who did what.
impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.writer.unpark();
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses everybody who waits, `mine` among them, and everybody who comes while the write hangs.
    fn give_up(&self, mine: &Arc<Batch>) {
        let mut queue = self.lock();
        let hanging = queue.writing.clone();
        let waits = Arc::ptr_eq(mine, &queue.batch);
        if waits || hanging.as_ref().is_some_and(|hanging| Arc::ptr_eq(mine, hanging)) {
            if hanging.is_some() && !queue.stalled {
                queue.stalled = true;
                self.metrics.audit_stalls.inc();
                tracing::error!("the decision log takes no records: answers are withheld");
            }
            queue.bytes.clear();
            queue.lines = 0;
            std::mem::take(&mut queue.batch).settle(Err(AuditError::Stalled));
            if let Some(hanging) = hanging {
                hanging.settle(Err(AuditError::Stalled));
            }
            self.note_queue(&queue);
        }
    }

    /// Shows in the metrics how much waits.
    pub(super) fn note_queue(&self, queue: &Queue) {
        self.metrics.audit_queue.set(i64::try_from(queue.bytes.len()).unwrap_or(i64::MAX));
    }
}

impl Queue {
    /// The fate of those whom the next write takes, if there are any.
    fn ahead(&self) -> Option<Arc<Batch>> {
        (!self.bytes.is_empty()).then(|| Arc::clone(&self.batch))
    }
}

impl Batch {
    /// The first outcome stands: an answer that was withheld stays so.
    pub(super) fn settle(&self, outcome: Result<(), AuditError>) {
        if self.outcome.set(outcome).is_ok() {
            self.settled.notify_waiters();
        }
    }

    async fn settled(&self) -> Result<(), AuditError> {
        loop {
            let notified = self.settled.notified();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            notified.await;
        }
    }
}
