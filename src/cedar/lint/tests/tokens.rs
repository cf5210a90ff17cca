//! What a policy takes from a token: the kind that has it, and who can write it.

use super::*;

#[test]
fn a_forbid_that_the_other_token_gets_around_is_found() {
    let both = [TokenUse::Access, TokenUse::Id];
    let mapped = [("department", "custom:department")];
    let forbid = when(r#"when { principal has department && principal.department == "x" }"#)
        .replace("permit", "forbid");
    let shop = Shop::new(&forbid).issuer(&both, &mapped);
    assert_eq!(shop.found(), one("token-kind", "department"));
    assert!(shop.check().findings[0].message.starts_with("an access token cannot carry `custom:department`"));
    let near = [
        Shop::new(&forbid).issuer(&[TokenUse::Id], &mapped),
        Shop::new(&forbid).issuer(&both, &[("department", "department")]),
        Shop::new(&forbid),
        Shop::new(&forbid.replace("forbid", "permit")).issuer(&both, &mapped),
        Shop::new(&forbid.replace("department", "username")).issuer(&both, &mapped),
    ];
    for (index, shop) in near.iter().enumerate() {
        assert_eq!(shop.found(), NOTHING, "{index}");
    }
}

/// What is found in a forbid under these conditions, where an access token has no department and
/// the schema declares the kind of token.
fn forbid(conditions: &str) -> Vec<(&'static str, String)> {
    let mut shop = Shop::new(&when(conditions).replace("permit", "forbid"))
        .issuer(&[TokenUse::Access, TokenUse::Id], &[("department", "custom:department")]);
    let schema =
        shop.sources.schema[0].text.replace("username?: String,", "username?: String, token_use: String,");
    shop.sources.schema = vec![source("schema/shop.cedarschema", &schema)];
    shop.found()
}

#[test]
fn a_forbid_that_meets_the_other_kind_of_token_is_not_evaded() {
    for conditions in [
        r#"when { (principal has department && principal.department == "x") || principal.token_use == "access" }"#,
        r#"when { context has ip && ("id" != principal.token_use || principal has department) }"#,
        r#"when { principal.token_use == "access" || (principal.token_use == "id" && principal has department) }"#,
        r#"when { !(principal has department && principal.department == "staff") }"#,
        r#"when { context has ip } unless { principal has department && principal.department == "staff" }"#,
        r#"when { if principal.token_use == "id" then principal has department else context has ip }"#,
    ] {
        assert_eq!(forbid(conditions), NOTHING, "{conditions}");
    }
}

#[test]
fn a_forbid_that_asks_for_the_kind_which_has_the_attribute_is_still_evaded() {
    for conditions in [
        r#"when { principal.token_use == "id" && principal has department && principal.department == "x" }"#,
        r#"when { context has ip && ("access" != principal.token_use && principal has department) }"#,
        r#"when { principal.token_use == "id" || (principal has department && principal.department == "x") }"#,
        r#"when { principal has department } unless { principal.token_use == "access" }"#,
        r#"when { principal has department } unless { context has ip || "access" == principal.token_use }"#,
        r#"when { context has ip || (principal has department && principal.department == "x") }"#,
    ] {
        assert_eq!(forbid(conditions), one("token-kind", "department"), "{conditions}");
    }
}

#[test]
fn a_claim_that_users_can_write_is_found_until_somebody_vouches_for_it() {
    let mut shop = Shop::new("").issuer(&[TokenUse::Id], &[("department", "custom:department")]);
    assert_eq!(shop.found(), NOTHING, "immutable");
    let mapped = shop.sources.settings.issuers[0].attributes.get_mut("department").unwrap();
    mapped.immutable = false;
    assert_eq!(shop.found(), one("user-writable-claim", ""));
    let place = Place::of("\n\ndepartment", 2, 10);
    shop.project.claim_places = vec![BTreeMap::from([("department".to_owned(), place)])];
    assert_eq!(shop.check().findings[0].place, Some(place));
    let shop = shop.allow("user-writable-claim", "palisade.toml", "the pool has it read-only");
    assert_eq!(shop.found(), NOTHING);
    assert_eq!(shop.check().silenced[0].reason, "the pool has it read-only");
}
