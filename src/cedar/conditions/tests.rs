//! Conditions against Cedar: where they are cut, and that they come to what the policy comes to.

use cedar_policy::{Authorizer, Context, Entities, PolicySet, Request};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cedar::statements;

fn written(text: &str) -> Vec<&str> {
    let [policy] = &statements::policies(text)[..] else { panic!("{text} is no single policy") };
    conditions(text, policy).into_iter().map(|condition| text.get(condition.span).unwrap()).collect()
}

#[test]
fn a_body_is_cut_where_cedar_joins_its_operands() {
    for (body, expected) in [
        ("when { a && (b && c) && d.e }", vec!["a", "(b && c)", "d.e"]),
        ("when { a && b || c && d }", vec!["a && b || c && d"]),
        ("when { if a && b then c else d && e }", vec!["if a && b then c else d && e"]),
        ("when { [a && b].contains(c) && {d: e || f}.d }", vec!["[a && b].contains(c)", "{d: e || f}.d"]),
        ("when { a.if && b has if.then && c }", vec!["a.if", "b has if.then", "c"]),
        ("when { a == \"&& || \" && // && b\n c }", vec!["a == \"&& || \"", "c"]),
        ("unless { a || b && c || (d || e) }", vec!["a", "b && c", "(d || e)"]),
        ("unless { a && b }", vec!["a && b"]),
        ("unless { if a then b else c || d }", vec!["if a then b else c || d"]),
        ("when { a && b } unless { c || d } when { e }", vec!["a", "b", "c", "d", "e"]),
        ("", vec![]),
    ] {
        assert_eq!(written(&format!("permit (principal, action, resource) {body};")), expected);
    }
}

/// A request about entities that have some of their attributes.
fn scene() -> Scene {
    let uid = |text: &str| text.parse().unwrap();
    let entities = json!([
        {"uid": {"type": "User", "id": "u"}, "attrs": {"yes": true, "no": false, "one": 1}, "parents": []},
        {"uid": {"type": "Doc", "id": "d"}, "attrs": {"yes": true, "no": false, "one": 1}, "parents": []},
    ]);
    let context = Context::from_json_value(json!({"yes": true, "no": false, "one": 1}), None).unwrap();
    let request =
        Request::new(uid("User::\"u\""), uid("Action::\"a\""), uid("Doc::\"d\""), context, None).unwrap();
    Scene { request, entities: Entities::from_json_value(entities, None).unwrap() }
}

/// Whether the policy applies, as Cedar says; nothing where it cannot be evaluated.
fn cedars(text: &str, scene: &Scene) -> Option<bool> {
    let policies: PolicySet = text.parse().unwrap();
    let response = Authorizer::new().is_authorized(&scene.request, &policies, &scene.entities);
    let diagnostics = response.diagnostics();
    diagnostics.errors().next().is_none().then(|| diagnostics.reason().next().is_some())
}

/// The same, condition by condition.
fn ours(text: &str, scene: &Scene) -> Option<bool> {
    let [policy] = &statements::policies(text)[..] else { panic!("{text} is no single policy") };
    for condition in conditions(text, policy) {
        match condition.is_met(scene) {
            Ok(true) => {}
            Ok(false) => return Some(false),
            Err(_) => return None,
        }
    }
    Some(true)
}

/// Expressions that hold, that do not, that fail, and that are no booleans.
fn expression() -> impl Strategy<Value = String> {
    let variable = prop::sample::select(&["principal", "resource", "context"][..]);
    let name = prop::sample::select(&["yes", "no", "one", "absent"][..]);
    let leaf = prop_oneof![
        3 => (variable.clone(), name.clone()).prop_map(|(variable, name)| format!("{variable}.{name}")),
        2 => (variable, name).prop_map(|(variable, name)| format!("{variable} has {name}")),
        2 => Just("true".to_owned()),
        1 => Just("resource.one > 0".to_owned()),
        1 => Just("principal == resource".to_owned()),
        1 => Just("\"&& || } {\" like \"*\"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            4 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} && {right}")),
            4 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} || {right}")),
            2 => inner.clone().prop_map(|inner| format!("({inner})")),
            2 => inner.clone().prop_map(|inner| format!("!({inner})")),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(test, yes, no)| format!("(if {test} then {yes} else {no})")),
        ]
    })
}

/// A body, which alone may begin with `if`.
fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => expression(),
        1 => (expression(), expression(), expression())
            .prop_map(|(test, yes, no)| format!("if {test} then {yes} else {no}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_in_their_order_come_to_what_the_policy_comes_to(
        clauses in prop::collection::vec((any::<bool>(), body()), 0..4),
    ) {
        thread_local!(static SCENE: Scene = scene());
        let clauses: Vec<_> = clauses
            .iter()
            .map(|(when, body)| format!("{} {{ {body} }}", if *when { "when" } else { "unless" }))
            .collect();
        let text = format!("permit (principal, action, resource) {};", clauses.join("\n"));
        SCENE.with(|scene| {
            prop_assert_eq!(ours(&text, scene), cedars(&text, scene), "{}", text);
            Ok(())
        })?;
    }
}
