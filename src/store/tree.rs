//! Where the files of a revision are: on disk, or in an archive in memory that stands in a folder's place.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bundle::Archive;
use super::walk::{Cause, Fault, Found, Walk};

/// What files are read from. Paths are the same for both: those of the disk.
#[derive(Debug, Clone, Default)]
pub(super) enum Tree {
    #[default]
    Disk,
    Archive(Mounted),
}

/// An archive in the place of a folder: nothing of what the folder holds on disk is seen.
#[derive(Debug, Clone)]
pub(super) struct Mounted {
    archive: Arc<Archive>,
    /// As an absolute path.
    folder: PathBuf,
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum ReadFault {
    Io(io::Error),
    NotAFile,
    TooLarge,
}

impl Tree {
    /// An archive in the place of this folder.
    pub(super) fn archive(archive: Arc<Archive>, folder: &Path) -> Self {
        Self::Archive(Mounted { archive, folder: absolute(folder) })
    }

    pub(super) fn is_file(&self, path: &Path) -> bool {
        match self {
            Self::Disk => path.is_file(),
            Self::Archive(mounted) => mounted.file(path).is_some(),
        }
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        match self {
            Self::Disk => path.exists(),
            Self::Archive(mounted) => mounted.file(path).is_some() || !mounted.below(path).is_empty(),
        }
    }

    /// Whether there is anything by this name, if only a link to nowhere.
    pub(super) fn has_name(&self, path: &Path) -> bool {
        match self {
            Self::Disk => path.symlink_metadata().is_ok(),
            Self::Archive(_) => self.exists(path),
        }
    }

    /// The files below a folder whose names are wanted, those with a leading dot aside.
    pub(super) fn walk(&self, folder: &Path, wanted: fn(&str) -> bool) -> Walk {
        match self {
            Self::Disk => Walk::of(folder, wanted),
            Self::Archive(mounted) => mounted.walk(folder, wanted),
        }
    }

    /// Reads a file of at most `most` bytes.
    pub(super) fn read(&self, path: &Path, most: usize) -> Result<Vec<u8>, ReadFault> {
        let mounted = match self {
            Self::Disk => return read_capped(path, most),
            Self::Archive(mounted) => mounted,
        };
        match mounted.file(path) {
            Some(bytes) if bytes.len() > most => Err(ReadFault::TooLarge),
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(ReadFault::Io(ErrorKind::NotFound.into())),
        }
    }
}

impl Mounted {
    fn file(&self, path: &Path) -> Option<&[u8]> {
        self.archive.file(&self.name(path)?)
    }

    /// What the files below a folder are called from there.
    fn below(&self, folder: &Path) -> Vec<String> {
        let Some(name) = self.name(folder) else { return Vec::new() };
        let prefix = if name.is_empty() { name } else { name + "/" };
        self.archive.below(&prefix).map(str::to_owned).collect()
    }

    fn walk(&self, folder: &Path, wanted: fn(&str) -> bool) -> Walk {
        let mut walk = Walk::default();
        // An archive of files has no empty folders: one without any is not there.
        if self.file(folder).is_some() {
            let cause = Cause::Unreadable(ErrorKind::NotADirectory.into());
            walk.faults.push(Fault { name: "".into(), cause });
        }
        for name in self.below(folder) {
            let hidden = name.split('/').any(|part| part.starts_with('.'));
            if !hidden && wanted(name.rsplit('/').next().unwrap_or_default()) {
                walk.files.push(Found { path: folder.join(&name), name: name.into() });
            }
        }
        walk
    }

    /// What the archive calls a path; nothing for one that is not below the folder.
    fn name(&self, path: &Path) -> Option<String> {
        let path = absolute(path);
        let parts = path.strip_prefix(&self.folder).ok()?.iter().map(|part| part.to_str());
        Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
    }
}

/// Opens a file for reading without ever waiting, as a pipe in its place would make one wait.
#[expect(clippy::disallowed_methods, reason = "the files of policies, schema and entities")]
pub(super) fn open(path: &Path) -> io::Result<File> {
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(nonblock).open(path)
}

/// Reads a file of at most `most` bytes from disk; of a larger one not more than one byte over that.
pub(super) fn read_capped(path: &Path, most: usize) -> Result<Vec<u8>, ReadFault> {
    read_opened(open(path).map_err(ReadFault::Io)?, most)
}

/// The same of a file that somebody has looked at already.
pub(super) fn read_opened(file: File, most: usize) -> Result<Vec<u8>, ReadFault> {
    let metadata = file.metadata().map_err(ReadFault::Io)?;
    if !metadata.is_file() {
        return Err(ReadFault::NotAFile);
    }
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    if metadata.len() > most {
        return Err(ReadFault::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(ReadFault::Io)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(ReadFault::TooLarge);
    }
    Ok(bytes)
}

/// The empty path is the working folder, but no path.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
