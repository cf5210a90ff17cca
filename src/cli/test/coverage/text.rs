//! Coverage for people: how much of each file, and what no test has seen, with its place.

use std::fmt::Write as _;

use super::super::super::render::plain;
use crate::cedar::trace::TracedCondition;
use crate::suite::Coverage;
use crate::suite::coverage::{ConditionCoverage, PolicyCoverage, Share, Unasked};

/// How much of a condition is shown, in characters.
const SHOWN: usize = 80;

/// All of it.
pub(super) fn of(coverage: &Coverage) -> String {
    let mut lines = vec![format!("coverage {}", share(coverage.share()))];
    for (path, policies) in coverage.files() {
        let of_file = policies.iter().map(PolicyCoverage::share).fold(Share::default(), Share::plus);
        lines.push(format!("  {} {}", plain(path), share(of_file)));
        lines.extend(policies.iter().flat_map(gaps).map(|gap| format!("    {gap}")));
    }
    let unasked = coverage.unasked();
    if !unasked.is_empty() {
        lines.push("no test asks".to_owned());
        lines.extend(unasked.iter().flat_map(questions).map(|question| format!("  {question}")));
    }
    lines.iter().fold(String::new(), |mut text, line| {
        let _infallible = writeln!(text, "{line}");
        text
    })
}

/// `71.4% (5 of 7)`.
pub(super) fn share(share: Share) -> String {
    let permille = share.permille();
    format!("{}.{}% ({} of {})", permille / 10, permille % 10, share.hit, share.items)
}

/// What no test has seen of a policy.
fn gaps(covered: &PolicyCoverage) -> Vec<String> {
    let policy = &covered.policy;
    let place = format!("{}:{}", policy.place.line, policy.place.column);
    let name = format!("{} {}", policy.effect, plain(&policy.id));
    if let Some(why) = &covered.skipped {
        return vec![format!("{place} {name} is skipped: {}", plain(why))];
    }
    let never_applied = (covered.applied == 0).then(|| format!("{place} {name} never applied"));
    never_applied.into_iter().chain(covered.conditions().filter_map(gap)).collect()
}

fn gap((condition, seen): (&TracedCondition, ConditionCoverage)) -> Option<String> {
    let is_exception = condition.clause == "unless";
    let what = match (seen.held, seen.failed) {
        (0, 0) => "was never evaluated",
        (0, _) if is_exception => "was never false",
        (_, 0) if is_exception => "was never true",
        (0, _) => "was never true",
        (_, 0) => "was never false",
        (_, _) => return None,
    };
    let text = condition.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    };
    let place = condition.place;
    Some(format!("{}:{} {} `{}` {what}", place.line, place.column, condition.clause, plain(&text)))
}

fn questions(unasked: &Unasked) -> Vec<String> {
    let action = plain(&unasked.action);
    if unasked.entirely {
        return vec![action.into_owned()];
    }
    unasked.resources.iter().map(|resource| format!("{action} on {}", plain(resource))).collect()
}
