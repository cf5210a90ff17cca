//! A JWKS document as keys that can verify, and the verification itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::members::{Member, Members};

/// RFC 7518, section 3.3: RS256 takes a key of at least 2048 bits. Beyond 8192 one verification costs
/// milliseconds.
const BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Deeper than any JWKS document, shallow enough for any parser.
const NESTING: usize = 16;

/// The usable keys of one issuer, by `kid`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<String, Key>,
}

/// A public key that RS256 signatures are verified with.
pub struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    prepared: DecodingKey,
}

/// Why a document gives no usable keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetFault {
    /// RFC 7517, section 5: an object with an array `keys`.
    #[error("the document is not a JSON Web Key Set")]
    Unparseable,
    /// Nothing in it can verify RS256.
    #[error("the document lists no usable RSA key ({0} of other kinds, damaged, or with one `kid` twice)")]
    Empty(usize),
}

impl KeySet {
    /// Reads a document. Keys that are of another kind, for another use, or damaged are left out, and so
    /// are all RSA keys that share a `kid`: nobody can say which of them is meant. A set without a usable
    /// key is an error, so that it never replaces a good one.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetFault> {
        let members = Members::read(document, NESTING).map_err(|_| KeySetFault::Unparseable)?;
        let written: Vec<&RawValue> = members
            .raw("keys")
            .and_then(|keys| serde_json::from_str(keys.get()).ok())
            .ok_or(KeySetFault::Unparseable)?;
        let mut keys = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for text in &written {
            let Some((kid, key)) = read(text.get()) else { continue };
            if seen.insert(kid.clone()) {
                keys.extend(key.map(|key| (kid, key)));
            } else {
                keys.remove(&kid);
            }
        }
        if keys.is_empty() { Err(KeySetFault::Empty(written.len())) } else { Ok(Self { keys }) }
    }

    /// The key that a token names.
    pub fn get(&self, kid: &str) -> Option<&Key> {
        self.keys.get(kid)
    }

    /// How many usable keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Key {
    /// Whether `signature` (in base64url) is this key's, over `signed`, with RS256 and nothing else.
    pub fn verifies(&self, signature: &str, signed: &[u8]) -> bool {
        jsonwebtoken::crypto::verify(signature, signed, &self.prepared, Algorithm::RS256).unwrap_or(false)
    }

    fn new(modulus: Vec<u8>, exponent: Vec<u8>) -> Option<Self> {
        let usable =
            BITS.contains(&bits(&modulus)?) && is_odd(&modulus) && is_odd(&exponent) && bits(&exponent)? > 1;
        let prepared = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
        usable.then_some(Self { modulus, exponent, prepared })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.modulus == other.modulus && self.exponent == other.exponent
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key(RSA, {} bits)", self.modulus.len() * 8)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Operations(Vec<String>);

/// One entry of the set: its `kid` if it is an RSA key at all, and the key if it can be used.
fn read(text: &str) -> Option<(String, Option<Key>)> {
    let members = Members::read(text.as_bytes(), NESTING).ok()?;
    if members.string("kty").given() != Some("RSA") {
        return None;
    }
    let kid = members.string("kid").into_given().filter(|kid| !kid.is_empty())?;
    let key = is_for_verifying(&members).then(|| Key::new(number(&members, "n")?, number(&members, "e")?));
    Some((kid, key.flatten()))
}

/// RFC 7517, sections 4.2 to 4.4.
fn is_for_verifying(members: &Members<'_>) -> bool {
    let absent_or = |name, wanted| match members.string(name) {
        Member::Absent => true,
        Member::Given(text) => text == wanted,
        Member::Wrong => false,
    };
    let operations = match members.typed::<Operations>("key_ops") {
        Member::Absent => true,
        Member::Given(Operations(operations)) => operations.iter().any(|operation| operation == "verify"),
        Member::Wrong => false,
    };
    absent_or("use", "sig") && absent_or("alg", super::token::ALGORITHM) && operations
}

/// RFC 7518, section 6.3.1: base64url of the big-endian number in the least number of bytes.
fn number(members: &Members<'_>, name: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(members.string(name).given()?).ok()?;
    bytes.first().is_some_and(|first| *first != 0).then_some(bytes)
}

fn bits(number: &[u8]) -> Option<usize> {
    let zeros = usize::try_from(number.first()?.leading_zeros()).ok()?;
    (number.len() * 8).checked_sub(zeros)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::super::issuer::SigningKey;
    use super::*;

    fn jwk(kid: &str, bytes: usize, exponent: &[u8], more: &str) -> String {
        let mut modulus = vec![0xff; bytes];
        modulus[0] = 0x80;
        let [n, e] = [&modulus, exponent].map(|number| URL_SAFE_NO_PAD.encode(number));
        format!(r#"{{"kty": "RSA", "kid": "{kid}", "n": "{n}", "e": "{e}"{more}}}"#)
    }

    fn good(kid: &str) -> String {
        jwk(kid, 256, &[1, 0, 1], "")
    }

    fn set(keys: &[String]) -> Result<KeySet, KeySetFault> {
        KeySet::parse(format!(r#"{{"keys": [{}]}}"#, keys.join(",")).as_bytes())
    }

    fn is_usable(key: String) -> bool {
        set(&[key]).is_ok()
    }

    #[test]
    fn keys_are_found_by_their_kid() {
        let set = set(&[good("a"), good("b")]).unwrap();
        assert!(set.get("a").is_some() && set.get("b").is_some() && set.get("c").is_none());
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn a_kid_given_twice_loses_those_keys_however_often_it_is_given() {
        let twice = set(&[good("a"), good("a"), good("b")]).unwrap();
        assert!(twice.get("a").is_none() && twice.get("b").is_some());
        let thrice = set(&[good("a"), good("a"), good("a"), good("b")]).unwrap();
        assert!(thrice.get("a").is_none());
        let beside_a_weak_one = set(&[jwk("a", 128, &[3], ""), good("a"), good("b")]).unwrap();
        assert!(beside_a_weak_one.get("a").is_none());
    }

    #[test]
    fn keys_of_other_kinds_and_damaged_ones_spoil_no_neighbour() {
        let others = [
            r#"{"kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}"#,
            r#"{"kty": "oct", "kid": "b", "k": "AA"}"#,
            r#"{"kty": "RSA", "kid": "c"}"#,
            r#"{"kty": "RSA", "kid": 7, "n": "AQAB", "e": "AQAB"}"#,
            r#"{"kid": "d"}"#,
            "null",
            "7",
        ]
        .map(str::to_owned);
        assert_eq!(set(&others).unwrap_err(), KeySetFault::Empty(7));
        let set = set(&[others.to_vec(), vec![good("a")]].concat()).unwrap();
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn a_modulus_has_2048_to_8192_bits() {
        for bytes in [256, 384, 512, 1_024] {
            assert!(is_usable(jwk("a", bytes, &[1, 0, 1], "")), "{bytes}");
        }
        for bytes in [64, 128, 255, 1_025] {
            assert!(!is_usable(jwk("a", bytes, &[1, 0, 1], "")), "{bytes}");
        }
    }

    #[test]
    fn an_exponent_is_odd_and_at_least_three() {
        for exponent in [&[3][..], &[17], &[1, 0, 1]] {
            assert!(is_usable(jwk("a", 256, exponent, "")), "{exponent:?}");
        }
        for exponent in [&[][..], &[0], &[1], &[2], &[4], &[1, 0, 0], &[0, 3]] {
            assert!(!is_usable(jwk("a", 256, exponent, "")), "{exponent:?}");
        }
    }

    #[test]
    fn a_key_says_that_it_is_for_verifying_rs256_or_says_nothing() {
        let with = |more: &str| is_usable(jwk("a", 256, &[1, 0, 1], &format!(", {more}")));
        assert!(with(r#""use": "sig", "alg": "RS256", "key_ops": ["verify"]"#));
        assert!(with(r#""key_ops": ["sign", "verify"]"#));
        for more in [
            r#""use": "enc""#,
            r#""use": null"#,
            r#""alg": "RS512""#,
            r#""alg": "none""#,
            r#""key_ops": []"#,
            r#""key_ops": ["encrypt"]"#,
            r#""key_ops": "verify""#,
        ] {
            assert!(!with(more), "{more}");
        }
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        for document in ["", "null", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": null}"#, "<html>"] {
            assert_eq!(
                KeySet::parse(document.as_bytes()).unwrap_err(),
                KeySetFault::Unparseable,
                "{document}"
            );
        }
        let twice = format!(r#"{{"keys": [{}], "keys": [{}]}}"#, good("a"), good("b"));
        assert_eq!(KeySet::parse(twice.as_bytes()).unwrap_err(), KeySetFault::Unparseable);
        assert_eq!(set(&[]).unwrap_err(), KeySetFault::Empty(0));
    }

    #[test]
    fn sets_are_the_same_by_their_content() {
        let spaced = format!(r#"{{ "keys" : [ {} , {} ] }}"#, good("b"), good("a"));
        assert_eq!(KeySet::parse(spaced.as_bytes()).unwrap(), set(&[good("a"), good("b")]).unwrap());
        assert_ne!(set(&[good("a")]).unwrap(), set(&[jwk("a", 256, &[3], "")]).unwrap());
    }

    #[test]
    fn a_signature_is_verified_over_exactly_what_was_signed() {
        let signer = SigningKey::generate("a").unwrap();
        let set = set(&[signer.jwk()]).unwrap();
        let key = set.get("a").unwrap();
        let signature = signer.sign(b"header.payload").unwrap();
        assert!(key.verifies(&signature, b"header.payload"));
        assert!(!key.verifies(&signature, b"header.payloae"));
        assert!(!key.verifies("AAAA", b"header.payload"));
        assert!(!key.verifies("", b"header.payload"));
        assert!(!key.verifies("not base64!", b"header.payload"));
        let stranger = SigningKey::generate("a").unwrap();
        assert!(!key.verifies(&stranger.sign(b"header.payload").unwrap(), b"header.payload"));
    }
}
