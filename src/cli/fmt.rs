//! `palisade fmt`: format policies, or say which ones are not.

use std::io;
use std::path::{Path, PathBuf};

use anstream::println;
use serde_json::json;

use super::render::{self, Texts};
use super::{Exit, Format, Printing, Shell, files};
use crate::cedar::{Source, format};

/// What to format.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say which files would change, and change none.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    pub(super) printing: Printing,
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    let configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    let sources = match files(&configuration).read() {
        Ok(sources) => sources,
        Err(findings) => {
            render::findings(&findings, &Texts::default());
            return Exit::Failed;
        }
    };
    let (mut changed, mut findings) = (Vec::new(), Vec::new());
    for source in &sources.policies {
        match format::format(source, &configuration.config.limits) {
            Ok(formatted) if formatted == *source.text => {}
            Ok(formatted) => changed.push((source, formatted)),
            Err(found) => findings.extend(found),
        }
    }
    if !args.check {
        for (source, formatted) in &changed {
            if let Err(error) = replace(&configuration.config.policies.dir.join(&*source.name), formatted) {
                render::failure(&format!("`{}` cannot be written: {error}", source.path), None);
                return Exit::Failed;
            }
        }
    }
    let paths: Vec<_> = changed.iter().map(|(source, _): &(&Source, _)| &source.path).collect();
    match shell.format {
        Format::Json => render::json(&json!({"changed": paths, "findings": findings})),
        Format::Text => {
            render::findings(&findings, &Texts::of(&sources, &configuration));
            let what = if args.check { "would be formatted" } else { "formatted" };
            for path in &paths {
                println!("{path}: {what}");
            }
        }
    }
    if !findings.is_empty() || (args.check && !changed.is_empty()) { Exit::Problems } else { Exit::Good }
}

/// Another process sees the old text or the new one, never half of it. The watch of a running
/// service skips names with a leading dot.
#[expect(clippy::disallowed_methods, reason = "the one writer of policy files")]
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft: PathBuf = path.with_file_name(format!(".{name}.draft"));
    std::fs::write(&draft, text)?;
    std::fs::set_permissions(&draft, std::fs::metadata(&path)?.permissions())?;
    std::fs::rename(&draft, &path)
}
