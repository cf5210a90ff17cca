//! The operations API, on a listener of its own: how the service is.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::sync::watch;

use super::error::{self, ApiError};
use super::trace;
use crate::clock::Clock;
use crate::model::status::{BundleStatus, KeyStatus, PolicyStatus, WeakSetting};
use crate::model::{Finding, Now, Severity, Timestamp};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::IssuerLabels;

/// `OpenMetrics` 1.0, section "Content type".
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The decision API in `OpenAPI` 3.1.
const OPENAPI: &str = include_str!("openapi.json");

/// How the service is: the read ends of what its parts publish.
#[derive(Debug, Clone)]
pub struct Operations {
    /// What the reloads publish.
    pub policies: watch::Receiver<PolicyStatus>,
    /// What the fetches of keys publish: one status for each issuer.
    pub keys: watch::Receiver<Vec<KeyStatus>>,
    /// Whether the service has been told to stop.
    pub draining: watch::Receiver<bool>,
    /// The age at which keys stop serving.
    pub max_stale: Duration,
    /// The weak settings in force.
    pub weak_settings: Arc<[WeakSetting]>,
    /// For ages.
    pub clock: Clock,
    /// What `/metrics` shows.
    pub metrics: Metrics,
}

/// The operations listener: its own routes, and further ones.
pub fn service(operations: Operations, further: Router) -> TowerToHyperService<Router> {
    let clock = operations.clock.clone();
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .fallback(async || error::no_route())
        .method_not_allowed_fallback(async || error::wrong_method())
        .with_state(operations)
        .layer(from_fn_with_state(clock, trace::operation));
    TowerToHyperService::new(router.merge(further))
}

/// How ready the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// It serves, but somebody should look.
    Degraded,
    /// It does not serve: no usable keys, or it is about to stop.
    Unavailable,
}

#[derive(Debug, Serialize)]
struct Readiness {
    status: Status,
    draining: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<ShownBundle>,
    /// The last reload's, none if it succeeded.
    findings: Vec<ShownFinding>,
    configuration_changed: bool,
    issuers: Vec<ShownKeys>,
    weak_settings: Arc<[WeakSetting]>,
}

/// A finding without its message, which can repeat the text of a policy.
#[derive(Debug, Serialize)]
struct ShownFinding {
    code: &'static str,
    severity: Severity,
    path: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

#[derive(Debug, Serialize)]
struct ShownBundle {
    source: Arc<str>,
    /// It has come, and its store has been heard since `max_stale`.
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Arc<str>>,
    /// Since its store was last heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownKeys {
    issuer: Arc<str>,
    usable: bool,
    keys: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl Operations {
    /// Whether the keys of any issuer have ever been fetched.
    pub fn has_had_keys(&self) -> bool {
        self.keys.borrow().iter().any(|keys| keys.fetched_at.is_some())
    }

    /// Whether requests are best sent here: what `/readyz` says.
    pub fn status(&self) -> Status {
        self.readiness().status
    }

    fn readiness(&self) -> Readiness {
        let now = self.clock.now();
        let policies = self.policies.borrow().clone();
        let issuers: Vec<_> = self.keys.borrow().iter().map(|keys| self.shown_keys(keys, now)).collect();
        let draining = *self.draining.borrow();
        let bundle = policies.bundle.map(|bundle| shown_bundle(bundle, now));
        let serving = policies.serving;
        Readiness {
            status: status(draining, &issuers, &policies.findings, bundle.as_ref()),
            draining,
            loaded_at: serving.as_ref().map(|serving| serving.loaded_at.wall),
            age_seconds: serving.as_ref().map(|serving| now.age_of(serving.loaded_at).as_secs()),
            revision: serving.map(|serving| serving.revision),
            bundle,
            findings: policies.findings.iter().map(ShownFinding::from).collect(),
            configuration_changed: policies.configuration_changed,
            issuers,
            weak_settings: Arc::clone(&self.weak_settings),
        }
    }

    fn shown_keys(&self, status: &KeyStatus, now: Now) -> ShownKeys {
        let age = status.fetched_at.map(|fetched_at| now.age_of(fetched_at));
        ShownKeys {
            issuer: Arc::clone(&status.issuer),
            usable: status.keys > 0 && age.is_some_and(|age| age <= self.max_stale),
            keys: status.keys,
            age_seconds: age.map(|age| age.as_secs()),
            failure: status.failure.clone(),
        }
    }

    /// Ages are not counted up by anybody: they are taken when they are looked at.
    fn note_ages(&self) {
        let now = self.clock.now();
        let policies = self.policies.borrow().clone();
        if let Some(serving) = policies.serving {
            self.metrics.revision_age.set(now.age_of(serving.loaded_at).as_secs_f64());
        }
        if let Some(heard_at) = policies.bundle.and_then(|bundle| bundle.heard_at) {
            self.metrics.bundle_age.set(now.age_of(heard_at).as_secs_f64());
        }
        for keys in self.keys.borrow().iter() {
            let issuer = IssuerLabels { issuer: Arc::clone(&keys.issuer) };
            if let Some(fetched_at) = keys.fetched_at {
                self.metrics.key_age.get_or_create(&issuer).set(now.age_of(fetched_at).as_secs_f64());
            }
            self.metrics.keys.get_or_create(&issuer).set(i64::try_from(keys.keys).unwrap_or(i64::MAX));
        }
    }
}

fn shown_bundle(bundle: BundleStatus, now: Now) -> ShownBundle {
    let BundleStatus { source, etag, digest, heard_at, failure, max_stale } = bundle;
    let age = heard_at.map(|heard_at| now.age_of(heard_at));
    ShownBundle {
        source,
        usable: digest.is_some() && age.is_some_and(|age| age <= max_stale),
        etag,
        digest,
        age_seconds: age.map(|age| age.as_secs()),
        failure,
    }
}

/// One issuer without usable keys degrades the service; without any, or without policies, it cannot serve at all.
fn status(
    draining: bool,
    issuers: &[ShownKeys],
    findings: &[Finding],
    bundle: Option<&ShownBundle>,
) -> Status {
    if draining || !issuers.iter().any(|issuer| issuer.usable) || bundle.is_some_and(|bundle| !bundle.usable)
    {
        Status::Unavailable
    } else if issuers.iter().all(|issuer| issuer.usable && issuer.failure.is_none())
        && !findings.iter().any(Finding::is_error)
        && bundle.is_none_or(|bundle| bundle.failure.is_none())
    {
        Status::Ok
    } else {
        Status::Degraded
    }
}

impl From<&Finding> for ShownFinding {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code,
            severity: finding.severity,
            path: Arc::clone(&finding.path),
            line: finding.place.map(|place| place.line),
            column: finding.place.map(|place| place.column),
        }
    }
}

const NO_STORE: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

async fn livez() -> impl IntoResponse {
    ([NO_STORE, (CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#)
}

async fn readyz(State(operations): State<Operations>) -> Result<impl IntoResponse, ApiError> {
    let readiness = operations.readiness();
    let code = error::code_of(readiness.status);
    let body = serde_json::to_vec(&readiness).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok((code, [NO_STORE, (CONTENT_TYPE, "application/json")], body))
}

async fn metrics(State(operations): State<Operations>) -> Result<impl IntoResponse, ApiError> {
    operations.note_ages();
    let text = operations.metrics.encode().map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(([NO_STORE, (CONTENT_TYPE, OPENMETRICS)], text))
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}
