//! The rules about claims, one by one.

use serde_json::{Value as Json, json};

use super::super::issuer::Cognito;
use super::super::token::NESTING;
use super::*;
use crate::model::MappedClaim;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";

fn config() -> Config {
    Config {
        issuer: ISSUER.to_owned(),
        client_ids: vec!["web".to_owned(), "importer".to_owned()],
        token_use: vec![TokenUse::Access, TokenUse::Id],
        machine_type: Some("Machine".to_owned()),
        ..Config::default()
    }
}

fn access() -> Cognito {
    Cognito::access("3f0c", &["user", "admin"], "web", NOW)
}

fn id() -> Cognito {
    Cognito::id("3f0c", &["user"], "web", NOW)
}

fn judged(config: &Config, json: &Json) -> Result<Identity, Broken> {
    let text = json.to_string();
    let members = Members::read(text.as_bytes(), NESTING).unwrap();
    let mapping = config.mapping();
    let claims = Claims::read(&members, &mapping);
    claims.judge(config, NOW)?;
    let (kind, token_use) = (claims.kind().unwrap(), claims.token_use().unwrap());
    Ok(claims.into_identity(&mapping, kind, token_use, Origin::Token).unwrap())
}

fn accepted(claims: &Cognito) -> Identity {
    judged(&config(), &claims.to_json(ISSUER)).unwrap()
}

fn refused(claims: &Cognito) -> &'static str {
    refused_by(&config(), claims)
}

fn refused_by(config: &Config, claims: &Cognito) -> &'static str {
    judged(config, &claims.to_json(ISSUER)).unwrap_err().detail
}

#[test]
fn an_access_token_becomes_a_user() {
    let user = accepted(&access());
    assert_eq!((user.kind, user.token_use, user.origin), (Kind::User, TokenUse::Access, Origin::Token));
    assert_eq!((user.subject.as_str(), user.username.as_deref()), ("3f0c", Some("3f0c")));
    assert_eq!(user.groups, ["admin", "user"]);
    assert_eq!(user.client_id.as_deref(), Some("web"));
    assert_eq!(user.scope.unwrap(), ["aws.cognito.signin.user.admin"]);
    assert_eq!(&*user.issuer, ISSUER);
    assert!(user.token_id.is_some() && user.claims.is_empty());
}

#[test]
fn an_id_token_becomes_a_user() {
    let user = accepted(&id());
    assert_eq!((user.kind, user.token_use), (Kind::User, TokenUse::Id));
    assert_eq!((user.client_id.as_deref(), user.username.as_deref()), (Some("web"), Some("3f0c")));
    assert_eq!(user.scope, None);
}

#[test]
fn a_client_credentials_token_becomes_a_machine() {
    let machine = accepted(&Cognito::machine("importer", " shop/write  shop/read shop/read ", NOW));
    assert_eq!((machine.kind, machine.subject.as_str()), (Kind::Machine, "importer"));
    assert_eq!(machine.scope.unwrap(), ["shop/read", "shop/write"]);
    assert_eq!((machine.username, machine.groups), (None, Vec::new()));
}

#[test]
fn machines_are_accepted_only_where_that_is_configured() {
    let no_machines = Config { machine_type: None, ..config() };
    let machine = Cognito::machine("importer", "", NOW);
    assert_eq!(refused_by(&no_machines, &machine), "machine tokens not allowed");
    assert!(judged(&no_machines, &access().to_json(ISSUER)).is_ok());
}

#[test]
fn a_mixture_of_a_user_and_a_machine_is_neither() {
    let neither = "neither a user's nor a machine's token";
    let machine = || Cognito::machine("importer", "", NOW);
    assert_eq!(refused(&machine().with("cognito:groups", json!(["admin"]))), neither);
    assert_eq!(refused(&machine().with("cognito:groups", json!([]))), neither);
    assert_eq!(refused(&Cognito::access("importer", &[], "importer", NOW)), neither);
    assert_eq!(refused(&access().without("username")), neither);
    assert_eq!(refused(&Cognito::id("web", &[], "web", NOW)), neither);
}

