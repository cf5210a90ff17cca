//! `palisade init`: starts a policy repository, and overwrites nothing.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anstream::println;
use serde_json::json;

use self::starter::{File, PROJECT, PROJECT_PLACES, SURROUNDINGS};
use super::render;
use super::{Exit, Format, Printing, Shell};

mod starter;

/// Where to start.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the repository; it is made where it is not there.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    pub(super) printing: Printing,
}

/// What became of the files.
#[derive(Debug, Default)]
struct Started {
    written: Vec<&'static str>,
    /// They were there before, and are as they were.
    left: Vec<&'static str>,
    /// What of a project is there already: nothing of ours was put between it.
    project: Option<&'static str>,
}

/// What was made, so that it can be taken back.
#[derive(Debug, Default)]
struct Made {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    let mut made = Made::default();
    match start(&args.folder, &mut made) {
        Ok(started) => {
            show(shell, &args.folder, &started);
            Exit::Good
        }
        Err((path, error)) => {
            made.take_back();
            let message = format!(
                "`{}` cannot be written: {error}",
                path.strip_prefix("./").unwrap_or(&path).display()
            );
            render::failure(&message, Some("nothing was left behind; run it again when that is mended"));
            Exit::Failed
        }
    }
}

/// Writes what is not there.
fn start(folder: &Path, made: &mut Made) -> Result<Started, (PathBuf, io::Error)> {
    let mut started = Started {
        project: PROJECT_PLACES.into_iter().find(|place| is_taken(&folder.join(place))),
        ..Started::default()
    };
    let project = if started.project.is_none() { PROJECT.as_slice() } else { &[] };
    for file in project.iter().chain(&SURROUNDINGS) {
        let path = folder.join(file.name);
        match made.write(&path, file) {
            Ok(()) => started.written.push(file.name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => started.left.push(file.name),
            Err(error) => return Err((path, error)),
        }
    }
    Ok(started)
}

/// Whether something is there, a link to nowhere included. An empty folder is nothing yet.
fn is_taken(path: &Path) -> bool {
    let is_empty = || path.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    path.symlink_metadata().is_ok() && !is_empty()
}

impl Made {
    /// Writes a file that is not there yet, and the folders around it.
    #[expect(clippy::disallowed_methods, reason = "the files that this verb is for")]
    fn write(&mut self, path: &Path, file: &File) -> io::Result<()> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if let Some(parent) = path.parent() {
            self.make_folder(parent)?;
        }
        let mode = if file.executable { 0o777 } else { 0o666 };
        let mut written = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        self.files.push(path.to_owned());
        written.write_all(file.text.as_bytes())
    }

    fn make_folder(&mut self, folder: &Path) -> io::Result<()> {
        if folder.as_os_str().is_empty() || folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folder(parent)?;
        }
        // A file or a link of that name, so none of ours can be below it.
        let in_the_way = folder.symlink_metadata().is_ok();
        DirBuilder::new()
            .create(folder)
            .map_err(|error| if in_the_way { io::ErrorKind::NotADirectory.into() } else { error })?;
        self.folders.push(folder.to_owned());
        Ok(())
    }

    /// Half a project would pass for a whole one at the next run. What cannot be taken back stays.
    #[expect(clippy::disallowed_methods, reason = "files that this run has made")]
    fn take_back(&self) {
        for file in self.files.iter().rev() {
            let _stays = std::fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _stays = std::fs::remove_dir(folder);
        }
    }
}

fn show(shell: &Shell, folder: &Path, started: &Started) {
    let Started { written, left, project } = started;
    match shell.format {
        Format::Json => render::json(&json!({"written": written, "left": left, "project": project})),
        Format::Text => {
            for name in written {
                println!("{name}: written");
            }
            for name in left {
                println!("{name}: is there already, left as it is");
            }
            if let Some(place) = project {
                println!(
                    "`{}` is there already, so settings, schema, policies and tests are left to you",
                    render::plain(place)
                );
            }
            if !written.is_empty() {
                println!("\nNext, in `{}`:", render::plain(&folder.display().to_string()));
                for (at, step) in next(project.is_none(), folder).iter().enumerate() {
                    println!("  {}. {step}", at + 1);
                }
                if let Some(root) = repository_around(folder) {
                    println!(
                        "\n`{}` is a git repository: GitHub reads `.github` at its root only",
                        render::plain(&root.display().to_string())
                    );
                }
            }
        }
    }
}

/// What is to be done by hand.
fn next(with_project: bool, folder: &Path) -> Vec<String> {
    let pool = "put the issuer of your user pool and its app clients into palisade.toml";
    let image = "say in .github/workflows/policies.yml where palisade comes from: `PALISADE_IMAGE`";
    let hooks = hooks(folder);
    let hook = format!("turn on the check before each commit: git config core.hooksPath {hooks}");
    let pool = with_project.then(|| pool.to_owned());
    pool.into_iter().chain([image.to_owned(), hook]).collect()
}

/// Where git finds the hooks: it looks from the root of the repository.
fn hooks(folder: &Path) -> String {
    let below = repository_around(folder).and_then(|root| {
        let folder = folder.canonicalize().ok()?;
        Some(folder.strip_prefix(root).ok()?.join(".githooks").display().to_string())
    });
    match below {
        None => ".githooks".to_owned(),
        Some(path) if path.contains(|c: char| !c.is_ascii_alphanumeric() && !"/._-".contains(c)) => {
            format!("'{}'", path.replace('\'', "'\\''"))
        }
        Some(path) => path,
    }
}

/// The repository that this folder is a part of, where it is not its root.
fn repository_around(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let root = folder.ancestors().find(|folder| folder.join(".git").exists())?;
    (root != folder).then(|| root.to_owned())
}
