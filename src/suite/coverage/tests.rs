//! Coverage of small policies, where the answer is plain.

use super::*;
use crate::cedar::{Source, Sources, compile};
use crate::model::{Limits, Timestamp};
use crate::suite::{Plan, Suite, Terms, run_with_coverage};

const SCHEMA: &str = "
entity Group;
entity User in [Group] = { groups: Set<String> };
entity Doc = { status?: String, pages: Long };
entity Folder;
action read appliesTo { principal: [User], resource: [Doc, Folder] };
action edit, drop appliesTo { principal: [User], resource: [Doc] };
";

const TESTS: &str = "
principals: { ann: { groups: [editors] }, joe: { groups: [] } }
resources:
  draft: { type: Doc, id: d-1, attributes: { pages: 3, status: draft } }
  bare: { type: Doc, id: d-2, attributes: { pages: 30 } }
tests:
";

/// What these tests cover of these policies.
fn covered(policies: &str, tests: &str) -> Coverage {
    let file = |name: &str, text: String| Source { path: name.into(), name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![file("p.cedar", policies.to_owned())],
        schema: vec![file("s.cedarschema", SCHEMA.to_owned())],
        ..Sources::default()
    };
    let limits = Limits::default();
    let snapshot = compile(&sources, &limits).unwrap().snapshot;
    let suite = Suite::read(&[], &[file("t.test.yaml", format!("{TESTS}{tests}"))]);
    let plan = Plan::of(&suite, &snapshot, &[], &limits);
    assert!(plan.findings().is_empty(), "{:?}", plan.findings());
    let terms = Terms::at(Timestamp::from_millis(0));
    run_with_coverage(&plan, &terms, &Tracer::of(&snapshot).unwrap()).1
}

/// A test of one case; whether it passes is of no interest here.
fn case(principal: &str, action: &str, resource: &str) -> String {
    format!(
        "  - {{ name: {principal} {action} {resource}, principals: [{principal}], actions: [{action}], resources: [{resource}], expect: deny }}\n"
    )
}

fn share(policies: &str, cases: &[(&str, &str, &str)]) -> (usize, usize) {
    let tests: Vec<_> =
        cases.iter().map(|(principal, action, resource)| case(principal, action, resource)).collect();
    let Share { hit, items } = covered(policies, &tests.concat()).share();
    (hit, items)
}

#[test]
fn a_policy_without_conditions_is_covered_once_it_applies() {
    let policy = r#"permit (principal in Group::"editors", action == Action::"edit", resource);"#;
    assert_eq!(share(policy, &[("joe", "edit", "draft"), ("ann", "drop", "draft")]), (0, 1));
    assert_eq!(share(policy, &[("ann", "edit", "draft")]), (1, 1));
}

#[test]
fn a_condition_must_hold_and_must_fail() {
    let policy = r#"permit (principal, action == Action::"edit", resource) when { resource.pages < 10 };"#;
    assert_eq!(share(policy, &[("ann", "edit", "draft")]), (2, 3));
    assert_eq!(share(policy, &[("ann", "edit", "bare")]), (1, 3));
    assert_eq!(share(policy, &[("ann", "edit", "draft"), ("joe", "edit", "bare")]), (3, 3));
    let exception = policy.replace("when { resource.pages < 10 }", "unless { resource.pages > 9 }");
    assert_eq!(share(&exception, &[("ann", "edit", "draft"), ("joe", "edit", "bare")]), (3, 3));
}

#[test]
fn what_is_not_reached_neither_holds_nor_fails() {
    let policy = r#"permit (principal, action == Action::"edit", resource)
        when { resource has status && resource.status == "draft" } unless { resource.pages > 99 };"#;
    let coverage = covered(policy, &case("ann", "edit", "bare"));
    let [has, is, many] = coverage.policies[0].conditions[..] else { panic!() };
    assert_eq!(has, ConditionCoverage { held: 0, failed: 1 });
    assert_eq!((is, many), (ConditionCoverage::default(), ConditionCoverage::default()));
    assert_eq!(share(policy, &[("ann", "edit", "bare"), ("ann", "edit", "draft")]), (5, 7));
}

#[test]
fn what_cannot_be_evaluated_neither_holds_nor_fails() {
    let policy = r#"permit (principal, action == Action::"edit", resource) when { resource.pages * 9223372036854775807 > 0 };"#;
    let coverage = covered(policy, &case("ann", "edit", "draft"));
    assert_eq!(coverage.policies[0].conditions[0], ConditionCoverage::default());
}

#[test]
fn a_skipped_policy_counts_for_nothing_and_says_why() {
    let policies = r#"@coverage("skip: for incidents only") permit (principal, action, resource);
        @coverage("skip") forbid (principal, action, resource);"#;
    let coverage = covered(policies, &case("ann", "edit", "draft"));
    assert_eq!(coverage.policies[0].skipped.as_deref(), Some("for incidents only"));
    assert_eq!(coverage.share(), Share { hit: 1, items: 1 });
    let [finding] = &coverage.findings[..] else { panic!("{:?}", coverage.findings) };
    assert_eq!(finding.to_string(), "p.cedar:2:9: `@coverage(\"skip\")` of `p#2` is not understood");
}

#[test]
fn questions_that_no_test_asks_are_named() {
    let coverage = covered("permit (principal, action, resource);", &case("ann", "read", "draft"));
    let unasked: Vec<_> = coverage
        .unasked()
        .into_iter()
        .map(|unasked| (unasked.action.to_string(), unasked.resources.join(" "), unasked.entirely))
        .collect();
    let expected = [
        ("Action::\"drop\"", "Doc", true),
        ("Action::\"edit\"", "Doc", true),
        ("Action::\"read\"", "Folder", false),
    ];
    assert_eq!(
        unasked,
        expected.map(|(action, types, entirely)| (action.to_owned(), types.to_owned(), entirely))
    );
}

#[test]
fn a_share_is_rounded_down_and_nothing_to_cover_is_all() {
    assert_eq!(Share { hit: 1_999, items: 2_000 }.permille(), 999);
    assert_eq!(Share { hit: 0, items: 0 }.permille(), 1_000);
}
