//! Levels are those of Cedar, and what is told from words alone is true.

use std::str::FromStr as _;

use cedar_policy::Schema;
use proptest::prelude::*;

use super::super::statements;

use super::*;

const SCHEMA: &str = "
    entity Group in [Group] = { lead: User };
    entity User in [Group] = { boss: User, name: String, home: { at: Group } };
    action act appliesTo { principal: User, resource: User, context: { by: User } };";

fn validated(conditions: &str) -> (Level, Validated) {
    let text = format!("permit (principal, action, resource) {conditions};");
    let policies = PolicySet::from_str(&text).unwrap();
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    let validated = Validated::of(&policies, &Validator::new(schema), |_| false);
    (validated.level(policies.policies().next().unwrap().id()), validated)
}

fn errors(validated: &Validated) -> Vec<String> {
    validated.result.validation_errors().map(ToString::to_string).collect()
}

fn level(conditions: &str) -> Level {
    let (level, validated) = validated(conditions);
    assert_eq!(errors(&validated), [""; 0], "{conditions}");
    level
}

#[test]
fn a_level_is_how_many_references_are_followed() {
    assert_eq!(level(r#"when { principal.name == "a" && resource in Group::"b" }"#), Level::Bounded(1));
    assert_eq!(level(r#"when { principal.home.at == Group::"b" }"#), Level::Bounded(1), "records count not");
    assert_eq!(level("when { context.by.name == resource.name }"), Level::Bounded(1));
    assert_eq!(level(r#"when { principal.home.at in Group::"b" }"#), Level::Bounded(2));
    for steps in 2..DEEPEST {
        let bosses = ".boss".repeat(steps as usize - 1);
        assert_eq!(level(&format!("unless {{ context.by{bosses}.name == \"a\" }}")), Level::Bounded(steps));
    }
}

#[test]
fn what_no_level_bounds_is_known_with_its_place() {
    let bosses = ".boss".repeat(DEEPEST as usize);
    for conditions in [
        r#"when { User::"root".name == principal.name }"#.to_owned(),
        r#"when { (if context.by.name == "a" then principal else User::"root") in Group::"b" }"#.to_owned(),
        format!("when {{ principal{bosses}.name == \"a\" }}"),
    ] {
        let (level, validated) = validated(&conditions);
        assert_eq!((level, errors(&validated).len()), (Level::Unbounded, 0), "{conditions}");
        assert!(!validated.unbounded.is_empty());
    }
}

#[test]
fn what_is_wrong_is_wrong_at_any_level() {
    let (_, validated) = validated(r#"when { principal.nme == User::"root".name }"#);
    assert_eq!(errors(&validated).len(), 1, "{:?}", errors(&validated));
}

/// Conditions of every form that reads something off something; few are valid.
fn condition() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "principal",
        "resource",
        "context",
        "action",
        "User::\"a\"",
        "Group::\"b\"",
        "\"a\"",
        "context.by",
        "principal.home",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(6, 24, 3, |inner| {
        let attribute = prop::sample::select(vec!["boss", "name", "home", "at", "lead", "by"]);
        prop_oneof![
            4 => (inner.clone(), attribute.clone()).prop_map(|(of, name)| format!("{of}.{name}")),
            1 => (inner.clone(), attribute.clone()).prop_map(|(of, name)| format!("({of}).{name}")),
            1 => (inner.clone(), attribute.clone()).prop_map(|(of, name)| format!("{of}[\"{name}\"]")),
            2 => (inner.clone(), attribute.clone()).prop_map(|(of, name)| format!("{of} has {name}")),
            1 => (inner.clone(), attribute.clone()).prop_map(|(of, name)| format!("{of} has boss.{name}")),
            2 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} in {right}")),
            1 => inner.clone().prop_map(|left| format!("{left} is User in Group::\"b\"")),
            2 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} == {right}")),
            2 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} && {right}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("[{left}].contains({right})")),
            1 => (inner.clone(), attribute).prop_map(|(of, name)| format!("{{a: {of}}}.a.{name}")),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(test, left, right)| format!("(if {test} then {left} else {right})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_usual_by_its_words_is_usual_to_cedar(condition in condition(), negated: bool) {
        let clause = if negated { "unless" } else { "when" };
        let text = format!("permit (principal, action, resource) {clause} {{ {condition} }};");
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        let policies = PolicySet::from_str(&text);
        if let Ok(policies) = policies && is_usual(&text, &statements::policies(&text)[0]) {
            let validated = Validated::of(&policies, &Validator::new(schema), |_| false);
            let level = validated.level(policies.policies().next().unwrap().id());
            prop_assert!(level <= Level::Bounded(1) || validated.result.validation_errors().next().is_some(), "{text}");
        }
    }
}

#[test]
fn common_conditions_are_usual() {
    for (conditions, usual) in [
        ("when { resource has status && resource.status == \"draft\" }", true),
        ("when { principal.groups.contains(\"a\") || context.ip.isInRange(ip(\"10.0.0.0/8\")) }", true),
        ("unless { resource in Group::\"a\" || resource.owner == principal }", true),
        ("when { context.now > datetime(\"2024-01-01\") && action in [Action::\"a\"] }", true),
        ("when { resource.owner.name == \"a\" }", false),
        ("when { User::\"a\".name == \"a\" }", false),
        ("when { resource.owner in Group::\"a\" }", false),
    ] {
        let text = format!("permit (principal, action, resource) {conditions};");
        assert_eq!(is_usual(&text, &statements::policies(&text)[0]), usual, "{conditions}");
    }
}
