//! The last good copy of a bundle, on disk: the one file that the store writes.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest;
use super::fetch::Packed;
use crate::model::Timestamp;
use crate::store::tree::{ReadFault, absolute, read_capped};

/// The first line of the file; longer than any of ours is.
const LONGEST_HEAD: usize = 16 * 1024;

/// Where the copy is.
#[derive(Debug, Clone)]
pub(super) struct CopyFile {
    path: PathBuf,
    /// Of which location: a copy of another one is none.
    location: Arc<str>,
    /// The largest bundle.
    most: usize,
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
        Self { path: absolute(path), location, most }
    }

    /// Reads it, as long as it is what was written. Blocks.
    pub(super) fn read(&self) -> Result<Copied, CopyFault> {
        let bytes =
            read_capped(&self.path, self.most.saturating_add(LONGEST_HEAD)).map_err(|fault| match fault {
                ReadFault::Io(error) if error.kind() == io::ErrorKind::NotFound => CopyFault::Missing,
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

    /// Puts a bundle in the place of the one before: whole, or not at all. Blocks.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub(super) fn write(&self, copied: &Copied) -> io::Result<()> {
        let Copied { packed, confirmed_at } = copied;
        let head = Head {
            location: self.location.to_string(),
            etag: packed.etag.as_deref().map(str::to_owned),
            digest: digest(&packed.bytes).to_string(),
            confirmed_at: confirmed_at.millis(),
        };
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        // Nobody but this user may read it, or write it.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, &head)?;
        file.write_all(b"\n")?;
        file.write_all(&packed.bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage the copy")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn copied() -> Copied {
        let packed = Packed { bytes: b"a\nbundle".as_slice().into(), etag: Some("\"1\"".into()) };
        Copied { packed, confirmed_at: Timestamp::from_millis(7) }
    }

    fn file(folder: &tempfile::TempDir) -> CopyFile {
        CopyFile::new(&folder.path().join("copy"), "s3://bucket/key".into(), 100)
    }

    #[test]
    fn what_was_written_is_read_and_nobody_else_may() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        assert!(matches!(file.read(), Err(CopyFault::Missing)));
        file.write(&copied()).unwrap();
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
    fn a_copy_that_is_damaged_or_of_another_bundle_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder);
        file.write(&copied()).unwrap();
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
