//! An impact for a pull request: a headline, what changes, and the rest folded away.
//! Every text out of a file is escaped: it could be markup.

use std::fmt::Write as _;

use anstream::print;

use super::super::github::markdown;
use super::project::Project;
use super::{Compared, words};
use crate::impact::{Changes, EditedPolicy, Example, Impact, OneSided, PolicyImpact};
use crate::model::{Finding, Place};

/// So many rows has a table: GitHub takes 65,536 characters.
const ROWS: usize = 50;
/// So many findings of a side are shown: the annotations of `check` have the others.
const FINDINGS: usize = 5;
/// So many examples stand beside a policy.
const EXAMPLES: usize = 3;

/// Prints a comparison.
pub(super) fn print(compared: &Compared<'_>) {
    print!("{}", comment(compared));
}

/// Prints that a side cannot be judged, and why where its files are at fault.
pub(super) fn print_unread(which: &str, name: &str, findings: &[Finding]) {
    print!("{}", unread(which, name, findings));
}

fn unread(which: &str, name: &str, findings: &[Finding]) -> String {
    let mut text = format!("### Policy impact: unknown, because {which} ");
    let errors: Vec<_> = findings.iter().filter(|finding| finding.is_error()).collect();
    if errors.is_empty() {
        let _infallible = writeln!(text, "cannot be read\n\n{}: standard error says why", code(name));
    } else {
        let problems = words::counted(errors.len(), "problem");
        let _infallible = writeln!(text, "does not compile\n\n{} has {problems}:\n", code(name));
        list(&mut text, &errors);
    }
    text
}

/// The first of some findings, each with its place.
fn list(text: &mut String, findings: &[&Finding]) {
    for Finding { path, place, message, .. } in findings.iter().take(FINDINGS) {
        let place = place.map(|Place { line, column, .. }| format!(":{line}:{column}")).unwrap_or_default();
        let _infallible = writeln!(text, "- {}{place}: {}", markdown(path), markdown(message));
    }
    if let Some(more @ 1..) = findings.len().checked_sub(FINDINGS) {
        let _infallible = writeln!(text, "- and {more} more");
    }
}

fn comment(compared: &Compared<'_>) -> String {
    let Compared { old, new, impact, .. } = compared;
    let mut text = format!("### Policy impact: {}\n\n", words::headline(compared));
    let _infallible = writeln!(text, "{} → {}", project(old), project(new));
    let errors: Vec<_> = new.findings.iter().filter(|finding| finding.is_error()).collect();
    if !errors.is_empty() {
        text.push_str("\nThe tests of new:\n\n");
        list(&mut text, &errors);
    }
    warn(&mut text, impact);
    changes(&mut text, impact);
    let rows = impact.one_sided.iter().map(one_sided).collect();
    folded(
        &mut text,
        "asked of one side only",
        &["only", "question", "allowed", "denied", "why the other refuses"],
        rows,
    );
    let rows = impact.other_grounds.iter().map(|grounds| {
        [
            grounds.decision.as_str().to_owned(),
            markdown(&words::grounds(&grounds.old)),
            markdown(&words::grounds(&grounds.new)),
            grounds.questions.to_string(),
            example(&grounds.example),
        ]
    });
    let columns = ["decision", "old", "new", "questions", "for example"];
    folded(&mut text, "decided as before, for other reasons", &columns, rows.collect());
    let rows = impact.edited.iter().map(edited).collect();
    folded(
        &mut text,
        "edited policies",
        &["policy", "edit", "questions within its scope", "determined by it"],
        rows,
    );
    text.push_str("\n<details><summary>what was asked</summary>\n\n");
    for line in words::asked(compared) {
        let (indent, line) = line.strip_prefix("  ").map_or(("", &*line), |line| ("  ", line));
        // What stands before the colon is ours.
        let _infallible = match line.split_once(": ") {
            Some((ours, rest)) => writeln!(text, "{indent}- {ours}: {}", markdown(rest)),
            None => writeln!(text, "{indent}- {line}"),
        };
    }
    text.push_str("\n</details>\n");
    text
}

