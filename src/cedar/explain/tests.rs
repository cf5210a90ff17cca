//! What is told about decisions of a small project: who almost got what they asked for, and why not.

use serde_json::{Value, json};

use super::*;
use crate::cedar::{Settings, Source, Sources, compile};
use crate::model::{Body, Issuer, Limits, Timestamp};

const SCHEMA: &str = "
entity Group in [Group];
entity User in [Group] = { groups: Set<String>, username?: String, team?: String };
entity Folder in [Folder];
entity Doc in [Folder] = { status?: String, owner?: User, pages: Long };
action read, edit appliesTo { principal: [User], resource: [Doc], context: { ip?: ipaddr } };
action open appliesTo { principal: [User], resource: [Folder] };
";

/// A project with these policies; `stored` are its entities.
fn project(policies: &str, stored: &str) -> Arc<Snapshot> {
    let file = |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![file("p.cedar", policies)],
        schema: vec![file("s.cedarschema", SCHEMA)],
        entities: vec![file("e.json", stored)],
        settings: Settings {
            issuers: vec![Issuer { machine_type: None, ..Issuer::unconfigured() }],
            ..Settings::default()
        },
        ..Sources::default()
    };
    compile(&sources, &Limits::default()).unwrap().snapshot
}

fn me(groups: &[&str]) -> Identity {
    Identity::of_user("me", groups)
}

fn question(body: &Value) -> crate::model::Question {
    Body::parse(body.to_string().as_bytes(), &Limits::default()).unwrap().question
}

fn explained(snapshot: &Snapshot, groups: &[&str], body: &Value) -> Explanation {
    let (me, question, now) = (me(groups), question(body), Timestamp::from_millis(0));
    let evaluation = snapshot.evaluate(&me, &question, now).unwrap();
    snapshot.explain(&me, &question, now, &evaluation).unwrap()
}

fn edit() -> Value {
    json!({
        "action": "edit",
        "resource": {"type": "Doc", "id": "d", "attributes": {"pages": 3}, "parents": [{"type": "Folder", "id": "inbox"}]},
    })
}

/// The near misses in short: id, and each failed part with what it saw.
fn told(explanation: &Explanation) -> Vec<String> {
    let seen = |seen: &Seen| format!("{} = {}", seen.expression, seen.value.as_deref().unwrap_or("nothing"));
    let part = |part: &FailedPart| {
        let mut seen: Vec<_> = part.seen.iter().map(seen).collect();
        seen.extend(part.error.clone());
        format!("{} `{}` ({})", part.part.as_str(), part.text, seen.join(", "))
    };
    let miss = |miss: &NearMiss| {
        let failed: Vec<_> = miss.failed.iter().map(part).collect();
        format!("{}: {}", miss.policy.id, failed.join("; "))
    };
    explanation.near_misses.iter().map(miss).collect()
}

fn hints(explanation: &Explanation) -> Vec<&str> {
    explanation.hints.iter().map(|hint| &*hint.message).collect()
}

#[test]
fn a_part_of_the_scope_or_the_first_condition_is_told_with_what_it_saw() {
    let project = project(
        r#"@id("group") permit (principal in Group::"editors", action in [Action::"read", Action::"edit"], resource);
           @id("folder") permit (principal is User, action, resource is Doc in Folder::"shared") when { resource.pages < 3 };
           @id("when") permit (principal, action == Action::"edit", resource)
             when { resource is Doc && resource.pages > 0 && resource has status && resource.status == "draft" };
           @id("unless") permit (principal, action == Action::"edit", resource) unless { resource.pages > 9 || resource.pages == 3 };
           @id("action") permit (principal, action == Action::"read", resource);
           @id("two-parts") permit (principal in Group::"editors", action == Action::"read", resource);
           @id("elsewhere") permit (principal, action == Action::"open", resource);
           @id("forbid") forbid (principal == User::"you", action, resource);"#,
        "[]",
    );
    let explanation = explained(&project, &["users"], &edit());
    assert_eq!(
        told(&explanation),
        [
            "when: when `resource has status` (resource has status = false)",
            "unless: unless `resource.pages == 3` (resource.pages = 3)",
            r#"group: principal `principal in Group::"editors"` (principal = User::"me")"#,
            r#"action: action `action == Action::"read"` (action = Action::"edit")"#,
            r#"folder: resource `resource is Doc in Folder::"shared"` (resource = Doc::"d"); when `resource.pages < 3` (resource.pages = 3)"#,
        ]
    );
    let group = serde_json::to_value(&explanation.near_misses[2]).unwrap();
    assert_eq!(
        (&group["effect"], &group["path"], &group["line"]),
        (&json!("permit"), &json!("p.cedar"), &json!(1))
    );
    assert_eq!((&group["failed"][0]["line"], &group["failed"][0]["column"]), (&json!(1), &json!(22)));
    assert_eq!(group["failed"][0]["seen"][0]["ancestors"], json!(["Group::\"users\""]));
    assert_eq!(
        explanation.near_misses[4].failed[0].seen[0].ancestors,
        Some(vec!["Folder::\"inbox\"".to_owned()])
    );
}

