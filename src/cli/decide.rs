//! `palisade decide`: one decision, offline, explained.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::println;
use clap::ValueEnum;
use serde_json::json;

use super::render::{self, Texts};
use super::{Exit, Format, Printing, Shell, explanation, files, read_text};
use crate::cedar::explain::Explanation;
use crate::cedar::{Compiled, Snapshot, compile};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::identity::{self, Pasted, Verifier};
use crate::model::{Body, Evaluation, Identity, Issuer, Kind, Timestamp, Token};
use crate::telemetry::Metrics;

/// Who asks for what.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true))]
pub(super) struct Args {
    /// The body of a request to `/authorize`; `-` is standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    request: PathBuf,
    /// A token, verified as the service would; `-` is standard input.
    #[arg(long, value_name = "FILE", group = "who")]
    token: Option<PathBuf>,
    /// The claims of a token, as JSON: signature, times and client are taken for granted.
    #[arg(long, value_name = "FILE", group = "who")]
    claims: Option<PathBuf>,
    /// A user by `sub`, with the groups that `--group` gives.
    #[arg(long, value_name = "SUB", group = "who")]
    principal: Option<String>,
    /// A machine by client id.
    #[arg(long, value_name = "CLIENT_ID", group = "who")]
    machine: Option<String>,
    /// A group of the user; may be repeated.
    #[arg(long, value_name = "GROUP", requires = "principal")]
    group: Vec<String>,
    /// The issuer, where several are configured.
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// The time of the request, in RFC 3339; by default now.
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// Another decision is a problem (exit code 1).
    #[arg(long, value_enum)]
    expect: Option<Expected>,
    #[command(flatten)]
    pub(super) printing: Printing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expected {
    Allow,
    Deny,
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    let configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    match decide(shell, args, &configuration) {
        Ok(exit) => exit,
        Err(why) => super::serve::failed(&why, None),
    }
}

fn decide(shell: &Shell, args: &Args, configuration: &Configuration) -> Result<Exit, String> {
    let Some(project) = project(configuration) else { return Ok(Exit::Failed) };
    let snapshot = &project.snapshot;
    let request = read(&args.request)?;
    let body = Body::parse(request.as_bytes(), &configuration.config.limits)
        .map_err(|refusal| refusal.to_string())?;
    let now = match &args.now {
        Some(text) => Timestamp::parse(text)
            .ok_or_else(|| format!("`{text}` is no time: write `2026-11-23T09:30:00Z`"))?,
        None => Clock::machine().now().wall,
    };
    let identity = identity(args, configuration, body.token)?;
    match snapshot.evaluate(&identity, &body.question, now) {
        Ok(evaluation) => {
            let explanation = snapshot
                .explain(&identity, &body.question, now, &evaluation)
                .map_err(|refusal| refusal.to_string())?;
            show(shell, &project, &evaluation, &explanation);
            let decided = evaluation.decision.as_str();
            let unexpected = args
                .expect
                .and_then(|expected| expected.to_possible_value())
                .is_some_and(|expected| expected.get_name() != decided);
            if unexpected {
                render::failure(&format!("another decision was expected than `{decided}`"), None);
                return Ok(Exit::Problems);
            }
            Ok(Exit::Good)
        }
        Err(refusal) => {
            let hints = snapshot.advise(&body.question);
            match shell.format {
                Format::Json => render::json(&json!({"refused": refusal, "hints": hints})),
                Format::Text => {
                    println!("refused: {}", render::plain(&refusal.to_string()));
                    explanation::print_hints(&hints);
                }
            }
            Ok(Exit::Problems)
        }
    }
}

/// What is decided under, and the texts that it comes from.
struct Project {
    snapshot: Arc<Snapshot>,
    texts: Texts,
}

fn project(configuration: &Configuration) -> Option<Project> {
    let sources = match files(configuration).read() {
        Ok(sources) => sources,
        Err(findings) => {
            render::findings(&findings, &Texts::default());
            return None;
        }
    };
    let texts = Texts::of(&sources, configuration);
    match compile(&sources, &configuration.config.limits) {
        Ok(Compiled { snapshot, .. }) => Some(Project { snapshot, texts }),
        Err(findings) => {
            render::findings(&findings, &texts);
            None
        }
    }
}

fn identity(
    args: &Args,
    configuration: &Configuration,
    body_token: Option<Token>,
) -> Result<Identity, String> {
    let token = args.token.as_deref().map(token).transpose()?;
    if let Some(token) = token.or(body_token) {
        return verified(configuration, &token);
    }
    let issuer = issuer(args, configuration)?;
    let fault = |error: identity::GivenFault| error.to_string();
    if let Some(path) = &args.claims {
        return identity::identity_from_claims(read(path)?.as_bytes(), &issuer, true).map_err(fault);
    }
    match (&args.principal, &args.machine) {
        (Some(subject), _) => {
            identity::identity_of(Kind::User, subject, args.group.clone(), &issuer).map_err(fault)
        }
        (None, Some(client)) => {
            identity::identity_of(Kind::Machine, client, Vec::new(), &issuer).map_err(fault)
        }
        (None, None) => Err("say who asks: `--token`, `--claims`, `--principal` or `--machine`".to_owned()),
    }
}

/// The token in a file, or why there is none.
fn token(path: &Path) -> Result<Token, String> {
    let Pasted { token, mistakes } = Pasted::read(&read(path)?);
    token.ok_or_else(|| {
        let said = mistakes.iter().map(|mistake| mistake.words().message).collect::<Vec<_>>();
        format!("`{}` holds no token: {}", path.display(), said.join("; "))
    })
}

fn issuer(args: &Args, configuration: &Configuration) -> Result<Issuer, String> {
    let issuers = configuration.settings().issuers;
    match (&args.issuer, issuers.as_slice()) {
        (None, []) => Ok(Issuer::unconfigured()),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err("several issuers are configured: say which with `--issuer`".to_owned()),
        (Some(name), issuers) => issuers
            .iter()
            .find(|issuer| *issuer.issuer == **name)
            .cloned()
            .ok_or_else(|| format!("no issuer `{name}` is configured")),
    }
}

fn verified(configuration: &Configuration, token: &Token) -> Result<Identity, String> {
    let config = &configuration.config;
    let verifier = Verifier::new(&config.issuers, &config.limits, Clock::machine(), &Metrics::new())
        .map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let judged = runtime.block_on(verifier.verify(token)).map_err(|error| error.to_string())?;
    Ok(Identity::clone(judged.identity()))
}

fn show(shell: &Shell, project: &Project, evaluation: &Evaluation, explanation: &Explanation) {
    let Evaluation { decision, reason, policies, errors } = evaluation;
    match shell.format {
        Format::Json => render::json(&json!({
            "decision": decision, "reason": reason, "policies": policies, "errors": errors,
            "revision": project.snapshot.revision().as_str(), "explain": explanation,
        })),
        Format::Text => {
            println!("{}: {}", decision.as_str(), reason.as_str());
            explanation::print(evaluation, explanation, &project.texts);
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map_err(|error| format!("standard input cannot be read: {error}"))?;
        return Ok(text);
    }
    read_text(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
}
