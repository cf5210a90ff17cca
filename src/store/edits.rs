//! Edits of files, told at once: to a person who waits for a verdict. A service waits until they settle.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::watch::concerns;

/// What belongs to one save of an editor's comes within this time.
const ONE_SAVE: Duration = Duration::from_millis(15);
/// Files that are written without end are no reason to say nothing.
const LONGEST_SAVE: Duration = Duration::from_millis(60);

/// The edits of some files and folders.
#[derive(Debug)]
pub struct Edits {
    told: Receiver<PathBuf>,
    /// Ends the events when it is dropped.
    _watcher: RecommendedWatcher,
}

impl Edits {
    /// Watches folders with everything below them, and files.
    ///
    /// # Errors
    /// The file system gives no events.
    pub fn of<'a>(roots: impl Iterator<Item = &'a Path>) -> notify::Result<Self> {
        let roots = roots.map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
        let (tell, told) = channel();
        let of_interest = roots.clone();
        let mut watcher = notify::recommended_watcher(move |result: notify::Result<notify::Event>| {
            let Ok(event) = result else { return };
            if !concerns(&event, &of_interest) {
                return;
            }
            for path in event.paths.into_iter().filter(|path| is_source(path)) {
                let _nobody_waits = tell.send(path);
            }
        })?;
        // The watch of a file ends when an editor replaces the file: its folder is watched.
        for root in &roots {
            match root.parent() {
                _ if root.is_dir() => watcher.watch(root, RecursiveMode::Recursive)?,
                Some(parent) if parent.is_dir() => watcher.watch(parent, RecursiveMode::NonRecursive)?,
                Some(_) | None => {}
            }
        }
        Ok(Self { told, _watcher: watcher })
    }

    /// Waits for the next edit and gives the file that it began with; nothing where no more can come.
    pub fn next(&self) -> Option<PathBuf> {
        let first = self.told.recv().ok()?;
        let mut left = LONGEST_SAVE;
        while let Some(rest) = left.checked_sub(ONE_SAVE) {
            match self.told.recv_timeout(ONE_SAVE) {
                Ok(_) => left = rest,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(first)
    }
}

/// Whether a file can be one that is read: no editor's scratch file, and no report of results.
fn is_source(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let read = ["cedar", "cedarschema", "json", "toml", "yaml", "yml"];
    let extension = path.extension().map(|extension| extension.to_string_lossy());
    !hidden && extension.is_none_or(|extension| read.contains(&&*extension))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests edit the files that are watched")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_save_is_told_whether_the_file_is_written_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tests")).unwrap();
        fs::write(folder.path().join("palisade.toml"), "").unwrap();
        let roots = ["tests", "palisade.toml"].map(|name| folder.path().join(name));
        let edits = Edits::of(roots.iter().map(PathBuf::as_path)).unwrap();
        fs::write(folder.path().join("tests/a.test.yaml"), "tests: []").unwrap();
        assert!(edits.next().unwrap().ends_with("tests/a.test.yaml"));
        fs::write(folder.path().join("next"), "x").unwrap();
        fs::rename(folder.path().join("next"), folder.path().join("palisade.toml")).unwrap();
        assert!(edits.next().unwrap().ends_with("palisade.toml"));
    }

    #[test]
    fn scratch_files_and_results_are_no_edits() {
        for name in ["tests/.a.yaml.swp", "policies/.product.cedar.draft", "tests/results.xml", "a.cedar~"] {
            assert!(!is_source(Path::new(name)), "{name}");
        }
        for name in ["a.cedar", "shop.cedarschema", "a.test.yaml", "a.test.yml", "links.json", "folder"] {
            assert!(is_source(Path::new(name)), "{name}");
        }
    }
}
