//! The outer form of a token: three parts of base64url, and a header that asks for nothing unusual.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::members::{Member, Members, MembersFault};

/// The only algorithm that Cognito signs with and the only one accepted, whatever a header says.
pub const ALGORITHM: &str = "RS256";

/// How deep the JSON of a header or a payload may nest. Cognito's deepest claim, `identities`, takes three.
pub const NESTING: usize = 32;

/// A token taken apart. Nothing in it has been verified.
#[derive(Debug)]
pub struct Parts<'token> {
    /// What the signature covers: header, dot and payload as they were sent (RFC 7515, section 5.2).
    pub signed: &'token [u8],
    /// The signature, still in base64url and known to be well-formed.
    pub signature: &'token str,
    /// The header's bytes.
    pub header: Vec<u8>,
    /// The payload's bytes.
    pub payload: Vec<u8>,
}

/// What counts in a header.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// Which of the issuer's keys signed, as the token claims.
    pub kid: String,
}

/// Why a token cannot even be looked into.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// Refused before anything was decoded.
    #[error("it has {length} bytes, more than {limit}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// `limits.token`.
        limit: usize,
    },
    /// RFC 7515, section 7.1: three parts with dots between them.
    #[error("it does not consist of three non-empty parts with dots between them")]
    Parts,
    /// RFC 7515, section 2: base64url without padding, line breaks or other additions.
    #[error("its {0} is not base64url without padding")]
    Base64(&'static str),
    /// The JSON of a part.
    #[error("its {0} {1}")]
    Json(&'static str, MembersFault),
}

/// Why a header is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// `alg` is absent or another one.
    #[error("`alg` is not {ALGORITHM}")]
    Algorithm,
    /// RFC 7515, section 4.1.11: extensions that must be understood. None are.
    #[error("`crit` asks for extensions, and none are understood")]
    Critical,
    /// `typ` is neither of the two.
    #[error("`typ` is neither `JWT` nor `at+jwt`")]
    Type,
    /// No key is named.
    #[error("`kid` is not a non-empty string")]
    KeyId,
}

/// Takes a token apart. The length is judged before anything is decoded.
pub fn split(token: &str, limit: usize) -> Result<Parts<'_>, FormFault> {
    if token.len() > limit {
        return Err(FormFault::TooLong { length: token.len(), limit });
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(FormFault::Parts)?;
    let (header, payload) = signed.split_once('.').ok_or(FormFault::Parts)?;
    if [header, payload, signature].iter().any(|part| part.is_empty()) || payload.contains('.') {
        return Err(FormFault::Parts);
    }
    decode("signature", signature)?;
    Ok(Parts {
        signed: signed.as_bytes(),
        signature,
        header: decode("header", header)?,
        payload: decode("payload", payload)?,
    })
}

impl Parts<'_> {
    /// The members of the payload, each given once.
    pub fn claims(&self) -> Result<Members<'_>, FormFault> {
        Members::read(&self.payload, NESTING).map_err(|fault| FormFault::Json("payload", fault))
    }

    /// The members of the header, each given once.
    pub fn header(&self) -> Result<Members<'_>, FormFault> {
        Members::read(&self.header, NESTING).map_err(|fault| FormFault::Json("header", fault))
    }
}

impl Header {
    /// Reads the four members that count. `jwk`, `jku`, `x5c` and `x5u` are never looked at.
    pub fn read(members: &Members<'_>) -> Result<Self, HeaderFault> {
        if members.string("alg").given() != Some(ALGORITHM) {
            return Err(HeaderFault::Algorithm);
        }
        if members.contains("crit") {
            return Err(HeaderFault::Critical);
        }
        match members.string("typ") {
            Member::Absent => {}
            Member::Given(typ) if is_token_type(&typ) => {}
            Member::Given(_) | Member::Wrong => return Err(HeaderFault::Type),
        }
        match members.string("kid") {
            Member::Given(kid) if !kid.is_empty() => Ok(Self { kid }),
            Member::Given(_) | Member::Absent | Member::Wrong => Err(HeaderFault::KeyId),
        }
    }
}

