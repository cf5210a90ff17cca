//! What the engine makes of questions, from sources in memory.

use std::sync::Arc;

use palisade::cedar::explain::Explanation;
use palisade::cedar::{Settings, Snapshot, Source, Sources, compile};
use palisade::model::identity::Serial;
use palisade::model::{
    Body, Evaluation, Finding, Identity, Issuer, Kind, Limits, MappedClaim, Origin, Reason, Refusal,
    RefusalCode, Timestamp, TokenUse, Value,
};

const POOL: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";

/// The shop, with changes.
struct Shop {
    sources: Sources,
}

impl Shop {
    fn new() -> Self {
        let file =
            |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
        let issuer = Issuer { issuer: POOL.into(), ..Issuer::unconfigured() };
        let sources = Sources {
            policies: vec![
                file("product.cedar", include_str!("../../policies/product.cedar")),
                file("category.cedar", include_str!("../../policies/category.cedar")),
                file("emergency.cedar", include_str!("../../policies/emergency.cedar")),
            ],
            schema: vec![file("shop.cedarschema", include_str!("../../schema/shop.cedarschema"))],
            settings: Settings { namespace: "Shop".to_owned(), issuers: vec![issuer], ..Settings::default() },
            ..Sources::default()
        };
        Self { sources }
    }

    fn policy(mut self, text: &str) -> Self {
        let source = Source { path: "more.cedar".into(), name: "more.cedar".into(), text: text.into() };
        self.sources.policies.push(source);
        self
    }

    fn schema(mut self, from: &str, to: &str) -> Self {
        for source in &mut self.sources.schema {
            source.text = source.text.replace(from, to).into();
        }
        self
    }

    fn stored(mut self, json: &str) -> Self {
        let source = Source { path: "stored.json".into(), name: "stored.json".into(), text: json.into() };
        self.sources.entities.push(source);
        self
    }

    fn issuer(mut self, change: impl FnOnce(&mut Issuer)) -> Self {
        change(&mut self.sources.settings.issuers[0]);
        self
    }

    fn compile(&self) -> Arc<Snapshot> {
        compile(&self.sources, &Limits::default()).unwrap().snapshot
    }

    fn findings(&self) -> Vec<Finding> {
        compile(&self.sources, &Limits::default())
            .map_or_else(|findings| findings, |compiled| compiled.warnings)
    }
}

fn user(groups: &[&str]) -> Identity {
    Identity {
        issuer: POOL.into(),
        kind: Kind::User,
        subject: "sub-1".to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        token_use: TokenUse::Access,
        username: Some("alice".to_owned()),
        client_id: Some("4example23456789".to_owned()),
        scope: Some(vec!["openid".to_owned()]),
        claims: [].into(),
        token_id: None,
        origin: Origin::Token,
        serial: Serial::next(),
    }
}

fn evaluate(snapshot: &Snapshot, identity: &Identity, json: &str) -> Result<Evaluation, Refusal> {
    let body = Body::parse(json.as_bytes(), &Limits::default())?;
    snapshot.evaluate(identity, &body.question, Timestamp::parse("2026-11-23T09:30:00Z").unwrap())
}

fn explain(snapshot: &Snapshot, identity: &Identity, json: &str) -> Explanation {
    let question = Body::parse(json.as_bytes(), &Limits::default()).unwrap().question;
    let evaluation = evaluate(snapshot, identity, json).unwrap();
    snapshot.explain(identity, &question, Timestamp::from_millis(0), &evaluation).unwrap()
}

/// `allow permitted [ids]`, or `422-like code: detail`.
fn asked(snapshot: &Snapshot, identity: &Identity, json: &str) -> String {
    match evaluate(snapshot, identity, json) {
        Ok(evaluation) => format!(
            "{} {} {:?}",
            evaluation.decision.as_str(),
            evaluation.reason.as_str(),
            evaluation.policies
        ),
        Err(refusal) => refusal.to_string(),
    }
}

