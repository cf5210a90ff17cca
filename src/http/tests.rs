//! The routes from outside: what is answered to requests that never get as far as a decision.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody, to_bytes};
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body::Frame;
use serde_json::Value;
use tokio::sync::watch;

use super::*;
use crate::cedar::{Settings, Source, Sources, compile, live};
use crate::clock::Clock;
use crate::decision::tests::off_the_record;
use crate::model::status::{KeyStatus, PolicyStatus, Serving};
use crate::model::{Finding, Now, Place, Timestamp};

mod config;

const QUESTION: &str = r#"{"action": "readProduct", "resource": {"type": "Product", "id": "p-42"}}"#;

/// A service whose verifier knows no issuer: every token is refused.
struct Service {
    clock: Clock,
    metrics: Metrics,
    limits: Limits,
    explain: bool,
    policies: watch::Sender<PolicyStatus>,
    keys: watch::Sender<Vec<KeyStatus>>,
    draining: watch::Sender<bool>,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn code(&self) -> String {
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], format!("urn:palisade:problem:{}", problem["code"].as_str().unwrap()));
        format!("{} {}", self.status.as_u16(), problem["code"].as_str().unwrap())
    }
}

impl Service {
    fn new() -> Self {
        let clock = Clock::standing_at(Timestamp::from_millis(1_795_426_200_000));
        let loaded_at = clock.now();
        let serving = Some(Serving { revision: "sha256:7c1f".into(), loaded_at });
        let status = PolicyStatus { serving, ..PolicyStatus::default() };
        Self {
            metrics: Metrics::new(),
            limits: Limits::default(),
            explain: false,
            policies: watch::Sender::new(status),
            keys: watch::Sender::new(vec![keys("pool-1", Some(loaded_at))]),
            draining: watch::Sender::new(false),
            clock,
        }
    }

    fn operations(&self) -> Operations {
        Operations {
            policies: self.policies.subscribe(),
            keys: self.keys.subscribe(),
            draining: self.draining.subscribe(),
            max_stale: Duration::from_hours(24),
            weak_settings: [WeakSetting { setting: "audit.sink", meaning: "decisions are not on record" }]
                .into(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        }
    }

    fn decisions(&self) -> Decisions {
        let schema = Source { path: "s".into(), name: "s".into(), text: "entity User, Group;".into() };
        let sources = Sources { schema: vec![schema], settings: Settings::default(), ..Sources::default() };
        let (_, snapshots) = live::channel(compile(&sources, &self.limits).unwrap().snapshot);
        let decider = off_the_record(snapshots, self.clock.clone(), self.metrics.clone());
        let api = Arc::new(Api {
            verifier: Verifier::new(&[], &self.limits, self.clock.clone(), &self.metrics).unwrap(),
            decider,
            limits: self.limits.clone(),
            explain: self.explain,
            operations: self.operations(),
        });
        Decisions::new(Door::Open(api), self.clock.clone(), self.metrics.clone(), &self.limits)
    }

    async fn send(&self, request: Request<Body>) -> Answered {
        answered(self.decisions(), request).await
    }

    async fn ops(&self, path: &str) -> Answered {
        let service = ops::service(self.operations(), Router::new());
        answered(service, Request::get(path).body(Body::empty()).unwrap()).await
    }
}

async fn answered<S>(service: S, request: Request<Body>) -> Answered
where
    S: hyper::service::Service<Request<Body>, Response = Response, Error = Infallible>,
{
    let response = service.call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    assert!(body.size_hint().exact().is_some());
    let body: Bytes = to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    Answered { status: parts.status, headers: parts.headers, text }
}

fn keys(issuer: &str, fetched_at: Option<Now>) -> KeyStatus {
    let keys = usize::from(fetched_at.is_some());
    KeyStatus { issuer: issuer.into(), fetched_at, keys, failure: None }
}

fn ask() -> axum::http::request::Builder {
    Request::post("/authorize").header(CONTENT_TYPE, "application/json")
}

fn with_token() -> axum::http::request::Builder {
    ask().header(AUTHORIZATION, "Bearer eyJ.eyJ.c2ln")
}

/// A body that nobody may read.
fn unread() -> Body {
    Body::new(Scripted(|| panic!("the body was read")))
}

/// A body that never comes.
fn pending() -> Body {
    Body::new(Scripted(|| Poll::Pending))
}

type Frames = Poll<Option<Result<Frame<Bytes>, Infallible>>>;

struct Scripted(fn() -> Frames);

impl HttpBody for Scripted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Frames {
        (self.0)()
    }
}

#[tokio::test]
async fn without_a_token_there_is_a_challenge_without_an_error() {
    let answered = Service::new().send(ask().body(QUESTION.into()).unwrap()).await;
    assert_eq!(answered.code(), "401 missing_token");
    assert_eq!(answered.headers[WWW_AUTHENTICATE], "Bearer");
}

