//! `palisade check`: parse and strictly validate schema, policies and entities.

use std::path::{Path, PathBuf};

use anstream::println;
use serde_json::json;

use super::render::{self, Texts};
use super::{Exit, Format, Printing, Shell, files};
use crate::cedar::{Compiled, Sources, compile};
use crate::config::{Configuration, DEFAULT_FILE};
use crate::model::Finding;

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A palisade.toml, or a folder with one; or a folder with `policies` and `schema`.
    path: Option<PathBuf>,
    /// Warnings are problems too.
    #[arg(long)]
    deny_warnings: bool,
    #[command(flatten)]
    pub(super) printing: Printing,
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    let configuration = match &args.path {
        None => shell.configuration(),
        Some(path) => configuration_of(shell, path),
    };
    match configuration {
        Ok(configuration) => check(shell, &configuration, args.deny_warnings),
        Err(exit) => exit,
    }
}

fn configuration_of(shell: &Shell, path: &Path) -> Result<Configuration, Exit> {
    if !path.exists() {
        render::failure(&format!("there is no `{}`", path.display()), None);
        return Err(Exit::Failed);
    }
    if path.is_dir() {
        shell.configuration_at(&path.join(DEFAULT_FILE), false)
    } else {
        shell.configuration_at(path, true)
    }
}

fn check(shell: &Shell, configuration: &Configuration, deny_warnings: bool) -> Exit {
    let (sources, findings, compiled) = match files(configuration).read() {
        Err(findings) => (Sources::default(), findings, None),
        Ok(sources) => match compile(&sources, &configuration.config.limits) {
            Err(findings) => (sources, findings, None),
            Ok(Compiled { snapshot, warnings }) => (sources, warnings, Some(snapshot)),
        },
    };
    let policies = compiled.as_ref().map(|snapshot| snapshot.policy_count());
    match shell.format {
        Format::Json => {
            let revision = compiled.as_ref().map(|snapshot| snapshot.revision().to_string());
            render::json(&json!({"findings": findings, "policies": policies, "revision": revision}));
        }
        Format::Text => {
            render::findings(&findings, &Texts::of(&sources, configuration));
            match policies {
                Some(policies) => println!("{policies} policies, {}", render::count(&findings)),
                None => println!("{}", render::count(&findings)),
            }
        }
    }
    exit(&findings, deny_warnings)
}

fn exit(findings: &[Finding], deny_warnings: bool) -> Exit {
    if findings.iter().any(|finding| deny_warnings || finding.is_error()) {
        Exit::Problems
    } else {
        Exit::Good
    }
}