const UPDATE: &str = r#"{"action": "updateProduct", "resource": {"type": "Product", "id": "p-42"}}"#;
const READ: &str = r#"{"action": "readProduct", "resource": {"type": "Product", "id": "p-42"}}"#;

#[test]
fn admins_update_users_read_and_machines_do_neither() {
    let shop = Shop::new().compile();
    assert_eq!(asked(&shop, &user(&["admin"]), UPDATE), r#"allow permitted ["admins-manage-products"]"#);
    assert_eq!(asked(&shop, &user(&["user"]), UPDATE), "deny no_permit []");
    assert_eq!(asked(&shop, &user(&[]), READ), r#"allow permitted ["users-view-products"]"#);
    let machine = Identity { kind: Kind::Machine, subject: "nightly".to_owned(), ..user(&[]) };
    assert_eq!(asked(&shop, &machine, READ), "deny no_permit []");
    let other = Identity { issuer: "https://elsewhere".into(), ..user(&["admin"]) };
    assert_eq!(asked(&shop, &other, READ), "invalid_token: the schema has no type for this principal");
}

#[test]
fn full_names_ask_the_same_question_as_short_ones() {
    let shop = Shop::new().compile();
    let full = r#"{"action": "Shop::Action::\"updateProduct\"", "resource": {"type": "Shop::Product", "id": "p-42"}}"#;
    assert_eq!(asked(&shop, &user(&["admin"]), full), r#"allow permitted ["admins-manage-products"]"#);
}

#[test]
fn nobody_deletes_a_filled_category_and_the_answer_says_why() {
    let shop = Shop::new().compile();
    let delete = |context: &str| {
        format!(
            r#"{{"action": "deleteCategory", "resource": {{"type": "Category", "id": "c"}}, "context": {context}}}"#
        )
    };
    assert_eq!(
        asked(&shop, &user(&["admin"]), &delete(r#"{"productCount": 0}"#)),
        r#"allow permitted ["admins-manage-categories"]"#
    );
    assert_eq!(
        asked(&shop, &user(&["admin"]), &delete(r#"{"productCount": 3}"#)),
        r#"deny forbidden ["filled-categories-stay"]"#
    );
    assert_eq!(
        asked(&shop, &user(&["admin"]), &delete("{}")),
        "schema_mismatch: `context.productCount` is missing: the schema requires an integer"
    );
}

#[test]
fn a_question_that_cannot_be_asked_says_what_was_meant() {
    let shop = Shop::new().compile();
    let alice = user(&["admin"]);
    let product = |more: &str| {
        format!(r#"{{"action": "updateProduct", "resource": {{"type": "Product", "id": "p"{more}}}}}"#)
    };
    for (json, expected) in [
        (
            UPDATE.replace("updateProduct", "updateProdcut"),
            "unknown_action: the schema has no action `updateProdcut`: did you mean `updateProduct`?",
        ),
        (
            UPDATE.replace("Product\"", "Prodct\""),
            "unknown_action: the schema has no action `updateProdct`: did you mean `updateProduct`?",
        ),
        (
            product("").replace("\"Product\"", "\"Produkt\""),
            "unknown_type: the schema has no entity type `Produkt`: did you mean `Product`?",
        ),
        (
            product("").replace("\"Product\"", "\"Category\""),
            "schema_mismatch: `Shop::Action::\"updateProduct\"` does not apply to resources of type `Shop::Category`, but to `Shop::Product`",
        ),
        (
            product(r#", "attributes": {"stauts": "x"}"#),
            "schema_mismatch: the schema has no `resource.attributes.stauts`: did you mean `status`?",
        ),
        (
            product(r#", "attributes": {"status": 7}"#),
            "schema_mismatch: `resource.attributes.status` is a number, and the schema wants a string",
        ),
        (
            product(r#", "attributes": {"owner": "u"}"#),
            "schema_mismatch: `resource.attributes.owner` is a string, and the schema wants an entity: write {\"type\": \"Shop::User\", \"id\": …}",
        ),
        (
            product(r#", "attributes": {"owner": {"__entity": {"type": "Shop::User", "id": "u"}}}"#),
            "schema_mismatch: `resource.attributes.owner` is no entity: write {\"type\": \"Shop::User\", \"id\": …} and no other members",
        ),
        (
            product(r#", "attributes": {"owner": {"type": "Product", "id": "u"}}"#),
            "schema_mismatch: `resource.attributes.owner` is an entity of type `Shop::Product`, and the schema wants `Shop::User`",
        ),
        (
            product(r#", "attributes": {"price": "1.x"}"#),
            "schema_mismatch: `resource.attributes.price`: the string is not a decimal (`1.25`) as Cedar writes them",
        ),
        (
            product(r#", "parents": [{"type": "Catalog", "id": "shop"}, {"type": "User", "id": "u"}]"#),
            "schema_mismatch: `resource.parents[1]`: an entity of type `Shop::Product` cannot stand in one of type `Shop::User`",
        ),
        (
            product(r#", "tags": {"a": 1}"#),
            "schema_mismatch: `resource.tags`: entities of type `Shop::Product` have no tags",
        ),
    ] {
        assert_eq!(asked(&shop, &alice, &json), expected, "{json}");
    }
}

#[test]
fn the_server_alone_says_what_time_it_is() {
    let text = r#"@id("office-hours") forbid (principal, action, resource)
        unless { context.now.toTime() < duration("9h30m1ms") && context.now.toTime() >= duration("9h30m") };"#;
    let shop = Shop::new().policy(text).compile();
    assert_eq!(asked(&shop, &user(&["admin"]), UPDATE), r#"allow permitted ["admins-manage-products"]"#);
    let forged = UPDATE.replace("}}", r#"}, "context": {"now": "2020-01-01"}}"#);
    assert_eq!(
        asked(&shop, &user(&["admin"]), &forged),
        "malformed_request: `context.now` is filled in by the server"
    );
}

#[test]
fn a_forbid_that_cannot_be_evaluated_denies() {
    let text = r#"@id("huge") forbid (principal, action == Shop::Action::"deleteCategory", resource)
        when { context.productCount * 4 > 100 };"#;
    let json = r#"{"action": "deleteCategory", "resource": {"type": "Category", "id": "c"}, "context": {"productCount": -9223372036854775808}}"#;
    let closed = evaluate(&Shop::new().policy(text).compile(), &user(&["admin"]), json).unwrap();
    assert_eq!(closed.reason, Reason::EvaluationError);
    assert_eq!(closed.decision.as_str(), "deny");
    assert!(closed.policies.is_empty());
    assert_eq!(&*closed.errors[0].policy, "huge");

    let mut open = Shop::new().policy(text);
    open.sources.settings.forbid_errors = palisade::cedar::ForbidErrors::Skip;
    let open = evaluate(&open.compile(), &user(&["admin"]), json).unwrap();
    assert_eq!((open.reason, open.errors.len()), (Reason::Permitted, 1));
}

#[test]
fn stored_entities_nest_groups_and_describe_users() {
    let stored = r#"[
        {"uid": {"type": "Shop::Group", "id": "leads"}, "attrs": {}, "parents": [{"type": "Shop::Group", "id": "admin"}]},
        {"uid": {"type": "Shop::User", "id": "sub-1"}, "attrs": {"department": "toys"}, "parents": [{"type": "Shop::Group", "id": "leads"}]}
    ]"#;
    let shop = Shop::new().stored(stored).compile();
    let alice = user(&[]);
    assert_eq!(asked(&shop, &alice, UPDATE), r#"allow permitted ["admins-manage-products"]"#);
    let explanation = serde_json::to_value(explain(&shop, &alice, UPDATE)).unwrap();
    assert_eq!(explanation["principal"]["attributes"]["department"], "toys");
    assert_eq!(explanation["principal"]["attributes"]["groups"], serde_json::json!([]));
    let groups = explanation["principal"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert!(groups.iter().all(|group| group["from"] == "stored"));
    assert_eq!(explanation["policies"][0]["effect"], "permit");
    assert_eq!(explanation["policies"][0]["line"], 9);
    assert_eq!(explanation["policies"][0]["annotations"]["id"], "admins-manage-products");
}

#[test]
fn no_body_describes_who_the_principal_is() {
    let schema = (
        "entity Group in [Group];",
        "entity Group in [Group, Department]; entity Department in [Department] = { level?: Long };",
    );
    let stored = r#"[{"uid": {"type": "Shop::Group", "id": "user"}, "parents": [{"type": "Shop::Department", "id": "d"}]}]"#;
    let policy = r#"permit (principal in Shop::Department::"top", action, resource);"#;
    let shop = Shop::new().schema(schema.0, schema.1).stored(stored).policy(policy).compile();
    let with = |entity: &str| UPDATE.replace("}}", &format!(r#"}}, "entities": [{entity}]}}"#));
    let bob = user(&["user"]);
    let forged =
        with(r#"{"type": "Department", "id": "d", "parents": [{"type": "Department", "id": "top"}]}"#);
    assert!(
        asked(&shop, &bob, &forged)
            .starts_with("forged_identity: `entities[0]` describes `Shop::Department::\"d\"`")
    );
    for (entity, code) in [
        (r#"{"type": "User", "id": "someone-else"}"#, RefusalCode::ForgedIdentity),
        (r#"{"type": "Group", "id": "admin"}"#, RefusalCode::ForgedIdentity),
        (r#"{"type": "Machine", "id": "m"}"#, RefusalCode::ForgedIdentity),
        (r#"{"type": "Shop::Action", "id": "readProduct"}"#, RefusalCode::MalformedRequest),
        (r#"{"type": "Product", "id": "p-42"}"#, RefusalCode::MalformedRequest),
        (
            r#"{"type": "Category", "id": "c"}, {"type": "Category", "id": "c"}"#,
            RefusalCode::MalformedRequest,
        ),
    ] {
        assert_eq!(evaluate(&shop, &bob, &with(entity)).unwrap_err().code, code, "{entity}");
    }
    let elsewhere =
        with(r#"{"type": "Department", "id": "e", "parents": [{"type": "Department", "id": "top"}]}"#);
    assert_eq!(asked(&shop, &bob, &elsewhere), "deny no_permit []");
}

#[test]
fn what_is_stored_is_never_overridden() {
    let stored = r#"[{"uid": {"type": "Shop::Product", "id": "p-42"}, "attrs": {"status": "frozen"}},
                     {"uid": {"type": "Shop::Category", "id": "c"}}]"#;
    let frozen = r#"@id("frozen") forbid (principal, action, resource is Shop::Product) when { resource has status && resource.status == "frozen" };"#;
    let shop = Shop::new().stored(stored).policy(frozen).compile();
    let alice = user(&["admin"]);
    assert_eq!(asked(&shop, &alice, UPDATE), r#"deny forbidden ["frozen"]"#);
    let described = UPDATE.replace("}}", r#", "attributes": {"status": "draft"}}}"#);
    assert!(asked(&shop, &alice, &described).starts_with("stored_entity: `resource` describes"));
    let described = UPDATE.replace("}}", r#"}, "entities": [{"type": "Category", "id": "c"}]}"#);
    assert!(asked(&shop, &alice, &described).starts_with("stored_entity: `entities[0]` describes"));
}

#[test]
fn ancestors_come_in_a_bounded_number_of_generations_and_in_no_ring() {
    let shop = Shop::new().compile();
    let category = |id: usize, parent: usize| {
        format!(
            r#"{{"type": "Category", "id": "{id}", "parents": [{{"type": "Category", "id": "{parent}"}}]}}"#
        )
    };
    let with = |entities: Vec<String>| {
        UPDATE.replace("}}", &format!(r#"}}, "entities": [{}]}}"#, entities.join(",")))
    };
    let chain = |length: usize| with((0..length).map(|id| category(id, id + 1)).collect());
    assert_eq!(asked(&shop, &user(&["admin"]), &chain(32)), r#"allow permitted ["admins-manage-products"]"#);
    assert!(asked(&shop, &user(&["admin"]), &chain(33)).contains("more than 32 generations"));
    let ring = with(vec![category(0, 1), category(1, 0)]);
    assert!(asked(&shop, &user(&["admin"]), &ring).contains("or stands in itself"));
}

#[test]
fn claims_are_read_as_the_schema_declares_them_or_the_token_is_refused() {
    let declared =
        "department?: String,\n        level?: Long, suspended?: Bool, limit: decimal, tags?: Set<String>,";
    let map = |issuer: &mut Issuer| {
        for name in ["level", "suspended", "limit", "tags"] {
            let claim = MappedClaim { claim: format!("custom:{name}"), immutable: true };
            issuer.attributes.insert(name.to_owned(), claim);
        }
    };
    let policy = r#"@id("level") permit (principal is Shop::User, action, resource)
        when { principal has level && principal.level == 3 && principal.limit.lessThan(decimal("2.0")) };"#;
    let shop = Shop::new().schema("department?: String,", declared).issuer(map).policy(policy).compile();
    let with = |claims: &[(&str, Value)]| {
        let claims = claims.iter().map(|(name, value)| (format!("custom:{name}"), value.clone()));
        asked(&shop, &Identity { claims: claims.collect(), ..user(&[]) }, UPDATE)
    };
    let text = |text: &str| Value::String(text.into());
    let limit = ("limit", text("1.5"));
    assert_eq!(with(&[limit.clone(), ("level", text("3"))]), r#"allow permitted ["level"]"#);
    assert_eq!(with(&[limit.clone(), ("level", Value::Long(3))]), r#"allow permitted ["level"]"#);
    assert_eq!(with(std::slice::from_ref(&limit)), "deny no_permit []");
    assert_eq!(
        with(&[("level", text("3"))]),
        "invalid_token: the access token does not carry `custom:limit`, which the schema requires as `limit`"
    );
    for bad in
        [text("3.0"), text(" 3"), text("+3"), text("03"), text("99999999999999999999"), Value::Bool(true)]
    {
        assert_eq!(
            with(&[limit.clone(), ("level", bad)]),
            "invalid_token: the claim `custom:level` cannot be read as an integer"
        );
    }
    for bad in [text("yes"), text("True"), Value::Long(1)] {
        assert_eq!(
            with(&[limit.clone(), ("suspended", bad)]),
            "invalid_token: the claim `custom:suspended` cannot be read as a boolean"
        );
    }
    let forged = Value::Record([("__extn".to_owned(), text("x"))].into());
    assert!(with(&[limit, ("tags", forged)]).starts_with("invalid_token"));
}

#[test]
fn a_mapping_that_the_schema_does_not_bear_is_a_finding() {
    let mapped = |name: &str, claim: &str, immutable: bool| {
        let shop = Shop::new().issuer(|issuer| {
            issuer.attributes.insert(name.to_owned(), MappedClaim { claim: claim.to_owned(), immutable });
        });
        shop.findings()
            .iter()
            .map(|finding| format!("{}: {}", finding.code, finding.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        mapped("departmet", "custom:d", true),
        [
            "unknown-attribute: `issuers.attributes.departmet`: the schema's `Shop::User` has no such attribute: did you mean `department`?"
        ]
    );
    assert!(mapped("groups", "custom:g", true)[0].starts_with("attribute-source"));
    assert!(mapped("department", "custom:d", false)[0].starts_with("user-writable-claim"));
    assert!(mapped("department", "custom:d", true).is_empty());
    assert!(mapped("email", "email", false).is_empty());
    let renamed = Shop::new().issuer(|issuer| issuer.principal_type = "Person".to_owned()).findings();
    assert_eq!(renamed[0].code, "principal-type");
}

#[test]
fn with_pool_ids_two_pools_never_share_a_principal() {
    let policy = r#"@id("pool") permit (principal in Shop::Group::"us-east-1_EXAMPLE|admin", action, resource)
        when { principal.groups.contains("us-east-1_EXAMPLE|admin") };"#;
    let shop =
        Shop::new().issuer(|issuer| issuer.id_format = palisade::model::IdFormat::PoolSub).policy(policy);
    let shop = shop.compile();
    assert_eq!(asked(&shop, &user(&["admin"]), UPDATE), r#"allow permitted ["pool"]"#);
    assert_eq!(&*shop.principal_uid(&user(&[])), r#"Shop::User::"us-east-1_EXAMPLE|sub-1""#);
}

#[test]
fn templates_are_linked_and_their_links_are_explained_where_they_stand() {
    let mut shop = Shop::new()
        .policy(r#"@id("editor") permit (principal == ?principal, action, resource == ?resource);"#);
    let links = "[\n  {\"template_id\": \"editor\", \"link_id\": \"bob-edits\", \"args\": {\"?principal\": \"Shop::User::\\\"sub-1\\\"\", \"?resource\": \"Shop::Product::\\\"p-42\\\"\"}}\n]";
    shop.sources.links.push(Source {
        path: "links.json".into(),
        name: "links.json".into(),
        text: links.into(),
    });
    let snapshot = shop.compile();
    let bob = user(&[]);
    assert_eq!(evaluate(&snapshot, &bob, UPDATE).unwrap().policies, ["bob-edits".into()]);
    let explanation = explain(&snapshot, &bob, UPDATE);
    assert_eq!((&*explanation.policies[0].path, explanation.policies[0].line), ("links.json", 2));
    assert_eq!(asked(&snapshot, &bob, &UPDATE.replace("p-42", "p-43")), "deny no_permit []");

    let wrong = links.replace("\"editor\"", "\"editr\"");
    shop.sources.links[0].text = wrong.into();
    let findings = shop.findings();
    assert_eq!(
        findings[0].to_string(),
        "links.json:2:3: there is no template `editr`: did you mean `editor`?"
    );
}

#[test]
fn every_finding_is_returned_with_its_place() {
    let text = "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);\n\
                permit (principal in Shop::Grup::\"x\", action, resource) when { principal.nothing };";
    let findings = Shop::new()
        .policy(text)
        .stored(r#"[{"uid": {"type": "Shop::Group", "id": "g"}, "parent": []}]"#)
        .findings();
    let shown: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(
        shown[0].starts_with("more.cedar:2:1: the id `a` is taken by the policy at more.cedar:1:1"),
        "{shown:#?}"
    );
    assert!(
        shown.iter().any(|finding| finding.starts_with("more.cedar:3:") && finding.contains("Grup")),
        "{shown:#?}"
    );
    assert!(
        shown.iter().any(|finding| finding.starts_with("stored.json:1:2: unknown member `parent`")),
        "{shown:#?}"
    );
}

#[test]
fn a_namespace_may_be_spread_over_several_files() {
    let mut shop = Shop::new().schema("entity Catalog;", "");
    let text = "namespace Shop { entity Catalog; }";
    shop.sources.schema.push(Source {
        path: "catalog.cedarschema".into(),
        name: "catalog.cedarschema".into(),
        text: text.into(),
    });
    assert_eq!(
        asked(&shop.compile(), &user(&["admin"]), UPDATE),
        r#"allow permitted ["admins-manage-products"]"#
    );
    shop.sources.schema[1].text = "namespace Shop { entity Catalog; entity User; }".into();
    assert!(shop.findings()[0].message.contains("User"), "{:?}", shop.findings());
}
