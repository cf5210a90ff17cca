//! `palisade test` as policy authors, CI and GitHub meet it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::{PATIENCE, Setup};

/// One test of each kind: passed, failed by decision, by refusal and by policy, and skipped.
const MIXED: &str = r#"principals:
  alice: { groups: [admin] }
  bob: { groups: [user] }
resources:
  draft: { type: Product, id: p-1, attributes: { status: draft } }
  toys: { type: Category, id: toys }
tests:
  - name: users look and change nothing
    resources: [draft]
    may:
      alice: [readProduct, updateProduct]
      bob: [readProduct, updateProduct]
  - name: only admins manage
    principals: [alice]
    actions: [updateProduct, readProduct]
    resources: [draft]
    expect: allow
    policies: [admins-manage-products]
  - name: nobody deletes a category that holds products
    principals: [alice]
    actions: [deleteCategory]
    resources: [toys]
    expect: deny
  - name: machines import
    skip: waits for the importer
"#;

fn setup(tests: &[(&str, &str)]) -> Setup {
    let setup = Setup::new();
    std::fs::create_dir_all(setup.path("tests/policies")).unwrap();
    for (name, text) in tests {
        setup.write(&format!("tests/policies/{name}"), text);
    }
    setup
}

fn run(setup: &Setup, args: &[&str]) -> Output {
    command(setup, args).output().unwrap()
}

fn command(setup: &Setup, args: &[&str]) -> Command {
    let mut command = setup.command(&[&["test"], args].concat());
    command.stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error.
fn shown(setup: &Setup, args: &[&str]) -> String {
    let output = run(setup, args);
    let folder = setup.folder.path().display().to_string();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap().replace(&folder, "<folder>");
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    };
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", output.status.code().unwrap())
}

