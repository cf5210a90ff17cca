//! The Lambda authorizer by the policies of a bundle: what it answers before there is one, and as it changes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bundle::{ANYBODY, bundled};
use crate::harness::{PATIENCE, Setup};
use crate::lambda_authorizer::{Authorizer, HTTP_2, shop, with};
use crate::shelf::{Manner, Shelf};

/// The authorizer of the shop, whose policies are on this shelf.
async fn authorizer(shelf: &Shelf) -> Authorizer {
    let url = shelf.url();
    let setup = shop("simple").settings(&format!("[policies.bundle]\nurl = \"{url}\"\npoll = \"1s\"\n"));
    Authorizer::start(setup).await
}

/// Sends events until one is answered as it should be.
async fn until(
    authorizer: &mut Authorizer,
    token: &str,
    wanted: impl Fn(&Result<Value, Value>) -> bool,
) -> Result<Value, Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = authorizer.ask(&with(HTTP_2, token)).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "the last answer: {answer:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn allowed(answer: &Result<Value, Value>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer["isAuthorized"] == true)
}

#[tokio::test(flavor = "multi_thread")]
async fn before_there_is_a_bundle_nobody_passes_and_then_events_are_answered() {
    let shelf = Shelf::new();
    let mut authorizer = authorizer(&shelf).await;
    let alice = authorizer.token("alice", "admin");
    for _ in 0..3 {
        let error = authorizer.ask(&with(HTTP_2, &alice)).await.unwrap_err();
        assert_eq!(error["errorType"], "Authorizer.NotReady", "{error}");
    }
    shelf.put(bundled(&Setup::new()));
    until(&mut authorizer, &alice, allowed).await.unwrap();
    shelf.behave(Manner::Down);
    shelf_was_asked(&shelf, &mut authorizer, &alice).await;
    assert!(allowed(&authorizer.ask(&with(HTTP_2, &alice)).await), "the last good one serves on");
}

/// Events, until the store was asked once more.
async fn shelf_was_asked(shelf: &Shelf, authorizer: &mut Authorizer, token: &str) {
    let waiting = shelf.clone();
    let asked = tokio::task::spawn_blocking(move || waiting.asked(1));
    until(authorizer, token, |_| asked.is_finished()).await.unwrap();
    asked.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_asks_for_the_policies_that_it_is_decided_by() {
    let (shelf, policies) = (Shelf::new(), Setup::new());
    shelf.put(bundled(&policies));
    let mut authorizer = authorizer(&shelf).await;
    let bob = authorizer.token("bob", "user");
    assert_eq!(authorizer.ask(&with(HTTP_2, &bob)).await.unwrap()["isAuthorized"], false);
    policies.write("policies/anybody.cedar", ANYBODY);
    shelf.put(bundled(&policies));
    let answer = until(&mut authorizer, &bob, allowed).await.unwrap();
    assert_eq!(answer["context"]["reason"], "permitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_map_asks_and_a_bundle_does_not_know_is_an_error() {
    let (shelf, policies) = (Shelf::new(), Setup::new());
    shelf.put(bundled(&policies));
    let mut authorizer = authorizer(&shelf).await;
    let alice = authorizer.token("alice", "admin");
    assert!(allowed(&authorizer.ask(&with(HTTP_2, &alice)).await));
    let schema = std::fs::read_to_string(policies.path("schema/shop.cedarschema")).unwrap();
    policies.write("schema/shop.cedarschema", &schema.replace("updateProduct", "changeProduct"));
    shelf.put(bundled(&policies));
    let error = until(&mut authorizer, &alice, Result::is_err).await.unwrap_err();
    assert_eq!(error["errorType"], "Authorizer.ConfigInvalid", "{error}");
    assert!(error["errorMessage"].as_str().unwrap().contains("the route map asks"), "{error}");
}
