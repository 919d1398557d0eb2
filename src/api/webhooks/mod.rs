//! Webhook endpoints, what was delivered to them, and sending it again: one file a concern.

pub mod create;
pub mod deliveries;
pub mod documented;
pub mod get;
pub mod jobs;
pub mod ping;
pub mod public_keys;
pub mod request;
pub mod secret;
pub mod update;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use super::ApiState;
use super::path::{text_of_path, uuid_of_path};
use super::problem::{Problem, ProblemType};
use crate::domain::ids::DeliveryId;
use crate::domain::webhook::endpoint::{Endpoint, EndpointId};

/// The `{id}` of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct EndpointPath(pub EndpointId);

impl<S: Send + Sync> FromRequestParts<S> for EndpointPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        uuid_of_path(parts, state)
            .await
            .map(|id| Self(EndpointId(id)))
            .ok_or_else(no_such_endpoint)
    }
}

/// The `{id}` of a job.
#[derive(Debug, Clone, Copy)]
pub struct JobPath(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        uuid_of_path(parts, state)
            .await
            .map(Self)
            .ok_or_else(|| Problem::no_such("webhook job"))
    }
}

/// The `{id}` of a delivery: `msg_…`, as receivers see it.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryPath(pub DeliveryId);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = text_of_path(parts, state).await;
        let id = text
            .as_deref()
            .and_then(|text| text.strip_prefix("msg_"))
            .and_then(|hex| Uuid::try_parse(hex).ok());
        id.map(|id| Self(DeliveryId(id)))
            .ok_or_else(|| Problem::no_such("delivery"))
    }
}

fn no_such_endpoint() -> Problem {
    Problem::no_such("webhook endpoint")
}

/// The endpoint of this id.
async fn find(state: &ApiState, id: EndpointId) -> Result<Endpoint, Problem> {
    state
        .store
        .find_endpoint(id)
        .await?
        .ok_or_else(no_such_endpoint)
}

/// The endpoint of this id, to which something is to be sent.
async fn find_enabled(state: &ApiState, id: EndpointId) -> Result<Endpoint, Problem> {
    let endpoint = find(state, id).await?;
    match endpoint.disabled {
        None => Ok(endpoint),
        Some((_, reason)) => Err(Problem::new(
            ProblemType::EndpointDisabled,
            format!("the endpoint is disabled: {}", reason.as_str()),
        )),
    }
}
