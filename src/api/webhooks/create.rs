//! `POST /v1/webhook-endpoints`.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::{self, CreateEndpoint};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::caller::RequestCaller;
use crate::api::problem::Problem;
use crate::api::problem::docs::BodyProblems;
use crate::api::query::NoQuery;
use crate::api::shown_once::created_with_secret;
use crate::api_types::endpoint::EndpointView;

/// An endpoint with its secret, which is returned only this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointWithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// The secret that verifies the `v1` signatures of its webhooks. It is never returned again.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    pub secret: String,
}

/// Create a webhook endpoint
///
/// From now on the endpoint receives the events of every export, or of the exports and event types
/// that it selects. The response contains its secret, which is returned only this once.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    request_body(content = CreateEndpoint),
    responses(
        (status = 201, description = "Created", body = EndpointWithSecret,
            headers(("Location" = String, description = "The endpoint's URL")),
            links(
                ("Get" = (operation_id = "get_endpoint", parameters(("id" = "$response.body#/id")))),
                ("Change" = (operation_id = "update_endpoint", parameters(("id" = "$response.body#/id")))),
                ("Ping" = (operation_id = "ping_endpoint", parameters(("id" = "$response.body#/id")))),
                ("Rotate" = (operation_id = "rotate_endpoint_secret", parameters(("id" = "$response.body#/id")))),
                ("Deliveries" = (operation_id = "list_endpoint_deliveries", parameters(("id" = "$response.body#/id")))),
                ("Delete" = (operation_id = "delete_endpoint", parameters(("id" = "$response.body#/id")))),
            )),
        BodyProblems
    )
)]
pub async fn create_endpoint(
    State(state): State<ApiState>,
    _: NoQuery,
    caller: RequestCaller,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let new = request::read_new(&body, &state.callbacks, &state.vault)?;
    state.vet("/url", &new.spec.url).await?;
    let (id, now) = (state.clock.endpoint_id(), state.clock.now());
    let endpoint = new.into_endpoint(id, caller.name(), now);
    let secret = state.clock.webhook_secret();
    state
        .store
        .add_endpoint(&endpoint, &state.vault.seal(secret.expose()))
        .await?;
    tracing::info!(endpoint.id = %endpoint.id, caller.name = caller.logged(), "webhook endpoint created");
    let body = EndpointWithSecret {
        endpoint: EndpointView::from(&endpoint),
        secret: secret.expose().to_owned(),
    };
    Ok(created_with_secret(
        "/v1/webhook-endpoints",
        endpoint.id,
        &body,
    ))
}
