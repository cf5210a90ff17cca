//! Whether files may have changed, told from what the file system says of them without reading them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::files::Files;
use super::tree::open;

/// What the file system says of every file: equal as long as nothing is known to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// Takes the fingerprint of all files, and of one more. Blocks.
    ///
    /// Each file is opened: a network file system may answer a mere `stat` from its cache for many
    /// seconds, but asks its server when a file is opened.
    pub(super) fn of(files: &Files, configuration: Option<&Path>) -> Self {
        let mut hasher = DefaultHasher::new();
        for walk in files.walks() {
            walk.faults.len().hash(&mut hasher);
            for found in &walk.files {
                found.name.hash(&mut hasher);
                file(&found.path, &mut hasher);
            }
        }
        for path in files.gate().into_iter().flat_map(|gate| gate.tests().found()) {
            path.hash(&mut hasher);
            file(&path, &mut hasher);
        }
        // A root that is one file has no walk.
        for path in files.roots().filter(|root| root.is_file()).chain(configuration) {
            file(path, &mut hasher);
        }
        Self(hasher.finish())
    }
}

fn file(path: &Path, hasher: &mut DefaultHasher) {
    match open(path).and_then(|file| file.metadata()) {
        Ok(metadata) => {
            (metadata.dev(), metadata.ino(), metadata.len()).hash(hasher);
            (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()).hash(hasher);
        }
        Err(error) => error.raw_os_error().hash(hasher),
    }
}
