//! `palisade check` as people and programs meet its linter: what it prints, mends and answers with.

use std::process::Output;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::Setup;

fn check(setup: &Setup, arguments: &[&str]) -> Output {
    setup.command(&[&["check"], arguments].concat()).output().unwrap()
}

/// Exit code, standard output and standard error.
fn shown(setup: &Setup, output: &Output) -> String {
    let folder = setup.folder.path().display().to_string();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(&folder, "<folder>");
    let text = |bytes: &[u8]| text(bytes).lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- stdout\n{}\n--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

/// Policies that compile and are not what anybody means.
const ODD: &str = r#"permit (principal, action == Shop::Action::"createCategory", resource)
when { true && context has ip };

@id("admins-read")
@palisade_allow("shadowed: they keep it when users lose it")
permit (principal in Shop::Group::"admin", action == Shop::Action::"readProduct", resource);
"#;

#[test]
fn what_is_odd_is_shown_with_its_rule_and_what_to_do() {
    let setup = Setup::new();
    setup.write("policies/odd.cedar", ODD);
    assert_snapshot!(shown(&setup, &check(&setup, &[])), @r#"
    exit 0
    --- stdout
    7 policies, 3 warnings (1 silenced)
    --- stderr
    missing-id

      ⚠ this policy has no `@id`: its name changes with the file and with what stands before it
       ╭─[policies/odd.cedar:1:1]
     1 │ permit (principal, action == Shop::Action::"createCategory", resource)
       · ──────
     2 │ when { true && context has ip };
       ╰────
      help: write `@id("a-name-that-reads-well-in-a-log")` above it

    any-principal

      ⚠ this permit is for everybody: nothing in it looks at the principal
       ╭─[policies/odd.cedar:1:9]
     1 │ permit (principal, action == Shop::Action::"createCategory", resource)
       ·         ─────────
     2 │ when { true && context has ip };
       ╰────
      help: say who is meant: `principal is …`, or `principal in …` with a group

    constant-condition

      ⚠ this condition looks at nothing: it is the same for every request
       ╭─[policies/odd.cedar:2:8]
     1 │ permit (principal, action == Shop::Action::"createCategory", resource)
     2 │ when { true && context has ip };
       ·        ────
     3 │
       ╰────
      help: it decides nothing: take it out, or say what was meant
    "#);
}

#[test]
fn warnings_are_problems_where_they_are_denied() {
    let setup = Setup::new();
    assert_eq!(check(&setup, &["--deny-warnings"]).status.code(), Some(0), "the shop has none");
    setup.write("policies/odd.cedar", ODD);
    assert_eq!(check(&setup, &[]).status.code(), Some(0));
    assert_eq!(check(&setup, &["--deny-warnings"]).status.code(), Some(1));
}

#[test]
fn silences_of_the_configuration_are_judged_at_their_line() {
    let setup = Setup::new().settings(
        "[[check.allow]]\nrule = \"unused\"\npath = \"policies/product.cedar\"\nreason = \"why\"\n\
         [[check.allow]]\nrule = \"shadowed\"\npath = \"policies/product.cedar\"\nreason = \"why\"\n",
    );
    assert_snapshot!(shown(&setup, &check(&setup, &[])), @r#"
    exit 0
    --- stdout
    5 policies, 2 warnings
    --- stderr
    bad-allow

      ⚠ there is no rule `unused`
        ╭─[<folder>/palisade.toml:17:1]
     16 │ machine_type = "Machine"
     17 │ [[check.allow]]
        · ───────────────
     18 │ rule = "unused"
        ╰────
      help: a `[[check.allow]]` has a `rule`, a `path` and a `reason`

    unused-allow

      ⚠ nothing in `policies/product.cedar` is `shadowed` outside of policies
        ╭─[<folder>/palisade.toml:21:1]
     20 │ reason = "why"
     21 │ [[check.allow]]
        · ───────────────
     22 │ rule = "shadowed"
        ╰────
      help: take it out; what stands in a policy is silenced by `@palisade_allow` on the policy
    "#);
}

#[test]
fn a_claim_that_users_can_write_is_shown_where_it_is_mapped() {
    let setup = Setup::new().settings("[issuers.attributes]\ndepartment = \"custom:department\"\n");
    assert_snapshot!(shown(&setup, &check(&setup, &[])), @r#"
    exit 0
    --- stdout
    5 policies, 1 warning
    --- stderr
    user-writable-claim

      ⚠ `issuers.attributes.department` trusts `custom:department`, which users of `https://cognito-idp.us-east-1.amazonaws.com/us-east-1_TEST` may be able to write themselves
        ╭─[palisade.toml:18:1]
     17 │ [issuers.attributes]
     18 │ department = "custom:department"
        · ──────────
        ╰────
      help: where the pool forbids that, write `department = { claim = "custom:department", immutable = true }`
    "#);
}

#[test]
fn programs_get_what_is_silenced_with_its_reason() {
    let setup = Setup::new();
    setup.write("policies/odd.cedar", ODD);
    let result: Value = serde_json::from_slice(&check(&setup, &["--format", "json"]).stdout).unwrap();
    let [silenced] = &result["silenced"].as_array().unwrap()[..] else { panic!("{result:#}") };
    assert_eq!(silenced["code"], "shadowed");
    assert_eq!(silenced["reason"], "they keep it when users lose it");
    assert_eq!(silenced["silenced_by"], "policy");
    assert_eq!(result["findings"].as_array().unwrap().len(), 3);
}

#[test]
fn short_names_are_mended_in_place_and_the_rest_of_the_file_stays() {
    let setup = Setup::new();
    let text = "// kept\n@id(\"short\") permit (principal in Group::\"admin\", action in [Action::\"updateProduct\"],\n  resource is Product) // kept too\nwhen { resource has owner && resource.owner is User };\n";
    setup.write("policies/short.cedar", text);
    assert_snapshot!(shown(&setup, &check(&setup, &["--fix"])), @r#"
    exit 0
    --- stdout
    6 policies, 2 warnings
    --- stderr
    policies/short.cedar: mended in 4 places
    shadowed

      ⚠ `admins-manage-products` at policies/product.cedar:9:1 permits all that this policy does, and has no conditions
       ╭─[policies/short.cedar:2:14]
     1 │ // kept
     2 │ @id("short") permit (principal in Shop::Group::"admin", action in [Shop::Action::"updateProduct"],
       ·              ──────
     3 │   resource is Shop::Product) // kept too
       ╰────
      help: take this one out, or narrow the other

    constant-condition

      ⚠ this condition holds for every valid request
       ╭─[policies/short.cedar:4:30]
     3 │   resource is Shop::Product) // kept too
     4 │ when { resource has owner && resource.owner is Shop::User };
       ·                              ────────────────────────────
       ╰────
      help: it decides nothing: take it out, or say what was meant
    "#);
    let mended = std::fs::read_to_string(setup.path("policies/short.cedar")).unwrap();
    let full = ["Group::", "Action::", "Product)", "User }"];
    let expected =
        full.iter().fold(text.to_owned(), |text, name| text.replace(name, &format!("Shop::{name}")));
    assert_eq!(mended, expected);
    assert!(!setup.path("policies/.short.cedar.draft").exists());
}

#[test]
fn nothing_is_mended_where_the_result_would_not_compile() {
    let setup = Setup::new();
    let text = "@id(\"short\")\npermit (principal in Group::\"admin\", action == Shop::Action::\"fly\", resource);\n";
    setup.write("policies/short.cedar", text);
    assert_snapshot!(shown(&setup, &check(&setup, &["--fix"])), @r#"
    exit 1
    --- stdout
    2 errors
    --- stderr
      × nothing was mended: the result would not compile
      help: mend by hand what is left, and try again

    short-type-name

      × there is no entity type `Group`
       ╭─[policies/short.cedar:2:22]
     1 │ @id("short")
     2 │ permit (principal in Group::"admin", action == Shop::Action::"fly", resource);
       ·                      ─────
       ╰────
      help: policies use full names: write `Shop::Group`

    validation

      × there is no action `Shop::Action::"fly"`
       ╭─[policies/short.cedar:2:48]
     1 │ @id("short")
     2 │ permit (principal in Group::"admin", action == Shop::Action::"fly", resource);
       ·                                                ───────────────────
       ╰────
      help: did you mean `Shop::Action::"deleteCategory"`?
    "#);
    assert_eq!(std::fs::read_to_string(setup.path("policies/short.cedar")).unwrap(), text);
}

#[test]
fn annotations_are_escaped_and_nothing_else_is_printed() {
    let setup = Setup::new();
    let silence = r#"@palisade_allow("100%0A\n::error: why")"#;
    setup.write(
        "policies/odd, and: more.cedar",
        &format!("@id(\"a\")\n{silence}\n{}", &ODD[..ODD.find(';').unwrap() + 1]),
    );
    assert_snapshot!(shown(&setup, &check(&setup, &["--format", "github"])), @r#"
    exit 0
    --- stdout
    ::warning file=policies/odd%2C and%3A more.cedar,line=2,col=1,title=bad-allow::there is no rule `100%250A`%0Awrite `@palisade_allow("rule-id: why it is right as it is")`
    ::warning file=policies/odd%2C and%3A more.cedar,line=3,col=9,title=any-principal::this permit is for everybody: nothing in it looks at the principal%0Asay who is meant: `principal is …`, or `principal in …` with a group
    ::warning file=policies/odd%2C and%3A more.cedar,line=4,col=8,title=constant-condition::this condition looks at nothing: it is the same for every request%0Ait decides nothing: take it out, or say what was meant
    3 warnings, 0 silenced
    --- stderr
    "#);
}

#[test]
fn sarif_names_the_rule_the_place_and_the_silence() {
    let setup = Setup::new();
    setup.write("policies/odd.cedar", ODD);
    let log: Value = serde_json::from_slice(&check(&setup, &["--format", "sarif"]).stdout).unwrap();
    let run = &log["runs"][0];
    assert_eq!((&log["version"], &run["columnKind"]), (&"2.1.0".into(), &"unicodeCodePoints".into()));
    let results = run["results"].as_array().unwrap();
    let silenced: Vec<_> = results.iter().filter(|result| !result["suppressions"].is_null()).collect();
    assert_eq!(results.len(), 4);
    assert_eq!(silenced.len(), 1);
    assert_snapshot!(serde_json::to_string_pretty(silenced[0]).unwrap(), @r#"
    {
      "ruleId": "shadowed",
      "ruleIndex": 4,
      "level": "warning",
      "message": {
        "text": "`users-view-products` at policies/product.cedar:17:1 permits all that this policy does, and has no conditions\ntake this one out, or narrow the other"
      },
      "locations": [
        {
          "physicalLocation": {
            "artifactLocation": {
              "uri": "policies/odd.cedar",
              "uriBaseId": "%SRCROOT%"
            },
            "region": {
              "startLine": 6,
              "startColumn": 1,
              "endLine": 6,
              "endColumn": 7
            }
          }
        }
      ],
      "partialFingerprints": {
        "palisade/v1": "f4ad9ef4490e8612bf285c2504d70288:1"
      },
      "suppressions": [
        {
          "kind": "inSource",
          "status": "accepted",
          "justification": "they keep it when users lose it"
        }
      ]
    }
    "#);
}

#[test]
fn the_users_of_policy_tests_say_which_groups_there_are() {
    let setup = Setup::new();
    let misspelt = "@id(\"a\") permit (principal in Shop::Group::\"amdin\", action == Shop::Action::\"readProduct\", resource)\n\
                    when { resource has owner };\n";
    setup.write("policies/product.cedar", misspelt);
    assert_eq!(
        check(&setup, &["--deny-warnings"]).status.code(),
        Some(0),
        "nothing says which groups there are"
    );
    std::fs::create_dir_all(setup.path("tests/policies")).unwrap();
    let tests = "principals:\n  alice: { groups: [admin] }\n  bob: { claims: { \"cognito:groups\": [user] } }\ntests: []\n";
    setup.write("tests/policies/a.test.yaml", tests);
    let result: Value = serde_json::from_slice(&check(&setup, &["--format", "json"]).stdout).unwrap();
    let messages: Vec<_> = result["findings"].as_array().unwrap().iter().map(|one| &one["message"]).collect();
    assert_eq!(messages, ["no setting, stored entity or test knows a group `amdin`: did you mean `admin`?"]);
}
