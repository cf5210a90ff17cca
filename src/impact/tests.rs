//! What comparisons see, on policies where the answer is plain.

use std::sync::Arc;

use super::*;
use crate::cedar::{Compiled, Settings, Snapshot, Source as Text, Sources, compile};
use crate::identity::Config;
use crate::model::{Limits, MappedClaim, Timestamp, TokenUse};
use crate::suite::Suite;

const SCHEMA: &str = r"
    entity Group;
    entity User in [Group] = { team?: String };
    entity Machine = { client_id: String, scope: Set<String> };
    entity Folder;
    entity Note in [Folder] = { open?: Bool };
    action read, write appliesTo { principal: [User, Machine], resource: [Note], context: { mfa?: Bool } };
";

const READ: &str =
    r#"@id("members-read") permit (principal in Group::"member", action == Action::"read", resource);"#;

const TESTS: &str = r"
principals:
  ana: { groups: [member] }
  bob: { groups: [guest, member] }
  eva: {}
resources:
  plan: { type: Note, id: n-1, attributes: { open: true } }
tests:
  - name: members read
    principals: [ana]
    actions: [read]
    resources: [plan]
    expect: allow
";

/// One side: schema, policies and tests as texts, and its issuers.
struct Project {
    sources: Sources,
    issuers: Vec<Config>,
    limits: Limits,
    snapshot: Arc<Snapshot>,
    suite: Suite,
}

impl Project {
    fn new(policies: &str, tests: &str) -> Self {
        Self::with(SCHEMA, policies, tests, Vec::new())
    }

    fn with(schema: &str, policies: &str, tests: &str, issuers: Vec<Config>) -> Self {
        let text =
            |name: &str, text: &str| vec![Text { path: name.into(), name: name.into(), text: text.into() }];
        let mapping = issuers.iter().map(Config::mapping).collect();
        let sources = Sources {
            policies: text("p.cedar", policies),
            schema: text("s.cedarschema", schema),
            settings: Settings { issuers: mapping, ..Settings::default() },
            ..Sources::default()
        };
        let limits = Limits::default();
        let Compiled { snapshot, .. } = compile(&sources, &limits).unwrap();
        let suite = Suite::read(&[], &text("t.test.yaml", tests));
        assert_eq!(suite.findings(), []);
        Self { sources, issuers, limits, snapshot, suite }
    }

    fn side(&self) -> Side<'_> {
        Side {
            snapshot: &self.snapshot,
            sources: &self.sources,
            issuers: &self.issuers,
            limits: &self.limits,
            suite: &self.suite,
        }
    }
}

fn issuer() -> Config {
    Config {
        issuer: "https://issuer.example/pool".to_owned(),
        client_ids: vec!["web".to_owned()],
        token_use: vec![TokenUse::Access],
        machine_type: Some("Machine".to_owned()),
        ..Config::default()
    }
}

fn comparison<'a>(old: &'a Project, new: &'a Project, show_values: bool) -> Comparison<'a> {
    let terms = Terms { now: Timestamp::from_millis(0), combinations: 1_000, show_values };
    Comparison::of(old.side(), new.side(), terms)
}

fn impact(old: &Project, new: &Project) -> Impact {
    let mut comparison = comparison(old, new, false);
    comparison.ask_tests();
    comparison.ask_combinations();
    comparison.into_impact()
}

fn between(old: &str, new: &str) -> Impact {
    impact(&Project::new(old, TESTS), &Project::new(new, TESTS))
}

fn examples(impact: &PolicyImpact) -> Vec<String> {
    let example =
        |example: &Example| format!("{} {} {}", example.principal, example.action, example.resource);
    impact.examples.iter().map(example).collect()
}

#[test]
fn what_changes_is_told_by_policy_and_by_group_widest_first() {
    let everybody =
        r#"@id("everybody-reads") permit (principal is User, action == Action::"read", resource);"#;
    let locked = r#"@id("no-members") forbid (principal in Group::"member", action, resource);"#;
    let impact = between(READ, &format!("{everybody}{locked}"));
    assert_eq!(impact.changes, Changes { newly_allowed: 1, newly_denied: 2 });
    let [first, second] = impact.by_policy.as_slice() else { panic!("{impact:#?}") };
    assert_eq!(
        (&*first.policy, first.role, first.edit),
        ("no-members", Role::Forbids, Some(EditKind::Added))
    );
    assert_eq!(examples(first), ["ana (member) read plan", "bob (guest, member) read plan"]);
    assert_eq!((&*second.policy, second.role), ("everybody-reads", Role::Permits));
    assert_eq!(examples(second), ["eva read plan"]);
    let users: Vec<_> = impact.by_users.iter().map(|users| (&users.users, users.changes.all())).collect();
    let group = |name: &str| Users::Group(name.to_owned());
    assert_eq!(users, [(&group("member"), 2), (&group("guest"), 1), (&Users::NoGroup, 1)]);
    assert!(impact.allows_more() && impact.allows_less());
}

