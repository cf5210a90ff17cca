//! `palisade diff` as reviewers, CI and pull requests meet it.

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{CLIENT, ISSUER, Setup, update};

/// Admins lose products, owners gain theirs, and one policy is written for somebody who is in no test.
fn edit(folder: &Path) {
    let path = folder.join("policies/product.cedar");
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = text.replace("principal in Shop::Group::\"admin\"", "principal in Shop::Group::\"staff\"");
    assert_ne!(text, edited);
    let added = r#"
@id("owners-update-their-products")
permit (principal, action == Shop::Action::"updateProduct", resource)
when { resource has owner && resource.owner == principal };

@id("mallory-does-nothing")
forbid (principal == Shop::User::"mallory", action, resource);
"#;
    std::fs::write(path, edited + added).unwrap();
}

/// The shop with its tests, in a repository of its own where `main` is as it ships, and edited since.
fn repository() -> Setup {
    let setup = untested();
    std::fs::create_dir_all(setup.path("tests/policies")).unwrap();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), setup.path("tests/policies").join(entry.file_name())).unwrap();
    }
    setup.configuration();
    git(&setup, &["init", "--quiet", "--initial-branch", "main"]);
    commit(&setup);
    edit(setup.folder.path());
    setup
}

fn untested() -> Setup {
    Setup::new()
}

fn git(setup: &Setup, args: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(setup.folder.path()).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]);
    let output = command.args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn commit(setup: &Setup) {
    git(setup, &["add", "--all"]);
    git(setup, &["commit", "--quiet", "--message", "x"]);
}

/// In the folder itself, without `--config`: so each side has the settings of its own.
fn run(setup: &Setup, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.env_clear().current_dir(setup.folder.path()).arg("diff").args(args).output().unwrap()
}

/// Exit code, standard output and standard error; the name of a commit differs from run to run.
fn shown(setup: &Setup, args: &[&str]) -> String {
    let output = run(setup, args);
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.lines()
            .map(|line| without_commit(line.trim_end()))
            .collect::<Vec<_>>()
            .join("\n")
            .trim()
            .to_owned()
    };
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n--- stdout\n{stdout}\n--- stderr\n{stderr}", output.status.code().unwrap())
}

fn without_commit(line: &str) -> String {
    let is_commit = |text: &str| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let commit = line.split(['(', ')']).find(|part| is_commit(part));
    commit.map_or_else(|| line.to_owned(), |commit| line.replace(commit, "<commit>"))
}

fn json(setup: &Setup, args: &[&str]) -> Value {
    serde_json::from_slice(&run(setup, &[args, &["--format", "json"]].concat()).stdout).unwrap()
}

fn code(setup: &Setup, args: &[&str]) -> i32 {
    run(setup, args).status.code().unwrap()
}

