//! What a route map makes of requests, and what is wrong with maps.

use serde_json::{Value, json};

use super::*;
use crate::gateway::event::Event;

fn map(routes: Value) -> Result<RouteMap, Vec<String>> {
    let routes = serde_json::from_value(routes).unwrap();
    RouteMap::new(WrittenMap { routes }).map_err(|faults| faults.into_iter().map(|fault| fault.key).collect())
}

fn shop() -> RouteMap {
    map(json!([
        {"method": "GET", "path": "/products/{id}", "action": "readProduct",
         "resource": {"type": "Product", "parameter": "id"}},
        {"method": "GET", "path": "/products/featured", "action": "listProducts",
         "resource": {"type": "Category", "id": "featured"}},
        {"method": "GET", "path": "/categories/{category}/products", "action": "listProducts",
         "resource": {"type": "Category", "parameter": "category"},
         "context": {"view": {"query": "view"}, "from": {"parameter": "category"}}},
    ]))
    .unwrap()
}

/// What a GET through an HTTP API asks, as `action type::id context`.
fn asked(path: &str, change: Value) -> Result<String, Unasked> {
    let mut event = json!({
        "version": "2.0", "type": "REQUEST", "rawPath": path,
        "routeArn": format!("arn:aws:execute-api:r:1:api/$default/GET{path}"),
        "requestContext": {"http": {"method": "GET"}},
    });
    let Value::Object(change) = change else { panic!("members") };
    event.as_object_mut().unwrap().extend(change);
    let asked = Event::parse(event.to_string().as_bytes()).unwrap().asked.unwrap();
    let Question { action, resource, context, entities } = shop().question(&asked)?;
    assert!(!resource.describes() && entities.is_empty(), "a path describes nothing");
    let context: Vec<_> = context.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
    Ok(format!("{action} {}::{}{}", resource.type_name, resource.id, context.concat()))
}

#[test]
fn a_method_and_a_path_ask_for_an_action_on_a_resource() {
    assert_eq!(
        asked("/products/p-1", json!({"pathParameters": {"id": "p-1"}})).unwrap(),
        "readProduct Product::p-1"
    );
    assert_eq!(asked("/products/featured", json!({})).unwrap(), "listProducts Category::featured");
    assert_eq!(asked("/products", json!({})), Err(Unasked::NoRoute));
    assert_eq!(asked("/Products/p-1", json!({"pathParameters": {"id": "p-1"}})), Err(Unasked::NoRoute));
}

#[test]
fn the_context_holds_what_the_map_says() {
    let parameters = json!({"category": "c-7"});
    assert_eq!(
        asked(
            "/categories/c-7/products",
            json!({"pathParameters": parameters, "queryStringParameters": {"view": "short", "page": "2"}})
        )
        .unwrap(),
        r#"listProducts Category::c-7 from=String("c-7") view=String("short")"#
    );
    assert_eq!(
        asked("/categories/c-7/products", json!({"pathParameters": parameters})).unwrap(),
        r#"listProducts Category::c-7 from=String("c-7")"#
    );
    assert_eq!(
        asked(
            "/categories/c-7/products",
            json!({"pathParameters": parameters, "queryStringParameters": {"view": "a,b"}})
        ),
        Err(Unasked::SeveralValues("view".to_owned()))
    );
}

#[test]
fn the_handler_must_see_the_parameters_that_were_decided_on() {
    let other_reading = Err(Unasked::OtherReading);
    for parameters in [
        json!({"id": "p-2"}),
        json!({"id": "p-1/reviews"}),
        json!({"product": "p-1"}),
        json!({"id": "p-1", "kind": "x"}),
        json!({}),
        Value::Null,
    ] {
        assert_eq!(
            asked("/products/p-1", json!({"pathParameters": parameters})),
            other_reading,
            "{parameters}"
        );
    }
    // API Gateway has no route for what the map takes for a fixed path.
    assert_eq!(asked("/products/featured", json!({"pathParameters": {"id": "featured"}})), other_reading);
}

