//! The verifier as a whole: real keys, real signatures, a clock that the test moves.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::canned::{Answer, Endpoint as Canned};
use super::issuer::SigningKey;
use super::*;
use crate::model::{Kind, Period, Timestamp, TokenUse};

mod flood;
mod forged;
mod properties;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const POOL: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";
const OTHER: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_OTHER";

/// Two pools that name their keys alike, as every pool of moto does.
fn pools() -> &'static [TokenIssuer; 2] {
    static POOLS: OnceLock<[TokenIssuer; 2]> = OnceLock::new();
    POOLS.get_or_init(|| [POOL, OTHER].map(|name| TokenIssuer::start(name, "same").unwrap()))
}

fn pool() -> &'static TokenIssuer {
    &pools()[0]
}

fn other_pool() -> &'static TokenIssuer {
    &pools()[1]
}

fn other_config() -> Config {
    Config {
        principal_type: "Partner".to_owned(),
        group_type: "PartnerGroup".to_owned(),
        machine_type: Some("PartnerMachine".to_owned()),
        ..other_pool().config(&["web"])
    }
}

fn build(issuers: Vec<(Config, KeySource)>, clock: &Clock, limits: &Limits) -> Verifier {
    Verifier::with_sources(issuers, limits, clock.clone(), &Metrics::new()).unwrap()
}

fn verifier_of(config: Config, clock: &Clock) -> Verifier {
    build(vec![(config, pool().key_source())], clock, &Limits::default())
}

fn verifier() -> Verifier {
    verifier_of(pool().config(&["web", "importer"]), &Clock::standing_at(NOW))
}

fn ana() -> Cognito {
    Cognito::access("ana", &["admin"], "web", NOW)
}

fn class(result: &Result<Verified, TokenError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(TokenError::Invalid { class, .. }) => class,
        Err(TokenError::KeysUnavailable { .. }) => "keys_unavailable",
    }
}

fn detail(result: Result<Verified, TokenError>) -> Option<String> {
    match result.unwrap_err() {
        TokenError::Invalid { detail, .. } => detail,
        TokenError::KeysUnavailable { .. } => panic!("the keys are there"),
    }
}

async fn judged(token: &Token) -> &'static str {
    class(&verifier().verify(token).await)
}

/// A genuine signature over any header and any payload.
async fn signed(header: &str, payload: &str) -> &'static str {
    judged(&pool().key().token(header, payload).unwrap()).await
}

fn payload() -> String {
    ana().to_json(POOL).to_string()
}

const HEADER: &str = r#"{"kid": "same", "alg": "RS256"}"#;

#[tokio::test]
async fn a_genuine_token_is_accepted_with_all_that_it_says() {
    let verified = verifier().verify(&pool().issue(&ana()).unwrap()).await.unwrap();
    let identity = verified.identity();
    assert_eq!((identity.subject.as_str(), identity.kind), ("ana", Kind::User));
    assert_eq!(identity.groups, ["admin"]);
    assert_eq!(&*identity.issuer, POOL);
    let machine = Cognito::machine("importer", "shop/read", NOW);
    let verified = verifier().verify(&pool().issue(&machine).unwrap()).await.unwrap();
    assert_eq!(verified.identity().kind, Kind::Machine);
}

#[tokio::test]
async fn the_second_time_a_token_is_the_same_identity() {
    let verifier = verifier();
    let token = pool().issue(&ana()).unwrap();
    let first = verifier.verify(&token).await.unwrap();
    let second = verifier.verify(&token).await.unwrap();
    assert!(Arc::ptr_eq(first.identity(), second.identity()));
    assert_eq!(verifier.0.cache.count(), 1);
}

#[tokio::test]
async fn failures_are_not_remembered() {
    let verifier = verifier();
    let token = pool().issue(&ana().with("client_id", "other")).unwrap();
    assert_eq!(class(&verifier.verify(&token).await), "client");
    assert_eq!(verifier.0.cache.count(), 0);
}