#[tokio::test]
async fn a_header_token_is_judged_before_the_body_is_read() {
    let service = Service::new();
    let answered = service.send(with_token().body(unread()).unwrap()).await;
    assert_eq!(answered.code(), "401 invalid_token");
    let challenge = answered.headers[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description="), "{challenge}");
    assert!(!answered.text.contains("eyJ"));
    let metrics = service.metrics.encode().unwrap();
    assert!(metrics.contains(r#"palisade_token_failures_total{class="malformed"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"palisade_refusals_total{code="invalid_token"} 1"#), "{metrics}");
}

#[tokio::test]
async fn a_body_token_is_judged_and_a_header_of_another_scheme_is_not() {
    let body = QUESTION.replacen('{', r#"{"token": "eyJ.eyJ.c2ln", "#, 1);
    let request = ask().header(AUTHORIZATION, "Basic dXNlcjpwYXNz").body(body.into()).unwrap();
    assert_eq!(Service::new().send(request).await.code(), "401 invalid_token");
    let request = with_token().header(AUTHORIZATION, "Basic x").body(unread()).unwrap();
    assert_eq!(Service::new().send(request).await.code(), "400 malformed_request");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said() {
    let service = Service::new();
    for (content_type, body, code) in [
        ("application/json", "{", "400 malformed_request"),
        ("application/json", r#"{"resource": {}}"#, "400 malformed_request"),
        ("text/plain", QUESTION, "415 unsupported_media_type"),
    ] {
        let request = Request::post("/authorize").header(CONTENT_TYPE, content_type);
        assert_eq!(service.send(request.body(body.into()).unwrap()).await.code(), code, "{body}");
    }
    let request = Request::post("/authorize").body(QUESTION.into()).unwrap();
    assert_eq!(service.send(request).await.code(), "415 unsupported_media_type");
    let large = " ".repeat(service.limits.body + 1);
    assert_eq!(service.send(ask().body(large.into()).unwrap()).await.code(), "413 too_large");
    let batch = Request::post("/authorize/batch").header(CONTENT_TYPE, "application/json");
    assert_eq!(service.send(batch.body("[]".into()).unwrap()).await.code(), "400 malformed_request");
}

#[tokio::test]
async fn an_explanation_is_for_services_that_give_them() {
    let mut service = Service::new();
    let explained = |query: &str| {
        Request::post(format!("/authorize?{query}"))
            .header(CONTENT_TYPE, "application/json")
            .body(QUESTION.into())
            .unwrap()
    };
    assert_eq!(service.send(explained("explain=true")).await.code(), "403 explain_not_allowed");
    assert_eq!(service.send(explained("explain=yes")).await.code(), "400 malformed_request");
    assert_eq!(service.send(explained("explain=false")).await.code(), "401 missing_token");
    service.explain = true;
    assert_eq!(service.send(explained("explain=true")).await.code(), "401 missing_token");
}

#[tokio::test]
async fn other_routes_and_methods_are_problems_too() {
    let service = Service::new();
    let request =
        |method: &str, path: &str| Request::builder().method(method).uri(path).body(unread()).unwrap();
    for path in ["/", "/authorize/", "/metrics", "/Authorize"] {
        assert_eq!(service.send(request("POST", path)).await.code(), "404 not_found", "{path}");
    }
    for method in ["GET", "PUT", "OPTIONS", "DELETE", "NONSENSE"] {
        let answered = service.send(request(method, "/authorize")).await;
        assert_eq!(answered.code(), "405 method_not_allowed", "{method}");
        assert_eq!(answered.headers[ALLOW], "POST");
    }
    assert_eq!(service.send(request("HEAD", "/authorize")).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let service = Service::new();
    let given = ask().header("x-request-id", "a-B_0.9").body(QUESTION.into()).unwrap();
    assert_eq!(service.send(given).await.headers["x-request-id"], "a-B_0.9");
    let insane = ask().header("x-request-id", "a b").body(QUESTION.into()).unwrap();
    let made = service.send(insane).await.headers["x-request-id"].clone();
    assert_eq!(made.len(), 36);
    assert_eq!(service.ops("/nowhere").await.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn a_service_at_its_limit_says_so_at_once_and_frees_the_place() {
    let mut service = Service::new();
    service.limits.in_flight = 1;
    let decisions = service.decisions();
    let waiting = tokio::spawn(answered(decisions.clone(), ask().body(pending()).unwrap()));
    while service.metrics.in_flight.get() == 0 {
        tokio::task::yield_now().await;
    }
    let refused = answered(decisions.clone(), ask().body(QUESTION.into()).unwrap()).await;
    assert_eq!(refused.code(), "503 overloaded");
    assert_eq!(refused.headers[RETRY_AFTER], "1");
    waiting.abort();
    assert!(waiting.await.is_err());
    assert_eq!(service.metrics.in_flight.get(), 0);
    let taken = answered(decisions, ask().body(QUESTION.into()).unwrap()).await;
    assert_eq!(taken.code(), "401 missing_token");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let mut service = Service::new();
    service.limits.request = Period(Duration::from_millis(10));
    let answered = service.send(ask().body(pending()).unwrap()).await;
    assert_eq!(answered.code(), "503 timeout");
}

#[tokio::test]
async fn a_panic_is_a_problem_like_any_other() {
    let answered = Service::new().send(ask().body(unread()).unwrap()).await;
    assert_eq!(answered.code(), "500 internal");
    assert!(!answered.text.contains("the body was read"));
}

#[tokio::test]
async fn a_service_with_fresh_keys_is_ready_and_says_what_is_weak() {
    let service = Service::new();
    service.clock.advance(Duration::from_secs(7));
    let answered = service.ops("/readyz").await;
    assert_eq!(answered.status, StatusCode::OK);
    insta::assert_snapshot!(answered.text, @r#"{"status":"ok","draining":false,"revision":"sha256:7c1f","loaded_at":"2026-11-23T09:30:00.000Z","age_seconds":7,"findings":[],"configuration_changed":false,"issuers":[{"issuer":"pool-1","usable":true,"keys":1,"age_seconds":7}],"weak_settings":[{"setting":"audit.sink","meaning":"decisions are not on record"}]}"#);
}

#[tokio::test]
async fn a_failed_reload_degrades_and_shows_no_policy_text() {
    let service = Service::new();
    let finding = Finding::error(&"policies/p.cedar".into(), "syntax", "unexpected `secret`");
    let finding = finding.at(Place { line: 3, column: 7, offset: 40, length: 6 });
    service.policies.send_modify(|status| status.findings = [finding].into());
    let answered = service.ops("/readyz").await;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(answered.json()["status"], "degraded");
    assert_eq!(
        answered.json()["findings"][0].to_string(),
        r#"{"code":"syntax","severity":"error","path":"policies/p.cedar","line":3,"column":7}"#
    );
    assert!(!answered.text.contains("secret"));
}

#[tokio::test]
async fn readiness_follows_the_keys_and_the_end() {
    let service = Service::new();
    let ready = async || {
        let answered = service.ops("/readyz").await;
        format!("{} {}", answered.status.as_u16(), answered.json()["status"].as_str().unwrap())
    };
    let now = service.clock.now();
    service.keys.send_replace(vec![keys("pool-1", None)]);
    assert_eq!(ready().await, "503 unavailable", "before the first keys");
    service.keys.send_replace(vec![keys("pool-1", Some(now)), keys("pool-2", None)]);
    assert_eq!(ready().await, "200 degraded", "one issuer of two");
    service
        .keys
        .send_replace(vec![KeyStatus { failure: Some("timeout".to_owned()), ..keys("p", Some(now)) }]);
    assert_eq!(ready().await, "200 degraded", "the last fetch failed");
    service.keys.send_replace(vec![keys("pool-1", Some(now))]);
    assert_eq!(ready().await, "200 ok");
    service.draining.send_replace(true);
    assert_eq!(ready().await, "503 unavailable", "draining");
    service.draining.send_replace(false);
    service.clock.advance(Duration::from_hours(24) + Duration::from_secs(1));
    assert_eq!(ready().await, "503 unavailable", "past the bound on stale keys");
}

#[tokio::test]
async fn metrics_are_openmetrics_with_the_ages_of_this_moment() {
    let service = Service::new();
    service.clock.advance(Duration::from_secs(7));
    let answered = service.ops("/metrics").await;
    assert_eq!(answered.headers[CONTENT_TYPE], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answered.text.contains(r#"palisade_key_age_seconds{issuer="pool-1"} 7.0"#), "{}", answered.text);
    assert!(answered.text.contains("palisade_revision_age_seconds 7.0"), "{}", answered.text);
    assert!(answered.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_operations_listener_decides_nothing() {
    let service = Service::new();
    assert_eq!(service.ops("/livez").await.text, r#"{"status":"ok"}"#);
    assert_eq!(service.ops("/authorize").await.code(), "404 not_found");
    let openapi = service.ops("/openapi.json").await.json();
    assert_eq!(openapi["openapi"], "3.1.0");
}

#[tokio::test]
async fn the_description_of_the_api_has_every_problem() {
    let openapi = Service::new().ops("/openapi.json").await.text;
    for problem in [
        Problem::MalformedRequest,
        Problem::ForgedIdentity,
        Problem::StoredEntity,
        Problem::UnsupportedMediaType,
        Problem::MissingToken,
        Problem::InvalidToken,
        Problem::ExplainNotAllowed,
        Problem::NotFound,
        Problem::MethodNotAllowed,
        Problem::TooLarge,
        Problem::UnknownAction,
        Problem::UnknownType,
        Problem::SchemaMismatch,
        Problem::Overloaded,
        Problem::NotReady,
        Problem::KeysUnavailable,
        Problem::AuditUnavailable,
        Problem::Timeout,
        Problem::Internal,
    ] {
        assert!(openapi.contains(&format!("\"urn:palisade:problem:{}\"", problem.code())), "{problem:?}");
    }
}
