//! The files below a folder, links followed, names that begin with a dot skipped.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How deep folders nest. People need two or three; a chain of links can make more.
const DEPTH: usize = 16;

/// How many names are looked at: links that fan out can make any number of them from a few folders.
const NAMES: usize = 200_000;

/// Something found below a folder.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its path below the folder, with `/` between the parts.
    pub(super) name: Arc<str>,
}

/// Something below a folder that cannot be taken.
#[derive(Debug)]
pub(super) struct Fault {
    /// Its path below the folder; empty for the folder itself.
    pub(super) name: Arc<str>,
    /// What is wrong with it.
    pub(super) cause: Cause,
}

/// What can be wrong with a name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("its name is not UTF-8")]
    NameNotUtf8,
    #[error("it is a link to a folder that it stands in")]
    Loop,
    #[error("folders nest more than {DEPTH} deep")]
    TooDeep,
    #[error("there are more than {NAMES} names below the folder")]
    TooMany,
    #[error("it is not a file")]
    NotAFile,
}

/// What is below a folder: the files whose name `wanted` takes, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) files: Vec<Found>,
    pub(super) faults: Vec<Fault>,
    seen: usize,
    /// Device and number of the folders above.
    above: Vec<(u64, u64)>,
}

impl Walk {
    /// Walks a folder.
    pub(super) fn of(folder: &Path, wanted: fn(&str) -> bool) -> Self {
        let mut walk = Self::default();
        walk.folder(folder, "", wanted);
        walk
    }

    fn folder(&mut self, folder: &Path, prefix: &str, wanted: fn(&str) -> bool) {
        let name = prefix.trim_end_matches('/');
        let identity = match folder.metadata() {
            Ok(metadata) => (metadata.dev(), metadata.ino()),
            Err(error) => return self.fault(name, error.into()),
        };
        if self.above.contains(&identity) {
            return self.fault(name, Cause::Loop);
        }
        if self.above.len() == DEPTH {
            return self.fault(name, Cause::TooDeep);
        }
        match names(folder) {
            Ok(names) => {
                self.above.push(identity);
                for entry in names {
                    if self.seen == NAMES {
                        break;
                    }
                    self.seen += 1;
                    if self.seen == NAMES {
                        self.fault("", Cause::TooMany);
                    }
                    self.entry(folder, prefix, &entry, wanted);
                }
                self.above.pop();
            }
            Err(error) => self.fault(name, error.into()),
        }
    }

    fn entry(&mut self, folder: &Path, prefix: &str, entry: &OsStr, wanted: fn(&str) -> bool) {
        let path = folder.join(entry);
        let Some(last) = entry.to_str() else {
            return self.fault(&format!("{prefix}{}", entry.to_string_lossy()), Cause::NameNotUtf8);
        };
        let name = format!("{prefix}{last}");
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => self.folder(&path, &format!("{name}/"), wanted),
            Ok(_) if !wanted(last) => {}
            // A pipe or a device: to open it could wait for ever.
            Ok(metadata) if !metadata.is_file() => self.fault(&name, Cause::NotAFile),
            Ok(_) => self.files.push(Found { path, name: name.into() }),
            Err(error) => self.fault(&name, error.into()),
        }
    }

    fn fault(&mut self, name: &str, cause: Cause) {
        self.faults.push(Fault { name: name.into(), cause });
    }
}

/// The names in a folder that do not begin with a dot, sorted.
#[expect(clippy::disallowed_methods, reason = "the folders of policies, schema and entities")]
fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
        if names.len() > NAMES {
            break;
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files that are found")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn cedar(name: &str) -> bool {
        Path::new(name).extension().is_some_and(|extension| extension == "cedar")
    }

    fn names_of(walk: &Walk) -> Vec<&str> {
        walk.files.iter().map(|found| &*found.name).collect()
    }

    #[test]
    fn files_are_found_at_every_depth_and_hidden_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("b/c")).unwrap();
        fs::create_dir_all(folder.path().join(".git")).unwrap();
        for file in ["z.cedar", "b/c/x.cedar", ".git/no.cedar", ".no.cedar", "README.md"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let walk = Walk::of(folder.path(), cedar);
        assert_eq!(names_of(&walk), ["b/c/x.cedar", "z.cedar"]);
        assert!(walk.faults.is_empty());
    }

    #[test]
    fn a_link_that_leads_back_is_a_fault_and_ends_there() {
        let folder = tempfile::tempdir().unwrap();
        symlink(folder.path(), folder.path().join("again")).unwrap();
        let walk = Walk::of(folder.path(), cedar);
        assert!(matches!(walk.faults.as_slice(), [Fault { cause: Cause::Loop, .. }]), "{walk:?}");
    }

    #[test]
    fn links_that_fan_out_come_to_an_end() {
        let folder = tempfile::tempdir().unwrap();
        for depth in 0..15 {
            let inner = folder.path().join(format!(".{}", depth + 1));
            fs::create_dir(folder.path().join(format!(".{depth}"))).unwrap();
            for fan in 0..10 {
                symlink(&inner, folder.path().join(format!(".{depth}/{fan}"))).unwrap();
            }
        }
        fs::create_dir(folder.path().join(".15")).unwrap();
        let walk = Walk::of(&folder.path().join(".0"), cedar);
        assert!(walk.faults.iter().any(|fault| matches!(fault.cause, Cause::TooMany)));
    }

    #[test]
    fn a_link_to_nowhere_is_a_fault_and_not_an_absence() {
        let folder = tempfile::tempdir().unwrap();
        symlink("nowhere", folder.path().join("forbid.cedar")).unwrap();
        let walk = Walk::of(folder.path(), cedar);
        assert!(matches!(walk.faults.as_slice(), [Fault { cause: Cause::Unreadable(_), .. }]));
    }
}
