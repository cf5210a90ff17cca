//! A token issuer inside the process, for `palisade dev` and for tests: whoever holds it can be anybody.
//! `palisade serve` refuses its name.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::token::ALGORITHM;
use crate::model::{Timestamp, Token, TokenUse};

/// The `iss` of `palisade dev`. RFC 6761, section 6.4: nothing under `.invalid` can ever be resolved.
pub const DEV_ISSUER: &str = "https://dev.palisade.invalid/";

/// Cognito's own default.
const LIFETIME_SECONDS: i64 = 3_600;

/// The machine gave no key, or would not sign with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library could not {0}")]
pub struct CryptoFault(&'static str);

/// An issuer with one key, made when it starts and gone with it.
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    issuer: Arc<str>,
    key: SigningKey,
}

/// An RSA key of 2048 bits with its name.
#[derive(Debug, Clone)]
pub struct SigningKey {
    kid: String,
    pair: Arc<RsaKeyPair>,
    modulus: Vec<u8>,
}

/// The claims of a token as Cognito shapes them, to be changed at will.
#[derive(Debug, Clone)]
pub struct Cognito {
    /// Access or ID.
    pub token_use: TokenUse,
    /// `sub`.
    pub subject: String,
    /// `username` or `cognito:username`.
    pub username: String,
    /// `cognito:groups`; left out where empty, as Cognito does.
    pub groups: Vec<String>,
    /// `client_id` or `aud`.
    pub client_id: String,
    /// `iat` and `auth_time`.
    pub issued_at: Timestamp,
    /// `exp` is so many seconds after `iat`.
    pub lifetime_seconds: i64,
    /// Further claims, put over the others.
    pub claims: serde_json::Map<String, Value>,
}

impl TokenIssuer {
    /// An issuer of this name with a new key, named `kid`.
    pub fn start(issuer: &str, kid: &str) -> Result<Self, CryptoFault> {
        Ok(Self { issuer: Arc::from(issuer), key: SigningKey::generate(kid)? })
    }

    /// Its `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its key.
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Its public key as a JWKS document.
    pub fn jwks(&self) -> String {
        format!(r#"{{"keys":[{}]}}"#, self.key.jwk())
    }

    /// A token with these claims exactly; `iss` is not added.
    pub fn mint(&self, claims: &Value) -> Result<Token, CryptoFault> {
        let header = json!({"kid": self.key.kid, "alg": ALGORITHM});
        self.key.token(&header.to_string(), &claims.to_string())
    }

    /// A token as Cognito would issue it.
    pub fn issue(&self, claims: &Cognito) -> Result<Token, CryptoFault> {
        self.mint(&claims.to_json(&self.issuer))
    }
}

impl SigningKey {
    /// A new key. Takes some tens of milliseconds.
    pub fn generate(kid: &str) -> Result<Self, CryptoFault> {
        let fault = CryptoFault("generate an RSA key");
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| fault)?;
        let modulus = modulus(pair.public_key().as_ref()).ok_or(fault)?.to_vec();
        Ok(Self { kid: kid.to_owned(), pair: Arc::new(pair), modulus })
    }

