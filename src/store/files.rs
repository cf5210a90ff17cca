//! Files to [`Sources`], or findings: everything is read under a cap, and nothing is left out silently.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Config;
use super::bundle::Archive;
use super::gate::{Edit, Gate};
use super::tree::{ReadFault, Tree};
use super::walk::{Cause, Walk};
use crate::cedar::{Settings, Source, Sources, ungated};
use crate::model::{Finding, Limits, Place};

/// Where the files are, and what they are read under.
#[derive(Debug, Clone)]
pub struct Files {
    /// What findings name files from: the folder of the configuration.
    base: PathBuf,
    config: Config,
    settings: Settings,
    limits: Limits,
    gate: Option<Gate>,
    tree: Tree,
}

/// The kinds of files, each with the folder or file that they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Policies,
    Schema,
    Entities,
    Tests,
}

impl Files {
    /// `config` has its paths joined with `base` already, where they are relative.
    pub const fn new(base: PathBuf, config: Config, settings: Settings, limits: Limits) -> Self {
        Self { base, config, settings, limits, gate: None, tree: Tree::Disk }
    }

    /// The same behind a gate, which reads the files of its tests with them.
    #[must_use]
    pub fn behind(self, gate: Option<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// The same files in an archive, whose names are paths from the base.
    pub(super) fn within(&self, archive: Arc<Archive>) -> Self {
        Self { tree: Tree::archive(archive, &self.base), ..self.clone() }
    }

    /// Reads everything that a revision is judged by. Blocks.
    pub(super) fn read_edit(&self) -> Edit {
        Edit::new(self.read(), self.gate.as_ref().map(|gate| gate.tests().read_from(&self.tree)))
    }

    /// What stands before these files.
    pub(super) const fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// Reads everything. Blocks.
    ///
    /// # Errors
    /// Everything that cannot be read, or is too large to be.
    pub fn read(&self) -> Result<Sources, Vec<Finding>> {
        let mut findings = Vec::new();
        let policies = self.kind(Kind::Policies, &self.config.dir, &mut findings);
        let (links, policies): (Vec<_>, Vec<_>) =
            policies.into_iter().partition(|source| last_part(&source.name) == LINKS_FILE);
        let schema = self.kind(Kind::Schema, &self.config.schema, &mut findings);
        if schema.is_empty() && findings.is_empty() {
            findings.push(
                Finding::error(
                    &self.shown(&self.config.schema),
                    "no-schema",
                    "the folder holds no `*.cedarschema` file",
                )
                .help("policies are checked against a schema: write one, or set `policies.schema`"),
            );
        }
        let entities = self
            .config
            .entities
            .as_ref()
            .map(|path| self.kind(Kind::Entities, path, &mut findings))
            .unwrap_or_default();
        let waits_for_nobody =
            |source: &&Source| self.config.ungated.iter().any(|name| **name == *source.name);
        findings.extend(policies.iter().filter(waits_for_nobody).flat_map(ungated::misplaced));
        if findings.is_empty() {
            return Ok(Sources { policies, links, schema, entities, settings: self.settings.clone() });
        }
        Err(findings)
    }

    /// Reads the files that wait for no tests, as far as they are there. Blocks.
    ///
    /// # Errors
    /// One of them cannot be read, or holds what it may not.
    pub fn read_ungated(&self) -> Result<Vec<Source>, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut budget = Budget::of(Kind::Policies, &self.limits, &self.tree);
        let mut sources = Vec::new();
        for name in &self.config.ungated {
            let path = self.config.dir.join(name);
            if !self.tree.has_name(&path) {
                continue;
            }
            match budget.source(&path, &self.shown(&path), &name.as_str().into()) {
                Ok(source) => sources.push(source),
                Err(finding) => findings.push(finding),
            }
        }
        findings.extend(sources.iter().flat_map(ungated::misplaced));
        if findings.is_empty() { Ok(sources) } else { Err(findings) }
    }

    /// A name that no file goes by may be a slip of the pen, found out in an emergency.
    pub fn missing_ungated(&self) -> impl Iterator<Item = Finding> {
        let paths = self.config.ungated.iter().map(|name| self.config.dir.join(name));
        paths.filter(|path| !self.tree.exists(path)).map(|path| {
            let message = "`policies.ungated` names this file, and it is not there";
            Finding::warning(&self.shown(&path), "ungated", message).help("make it, if only with a comment")
        })
    }

