//! Strict validation of some policies, as findings in the file that they are from.

use std::collections::HashSet;

use cedar_policy::{PolicyId, ValidationResult, ValidationWarning};

use super::Source;
use super::findings;
use super::level::Validated;
use super::lint::Rule;
use crate::model::{Finding, Place, Severity};

/// What validation says of the policies that `place` knows; what it says of others is somebody else's.
/// `known` are the full names of types and actions.
pub(super) fn findings(
    validated: &Validated,
    source: &Source,
    place: impl Fn(&PolicyId) -> Option<Place>,
    known: &[String],
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut wrong = HashSet::new();
    for error in validated.result.validation_errors() {
        if let Some(place) = place(error.policy_id()) {
            wrong.insert(error.policy_id().clone());
            found.extend(findings::of_policy(source, place, "validation", error, known));
        }
    }
    let of_rule = |code, found: Vec<Finding>| {
        found.into_iter().map(move |finding| Finding { severity: Severity::Warning, code, ..finding })
    };
    for beyond in validated.unbounded.iter().filter(|beyond| !wrong.contains(beyond.policy_id())) {
        if let Some(place) = place(beyond.policy_id()) {
            let code = Rule::UnboundedReach.id();
            found.extend(of_rule(code, findings::of_policy(source, place, code, beyond, known)));
        }
    }
    // Cedar says twice of a policy with an impossible scope that it is impossible, the second time
    // without a reason; and that a policy with an error in it never applies goes without saying.
    let mut idle = wrong;
    for warning in sorted_warnings(&validated.result) {
        let rule = Rule::of_warning(warning);
        if rule == Some(Rule::NeverApplies) && !idle.insert(warning.policy_id().clone()) {
            continue;
        }
        if let Some(place) = place(warning.policy_id()) {
            let code = rule.map_or("validation", Rule::id);
            found.extend(of_rule(code, findings::of_policy(source, place, code, warning, known)));
        }
    }
    found
}

/// With those first that know more than that a policy is impossible.
fn sorted_warnings(result: &ValidationResult) -> Vec<&ValidationWarning> {
    let mut warnings: Vec<_> = result.validation_warnings().collect();
    warnings.sort_by_key(|warning| matches!(warning, ValidationWarning::ImpossiblePolicy(_)));
    warnings
}
