//! The extension through the life of an environment: invoked, frozen, thawed, ended, killed.

use std::collections::BTreeSet;
use std::time::Duration;

use palisade_in_lambda::{Environment, Pool, ask};
use serde_json::Value;
use tokio::sync::mpsc;

/// The shortest period that the settings take.
const SHORTEST: &str = "10s";

/// So many records are waited for in vain where nobody reads them: answers are withheld before.
const MORE_THAN_A_PIPE_HOLDS: usize = 500;

/// What Lambda gives to end in, once it has said so.
const TO_END: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn every_invocation_is_answered_and_the_environment_freezes_in_between() {
    let pool = Pool::with_key("k-1");
    let environment = Environment::start(&pool, &[]).await;
    assert_eq!(environment.registered().await, ("palisade".to_owned(), "[Shutdown]".to_owned()));
    for _ in 0..3 {
        assert_eq!(outcome(&environment.invoke(&pool.token("alice", &["admin"])).await), "200 allow");
        environment.frozen().await;
        assert_eq!(outcome(&environment.invoke(&pool.token("bob", &["user"])).await), "200 deny");
        environment.frozen().await;
    }
    let (status, took, records) = environment.shut_down().await;
    assert!(status.success(), "{status}");
    assert!(took < TO_END, "{took:?}");
    assert_eq!(records.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_grew_too_old_in_a_freeze_are_fetched_before_the_answer() {
    let (before, after) = (Pool::with_key("k-1"), Pool::with_key("k-2"));
    let periods =
        [("PALISADE__ISSUERS__0__REFRESH", SHORTEST), ("PALISADE__ISSUERS__0__MAX_STALE", SHORTEST)];
    let environment = Environment::start(&before, &periods).await;
    let token = before.token("alice", &["admin"]);
    assert_eq!(outcome(&environment.invoke(&token).await), "200 allow");
    environment.frozen().await;
    std::fs::write(environment.jwks(), after.jwks()).unwrap();
    past_the_bound().await;
    assert_eq!(outcome(&environment.invoke(&token).await), "401 invalid_token");
    environment.frozen().await;
    assert_eq!(outcome(&environment.invoke(&after.token("alice", &["admin"])).await), "200 allow");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_grew_too_old_in_a_freeze_and_cannot_be_fetched_answer_nobody() {
    let pool = Pool::with_key("k-1");
    let periods =
        [("PALISADE__ISSUERS__0__REFRESH", SHORTEST), ("PALISADE__ISSUERS__0__MAX_STALE", SHORTEST)];
    let environment = Environment::start(&pool, &periods).await;
    let token = pool.token("alice", &["admin"]);
    assert_eq!(outcome(&environment.invoke(&token).await), "200 allow");
    environment.frozen().await;
    std::fs::remove_file(environment.jwks()).unwrap();
    past_the_bound().await;
    assert_eq!(outcome(&environment.invoke(&token).await), "503 keys_unavailable");
    assert_eq!(environment.records().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_that_was_answered_is_on_record_after_a_kill() {
    let pool = Pool::with_key("k-1");
    let mut environment = Environment::start(&pool, &[]).await;
    let (answers, mut answered) = mpsc::unbounded_channel();
    for user in ["alice", "bob", "carol", "dora", "eve", "frank"] {
        let (answers, token) = (answers.clone(), pool.token(user, &["admin"]));
        let decisions = environment.decisions().to_owned();
        tokio::spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            loop {
                let (status, body) = ask(&client, &decisions, &token).await;
                let id = body["decision_id"].as_str().filter(|_| status == 200).map(str::to_owned);
                let refused = id.is_none();
                answers.send(id).unwrap();
                if refused {
                    return;
                }
            }
        });
    }
    drop(answers);
    let mut ids = BTreeSet::new();
    while ids.len() < MORE_THAN_A_PIPE_HOLDS
        && let Some(Some(id)) = answered.recv().await
    {
        ids.insert(id);
    }
    environment.kill();
    while let Some(answer) = answered.recv().await {
        ids.extend(answer);
    }
    let records = environment.records();
    let recorded: BTreeSet<_> = records.iter().filter_map(|record| record["decision_id"].as_str()).collect();
    let lost: Vec<_> = ids.iter().filter(|id| !recorded.contains(id.as_str())).collect();
    assert!(ids.len() > 50 && lost.is_empty(), "{} of {} are not on record", lost.len(), ids.len());
    let (status, _) = environment.invoke(&pool.token("alice", &["admin"])).await;
    assert_eq!(status, 0, "nobody answers for it");
}

/// Only time itself makes keys older in a process that is stopped.
async fn past_the_bound() {
    tokio::time::sleep(Duration::from_secs(11)).await;
}

/// `200 allow`, or `401 invalid_token`.
fn outcome((status, body): &(u64, Value)) -> String {
    let what = body["decision"].as_str().or_else(|| body["code"].as_str()).unwrap_or("?");
    format!("{status} {what}")
}
