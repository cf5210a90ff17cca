//! An impact for people: what changes first, what was not looked at last and never left out.

use anstream::println;
use anstyle::{AnsiColor, Style};

use super::super::render::plain;
use super::project::Project;
use super::{Compared, words};
use crate::impact::{EditedPolicy, Example, Impact, OneSided, PolicyImpact, Which};

/// So many rows of a kind are shown.
const SHOWN: usize = 20;

const CHANGED: Style = AnsiColor::Yellow.on_default().bold();
const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Prints a comparison.
pub(super) fn print(compared: &Compared<'_>) {
    let Compared { old, new, impact, .. } = compared;
    println!("old  {}", project(old));
    println!("new  {}", project(new));
    println!();
    let style = if impact.changes.all() > 0 { CHANGED } else { HEADING };
    println!("{style}{}{style:#}", words::headline(compared));
    print_changes(impact);
    print_others(impact);
    print_edited(impact);
    heading("asked");
    for line in words::asked(compared) {
        println!("  {}", plain(&line));
    }
}

fn print_changes(impact: &Impact) {
    section("by policy", &impact.by_policy, |policy| {
        let PolicyImpact { policy: id, role, edit, path, line, changes, examples } = policy;
        let edit = words::edit(*edit);
        println!(
            "  {} {}: {} {FAINT}({edit}, {}:{line}){FAINT:#}",
            plain(id),
            words::role(*role),
            words::changes(*changes),
            plain(path),
        );
        for example in examples {
            println!("    {}", self::example(example));
        }
    });
    section("by users", &impact.by_users, |users| {
        println!(
            "  {}: {} {FAINT}({}){FAINT:#}",
            plain(&words::users(&users.users)),
            words::changes(users.changes),
            plain(&users.actions.join(", "))
        );
    });
}

fn print_others(impact: &Impact) {
    section("decided as before, for other reasons", &impact.other_grounds, |grounds| {
        println!(
            "  {}: {} → {}: {} {FAINT}({}){FAINT:#}",
            grounds.decision.as_str(),
            plain(&words::grounds(&grounds.old)),
            plain(&words::grounds(&grounds.new)),
            words::counted(grounds.questions, "question"),
            example(&grounds.example),
        );
    });
    section("asked of one side only, as the other refuses", &impact.one_sided, |sided| {
        let OneSided { only, code, detail, action, resource_type, allowed, denied } = sided;
        let other = match only {
            Which::Old => "new",
            Which::New => "old",
        };
        println!(
            "  only {}: {} on {}: allowed {allowed}, denied {denied}",
            words::which(*only),
            plain(action),
            plain(resource_type),
        );
        let why = detail.as_deref().unwrap_or_else(|| code.as_str());
        println!("    {FAINT}{other} says {}: {}{FAINT:#}", code.as_str(), plain(why));
    });
}

fn print_edited(impact: &Impact) {
    section("edited policies", &impact.edited, |policy| {
        let EditedPolicy { policy: id, edit, path, line, in_scope, determined } = policy;
        let edit = words::edit(Some(*edit));
        let place = format!("{FAINT}({edit}, {}:{line}){FAINT:#}", plain(path));
        if *in_scope == 0 {
            println!("  {CHANGED}{}: no question touches it{CHANGED:#} {place}", plain(id));
        } else {
            let within = words::counted(*in_scope, "question");
            println!("  {}: {within} within its scope, {determined} determined by it {place}", plain(id));
        }
    });
    if !impact.also_edited.is_empty() {
        heading("edited beside policies");
        println!("  {}", plain(&impact.also_edited.join(", ")));
    }
}

fn section<T>(title: &str, rows: &[T], row: impl Fn(&T)) {
    if rows.is_empty() {
        return;
    }
    heading(title);
    for item in rows.iter().take(SHOWN) {
        row(item);
    }
    if let Some(more) = rows.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        println!("  and {more} more");
    }
}

fn heading(title: &str) {
    println!("\n{HEADING}{title}{HEADING:#}");
}

fn example(example: &Example) -> String {
    let Example { principal, action, resource } = example;
    format!("{} · {} · {}", plain(principal), plain(action), plain(resource))
}

fn project(project: &Project) -> String {
    let commit = project.commit.as_ref().map(|commit| format!(" ({})", plain(commit))).unwrap_or_default();
    let policies = project.snapshot.policy_count();
    format!("{}{commit}, {policies} policies", plain(&project.name))
}
