//! Files of policy tests to texts, and the `fixtures.yaml` that they share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Budget, Kind, of_cause, shown};
use super::tree::{Tree, absolute};
use crate::cedar::Source;
use crate::model::{Finding, Limits};

/// What a file of shared fixtures is called.
const FIXTURES: [&str; 3] = ["fixtures.yaml", "fixtures.yml", "fixtures.json"];

/// Where tests are looked for, beside the configuration.
const DEFAULT_PATH: &str = "tests/policies";

/// Where the tests are, and what they are read under.
#[derive(Debug, Clone)]
pub struct TestFiles {
    /// What findings name files from: the folder of the configuration, as an absolute path.
    base: PathBuf,
    /// Files, and folders that hold some.
    paths: Vec<PathBuf>,
    /// Whether a path may be missing.
    optional: bool,
    limits: Limits,
}

/// The texts of tests, and what could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestTexts {
    /// The `fixtures.yaml` of every folder that a test stands in, up to the folder of the configuration.
    pub shared: Vec<Source>,
    /// The tests.
    pub tests: Vec<Source>,
    /// What is wrong with files; the others stand.
    pub findings: Vec<Finding>,
}

impl TestFiles {
    /// The tests in the folder where they usually are; none where there is no such folder.
    pub fn of_project(base: &Path, limits: Limits) -> Self {
        Self { optional: true, ..Self::new(base, &[base.join(DEFAULT_PATH)], limits) }
    }

    /// Tests in certain files and folders. Relative paths are those of the working folder.
    pub fn new(base: &Path, paths: &[PathBuf], limits: Limits) -> Self {
        let paths = paths.iter().map(|path| absolute(path)).collect();
        Self { base: absolute(base), paths, optional: false, limits }
    }

    /// Reads everything once: a file that changes afterwards changes nothing. Blocks.
    pub fn read(&self) -> TestTexts {
        self.read_from(&Tree::Disk)
    }

    /// The same from wherever the files are.
    pub(super) fn read_from(&self, tree: &Tree) -> TestTexts {
        let mut findings = Vec::new();
        let (shared, files) = self.there(tree, &mut findings);
        let mut budget = Budget::of(Kind::Tests, &self.limits, tree);
        let shared: Vec<_> = shared.into_iter().map(|file| (self.shown(&file).into(), file)).collect();
        let shared = shared.iter().map(|(shown, file)| (&**file, Arc::clone(shown), shown));
        let shared = budget.sources(shared, &mut findings);
        let mut seen = BTreeSet::new();
        let tests = files.iter().filter(|(file, _)| seen.insert(file));
        let tests = tests.map(|(file, name)| (&**file, self.shown(file).into(), name));
        let tests = budget.sources(tests, &mut findings);
        TestTexts { shared, tests, findings }
    }

    /// The files and folders that are read, were they there.
    pub fn roots(&self) -> impl Iterator<Item = PathBuf> {
        self.paths.iter().flat_map(|path| {
            std::iter::once(path.clone()).chain(self.fixtures_above(&path.join("any"), path))
        })
    }

    /// Every file that would be read.
    pub(super) fn found(&self) -> impl Iterator<Item = PathBuf> {
        let (shared, tests) = self.there(&Tree::Disk, &mut Vec::new());
        shared.into_iter().chain(tests.into_iter().map(|(file, _)| file))
    }

    /// The first of the paths, as findings name it.
    pub(super) fn name(&self) -> Arc<str> {
        self.paths.first().map(|path| self.shown(path)).unwrap_or_default().into()
    }

    /// The fixtures and the tests that there are.
    fn there(
        &self,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) -> (BTreeSet<PathBuf>, Vec<(PathBuf, Arc<str>)>) {
        let (mut files, mut shared) = (Vec::new(), BTreeSet::new());
        for path in self.paths.iter().filter(|path| !self.optional || tree.exists(path)) {
            for file in self.files(path, tree, findings) {
                shared.extend(self.fixtures_above(&file.0, path).filter(|fixtures| tree.exists(fixtures)));
                files.push(file);
            }
        }
        (shared, files)
    }