    /// The names of the files that wait for no tests.
    pub fn ungated(&self) -> &[String] {
        &self.config.ungated
    }

    /// The bounds that the files are read under.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The folders and files that are read; those of tests only where they count.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        let tests = self.config.tests.iter().filter(|_| self.gate.is_some());
        let own = [&self.config.dir, &self.config.schema].into_iter().chain(&self.config.entities);
        own.chain(tests).map(PathBuf::as_path)
    }

    /// Every file that would be read, in a stable order; with what cannot be taken.
    pub(super) fn walks(&self) -> impl Iterator<Item = Walk> {
        let policies = (Kind::Policies, Some(&self.config.dir));
        let schema = (Kind::Schema, Some(&self.config.schema));
        let entities = (Kind::Entities, self.config.entities.as_ref());
        [policies, schema, entities]
            .into_iter()
            .filter_map(|(kind, root)| root.map(|root| self.tree.walk(root, kind.wanted())))
    }

    fn kind(&self, kind: Kind, root: &Path, findings: &mut Vec<Finding>) -> Vec<Source> {
        let mut budget = Budget::of(kind, &self.limits, &self.tree);
        if self.tree.is_file(root) && kind != Kind::Policies {
            let name = root.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
            return match budget.source(root, &self.shown(root), &name.into()) {
                Ok(source) => vec![source],
                Err(finding) => {
                    findings.push(finding);
                    Vec::new()
                }
            };
        }
        let walk = self.tree.walk(root, kind.wanted());
        findings.extend(walk.faults.iter().map(|fault| {
            let path = self.shown(&root.join(&*fault.name));
            of_cause(&path, &fault.cause, fault.name.is_empty().then_some(kind))
        }));
        let files = walk.files.iter().map(|found| (&*found.path, self.shown(&found.path), &found.name));
        budget.sources(files, findings)
    }

    /// A path as findings name it: from the base where it is below it, with `/` between its parts.
    fn shown(&self, path: &Path) -> Arc<str> {
        shown(path.strip_prefix(&self.base).unwrap_or(path)).into()
    }
}

/// A file of links between templates and their slots, in Cedar's `-k` format.
const LINKS_FILE: &str = "links.json";

/// How the names of test files end.
const TEST_ENDINGS: [&str; 3] = [".test.yaml", ".test.yml", ".test.json"];

/// The code of everything together being too large.
const TOO_LARGE: &str = "too-large";

/// The bytes that all files of a kind may have yet.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    left: usize,
    kind: Kind,
    limits: &'a Limits,
    tree: &'a Tree,
}

impl<'a> Budget<'a> {
    pub(super) const fn of(kind: Kind, limits: &'a Limits, tree: &'a Tree) -> Self {
        Self { left: kind.most(limits), kind, limits, tree }
    }

    /// Reads one file.
    pub(super) fn source(
        &mut self,
        path: &Path,
        shown: &Arc<str>,
        name: &Arc<str>,
    ) -> Result<Source, Finding> {
        let bytes = match self.tree.read(path, self.limits.file) {
            Ok(bytes) => bytes,
            Err(ReadFault::Io(error)) => return Err(of_cause(shown, &Cause::Unreadable(error), None)),
            Err(ReadFault::NotAFile) => return Err(of_cause(shown, &Cause::NotAFile, None)),
            Err(ReadFault::TooLarge) => return Err(file_too_large(shown, self.limits.file)),
        };
        self.take(bytes.len(), shown)?;
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(shown, &error))?;
        Ok(Source { path: Arc::clone(shown), name: Arc::clone(name), text: text.into() })
    }

    /// Reads files, each with what findings call it and its own name, until they are too much together.
    pub(super) fn sources<'f>(
        &mut self,
        files: impl Iterator<Item = (&'f Path, Arc<str>, &'f Arc<str>)>,
        findings: &mut Vec<Finding>,
    ) -> Vec<Source> {
        let mut sources = Vec::new();
        for (path, shown, name) in files {
            match self.source(path, &shown, name) {
                Ok(source) => sources.push(source),
                Err(finding) => {
                    let over = finding.code == TOO_LARGE;
                    findings.push(finding);
                    if over {
                        break;
                    }
                }
            }
        }
        sources
    }

    fn take(&mut self, bytes: usize, shown: &Arc<str>) -> Result<(), Finding> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Finding::error(
                shown,
                TOO_LARGE,
                format!(
                    "with this file the {} have more than {} bytes in all",
                    self.kind.files(),
                    self.kind.most(self.limits)
                ),
            )
            .help(format!("raise `limits.{}`", self.kind.limit()))),
        }
    }
}

