//! `palisade diff`: what a change of the policies does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anstream::eprintln;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::render::{self, Texts};
use super::{Exit, Shell, test};
use crate::clock::Clock;
use crate::impact::{Comparison, Impact, Replay, Terms};
use crate::model::Finding;
use project::{Project, Unread};

mod git;
mod log;
mod markdown;
mod project;
mod text;
mod words;

/// So many combinations of fixtures are asked: a few seconds.
const MOST_COMBINATIONS: usize = 100_000;
/// So many findings are shown: each is looked up in its text.
const FINDINGS: usize = 50;

/// What is compared, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A folder with a palisade.toml, or with `policies` and `schema`; or a git revision.
    old: String,
    /// The same after the change.
    #[arg(default_value = ".")]
    new: String,
    /// Ask what this decision log asked too; `-` is standard input. May be repeated.
    #[arg(long, value_name = "FILE")]
    replay: Vec<PathBuf>,
    /// Changes of this kind are a problem (exit code 1).
    #[arg(long, value_enum, value_name = "KIND")]
    fail_on: Option<FailOn>,
    /// Name the users and entities of recorded decisions.
    #[arg(long)]
    show_values: bool,
    /// How the impact is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// How an impact is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For a pull request.
    Markdown,
}

/// What is a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Somebody may do what they could not do before.
    Allow,
    /// Somebody may not do any more what they could do before.
    Deny,
    /// Either.
    Any,
}

/// A comparison with what it was of.
struct Compared<'a> {
    old: &'a Project,
    new: &'a Project,
    impact: Impact,
    /// What is wrong with the logs.
    torn: Vec<Finding>,
}

impl Format {
    /// How a complaint about the settings is printed.
    pub(super) const fn of_complaints(self) -> super::Format {
        match self {
            Self::Text | Self::Markdown => super::Format::Text,
            Self::Json => super::Format::Json,
        }
    }
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    let (old, new) = match (Project::read(shell, &args.old), Project::read(shell, &args.new)) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => return unread(args, [("old", &args.old, old), ("new", &args.new, new)]),
    };
    let (now, show_values) = (Clock::machine().now().wall, args.show_values);
    let terms = Terms { now, combinations: MOST_COMBINATIONS, show_values };
    let compared = test::on_a_known_stack(|| {
        let mut comparison = Comparison::of(old.side(), new.side(), terms);
        comparison.ask_tests();
        comparison.ask_combinations();
        let torn = log::replay(&mut comparison, &args.replay)?;
        Ok(Compared { old: &old, new: &new, impact: comparison.into_impact(), torn })
    });
    match compared.and_then(|compared| compared) {
        Ok(compared) => {
            print(&compared, args.format);
            exit(&compared, args.fail_on)
        }
        Err(why) => {
            render::failure(&why, None);
            Exit::Failed
        }
    }
}

fn print(compared: &Compared<'_>, format: Format) {
    let Compared { old, new, impact, torn } = compared;
    if format == Format::Json {
        return render::json(&json!({
            "headline": words::headline(compared), "not_asked": not_asked(compared),
            "old": side(old), "new": side(new), "impact": impact, "torn": torn,
        }));
    }
    for (which, side) in [("old", old), ("new", new)] {
        if !side.findings.is_empty() {
            eprintln!("the tests of {which}, `{}`:", render::plain(&side.name));
            render::findings(side.findings.get(..FINDINGS).unwrap_or(&side.findings), &side.texts);
        }
    }
    render::findings(torn.get(..FINDINGS).unwrap_or(torn), &Texts::default());
    match format {
        Format::Markdown => markdown::print(compared),
        Format::Text | Format::Json => text::print(compared),
    }
}

/// What stands between what was asked and all that there is.
fn not_asked(compared: &Compared<'_>) -> Value {
    let Compared { old, new, impact, .. } = compared;
    let recorded = impact.asked.recorded.as_ref();
    json!({
        "problems": { "old": old.problems(), "new": new.problems() },
        "records": recorded.map(Replay::unasked),
        "share": recorded.map(|replay| words::share(replay.unasked(), replay.records)),
    })
}

fn side(project: &Project) -> Value {
    json!({
        "name": project.name,
        "commit": project.commit,
        "policies": project.snapshot.policy_count(),
        "revision": project.snapshot.revision().to_string(),
        "findings": project.findings,
    })
}

/// The old side is history: what was wrong with its tests is said, and no problem of today.
fn exit(compared: &Compared<'_>, fail_on: Option<FailOn>) -> Exit {
    let Compared { new, impact, torn, .. } = compared;
    if fail_on.is_some() && impact.questions() == 0 {
        let help = "write tests, or replay a decision log; without any there is nothing to fail on";
        render::failure("nothing was asked, so no change could be seen", Some(help));
        return Exit::Problems;
    }
    let changed = match fail_on {
        None => false,
        Some(FailOn::Allow) => impact.allows_more(),
        Some(FailOn::Deny) => impact.allows_less(),
        Some(FailOn::Any) => impact.allows_more() || impact.allows_less(),
    };
    let broken = new.findings.iter().chain(torn).any(Finding::is_error);
    if changed || broken { Exit::Problems } else { Exit::Good }
}

/// Prints why there is nothing to compare.
fn unread(args: &Args, sides: [(&str, &String, Result<Project, Unread>); 2]) -> Exit {
    let mut found = BTreeMap::new();
    for (which, name, side) in sides {
        let (findings, texts) = match side {
            // The reason stands on standard error.
            Err(Unread::Said) if args.format == Format::Markdown => (Vec::new(), Texts::default()),
            Ok(_) | Err(Unread::Said) => continue,
            Err(Unread::Findings(findings, texts)) => (findings, texts),
        };
        if args.format == Format::Markdown {
            markdown::print_unread(which, name, &findings);
        }
        if args.format != Format::Json && !findings.is_empty() {
            eprintln!("{which}, `{}`, does not compile:", render::plain(name));
            render::findings(findings.get(..FINDINGS).unwrap_or(&findings), &texts);
        }
        found.insert(which, json!({"name": name, "findings": findings}));
    }
    if args.format == Format::Json && !found.is_empty() {
        render::json(&found);
    }
    Exit::Failed
}
