//! A service whose policies come in a bundle: made by the program, fetched over HTTP, and refused where it must be.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{PATIENCE, Reply, Service, Setup, update};
use crate::shelf::{Manner, Shelf};

pub(crate) const ANYBODY: &str = "@id(\"anybody\") permit (principal, action, resource);\n";

/// A shop whose policies are on this shelf; on disk it has the same, and nobody reads them there.
pub(crate) fn shop(shelf: &Shelf, more: &str) -> Setup {
    let url = shelf.url();
    Setup::new().settings(&format!("[policies.bundle]\nurl = \"{url}\"\npoll = \"1s\"\n{more}"))
}

/// What `palisade bundle` makes of the shop's files as they are now.
pub(crate) fn bundled(setup: &Setup) -> Vec<u8> {
    let output = setup.command(&["bundle", "--output", "made.tar.gz"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(setup.path("made.tar.gz")).unwrap()
}

/// A service of the shop whose bundle it has fetched from this shelf.
fn served(more: &str) -> (Shelf, Service) {
    let shelf = Shelf::new();
    let setup = shop(&shelf, more);
    shelf.put(bundled(&setup));
    (shelf, setup.start())
}

/// Ends it as nobody expects.
fn killed(service: &mut Service) {
    service.signal("KILL");
    service.ended();
}

async fn asked(service: &Service) -> String {
    let bob = service.token("bob", &["user"]);
    service.authorize(&bob, update()).await.outcome()
}

async fn until(service: &Service, outcome: &str) -> Reply {
    let bob = service.token("bob", &["user"]);
    service.until(&bob, update(), |reply| reply.outcome() == outcome).await
}

#[tokio::test]
async fn a_bundle_is_served_and_another_goes_live_in_its_place() {
    let shelf = Shelf::new();
    let setup = shop(&shelf, "");
    shelf.put(bundled(&setup));
    std::fs::remove_dir_all(setup.path("policies")).unwrap();
    let service = setup.start();
    assert_eq!(asked(&service).await, "deny no_permit");
    let before = service.operations("/readyz").await.body;
    assert_eq!(before["bundle"]["source"], shelf.url());
    assert_eq!(before["bundle"]["etag"], "\"v1\"");
    assert!(before["bundle"]["digest"].as_str().unwrap().starts_with("sha256:"));

    std::fs::create_dir(service.setup.path("policies")).unwrap();
    service.setup.write("policies/anybody.cedar", ANYBODY);
    shelf.put(bundled(&service.setup));
    let reply = until(&service, "allow permitted").await;
    assert_eq!(reply.body["policies"], serde_json::json!(["anybody"]));
    let after = service.ready(|reply| reply.body["revision"] != before["revision"]).await;
    assert_eq!(after.body["status"], "ok");
}

#[tokio::test]
async fn an_unchanged_bundle_costs_one_conditional_request_and_is_neither_downloaded_nor_compiled() {
    let (shelf, service) = served("");
    assert_eq!(shelf.counts(), (1, 0));
    let compiled = service.metric("palisade_reloads_total{result=\"ok\"}").await;
    shelf.asked(2);
    assert_eq!(asked(&service).await, "deny no_permit");
    let (downloads, unchanged) = shelf.counts();
    assert!(downloads == 1 && unchanged >= 2, "{downloads} downloads, {unchanged} unchanged");
    let polls = service.metric("palisade_bundle_polls_total{result=\"unchanged\"}").await;
    assert!(polls >= 2.0, "each was one request");
    assert_eq!(service.metric("palisade_reloads_total{result=\"ok\"}").await, compiled);
}

#[tokio::test]
async fn a_bundle_that_cannot_serve_is_judged_once_and_the_last_good_one_serves() {
    let shelf = Shelf::new();
    let setup = shop(&shelf, "");
    let good = bundled(&setup);
    shelf.put(good.clone());
    let service = setup.start();
    let revision = service.operations("/readyz").await.body["revision"].clone();

    let broken = bad();
    shelf.put(broken.clone());
    let degraded = service.ready(|reply| reply.body["status"] == "degraded").await;
    assert_eq!(degraded.body["findings"][0]["path"], "policies/bad.cedar");
    assert_eq!(degraded.body["revision"], revision);
    shelf.asked(2);
    assert_eq!(asked(&service).await, "deny no_permit");
    assert_eq!(service.metric("palisade_reloads_total{result=\"failed\"}").await, 1.0);
    assert_eq!(shelf.counts().0, 2);

    // The same bytes under another tag are downloaded once more.
    shelf.put(broken);
    shelf.asked(3);
    let downloads = shelf.counts().0;
    assert!(downloads <= 4, "{downloads} downloads");
    shelf.asked(2);
    assert_eq!(shelf.counts().0, downloads);

    shelf.put(good);
    service.ready(|reply| reply.body["status"] == "ok").await;
    assert_eq!(service.metric("palisade_reload_failing").await, 0.0);
}

#[tokio::test]
async fn a_bundle_with_files_that_nothing_reads_is_refused() {
    for (name, text) in [
        ("entities/e.json", "[]"),
        ("tests/a.test.yaml", "tests: []\n"),
        ("policy/a.cedar", ANYBODY),
        ("policies/README", ""),
    ] {
        let shelf = Shelf::new();
        let setup = shop(&shelf, "");
        shelf.put(packed_with(name, text));
        let service = setup.start();
        let refused = service.ready(|reply| reply.body["findings"][0]["path"] == name).await;
        assert_eq!(refused.body["findings"][0]["code"], "bundle-entry", "{refused:?}");
        assert_eq!(asked(&service).await, "503 not_ready");
    }
}

#[tokio::test]
async fn stored_entities_that_a_bundle_has_none_of_are_none() {
    let shelf = Shelf::new();
    let setup = Setup::new();
    shelf.put(bundled(&setup));
    let url = shelf.url();
    let bundle = format!("[policies.bundle]\nurl = \"{url}\"\n");
    let service = setup.settings(&format!("[policies]\nentities = \"entities\"\n{bundle}")).start();
    assert_eq!(asked(&service).await, "deny no_permit");
}

#[tokio::test]
async fn before_the_first_bundle_nothing_is_decided_and_the_files_on_disk_are_no_fallback() {
    let shelf = Shelf::new();
    let service = shop(&shelf, "").start();
    let bob = service.token("bob", &["user"]);
    let reply = service.authorize(&bob, update()).await;
    assert_eq!(reply.outcome(), "503 not_ready");
    assert_eq!(reply.headers["retry-after"], "1");
    let readiness = service.operations("/readyz").await;
    assert_eq!((readiness.status, &readiness.body["revision"]), (503, &Value::Null));
    assert!(readiness.body["bundle"]["failure"].as_str().unwrap().contains("404"), "{readiness:?}");

    shelf.put(bad());
    service.ready(|reply| reply.body["findings"][0]["path"] == "policies/bad.cedar").await;
    assert_eq!(asked(&service).await, "503 not_ready");

    shelf.put(bundled(&service.setup));
    until(&service, "deny no_permit").await;
    assert_eq!(service.operations("/readyz").await.body["status"], "ok");
}

#[tokio::test]
async fn a_store_that_fails_leaves_the_last_good_bundle_whatever_it_says() {
    let (shelf, service) = served("");
    for (manner, said) in [
        (Manner::Down, "unreachable"),
        (Manner::Status(403), "403"),
        (Manner::Status(503), "503"),
        (Manner::Status(302), "redirect (302)"),
        (Manner::Truncating, "unreachable"),
        (Manner::Boasting, "99999999999 bytes"),
        (Manner::Silent, "no complete answer"),
    ] {
        shelf.behave(manner);
        let shown =
            |reply: &Reply| reply.body["bundle"]["failure"].as_str().is_some_and(|why| why.contains(said));
        let degraded = service.ready(shown).await;
        assert_eq!((degraded.status, &degraded.body["status"]), (200, &Value::from("degraded")), "{said}");
        assert_eq!(asked(&service).await, "deny no_permit", "{said}");
    }
    assert_eq!(shelf.counts().0, 1);
    shelf.behave(Manner::Good);
    service.ready(|reply| reply.body["status"] == "ok").await;
}

#[tokio::test]
async fn without_entity_tags_the_same_bundle_is_compiled_once_all_the_same() {
    let shelf = Shelf::new();
    let setup = shop(&shelf, "");
    shelf.put(bundled(&setup));
    shelf.behave(Manner::Tagless);
    let service = setup.start();
    shelf.asked(2);
    assert_eq!(asked(&service).await, "deny no_permit");
    assert_eq!(service.metric("palisade_reloads_total{result=\"ok\"}").await, 1.0);
}

#[tokio::test]
async fn a_damaged_bundle_is_asked_for_again_although_its_tag_stays() {
    let shelf = Shelf::new();
    let setup = shop(&shelf, "");
    let good = bundled(&setup);
    shelf.put(good[..good.len() / 2].to_vec());
    let service = setup.start();
    service.ready(|reply| reply.body["findings"][0]["code"] == "bundle-damaged").await;
    let downloads = shelf.counts().0;
    shelf.asked(3);
    assert!(shelf.counts().0 >= downloads + 3, "each time: it may have been replaced while it came");
    assert_eq!(service.metric("palisade_reloads_total{result=\"failed\"}").await, 1.0, "and is judged once");
}

#[tokio::test]
async fn policies_of_which_nothing_was_heard_for_too_long_do_not_serve() {
    let (shelf, service) = served("max_stale = \"2s\"\n");
    assert_eq!(asked(&service).await, "deny no_permit");
    shelf.behave(Manner::Down);
    let reply = until(&service, "503 not_ready").await;
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(service.operations("/readyz").await.status, 503);
    assert!(service.metric("palisade_bundle_age_seconds").await > 2.0);
    shelf.behave(Manner::Good);
    until(&service, "deny no_permit").await;
}

#[tokio::test]
async fn the_last_good_copy_serves_a_restart_with_the_age_that_it_has() {
    let (shelf, mut service) = served("copy = \"copy\"\n");
    let revision = service.operations("/readyz").await.body["revision"].clone();
    copied(&service);
    killed(&mut service);
    shelf.behave(Manner::Down);

    let service = restarted(service);
    assert_eq!(asked(&service).await, "deny no_permit");
    let readiness = service.operations("/readyz").await.body;
    assert_eq!((&readiness["revision"], &readiness["status"]), (&revision, &Value::from("degraded")));
    shelf.behave(Manner::Good);
    service.ready(|reply| reply.body["status"] == "ok").await;
    assert_eq!(shelf.counts().0, 1, "the store was asked whether it has another, and had none");
}

#[tokio::test]
async fn a_copy_that_is_damaged_too_old_or_open_to_others_does_not_serve() {
    let (shelf, mut service) = served("copy = \"copy\"\n");
    copied(&service);
    killed(&mut service);
    shelf.behave(Manner::Down);
    let path = service.setup.path("copy");
    let copy = std::fs::read(&path).unwrap();

    let mut damaged = copy.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let mut service = restarted(service);
    assert_eq!(asked(&service).await, "503 not_ready");
    killed(&mut service);

    std::fs::write(&path, &copy).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
    let mut service = restarted(service);
    assert_eq!(asked(&service).await, "503 not_ready");
    killed(&mut service);
    let said = service.before_it_listened("the last good copy is not used");
    assert!(said["fault"].as_str().unwrap().starts_with("its mode is 0660"), "{said}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();

    let (head, bundle) = copy.split_at(copy.iter().position(|byte| *byte == b'\n').unwrap());
    let mut head: Value = serde_json::from_slice(head).unwrap();
    head["confirmed_at"] = (head["confirmed_at"].as_i64().unwrap() - 25 * 3_600_000).into();
    std::fs::write(&path, [head.to_string().as_bytes(), bundle].concat()).unwrap();
    let service = restarted(service);
    assert_eq!(asked(&service).await, "503 not_ready");
}

/// A shop with its bundle on this shelf, which comes only once its keys have been asked for. Those never come.
pub(crate) fn unless_side_by_side(shelf: &Shelf) -> Setup {
    let keys = Shelf::new();
    let setup = shop(shelf, "").keys_at(&keys.url());
    shelf.put(bundled(&setup));
    shelf.hesitate_until_asked(&keys);
    setup
}

#[tokio::test]
async fn keys_and_bundle_are_fetched_side_by_side() {
    let shelf = Shelf::new();
    let service = unless_side_by_side(&shelf).start();
    let polls =
        async |result| service.metric(&format!("palisade_bundle_polls_total{{result=\"{result}\"}}")).await;
    assert_eq!((polls("fetched").await, polls("timeout").await), (1.0, 0.0));
}

#[test]
fn a_place_outside_of_the_bundle_and_an_unsafe_url_stop_the_start() {
    let shelf = Shelf::new();
    let refused = |settings: String, what: &str| {
        let output = Setup::new().settings(&settings).command(&["serve"]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && told.contains(what), "{told}");
    };
    let bundle = format!("[policies.bundle]\nurl = \"{}\"\n", shelf.url());
    for path in ["/etc/policies", "../policies"] {
        refused(format!("[policies]\ndir = \"{path}\"\n{bundle}"), "`policies.dir` leads out of the bundle");
    }
    refused(
        "[policies.bundle]\nurl = \"http://example.com/p.tar.gz\"\n".to_owned(),
        "neither https nor on loopback",
    );
    refused(format!("{bundle}poll = \"10ms\"\n"), "once a second");
}

/// A bundle that `palisade bundle` would not make: its policy does not fit its schema.
fn bad() -> Vec<u8> {
    packed_with("policies/bad.cedar", "permit (principal, action, resource) when { principal.nothing };\n")
}

/// The shop's files and one more, packed without a look at them.
fn packed_with(name: &str, text: &str) -> Vec<u8> {
    let setup = Setup::new();
    std::fs::create_dir_all(setup.path(name).parent().unwrap()).unwrap();
    setup.write(name, text);
    let packed = Command::new("tar")
        .args(["--create", "--gzip", "--file", "packed.tar.gz", "policies", "schema"])
        .args(if name.starts_with("policies/") { None } else { Some(name) })
        .current_dir(setup.folder.path())
        .status();
    assert!(packed.unwrap().success());
    std::fs::read(setup.path("packed.tar.gz")).unwrap()
}

/// Waits until there is a copy: nobody else does.
fn copied(service: &Service) {
    let deadline = Instant::now() + PATIENCE;
    while !service.setup.path("copy").exists() {
        assert!(Instant::now() < deadline, "there is no copy");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The program once more, in the same folder.
fn restarted(mut service: Service) -> Service {
    let setup = std::mem::replace(&mut service.setup, Setup::new());
    setup.start()
}