    /// A file by its name, whatever it is called, or those below a folder that are called as tests are.
    fn files(&self, path: &Path, tree: &Tree, findings: &mut Vec<Finding>) -> Vec<(PathBuf, Arc<str>)> {
        if tree.is_file(path) {
            return vec![(path.to_owned(), Arc::from(self.shown(path)))];
        }
        let walk = tree.walk(path, Kind::Tests.wanted());
        findings.extend(walk.faults.iter().map(|fault| {
            let path = if fault.name.is_empty() { path.to_owned() } else { path.join(&*fault.name) };
            of_cause(&Arc::from(self.shown(&path)), &fault.cause, None)
        }));
        walk.files.into_iter().map(|found| (found.path, found.name)).collect()
    }

    /// The fixtures of a file's folder and of those above it, up to the configuration's; of a file
    /// elsewhere, up to the folder that was named. So a file sees the same alone and among others.
    fn fixtures_above(&self, file: &Path, root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
        let top = if file.starts_with(&self.base) { &self.base } else { root };
        let own = file.parent().map(Path::to_owned);
        let above = file.ancestors().skip(2).take_while(|folder| folder.starts_with(top));
        let folders: Vec<_> = own.into_iter().chain(above.map(Path::to_owned)).collect();
        folders.into_iter().flat_map(|folder| FIXTURES.map(|name| folder.join(name)))
    }

    fn shown(&self, path: &Path) -> String {
        shown(path.strip_prefix(&self.base).unwrap_or(path))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files that are read")]
mod tests {
    use std::fs;

    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, *file).unwrap();
        }
        folder
    }

    fn read(folder: &tempfile::TempDir, paths: &[&str], limits: Limits) -> TestTexts {
        let paths: Vec<_> = paths.iter().map(|path| folder.path().join(path)).collect();
        TestFiles::new(folder.path(), &paths, limits).read()
    }

    fn paths(sources: &[Source]) -> Vec<&str> {
        sources.iter().map(|source| &*source.path).collect()
    }

    #[test]
    fn tests_are_known_by_their_names_and_one_that_is_named_needs_no_such_name() {
        let folder =
            folder(&["t/b/x.test.yml", "t/a.test.yaml", "t/c.test.json", "t/d.yaml", "t/.e.test.yaml"]);
        let texts = read(&folder, &["t"], Limits::default());
        assert_eq!(paths(&texts.tests), ["t/a.test.yaml", "t/b/x.test.yml", "t/c.test.json"]);
        let texts = read(&folder, &["t/d.yaml", "t", "t/a.test.yaml"], Limits::default());
        assert_eq!(texts.tests.len(), 4, "each once");
    }

    #[test]
    fn a_file_sees_the_same_fixtures_alone_and_among_others() {
        let folder =
            folder(&["t/a/x.test.yaml", "t/fixtures.yaml", "t/a/fixtures.json", "t/b/fixtures.yaml"]);
        for path in ["t", "t/a", "t/a/x.test.yaml"] {
            let texts = read(&folder, &[path], Limits::default());
            assert_eq!(paths(&texts.shared), ["t/a/fixtures.json", "t/fixtures.yaml"], "{path}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_takes_no_other_with_it() {
        let folder = folder(&["t/a.test.yaml", "t/c.test.yaml"]);
        fs::write(folder.path().join("t/b.test.yaml"), "x".repeat(100)).unwrap();
        fs::write(folder.path().join("t/d.test.yaml"), b"name: \xff").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("t/e.test.yaml")).unwrap();
        let texts = read(&folder, &["t"], Limits { file: 50, ..Limits::default() });
        assert_eq!(paths(&texts.tests), ["t/a.test.yaml", "t/c.test.yaml"]);
        let codes: Vec<_> = texts.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["unreadable", "file-too-large", "not-utf-8"]);
    }

    #[test]
    fn the_tests_of_a_project_may_be_missing_and_named_ones_may_not() {
        let folder = folder(&["palisade.toml"]);
        let usual = TestFiles::of_project(folder.path(), Limits::default()).read();
        assert!(usual.findings.is_empty() && usual.tests.is_empty());
        assert_eq!(read(&folder, &["nowhere"], Limits::default()).findings.len(), 1);
    }
}
