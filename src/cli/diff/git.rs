//! Revisions of the repository around the working folder, read through the `git` program. Nothing of
//! the repository is changed, and no shell, hook or filter runs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::repository::plain;

/// A commit of the repository.
#[derive(Debug)]
pub(super) struct Revision {
    commit: String,
    /// The working tree's root, as git names it.
    root: PathBuf,
    /// The working folder below it.
    prefix: PathBuf,
}

/// A file of a revision.
#[derive(Debug)]
struct Entry {
    object: String,
    bytes: usize,
    path: String,
}

/// Why git gives no answer.
#[derive(Debug, thiserror::Error)]
enum GitFault {
    #[error("git cannot be run: {0}")]
    NotRun(std::io::Error),
    #[error("git says: {0}")]
    Said(String),
    #[error("git has no answer")]
    Silent,
    #[error("git names files that are not UTF-8")]
    NotUtf8,
}

impl Revision {
    /// The commit that a name means; nothing where git knows none.
    ///
    /// # Errors
    /// There is no repository here that git would read, or no git.
    pub(super) fn find(name: &str) -> Result<Option<Self>, String> {
        // A name cannot begin so, and an option would.
        if name.is_empty() || name.starts_with('-') {
            return Ok(None);
        }
        let commit = match git(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]) {
            Ok(commit) => commit,
            Err(GitFault::Silent) => return Ok(None),
            Err(fault) => return Err(fault.to_string()),
        };
        let line = |arg: &str| {
            let line = git(&["rev-parse", arg]).map_err(|fault| fault.to_string())?;
            Ok::<_, String>(PathBuf::from(line.trim_end_matches('\n')))
        };
        Ok(Some(Self {
            commit: commit.trim().to_owned(),
            root: line("--show-toplevel")?,
            prefix: line("--show-prefix")?,
        }))
    }

    /// Its name, long enough for people.
    pub(super) fn short(&self) -> &str {
        self.commit.get(..10).unwrap_or(&self.commit)
    }

    /// Where a path of the working folder stands in the repository.
    ///
    /// # Errors
    /// Outside of it.
    pub(super) fn inside(&self, path: &Path) -> Result<PathBuf, String> {
        let outside = || format!("`{}` is outside of the repository", path.display());
        if path.is_absolute() {
            let inside = plain(path).strip_prefix(&self.root).map(Path::to_owned);
            return inside.map_err(|_| outside());
        }
        let mut depth = 0_usize;
        for component in self.prefix.join(path).components() {
            match component {
                Component::ParentDir => depth = depth.checked_sub(1).ok_or_else(outside)?,
                Component::Normal(_) => depth += 1,
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Ok(plain(&self.prefix.join(path)))
    }

    /// The text of one file, by its path from the root; nothing where it has none such.
    pub(super) fn text(&self, path: &Path) -> Result<Option<String>, String> {
        let entries = self.entries(&[path.to_owned()])?;
        let Some(entry) = entries.into_iter().find(|entry| Path::new(&entry.path) == path) else {
            return Ok(None);
        };
        let mut objects = Objects::open()?;
        let text = String::from_utf8(objects.bytes(&entry)?);
        text.map(Some).map_err(|_| format!("`{}` is not UTF-8", path.display()))
    }

    /// Writes the files at and below these paths, as far as they are `wanted`, below a folder.
    pub(super) fn extract(
        &self,
        paths: &[PathBuf],
        wanted: fn(&str) -> bool,
        folder: &Path,
        most: usize,
    ) -> Result<(), String> {
        let mut left = most;
        let mut objects = Objects::open()?;
        for entry in self.entries(paths)?.into_iter().filter(|entry| wanted(&entry.path)) {
            left = left.checked_sub(entry.bytes).ok_or_else(|| {
                format!("with `{}` the files of the revision have more than {most} bytes", entry.path)
            })?;
            let path = folder.join(inner(&entry.path)?);
            write(&path, &objects.bytes(&entry)?)
                .map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
        }
        Ok(())
    }

    fn entries(&self, paths: &[PathBuf]) -> Result<Vec<Entry>, String> {
        let mut args = vec!["ls-tree", "-r", "-z", "-l", "--full-tree", &self.commit, "--"];
        let paths = paths.iter().map(|path| path.to_str().ok_or("a path is not UTF-8"));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        // Without any, git lists everything: so it does for the root.
        if !paths.iter().any(|path| path.is_empty()) {
            args.extend(paths);
        }
        let listed = git(&args).map_err(|fault| fault.to_string())?;
        let mut entries = Vec::new();
        for line in listed.split_terminator('\0') {
            let (facts, path) = line.split_once('\t').ok_or("git lists files in a form of its own")?;
            let mut facts = facts.split_whitespace();
            let (mode, object, bytes) = (facts.next(), facts.nth(1), facts.next());
            if mode.is_none_or(|mode| !mode.starts_with("100")) {
                return Err(format!("`{path}` is a link or a module: of a revision only files are read"));
            }
            let bytes = bytes.and_then(|bytes| bytes.parse().ok()).ok_or("git gives a file no size")?;
            entries.push(Entry {
                object: object.unwrap_or_default().to_owned(),
                bytes,
                path: path.to_owned(),
            });
        }
        Ok(entries)
    }
}

/// The contents of files, one after the other, from one process.
struct Objects {
    git: Child,
}

impl Objects {
    fn open() -> Result<Self, String> {
        let mut command = command(&["cat-file", "--batch"]);
        let git = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        git.map(|git| Self { git }).map_err(|error| format!("git cannot be run: {error}"))
    }

    fn bytes(&mut self, entry: &Entry) -> Result<Vec<u8>, String> {
        self.read(entry).map_err(|error| format!("git does not give `{}`: {error}", entry.path))
    }

    /// Asks for one object and reads its head, its bytes and the end of its line.
    fn read(&mut self, entry: &Entry) -> std::io::Result<Vec<u8>> {
        let gone = || std::io::Error::other("it has ended");
        let input = self.git.stdin.as_mut().ok_or_else(gone)?;
        writeln!(input, "{}", entry.object)?;
        input.flush()?;
        let mut output = BufReader::with_capacity(1, self.git.stdout.as_mut().ok_or_else(gone)?);
        let mut head = String::new();
        output.read_line(&mut head)?;
        let expected = format!("{} blob {}\n", entry.object, entry.bytes);
        if head != expected {
            return Err(std::io::Error::other(format!("it says `{}`", head.trim_end())));
        }
        let mut bytes = vec![0; entry.bytes + 1];
        output.read_exact(&mut bytes)?;
        bytes.pop();
        Ok(bytes)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.git.stdin.take();
        // Its input has ended, and so does it.
        let _ended = self.git.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["--no-pager", "--literal-pathspecs"]).args(args);
    command
}

fn git(args: &[&str]) -> Result<String, GitFault> {
    let output = command(args).stdin(Stdio::null()).output().map_err(GitFault::NotRun)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(if said.is_empty() { GitFault::Silent } else { GitFault::Said(said) });
    }
    String::from_utf8(output.stdout).map_err(|_| GitFault::NotUtf8)
}

/// A path that leads out of the folder that it is put into is none that git should have.
fn inner(path: &str) -> Result<&Path, String> {
    let is_inner = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    is_inner.then_some(Path::new(path)).ok_or_else(|| format!("`{path}` leads out of the repository"))
}

#[expect(clippy::disallowed_methods, reason = "a folder of our own, that is removed again")]
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, bytes)
}
