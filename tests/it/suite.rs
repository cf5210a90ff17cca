//! What policy tests mean: which cases a test has, and when one of them fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade::cedar::{Settings, Snapshot, Source, Sources, compile};
use palisade::identity::Config;
use palisade::model::{Finding, Limits, Timestamp, TokenUse};
use palisade::store::TestFiles;
use palisade::suite::{self, Filter, Plan, Report, Suite, Terms};

const SCHEMA: &str = r#"
namespace Shop {
    entity Group;
    entity User in [Group] = { groups: Set<String>, department?: String };
    entity Machine = { client_id: String };
    entity Category;
    entity Product in [Category] = { status?: String, stock?: Long };
    action read, write appliesTo { principal: [User, Machine], resource: [Product] };
    action delete appliesTo { principal: [User], resource: [Product], context: { confirmed: Bool } };
    action night appliesTo { principal: [User], resource: [Product], context: { now: datetime } };
    action open appliesTo { principal: [User], resource: [Category] };
}"#;

const POLICIES: &str = r#"
@id("admins") permit (principal in Shop::Group::"admin", action, resource);
@id("readers") permit (principal is Shop::User, action == Shop::Action::"read", resource);
@id("archive") forbid (principal, action == Shop::Action::"write", resource)
    when { resource has status && resource.status == "archived" };
@id("in-stock") permit (principal is Shop::Machine, action == Shop::Action::"write", resource)
    when { resource has stock && resource.stock + 9223372036854775807 > 0 };
@id("confirmed") forbid (principal, action == Shop::Action::"delete", resource)
    unless { context.confirmed };
@id("at-night") forbid (principal, action == Shop::Action::"night", resource)
    when { context.now < datetime("2026-01-01T00:00:00Z") };
"#;

const FIXTURES: &str = r"
principals:
  ana: { groups: [admin] }
  bob: {}
  batch: { machine: {} }
resources:
  new: { type: Product, id: p-1 }
  old: { type: Product, id: p-2, attributes: { status: archived } }
  counted: { type: Product, id: p-3, attributes: { stock: 5 } }
  toys: { type: Category, id: toys }
tests:
";

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), name: path.into(), text: text.into() }
}

fn snapshot(issuers: &[Config]) -> Arc<Snapshot> {
    let sources = Sources {
        policies: vec![source("shop.cedar", POLICIES)],
        schema: vec![source("shop.cedarschema", SCHEMA)],
        settings: Settings {
            namespace: "Shop".to_owned(),
            issuers: issuers.iter().map(Config::mapping).collect(),
            ..Settings::default()
        },
        ..Sources::default()
    };
    compile(&sources, &Limits::default()).map(|compiled| compiled.snapshot).unwrap()
}

fn run_files(shared: &[Source], tests: &[Source], issuers: &[Config], filter: &[&str]) -> Report {
    let (suite, snapshot, limits) = (Suite::read(shared, tests), snapshot(issuers), Limits::default());
    let plan = Plan::of(&suite, &snapshot, issuers, &limits);
    let filter = Filter::parse(&filter.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>()).unwrap();
    let now = Timestamp::parse("2026-11-23T09:30:00Z").unwrap();
    suite::run(&plan, &Terms { filter, ..Terms::at(now) })
}

/// Runs tests with the fixtures above, without issuers.
fn run(tests: &str) -> Report {
    run_files(&[], &[source("a.test.yaml", &format!("{FIXTURES}{tests}"))], &[], &[])
}

/// How each case came out, in the order of the file: passed ones first within a test.
fn outcomes(report: &Report) -> Vec<String> {
    assert_eq!(messages(&report.findings), [""; 0]);
    let tests = report.files.iter().flat_map(|file| &file.tests);
    tests
        .flat_map(|test| {
            let passed = test
                .passed
                .iter()
                .map(|asked| format!("{} {} {}: passed", asked.principal, asked.action, asked.resource));
            let failed = test.failures.iter().map(|failure| {
                let asked = &failure.asked;
                let why = failure.why.join("; ");
                format!("{} {} {}: {}: {why}", asked.principal, asked.action, asked.resource, failure.got)
            });
            passed.chain(failed).collect::<Vec<_>>()
        })
        .collect()
}

