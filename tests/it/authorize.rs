//! The decision API, asked over HTTP.

use serde_json::json;

use crate::harness::{Setup, reply, update};

#[tokio::test]
async fn an_admin_may_a_user_may_not_and_the_record_says_so() {
    let service = Setup::new().start();
    let (alice, bob) = (service.token("alice", &["admin"]), service.token("bob", &["user"]));
    let allowed = service.authorize(&alice, update()).await;
    assert_eq!(allowed.outcome(), "allow permitted");
    assert_eq!(allowed.body["policies"], json!(["admins-manage-products"]));
    let denied = service.authorize(&bob, update()).await;
    assert_eq!((denied.status, denied.outcome()), (200, "deny no_permit".to_owned()));

    let records = service.records();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["decision_id"], allowed.body["decision_id"]);
    assert_eq!(records[0]["revision"], allowed.body["revision"]);
    assert_eq!(records[0]["action"], "Shop::Action::\"updateProduct\"");
    assert_eq!(records[0]["resource"], "Shop::Product::\"p-42\"");
    assert_eq!(records[0]["groups"], json!(["admin"]));
    assert_eq!(records[1]["outcome"], "deny");
    let text = std::fs::read_to_string(service.setup.path("decisions.jsonl")).unwrap();
    assert!(!text.contains(alice.split('.').nth(2).unwrap()) && !text.contains("eyJ"));
}

#[tokio::test]
async fn an_explanation_says_who_and_where() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let reply = service.post("/authorize?explain=true", &alice, update()).await;
    let explain = &reply.body["explain"];
    assert_eq!(explain["principal"]["groups"], json!([{"uid": "Shop::Group::\"admin\"", "from": "token"}]));
    assert_eq!(explain["policies"][0]["path"], "policies/product.cedar");
    assert_eq!(explain["policies"][0]["line"], 9);

    let bob = service.token("bob", &[]);
    let denied = service.post("/authorize?explain=true", &bob, update()).await;
    let miss = &denied.body["explain"]["near_misses"][0];
    assert_eq!((&miss["id"], &miss["line"]), (&json!("admins-manage-products"), &json!(9)));
    assert_eq!((&miss["failed"][0]["part"], &miss["failed"][0]["line"]), (&json!("principal"), &json!(11)));
    assert_eq!(denied.body["explain"]["hints"][0]["code"], "no_groups");
    let answer = service.authorize(&bob, update()).await;
    assert!(answer.body.get("explain").is_none());
    let records = std::fs::read_to_string(service.setup.path("decisions.jsonl")).unwrap();
    assert!(!records.contains("near_misses") && !records.contains("hints"), "{records}");

    let service = Setup::new().start_with(|command| {
        command.env("PALISADE__SERVER__EXPLAIN", "false");
    });
    let alice = service.token("alice", &["admin"]);
    assert_eq!(
        service.post("/authorize?explain=true", &alice, update()).await.outcome(),
        "403 explain_not_allowed"
    );
    assert_eq!(
        service.post("/authorize?explian=true", &alice, update()).await.outcome(),
        "400 malformed_request"
    );
}

#[tokio::test]
async fn a_batch_is_judged_item_by_item_under_one_revision() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let mut first = update();
    first["id"] = "row-1".into();
    let batch = json!({"requests": [first, {"id": "row-2", "action": "fly", "resource": {"type": "Product", "id": "p"}}, {"action": 7}]});
    let answer = service.post("/authorize/batch", &alice, batch).await;
    assert_eq!(answer.status, 200);
    let decisions = answer.body["decisions"].as_array().unwrap();
    assert_eq!(decisions[0]["decision"], "allow");
    assert_eq!(decisions[0]["id"], "row-1");
    assert_eq!(
        (&decisions[1]["decision"], &decisions[1]["reason"]),
        (&json!("deny"), &json!("not_evaluated"))
    );
    assert_eq!(decisions[1]["error"]["code"], "unknown_action");
    assert_eq!(decisions[2]["error"]["code"], "malformed_request");
    assert_eq!(answer.body["revision"].as_str().unwrap().len(), 71);

    let records = service.records();
    assert_eq!(records.len(), 4, "a head and three items");
    assert_eq!(records[0]["outcome"], "batch");
    assert!(records[1..].iter().all(|item| item["batch"] == records[0]["decision_id"]));

    let twice = json!({"requests": [{"id": "a", "action": "x", "resource": {"type": "T", "id": "i"}}, {"id": "a", "action": "x", "resource": {"type": "T", "id": "i"}}]});
    assert_eq!(service.post("/authorize/batch", &alice, twice).await.outcome(), "400 malformed_request");
}

