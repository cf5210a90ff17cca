//! What text and Markdown say alike: changes, roles, users and counts, in words.

use std::collections::BTreeMap;

use super::Compared;
use crate::cedar::EditKind;
use crate::impact::{Changes, Count, Grounds, Replay, Role, Users, Which};

/// `newly allowed 12, newly denied 3`; what there is none of is left out.
pub(super) fn changes(changes: Changes) -> String {
    let Changes { newly_allowed, newly_denied } = changes;
    let parts = [("newly allowed", newly_allowed), ("newly denied", newly_denied)];
    let there = parts.into_iter().filter(|(_, count)| *count > 0);
    there.map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
}

/// What came of it, in one line that reassures nobody falsely.
pub(super) fn headline(compared: &Compared<'_>) -> String {
    let impact = &compared.impact;
    let mut parts = unasked(compared);
    if impact.questions() == 0 {
        parts.push("nothing was asked, so no change could be seen".to_owned());
        return parts.join("; ");
    }
    let decided =
        if impact.changes.all() == 0 { "no decision changes".to_owned() } else { changes(impact.changes) };
    parts.push(format!("{decided} among {}", counted(impact.questions(), "question")));
    let (gained, lost) = (impact.allowed_by_only(Which::New), impact.allowed_by_only(Which::Old));
    if gained > 0 {
        parts.push(format!("{gained} refused by old and allowed by new"));
    }
    if lost > 0 {
        parts.push(format!("{lost} allowed by old and refused by new"));
    }
    match impact.untouched().count() {
        0 => {}
        1 => parts.push("1 edited policy is touched by no question".to_owned()),
        untouched => parts.push(format!("{untouched} edited policies are touched by no question")),
    }
    parts.join("; ")
}

/// What kept questions from being asked: said first, so that what follows does not reassure falsely.
fn unasked(compared: &Compared<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    for (which, side) in [("old", compared.old), ("new", compared.new)] {
        let problems = side.problems();
        if problems > 0 {
            let problems = counted(problems, "problem");
            parts.push(format!("not all was asked, for {problems} in the tests of {which}"));
        }
    }
    if let Some(replay) = compared.impact.asked.recorded.as_ref().filter(|replay| replay.unasked() > 0) {
        let (unasked, records) = (replay.unasked(), counted(replay.records, "record"));
        let share = share(unasked, replay.records);
        parts.push(format!("{unasked} of {records} could not be replayed ({share})"));
    }
    parts
}

/// What a policy does now that it did not do before.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Permits => "now permits",
        Role::PermitsNoMore => "no longer permits",
        Role::Forbids => "now forbids",
        Role::ForbidsNoMore => "no longer forbids",
        Role::Fails => "now fails",
        Role::FailsNoMore => "no longer fails",
    }
}

/// What happened to a policy's text.
pub(super) const fn edit(edit: Option<EditKind>) -> &'static str {
    match edit {
        Some(EditKind::Added) => "added",
        Some(EditKind::Removed) => "removed",
        Some(EditKind::Changed) => "changed",
        None => "not edited",
    }
}

pub(super) const fn which(which: Which) -> &'static str {
    match which {
        Which::Old => "old",
        Which::New => "new",
    }
}

pub(super) fn users(users: &Users) -> String {
    match users {
        Users::Group(group) => format!("group {group}"),
        Users::NoGroup => "users in no group".to_owned(),
        Users::Machines => "machines".to_owned(),
        Users::Untold => "principals of Cedar's own tests".to_owned(),
    }
}

/// `permitted by a, b`, `no_permit with an error in c`.
pub(super) fn grounds(grounds: &Grounds) -> String {
    let mut words = grounds.reason.as_str().to_owned();
    if !grounds.policies.is_empty() {
        words = format!("{words} by {}", grounds.policies.join(", "));
    }
    if !grounds.errors.is_empty() {
        let errors = grounds.errors.iter().map(|(policy, code)| format!("{policy} ({})", code.as_str()));
        words = format!("{words}, and could not evaluate {}", errors.collect::<Vec<_>>().join(", "));
    }
    words
}

/// What was asked, from where, and what could not be: a line each.
pub(super) fn asked(compared: &Compared<'_>) -> Vec<String> {
    let impact = &compared.impact;
    let asked = &impact.asked;
    let mut lines = vec![format!("tests: {}", count(&asked.tests))];
    let combinations = count(&asked.combinations);
    lines.push(if asked.cut {
        format!(
            "fixtures combined: {combinations}, spread evenly over {} that there are",
            asked.all_combinations
        )
    } else {
        format!("fixtures combined: {combinations}")
    });
    if let Some(replay) = &asked.recorded {
        lines.extend(recorded(replay));
    }
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let counts = [Some(&asked.tests), asked.recorded.as_ref().map(|replay| &replay.count)];
    for (code, count) in counts.into_iter().flatten().flat_map(|count| &count.refused) {
        *refused.entry(code).or_default() += count;
    }
    if !refused.is_empty() {
        let codes = refused.iter().map(|(code, count)| format!("{code} {count}"));
        let all: usize = refused.values().sum();
        let codes = codes.collect::<Vec<_>>().join(", ");
        lines.push(format!("refused by both sides: {all} ({codes})"));
    }
    lines
}

fn recorded(replay: &Replay) -> Vec<String> {
    let not = replay.unasked();
    let mut lines =
        vec![format!("recorded: {} of {}", count(&replay.count), counted(replay.records, "record"))];
    if not > 0 {
        let share = share(not, replay.records);
        lines.push(format!("could not be replayed: {} ({share})", counted(not, "record")));
        lines.extend(replay.not_replayed.iter().map(|(why, count)| format!("  {count}: {why}")));
        if replay.torn > 0 {
            lines.push(format!("  {}: torn", replay.torn));
        }
    }
    if replay.decided_otherwise > 0 {
        lines.push(format!(
            "decided otherwise on record than by old: {} (by other policies, entities or settings then)",
            replay.decided_otherwise
        ));
    }
    lines
}

fn count(count: &Count) -> String {
    let asked = counted(count.asked, "question");
    match changes(count.changes) {
        none if none.is_empty() => asked,
        changes => format!("{asked} ({changes})"),
    }
}

/// In hundredths with one decimal, rounded so that a part is never nothing and never all.
pub(super) fn share(part: usize, whole: usize) -> String {
    let whole = whole.max(1);
    let thousandths = (part.saturating_mul(1_000) + whole / 2) / whole;
    let thousandths = if part < whole { thousandths.clamp(1, 999) } else { thousandths };
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

/// `1 question`, `2 questions`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_neither_nothing_nor_all_where_it_is_not() {
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(1, 13), "7.7 %");
        assert_eq!(share(1, 100_000), "0.1 %");
        assert_eq!(share(99_999, 100_000), "99.9 %");
        assert_eq!(share(5, 5), "100.0 %");
    }
}
