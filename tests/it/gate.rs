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

    // Nor does it matter how the rest is broken, or that another forbid stood there before.
    std::fs::write(service.setup.path("policies/unreadable.cedar"), [0xff]).unwrap();
    service.ready(|reply| reply.body["findings"].to_string().contains("not-utf-8")).await;
    service.setup.write("policies/emergency.cedar", &STOP_ALICE.replace("\"alice\"", "\"bob\""));
    let read = json!({"action": "readProduct", "resource": {"type": "Product", "id": "p-42"}});
    let bob = service.token("bob", &["user"]);
    service.until(&bob, read, |reply| reply.outcome() == "deny forbidden").await;
    assert_eq!(asked(&service, "alice", &["admin"]).await, "deny forbidden", "what stood there stays");
}

#[tokio::test]
async fn a_kill_switch_does_not_wait_for_tests_that_run() {
    let setup = setup();
    // Each case costs little, and these are many.
    let slow = format!(
        "principals: {{ alice: {{ groups: [admin] }} }}\nresources:\n{}tests:\n  - {{ name: slow, principals: [alice], \
         actions: [readProduct, updateProduct, deleteProduct], resources: [{}], expect: allow }}\n",
        (0..20_000).map(|n| format!("  p{n}: {{ type: Product, id: p-{n} }}\n")).collect::<String>(),
        (0..20_000).map(|n| format!("p{n}")).collect::<Vec<_>>().join(", "),
    );
    setup.write("tests/slow.test.yaml", &slow);
    let service = setup.start();
    let alice = service.token("alice", &["admin"]);
    service.setup.write(
        "policies/carol.cedar",
        "@id(\"carol\") permit (principal == Shop::User::\"carol\", action, resource);",
    );
    service.line("judging an edit");
    let edited = Instant::now();
    service.setup.write("policies/emergency.cedar", STOP_ALICE);
    service.until(&alice, update(), |reply| reply.outcome() == "deny forbidden").await;
    println!("the kill switch answered after {:?}", edited.elapsed());
    let carol = service.token("carol", &[]);
    assert_eq!(service.authorize(&carol, update()).await.outcome(), "deny no_permit", "the tests run yet");
    // The rest comes when it has passed, and takes nothing away.
    service.until(&carol, update(), |reply| reply.outcome() == "allow permitted").await;
    assert_eq!(asked(&service, "alice", &["admin"]).await, "deny forbidden");
}

#[tokio::test]
async fn an_emergency_may_have_tests_of_its_own() {
    let setup = setup();
    setup.write("policies/emergency.cedar", &STOP_ALICE.replace("alice", "mallory"));
    let tests =
        TESTS.replace("principals: {", "principals: { mallory: {},").replace("may: {", "may: { mallory: [],");
    setup.write("tests/product.test.yaml", &tests);
    let service = setup.start();
    service
        .setup
        .write("policies/more.cedar", "@id(\"more\") forbid (principal is Shop::Machine, action, resource);");
    service.line("another revision is in force");
    assert_eq!(service.operations("/readyz").await.body["status"], "ok");
}

#[tokio::test]
async fn tests_that_no_longer_hold_are_told_even_where_no_policy_changed() {
    let service = setup().start();
    service.setup.write("tests/product.test.yaml", &TESTS.replace("bob: [readProduct]", "bob: []"));
    degraded(&service).await;
    assert_eq!(asked(&service, "alice", &["admin"]).await, "allow permitted", "what is in force stays");
    service.setup.write("tests/product.test.yaml", TESTS);
    service.ready(|reply| reply.body["status"] == "ok").await;
}

#[tokio::test]
async fn a_forbid_is_not_narrowed_beside_an_edit_that_fails() {
    let setup = setup();
    setup.write("policies/emergency.cedar", STOP_ALICE);
    let service = setup.start();
    service.setup.write("policies/everyone.cedar", EVERYONE);
    service.setup.write("policies/emergency.cedar", &STOP_ALICE.replace(';', "when { false };"));
    degraded(&service).await;
    assert_eq!(asked(&service, "alice", &["admin"]).await, "deny forbidden");
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
