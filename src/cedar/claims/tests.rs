//! Any claim under any type: taken exactly when Cedar takes the value that it stands for, and as that value.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};

use super::super::{Settings, Snapshot, Source, Sources, compile};
use super::*;
use crate::model::{Issuer, Limits};

/// An attribute of each type that a claim can have.
const SCHEMA: &str = "
entity Group;
entity User in [Group] = {
    text?: String, flag?: Bool, number?: Long, price?: decimal, from?: ipaddr, at?: datetime, keep?: duration,
    words?: Set<String>, flags?: Set<Bool>, numbers?: Set<Long>, prices?: Set<decimal>, sets?: Set<Set<Long>>,
    nested?: { number: Long, flag?: Bool, deeper?: { prices: Set<decimal> } },
};";

const ATTRIBUTES: &[&str] = &[
    "text", "flag", "number", "price", "from", "at", "keep", "words", "flags", "numbers", "prices", "sets",
    "nested",
];

/// What is right somewhere, and what is nearly right.
const TEXTS: &[&str] = &[
    "",
    "true",
    "false",
    "True",
    "1",
    "-1",
    "-0",
    "+1",
    "01",
    " 1",
    "1.0",
    "9223372036854775807",
    "9223372036854775808",
    "1.25",
    "1.23456",
    ".5",
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.300",
    "::1",
    "2026-11-23",
    "2026-11-23T09:30:00Z",
    "2026-13-01",
    "1h30m",
    "1x",
    "['admin']",
];

/// The members that records of the schema have, and those by which Cedar's entity JSON says that a
/// record stands for something else.
const MEMBERS: &[&str] =
    &["number", "flag", "deeper", "prices", "__entity", "__extn", "type", "id", "fn", "arg"];

fn snapshot() -> Arc<Snapshot> {
    let file = |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
    let issuers = vec![Issuer { machine_type: None, ..Issuer::unconfigured() }];
    let sources = Sources {
        schema: vec![file("s", SCHEMA)],
        settings: Settings { issuers, ..Settings::default() },
        ..Sources::default()
    };
    compile(&sources, &Limits::default()).unwrap().snapshot
}

fn claim() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Long),
        select(TEXTS).prop_map(|text| Value::String(text.into())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let members =
            prop::collection::btree_map(select(MEMBERS).prop_map(str::to_owned), inner.clone(), 0..3);
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Value::Set),
            members.prop_map(|members| Value::Record(members.into_iter().collect()))
        ]
    })
}

/// The same in JSON, with the two kinds of strings that stand for something else.
fn meant(value: &Value, ty: &Type) -> Json {
    match (value, ty) {
        (Value::String(text), Type::Bool) if text == "true" || text == "false" => json!(text == "true"),
        (Value::String(text), Type::Long) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => json!(number),
            _ => json!(text),
        },
        (Value::Set(values), Type::Set(element)) => {
            values.iter().map(|value| meant(value, element)).collect()
        }
        (Value::Record(members), Type::Record(declared)) => {
            let ty = |name: &str| declared.0.get(name).map_or(&Type::String, |member| &member.ty);
            members.iter().map(|(name, value)| (name.to_string(), meant(value, ty(name)))).collect()
        }
        (Value::Bool(value), _) => json!(value),
        (Value::Long(value), _) => json!(value),
        (Value::String(text), _) => json!(text),
        (Value::Set(values), _) => values.iter().map(|value| meant(value, &Type::String)).collect(),
        (Value::Record(members), _) => {
            members.iter().map(|(name, value)| (name.clone(), meant(value, &Type::String))).collect()
        }
    }
}

fn escapes(value: &Value) -> bool {
    match value {
        Value::Record(members) => {
            members.iter().any(|(name, value)| name.starts_with("__") || escapes(value))
        }
        Value::Set(values) => values.iter().any(escapes),
        Value::Bool(_) | Value::Long(_) | Value::String(_) => false,
    }
}

/// The attribute as Cedar has it, where it takes the user.
fn taken(
    entities: Result<Entities, cedar_policy::entities_errors::EntitiesError>,
    name: &str,
) -> Option<Json> {
    let entities = entities.ok()?;
    let user = entities.get(&uid())?.to_json_value().unwrap();
    Some(user["attrs"][name].clone())
}

fn uid() -> EntityUid {
    "User::\"u\"".parse().unwrap()
}

fn with(name: &str, value: RestrictedExpression) -> Entity {
    Entity::new(uid(), HashMap::from([(name.to_owned(), value)]), HashSet::new()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_claim_is_taken_exactly_when_cedar_takes_what_it_stands_for(
        (name, value) in (select(ATTRIBUTES), claim()),
    ) {
        thread_local!(static SNAPSHOT: Arc<Snapshot> = snapshot());
        SNAPSHOT.with(|snapshot| {
            let user = snapshot.schema.entity_type("User").unwrap();
            let ty = &user.attributes.0[name].ty;
            let ours = convert(&value, ty)
                .ok()
                .map(|value| taken(Entities::from_entities([with(name, value)], Some(&snapshot.cedar)), name));
            let json = json!([{"uid": {"type": "User", "id": "u"}, "attrs": {name: meant(&value, ty)}, "parents": []}]);
            let cedars = taken(Entities::from_json_value(json, Some(&snapshot.cedar)), name);
            match ours {
                Some(ours) => {
                    prop_assert!(!escapes(&value));
                    prop_assert!(ours.is_some(), "not of the type");
                    prop_assert_eq!(ours, cedars);
                }
                None => prop_assert!(cedars.is_none() || escapes(&value), "{cedars:?}"),
            }
            Ok(())
        })?;
    }
}
