//! Tokens at the door of the running service.

use serde_json::{Value, json};

use palisade::identity::issuer::{Cognito, TokenIssuer};
use palisade::model::Timestamp;

use crate::harness::{CLIENT, ISSUER, Setup, now, update};

/// The claims of a good access token, with changes; null takes a claim out.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "sub": "alice", "iss": ISSUER, "client_id": CLIENT, "token_use": "access", "username": "alice",
        "cognito:groups": ["admin"], "scope": "openid", "jti": "j-1", "iat": now(), "auth_time": now(), "exp": now() + 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            _ => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

#[tokio::test]
async fn a_token_that_breaks_a_rule_is_told_which_and_no_more() {
    let service = Setup::new().start();
    let cases = [
        (json!({"exp": now() - 1}), "expired"),
        (json!({"iat": now() + 120, "exp": now() + 600}), "issued in the future"),
        (json!({"iat": now() - 90_000}), "too old"),
        (json!({"token_use": "refresh"}), "token_use not allowed"),
        (json!({"client_id": "somebody-else"}), "client not allowed"),
        (json!({"cognito:groups": "[\"admin\"]"}), ""),
        (json!({"cognito:groups": null, "username": null, "sub": CLIENT}), "allow"),
        (json!({"iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_OTHER"}), ""),
        (json!({"nbf": now() + 120}), "not yet valid"),
    ];
    for (changes, detail) in cases {
        let token = service.setup.issuer.mint(&claims(changes.clone())).unwrap();
        let reply = service.authorize(token.expose(), update()).await;
        if detail == "allow" {
            assert_eq!(reply.outcome(), "deny no_permit", "a machine is not an admin: {:?}", reply.body);
            continue;
        }
        assert_eq!(reply.outcome(), "401 invalid_token", "{changes}");
        assert!(reply.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
        assert!(reply.body["detail"].as_str().unwrap().contains(detail), "{changes}: {:?}", reply.body);
        assert!(!reply.body.to_string().contains("somebody-else"));
    }
    assert_eq!(service.authorize("", update()).await.outcome(), "401 missing_token");
    assert_eq!(service.authorize("x.y.z", update()).await.outcome(), "401 invalid_token");
    let good = service.token("alice", &["admin"]);
    assert_eq!(service.authorize(&good[..good.len() - 4], update()).await.outcome(), "401 invalid_token");
    assert!(service.metric("palisade_token_failures_total{class=\"expired\"}").await >= 1.0);
}

#[tokio::test]
async fn two_issuers_with_the_same_key_id_do_not_stand_in_for_each_other() {
    let setup = Setup::new();
    let other =
        TokenIssuer::start("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_OTHER", "k-1").unwrap();
    setup.write("other.json", &other.jwks());
    let service = setup
        .settings(&format!(
            "[[issuers]]\nissuer = \"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_OTHER\"\nclient_ids = [\"{CLIENT}\"]\n\
             token_use = [\"access\"]\njwks_file = \"other.json\"\nid_format = \"pool|sub\"\n"
        ))
        .start_with(|command| {
            command.env("PALISADE__ISSUERS__0__ID_FORMAT", "pool|sub");
        });
    let good = other
        .issue(&Cognito::access("alice", &["admin"], CLIENT, Timestamp::from_millis(now() * 1_000)))
        .unwrap();
    assert_eq!(service.authorize(good.expose(), update()).await.status, 200);
    let stolen = other.mint(&claims(json!({}))).unwrap();
    assert_eq!(service.authorize(stolen.expose(), update()).await.outcome(), "401 invalid_token");
}

#[tokio::test]
async fn a_key_that_left_the_set_stops_verifying_tokens_that_were_known() {
    let service = Setup::new().start();
    let alice = service.token("alice", &["admin"]);
    assert_eq!(service.authorize(&alice, update()).await.outcome(), "allow permitted");
    let other = TokenIssuer::start(ISSUER, "another").unwrap();
    service.setup.write("jwks.json", &other.jwks());
    service.signal("HUP");
    let reply = service.until(&alice, update(), |reply| reply.status != 200).await;
    assert!(matches!(reply.status, 401 | 503), "{reply:?}");
}