#[test]
fn an_allow_tells_which_forbids_came_near() {
    let project = project(
        r#"@id("everybody") permit (principal, action, resource);
           @id("never") permit (principal, action, resource) when { false };
           @id("guests") forbid (principal in Group::"guests", action, resource);"#,
        "[]",
    );
    let explanation = explained(&project, &[], &edit());
    assert_eq!(explanation.policies[0].id, "everybody".into());
    assert_eq!(
        told(&explanation),
        [
            r#"guests: principal `principal in Group::"guests"` (principal = User::"me")"#,
            "never: when `false` ()"
        ]
    );
}

#[test]
fn a_condition_that_cannot_be_evaluated_is_a_near_miss_with_its_error() {
    let project = project(
        r#"@id("big") permit (principal, action, resource is Doc) when { resource.pages * 9223372036854775807 > 0 };"#,
        "[]",
    );
    let explanation = explained(&project, &[], &edit());
    let [miss] = &explanation.near_misses[..] else { panic!("{:?}", told(&explanation)) };
    assert!(miss.failed[0].error.as_deref().is_some_and(|error| error.contains("overflow")), "{miss:?}");
    assert_eq!(miss.failed[0].seen[0].value.as_deref(), Some("3"));
}

#[test]
fn a_link_is_told_with_its_slots_filled_in() {
    let file = |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
    let template = r#"@id("editor")
permit (principal == ?principal, action, resource)
when { resource.pages > 5 };"#;
    let link = |id: &str, user: &str| json!({"template_id": "editor", "link_id": id, "args": {"?principal": format!("User::\"{user}\"")}});
    let sources = Sources {
        policies: vec![file("p.cedar", &template.replace("resource)", "resource is Doc)"))],
        schema: vec![file("s.cedarschema", SCHEMA)],
        links: vec![file("links.json", &json!([link("mine", "me"), link("yours", "you")]).to_string())],
        ..Sources::default()
    };
    let snapshot = compile(&sources, &Limits::default()).unwrap().snapshot;
    let explanation = explained(&snapshot, &[], &edit());
    assert_eq!(
        told(&explanation),
        [
            "mine: when `resource.pages > 5` (resource.pages = 3)",
            "yours: principal `principal == User::\"you\"` (principal = User::\"me\"); when `resource.pages > 5` (resource.pages = 3)",
        ]
    );
    let mine = &explanation.near_misses[0];
    assert_eq!((&*mine.policy.path, mine.policy.line), ("links.json", 1));
    assert_eq!((&*mine.failed[0].path, mine.failed[0].place.line), ("p.cedar", 3));
}

#[test]
fn at_most_five_are_told_and_what_was_not_looked_into_is_counted() {
    let policies = |count: u32, condition: &str| {
        let policy = |number| {
            format!("@id(\"p{number}\") permit (principal, action, resource) when {{ {condition} }};\n")
        };
        (0..count).map(policy).collect::<Vec<_>>().concat()
    };
    let policies_that_fail = policies(60, "false");
    let explanation = explained(&project(&policies_that_fail, "[]"), &[], &edit());
    assert_eq!((explanation.near_misses.len(), explanation.unexamined), (5, 10));

    let long = format!("\"{}\" == \"\"", "x".repeat(9_000));
    let project = project(&policies(6, &long), "[]");
    assert_eq!(explained(&project, &[], &edit()).unexamined, 5);
    assert_eq!(explained(&project, &[], &edit()).unexamined, 4, "what was parsed stays parsed");
}

