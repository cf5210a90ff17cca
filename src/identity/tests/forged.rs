//! Tokens that somebody made up: by their header, their key or their claims.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    for header in [r#"{"kid": "same", "alg": "none"}"#, r#"{"alg": "none"}"#, r#"{"kid": "same"}"#] {
        assert_eq!(signed(header, &payload()).await, "algorithm", "{header}");
    }
    let token = pool().issue(&ana()).unwrap();
    let (unsigned, _) = token.expose().rsplit_once('.').unwrap();
    assert_eq!(judged(&Token::new(format!("{unsigned}."))).await, "malformed");
    assert_eq!(judged(&Token::new(format!("{unsigned}.AA"))).await, "signature");
}

#[tokio::test]
async fn the_public_key_is_no_hmac_secret() {
    let jwk: Json = serde_json::from_str(&pool().key().jwk()).unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [pool().key().public_der(), &modulus, pool().jwks().as_bytes()] {
        for (alg, class) in [("HS256", "algorithm"), ("RS256", "signature")] {
            let header = json!({"kid": "same", "alg": alg}).to_string();
            let text = [header, payload()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
            let forged = Token::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag)));
            assert_eq!(judged(&forged).await, class);
        }
    }
}

#[tokio::test]
async fn a_key_that_the_token_brings_along_is_not_used() {
    let stranger = SigningKey::generate("same").unwrap();
    let jwk: Json = serde_json::from_str(&stranger.jwk()).unwrap();
    for header in [
        json!({"kid": "same", "alg": "RS256", "jwk": jwk}),
        json!({"kid": "same", "alg": "RS256", "jku": "https://evil.example/jwks.json"}),
        json!({"kid": "same", "alg": "RS256", "x5c": ["AAAA"], "x5u": "https://evil.example/"}),
    ] {
        let token = stranger.token(&header.to_string(), &payload()).unwrap();
        assert_eq!(judged(&token).await, "signature");
    }
}

#[tokio::test]
async fn a_header_asks_for_nothing_unusual() {
    assert_eq!(signed(HEADER, &payload()).await, "ok");
    for header in [
        r#"{"kid": "same", "alg": "RS256", "crit": null}"#,
        r#"{"kid": "same", "alg": "RS256", "crit": ["b64"], "b64": false}"#,
        r#"{"kid": "same", "alg": "RS256", "typ": "JWE"}"#,
        r#"{"kid": "", "alg": "RS256"}"#,
        r#"{"kid": 7, "alg": "RS256"}"#,
        r#"{"alg": "RS256"}"#,
    ] {
        assert_eq!(signed(header, &payload()).await, "header", "{header}");
    }
    for header in [
        r#"{"kid": "same", "alg": "RS256", "alg": "RS256"}"#,
        r#"{"kid": "same", "alg": "RS256", "x": 1, "x": 1}"#,
        r#"["RS256"]"#,
        "",
    ] {
        assert_eq!(signed(header, &payload()).await, "malformed", "{header}");
    }
    assert_eq!(signed(r#"{"kid": "another", "alg": "RS256"}"#, &payload()).await, "unknown_key");
}

#[tokio::test]
async fn a_claim_given_twice_refuses_the_token() {
    for twice in [
        r#""cognito:groups": ["user"], "cognito:groups": ["admin"]"#,
        r#""cognito:groups": ["user"], "cognito\u003agroups": ["admin"]"#,
        r#""sub": "eve", "sub": "ana""#,
        r#""unread": 1, "unread": 1"#,
    ] {
        let payload = payload().replacen('{', &format!("{{{twice},"), 1);
        assert_eq!(signed(HEADER, &payload).await, "malformed", "{twice}");
    }
    let deep = payload().replacen('{', &format!(r#"{{"deep": {}1{},"#, "[".repeat(64), "]".repeat(64)), 1);
    assert_eq!(signed(HEADER, &deep).await, "malformed");
}
