//! Cedar's own verdict as the oracle of ours: the same requests accepted, the same refused, and
//! no request that changes what the principal is.

use std::sync::Arc;

use cedar_policy::{Context, Entities, EntityUid, Request};
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Value, json};

use super::{Settings, Snapshot, Source, Sources, compile};
use crate::model::{Body, Identity, Issuer, Limits, Timestamp};

const SCHEMA: &str = r#"
entity Colour enum ["red", "green"];
entity Group in [Group, Region] = { level?: Long };
entity Region in [Region];
entity User in [Group] = { groups: Set<String>, home?: Region };
entity Folder in [Folder, Region];
entity Doc in [Folder] = {
    title: String, size?: Long, open: Bool, colour?: Colour, owner?: User, near?: Doc,
    price?: decimal, from?: ipaddr, at?: datetime, keep?: duration,
    words?: Set<String>, colours?: Set<Colour>, nested?: { a: Long, b?: { c: Bool } },
} tags Set<Colour>;
entity Plain;
action view, edit appliesTo { principal: [User], resource: [Doc, Plain], context: {
    ip?: ipaddr, colour?: Colour, doc?: Doc, count: Long, list?: Set<{ x: Long }>,
} };
"#;

fn snapshot() -> Arc<Snapshot> {
    let file = |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
    let stored = r#"[{"uid": {"type": "Group", "id": "staff"}, "attrs": {"level": 3}, "parents": [{"type": "Region", "id": "eu"}]},
                     {"uid": {"type": "User", "id": "me"}, "attrs": {"home": {"type": "Region", "id": "home"}}}]"#;
    let sources = Sources {
        policies: vec![file("p", "permit (principal, action, resource);")],
        schema: vec![file("s", SCHEMA)],
        entities: vec![file("e", stored)],
        settings: Settings {
            issuers: vec![Issuer { machine_type: None, ..Issuer::unconfigured() }],
            ..Settings::default()
        },
        ..Sources::default()
    };
    compile(&sources, &Limits::default()).unwrap().snapshot
}

fn me() -> Identity {
    Identity::of_user("me", &["staff"])
}

/// Values of every type of the schema, well-formed and not.
fn value() -> BoxedStrategy<Value> {
    const TEXTS: &[&str] =
        &["x", "1.25", "1.23456", "10.0.0.1", "10.0.0.300", "2026-11-23", "1h30m", "1x", "red"];
    let entity = |types: &'static [&'static str], ids: &'static [&'static str]| {
        (prop::sample::select(types), prop::sample::select(ids))
            .prop_map(|(type_name, id)| json!({"type": type_name, "id": id}))
    };
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(TEXTS).prop_map(Value::from),
        entity(&["User", "Doc", "Colour", "Folder"], &["a", "b", "red", "green", "blue"]),
        (any::<i32>(), any::<bool>()).prop_map(|(a, c)| json!({"a": a, "b": {"c": c}})),
        any::<i32>().prop_map(|x| json!({"x": x})),
    ];
    let list = prop::collection::vec(leaf.clone(), 0..3).prop_map(Value::from);
    prop_oneof![4 => leaf, 1 => list].boxed()
}

/// A value that fits, most of the time.
fn fitting(name: &str) -> BoxedStrategy<Value> {
    let good: BoxedStrategy<Value> = match name {
        "title" => Just(json!("x")).boxed(),
        "size" | "count" => any::<i32>().prop_map(Value::from).boxed(),
        "open" => any::<bool>().prop_map(Value::from).boxed(),
        "colour" => Just(json!({"type": "Colour", "id": "red"})).boxed(),
        "owner" => Just(json!({"type": "User", "id": "u"})).boxed(),
        "near" | "doc" => Just(json!({"type": "Doc", "id": "d"})).boxed(),
        "price" => Just(json!("1.25")).boxed(),
        "from" | "ip" => Just(json!("10.0.0.0/8")).boxed(),
        "at" => Just(json!("2026-11-23T09:30:00Z")).boxed(),
        "keep" => Just(json!("1h30m")).boxed(),
        "words" => Just(json!(["x", "y", "x"])).boxed(),
        "colours" => Just(json!([{"type": "Colour", "id": "green"}])).boxed(),
        "nested" => Just(json!({"a": 1, "b": {"c": true}})).boxed(),
        "list" => Just(json!([{"x": 1}, {"x": 2}])).boxed(),
        _ => value(),
    };
    Union::new_weighted(vec![(8, good), (1, value())]).boxed()
}

/// Some of the names with values, `required` almost always among them.
fn members(required: &'static [&'static str], optional: &'static [&'static str]) -> BoxedStrategy<Value> {
    let member = |name: &'static str, chance: f64| {
        prop::option::weighted(chance, fitting(name))
            .prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let all: Vec<_> = required
        .iter()
        .map(|name| member(name, 0.97).boxed())
        .chain(optional.iter().map(|name| member(name, 0.3).boxed()))
        .chain([member("stranger", 0.01).boxed()])
        .collect();
    all.prop_map(|members| members.into_iter().flatten().collect::<serde_json::Map<_, _>>().into()).boxed()
}

