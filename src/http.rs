//! The decision API and the operations API over HTTP.

use std::num::NonZero;
use std::time::Duration;

pub use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::decision::Decider;
use crate::identity::Verifier;
use crate::model::status::WeakSetting;
use crate::model::{Limits, Period};
use crate::telemetry::Metrics;

mod authorize;
mod batch;
mod bearer;
pub mod dev;
mod door;
mod error;
mod intake;
mod keepalive;
pub mod listen;
pub mod ops;
mod service;
mod sharing;
#[cfg(test)]
mod tests;
mod trace;

pub use door::{Attendant, Closed, Door};
pub use error::{ApiError, Problem};
pub use listen::{Address, SocketMode};
pub use ops::Operations;
pub use service::Decisions;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The routes by the paths that the program log may repeat.
const ROUTES: [&str; 6] = [authorize::PATH, batch::PATH, "/livez", "/readyz", "/metrics", "/openapi.json"];

/// `[server]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the decision API listens.
    pub listen: Address,
    /// Where the operations API listens.
    pub ops_listen: Address,
    /// The permissions of a unix socket.
    pub socket_mode: SocketMode,
    /// Callers are not authenticated: this allows to listen where others than this machine reach us.
    pub allow_anonymous: bool,
    /// Whether `?explain=true` is answered.
    pub explain: bool,
    /// How long a service that is told to stop still accepts requests.
    pub drain: Period,
    /// How many threads answer; none says one for each processor.
    #[serde(deserialize_with = "workers")]
    pub workers: Option<NonZero<usize>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Address::loopback(8180),
            ops_listen: Address::loopback(8181),
            socket_mode: SocketMode::default(),
            allow_anonymous: false,
            explain: false,
            drain: Period(Duration::from_secs(5)),
            workers: None,
        }
    }
}

/// Each worker has a thread and a few files: more of them than any machine has processors help nobody.
const MOST_WORKERS: usize = 1_024;

fn workers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZero<usize>>, D::Error> {
    let given = usize::deserialize(deserializer).ok().filter(|count| *count <= MOST_WORKERS);
    given.and_then(NonZero::new).map(Some).ok_or_else(|| {
        let what = format_args!(
            "a whole number from 1 to {MOST_WORKERS} is wanted: leave it out for one for each processor"
        );
        D::Error::custom(what)
    })
}

/// Why a configuration may not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`server.listen = \"{listen}\"` can be reached from other machines, and callers are not authenticated"
)]
pub struct Exposed {
    /// The address.
    pub listen: Address,
}

impl Config {
    /// Whether it is safe to listen there.
    ///
    /// # Errors
    /// Beyond loopback and without `allow_anonymous`.
    pub fn check(&self) -> Result<(), Exposed> {
        if self.listen.is_local() || self.allow_anonymous {
            return Ok(());
        }
        Err(Exposed { listen: self.listen.clone() })
    }

    /// The settings in force that are weaker than they could be.
    pub fn weak_settings(&self) -> Vec<WeakSetting> {
        if self.listen.is_local() || !self.allow_anonymous {
            return Vec::new();
        }
        vec![WeakSetting {
            setting: "server.allow_anonymous",
            meaning: "whoever reaches the port can ask, with any user's token that they hold",
        }]
    }
}

/// What the decision API is made of.
#[derive(Debug)]
pub struct Api {
    /// Judges tokens.
    pub verifier: Verifier,
    /// Judges questions.
    pub decider: Decider,
    /// What it does not take.
    pub limits: Limits,
    /// Whether `?explain=true` is answered.
    pub explain: bool,
    /// How the service is.
    pub operations: Operations,
}

impl Api {
    fn metrics(&self) -> &Metrics {
        &self.decider.metrics
    }
}

/// A 200.
fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