impl Kind {
    /// The kind of a file that is called like this.
    pub(super) fn of(name: &str) -> Option<Self> {
        let kinds = [Self::Tests, Self::Policies, Self::Schema, Self::Entities];
        kinds.into_iter().find(|kind| kind.wanted()(last_part(name)))
    }

    pub(super) const fn wanted(self) -> fn(&str) -> bool {
        match self {
            Self::Policies => |name| has_extension(name, "cedar") || name == LINKS_FILE,
            Self::Schema => |name| has_extension(name, "cedarschema"),
            Self::Entities => |name| has_extension(name, "json"),
            Self::Tests => |name| TEST_ENDINGS.iter().any(|ending| name.ends_with(ending)),
        }
    }

    const fn most(self, limits: &Limits) -> usize {
        match self {
            Self::Policies | Self::Schema | Self::Tests => limits.policies,
            Self::Entities => limits.stored_bytes,
        }
    }

    const fn limit(self) -> &'static str {
        match self {
            Self::Policies | Self::Schema | Self::Tests => "policies",
            Self::Entities => "stored_bytes",
        }
    }

    const fn files(self) -> &'static str {
        match self {
            Self::Policies => "policy files",
            Self::Schema => "schema files",
            Self::Entities => "files of stored entities",
            Self::Tests => "test files",
        }
    }

    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Policies => "policies.dir",
            Self::Schema => "policies.schema",
            Self::Entities => "policies.entities",
            Self::Tests => "policies.tests",
        }
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension() == Some(OsStr::new(extension))
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// With `/` between the parts, and without the `.` that stands for nothing.
pub(super) fn shown(path: &Path) -> String {
    let parts = path.components().filter(|part| !matches!(part, std::path::Component::CurDir));
    let shown = parts.collect::<PathBuf>().to_string_lossy().into_owned();
    if shown.is_empty() { ".".to_owned() } else { shown }
}

pub(super) fn of_cause(path: &Arc<str>, cause: &Cause, root: Option<Kind>) -> Finding {
    let code = match cause {
        Cause::Unreadable(_) => "unreadable",
        Cause::NameNotUtf8 => "name-not-utf-8",
        Cause::Loop => "link-loop",
        Cause::TooDeep => "folders-too-deep",
        Cause::TooMany => "too-many-files",
        Cause::NotAFile => "not-a-file",
    };
    match (root, cause) {
        (Some(kind), Cause::Unreadable(error)) => {
            let what = if error.kind() == io::ErrorKind::NotFound {
                "there is no such file or folder".to_owned()
            } else if error.kind() == io::ErrorKind::NotADirectory {
                "this is not a folder".to_owned()
            } else {
                format!("cannot be read: {error}")
            };
            Finding::error(path, code, what).help(format!(
                "`{}` says where the {} are",
                kind.setting(),
                kind.files()
            ))
        }
        _ => Finding::error(path, code, cause.to_string()),
    }
}

fn file_too_large(path: &Arc<str>, most: usize) -> Finding {
    Finding::error(path, "file-too-large", format!("the file has more than {most} bytes"))
        .help("split it into several files, or raise `limits.file`")
}

fn not_utf8(path: &Arc<str>, error: &std::string::FromUtf8Error) -> Finding {
    let at = error.utf8_error().valid_up_to();
    let bad = error.as_bytes().get(at).copied().unwrap_or_default();
    let before = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or_default());
    Finding::error(path, "not-utf-8", format!("the byte 0x{bad:02x} is not UTF-8"))
        .at(Place::of(&before, at, 1))
        .help("save the file as UTF-8")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files that are read")]
mod tests;
