//! Decisions of a real snapshot, and what is on record of them.
#![expect(clippy::disallowed_methods, reason = "the tests look at the file that was written")]

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::audit::{Config, Sink};
use crate::cedar::limits::EVALUATION_STACK;
use crate::cedar::live::{self, Publisher};
use crate::cedar::{Settings, Source, Sources, compile};
use crate::model::{Batch, Body, Issuer, Kind, Limits, RefusalCode, Timestamp};

const SCHEMA: &str = "
    namespace Shop {
        entity Group;
        entity User in [Group];
        entity Product;
        action readProduct, deleteProduct appliesTo
            { principal: [User], resource: [Product], context: { calm?: Bool } };
    }";

/// A decider that puts nothing on record, for the tests of those who ask one.
pub(crate) fn off_the_record(snapshots: Snapshots, clock: Clock, metrics: Metrics) -> Decider {
    let off = Config { sink: Sink::Off, ..Config::default() };
    let log = Log::open(&off, metrics.clone()).unwrap();
    Decider { snapshots, log, clock, metrics, workers: None }
}

struct Case {
    decider: Decider,
    publisher: Publisher,
    folder: TempDir,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.jsonl");
        let metrics = Metrics::new();
        let log = Config { sink: Sink::File, path, ..Config::default() };
        let (publisher, snapshots) =
            live::channel(snapshot("permit (principal in Shop::Group::\"admin\", action, resource);"));
        let decider = Decider {
            snapshots,
            log: Log::open(&log, metrics.clone()).unwrap(),
            clock: Clock::standing_at(Timestamp::from_millis(1_795_426_200_125)),
            metrics,
            workers: None,
        };
        Self { decider, publisher, folder }
    }

    /// As a request that came 120 µs ago.
    fn facts(&self) -> RequestFacts<'static> {
        let started = self.decider.clock.now();
        self.decider.clock.advance(Duration::from_micros(120));
        RequestFacts { request_id: "r-1", started }
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("decisions.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn answer(&self, identity: &Arc<Identity>, action: &str) -> Result<Value, Undecided> {
        let answer = self.decider.answer(identity, &question(action), self.facts(), false).await?;
        Ok(serde_json::from_slice::<Value>(&answer.into_json()).unwrap())
    }
}

fn snapshot(policies: &str) -> Arc<crate::cedar::Snapshot> {
    let source = |path: &str, text: &str| Source { path: path.into(), name: path.into(), text: text.into() };
    let sources = Sources {
        policies: vec![source("p.cedar", policies)],
        schema: vec![source("s.cedarschema", SCHEMA)],
        settings: Settings {
            namespace: "Shop".to_owned(),
            issuers: vec![Issuer { machine_type: None, ..Issuer::unconfigured() }],
            ..Settings::default()
        },
        ..Sources::default()
    };
    compile(&sources, &Limits::default()).unwrap().snapshot
}

fn member_of(groups: &[&str]) -> Arc<Identity> {
    Arc::new(Identity::of_user("3f0c", groups))
}

fn question(action: &str) -> Question {
    let json = json!({"action": action, "resource": {"type": "Product", "id": "p-42"}}).to_string();
    Body::parse(json.as_bytes(), &Limits::default()).unwrap().question
}

fn batch(items: &Value) -> Vec<BatchItem> {
    let json = json!({ "requests": items }).to_string();
    Batch::parse(json.as_bytes(), &Limits::default()).unwrap().items
}

