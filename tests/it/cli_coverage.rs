//! `palisade test --coverage` as policy authors, CI and readers of tracefiles meet it.

use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::Setup;

/// Tests that leave much of the shop's policies unseen.
const SOME: &str = r"principals:
  alice: { groups: [admin] }
resources:
  draft: { type: Product, id: p-1 }
  toys: { type: Category, id: toys }
tests:
  - name: admins update products
    principals: [alice]
    actions: [updateProduct]
    resources: [draft]
    expect: allow
  - name: admins delete an empty category
    principals: [alice]
    actions: [deleteCategory]
    resources: [toys]
    context: { productCount: 0 }
    expect: allow
";

fn setup() -> Setup {
    let setup = Setup::new();
    std::fs::create_dir_all(setup.path("tests/policies")).unwrap();
    setup.write("tests/policies/some.test.yaml", SOME);
    setup
}

/// Exit code, standard output and standard error.
fn shown(setup: &Setup, arguments: &[&str]) -> String {
    let output = command(setup, arguments).output().unwrap();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    };
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", output.status.code().unwrap())
}

fn command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = setup.command(&[&["test"], arguments].concat());
    command.stdin(Stdio::null());
    command
}

fn json(setup: &Setup, arguments: &[&str]) -> Value {
    serde_json::from_slice(&command(setup, arguments).output().unwrap().stdout).unwrap()
}

