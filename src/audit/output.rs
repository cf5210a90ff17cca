//! Where the decision log goes: the only file that touches standard output or the log file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::time::Instant;

use super::{Config, Durability, Sink};

/// Decisions say who did what: nobody else on the machine reads them.
const MODE: u32 = 0o600;

/// A write to a local file that takes as long as this met a disk that is busy or full.
const SLOW: Duration = Duration::from_millis(20);

/// How many writes in a row must be quick before a file that was slow is trusted again.
const CAUTION: u32 = 100;

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

/// Where the lines go.
pub(super) struct Output {
    file: File,
    kind: Kind,
    /// To be opened anew on request; standard output has none.
    path: Option<PathBuf>,
    /// Whether a write is to reach the disk.
    synced: bool,
    /// The last line has no end.
    torn: bool,
    /// How many writes are still for a thread that may wait.
    caution: u32,
}

/// How long a write may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// The thread serves: whatever may hold it up is left to another.
    AtOnce,
    /// The thread is there to wait.
    Patient,
}

/// What is known of how long a write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A file on a disk of this machine: no longer than a copy, nearly always.
    LocalFile,
    /// A pipe: as long as its reader wants, but it says whether there is room.
    Pipe,
    /// Anything else, a file server among it.
    Other,
}

impl Output {
    /// Opens the sink; there is nothing to open where the log is off.
    pub(super) fn of(config: &Config) -> Result<Option<Self>, OpenError> {
        let synced = config.durability == Durability::Synced;
        let output = match config.sink {
            Sink::Off => return Ok(None),
            Sink::Stdout => Self::stdout(synced).map_err(OpenError::Stdout)?,
            Sink::File => Self::open(&config.path, synced)
                .map_err(|cause| OpenError::File { path: config.path.clone(), cause })?,
        };
        if synced {
            output.file.sync_data().map_err(OpenError::NotSynced)?;
        }
        Ok(Some(output))
    }

    fn stdout(synced: bool) -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { kind: Kind::of(&file)?, file, path: None, synced, torn: false, caution: 0 })
    }

    fn open(path: &Path, synced: bool) -> io::Result<Self> {
        let file = append_to(path)?;
        let (kind, torn) = (Kind::of(&file)?, is_torn(&file, path)?);
        Ok(Self { file, kind, path: Some(path.to_owned()), synced, torn, caution: 0 })
    }

    /// Opens the file anew; goes on with the old one if that fails.
    pub(super) fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match Self::open(path, self.synced) {
            Ok(output) => *self = output,
            Err(cause) => {
                tracing::error!(%cause, path = %path.display(), "the decision log could not be reopened: the old file goes on");
            }
        }
    }

    /// Writes what of `bytes` is behind `written`, and says how far it got. Pending if there is no
    /// patience for the rest.
    pub(super) fn write(
        &mut self,
        bytes: &[u8],
        written: &mut usize,
        patience: Patience,
    ) -> Poll<io::Result<()>> {
        if patience == Patience::AtOnce && (self.kind == Kind::Other || self.synced || self.caution > 0) {
            return Poll::Pending;
        }
        let started = Instant::now();
        let result = self.write_lines(bytes, written, patience);
        if self.kind == Kind::LocalFile {
            self.caution = if started.elapsed() < SLOW { self.caution.saturating_sub(1) } else { CAUTION };
        }
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    /// What was promised and not written goes on where the write broke off.
    pub(super) fn resume(&mut self) {
        self.torn = false;
    }

    fn write_lines(&mut self, bytes: &[u8], written: &mut usize, patience: Patience) -> io::Result<()> {
        if self.torn {
            self.write_all(b"\n", &mut 0, patience)?;
            self.torn = false;
        }
        let result = self.write_all(bytes, written, patience);
        if let Err(error) = &result
            && error.kind() != ErrorKind::WouldBlock
            && let Some(last) = written.checked_sub(1).and_then(|last| bytes.get(last))
        {
            self.torn = *last != b'\n';
        }
        result?;
        if self.synced { self.file.sync_data() } else { Ok(()) }
    }

    /// Like `Write::write_all`, but says how far it got, and waits for a pipe that somebody else
    /// has made non-blocking.
    fn write_all(&mut self, bytes: &[u8], written: &mut usize, patience: Patience) -> io::Result<()> {
        while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
            let step = match (self.kind, patience) {
                (Kind::Pipe, Patience::AtOnce) => into_room(&self.file, rest),
                _ => self.file.write(rest),
            };
            match step {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => *written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && patience == Patience::Patient => {
                    self.wait_for_room()?;
                }
                Err(error) => return Err(error),
            }
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

impl Kind {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(match metadata.file_type() {
            kind if kind.is_file() && is_local(file) => Self::LocalFile,
            kind if kind.is_fifo() => Self::Pipe,
            _ => Self::Other,
        })
    }
}

/// Whether a file lies on this machine, so that no server can keep a write waiting. Filesystems
/// that are not known to are taken not to.
#[cfg(target_os = "linux")]
fn is_local(file: &File) -> bool {
    /// ext2 to ext4, XFS, Btrfs, F2FS, ZFS, tmpfs and overlayfs (`statfs(2)`).
    const LOCAL: [rustix::fs::FsWord; 7] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x2fc1_2fc1, 0x0102_1994, 0x794c_7630];
    rustix::fs::fstatfs(file).is_ok_and(|filesystem| LOCAL.contains(&filesystem.f_type))
}

