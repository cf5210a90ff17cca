//! A user pool: a key that signs tokens, and the document that lists it.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

const ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_LAMBDA";
const CLIENT: &str = "lambda-client";

/// A user pool.
pub struct Pool {
    key: RsaKeyPair,
    kid: &'static str,
}

impl Pool {
    /// One whose key goes by this name.
    pub fn with_key(kid: &'static str) -> Self {
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .expect("openssl is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pem = String::from_utf8(made.stdout).unwrap();
        let lines = pem.lines().filter(|line| !line.starts_with("-----"));
        let key = STANDARD.decode(lines.collect::<String>()).unwrap();
        Self { key: RsaKeyPair::from_pkcs8(&key).expect("a key of 2048 bits"), kid }
    }

    /// What the function's environment says of it.
    pub fn variables(&self) -> impl Iterator<Item = (String, String)> {
        [
            ("PALISADE__ISSUERS__0__ISSUER", ISSUER.to_owned()),
            ("PALISADE__ISSUERS__0__CLIENT_IDS", format!("[\"{CLIENT}\"]")),
            ("PALISADE__ISSUERS__0__TOKEN_USE", "[\"access\"]".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// Its keys, as it publishes them.
    pub fn jwks(&self) -> String {
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = PublicKeyComponents::<Vec<u8>>::from(self.key.public());
        let (n, e) = (number(&public.n), number(&public.e));
        json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid, "n": n, "e": e }] })
            .to_string()
    }

    /// A fresh access token of a user in these groups.
    pub fn token(&self, user: &str, groups: &[&str]) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "sub": user, "username": user, "cognito:groups": groups, "iss": ISSUER, "client_id": CLIENT,
            "token_use": "access", "scope": "openid", "jti": "t-1", "auth_time": now, "iat": now, "exp": now + 3_600,
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({ "alg": "RS256", "kid": self.kid })), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
