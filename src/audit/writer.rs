//! Whose turn it is to write the decision log, and the thread that writes what nobody else may wait for.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, Thread};

use super::Durability;
use super::log::{AuditError, Batch, Queue, Shared};
use super::output::{OpenError, Output, Patience};

/// What the buffer keeps of its memory between writes.
const KEPT: usize = 256 * 1024;

/// The right to write: there is one output, and whoever has it writes for everybody.
pub(super) struct Turn {
    output: Output,
    bytes: Vec<u8>,
    written: usize,
    lines: usize,
    batch: Arc<Batch>,
}

/// What the thread waits for although there is something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// Whoever writes, to give the output back.
    Output,
    /// Another record, before the last write is tried again.
    Record,
}

/// What the thread does next.
enum Work {
    Write(Turn),
    Reopen(Output),
    Wait,
    End,
}

/// Starts the thread.
pub(super) fn start(shared: Arc<Shared>) -> Result<Thread, OpenError> {
    let thread = thread::Builder::new()
        .name("audit".to_owned())
        .spawn(move || run(&shared))
        .map_err(OpenError::Thread)?;
    Ok(thread.thread().clone())
}

fn run(shared: &Shared) {
    loop {
        match shared.next() {
            Work::Write(mut turn) => match turn.write(Patience::Patient) {
                Poll::Ready(result) => {
                    // Nobody else waits for the output: it is this thread that would.
                    let _ = shared.finish(turn, result);
                }
                Poll::Pending => shared.lock().left = Some(turn),
            },
            Work::Reopen(mut output) => {
                output.reopen();
                shared.lock().output = Some(output);
            }
            Work::Wait => thread::park(),
            Work::End => return,
        }
    }
}

impl Turn {
    /// Writes what is left. Pending if there is no patience for the rest.
    pub(super) fn write(&mut self, patience: Patience) -> Poll<io::Result<()>> {
        self.output.write(&self.bytes, &mut self.written, patience)
    }
}

impl Queue {
    /// What waits, for whoever has the output.
    fn turn(&mut self, output: Output) -> Turn {
        let bytes = std::mem::replace(&mut self.bytes, std::mem::take(&mut self.spare));
        let batch = std::mem::take(&mut self.batch);
        self.writing = Some(Arc::clone(&batch));
        Turn { output, bytes, written: 0, lines: std::mem::take(&mut self.lines), batch }
    }

    /// Puts back what is already promised, to be tried again with the next record.
    fn keep(&mut self, bytes: &mut Vec<u8>, written: usize, lines: usize) {
        if self.closed {
            return;
        }
        let gone = bytes.drain(..written).filter(|byte| *byte == b'\n').count();
        bytes.append(&mut self.bytes);
        std::mem::swap(&mut self.bytes, bytes);
        self.lines += lines - gone;
        self.awaited = Some(Awaited::Record);
        if let Some(output) = &mut self.output {
            output.resume();
        }
    }
}

impl Shared {
    /// The turn of whoever asks first, if there is something to write.
    pub(super) fn turn(&self) -> Option<Turn> {
        let mut queue = self.lock();
        // Only the thread has the time to open a file.
        if queue.bytes.is_empty() || queue.reopen {
            return None;
        }
        let turn = queue.output.take().map(|output| queue.turn(output));
        self.note_queue(&queue);
        turn
    }

    fn next(&self) -> Work {
        let mut queue = self.lock();
        if let Some(turn) = queue.left.take() {
            return Work::Write(turn);
        }
        if queue.awaited.take() == Some(Awaited::Record) && !queue.closed {
            return Work::Wait;
        }
        if queue.bytes.is_empty() && !queue.reopen {
            return if queue.closed { Work::End } else { Work::Wait };
        }
        let Some(output) = queue.output.take() else {
            queue.awaited = Some(Awaited::Output);
            return Work::Wait;
        };
        if std::mem::take(&mut queue.reopen) {
            return Work::Reopen(output);
        }
        let turn = queue.turn(output);
        self.note_queue(&queue);
        Work::Write(turn)
    }

    /// Settles the fate of what was written and gives the output back. Says whether the thread waits for it.
    #[must_use]
    pub(super) fn finish(&self, turn: Turn, result: io::Result<()>) -> bool {
        let Turn { output, mut bytes, written, lines, batch } = turn;
        let outcome = result.map_err(|cause| {
            tracing::error!(%cause, lines, "the decision log could not be written");
            AuditError::Failed(cause.to_string().into())
        });
        let mut queue = self.lock();
        queue.writing = None;
        queue.output = Some(output);
        let awaited = queue.awaited.take() == Some(Awaited::Output);
        if std::mem::take(&mut queue.stalled) {
            tracing::info!("the decision log takes records again");
        }
        if outcome.is_ok() {
            self.metrics.audit_lines.inc_by(u64::try_from(lines).unwrap_or(u64::MAX));
            self.metrics.audit_bytes.inc_by(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        } else if self.durability == Durability::Queued {
            queue.keep(&mut bytes, written, lines);
            self.note_queue(&queue);
        }
        bytes.clear();
        bytes.shrink_to(KEPT);
        queue.spare = bytes;
        drop(queue);
        batch.settle(outcome);
        awaited
    }
}