#[test]
fn every_token_has_its_claims() {
    for claim in ["iss", "sub", "exp", "iat", "token_use"] {
        assert_eq!(refused(&access().without(claim)), "claim missing", "{claim}");
    }
    for claim in ["client_id", "username"] {
        assert!(judged(&config(), &access().without(claim).to_json(ISSUER)).is_err(), "{claim}");
    }
}

#[test]
fn a_claim_of_a_wrong_type_refuses_the_token() {
    for (claim, values) in [
        ("iss", vec![json!([ISSUER]), json!(null), json!(7), json!({})]),
        ("sub", vec![json!(["3f0c"]), json!(null), json!(7)]),
        ("exp", vec![json!("1800003600"), json!(1_800_003_600.5), json!(null), json!(u64::MAX)]),
        ("iat", vec![json!("1800000000"), json!(1.8e9), json!(null), json!([1])]),
        ("nbf", vec![json!("1800000000"), json!(null), json!(0.5)]),
        ("token_use", vec![json!(["access"]), json!(null)]),
        ("client_id", vec![json!(["web"]), json!(null)]),
        ("username", vec![json!(null), json!(7)]),
        ("cognito:username", vec![json!(7)]),
        ("scope", vec![json!(["a"]), json!(null)]),
        ("jti", vec![json!(7), json!(null)]),
        ("aud", vec![json!(7), json!(null), json!({"a": 1}), json!(["web", 7]), json!([["web"]])]),
        ("email_verified", vec![json!(1), json!(null), json!(["true"])]),
    ] {
        for value in values {
            assert_eq!(refused(&access().with(claim, value.clone())), "claim malformed", "{claim}: {value}");
        }
    }
}

#[test]
fn a_subject_can_be_an_entitys_id() {
    assert_eq!(refused(&access().with("sub", "")), "subject malformed");
    assert_eq!(refused(&access().with("sub", "x".repeat(257))), "subject malformed");
    assert!(judged(&config(), &access().with("sub", "x".repeat(256)).to_json(ISSUER)).is_ok());
}

#[test]
fn times_are_judged() {
    let now = NOW.seconds();
    assert_eq!(refused(&access().with("exp", now)), "expired");
    assert_eq!(refused(&access().with("iat", now + 61)), "issued in the future");
    assert_eq!(refused(&access().with("exp", now + 86_401)), "too old");
    assert_eq!(refused(&access().with("iat", now - 90_000)), "too old");
    assert_eq!(refused(&access().with("nbf", now + 61)), "not yet valid");
    assert!(judged(&config(), &access().with("nbf", now + 60).to_json(ISSUER)).is_ok());
}

#[test]
fn the_kind_of_token_is_one_that_the_issuer_accepts() {
    let only = |token_use| Config { token_use: vec![token_use], ..config() };
    assert_eq!(refused_by(&only(TokenUse::Access), &id()), "token_use not allowed");
    assert_eq!(refused_by(&only(TokenUse::Id), &access()), "token_use not allowed");
    for other in ["refresh", "Access", "access ", ""] {
        assert_eq!(refused(&access().with("token_use", other)), "token_use not allowed", "{other}");
    }
}

#[test]
fn the_client_is_one_that_the_issuer_accepts() {
    assert_eq!(refused(&access().with("client_id", "other")), "client not allowed");
    assert_eq!(refused(&access().with("client_id", "WEB")), "client not allowed");
    assert_eq!(refused(&access().without("client_id").with("aud", "web")), "client not allowed");
    assert_eq!(refused(&id().with("aud", "other")), "client not allowed");
    assert_eq!(refused(&id().with("aud", json!(["web"]))), "client not allowed");
    assert_eq!(refused(&id().without("aud").with("client_id", "web")), "client not allowed");
}