#[tokio::test]
async fn a_thousand_items_are_one_batch_and_a_thousand_and_one_are_none() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let of = |count: usize| json!({"requests": vec![update(); count]});
    let answer = service.post("/authorize/batch", &alice, of(1_000)).await;
    assert_eq!(answer.body["decisions"].as_array().unwrap().len(), 1_000);
    assert_eq!(service.records().len(), 1_001);
    assert_eq!(service.post("/authorize/batch", &alice, of(1_001)).await.outcome(), "400 malformed_request");
}

#[tokio::test]
async fn every_refusal_has_its_code_and_those_after_the_token_are_on_record() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let product = |more: serde_json::Value| {
        let mut body = update();
        body["resource"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({"action": "updateProduct"}), "400 malformed_request"),
        (
            json!({"action": "updateProduct", "resource": {"type": "Product", "id": 42}}),
            "400 malformed_request",
        ),
        (product(json!({"colour": "red"})), "400 malformed_request"),
        (
            json!({"action": "updateProdcut", "resource": {"type": "Product", "id": "p"}}),
            "422 unknown_action",
        ),
        (json!({"action": "updateProduct", "resource": {"type": "Produkt", "id": "p"}}), "422 unknown_type"),
        (product(json!({"attributes": {"status": 7}})), "422 schema_mismatch"),
        (
            json!({"action": "updateProduct", "resource": {"type": "Product", "id": "p"}, "entities": [{"type": "Group", "id": "admin"}]}),
            "400 forged_identity",
        ),
        (
            json!({"action": "updateProduct", "resource": {"type": "Product", "id": "p"}, "context": {"now": "2020-01-01"}}),
            "400 malformed_request",
        ),
    ];
    for (body, expected) in &cases {
        let reply = service.authorize(&alice, body.clone()).await;
        assert_eq!(reply.outcome(), *expected, "{body}");
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        assert_eq!(
            reply.body["type"],
            format!("urn:palisade:problem:{}", reply.body["code"].as_str().unwrap())
        );
        assert!(reply.body["decision_id"].is_string(), "{:?}", reply.body);
    }
    let records = service.records();
    assert_eq!(records.len(), cases.len());
    assert!(
        records
            .iter()
            .all(|record| record["outcome"] == "refused" && record["principal"] == "Shop::User::\"alice\"")
    );
}

#[tokio::test]
async fn what_is_not_a_question_at_all_is_a_problem_too() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let send = async |request: reqwest::RequestBuilder| reply(request.send().await.unwrap()).await;
    let post = || {
        service.request("POST", "/authorize").header("content-type", "application/json").bearer_auth(&alice)
    };
    assert_eq!(send(service.request("GET", "/authorize")).await.outcome(), "405 method_not_allowed");
    assert_eq!(send(service.request("POST", "/")).await.outcome(), "404 not_found");
    assert_eq!(send(post().body("{")).await.outcome(), "400 malformed_request");
    assert_eq!(send(post().body("[".repeat(100_000))).await.outcome(), "400 malformed_request");
    assert_eq!(send(post().body(" ".repeat(256 * 1024 + 1))).await.outcome(), "413 too_large");
    assert_eq!(
        send(post().body(update().to_string().replace("p-42", "p-42\u{0}"))).await.outcome(),
        "400 malformed_request"
    );
    let text = service.request("POST", "/authorize").header("content-type", "text/plain").bearer_auth(&alice);
    assert_eq!(send(text.body(update().to_string())).await.outcome(), "415 unsupported_media_type");
    let twice = post().header("authorization", format!("Bearer {alice}")).body(update().to_string());
    assert_eq!(send(twice).await.outcome(), "400 malformed_request");
    let mut body = update();
    body["token"] = alice.clone().into();
    assert_eq!(send(post().body(body.to_string())).await.outcome(), "400 malformed_request");
    let body_token = service
        .request("POST", "/authorize")
        .header("content-type", "application/json")
        .body(body.to_string());
    assert_eq!(send(body_token).await.outcome(), "allow permitted");
    let basic = service
        .request("POST", "/authorize")
        .header("content-type", "application/json")
        .header("authorization", "Basic eDp5");
    assert_eq!(send(basic.body(body.to_string())).await.outcome(), "allow permitted");
}

#[tokio::test]
async fn a_request_keeps_the_id_that_it_came_with() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let request =
        service.request("POST", "/authorize").header("content-type", "application/json").bearer_auth(&alice);
    let answer =
        reply(request.header("x-request-id", "abc-123").body(update().to_string()).send().await.unwrap())
            .await;
    assert_eq!(answer.headers["x-request-id"], "abc-123");
    assert_eq!(service.records()[0]["request_id"], "abc-123");
}
