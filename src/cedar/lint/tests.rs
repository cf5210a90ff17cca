//! Each rule fires where it should, and not where that only looks alike.

use std::collections::BTreeMap;

use super::*;
use crate::cedar::{Settings, Source};
use crate::model::{Issuer, MappedClaim, TokenUse};

mod silences;
mod tokens;

/// A folder with the shop's schema and one policy file.
struct Shop {
    sources: Sources,
    project: Project,
}

impl Shop {
    fn new(policies: &str) -> Self {
        let settings = Settings { namespace: "Shop".to_owned(), ..Settings::default() };
        let sources = Sources {
            policies: vec![source("policies/a.cedar", policies)],
            schema: vec![source("schema/shop.cedarschema", include_str!("../../../schema/shop.cedarschema"))],
            settings,
            ..Sources::default()
        };
        Self { sources, project: Project { configuration: "palisade.toml".into(), ..Project::default() } }
    }

    fn issuer(mut self, kinds: &[TokenUse], attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes.iter().map(|(name, claim)| {
            ((*name).to_owned(), MappedClaim { claim: (*claim).to_owned(), immutable: true })
        });
        self.sources.settings.issuers = vec![Issuer {
            issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE".into(),
            token_use: kinds.to_vec(),
            attributes: attributes.collect::<BTreeMap<_, _>>(),
            ..Issuer::unconfigured()
        }];
        self
    }

    fn known_groups(mut self, groups: &[&str]) -> Self {
        self.project.config.known_groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self
    }

    fn entities(mut self, json: &str) -> Self {
        self.sources.entities = vec![source("entities/all.json", json)];
        self
    }

    fn allow(mut self, rule: &str, path: &str, reason: &str) -> Self {
        let [rule, path, reason] = [rule, path, reason].map(str::to_owned);
        self.project.config.allow.push(Allow { rule, path, reason });
        self
    }

    fn check(&self) -> Checked {
        check(&self.sources, &Limits::default(), &self.project)
    }

    /// The codes of the findings, each with what it marks.
    fn found(&self) -> Vec<(&'static str, String)> {
        self.check().findings.iter().map(|finding| (finding.code, self.marked(finding))).collect()
    }

    fn marked(&self, finding: &Finding) -> String {
        let Some(place) = finding.place else { return String::new() };
        let text = self.sources.policies.iter().chain(&self.sources.links).chain(&self.sources.schema);
        let text = text.clone().find(|source| source.path == finding.path).map(|source| &source.text);
        text.and_then(|text| text.get(place.offset..place.offset + place.length))
            .unwrap_or_default()
            .to_owned()
    }
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), name: path.rsplit('/').next().unwrap().into(), text: text.into() }
}

fn found(policies: &str) -> Vec<(&'static str, String)> {
    Shop::new(policies).found()
}

fn one(code: &'static str, marked: &str) -> Vec<(&'static str, String)> {
    vec![(code, marked.to_owned())]
}

/// A permit for users that update products, under these conditions.
fn when(conditions: &str) -> String {
    format!(
        r#"@id("a") permit (principal is Shop::User, action == Shop::Action::"updateProduct", resource) {conditions};"#
    )
}

const NOTHING: [(&str, String); 0] = [];

#[test]
fn a_short_type_name_is_mended_where_one_namespace_has_it() {
    let shop = Shop::new(
        r#"@id("a") permit (principal in Group::"admin", action == Shop::Action::"readProduct", resource);"#,
    );
    assert_eq!(shop.found(), one("short-type-name", "Group"));
    let fix = shop.check().findings[0].fix.clone().unwrap();
    assert_eq!((fix.place.length, fix.replacement.as_str()), (0, "Shop::"));
    let unknown = found(
        r#"@id("a") permit (principal in Shop::Grup::"x", action == Shop::Action::"readProduct", resource);"#,
    );
    assert_eq!(unknown, one("validation", "Shop::Grup"), "a slip is another finding");
}

