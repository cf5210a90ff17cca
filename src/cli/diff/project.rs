//! One side of a comparison: a folder or a revision of the repository, read by the same code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::eprintln;
use tempfile::TempDir;

use super::super::render::{self, Texts};
use super::super::repository::plain;
use super::super::{Shell, check, files};
use super::git::Revision;
use crate::cedar::{Compiled, Snapshot, Sources, compile};
use crate::config::{Configuration, DEFAULT_FILE};
use crate::impact::Side;
use crate::model::{Finding, Limits};
use crate::store::{ConfigurationFile, TestFiles, TestTexts};
use crate::suite::Suite;

/// A project that compiles.
pub(super) struct Project {
    /// As the command line names it.
    pub(super) name: String,
    /// The commit, for a revision.
    pub(super) commit: Option<String>,
    pub(super) snapshot: Arc<Snapshot>,
    configuration: Configuration,
    sources: Sources,
    suite: Suite,
    /// What is wrong with its tests.
    pub(super) findings: Vec<Finding>,
    pub(super) texts: Texts,
}

/// Why there is no project.
pub(super) enum Unread {
    /// It has been said.
    Said,
    /// What is wrong with its files.
    Findings(Vec<Finding>, Texts),
}

/// Where a side is read from.
enum Place {
    Folder(PathBuf),
    Revision(Revision),
}

/// The settings of a revision, with its files in a folder that goes when they have been read.
struct Extracted {
    configuration: Configuration,
    _folder: TempDir,
}

impl Project {
    /// Reads the side that a name means.
    pub(super) fn read(shell: &Shell, name: &str) -> Result<Self, Unread> {
        let failed = |why: String| {
            render::failure(&why, None);
            Unread::Said
        };
        match place(name).map_err(failed)? {
            Place::Folder(path) => {
                let configuration = check::configuration_of(shell, &path).map_err(|_| Unread::Said)?;
                Self::of(name, None, configuration)
            }
            Place::Revision(revision) => {
                let extracted = Extracted::of(shell, name, &revision)?;
                Self::of(name, Some(revision.short().to_owned()), extracted.configuration)
            }
        }
    }

    /// How many problems keep its tests from being asked whole.
    pub(super) fn problems(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_error()).count()
    }

    /// As comparisons take it.
    pub(super) fn side(&self) -> Side<'_> {
        let config = &self.configuration.config;
        Side {
            snapshot: &self.snapshot,
            sources: &self.sources,
            issuers: &config.issuers,
            limits: &config.limits,
            suite: &self.suite,
        }
    }

    fn of(name: &str, commit: Option<String>, configuration: Configuration) -> Result<Self, Unread> {
        let unread =
            |findings, sources: &Sources| Unread::Findings(findings, Texts::of(sources, &configuration));
        let sources = files(&configuration).read().map_err(|found| unread(found, &Sources::default()))?;
        let compiled = compile(&sources, &configuration.config.limits);
        let Compiled { snapshot, .. } = compiled.map_err(|found| unread(found, &sources))?;
        let TestTexts { shared, tests, mut findings } = test_files(&configuration).read();
        let suite = Suite::read(&shared, &tests);
        findings.extend_from_slice(suite.findings());
        let texts = Texts::of(&sources, &configuration).and(&shared).and(&tests);
        Ok(Self { name: name.to_owned(), commit, snapshot, configuration, sources, suite, findings, texts })
    }
}

/// A folder before a revision; what is both is said.
fn place(name: &str) -> Result<Place, String> {
    let path = Path::new(name);
    match (path.exists(), Revision::find(name)) {
        (true, Ok(None) | Err(_)) => Ok(Place::Folder(path.to_owned())),
        (true, Ok(Some(_))) => {
            eprintln!(
                "`{name}` is a folder here and a revision: the folder is compared \
                 (for the revision write `{name}^0`)"
            );
            Ok(Place::Folder(path.to_owned()))
        }
        (false, Ok(Some(revision))) => Ok(Place::Revision(revision)),
        (false, Ok(None)) => Err(format!(
            "`{name}` is neither a folder here nor a revision; one of another repository must be fetched first"
        )),
        (false, Err(why)) => Err(format!("`{name}` is no folder here, and no revision can be read: {why}")),
    }
}

/// The tests that the settings name, or those that lie where tests usually do.
fn test_files(configuration: &Configuration) -> TestFiles {
    let Configuration { config, base, .. } = configuration;
    match &config.policies.tests {
        Some(path) => TestFiles::new(base, std::slice::from_ref(path), config.limits.clone()),
        None => TestFiles::of_project(base, config.limits.clone()),
    }
}

impl Extracted {
    fn of(shell: &Shell, name: &str, revision: &Revision) -> Result<Self, Unread> {
        let failed = |why: String| {
            render::failure(&format!("`{name}`: {why}"), None);
            Unread::Said
        };
        let own = shell.file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let file = revision.inside(&own).map_err(failed)?;
        let text = revision.text(&file).map_err(failed)?;
        if text.is_none() && shell.file.is_some() {
            return Err(failed(format!("it has no `{}`", file.display())));
        }
        let text: Arc<str> = text.unwrap_or_default().into();
        let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        let base = folder.path().join(file.parent().unwrap_or(Path::new("")));
        let shown = ConfigurationFile { path: own, text: Arc::clone(&text) };
        let configuration =
            Configuration::read(Some(shown), base, &shell.environment).map_err(|finding| {
                render::fault(&finding, &text, shell.format);
                Unread::Said
            })?;
        let wanted = |path: &str| {
            let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("cedar" | "cedarschema" | "json" | "yaml" | "yml"))
        };
        let paths = paths(&configuration, folder.path(), name);
        let Limits { policies, stored_bytes, .. } = configuration.config.limits;
        let most = policies.saturating_mul(3).saturating_add(stored_bytes);
        revision.extract(&paths, wanted, folder.path(), most).map_err(failed)?;
        Ok(Self { configuration, _folder: folder })
    }
}

/// The paths that the settings name, from the root of the repository.
fn paths(configuration: &Configuration, folder: &Path, name: &str) -> Vec<PathBuf> {
    let policies = &configuration.config.policies;
    let own = [&policies.dir, &policies.schema].into_iter().chain(&policies.entities).cloned();
    let tests = test_files(configuration);
    let all = own.chain(tests.roots());
    let inside = all.filter_map(|path| {
        let inside = plain(&path).strip_prefix(folder).ok().map(Path::to_owned);
        if inside.is_none() {
            eprintln!(
                "`{}` is outside of the repository: for `{name}` it is read as it is now",
                path.display()
            );
        }
        inside
    });
    inside.collect()
}
