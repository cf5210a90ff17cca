//! What is found in what people paste.

use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "eyJh.eyJz.c2ln";

/// The token that was found, and the codes of the mistakes.
fn read(text: &str) -> (Option<String>, Vec<&'static str>) {
    let Pasted { token, mistakes } = Pasted::read(text);
    (
        token.map(|token| token.expose().to_owned()),
        mistakes.iter().map(|mistake| mistake.words().code).collect(),
    )
}

fn found(mistakes: &[&'static str]) -> (Option<String>, Vec<&'static str>) {
    (Some(TOKEN.to_owned()), mistakes.to_vec())
}

fn nothing_but(mistake: &'static str) -> (Option<String>, Vec<&'static str>) {
    (None, vec![mistake])
}

#[test]
fn a_token_alone_or_behind_its_scheme_is_no_mistake() {
    for text in ["eyJh.eyJz.c2ln", " eyJh.eyJz.c2ln\r\n", "Bearer eyJh.eyJz.c2ln\n", "bearer  eyJh.eyJz.c2ln"]
    {
        assert_eq!(read(text), found(&[]), "{text:?}");
    }
}

#[test]
fn what_stands_around_a_token_is_named_and_taken_off() {
    for (text, mistakes) in [
        ("\"eyJh.eyJz.c2ln\"", &["quotes"] as &[_]),
        ("'eyJh.eyJz.c2ln'\n", &["quotes"]),
        ("“Bearer eyJh.eyJz.c2ln”", &["quotes"]),
        ("Bearer \"eyJh.eyJz.c2ln\"", &["quotes"]),
        ("Authorization: Bearer eyJh.eyJz.c2ln", &["header_line"]),
        ("'authorization:bearer eyJh.eyJz.c2ln'", &["quotes", "header_line"]),
        ("Authorization: eyJh.eyJz.c2ln", &["header_line", "no_scheme"]),
        ("Bearer Bearer eyJh.eyJz.c2ln", &["scheme_twice"]),
        ("Authorization: Bearer bearer eyJh.eyJz.c2ln", &["header_line", "scheme_twice"]),
        ("eyJh.ey\n  Jz.c2ln\n", &["blanks"]),
        ("Bearer eyJh.\r\neyJz.c2ln", &["blanks"]),
        ("[\"Bearer eyJh.eyJz.c2ln\"]", &["list"]),
        ("[ eyJh.eyJz.c2ln ]", &["list"]),
        ("['eyJh.eyJz.c2ln']\n", &["list"]),
    ] {
        assert_eq!(read(text), found(mistakes), "{text:?}");
    }
}

#[test]
fn what_is_certainly_no_token_is_named() {
    let header = URL_SAFE_NO_PAD.encode(r#"{"cty": "JWT", "enc": "A256GCM", "alg": "RSA-OAEP"}"#);
    for (text, mistake) in [
        (&*format!("{header}.a.b.c.d"), "encrypted"),
        ("[admin user]", "groups"),
        (r#"["admin","user"]"#, "groups"),
        ("3f0c1a52-8e0b-4c3d-9b1e-2f6a7d8c9e01", "uuid"),
        ("https://shop.example/callback?state=x&code=3f0c1a52", "redirect"),
        ("IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJ=", "aws_session"),
        ("FwoGZXIvYXdzEBYaDKXwnMKjL/8vVt4", "aws_session"),
    ] {
        assert_eq!(read(text), nothing_but(mistake), "{text}");
    }
    assert_eq!(read(r#""[admin user]""#), (None, vec!["quotes", "groups"]));
}

#[test]
fn claims_are_known_wherever_api_gateway_puts_them() {
    let claims = json!({"sub": "a", "iss": "https://x/y", "cognito:groups": "[admin user]", "exp": "17"});
    for text in [
        claims.clone(),
        json!({"claims": claims, "scopes": null}),
        json!({"jwt": {"claims": claims, "scopes": null}}),
        json!({"sub": "a", "token_use": "id", "cognito:groups": "admin,user"}),
        json!({"authorizer": {"claims": claims}}),
        json!({"accountId": "1", "apiId": "a1", "authorizer": {"jwt": {"claims": claims, "scopes": null}}}),
    ] {
        assert_eq!(read(&text.to_string()), nothing_but("claims"), "{text}");
    }
}

#[test]
fn claims_are_known_as_programs_print_them() {
    for text in [
        "{\n  sub: 'a',\n  'cognito:groups': '[admin user]',\n  token_use: 'access'\n}",
        "{'sub': 'a', 'cognito:groups': '[admin user]', 'iss': 'https://x/y'}",
        "{sub=a, cognito:groups=[admin user], iss=https://x/y}",
        "map[cognito:groups:[admin user] iss:https://x/y sub:a]",
        "{ authorizer: { jwt: { claims: { sub: 'a', token_use: 'id' }, scopes: null } } }",
    ] {
        assert_eq!(read(text), nothing_but("claims"), "{text}");
    }
}

#[test]
fn the_token_is_found_in_headers_and_in_what_a_user_pool_answers() {
    let bearer = format!("Bearer {TOKEN}");
    for (text, mistakes) in [
        (json!({"Authorization": bearer}), &["header_line"] as &[_]),
        (json!({"accept": "*/*", "authorization": [bearer]}), &["header_line"]),
        (json!({"authorization": TOKEN}), &["header_line", "no_scheme"]),
        (json!({"access_token": TOKEN, "id_token": "x", "token_type": "Bearer"}), &["pool_answer"]),
        (json!({"id_token": TOKEN}), &["pool_answer"]),
        (json!({"AuthenticationResult": {"AccessToken": TOKEN, "ExpiresIn": 3600}}), &["pool_answer"]),
        (json!({"AccessToken": TOKEN, "IdToken": "x"}), &["pool_answer"]),
    ] {
        assert_eq!(read(&text.to_string()), found(mistakes), "{text}");
    }
}

#[test]
fn the_token_is_found_in_every_kind_of_event() {
    let bearer = format!("Bearer {TOKEN}");
    let context = json!({"requestId": "r-1"});
    let events: [(Value, &str); 6] = [
        (json!({"type": "TOKEN", "authorizationToken": bearer, "methodArn": "arn"}), "authorizationToken"),
        (json!({"headers": {"authorization": bearer}, "requestContext": context}), "headers.authorization"),
        (json!({"headers": {"AUTHORIZATION": bearer}, "requestContext": context}), "headers.AUTHORIZATION"),
        (
            json!({"headers": {"Authorization": bearer}, "multiValueHeaders": {"Authorization": [bearer]},
                   "requestContext": context}),
            "headers.Authorization",
        ),
        (
            json!({"headers": null, "multiValueHeaders": {"Authorization": [bearer]}, "requestContext": context}),
            "multiValueHeaders.Authorization",
        ),
        (
            json!({"identitySource": [bearer], "headers": {"authorization": bearer}, "requestContext": context}),
            "identitySource",
        ),
    ];
    for (event, place) in events {
        let Pasted { token, mistakes } = Pasted::read(&event.to_string());
        assert_eq!(token, Some(Token::new(TOKEN)), "{event}");
        assert_eq!(mistakes, [Mistake::Event(place.to_owned())], "{event}");
    }
}

#[test]
fn an_event_says_what_is_wrong_with_its_header() {
    let event = |headers: Value| json!({"headers": headers, "requestContext": {}}).to_string();
    assert_eq!(read(&event(json!({"authorization": TOKEN}))), found(&["event", "no_scheme"]));
    let twice = format!("Bearer Bearer {TOKEN}");
    assert_eq!(read(&event(json!({"Authorization": twice}))), found(&["event", "scheme_twice"]));
    assert_eq!(read(&event(json!({"accept": "*/*"}))), nothing_but("event_without_token"));
    assert_eq!(read(&event(Value::Null)), nothing_but("event_without_token"));
    let two = json!({"Authorization": "Bearer a.b.c", "authorization": "Bearer d.e.f"});
    assert_eq!(read(&event(two)), nothing_but("event_with_several"));
}

#[test]
fn nothing_is_guessed() {
    for text in [
        "garbage",
        "{}",
        "{\"a\": 1}",
        "{",
        "[",
        "a.b.c.d.e",
        "[\"eyJh.eyJz.c2ln\", \"eyJh.eyJz.c2ln\"]",
        "[\"Bearer\", \"x\"]",
        "{ sub: 'a', token_use: 'access', authorization: 'Bearer eyJh.eyJz.c2ln' }",
        "{ subject: 'a', token_user: 'b' }",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "admin,user",
        "a b c",
        "https://shop.example/?code=",
        "12345678-1234-1234-1234-12345678901g",
        "\"",
    ] {
        assert_eq!(read(text), (Some(text.to_owned()), vec![]), "{text}");
    }
}
