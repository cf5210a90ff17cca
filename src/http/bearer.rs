//! The user's token in the `Authorization` header (RFC 6750, section 2.1).

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};

use super::error::{ApiError, Problem};
use crate::model::Token;

const SCHEME: &[u8] = b"bearer";

/// The token, or none where the header is not there or of another scheme.
///
/// # Errors
/// Two headers: whoever sits between the client and us may have judged the other one.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<Token<&str>>, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ApiError::new(
            Problem::MalformedRequest,
            "there are two `Authorization` headers: send one",
        ));
    }
    first.map_or(Ok(None), credentials)
}

/// `"Bearer" 1*SP b64token`; schemes do not tell upper from lower case (RFC 9110, section 11.1).
/// What follows the blanks is the verifier's to judge.
fn credentials(value: &HeaderValue) -> Result<Option<Token<&str>>, ApiError> {
    let value = value.as_bytes();
    let (scheme, rest) = value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Ok(None);
    }
    match std::str::from_utf8(rest.trim_ascii()) {
        Ok(token) if !token.is_empty() => Ok(Some(Token::new(token))),
        _ => Err(ApiError::new(Problem::InvalidToken, "the token is not accepted")
            .because("the header `Authorization` holds no token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match token(&headers) {
            Ok(token) => Ok(token.map(|token| token.expose().to_owned())),
            Err(error) => Err(error.problem().code()),
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_other_schemes_are_not_ours() {
        assert_eq!(read(&["Bearer a.b.c"]), Ok(Some("a.b.c".to_owned())));
        assert_eq!(read(&["bEARER   a.b.c "]), Ok(Some("a.b.c".to_owned())));
        assert_eq!(read(&["Basic dXNlcjpwYXNz"]), Ok(None));
        assert_eq!(read(&["Bearera.b.c"]), Ok(None));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn a_second_header_and_an_empty_token_are_refused() {
        assert_eq!(read(&["Bearer a.b.c", "Basic x"]), Err("malformed_request"));
        assert_eq!(read(&["Bearer"]), Err("invalid_token"));
        assert_eq!(read(&["Bearer   "]), Err("invalid_token"));
    }

    #[test]
    fn what_is_not_one_token_is_left_to_the_verifier_in_one_piece() {
        assert_eq!(read(&["Bearer a.b.c, Bearer d.e.f"]), Ok(Some("a.b.c, Bearer d.e.f".to_owned())));
    }
}