    /// The same key under another name.
    #[must_use]
    pub fn renamed(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self.clone() }
    }

    /// The public key as a JWK, as Cognito writes it.
    pub fn jwk(&self) -> String {
        let n = URL_SAFE_NO_PAD.encode(&self.modulus);
        json!({"alg": ALGORITHM, "e": "AQAB", "kid": self.kid, "kty": "RSA", "n": n, "use": "sig"})
            .to_string()
    }

    /// The public key in DER (RFC 8017, appendix A.1.1): what a forger would use as an HMAC secret.
    pub fn public_der(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The private key in PKCS #8, for tools that sign elsewhere.
    pub fn private_der(&self) -> Result<Vec<u8>, CryptoFault> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| CryptoFault("write the private key"))?;
        Ok(der.as_ref().to_vec())
    }

    /// A token of exactly this header and payload, whatever they are.
    pub fn token(&self, header: &str, payload: &str) -> Result<Token, CryptoFault> {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign(signed.as_bytes())?;
        Ok(Token::new(format!("{signed}.{signature}")))
    }

    /// The RS256 signature of a text, in base64url.
    pub fn sign(&self, signed: &[u8]) -> Result<String, CryptoFault> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature)
            .map_err(|_| CryptoFault("sign a token"))?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Cognito {
    /// The access token of a user in these groups.
    pub fn access(subject: &str, groups: &[&str], client_id: &str, issued_at: Timestamp) -> Self {
        Self {
            token_use: TokenUse::Access,
            subject: subject.to_owned(),
            username: subject.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            client_id: client_id.to_owned(),
            issued_at,
            lifetime_seconds: LIFETIME_SECONDS,
            claims: serde_json::Map::new(),
        }
    }

    /// The ID token of a user in these groups.
    pub fn id(subject: &str, groups: &[&str], client_id: &str, issued_at: Timestamp) -> Self {
        Self { token_use: TokenUse::Id, ..Self::access(subject, groups, client_id, issued_at) }
    }

    /// With one more claim, or another value of one.
    #[must_use]
    pub fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(claim.to_owned(), value.into());
        self
    }

    /// The claims as JSON.
    pub fn to_json(&self, issuer: &str) -> Value {
        let issued_at = self.issued_at.seconds();
        let id = uuid::Uuid::now_v7().to_string();
        let mut claims = json!({
            "sub": self.subject,
            "iss": issuer,
            "token_use": self.token_use.as_str(),
            "auth_time": issued_at,
            "iat": issued_at,
            "exp": issued_at.saturating_add(self.lifetime_seconds),
            "jti": id,
            "origin_jti": id,
        });
        let own = match self.token_use {
            TokenUse::Access => json!({
                "client_id": self.client_id,
                "username": self.username,
                "scope": "aws.cognito.signin.user.admin",
                "version": 2,
            }),
            TokenUse::Id => json!({"aud": self.client_id, "cognito:username": self.username}),
        };
        let groups = match self.groups.as_slice() {
            [] => json!({}),
            groups => json!({"cognito:groups": groups}),
        };
        let more = [own, groups, Value::Object(self.claims.clone())];
        if let Some(members) = claims.as_object_mut() {
            members.extend(more.into_iter().filter_map(|more| more.as_object().cloned()).flatten());
        }
        claims
    }
}

/// The modulus of a 2048-bit key with the exponent 65537, whose DER has one shape only.
fn modulus(der: &[u8]) -> Option<&[u8]> {
    der.strip_prefix(&[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00])?
        .strip_suffix(&[0x02, 0x03, 0x01, 0x00, 0x01])
        .filter(|modulus| modulus.len() == 256)
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeySet;
    use super::*;

    #[test]
    fn the_published_key_verifies_what_the_issuer_signs() {
        let issuer = TokenIssuer::start(DEV_ISSUER, "dev-1").unwrap();
        let keys = KeySet::parse(issuer.jwks().as_bytes()).unwrap();
        let token = issuer.mint(&json!({"sub": "ana"})).unwrap();
        let (signed, signature) = token.expose().rsplit_once('.').unwrap();
        assert!(keys.get("dev-1").unwrap().verifies(signature, signed.as_bytes()));
    }

    #[test]
    fn tokens_have_cognitos_shape() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let access = Cognito::access("ana", &["admin"], "web", now).to_json(DEV_ISSUER);
        assert_eq!(access["cognito:groups"], json!(["admin"]));
        assert_eq!((&access["client_id"], &access["aud"]), (&json!("web"), &Value::Null));
        assert_eq!(access["exp"], json!(1_800_003_600));
        let id = Cognito::id("ana", &[], "web", now).with("email", "ana@example.com").to_json(DEV_ISSUER);
        assert_eq!((&id["aud"], &id["client_id"]), (&json!("web"), &Value::Null));
        assert!(!id.as_object().unwrap().contains_key("cognito:groups"));
        assert_eq!(id["email"], json!("ana@example.com"));
    }
}
