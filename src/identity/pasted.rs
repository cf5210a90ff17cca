//! What people paste where a token is wanted: the token in it, and the mistakes around it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::members::{Member, Members};
use super::mistake::Mistake;
use super::token::NESTING;
use crate::model::Token;

/// Where the events of API Gateway carry the `Authorization` header: as it came, as a list, or picked out
/// for an authorizer ("Input to an API Gateway Lambda authorizer", AWS).
const PLACES: [&str; 4] = ["authorizationToken", "identitySource", "headers", "multiValueHeaders"];

/// Where an answer of a user pool carries its tokens, the one that is usually sent first: of the token endpoint
/// (RFC 6749, section 5.1) and of `InitiateAuth` (`AuthenticationResultType`, AWS).
const IN_ANSWERS: [&str; 4] = ["access_token", "AccessToken", "id_token", "IdToken"];

/// How the session tokens of AWS begin: base64 of a few bytes before `origin_ec`, `er/aws` and `aws`.
const AWS_SESSION: [&str; 3] = ["IQoJb3JpZ2luX2Vj", "FwoGZXIvYXdz", "AQoDYXdz"];

/// A text that was read for a token.
#[derive(Debug, PartialEq, Eq)]
pub struct Pasted {
    /// The token, or the text as it is where nothing better is known; none where it is known to hold none.
    pub token: Option<Token>,
    /// What is wrong about how it was pasted.
    pub mistakes: Vec<Mistake>,
}

impl Pasted {
    /// Finds the token in a text. What is not recognised for certain is left to the rules.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        match Members::read(text.as_bytes(), NESTING) {
            Ok(members) => Self::of_object(&members).unwrap_or_else(|| Self::of_credentials(text)),
            Err(_) => Self::of_credentials(text),
        }
    }

    fn nothing_but(mistake: Mistake) -> Self {
        Self { token: None, mistakes: vec![mistake] }
    }

    /// An event of API Gateway, or a part of one: claims, or headers. Or what a user pool answers.
    fn of_object(members: &Members<'_>) -> Option<Self> {
        if members.contains("requestContext") || members.contains("methodArn") {
            return Some(Self::of_event(members));
        }
        if hold_claims(members) {
            return Some(Self::nothing_but(Mistake::Claims));
        }
        if let [value] = &*authorizations(members) {
            return Some(Self::of_header(&value.1, Mistake::HeaderLine));
        }
        let result = object(members, "AuthenticationResult");
        let answer = result.as_ref().unwrap_or(members);
        IN_ANSWERS.into_iter().find_map(|name| {
            let token = answer.string(name).into_given()?;
            let mut inside = Self::of_credentials(&token);
            inside.mistakes.insert(0, Mistake::PoolAnswer(name));
            Some(inside)
        })
    }

    fn of_event(event: &Members<'_>) -> Self {
        let mut found: Vec<(String, String)> = Vec::new();
        for (place, value) in PLACES.into_iter().flat_map(|place| credentials_at(event, place)) {
            // Both forms of the headers hold the same.
            if found.iter().all(|(_, known)| *known != value) {
                found.push((place, value));
            }
        }
        match &*found {
            [] => Self::nothing_but(Mistake::EventWithoutToken),
            [(place, value)] => Self::of_header(value, Mistake::Event(place.clone())),
            _ => Self::nothing_but(Mistake::EventWithSeveral),
        }
    }

    /// The value of an `Authorization` header that was pasted with more around it.
    fn of_header(value: &str, around: Mistake) -> Self {
        let Self { token, mistakes } = Self::of_credentials(value);
        let no_scheme = (!says_bearer(value)).then_some(Mistake::NoScheme);
        Self { token, mistakes: [around].into_iter().chain(no_scheme).chain(mistakes).collect() }
    }

    /// The value of an `Authorization` header, or the header, or a token alone; quoted, broken, or something else.
    fn of_credentials(text: &str) -> Self {
        let mut mistakes = Vec::new();
        let (mut rest, mut in_header, mut schemes) = (text.trim(), false, 0);
        loop {
            rest = if let Some(inside) = without_quotes(rest) {
                mistakes.push(Mistake::Quotes);
                inside
            } else if let Some(element) = without_brackets(rest) {
                mistakes.push(Mistake::List);
                element
            } else if let Some(value) = without_name(rest).filter(|_| !in_header && schemes == 0) {
                in_header = true;
                mistakes.push(Mistake::HeaderLine);
                value
            } else if let Some(token) = without_scheme(rest) {
                schemes += 1;
                token
            } else {
                break;
            }
        }
        mistakes.dedup();
        match schemes {
            0 if in_header => mistakes.push(Mistake::NoScheme),
            0 | 1 => {}
            _ => mistakes.push(Mistake::SchemeTwice),
        }
        if let Some(mistake) = something_else(rest) {
            return Self { token: None, mistakes: mistakes.into_iter().chain([mistake]).collect() };
        }
        let whole = joined(rest);
        if whole.is_some() {
            mistakes.push(Mistake::Blanks);
        }
        Self { token: Some(Token::new(whole.unwrap_or_else(|| rest.to_owned()))), mistakes }
    }
}