#[test]
fn a_token_without_groups_gets_a_hint_where_a_policy_asks_for_one() {
    let in_scope = r#"@id("editors") permit (principal in Group::"editors", action, resource);"#;
    let in_condition = r#"@id("editors") permit (principal is User, action, resource) when { principal.groups.contains("editors") };"#;
    let told = "the access token carries no groups, and `editors` asks for `editors`: if the user belongs \
                there, add them in the user pool; tokens issued after that carry it";
    for policy in [in_scope, in_condition] {
        assert_eq!(hints(&explained(&project(policy, "[]"), &[], &edit())), [told]);
        assert!(hints(&explained(&project(policy, "[]"), &["users"], &edit())).is_empty());
    }
    let other = r#"permit (principal == User::"you", action, resource);"#;
    assert!(hints(&explained(&project(other, "[]"), &[], &edit())).is_empty());
}

#[test]
fn a_group_under_another_case_gets_a_hint() {
    let policy = r#"@id("editors") permit (principal in Group::"editors", action, resource);"#;
    assert_eq!(
        hints(&explained(&project(policy, "[]"), &["Editors"], &edit())),
        [
            "the token carries the group `Editors`, and `editors` asks for `editors`: the case of letters counts, so write both alike"
        ]
    );
    let stored =
        r#"[{"uid": {"type": "Group", "id": "interns"}, "parents": [{"type": "Group", "id": "editors"}]}]"#;
    assert_eq!(
        hints(&explained(&project(policy, stored), &["Interns"], &edit())),
        [
            "the token carries the group `Interns`, and the stored entities hold `interns`: the case of letters counts, so write both alike"
        ]
    );
    assert!(hints(&explained(&project(policy, stored), &["other"], &edit())).is_empty());
}

#[test]
fn an_attribute_that_was_not_sent_gets_a_hint_with_its_place() {
    let policy = |condition: &str| {
        let text = format!(
            "@id(\"p\") permit (principal is User, action == Action::\"edit\", resource is Doc) when {{ {condition} }};"
        );
        project(&text, "[]")
    };
    let hint = |condition: &str| explained(&policy(condition), &["users"], &edit()).hints;
    let message = |condition: &str| hint(condition).first().map(|hint| hint.message.clone());
    assert_eq!(
        message("resource has status && resource.status == \"draft\"").unwrap(),
        "`resource` has no `status`, which `p` asks for: send it in `resource.attributes`"
    );
    assert_eq!(
        message("context has ip && context.ip.isLoopback()").unwrap(),
        "`context` has no `ip`, which `p` asks for: send it in `context`"
    );
    assert_eq!(
        message("principal has team && principal.team == \"a\"").unwrap(),
        "`principal` has no `team`, which `p` asks for: map a claim to it in `[issuers.attributes]`, or store it"
    );
    assert_eq!(
        message("principal has username").unwrap(),
        "`principal` has no `username`, which `p` asks for: the access token does not carry the claim `username`"
    );
    assert_eq!(hint("resource has status")[0].code, HintCode::AttributeNotSent);
    assert!(hint("resource.pages == 4").is_empty());
}

#[test]
fn a_question_about_another_type_of_resource_is_told_which_actions_it_has() {
    let project = project("permit (principal, action, resource);", "[]");
    let advice = |action: &str, type_name: &str| {
        let body = json!({"action": action, "resource": {"type": type_name, "id": "x"}});
        project.advise(&question(&body))
    };
    let [hint] = &advice("edit", "Folder")[..] else { panic!("one hint") };
    assert_eq!(hint.code, HintCode::ResourceType);
    assert_eq!(
        hint.message,
        "ask about a resource of type `Doc`, or about another action: the actions on a `Folder` are `open`"
    );
    assert!(advice("edit", "Doc").is_empty() && advice("edti", "Folder").is_empty());
}
