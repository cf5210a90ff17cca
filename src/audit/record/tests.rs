//! What a line says, and what it keeps to itself.

use super::super::Lines;
use super::*;
use crate::model::{Body, Limits, PolicyError, PolicyErrorCode, Reason};

fn identity() -> Identity {
    Identity {
        issuer: "https://issuer.example/pool".into(),
        claims: BTreeMap::from([("custom:team".to_owned(), Value::String("toys".into()))]),
        token_id: Some("jti-1".to_owned()),
        ..Identity::of_user("3f0c", &["admin", "a\u{202e}b"])
    }
}

fn question() -> Question {
    let body = r#"{"action": "updateProduct", "context": {"ip": "203.0.113.9"},
        "resource": {"type": "Product", "id": "p\n42", "attributes": {"secret": "x"},
            "parents": [{"type": "Category", "id": "c-7"}]},
        "entities": [{"type": "Category", "id": "c-7", "attributes": {"open": true}}]}"#;
    Body::parse(body.as_bytes(), &Limits::default()).unwrap().question
}

fn line(values: bool) -> String {
    let (identity, question) = (identity(), question());
    let evaluation = Evaluation {
        decision: Decision::Deny,
        reason: Reason::EvaluationError,
        policies: vec![],
        errors: vec![PolicyError {
            policy: "p#1".into(),
            code: PolicyErrorCode::Overflow,
            text: "integer overflow".to_owned(),
        }],
    };
    let mut lines = Lines::default();
    let members = Principal::members("Shop::User::\"3f0c\"", &identity).unwrap();
    let principal = Principal::new(Cow::Owned(members));
    let line = Line {
        request_id: Some("r-1"),
        principal: Some(if values {
            principal.with_values(&identity, ["custom:team", "email"].into_iter())
        } else {
            principal
        }),
        asked: Some(Asked::new(
            Setting::Plain("Shop::Action::\"updateProduct\"", &question.context),
            EntityName::Whole("Shop::Product::\"p\\n42\"".to_owned()),
            &question,
            values,
        )),
        decided: Some(Decided::new(&evaluation, None)),
        revision: Some("sha256:7c1f"),
        latency_us: Some(120),
        ..Line::new(
            Opening::Time(Timestamp::from_millis(1_795_426_200_125)),
            "0193",
            evaluation.decision.into(),
        )
    };
    lines.push(&line).unwrap();
    String::from_utf8(lines.as_bytes().to_vec()).unwrap()
}

#[test]
fn a_decision_is_one_line_that_says_who_what_and_why() {
    insta::assert_snapshot!(line(false).trim_end(), @r#"{"time":"2026-11-23T09:30:00.125Z","decision_id":"0193","request_id":"r-1","outcome":"deny","principal":"Shop::User::\"3f0c\"","kind":"user","groups":["admin","a\u202eb"],"issuer":"https://issuer.example/pool","token_use":"access","jti":"jti-1","action":"Shop::Action::\"updateProduct\"","context_keys":["ip"],"resource":"Shop::Product::\"p\\n42\"","decision":"deny","reason":"evaluation_error","policies":[],"errors":[{"policy":"p#1","code":"overflow","text":"integer overflow"}],"revision":"sha256:7c1f","latency_us":120}"#);
}

#[test]
fn values_are_on_record_only_where_that_is_asked_for() {
    for value in ["203.0.113.9", "secret", "toys"] {
        assert!(!line(false).contains(value), "{value}");
    }
    let full = line(true);
    assert!(
        full.contains(
            r#""context":{"ip":"203.0.113.9"},"attributes":{"secret":"x"},"parents":[{"type":"Category","id":"c-7"}]"#
        ),
        "{full}"
    );
    assert!(
        full.contains(r#""identity":{"sub":"3f0c","claims":{"custom:team":"toys","email":null}}"#),
        "{full}"
    );
    assert!(full.contains(r#"{"type":"Category","id":"c-7","attributes":{"open":true}}"#), "{full}");
}