#[tokio::test]
async fn an_answer_and_its_record_say_the_same() {
    let case = Case::new();
    let answer = case.answer(&member_of(&["admin"]), "readProduct").await.unwrap();
    let records = case.records();
    let record = &records[0];
    assert_eq!(
        answer,
        json!({
            "decision": "allow", "reason": "permitted", "policies": ["p#1"], "errors": [],
            "decision_id": record["decision_id"], "revision": record["revision"],
        })
    );
    assert_eq!(record["outcome"], "allow");
    assert_eq!(record["principal"], "Shop::User::\"3f0c\"");
    assert_eq!(record["action"], "Shop::Action::\"readProduct\"");
    assert_eq!(record["resource"], "Shop::Product::\"p-42\"");
    assert_eq!(record["request_id"], "r-1");
    assert_eq!(record["latency_us"], 120);
    let counted = case.decider.metrics.encode().unwrap();
    assert!(counted.contains(r#"outcome="allow",action="Shop::Action::\"readProduct\"""#), "{counted}");
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_on_record_and_its_action_in_no_metric() {
    let case = Case::new();
    let refused = case.answer(&member_of(&[]), "readProdukt").await.unwrap_err();
    let Undecided::Refused { refusal, decision_id } = refused else { panic!("{refused}") };
    assert_eq!(refusal.code, RefusalCode::UnknownAction);
    let records = case.records();
    assert_eq!(records[0]["outcome"], "refused");
    assert_eq!(records[0]["code"], "unknown_action");
    assert_eq!(records[0]["action"], "readProdukt");
    assert_eq!(records[0]["decision_id"], decision_id.as_str());
    assert!(!case.decider.metrics.encode().unwrap().contains("readProdukt"));
}

#[tokio::test]
async fn without_a_record_there_is_no_answer() {
    let mut case = Case::new();
    let full = Config { sink: Sink::File, path: "/dev/full".into(), ..Config::default() };
    case.decider.log = Log::open(&full, case.decider.metrics.clone()).unwrap();
    for action in ["readProduct", "readProdukt"] {
        let refused = case.answer(&member_of(&["admin"]), action).await.unwrap_err();
        assert!(matches!(refused, Undecided::Unrecorded(AuditError::Failed(_))), "{refused}");
    }
    assert!(!case.decider.metrics.encode().unwrap().contains("palisade_decisions_total{"));
}

#[tokio::test]
async fn an_explanation_comes_with_the_answer() {
    let case = Case::new();
    let identity = member_of(&["admin"]);
    let answer = case.decider.answer(&identity, &question("readProduct"), case.facts(), true).await.unwrap();
    let answer = serde_json::from_slice::<Value>(&answer.into_json()).unwrap();
    assert_eq!(answer["explain"]["principal"]["uid"], "Shop::User::\"3f0c\"");
    assert_eq!(answer["explain"]["policies"][0]["path"], "p.cedar");
}

#[tokio::test]
async fn a_batch_is_one_head_and_small_items() {
    let case = Case::new();
    let items = json!([
        {"id": "row-1", "action": "readProduct", "resource": {"type": "Product", "id": "p-1"}},
        {"action": "readProdukt", "resource": {"type": "Product", "id": "p-2"}},
        {"id": "row-3", "action": 7},
    ]);
    let answer = case
        .decider
        .answer_batch(&member_of(&["admin"]), batch(&items), case.facts())
        .await
        .map(|answer| serde_json::from_slice::<Value>(&answer.into_json()).unwrap())
        .unwrap();
    let decisions = answer["decisions"].as_array().unwrap();
    assert_eq!(decisions[0]["id"], "row-1");
    assert_eq!(decisions[0]["decision"], "allow");
    assert!(decisions[0].get("error").is_none() && decisions[0].get("revision").is_none());
    assert_eq!(decisions[1]["decision"], "deny");
    assert_eq!(decisions[1]["reason"], "not_evaluated");
    assert_eq!(decisions[1]["error"]["code"], "unknown_action");
    assert!(decisions[1].get("id").is_none());
    assert_eq!(decisions[2]["id"], "row-3");
    assert_eq!(decisions[2]["error"]["code"], "malformed_request");

    let records = case.records();
    let [head, items @ ..] = records.as_slice() else { panic!("no head") };
    assert_eq!(head["outcome"], "batch");
    assert_eq!(head["principal"], "Shop::User::\"3f0c\"");
    assert_eq!(head["count"], 3);
    assert_eq!(head["revision"], answer["revision"]);
    for (number, item) in items.iter().enumerate() {
        assert_eq!(item["decision_id"], head["decision_ids"][number]);
        assert_eq!(item["decision_id"], decisions[number]["decision_id"]);
        assert_eq!(item["batch"], head["decision_id"]);
        assert!(item.get("principal").is_none());
    }
    assert_eq!(items[0]["outcome"], "allow");
    assert_eq!(items[1]["code"], "unknown_action");
}

#[tokio::test]
async fn of_each_item_is_said_what_would_be_said_of_it_alone() {
    let case = Case::new();
    let _before = case.publisher.publish(snapshot(
        "permit (principal in Shop::Group::\"admin\", action, resource);
        forbid (principal, action == Shop::Action::\"deleteProduct\", resource == Shop::Product::\"kept\");
        forbid (principal, action, resource == Shop::Product::\"odd\")
            when { 9223372036854775807 + 1 == 0 };",
    ));
    let asked = |action: &str, id: &str, context: &Value| json!({"action": action, "resource": {"type": "Product", "id": id}, "context": context});
    let (calm, nothing) = (json!({"calm": true}), json!({}));
    let items = [
        asked("readProduct", "p-1", &nothing),
        asked("readProduct", "p-\"2\"", &nothing),
        asked("deleteProduct", "p-2", &nothing),
        asked("deleteProduct", "kept", &nothing),
        asked("deleteProduct", "kept", &calm),
        asked("deleteProduct", "odd", &calm),
        asked("deleteProduct", "odd", &calm),
        asked("readProduct", "p-1", &nothing),
        asked("readProdukt", "p-1", &nothing),
        asked("readProdukt", "p-1", &calm),
        asked("readProduct", "p-1", &nothing),
    ];
    let identity = member_of(&["admin"]);
    let together = case.decider.answer_batch(&identity, batch(&json!(items)), case.facts()).await.unwrap();
    let together = serde_json::from_slice::<Value>(&together.into_json()).unwrap();
    let records = case.records().split_off(1);
    for (number, item) in items.iter().enumerate() {
        let body = Body::parse(item.to_string().as_bytes(), &Limits::default()).unwrap();
        let alone = case.decider.answer(&identity, &body.question, case.facts(), false).await;
        let in_batch = without(&together["decisions"][number], &["decision_id"]);
        match alone {
            Ok(alone) => {
                let alone = serde_json::from_slice(&alone.into_json()).unwrap();
                assert_eq!(in_batch, without(&alone, &["decision_id", "revision"]), "{item}");
            }
            Err(Undecided::Refused { refusal, .. }) => {
                assert_eq!(in_batch["error"], json!(refusal), "{item}");
            }
            Err(undecided) => panic!("{undecided}"),
        }
        let of_request = [
            "time",
            "decision_id",
            "request_id",
            "principal",
            "kind",
            "groups",
            "issuer",
            "token_use",
            "revision",
            "latency_us",
        ];
        let alone = without(&case.records().pop().unwrap(), &of_request);
        assert_eq!(without(&records[number], &["time", "decision_id", "batch"]), alone, "{item}");
    }
}

fn without(object: &Value, members: &[&str]) -> Value {
    let mut object = object.clone();
    for member in members {
        object.as_object_mut().unwrap().remove(*member).unwrap();
    }
    object
}

#[tokio::test]
async fn a_batch_lets_others_run_and_is_judged_on_one_snapshot() {
    let case = Case::new();
    let item = json!({"action": "readProduct", "resource": {"type": "Product", "id": "p-1"}});
    let items = batch(&Value::Array(vec![item; 1_000]));
    let identity = member_of(&["admin"]);
    let (answer, ()) = tokio::join!(case.decider.answer_batch(&identity, items, case.facts()), async {
        // Runs when the batch lets go for the first time.
        let _before = case.publisher.publish(snapshot("forbid (principal, action, resource);"));
    });
    let answer = serde_json::from_slice::<Value>(&answer.unwrap().into_json()).unwrap();
    let decisions = answer["decisions"].as_array().unwrap();
    assert!(decisions.iter().all(|item| item["decision"] == "allow"));
    assert_ne!(answer["revision"], case.decider.snapshots.current().revision().as_str().as_ref());
    assert_eq!(case.answer(&identity, "readProduct").await.unwrap()["decision"], "deny");
}

#[tokio::test]
async fn a_large_batch_is_answered_and_recorded_in_the_order_asked() {
    let mut case = Case::new();
    case.decider.workers = Some(Workers::start(NonZero::new(3), EVALUATION_STACK).unwrap());
    let item = |number: usize| {
        let action = if number.is_multiple_of(3) { "readProdukt" } else { "readProduct" };
        json!({"id": number.to_string(), "action": action, "resource": {"type": "Product", "id": format!("p-{number}")}})
    };
    let items = batch(&Value::Array((0..1_000).map(item).collect()));
    let answer = case.decider.answer_batch(&member_of(&["admin"]), items, case.facts()).await.unwrap();
    let answer = serde_json::from_slice::<Value>(&answer.into_json()).unwrap();
    let (decisions, records) = (answer["decisions"].as_array().unwrap(), case.records());
    assert_eq!((decisions.len(), records.len()), (1_000, 1_001));
    for (number, decision) in decisions.iter().enumerate() {
        let record = &records[number + 1];
        assert_eq!(decision["id"], number.to_string());
        assert_eq!(decision["decision"] == "allow", !number.is_multiple_of(3));
        assert_eq!(record["resource"], format!("Shop::Product::\"p-{number}\""));
        assert_eq!(record["decision_id"], decision["decision_id"]);
        assert_eq!(records[0]["decision_ids"][number], decision["decision_id"]);
    }
}

#[tokio::test]
async fn a_token_that_makes_no_principal_refuses_the_whole_batch() {
    let case = Case::new();
    let machine = Arc::new(Identity { kind: Kind::Machine, ..member_of(&[]).as_ref().clone() });
    let item = json!({"action": "readProduct", "resource": {"type": "Product", "id": "p-1"}});
    let refused = case.decider.answer_batch(&machine, batch(&json!([item])), case.facts()).await.unwrap_err();
    let Undecided::Refused { refusal, .. } = refused else { panic!("{refused}") };
    assert_eq!(refusal.code, RefusalCode::InvalidToken);
    assert_eq!(case.records().len(), 1);
}

#[test]
fn ids_are_of_version_7_and_begin_with_their_time() {
    let now = Clock::standing_at(Timestamp::from_millis(0x0193_0000_0001)).now();
    let (first, second) = (DecisionId::new(now), DecisionId::new(now));
    assert!(first.as_str().starts_with("01930000-0001-7"), "{first}");
    assert_ne!(first, second);
}