#[tokio::test]
async fn an_issuer_that_is_not_configured_is_refused_by_its_name_alone() {
    for iss in [json!("https://evil.example"), json!(format!("{POOL}/")), json!(POOL.to_uppercase())] {
        assert_eq!(judged(&pool().issue(&ana().with("iss", iss)).unwrap()).await, "unknown_issuer");
    }
    for iss in [json!([POOL]), json!(null), json!({"iss": POOL})] {
        assert_eq!(judged(&pool().issue(&ana().with("iss", iss)).unwrap()).await, "malformed");
    }
}

#[tokio::test]
async fn an_alias_stands_for_its_issuer() {
    let alias = "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE";
    let config = Config { issuer_aliases: vec![alias.to_owned()], ..pool().config(&["web"]) };
    let verifier = verifier_of(config, &Clock::standing_at(NOW));
    for iss in [POOL, alias] {
        let token = pool().issue(&ana().with("iss", iss)).unwrap();
        assert_eq!(&*verifier.verify(&token).await.unwrap().identity().issuer, POOL);
    }
}

#[tokio::test]
async fn keys_are_never_looked_up_across_issuers() {
    let issuers =
        vec![(pool().config(&["web"]), pool().key_source()), (other_config(), other_pool().key_source())];
    let verifier = build(issuers, &Clock::standing_at(NOW), &Limits::default());
    for (signer, iss, expected) in [
        (pool(), POOL, "ok"),
        (other_pool(), OTHER, "ok"),
        (pool(), OTHER, "signature"),
        (other_pool(), POOL, "signature"),
    ] {
        let token = signer.issue(&ana().with("iss", iss)).unwrap();
        assert_eq!(class(&verifier.verify(&token).await), expected);
    }
}

#[tokio::test]
async fn a_token_ends_at_its_exp_even_where_it_is_remembered() {
    let clock = Clock::standing_at(NOW);
    let verifier = verifier_of(pool().config(&["web"]), &clock);
    let token = pool().issue(&ana()).unwrap();
    assert_eq!(class(&verifier.verify(&token).await), "ok");
    clock.advance(Duration::from_secs(3_599));
    assert_eq!(class(&verifier.verify(&token).await), "ok");
    clock.advance(Duration::from_secs(1));
    let refused = verifier.verify(&token).await;
    assert_eq!(class(&refused), "expired");
    assert_eq!(detail(refused).as_deref(), Some("expired"));
    assert_eq!(verifier.0.cache.count(), 0);
    assert_eq!(class(&verifier.verify(&token).await), "expired");
}

#[tokio::test]
async fn every_time_is_judged_again_where_a_token_is_remembered() {
    let clock = Clock::standing_at(NOW);
    let short = Config { max_token_age: Period(Duration::from_hours(1)), ..pool().config(&["web"]) };
    let verifier = verifier_of(Config { leeway: Period(Duration::from_mins(1)), ..short }, &clock);
    let token = pool().issue(&ana()).unwrap();
    assert_eq!(class(&verifier.verify(&token).await), "ok");
    clock.advance(Duration::from_secs(3_601));
    assert_eq!(class(&verifier.verify(&token).await), "too_old");
    let fresh = pool().issue(&Cognito::access("ana", &[], "web", clock.now().wall)).unwrap();
    assert_eq!(class(&verifier.verify(&fresh).await), "ok");
    clock.set_wall(NOW);
    assert_eq!(class(&verifier.verify(&fresh).await), "issued_in_future");
}

#[tokio::test]
async fn the_length_is_judged_before_anything_else() {
    let limits = Limits { token: 100, ..Limits::default() };
    let issuers = vec![(pool().config(&["web"]), pool().key_source())];
    let verifier = build(issuers, &Clock::standing_at(NOW), &limits);
    assert_eq!(class(&verifier.verify(&pool().issue(&ana()).unwrap()).await), "too_long");
}

#[tokio::test]
async fn a_token_of_a_hundred_long_groups_is_accepted() {
    let groups: Vec<_> = (0..100).map(|index| format!("{index:0>128}")).collect();
    let groups: Vec<_> = groups.iter().map(String::as_str).collect();
    let token = pool().issue(&Cognito::access("ana", &groups, "web", NOW)).unwrap();
    assert!(token.expose().len() > 18_000);
    assert_eq!(verifier().verify(&token).await.unwrap().identity().groups.len(), 100);
}

