//! What `palisade token` says of the mistakes that people make with tokens.

use std::io::Write as _;
use std::process::Stdio;

use palisade::identity::issuer::Cognito;
use palisade::model::Timestamp;
use serde_json::{Value, json};

use crate::harness::{CLIENT, Setup, now, update};

/// A token of the shop's pool, whatever `change` makes of its claims.
fn token(setup: &Setup, change: impl FnOnce(Cognito) -> Cognito) -> String {
    let claims = Cognito::access("alice", &["admin"], CLIENT, Timestamp::from_millis(now() * 1_000));
    setup.issuer.issue(&change(claims)).unwrap().expose().to_owned()
}

/// The exit code, and what is printed about this text.
fn said(setup: &Setup, format: &str, text: &str) -> (i32, String) {
    let mut command = setup.command(&["token", "--format", format]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(printed).unwrap())
}

/// The exit code, the codes of the mistakes, and whether every rule is kept; none where there is no token.
fn judged(setup: &Setup, text: &str) -> (i32, Vec<String>, Option<bool>) {
    let (exit, printed) = said(setup, "json", text);
    let printed: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let mistakes = printed["mistakes"].as_array().unwrap().iter();
    let rules = printed["rules"].as_array().unwrap();
    let kept = rules.iter().all(|rule| rule["passed"] == true);
    (
        exit,
        mistakes.map(|mistake| mistake["code"].as_str().unwrap().to_owned()).collect(),
        (!rules.is_empty()).then_some(kept),
    )
}

#[test]
fn each_mistake_is_named_before_the_rules_or_instead_of_them() {
    let setup = Setup::new();
    let good = token(&setup, |claims| claims);
    let (head, tail) = good.split_at(40);
    let event = json!({"version": "2.0", "headers": {"authorization": format!("Bearer {good}")},
                       "requestContext": {"authorizer": {"jwt": {"claims": {"sub": "alice"}}}}});
    let kept = Some(true);
    for (text, exit, mistakes, rules) in [
        (good.clone(), 0, &[] as &[&str], kept),
        (format!("Bearer {good}\n"), 0, &[], kept),
        (format!("\"{good}\""), 1, &["quotes"], kept),
        (format!("{head}\n{tail}"), 1, &["blanks"], kept),
        (format!("Authorization: Bearer {good}"), 1, &["header_line"], kept),
        (format!("Authorization: {good}"), 1, &["header_line", "no_scheme"], kept),
        (format!("Bearer Bearer {good}"), 1, &["scheme_twice"], kept),
        (event.to_string(), 1, &["event"], kept),
        (json!({"sub": "alice", "token_use": "access", "exp": "17"}).to_string(), 1, &["claims"], None),
        ("\"[admin user]\"".to_owned(), 1, &["quotes", "groups"], None),
        (
            token(&setup, |claims| claims.with("iss", "https://elsewhere.example/pool")),
            1,
            &["other_issuer"],
            Some(false),
        ),
        (token(&setup, |claims| claims.with("client_id", "mobile")), 1, &["other_client"], Some(false)),
        ("garbage".to_owned(), 1, &[], Some(false)),
    ] {
        let expected = (exit, mistakes.iter().map(|&code| code.to_owned()).collect(), rules);
        assert_eq!(judged(&setup, &text), expected, "{mistakes:?}");
    }
}

#[test]
fn a_mistake_is_two_plain_lines_and_never_shows_the_token() {
    let setup = Setup::new();
    let stranger = token(&setup, |claims| claims.with("client_id", "mobile\u{1b}[2J"));
    let (_, printed) = said(&setup, "text", &format!("Bearer Bearer {stranger}"));
    let lines: Vec<_> = printed.lines().take(6).collect();
    assert_eq!(
        lines,
        [
            "`Bearer` stands there more than once",
            "    write it once",
            "this token is of the client `mobile\\u{1b}[2J`; configured is `test-client`",
            "    sign in through a configured client, or add this one to `issuers.0.client_ids`",
            "",
            "✓ three parts of base64url that hold JSON",
        ]
    );
    assert!(!printed.contains("eyJ") && !printed.contains("alice"), "{printed}");
}

#[test]
fn decide_says_why_a_file_holds_no_token() {
    let setup = Setup::new();
    setup.write("token.txt", "[admin user]");
    setup.write("request.json", &update().to_string());
    let output = setup.command(&["decide", "--token", "token.txt", "--request", "request.json"]).output();
    let output = output.unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(printed.contains("holds no token: this is a list in brackets"), "{printed}");
}
