//! The tests of the policies as a gate: what fails them is not put in force, and a kill switch is.

use std::time::Instant;

use serde_json::json;

use crate::harness::{Reply, Service, Setup, update};

const TESTS: &str = r"
principals: { alice: { groups: [admin] }, bob: { groups: [user] } }
resources: { pen: { type: Product, id: p-42 } }
tests:
  - name: who may do what with a product
    resources: [pen]
    may: { alice: [readProduct, updateProduct, deleteProduct], bob: [readProduct] }
";

const EVERYONE: &str = r#"@id("everyone") permit (principal, action, resource);"#;

const STOP_ALICE: &str = r#"@id("stop") forbid (principal == Shop::User::"alice", action, resource);"#;

fn setup() -> Setup {
    let setup = Setup::new();
    std::fs::create_dir(setup.path("tests")).unwrap();
    setup.write("tests/product.test.yaml", TESTS);
    setup
        .settings("[policies]\ntests = \"tests\"\ntests_timeout = \"20s\"\nungated = [\"emergency.cedar\"]\n")
}

async fn degraded(service: &Service) -> Reply {
    service.ready(|reply| reply.body["status"] == "degraded").await
}

async fn asked(service: &Service, user: &str, groups: &[&str]) -> String {
    service.authorize(&service.token(user, groups), update()).await.outcome()
}

#[tokio::test]
async fn an_edit_that_fails_its_tests_is_not_put_in_force_until_the_tests_agree() {
    let service = setup().start();
    service.setup.write("policies/everyone.cedar", EVERYONE);
    let status = degraded(&service).await;
    assert_eq!(status.body["findings"][0]["code"], "test-failed");
    assert_eq!(status.body["findings"][0]["path"], "tests/product.test.yaml");
    assert_eq!(status.body["findings"][0]["line"], 7);
    assert_eq!(asked(&service, "bob", &["user"]).await, "deny no_permit");

    let all = TESTS.replace("bob: [readProduct]", "bob: [readProduct, updateProduct, deleteProduct]");
    service.setup.write("tests/product.test.yaml", &all);
    service.ready(|reply| reply.body["status"] == "ok").await;
    assert_eq!(asked(&service, "bob", &["user"]).await, "allow permitted");
}

#[tokio::test]
async fn a_kill_switch_goes_live_soon_while_the_rest_of_the_edit_fails() {
    let service = setup().start();
    let alice = service.token("alice", &["admin"]);
    let edited = Instant::now();
    service.setup.write("policies/everyone.cedar", EVERYONE);
    service.setup.write("policies/emergency.cedar", STOP_ALICE);
    let stopped = service.until(&alice, update(), |reply| reply.outcome() == "deny forbidden").await;
    println!("the kill switch answered after {:?}", edited.elapsed());
    assert_eq!(stopped.body["policies"], json!(["stop"]));
    degraded(&service).await;
    assert_eq!(asked(&service, "bob", &["user"]).await, "deny no_permit", "the rest is not in force");

    service.setup.write("policies/broken.cedar", "permit (");
    service
        .setup
        .write("policies/emergency.cedar", &STOP_ALICE.replace("== Shop::User::\"alice\"", "is Shop::User"));
    let bob = service.token("bob", &["user"]);
    let read = json!({"action": "readProduct", "resource": {"type": "Product", "id": "p-42"}});
    service.until(&bob, read, |reply| reply.outcome() == "deny forbidden").await;
}

#[tokio::test]
async fn an_emergency_keeps_no_other_edit_out() {
    let service = setup().start();
    service.setup.write("policies/emergency.cedar", STOP_ALICE);
    let alice = service.token("alice", &["admin"]);
    service.until(&alice, update(), |reply| reply.outcome() == "deny forbidden").await;
    service.setup.write(
        "policies/carol.cedar",
        r#"@id("carol") permit (principal == Shop::User::"carol", action, resource);"#,
    );
    let carol = service.token("carol", &[]);
    service.until(&carol, update(), |reply| reply.outcome() == "allow permitted").await;
    assert_eq!(asked(&service, "alice", &["admin"]).await, "deny forbidden");
}

#[tokio::test]
async fn a_forbid_that_is_taken_away_waits_for_the_rest_of_its_edit() {
    let setup = setup();
    setup.write("policies/emergency.cedar", STOP_ALICE);
    let service = setup.start();
    // It moves to another file, beside a policy that fails the tests.
    service.setup.write("policies/moved.cedar", &format!("{STOP_ALICE}\n{EVERYONE}"));
    service.setup.write("policies/emergency.cedar", "");
    degraded(&service).await;
    assert_eq!(asked(&service, "alice", &["admin"]).await, "deny forbidden");

    std::fs::remove_file(service.setup.path("policies/moved.cedar")).unwrap();
    let alice = service.token("alice", &["admin"]);
    service.until(&alice, update(), |reply| reply.outcome() == "allow permitted").await;
}

#[test]
fn a_service_does_not_start_on_policies_that_fail_their_tests() {
    let setup = setup();
    setup.write("policies/everyone.cedar", EVERYONE);
    let output = setup.command(&["serve"]).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("the test `who may do what with a product` fails"), "{complaint}");
}

#[test]
fn a_file_that_waits_for_no_tests_holds_no_permit() {
    let setup = setup();
    setup.write("policies/emergency.cedar", EVERYONE);
    for verb in [["serve"], ["check"]] {
        let output = setup.command(&verb).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(complaint.contains("a permit in a file that goes live without tests"), "{complaint}");
    }
}
