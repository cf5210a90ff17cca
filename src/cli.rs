//! The command line: one file per verb, and an exit code that is a type.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::{Configuration, DEFAULT_FILE, Environment};
use crate::model::Finding;
use crate::store::{ConfigurationFile, Files};

mod bundle;
mod check;
mod decide;
mod dev;
mod diff;
mod explanation;
mod fmt;
mod gate;
mod github;
mod health;
mod in_lambda;
mod init;
mod lambda_authorizer;
mod lambda_extension;
mod policy_files;
mod progress;
mod render;
mod repository;
mod route_map;
mod serve;
mod test;
mod token;

/// Authorization for applications whose users sign in with Amazon Cognito, decided by Cedar policies.
#[derive(Debug, Parser)]
#[command(name = "palisade", version, about)]
struct Args {
    /// The settings; `palisade.toml` in this folder, where there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the decision service.
    Serve(Printing),
    /// Run it beside the handlers of a Lambda function; Lambda starts it, from a layer.
    LambdaExtension(Printing),
    /// Answer for API Gateway whether a request may pass; Lambda starts it, as a function of its own.
    LambdaAuthorizer(Printing),
    /// Run it on loopback with the shop, a token issuer of its own, and demo users.
    Dev(Printing),
    /// Start a policy repository; nothing that is there is overwritten.
    Init(init::Args),
    /// Parse and strictly validate schema, policies and entities.
    Check(check::Args),
    /// Run policy tests.
    Test(test::Args),
    /// Say what a change of the policies does.
    Diff(diff::Args),
    /// Put policies, schema, entities and tests in one archive, for a service to fetch.
    Bundle(bundle::Args),
    /// Format policies.
    Fmt(fmt::Args),
    /// Make one decision, offline, and explain it.
    Decide(decide::Args),
    /// Read a token on standard input and say, rule by rule, whether it would be accepted.
    Token(Printing),
    /// Ask the running service how it is; for container health checks.
    Health(Printing),
}

/// The formats that most verbs know; a verb that knows more has an argument of its own.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Printing {
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What a verb comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// It ran, and all is well.
    Good = 0,
    /// It ran, and found problems.
    Problems = 1,
    /// It could not run: usage, files, configuration.
    Failed = 2,
}

/// What every verb gets.
#[derive(Debug)]
struct Shell {
    file: Option<PathBuf>,
    format: Format,
    /// Complaints about the settings are annotations in a GitHub workflow, whatever the format says.
    annotates: bool,
    environment: Environment,
}

/// Runs the command line of this process.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub fn run() -> ExitCode {
    let Args { config, verb } = Args::parse();
    let shell = Shell {
        file: config,
        format: verb.format(),
        annotates: verb.annotates(),
        environment: std::env::vars().collect(),
    };
    let exit = match verb {
        Verb::Serve(_) => serve::run(&shell),
        Verb::LambdaExtension(_) => lambda_extension::run(&shell),
        Verb::LambdaAuthorizer(_) => lambda_authorizer::run(&shell),
        Verb::Dev(_) => dev::run(&shell),
        Verb::Bundle(args) => bundle::run(&shell, &args),
        Verb::Check(args) => check::run(&shell, &args),
        Verb::Init(args) => init::run(&shell, &args),
        Verb::Test(args) => test::run(&shell, &args),
        Verb::Diff(args) => diff::run(&shell, &args),
        Verb::Fmt(args) => fmt::run(&shell, &args),
        Verb::Decide(args) => decide::run(&shell, &args),
        Verb::Token(_) => token::run(&shell),
        Verb::Health(_) => health::run(&shell),
    };
    ExitCode::from(exit as u8)
}

impl Verb {
    /// How complaints about the settings are printed.
    const fn format(&self) -> Format {
        match self {
            Self::Serve(printing)
            | Self::LambdaExtension(printing)
            | Self::LambdaAuthorizer(printing)
            | Self::Dev(printing)
            | Self::Token(printing)
            | Self::Health(printing) => printing.format,
            Self::Bundle(args) => args.printing.format,
            Self::Init(args) => args.printing.format,
            Self::Check(args) => args.format.of_complaints(),
            Self::Test(args) => args.format.of_complaints(),
            Self::Diff(args) => args.format.of_complaints(),
            Self::Fmt(args) => args.printing.format,
            Self::Decide(args) => args.printing.format,
        }
    }

    fn annotates(&self) -> bool {
        match self {
            Self::Check(args) => args.format == check::Format::Github,
            Self::Test(args) => args.format == test::Format::Github,
            Self::Serve(_)
            | Self::LambdaExtension(_)
            | Self::LambdaAuthorizer(_)
            | Self::Dev(_)
            | Self::Bundle(_)
            | Self::Init(_)
            | Self::Diff(_)
            | Self::Fmt(_)
            | Self::Decide(_)
            | Self::Token(_)
            | Self::Health(_) => false,
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
enum SettingsFault {
    /// The file.
    #[error("`{}` cannot be read: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    /// What it says, or a variable.
    #[error("{finding}")]
    Wrong { finding: Box<Finding>, text: String },
}

impl Shell {
    /// The settings, or a complaint that has been printed.
    fn configuration(&self) -> Result<Configuration, Exit> {
        self.settings().map_err(|fault| self.complain(&fault))
    }

    /// The settings of one file, or a complaint that has been printed; without the file its defaults, unless
    /// it was asked for.
    fn configuration_at(&self, path: &Path, required: bool) -> Result<Configuration, Exit> {
        self.settings_at(path, required).map_err(|fault| self.complain(&fault))
    }

    fn settings(&self) -> Result<Configuration, SettingsFault> {
        let path = self.file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        self.settings_at(&path, self.file.is_some())
    }

    fn settings_at(&self, path: &Path, required: bool) -> Result<Configuration, SettingsFault> {
        let file = match read_text(path) {
            Ok(text) => Some(ConfigurationFile { path: path.to_owned(), text: text.into() }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && !required => None,
            Err(cause) => return Err(SettingsFault::Unreadable { path: path.to_owned(), cause }),
        };
        let text = file.as_ref().map(|file| file.text.to_string()).unwrap_or_default();
        let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        Configuration::read(file, base, &self.environment)
            .map_err(|finding| SettingsFault::Wrong { finding, text })
    }

    /// Prints why there are no settings.
    fn complain(&self, fault: &SettingsFault) -> Exit {
        match fault {
            SettingsFault::Unreadable { .. } => render::failure(&fault.to_string(), None),
            SettingsFault::Wrong { finding, .. } if self.annotates => {
                let path = github::in_workspace(Path::new(""), &finding.path, &self.environment);
                anstream::println!("{}", github::finding(finding, &path));
            }
            SettingsFault::Wrong { finding, text } => render::fault(finding, text, self.format),
        }
        Exit::Failed
    }
}

/// The files that decide, as this configuration names them.
fn files(configuration: &Configuration) -> Files {
    let config = &configuration.config;
    Files::new(
        configuration.base.clone(),
        config.policies.clone(),
        configuration.settings(),
        config.limits.clone(),
    )
}

#[expect(clippy::disallowed_methods, reason = "files that the command line names")]
fn read_text(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}