/// Media types without `application/`, so their case does not count (RFC 7515, section 4.1.9;
/// RFC 9068, section 2.1).
fn is_token_type(typ: &str) -> bool {
    ["JWT", "at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
}

/// This engine refuses padding, bits behind the last byte, white space and the other alphabet.
fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, FormFault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| FormFault::Base64(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(json: &str) -> Result<Header, HeaderFault> {
        Header::read(&Members::read(json.as_bytes(), NESTING).unwrap())
    }

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn three_parts_of_base64url_are_taken_apart() {
        let text = token("{}", r#"{"iss": "a"}"#);
        let parts = split(&text, 1_000).unwrap();
        assert_eq!(parts.payload, br#"{"iss": "a"}"#);
        assert_eq!(parts.signature, "c2ln");
        assert_eq!(parts.signed, text.strip_suffix(".c2ln").unwrap().as_bytes());
    }

    #[test]
    fn a_token_that_is_too_long_is_not_decoded() {
        assert_eq!(split("!!!!!", 4).unwrap_err(), FormFault::TooLong { length: 5, limit: 4 });
    }

    #[test]
    fn anything_but_three_non_empty_parts_is_refused() {
        for text in ["", ".", "..", "a.b", "YQ.YQ.", ".YQ.YQ", "YQ..YQ", "YQ.YQ.YQ.YQ", "YQ.YQ.YQ.YQ.YQ"] {
            assert_eq!(split(text, 1_000).unwrap_err(), FormFault::Parts, "{text}");
        }
    }

    #[test]
    fn base64url_has_no_padding_no_loose_bits_no_blanks_and_one_alphabet() {
        for part in ["YQ==", "YR", "YQ ", " YQ", "Y\nQ", "YQ\r\n", "+/+/", "Y", "ä"] {
            for text in [format!("{part}.YQ.YQ"), format!("YQ.{part}.YQ"), format!("YQ.YQ.{part}")] {
                assert!(matches!(split(&text, 1_000), Err(FormFault::Base64(_))), "{text}");
            }
        }
    }

    #[test]
    fn the_algorithm_is_ours_and_never_the_tokens() {
        assert_eq!(header(r#"{"alg": "RS256", "kid": "k"}"#).unwrap().kid, "k");
        for alg in [
            r#""none""#,
            r#""None""#,
            r#""HS256""#,
            r#""RS512""#,
            r#""PS256""#,
            r#""rs256""#,
            "null",
            r#"["RS256"]"#,
        ] {
            assert_eq!(
                header(&format!(r#"{{"alg": {alg}, "kid": "k"}}"#)).unwrap_err(),
                HeaderFault::Algorithm
            );
        }
        assert_eq!(header(r#"{"kid": "k"}"#).unwrap_err(), HeaderFault::Algorithm);
    }

    #[test]
    fn crit_is_refused_in_any_form() {
        for crit in ["null", "[]", r#"["exp"]"#, r#""b64""#, "0"] {
            let json = format!(r#"{{"alg": "RS256", "kid": "k", "crit": {crit}}}"#);
            assert_eq!(header(&json).unwrap_err(), HeaderFault::Critical);
        }
        assert_eq!(
            header(r#"{"alg": "RS256", "kid": "k", "\u0063rit": null}"#).unwrap_err(),
            HeaderFault::Critical
        );
    }

    #[test]
    fn the_type_is_a_tokens_or_absent() {
        for typ in ["JWT", "jwt", "at+jwt", "AT+JWT"] {
            assert!(header(&format!(r#"{{"alg": "RS256", "kid": "k", "typ": "{typ}"}}"#)).is_ok());
        }
        for typ in [r#""JWE""#, r#""""#, "null", r#""logout+jwt""#, r#""JWT ""#, "1"] {
            let json = format!(r#"{{"alg": "RS256", "kid": "k", "typ": {typ}}}"#);
            assert_eq!(header(&json).unwrap_err(), HeaderFault::Type);
        }
    }

    #[test]
    fn a_key_is_named_by_a_non_empty_string() {
        for kid in [r#""""#, "null", "7", r#"["k"]"#, r#"{"k": 1}"#] {
            assert_eq!(
                header(&format!(r#"{{"alg": "RS256", "kid": {kid}}}"#)).unwrap_err(),
                HeaderFault::KeyId
            );
        }
        assert_eq!(header(r#"{"alg": "RS256"}"#).unwrap_err(), HeaderFault::KeyId);
    }

    #[test]
    fn embedded_keys_are_not_looked_at() {
        let json = r#"{"alg": "RS256", "kid": "k", "jwk": {"kty": 1}, "jku": 1, "x5c": null, "x5u": []}"#;
        assert_eq!(header(json).unwrap(), Header { kid: "k".to_owned() });
    }
}
