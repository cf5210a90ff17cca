//! Coverage in the tracefile format of lcov (the manual page of `geninfo`): a policy is a function,
//! and a condition two branches.
//!
//! Readers hold the records of a line against each other. So a line with conditions counts their
//! evaluations, and any other the policies that begin there and applied.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::suite::Coverage;
use crate::suite::coverage::{ConditionCoverage, PolicyCoverage};

/// The tracefile.
pub(super) fn of(coverage: &Coverage) -> String {
    let mut text = String::new();
    for (path, policies) in coverage.files() {
        let counted: Vec<_> = policies.iter().filter(|policy| policy.skipped.is_none()).collect();
        let _infallible = file(&mut text, path, &counted);
    }
    text
}

fn file(text: &mut String, path: &str, policies: &[&PolicyCoverage]) -> std::fmt::Result {
    writeln!(text, "TN:\nSF:{}", in_line(path))?;
    for covered in policies {
        writeln!(text, "FN:{},{}", covered.policy.place.line, in_line(&covered.policy.id))?;
    }
    for covered in policies {
        writeln!(text, "FNDA:{},{}", covered.applied, in_line(&covered.policy.id))?;
    }
    let applied = policies.iter().filter(|covered| covered.applied > 0).count();
    writeln!(text, "FNF:{}\nFNH:{applied}", policies.len())?;

    let (mut found, mut hit) = (0, 0);
    let branches = branches(policies);
    for (line, conditions) in &branches {
        for (block, seen) in conditions.iter().enumerate() {
            for (branch, count) in [seen.held, seen.failed].into_iter().enumerate() {
                let taken = if seen.evaluated() == 0 { "-".to_owned() } else { count.to_string() };
                writeln!(text, "BRDA:{line},{block},{branch},{taken}")?;
                found += 1;
                hit += usize::from(count > 0);
            }
        }
    }
    writeln!(text, "BRF:{found}\nBRH:{hit}")?;

    let lines = lines(policies, &branches);
    for (line, count) in &lines {
        writeln!(text, "DA:{line},{count}")?;
    }
    let reached = lines.values().filter(|count| **count > 0).count();
    writeln!(text, "LF:{}\nLH:{reached}\nend_of_record", lines.len())
}

/// What was seen of the conditions on each line.
fn branches(policies: &[&PolicyCoverage]) -> BTreeMap<usize, Vec<ConditionCoverage>> {
    let mut branches: BTreeMap<usize, Vec<ConditionCoverage>> = BTreeMap::new();
    for (condition, seen) in policies.iter().flat_map(|covered| covered.conditions()) {
        branches.entry(condition.place.line).or_default().push(seen);
    }
    branches
}

fn lines(
    policies: &[&PolicyCoverage],
    branches: &BTreeMap<usize, Vec<ConditionCoverage>>,
) -> BTreeMap<usize, usize> {
    let mut lines: BTreeMap<usize, usize> = BTreeMap::new();
    for covered in policies {
        *lines.entry(covered.policy.place.line).or_default() += covered.applied;
    }
    for (line, conditions) in branches {
        lines.insert(*line, conditions.iter().map(|seen| seen.evaluated()).sum());
    }
    lines
}

/// A name that ends neither its line nor its record's member.
fn in_line(name: &str) -> String {
    name.replace(|character: char| character.is_control() || character == ',', "_")
}