#[test]
fn a_reviewer_sees_what_an_edit_does_and_what_was_not_looked_at() {
    let setup = repository();
    assert_snapshot!(shown(&setup, &["main"]), @r#"
    exit 0
    --- stdout
    old  main (<commit>), 5 policies
    new  ., 7 policies

    newly allowed 1, newly denied 12 among 100 questions; 1 edited policy is touched by no question

    by policy
      admins-manage-products no longer permits: newly denied 12 (changed, policies/product.cedar:9)
        alice (admin) · createProduct · toys
        alice (admin) · deleteProduct · draft
        alice (admin) · updateProduct · draft
        alice (admin) · deleteProduct · bobs-own
        alice (admin) · updateProduct · bobs-own
      owners-update-their-products now permits: newly allowed 1 (added, policies/product.cedar:24)
        bob (user) · updateProduct · bobs-own

    by users
      group admin: newly denied 12 (createProduct, deleteProduct, updateProduct)
      group user: newly allowed 1 (updateProduct)

    edited policies
      mallory-does-nothing: no question touches it (added, policies/product.cedar:28)
      admins-manage-products: 12 questions within its scope, 12 determined by it (changed, policies/product.cedar:9)
      owners-update-their-products: 10 questions within its scope, 1 determined by it (added, policies/product.cedar:24)

    asked
      tests: 54 questions (newly allowed 1, newly denied 6)
      fixtures combined: 46 questions (newly denied 6)
      refused by both sides: 1 (schema_mismatch 1)
    --- stderr
    "#);
}

#[test]
fn a_pull_request_shows_it_as_markdown() {
    let setup = repository();
    assert_snapshot!(shown(&setup, &["main", ".", "--format", "markdown"]), @r#"
    exit 0
    --- stdout
    ### Policy impact: newly allowed 1, newly denied 12 among 100 questions; 1 edited policy is touched by no question

    <code>main</code> (<commit>) → <code>.</code>

    > [!WARNING]
    > No question touches <code>mallory-does-nothing</code>: what the edit does there was not seen.

    | policy | effect | newly allowed | newly denied | for example |
    |---|---|---|---|---|
    | <code>admins-manage-products</code><br>changed, policies/product.cedar:9 | no longer permits |  | **12** | alice (admin) · createProduct · toys<br>alice (admin) · deleteProduct · draft<br>alice (admin) · updateProduct · draft<br>… |
    | <code>owners-update-their-products</code><br>added, policies/product.cedar:24 | now permits | **1** |  | bob (user) · updateProduct · bobs-own |

    | users | newly allowed | newly denied | actions |
    |---|---|---|---|
    | group admin |  | **12** | <code>createProduct</code>, <code>deleteProduct</code>, <code>updateProduct</code> |
    | group user | **1** |  | <code>updateProduct</code> |

    <details><summary>edited policies: 3</summary>

    | policy | edit | questions within its scope | determined by it |
    |---|---|---|---|
    | <code>mallory-does-nothing</code> | added, policies/product.cedar:28 | **none** | 0 |
    | <code>admins-manage-products</code> | changed, policies/product.cedar:9 | 12 | 12 |
    | <code>owners-update-their-products</code> | added, policies/product.cedar:24 | 10 | 1 |

    </details>

    <details><summary>what was asked</summary>

    - tests: 54 questions (newly allowed 1, newly denied 6)
    - fixtures combined: 46 questions (newly denied 6)
    - refused by both sides: 1 (schema&#95;mismatch 1)

    </details>
    --- stderr
    "#);
}

#[test]
fn programs_get_all_of_it() {
    let setup = repository();
    let report = json(&setup, &["main"]);
    let impact = &report["impact"];
    assert_eq!(impact["changes"], json!({"newly_allowed": 1, "newly_denied": 12}), "{impact:#}");
    assert_eq!((&report["old"]["policies"], &report["new"]["policies"]), (&json!(5), &json!(7)));
    assert_eq!(report["old"]["commit"].as_str().unwrap().len(), 10);
    assert_eq!(report["new"]["commit"], Value::Null);
    assert_snapshot!(impact["by_policy"][1], @r#"{"policy":"owners-update-their-products","role":"permits","edit":"added","path":"policies/product.cedar","line":24,"newly_allowed":1,"newly_denied":0,"examples":[{"principal":"bob (user)","action":"updateProduct","resource":"bobs-own"}]}"#);
    assert_snapshot!(impact["by_users"][1], @r#"{"users":"group","group":"user","newly_allowed":1,"newly_denied":0,"actions":["updateProduct"]}"#);
    assert_snapshot!(impact["edited"][0], @r#"{"policy":"mallory-does-nothing","edit":"added","path":"policies/product.cedar","line":28,"in_scope":0,"determined":0}"#);
    assert_snapshot!(impact["asked"], @r#"{"tests":{"asked":54,"newly_allowed":1,"newly_denied":6,"refused":{"schema_mismatch":1}},"combinations":{"asked":46,"newly_allowed":0,"newly_denied":6,"refused":{"schema_mismatch":9}},"all_combinations":55,"cut":false,"recorded":null}"#);
}

#[test]
fn what_stays_for_other_reasons_and_what_one_side_refuses_is_shown() {
    let setup = repository();
    git(&setup, &["checkout", "--quiet", "--", "policies"]);
    let rewrite = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(setup.path(name)).unwrap();
        assert!(text.contains(from));
        setup.write(name, &text.replace(from, to));
    };
    rewrite("policies/product.cedar", "users-view-products", "users-look-at-products");
    rewrite(
        "schema/shop.cedarschema",
        "action updateProduct, deleteProduct",
        "action updateProduct, archiveProduct",
    );
    let alone =
        "principals: [alice, bob]\n    actions: [archiveProduct]\n    resources: [draft]\n    expect: allow";
    rewrite("tests/policies/product.test.yaml", "tests:\n", &format!("tests:\n  - name: x\n    {alone}\n"));
    assert_snapshot!(shown(&setup, &["main"]), @r#"
    exit 0
    --- stdout
    old  main (<commit>), 5 policies
    new  ., 5 policies

    no decision changes among 110 questions; 4 refused by old and allowed by new; 4 allowed by old and refused by new

    decided as before, for other reasons
      allow: permitted by users-view-products → permitted by users-look-at-products: 16 questions (alice (admin) · listProducts · toys)

    asked of one side only, as the other refuses
      only old: deleteProduct on Product: allowed 4, denied 6
        new says unknown_action: the schema has no action `deleteProduct`: did you mean `deleteCategory`?
      only new: archiveProduct on Product: allowed 4, denied 6
        old says unknown_action: the schema has no action `archiveProduct`: did you mean `createProduct`?

    edited policies
      users-look-at-products: 16 questions within its scope, 16 determined by it (added, policies/product.cedar:17)
      users-view-products: 16 questions within its scope, 16 determined by it (removed, policies/product.cedar:17)

    edited beside policies
      schema

    asked
      tests: 62 questions
      fixtures combined: 48 questions
      refused by both sides: 1 (schema_mismatch 1)
    --- stderr
    "#);
    let markdown = shown(&setup, &["main", ".", "--format", "markdown"]);
    let folded = markdown.split("<details>").collect::<Vec<_>>();
    assert_snapshot!(folded[..folded.len() - 2].join("<details>"), @r#"
    exit 0
    --- stdout
    ### Policy impact: no decision changes among 110 questions; 4 refused by old and allowed by new; 4 allowed by old and refused by new

    <code>main</code> (<commit>) → <code>.</code>

    Edited beside policies: schema.

    <details><summary>asked of one side only: 2</summary>

    | only | question | allowed | denied | why the other refuses |
    |---|---|---|---|---|
    | old | <code>deleteProduct</code> on <code>Product</code> | 4 | 6 | the schema has no action &#96;deleteProduct&#96;&#58; did you mean &#96;deleteCategory&#96;&#63; |
    | new | <code>archiveProduct</code> on <code>Product</code> | 4 | 6 | the schema has no action &#96;archiveProduct&#96;&#58; did you mean &#96;createProduct&#96;&#63; |

    </details>

    <details><summary>decided as before, for other reasons: 1</summary>

    | decision | old | new | questions | for example |
    |---|---|---|---|---|
    | allow | permitted by users-view-products | permitted by users-look-at-products | 16 | alice (admin) · listProducts · toys |

    </details>
    "#);
}

#[test]
fn nothing_that_changes_is_said_with_what_was_asked() {
    let setup = repository();
    assert_snapshot!(shown(&setup, &["main", "main"]), @r#"
    exit 0
    --- stdout
    old  main (<commit>), 5 policies
    new  main (<commit>), 5 policies

    no decision changes among 100 questions

    asked
      tests: 54 questions
      fixtures combined: 46 questions
      refused by both sides: 1 (schema_mismatch 1)
    --- stderr
    "#);
    std::fs::remove_dir_all(setup.path("tests")).unwrap();
    git(&setup, &["rm", "--quiet", "-r", "--cached", "tests"]);
    commit(&setup);
    assert_snapshot!(shown(&setup, &["main", ".", "--fail-on", "allow"]), @r#"
    exit 1
    --- stdout
    old  main (<commit>), 7 policies
    new  ., 7 policies

    nothing was asked, so no change could be seen

    asked
      tests: 0 questions
      fixtures combined: 0 questions
    --- stderr
    × nothing was asked, so no change could be seen
      help: write tests, or replay a decision log; without any there is nothing to fail on
    "#);
}

#[test]
fn the_command_of_the_readme_fails_on_what_is_newly_allowed() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let line = readme.lines().find(|line| line.contains("-- diff ")).unwrap();
    let args: Vec<_> =
        line.split("-- diff ").nth(1).unwrap().split_whitespace().take_while(|word| *word != "#").collect();
    assert_eq!(code(&repository(), &args), 1, "{args:?}");
}

#[test]
fn changes_fail_a_run_only_where_that_is_asked_for() {
    let setup = repository();
    assert_eq!(code(&setup, &["main"]), 0);
    for kind in ["allow", "deny", "any"] {
        assert_eq!(code(&setup, &["main", ".", "--fail-on", kind]), 1, "{kind}");
        assert_eq!(code(&setup, &["main", "main", "--fail-on", kind]), 0, "{kind}");
    }
    git(&setup, &["checkout", "--quiet", "--", "policies"]);
    setup.write("policies/more.cedar", "@id(\"more\") permit (principal, action, resource);");
    assert_eq!(code(&setup, &["main", ".", "--fail-on", "allow"]), 1);
    assert_eq!(code(&setup, &["main", ".", "--fail-on", "deny"]), 0);
    assert_eq!(code(&setup, &[".", "main", "--fail-on", "deny"]), 1);
}

#[test]
fn a_side_is_a_folder_or_a_revision_whichever_there_is() {
    let setup = repository();
    let other = repository();
    let folder = other.folder.path().to_str().unwrap();
    assert_eq!(json(&setup, &["main", folder])["impact"], json(&setup, &["main", "."])["impact"]);
    assert_eq!(code(&setup, &["main", "nowhere"]), 2);
    let neither = shown(&setup, &["nowhere"]);
    assert!(neither.contains("`nowhere` is neither a folder here nor a revision;"), "{neither}");
    let outside = shown(&untested(), &["nowhere"]);
    assert!(outside.contains("git says: fatal: not a git repository"), "{outside}");
    std::fs::create_dir(setup.path("main")).unwrap();
    for part in ["policies", "schema"] {
        std::os::unix::fs::symlink(setup.path(part), setup.path("main").join(part)).unwrap();
    }
    let both = shown(&setup, &["main"]);
    assert!(both.contains("`main` is a folder here and a revision: the folder is compared"), "{both}");
    assert_eq!(json(&setup, &["main^0"])["impact"]["changes"]["newly_denied"], 12);
}

#[test]
fn a_revision_is_read_whole_with_its_own_settings_schema_and_tests() {
    let setup = repository();
    // The project moves into a folder of the repository, and what it needs changes with it.
    commit(&setup);
    std::fs::create_dir(setup.path("shop")).unwrap();
    for part in ["policies", "schema", "tests", "palisade.toml"] {
        git(&setup, &["mv", part, &format!("shop/{part}")]);
    }
    commit(&setup);
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.env_clear().current_dir(setup.path("shop")).args(["diff", "HEAD", ".", "--format", "json"]);
    let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(report["old"]["revision"], report["new"]["revision"], "{report:#}");
    assert_eq!(report["impact"]["also_edited"], json!([]));
    let before = shown(&setup, &["HEAD~1", "shop"]);
    assert!(before.starts_with("exit 0") && before.contains("no decision changes among"), "{before}");
}

#[test]
fn a_link_in_a_revision_is_not_followed() {
    let setup = repository();
    std::os::unix::fs::symlink("/etc/passwd", setup.path("policies/x.cedar")).unwrap();
    commit(&setup);
    let linked = shown(&setup, &["HEAD", "main~1"]);
    assert!(linked.contains("`policies/x.cedar` is a link or a module"), "{linked}");
    assert!(linked.starts_with("exit 2"), "{linked}");
}

#[test]
fn a_side_that_does_not_compile_is_shown_with_its_findings() {
    let setup = repository();
    setup.write(
        "policies/product.cedar",
        "permit (principal is Shop::User, action, resource) when { principal.nonsense };",
    );
    assert_snapshot!(shown(&setup, &["main"]), @r#"
    exit 2
    --- stdout

    --- stderr
    new, `.`, does not compile:
    validation

      × `Shop::User` has no attribute `nonsense`
       ╭─[policies/product.cedar:1:59]
     1 │ permit (principal is Shop::User, action, resource) when { principal.nonsense };
       ·                                                           ──────────────────
       ╰────
      help: the schema says which attributes there are
    "#);
    let markdown = shown(&setup, &["main", ".", "--format", "markdown"]);
    assert_snapshot!(markdown.split("\n--- stderr").next().unwrap(), @r"
    exit 2
    --- stdout
    ### Policy impact: unknown, because new does not compile

    <code>.</code> has 1 problem:

    - policies/product.cedar:1:59: &#96;Shop&#58;&#58;User&#96; has no attribute &#96;nonsense&#96;
    ");
    setup.write("palisade.toml", "[policies\n");
    let settings = shown(&setup, &["main", ".", "--format", "markdown"]);
    assert_snapshot!(settings.split("\n--- stderr").next().unwrap(), @r"
    exit 2
    --- stdout
    ### Policy impact: unknown, because new cannot be read

    <code>.</code>: standard error says why
    ");
}

#[test]
fn the_workflow_of_a_new_repository_comments_on_a_change_that_cannot_be_judged_too() {
    let workflow = include_str!("../../src/cli/init/repository/.github/workflows/policies.yml");
    let step = workflow.split("id: diff\n        run: |\n").nth(1).unwrap();
    let script: Vec<_> = step.lines().map_while(|line| line.strip_prefix("          ")).collect();
    let setup = repository();
    let program = Path::new(env!("CARGO_BIN_EXE_palisade")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    for (file, fault, code, said) in [
        ("policies/more.cedar", "// nothing\n", "code=0", "newly denied 12"),
        ("tests/policies/bad.test.yaml", "tests: [\n", "code=1", "1 problem in the tests of new"),
        ("policies/bad.cedar", "permit (principal", "code=2", "because new does not compile"),
    ] {
        setup.write(file, fault);
        git(&setup, &["checkout", "--quiet", "-B", "change", "main"]);
        commit(&setup);
        let runner = tempfile::tempdir().unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", &script.join("\n")]).current_dir(setup.folder.path()).env("PATH", &path);
        bash.env("RUNNER_TEMP", runner.path()).env("GITHUB_OUTPUT", runner.path().join("output"));
        bash.env("GITHUB_STEP_SUMMARY", runner.path().join("summary"));
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let read = |name: &str| std::fs::read_to_string(runner.path().join(name)).unwrap();
        assert_eq!(read("output").trim(), code);
        assert!(read("diff.md").contains(said), "{}", read("diff.md"));
        assert_eq!(read("summary"), read("diff.md"));
        assert_eq!(read("diff.md").contains("ended with exit code"), code != "code=0");
    }
}

#[test]
fn tests_that_cannot_be_read_are_a_problem_of_the_new_side_only() {
    let setup = repository();
    setup.write("tests/policies/bad.test.yaml", "tests: [\n");
    let bad = shown(&setup, &["main"]);
    assert!(bad.starts_with("exit 1") && bad.contains("the tests of new, `.`:"), "{bad}");
    let headline = "not all was asked, for 1 problem in the tests of new; newly allowed 1,";
    assert!(bad.contains(&format!("\n\n{headline}")), "{bad}");
    let markdown = shown(&setup, &["main", ".", "--format", "markdown"]);
    assert!(markdown.contains(&format!("### Policy impact: {headline}")), "{markdown}");
    assert!(markdown.contains("The tests of new:\n\n- tests/policies/bad.test.yaml:"), "{markdown}");
    let report = json(&setup, &["main"]);
    assert!(report["headline"].as_str().unwrap().starts_with(headline), "{report:#}");
    assert_eq!(report["not_asked"]["problems"], json!({"old": 0, "new": 1}));
    assert_eq!(code(&setup, &[".", "main"]), 0);
}

/// A record with values as the service writes it, of a user in these groups.
fn record(user: &str, groups: &[&str], action: &str) -> Value {
    json!({
        "time": "2026-11-23T09:30:00.125Z", "decision_id": "d-1", "outcome": "allow",
        "principal": format!("Shop::User::\"{user}\""), "kind": "user", "groups": groups,
        "issuer": ISSUER, "token_use": "access",
        "identity": {"sub": user, "username": user, "client_id": CLIENT, "claims": {}},
        "action": format!("Shop::Action::\"{action}\""), "resource": "Shop::Product::\"p-4711\"",
        "context_keys": [], "context": {}, "entities": [],
        "decision": "allow", "reason": "permitted", "policies": [], "errors": [], "revision": "sha256:0",
    })
}

#[test]
fn a_decision_log_is_replayed_and_what_could_not_be_is_told_with_its_share() {
    let setup = repository();
    let mut bare = record("u-3", &[], "readProduct");
    bare.as_object_mut().unwrap().remove("context");
    let lines = [
        record("u-1", &["admin"], "updateProduct").to_string(),
        record("u-2", &["admin", "user"], "updateProduct").to_string(),
        "{\"time\":\"2026-11-23T09:3".to_owned(),
        record("u-3", &[], "readProduct").to_string(),
        bare.to_string(),
    ];
    setup.write("decisions.jsonl", &(lines.join("\n") + "\n"));
    std::fs::remove_dir_all(setup.path("tests")).unwrap();
    git(&setup, &["checkout", "--quiet", "-b", "untested"]);
    git(&setup, &["rm", "--quiet", "-r", "--cached", "tests"]);
    git(&setup, &["checkout", "main", "--", "policies"]);
    commit(&setup);
    edit(setup.folder.path());
    assert_snapshot!(shown(&setup, &["HEAD", "--replay", "decisions.jsonl"]), @r#"
    exit 1
    --- stdout
    old  HEAD (<commit>), 5 policies
    new  ., 7 policies

    2 of 5 records could not be replayed (40.0 %); newly denied 2 among 3 questions; 1 edited policy is touched by no question

    by policy
      admins-manage-products no longer permits: newly denied 2 (changed, policies/product.cedar:9)
        a user (admin) · updateProduct · a Shop::Product
        a user (admin, user) · updateProduct · a Shop::Product

    by users
      group admin: newly denied 2 (updateProduct)
      group user: newly denied 1 (updateProduct)

    edited policies
      mallory-does-nothing: no question touches it (added, policies/product.cedar:28)
      admins-manage-products: 2 questions within its scope, 2 determined by it (changed, policies/product.cedar:9)
      owners-update-their-products: 2 questions within its scope, 0 determined by it (added, policies/product.cedar:24)

    asked
      tests: 0 questions
      fixtures combined: 0 questions
      recorded: 3 questions (newly denied 2) of 5 records
      could not be replayed: 2 records (40.0 %)
        1: it holds no values (`audit.values` was off)
        1: torn
    --- stderr
    torn-record

      × decisions.jsonl:3:24: the line ends in the middle of a record
    "#);
    let markdown = shown(&setup, &["HEAD", "--replay", "decisions.jsonl", "--format", "markdown"]);
    assert!(!markdown.contains("u-1") && !markdown.contains("4711"), "{markdown}");
    let report = json(&setup, &["HEAD", "--replay", "decisions.jsonl"]);
    assert_eq!(
        report["not_asked"],
        json!({"problems": {"old": 0, "new": 0}, "records": 2, "share": "40.0 %"})
    );
    setup.write("torn.jsonl", "{\n{\n");
    let torn = shown(&setup, &["HEAD", "--replay", "torn.jsonl"]);
    assert!(torn.contains("2 of 2 records could not be replayed (100.0 %); nothing was asked"), "{torn}");
    let values = shown(&setup, &["HEAD", "--replay", "decisions.jsonl", "--show-values"]);
    assert!(
        values.contains(r#"Shop::User::"u-1" (admin) · updateProduct · Shop::Product::"p-4711""#),
        "{values}"
    );
}

#[tokio::test]
async fn what_the_service_puts_on_record_with_values_can_be_asked_again() {
    let service = untested().start_with(|command| {
        command.env("PALISADE__AUDIT__VALUES", "true");
    });
    let (alice, bob) = (service.token("alice", &["admin"]), service.token("bob", &["user"]));
    service.authorize(&alice, update()).await;
    let mut own = update();
    own["resource"] = json!({
        "type": "Product", "id": "p-7", "attributes": {"owner": {"type": "User", "id": "bob"}, "price": "9.50"},
        "parents": [{"type": "Category", "id": "toys"}],
    });
    own["context"] = json!({"ip": "203.0.113.9"});
    service.authorize(&bob, own.clone()).await;
    service.post("/authorize/batch", &bob, json!({"requests": [own, update()]})).await;
    service.authorize(&bob, json!({"action": "nothing", "resource": {"type": "Product", "id": "p"}})).await;
    let setup = &service.setup;
    let log = std::fs::read_to_string(setup.path("decisions.jsonl")).unwrap();
    setup.write("log.jsonl", &log);
    std::fs::create_dir(setup.path("before")).unwrap();
    for part in ["policies", "schema"] {
        std::fs::create_dir(setup.path("before").join(part)).unwrap();
        for entry in std::fs::read_dir(setup.path(part)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), setup.path("before").join(part).join(entry.file_name())).unwrap();
        }
    }
    std::fs::copy(setup.path("palisade.toml"), setup.path("before/palisade.toml")).unwrap();
    edit(setup.folder.path());
    let report = json(setup, &["before", ".", "--replay", "log.jsonl"]);
    let impact = &report["impact"];
    assert_eq!(impact["changes"], json!({"newly_allowed": 2, "newly_denied": 1}), "{impact:#}");
    let recorded = &impact["asked"]["recorded"];
    assert_eq!((&recorded["records"], &recorded["asked"]), (&json!(5), &json!(4)), "{recorded:#}");
    assert_eq!(recorded["not_replayed"], json!({}));
    assert_eq!(recorded["refused"], json!({"unknown_action": 1}));
    assert_eq!(recorded["decided_otherwise"], 0);
}