fn json(setup: &Setup, args: &[&str]) -> Value {
    let output = run(setup, &[args, &["--format", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_tests_of_the_shop_pass_under_its_own_settings() {
    let output = Command::new(env!("CARGO_BIN_EXE_palisade"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .args(["test", "--format", "json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["failed"]), (Some(0), &Value::from(0)), "{report:#}");
    assert!(report["passed"].as_u64().unwrap() > 50);
    assert_eq!(report["findings"], Value::Array(vec![]));
}

#[test]
fn the_example_of_the_readme_passes() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let example = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let setup = setup(&[("readme.test.yaml", example)]);
    let report = json(&setup, &[]);
    assert_eq!((&report["passed"], &report["failed"]), (&16.into(), &0.into()), "{report:#}");
}

#[test]
fn failures_are_shown_in_full_and_what_passed_is_counted() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    assert_snapshot!(shown(&setup, &[]), @r#"
    exit 1
    --- stdout
    tests/policies/mixed.test.yaml: 5 passed, 4 failed, 1 skipped
      ✗ users look and change nothing tests/policies/mixed.test.yaml:8:11
        alice · deleteProduct · draft (11:7)
          expected deny, as `may` does not list it
          got allow (permitted): `admins-manage-products` permits it
            admins-manage-products at policies/product.cedar:9:1
        bob · updateProduct · draft (12:7)
          expected allow
          got deny (no_permit): no policy permits it
            nearest: admins-manage-products at policies/product.cedar:9:1, but for `principal in Shop::Group::"admin"`
      ✗ only admins manage tests/policies/mixed.test.yaml:13:11
        alice · readProduct · draft
          expected allow by exactly `admins-manage-products`
          got allow (permitted): `users-view-products` determined it, not `admins-manage-products`
            users-view-products at policies/product.cedar:17:1
      ✗ nobody deletes a category that holds products tests/policies/mixed.test.yaml:19:11
        alice · deleteCategory · toys
          expected deny
          got refused: schema_mismatch: `context.productCount` is missing: the schema requires an integer
      - machines import tests/policies/mixed.test.yaml:24:11
        skipped: waits for the importer
    5 passed, 4 failed, 1 skipped
    --- stderr
    "#);
}

#[test]
fn what_is_wrong_with_a_file_is_pointed_at_and_the_others_run() {
    let good = "principals: { bob: {} }\nresources: { toys: { type: Category, id: toys } }\ntests: [{ name: all look, principals: [bob], actions: [readCategory], resources: [toys], expect: allow }]\n";
    let setup = setup(&[
        ("a.test.yaml", "tests:\n  - name: x\n    expct: allow\n"),
        ("b.test.yaml", "tests:\n  - name: x\n    name: y\n"),
        ("c.test.yaml", "tests: [\n"),
        ("d.test.yaml", good),
        ("e.test.yaml", &good.replace("principals: [bob]", "principals: [bobby]")),
    ]);
    assert_snapshot!(shown(&setup, &[]), @r#"
    exit 1
    --- stdout
    tests/policies/d.test.yaml: 1 passed
    1 passed; 4 errors in the files
    --- stderr
    test-format

      × unknown member `expct`: did you mean `expect`?
       ╭─[tests/policies/a.test.yaml:3:5]
     2 │   - name: x
     3 │     expct: allow
       ·     ─────
       ╰────

    test-format

      × the member `name` is given twice
       ╭─[tests/policies/b.test.yaml:3:5]
     2 │   - name: x
     3 │     name: y
       ·     ────
       ╰────

    test-format

      × unclosed bracket '['
       ╭─[tests/policies/c.test.yaml:1:8]
     1 │ tests: [
       ·        ▲
       ╰────

    unknown-fixture

      × no principal `bobby` is defined: did you mean `bob`?
       ╭─[tests/policies/e.test.yaml:3:40]
     2 │ resources: { toys: { type: Category, id: toys } }
     3 │ tests: [{ name: all look, principals: [bobby], actions: [readCategory], resources: [toys], expect: allow }]
       ·                                        ─────
       ╰────
    "#);
}

#[test]
fn policies_that_do_not_compile_leave_nothing_to_test() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    setup.write("policies/broken.cedar", "@id(\"broken\")\npermit (principal, action resource);\n");
    assert_snapshot!(shown(&setup, &[]), @r#"
    exit 2
    --- stdout
    1 error
    --- stderr
    syntax

      × unexpected `resource`
       ╭─[policies/broken.cedar:2:27]
     1 │ @id("broken")
     2 │ permit (principal, action resource);
       ·                           ────────
       ╰────
    "#);
}

#[test]
fn policies_that_do_not_compile_are_on_record_all_the_same() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    setup.write("policies/broken.cedar", "@id(\"broken\")\npermit (principal, action resource);\n");
    let mut command = setup.command(&["test", "--format", "github", "--junit", "results.xml"]);
    command.env("GITHUB_STEP_SUMMARY", setup.path("summary.md"));
    assert_eq!(command.output().unwrap().status.code(), Some(2));
    let written = |name: &str| std::fs::read_to_string(setup.path(name)).unwrap();
    let summary = written("summary.md");
    assert!(summary.starts_with("### Policy tests: not run, the policies do not compile\n"), "{summary}");
    assert!(summary.contains("policies/broken.cedar") && summary.contains("unexpected"), "{summary}");
    let results = written("results.xml");
    assert!(results.contains("errors=\"1\"") && results.contains("type=\"syntax\""), "{results}");
}

#[test]
fn a_run_of_nothing_fails_unless_that_is_allowed() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    assert_snapshot!(shown(&setup, &["--filter", "principal=carol"]), @r#"
    exit 1
    --- stdout
    0 passed
    --- stderr
      × no test matches the filter
      help: a glob must match the whole name: write `*` for the rest
    "#);
    assert_snapshot!(shown(&setup, &["--filter", "principal=carol", "--allow-empty"]), @r#"
    exit 0
    --- stdout
    0 passed
    --- stderr
    "#);
    std::fs::remove_dir_all(setup.path("tests")).unwrap();
    assert_snapshot!(shown(&setup, &[]), @r#"
    exit 1
    --- stdout
    0 passed
    --- stderr
      × no test was run
      help: name files or folders with tests; `--allow-empty` takes none for good
    "#);
    assert_eq!(run(&setup, &["--allow-empty"]).status.code(), Some(0));
    assert_snapshot!(shown(&setup, &["nowhere"]), @r#"
    exit 2
    --- stdout

    --- stderr
      × there is no `nowhere`
    "#);
}

#[test]
fn a_filter_is_a_glob_on_what_a_case_is_called() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    assert_snapshot!(shown(&setup, &["--filter", "action=read*", "--filter", "users *"]), @r#"
    exit 0
    --- stdout
    tests/policies/mixed.test.yaml: 2 passed
    2 passed
    --- stderr
    "#);
    assert_snapshot!(shown(&setup, &["--filter", "acton=read*"]), @r#"
    exit 2
    --- stdout

    --- stderr
      × a filter has no `acton`: did you mean `action`?
      help: write `--filter 'action=update*'`, or a glob on the test's name
    "#);
}

#[test]
fn the_first_failure_ends_the_run_where_that_is_asked_for() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    assert_snapshot!(shown(&setup, &["--fail-fast"]), @r#"
    exit 1
    --- stdout
    tests/policies/mixed.test.yaml: 0 passed, 1 failed
      ✗ users look and change nothing tests/policies/mixed.test.yaml:8:11
        alice · deleteProduct · draft (11:7)
          expected deny, as `may` does not list it
          got allow (permitted): `admins-manage-products` permits it
            admins-manage-products at policies/product.cedar:9:1
    stopped at the first failure
    0 passed, 1 failed
    --- stderr
    "#);
}

#[test]
fn for_programs_there_is_json() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    let report = json(&setup, &["--filter", "only *"]);
    let mut shown = report.clone();
    shown["revision"] = Value::Null;
    assert!(report["revision"].as_str().unwrap().starts_with("sha256:"));
    assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap(), @r#"
    {
      "passed": 1,
      "failed": 1,
      "skipped": 0,
      "findings": [],
      "files": [
        {
          "path": "tests/policies/mixed.test.yaml",
          "passed": 1,
          "failed": 1,
          "skipped": 0,
          "tests": [
            {
              "name": "only admins manage",
              "line": 13,
              "column": 11,
              "passed": 1,
              "failures": [
                {
                  "principal": "alice",
                  "action": "readProduct",
                  "resource": "draft",
                  "line": 13,
                  "column": 11,
                  "offset": 353,
                  "length": 18,
                  "expected": "allow by exactly `admins-manage-products`",
                  "got": "allow (permitted)",
                  "why": [
                    "`users-view-products` determined it, not `admins-manage-products`"
                  ],
                  "policies": [
                    {
                      "id": "users-view-products",
                      "path": "policies/product.cedar",
                      "line": 17,
                      "column": 1
                    }
                  ]
                }
              ]
            }
          ]
        }
      ],
      "revision": null
    }
    "#);
}

#[test]
fn for_github_there_are_annotations_and_a_summary() {
    let hostile = "principals: { bob: {} }\nresources: { toys: { type: Category, id: toys } }\ntests:\n  - name: \"a|b\\n::stop-commands::x\"\n    principals: [bob]\n    actions: [updateCategory]\n    resources: [toys]\n    expect: allow\n  - { name: x, expct: allow }\n";
    let setup = setup(&[
        ("mixed.test.yaml", MIXED),
        ("hostile.test.yaml", &hostile.replace("  - { name: x, expct: allow }\n", "")),
        ("broken.test.yaml", hostile),
    ]);
    let mut command = command(&setup, &["--format", "github"]);
    command.env("GITHUB_STEP_SUMMARY", setup.path("summary.md"));
    command.env("GITHUB_WORKSPACE", setup.folder.path().parent().unwrap());
    let output = command.output().unwrap();
    let folder = setup.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    let stdout = String::from_utf8(output.stdout).unwrap().replace(&folder, "<folder>");
    assert_snapshot!(stdout, @r#"
    ::error file=<folder>/tests/policies/broken.test.yaml,line=9,col=16,title=test-format::unknown member `expct`: did you mean `expect`?
    ::error file=<folder>/tests/policies/hostile.test.yaml,line=4,col=11,title=a|b%0A%3A%3Astop-commands%3A%3Ax::bob updateCategory toys: expected allow, got deny (no_permit): no policy permits it%0A  nearest: admins-manage-categories at policies/category.cedar:5:1, but for `principal.groups.contains("admin")`%0A  hint: the access token carries no groups, and `admins-manage-categories` asks for `admin`: if the user belongs there, add them in the user pool; tokens issued after that carry it
    ::error file=<folder>/tests/policies/mixed.test.yaml,line=8,col=11,title=users look and change nothing::alice deleteProduct draft: expected deny, as `may` does not list it, got allow (permitted): `admins-manage-products` permits it%0A  admins-manage-products at policies/product.cedar:9:1%0Abob updateProduct draft: expected allow, got deny (no_permit): no policy permits it%0A  nearest: admins-manage-products at policies/product.cedar:9:1, but for `principal in Shop::Group::"admin"`
    ::error file=<folder>/tests/policies/mixed.test.yaml,line=13,col=11,title=only admins manage::alice readProduct draft: expected allow by exactly `admins-manage-products`, got allow (permitted): `users-view-products` determined it, not `admins-manage-products`%0A  users-view-products at policies/product.cedar:17:1
    ::error file=<folder>/tests/policies/mixed.test.yaml,line=19,col=11,title=nobody deletes a category that holds products::alice deleteCategory toys: expected deny, got refused: schema_mismatch: `context.productCount` is missing: the schema requires an integer
    5 passed, 5 failed, 1 skipped
    "#);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(stdout.lines().all(|line| line.starts_with("::error file=") || line.ends_with(" skipped")));
    assert_snapshot!(std::fs::read_to_string(setup.path("summary.md")).unwrap(), @r#"
    ### Policy tests: 5 passed, 5 failed, 1 skipped

    - tests/policies/broken.test.yaml&#58;9&#58;16&#58; unknown member &#96;expct&#96;&#58; did you mean &#96;expect&#96;&#63;

    | test | principal | action | resource | expected | got |
    |---|---|---|---|---|---|
    | a&#124;b &#58;&#58;stop-commands&#58;&#58;x | bob | updateCategory | toys | allow | deny (no&#95;permit)&#58; no policy permits it |
    | users look and change nothing | alice | deleteProduct | draft | deny, as &#96;may&#96; does not list it | allow (permitted)&#58; &#96;admins-manage-products&#96; permits it |
    | users look and change nothing | bob | updateProduct | draft | allow | deny (no&#95;permit)&#58; no policy permits it |
    | only admins manage | alice | readProduct | draft | allow by exactly &#96;admins-manage-products&#96; | allow (permitted)&#58; &#96;users-view-products&#96; determined it, not &#96;admins-manage-products&#96; |
    | nobody deletes a category that holds products | alice | deleteCategory | toys | deny | refused&#58; schema&#95;mismatch&#58; &#96;context.productCount&#96; is missing&#58; the schema requires an integer |
    "#);
}

#[test]
fn for_jenkins_there_is_junit() {
    let setup = setup(&[("mixed.test.yaml", MIXED), ("broken.test.yaml", "tests: [\n")]);
    let output = run(&setup, &["--junit", "results.xml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(std::fs::read_to_string(setup.path("results.xml")).unwrap(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="palisade test" tests="11" failures="4" errors="1">
        <testsuite name="tests/policies/broken.test.yaml" tests="1" skipped="0" errors="1" failures="0">
            <testcase name="test-format at line 1" classname="tests/policies/broken.test.yaml">
                <error message="tests/policies/broken.test.yaml:1:8: unclosed bracket &apos;[&apos;" type="test-format"/>
            </testcase>
        </testsuite>
        <testsuite name="tests/policies/mixed.test.yaml" tests="10" skipped="1" errors="0" failures="4">
            <testcase name="users look and change nothing: alice readProduct draft" classname="tests/policies/mixed.test.yaml"/>
            <testcase name="users look and change nothing: alice updateProduct draft" classname="tests/policies/mixed.test.yaml"/>
            <testcase name="users look and change nothing: bob deleteProduct draft" classname="tests/policies/mixed.test.yaml"/>
            <testcase name="users look and change nothing: bob readProduct draft" classname="tests/policies/mixed.test.yaml"/>
            <testcase name="users look and change nothing: alice deleteProduct draft" classname="tests/policies/mixed.test.yaml">
                <failure message="expected deny, as `may` does not list it, got allow (permitted)" type="allow (permitted)">`admins-manage-products` permits it
    admins-manage-products at policies/product.cedar:9:1</failure>
            </testcase>
            <testcase name="users look and change nothing: bob updateProduct draft" classname="tests/policies/mixed.test.yaml">
                <failure message="expected allow, got deny (no_permit)" type="deny (no_permit)">no policy permits it
    nearest: admins-manage-products at policies/product.cedar:9:1, but for `principal in Shop::Group::&quot;admin&quot;`</failure>
            </testcase>
            <testcase name="only admins manage: alice updateProduct draft" classname="tests/policies/mixed.test.yaml"/>
            <testcase name="only admins manage: alice readProduct draft" classname="tests/policies/mixed.test.yaml">
                <failure message="expected allow by exactly `admins-manage-products`, got allow (permitted)" type="allow (permitted)">`users-view-products` determined it, not `admins-manage-products`
    users-view-products at policies/product.cedar:17:1</failure>
            </testcase>
            <testcase name="nobody deletes a category that holds products: alice deleteCategory toys" classname="tests/policies/mixed.test.yaml">
                <failure message="expected deny, got refused: schema_mismatch" type="refused: schema_mismatch">`context.productCount` is missing: the schema requires an integer</failure>
            </testcase>
            <testcase name="machines import" classname="tests/policies/mixed.test.yaml">
                <skipped message="waits for the importer"/>
            </testcase>
        </testsuite>
    </testsuites>
    "#);
    assert_snapshot!(shown(&setup, &["--junit", "nowhere/results.xml", "--filter", "machines*", "--allow-empty"]), @r#"
    exit 2
    --- stdout
    tests/policies/mixed.test.yaml: 0 passed, 1 skipped
      - machines import tests/policies/mixed.test.yaml:24:11
        skipped: waits for the importer
    0 passed, 1 skipped; 1 error in the files
    --- stderr
    test-format

      × unclosed bracket '['
       ╭─[tests/policies/broken.test.yaml:1:8]
     1 │ tests: [
       ·        ▲
       ╰────

      × `nowhere/results.xml` cannot be written: No such file or directory (os error 2)
    "#);
}

#[test]
fn the_schema_that_is_printed_is_the_published_one() {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/policy-test.schema.json");
    let setup = setup(&[]);
    let output = run(&setup, &["--print-schema"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), std::fs::read_to_string(published).unwrap());
}

#[test]
fn a_save_runs_the_tests_again() {
    let setup = setup(&[("mixed.test.yaml", MIXED)]);
    let mut command = command(&setup, &["--watch"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let until = |wanted: &str| {
        let mut seen = Vec::new();
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            if line == wanted {
                return seen;
            }
            seen.push(line);
        }
        panic!("`{wanted}` never came: {seen:#?}");
    };
    until("5 passed, 4 failed, 1 skipped");
    setup.write("policies/more.cedar", "@id(\"none\")\nforbid (principal, action, resource);\n");
    until("policies/more.cedar was saved");
    until("2 passed, 7 failed, 1 skipped");
    setup.write("policies/more.cedar", "forbid (principal, action resource);\n");
    until("1 error");
    std::fs::remove_file(setup.path("policies/more.cedar")).unwrap();
    until("5 passed, 4 failed, 1 skipped");
    setup.write("tests/policies/mixed.test.yaml", &MIXED.replace("expect: deny", "refused: schema_mismatch"));
    until("tests/policies/mixed.test.yaml was saved");
    until("6 passed, 3 failed, 1 skipped");
    child.kill().unwrap();
    child.wait().unwrap();
}
