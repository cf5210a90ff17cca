//! `palisade check`: parse and strictly validate schema, policies and entities, and lint them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::{eprintln, println};
use clap::ValueEnum;
use serde_json::json;

use super::render::{self, Texts, plain};
use super::repository::Repository;
use super::{Exit, Shell, files, policy_files, progress, route_map};
use crate::cedar::lint::{self, Checked, Mended, Project};
use crate::cedar::{Compiler, Sources};
use crate::config::{Config, Configuration, DEFAULT_FILE};
use crate::model::{Finding, Issuer};
use crate::store::{TestFiles, TestTexts};
use crate::suite::Suite;

mod annotations;
mod sarif;

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A palisade.toml, or a folder with one; or a folder with `policies` and `schema`.
    path: Option<PathBuf>,
    /// Warnings are problems too.
    #[arg(long)]
    deny_warnings: bool,
    /// Mend what needs no thought, where the result compiles.
    #[arg(long)]
    fix: bool,
    /// How the findings are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For a GitHub workflow: annotations.
    Github,
}

impl Format {
    /// How a complaint about the settings is printed.
    pub(super) const fn of_complaints(self) -> super::Format {
        match self {
            Self::Text | Self::Sarif | Self::Github => super::Format::Text,
            Self::Json => super::Format::Json,
        }
    }
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    let configuration = match &args.path {
        None => shell.configuration(),
        Some(path) => configuration_of(shell, path),
    };
    match configuration {
        Ok(configuration) => check(&configuration, args),
        Err(exit) => exit,
    }
}

/// The settings of a folder, or of a file that is called anything; a complaint has been printed.
pub(super) fn configuration_of(shell: &Shell, path: &Path) -> Result<Configuration, Exit> {
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

fn check(configuration: &Configuration, args: &Args) -> Exit {
    let found = match files(configuration).read() {
        Ok(sources) if args.fix => mended(configuration, sources),
        read => Ok(found(configuration, read)),
    };
    let (sources, mut checked) = match found {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    checked.findings.extend(files(configuration).missing_ungated());
    let (_, found) = route_map::judged(configuration, checked.snapshot.as_deref());
    checked.findings.extend(found);
    let texts = || {
        Texts::of(&sources, configuration).and(route_map::text(configuration).and_then(Result::ok).as_slice())
    };
    match args.format {
        Format::Json => json(&checked),
        Format::Text => text(&checked, &texts()),
        Format::Sarif => {
            render::json(&sarif::log(&checked, &texts(), &Repository::around(&configuration.base)));
        }
        Format::Github => annotations::print(&checked, &Repository::around(&configuration.base)),
    }
    if checked.findings.iter().any(|finding| args.deny_warnings || finding.is_error()) {
        Exit::Problems
    } else {
        Exit::Good
    }
}

/// What is found in files that were read, or could not be.
pub(super) fn found(
    configuration: &Configuration,
    read: Result<Sources, Vec<Finding>>,
) -> (Sources, Checked) {
    let sources = match read {
        Ok(sources) => sources,
        Err(findings) => return (Sources::default(), Checked { findings, ..Checked::default() }),
    };
    let (compiler, project) = (Compiler::default(), project(configuration));
    let checked = progress::shown(&Arc::clone(compiler.progress()), || {
        lint::check_with(&compiler, &sources, &configuration.config.limits, &project)
    });
    (sources, checked)
}

/// Mends the files, and gives what they hold then; as they are where that would not compile.
fn mended(configuration: &Configuration, sources: Sources) -> Result<(Sources, Checked), Exit> {
    let Config { limits, policies, .. } = &configuration.config;
    let project = project(configuration);
    let Mended { sources: mended, changed, checked } = lint::mend(&sources, limits, &project);
    if changed.is_empty() {
        return Ok((sources, checked));
    }
    if checked.snapshot.is_none() {
        let help = "mend by hand what is left, and try again";
        render::failure("nothing was mended: the result would not compile", Some(help));
        let checked = lint::check(&sources, limits, &project);
        return Ok((sources, checked));
    }
    for (source, fixes) in &changed {
        let read = sources.policies.iter().find(|read| read.path == source.path).unwrap_or(source);
        if let Err(error) = policy_files::write(&policies.dir, read, &source.text) {
            render::failure(&format!("`{}` cannot be written: {error}", source.path), None);
            return Err(Exit::Failed);
        }
        eprintln!("{}: mended in {fixes} place{}", plain(&source.path), if *fixes == 1 { "" } else { "s" });
    }
    Ok((mended, checked))
}

/// What the linter is told: the settings, and the groups of the users in the policy tests.
fn project(configuration: &Configuration) -> Project {
    let Configuration { config, base, .. } = configuration;
    let files = match &config.policies.tests {
        Some(path) => TestFiles::new(base, std::slice::from_ref(path), config.limits.clone()),
        None => TestFiles::of_project(base, config.limits.clone()),
    };
    let TestTexts { shared, tests, .. } = files.read();
    let unconfigured = Issuer::unconfigured();
    let configured = config.issuers.iter().map(|issuer| &*issuer.groups_claim);
    let claims: Vec<_> = configured.chain([&*unconfigured.groups_claim]).collect();
    let suite = Suite::read(&shared, &tests);
    let tested_groups = suite.groups(&claims).map(str::to_owned).collect();
    Project { tested_groups, ..configuration.project() }
}

fn json(checked: &Checked) {
    let Checked { snapshot, findings, silenced } = checked;
    render::json(&json!({
        "findings": findings,
        "silenced": silenced,
        "policies": snapshot.as_ref().map(|snapshot| snapshot.policy_count()),
        "revision": snapshot.as_ref().map(|snapshot| snapshot.revision().to_string()),
    }));
}

fn text(checked: &Checked, texts: &Texts) {
    render::findings(&checked.findings, texts);
    let count = render::count(&checked.findings);
    let silenced = match checked.silenced.len() {
        0 => String::new(),
        silenced => format!(" ({silenced} silenced)"),
    };
    match &checked.snapshot {
        Some(snapshot) => println!("{} policies, {count}{silenced}", snapshot.policy_count()),
        None => println!("{count}{silenced}"),
    }
}
