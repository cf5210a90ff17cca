//! `palisade test --coverage`: what the tests cover of the policies, and how much they must.

use std::path::{Path, PathBuf};

use anstream::{print, println};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::github::{Annotation, Level};
use super::super::render;
use super::Run;
use crate::cedar::trace::TracedCondition;
use crate::suite::Coverage;
use crate::suite::coverage::{ConditionCoverage, PolicyCoverage, Share};

mod lcov;
mod text;

/// Whether coverage is of interest, and what becomes of it.
#[derive(Debug, clap::Args)]
pub(super) struct Covering {
    /// Say what the tests cover of the policies: each must apply, and each of its conditions must have
    /// been true and false. The other options of coverage imply this one.
    #[arg(long)]
    coverage: bool,
    /// Less coverage than this is a problem (exit code 1); not together with `--filter`.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    coverage_threshold: Option<u8>,
    /// How coverage is written.
    #[arg(long, value_enum, value_name = "FORMAT")]
    coverage_format: Option<Format>,
    /// Write it to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    coverage_file: Option<PathBuf>,
}

/// How coverage is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: what no test has seen, with its place.
    Text,
    /// For programs: every policy and condition with its counts.
    Json,
    /// For `genhtml` and its like: a function per policy, two branches per condition.
    Lcov,
}

impl Covering {
    /// Whether coverage is of interest.
    pub(super) const fn is_wanted(&self) -> bool {
        self.coverage
            || self.coverage_threshold.is_some()
            || self.coverage_format.is_some()
            || self.coverage_file.is_some()
    }

    /// Prints or writes what a run has covered.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn print(
        &self,
        run: &Run,
        format: super::Format,
        in_workspace: impl Fn(&str) -> String,
    ) -> Result<(), String> {
        let Some(coverage) = &run.coverage else { return Ok(()) };
        let coverage_format = self.coverage_format.unwrap_or(Format::Text);
        if let Some(path) = &self.coverage_file {
            write(path, &coverage_format.text(coverage))
                .map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
        }
        match (format, &self.coverage_file) {
            // It stands among the results.
            (super::Format::Json, _) => {}
            (super::Format::Github, _) => {
                annotate(coverage, in_workspace);
                println!("coverage {}", text::share(coverage.share()));
            }
            (super::Format::Text, Some(_)) => println!("coverage {}", text::share(coverage.share())),
            (super::Format::Text, None) => print!("{}", coverage_format.text(coverage)),
        }
        Ok(())
    }

    /// Whether a run covers as much as it must; complains where it does not.
    pub(super) fn is_reached(&self, run: &Run) -> bool {
        let (Some(threshold), Some(coverage)) = (self.coverage_threshold, &run.coverage) else { return true };
        let share = coverage.share();
        let is_reached = share.permille() >= usize::from(threshold) * 10;
        if !is_reached {
            let message = format!("coverage is {}, less than {threshold}%", text::share(share));
            render::failure(&message, Some("write tests for what no test has seen"));
        }
        is_reached
    }
}

/// A warning where each thing stands that no test has seen.
fn annotate(coverage: &Coverage, in_workspace: impl Fn(&str) -> String) {
    for (path, policies) in coverage.files() {
        let path = in_workspace(path);
        for gap in policies.iter().flat_map(text::gaps).filter(|gap| !gap.is_skipped) {
            let annotation = Annotation {
                level: Level::Warning,
                path: &path,
                line: Some(gap.place.line),
                column: Some(gap.place.column),
                title: "coverage",
                message: &gap.what,
            };
            println!("{annotation}");
        }
    }
}

impl Format {
    fn text(self, coverage: &Coverage) -> String {
        match self {
            Self::Text => text::of(coverage),
            Self::Json => format!("{:#}\n", json(coverage)),
            Self::Lcov => lcov::of(coverage),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the file that the command line names")]
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

/// Coverage for programs.
pub(super) fn json(coverage: &Coverage) -> Value {
    let shared = |share: Share, rest: Value| {
        let mut value = json!({"percent": percent(share), "hit": share.hit, "items": share.items});
        if let (Some(members), Value::Object(rest)) = (value.as_object_mut(), rest) {
            members.extend(rest);
        }
        value
    };
    let files = coverage.files().map(|(path, policies)| {
        let share = policies.iter().map(PolicyCoverage::share).fold(Share::default(), Share::plus);
        shared(share, json!({"path": path, "policies": policies.iter().map(policy).collect::<Vec<_>>()}))
    });
    let files: Vec<_> = files.collect();
    shared(coverage.share(), json!({"files": files, "unasked": coverage.unasked()}))
}

fn percent(share: Share) -> f64 {
    u16::try_from(share.permille()).map_or(0.0, f64::from) / 10.0
}

fn policy(covered: &PolicyCoverage) -> Value {
    let condition = |(condition, seen): (&TracedCondition, ConditionCoverage)| {
        json!({
            "clause": condition.clause,
            "text": condition.text,
            "line": condition.place.line,
            "column": condition.place.column,
            "held": seen.held,
            "failed": seen.failed,
        })
    };
    let policy = &covered.policy;
    json!({
        "id": policy.id,
        "effect": policy.effect,
        "line": policy.place.line,
        "column": policy.place.column,
        "applied": covered.applied,
        "skipped": covered.skipped,
        "conditions": covered.conditions().map(condition).collect::<Vec<_>>(),
    })
}
