//! The Lambda authorizer by the policies of a bundle: what it answers before there is one, and as it changes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bundle::{ANYBODY, bundled};
use crate::harness::{PATIENCE, Setup};
use crate::lambda_authorizer::{Authorizer, HTTP_2, shop, with};
use crate::shelf::{Manner, Shelf};

/// The authorizer of the shop, whose policies are on this shelf.
async fn authorizer(shelf: &Shelf) -> Authorizer {
    Authorizer::start(setup(shelf, "")).await
}

fn setup(shelf: &Shelf, more: &str) -> Setup {
    let url = shelf.url();
    shop("simple").settings(&format!("[policies.bundle]\nurl = \"{url}\"\npoll = \"1s\"\n{more}"))
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

/// Longer than the `max_stale` of tests: nothing but time makes policies older.
async fn past_the_bound() {
    tokio::time::sleep(Duration::from_millis(2_100)).await;
}

/// What the next event is answered. On a machine that is too busy to judge a bundle in the moment that an event has,
/// it is not, and another is sent.
async fn decided(authorizer: &mut Authorizer, token: &str) -> Value {
    let in_time = |answer: &Result<Value, Value>| {
        answer.as_ref().map_or_else(|error| error["errorType"] != "Authorizer.NotReady", |_| true)
    };
    until(authorizer, token, in_time).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_that_is_answered_after_a_change_is_decided_by_the_new_policies() {
    for frozen in [false, true] {
        let (shelf, policies) = (Shelf::new(), Setup::new());
        shelf.put(bundled(&policies));
        let mut authorizer = Authorizer::start(setup(&shelf, "max_stale = \"2s\"\n")).await;
        let bob = authorizer.token("bob", "user");
        assert_eq!(decided(&mut authorizer, &bob).await["isAuthorized"], false);
        if frozen {
            authorizer.signal("STOP");
        }
        policies.write("policies/anybody.cedar", ANYBODY);
        shelf.put(bundled(&policies));
        past_the_bound().await;
        assert_eq!(shelf.counts().0, 1, "nothing asks between events");
        if frozen {
            authorizer.signal("CONT");
        }
        let answer = decided(&mut authorizer, &bob).await;
        assert_eq!(answer["context"]["reason"], "permitted", "frozen: {frozen}");
        assert_eq!(shelf.counts().0, 2, "frozen: {frozen}");
        assert_eq!(authorizer.records().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_which_nothing_was_heard_for_too_long_answer_no_event() {
    let shelf = Shelf::new();
    shelf.put(bundled(&Setup::new()));
    let mut authorizer = Authorizer::start(setup(&shelf, "max_stale = \"2s\"\n")).await;
    let alice = authorizer.token("alice", "admin");
    assert!(allowed(&authorizer.ask(&with(HTTP_2, &alice)).await));
    shelf.behave(Manner::Down);
    past_the_bound().await;
    let error = authorizer.ask(&with(HTTP_2, &alice)).await.unwrap_err();
    assert_eq!(error["errorType"], "Authorizer.NotReady");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("nothing has been heard of the policies for "), "{message}");
    assert_eq!(authorizer.records().len(), 1, "what was not answered was not decided");
    let said = authorizer.said("not answered");
    assert_eq!((&said["level"], &said["cause"]), (&"ERROR".into(), &message.into()), "{said}");
    shelf.behave(Manner::Good);
    assert_eq!(until(&mut authorizer, &alice, allowed).await.unwrap()["context"]["reason"], "permitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_keys_and_bundle_side_by_side() {
    let (shelf, keys) = (Shelf::new(), Shelf::new());
    let setup = setup(&shelf, "").keys_at(&keys.url());
    shelf.put(bundled(&Setup::new()));
    shelf.hesitate_until_asked(&keys);
    let _authorizer = Authorizer::start(setup).await;
    assert_eq!(shelf.counts(), (1, 0));
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
