//! Policy files that go live without waiting for tests, so that a kill switch always works. They may
//! hold forbids and nothing else: what waits for nobody can only deny.

use std::collections::HashSet;

use super::Source;
use super::lexer::tokens_in;
use super::statements::{PolicyText, policies};
use crate::model::{Finding, Place};

/// What such a file may not hold: permits, and templates, which others can link.
pub fn misplaced(source: &Source) -> Vec<Finding> {
    policies(&source.text).iter().filter_map(|policy| misplaced_policy(source, policy)).collect()
}

/// The forbids of `before` that `after` does not hold, word for word, as a file of their own; nothing
/// where all are there. They have no ids of their own in it: `after` may have given those to others.
pub fn left_out(before: &[Source], after: &[Source]) -> Option<Source> {
    let kept: HashSet<_> = after.iter().flat_map(forbids).map(|(words, _)| words).collect();
    let gone = before.iter().flat_map(forbids).filter(|(words, _)| !kept.contains(words));
    let text: String = gone.map(|(_, text)| text + "\n").collect();
    let name = "forbids-before-the-edit.cedar";
    (!text.is_empty()).then(|| Source { path: name.into(), name: name.into(), text: text.into() })
}

/// How many policies files hold.
pub fn count(files: &[Source]) -> usize {
    files.iter().map(|file| policies(&file.text).len()).sum()
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

/// Each policy of a file, as words and as text, without its annotations.
fn forbids(source: &Source) -> impl Iterator<Item = (Vec<&str>, String)> {
    let text = &source.text;
    policies(text).into_iter().filter_map(move |policy| {
        let span = policy.effect?.start..policy.span.end;
        let words = tokens_in(text, span.clone()).map(|token| token.text).collect();
        Some((words, text.get(span)?.to_owned()))
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
    fn a_forbid_that_is_gone_or_changed_is_left_out_whatever_its_id() {
        let alice = "forbid (principal == User::\"a\", action, resource);";
        let one = [file(&format!("@id(\"a\") {alice}"))];
        let laid_out = [file("@id(\"b\")\nforbid(principal==User::\"a\",action,resource);")];
        let never = [file("@id(\"a\") forbid (principal == User::\"a\", action, resource) when { false };")];
        assert_eq!(left_out(&one, &laid_out), None);
        assert_eq!(left_out(&[], &one), None);
        for after in [&never[..], &[]] {
            assert_eq!(left_out(&one, after).unwrap().text.trim(), alice);
        }
        assert_eq!(count(&one), 1);
    }
}
