//! `POST /authorize/batch`: many questions about one principal, under one snapshot.

use axum::extract::Request;
use axum::response::Response;

use super::door::Entered;
use super::error::ApiError;
use super::intake::{Reading, Received, receive};
use super::json;
use crate::model::Batch;

pub(super) const PATH: &str = "/authorize/batch";

pub(super) async fn authorize(Entered(api): Entered, request: Request) -> Result<Response, ApiError> {
    let reading = Reading {
        limit: api.limits.batch_body,
        explains: false,
        parse: |json, limits| Batch::parse(json, limits).map(|batch| (batch.token, batch.items)),
    };
    let Received { verified, question, facts, .. } = receive(&api, request, reading).await?;
    let answer = api.decider.decide_batch(&verified, question, facts.for_record()).await?;
    json(answer.json())
}