#[test]
fn an_optional_attribute_wants_has_before_it() {
    assert_eq!(
        found(&when(r#"when { resource.status == "x" }"#)),
        one("optional-attribute", "resource.status")
    );
    assert_eq!(found(&when(r#"when { resource has status && resource.status == "x" }"#)), NOTHING);
    assert_eq!(found(&when(r#"when { principal.groups.contains("x") }"#)), NOTHING, "it is required");
}

#[test]
fn a_policy_wants_an_id() {
    let text = when("");
    assert_eq!(found(&text.replace(r#"@id("a")"#, "")), one("missing-id", "permit"));
    let template = "forbid (principal == ?principal, action, resource);";
    assert_eq!(found(template), one("missing-id", "forbid"));
    assert_eq!(found(&text), NOTHING);
}

#[test]
fn a_condition_reaches_no_further_than_the_request_leads() {
    let named = when(r#"when { principal.groups.containsAny(Shop::User::"a".groups) }"#);
    assert_eq!(found(&named), one("unbounded-reach", r#"Shop::User::"a""#));
    for bounded in [
        r#"when { principal == Shop::User::"a" || resource in Shop::Category::"b" }"#,
        r#"when { resource has owner && resource.owner.groups.contains("a") }"#,
    ] {
        assert_eq!(found(&when(bounded)), NOTHING, "{bounded}");
    }
}

#[test]
fn a_policy_that_never_applies_is_said_to_once_and_not_where_an_error_says_more() {
    let scope = r#"@id("a") permit (principal is Shop::User, action == Shop::Action::"updateProduct", resource is Shop::Category);"#;
    assert_eq!(found(scope), one("never-applies", scope));
    let condition = when("when { resource is Shop::Category }");
    assert_eq!(found(&condition), one("never-applies", &condition));
    let before_another = when("when { resource is Shop::Category && context has ip }");
    assert_eq!(found(&before_another), one("never-applies", &before_another), "and no condition is constant");
    let for_anybody = scope.replace("principal is Shop::User", "principal");
    assert_eq!(found(&for_anybody), one("never-applies", &for_anybody), "and nobody is anybody");
    let shadowed = format!("{}\n{}", when(""), before_another.replace("\"a\"", "\"b\""));
    assert_eq!(found(&shadowed).len(), 1, "and stands in no shadow");
    assert_eq!(found(&scope.replace("Category", "Product")), NOTHING);
    assert_eq!(found(&scope.replace("Category", "Thing")), one("validation", "Shop::Thing"));
}

#[test]
fn a_policy_in_the_shadow_of_a_broader_one_adds_nothing() {
    let pair = |broad: &str, narrow: &str| {
        let found = found(&format!("@id(\"broad\")\n{broad}\n@id(\"narrow\")\n{narrow}"));
        found.iter().map(|(code, _)| *code).collect::<Vec<_>>()
    };
    let users = r#"permit (principal is Shop::User, action in [Shop::Action::"viewProducts"], resource);"#;
    let admins = r#"permit (principal in Shop::Group::"admin", action == Shop::Action::"readProduct", resource is Shop::Product);"#;
    assert_eq!(pair(users, admins), ["shadowed"], "only users can be in a group");
    assert_eq!(pair(admins, users), ["shadowed"], "whichever comes first");
    assert_eq!(pair(users, users), ["shadowed"], "of two alike, one");
    let conditional = users.replace(';', "when { context has ip };");
    assert!(pair(&conditional, admins).is_empty(), "the broader one has a condition");
    assert_eq!(pair(users, &conditional), ["shadowed"]);
    assert!(pair(users, &admins.replace("permit", "forbid")).is_empty(), "another effect");
    assert!(pair(users, &admins.replace("Group::\"admin\"", "Machine::\"m\"")).is_empty(), "another type");
    assert!(pair(users, &admins.replace("readProduct", "updateProduct")).is_empty(), "another action");
    let toys = users.replace("resource", r#"resource in Shop::Category::"toys""#);
    assert!(pair(&toys, admins).is_empty(), "a narrower resource");
}

#[test]
fn of_many_in_one_shadow_each_names_whose_it_is() {
    let helps = |narrow: &[&str]| {
        let broad = r#"@id("all") permit (principal is Shop::User, action, resource);"#.to_owned();
        let named = |name: &&str| when("").replace("\"a\"", &format!("{name:?}"));
        let text = [broad].into_iter().chain(narrow.iter().map(named)).collect::<String>();
        let checked = Shop::new(&text).check();
        checked.findings.into_iter().filter_map(|finding| finding.help).collect::<Vec<_>>()
    };
    assert_eq!(helps(&["a"]), ["take this one out, or narrow the other"]);
    assert_eq!(helps(&["a", "b"]), ["take this one out, or narrow `all`: it shadows 2 policies"; 2]);
}

#[test]
fn groups_nest_in_the_store_and_so_do_their_shadows() {
    let policies = r#"
        @id("staff") permit (principal in Shop::Group::"staff", action == Shop::Action::"readProduct", resource);
        @id("admins") permit (principal in Shop::Group::"admin", action == Shop::Action::"readProduct", resource);"#;
    let nested = r#"[{"uid": {"type": "Shop::Group", "id": "admin"}, "parents": [{"type": "Shop::Group", "id": "staff"}]}]"#;
    let shop = Shop::new(policies);
    assert_eq!(shop.found(), NOTHING);
    let checked = shop.entities(nested).check();
    assert_eq!(checked.findings.len(), 1);
    assert!(
        checked.findings[0].message.starts_with("`staff` at policies/a.cedar:2:9 permits all"),
        "{:?}",
        checked.findings
    );
}

#[test]
fn a_permit_says_whom_it_is_for() {
    let text = r#"@id("a") permit (principal, action == Shop::Action::"readProduct", resource) when { context has ip };"#;
    assert_eq!(found(text), one("any-principal", "principal"));
    assert_eq!(
        found(&text.replace("context has ip", "resource has owner && resource.owner == principal")),
        NOTHING
    );
    assert_eq!(found(&text.replace("permit", "forbid")), NOTHING, "a forbid is for everybody");
}

#[test]
fn a_condition_that_decides_nothing_is_found_at_its_place() {
    let constant = |conditions: &str| found(&when(conditions));
    assert_eq!(constant("when { true }"), one("constant-condition", "true"));
    assert_eq!(
        constant("when { resource has owner && (principal is Shop::User) && context has ip }"),
        one("constant-condition", "(principal is Shop::User)")
    );
    assert_eq!(constant("unless { context has ip || 1 > 2 }"), one("constant-condition", "1 > 2"));
    assert_eq!(
        constant("unless { principal is Shop::Machine || resource has owner }"),
        one("constant-condition", "principal is Shop::Machine")
    );
    assert_eq!(
        constant("when { resource has owner } unless { context has ip || resource.owner == principal }"),
        NOTHING
    );
    assert_eq!(
        constant("when { 1 < 2 || context has ip }"),
        one("constant-condition", "1 < 2 || context has ip")
    );
    assert_eq!(
        constant("unless { resource has owner || (context has ip && 2 < 1) }"),
        one("constant-condition", "(context has ip && 2 < 1)")
    );
    assert_eq!(constant("when { context has ip || resource has owner }"), NOTHING);
    let both_types = r#"@id("a") permit (principal, action == Shop::Action::"readProduct", resource) when { principal is Shop::User };"#;
    assert_eq!(found(both_types), NOTHING, "a machine may ask too");
}

#[test]
fn a_condition_behind_a_has_is_tried_with_it() {
    assert_eq!(
        found(&when(r#"when { resource has status && resource.status == "x" && resource has status }"#)),
        one("constant-condition", "resource has status")
    );
}

#[test]
fn a_group_that_nobody_knows_is_a_slip() {
    let scope = r#"@id("a") permit (principal in Shop::Group::"amdin", action == Shop::Action::"readProduct", resource);"#;
    let asked = when(r#"when { principal.groups.containsAny(["admin", "amdin"]) }"#);
    for text in [scope, &asked] {
        let shop = Shop::new(text);
        assert_eq!(shop.found(), NOTHING, "nothing says which groups there are");
        let shop = shop.known_groups(&["admin"]);
        assert_eq!(shop.found(), one("unknown-group", r#""amdin""#));
        assert!(shop.check().findings[0].message.ends_with("did you mean `admin`?"));
        assert_eq!(shop.known_groups(&["admin", "amdin"]).found(), NOTHING);
    }
    let product = when(r#"when { ["amdin"].contains(principal.groups.isEmpty() == false) }"#);
    assert!(
        Shop::new(&product).known_groups(&["x"]).found().iter().all(|(code, _)| *code != "unknown-group")
    );
}

#[test]
fn entities_and_tests_know_groups_too() {
    let text = r#"@id("a") permit (principal in Shop::Group::"admin", action == Shop::Action::"readProduct", resource);"#;
    let stored = r#"[{"uid": {"type": "Shop::Group", "id": "staff"}, "parents": [{"type": "Shop::Group", "id": "admin"}]}]"#;
    assert_eq!(Shop::new(text).entities(stored).found(), NOTHING);
    assert_eq!(
        Shop::new(text).entities(&stored.replace("admin", "all")).found(),
        one("unknown-group", r#""admin""#)
    );
    let mut shop = Shop::new(text);
    shop.project.tested_groups.insert("user".to_owned());
    assert_eq!(shop.found(), one("unknown-group", r#""admin""#));
}

#[test]
fn the_group_of_a_link_is_found_in_its_file() {
    let mut shop = Shop::new(
        r#"@id("t") permit (principal in ?principal, action == Shop::Action::"readProduct", resource);"#,
    )
    .known_groups(&["admin"]);
    let link = r#"[{"template_id": "t", "link_id": "l", "args": {"?principal": "Shop::Group::\"amdin\""}}]"#;
    shop.sources.links = vec![source("policies/links.json", link)];
    assert_eq!(shop.found(), one("unknown-group", link.trim_matches(['[', ']'])));
    let shop = shop.allow("unknown-group", "policies/links.json", "made next week");
    assert_eq!(shop.found(), NOTHING);
}

#[test]
fn the_context_that_is_the_servers_is_a_time() {
    let mut shop = Shop::new("");
    let schema = shop.sources.schema[0].text.replace("now: datetime", "now: String");
    shop.sources.schema = vec![source("schema/shop.cedarschema", &schema)];
    assert_eq!(shop.found(), one("reserved-context", ""));
}

#[test]
fn texts_that_do_not_say_what_they_seem_to_are_found() {
    let string =
        |text: &str| when(&format!("when {{ resource has status && resource.status == \"{text}\" }}"));
    let codes = |text: &str| found(&string(text)).into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(codes("s\u{441}ope"), ["mixed-scripts"], "the second letter is Cyrillic");
    assert_eq!(codes("a\u{202e}b"), ["bidirectional-text"]);
    assert!(codes("Größe").is_empty());
}
