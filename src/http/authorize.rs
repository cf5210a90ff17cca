//! `POST /authorize`: one question, one decision.

use axum::http::Request;
use axum::response::Response;

use super::Api;
use super::error::ApiError;
use super::intake::{Reading, Received, receive};
use super::json;
use super::service::Content;
use super::trace::Facts;
use crate::model::Body;

pub(super) const PATH: &str = "/authorize";

pub(super) async fn authorize(
    api: &Api,
    request: Request<impl Content>,
    facts: &Facts,
) -> Result<Response, ApiError> {
    let reading = Reading {
        limit: api.limits.body,
        explains: true,
        parse: |json, limits| Body::parse(json, limits).map(|body| (body.token, body.question)),
    };
    let Received { verified, question, explain } = receive(api, request, facts, reading).await?;
    let answer = if explain {
        api.decider.explain(&verified, &question, facts.for_record()).await?
    } else {
        api.decider.decide(&verified, &question, facts.for_record()).await?
    };
    Ok(json(answer.into_json()))
}
