//! The decision API as one service: what every request gets, the way in, and the route.
//!
//! It stands on hyper itself: behind a router's and a middleware's boxes a request costs a tenth more.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method, Request};
use axum::response::{IntoResponse as _, Response};
use hyper::service::Service;
use tokio::time::timeout;

use super::door::Door;
use super::error::{self, ApiError, Failure, Problem};
use super::trace::{Facts, LogLine, REQUEST_ID, caught};
use super::{authorize, batch};
use crate::clock::Clock;
use crate::model::Limits;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{CodeLabels, Gauge};

/// Answers requests for decisions.
#[derive(Debug)]
pub struct Decisions(Arc<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    door: Door,
    clock: Clock,
    metrics: Metrics,
    time_limit: Duration,
    /// How many run at once.
    in_flight: i64,
}

/// A place among the requests in flight, free again however the request ends.
struct InFlight<'a>(&'a Gauge);

impl Decisions {
    /// The routes behind that door.
    pub fn new(door: Door, clock: Clock, metrics: Metrics, limits: &Limits) -> Self {
        let in_flight = i64::try_from(limits.in_flight).unwrap_or(i64::MAX);
        Self(Arc::new(Inner { door, clock, metrics, time_limit: limits.request.0, in_flight }))
    }
}

/// The same service, whose requests are held by a count of their own: that of all connections would go from
/// core to core with each request.
impl Clone for Decisions {
    fn clone(&self) -> Self {
        Self(Arc::new((*self.0).clone()))
    }
}

/// What a request's body has to be, whoever sends it.
pub(super) trait Content: HttpBody<Data = Bytes, Error: Display> + Unpin + Send {}

impl<B: HttpBody<Data = Bytes, Error: Display> + Unpin + Send> Content for B {}

impl<B: Content + 'static> Service<Request<B>> for Decisions {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        Box::pin(Arc::clone(&self.0).answer(request))
    }
}

impl Inner {
    async fn answer<B: Content>(self: Arc<Self>, request: Request<B>) -> Result<Response, Infallible> {
        let facts = Facts::new(request.headers(), self.clock.now());
        let line = LogLine::of(&request);
        let answered = match self.enter() {
            Some(_place) => {
                // Pinned before it is wrapped: it has kilobytes, which each wrapping would move.
                let answering = pin!(self.route(request, &facts));
                let too_long = |_| Err(ApiError::new(Problem::Timeout, "the request took too long"));
                timeout(self.time_limit, caught(answering)).await.unwrap_or_else(too_long)
            }
            None => Err(ApiError::new(Problem::Overloaded, "too many requests run at once")),
        };
        let mut response = answered.unwrap_or_else(ApiError::into_response);
        let latency = self.clock.monotonic().saturating_sub(facts.started.monotonic);
        self.metrics.observe_latency(latency);
        if let Some(Failure(error)) = response.extensions().get() {
            let code = error.problem().code();
            self.metrics.refusals.get_or_create(&CodeLabels { code }).inc();
        }
        line.write(facts.for_record().request_id, &response, latency);
        response.headers_mut().insert(REQUEST_ID, facts.id);
        Ok(response)
    }

    fn enter(&self) -> Option<InFlight<'_>> {
        let before = self.metrics.in_flight.inc();
        let place = InFlight(&self.metrics.in_flight);
        (before < self.in_flight).then_some(place)
    }

    async fn route<B: Content>(&self, request: Request<B>, facts: &Facts) -> Result<Response, ApiError> {
        let is_post = request.method() == Method::POST;
        match request.uri().path() {
            authorize::PATH if is_post => {
                let api = self.door.enter().await?;
                authorize::authorize(&api, request, facts).await
            }
            batch::PATH if is_post => {
                let api = self.door.enter().await?;
                batch::authorize(&api, request, facts).await
            }
            authorize::PATH | batch::PATH => {
                let mut response = error::wrong_method().into_response();
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
                Ok(response)
            }
            _ => Err(error::no_route()),
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