#[test]
fn behind_a_greedy_route_an_id_counts_where_an_encoded_slash_in_it_would_be_seen() {
    for route in ["$default", "ANY /{proxy+}"] {
        let event = json!({"routeKey": route, "pathParameters": {"proxy": "products/p-1"}});
        assert_eq!(asked("/products/p-1", event.clone()), Err(Unasked::OtherReading), "{route}");
        assert!(asked("/products/featured", event).is_ok(), "{route}");
    }
    let rest = json!({
        "type": "REQUEST", "httpMethod": "GET", "path": "/products/p-1", "resource": "/{proxy+}",
        "methodArn": "arn:aws:execute-api:r:1:api/dev/GET/products/p-1", "pathParameters": {"proxy": "products/p-1"},
    });
    let asked = Event::parse(rest.to_string().as_bytes()).unwrap().asked.unwrap();
    assert_eq!(&*shop().question(&asked).unwrap().resource.id, "p-1");
}

#[test]
fn a_rest_api_may_show_the_handler_an_id_that_is_encoded_still() {
    let path = "/products/p%40";
    let asked = |id: &str| {
        let event = json!({
            "type": "REQUEST", "httpMethod": "GET", "path": path, "resource": "/products/{id}",
            "methodArn": format!("arn:aws:execute-api:r:1:api/dev/GET{path}"), "pathParameters": {"id": id},
        });
        let asked = Event::parse(event.to_string().as_bytes()).unwrap().asked.unwrap();
        shop().question(&asked).map(|question| question.resource.id.to_string())
    };
    assert_eq!(asked("p%40"), Ok("p@".to_owned()));
    assert_eq!(asked("p@"), Ok("p@".to_owned()));
    assert_eq!(asked("p"), Err(Unasked::OtherReading));
}

#[test]
fn an_ambiguous_map_is_refused() {
    let route = |method: &str, path: &str| json!({"method": method, "path": path, "action": "a", "resource": {"type": "T", "id": "i"}});
    let keys = |routes: &[Value]| map(json!(routes)).err().unwrap_or_default();
    assert_eq!(keys(&[route("GET", "/a/{x}"), route("GET", "/a/{y}")]), ["routes.1.path"]);
    assert_eq!(keys(&[route("GET", "/{x}/b"), route("GET", "/a/{y}")]), ["routes.1.path"]);
    assert_eq!(keys(&[route("GET", "/a/{x}"), route("PUT", "/a/{y}"), route("GET", "/a/b")]), [""; 0]);
}

#[test]
fn every_fault_of_a_map_is_at_its_key() {
    let resource = json!({"type": "T", "parameter": "id"});
    let keys = |route: Value| map(json!([route])).unwrap_err();
    assert_eq!(map(json!([])), Err(vec!["routes".to_owned()]));
    for (route, expected) in [
        (
            json!({"method": "get", "path": "/{id}", "action": "a", "resource": resource}),
            vec!["routes.0.method"],
        ),
        (
            json!({"method": "ANY", "path": "/x", "action": "a", "resource": resource}),
            vec!["routes.0.method", "routes.0.resource.parameter"],
        ),
        (
            json!({"method": "GET", "path": "/{proxy+}", "action": "a", "resource": resource}),
            vec!["routes.0.path"],
        ),
        (
            json!({"method": "GET", "path": "/{id}", "action": "a", "resource": {"type": "T"}}),
            vec!["routes.0.resource"],
        ),
        (
            json!({"method": "GET", "path": "/{id}", "action": "a", "resource": {"type": "T", "id": "x", "parameter": "id"}}),
            vec!["routes.0.resource"],
        ),
        (
            json!({"method": "GET", "path": "/{id}", "action": "a", "resource": resource,
                "context": {"m": {"parameter": "other"}}, "coarse": " "}),
            vec!["routes.0.coarse", "routes.0.context.m"],
        ),
    ] {
        assert_eq!(keys(route.clone()), expected, "{route}");
    }
}
