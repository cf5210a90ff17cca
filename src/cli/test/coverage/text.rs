//! Coverage for people: how much of each file, and what no test has seen, with its place.

use std::fmt::{self, Write as _};

use super::super::super::render::plain;
use crate::cedar::trace::TracedCondition;
use crate::model::Place;
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

/// Something that no test has seen, or need not.
pub(super) struct Gap {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) is_skipped: bool,
}

impl fmt::Display for Gap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{} {}", self.place.line, self.place.column, self.what)
    }
}

/// What no test has seen of a policy.
pub(super) fn gaps(covered: &PolicyCoverage) -> Vec<Gap> {
    let policy = &covered.policy;
    let name = format!("{} {}", policy.effect, plain(&policy.id));
    let of_policy = |what, is_skipped| Gap { place: policy.place, what, is_skipped };
    if let Some(why) = &covered.skipped {
        return vec![of_policy(format!("{name} is skipped: {}", plain(why)), true)];
    }
    let never_applied = (covered.applied == 0).then(|| of_policy(format!("{name} never applied"), false));
    never_applied.into_iter().chain(covered.conditions().filter_map(gap)).collect()
}

fn gap((condition, seen): (&TracedCondition, ConditionCoverage)) -> Option<Gap> {
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
    let what = format!("{} `{}` {what}", condition.clause, plain(&text));
    Some(Gap { place: condition.place, what, is_skipped: false })
}

fn questions(unasked: &Unasked) -> Vec<String> {
    let action = plain(&unasked.action);
    if unasked.entirely {
        return vec![action.into_owned()];
    }
    unasked.resources.iter().map(|resource| format!("{action} on {}", plain(resource))).collect()
}