#[tokio::test]
async fn the_caller_learns_nothing_before_the_signature_and_the_rule_after_it() {
    let verifier = verifier();
    let expired = ana().with("exp", NOW.seconds());
    let (stranger, header) = (SigningKey::generate("same").unwrap(), HEADER);
    let forged = stranger.token(header, &expired.to_json(POOL).to_string()).unwrap();
    assert_eq!(detail(verifier.verify(&forged).await), None);
    assert_eq!(detail(verifier.verify(&Token::new("x")).await), None);
    for (claims, expected) in [
        (expired, "expired"),
        (ana().with("token_use", "refresh"), "token_use not allowed"),
        (ana().with("client_id", "other"), "client not allowed"),
        (ana().with("cognito:groups", "admin"), "groups malformed"),
    ] {
        let refused = verifier.verify(&pool().issue(&claims).unwrap()).await;
        assert_eq!(detail(refused).as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn a_token_ends_when_its_key_leaves_the_set() {
    let server = Canned::start(Answer::ok(&pool().jwks())).await;
    let config = Config { jwks_url: Some(server.url.clone()), ..pool().config(&["web"]) };
    let verifier =
        Verifier::new(&[config], &Limits::default(), Clock::standing_at(NOW), &Metrics::new()).unwrap();
    let token = pool().issue(&ana()).unwrap();
    verifier.refresh_now().await;
    assert_eq!(class(&verifier.verify(&token).await), "ok");
    assert_eq!(class(&verifier.verify(&token).await), "ok");
    server.answer(Answer::ok(&format!(r#"{{"keys": [{}]}}"#, pool().key().renamed("next").jwk())));
    verifier.refresh_now().await;
    assert_eq!(class(&verifier.verify(&token).await), "unknown_key");
    server.answer(Answer::ok(&other_pool().jwks()));
    verifier.refresh_now().await;
    assert_eq!(class(&verifier.verify(&token).await), "signature");
}

#[tokio::test]
async fn remembered_tokens_do_not_outlive_stale_keys() {
    let server = Canned::start(Answer::ok(&pool().jwks())).await;
    let config = Config {
        jwks_url: Some(server.url.clone()),
        max_stale: Period(Duration::from_hours(1)),
        ..pool().config(&["web"])
    };
    let clock = Clock::standing_at(NOW);
    let verifier = Verifier::new(&[config], &Limits::default(), clock.clone(), &Metrics::new()).unwrap();
    assert!(!verifier.usable(clock.now()));
    let long = Cognito { lifetime_seconds: 7_200, ..ana() };
    let token = pool().issue(&long).unwrap();
    assert_eq!(class(&verifier.verify(&token).await), "ok");
    assert!(verifier.usable(clock.now()));
    server.answer(Answer::status("500 Down", ""));
    clock.advance(Duration::from_secs(3_601));
    assert!(!verifier.usable(clock.now()));
    assert_eq!(class(&verifier.verify(&token).await), "keys_unavailable");
    assert!(verifier.statuses().borrow()[0].failure.is_some());
    server.answer(Answer::ok(&pool().jwks()));
    clock.advance(keyring::QUIET);
    assert_eq!(class(&verifier.verify(&token).await), "ok");
}

#[tokio::test]
async fn keys_are_fetched_in_the_background_until_the_end() {
    let server = Canned::start(Answer::ok(&pool().jwks())).await;
    let config = Config { jwks_url: Some(server.url.clone()), ..pool().config(&["web"]) };
    let clock = Clock::standing_at(NOW);
    let verifier = Verifier::new(&[config], &Limits::default(), clock.clone(), &Metrics::new()).unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let background = verifier.clone();
    let running = tokio::spawn(async move {
        background.run(async { drop(ended.await) }).await;
    });
    let mut statuses = verifier.statuses();
    statuses.wait_for(|statuses| statuses[0].keys == 1).await.unwrap();
    assert!(verifier.usable(clock.now()));
    end.send(()).unwrap();
    running.await.unwrap();
}

#[test]
fn the_issuer_of_dev_needs_keys_in_memory() {
    let dev = TokenIssuer::start(DEV_ISSUER, "dev").unwrap();
    let config = dev.config(&["web"]);
    let make = |source| {
        let clock = Clock::standing_at(NOW);
        Verifier::with_sources(vec![(config.clone(), source)], &Limits::default(), clock, &Metrics::new())
    };
    assert!(make(dev.key_source()).unwrap().usable(Clock::standing_at(NOW).now()));
    assert!(matches!(make(KeySource::File("jwks.json".into())), Err(StartFault::Config(_))));
    assert!(matches!(make(KeySource::Given("{}".into())), Err(StartFault::Keys { .. })));
    let new = Verifier::new(
        std::slice::from_ref(&config),
        &Limits::default(),
        Clock::standing_at(NOW),
        &Metrics::new(),
    );
    assert!(matches!(new, Err(StartFault::Config(_))));
}

#[tokio::test]
async fn a_verifier_of_no_issuers_accepts_nothing_and_is_not_usable() {
    let verifier = build(Vec::new(), &Clock::standing_at(NOW), &Limits::default());
    assert!(!verifier.usable(Clock::standing_at(NOW).now()));
    assert_eq!(class(&verifier.verify(&pool().issue(&ana()).unwrap()).await), "unknown_issuer");
}

#[tokio::test]
async fn nothing_of_a_token_is_shown() {
    let verifier = verifier();
    let secret = ana().with("sub", "secret-subject").with("client_id", "secret-client");
    let token = pool().issue(&secret).unwrap();
    let error = verifier.verify(&token).await.unwrap_err();
    let good = pool().issue(&ana().with("sub", "secret-subject")).unwrap();
    verifier.verify(&good).await.unwrap();
    let shown = format!("{error} {error:?} {verifier:?} {token:?}");
    for part in token.expose().split('.').chain(good.expose().split('.')).chain(["secret-"]) {
        assert!(!shown.contains(part), "{shown}");
    }
}

#[tokio::test]
async fn an_inspection_walks_the_road_of_the_verifier() {
    let verifier = verifier();
    let passed = |outcomes: &[RuleOutcome]| outcomes.iter().map(|outcome| outcome.passed).collect::<Vec<_>>();
    let good = verifier.inspect(&pool().issue(&ana()).unwrap()).await;
    assert_eq!(passed(&good), [Some(true); 17]);
    let garbage = verifier.inspect(&Token::new("garbage")).await;
    assert_eq!(garbage[0].passed, Some(false));
    assert_eq!(passed(&garbage[1..]), [None; 16]);
    let stranger = verifier.inspect(&pool().issue(&ana().with("iss", OTHER)).unwrap()).await;
    assert_eq!((stranger[2].rule, stranger[2].passed), (Rule::Issuer, Some(false)));
    assert!(stranger[2].detail.contains(OTHER));
    assert_eq!(stranger[2].setting.as_deref(), Some("issuers.0.issuer"));
    let forged = SigningKey::generate("same").unwrap().token(HEADER, &payload()).unwrap();
    let forged = verifier.inspect(&forged).await;
    let broken: Vec<_> = forged.iter().filter(|outcome| outcome.passed != Some(true)).collect();
    assert!(matches!(broken.as_slice(), [RuleOutcome { rule: Rule::Signature, .. }]), "{broken:?}");
}

#[tokio::test]
async fn an_inspection_and_the_verifier_agree_on_every_refusal() {
    let verifier = verifier();
    for claims in [
        ana().with("exp", 1),
        ana().with("iat", NOW.seconds() + 100),
        ana().with("token_use", "x"),
        ana().with("client_id", "x"),
        ana().with("aud", "x"),
        ana().with("cognito:groups", json!({})),
        ana().without("username"),
        ana().without("sub"),
        ana().with("scope", 7),
        Cognito { token_use: TokenUse::Id, ..ana() },
        ana(),
    ] {
        let token = pool().issue(&claims).unwrap();
        let inspected = verifier.inspect(&token).await.iter().all(|outcome| outcome.passed == Some(true));
        assert_eq!(inspected, verifier.verify(&token).await.is_ok());
    }
}
