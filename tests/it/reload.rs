//! Edits of the files on disk while the service runs.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::harness::{Reply, Setup, update};

const OWNERS: &str = r#"@id("everyone") permit (principal, action, resource);"#;

fn revision(reply: &Reply) -> String {
    reply.body["revision"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_edit_goes_live_by_itself_and_soon() {
    let service = Setup::new().start();
    let bob = service.token("bob", &["user"]);
    let before = service.authorize(&bob, update()).await;
    assert_eq!(before.outcome(), "deny no_permit");
    let edited = Instant::now();
    service.setup.write("policies/everyone.cedar", OWNERS);
    let after = service.until(&bob, update(), |reply| reply.outcome() == "allow permitted").await;
    println!("an edit answered after {:?}", edited.elapsed());
    assert_ne!(revision(&before), revision(&after));
    assert!(service.metric("palisade_reloads_total{result=\"ok\"}").await >= 1.0);
}

#[tokio::test]
async fn a_bad_edit_leaves_the_last_good_revision_and_is_named() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    let before = service.authorize(&alice, update()).await;
    service.setup.write(
        "policies/bad.cedar",
        "permit (principal in Shop::Group::\"x\", action, resource) when { principal.nothing };\n",
    );
    let degraded = service.ready(|reply| reply.body["status"] == "degraded").await;
    assert_eq!(degraded.status, 200);
    assert_eq!(degraded.body["findings"][0]["path"], "policies/bad.cedar");
    assert_eq!(degraded.body["findings"][0]["line"], 1);
    assert!(!degraded.body.to_string().contains("nothing"), "no policy text: {}", degraded.body);
    let after = service.authorize(&alice, update()).await;
    assert_eq!((after.outcome(), revision(&after)), ("allow permitted".to_owned(), revision(&before)));
    assert_eq!(service.metric("palisade_reload_failing").await, 1.0);
    assert!(service.metric("palisade_reloads_total{result=\"failed\"}").await >= 1.0);

    std::fs::remove_file(service.setup.path("policies/bad.cedar")).unwrap();
    service.ready(|reply| reply.body["status"] == "ok").await;
    assert_eq!(service.metric("palisade_reload_failing").await, 0.0);
}

#[tokio::test]
async fn an_emptied_folder_is_refused() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    for name in ["product", "category", "emergency"] {
        std::fs::remove_file(service.setup.path(&format!("policies/{name}.cedar"))).unwrap();
    }
    let degraded = service.ready(|reply| reply.body["status"] == "degraded").await;
    assert!(!degraded.body["findings"].as_array().unwrap().is_empty());
    assert_eq!(service.authorize(&alice, update()).await.outcome(), "allow permitted");
}

#[tokio::test]
async fn a_config_maps_symlink_swap_goes_live_whole() {
    let setup = Setup::new();
    let map = setup.path("map");
    let version = |name: &str, text: &str| {
        let folder = map.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("shop.cedar"), text).unwrap();
    };
    version("..2026_1", "forbid (principal, action, resource);");
    symlink("..2026_1", map.join("..data")).unwrap();
    symlink("..data/shop.cedar", map.join("shop.cedar")).unwrap();
    let service = setup.settings("[policies]\ndir = \"map\"\n").start();
    let alice = service.token("alice", &["admin"]);
    assert_eq!(service.authorize(&alice, update()).await.outcome(), "deny forbidden");
    version("..2026_2", OWNERS);
    symlink("..2026_2", map.join("..data_tmp")).unwrap();
    std::fs::rename(map.join("..data_tmp"), map.join("..data")).unwrap();
    std::fs::remove_dir_all(map.join("..2026_1")).unwrap();
    service.until(&alice, update(), |reply| reply.outcome() == "allow permitted").await;
    // A watch on a file would be dead by now: once more.
    version("..2026_3", "forbid (principal, action, resource);");
    symlink("..2026_3", map.join("..data_tmp")).unwrap();
    std::fs::rename(map.join("..data_tmp"), map.join("..data")).unwrap();
    service.until(&alice, update(), |reply| reply.outcome() == "deny forbidden").await;
}

#[tokio::test]
async fn under_load_every_answer_is_that_of_its_own_revision() {
    let service = Setup::new().start();
    let bob = service.token("bob", &["user"]);
    let done = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..4)
        .map(|_| {
            let (asker, done) = (service.asker(&bob), Arc::clone(&done));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let reply = asker.ask().await.unwrap();
                    answers.push((revision(&reply), reply.outcome()));
                }
                answers
            })
        })
        .collect();
    // Two sets with opposite answers.
    let sets = [("", "deny no_permit"), (OWNERS, "allow permitted")];
    for round in 1..=6 {
        let (text, expected) = sets[round % 2];
        service.setup.write("policies/everyone.cedar", text);
        service.until(&bob, update(), |reply| reply.outcome() == expected).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut by_revision = std::collections::HashMap::new();
    let mut count = 0;
    for asker in askers {
        for (revision, outcome) in asker.await.unwrap() {
            count += 1;
            assert_eq!(by_revision.entry(revision).or_insert_with(|| outcome.clone()), &outcome);
        }
    }
    assert!(count > 100 && by_revision.len() >= 3, "{count} answers under {} revisions", by_revision.len());
}

#[tokio::test]
async fn a_changed_configuration_is_shown_and_not_applied() {
    let service = Setup::new().start();
    let path = service.setup.path("palisade.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("explain = true", "explain = false")).unwrap();
    service.signal("HUP");
    let shown = service.ready(|reply| reply.body["configuration_changed"] == true).await;
    assert_eq!(shown.status, 200);
    let alice = service.token("alice", &["admin"]);
    assert_eq!(service.post("/authorize?explain=true", &alice, update()).await.status, 200);
}