/// What a reviewer must not miss.
fn warn(text: &mut String, impact: &Impact) {
    let untouched: Vec<_> = impact.untouched().map(|policy| code(&policy.policy)).collect();
    if !untouched.is_empty() {
        let shown = untouched.iter().take(ROWS).cloned().collect::<Vec<_>>().join(", ");
        let more = if untouched.len() > ROWS { ", …" } else { "" };
        let _infallible = writeln!(
            text,
            "\n> [!WARNING]\n> No question touches {shown}{more}: what the edit does there was not seen."
        );
    }
    if !impact.also_edited.is_empty() {
        let _infallible = writeln!(text, "\nEdited beside policies: {}.", impact.also_edited.join(", "));
    }
}

fn changes(text: &mut String, impact: &Impact) {
    if impact.changes.all() == 0 {
        return;
    }
    let rows = impact.by_policy.iter().map(|policy| {
        let PolicyImpact { policy: id, role, edit, path, line, changes, examples } = policy;
        let mut shown: Vec<_> = examples.iter().take(EXAMPLES).map(example).collect();
        if changes.all() > shown.len() {
            shown.push("…".to_owned());
        }
        let [allowed, denied] = counts(*changes);
        [
            format!("{}<br>{}, {}:{line}", code(id), words::edit(*edit), markdown(path)),
            words::role(*role).to_owned(),
            allowed,
            denied,
            shown.join("<br>"),
        ]
    });
    table(text, &["policy", "effect", "newly allowed", "newly denied", "for example"], rows.collect());
    let rows = impact.by_users.iter().map(|users| {
        let [allowed, denied] = counts(users.changes);
        let actions = users.actions.iter().map(|action| code(action)).collect::<Vec<_>>().join(", ");
        [markdown(&words::users(&users.users)), allowed, denied, actions]
    });
    table(text, &["users", "newly allowed", "newly denied", "actions"], rows.collect());
}

fn one_sided(sided: &OneSided) -> [String; 5] {
    let OneSided { only, code: refusal, detail, action, resource_type, allowed, denied } = sided;
    [
        words::which(*only).to_owned(),
        format!("{} on {}", code(action), code(resource_type)),
        allowed.to_string(),
        denied.to_string(),
        markdown(detail.as_deref().unwrap_or_else(|| refusal.as_str())),
    ]
}

fn edited(policy: &EditedPolicy) -> [String; 4] {
    let EditedPolicy { policy: id, edit, path, line, in_scope, determined } = policy;
    let within = if *in_scope == 0 { "**none**".to_owned() } else { in_scope.to_string() };
    let what = format!("{}, {}:{line}", words::edit(Some(*edit)), markdown(path));
    [code(id), what, within, determined.to_string()]
}

fn folded<const N: usize>(text: &mut String, title: &str, columns: &[&str; N], rows: Vec<[String; N]>) {
    if rows.is_empty() {
        return;
    }
    let _infallible = writeln!(text, "\n<details><summary>{title}: {}</summary>", rows.len());
    table(text, columns, rows);
    text.push_str("\n</details>\n");
}

fn table<const N: usize>(text: &mut String, columns: &[&str; N], rows: Vec<[String; N]>) {
    let _infallible = writeln!(text, "\n| {} |\n|{}", columns.join(" | "), "---|".repeat(N));
    let more = rows.len().saturating_sub(ROWS);
    for row in rows.into_iter().take(ROWS) {
        let _infallible = writeln!(text, "| {} |", row.join(" | "));
    }
    if more > 0 {
        let _infallible = writeln!(text, "\nand {more} more");
    }
}

fn counts(changes: Changes) -> [String; 2] {
    let shown = |count: usize| if count == 0 { String::new() } else { format!("**{count}**") };
    [shown(changes.newly_allowed), shown(changes.newly_denied)]
}

fn example(example: &Example) -> String {
    let Example { principal, action, resource } = example;
    format!("{} · {} · {}", markdown(principal), markdown(action), markdown(resource))
}

fn project(project: &Project) -> String {
    let commit = project.commit.as_ref().map(|commit| format!(" ({commit})")).unwrap_or_default();
    format!("{}{commit}", code(&project.name))
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", markdown(text))
}
