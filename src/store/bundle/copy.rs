//! The last good copy of a bundle, on disk: the one file that the store writes.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::digest;
use super::fetch::Packed;
use crate::model::Timestamp;
use crate::store::tree::{ReadFault, absolute, open, read_opened};

/// The first line of the file; longer than any of ours is.
const LONGEST_HEAD: usize = 16 * 1024;

/// Everybody's but the owner's right to write, of a file's mode.
const OTHERS_WRITE: u32 = 0o022;

/// Where the copy is.
#[derive(Debug, Clone)]
pub(super) struct CopyFile {
    path: PathBuf,
    /// Of which location: a copy of another one is none.
    location: Arc<str>,
    /// The largest bundle.
    most: usize,
    /// Held by whoever writes.
    writing: Arc<Mutex<()>>,
}

/// A bundle as it was fetched some time ago.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) packed: Packed,
    /// When the store last said that this is what it holds.
    pub(super) confirmed_at: Timestamp,
}

/// Why there is no copy to be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyFault {
    #[error("there is none yet")]
    Missing,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("it belongs to the user {owner}, and this process runs as {user}: remove it")]
    Foreign { owner: u32, user: u32 },
    #[error("its mode is {0:04o}, so that others than its owner may write it: remove it")]
    Writable(u32),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it is one of `{0}`")]
    Another(String),
}

/// What stands before the bundle: one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    location: String,
    etag: Option<String>,
    digest: String,
    confirmed_at: i64,
}

impl CopyFile {
    pub(super) fn new(path: &Path, location: Arc<str>, most: usize) -> Self {
        Self { path: absolute(path), location, most, writing: Arc::default() }
    }

