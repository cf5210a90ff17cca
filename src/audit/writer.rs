//! The writing side of the decision log: the only file that touches standard output or the log file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, Thread};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::log::{AuditError, Batch, Shared};
use super::{Config, Durability, Sink};

/// What the buffer keeps of its memory between writes.
const KEPT: usize = 256 * 1024;

/// Decisions say who did what: nobody else on the machine reads them.
const MODE: u32 = 0o600;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file.
    #[error("the decision log `{}` cannot be opened: {cause}", path.display())]
    File {
        /// `audit.path`.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// Standard output.
    #[error("standard output cannot take the decision log: {0}")]
    Stdout(io::Error),
    /// A pipe or a terminal has no disk.
    #[error("`audit.durability = \"synced\"` needs a file on a disk: {0}")]
    NotSynced(io::Error),
    /// The thread.
    #[error("the writer of the decision log cannot be started: {0}")]
    Thread(io::Error),
}

/// What the thread owns.
pub(super) struct Writer {
    shared: Arc<Shared>,
    output: Output,
}

/// Where the lines go.
struct Output {
    file: File,
    /// To be opened anew on request; standard output has none.
    path: Option<PathBuf>,
    /// The last line has no end.
    torn: bool,
}

/// A write that came to nothing, or to a part.
struct Failed {
    written: usize,
    cause: io::Error,
}

/// What the thread does next.
enum Work {
    Write { lines: usize, batch: Arc<Batch> },
    Reopen,
    Wait,
    End,
}

impl Writer {
    /// Opens the sink and starts the thread; there is none where the log is off.
    pub(super) fn start(config: &Config, shared: Arc<Shared>) -> Result<Option<Thread>, OpenError> {
        let output = match config.sink {
            Sink::Off => return Ok(None),
            Sink::Stdout => Output::stdout().map_err(OpenError::Stdout)?,
            Sink::File => Output::open(&config.path)
                .map_err(|cause| OpenError::File { path: config.path.clone(), cause })?,
        };
        if config.durability == Durability::Synced {
            output.file.sync_data().map_err(OpenError::NotSynced)?;
        }
        let writer = Self { shared, output };
        let thread = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::Thread)?;
        Ok(Some(thread.thread().clone()))
    }

    fn run(mut self) {
        let mut bytes = Vec::new();
        loop {
            match self.next(&mut bytes) {
                Work::Write { lines, batch } => self.write(&mut bytes, lines, &batch),
                Work::Reopen => self.output.reopen(),
                Work::Wait => thread::park(),
                Work::End => return,
            }
        }
    }

    fn next(&self, bytes: &mut Vec<u8>) -> Work {
        let mut queue = self.shared.lock();
        if std::mem::take(&mut queue.reopen) {
            return Work::Reopen;
        }
        if queue.bytes.is_empty() {
            return if queue.closed { Work::End } else { Work::Wait };
        }
        std::mem::swap(&mut queue.bytes, bytes);
        let batch = std::mem::take(&mut queue.batch);
        queue.writing = Some(Arc::clone(&batch));
        self.shared.note_queue(&queue);
        Work::Write { lines: std::mem::take(&mut queue.lines), batch }
    }

    fn write(&mut self, bytes: &mut Vec<u8>, lines: usize, batch: &Batch) {
        let result = self.output.write(bytes, self.shared.durability);
        let mut queue = self.shared.lock();
        queue.writing = None;
        if std::mem::take(&mut queue.stalled) {
            tracing::info!("the decision log takes records again");
        }
        drop(queue);
        match result {
            Ok(()) => {
                self.shared.metrics.audit_lines.inc_by(u64::try_from(lines).unwrap_or(u64::MAX));
                self.shared.metrics.audit_bytes.inc_by(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                batch.settle(Ok(()));
            }
            Err(Failed { written, cause }) => {
                tracing::error!(%cause, lines, "the decision log could not be written");
                batch.settle(Err(AuditError::Failed(cause.to_string().into())));
                if self.shared.durability == Durability::Queued {
                    self.keep(bytes, written, lines);
                }
            }
        }
        bytes.clear();
        bytes.shrink_to(KEPT);
    }

    /// Puts back what is already promised, to be tried again with the next record.
    fn keep(&mut self, bytes: &mut Vec<u8>, written: usize, lines: usize) {
        let gone = bytes.drain(..written).filter(|byte| *byte == b'\n').count();
        // The rest goes on where the write broke off.
        self.output.torn = false;
        let mut queue = self.shared.lock();
        bytes.append(&mut queue.bytes);
        std::mem::swap(&mut queue.bytes, bytes);
        queue.lines += lines - gone;
        self.shared.note_queue(&queue);
        let closed = queue.closed;
        if closed {
            queue.bytes.clear();
        }
        drop(queue);
        if !closed {
            thread::park();
        }
    }
}

impl Output {
    fn stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { file, path: None, torn: false })
    }

    fn open(path: &Path) -> io::Result<Self> {
        let file = append_to(path)?;
        let torn = is_torn(&file, path)?;
        Ok(Self { file, path: Some(path.to_owned()), torn })
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match Self::open(path) {
            Ok(output) => *self = output,
            Err(cause) => {
                tracing::error!(%cause, path = %path.display(), "the decision log could not be reopened: the old file goes on");
            }
        }
    }

    fn write(&mut self, bytes: &[u8], durability: Durability) -> Result<(), Failed> {
        if self.torn {
            self.write_all(b"\n").map_err(|failed| Failed { written: 0, ..failed })?;
            self.torn = false;
        }
        let written = self.write_all(bytes);
        if let Err(Failed { written, .. }) = written
            && let Some(last) = written.checked_sub(1).and_then(|last| bytes.get(last))
        {
            self.torn = *last != b'\n';
        }
        written?;
        if durability == Durability::Synced {
            self.file.sync_data().map_err(|cause| Failed { written: bytes.len(), cause })?;
        }
        Ok(())
    }

    /// Like `Write::write_all`, but says how far it got, and waits for a pipe that somebody else
    /// has made non-blocking.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let step = match self.file.write(rest) {
                Ok(0) => Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    Ok(())
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for_room(),
                Err(error) => Err(error),
            };
            step.map_err(|cause| Failed { written: bytes.len() - rest.len(), cause })?;
        }
        Ok(())
    }

    fn wait_for_room(&self) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the log file is opened")]
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

/// Whether a file ends in the middle of a line, as one does whose disk ran full. A file that
/// cannot be read is taken to: an empty line hurts less than a lost one.
#[expect(clippy::disallowed_methods, reason = "the end of the log file, to begin behind it")]
fn is_torn(file: &File, path: &Path) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let Some(last) = metadata.len().checked_sub(1).filter(|_| metadata.is_file()) else { return Ok(false) };
    let mut end = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut end, last));
    Ok(read.is_err() || end != *b"\n")
}
