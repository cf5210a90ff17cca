//! No decision without a record, whatever becomes of the disk or the process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use crate::harness::{Setup, update};

#[tokio::test]
async fn after_a_kill_under_load_every_decision_that_was_answered_is_on_record() {
    let mut service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let received = Arc::new(Mutex::new(HashSet::new()));
    let askers: Vec<_> = (0..16)
        .map(|_| {
            let (received, asker) = (Arc::clone(&received), service.asker(&alice));
            tokio::spawn(async move {
                while let Some(reply) = asker.ask().await {
                    received.lock().unwrap().insert(reply.body["decision_id"].as_str().unwrap().to_owned());
                }
            })
        })
        .collect();
    while received.lock().unwrap().len() < 500 {
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    service.signal("KILL");
    assert_eq!(service.ended(), None);
    for asker in askers {
        asker.await.unwrap();
    }
    let text = std::fs::read_to_string(service.setup.path("decisions.jsonl")).unwrap();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let on_record: HashSet<_> =
        whole.map(|record| record["decision_id"].as_str().unwrap().to_owned()).collect();
    let received = received.lock().unwrap();
    let missing: Vec<_> = received.difference(&on_record).collect();
    assert!(missing.is_empty(), "{} of {} are missing", missing.len(), received.len());
}

#[tokio::test]
async fn on_a_full_disk_every_answer_is_withheld() {
    let service = Setup::new().start_with(|command| {
        command.env("PALISADE__AUDIT__PATH", "/dev/full");
    });
    let alice = service.token("alice", &["admin"]);
    for _ in 0..20 {
        let reply = service.authorize(&alice, update()).await;
        assert_eq!(reply.outcome(), "503 audit_unavailable");
        assert!(reply.headers.contains_key("retry-after"));
    }
    assert!(service.metric("palisade_audit_refusals_total").await >= 20.0);
}

#[tokio::test]
async fn a_disk_that_fills_up_withholds_every_answer_until_there_is_room() {
    let service = Setup::new().start();
    let (alice, path) = (service.token("alice", &["admin"]), service.setup.path("decisions.jsonl"));
    assert_eq!(service.authorize(&alice, update()).await.outcome(), "allow permitted");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    service.signal("HUP");
    service.until(&alice, update(), |reply| reply.status != 200).await;
    for _ in 0..20 {
        let reply = service.authorize(&alice, update()).await;
        assert_eq!(reply.outcome(), "503 audit_unavailable");
        assert!(reply.body["decision"].is_null());
    }
    std::fs::remove_file(&path).unwrap();
    service.signal("HUP");
    let reply = service.until(&alice, update(), |reply| reply.status == 200).await;
    let on_record = service.records();
    assert!(on_record.iter().any(|record| record["decision_id"] == reply.body["decision_id"]));
}

#[tokio::test]
async fn a_log_that_takes_nothing_withholds_answers_and_blocks_nobody() {
    // Nobody reads this pipe, so it is full soon.
    let service = Setup::new().start_with(|command| {
        let (reader, writer) = std::io::pipe().unwrap();
        std::mem::forget(reader);
        command.env("PALISADE__AUDIT__SINK", "stdout").env("PALISADE__AUDIT__STALL", "250ms").stdout(writer);
        // The only thread that serves would be seen to be blocked.
        command.env("PALISADE__SERVER__WORKERS", "1");
    });
    let alice = service.token("alice", &["admin"]);
    let withheld = service.until(&alice, update(), |reply| reply.status != 200).await;
    assert_eq!(withheld.outcome(), "503 audit_unavailable");
    let (behind_it, livez) = tokio::join!(service.authorize(&alice, update()), service.operations("/livez"));
    assert_eq!(behind_it.outcome(), "503 audit_unavailable");
    assert_eq!(livez.status, 200);
    assert!(service.metric("palisade_audit_stalls_total").await >= 1.0);
}

#[tokio::test]
async fn a_rotated_log_is_opened_anew() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    service.authorize(&alice, update()).await;
    std::fs::rename(service.setup.path("decisions.jsonl"), service.setup.path("decisions.1")).unwrap();
    service.signal("HUP");
    service.until(&alice, update(), |_| service.setup.path("decisions.jsonl").exists()).await;
    service.authorize(&alice, update()).await;
    assert!(!service.records().is_empty());
}
