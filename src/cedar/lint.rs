//! The linter: what compiles and is still not what its author can have meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::compile::{Compiled, Compiler, sorted};
use super::mapping::user_writable;
use super::parts::Parts;
use super::progress::{Progress, Work};
use super::{Snapshot, Sources};
use crate::model::{Finding, Limits, Place};

mod allow;
mod conditions;
mod expression;
mod groups;
mod mend;
mod rule;
mod scope;
mod statement;
#[cfg(test)]
mod tests;
mod token_kind;

pub use allow::{Allow, Silenced, SilencedBy};
pub use mend::{Mended, mend};
pub use rule::Rule;

use allow::Allows;
use statement::Statement;

/// `[check]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The groups of the user pool.
    pub known_groups: Vec<String>,
    /// Silences for what stands outside of policies.
    pub allow: Vec<Allow>,
}

/// What a project says beside its sources.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// Its settings.
    pub config: Config,
    /// The file of the settings, as findings name it.
    pub configuration: Arc<str>,
    /// Where in that file each `[[check.allow]]` stands.
    pub allow_places: Vec<Option<Place>>,
    /// Where in that file the attributes of each issuer are mapped.
    pub claim_places: Vec<BTreeMap<String, Place>>,
    /// The groups that the users of its tests are in.
    pub tested_groups: BTreeSet<String>,
}

/// What a check comes to.
#[derive(Debug, Default)]
pub struct Checked {
    /// The revision, where nothing stands in its way.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What somebody has to look at, sorted by place.
    pub findings: Vec<Finding>,
    /// What somebody has looked at and answered for, sorted by place.
    pub silenced: Vec<Silenced>,
}

/// Compiles, and lints what could be read. Blocks until it is done.
pub fn check(sources: &Sources, limits: &Limits, project: &Project) -> Checked {
    check_with(&Compiler::default(), sources, limits, project)
}

/// The same with a compiler that says how far it is.
pub fn check_with(compiler: &Compiler, sources: &Sources, limits: &Limits, project: &Project) -> Checked {
    let progress = compiler.progress();
    let checked = compiler
        .with_parts(sources, limits, true, |parts| Ok(check_here(parts, sources, limits, project, progress)));
    checked.unwrap_or_else(|findings| Checked { findings, ..Checked::default() })
}

fn check_here(
    parts: Parts,
    sources: &Sources,
    limits: &Limits,
    project: &Project,
    progress: &Progress,
) -> Checked {
    progress.begin(Work::Lint, parts.policies.infos.len());
    let mut found = lint(&parts, sources, project);
    let (snapshot, compiled) = match parts.compiled(sources, limits, progress) {
        Ok(Compiled { snapshot, warnings }) => (Some(snapshot), warnings),
        Err(findings) => (None, findings),
    };
    found.extend(compiled);
    place_claims(&mut found, sources, project);
    let allows = Allows::read(sources, project);
    let (findings, silenced) = allows.apply(sorted(found), sources, snapshot.is_some());
    Checked { snapshot, findings: sorted(findings), silenced }
}

/// The rules that compiling does not know.
fn lint(parts: &Parts, sources: &Sources, project: &Project) -> Vec<Finding> {
    let statements = statement::all(sources, parts);
    let mut found: Vec<_> = statements.iter().filter_map(missing_id).collect();
    found.extend(scope::any_principal(&statements, parts));
    found.extend(scope::shadowed(&statements, parts));
    found.extend(conditions::constant(&statements, parts));
    found.extend(groups::unknown(&statements, parts, project));
    found.extend(token_kind::evadable(&statements, parts, sources));
    found
}

/// The compiler does not know the file of the settings; whoever lints does.
fn place_claims(found: &mut [Finding], sources: &Sources, project: &Project) {
    for (issuer, places) in sources.settings.issuers.iter().zip(&project.claim_places) {
        for (name, mapped) in &issuer.attributes {
            let unplaced = user_writable(issuer, name, mapped);
            if let Some(finding) = found.iter_mut().find(|finding| Some(&**finding) == unplaced.as_ref()) {
                finding.place = places.get(name).copied();
            }
        }
    }
}

fn missing_id(statement: &Statement<'_>) -> Option<Finding> {
    if statement.parsed.is_none() || statement.text.annotation("id").is_some() {
        return None;
    }
    let message = "this policy has no `@id`: its name changes with the file and with what stands before it";
    let help = "write `@id(\"a-name-that-reads-well-in-a-log\")` above it";
    Some(statement.finding(Rule::MissingId, statement.effect(), message).help(help))
}

/// A finding of a rule, as bad as the rule says.
fn finding(rule: Rule, path: &Arc<str>, message: impl Into<String>) -> Finding {
    Finding { severity: rule.severity(), ..Finding::warning(path, rule.id(), message) }
}