#[test]
fn a_policy_that_is_gone_and_one_that_breaks_are_told_apart() {
    let impact = between(READ, "");
    assert_eq!(
        (impact.by_policy[0].role, impact.by_policy[0].edit),
        (Role::PermitsNoMore, Some(EditKind::Removed))
    );
    let broken = format!(
        r#"{READ} @id("overflows") forbid (principal, action, resource)
        when {{ 9223372036854775807 + (if resource has open then 1 else 0) > 0 }};"#
    );
    let impact = between(READ, &broken);
    assert_eq!((&*impact.by_policy[0].policy, impact.by_policy[0].role), ("overflows", Role::Fails));
}

#[test]
fn a_decision_that_stays_for_another_reason_is_told() {
    let other = READ.replace("members-read", "all-members-read");
    let impact = between(READ, &other);
    assert_eq!(impact.changes, Changes::default());
    let [grounds] = impact.other_grounds.as_slice() else { panic!("{impact:#?}") };
    assert_eq!((grounds.decision, grounds.questions), (Decision::Allow, 2));
    assert_eq!((&*grounds.old.policies[0], &*grounds.new.policies[0]), ("members-read", "all-members-read"));
    assert!(!impact.allows_more() && !impact.allows_less());
}

#[test]
fn an_edit_that_no_question_touches_is_told_and_one_of_words_is_no_edit() {
    let other = r#"@id("members-read") @why("x") permit(principal in Group::"member", action == Action::"read", resource); // note"#;
    assert!(between(READ, other).edited.is_empty());
    let mallory = r#"@id("mallory") forbid (principal == User::"mallory", action, resource);"#;
    let impact = between(READ, &format!("{READ}{mallory}"));
    let untouched: Vec<_> = impact.untouched().map(|policy| &*policy.policy).collect();
    assert_eq!(untouched, ["mallory"]);
    // Within its scope, though its condition never held.
    let held =
        format!(r#"{READ}@id("held") forbid (principal, action, resource) when {{ principal has team }};"#);
    let impact = between(READ, &held);
    assert_eq!((impact.edited[0].in_scope, impact.edited[0].determined), (6, 0));
}

#[test]
fn the_same_question_of_several_tests_and_of_both_sides_is_asked_once() {
    let twice = format!(
        "{TESTS}  - name: again\n    principals: [ana]\n    actions: [read, 'Action::\"read\"']\n    resources: [plan]\n    expect: allow
  - name: all that members may\n    resources: [plan]\n    may: {{ ana: [read] }}\n"
    );
    let impact = impact(&Project::new(READ, TESTS), &Project::new(READ, &twice));
    assert_eq!((impact.asked.tests.asked, impact.asked.combinations.asked), (2, 4), "{:#?}", impact.asked);
    assert_eq!(impact.questions(), 6);
}

#[test]
fn fixtures_are_combined_in_the_circumstances_that_tests_give_an_action() {
    let tests = format!(
        "{TESTS}  - name: with a second factor\n    principals: [ana]\n    actions: [write]\n    resources: [plan]\n    context: {{ mfa: true }}\n    expect: allow\n"
    );
    let write = r#"@id("mfa-writes") permit (principal, action == Action::"write", resource) when { context has mfa && context.mfa };"#;
    let impact = impact(&Project::new("", &tests), &Project::new(write, &tests));
    assert_eq!(impact.changes.newly_allowed, 3, "every principal was told of the second factor");
}

#[test]
fn combinations_that_are_too_many_are_thinned_out_and_that_is_said() {
    let project = Project::new(READ, TESTS);
    let mut comparison = comparison(&project, &project, false);
    comparison.terms.combinations = 4;
    comparison.ask_tests();
    comparison.ask_combinations();
    let asked = comparison.into_impact().asked;
    assert!(asked.cut && asked.combinations.asked <= 4, "{asked:#?}");
    assert!(!impact(&project, &project).asked.cut);
}

#[test]
fn what_only_one_side_can_be_asked_is_told_and_counts_as_gained_or_lost() {
    let schema = SCHEMA.replace("action read, write", "action read, write, archive");
    let tests = TESTS.replace("actions: [read]", "actions: [read, archive]");
    let archive = format!(
        r#"{READ} @id("a") permit (principal in Group::"member", action == Action::"archive", resource);"#
    );
    let (old, new) = (Project::new(READ, TESTS), Project::with(&schema, &archive, &tests, Vec::new()));
    let impact = impact(&old, &new);
    assert_eq!((impact.changes, &*impact.also_edited), (Changes::default(), ["schema"].as_slice()));
    let [sided] = impact.one_sided.as_slice() else { panic!("{impact:#?}") };
    assert_eq!((sided.only, sided.code, &*sided.action), (Which::New, RefusalCode::UnknownAction, "archive"));
    assert_eq!((sided.allowed, sided.denied), (2, 1));
    assert!(impact.allows_more() && !impact.allows_less());
    let impact = self::impact(&new, &old);
    assert!(!impact.allows_more() && impact.allows_less());
}

#[test]
fn each_side_makes_the_principal_under_its_own_issuers() {
    let mapped = MappedClaim { claim: "custom:team".to_owned(), immutable: true };
    let maps = Config { attributes: [("team".to_owned(), mapped)].into(), ..issuer() };
    let team = r#"@id("team") permit (principal, action, resource) when { principal has team && principal.team == "toys" };"#;
    let tests = r#"
principals: { ana: { claims: { "custom:team": toys } } }
resources: { plan: { type: Note, id: n-1 } }
tests: [{ name: x, principals: [ana], actions: [read], resources: [plan], expect: deny }]
"#;
    let with = |issuer: Config| Project::with(SCHEMA, team, tests, vec![issuer]);
    let (old, new) = (with(issuer()), with(maps));
    let impact = impact(&old, &new);
    assert_eq!((impact.changes.newly_allowed, &*impact.also_edited), (2, ["settings"].as_slice()));
    assert_eq!(impact.by_policy[0].edit, None);
    let other_client = with(Config { token_use: vec![TokenUse::Id], ..issuer() });
    let accepted = with(Config { token_use: vec![TokenUse::Access, TokenUse::Id], ..issuer() });
    let impact = self::impact(&other_client, &accepted);
    assert_eq!(impact.questions(), 2, "a fixture is a token of the kind that the issuer sends first");
}

/// A record with values as the service writes it.
fn record(user: &str, groups: &str, claims: &str) -> String {
    format!(
        r#"{{"time":"2026-11-23T09:30:00.125Z","decision_id":"d-1","outcome":"deny","principal":"User::\"{user}\"","kind":"user","groups":{groups},"issuer":"https://issuer.example/pool","token_use":"access","identity":{{"sub":"{user}","username":"u","client_id":"web","claims":{claims}}},"action":"Action::\"read\"","resource":"Note::\"n\\\"9\"","context_keys":[],"context":{{}},"attributes":{{"open":true}},"parents":[{{"type":"Folder","id":"f"}}],"entities":[],"decision":"deny","reason":"no_permit","policies":[],"errors":[],"revision":"sha256:0","latency_us":9}}"#
    )
}

fn replayed(old: &Project, new: &Project, lines: &[&str], show_values: bool) -> (Impact, Vec<Torn>) {
    let mut comparison = comparison(old, new, show_values);
    comparison.expect_records();
    let torn = lines.iter().filter_map(|line| comparison.replay(line).err()).collect();
    (comparison.into_impact(), torn)
}

#[test]
fn a_record_with_its_values_is_asked_again_and_shows_none_of_them() {
    let folder = r#"@id("folder") permit (principal in Group::"member", action, resource in Folder::"f") when { resource.open };"#;
    let folder = folder.replace("resource.open", "resource has open && resource.open");
    let with = |policies: &str| Project::with(SCHEMA, policies, TESTS, vec![issuer()]);
    let (old, new) = (with(""), with(&folder));
    let lines = [record("s3cret", r#"["member"]"#, "{}"), record("s3cret", "[]", "{}")];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let (impact, torn) = replayed(&old, &new, &lines, false);
    assert_eq!(torn, []);
    let replay = impact.asked.recorded.as_ref().unwrap();
    assert_eq!((replay.records, replay.count.asked, replay.decided_otherwise), (2, 2, 0));
    assert_eq!(impact.changes, Changes { newly_allowed: 1, newly_denied: 0 });
    assert_eq!(examples(&impact.by_policy[0]), ["a user (member) read a Note"]);
    let printed = serde_json::to_string(&impact).unwrap();
    assert!(!printed.contains("s3cret") && !printed.contains("n\\"), "{printed}");
    let (impact, _) = replayed(&old, &new, &lines, true);
    assert_eq!(examples(&impact.by_policy[0]), [r#"User::"s3cret" (member) read Note::"n\"9""#]);
    let (impact, _) = replayed(&new, &old, &lines, false);
    assert_eq!(impact.asked.recorded.unwrap().decided_otherwise, 1, "on record as denied");
}

#[test]
fn a_claim_that_counted_because_it_was_verified_counts_again() {
    let mapped = MappedClaim { claim: "email".to_owned(), immutable: false };
    let maps = Config { attributes: [("team".to_owned(), mapped)].into(), ..issuer() };
    let team = r#"@id("team") permit (principal, action, resource) when { principal has team && principal.team == "a@example.org" };"#;
    let with = |policies: &str| Project::with(SCHEMA, policies, TESTS, vec![maps.clone()]);
    let lines =
        [record("ana", "[]", r#"{"email":"a@example.org"}"#), record("bob", "[]", r#"{"email":null}"#)];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let (impact, _) = replayed(&with(""), &with(team), &lines, false);
    assert_eq!((impact.questions(), impact.changes.newly_allowed), (2, 1));
}

#[test]
fn a_record_that_does_not_hold_what_decides_is_counted_by_what_is_missing() {
    let mapped = MappedClaim { claim: "custom:team".to_owned(), immutable: true };
    let maps = Config { attributes: [("team".to_owned(), mapped)].into(), ..issuer() };
    let old = Project::with(SCHEMA, READ, TESTS, vec![issuer()]);
    let new = Project::with(SCHEMA, READ, TESTS, vec![maps]);
    let whole = record("ana", "[]", r#"{"custom:team":null}"#);
    let unmapped = record("ana", "[]", "{}");
    let no_values = whole.replace(r#""context":{},"#, "");
    let unread = r#"{"time":"2026-11-23T09:30:00Z","decision_id":"d","outcome":"refused","principal":"User::\"a\"","kind":"user","groups":[],"issuer":"i","token_use":"access","code":"malformed_request"}"#;
    let orphan = r#"{"time":"2026-11-23T09:30:00Z","decision_id":"d","batch":"b-0","outcome":"deny","action":"Action::\"read\"","resource":"Note::\"n\""}"#;
    let wrong = whole.replace("\"kind\":\"user\"", "\"kind\":\"s3cret\"");
    let lines = [&whole, &unmapped, &no_values, unread, orphan, "{\"time\":", "[]", "{}", &wrong, "{s3cret}"];
    let (impact, torn) = replayed(&old, &new, &lines, false);
    let replay = impact.asked.recorded.unwrap();
    assert_eq!((replay.records, replay.count.asked), (5, 1));
    let why: Vec<_> = replay.not_replayed.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!(
        why,
        [
            ("it holds no values (`audit.values` was off)", 1),
            ("it was refused before it was a question", 1),
            ("the claim `custom:team` is mapped and not on record", 1),
            ("the head of its batch is not in the log", 1),
        ]
    );
    let torn: Vec<_> = torn.iter().map(ToString::to_string).collect();
    assert_eq!(
        torn,
        [
            "the line ends in the middle of a record",
            "this is no record: a member is not of its type",
            "this is no record: it has no `time`",
            "this is no record: a member is not of its type",
            "this is no record: it is not JSON",
        ]
    );
}

#[test]
fn the_items_of_a_batch_have_the_principal_of_its_head() {
    let (old, new) = (
        Project::with(SCHEMA, "", TESTS, vec![issuer()]),
        Project::with(SCHEMA, READ, TESTS, vec![issuer()]),
    );
    let head = record("ana", r#"["member"]"#, "{}");
    let head =
        head.split(r#","action""#).next().unwrap().replace(r#""outcome":"deny""#, r#""outcome":"batch""#)
            + "}";
    let item = r#"{"time":"2026-11-23T09:30:00Z","decision_id":"i-1","batch":"d-1","outcome":"deny","action":"Action::\"read\"","resource":"Note::\"n\"","context_keys":[],"context":{},"entities":[],"decision":"deny","reason":"no_permit","policies":[],"errors":[]}"#;
    let (impact, torn) = replayed(&old, &new, &[&head, item, item], false);
    assert_eq!(torn, []);
    let replay = impact.asked.recorded.as_ref().unwrap();
    assert_eq!((replay.records, impact.changes.newly_allowed), (2, 2));
}
