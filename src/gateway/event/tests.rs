//! The four kinds of event as AWS documents them, and what becomes of anything else.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::gateway::answer::{Facts, Form};
use crate::gateway::routes::{RouteMap, WrittenMap};
use crate::model::Decision;

const REST_TOKEN: &str = include_str!("../../../tests/fixtures/gateway/rest-token.json");
const REST_REQUEST: &str = include_str!("../../../tests/fixtures/gateway/rest-request.json");
const HTTP_1: &str = include_str!("../../../tests/fixtures/gateway/http-1.0.json");
const HTTP_2: &str = include_str!("../../../tests/fixtures/gateway/http-2.0.json");

const ALL: [(&str, Kind); 4] = [
    (REST_TOKEN, Kind::RestToken),
    (REST_REQUEST, Kind::RestRequest),
    (HTTP_1, Kind::Http1),
    (HTTP_2, Kind::Http2),
];

/// A fixture with some members changed; null takes one out.
fn changed(fixture: &str, changes: Value) -> Result<Event, EventFault> {
    let mut event: Value = serde_json::from_str(fixture).unwrap();
    let Value::Object(changes) = changes else { panic!("members") };
    let members = event.as_object_mut().unwrap();
    members.extend(changes);
    members.retain(|_, value| !value.is_null());
    Event::parse(event.to_string().as_bytes())
}

fn token(event: Result<Event, EventFault>) -> Result<String, TokenFault> {
    event.unwrap().token.map(|token| token.expose().to_owned())
}

#[test]
fn the_four_kinds_are_one_request() {
    for (fixture, kind) in ALL {
        let event = Event::parse(fixture.as_bytes()).unwrap();
        assert_eq!(event.kind, kind);
        assert_eq!(event.token, Ok(Token::new("eyJh.eyJz.c2ln")), "{kind:?}");
        let asked = event.asked.unwrap();
        let segments: Vec<_> = asked.path.segments().iter().map(|segment| segment.decoded.as_str()).collect();
        assert_eq!((asked.method.as_str(), segments), ("PUT", vec!["products", "p-42"]), "{kind:?}");
        let parameters = asked.parameters.map(|parameters| parameters["id"].clone());
        assert_eq!(parameters, (kind != Kind::RestToken).then(|| "p-42".to_owned()), "{kind:?}");
        assert!(
            event.arn.as_str().starts_with("arn:aws:execute-api:")
                && event.arn.as_str().ends_with("/PUT/products/p-42")
        );
    }
}

#[test]
fn what_is_none_of_them_is_refused() {
    assert_eq!(changed(HTTP_2, json!({"version": "3.0"})), Err(EventFault::Kind));
    assert_eq!(changed(REST_TOKEN, json!({"type": "COGNITO"})), Err(EventFault::Kind));
    assert_eq!(changed(HTTP_1, json!({"type": "TOKEN"})), Err(EventFault::Kind));
    // WebSocket APIs have REQUEST authorizers too, without a method and a path.
    assert_eq!(changed(REST_REQUEST, json!({"httpMethod": null})), Err(EventFault::Missing("httpMethod")));
    assert_eq!(changed(REST_REQUEST, json!({"path": null})), Err(EventFault::Missing("path")));
    assert_eq!(changed(HTTP_2, json!({"routeArn": null})), Err(EventFault::Missing("routeArn")));
    assert_eq!(
        changed(HTTP_2, json!({"requestContext": {}})),
        Err(EventFault::Missing("requestContext.http.method"))
    );
    for json in ["", "null", "[]", "\"x\"", "{\"type\": 7}", "{\"type\": \"TOKEN\", \"type\": \"TOKEN\"}"] {
        assert!(matches!(Event::parse(json.as_bytes()), Err(EventFault::Shape { .. })), "{json}");
    }
}

#[test]
fn an_arn_and_an_event_that_disagree_are_refused() {
    for changes in [
        json!({"httpMethod": "GET"}),
        json!({"path": "/products/p-43"}),
        json!({"path": "/products"}),
        json!({"methodArn": "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/PUT/products/p-43"}),
    ] {
        assert_eq!(changed(REST_REQUEST, changes.clone()), Err(EventFault::Disagreement), "{changes}");
    }
    let based = changed(REST_REQUEST, json!({"path": "/shop/products/p-42"})).unwrap();
    assert_eq!(based.asked.unwrap().path.segments().len(), 2, "the base path of a domain");
    let pattern =
        json!({"methodArn": "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/*/PUT/products/p-42"});
    assert!(matches!(changed(REST_REQUEST, pattern), Err(EventFault::Arn(_))));
}

