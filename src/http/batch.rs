//! `POST /authorize/batch`: many questions about one principal, under one snapshot.

use axum::http::Request;
use axum::response::Response;

use super::Api;
use super::error::ApiError;
use super::intake::{Reading, Received, receive};
use super::json;
use super::service::Content;
use super::trace::Facts;
use crate::model::Batch;

pub(super) const PATH: &str = "/authorize/batch";

pub(super) async fn authorize(
    api: &Api,
    request: Request<impl Content>,
    facts: &Facts,
) -> Result<Response, ApiError> {
    let reading = Reading {
        limit: api.limits.batch_body,
        explains: false,
        parse: |json, limits| Batch::parse(json, limits).map(|batch| (batch.token, batch.items)),
    };
    let Received { verified, question, .. } = receive(api, request, facts, reading).await?;
    let answer = api.decider.decide_batch(&verified, question, facts.for_record()).await?;
    Ok(json(answer.into_json()))
}