#[test]
fn an_access_token_that_is_bound_to_a_resource_needs_that_resource_listed() {
    let bound = Config { audiences: vec!["https://shop.example".to_owned()], ..config() };
    let passes =
        |config: &Config, aud: Json| judged(config, &access().with("aud", aud).to_json(ISSUER)).is_ok();
    assert!(passes(&bound, json!("https://shop.example")));
    assert!(passes(&bound, json!(["https://shop.example"])));
    for aud in
        [json!("https://other.example"), json!(["https://shop.example", "https://other.example"]), json!([])]
    {
        assert!(!passes(&bound, aud.clone()), "{aud}");
    }
    assert_eq!(refused(&access().with("aud", "web")), "audience not allowed");
}

#[test]
fn groups_are_an_array_of_names_or_the_token_is_refused() {
    for groups in
        [json!("admin"), json!(r#"["admin"]"#), json!(null), json!([["admin"]]), json!([null]), json!({})]
    {
        assert_eq!(refused(&access().with("cognito:groups", groups.clone())), "groups malformed", "{groups}");
    }
    assert_eq!(accepted(&access().without("cognito:groups")).groups, [""; 0]);
}

#[test]
fn another_claim_can_hold_the_groups_and_then_the_usual_one_does_not() {
    let custom = Config { groups_claim: "teams".to_owned(), ..config() };
    let claims = access().with("teams", json!(["a"]));
    assert_eq!(judged(&custom, &claims.to_json(ISSUER)).unwrap().groups, ["a"]);
}

#[test]
fn only_mapped_claims_are_taken() {
    let mut mapped = config();
    for (attribute, claim) in [("level", "custom:level"), ("phone", "phone_number")] {
        let claim = MappedClaim { claim: claim.to_owned(), immutable: false };
        mapped.attributes.insert(attribute.to_owned(), claim);
    }
    let claims = id().with("custom:level", "9").with("custom:role", "admin").with("phone_number", "+1");
    let taken = |claims: &Cognito| judged(&mapped, &claims.to_json(ISSUER)).unwrap().claims;
    assert_eq!(taken(&claims).into_keys().collect::<Vec<_>>(), ["custom:level"]);
    assert_eq!(taken(&claims.clone().with("phone_number_verified", "true")).len(), 2);
    for value in [json!(null), json!(1.5), json!({"a": null})] {
        assert_eq!(refused_by(&mapped, &claims.clone().with("custom:level", value)), "claim malformed");
    }
}

#[test]
fn no_cause_repeats_a_value() {
    for claims in [
        access().with("sub", "secret".repeat(100)),
        access().with("client_id", "secret"),
        access().with("token_use", "secret"),
        access().with("aud", "secret"),
        access().with("cognito:groups", "secret"),
        access().with("username", json!(["secret"])),
    ] {
        let broken = judged(&config(), &claims.to_json(ISSUER)).unwrap_err();
        assert!(!format!("{broken:?}").contains("secret"), "{broken:?}");
    }
}

#[test]
fn a_report_shows_every_rule_and_the_setting_that_would_have_to_change() {
    let claims = access().with("client_id", "mobile").with("exp", NOW.seconds() - 5);
    let json = claims.to_json(ISSUER).to_string();
    let config = config();
    let claims = Claims::read(&Members::read(json.as_bytes(), NESTING).unwrap(), &config.mapping());
    let report = claims.report(&config, 1, NOW);
    assert_eq!(report.len(), 12);
    let of = |rule| report.iter().find(|outcome| outcome.rule == rule).unwrap();
    assert_eq!(of(Rule::Client).passed, Some(false));
    assert_eq!(of(Rule::Client).setting.as_deref(), Some("issuers.1.client_ids"));
    assert!(of(Rule::Client).detail.ends_with("`mobile`"), "{:?}", of(Rule::Client));
    assert!(of(Rule::Expiry).detail.ends_with("`exp` 5 s ago"), "{:?}", of(Rule::Expiry));
    assert_eq!(of(Rule::TokenUse).passed, Some(true));
}