fn messages(findings: &[Finding]) -> Vec<String> {
    let place = |finding: &Finding| finding.place.map_or_else(String::new, |place| place.line.to_string());
    findings.iter().map(|finding| format!("{}: {}", place(finding), finding.message)).collect()
}

/// The findings of tests that stand below the fixtures, with lines counted from the first of them.
fn findings(tests: &str) -> Vec<String> {
    let report = run(tests);
    // Tests are written from a line of their own.
    let above = FIXTURES.lines().count() + 1;
    let below = report.findings.into_iter().map(|mut finding| {
        if let Some(place) = &mut finding.place {
            place.line = place.line.saturating_sub(above);
        }
        finding
    });
    messages(&below.collect::<Vec<_>>())
}

fn issuer(name: &str, client: &str) -> Config {
    Config {
        issuer: format!("https://issuer.example/{name}"),
        client_ids: vec![client.to_owned()],
        token_use: vec![TokenUse::Access],
        principal_type: "User".to_owned(),
        ..Config::default()
    }
}

#[test]
fn a_test_asks_every_principal_about_every_action_and_resource() {
    let report = run("
  - { name: t, principals: [ana, bob], actions: [read, write], resources: [new, old], expect: allow }");
    assert_eq!(
        outcomes(&report),
        [
            "ana read new: passed",
            "ana write new: passed",
            "bob read new: passed",
            "ana read old: passed",
            "bob read old: passed",
            "bob write new: deny (no_permit): no policy permits it",
            "ana write old: deny (forbidden): `archive` forbids it",
            "bob write old: deny (forbidden): `archive` forbids it",
        ]
    );
}

#[test]
fn what_may_be_done_is_exactly_what_is_listed() {
    let report = run("
  - { name: t, resources: [new], contexts: { delete: { confirmed: true } }, may: { bob: [read, open], batch: [] } }");
    assert_eq!(
        outcomes(&report),
        [
            "bob delete new: passed",
            "bob night new: passed",
            "bob read new: passed",
            "bob write new: passed",
            "batch read new: passed",
            "batch write new: passed",
            "bob open new: refused: schema_mismatch: `Shop::Action::\"open\"` does not apply to resources of \
             type `Shop::Product`, but to `Shop::Category`",
        ]
    );
    let report = run("
  - { name: t, resources: [new], context: { confirmed: true }, may: { ana: [read, Shop::Action::\"write\"] } }");
    assert_eq!(
        outcomes(&report),
        [
            "ana read new: passed",
            "ana write new: passed",
            "ana delete new: allow (permitted): `admins` permits it",
            "ana night new: allow (permitted): `admins` permits it",
        ]
    );
}

#[test]
fn an_action_that_cannot_be_asked_fails_by_name() {
    let report = run("
  - { name: t, resources: [new], may: { bob: [read] } }");
    assert!(outcomes(&report).contains(
        &"bob delete new: refused: schema_mismatch: `context.confirmed` is missing: the schema requires a boolean"
            .to_owned()
    ));
}

#[test]
fn a_deny_must_be_a_real_deny() {
    // Refused: a handler would never have got this answer.
    let report = run("
  - { name: t, principals: [bob], actions: [delete], resources: [new], expect: deny }
  - { name: t, principals: [batch], actions: [open], resources: [toys], expect: deny }");
    let refused = |line: &String| line.contains(": refused: schema_mismatch");
    assert!(outcomes(&report).iter().all(refused), "{:?}", outcomes(&report));

    // No permit was found because the one that there is broke.
    let broken = "batch write counted: deny (evaluation_error): `in-stock` could not be evaluated (overflow)";
    let report = run("
  - { name: t, principals: [batch], actions: [write], resources: [counted], expect: deny }");
    assert!(outcomes(&report)[0].starts_with(broken), "{:?}", outcomes(&report));
    let report = run("
  - { name: t, principals: [batch], actions: [write], resources: [counted], expect: deny, errors: { in-stock: overflow } }
  - { name: t, principals: [batch], actions: [write], resources: [counted], expect: deny, errors: { in-stock: extension } }
  - { name: t, principals: [bob], actions: [write], resources: [counted], expect: deny, errors: { in-stock: overflow } }");
    let outcomes = outcomes(&report);
    assert_eq!(outcomes[0], "batch write counted: passed");
    assert!(outcomes[1].starts_with(broken), "{outcomes:?}");
    assert_eq!(outcomes[2], "bob write counted: deny (no_permit): `in-stock` did not fail with overflow");
}

#[test]
fn a_refusal_passes_only_where_it_is_expected_by_its_code() {
    let report = run("
  - { name: t, principals: [bob], actions: [delete], resources: [new], refused: schema_mismatch }
  - { name: t, principals: [bob], actions: [delete], resources: [new], refused: unknown_action }
  - { name: t, principals: [bob], actions: [fly], resources: [new], refused: unknown_action }
  - { name: t, principals: [bob], actions: [read], resources: [new], refused: invalid_token }");
    assert_eq!(
        outcomes(&report),
        [
            "bob delete new: passed",
            "bob delete new: refused: schema_mismatch: `context.confirmed` is missing: the schema requires a boolean",
            "bob fly new: passed",
            "bob read new: allow (permitted): `readers` permits it",
        ]
    );
}

#[test]
fn the_determining_policies_are_these_or_among_these() {
    let report = run("
  - { name: t, principals: [ana], actions: [read], resources: [new], expect: allow, policies: [readers, admins] }
  - { name: t, principals: [ana], actions: [read], resources: [new], expect: allow, policies: [admins] }
  - { name: t, principals: [ana], actions: [read], resources: [new], expect: allow, policies_include: [admins] }
  - { name: t, principals: [bob], actions: [read], resources: [new], expect: allow, policies_include: [admins] }
  - { name: t, principals: [bob], actions: [write], resources: [new], expect: deny, policies: [], reason: no_permit }
  - { name: t, principals: [ana], actions: [write], resources: [old], expect: deny, reason: no_permit }");
    assert_eq!(
        outcomes(&report),
        [
            "ana read new: passed",
            "ana read new: allow (permitted): `readers` determined it too",
            "ana read new: passed",
            "bob read new: allow (permitted): `admins` did not determine it",
            "bob write new: passed",
            "ana write old: deny (forbidden): the reason is forbidden, not no_permit",
        ]
    );
}

#[test]
fn a_test_has_the_time_that_it_sets() {
    let report = run("
  - { name: t, principals: [ana], actions: [night], resources: [new], expect: allow }
  - { name: t, principals: [ana], actions: [night], resources: [new], now: '2025-12-31T23:59:59Z', expect: deny }");
    assert_eq!(outcomes(&report), ["ana night new: passed", "ana night new: passed"]);
}

#[test]
fn the_shared_context_is_cut_for_may_and_given_whole_elsewhere() {
    let report = run("
  - { name: t, principals: [ana], actions: [read, delete], resources: [new], context: { confirmed: true }, expect: allow }
  - { name: t, resources: [new], context: { confirmed: true }, contexts: { delete: { confirmed: false } }, may: { ana: [read, write, night] } }");
    let outcomes = outcomes(&report);
    assert_eq!(outcomes.len(), 6);
    assert!(
        outcomes[1]
            .starts_with("ana read new: refused: schema_mismatch: the schema has no `context.confirmed`")
    );
    assert!(outcomes[2..].iter().all(|outcome| outcome.ends_with("passed")), "{outcomes:?}");
}

#[test]
fn a_question_is_as_bounded_as_a_request() {
    let long = "x".repeat(20_000);
    let report = run(&format!("
  - {{ name: t, principals: [ana], actions: [delete], resources: [new], context: {{ confirmed: {long} }}, refused: malformed_request }}"));
    assert_eq!(outcomes(&report), ["ana delete new: passed"]);
}

#[test]
fn a_token_that_the_issuer_refuses_is_an_outcome() {
    let issuers = [issuer("pool", "web")];
    let text = format!(
        "{FIXTURES}
  - {{ name: t, principals: [batch, ana], actions: [read], resources: [new], expect: allow }}
  - {{ name: t, resources: [new], context: {{ confirmed: true }}, may: {{ batch: [] }} }}
  - {{ name: t, principals: [batch], actions: [read], resources: [new], refused: invalid_token }}"
    );
    let report = run_files(&[], &[source("a.test.yaml", &text)], &issuers, &[]);
    let no_machines =
        "refused: invalid_token: a client-credentials token, and the issuer has no `machine_type`";
    assert_eq!(
        outcomes(&report),
        [
            "ana read new: passed".to_owned(),
            format!("batch read new: {no_machines}"),
            format!("batch any action new: {no_machines}"),
            "batch read new: passed".to_owned(),
        ]
    );
}

#[test]
fn of_several_issuers_one_is_named_by_the_principal_or_by_the_test() {
    let one = issuer("one", "web");
    let two = Config { issuer_aliases: vec!["https://alias.example".to_owned()], ..issuer("two", "web") };
    let fixtures = FIXTURES.replace("bob: {}", "bob: { issuer: 'https://alias.example' }");
    let two = Config { id_format: palisade::model::IdFormat::PoolSub, ..two };
    let one = Config { id_format: palisade::model::IdFormat::PoolSub, ..one };
    let text = format!("{fixtures}
  - {{ name: t, principals: [bob], actions: [read], resources: [new], expect: allow }}
  - {{ name: t, principals: [ana], actions: [read], resources: [new], issuer: 'https://issuer.example/one', expect: allow }}
  - {{ name: t, principals: [ana], actions: [read], resources: [new], issuer: 'https://issuer.example/tow', expect: allow }}
  - {{ name: t, principals: [ana], actions: [read], resources: [new], expect: allow }}");
    let report = run_files(&[], &[source("a.test.yaml", &text)], &[one, two], &[]);
    assert_eq!(report.count().passed, 2);
    assert_eq!(
        report.findings.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>(),
        [
            "no issuer `https://issuer.example/tow` is configured: did you mean `https://issuer.example/two`?",
            "whose token `ana` has is not clear: there are several issuers",
        ]
    );
}

#[test]
fn a_claim_that_nothing_reads_is_a_warning_where_no_issuer_is_configured() {
    let fixtures = FIXTURES.replace("bob: {}", "bob: { claims: { sub: b, 'custom:department': toys } }");
    let text = format!(
        "{fixtures}
  - {{ name: t, principals: [bob], actions: [read], resources: [new], expect: allow }}"
    );
    let tests = [source("a.test.yaml", &text)];
    let report = run_files(&[], &tests, &[], &[]);
    assert_eq!(
        messages(&report.findings),
        ["4: nothing reads the claim `custom:department`: no issuer is configured"]
    );
    assert!(report.is_good());
    assert!(run_files(&[], &tests, &[issuer("pool", "web")], &[]).findings.is_empty());
}

#[test]
fn a_name_that_nothing_defines_is_a_finding_with_a_suggestion_and_the_other_tests_run() {
    let tests = "
  - { name: t, principals: [anna], actions: [read], resources: [newest], expect: allow }
  - { name: t, principals: [ana], actions: [reed], resources: [new], expect: allow, policies: [admin] }
  - { name: t, resources: [new], contexts: { delte: {} }, may: { bob: [raed] } }
  - { name: good, principals: [ana], actions: [read], resources: [new], expect: allow }";
    assert_eq!(
        findings(tests),
        [
            "1: no principal `anna` is defined: did you mean `ana`?",
            "1: no resource `newest` is defined: did you mean `new`?",
            "2: the schema has no action `reed`: did you mean `read`?",
            "2: there is no policy `admin`: did you mean `admins`?",
            "3: the schema has no action `delte`: did you mean `delete`?",
            "3: the schema has no action `raed`: did you mean `read`?",
        ]
    );
    assert_eq!(run(tests).count().passed, 1);
}

#[test]
fn a_test_that_could_never_fail_or_never_pass_is_a_finding() {
    assert_eq!(
        findings(
            "
  - { name: t, principals: [ana], actions: [read], resources: [new] }
  - { name: t, principals: [ana], actions: [], resources: [new], expect: allow }
  - { name: t, principals: [ana], actions: [read], resources: [new], expect: allow, refused: invalid_token }
  - { name: t, principals: [ana], actions: [read], resources: [new], expect: allow, reason: no_permit }
  - { name: t, principals: [ana], actions: [read], resources: [new], refused: invalid_token, policies: [] }
  - { name: t, principals: [ana], resources: [new], may: { ana: [] } }
  - { name: t, resources: [new], may: {} }
  - { name: t, resources: [toys], may: { batch: [] } }
  - { name: t, resources: [toys], context: { confirmd: true }, may: { ana: [open] } }
  - { name: t, resources: [toys], contexts: { read: {} }, may: { ana: [open] } }
  - { name: t, principals: [ana], actions: [read], resources: [new], now: noon, expect: allow }"
        ),
        [
            "1: the test expects nothing",
            "2: the test names no `actions`",
            "3: a test has one of `expect`, `refused` and `may`",
            "4: no answer is ever `allow` for the reason `no_permit`",
            "5: what is refused (invalid_token) has no answer with `reason`, `policies` or `errors`",
            "6: `may` says by itself who is asked about what: it stands beside `resources`, `context`, `contexts` \
             and `entities` only",
            "7: `may` names nobody",
            "8: no action applies to `batch` and resources of type `Category`",
            "9: none of the actions takes `context.confirmd`",
            "10: the test does not ask about `read`",
            "11: `noon` is no time",
        ]
    );
}

#[test]
fn fixtures_are_shared_below_their_folder_and_defined_once() {
    let shared = [
        source("t/fixtures.yaml", "principals: { ana: { groups: [admin] } }"),
        source(
            "t/inner/fixtures.yaml",
            "resources: { new: { type: Product, id: p } }\nprincipals: { ana: {} }",
        ),
    ];
    let test = "tests: [{ name: t, principals: [ana], actions: [read], resources: [new], expect: allow }]";
    let tests = [source("t/inner/a.test.yaml", test), source("t/b.test.yaml", test)];
    let report = run_files(&shared, &tests, &[], &[]);
    assert_eq!(report.count().passed, 1);
    assert_eq!(
        messages(&report.findings),
        [
            "1: no resource `new` is defined",
            "2: the principal `ana` is defined twice, first at t/fixtures.yaml:1:15",
        ]
    );
}

#[test]
fn cedars_own_tests_are_read_and_compared_as_cedar_does() {
    let request = r#""request": {"principal": "Shop::User::\"ana\"", "action": "Shop::Action::\"read\"", "resource": "Shop::Product::\"p\"", "context": {}}"#;
    let entities = r#""entities": [{"uid": {"type": "Shop::User", "id": "ana"}, "attrs": {"groups": []}, "parents": [{"type": "Shop::Group", "id": "admin"}]}]"#;
    let text = format!(
        r#"[
  {{"name": "by id", {request}, {entities}, "decision": "allow", "reason": ["readers"], "num_errors": 0}},
  {{"name": "by position", {request}, {entities}, "decision": "allow", "reason": ["policy0", "policy1"], "num_errors": 0}},
  {{{request}, {entities}, "decision": "allow", "reason": ["archive", "policy5"], "num_errors": 1}},
  {{{request}, {entities}, "decision": "deny", "reason": [], "num_errors": 0}},
  {{{request}, "entities": "entities.json", "decision": "deny", "reason": [], "num_errors": 0}},
  {{{request}, "entities": [{{"uid": 1}}], "decision": "deny", "reason": [], "num_errors": 0}}
]"#
    );
    let report = run_files(&[], &[source("a.test.json", &text)], &[], &[]);
    let names: Vec<_> = report.files[0].tests.iter().map(|test| &*test.name).collect();
    assert_eq!(names, ["by id", "by position", "test 3", "test 4", "test 6"]);
    let tests = &report.files[0].tests;
    assert_eq!((tests[0].passed.len(), tests[1].passed.len()), (1, 1));
    assert_eq!(
        tests[2].failures[0].why,
        ["`archive`, `at-night` did not determine it", "policies that could not be evaluated: 0, not 1"]
    );
    assert_eq!(tests[3].failures[0].why, ["`admins`, `readers` permit it"]);
    assert!(tests[4].failures[0].got.starts_with("refused"), "{:?}", tests[4].failures);
    assert_eq!(messages(&report.findings), ["6: the entities stand in another file, `entities.json`"]);
}

#[test]
fn a_deny_of_cedars_own_tests_is_a_real_deny_too() {
    let asked = |principal: &str, action: &str, resource: &str, context: &str| {
        format!(
            r#"{{"request": {{"principal": "Shop::{principal}::\"x\"", "action": "Shop::Action::\"{action}\"", "resource": "Shop::{resource}::\"p\"", "context": {context}}}, "entities": [], "decision": "deny", "reason": [], "num_errors": 0}}"#
        )
    };
    let tests = [
        asked("Machine", "delete", "Product", "{}"),
        asked("Machine", "raed", "Product", "{}"),
        asked("Usr", "read", "Product", "{}"),
        asked("Machine", "read", "Prodct", "{}"),
        asked("Machine", "read", "Product", r#"{"zz": 1}"#),
        asked("Machine", "read", "Product", "{}"),
    ];
    let report = run_files(&[], &[source("a.test.json", &format!("[{}]", tests.join(",")))], &[], &[]);
    let failed = |test: &suite::TestReport| test.failures.first().map(|failure| failure.why.join("; "));
    let why: Vec<_> = report.files[0].tests.iter().map(failed).collect();
    assert_eq!(why.last(), Some(&None), "machines may not read, and that is so");
    assert!(why.iter().rev().skip(1).all(Option::is_some), "{why:#?}");
    assert!(why[1].as_ref().unwrap().contains("did you mean"), "{why:#?}");
}

#[test]
fn a_filter_takes_cases_and_not_only_tests() {
    let text = format!(
        "{FIXTURES}
  - {{ name: reading, principals: [ana, bob], actions: [read, write], resources: [new, old], expect: allow }}
  - {{ name: later, skip: not yet }}
  - {{ name: all, resources: [new], context: {{ confirmed: true }}, may: {{ bob: [read] }} }}"
    );
    let count = |filter: &[&str]| {
        let count = run_files(&[], &[source("a.test.yaml", &text)], &[], filter).count();
        (count.passed, count.failed, count.skipped)
    };
    assert_eq!(count(&[]), (9, 3, 1));
    assert_eq!(count(&["read*"]), (5, 3, 0));
    assert_eq!(count(&["principal=bob", "action=read"]), (3, 0, 0));
    assert_eq!(count(&["resource=old", "principal=a*"]), (1, 1, 0));
    assert_eq!(count(&["file=b*"]), (0, 0, 0));
}

#[test]
fn a_text_that_is_no_test_file_is_one_finding_with_its_place() {
    let bomb = {
        let mut text = "principals:\n  p:\n    claims:\n      a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("      a{level}: &a{level} [{aliases}]\n"));
        }
        text
    };
    let deep = format!("tests: {}", "[".repeat(100_000));
    let nested: String = (6..400).map(|indent| format!("{}a:\n", " ".repeat(indent))).collect();
    let deep_block = format!("tests:\n  - name: x\n    context:\n{nested}");
    for (text, message) in [
        ("", ": the file holds no tests"),
        ("# nothing yet\n", ": the file holds no tests"),
        ("hello\n", "1: expected a mapping"),
        ("tests:\n", "1: expected a list"),
        ("tests: [\n", "1: unclosed bracket '['"),
        ("tests:\n\t- name: x\n", "2: tabs disallowed within this context (block indentation)"),
        ("tests: []\ntests: []\n", "2: the member `tests` is given twice"),
        ("tests: []\n---\ntests: []\n", "3: a second document begins here"),
        ("tests: [{ nam: x }]\n", "1: unknown member `nam`: did you mean `name`?"),
        ("tests: [{ name: [x] }]\n", "1: expected a string"),
        ("tests: [{ name: ~ }]\n", "1: expected a string, found nothing"),
        (
            "tests: [{ name: x, refused: no_token }]\n",
            "1: unknown value `no_token`: did you mean `invalid_token`?",
        ),
        ("principals: &p { ana: *p }\n", "1: recursive reference not allowed here"),
        ("resources: { a: { type: T, id: 7 } }\n", "1: an id is a string: write the number as a string"),
        (
            "resources: { a: { type: T, id: x, attributes: { b: ~ } } }",
            "1: null is not a Cedar value: leave the member out",
        ),
        ("[{\"request\": {}}]", "1: the member `principal` is missing"),
        (&bomb, "8: aliases make the text larger than it is by more than 100000 values"),
        (&deep, "1: recursion limit exceeded"),
        (&deep_block, "41: the text nests deeper than 40, or holds more than 1000000 values"),
    ] {
        let suite = Suite::read(&[], &[source("a.test.yaml", text), source("b.test.yaml", FIXTURES)]);
        let of_text: Vec<_> =
            suite.findings().iter().filter(|finding| &*finding.path == "a.test.yaml").cloned().collect();
        assert_eq!(messages(&of_text), [message], "{}", text.chars().take(80).collect::<String>());
    }
}

#[test]
fn lists_that_multiply_without_end_are_a_finding() {
    let names = |prefix: &str| (0..101).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let fixtures = |list: &[String], text: &str| {
        list.iter().map(|name| format!("  {name}: {text}\n")).collect::<String>()
    };
    let (people, things) = (names("u"), names("r"));
    let text = format!(
        "principals:\n{}resources:\n{}tests:\n  - {{ name: t, principals: [{people}], actions: [{reads}], resources: [{things}], expect: allow }}\n  - {{ name: u, principals: [u1], actions: [read], resources: [r1], expect: allow }}\n",
        fixtures(&people, "{}"),
        fixtures(&things, "{ type: Product, id: p }"),
        people = people.join(", "),
        things = things.join(", "),
        reads = vec!["read"; 101].join(", "),
    );
    let report = run_files(&[], &[source("a.test.yaml", &text)], &[], &[]);
    assert_eq!(messages(&report.findings), ["206: with this test there are more than 1000000 cases"]);
    assert_eq!(report.count().passed, 1);
}

#[test]
fn a_hundred_thousand_cases_are_asked_in_bounded_time() {
    let names = |prefix: &'static str, count| (0..count).map(move |n| format!("{prefix}{n}"));
    let people: String = names("u", 25).map(|name| format!("  {name}: {{}}\n")).collect();
    let things: String =
        names("r", 1_000).map(|name| format!("  {name}: {{ type: Product, id: {name} }}\n")).collect();
    let resources = names("r", 1_000).collect::<Vec<_>>().join(", ");
    let may: String = names("u", 25).map(|name| format!("      {name}: [read]\n")).collect();
    // Four actions take products.
    let text = format!(
        "principals:\n{people}resources:\n{things}tests:\n  - name: all users read and do no more\n    \
         contexts: {{ delete: {{ confirmed: true }} }}\n    resources: [{resources}]\n    may:\n{may}"
    );
    let start = Instant::now();
    let report = run_files(&[], &[source("a.test.yaml", &text)], &[], &[]);
    let took = start.elapsed();
    assert_eq!(messages(&report.findings), [""; 0]);
    let count = report.count();
    assert_eq!((count.passed, count.failed), (100_000, 0));
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn a_file_that_changes_once_it_is_read_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.test.yaml");
    let test = "  - { name: t, principals: [bob], actions: [read], resources: [new], expect: allow }";
    std::fs::write(&file, format!("{FIXTURES}{test}")).unwrap();
    let texts = TestFiles::new(folder.path(), std::slice::from_ref(&file), Limits::default()).read();
    std::fs::write(&file, format!("{FIXTURES}{}", test.replace("allow", "deny"))).unwrap();
    let report = run_files(&texts.shared, &texts.tests, &[], &[]);
    assert_eq!(outcomes(&report), ["bob read new: passed"]);
    let texts = TestFiles::new(folder.path(), &[file], Limits::default()).read();
    assert_eq!(run_files(&texts.shared, &texts.tests, &[], &[]).count().failed, 1, "it has changed");
}