#[test]
fn a_path_that_could_be_read_in_two_ways_asks_for_nothing() {
    let arn = |path: &str| format!("arn:aws:execute-api:us-east-1:123456789012:a1b2c3/$default/PUT{path}");
    for (path, fault) in [
        ("/products/..", PathFault::DotSegment),
        ("/products//p-42", PathFault::EmptySegment),
        ("/products/p\\42", PathFault::Backslash),
        ("/products/p%2542", PathFault::EncodedDelimiter),
        ("/products/*", PathFault::Wildcard),
        ("/products/p?", PathFault::Wildcard),
        ("/products/${aws:username}", PathFault::Variable),
        ("/products/p\n", PathFault::Control),
    ] {
        let event = changed(HTTP_2, json!({"rawPath": path, "routeArn": arn(path)})).unwrap();
        assert_eq!(event.asked.unwrap_err(), fault, "{path}");
    }
    // An HTTP API has decoded the path, and a REST API has not.
    let encoded = "/products/p%40";
    assert!(changed(HTTP_2, json!({"rawPath": encoded, "routeArn": arn(encoded)})).unwrap().asked.is_err());
    let rest = changed(REST_REQUEST, json!({"path": encoded, "methodArn": arn(encoded)})).unwrap();
    assert_eq!(rest.asked.unwrap().path.segments()[1].decoded, "p@");
    assert!(changed(REST_TOKEN, json!({"methodArn": arn(encoded)})).unwrap().asked.is_err());
}

#[test]
fn there_is_one_token_or_none() {
    let good = Ok("a.b.c".to_owned());
    let headers = |headers: Value, many: Value| {
        token(changed(REST_REQUEST, json!({"headers": headers, "multiValueHeaders": many})))
    };
    let none = Value::Null;
    assert_eq!(headers(json!({"AUTHORIZATION": "bearer  a.b.c "}), none.clone()), good);
    assert_eq!(headers(json!({"Authorization": "a.b.c"}), none.clone()), good);
    assert_eq!(headers(none.clone(), json!({"authorization": ["Bearer a.b.c"]})), good);
    let both = json!({"authorization": "Bearer a.b.c"});
    assert_eq!(headers(both.clone(), json!({"authorization": ["Bearer a.b.c"]})), good);
    assert_eq!(headers(none.clone(), none.clone()), Err(TokenFault::Missing));
    assert_eq!(headers(json!({"Authorization": " "}), none.clone()), Err(TokenFault::Missing));
    assert_eq!(
        headers(json!({"Authorization": "Basic dXNlcjpwYXNz"}), none.clone()),
        Err(TokenFault::Scheme)
    );
    for many in [json!(["Bearer a.b.c", "Bearer d.e.f"]), json!(["Bearer d.e.f"])] {
        assert_eq!(headers(both.clone(), json!({"authorization": many})), Err(TokenFault::Several));
    }
    let two = json!({"Authorization": "Bearer a.b.c", "authorization": "Bearer d.e.f"});
    assert_eq!(headers(two, none), Err(TokenFault::Several));
    assert_eq!(token(changed(REST_TOKEN, json!({"authorizationToken": null}))), Err(TokenFault::Missing));
}

/// Any JSON, with the members that events have more often than chance would have it.
fn anything() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("type"),
        Just("version"),
        Just("methodArn"),
        Just("routeArn"),
        Just("path"),
        Just("rawPath"),
        Just("headers"),
        Just("Authorization"),
        Just("requestContext"),
        Just("http"),
        Just("pathParameters"),
        Just("id"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "(TOKEN|REQUEST|1.0|2.0|GET|/products/p-1)".prop_map(Value::from),
        "arn:aws:execute-api:r:1:a/s/[A-Z]{0,4}/\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 32, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_and_no_text_is_a_panic(event in anything(), text in "\\PC{0,64}") {
        let _refused_or_not = Event::parse(event.to_string().as_bytes());
        let _refused_or_not = Event::parse(text.as_bytes());
    }

    #[test]
    fn whatever_the_path_is_what_is_asked_is_what_the_arn_names(
        path in "/products/([a-z0-9.*?%/\\\\{}$-]|%[0-9a-f]{2}){0,12}"
    ) {
        let map: WrittenMap = serde_json::from_value(json!({"routes": [
            {"method": "PUT", "path": "/products/{id}", "action": "a", "resource": {"type": "T", "parameter": "id"}}
        ]})).unwrap();
        let map = RouteMap::new(map).unwrap();
        let arn = format!("arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/PUT{path}");
        for changes in [
            json!({"type": "TOKEN", "version": null, "methodArn": arn}),
            json!({"path": path, "methodArn": arn, "pathParameters": {"id": path.trim_start_matches("/products/")}}),
        ] {
            let Ok(event) = changed(REST_REQUEST, changes) else { continue };
            prop_assert_eq!(event.arn.as_str(), &arn);
            let Ok(question) = event.asked.as_ref().map_err(drop).and_then(|asked| map.question(asked).map_err(drop)) else {
                continue;
            };
            let id = question.resource.id;
            let variable = id.contains("${");
            prop_assert!(!id.contains(['/', '*', '?', '\\', '%']) && !variable && id != "..");
            prop_assert_eq!(path.matches('/').count(), 2);
            let facts = Facts { decision_id: "d-1", reason: "permitted", sub: "alice" };
            let allow = Form::Iam.answer(&event, Decision::Allow, facts).unwrap();
            let allow: Value = serde_json::from_str(&allow).unwrap();
            prop_assert_eq!(&allow["policyDocument"]["Statement"][0]["Resource"], &json!(arn));
        }
    }
}
