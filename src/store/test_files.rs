//! Files of policy tests to texts, and the `fixtures.yaml` that they share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Budget, Kind, TOO_LARGE, of_cause, shown};
use super::walk::Walk;
use crate::cedar::Source;
use crate::model::{Finding, Limits};

/// What a file of shared fixtures is called.
const FIXTURES: [&str; 3] = ["fixtures.yaml", "fixtures.yml", "fixtures.json"];

/// Where the tests are, and what they are read under.
#[derive(Debug, Clone)]
pub struct TestFiles {
    /// What findings name files from: the folder of the configuration, as an absolute path.
    base: PathBuf,
    /// Files, and folders that hold some.
    paths: Vec<PathBuf>,
    limits: Limits,
}

/// The texts of tests, and what could not be read.
#[derive(Debug, Clone, Default)]
pub struct TestTexts {
    /// The `fixtures.yaml` of every folder that a test stands in, up to the folder of the configuration.
    pub shared: Vec<Source>,
    /// The tests.
    pub tests: Vec<Source>,
    /// What is wrong with files; the others stand.
    pub findings: Vec<Finding>,
}

impl TestFiles {
    /// Relative paths are those of the working folder.
    pub fn new(base: &Path, paths: &[PathBuf], limits: Limits) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // The empty path is the working folder, but no path.
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        Self { base: absolute(base), paths: paths.iter().map(|path| absolute(path)).collect(), limits }
    }

    /// Reads everything once: a file that changes afterwards changes nothing. Blocks.
    pub fn read(&self) -> TestTexts {
        let mut texts = TestTexts::default();
        let mut budget = Budget::of(Kind::Tests, &self.limits);
        let (mut seen, mut folders) = (BTreeSet::new(), BTreeSet::new());
        for path in &self.paths {
            for (file, name) in self.files(path, &mut texts.findings) {
                folders.extend(self.folders_above(&file, path));
                if seen.insert(file.clone())
                    && !self.take(&file, &name, &mut budget, &mut texts.tests, &mut texts.findings)
                {
                    return texts;
                }
            }
        }
        let shared = folders.iter().flat_map(|folder| FIXTURES.map(|name| folder.join(name)));
        for file in shared.filter(|file| file.exists()) {
            let name = Arc::from(self.shown(&file));
            if !self.take(&file, &name, &mut budget, &mut texts.shared, &mut texts.findings) {
                return texts;
            }
        }
        texts
    }

    /// The files that are read or would be, were they there: what a watch must look at.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    /// A file by its name, whatever it is called, or those below a folder that are called as tests are.
    fn files(&self, path: &Path, findings: &mut Vec<Finding>) -> Vec<(PathBuf, Arc<str>)> {
        if path.is_file() {
            return vec![(path.to_owned(), Arc::from(self.shown(path)))];
        }
        let walk = Walk::of(path, Kind::Tests.wanted());
        findings.extend(walk.faults.iter().map(|fault| {
            let path = if fault.name.is_empty() { path.to_owned() } else { path.join(&*fault.name) };
            of_cause(&Arc::from(self.shown(&path)), &fault.cause, None)
        }));
        walk.files.into_iter().map(|found| (found.path, found.name)).collect()
    }

    /// The folder of a file and those above it, up to the configuration's; of a file elsewhere, up to the
    /// folder that was named. So a file sees the same fixtures alone and among others.
    fn folders_above(&self, file: &Path, root: &Path) -> Vec<PathBuf> {
        let top = if file.starts_with(&self.base) { &self.base } else { root };
        let folders = file.ancestors().skip(1);
        let mut folders: Vec<_> =
            folders.take_while(|folder| folder.starts_with(top)).map(Path::to_owned).collect();
        if folders.is_empty() {
            folders.extend(file.parent().map(Path::to_owned));
        }
        folders
    }

    /// Reads one file; false where this one is too much for all together.
    fn take(
        &self,
        file: &Path,
        name: &Arc<str>,
        budget: &mut Budget<'_>,
        into: &mut Vec<Source>,
        findings: &mut Vec<Finding>,
    ) -> bool {
        match budget.source(file, &Arc::from(self.shown(file)), name) {
            Ok(source) => {
                into.push(source);
                true
            }
            Err(finding) => {
                let goes_on = finding.code != TOO_LARGE;
                findings.push(finding);
                goes_on
            }
        }
    }

    fn shown(&self, path: &Path) -> String {
        shown(path.strip_prefix(&self.base).unwrap_or(path))
    }
}
