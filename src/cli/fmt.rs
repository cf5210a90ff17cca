//! `palisade fmt`: format policies, or say which ones are not.

use anstream::println;
use serde_json::json;

use super::render::{self, Texts, plain};
use super::{Exit, Format, Printing, Shell, files, policy_files};
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
            if let Err(error) = policy_files::write(&configuration.config.policies.dir, source, formatted) {
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
                println!("{}: {what}", plain(path));
            }
        }
    }
    if !findings.is_empty() || (args.check && !changed.is_empty()) { Exit::Problems } else { Exit::Good }
}