fn resource() -> impl Strategy<Value = Value> {
    let optional =
        &["size", "colour", "owner", "near", "price", "from", "at", "keep", "words", "colours", "nested"];
    let parents = prop::collection::vec(
        prop_oneof![
            6 => Just(json!({"type": "Folder", "id": "f"})),
            2 => Just(json!({"type": "Region", "id": "eu"})),
            1 => Just(json!({"type": "Doc", "id": "d"})),
            1 => Just(json!({"type": "Colour", "id": "blue"})),
        ],
        0..3,
    );
    let tags = prop::option::weighted(0.2, fitting("colours").prop_map(|value| json!({"t": value})));
    (members(&["title", "open"], optional), parents, tags).prop_map(|(attributes, parents, tags)| {
        let mut resource = json!({"type": "Doc", "id": "d-1", "attributes": attributes, "parents": parents});
        if let Some(tags) = tags {
            resource["tags"] = tags;
        }
        resource
    })
}

fn context() -> impl Strategy<Value = Value> {
    members(&["count"], &["ip", "colour", "doc", "list"])
}

/// Whether Cedar takes the same resource and context, by its own parsers and validators.
fn cedar_takes(snapshot: &Snapshot, resource: &Value, context: &Value) -> bool {
    let entity = json!([{
        "uid": {"type": resource["type"], "id": resource["id"]},
        "attrs": resource["attributes"],
        "parents": resource["parents"],
        "tags": resource.get("tags").cloned().unwrap_or_else(|| json!({})),
    }]);
    let schema = &snapshot.cedar;
    let uid = |text: &str| text.parse::<EntityUid>().unwrap();
    let action = uid(r#"Action::"view""#);
    let Ok(context) = Context::from_json_value(context.clone(), Some((schema, &action))) else {
        return false;
    };
    let request = Request::new(uid(r#"User::"me""#), action, uid(r#"Doc::"d-1""#), context, Some(schema));
    request.is_ok() && Entities::from_json_value(entity, Some(schema)).is_ok()
}

fn body(resource: &Value, context: &Value, entities: &Value) -> Body {
    let body = json!({"action": "view", "resource": resource, "context": context, "entities": entities});
    Body::parse(body.to_string().as_bytes(), &Limits::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_taken_exactly_when_cedar_would_take_it((resource, context) in (resource(), context())) {
        thread_local!(static SNAPSHOT: Arc<Snapshot> = snapshot());
        SNAPSHOT.with(|snapshot| {
            let ours = snapshot.evaluate(&me(), &body(&resource, &context, &json!([])).question, Timestamp::from_millis(0));
            prop_assert_eq!(ours.is_ok(), cedar_takes(snapshot, &resource, &context), "{:?}", ours);
            Ok(())
        })?;
    }

    #[test]
    fn entities_are_named_as_cedar_names_them(id in prop_oneof!["[ -~]{0,8}", ".*"]) {
        thread_local!(static SNAPSHOT: Arc<Snapshot> = snapshot());
        let uid = EntityUid::from_type_name_and_id("Doc".parse().unwrap(), cedar_policy::EntityId::new(&id));
        prop_assert_eq!(SNAPSHOT.with(|snapshot| snapshot.entity_name("Doc", &id).to_string()), uid.to_string());
    }

    #[test]
    fn no_body_changes_the_principals_closure(
        entities in prop::collection::vec(
            (
                prop::sample::select(&["User", "Group", "Region", "Folder", "Colour", "Plain"][..]),
                prop::sample::select(&["me", "staff", "eu", "home", "red", "other"][..]),
                prop::collection::vec(
                    (prop::sample::select(&["Group", "Region", "Folder"][..]), prop::sample::select(&["staff", "eu", "top"][..])),
                    0..2,
                ),
            ),
            0..4,
        ),
    ) {
        thread_local!(static SNAPSHOT: Arc<Snapshot> = snapshot());
        SNAPSHOT.with(|snapshot| {
            let described: Vec<_> = entities.iter().map(|(type_name, id, parents)| {
                let parents: Vec<_> = parents.iter().map(|(type_name, id)| json!({"type": type_name, "id": id})).collect();
                json!({"type": type_name, "id": id, "parents": parents})
            }).collect();
            let (me, resource) = (me(), json!({"type": "Plain", "id": "p"}));
            let principal = snapshot.principal(&me).unwrap();
            let closure = |entities: &Entities| {
                let mut of: Vec<_> = principal.sealed.iter().map(|(uid, _)| {
                    let uid = &uid.owned();
                    let entity = entities.get(uid).map(|entity| entity.to_json_value().unwrap());
                    let mut ancestors: Vec<_> = entities.ancestors(uid).into_iter().flatten().map(ToString::to_string).collect();
                    ancestors.sort();
                    (uid.to_string(), entity.map(|entity| entity["attrs"].clone()), ancestors)
                }).collect();
                of.sort_by(|left, right| left.0.cmp(&right.0));
                of
            };
            let scene = |entities: &Value| {
                let body = body(&resource, &json!({"count": 1}), entities);
                let setting = super::setting::Setting::of(snapshot, &principal, &body.question).ok()?;
                let case = super::case::Case::judge(&setting, &body.question).ok()?;
                Some(case.whole_scene(Timestamp::from_millis(0)).unwrap())
            };
            let alone = scene(&json!([])).unwrap();
            if let Some(scene) = scene(&described.into()) {
                prop_assert_eq!(closure(&scene.entities), closure(&alone.entities));
            }
            Ok(())
        })?;
    }
}