/// The values of the `Authorization` header at a place of an event, and where exactly each is.
fn credentials_at(event: &Members<'_>, place: &str) -> Vec<(String, String)> {
    match object(event, place) {
        None => one_or_many(event, place).into_iter().map(|value| (place.to_owned(), value)).collect(),
        Some(headers) => {
            let found = authorizations(&headers).into_iter();
            found.map(|(name, value)| (format!("{place}.{name}"), value)).collect()
        }
    }
}

/// The values of the `Authorization` header, and how each spells its name.
fn authorizations(headers: &Members<'_>) -> Vec<(String, String)> {
    let names = headers.names().filter(|name| name.eq_ignore_ascii_case("authorization"));
    names
        .flat_map(|name| one_or_many(headers, name).into_iter().map(|value| (name.to_owned(), value)))
        .collect()
}

fn one_or_many(members: &Members<'_>, name: &str) -> Vec<String> {
    match members.typed::<Vec<String>>(name) {
        Member::Given(many) => many,
        Member::Absent | Member::Wrong => members.string(name).into_given().into_iter().collect(),
    }
}

/// Whether they are claims, or lead to some by the names that API Gateway gives them.
fn hold_claims(members: &Members<'_>) -> bool {
    let are_claims = members.contains("sub") && (members.contains("iss") || members.contains("token_use"));
    let lead_to_claims = |name| object(members, name).is_some_and(|inside| hold_claims(&inside));
    are_claims || ["authorizer", "jwt", "claims"].into_iter().any(lead_to_claims)
}

fn object<'json>(members: &Members<'json>, name: &str) -> Option<Members<'json>> {
    Members::read(members.raw(name)?.get().as_bytes(), NESTING).ok()
}

/// What stands between quotes, those of typewriters, programs and word processors.
fn without_quotes(text: &str) -> Option<&str> {
    [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')]
        .into_iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))
        .map(str::trim)
}

/// The one element of a list that is a token, with its scheme or without.
fn without_brackets(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    (words(inside).filter(|word| is_token(word)).count() == 1 && !inside.contains(','))
        .then(|| without_quotes(inside).unwrap_or(inside))
}

/// What stands between blanks, quotes and commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|between: char| between.is_whitespace() || matches!(between, '"' | '\'' | ','))
}

/// Three parts, of which the first begins as the base64 of an object does.
fn is_token(word: &str) -> bool {
    word.starts_with("ey") && word.matches('.').count() == 2
}

/// The value of a header line.
fn without_name(text: &str) -> Option<&str> {
    let (name, value) = text.split_once(':')?;
    name.trim().eq_ignore_ascii_case("authorization").then(|| value.trim())
}

/// What stands behind `Bearer`.
fn without_scheme(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_once(char::is_whitespace)?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn says_bearer(value: &str) -> bool {
    without_scheme(value.trim()).is_some()
}

/// What a text is where it is certain that it is no token.
fn something_else(text: &str) -> Option<Mistake> {
    if is_encrypted(text) {
        return Some(Mistake::Encrypted);
    }
    if AWS_SESSION.iter().any(|start| text.starts_with(start)) {
        return Some(Mistake::AwsSession);
    }
    if prints_claims(text) {
        return Some(Mistake::Claims);
    }
    if is_list(text) {
        return Some(Mistake::Groups);
    }
    if has_code(text) {
        return Some(Mistake::Redirect);
    }
    is_uuid(text).then_some(Mistake::Uuid)
}

/// Five parts, of which the first is a header that names the encryption (RFC 7516, section 4.1.2).
fn is_encrypted(text: &str) -> bool {
    let header = text.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    text.matches('.').count() == 4
        && header.is_some_and(|header| {
            Members::read(&header, NESTING).is_ok_and(|members| members.contains("enc"))
        })
}

/// Claims as a program prints an object, in whatever language: they need not be JSON.
fn prints_claims(text: &str) -> bool {
    let names = |name: &str| {
        text.split(|of: char| !(of.is_ascii_alphanumeric() || of == '_' || of == ':'))
            .any(|word| word.strip_prefix(name).is_some_and(|end| end.is_empty() || end.starts_with(':')))
    };
    text.ends_with(['}', ']'])
        && names("sub")
        && (names("token_use") || names("cognito:groups"))
        && !words(text).any(is_token)
}

/// `[admin user]`, or an array of strings, of which none is a token or a header's value.
fn is_list(text: &str) -> bool {
    let of_a_header = |word: &str| is_token(word) || word.eq_ignore_ascii_case("bearer");
    text.starts_with('[') && text.ends_with(']') && !words(text).any(of_a_header)
}

/// The address of a redirect (RFC 6749, section 4.1.2).
fn has_code(text: &str) -> bool {
    let Some((address, query)) = text.split_once('?') else { return false };
    let code = |pair: &str| pair.strip_prefix("code=").is_some_and(|code| !code.is_empty());
    address.contains("://") && query.split('&').any(code)
}

fn is_uuid(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// A token that was broken into lines, in one piece again.
fn joined(text: &str) -> Option<String> {
    let whole: String = text.split_whitespace().collect();
    let of_a_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (whole.len() < text.len() && whole.bytes().all(of_a_token) && whole.matches('.').count() == 2)
        .then_some(whole)
}

#[cfg(test)]
mod tests;
