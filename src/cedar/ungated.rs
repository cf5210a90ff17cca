//! Policy files that go live without waiting for tests, so that a kill switch always works. They may
//! hold forbids and nothing else: what waits for nobody can only deny.

use std::collections::HashSet;

use super::Source;
use super::ids::policy_id;
use super::statements::{PolicyText, policies};
use crate::model::{Finding, Place};

/// What such a file may not hold: permits, and templates, which others can link.
pub fn misplaced(source: &Source) -> Vec<Finding> {
    policies(&source.text).iter().filter_map(|policy| misplaced_policy(source, policy)).collect()
}

/// Whether a file holds no policy.
pub fn is_empty(source: &Source) -> bool {
    policies(&source.text).is_empty()
}

/// Whether every policy of `before` still stands in `after` by its id: none was taken away, and none
/// can have moved to a file that must wait.
pub fn keeps_all(before: &[Source], after: &[Source]) -> bool {
    let after: HashSet<_> = after.iter().flat_map(ids).collect();
    before.iter().flat_map(ids).all(|id| after.contains(&id))
}

fn misplaced_policy(source: &Source, policy: &PolicyText) -> Option<Finding> {
    let effect = policy.effect.clone().and_then(|effect| source.text.get(effect)).unwrap_or_default();
    let what = match (policy.is_template, effect) {
        (true, _) => "a template",
        (false, "permit") => "a permit",
        // What is neither is no policy, and the parser says so.
        (false, _) => return None,
    };
    let message = format!("{what} in a file that goes live without tests");
    let place = Place::of(&source.text, policy.span.start, policy.span.len());
    let finding = Finding::error(&source.path, "ungated", message).at(place);
    Some(finding.help("`policies.ungated` is for forbids: move it to another file"))
}

/// The ids that the policies of a file go by; those that are none are the compiler's to refuse.
fn ids(source: &Source) -> impl Iterator<Item = String> {
    policies(&source.text).into_iter().enumerate().filter_map(move |(index, policy)| {
        let written = policy.annotation("id").map(|id| id.value.as_str());
        policy_id(&source.name, index + 1, written).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Source {
        Source { path: "policies/e.cedar".into(), name: "e.cedar".into(), text: text.into() }
    }

    #[test]
    fn only_forbids_wait_for_nobody() {
        assert!(misplaced(&file("// nothing")).is_empty());
        assert!(misplaced(&file("@id(\"permit\") forbid (principal, action, resource);")).is_empty());
        let found =
            misplaced(&file("forbid (principal, action, resource);\npermit (principal, action, resource);"));
        assert_eq!(
            found[0].to_string(),
            "policies/e.cedar:2:1: a permit in a file that goes live without tests"
        );
        let template = misplaced(&file("forbid (principal == ?principal, action, resource);"));
        assert!(template[0].message.starts_with("a template"));
    }

    #[test]
    fn a_forbid_that_is_changed_is_kept_and_one_that_is_gone_is_not() {
        let one = file("@id(\"a\") forbid (principal == User::\"a\", action, resource);");
        let wider = file("@id(\"a\") forbid (principal, action, resource);");
        let both = file(
            "@id(\"b\") forbid (principal, action, resource); @id(\"a\") forbid (principal, action, resource);",
        );
        let keeps = |before: &Source, after: &Source| {
            keeps_all(std::slice::from_ref(before), std::slice::from_ref(after))
        };
        assert!(keeps(&one, &both) && keeps(&one, &wider) && keeps(&file(""), &one));
        assert!(!keeps(&both, &one) && !keeps(&one, &file("")));
    }
}
