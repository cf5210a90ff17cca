//! Why a decision came out as it did: what `palisade decide` says of the policies that almost applied.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::Setup;

/// A question that the shop's admins may ask.
const UPDATE: &str = r#"{"action": "updateProduct", "resource": {"type": "Product", "id": "p-42", "attributes": {"price": "1.25"}}}"#;

/// What `decide` prints for this request on standard output.
fn decided(setup: &Setup, arguments: &[&str], request: &str) -> String {
    let mut command = setup.command(&[&["decide"], arguments].concat());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    text.lines().fold(String::new(), |mut lines, line| {
        writeln!(lines, "{}", line.trim_end()).unwrap();
        lines
    })
}

/// The shop with one more policy.
fn with_policy(text: &str) -> Setup {
    let setup = Setup::new();
    setup.write("policies/more.cedar", text);
    setup
}

#[test]
fn a_deny_shows_the_part_of_the_scope_that_stood_in_the_way() {
    let setup = Setup::new();
    assert_snapshot!(decided(&setup, &["--principal", "bob", "--group", "user"], UPDATE), @r#"
    deny: no_permit
    principal Shop::User::"bob" (access token)
      in Shop::Group::"user" (token)
      groups = ["user"]
      ☞ permit admins-manage-products did not apply: it is for another principal
        ╭─[policies/product.cedar:11:3]
     10 │ permit (
     11 │   principal in Shop::Group::"admin",
        ·   ────────────────┬────────────────
        ·                   ╰── it is Shop::User::"bob", in Shop::Group::"user"
     12 │   action in [Shop::Action::"manageProducts"],
        ╰────
    "#);
}

#[test]
fn who_is_in_no_group_and_who_is_in_another_case_is_told_so() {
    let setup = Setup::new();
    let hint = |arguments: &[&str]| {
        let text = decided(&setup, arguments, UPDATE);
        text.lines().filter(|line| line.starts_with("hint: ")).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(hint(&["--principal", "bob"]), @"hint: no groups were given, and `admins-manage-products` asks for `admin`");
    assert_snapshot!(hint(&["--principal", "bob", "--group", "Admin"]), @"hint: the token carries the group `Admin`, and `admins-manage-products` asks for `admin`: the case of letters counts, so write both alike");
}

#[test]
fn a_condition_shows_what_it_saw_and_an_attribute_that_was_not_sent_is_named() {
    let setup = with_policy(
        r#"@id("owners-update")
permit (principal, action == Shop::Action::"updateProduct", resource)
when { resource has status && resource.status == "draft" };

@id("cheap-ones")
permit (principal, action == Shop::Action::"updateProduct", resource is Shop::Product)
when { resource has price && resource.price.lessThan(decimal("1.0")) }
unless { context has ip };

@id("never-on-loan")
permit (principal, action == Shop::Action::"updateProduct", resource)
unless { principal in Shop::Group::"user" };
"#,
    );
    assert_snapshot!(decided(&setup, &["--principal", "bob", "--group", "user"], UPDATE), @r#"
    deny: no_permit
    principal Shop::User::"bob" (access token)
      in Shop::Group::"user" (token)
      groups = ["user"]
      ☞ permit owners-update did not apply: a condition does not hold
       ╭─[policies/more.cedar:3:8]
     2 │ permit (principal, action == Shop::Action::"updateProduct", resource)
     3 │ when { resource has status && resource.status == "draft" };
       ·        ─────────┬─────────
       ·                 ╰── `resource has status` is false
     4 │
       ╰────

      ☞ permit cheap-ones did not apply: a condition does not hold
       ╭─[policies/more.cedar:7:30]
     6 │ permit (principal, action == Shop::Action::"updateProduct", resource is Shop::Product)
     7 │ when { resource has price && resource.price.lessThan(decimal("1.0")) }
       ·                              ───────────────────┬───────────────────
       ·                                                 ╰── `resource.price` is decimal("1.25")
     8 │ unless { context has ip };
       ╰────

      ☞ permit never-on-loan did not apply: an exception holds
        ╭─[policies/more.cedar:12:10]
     11 │ permit (principal, action == Shop::Action::"updateProduct", resource)
     12 │ unless { principal in Shop::Group::"user" };
        ·          ────────────────┬───────────────
        ·                          ╰── `principal` is Shop::User::"bob", in Shop::Group::"user"
        ╰────

      ☞ permit admins-manage-products did not apply: it is for another principal
        ╭─[policies/product.cedar:11:3]
     10 │ permit (
     11 │   principal in Shop::Group::"admin",
        ·   ────────────────┬────────────────
        ·                   ╰── it is Shop::User::"bob", in Shop::Group::"user"
     12 │   action in [Shop::Action::"manageProducts"],
        ╰────

    hint: `resource` has no `status`, which `owners-update` asks for: send it in `resource.attributes`
    "#);
}

#[test]
fn a_question_that_cannot_be_asked_gets_the_actions_that_can() {
    let setup = Setup::new();
    let request = UPDATE.replace("\"Product\"", "\"Category\"").replace("\"price\": \"1.25\"", "");
    assert_snapshot!(decided(&setup, &["--principal", "bob"], &request), @r#"
    refused: schema_mismatch: `Shop::Action::"updateProduct"` does not apply to resources of type `Shop::Category`, but to `Shop::Product`
    hint: ask about a resource of type `Shop::Product`, or about another action: the actions on a `Shop::Category` are `createProduct`, `deleteCategory`, `listProducts`, `readCategory` and `updateCategory`
    "#);
}

#[test]
fn characters_that_command_a_terminal_do_not_reach_it() {
    let setup = with_policy(
        "@id(\"odd\") permit (principal, action, resource is Shop::Product) when { \"\u{1b}[31m\" == \"red\" };",
    );
    let text = decided(&setup, &["--principal", "bob"], UPDATE);
    assert!(text.contains("permit odd did not apply") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn for_programs_it_is_the_explanation_of_the_service() {
    let setup = Setup::new();
    let json = decided(&setup, &["--principal", "bob", "--group", "user", "--format", "json"], UPDATE);
    let explain = &serde_json::from_str::<Value>(&json).unwrap()["explain"];
    assert_eq!(explain["near_misses"][0]["id"], "admins-manage-products");
    assert_eq!(explain["near_misses"][0]["failed"][0]["text"], "principal in Shop::Group::\"admin\"");
    assert_eq!(explain["near_misses"][1]["failed"][0]["part"], "action");
    assert_eq!(explain["hints"], serde_json::json!([]));
}