    /// Reads it, as long as it is what was written, and nobody but this user can have written it. Blocks.
    pub(super) fn read(&self) -> Result<Copied, CopyFault> {
        let file = open(&self.path).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                CopyFault::Missing
            } else {
                CopyFault::Unreadable(error)
            }
        })?;
        written_by(rustix::process::geteuid().as_raw(), &file)?;
        let bytes =
            read_opened(file, self.most.saturating_add(LONGEST_HEAD)).map_err(|fault| match fault {
                ReadFault::Io(error) => CopyFault::Unreadable(error),
                ReadFault::NotAFile => CopyFault::Damaged("it is not a file"),
                ReadFault::TooLarge => CopyFault::Damaged("it is larger than any bundle may be"),
            })?;
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (head, bundle) = bytes.split_at(end);
        let head: Head = serde_json::from_slice(head)
            .map_err(|_| CopyFault::Damaged("it does not begin as a copy does"))?;
        let bundle = bundle.get(1..).unwrap_or_default();
        if *digest(bundle) != *head.digest {
            return Err(CopyFault::Damaged("its digest is another"));
        }
        if *head.location != *self.location {
            return Err(CopyFault::Another(head.location));
        }
        let packed = Packed { bytes: bundle.into(), etag: head.etag.map(Arc::from) };
        Ok(Copied { packed, confirmed_at: Timestamp::from_millis(head.confirmed_at) })
    }

    /// Puts a bundle in the place of the one before, whole or not at all, and waits for that no longer than `within`:
    /// a disk can take for ever. What takes longer may still come to its end, and nothing else is written until then.
    ///
    /// # Errors
    /// The folder cannot be written to, or not in time.
    pub(super) async fn write(&self, copied: Copied, within: Duration) -> io::Result<()> {
        let copy = self.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let _one_at_a_time =
                copy.writing.try_lock().map_err(|_| unwritten("the last one is being written"))?;
            copy.replace(&copied)
        });
        match tokio::time::timeout(within, writing).await {
            Ok(written) => written.map_err(io::Error::other)?,
            Err(_) => Err(unwritten("the disk takes too long")),
        }
    }

    fn replace(&self, copied: &Copied) -> io::Result<()> {
        let Copied { packed, confirmed_at } = copied;
        let head = Head {
            location: self.location.to_string(),
            etag: packed.etag.as_deref().map(str::to_owned),
            digest: digest(&packed.bytes).to_string(),
            confirmed_at: confirmed_at.millis(),
        };
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let private = std::fs::Permissions::from_mode(0o600);
        let mut file = tempfile::Builder::new().permissions(private).tempfile_in(folder)?;
        serde_json::to_writer(&mut file, &head)?;
        file.write_all(b"\n")?;
        file.write_all(&packed.bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// Whoever else can write the copy could have policies of their own put in force. What is asked is the file that was
/// opened, whatever lies at its path by now.
fn written_by(user: u32, file: &File) -> Result<(), CopyFault> {
    let metadata = file.metadata().map_err(CopyFault::Unreadable)?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != user {
        return Err(CopyFault::Foreign { owner, user });
    }
    if mode & OTHERS_WRITE == 0 { Ok(()) } else { Err(CopyFault::Writable(mode)) }
}

fn unwritten(why: &str) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, why)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage the copy")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn copied() -> Copied {
        let packed = Packed { bytes: b"a\nbundle".as_slice().into(), etag: Some("\"1\"".into()) };
        Copied { packed, confirmed_at: Timestamp::from_millis(7) }
    }

    fn file(folder: &tempfile::TempDir) -> CopyFile {
        CopyFile::new(&folder.path().join("copy"), "s3://bucket/key".into(), 100)
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_nobody_else_may() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        assert!(matches!(file.read(), Err(CopyFault::Missing)));
        file.write(copied(), LONG).await.unwrap();
        let read = file.read().unwrap();
        assert_eq!(
            (&*read.packed.bytes, read.packed.etag.as_deref()),
            (b"a\nbundle".as_slice(), Some("\"1\""))
        );
        assert_eq!(read.confirmed_at, Timestamp::from_millis(7));
        assert_eq!(file.path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_copy_that_others_may_write_or_that_belongs_to_another_user_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.replace(&copied()).unwrap();
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(file.read(), Err(CopyFault::Writable(told)) if told == mode), "{mode:o}");
        }
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file.read().is_ok(), "what others read they cannot change");
        // To give a file away takes rights that tests may not have.
        let (opened, owner) = (open(&file.path).unwrap(), rustix::process::geteuid().as_raw());
        let user = owner + 1;
        let fault = written_by(user, &opened).unwrap_err();
        assert!(matches!(fault, CopyFault::Foreign { .. }));
        let told = format!("it belongs to the user {owner}, and this process runs as {user}: remove it");
        assert_eq!(fault.to_string(), told);
    }

    #[tokio::test]
    async fn a_disk_that_takes_long_is_not_waited_for_and_given_nothing_else_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        // It takes a while to digest.
        let large = Packed { bytes: vec![0; 32 * 1024 * 1024].into(), etag: None };
        let large = Copied { packed: large, confirmed_at: Timestamp::from_millis(7) };
        let late = file.write(large, Duration::ZERO).await.unwrap_err();
        assert_eq!(late.to_string(), "the disk takes too long");
        while file.writing.try_lock().is_ok() {
            std::thread::yield_now();
        }
        let second = file.write(copied(), LONG).await.unwrap_err();
        assert_eq!(second.to_string(), "the last one is being written");
        drop(file.writing.lock().await);
        file.write(copied(), LONG).await.unwrap();
        assert!(file.read().is_ok());
    }

    #[test]
    fn a_copy_that_is_damaged_or_of_another_bundle_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.replace(&copied()).unwrap();
        let whole = fs::read(&file.path).unwrap();
        for length in 0..whole.len() {
            fs::write(&file.path, &whole[..length]).unwrap();
            assert!(matches!(file.read(), Err(CopyFault::Damaged(_))), "{length} bytes of it");
        }
        fs::write(&file.path, &whole).unwrap();
        let elsewhere = CopyFile { location: "s3://bucket/other".into(), ..file.clone() };
        assert!(matches!(elsewhere.read(), Err(CopyFault::Another(_))));
    }
}