#[test]
fn the_tests_of_the_shop_cover_it_in_full_and_ask_every_question() {
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .args(["test", "--coverage-threshold", "100", "--format", "json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let coverage = &report["coverage"];
    assert_eq!((output.status.code(), &coverage["percent"]), (Some(0), &Value::from(100.0)), "{coverage:#}");
    assert!(coverage["items"].as_u64().unwrap() > 5);
    assert_eq!(coverage["unasked"], Value::Array(vec![]));
}

#[test]
fn what_no_test_has_seen_is_listed_with_its_place() {
    assert_snapshot!(shown(&setup(), &["--coverage"]), @r#"
    exit 0
    --- stdout
    tests/policies/some.test.yaml: 2 passed
    2 passed
    coverage 44.4% (4 of 9)
      policies/category.cedar 42.8% (3 of 7)
        11:8 when `principal.groups.contains("admin")` was never false
        13:1 permit users-view-categories never applied
        22:1 forbid filled-categories-stay never applied
        28:8 when `context.productCount > 0` was never true
      policies/product.cedar 50.0% (1 of 2)
        17:1 permit users-view-products never applied
    no test asks
      Shop::Action::"createCategory"
      Shop::Action::"createProduct"
      Shop::Action::"deleteProduct"
      Shop::Action::"listCategories"
      Shop::Action::"listProducts"
      Shop::Action::"readCategory"
      Shop::Action::"readProduct"
      Shop::Action::"updateCategory"
    --- stderr
    "#);
}

#[test]
fn less_than_the_threshold_is_a_problem() {
    let setup = setup();
    let code = |arguments: &[&str]| command(&setup, arguments).output().unwrap().status.code();
    assert_eq!(code(&["--coverage-threshold", "44"]), Some(0));
    assert_snapshot!(shown(&setup, &["--coverage-threshold", "45"]), @r#"
    exit 1
    --- stdout
    tests/policies/some.test.yaml: 2 passed
    2 passed
    coverage 44.4% (4 of 9)
      policies/category.cedar 42.8% (3 of 7)
        11:8 when `principal.groups.contains("admin")` was never false
        13:1 permit users-view-categories never applied
        22:1 forbid filled-categories-stay never applied
        28:8 when `context.productCount > 0` was never true
      policies/product.cedar 50.0% (1 of 2)
        17:1 permit users-view-products never applied
    no test asks
      Shop::Action::"createCategory"
      Shop::Action::"createProduct"
      Shop::Action::"deleteProduct"
      Shop::Action::"listCategories"
      Shop::Action::"listProducts"
      Shop::Action::"readCategory"
      Shop::Action::"readProduct"
      Shop::Action::"updateCategory"
    --- stderr
      × coverage is 44.4% (4 of 9), less than 45%
      help: write tests for what no test has seen
    "#);
    assert_eq!(code(&["--coverage-threshold", "101"]), Some(2));
    assert_eq!(code(&["--coverage-threshold", "1", "--filter", "admins*"]), Some(2));
    assert_eq!(code(&["--coverage", "--filter", "admins*"]), Some(0));
}

#[test]
fn a_workflow_is_shown_what_no_test_has_seen_where_it_stands() {
    let setup = setup();
    let arguments = ["--coverage-threshold", "100", "--format", "github"];
    let output = command(&setup, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let gaps: Vec<_> = text.lines().filter(|line| line.starts_with("::warning")).collect();
    insta::assert_snapshot!(gaps.join("\n"), @r#"
    ::warning file=policies/category.cedar,line=11,col=8,title=coverage::when `principal.groups.contains("admin")` was never false
    ::warning file=policies/category.cedar,line=13,col=1,title=coverage::permit users-view-categories never applied
    ::warning file=policies/category.cedar,line=22,col=1,title=coverage::forbid filled-categories-stay never applied
    ::warning file=policies/category.cedar,line=28,col=8,title=coverage::when `context.productCount > 0` was never true
    ::warning file=policies/product.cedar,line=17,col=1,title=coverage::permit users-view-products never applied
    "#);
}

#[test]
fn a_policy_that_need_not_be_covered_says_why() {
    let setup = setup();
    setup.write(
        "policies/more.cedar",
        "@id(\"breakglass\") @coverage(\"skip: for incidents\")\nforbid (principal, action, resource) when { context has ip };\n\
         @id(\"odd\") @coverage(\"no\") permit (principal in Shop::Group::\"audit\", action, resource)\nunless { principal == resource };",
    );
    let text = shown(&setup, &["--coverage"]);
    assert!(text.contains("\n    1:1 forbid breakglass is skipped: for incidents\n"), "{text}");
    assert!(text.contains("\n    3:1 permit odd never applied\n    4:10 unless `principal == resource` was never evaluated\n"), "{text}");
    assert!(text.contains("`@coverage(\"no\")` of `odd` is not understood"), "{text}");
}

#[test]
fn for_programs_every_count_is_there() {
    let setup = setup();
    let report = json(&setup, &["--coverage", "--format", "json"]);
    let file = &report["coverage"]["files"][0];
    assert_eq!((&file["path"], &file["hit"]), (&Value::from("policies/category.cedar"), &Value::from(3)));
    let forbid = &file["policies"][2];
    assert_eq!(
        (&forbid["id"], &forbid["applied"]),
        (&Value::from("filled-categories-stay"), &Value::from(0))
    );
    let condition = &forbid["conditions"][0];
    assert_eq!((&condition["held"], &condition["failed"]), (&Value::from(0), &Value::from(1)));

    let written =
        command(&setup, &["--coverage-format", "json", "--coverage-file", "coverage.json"]).output();
    assert!(String::from_utf8(written.unwrap().stdout).unwrap().ends_with("coverage 44.4% (4 of 9)\n"));
    let coverage: Value =
        serde_json::from_str(&std::fs::read_to_string(setup.path("coverage.json")).unwrap()).unwrap();
    assert_eq!(coverage, report["coverage"]);
}

#[test]
fn a_tracefile_has_a_function_per_policy_and_two_branches_per_condition() {
    let setup = setup();
    setup.write(
        "policies/more.cedar",
        "permit (principal, action, resource) when { context has ip }; forbid (principal, action, resource) unless { true };",
    );
    let output = command(&setup, &["--coverage-format", "lcov", "--coverage-file", "coverage.info"]).output();
    assert_eq!(output.unwrap().status.code(), Some(0));
    assert_snapshot!(std::fs::read_to_string(setup.path("coverage.info")).unwrap(), @r"
    TN:
    SF:policies/category.cedar
    FN:5,admins-manage-categories
    FN:13,users-view-categories
    FN:22,filled-categories-stay
    FNDA:1,admins-manage-categories
    FNDA:0,users-view-categories
    FNDA:0,filled-categories-stay
    FNF:3
    FNH:1
    BRDA:11,0,0,1
    BRDA:11,0,1,0
    BRDA:28,0,0,0
    BRDA:28,0,1,1
    BRF:4
    BRH:2
    DA:5,1
    DA:11,1
    DA:13,0
    DA:22,0
    DA:28,1
    LF:5
    LH:3
    end_of_record
    TN:
    SF:policies/more.cedar
    FN:1,more#1
    FN:1,more#2
    FNDA:0,more#1
    FNDA:0,more#2
    FNF:2
    FNH:0
    BRDA:1,0,0,0
    BRDA:1,0,1,2
    BRDA:1,1,0,0
    BRDA:1,1,1,2
    BRF:4
    BRH:2
    DA:1,4
    LF:1
    LH:1
    end_of_record
    TN:
    SF:policies/product.cedar
    FN:9,admins-manage-products
    FN:17,users-view-products
    FNDA:1,admins-manage-products
    FNDA:0,users-view-products
    FNF:2
    FNH:1
    BRF:0
    BRH:0
    DA:9,1
    DA:17,0
    LF:2
    LH:1
    end_of_record
    ");
}

#[test]
fn a_file_that_cannot_be_written_is_said_at_the_end() {
    let text = shown(&setup(), &["--coverage-file", "no/such/folder/coverage.txt"]);
    assert!(
        text.starts_with("exit 2") && text.contains("`no/such/folder/coverage.txt` cannot be written"),
        "{text}"
    );
}
