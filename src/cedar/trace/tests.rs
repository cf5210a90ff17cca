//! Traces of small policies where the answer is plain, and of the same questions as an evaluation.

use serde_json::json;

use super::*;
use crate::cedar::{Source, Sources, compile};
use crate::model::{Body, Limits, Origin};

const SCHEMA: &str = "
entity Group;
entity User in [Group] = { groups: Set<String> };
entity Doc = { status?: String, pages: Long };
action read, edit appliesTo { principal: [User], resource: [Doc] };
";

const POLICIES: &str = r#"
@id("readers") permit (principal, action == Action::"read", resource);
@id("editors") permit (principal in Group::"editors", action == Action::"edit", resource)
when { resource has status && resource.status == "draft" }
unless { resource.pages > 10 || resource.pages * 9223372036854775807 < 0 };
"#;

fn snapshot() -> Arc<Snapshot> {
    let file = |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![file("p.cedar", POLICIES)],
        schema: vec![file("s.cedarschema", SCHEMA)],
        ..Sources::default()
    };
    compile(&sources, &Limits::default()).unwrap().snapshot
}

fn editor(groups: &[&str]) -> Identity {
    Identity { origin: Origin::Given, ..Identity::of_user("me", groups) }
}

fn edit(attributes: &serde_json::Value) -> Question {
    let body = json!({"action": "edit", "resource": {"type": "Doc", "id": "d", "attributes": attributes}})
        .to_string();
    Body::parse(body.as_bytes(), &Limits::default()).unwrap().question
}

#[test]
fn conditions_hold_fail_or_are_not_reached_in_their_order() {
    use ConditionOutcome::{Errored, Failed, Held, NotReached};
    let snapshot = snapshot();
    let tracer = Tracer::of(&snapshot).unwrap();
    let now = Timestamp::from_millis(0);
    for (attributes, applied, expected) in [
        (json!({"pages": 0, "status": "draft"}), true, [Held, Held, Held, Held]),
        (json!({"pages": 0}), false, [Failed, NotReached, NotReached, NotReached]),
        (json!({"pages": 0, "status": "done"}), false, [Held, Failed, NotReached, NotReached]),
        (json!({"pages": 11, "status": "draft"}), false, [Held, Held, Failed, NotReached]),
        (json!({"pages": 9, "status": "draft"}), false, [Held, Held, Held, Errored]),
    ] {
        let (me, question) = (editor(&["editors"]), edit(&attributes));
        let trace = tracer.trace(&me, &question, now).unwrap();
        assert_eq!((&*trace.action, &*trace.resource_type), ("Action::\"edit\"", "Doc"));
        let [policy] = &trace.policies[..] else { panic!("{trace:?}") };
        assert_eq!((policy.applied, &policy.conditions[..]), (applied, &expected[..]), "{attributes}");
        let evaluation = snapshot.evaluate(&me, &question, now).unwrap();
        assert_eq!(evaluation.policies.is_empty(), !applied);
        assert_eq!(evaluation.errors.is_empty(), !expected.contains(&Errored));
    }
    let outside = tracer.trace(&editor(&[]), &edit(&json!({"pages": 0})), now).unwrap();
    assert!(outside.policies.is_empty(), "{outside:?}");
}

#[test]
fn a_request_in_cedars_own_form_is_traced_too() {
    let snapshot = snapshot();
    let given = Given {
        principal: "User::\"u\"",
        action: "Action::\"edit\"",
        resource: "Doc::\"d\"",
        context: "{}",
        entities: r#"[
            {"uid": {"type": "User", "id": "u"}, "attrs": {"groups": []}, "parents": [{"type": "Group", "id": "editors"}]},
            {"uid": {"type": "Doc", "id": "d"}, "attrs": {"pages": 1}, "parents": []}
        ]"#,
    };
    let trace = Tracer::of(&snapshot).unwrap().trace_given(&given).unwrap();
    assert_eq!(trace.policies[0].conditions[0], ConditionOutcome::Failed);
}

#[test]
fn policies_and_conditions_are_named_with_their_places() {
    let snapshot = snapshot();
    let policies = Tracer::of(&snapshot).unwrap().policies();
    assert_eq!(policies.iter().map(|policy| &*policy.id).collect::<Vec<_>>(), ["readers", "editors"]);
    let [.., editors] = &policies[..] else { panic!() };
    assert_eq!((editors.effect, &*editors.path, editors.place.line), ("permit", "p.cedar", 3));
    let conditions: Vec<_> = editors
        .conditions
        .iter()
        .map(|condition| (condition.clause, &*condition.text, condition.place.line, condition.place.column))
        .collect();
    assert_eq!(
        conditions,
        [
            ("when", "resource has status", 4, 8),
            ("when", "resource.status == \"draft\"", 4, 31),
            ("unless", "resource.pages > 10", 5, 10),
            ("unless", "resource.pages * 9223372036854775807 < 0", 5, 33),
        ]
    );
}