/// Writes what a pipe has room for. Would block where there is none, and where the kernel (before
/// 6.5) cannot say.
#[cfg(target_os = "linux")]
fn into_room(file: &File, bytes: &[u8]) -> io::Result<usize> {
    /// Where the file is: a pipe is nowhere else.
    const HERE: u64 = u64::MAX;
    use rustix::io::{ReadWriteFlags, pwritev2};
    match pwritev2(file, &[io::IoSlice::new(bytes)], HERE, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP) => Err(ErrorKind::WouldBlock.into()),
        written => Ok(written?),
    }
}

#[cfg(not(target_os = "linux"))]
fn is_local(_: &File) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn into_room(_: &File, _: &[u8]) -> io::Result<usize> {
    Err(ErrorKind::WouldBlock.into())
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

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    fn output(file: impl Into<OwnedFd>) -> Output {
        let file = File::from(file.into());
        Output { kind: Kind::of(&file).unwrap(), file, path: None, synced: false, torn: false, caution: 0 }
    }

    fn is_written(poll: Poll<io::Result<()>>) -> bool {
        poll.map(Result::unwrap).is_ready()
    }

    #[test]
    fn a_pipe_takes_what_fits_at_once_and_the_rest_with_patience() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (bytes, mut written) = (vec![b'x'; 1_000_000], 0);
        let mut output = output(writer);
        assert!(!is_written(output.write(&bytes, &mut written, Patience::AtOnce)), "nobody reads");
        assert!(written > 0 && written < bytes.len(), "{written}");
        let reading = std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()).unwrap());
        assert!(is_written(output.write(&bytes, &mut written, Patience::Patient)));
        drop(output);
        assert_eq!(reading.join().unwrap(), 1_000_000);
    }

    #[test]
    fn what_says_nothing_of_its_time_is_left_to_a_thread_that_has_it() {
        let mut terminal = output(tempfile::tempfile().unwrap());
        terminal.kind = Kind::Other;
        let mut synced = output(tempfile::tempfile().unwrap());
        synced.synced = true;
        for mut output in [terminal, synced] {
            let mut written = 0;
            assert!(!is_written(output.write(b"1\n", &mut written, Patience::AtOnce)));
            assert_eq!(written, 0);
            assert!(is_written(output.write(b"1\n", &mut written, Patience::Patient)));
        }
    }

    #[test]
    fn a_file_that_was_slow_is_trusted_again_once_it_is_quick() {
        let mut output = output(tempfile::tempfile().unwrap());
        assert!(is_written(output.write(b"1\n", &mut 0, Patience::AtOnce)));
        output.caution = 2;
        for trusted in [false, false, true] {
            assert_eq!(is_written(output.write(b"2\n", &mut 0, Patience::AtOnce)), trusted);
            assert!(is_written(output.write(b"3\n", &mut 0, Patience::Patient)));
        }
    }

    #[test]
    fn a_pipe_without_a_reader_says_so_at_once() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let Poll::Ready(Err(error)) = output(writer).write(b"1\n", &mut 0, Patience::AtOnce) else {
            panic!("it took the line")
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
