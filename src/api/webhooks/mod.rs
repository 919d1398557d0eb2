//! Webhook endpoints, their deliveries, and sending again: one file per operation.

pub mod create;
pub mod delete;
pub mod deliveries;
pub mod get;
pub mod jobs;
pub mod list;
pub mod ping;
pub mod public_keys;
pub mod request;
pub mod secret;
pub mod update;

use super::ApiState;
use super::path::EndpointPath;
use super::problem::{Problem, ProblemType};
use crate::domain::webhook::endpoint::{Endpoint, EndpointId};

async fn find(state: &ApiState, id: EndpointId) -> Result<Endpoint, Problem> {
    state
        .store
        .find_endpoint(id)
        .await?
        .ok_or_else(EndpointPath::not_found)
}

/// The endpoint, if something may be sent to it.
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
